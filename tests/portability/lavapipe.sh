#!/bin/sh
# SPDX-License-Identifier: MIT
# Every operation on device-vulkan with the driver lavapipe, which computes on the processor.
# shellcheck disable=SC2154 # top_srcdir comes from tests/Makefile.inc
. "$top_srcdir/tests/portability/vulkan-lib.sh"
needs_plugin
use_lavapipe
# Plans of memory too, which ask a device what it supports.
[ ! -x "$top_builddir/tests/unit/plan" ] || programs="$programs unit/plan"
# shellcheck disable=SC2086 # a list
run_programs $programs
# A stage that makes operations of other shapes than those above.
if [ -x "$top_builddir/tests/unit/segment_mask2former" ] && [ -z "${CRAYON_TEST_QUICK:-}" ]; then
    run_program unit/segment_mask2former
fi
plan

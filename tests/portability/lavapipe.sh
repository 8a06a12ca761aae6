#!/bin/sh
# SPDX-License-Identifier: MIT
# Every operation on device-vulkan with the driver lavapipe, which computes on the processor.
# shellcheck disable=SC2154 # top_srcdir comes from tests/Makefile.inc
. "$top_srcdir/tests/portability/vulkan-lib.sh"
needs_plugin
use_lavapipe
# Plans of memory too, which ask a device what it supports, and a network from the inside; SwiftShader, which
# takes six times as long to compile, has the recorded cases of both.
for program in unit/plan unit/mask2former_network; do
    [ ! -x "$top_builddir/tests/$program" ] || programs="$programs $program"
done
# shellcheck disable=SC2086 # a list
run_programs $programs
# A stage that makes operations of other shapes than those above.
if [ -x "$top_builddir/tests/unit/segment_mask2former" ] && [ -z "${CRAYON_TEST_QUICK:-}" ]; then
    run_program unit/segment_mask2former
fi
plan

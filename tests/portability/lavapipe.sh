#!/bin/sh
# SPDX-License-Identifier: MIT
# Every operation on device-vulkan with the driver lavapipe, which computes on the processor.
# shellcheck disable=SC2154 # top_srcdir comes from tests/Makefile.inc
. "$top_srcdir/tests/portability/vulkan-lib.sh"
needs_plugin
use_lavapipe
# shellcheck disable=SC2086 # a list
run_programs $programs
plan

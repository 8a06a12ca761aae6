#!/bin/sh
# SPDX-License-Identifier: MIT
# Every operation on device-vulkan with the driver swiftshader, which computes on the processor.
# shellcheck disable=SC2154 # top_srcdir comes from tests/Makefile.inc
. "$top_srcdir/tests/portability/vulkan-lib.sh"
needs_plugin
in_full_run
use_swiftshader
# shellcheck disable=SC2086 # a list
run_programs $programs
plan

#!/bin/sh
# SPDX-License-Identifier: MIT
# The recorded cases on device-vulkan with the driver swiftshader.
# shellcheck disable=SC2154 # top_srcdir comes from tests/Makefile.inc
. "$top_srcdir/tests/portability/vulkan-lib.sh"
. "$top_srcdir/tests/golden/cases-lib.sh"
needs_plugin
in_full_run
use_swiftshader
cases vulkan:0
plan

#!/bin/sh
# SPDX-License-Identifier: MIT
# The recorded cases on device-vulkan with the driver lavapipe.
# shellcheck disable=SC2154 # top_srcdir comes from tests/Makefile.inc
. "$top_srcdir/tests/portability/vulkan-lib.sh"
. "$top_srcdir/tests/golden/cases-lib.sh"
needs_plugin
use_lavapipe
cases vulkan:0
plan

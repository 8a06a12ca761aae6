#!/bin/sh
# SPDX-License-Identifier: MIT
# The recorded cases on device-vulkan with the driver lavapipe.
# shellcheck disable=SC2154 # top_srcdir comes from tests/Makefile.inc
. "$top_srcdir/tests/portability/vulkan-lib.sh"
. "$top_srcdir/tests/golden/cases-lib.sh"
needs_plugin
use_lavapipe
# The loader unloads the driver before leaks are looked for, and then nobody can tell that one is its own. The
# programs of lavapipe.sh and inside.sh keep it, and look for ours.
if [ -n "$SANITIZERS" ]; then
    ASAN_OPTIONS=${ASAN_OPTIONS:-}:detect_leaks=0
    export ASAN_OPTIONS
fi
cases vulkan:0
plan

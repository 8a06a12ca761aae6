#!/bin/sh
# SPDX-License-Identifier: MIT
# Every operation on every GPU that this machine has.
# shellcheck disable=SC2154 # top_srcdir and top_builddir come from tests/Makefile.inc
. "$top_srcdir/tests/portability/vulkan-lib.sh"
needs_plugin
use_installed_drivers

"$top_builddir/crayon" devices >"$scratch/devices" 2>&1
awk '/^vulkan:/ { name = $1 } /^    used  / && !/computes on the processor|never:/ && name != "" { print name; name = "" }' \
    "$scratch/devices" >"$scratch/gpus"
[ -s "$scratch/gpus" ] || skip_all "there is no GPU: $(grep -A1 '^device-vulkan has' "$scratch/devices" | tail -n 1 | sed 's/^ *//')"

while read -r gpu; do
    CRAYON_TEST_VULKAN=${gpu#vulkan:}
    export CRAYON_TEST_VULKAN
    # shellcheck disable=SC2086 # a list
    run_programs $programs
done <"$scratch/gpus"
plan

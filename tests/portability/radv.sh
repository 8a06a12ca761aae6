#!/bin/sh
# SPDX-License-Identifier: MIT
# Every shader with every specialisation that is shipped, by AMD's compiler in Mesa, for GPUs that need
# not be there: it compiles, and keeps all its numbers in registers. The tables are in the log.
# shellcheck disable=SC2154 # top_srcdir and top_builddir come from tests/Makefile.inc
. "$top_srcdir/tests/portability/vulkan-lib.sh"
icd=$(find_icd 'radeon_icd*.json')
[ -n "$icd" ] || skip_all "RADV is not installed (Debian: mesa-vulkan-drivers)"
in_full_run
only_driver "$icd"

# GCN 4 and 5, RDNA 1 and 2.
for family in polaris10 vega10 navi10 navi21; do
    number=$((number + 1))
    if RADV_FORCE_FAMILY=$family timeout 300 "$top_builddir/tests/portability/shader_pipelines" \
        >"$scratch/table" 2>"$scratch/words"; then
        sed "s/^\(\(not \)\{0,1\}ok\) - /\1 $number - $family, /" "$scratch/table"
    else
        echo "not ok $number - $family"
        cat "$scratch/table"
    fi
    grep -v 'not a conformant Vulkan implementation' "$scratch/words" | sed 's/^/# /'
done
plan

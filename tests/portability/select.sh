#!/bin/sh
# SPDX-License-Identifier: MIT
# Which device is used where there is a software driver only, a loader that is none, or no driver at all;
# and what --verbose tells of the variants.
# shellcheck disable=SC2154 # top_srcdir and top_builddir come from tests/Makefile.inc
. "$top_srcdir/tests/portability/vulkan-lib.sh"
needs_plugin
[ -f "$top_builddir/plugins/device-cpu/.libs/device-cpu.so" ] || skip_all "device-cpu was left out"

# says NAME TEXT ARGUMENTS...: crayon devices ARGUMENTS prints this, on one stream or the other, however
# its lines are broken.
says() {
    name=$1 text=$2
    shift 2
    timeout 60 "$top_builddir/crayon" devices "$@" >"$scratch/said" 2>&1
    tr '\n' ' ' <"$scratch/said" | tr -s ' ' >"$scratch/line"
    if grep -qF -- "$text" "$scratch/line"; then
        : >"$scratch/wrong"
    else
        { echo "missing: $text" && cat "$scratch/said"; } >"$scratch/wrong"
    fi
    found "$name" "$scratch/wrong"
}

only_driver /nonexistent
says "without a driver it is the CPU" "used when none is named (auto)" --device auto
says "and a GPU is missed in clear words" "error: no Vulkan driver on this machine" --device vulkan

mkdir "$scratch/library"
echo "this is no shared object, however long it may be" >"$scratch/library/libvulkan.so.1"
LD_LIBRARY_PATH=$scratch/library
export LD_LIBRARY_PATH
says "without a loader it is the CPU" "used when none is named (auto)" --device auto
says "a loader that cannot be loaded" "device-vulkan has no device no Vulkan loader on this machine ("
says "what to install" "install it (Debian: libvulkan1)" --device vulkan
unset LD_LIBRARY_PATH

icd=$(find_icd 'lvp_icd*.json')
if [ -n "$icd" ]; then
    only_driver "$icd"
    says "a software driver is not taken for a GPU" "used when none is named (auto)" --device auto
    says "it is listed" "vulkan:0 llvmpipe"
    says "and says how it is used" "used only when named: this driver computes on the processor"
    says "no GPU" "error: no GPU, only drivers that compute on the processor: vulkan:0 (llvmpipe" --device vulkan
    says "by its number" "vulkan:0 llvmpipe" --device vulkan:0
    says "by its name" "vulkan:0 llvmpipe" --device vulkan:LLVMpipe
    says "by no name" 'error: no device "vulkan:none"; there are: vulkan:0 (llvmpipe' --device vulkan:none
    uuid=$("$top_builddir/crayon" devices --verbose --device vulkan:0 | sed -n 's/^ *uuid \([0-9a-f-]*\).*/\1/p')
    says "by its identity" "vulkan:0 llvmpipe" --device "vulkan:$uuid"
    says "what the driver lacks" "coopmat (the driver lacks VK_KHR_cooperative_matrix)" --verbose --device vulkan:0
    says "the variant that is taken" "softmax to topk: subgroup softmax to topk: select" --verbose --device vulkan:0
    CRAYON_VULKAN_DISABLE=subgroup
    export CRAYON_VULKAN_DISABLE
    says "and why a better one is not" \
        "softmax to topk: shared; not subgroup: subgroup is switched off by CRAYON_VULKAN_DISABLE" \
        --verbose --device vulkan:0
else
    number=$((number + 1))
    echo "ok $number - a software driver # SKIP lavapipe is not installed (Debian: mesa-vulkan-drivers)"
fi
plan

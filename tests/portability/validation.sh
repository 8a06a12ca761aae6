#!/bin/sh
# SPDX-License-Identifier: MIT
# The validation layer has nothing to say about any operation.
# shellcheck disable=SC2154 # top_srcdir comes from tests/Makefile.inc
. "$top_srcdir/tests/portability/vulkan-lib.sh"
needs_plugin
in_full_run
use_lavapipe
installed=
for folder in /usr/share /usr/local/share /etc; do
    [ ! -f "$folder/vulkan/explicit_layer.d/VkLayer_khronos_validation.json" ] || installed=yes
done
[ -n "$installed" ] ||
    skip_all "the validation layer is not installed (Debian: vulkan-validationlayers)"

# Its messages go to a file; among them, once, that it is at work, which proves that silence means something.
messages=$scratch/messages
cat >"$scratch/vk_layer_settings.txt" <<END
khronos_validation.debug_action = VK_DBG_LAYER_ACTION_LOG_MSG
khronos_validation.report_flags = error,warn,perf,info
khronos_validation.log_filename = $messages
khronos_validation.enables = VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT
khronos_validation.enable_message_limit = false
END
VK_LAYER_SETTINGS_PATH=$scratch/vk_layer_settings.txt
VK_INSTANCE_LAYERS=VK_LAYER_KHRONOS_validation
export VK_LAYER_SETTINGS_PATH VK_INSTANCE_LAYERS
# Not unit/vulkan_faults: it opens a device for each failure, which takes minutes with the layer.
run_program ops/selftest

grep -q 'Khronos Validation Layer Active' "$messages" && grep -q SYNCHRONIZATION "$messages" ||
    echo "the layer was not at work" >"$scratch/absent"
found "the validation layer is at work" "$scratch/absent"
# A message is a line that begins with its name and kind, and lines behind it.
awk '/^[A-Za-z0-9_-]+\((ERROR|WARN|PERF|INFO|DEBUG)/ { told = !/^[A-Za-z0-9_-]+\((INFO|DEBUG)/ } told' \
    "$messages" >"$scratch/told"
found "and has nothing to say" "$scratch/told"
plan

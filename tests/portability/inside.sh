#!/bin/sh
# SPDX-License-Identifier: MIT
# The inside of device-vulkan: memory, barriers, submissions, compiled pipelines, failures of every
# Vulkan call.
# shellcheck disable=SC2154 # top_srcdir comes from tests/Makefile.inc
. "$top_srcdir/tests/portability/vulkan-lib.sh"
needs_plugin
use_lavapipe
run_programs unit/vulkan_barriers unit/vulkan_cache unit/vulkan_faults unit/vulkan_memory \
    unit/vulkan_submit unit/run_faults
plan

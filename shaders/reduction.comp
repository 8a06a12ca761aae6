// SPDX-License-Identifier: MIT
#version 450
// See include/reduction.glsl; lanes meet in shared memory.
#include "reduction.glsl"

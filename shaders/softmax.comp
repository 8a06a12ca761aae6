// SPDX-License-Identifier: MIT
#version 450
// See include/softmax.glsl; lanes meet in shared memory.
#include "softmax.glsl"

// SPDX-License-Identifier: MIT
#version 450
// See include/argmax.glsl; lanes meet in shared memory.
#include "argmax.glsl"

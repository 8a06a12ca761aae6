// SPDX-License-Identifier: MIT
#version 450
// See include/norm.glsl; lanes meet in shared memory.
#include "norm.glsl"

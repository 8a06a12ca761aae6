// SPDX-License-Identifier: MIT
#version 450
// See include/softmax.glsl; lanes meet in their subgroups first.
#define REDUCE_BY_SUBGROUPS
#include "softmax.glsl"

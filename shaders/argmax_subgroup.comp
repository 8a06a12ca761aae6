// SPDX-License-Identifier: MIT
#version 450
// See include/argmax.glsl; lanes meet in their subgroups first.
#define REDUCE_BY_SUBGROUPS
#include "argmax.glsl"

// SPDX-License-Identifier: MIT
#version 450
// See include/row_loss.glsl; lanes meet in their subgroups first.
#define REDUCE_BY_SUBGROUPS
#include "row_loss.glsl"

// SPDX-License-Identifier: MIT
#version 450
// See include/row_loss.glsl; lanes meet in shared memory.
#include "row_loss.glsl"

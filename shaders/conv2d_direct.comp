#version 450
// SPDX-License-Identifier: MIT
// conv2d_direct: y[b,o,row,column] = bias[o] + sum over c, i, j of
// w[o,c,i,j] x[b, c, row stride_y - padding_y + i, column stride_x - padding_x + j], 0 outside.
//
// For few channels or places: an invocation for each number of y, neighbours along the row.
// x[B,C,H,W] f32, w[O,C,kh,kw] f32 or f16, bias[O], y[B,O,oh,ow] f32. Operations: 2 C kh kw for each
// number; bytes: as many loads, which caches serve; x, w and y once from memory.
#include "common.glsl"
#include "loads.glsl"

layout(constant_id = 1) const uint W_KIND = 0;

layout(push_constant) uniform Arguments
{
    uvec2 x, w, bias, y;
    uint channels, height, width;
    uint outputs, out_height, out_width;
    uint kernel_h, kernel_w, count; // numbers of y
    uint stride_y, stride_x, padding_y, padding_x;
} a;

void main()
{
    uint id = global_id();
    if (id >= a.count)
        return;
    uint column = id % a.out_width, row = id / a.out_width % a.out_height;
    uint plane = id / a.out_width / a.out_height, output_ = plane % a.outputs;
    int top = int(row * a.stride_y) - int(a.padding_y);
    int left = int(column * a.stride_x) - int(a.padding_x);
    // the part of the kernel that lies inside
    int first_i = max(-top, 0), end_i = min(int(a.height) - top, int(a.kernel_h));
    int first_j = max(-left, 0), end_j = min(int(a.width) - left, int(a.kernel_w));
    uint x_plane = plane / a.outputs * a.channels, w_plane = output_ * a.channels;
    float sum = 0.0;
    for (uint c = 0; c < a.channels; c++)
        for (int i = first_i; i < end_i; i++) {
            uint x = ((x_plane + c) * a.height + uint(top + i)) * a.width;
            uint w = ((w_plane + c) * a.kernel_h + uint(i)) * a.kernel_w;
            for (int j = first_j; j < end_j; j++)
                sum += load_element(W_KIND, a.w, w + uint(j)) * Floats(a.x).v[x + uint(left + j)];
        }
    if (present(a.bias))
        sum += Floats(a.bias).v[output_];
    Floats(a.y).v[id] = sum;
}

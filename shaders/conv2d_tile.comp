#version 450
// SPDX-License-Identifier: MIT
// conv2d_tile: y[b,o,p] = bias[o] + sum_k w[o,k] x'[b,k,p], the convolution as a product of the
// weights [O,K] with what lies under the kernel: K = C kh kw, p one of the places of the output,
// x'[b,(c,i,j),p] = x[b, c, row(p) stride_y - padding_y + i, column(p) stride_x - padding_x + j],
// 0 outside. x'[...] is not stored: its tiles are gathered as they are needed.
//
// x[B,C,H,W] f32, w[O,C,kh,kw] f32 or f16, bias[O], y[B,O,oh,ow] f32. A group has a tile of 64
// channels and 64 places (of all items), 128 invocations 4 x 8 each; 16 k at a time through shared
// memory. By place, neighbours in a group gather neighbours in k: runs of kw numbers, for kernels
// that do not overlap (patches). Otherwise they gather neighbouring places.
//
// Operations: 2 K for each number of y; bytes: w and x' for each tile, which caches serve, x and w
// once from memory. Registers: 32 sums and about 50 more; shared memory 11 KiB.
#include "common.glsl"
#include "loads.glsl"

layout(constant_id = 1) const uint W_KIND = 0;
layout(constant_id = 2) const uint KERNEL_H = 3;
layout(constant_id = 3) const uint KERNEL_W = 3;
layout(constant_id = 4) const bool BY_PLACE = false;
layout(constant_id = 5) const bool PADDED = false;

layout(push_constant) uniform Arguments
{
    uvec2 x, w, bias, y;
    uint channels, height, width;
    uint outputs, out_width, places; // O, ow, oh ow
    uint k, count;                   // C kh kw; B oh ow
    uint stride_y, stride_x, padding_y, padding_x;
} a;

const uint SIDE = 64;  // of the tile
const uint STEPS = 4;  // vec4 of k at a time
const uint STRIDE = 5; // odd: rows lie in different banks

shared vec4 pool[2 * SIDE * STRIDE]; // [channel][k], then [place][k]
shared uint item_at[SIDE];           // where the item of a place starts in x
shared int first_row[SIDE], first_column[SIDE];

void find_places(uint first)
{
    for (uint i = thread_id(); i < SIDE; i += THREADS) {
        uint place = min(first + i, a.count - 1u), of_item = place % a.places;
        item_at[i] = place / a.places * a.channels * a.height * a.width;
        first_row[i] = int(of_item / a.out_width * a.stride_y) - int(a.padding_y);
        first_column[i] = int(of_item % a.out_width * a.stride_x) - int(a.padding_x);
    }
}

float gather(uint place, uint k)
{
    if (k >= a.k)
        return 0.0;
    uint channel = k / (KERNEL_H * KERNEL_W), rest = k % (KERNEL_H * KERNEL_W);
    int row = first_row[place] + int(rest / KERNEL_W);
    int column = first_column[place] + int(rest % KERNEL_W);
    if (PADDED && (uint(row) >= a.height || uint(column) >= a.width)) // or negative
        return 0.0;
    return Floats(a.x).v[item_at[place] + (channel * a.height + uint(row)) * a.width + uint(column)];
}

void stage(uint first_output, uint k0)
{
    for (uint i = thread_id(); i < SIDE * STEPS; i += THREADS) {
        uint output_ = first_output + i / STEPS, k = k0 + i % STEPS * 4u;
        pool[i / STEPS * STRIDE + i % STEPS] =
            load4(W_KIND, a.w, output_ * a.k + k, output_ < a.outputs ? int(a.k) - int(k) : 0);
    }
    for (uint i = thread_id(); i < SIDE * STEPS; i += THREADS) {
        uint place = BY_PLACE ? i / STEPS : i % SIDE, step = BY_PLACE ? i % STEPS : i / SIDE;
        uint k = k0 + step * 4u;
        pool[(SIDE + place) * STRIDE + step] = vec4(gather(place, k), gather(place, k + 1u),
                                                    gather(place, k + 2u), gather(place, k + 3u));
    }
}

void main()
{
    uint blocks = (a.outputs + SIDE - 1u) / SIDE;
    uint first_output = group_id() % blocks * SIDE, first_place = group_id() / blocks * SIDE;
    uint tc = thread_id() % 8u, tr = thread_id() / 8u;
    float sums[32];
    [[unroll]] for (uint i = 0; i < 32; i++)
        sums[i] = 0.0;
    find_places(first_place);
    for (uint k0 = 0; k0 < a.k; k0 += 4u * STEPS) {
        barrier();
        stage(first_output, k0);
        barrier();
        for (uint step = 0; step < STEPS; step++) {
            vec4 w[4];
            [[unroll]] for (uint i = 0; i < 4; i++)
                w[i] = pool[(tr + 16u * i) * STRIDE + step];
            [[unroll]] for (uint j = 0; j < 8; j++) {
                vec4 x = pool[(SIDE + tc + 8u * j) * STRIDE + step];
                [[unroll]] for (uint i = 0; i < 4; i++)
                    sums[i * 8u + j] += dot(w[i], x);
            }
        }
    }
    [[unroll]] for (uint i = 0; i < 4; i++) {
        uint output_ = first_output + tr + 16u * i;
        if (output_ >= a.outputs)
            continue;
        float bias = present(a.bias) ? Floats(a.bias).v[output_] : 0.0;
        [[unroll]] for (uint j = 0; j < 8; j++) {
            uint place = first_place + tc + 8u * j;
            if (place < a.count)
                Floats(a.y).v[(place / a.places * a.outputs + output_) * a.places +
                              place % a.places] = sums[i * 8u + j] + bias;
        }
    }
}

// SPDX-License-Identifier: MIT
// y[M,N] = x[M,K] W[N,K]^T for few rows: every weight is read once, and serves X_ROWS rows of x.
//
//     y[m,n] = sum over k of x[m,k] W[n,k], then finish_sum() (linear.glsl)
//
// Shapes: a group takes X_ROWS rows of x (1, 2, 4, 8, 16; rows beyond M are computed and dropped) and
// (THREADS / LANES) W_ROWS rows of W. LANES invocations share a row: each takes a unit of UNIT
// weights of each of W_ROWS neighbouring rows, the next one LANES units further on. With split K,
// split z takes k from z split_depth on.
//
// Must move: W once (4, 2, 1.06, 0.56 bytes a weight), x and y. Does: that, and x again from the
// caches for every group; a vector of x serves W_ROWS rows. 2 M N K operations.
//
// Why so. Decoding is bound by reading W. A GPU needs its bandwidth times about 0.6 us in flight
// (30 KB on each compute unit of a large one), so a unit is a load of 128 bits, W_ROWS = 4 of them
// are issued before the first is used, and the host sees to it that there are about a thousand
// groups (LANES, then splits). Lanes of a row are neighbours: 16 lanes read 256 consecutive bytes.
// What limits besides: on AMD (GCN, RDNA) nf4 leaves 5 to 8 operations a weight at full
// bandwidth. Shift, mask, lookup, multiply-add are 3 and a shared memory access, which leaves no
// room for a multiplication by the scale each: with X_ROWS <= 2 a unit is summed first and scaled
// once (LATE_SCALE); with more rows the weights are scaled, which is then cheaper than scaling
// sums. The first-level cache delivers 64 bytes a clock: reading x costs 16 / W_ROWS bytes a
// weight and row in units of whole lines, hence few LANES where X_ROWS > 1 (other lanes then read
// the same line), and short units where X_ROWS > 2 (neighbours then read the same line).
//
// Registers on AMD, as Mesa 22.3 compiles it (in brackets waves of a SIMD on GCN; four times that on RDNA),
// nothing spilled: f32 32 (8), f16 and q8_0 48 (5), nf4 64 (4) for one row of x; 64 to 84 (3, 4) for
// eight, 128 (2) for sixteen.
//
// Sums: f32; a lane in the order of k, lanes by a tree of fixed shape.

layout(constant_id = 5) const uint X_ROWS = 1;
layout(constant_id = 6) const uint W_ROWS = 4;
layout(constant_id = 7) const uint LANES = 16;

const uint SUMS = X_ROWS * W_ROWS;   // of one lane
const uint SLOTS = THREADS / LANES;  // rows of W at a time
const bool LATE_SCALE = SCALED && X_ROWS <= 2u && LOADS != BY_ELEMENT;

// [w row][x row]
float sums[SUMS];

uint first_row() { return group_id() % ((p.rows + X_ROWS - 1u) / X_ROWS) * X_ROWS; }
uint first_column() { return group_id() / ((p.rows + X_ROWS - 1u) / X_ROWS) * (SLOTS * W_ROWS); }

float dot_quad(float sum, vec4 w, vec4 x)
{
    return sum + w.x * x.x + w.y * x.y + w.z * x.z + w.w * x.w;
}

// One unit of each row, from column k on.
void add_units(uint row[W_ROWS], uint k, uint end)
{
    uvec4 unit[W_ROWS];
    float scale[W_ROWS], late[LATE_SCALE ? SUMS : 1u];
    if (LOADS != BY_ELEMENT)
        [[unroll]] for (uint r = 0; r < W_ROWS; r++) {
            unit[r] = load_unit(row[r] * p.depth + k);
            scale[r] = weight_scale(row[r] * p.depth + k);
        }
    if (LATE_SCALE)
        [[unroll]] for (uint i = 0; i < SUMS; i++)
            late[i] = 0.0;
    [[unroll]] for (uint q = 0; q < UNIT / 4u; q++) {
        vec4 w[W_ROWS];
        [[unroll]] for (uint r = 0; r < W_ROWS; r++) {
            if (LOADS == BY_ELEMENT)
                w[r] = weights_alone(row[r] * p.depth + k, end - k);
            else
                w[r] = unit_quad(unit[r], q);
            if (SCALED && !LATE_SCALE && LOADS != BY_ELEMENT)
                w[r] *= scale[r];
        }
        [[unroll]] for (uint m = 0; m < X_ROWS; m++) {
            vec4 x = load_x(min(first_row() + m, p.rows - 1u), k + 4u * q, end);
            [[unroll]] for (uint r = 0; r < W_ROWS; r++) {
                uint i = r * X_ROWS + m;
                if (LATE_SCALE)
                    late[i] = dot_quad(late[i], w[r], x);
                else
                    sums[i] = dot_quad(sums[i], w[r], x);
            }
        }
    }
    if (LATE_SCALE)
        [[unroll]] for (uint i = 0; i < SUMS; i++)
            sums[i] += scale[i / X_ROWS] * late[i];
}

bool any_row_is_live()
{
    bool live = false;
    for (uint m = first_row(); m < min(first_row() + X_ROWS, p.rows); m++)
        live = live || row_is_live(m);
    return live;
}

void sum_rows(uint slot, uint lane)
{
    uint row[W_ROWS];
    [[unroll]] for (uint r = 0; r < W_ROWS; r++)
        row[r] = min(first_column() + slot * W_ROWS + r, p.columns - 1u);
    [[unroll]] for (uint i = 0; i < SUMS; i++)
        sums[i] = 0.0;
    uint start = gl_WorkGroupID.z * p.split_depth, end = min(start + p.split_depth, p.depth);
    if (any_row_is_live())
        for (uint k = start + lane * UNIT; k < end; k += LANES * UNIT)
            add_units(row, k, end);
}

// Result i of the group: column i % (SLOTS W_ROWS), so that neighbours write neighbouring words.
void finish_result(uint i, float sum)
{
    uint n = first_column() + i % (SLOTS * W_ROWS), m = first_row() + i / (SLOTS * W_ROWS);
    if (n < p.columns && m < p.rows)
        finish_sum(m, n, sum);
}

// SPDX-License-Identifier: MIT
// row_loss: loss[r] = ln(sum of e^logits[r,*]) - logits[r, label[r]], f32: the second half of
// linear_cross_entropy. The labels have been checked; they stand behind the rows' numbers in
// `list`, rows[count], labels[count].
//
// Reads the logits, 4 k bytes a row, twice; about 15 operations a logit.
#include "common.glsl"
#include "reduce.glsl"
#include "order.glsl"
#include "activation.glsl"
#include "logarithm.glsl"

layout(push_constant) uniform Push {
    uvec2 logits, list, losses;
    uint rows, k;
} p;

void main()
{
    Place place = find_place(p.rows, p.k, 1u, p.k);
    if (!place.inside)
        return;
    uint first = place.row * p.k, best = 0;
    for (uint i = lane(); i < place.to; i += LANES)
        best = max(best, order_of(Floats(p.logits).v[first + i]));
    float top = from_order(row_max(best)), sum = 0;
    for (uint i = lane(); i < place.to; i += LANES)
        sum += exp_f32(Floats(p.logits).v[first + i] - top);
    sum = row_sum(sum);
    if (lane() != 0u || place.row >= p.rows)
        return;
    uint label = Words(p.list).v[p.rows + place.row];
    Floats(p.losses).v[place.row] = log_f32(sum) + (top - Floats(p.logits).v[first + label]);
}

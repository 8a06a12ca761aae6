/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include "grid.h"

#define Q8_0_BLOCK 32
#define NF4_BLOCK 64
#define NESTED_BLOCK 256 /* blocks that share a second-level scale */
#define NESTED_ZERO 127  /* where the dynamic map holds 0 */

/* Threads of a block, as the shader has them; and of a group, whose blocks must be an even number.
 */
#define TEAM 8
#define TEAM_THREADS 128

static int64_t blocks_of(const struct cr_operand *operand)
{
    int64_t block = operand->dtype == CR_DTYPE_Q8_0 ? Q8_0_BLOCK : NF4_BLOCK;
    return (vk_elements(operand) + block - 1) / block;
}

/* Bytes of a matrix's codes and first-level scales. */
static double planes_bytes(const struct cr_operand *operand)
{
    double elements = (double)vk_elements(operand), blocks = (double)blocks_of(operand);
    if (operand->dtype == CR_DTYPE_Q8_0)
        return elements + 2 * blocks;
    return elements / 2 + (operand->nested != 0 ? 1 : 4) * blocks;
}

/* The largest f32 that is not above the middle between two values: v belongs to the upper one where
 * v > it. */
static float boundary(float low, float high)
{
    double middle = ((double)low + high) / 2;
    float rounded = (float)middle;
    return rounded > middle ? nextafterf(rounded, -INFINITY) : rounded;
}

/* ---- The second level, on the host: its sum is f64, which few GPUs have, and it is a 64th ---- */

static float nested_offset(const float *absmax, int64_t blocks)
{
    double sum = 0;
    for (int64_t i = 0; i < blocks; i++)
        sum += absmax[i];
    return (float)(sum / (double)blocks);
}

static uint8_t nested_code(const float boundaries[256], float v)
{
    int code = 0;
    for (int step = 128; step > 0; step /= 2)
        code += v > boundaries[code + step - 1] ? step : 0;
    return (uint8_t)code;
}

static void quantize_absmax(const float *absmax, int64_t blocks, float offset, uint8_t *codes,
                            float *nested)
{
    const float *map = cr_dynamic_map();
    float boundaries[256];
    for (int i = 0; i < 255; i++)
        boundaries[i] = boundary(map[i], map[i + 1]);
    boundaries[255] = INFINITY;
    for (int64_t i = 0; i < blocks; i += NESTED_BLOCK) {
        int64_t end = blocks - i < NESTED_BLOCK ? blocks : i + NESTED_BLOCK;
        float most = 0;
        for (int64_t j = i; j < end; j++)
            most = fmaxf(most, fabsf(absmax[j] - offset));
        float inverse = 1 / most;
        for (int64_t j = i; j < end; j++)
            codes[j] =
                most == 0 ? NESTED_ZERO : nested_code(boundaries, (absmax[j] - offset) * inverse);
        nested[i / NESTED_BLOCK] = most;
    }
}

/* The host's copies of the planes. */
struct second_level {
    int64_t blocks, groups;
    float *absmax, *nested;
    uint8_t *codes;
    float offset;
};

static int store_map(struct vk *vk, float offset, const struct cr_operand *y, struct cr_error *err)
{
    float map[257];
    memcpy(map, cr_dynamic_map(), 256 * sizeof(float));
    map[256] = offset;
    return vk_store(vk, vk_nested_map(y), map, sizeof(map), err);
}

static int store_second_level(struct vk *vk, const struct second_level *s,
                              const struct cr_operand *y, struct cr_error *err)
{
    size_t nested_bytes = (size_t)s->groups * sizeof(float);
    int result;
    if ((result = vk_store(vk, vk_scales(y), s->codes, (size_t)s->blocks, err)) < 0 ||
        (result = vk_store(vk, vk_nested(y), s->nested, nested_bytes, err)) < 0)
        return result;
    return store_map(vk, s->offset, y, err);
}

/* From the absmax of all blocks, which the device holds at `address`. */
static int run_second_level(struct vk *vk, uint64_t address, const struct cr_operand *y,
                            struct cr_error *err)
{
    struct second_level s = {.blocks = blocks_of(y)};
    size_t absmax_bytes = (size_t)s.blocks * sizeof(float);
    s.groups = (s.blocks + NESTED_BLOCK - 1) / NESTED_BLOCK;
    size_t nested_bytes = (size_t)s.groups * sizeof(float);
    int result;
    s.absmax = cr_malloc(absmax_bytes);
    s.nested = cr_malloc(nested_bytes);
    s.codes = cr_malloc((size_t)s.blocks);
    if (s.absmax == NULL || s.nested == NULL || s.codes == NULL)
        result = cr_fail_memory(err, absmax_bytes + nested_bytes + (size_t)s.blocks);
    else
        result = vk_fetch(vk, address, s.absmax, absmax_bytes, err);
    if (result == 0) {
        s.offset = nested_offset(s.absmax, s.blocks);
        quantize_absmax(s.absmax, s.blocks, s.offset, s.codes, s.nested);
        result = store_second_level(vk, &s, y, err);
    }
    cr_free(s.absmax);
    cr_free(s.nested);
    cr_free(s.codes);
    return result;
}

/* ---- quantize ---- */

/* std430 */
struct quantize_push {
    uint64_t x, codes, scales, alarm;
    uint32_t n, blocks;
    float boundary[15], unused;
};

static int first_level(struct vk *vk, const struct cr_call *call, uint64_t scales,
                       uint64_t scales_bytes, struct cr_error *err)
{
    const struct cr_operand *x = &call->in[0], *y = &call->out[0];
    struct quantize_push push = {
        .x = vk_address(x),
        .codes = vk_address(y),
        .scales = scales,
        .n = (uint32_t)vk_elements(x),
        .blocks = (uint32_t)blocks_of(y),
    };
    struct vk_dispatch d;
    int result;
    for (int i = 0; i < 15; i++)
        push.boundary[i] = boundary(cr_nf4_values()[i], cr_nf4_values()[i + 1]);
    if ((result = vk_alarm(vk, call, "a NaN or an infinity in x", &push.alarm, err)) < 0)
        return result;
    vk_begin(&d, &vk_shader_quantize, TEAM_THREADS);
    d.groups = vk_div_up(push.blocks, TEAM_THREADS / TEAM);
    vk_spec(&d, (uint32_t)y->dtype);
    vk_push(&d, &push, sizeof(push));
    vk_reads(&d, x);
    vk_writes(&d, y);
    vk_writes_at(&d, scales, scales_bytes);
    d.bytes = 4.0 * push.n + planes_bytes(y);
    d.operations = (y->dtype == CR_DTYPE_Q8_0 ? 20.0 : 40.0) * push.n;
    return vk_dispatch(vk, &d, err);
}

static int quantize(struct vk *vk, const struct cr_call *call, struct cr_error *err)
{
    const struct cr_operand *y = &call->out[0];
    uint64_t absmax, bytes = (uint64_t)blocks_of(y) * sizeof(float);
    int result;
    if (bytes == 0)
        return y->nested == 0 ? 0 : store_map(vk, 0, y, err);
    if (y->nested == 0)
        return first_level(vk, call, vk_scales(y), 0, err);
    if ((result = vk_scratch(vk, bytes, &absmax, err)) < 0 ||
        (result = first_level(vk, call, absmax, bytes, err)) < 0)
        return result;
    return run_second_level(vk, absmax, y, err);
}

/* ---- dequantize ---- */

static int dequantize(struct vk *vk, const struct cr_call *call, struct cr_error *err)
{
    const struct cr_operand *x = &call->in[0], *y = &call->out[0];
    struct {
        uint64_t codes, scales, nested, map, y;
        uint32_t n, unused;
    } push = {
        .codes = vk_address(x),
        .scales = vk_scales(x),
        .nested = vk_nested(x),
        .map = vk_nested_map(x),
        .y = vk_address(y),
        .n = (uint32_t)vk_elements(x),
    };
    struct vk_dispatch d;
    if (push.n == 0)
        return 0;
    bool wide = vk_grid_may_be_wide(vk) && vk_is_aligned(push.y, 16);
    vk_begin_grid(&d, &vk_shader_dequantize, vk_div_up(push.n, x->dtype == CR_DTYPE_Q8_0 ? 4 : 8));
    vk_spec(&d, (uint32_t)x->dtype);
    vk_spec(&d, (uint32_t)y->dtype);
    vk_spec(&d, wide && y->dtype == CR_DTYPE_F32);
    vk_push(&d, &push, sizeof(push));
    vk_reads(&d, x);
    vk_writes(&d, y);
    d.bytes = planes_bytes(x) + (double)cr_dtype_size((enum cr_dtype)y->dtype) * push.n;
    d.operations = 5.0 * push.n;
    return vk_dispatch(vk, &d, err);
}

static const struct vk_entry entries[] = {
    {CR_OP_QUANTIZE, quantize, NULL},
    {CR_OP_DEQUANTIZE, dequantize, vk_grid_variant},
    {0, NULL, NULL},
};

static const struct vk_variant *const tables[] = {vk_grid_variants, NULL};

const struct vk_family vk_quantize_family = {entries, tables};

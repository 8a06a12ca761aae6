/* SPDX-License-Identifier: MIT */
/* Attention of many queries. A task takes a block of queries of all heads that share a key head:
 * their rows are one matrix against each block of keys, so that a block of keys is packed once for
 * all of them.
 *
 * For each block: scores = q k^T by the micro-kernel of the tiles; online softmax by rows; out =
 * out factor + p v by the micro-kernel again. */
#include <math.h>
#include <string.h>

#include "attention.h"
#include "tile.h"
#include "vmath.h"

#define KEYS 128   /* in a block */
#define ROWS 120   /* in a task: at most, and whole groups for the micro-kernel */
#define FEW_ROWS 8 /* up to so many go one by one */

/* ---- Rows ---- */

void cpu_attention_load(const struct cpu_attention *a, const void *from, int64_t at, float *out)
{
    if (at < 0)
        memset(out, 0, (size_t)a->d * sizeof(float));
    else if (a->half)
        cpu_f16_row(a->level, (const uint16_t *)from + at, a->d, out);
    else
        memcpy(out, (const float *)from + at, (size_t)a->d * sizeof(float));
}

void cpu_attention_cover(const struct cpu_attention *a, int64_t b, int64_t h, int64_t i, int64_t j0,
                         int64_t count, float *scores)
{
    for (int64_t j = 0; j < count; j++)
        scores[j] *= a->scale;
    if (a->bias.data != NULL) {
        const float *bias = (const float *)a->bias.data + b * a->bias.batch + h * a->bias.head +
                            i * a->bias.query + j0;
        for (int64_t j = 0; j < count; j++)
            scores[j] += bias[j];
    }
    if (a->mask.data != NULL) {
        const uint8_t *mask = (const uint8_t *)a->mask.data + b * a->mask.batch + h * a->mask.head +
                              i * a->mask.query + j0;
        for (int64_t j = 0; j < count; j++)
            if (mask[j] == 0)
                scores[j] = -INFINITY;
    }
    if (a->rows != NULL) {
        const int32_t *rows = a->rows + b * a->keys + j0;
        for (int64_t j = 0; j < count; j++)
            if (rows[j] < 0)
                scores[j] = -INFINITY;
    }
    int64_t reach = cpu_attention_reach(a, b, i) - j0;
    for (int64_t j = reach < 0 ? 0 : reach; j < count; j++)
        scores[j] = -INFINITY;
}

static float largest_plain(const float *x, int64_t count, float start)
{
    for (int64_t j = 0; j < count; j++)
        start = x[j] > start ? x[j] : start;
    return start;
}

static float exp_and_sum_plain(float *x, int64_t count, float maximum)
{
    float sum = 0;
    for (int64_t j = 0; j < count; j++) {
        x[j] = expf(x[j] - maximum);
        sum += x[j];
    }
    return sum;
}

#if CPU_X86
CPU_TARGET_AVX512 static float largest_avx512(const float *x, int64_t count, float start)
{
    __m512 top = _mm512_set1_ps(start);
    for (int64_t j = 0; j < count; j += 16) {
        __mmask16 mask = count - j >= 16 ? 0xFFFF : (__mmask16)((1u << (count - j)) - 1);
        top = _mm512_mask_max_ps(top, mask, top, _mm512_maskz_loadu_ps(mask, x + j));
    }
    return _mm512_reduce_max_ps(top);
}

CPU_TARGET_AVX512 static float exp_and_sum_avx512(float *x, int64_t count, float maximum)
{
    const __m512 top = _mm512_set1_ps(maximum);
    __m512 sum = _mm512_setzero_ps();
    for (int64_t j = 0; j < count; j += 16) {
        __mmask16 mask = count - j >= 16 ? 0xFFFF : (__mmask16)((1u << (count - j)) - 1);
        __m512 e = cpu_exp_512(_mm512_sub_ps(_mm512_maskz_loadu_ps(mask, x + j), top));
        _mm512_mask_storeu_ps(x + j, mask, e);
        sum = _mm512_mask_add_ps(sum, mask, sum, e);
    }
    return _mm512_reduce_add_ps(sum);
}

CPU_TARGET_AVX2 static float largest_avx2(const float *x, int64_t count, float start)
{
    __m256 top = _mm256_set1_ps(start);
    int64_t j = 0;
    for (; j + 8 <= count; j += 8)
        top = _mm256_max_ps(top, _mm256_loadu_ps(x + j));
    float lanes[8];
    _mm256_storeu_ps(lanes, top);
    return largest_plain(x + j, count - j, largest_plain(lanes, 8, start));
}

CPU_TARGET_AVX2 static float exp_and_sum_avx2(float *x, int64_t count, float maximum)
{
    const __m256 top = _mm256_set1_ps(maximum);
    __m256 sum = _mm256_setzero_ps();
    int64_t j = 0;
    for (; j + 8 <= count; j += 8) {
        __m256 e = cpu_exp_256(_mm256_sub_ps(_mm256_loadu_ps(x + j), top));
        _mm256_storeu_ps(x + j, e);
        sum = _mm256_add_ps(sum, e);
    }
    float lanes[8];
    _mm256_storeu_ps(lanes, sum);
    float total = ((lanes[0] + lanes[4]) + (lanes[1] + lanes[5])) +
                  ((lanes[2] + lanes[6]) + (lanes[3] + lanes[7]));
    return total + exp_and_sum_plain(x + j, count - j, maximum);
}
#endif

#if CPU_ARM
static float largest_neon(const float *x, int64_t count, float start)
{
    float32x4_t top = vdupq_n_f32(start);
    int64_t j = 0;
    for (; j + 4 <= count; j += 4)
        top = vmaxnmq_f32(top, vld1q_f32(x + j));
    return largest_plain(x + j, count - j, vmaxnmvq_f32(top));
}

static float exp_and_sum_neon(float *x, int64_t count, float maximum)
{
    const float32x4_t top = vdupq_n_f32(maximum);
    float32x4_t sum = vdupq_n_f32(0);
    int64_t j = 0;
    for (; j + 4 <= count; j += 4) {
        float32x4_t e = cpu_exp_neon(vsubq_f32(vld1q_f32(x + j), top));
        vst1q_f32(x + j, e);
        sum = vaddq_f32(sum, e);
    }
    return vaddvq_f32(sum) + exp_and_sum_plain(x + j, count - j, maximum);
}
#endif

static float largest(enum cpu_level level, const float *x, int64_t count, float start)
{
#if CPU_X86
    if (level == CPU_AVX512)
        return largest_avx512(x, count, start);
    if (level == CPU_AVX2)
        return largest_avx2(x, count, start);
#elif CPU_ARM
    if (level == CPU_NEON)
        return largest_neon(x, count, start);
#endif
    (void)level;
    return largest_plain(x, count, start);
}

static float exp_and_sum(enum cpu_level level, float *x, int64_t count, float maximum)
{
#if CPU_X86
    if (level == CPU_AVX512)
        return exp_and_sum_avx512(x, count, maximum);
    if (level == CPU_AVX2)
        return exp_and_sum_avx2(x, count, maximum);
#elif CPU_ARM
    if (level == CPU_NEON)
        return exp_and_sum_neon(x, count, maximum);
#endif
    (void)level;
    return exp_and_sum_plain(x, count, maximum);
}

float cpu_attention_soften(enum cpu_level level, float *scores, int64_t count, float *maximum,
                           float *sum)
{
    float top = largest(level, scores, count, *maximum);
    if (top == -INFINITY && *sum == 0) {
        /* Nothing visible yet, unless a score is NaN, which no maximum shows. */
        bool nan = false;
        for (int64_t j = 0; j < count; j++) {
            nan |= scores[j] != scores[j];
            scores[j] = 0;
        }
        *sum = nan ? NAN : 0;
        return 1;
    }
    float factor = *maximum == top ? 1 : expf(*maximum - top);
    *maximum = top;
    *sum = *sum * factor + exp_and_sum(level, scores, count, top);
    return factor;
}

/* ---- A task ---- */

struct plan {
    struct cpu_attention a;
    struct cpu_tile tile;
    int64_t block;  /* queries of a task */
    int64_t blocks; /* tasks of a key head */
    int64_t width;  /* d, rounded up to whole panels */
    size_t scratch; /* floats of one worker */
    float *work;
};

/* A worker's memory. */
struct room {
    float *q;      /* [groups of mr][d][mr] */
    float *k;      /* [groups of nr][d][nr] */
    float *v;      /* [width / nr][KEYS][nr] */
    float *rows;   /* [KEYS][d]: keys or values as f32 */
    float *scores; /* [rows][KEYS] */
    float *p;      /* [groups of mr][KEYS][mr] */
    float *out;    /* [rows][width] */
    float *maximum, *sum;
};

static int64_t round_up(int64_t value, int64_t step)
{
    return (value + step - 1) / step * step;
}

/* Cut the room into its parts; with NULL: count its floats. */
static size_t cut(const struct plan *plan, float *memory, struct room *room)
{
    const struct cpu_attention *a = &plan->a;
    int64_t rows = round_up(a->group * plan->block, plan->tile.mr);
    int64_t keys = round_up(KEYS, plan->tile.nr);
    const int64_t sizes[] = {rows * a->d,        keys * a->d, KEYS * plan->width,
                             KEYS * a->d,        rows * KEYS, rows * KEYS,
                             rows * plan->width, rows,        rows};
    float **parts[] = {&room->q, &room->k,   &room->v,       &room->rows, &room->scores,
                       &room->p, &room->out, &room->maximum, &room->sum};
    size_t used = 0;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        *parts[i] = memory == NULL ? NULL : memory + used;
        used += (size_t)round_up(sizes[i], 16);
    }
    return used;
}

/* Row r of a task is query q0 + r % count of head first_head + r / count. */
struct block {
    int64_t b, key_head, q0, count, rows;
};

static void gather_queries(const struct plan *plan, const struct block *block, struct room *room)
{
    const struct cpu_attention *a = &plan->a;
    const struct cpu_tile *t = &plan->tile;
    for (int64_t r = 0; r < block->rows; r++) {
        int64_t head = block->key_head * a->group + r / block->count;
        const float *q =
            a->q +
            ((block->b * a->heads + head) * a->queries + block->q0 + r % block->count) * a->d;
        float *to = room->q + r / t->mr * t->mr * a->d + r % t->mr;
        for (int64_t i = 0; i < a->d; i++)
            to[i * t->mr] = q[i];
    }
    for (int64_t r = block->rows; r % t->mr != 0; r++)
        for (int64_t i = 0; i < a->d; i++)
            room->q[r / t->mr * t->mr * a->d + i * t->mr + r % t->mr] = 0;
}

static void load_rows(const struct cpu_attention *a, const struct block *block, const void *from,
                      int64_t j0, int64_t count, float *rows)
{
    for (int64_t j = 0; j < count; j++)
        cpu_attention_load(a, from, cpu_attention_key(a, block->b, block->key_head, j0 + j),
                           rows + j * a->d);
}

static void pack_keys(const struct plan *plan, const struct block *block, int64_t j0, int64_t count,
                      struct room *room)
{
    const struct cpu_attention *a = &plan->a;
    const int nr = plan->tile.nr;
    load_rows(a, block, a->k, j0, count, room->rows);
    for (int64_t j = 0; j < count; j += nr) {
        int64_t n = count - j < nr ? count - j : nr;
        if (n < nr)
            memset(room->k + j * a->d, 0, (size_t)(nr * a->d) * sizeof(float));
        cpu_transpose(a->level, room->rows + j * a->d, a->d, n, a->d, room->k + j * a->d, nr);
    }
}

/* Returns whether all values are finite: 0 times another would not be 0. */
static bool pack_values(const struct plan *plan, const struct block *block, int64_t j0,
                        int64_t count, struct room *room)
{
    const struct cpu_attention *a = &plan->a;
    const int nr = plan->tile.nr;
    load_rows(a, block, a->v, j0, count, room->rows);
    float zero = 0;
    for (int64_t i = 0; i < count * a->d; i++)
        zero += room->rows[i] * 0.0f;
    for (int64_t c = 0; c < plan->width; c += nr) {
        float *to = room->v + c * KEYS;
        int64_t n = a->d - c < nr ? a->d - c : nr;
        for (int64_t j = 0; j < count; j++, to += nr) {
            memcpy(to, room->rows + j * a->d + c, (size_t)n * sizeof(float));
            for (int64_t i = n; i < nr; i++)
                to[i] = 0;
        }
    }
    return zero == 0;
}

/* The scores of all rows against a block of keys. */
static void score(const struct plan *plan, const struct block *block, int64_t count,
                  struct room *room)
{
    const struct cpu_tile *t = &plan->tile;
    const int64_t d = plan->a.d;
    for (int64_t r = 0; r < block->rows; r += t->mr)
        for (int64_t j = 0; j < count; j += t->nr)
            t->multiply(d, room->q + r * d, room->k + j * d, room->scores + r * KEYS + j, KEYS,
                        (int)(block->rows - r < t->mr ? block->rows - r : t->mr),
                        (int)(count - j < t->nr ? count - j : t->nr), false);
}

/* Softmax of all rows; what was summed up before is scaled. */
static void soften(const struct plan *plan, const struct block *block, int64_t j0, int64_t count,
                   struct room *room)
{
    const struct cpu_attention *a = &plan->a;
    for (int64_t r = 0; r < block->rows; r++) {
        float *scores = room->scores + r * KEYS;
        cpu_attention_cover(a, block->b, block->key_head * a->group + r / block->count,
                            block->q0 + r % block->count, j0, count, scores);
        float factor =
            cpu_attention_soften(a->level, scores, count, &room->maximum[r], &room->sum[r]);
        float *out = room->out + r * plan->width;
        for (int64_t i = 0; i < plan->width && factor != 1; i++)
            out[i] *= factor;
    }
}

/* out += p v by the micro-kernel. */
static void accumulate(const struct plan *plan, const struct block *block, int64_t count,
                       struct room *room)
{
    const struct cpu_tile *t = &plan->tile;
    for (int64_t r = 0; r < block->rows; r += t->mr) {
        int64_t rows = block->rows - r < t->mr ? block->rows - r : t->mr;
        if (rows < t->mr)
            memset(room->p + r * KEYS, 0, (size_t)(t->mr * KEYS) * sizeof(float));
        cpu_transpose(plan->a.level, room->scores + r * KEYS, KEYS, rows, count, room->p + r * KEYS,
                      t->mr);
        for (int64_t c = 0; c < plan->width; c += t->nr)
            t->multiply(count, room->p + r * KEYS, room->v + c * KEYS,
                        room->out + r * plan->width + c, plan->width, (int)rows, t->nr, true);
    }
}

/* The same where a value is NaN or infinite: what a query does not see must not reach it. */
static void accumulate_visible(const struct plan *plan, const struct block *block, int64_t count,
                               struct room *room)
{
    const int64_t d = plan->a.d;
    for (int64_t r = 0; r < block->rows; r++)
        for (int64_t j = 0; j < count; j++) {
            float p = room->scores[r * KEYS + j];
            for (int64_t i = 0; i < d && p != 0; i++)
                room->out[r * plan->width + i] += p * room->rows[j * d + i];
        }
}

static void store(const struct plan *plan, const struct block *block, const struct room *room)
{
    const struct cpu_attention *a = &plan->a;
    for (int64_t r = 0; r < block->rows; r++) {
        int64_t head = block->key_head * a->group + r / block->count;
        float *y =
            a->y +
            ((block->b * a->heads + head) * a->queries + block->q0 + r % block->count) * a->d;
        float inverse = room->sum[r] == 0 ? 0 : 1 / room->sum[r];
        for (int64_t i = 0; i < a->d; i++)
            y[i] = room->out[r * plan->width + i] * inverse;
    }
}

static void attend(void *argument, int64_t index, int worker)
{
    const struct plan *plan = argument;
    const struct cpu_attention *a = &plan->a;
    /* The last queries of causal attention have the most to do: they come first. */
    int64_t q0 = (plan->blocks - 1 - index % plan->blocks) * plan->block;
    struct block block = {
        .b = index / plan->blocks / a->key_heads,
        .key_head = index / plan->blocks % a->key_heads,
        .q0 = q0,
        .count = a->queries - q0 < plan->block ? a->queries - q0 : plan->block,
    };
    block.rows = block.count * a->group;
    struct room room;
    cut(plan, plan->work + (size_t)worker * plan->scratch, &room);
    gather_queries(plan, &block, &room);
    memset(room.out, 0, (size_t)(block.rows * plan->width) * sizeof(float));
    for (int64_t r = 0; r < block.rows; r++) {
        room.maximum[r] = -INFINITY;
        room.sum[r] = 0;
    }
    int64_t reach = cpu_attention_reach(a, block.b, block.q0 + block.count - 1);
    for (int64_t j0 = 0; j0 < reach; j0 += KEYS) {
        int64_t count = reach - j0 < KEYS ? reach - j0 : KEYS;
        pack_keys(plan, &block, j0, count, &room);
        score(plan, &block, count, &room);
        soften(plan, &block, j0, count, &room);
        if (pack_values(plan, &block, j0, count, &room))
            accumulate(plan, &block, count, &room);
        else
            accumulate_visible(plan, &block, count, &room);
    }
    store(plan, &block, &room);
}

/* ---- The operation ---- */

static struct cpu_cover cover(const struct cr_operand *operand)
{
    struct cpu_cover result = {.data = cpu_data(operand)};
    if (result.data == NULL)
        return result;
    const int64_t *shape = operand->shape;
    result.query = shape[2] == 1 ? 0 : shape[3];
    result.head = shape[1] == 1 ? 0 : shape[2] * shape[3];
    result.batch = shape[0] == 1 ? 0 : shape[1] * shape[2] * shape[3];
    return result;
}

static void init(struct cpu_attention *a, struct cpu *cpu, const struct cr_call *call)
{
    const struct cr_operand *q = &call->in[0], *k = &call->in[1];
    const struct cr_operand *rows = &call->in[6];
    *a = (struct cpu_attention){
        .cpu = cpu,
        .level = cpu_level(cpu),
        .q = cpu_data(q),
        .k = cpu_data(k),
        .v = cpu_data(&call->in[2]),
        .half = k->dtype == CR_DTYPE_F16,
        .y = cpu_data(&call->out[0]),
        .batch = q->shape[0],
        .heads = q->shape[1],
        .key_heads = k->shape[1],
        .group = q->shape[1] / k->shape[1],
        .queries = q->shape[2],
        .keys = cpu_present(rows) ? rows->shape[1] : k->shape[2],
        .d = q->shape[3],
        .cache_rows = k->shape[2],
        .scale = (float)call->reals[0],
        .causal = call->ints[0] != 0,
        .offset = call->ints[1],
        .lengths = cpu_data(&call->in[3]),
        .rows = cpu_data(rows),
        .mask = cover(&call->in[4]),
        .bias = cover(&call->in[5]),
    };
}

/* Rows of the cache are checked once, before any of them is read. */
static bool rows_valid(const struct cpu_attention *a)
{
    for (int64_t i = 0; a->rows != NULL && i < a->batch * a->keys; i++)
        if (a->rows[i] >= a->cache_rows)
            return false;
    return true;
}

static int attention(struct cpu *cpu, const struct cr_call *call, struct cr_error *err)
{
    struct plan plan = {.tile = cpu_tile_choose(cpu_level(cpu))};
    struct cpu_attention *a = &plan.a;
    struct room room;
    init(a, cpu, call);
    if (a->batch * a->heads * a->queries == 0)
        return 0;
    if (!rows_valid(a)) {
        memset(a->y, 0, (size_t)(a->batch * a->heads * a->queries * a->d) * sizeof(float));
        cpu_late(cpu, call, "rows holds a row that the cache of %lld does not have",
                 (long long)a->cache_rows);
        return 0;
    }
    if (a->group * a->queries <= FEW_ROWS)
        return cpu_attention_few(a, err);
    const int64_t rows = ROWS / plan.tile.mr * plan.tile.mr;
    plan.block = rows / a->group < 1 ? 1 : rows / a->group;
    plan.block = plan.block < a->queries ? plan.block : a->queries;
    plan.blocks = (a->queries + plan.block - 1) / plan.block;
    plan.width = round_up(a->d, plan.tile.nr);
    plan.scratch = cut(&plan, NULL, &room);
    size_t bytes = (size_t)cpu_pool_threads(cpu->pool) * plan.scratch * sizeof(float);
    if ((plan.work = cpu_caller_scratch(cpu, bytes)) == NULL)
        return cr_fail_memory(err, bytes);
    cpu_parallel(cpu->pool, a->batch * a->key_heads * plan.blocks, attend, &plan);
    return 0;
}

static const char *variant(const struct cpu *cpu, const struct cr_call *call)
{
    const struct cr_operand *q = &call->in[0], *k = &call->in[1];
    if (k->shape[1] > 0 && q->shape[1] / k->shape[1] * q->shape[2] <= FEW_ROWS)
        return "rows";
    return cpu_tile_choose(cpu_level(cpu)).name;
}

static const char *deform_variant(const struct cpu *cpu, const struct cr_call *call)
{
    (void)call;
    return cpu_level(cpu) == CPU_AVX512 ? cpu_level_name(CPU_AVX2) : cpu_level_name(cpu_level(cpu));
}

const struct cpu_entry cpu_attention_family[] = {
    {CR_OP_ATTENTION, attention, variant},
    {CR_OP_MS_DEFORM_ATTN, cpu_ms_deform_attn, deform_variant},
    {0, NULL, NULL},
};

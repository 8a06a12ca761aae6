/* SPDX-License-Identifier: MIT */
/* Attention of many queries. A task takes a block of queries of all heads that share a key head:
 * their rows are one matrix against each block of keys, so that a block of keys is packed once for
 * all of them. A few rows at a time, as many as the micro-kernel of the tiles takes, stay in the
 * first-level cache: scores = q k^T; online softmax by rows; out = out factor + p v. */
#include <math.h>
#include <string.h>

#include "attention.h"
#include "lanes.h"
#include "tile.h"

#define KEYS CPU_TILE_ROW /* in a block, at most */
#define ROWS 168          /* in a task, at most */
#define FEW_ROWS 8        /* up to so many go one by one */

struct plan {
    struct cpu_attention a;
    struct cpu_tile tile;
    int64_t keys;   /* in a block */
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
    float *v;      /* [width / nr][keys][nr] */
    float *rows;   /* [keys][d]: keys, then values, as f32 */
    float *scores; /* [mr][CPU_TILE_ROW] */
    float *out;    /* [rows][width] */
    float *maximum, *sum;
};

/* Row r of a task is query q0 + r % count of head key_head * group + r / count. */
struct block {
    int64_t b, key_head, q0, count, rows;
};

/* A block of keys that is at work, and their values. */
struct keys {
    int64_t j0, count;
    const float *values; /* [count][d] */
    const float *panels; /* [width / nr][count][nr] */
    bool finite;         /* all values: 0 times another would not be 0 */
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
    const int64_t sizes[] = {rows * a->d,
                             round_up(plan->keys, plan->tile.nr) * a->d,
                             plan->keys * plan->width,
                             plan->keys * a->d,
                             plan->tile.mr * CPU_TILE_ROW,
                             rows * plan->width,
                             rows,
                             rows};
    float **parts[] = {&room->q,      &room->k,   &room->v,       &room->rows,
                       &room->scores, &room->out, &room->maximum, &room->sum};
    size_t used = 0;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        *parts[i] = memory == NULL ? NULL : memory + used;
        used += (size_t)round_up(sizes[i], 16);
    }
    return used;
}

static struct cpu_attention_row row_of(const struct plan *plan, const struct block *block,
                                       int64_t r)
{
    return (struct cpu_attention_row){block->b, block->key_head * plan->a.group + r / block->count,
                                      block->q0 + r % block->count};
}

/* Where a row stands in q and y. */
static int64_t place_of(const struct plan *plan, const struct block *block, int64_t r)
{
    const struct cpu_attention_row row = row_of(plan, block, r);
    return ((row.b * plan->a.heads + row.head) * plan->a.queries + row.query) * plan->a.d;
}

/* ---- Packing ---- */

/* Rows that lie one behind the other, of one head, go into their group together. */
static void pack_queries(const struct plan *plan, const struct block *block, struct room *room)
{
    const struct cpu_attention *a = &plan->a;
    const int64_t mr = plan->tile.mr;
    for (int64_t r = 0, run; r < block->rows; r += run) {
        int64_t of_head = block->count - r % block->count, of_group = mr - r % mr;
        run = of_head < of_group ? of_head : of_group;
        cpu_transpose(a->level, a->q + place_of(plan, block, r), a->d, run, a->d,
                      room->q + r / mr * mr * a->d + r % mr, mr);
    }
}

/* Rows of k or v as f32: in place, or copied to `memory`. */
static const float *rows_of(const struct plan *plan, const struct block *block, const void *from,
                            int64_t j0, int64_t count, float *memory)
{
    const struct cpu_attention *a = &plan->a;
    if (!a->half && a->rows == NULL)
        return (const float *)from + cpu_attention_key(a, block->b, block->key_head, j0);
    for (int64_t j = 0; j < count; j++)
        cpu_attention_load(a, from, cpu_attention_key(a, block->b, block->key_head, j0 + j),
                           memory + j * a->d);
    return memory;
}

static void pack_keys(const struct plan *plan, const struct block *block, const struct keys *keys,
                      struct room *room)
{
    const struct cpu_attention *a = &plan->a;
    const int64_t nr = plan->tile.nr;
    const float *rows = rows_of(plan, block, a->k, keys->j0, keys->count, room->rows);
    for (int64_t j = 0; j < keys->count; j += nr)
        cpu_transpose(a->level, rows + j * a->d, a->d, keys->count - j < nr ? keys->count - j : nr,
                      a->d, room->k + j * a->d, nr);
}

/* *out: 0 if all of x are finite, else NaN. */
CPU_INLINE void trouble_body(enum cpu_level level, const float *x, int64_t count, float *out)
{
    (void)level;
    cpu_v8 sum = {0};
    float lanes[CPU_LANES], total = 0;
    int64_t i = 0;
    for (; i + CPU_LANES <= count; i += CPU_LANES)
        sum += CPU_LOAD8(x + i) * 0.0f;
    for (; i < count; i++)
        total += x[i] * 0.0f;
    CPU_STORE8(lanes, sum);
    for (int j = 0; j < CPU_LANES; j++)
        total += lanes[j];
    *out = total;
}
CPU_VARIANTS(trouble, (enum cpu_level level, const float *x, int64_t count, float *out),
             (level, x, count, out))

static void pack_values(const struct plan *plan, const struct block *block, struct keys *keys,
                        struct room *room)
{
    const struct cpu_attention *a = &plan->a;
    const int64_t nr = plan->tile.nr;
    float found;
    keys->values = rows_of(plan, block, a->v, keys->j0, keys->count, room->rows);
    trouble(a->level, keys->values, keys->count * a->d, &found);
    keys->finite = found == 0;
    keys->panels = room->v;
    if (a->d == nr) { /* they lie as a panel does */
        keys->panels = keys->values;
        return;
    }
    for (int64_t c = 0; c < plan->width; c += nr) {
        float *to = room->v + c * keys->count;
        int64_t n = a->d - c < nr ? a->d - c : nr;
        for (int64_t j = 0; j < keys->count; j++, to += nr) {
            memcpy(to, keys->values + j * a->d + c, (size_t)n * sizeof(float));
            for (int64_t i = n; i < nr; i++)
                to[i] = 0;
        }
    }
}

/* ---- mr rows from r on, and a block of keys ---- */

static void score(const struct plan *plan, int64_t r, int rows, const struct keys *keys,
                  struct room *room)
{
    const struct cpu_tile *t = &plan->tile;
    const int64_t d = plan->a.d;
    for (int64_t j = 0; j < keys->count; j += t->nr)
        t->multiply(d, room->q + r * d, room->k + j * d, room->scores + j, CPU_TILE_ROW, rows,
                    (int)(keys->count - j < t->nr ? keys->count - j : t->nr), false);
}

/* Softmax of the rows; what was summed up before is scaled. */
static void soften(const struct plan *plan, const struct block *block, int64_t r, int rows,
                   const struct keys *keys, struct room *room)
{
    for (int64_t i = r; i < r + rows; i++) {
        const struct cpu_attention_row row = row_of(plan, block, i);
        float *scores = room->scores + (i - r) * CPU_TILE_ROW, *out = room->out + i * plan->width;
        float factor = cpu_attention_soften(&plan->a, &row, keys->j0, keys->count, scores,
                                            &room->maximum[i], &room->sum[i]);
        if (factor != 1 && keys->j0 > 0)
            cpu_attention_scale(plan->a.level, out, plan->width, factor, out);
    }
}

/* out += p v by the micro-kernel. */
static void accumulate(const struct plan *plan, int64_t r, int rows, const struct keys *keys,
                       struct room *room)
{
    const struct cpu_tile *t = &plan->tile;
    for (int64_t c = 0; c < plan->width; c += t->nr)
        t->multiply_rows(keys->count, room->scores, keys->panels + c * keys->count,
                         room->out + r * plan->width + c, plan->width, rows, t->nr, keys->j0 > 0);
}

/* The same where a value is NaN or infinite: what a query does not see must not reach it. */
static void accumulate_visible(const struct plan *plan, int64_t r, int rows,
                               const struct keys *keys, struct room *room)
{
    const int64_t d = plan->a.d;
    for (int64_t i = 0; i < rows; i++) {
        float *out = room->out + (r + i) * plan->width;
        if (keys->j0 == 0)
            memset(out, 0, (size_t)plan->width * sizeof(float));
        for (int64_t j = 0; j < keys->count; j++) {
            float p = room->scores[i * CPU_TILE_ROW + j];
            for (int64_t c = 0; c < d && p != 0; c++)
                out[c] += p * keys->values[j * d + c];
        }
    }
}

/* ---- A task ---- */

static void attend_keys(const struct plan *plan, const struct block *block, int64_t j0,
                        int64_t count, struct room *room)
{
    const int64_t mr = plan->tile.mr;
    struct keys keys = {.j0 = j0, .count = count};
    pack_keys(plan, block, &keys, room);
    pack_values(plan, block, &keys, room);
    for (int64_t r = 0; r < block->rows; r += mr) {
        int rows = (int)(block->rows - r < mr ? block->rows - r : mr);
        score(plan, r, rows, &keys, room);
        soften(plan, block, r, rows, &keys, room);
        if (keys.finite)
            accumulate(plan, r, rows, &keys, room);
        else
            accumulate_visible(plan, r, rows, &keys, room);
    }
}

static void store(const struct plan *plan, const struct block *block, const struct room *room)
{
    const struct cpu_attention *a = &plan->a;
    for (int64_t r = 0; r < block->rows; r++) {
        float *y = a->y + place_of(plan, block, r);
        if (room->sum[r] == 0)
            memset(y, 0, (size_t)a->d * sizeof(float));
        else
            cpu_attention_scale(a->level, room->out + r * plan->width, a->d, 1 / room->sum[r], y);
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
    pack_queries(plan, &block, &room);
    for (int64_t r = 0; r < block.rows; r++) {
        room.maximum[r] = -INFINITY;
        room.sum[r] = 0;
    }
    int64_t reach = cpu_attention_reach(a, block.b, block.q0 + block.count - 1);
    for (int64_t j0 = 0; j0 < reach; j0 += plan->keys)
        attend_keys(plan, &block, j0, reach - j0 < plan->keys ? reach - j0 : plan->keys, &room);
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

/* Blocks of about equal size, so that no task and no block of keys is a small rest. */
static void make_plan(struct plan *plan)
{
    const struct cpu_attention *a = &plan->a;
    struct room room;
    const int64_t most = ROWS / a->group < 1 ? 1 : ROWS / a->group;
    plan->blocks = (a->queries + most - 1) / most;
    plan->block = (a->queries + plan->blocks - 1) / plan->blocks;
    plan->blocks = (a->queries + plan->block - 1) / plan->block;
    const int64_t key_blocks = a->keys <= KEYS ? 1 : (a->keys + KEYS - 1) / KEYS;
    plan->keys = CPU_ATTENTION_ROOM((a->keys + key_blocks - 1) / key_blocks);
    plan->width = round_up(a->d, plan->tile.nr);
    plan->scratch = cut(plan, NULL, &room);
}

static int attention(struct cpu *cpu, const struct cr_call *call, struct cr_error *err)
{
    struct plan plan = {.tile = cpu_tile_choose(cpu_level(cpu))};
    struct cpu_attention *a = &plan.a;
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
    make_plan(&plan);
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

/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "product.h"

/* Weights that one task reads: enough to hide its start, few enough to share the work fairly. */
#define TASK_BYTES (128 << 10)

void cpu_product_init(struct cpu_product *p, const struct cpu *cpu, const struct cpu_weights *w,
                      const float *x, int64_t m)
{
    *p = (struct cpu_product){.w = *w, .x = x, .m = m, .tiled = m > CPU_VECTOR_ROWS};
    p->vector = cpu_vector_choose(cpu_level(cpu), w);
    if (cpu->features.dotprod && cpu->params.precision == CR_PRECISION_FAST)
        cpu_vector_dotprod(w, &p->vector);
    p->tile = cpu_tile_choose(cpu_level(cpu));
}

const char *cpu_product_name(const struct cpu_product *p)
{
    return p->tiled ? p->tile.name : p->vector.name;
}

int64_t cpu_product_step(const struct cpu_product *p)
{
    return p->tiled ? p->tile.mr : p->m > 0 ? p->m : 1;
}

static int64_t padded_rows(const struct cpu_product *p)
{
    return (p->m + p->tile.mr - 1) / p->tile.mr * p->tile.mr;
}

size_t cpu_product_prepared(const struct cpu_product *p)
{
    if (!p->tiled && p->vector.order == CPU_X_PLAIN)
        return 0;
    return (size_t)((p->tiled ? padded_rows(p) : p->m) * p->w.columns);
}

size_t cpu_product_scratch(const struct cpu_product *p)
{
    if (!p->tiled)
        return cpu_vector_scratch(&p->w);
    return (size_t)(p->tile.nc + p->tile.nr) * CPU_TILE_K;
}

int64_t cpu_product_chunk(const struct cpu_product *p)
{
    if (p->tiled)
        return p->tile.nc;
    int64_t rows = (int64_t)(TASK_BYTES / (cpu_weights_row_bytes(&p->w) + 1));
    return rows < 4 ? 4 : rows / 4 * 4;
}

/* ---- Preparing ---- */

/* One block of columns: x [m, kc] becomes groups of mr rows. */
static void pack_block(void *argument, int64_t index, int worker)
{
    const struct cpu_product *p = argument;
    (void)worker;
    int64_t k0 = index * CPU_TILE_K, k = p->w.columns;
    int64_t kc = k - k0 < CPU_TILE_K ? k - k0 : CPU_TILE_K;
    cpu_tile_pack_x(&p->tile, p->x, k, p->m, k0, kc, p->prepared + k0 * padded_rows(p));
}

void cpu_product_prepare(struct cpu_product *p, struct cpu *cpu, float *prepared)
{
    p->prepared = prepared;
    if (p->tiled)
        cpu_parallel(cpu->pool, (p->w.columns + CPU_TILE_K - 1) / CPU_TILE_K, pack_block, p);
    else if (p->vector.order != CPU_X_PLAIN)
        cpu_vector_reorder(p->vector.order, p->x, p->m, p->w.columns, prepared);
}

/* ---- Ranges ---- */

static void tiled_range(const struct cpu_product *p, int64_t n0, int64_t n, int64_t m0, int64_t m1,
                        float *out, int64_t stride, float *scratch)
{
    const struct cpu_tile *t = &p->tile;
    float *panel = scratch, *rows = scratch + t->nc * CPU_TILE_K;
    for (int64_t k0 = 0; k0 < p->w.columns; k0 += CPU_TILE_K) {
        int64_t kc = p->w.columns - k0 < CPU_TILE_K ? p->w.columns - k0 : CPU_TILE_K;
        const float *x = p->prepared + k0 * padded_rows(p);
        cpu_tile_pack_w(t, &p->w, n0, n, k0, kc, panel, rows);
        for (int64_t m = m0; m < m1; m += t->mr)
            for (int64_t j = 0; j < n; j += t->nr)
                t->multiply(kc, x + m * kc, panel + j * kc, out + (m - m0) * stride + j, stride,
                            (int)(m1 - m < t->mr ? m1 - m : t->mr),
                            (int)(n - j < t->nr ? n - j : t->nr), k0 > 0);
    }
}

void cpu_product_range(const struct cpu_product *p, int64_t n0, int64_t n1, int64_t m0, int64_t m1,
                       float *out, int64_t stride, float *scratch)
{
    if (!p->tiled) {
        const float *x = p->vector.order == CPU_X_PLAIN ? p->x : p->prepared;
        p->vector.run(&p->w, n0, n1, x + m0 * p->w.columns, (int)(m1 - m0), out - n0, stride,
                      scratch);
        return;
    }
    for (int64_t m = 0; m < m1 - m0 && p->w.columns == 0; m++)
        memset(out + m * stride, 0, (size_t)(n1 - n0) * sizeof(float));
    for (int64_t n = n0; n < n1; n += p->tile.nc)
        tiled_range(p, n, n1 - n < p->tile.nc ? n1 - n : p->tile.nc, m0, m1, out + n - n0, stride,
                    scratch);
}

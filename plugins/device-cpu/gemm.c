/* SPDX-License-Identifier: MIT */
#include <string.h>

#ifdef HAVE_OPENBLAS
#include <cblas.h>
#endif

#include "gemm.h"
#include "tile.h"

/* ---- OpenBLAS ---- */

#ifdef HAVE_OPENBLAS
/* Each of our threads calls OpenBLAS for a slice of W's rows, and OpenBLAS itself stays
 * single-threaded: its own workers wait by spinning. */
#define BLAS_SLICE 256
#define BLAS_LEAST_ROWS 64

struct blas_job {
    const float *x, *w, *bias;
    float *y;
    int64_t m, n, k;
};

static void blas_slice(void *argument, int64_t index, int worker)
{
    const struct blas_job *job = argument;
    (void)worker;
    int64_t n0 = index * BLAS_SLICE, n = job->n - n0 < BLAS_SLICE ? job->n - n0 : BLAS_SLICE;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (blasint)job->m, (blasint)n,
                (blasint)job->k, 1, job->x, (blasint)job->k, job->w + n0 * job->k, (blasint)job->k,
                0, job->y + n0, (blasint)job->n);
    for (int64_t i = 0; i < job->m && job->bias != NULL; i++)
        for (int64_t j = n0; j < n0 + n; j++)
            job->y[i * job->n + j] += job->bias[j];
}

bool cpu_blas_wanted(const struct cpu *cpu, const struct cpu_weights *w, int64_t m)
{
    return cpu->blas && w->dtype == CR_DTYPE_F32 && m >= BLAS_LEAST_ROWS && w->rows >= 64 &&
           w->columns >= 64;
}

int cpu_blas_linear(struct cpu *cpu, const float *x, const struct cpu_weights *w, int64_t m,
                    const float *bias, float *y)
{
    struct blas_job job = {x, w->data, bias, y, m, w->rows, w->columns};
    openblas_set_num_threads(1);
    cpu_parallel(cpu->pool, (w->rows + BLAS_SLICE - 1) / BLAS_SLICE, blas_slice, &job);
    return 0;
}
#else
bool cpu_blas_wanted(const struct cpu *cpu, const struct cpu_weights *w, int64_t m)
{
    (void)cpu;
    (void)w;
    (void)m;
    return false;
}

int cpu_blas_linear(struct cpu *cpu, const float *x, const struct cpu_weights *w, int64_t m,
                    const float *bias, float *y)
{
    (void)cpu;
    (void)x;
    (void)w;
    (void)m;
    (void)bias;
    (void)y;
    return CR_ERR_UNSUPPORTED;
}
#endif

/* ---- Our own ---- */

struct gemm_job {
    const struct cpu_gemm *gemm;
    struct cpu_tile tile;
    int64_t mb, nb;           /* rows and columns of y in one task */
    int64_t m_tasks, n_tasks; /* of one item */
    float *work;
    size_t scratch;
};

/* Rows r0.. of a matrix, columns k0..k0+kc-1, as groups of `width` rows, [kc][width] each. */
static void pack(enum cpu_level level, struct cpu_matrix from, int64_t r0, int64_t rows, int64_t k0,
                 int64_t kc, int width, float *out)
{
    for (int64_t r = 0; r < rows; r += width, out += kc * width) {
        int64_t count = rows - r < width ? rows - r : width;
        const float *at = from.data + (r0 + r) * from.row + k0 * from.column;
        if (count < width)
            memset(out, 0, (size_t)(kc * width) * sizeof(float));
        if (from.column == 1) {
            cpu_transpose(level, at, from.row, count, kc, out, width);
            continue;
        }
        if (from.row == 1) {
            for (int64_t k = 0; k < kc; k++)
                memcpy(out + k * width, at + k * from.column, (size_t)count * sizeof(float));
            continue;
        }
        for (int64_t k = 0; k < kc; k++)
            for (int64_t i = 0; i < count; i++)
                out[k * width + i] = at[k * from.column + i * from.row];
    }
}

static void gemm_task(void *argument, int64_t index, int worker)
{
    const struct gemm_job *job = argument;
    const struct cpu_gemm *g = job->gemm;
    const struct cpu_tile *t = &job->tile;
    int64_t item = index / (job->m_tasks * job->n_tasks),
            rest = index % (job->m_tasks * job->n_tasks);
    int64_t n0 = rest / job->m_tasks * job->nb, m0 = rest % job->m_tasks * job->mb;
    int64_t m = g->m - m0 < job->mb ? g->m - m0 : job->mb;
    int64_t n = g->n - n0 < job->nb ? g->n - n0 : job->nb;
    float *x = job->work + (size_t)worker * job->scratch;
    float *w = x + (job->mb + t->mr) * CPU_TILE_K;
    float *y = g->y(g->user, item) + m0 * g->stride + n0;
    for (int64_t k0 = 0; k0 < g->k; k0 += CPU_TILE_K) {
        int64_t kc = g->k - k0 < CPU_TILE_K ? g->k - k0 : CPU_TILE_K;
        pack(t->level, g->a(g->user, item), m0, m, k0, kc, t->mr, x);
        pack(t->level, g->w(g->user, item), n0, n, k0, kc, t->nr, w);
        for (int64_t i = 0; i < m; i += t->mr)
            for (int64_t j = 0; j < n; j += t->nr)
                t->multiply(kc, x + i * kc, w + j * kc, y + i * g->stride + j, g->stride,
                            (int)(m - i < t->mr ? m - i : t->mr),
                            (int)(n - j < t->nr ? n - j : t->nr), k0 > 0);
    }
    for (int64_t i = 0; i < m && g->alpha != 1; i++)
        for (int64_t j = 0; j < n; j++)
            y[i * g->stride + j] *= g->alpha;
}

static void zero(const struct cpu_gemm *g)
{
    for (int64_t item = 0; item < g->batch; item++)
        for (int64_t i = 0; i < g->m; i++)
            memset(g->y(g->user, item) + i * g->stride, 0, (size_t)g->n * sizeof(float));
}

int cpu_gemm_run(struct cpu *cpu, const struct cpu_gemm *gemm, struct cr_error *err)
{
    if (gemm->k == 0)
        zero(gemm);
    if (gemm->batch == 0 || gemm->m == 0 || gemm->n == 0 || gemm->k == 0)
        return 0;
    struct gemm_job job = {.gemm = gemm, .tile = cpu_tile_choose(cpu_level(cpu))};
    job.mb = 9 * job.tile.mr;
    job.nb = 2 * job.tile.nc;
    job.m_tasks = (gemm->m + job.mb - 1) / job.mb;
    job.n_tasks = (gemm->n + job.nb - 1) / job.nb;
    job.scratch = (size_t)(job.mb + job.tile.mr + job.nb + job.tile.nr) * CPU_TILE_K;
    size_t bytes = (size_t)cpu_pool_threads(cpu->pool) * job.scratch * sizeof(float);
    if ((job.work = cpu_caller_scratch(cpu, bytes)) == NULL)
        return cr_fail_memory(err, bytes);
    cpu_parallel(cpu->pool, gemm->batch * job.m_tasks * job.n_tasks, gemm_task, &job);
    return 0;
}

/* ---- matmul ---- */

struct matmul {
    const float *a, *b;
    float *y;
    int64_t y_item;
    int64_t lead[2], a_lead[2],
        b_lead[2]; /* the two leading extents of y, and their strides in a and b (0: broadcast) */
    struct cpu_matrix a_shape, b_shape; /* strides of op(a)[m,k] and op(b)^T[n,k] */
};

static struct cpu_matrix matmul_a(const void *user, int64_t item)
{
    const struct matmul *mm = user;
    struct cpu_matrix matrix = mm->a_shape;
    matrix.data = mm->a + item / mm->lead[1] * mm->a_lead[0] + item % mm->lead[1] * mm->a_lead[1];
    return matrix;
}

static struct cpu_matrix matmul_b(const void *user, int64_t item)
{
    const struct matmul *mm = user;
    struct cpu_matrix matrix = mm->b_shape;
    matrix.data = mm->b + item / mm->lead[1] * mm->b_lead[0] + item % mm->lead[1] * mm->b_lead[1];
    return matrix;
}

static float *matmul_y(const void *user, int64_t item)
{
    const struct matmul *mm = user;
    return mm->y + item * mm->y_item;
}

/* Extent `axis` (0, 1) of the two leading ones, as if the rank were 4. */
static int64_t leading(const struct cr_operand *operand, int axis)
{
    int at = axis - (4 - operand->rank);
    return at < 0 ? 1 : operand->shape[at];
}

static void leading_strides(const struct cr_operand *operand, int64_t strides[2])
{
    int64_t matrix = operand->shape[operand->rank - 2] * operand->shape[operand->rank - 1];
    strides[1] = leading(operand, 1) == 1 ? 0 : matrix;
    strides[0] = leading(operand, 0) == 1 ? 0 : matrix * leading(operand, 1);
}

/* The numbers as f32: in place, or converted into `memory`. */
static const float *as_f32(const struct cpu *cpu, const struct cr_operand *operand, float *memory)
{
    if (operand->dtype == CR_DTYPE_F32)
        return cpu_data(operand);
    cpu_f16_row(cpu_level(cpu), cpu_data(operand), cpu_elements(operand), memory);
    return memory;
}

int cpu_matmul(struct cpu *cpu, const struct cr_call *call, struct cr_error *err)
{
    const struct cr_operand *a = &call->in[0], *b = &call->in[1], *y = &call->out[0];
    size_t a_floats = a->dtype == CR_DTYPE_F16 ? (size_t)cpu_elements(a) : 0;
    size_t b_floats = b->dtype == CR_DTYPE_F16 ? (size_t)cpu_elements(b) : 0;
    float *copies = NULL;
    if (a_floats + b_floats > 0 && (copies = cr_malloc((a_floats + b_floats) * 4)) == NULL)
        return cr_fail_memory(err, (a_floats + b_floats) * 4);
    struct matmul mm = {
        .a = as_f32(cpu, a, copies),
        .b = as_f32(cpu, b, copies != NULL ? copies + a_floats : NULL),
        .y = cpu_data(y),
        .lead = {leading(y, 0), leading(y, 1)},
    };
    leading_strides(a, mm.a_lead);
    leading_strides(b, mm.b_lead);
    int64_t a_columns = cpu_last(a), b_columns = cpu_last(b);
    mm.a_shape = call->ints[0] != 0 ? (struct cpu_matrix){NULL, 1, a_columns}
                                    : (struct cpu_matrix){NULL, a_columns, 1};
    mm.b_shape = call->ints[1] != 0 ? (struct cpu_matrix){NULL, b_columns, 1}
                                    : (struct cpu_matrix){NULL, 1, b_columns};
    struct cpu_gemm gemm = {
        .batch = mm.lead[0] * mm.lead[1],
        .m = y->shape[y->rank - 2],
        .n = cpu_last(y),
        .k = call->ints[0] != 0 ? a->shape[a->rank - 2] : a_columns,
        .alpha = (float)call->reals[0],
        .a = matmul_a,
        .w = matmul_b,
        .y = matmul_y,
        .stride = cpu_last(y),
        .user = &mm,
    };
    mm.y_item = gemm.m * gemm.n;
    int result = cpu_gemm_run(cpu, &gemm, err);
    cr_free(copies);
    return result;
}

const char *cpu_matmul_variant(const struct cpu *cpu, const struct cr_call *call)
{
    (void)call;
    return cpu_tile_choose(cpu_level(cpu)).name;
}

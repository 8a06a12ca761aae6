/* SPDX-License-Identifier: MIT */
/* Where numbers lie: slice, concat, permute, pad, roll. */
#include <string.h>

#include "convert.h"
#include "layout.h"
#include "spans.h"
#include "tile.h"

/* ---- Copies between strides: slice, concat, permute ---- */

struct copy {
    enum cpu_level level;
    size_t size; /* of an element */
    const char *x;
    char *y;
    int axes;
    int64_t extent[CR_TENSOR_MAX_RANK];
    int64_t in[CR_TENSOR_MAX_RANK], out[CR_TENSOR_MAX_RANK]; /* steps, in elements */
    int across;     /* the axis along which x is contiguous, where it is not the last; or -1 */
    int64_t blocks; /* along it */
};

/* Elements of a square that is transposed in the cache, along one side. */
#define BLOCK 64

/* Axes of extent 1 vanish, those that run on in both become one. */
static void add_axis(struct copy *job, int64_t extent, int64_t in, int64_t out)
{
    int last = job->axes - 1;
    if (extent == 1)
        return;
    if (last >= 0 && job->in[last] == extent * in && job->out[last] == extent * out) {
        job->extent[last] *= extent;
        job->in[last] = in;
        job->out[last] = out;
        return;
    }
    job->extent[job->axes] = extent;
    job->in[job->axes] = in;
    job->out[job->axes++] = out;
}

static void find_steps(const struct cr_operand *operand, int64_t steps[CR_TENSOR_MAX_RANK])
{
    int64_t step = 1;
    for (int i = operand->rank - 1; i >= 0; i--) {
        steps[i] = step;
        step *= operand->shape[i];
    }
}

/* A row, counted over all axes but the last and `across`, and where it starts. */
struct place {
    int64_t at[CR_TENSOR_MAX_RANK], in, out;
};

static void find_row(const struct copy *job, int64_t row, struct place *place)
{
    *place = (struct place){.in = 0};
    for (int i = job->axes - 2; i >= 0; i--) {
        if (i == job->across)
            continue;
        place->at[i] = row % job->extent[i];
        row /= job->extent[i];
        place->in += place->at[i] * job->in[i];
        place->out += place->at[i] * job->out[i];
    }
}

/* Without the divisions, which take longer than copying a short row. */
static void next_row(const struct copy *job, struct place *place)
{
    for (int i = job->axes - 2; i >= 0; i--) {
        if (i == job->across)
            continue;
        place->in += job->in[i];
        place->out += job->out[i];
        if (++place->at[i] < job->extent[i])
            return;
        place->in -= job->extent[i] * job->in[i];
        place->out -= job->extent[i] * job->out[i];
        place->at[i] = 0;
    }
}

static void copy_span(void *argument, int64_t from, int64_t to)
{
    const struct copy *job = argument;
    const int64_t length = job->extent[job->axes - 1];
    struct place place;
    find_row(job, from / length, &place);
    for (int64_t first = from % length; from < to; first = 0) {
        int64_t count = length - first < to - from ? length - first : to - from;
        memcpy(job->y + (size_t)(place.out + first) * job->size,
               job->x + (size_t)(place.in + first) * job->size, (size_t)count * job->size);
        next_row(job, &place);
        from += count;
    }
}

#define STRIDED(type)                                                                              \
    for (int64_t i = 0; i < count; i++)                                                            \
    ((type *)(void *)y)[i * out] = ((const type *)(const void *)x)[i * in]

static void copy_strided(size_t size, const char *x, int64_t in, char *y, int64_t out,
                         int64_t count)
{
    if (size == 4)
        STRIDED(uint32_t);
    else if (size == 2)
        STRIDED(uint16_t);
    else
        STRIDED(uint8_t);
}

static void strided_span(void *argument, int64_t from, int64_t to)
{
    const struct copy *job = argument;
    int last = job->axes - 1;
    struct place place;
    find_row(job, from, &place);
    for (int64_t row = from; row < to; row++, next_row(job, &place))
        copy_strided(job->size, job->x + (size_t)place.in * job->size, job->in[last],
                     job->y + (size_t)place.out * job->size, job->out[last], job->extent[last]);
}

/* out[c * ld_out + r] = in[r * ld_in + c], at most BLOCK of each. By way of memory that lies
 * together: columns that are a power of two apart would drive each other out of the cache. */
static void transpose(const struct copy *job, const char *in, int64_t ld_in, int64_t rows,
                      int64_t columns, char *out, int64_t ld_out)
{
    if (job->size == 4) {
        float square[BLOCK * BLOCK];
        cpu_transpose(job->level, (const float *)(const void *)in, ld_in, rows, columns, square,
                      BLOCK);
        for (int64_t c = 0; c < columns; c++)
            memcpy(out + (size_t)(c * ld_out) * 4, square + c * BLOCK, (size_t)rows * 4);
        return;
    }
    for (int64_t c = 0; c < columns; c++)
        copy_strided(job->size, in + (size_t)c * job->size, ld_in,
                     out + (size_t)(c * ld_out) * job->size, 1, rows);
}

/* Short pieces of far rows are nothing that the processor sees coming. */
static void fetch(const struct copy *job, int64_t in, int64_t rows, int64_t columns)
{
    const char *x = job->x + (size_t)in * job->size;
    size_t step = (size_t)job->in[job->axes - 1] * job->size;
    for (int64_t r = 0; r < rows && r < BLOCK; r++)
        for (size_t at = 0; at < (size_t)columns * job->size; at += 64)
            __builtin_prefetch(x + (size_t)r * step + at);
}

static void transpose_span(void *argument, int64_t from, int64_t to)
{
    const struct copy *job = argument;
    int last = job->axes - 1, across = job->across;
    int64_t rows = job->extent[last], columns = job->extent[across];
    for (int64_t i = from; i < to; i++) {
        int64_t c0 = i % job->blocks * BLOCK, count = columns - c0 < BLOCK ? columns - c0 : BLOCK;
        struct place place;
        find_row(job, i / job->blocks, &place);
        int64_t in = place.in + c0, out = place.out + c0 * job->out[across];
        for (int64_t r = 0; r < rows; r += BLOCK) {
            fetch(job, in + (r + BLOCK) * job->in[last], rows - r - BLOCK, count);
            transpose(job, job->x + (size_t)(in + r * job->in[last]) * job->size, job->in[last],
                      rows - r < BLOCK ? rows - r : BLOCK, count,
                      job->y + (size_t)(out + r) * job->size, job->out[across]);
        }
    }
}

/* Rows in the order in which x has them, instead of that of y, where fewer of them follow each
 * other in it: so many streams are read or written at once, and the other side is one stream. */
static void sort_rows(struct copy *job)
{
    int inner = job->axes - 2;
    for (int i = 0; i < job->axes - 1; i++)
        inner = job->in[i] < job->in[inner] ? i : inner;
    if (job->axes < 3 || job->extent[inner] >= job->extent[job->axes - 2])
        return;
    for (int i = 1; i < job->axes - 1; i++)
        for (int j = i; j > 0 && job->in[j - 1] < job->in[j]; j--) {
            const int64_t axis[] = {job->extent[j], job->in[j], job->out[j]};
            job->extent[j] = job->extent[j - 1];
            job->in[j] = job->in[j - 1];
            job->out[j] = job->out[j - 1];
            job->extent[j - 1] = axis[0];
            job->in[j - 1] = axis[1];
            job->out[j - 1] = axis[2];
        }
}

static void run_copy(struct cpu *cpu, struct copy *job)
{
    int64_t elements = 1;
    if (job->axes == 0) {
        job->axes = 1;
        job->extent[0] = job->in[0] = job->out[0] = 1;
    }
    int last = job->axes - 1;
    job->across = -1;
    for (int i = 0; i <= last; i++) {
        elements *= job->extent[i];
        if (i < last && job->in[i] == 1)
            job->across = i;
    }
    if (elements == 0)
        return;
    int64_t length = job->extent[last];
    if (job->in[last] == 1 && job->out[last] == 1) {
        job->across = -1;
        sort_rows(job);
        cpu_spans(cpu, elements, 1, copy_span, job);
    } else if (job->across >= 0 && job->out[last] == 1) {
        job->blocks = (job->extent[job->across] + BLOCK - 1) / BLOCK;
        int64_t rows = elements / length / job->extent[job->across];
        cpu_spans(cpu, rows * job->blocks, elements / (rows * job->blocks), transpose_span, job);
    } else {
        job->across = -1;
        cpu_spans(cpu, elements / length, length, strided_span, job);
    }
}

static struct copy copy_job(const struct cpu *cpu, const struct cr_operand *x,
                            const struct cr_operand *y)
{
    return (struct copy){
        .level = cpu_level(cpu),
        .size = cr_dtype_size((enum cr_dtype)x->dtype),
        .x = cpu_data(x),
        .y = cpu_data(y),
    };
}

static int slice(struct cpu *cpu, const struct cr_call *call, struct cr_error *err)
{
    (void)err;
    const struct cr_operand *x = &call->in[0], *y = &call->out[0];
    int64_t in[CR_TENSOR_MAX_RANK], out[CR_TENSOR_MAX_RANK];
    struct copy job = copy_job(cpu, x, y);
    find_steps(x, in);
    find_steps(y, out);
    for (int i = 0; i < y->rank; i++) {
        add_axis(&job, y->shape[i], in[i], out[i]);
        job.x += (size_t)(call->ints[i] * in[i]) * job.size;
    }
    run_copy(cpu, &job);
    return 0;
}

static int concat(struct cpu *cpu, const struct cr_call *call, struct cr_error *err)
{
    (void)err;
    const struct cr_operand *y = &call->out[0];
    int64_t in[CR_TENSOR_MAX_RANK], out[CR_TENSOR_MAX_RANK], before = 0;
    int axis = (int)call->ints[0];
    find_steps(y, out);
    for (int i = 0; i < call->inputs; i++) {
        const struct cr_operand *x = &call->in[i];
        struct copy job = copy_job(cpu, x, y);
        find_steps(x, in);
        job.y += (size_t)(before * out[axis]) * job.size;
        for (int j = 0; j < y->rank; j++)
            add_axis(&job, x->shape[j], in[j], out[j]);
        before += x->shape[axis];
        run_copy(cpu, &job);
    }
    return 0;
}

static int permute(struct cpu *cpu, const struct cr_call *call, struct cr_error *err)
{
    (void)err;
    const struct cr_operand *x = &call->in[0], *y = &call->out[0];
    int64_t in[CR_TENSOR_MAX_RANK], out[CR_TENSOR_MAX_RANK];
    struct copy job = copy_job(cpu, x, y);
    find_steps(x, in);
    find_steps(y, out);
    for (int i = 0; i < y->rank; i++)
        add_axis(&job, y->shape[i], in[call->ints[i]], out[i]);
    run_copy(cpu, &job);
    return 0;
}

/* ---- Rows that are shifted: pad, roll ---- */

struct shift {
    size_t size;
    const char *x;
    char *y, value[4];
    bool roll;
    int axes; /* before the one along which rows run */
    int64_t x_extent[CR_TENSOR_MAX_RANK], y_extent[CR_TENSOR_MAX_RANK], by[CR_TENSOR_MAX_RANK];
    int64_t x_length, y_length, row_by; /* elements of a row; by how many it is shifted */
};

static void fill_row(const struct shift *job, char *y, int64_t count)
{
    static const char zero[4];
    if (job->size == 1 || memcmp(job->value, zero, job->size) == 0) {
        memset(y, job->value[0], (size_t)count * job->size);
        return;
    }
    copy_strided(job->size, job->value, 0, y, 1, count);
}

/* The row of x that row `row` of y shows; -1: none. */
static int64_t shifted_row(const struct shift *job, int64_t row)
{
    int64_t result = 0, step = 1;
    for (int i = job->axes - 1; i >= 0; i--) {
        int64_t at = row % job->y_extent[i] - job->by[i];
        row /= job->y_extent[i];
        if (job->roll && at < 0)
            at += job->x_extent[i];
        if (at < 0 || at >= job->x_extent[i])
            return -1;
        result += at * step;
        step *= job->x_extent[i];
    }
    return result;
}

static int64_t between(int64_t value, int64_t low, int64_t high)
{
    return value < low ? low : value > high ? high : value;
}

static void pad_row(const struct shift *job, const char *x, char *y)
{
    int64_t first = between(job->row_by, 0, job->y_length);
    int64_t end = between(job->row_by + job->x_length, first, job->y_length);
    fill_row(job, y, first);
    if (end > first)
        memcpy(y + (size_t)first * job->size, x + (size_t)(first - job->row_by) * job->size,
               (size_t)(end - first) * job->size);
    fill_row(job, y + (size_t)end * job->size, job->y_length - end);
}

static void roll_row(const struct shift *job, const char *x, char *y)
{
    size_t head = (size_t)job->row_by * job->size, whole = (size_t)job->y_length * job->size;
    memcpy(y + head, x, whole - head);
    memcpy(y, x + whole - head, head);
}

static void shift_span(void *argument, int64_t from, int64_t to)
{
    const struct shift *job = argument;
    for (int64_t i = from; i < to; i++) {
        char *y = job->y + (size_t)(i * job->y_length) * job->size;
        int64_t row = shifted_row(job, i);
        if (row < 0) {
            fill_row(job, y, job->y_length);
            continue;
        }
        const char *x = job->x + (size_t)(row * job->x_length) * job->size;
        if (job->roll)
            roll_row(job, x, y);
        else
            pad_row(job, x, y);
    }
}

/* Rows run along the last axis that is shifted or cut, and all after it. */
static int shift(struct cpu *cpu, const struct cr_call *call, struct cr_error *err)
{
    (void)err;
    const struct cr_operand *x = &call->in[0], *y = &call->out[0];
    struct shift job = {
        .size = cr_dtype_size((enum cr_dtype)x->dtype),
        .x = cpu_data(x),
        .y = cpu_data(y),
        .roll = call->op == CR_OP_ROLL,
        .x_length = 1,
        .y_length = 1,
    };
    const float value = (float)call->reals[0];
    int64_t rows = 1;
    int axis = y->rank - 1;
    if (cpu_elements(y) == 0)
        return 0;
    cpu_from_f32(cpu_level(cpu), &value, 1, (enum cr_dtype)y->dtype, job.value);
    for (; axis > 0 && call->ints[axis] == 0 && x->shape[axis] == y->shape[axis]; axis--)
        job.x_length = job.y_length *= y->shape[axis];
    if (axis >= 0) {
        job.row_by = call->ints[axis] * job.x_length;
        job.x_length *= x->shape[axis];
        job.y_length *= y->shape[axis];
    }
    for (job.axes = 0; job.axes < axis; job.axes++) {
        job.x_extent[job.axes] = x->shape[job.axes];
        job.y_extent[job.axes] = y->shape[job.axes];
        job.by[job.axes] = call->ints[job.axes];
        rows *= y->shape[job.axes];
    }
    cpu_spans(cpu, rows, job.y_length, shift_span, &job);
    return 0;
}

const struct cpu_entry cpu_layout_family[] = {
    {CR_OP_SLICE, slice, NULL},
    {CR_OP_CONCAT, concat, NULL},
    {CR_OP_PERMUTE, permute, cpu_level_variant},
    {CR_OP_PAD, shift, NULL},
    {CR_OP_ROLL, shift, NULL},
    {CR_OP_GATHER_ROWS, cpu_gather_rows, NULL},
    {CR_OP_SCATTER_ROWS, cpu_scatter_rows, NULL},
    {CR_OP_SCATTER_ADD_ROWS, cpu_scatter_add_rows, cpu_level_variant},
    {CR_OP_EMBEDDING, cpu_embedding, cpu_level_variant},
    {CR_OP_KV_APPEND, cpu_kv_append, cpu_level_variant},
    {CR_OP_ROPE, cpu_rope, cpu_level_variant},
    {0, NULL, NULL},
};

/* SPDX-License-Identifier: MIT */
/* Pieces, each a run of elements of one target, are taken in the order of the files by whichever
 * thread is free; it reads, converts or quantises, and writes from buffers of its own. So the host
 * memory is a few MiB a thread, plus the absmax of matrices that are being doubly quantised, and
 * one thread reads while another computes. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/quantizer.h"
#include "model/stream.h"
#include "tensor/quantized.h"

#define MAX_THREADS 8
/* Bytes of dense numbers, or elements to be quantised, in one piece. Quantised ones are whole
 * blocks. */
#define PIECE_BYTES ((int64_t)2 << 20)
#define PIECE_ELEMENTS ((int64_t)2 << 20)
/* What a piece becomes at most, and the scales of its blocks. */
#define OUT_BYTES ((size_t)PIECE_BYTES)
#define SCALE_BYTES ((size_t)(PIECE_ELEMENTS / CR_Q8_0_BLOCK) * sizeof(uint16_t))

_Static_assert(PIECE_ELEMENTS <= PIECE_BYTES, "q8_0 takes a byte an element");
_Static_assert(PIECE_ELEMENTS / CR_NF4_BLOCK * sizeof(float) <= SCALE_BYTES, "and nf4 no more");
_Static_assert(PIECE_BYTES % (CR_NF4_BLOCK * CR_NESTED_BLOCK) == 0, "pieces are whole blocks");

struct piece {
    struct cr_target *target;
    int64_t from, count; /* elements of the target */
};

struct stream {
    const struct cr_load_hooks *hooks;
    struct cr_quantizer quantizer;
    struct cr_target *targets;
    size_t target_count;
    struct piece *pieces;
    size_t piece_count;
    int64_t elements;
    _Atomic size_t next;  /* piece that nobody has taken */
    _Atomic int64_t done; /* elements */
    atomic_bool stop;
    pthread_mutex_t lock; /* around the failure */
    struct cr_error failure;
};

/* One thread and its buffers. */
struct worker {
    struct stream *stream;
    bool is_caller; /* the thread that the hooks are called from */
    pthread_t thread;
    char *raw, *out, *scales;
    float *strip;
};

static int write_to(const struct cr_target *target, uint64_t offset, const void *data, size_t bytes,
                    struct cr_error *err)
{
    if (bytes == 0)
        return 0;
    if (target->memory == NULL)
        return target->write(target->user, offset, data, bytes, err);
    memcpy(target->memory + offset, data, bytes);
    return 0;
}

/* ---- Pieces ---- */

static int64_t piece_elements(const struct cr_plan *plan)
{
    size_t size = cr_dtype_size(plan->item->dtype);
    return size > 0 ? PIECE_BYTES / (int64_t)size : PIECE_ELEMENTS;
}

static int compare_pieces(const void *a, const void *b)
{
    const struct piece *x = a, *y = b;
    const struct cr_stored *p = &x->target->plan->parts[0].source.values;
    const struct cr_stored *q = &y->target->plan->parts[0].source.values;
    if (p->file != q->file)
        return p->file < q->file ? -1 : 1;
    if (p->tensor->start != q->tensor->start)
        return p->tensor->start < q->tensor->start ? -1 : 1;
    if (x->target != y->target)
        return x->target < y->target ? -1 : 1;
    return (x->from > y->from) - (x->from < y->from);
}

/* In the order of the files, which disks like. */
static int cut_pieces(struct stream *stream, struct cr_error *err)
{
    size_t count = 0;
    for (size_t i = 0; i < stream->target_count; i++) {
        const struct cr_plan *plan = stream->targets[i].plan;
        int64_t step = plan->part_count == 0 ? 1 : piece_elements(plan);
        stream->targets[i].left =
            plan->part_count == 0 ? 0 : (size_t)((plan->elements + step - 1) / step);
        count += stream->targets[i].left;
    }
    stream->pieces = cr_calloc(count, sizeof(*stream->pieces));
    if (stream->pieces == NULL)
        return cr_fail_memory(err, count * sizeof(*stream->pieces));
    for (size_t i = 0; i < stream->target_count; i++) {
        struct cr_target *target = &stream->targets[i];
        if (target->left == 0)
            continue;
        int64_t step = piece_elements(target->plan), all = target->plan->elements;
        for (int64_t from = 0; from < all; from += step)
            stream->pieces[stream->piece_count++] =
                (struct piece){target, from, all - from < step ? all - from : step};
        stream->elements += all;
    }
    if (count > 1)
        qsort(stream->pieces, count, sizeof(*stream->pieces), compare_pieces);
    return 0;
}

/* The part that element `at` of the result comes from; `*more` of its elements are left there. */
static const struct cr_plan_part *part_at(const struct cr_plan *plan, int64_t at, int64_t *more)
{
    const struct cr_plan_part *part = plan->parts;
    while (at >= part->at + part->count)
        part++;
    *more = part->at + part->count - at;
    return part;
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int load_dense(struct worker *worker, const struct piece *piece, struct cr_error *err)
{
    const struct cr_plan *plan = piece->target->plan;
    enum cr_dtype dtype = plan->item->dtype;
    size_t size = cr_dtype_size(dtype);
    const uint64_t offset = piece->target->values + (uint64_t)piece->from * size;
    char *const memory = piece->target->memory;
    char *const all = memory != NULL ? memory + offset : worker->out;
    int result = 0;
    for (int64_t done = 0, step; done < piece->count && result == 0; done += step) {
        int64_t at = piece->from + done, more = 0;
        const struct cr_plan_part *part = part_at(plan, at, &more);
        const struct cr_weight_source *source = &part->source;
        int64_t from = part->from + at - part->at;
        char *out = all + (size_t)done * size;
        step = least(least(more, piece->count - done), CR_SOURCE_STRIP);
        if (source->kind == CR_SOURCE_DENSE) {
            result = cr_weight_source_read(source, dtype, from, step, worker->raw, out, err);
        } else {
            result = cr_weight_source_read_f32(source, from, step, worker->raw, worker->strip, err);
            if (result == 0)
                result =
                    cr_weight_source_narrow(source, dtype, from, worker->strip, step, out, err);
        }
    }
    if (result == 0 && memory == NULL)
        result = write_to(piece->target, offset, worker->out, (size_t)piece->count * size, err);
    return result;
}

/* f32 numbers of the result, `count` from `at` on, over the boundaries of parts. */
static int fill_strip(struct worker *worker, const struct cr_plan *plan, int64_t at, int64_t count,
                      struct cr_error *err)
{
    int result = 0;
    for (int64_t done = 0, step; done < count && result == 0; done += step) {
        int64_t more = 0;
        const struct cr_plan_part *part = part_at(plan, at + done, &more);
        step = least(more, count - done);
        result = cr_weight_source_read_f32(&part->source, part->from + at + done - part->at, step,
                                           worker->raw, worker->strip + done, err);
    }
    return result;
}

static int not_finite(const struct worker *worker, const struct cr_plan *plan, int64_t at,
                      int64_t count, struct cr_error *err)
{
    int64_t i = 0, more = 0;
    while (i + 1 < count && worker->strip[i] - worker->strip[i] == 0)
        i++;
    const struct cr_plan_part *part = part_at(plan, at + i, &more);
    int64_t row = plan->shape[1], index = at + i;
    return cr_fail(err, CR_ERR_FORMAT,
                   "%s: \"%.200s\" holds %s at [%lld, %lld] of %s, which cannot be quantised",
                   part->source.values.file->path, cr_weight_source_name(&part->source),
                   worker->strip[i] != worker->strip[i] ? "a NaN" : "an infinity",
                   (long long)(index / row), (long long)(index % row),
                   plan->part_count > 1 ? "the matrix that it is part of" : "the matrix");
}

/* The scales, each of `size` bytes, of a piece's blocks. */
static int write_scales(const struct worker *worker, const struct piece *piece, size_t size,
                        struct cr_error *err)
{
    int64_t block = piece->target->plan->item->dtype == CR_DTYPE_NF4 ? CR_NF4_BLOCK : CR_Q8_0_BLOCK;
    int64_t blocks = (piece->count + block - 1) / block;
    return write_to(piece->target, piece->target->scales + (uint64_t)(piece->from / block) * size,
                    worker->scales, (size_t)blocks * size, err);
}

static int write_codes(const struct worker *worker, const struct piece *piece, struct cr_error *err)
{
    bool nf4 = piece->target->plan->item->dtype == CR_DTYPE_NF4;
    uint64_t offset = (uint64_t)(nf4 ? piece->from / 2 : piece->from);
    return write_to(piece->target, piece->target->values + offset, worker->out,
                    (size_t)(nf4 ? (piece->count + 1) / 2 : piece->count), err);
}

static bool quantize_strip(struct worker *worker, const struct piece *piece, int64_t done,
                           int64_t count)
{
    if (piece->target->plan->item->dtype == CR_DTYPE_Q8_0)
        return cr_quantize_q8_0(worker->strip, count, (int8_t *)worker->out + done,
                                (uint16_t *)(void *)worker->scales + done / CR_Q8_0_BLOCK);
    float *absmax = piece->target->absmax != NULL
                        ? piece->target->absmax + piece->from / CR_NF4_BLOCK
                        : (float *)(void *)worker->scales;
    return cr_quantize_nf4(&worker->stream->quantizer, worker->strip, count,
                           (uint8_t *)worker->out + done / 2, absmax + done / CR_NF4_BLOCK);
}

static int load_quantized(struct worker *worker, const struct piece *piece, struct cr_error *err)
{
    const struct cr_plan *plan = piece->target->plan;
    int result = 0;
    for (int64_t done = 0, step; done < piece->count && result == 0; done += step) {
        step = least(piece->count - done, CR_SOURCE_STRIP);
        result = fill_strip(worker, plan, piece->from + done, step, err);
        if (result == 0 && !quantize_strip(worker, piece, done, step))
            result = not_finite(worker, plan, piece->from + done, step, err);
    }
    if (result == 0)
        result = write_codes(worker, piece, err);
    if (result == 0 && piece->target->absmax == NULL)
        result = write_scales(worker, piece, plan->item->dtype == CR_DTYPE_Q8_0 ? 2 : sizeof(float),
                              err);
    return result;
}

/* Codes and scales of a run of elements that lies in one part. */
static int copy_run(struct worker *worker, const struct cr_plan *plan,
                    const struct cr_plan_part *part, int64_t from, int64_t done, int64_t count,
                    struct cr_error *err)
{
    const struct cr_weight_source *source = &part->source;
    bool nf4 = source->kind == CR_SOURCE_NF4;
    int64_t block = nf4 ? CR_NF4_BLOCK : CR_Q8_0_BLOCK, blocks = (count + block - 1) / block;
    size_t bytes = (size_t)(nf4 ? (count + 1) / 2 : count);
    int result = cr_weights_load(source->values.file, source->values.tensor,
                                 (uint64_t)(nf4 ? from / 2 : from),
                                 worker->out + (nf4 ? done / 2 : done), bytes, err);
    if (result < 0)
        return result;
    if (nf4 && !plan->nested)
        return cr_weight_source_read_absmax(source, from / block, blocks, worker->raw,
                                            (float *)(void *)worker->scales + done / block, err);
    size_t size = nf4 ? 1 : sizeof(uint16_t);
    return cr_weights_load(
        source->scales.file, source->scales.tensor, (uint64_t)(from / block) * size,
        worker->scales + (size_t)(done / block) * size, (size_t)blocks * size, err);
}

static int load_copied(struct worker *worker, const struct piece *piece, struct cr_error *err)
{
    const struct cr_plan *plan = piece->target->plan;
    bool nf4 = plan->item->dtype == CR_DTYPE_NF4;
    int result = 0;
    for (int64_t done = 0, step; done < piece->count && result == 0; done += step) {
        int64_t at = piece->from + done, more = 0;
        const struct cr_plan_part *part = part_at(plan, at, &more);
        step = least(more, piece->count - done);
        result = copy_run(worker, plan, part, part->from + at - part->at, done, step, err);
    }
    if (result == 0)
        result = write_codes(worker, piece, err);
    if (result == 0)
        result = write_scales(worker, piece,
                              !nf4           ? sizeof(uint16_t)
                              : plan->nested ? 1
                                             : sizeof(float),
                              err);
    return result;
}

/* ---- The second level ---- */

/* Whoever comes first makes room for the absmax of a matrix that is going to be doubly quantised:
 * not earlier, as those of all matrices together are large. */
static int begin_nested(struct stream *stream, struct cr_target *target, struct cr_error *err)
{
    const struct cr_plan *plan = target->plan;
    if (!plan->nested || plan->mode != CR_PLAN_QUANTIZE)
        return 0;
    size_t blocks = (size_t)((plan->elements + CR_NF4_BLOCK - 1) / CR_NF4_BLOCK);
    pthread_mutex_lock(&stream->lock);
    if (target->absmax == NULL)
        target->absmax = cr_malloc(blocks * sizeof(float));
    bool failed = target->absmax == NULL;
    pthread_mutex_unlock(&stream->lock);
    return failed ? cr_fail_memory(err, blocks * sizeof(float)) : 0;
}

/* All blocks of a matrix are there: now their absmax can be quantised. */
static int finish_nested(const struct stream *stream, struct cr_target *target,
                         struct cr_error *err)
{
    int64_t blocks = (target->plan->elements + CR_NF4_BLOCK - 1) / CR_NF4_BLOCK;
    size_t groups = (size_t)((blocks + CR_NESTED_BLOCK - 1) / CR_NESTED_BLOCK) * sizeof(float);
    float *nested = cr_malloc(groups + (size_t)blocks);
    if (nested == NULL)
        return cr_fail_memory(err, groups + (size_t)blocks);
    uint8_t *codes = (uint8_t *)nested + groups;
    target->nested_offset =
        cr_quantize_absmax(&stream->quantizer, target->absmax, blocks, codes, nested);
    int result = write_to(target, target->scales, codes, (size_t)blocks, err);
    if (result == 0)
        result = write_to(target, target->nested, nested, groups, err);
    if (result == 0)
        result = write_to(target, target->map, cr_dynamic_map(), 256 * sizeof(float), err);
    cr_free(nested);
    cr_free(target->absmax);
    target->absmax = NULL;
    return result;
}

/* ---- Threads ---- */

static int load_piece(struct worker *worker, const struct piece *piece, struct cr_error *err)
{
    struct cr_target *target = piece->target;
    enum cr_plan_mode mode = target->plan->mode;
    int result = begin_nested(worker->stream, target, err);
    if (result == 0)
        result = mode == CR_PLAN_DENSE  ? load_dense(worker, piece, err)
                 : mode == CR_PLAN_COPY ? load_copied(worker, piece, err)
                                        : load_quantized(worker, piece, err);
    if (result == 0 && atomic_fetch_sub(&target->left, 1) == 1 && target->absmax != NULL)
        result = finish_nested(worker->stream, target, err);
    return result;
}

/* The first failure counts. */
static void fail(struct stream *stream, const struct cr_error *err)
{
    pthread_mutex_lock(&stream->lock);
    if (stream->failure.code == 0)
        stream->failure = *err;
    pthread_mutex_unlock(&stream->lock);
    atomic_store(&stream->stop, true);
}

static void look_whether_cancelled(struct stream *stream)
{
    const struct cr_load_hooks *hooks = stream->hooks;
    if (hooks != NULL && hooks->cancelled != NULL && hooks->cancelled(hooks->user)) {
        struct cr_error err = CR_ERROR_INIT;
        cr_fail(&err, CR_ERR_CANCELLED, "loading was cancelled");
        fail(stream, &err);
    }
}

static void call_hooks(struct stream *stream)
{
    const struct cr_load_hooks *hooks = stream->hooks;
    if (hooks != NULL && hooks->progress != NULL)
        hooks->progress(hooks->user, (double)atomic_load(&stream->done) / (double)stream->elements);
    look_whether_cancelled(stream);
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    struct stream *stream = worker->stream;
    size_t index;
    while (!atomic_load(&stream->stop) &&
           (index = atomic_fetch_add(&stream->next, 1)) < stream->piece_count) {
        struct cr_error err = CR_ERROR_INIT;
        const struct piece *piece = &stream->pieces[index];
        if (load_piece(worker, piece, &err) < 0)
            fail(stream, &err);
        atomic_fetch_add(&stream->done, piece->count);
        if (worker->is_caller)
            call_hooks(stream);
    }
    return NULL;
}

static int init_worker(struct worker *worker, struct stream *stream, struct cr_error *err)
{
    size_t bytes = CR_SOURCE_RAW + OUT_BYTES + SCALE_BYTES;
    *worker = (struct worker){.stream = stream};
    worker->raw = cr_malloc(bytes);
    worker->strip = cr_malloc(CR_SOURCE_STRIP * sizeof(float));
    if (worker->raw == NULL || worker->strip == NULL) {
        cr_free(worker->raw);
        cr_free(worker->strip);
        return cr_fail_memory(err, bytes + CR_SOURCE_STRIP * sizeof(float));
    }
    worker->out = worker->raw + CR_SOURCE_RAW;
    worker->scales = worker->out + OUT_BYTES;
    return 0;
}

static void finish_worker(struct worker *worker)
{
    cr_free(worker->raw);
    cr_free(worker->strip);
}

static size_t thread_count(const struct stream *stream)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    size_t count = processors < 1 ? 1 : (size_t)processors;
    count = count < MAX_THREADS ? count : MAX_THREADS;
    return count < stream->piece_count ? count : stream->piece_count;
}

/* The caller works as well; where there is nothing to have another thread from, it works alone. */
static int run_workers(struct stream *stream, struct cr_error *err)
{
    struct worker workers[MAX_THREADS];
    size_t wanted = thread_count(stream), count = 1;
    if (wanted == 0)
        return 0;
    int result = init_worker(&workers[0], stream, err);
    if (result < 0)
        return result;
    workers[0].is_caller = true;
    look_whether_cancelled(stream);
    for (; count < wanted; count++) {
        if (init_worker(&workers[count], stream, NULL) < 0)
            break;
        if (pthread_create(&workers[count].thread, NULL, work, &workers[count]) != 0) {
            finish_worker(&workers[count]);
            break;
        }
    }
    work(&workers[0]);
    for (size_t i = 1; i < count; i++)
        pthread_join(workers[i].thread, NULL);
    for (size_t i = 0; i < count; i++)
        finish_worker(&workers[i]);
    if (stream->failure.code != 0)
        return cr_fail(err, stream->failure.code, "%s", stream->failure.message);
    return 0;
}

/* ---- All of it ---- */

int cr_stream_run(struct cr_target *targets, size_t count, const struct cr_load_hooks *hooks,
                  struct cr_error *err)
{
    struct stream stream = {.hooks = hooks, .targets = targets, .target_count = count};
    cr_quantizer_init(&stream.quantizer);
    pthread_mutex_init(&stream.lock, NULL);
    int result = cut_pieces(&stream, err);
    if (result == 0)
        result = run_workers(&stream, err);
    pthread_mutex_destroy(&stream.lock);
    cr_free(stream.pieces);
    for (size_t i = 0; i < count; i++) {
        cr_free(targets[i].absmax);
        targets[i].absmax = NULL;
    }
    return result;
}

int cr_stream_rehearse(struct cr_target *targets, size_t count, struct cr_error *err)
{
    struct stream stream = {.targets = targets, .target_count = count};
    struct worker workers[MAX_THREADS];
    int result = cut_pieces(&stream, err);
    const size_t wanted = result == 0 ? thread_count(&stream) : 0;
    size_t ready = 0;
    while (ready < wanted && (result = init_worker(&workers[ready], &stream, err)) == 0)
        ready++;
    while (ready > 0)
        finish_worker(&workers[--ready]);
    cr_free(stream.pieces);
    return result;
}

/* SPDX-License-Identifier: MIT */
/* The stage llm-internlm: quantised weights against double on the dequantised ones, batches, the
 * cache, what is refused, what a token costs. The recorded networks are cases of `crayon verify`.
 */
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <sys/stat.h>

#include "run_llm.h"
#include "safetensors.h"

#include "tensor/quantized.h"
#include "tensor/reference.h"

#define D 64
#define H 4
#define J 2
#define HEAD 16
#define F 96
#define V LLM_VOCABULARY
#define LAYERS 3
#define RANK 8
#define IMAGE LLM_IMAGE

/* ---- The decoder in double ---- */

struct matrix {
    int64_t n, k;
    double *w;
};

struct reference {
    struct st_file *file;
    enum cr_dtype weights;
    bool add; /* crayon features join the input of attention, instead of the branches */
};

static struct matrix load(const struct reference *r, const char *name, enum cr_dtype dtype)
{
    struct st_tensor tensor = st_get(r->file, name, "F32");
    struct matrix m = {tensor.shape[0], tensor.rank > 1 ? tensor.shape[1] : 1,
                       calloc((size_t)tensor.elements, sizeof(double))};
    assert_non_null(m.w);
    const float *from = tensor.data;
    if (cr_dtype_size(dtype) != 0) {
        for (int64_t i = 0; i < tensor.elements; i++)
            m.w[i] =
                dtype == CR_DTYPE_F16 ? cr_half_number(cr_half((double)from[i])) : (double)from[i];
        return m;
    }
    struct cr_error err = CR_ERROR_INIT;
    struct cr_quantized_layout layout = cr_quantized_layout(dtype, tensor.elements, false);
    void *memory = calloc(1, layout.bytes);
    struct cr_operand operand = {.memory = memory,
                                 .dtype = (int32_t)dtype,
                                 .rank = 2,
                                 .shape = {m.n, m.k},
                                 .scales = layout.scales};
    assert_non_null(memory);
    assert_int_equal(cr_reference_quantize(from, tensor.elements, &operand, &err), 0);
    cr_operand_numbers(&operand, m.w);
    free(memory);
    return m;
}

static struct matrix load_layer(const struct reference *r, int layer, const char *member,
                                enum cr_dtype dtype)
{
    char name[128];
    snprintf(name, sizeof(name), "model.layers.%d.%s.weight", layer, member);
    return load(r, name, dtype);
}

/* y[n] += m x[k] */
static void multiply_add(const struct matrix *m, const double *x, double *y)
{
    for (int64_t i = 0; i < m->n; i++)
        for (int64_t j = 0; j < m->k; j++)
            y[i] += m->w[i * m->k + j] * x[j];
}

/* y = main x + B A x + segB segA c, the latter two on image rows (c is not NULL). */
static void project(const struct reference *r, int layer, const char *name, const double *x,
                    const double *c, double *y, int64_t n)
{
    static const char *const parts[] = {"Plora_main", "Plora_A", "Plora_B", "Plora_seg_A",
                                        "Plora_seg_B"};
    struct matrix m[5];
    bool down = strstr(name, "w2") != NULL;
    for (int i = 0; i < 5; i++) {
        char member[96];
        snprintf(member, sizeof(member), "%s.%s", name, parts[i]);
        enum cr_dtype small = r->weights == CR_DTYPE_F32 ? CR_DTYPE_F32 : CR_DTYPE_F16;
        m[i] = load_layer(r, layer, member, i == 0 ? r->weights : small);
    }
    memset(y, 0, (size_t)n * sizeof(*y));
    multiply_add(&m[0], x, y);
    for (int i = 1; i < (down || r->add ? 3 : 5) && c != NULL; i += 2) {
        double low[RANK] = {0};
        multiply_add(&m[i], i == 1 ? x : c, low);
        multiply_add(&m[i + 1], low, y);
    }
    for (int i = 0; i < 5; i++)
        free(m[i].w);
}

static void normalise(const struct matrix *w, const double *x, double *y)
{
    double sum = 0;
    for (int i = 0; i < D; i++)
        sum += x[i] * x[i];
    for (int i = 0; i < D; i++)
        y[i] = x[i] / sqrt(sum / D + 1e-5) * w->w[i];
}

static void rotate(double *head, int position)
{
    for (int i = 0; i < HEAD / 2; i++) {
        double angle = position * pow(1e6, -2.0 * i / HEAD);
        double a = head[i], b = head[i + HEAD / 2];
        head[i] = a * cos(angle) - b * sin(angle);
        head[i + HEAD / 2] = b * cos(angle) + a * sin(angle);
    }
}

#define MAX_ROWS 24

/* Rows of [queries, keys, values] as wqkv packs them: for each key head two queries, key, value. */
static double *packed(double *row, int group, int part)
{
    return row + (group * (H / J + 2) + part) * HEAD;
}

static void attend(double qkv[MAX_ROWS][(H + 2 * J) * HEAD], int rows, double out[MAX_ROWS][D])
{
    for (int l = 0; l < rows; l++)
        for (int h = 0; h < H; h++) {
            int group = h / (H / J);
            const double *q = packed(qkv[l], group, h % (H / J));
            double score[MAX_ROWS], most = -INFINITY, sum = 0;
            for (int t = 0; t <= l; t++) {
                score[t] = 0;
                for (int i = 0; i < HEAD; i++)
                    score[t] += q[i] * packed(qkv[t], group, H / J)[i] / sqrt(HEAD);
                most = fmax(most, score[t]);
            }
            memset(&out[l][h * HEAD], 0, HEAD * sizeof(double));
            for (int t = 0; t <= l; t++)
                sum += score[t] = exp(score[t] - most);
            for (int t = 0; t <= l; t++)
                for (int i = 0; i < HEAD; i++)
                    out[l][h * HEAD + i] += score[t] / sum * packed(qkv[t], group, H / J + 1)[i];
        }
}

static void run_layer(const struct reference *r, int layer, double x[MAX_ROWS][D], int rows,
                      double (*crayon)[D], const bool *image)
{
    static double qkv[MAX_ROWS][(H + 2 * J) * HEAD], mixed[MAX_ROWS][D];
    struct matrix first = load_layer(r, layer, "attention_norm", CR_DTYPE_F32);
    struct matrix second = load_layer(r, layer, "ffn_norm", CR_DTYPE_F32);
    double n[D], y[D], gate[F], up[F];
    for (int l = 0; l < rows; l++) {
        normalise(&first, x[l], n);
        for (int i = 0; i < D && image[l] && r->add; i++)
            n[i] += crayon[l][i];
        project(r, layer, "attention.wqkv", n, image[l] ? crayon[l] : NULL, qkv[l],
                (H + 2 * J) * HEAD);
        for (int g = 0; g < J; g++)
            for (int p = 0; p <= H / J; p++)
                rotate(packed(qkv[l], g, p), l);
    }
    attend(qkv, rows, mixed);
    for (int l = 0; l < rows; l++) {
        const double *c = image[l] ? crayon[l] : NULL;
        project(r, layer, "attention.wo", mixed[l], c, y, D);
        for (int i = 0; i < D; i++)
            x[l][i] += y[i];
        normalise(&second, x[l], n);
        project(r, layer, "feed_forward.w1", n, c, gate, F);
        project(r, layer, "feed_forward.w3", n, c, up, F);
        for (int i = 0; i < F; i++)
            up[i] *= gate[i] / (1 + exp(-gate[i]));
        project(r, layer, "feed_forward.w2", up, c, y, D);
        for (int i = 0; i < D; i++)
            x[l][i] += y[i];
    }
    free(first.w);
    free(second.w);
}

/* Logits of all rows; ids of -1 are image rows, taken from `pictures`. */
static void reference_logits(const struct reference *r, const int32_t *ids, int rows,
                             double (*pictures)[D], double (*crayon)[D], double logits[MAX_ROWS][V])
{
    static double x[MAX_ROWS][D];
    bool image[MAX_ROWS];
    struct matrix embedding = load(r, "model.tok_embeddings.weight",
                                   r->weights == CR_DTYPE_F32 ? CR_DTYPE_F32 : CR_DTYPE_F16);
    struct matrix norm = load(r, "model.norm.weight", CR_DTYPE_F32);
    struct matrix output = load(r, "output.weight", r->weights);
    for (int l = 0; l < rows; l++) {
        image[l] = ids[l] < 0;
        for (int i = 0; i < D; i++)
            x[l][i] = image[l] ? pictures[l][i] : embedding.w[ids[l] * D + i];
    }
    for (int layer = 0; layer < LAYERS; layer++)
        run_layer(r, layer, x, rows, crayon, image);
    memset(logits, 0, (size_t)rows * sizeof(logits[0]));
    for (int l = 0; l < rows; l++) {
        double n[D];
        normalise(&norm, x[l], n);
        multiply_add(&output, n, logits[l]);
    }
    free(embedding.w);
    free(norm.w);
    free(output.w);
}

/* ---- Against it ---- */

#define PATCHES 6

static const struct llm_list picture_prompt = {9, {1, 17, 80, IMAGE, 5, 99, 150, 33, 7}};
static const struct llm_list pictures_prompt = {7, {1, IMAGE, 80, 5, IMAGE, 33, 7}};

static float wave(int i)
{
    return (float)sin(0.7 * i + 0.1 * (i % 13));
}

/* The patches are those of one picture, or of two. */
static void check_logits(enum cr_dtype weights, bool add, int images)
{
    static double pictures[MAX_ROWS][D], crayon[MAX_ROWS][D], expected[MAX_ROWS][V];
    float image[PATCHES * D], features[PATCHES * D];
    int32_t rows[MAX_ROWS];
    int count = 0, patch = 0;
    const struct llm_list *prompt = images == 1 ? &picture_prompt : &pictures_prompt;
    for (int i = 0; i < PATCHES * D; i++) {
        image[i] = wave(i);
        features[i] = wave(3 * i + 1);
    }
    for (int i = 0; i < prompt->count; i++) {
        int repeat = prompt->ids[i] == IMAGE ? PATCHES / images : 1;
        for (int k = 0; k < repeat; k++, count++) {
            rows[count] = repeat > 1 ? -1 : prompt->ids[i];
            for (int j = 0; j < D && repeat > 1; j++) {
                pictures[count][j] = (double)image[patch * D + j];
                crayon[count][j] = (double)features[patch * D + j];
            }
            patch += repeat > 1;
        }
    }
    struct reference r = {st_open(source_path("tests/golden/internlm2_plora/model.safetensors")),
                          weights, add};
    reference_logits(&r, rows, count, pictures, crayon, expected);
    st_close(&r.file);
    char options[96];
    snprintf(options, sizeof(options),
             "\"weights\": \"%s\", \"cache\": \"f32\", \"crayon\": \"%s\",", cr_dtype_name(weights),
             add ? "add" : "plora");
    struct cr_pipeline *pipeline = llm_with_images(options);
    struct cr_error err = CR_ERROR_INIT;
    struct cr_run *run = NULL;
    const int64_t shape[3] = {1, PATCHES, D}, shapes[4] = {1, images, PATCHES / images, D};
    assert_int_equal(cr_run_create(&run, pipeline, &err), 0);
    llm_set(run, "ids", llm_ids_value(prompt, 1));
    llm_set(run, "image",
            llm_floats_value(image, images == 1 ? 3 : 4, images == 1 ? shape : shapes));
    llm_set(run, "crayon", llm_floats_value(features, 3, shape));
    if (llm_execute(run, "logits", &err) < 0)
        fail_msg("%s", err.message);
    static float got[MAX_ROWS][V];
    const struct cr_tensor *logits = cr_value_tensor(cr_run_output(run, "logits"));
    assert_int_equal(cr_tensor_elements(logits), count * V);
    assert_int_equal(cr_tensor_read(logits, got, (size_t)count * sizeof(got[0]), &err), 0);
    double error = 0, norm = 0;
    for (int l = 0; l < count; l++)
        for (int i = 0; i < V; i++) {
            error += pow((double)got[l][i] - expected[l][i], 2);
            norm += pow(expected[l][i], 2);
        }
    if (!(sqrt(error / norm) < 1e-5))
        fail_msg("%s: off by %g", cr_dtype_name(weights), sqrt(error / norm));
    cr_run_destroy(&run);
    cr_pipeline_destroy(&pipeline);
}

static void test_weights(void **unused)
{
    (void)unused;
    check_logits(CR_DTYPE_F32, false, 1);
    check_logits(CR_DTYPE_F16, false, 1);
    check_logits(CR_DTYPE_Q8_0, false, 1);
    check_logits(CR_DTYPE_NF4, false, 1);
}

static void test_add(void **unused)
{
    (void)unused;
    check_logits(CR_DTYPE_F32, true, 1);
}

static void test_two_pictures(void **unused)
{
    (void)unused;
    check_logits(CR_DTYPE_F32, false, 2);
}

/* ---- Batches and the cache ---- */

#define OPTIONS "\"weights\": \"f32\", \"ignore_eos\": true, \"max_tokens\": 8,"

static const struct llm_list prompts[] = {
    {5, {1, 20, 33, 4, 90}}, {1, {7}}, {9, {1, 2, 3, 100, 140, 9, 15, 77, 31}}, {3, {1, 120, 6}}};

static void test_batch(void **unused)
{
    (void)unused;
    struct cr_pipeline *pipeline = llm_with_ids(OPTIONS);
    struct llm_list together[COUNT(prompts)], alone;
    llm_answer(pipeline, prompts, COUNT(prompts), together);
    for (size_t i = 0; i < COUNT(prompts); i++) {
        llm_answer(pipeline, &prompts[i], 1, &alone);
        assert_int_equal(alone.count, 8);
        llm_assert_same(&alone, &together[i], "in a batch");
    }
    cr_pipeline_destroy(&pipeline);
}

/* Logits of the prompt `ids` of which a mask (NULL: none) shows some. */
static void masked_logits(const struct llm_list *ids, const int32_t *mask, float *logits)
{
    struct cr_error err = CR_ERROR_INIT;
    struct cr_run *run = NULL;
    struct cr_pipeline *pipeline = llm_pipeline(
        llm_model(), "\"weights\": \"f32\",",
        mask == NULL ? "\"ids\": \"tokens\"" : "\"ids\": \"tokens\", \"mask\": \"tensor\"",
        mask == NULL ? "\"ids\": \"@ids\"" : "\"ids\": \"@ids\", \"mask\": \"@mask\"");
    assert_int_equal(cr_run_create(&run, pipeline, &err), 0);
    llm_set(run, "ids", llm_ids_value(ids, 1));
    if (mask != NULL) {
        struct cr_tensor *tensor = NULL;
        struct cr_value *value = NULL;
        const int64_t shape[2] = {1, ids->count};
        assert_int_equal(cr_tensor_create(&tensor, CR_DTYPE_I32, 2, shape, mask, &err), 0);
        assert_int_equal(cr_value_from_tensor(&value, tensor, &err), 0);
        cr_tensor_unref(&tensor);
        llm_set(run, "mask", value);
    }
    if (llm_execute(run, "logits", &err) < 0)
        fail_msg("%s", err.message);
    const struct cr_tensor *got = cr_value_tensor(cr_run_output(run, "logits"));
    const int64_t count = (int64_t)ids->count * V;
    assert_int_equal(cr_tensor_elements(got), count);
    assert_int_equal(cr_tensor_read(got, logits, (size_t)count * sizeof(*logits), &err), 0);
    cr_run_destroy(&run);
    cr_pipeline_destroy(&pipeline);
}

/* Padding on the left gives zeros, and the rest is as without. */
static void test_masked(void **unused)
{
    (void)unused;
    static const struct llm_list bare = {4, {1, 20, 33, 4}}, padded = {7, {9, 9, 9, 1, 20, 33, 4}};
    static const int32_t mask[7] = {0, 0, 0, 1, 1, 1, 1};
    static float expected[4 * V], got[7 * V];
    masked_logits(&bare, NULL, expected);
    masked_logits(&padded, mask, got);
    for (int i = 0; i < 3 * V; i++)
        assert_true(got[i] == 0);
    assert_memory_equal(got + 3 * V, expected, sizeof(expected));
}

/* The recording of a prompt padded by 3 rows, of which only the others mean something: the same as
 * without these, since rotary positions are relative. */
static void test_recorded_padding(void **unused)
{
    (void)unused;
    enum {
        ALL = 25,
        PAD = 3,
        ROWS = ALL - PAD
    };
    struct cr_error err = CR_ERROR_INIT;
    struct cr_run *run = NULL;
    struct cr_tensor *tensor = NULL;
    struct cr_value *image_rows = NULL;
    static float got[ROWS * V], features[9 * D];
    int32_t mask[ROWS];
    struct st_file *inputs =
        st_open(source_path("tests/golden/internlm2_plora/inputs.safetensors"));
    struct st_file *recorded =
        st_open(source_path("tests/golden/internlm2_plora/expected.safetensors"));
    const float *embeddings = st_get(inputs, "inputs_embeds", "F32").data;
    const float *expected = st_get(recorded, "left_padded3.logits", "F32").data;
    const uint8_t *shown = st_get(inputs, "im_mask", "BOOL").data;
    for (int i = 0; i < ROWS; i++)
        mask[i] = shown[PAD + i];
    memcpy(features, shown + ALL, sizeof(features)); /* seg_features, which is not aligned */
    const int64_t rows[3] = {1, ROWS, D}, crayon[3] = {1, 9, D};
    struct cr_pipeline *pipeline =
        llm_pipeline(llm_model(), "\"weights\": \"f32\", \"cache\": \"f32\",",
                     "\"e\": \"tensor\", \"rows\": \"tensor\", \"crayon\": \"tensor\"",
                     "\"embeddings\": \"@e\", \"image_rows\": \"@rows\", \"crayon\": \"@crayon\"");
    assert_int_equal(cr_run_create(&run, pipeline, &err), 0);
    assert_int_equal(cr_tensor_create(&tensor, CR_DTYPE_I32, 2, rows, mask, &err), 0);
    assert_int_equal(cr_value_from_tensor(&image_rows, tensor, &err), 0);
    cr_tensor_unref(&tensor);
    llm_set(run, "e", llm_floats_value(embeddings + (ptrdiff_t)PAD * D, 3, rows));
    llm_set(run, "rows", image_rows);
    llm_set(run, "crayon", llm_floats_value(features, 3, crayon));
    if (llm_execute(run, "logits", &err) < 0)
        fail_msg("%s", err.message);
    assert_int_equal(
        cr_tensor_read(cr_value_tensor(cr_run_output(run, "logits")), got, sizeof(got), &err), 0);
    for (int i = 0; i < ROWS * V; i++)
        if (!(fabsf(got[i] - expected[PAD * V + i]) < 1e-4f))
            fail_msg("logit %d of row %d: %g, recorded %g", i % V, i / V, (double)got[i],
                     (double)expected[PAD * V + i]);
    cr_run_destroy(&run);
    cr_pipeline_destroy(&pipeline);
    st_close(&inputs);
    st_close(&recorded);
}

/* An item that ends early leaves, the others go on as if it had not been there. */
static void test_end(void **unused)
{
    (void)unused;
    struct cr_pipeline *pipeline = llm_with_ids(OPTIONS);
    struct llm_list all[COUNT(prompts)], ended[COUNT(prompts)];
    llm_answer(pipeline, prompts, COUNT(prompts), all);
    cr_pipeline_destroy(&pipeline);
    char options[96];
    snprintf(options, sizeof(options), "\"weights\": \"f32\", \"max_tokens\": 8, \"eos\": [%d],",
             all[0].ids[2]);
    pipeline = llm_with_ids(options);
    llm_answer(pipeline, prompts, COUNT(prompts), ended);
    for (size_t i = 0; i < COUNT(prompts); i++) {
        int length = 0;
        while (length < 8 && all[i].ids[length++] != all[0].ids[2])
            ;
        all[i].count = length;
        llm_assert_same(&all[i], &ended[i], "with an end");
    }
    assert_true(ended[0].count <= 3);
    cr_pipeline_destroy(&pipeline);
}

/* What follows from the cache is what follows from the whole text. */
static void test_continued(void **unused)
{
    (void)unused;
    struct cr_pipeline *pipeline = llm_with_ids(OPTIONS);
    struct llm_list first, rest;
    llm_answer(pipeline, &prompts[0], 1, &first);
    for (int taken = 1; taken < 8; taken++) {
        struct llm_list longer = prompts[0];
        for (int i = 0; i < taken; i++)
            longer.ids[longer.count++] = first.ids[i];
        llm_answer(pipeline, &longer, 1, &rest);
        rest.count = 8 - taken;
        struct llm_list tail = {8 - taken, {0}};
        memcpy(tail.ids, first.ids + taken, (size_t)tail.count * sizeof(tail.ids[0]));
        llm_assert_same(&tail, &rest, "continued");
    }
    cr_pipeline_destroy(&pipeline);
}

/* ---- Cancelling ---- */

struct stop {
    double after; /* of the stage */
    volatile int cancel;
};

static void stop_after(void *user, const char *stage, double done)
{
    (void)stage;
    struct stop *stop = user;
    stop->cancel = done > stop->after;
}

/* The result of a run that is cancelled when it is so far. */
static int answer_until(double after, struct cr_run **run, struct cr_pipeline *pipeline,
                        struct cr_error *err)
{
    struct stop stop = {.after = after};
    const struct cr_run_hooks hooks = {
        .user = &stop, .progress = stop_after, .cancel = &stop.cancel};
    assert_int_equal(cr_run_create(run, pipeline, err), 0);
    llm_set(*run, "ids", llm_ids_value(&prompts[0], 1));
    cr_run_set_hooks(*run, &hooks);
    return llm_execute(*run, "tokens", err);
}

/* The first half of the progress is the prompt's, the other belongs to the 8 tokens. */
static void test_cancelled(void **unused)
{
    (void)unused;
    struct cr_error err = CR_ERROR_INIT;
    struct cr_run *run = NULL;
    struct cr_pipeline *pipeline = llm_with_ids(OPTIONS);
    struct llm_list whole;
    llm_answer(pipeline, &prompts[0], 1, &whole);
    assert_int_equal(answer_until(0.7, &run, pipeline, &err), 0);
    size_t count;
    const int32_t *ids = cr_value_tokens(cr_run_output(run, "tokens"), 0, &count);
    assert_int_equal(count, 5); /* the prompt's, and 4 steps: 0.5 + 0.5 * 4 / 8 > 0.7 */
    assert_memory_equal(ids, whole.ids, count * sizeof(*ids));
    cr_run_destroy(&run);
    assert_int_equal(answer_until(-1, &run, pipeline, &err), CR_ERR_CANCELLED);
    cr_run_destroy(&run);
    cr_pipeline_destroy(&pipeline);
}

/* ---- What a token costs ---- */

static int64_t allocations;

static int count_allocation(enum cr_fault_kind kind, const void *site)
{
    (void)site;
    allocations += kind == CR_FAULT_ALLOC;
    return 0;
}

static int64_t allocations_of(const char *how, int tokens)
{
    char options[256];
    struct llm_list answers;
    snprintf(options, sizeof(options),
             "\"weights\": \"nf4\", \"ignore_eos\": true, %s \"max_tokens\": %d,", how, tokens);
    struct cr_pipeline *pipeline = llm_with_ids(options);
    llm_answer(pipeline, &prompts[0], 1, &answers); /* the pool fills */
    allocations = 0;
    cr_fault_set_hook(count_allocation);
    llm_answer(pipeline, &prompts[0], 1, &answers);
    cr_fault_set_hook(NULL);
    cr_pipeline_destroy(&pipeline);
    return allocations;
}

static void test_no_allocation(void **unused)
{
    (void)unused;
    static const char *const ways[] = {"", "\"beams\": 3,",
                                       "\"temperature\": 0.9, \"top_k\": 50, \"top_p\": 0.95,",
                                       "\"temperature\": 2, \"repetition_penalty\": 1.2,"};
    for (size_t i = 0; i < COUNT(ways); i++) {
        const int64_t few = allocations_of(ways[i], 4), many = allocations_of(ways[i], 16);
        if (few != many)
            fail_msg("%s %lld allocations for 4 tokens, %lld for 16", ways[i], (long long)few,
                     (long long)many);
    }
}

/* ---- What is refused ---- */

static void test_refused_ids(void **unused)
{
    (void)unused;
    static const struct {
        struct llm_list ids;
        const char *options, *message;
    } cases[] = {
        {{0, {0}}, "", "item 0: the prompt is empty"},
        {{2, {1, 161}}, "", "item 0: token 1 is 161; the model has 0..160"},
        {{2, {-1, 5}}, "", "item 0: token 0 is -1; the model has 0..160"},
        {{2, {1, IMAGE}}, "", "holds <image> (token 160), and \"image\" is not connected"},
        {{3, {1, 2, 3}},
         "\"max_tokens\": 100,",
         "a prompt of 3 tokens and an answer of 100 exceed the model's 64 by 39"},
        {{3, {1, 2, 3}}, "\"context\": 4, \"max_tokens\": 5,", "exceed the model's 4 by 4"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct cr_error err = CR_ERROR_INIT;
        struct cr_run *run = NULL;
        char options[128];
        snprintf(options, sizeof(options), "\"weights\": \"f32\", %s", cases[i].options);
        struct cr_pipeline *pipeline = llm_with_ids(options);
        assert_int_equal(cr_run_create(&run, pipeline, &err), 0);
        llm_set(run, "ids", llm_ids_value(&cases[i].ids, 1));
        llm_expect(llm_execute(run, "tokens", &err), &err, cases[i].message);
        cr_run_destroy(&run);
        cr_pipeline_destroy(&pipeline);
    }
}

static void test_refused_features(void **unused)
{
    (void)unused;
    static const struct {
        int64_t image[4], crayon[4];
        int rank;
        struct llm_list ids;
        const char *message;
    } cases[] = {
        {{1, 6, 63}, {1, 6, 64}, 3, {2, {1, IMAGE}}, "image is 63 wide; the model takes 64"},
        {{1, 6, 64},
         {1, 6, 65},
         3,
         {2, {1, IMAGE}},
         "crayon is 65 wide; the model's branches take 64"},
        {{1, 6, 64},
         {1, 5, 64},
         3,
         {2, {1, IMAGE}},
         "item 0: crayon has 5 rows for 6 rows of pictures"},
        {{1, 6, 64},
         {1, 6, 64},
         3,
         {3, {1, IMAGE, IMAGE}},
         "item 0: the prompt holds <image> 2 times for 1 pictures"},
        {{1, 64}, {1, 64}, 2, {2, {1, IMAGE}}, "image must be f32 [B, patches, width]"},
    };
    float *zeros = calloc(1000, sizeof(*zeros));
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct cr_error err = CR_ERROR_INIT;
        struct cr_run *run = NULL;
        struct cr_pipeline *pipeline = llm_with_images("\"weights\": \"f32\",");
        assert_int_equal(cr_run_create(&run, pipeline, &err), 0);
        llm_set(run, "ids", llm_ids_value(&cases[i].ids, 1));
        llm_set(run, "image", llm_floats_value(zeros, cases[i].rank, cases[i].image));
        llm_set(run, "crayon", llm_floats_value(zeros, cases[i].rank, cases[i].crayon));
        llm_expect(llm_execute(run, "tokens", &err), &err, cases[i].message);
        cr_run_destroy(&run);
        cr_pipeline_destroy(&pipeline);
    }
    free(zeros);
}

/* ---- Broken models ---- */

static char *slurp(const char *path, size_t *size)
{
    char *data = NULL;
    struct cr_error err = CR_ERROR_INIT;
    if (cr_file_read(path, 64 << 20, &data, size, &err) < 0)
        fail_msg("%s", err.message);
    return data;
}

static void put(const char *folder, const char *name, const char *data, size_t size)
{
    char path[4096];
    struct cr_error err = CR_ERROR_INIT;
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    if (cr_file_write(path, data, size, &err) < 0)
        fail_msg("%s", err.message);
}

/* The model with a text of config.json replaced, and a number of a tensor (NULL: none) made NaN. */
static const char *broken_model(const char *from, const char *to, const char *tensor)
{
    static int number;
    static char folder[2048];
    char path[4096];
    size_t size;
    snprintf(folder, sizeof(folder), "%s/broken-%d", test_folder(), number++);
    assert_int_equal(mkdir(folder, 0700), 0);
    snprintf(path, sizeof(path), "%s/config.json", llm_model());
    char *text = slurp(path, &size);
    char *at = from == NULL ? text : strstr(text, from);
    assert_non_null(at);
    char *config = cr_asprintf("%.*s%s%s", (int)(at - text), text, from == NULL ? "" : to,
                               at + (from == NULL ? 0 : strlen(from)));
    put(folder, "config.json", config, strlen(config));
    cr_free(config);
    cr_free(text);
    snprintf(path, sizeof(path), "%s/model.safetensors", llm_model());
    char *weights = slurp(path, &size);
    if (tensor != NULL) {
        struct st_file *file = st_open(path);
        struct st_tensor found = st_get(file, tensor, "F32");
        /* The file's copy lies at the same distance from the start. */
        struct st_tensor first = st_get(file, st_name(file, 0), "F32");
        uint64_t header = 0;
        memcpy(&header, weights, sizeof(header));
        for (size_t i = 0; st_name(file, i) != NULL; i++) {
            struct st_tensor other;
            if (st_find(file, st_name(file, i), &other) &&
                (const char *)other.data < (const char *)first.data)
                first = other;
        }
        const float nan = NAN;
        memcpy(weights + 8 + header + ((const char *)found.data - (const char *)first.data), &nan,
               sizeof(nan));
        st_close(&file);
    }
    put(folder, "model.safetensors", weights, size);
    cr_free(weights);
    return folder;
}

static void expect_broken(const char *folder, const char *options, const char *message)
{
    struct cr_error err = CR_ERROR_INIT;
    struct cr_run *run = NULL;
    struct cr_pipeline *pipeline =
        llm_pipeline(folder, options, "\"ids\": \"tokens\"", "\"ids\": \"@ids\"");
    assert_int_equal(cr_run_create(&run, pipeline, &err), 0);
    llm_set(run, "ids", llm_ids_value(&prompts[0], 1));
    llm_expect(llm_execute(run, "tokens", &err), &err, message);
    cr_run_destroy(&run);
    cr_pipeline_destroy(&pipeline);
}

static void test_broken_models(void **unused)
{
    (void)unused;
    expect_broken(broken_model("\"hidden_size\": 64", "\"hidden_size\": 63", NULL), "",
                  "config.json: /num_attention_heads: ");
    expect_broken(broken_model("\"hidden_size\": 64", "\"hidden_size\": -64", NULL), "",
                  "/hidden_size: -64 is outside 1..65536");
    expect_broken(broken_model("\"num_key_value_heads\": 2", "\"num_key_value_heads\": 3", NULL),
                  "", "/num_key_value_heads: 3 does not divide num_attention_heads, 4");
    expect_broken(broken_model("\"num_hidden_layers\": 3", "\"num_hidden_layers\": 4", NULL), "",
                  "model.layers.3.attention");
    expect_broken(broken_model("\"vocab_size\": 160", "\"vocab_size\": 158", NULL), "",
                  "output.weight");
    expect_broken(broken_model("\"rope_scaling\": null",
                               "\"rope_scaling\": {\"type\": \"linear\", \"factor\": 2}", NULL),
                  "", "/rope_scaling: \"linear\" is not known; \"dynamic\" is");
    expect_broken(broken_model("\"silu\"", "\"relu\"", NULL), "", "/hidden_act: \"relu\"");
    expect_broken(broken_model(NULL, NULL, "model.layers.1.feed_forward.w3.Plora_main.weight"),
                  "\"weights\": \"f32\",", "a NaN or an infinity: upward matrix of layer 1");
    expect_broken(broken_model(NULL, NULL, "model.layers.1.feed_forward.w3.Plora_main.weight"),
                  "\"weights\": \"nf4\",", "model.layers.1.feed_forward.w3.Plora_main.weight");
}

/* The small tokenizer has more tokens than this model. */
static void test_other_tokenizer(void **unused)
{
    (void)unused;
    struct cr_error err = CR_ERROR_INIT;
    struct cr_run *run = NULL;
    struct cr_value *question = NULL;
    size_t size;
    const char *folder = broken_model(NULL, NULL, NULL);
    char *tokenizer = slurp(source_path("tests/tokenizer/tokenizer.model"), &size);
    put(folder, "tokenizer.model", tokenizer, size);
    cr_free(tokenizer);
    struct cr_pipeline *pipeline = llm_pipeline(folder, "\"weights\": \"f32\",",
                                                "\"prompt\": \"text\"", "\"prompt\": \"@prompt\"");
    assert_int_equal(cr_run_create(&run, pipeline, &err), 0);
    assert_int_equal(cr_value_from_text(&question, "a horse", &err), 0);
    llm_set(run, "prompt", question);
    llm_expect(
        llm_execute(run, "tokens", &err), &err,
        "tokenizer.model has 600 pieces and config.json a vocab_size of 160; they do not belong "
        "together");
    cr_run_destroy(&run);
    cr_pipeline_destroy(&pipeline);
}

/* ---- Text ---- */

static struct cr_text streamed;

static void take_text(void *user, const char *output, size_t item, const char *bytes, size_t count)
{
    (void)user, (void)output, (void)item;
    cr_text_append(&streamed, bytes, count);
}

/* What the model with the smallest tokenizer says to a question; `stop` ends it (NULL: nothing). It
 * comes piece by piece, and the pieces are the whole. */
static char *say(const char *folder, const char *stop, const char *how)
{
    const char *template = scratch("template.json");
    struct cr_error err = CR_ERROR_INIT;
    struct cr_text json = CR_TEXT_INIT;
    struct cr_run *run = NULL;
    const struct cr_run_hooks hooks = {.emit = take_text};
    cr_text_add(&json, "{\"crayon-template\": 1, \"prompt\": \"{question}\", \"stop\": [");
    if (stop != NULL)
        cr_text_printf(&json, "\"%s\"", stop);
    cr_text_add(&json, "]}");
    write_test_text(template, json.data);
    cr_text_finish(&json);
    char options[1024];
    snprintf(
        options, sizeof(options),
        "\"weights\": \"f32\", \"max_tokens\": 24, \"ignore_eos\": true, \"template\": \"%s\", %s",
        template, how);
    struct cr_pipeline *pipeline =
        llm_pipeline(folder, options, "\"prompt\": \"text\"", "\"prompt\": \"@prompt\"");
    struct cr_value *question = NULL;
    assert_int_equal(cr_value_from_text(&question, "the crayon is in the plugin", &err), 0);
    assert_int_equal(cr_run_create(&run, pipeline, &err), 0);
    cr_run_set_hooks(run, &hooks);
    llm_set(run, "prompt", question);
    if (llm_execute(run, "text", &err) < 0)
        fail_msg("%s", err.message);
    char *text = cr_strdup(cr_value_text(cr_run_output(run, "text"), 0));
    assert_text("what came piece by piece", streamed.data != NULL ? streamed.data : "", text);
    cr_text_finish(&streamed);
    cr_run_destroy(&run);
    cr_pipeline_destroy(&pipeline);
    return text;
}

static void check_text(const char *folder, const char *how)
{
    char *whole = say(folder, NULL, how);
    size_t length = strlen(whole);
    assert_true(length > 24);
    /* Stop strings that begin and end within tokens, and one that is only begun at the end. */
    for (size_t at = 0; at + 4 < length; at += 3) {
        char stop[5], escaped[64];
        snprintf(stop, sizeof(stop), "%.4s", whole + at);
        if (strpbrk(stop, "\"\\\n\t") != NULL || (stop[0] & 0x80) != 0 || (stop[1] & 0x80) != 0 ||
            (stop[2] & 0x80) != 0 || (stop[3] & 0x80) != 0)
            continue;
        snprintf(escaped, sizeof(escaped), "%s", stop);
        char *cut = say(folder, escaped, how);
        size_t end = (size_t)(strstr(whole, stop) - whole);
        if (strlen(cut) != end || memcmp(cut, whole, end) != 0)
            fail_msg("\"%s\" cut by \"%s\" gives \"%s\"", whole, stop, cut);
        cr_free(cut);
    }
    char begun[16];
    size_t last = length - 1;
    while ((whole[last] & 0xc0) == 0x80) /* in the middle of a character */
        last--;
    snprintf(begun, sizeof(begun), "%s@@@", whole + last);
    char *same = say(folder, begun, how);
    assert_text("a stop string that is only begun", same, whole);
    cr_free(same);
    cr_free(whole);
}

static void test_text(void **unused)
{
    (void)unused;
    const char *folder = broken_model(NULL, NULL, NULL);
    size_t size;
    char *model = slurp(source_path("tests/tokenizer/small.model"), &size);
    put(folder, "tokenizer.model", model, size);
    cr_free(model);
    check_text(folder, "");
    check_text(folder, "\"beams\": 2,");
}

/* The vocabulary has 160 rows, the tokenizer 140 pieces and `<image>`: what is beyond has no text,
 * and does not spoil what has. */
static void test_tokens_without_text(void **unused)
{
    (void)unused;
    const char *folder = broken_model(NULL, NULL, NULL);
    struct cr_error err = CR_ERROR_INIT;
    struct cr_run *run = NULL;
    struct cr_value *question = NULL;
    size_t size, unknown = 0;
    char *model = slurp(source_path("tests/tokenizer/small.model"), &size);
    put(folder, "tokenizer.model", model, size);
    cr_free(model);
    struct cr_pipeline *pipeline =
        llm_pipeline(folder,
                     "\"weights\": \"f32\", \"max_tokens\": 64, \"ignore_eos\": true, \"context\": "
                     "256, \"temperature\": 100,",
                     "\"prompt\": \"text\"", "\"prompt\": \"@prompt\"");
    assert_int_equal(cr_value_from_text(&question, "the crayon is in the plugin", &err), 0);
    assert_int_equal(cr_run_create(&run, pipeline, &err), 0);
    llm_set(run, "prompt", question);
    assert_int_equal(cr_run_want(run, "tokens", &err), 0);
    if (llm_execute(run, "text", &err) < 0)
        fail_msg("%s", err.message);
    const struct cr_value *tokens = cr_run_output(run, "tokens");
    const int32_t *ids = cr_value_tokens(tokens, 0, &size);
    for (size_t i = 0; i < size; i++)
        unknown += ids[i] > 140;
    assert_int_equal(size, 64);
    assert_true(unknown > 0 && unknown < 64);
    assert_true(strlen(cr_value_text(cr_run_output(run, "text"), 0)) > 0);
    cr_run_destroy(&run);
    cr_pipeline_destroy(&pipeline);
}

static void test_mistakes(void **unused)
{
    (void)unused;
    char *findings = stage_mistakes(
        "{\"crayon\": 1, \"inputs\": {\"p\": \"text\", \"m\": \"tensor\"}, \"stages\": {\"llm\": "
        "{\"use\": \"llm-internlm\", \"model\": \"m\", \"eos\": [2], \"ignore_eos\": true, \"in\": "
        "{\"prompt\": \"@p\", \"mask\": \"@m\"}}}, \"outputs\": {\"text\": \"llm.text\"}}");
    assert_text("findings", findings,
                "test.json: /stages/llm/in/mask: it says which ids are there, and \"ids\" is not "
                "connected (llm-internlm)\ntest.json: /stages/llm/eos: \"ignore_eos\" is set, so "
                "that it would have no effect (llm-internlm)\n");
    cr_free(findings);
}

/* ---- Faults ---- */

/* Load the model and answer while call `n` of a kind fails (0: none). Was it reached? */
static bool answer_with_fault(const char *how, enum cr_fault_kind kind, int n)
{
    char options[128];
    struct cr_error err = CR_ERROR_INIT;
    struct cr_run *run = NULL;
    const int64_t live = cr_memory_live();
    snprintf(options, sizeof(options), "\"weights\": \"nf4\", %s \"max_tokens\": 2,", how);
    struct cr_pipeline *pipeline = llm_with_ids(options);
    assert_int_equal(cr_run_create(&run, pipeline, &err), 0);
    llm_set(run, "ids", llm_ids_value(prompts, 1));
    sweep_arm(kind, kind == CR_FAULT_ALLOC ? ENOMEM : EIO, n);
    int result = llm_execute(run, "tokens", &err);
    bool reached = sweep_disarm();
    cr_run_destroy(&run);
    cr_pipeline_destroy(&pipeline);
    if (result < 0 && (err.code != result || err.message[0] == '\0'))
        fail_msg("call %d of kind %d failed without a reason", n, (int)kind);
    if (!reached)
        assert_int_equal(result, 0);
    if (cr_memory_live() != live)
        fail_msg("call %d of kind %d: %lld allocations are left", n, (int)kind,
                 (long long)(cr_memory_live() - live));
    return reached;
}

/* They make thousands of calls: each of the first forty, then more and more thinly. */
static void test_faults(void **unused)
{
    (void)unused;
    static const enum cr_fault_kind kinds[] = {CR_FAULT_ALLOC, CR_FAULT_OPEN, CR_FAULT_READ,
                                               CR_FAULT_OTHER};
    static const char chance[] = "\"temperature\": 1, \"repetition_penalty\": 2,";
    (void)answer_with_fault("", CR_FAULT_ALLOC, INT_MAX);
    for (size_t i = 0; i < COUNT(kinds); i++)
        for (int n = 1; answer_with_fault("", kinds[i], n); n += 1 + n / 40)
            ;
    for (int n = 1; answer_with_fault("\"beams\": 2,", CR_FAULT_ALLOC, n); n += 1 + n / 10)
        ;
    for (int n = 1; answer_with_fault(chance, CR_FAULT_ALLOC, n); n += 1 + n / 10)
        ;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_weights),
        cmocka_unit_test(test_add),
        cmocka_unit_test(test_two_pictures),
        cmocka_unit_test(test_masked),
        cmocka_unit_test(test_recorded_padding),
        cmocka_unit_test(test_batch),
        cmocka_unit_test(test_end),
        cmocka_unit_test(test_continued),
        cmocka_unit_test(test_cancelled),
        cmocka_unit_test(test_no_allocation),
        cmocka_unit_test(test_refused_ids),
        cmocka_unit_test(test_refused_features),
        cmocka_unit_test(test_broken_models),
        cmocka_unit_test(test_other_tokenizer),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_tokens_without_text),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_faults),
    };
    return cmocka_run_group_tests_name("llm-internlm", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* Choosing by chance: recorded distributions (tests/golden/sampling/README.md), long tails, and
 * what is drawn. Linked with the plugin's own file. */
#include <math.h>

#include <cjson/cJSON.h>

#include "ops/devices.h"
#include "safetensors.h"
#include "sample.h"

static struct cr_device *device;

static int open_device(void **state)
{
    (void)state;
    device = open_best();
    return 0;
}

static int close_device(void **state)
{
    (void)state;
    cr_device_unref(&device);
    return 0;
}

/* ---- A distribution ---- */

static struct llm_distribution make_room(const struct llm_decoding *decoding, int64_t vocabulary)
{
    const size_t room = (size_t)llm_sample_room(decoding, vocabulary);
    struct llm_distribution d = {.weights = calloc(room, sizeof(double)),
                                 .tokens = calloc(room, sizeof(int32_t))};
    assert_non_null(d.weights);
    assert_non_null(d.tokens);
    return d;
}

static void free_room(struct llm_distribution *d)
{
    free(d->weights);
    free(d->tokens);
}

/* The distribution after a row of logits, `vocabulary` each. */
static void find(const struct llm_decoding *decoding, const float *logits, int64_t rows,
                 int64_t vocabulary, int64_t row, double reach, struct llm_distribution *d)
{
    struct cr_error err = CR_ERROR_INIT;
    struct cr_chain c = CR_CHAIN_INIT(&err);
    const int64_t width = llm_sample_width(decoding, vocabulary);
    float *values = calloc((size_t)(rows * width), sizeof(*values));
    int32_t *indices = calloc((size_t)(rows * width), sizeof(*indices));
    struct cr_tensor *x =
        CR_DO(&c, cr_tensor_upload, device, CR_DTYPE_F32, 2, (int64_t[]){rows, vocabulary}, logits);
    x = llm_sample_scores(&c, decoding, x);
    llm_read_largest(&c, x, width, values, indices);
    llm_sample_row(&c, decoding, x, row, values + row * width, indices + row * width, reach, d);
    free(values);
    free(indices);
    if (cr_chain_finish(&c) < 0)
        fail_msg("%s", err.message);
}

/* ---- What was recorded ---- */

#define ROWS 4
#define V 300

static void check_row(const char *name, const struct llm_distribution *d, const float *expected,
                      const uint8_t *kept)
{
    double got[V] = {0};
    bool got_kept[V] = {false};
    for (int64_t i = 0; i < d->kept; i++) {
        got[d->tokens[i]] = d->weights[i] / d->total;
        got_kept[d->tokens[i]] = true;
    }
    for (int i = 0; i < V; i++) {
        if (got_kept[i] != (kept[i] != 0))
            fail_msg("%s: token %d is %s", name, i, kept[i] != 0 ? "missing" : "one too many");
        if (!(fabs(got[i] - (double)expected[i]) <= 1e-6))
            fail_msg("%s: token %d has %.9g, recorded %.9g", name, i, got[i], (double)expected[i]);
    }
}

static double number(const cJSON *settings, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(settings, name);
    assert_true(cJSON_IsNumber(item));
    return item->valuedouble;
}

static void check_case(const cJSON *settings, const struct st_file *inputs,
                       const struct st_file *expected)
{
    char name[64];
    const struct llm_decoding decoding = {.temperature = number(settings, "temperature"),
                                          .top_k = (int64_t)number(settings, "top_k"),
                                          .top_p = number(settings, "top_p")};
    const float *logits = st_get(inputs, "logits", "F32").data;
    snprintf(name, sizeof(name), "%s.probs", settings->string);
    const float *probabilities = st_get(expected, name, "F32").data;
    snprintf(name, sizeof(name), "%s.kept", settings->string);
    const uint8_t *kept = st_get(expected, name, "BOOL").data;
    struct llm_distribution d = make_room(&decoding, V);
    for (ptrdiff_t row = 0; row < ROWS; row++) {
        find(&decoding, logits, ROWS, V, row, 2, &d);
        check_row(settings->string, &d, probabilities + row * V, kept + row * V);
    }
    free_room(&d);
}

static void test_recorded(void **unused)
{
    (void)unused;
    struct st_file *inputs = st_open(source_path("tests/golden/sampling/inputs.safetensors"));
    struct st_file *expected = st_open(source_path("tests/golden/sampling/expected.safetensors"));
    cJSON *cases =
        cJSON_Parse(read_test_file(source_path("tests/golden/sampling/config.json"), NULL));
    const cJSON *settings;
    assert_int_equal(cJSON_GetArraySize(cases), 6);
    cJSON_ArrayForEach (settings, cases)
        check_case(settings, inputs, expected);
    cJSON_Delete(cases);
    st_close(&inputs);
    st_close(&expected);
}

/* ---- Long tails ---- */

#define MANY 5000

static float logit(int token)
{
    return (float)sin(token * 0.37) + (float)(token % 17) * 0.01f;
}

struct ranked {
    double weight;
    int32_t token;
};

static int compare(const void *left, const void *right)
{
    const struct ranked *a = left, *b = right;
    if (a->weight != b->weight)
        return a->weight < b->weight ? 1 : -1;
    return a->token - b->token;
}

static void rank(const float *logits, double temperature, struct ranked *all)
{
    double sum = 0;
    for (int i = 0; i < MANY; i++)
        sum += exp((double)logits[i] / temperature);
    for (int i = 0; i < MANY; i++)
        all[i] = (struct ranked){exp((double)logits[i] / temperature) / sum, i};
    qsort(all, MANY, sizeof(*all), compare);
}

/* Thousands of tokens are needed for top_p, many more than are read at once. */
static void test_long_tail(void **unused)
{
    (void)unused;
    static float logits[2 * MANY];
    static struct ranked all[MANY];
    const struct llm_decoding decoding = {.temperature = 1.5, .top_p = 0.9};
    struct llm_distribution d = make_room(&decoding, MANY);
    for (int i = 0; i < MANY; i++) {
        logits[i] = i == 3 ? 30 : 0;
        logits[MANY + i] = logit(i);
    }
    find(&decoding, logits, 2, MANY, 0, 0, &d);
    assert_int_equal(d.kept, 1);
    assert_int_equal(d.tokens[0], 3);
    find(&decoding, logits, 2, MANY, 1, 0, &d);
    rank(logits + MANY, decoding.temperature, all);
    int64_t kept = 0;
    double sum = 0;
    while (sum < decoding.top_p)
        sum += all[kept++].weight;
    assert_true(kept > 3000);
    assert_true(llabs(d.kept - kept) <= 1); /* where the sum of f32 ends */
    for (int64_t i = 0; i < kept && i < d.kept; i++)
        if (!(fabs(d.weights[i] - all[i].weight) < 1e-6 * all[i].weight + 1e-9))
            fail_msg("the likeliest token %lld has %g, not %g", (long long)i, d.weights[i],
                     all[i].weight);
    free_room(&d);
}

/* Without a bound, the token at 0.999 of the whole is far behind. */
static void test_whole(void **unused)
{
    (void)unused;
    static float logits[MANY];
    static struct ranked all[MANY];
    const struct llm_decoding decoding = {.temperature = 1.5, .top_p = 1};
    struct llm_distribution d = make_room(&decoding, MANY);
    for (int i = 0; i < MANY; i++)
        logits[i] = logit(i);
    rank(logits, decoding.temperature, all);
    static const double uniforms[] = {0, 0.05, 0.5, 0.95, 0.999};
    for (size_t i = 0; i < COUNT(uniforms); i++) {
        find(&decoding, logits, 1, MANY, 0, uniforms[i], &d);
        double before = 0, token = 0;
        const int32_t drawn = llm_sample_draw(&d, uniforms[i]);
        for (int j = 0; all[j].token != drawn; j++)
            before += all[j].weight;
        for (int j = 0; j < MANY; j++)
            token = all[j].token == drawn ? all[j].weight : token;
        if (!(before - 1e-5 <= uniforms[i] && uniforms[i] <= before + token + 1e-5))
            fail_msg("%g drew token %d, which lies at %g", uniforms[i], drawn, before);
        assert_true(d.count < MANY || uniforms[i] > 0.9);
    }
    free_room(&d);
}

/* ---- Chance ---- */

/* The first numbers of SplitMix64 from the seed 1234567, as others publish them. */
static void test_generator(void **unused)
{
    (void)unused;
    static const uint64_t published[] = {
        UINT64_C(6457827717110365317), UINT64_C(3203168211198807973), UINT64_C(9817491932198370423),
        UINT64_C(4593380528125082431), UINT64_C(16408922859458223821)};
    for (size_t i = 0; i < COUNT(published); i++)
        if (llm_sample_uniform(1234567, i) != (double)(published[i] >> 11) / 9007199254740992.0)
            fail_msg("number %zu is %.17g", i, llm_sample_uniform(1234567, i));
}

/* Of many draws each token gets its share, within five standard deviations; the same where each has
 * another seed. */
static void test_shares(void **unused)
{
    (void)unused;
    enum {
        DRAWS = 100000
    };
    double weights[] = {0.5, 0.25, 0.125, 0.1, 0.02, 0.005};
    int32_t tokens[] = {7, 3, 9, 1, 4, 0};
    const struct llm_distribution d = {weights, tokens, COUNT(weights), 5, 0.995};
    for (int seeds = 0; seeds < 2; seeds++) {
        int64_t drawn[10] = {0};
        for (uint64_t i = 0; i < DRAWS; i++)
            drawn[llm_sample_draw(&d, llm_sample_uniform(seeds ? i : 5, seeds ? 0 : i))]++;
        for (size_t i = 0; i < COUNT(weights); i++) {
            const double share = i < 5 ? weights[i] / 0.995 : 0;
            const double deviation = sqrt(DRAWS * share * (1 - share));
            if (fabs((double)drawn[tokens[i]] - DRAWS * share) > 5 * deviation)
                fail_msg("token %d: %lld of %d, share %g", tokens[i], (long long)drawn[tokens[i]],
                         DRAWS, share);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recorded), cmocka_unit_test(test_long_tail),
        cmocka_unit_test(test_whole),    cmocka_unit_test(test_generator),
        cmocka_unit_test(test_shares),
    };
    return cmocka_run_group_tests_name("sampling", tests, open_device, close_device);
}

/* SPDX-License-Identifier: MIT */
/* How llm-internlm chooses tokens: beams against a search without a cache, chance, penalties, what
 * is refused, what a token costs, and many requests. tests/golden has what was recorded. */
#include <math.h>
#include <sys/stat.h>

#include "run_llm.h"

#define V LLM_VOCABULARY
#define STEPS 8

static const struct llm_list prompts[] = {
    {5, {1, 20, 33, 4, 90}}, {1, {7}}, {9, {1, 2, 3, 100, 140, 9, 15, 77, 31}}, {3, {1, 120, 6}}};

static struct cr_pipeline *pipeline_with(const char *options)
{
    char all[512];
    snprintf(all, sizeof(all), "\"weights\": \"f32\", \"cache\": \"f32\", %s%s", options,
             options[0] != '\0' ? "," : "");
    return llm_with_ids(all);
}

static void answer_with(const char *options, const struct llm_list *items, size_t count,
                        struct llm_list *answers)
{
    struct cr_pipeline *pipeline = pipeline_with(options);
    llm_answer(pipeline, items, count, answers);
    cr_pipeline_destroy(&pipeline);
}

/* ---- A search without a cache ---- */

#define MAX_BEAMS 6
#define MAX_ENDS 12

/* What Hugging Face's generate (from 4.36 on) does, with whole texts instead of beams in a cache.
 */
struct search {
    int beams;
    double length_penalty;
    bool early;
    double penalty;
    int end_count;
    int32_t ends[MAX_ENDS];
    struct cr_pipeline *model;
};

struct text {
    struct llm_list prompt, answer;
    double sum, score;
};

struct candidate {
    double sum;
    int beam;
    int32_t token;
};

static bool is_end(const struct search *s, int32_t token)
{
    for (int i = 0; i < s->end_count; i++)
        if (s->ends[i] == token)
            return true;
    return false;
}

/* Of the last row. */
static void read_logits(const struct search *s, const struct text *text, double *logits)
{
    struct cr_error err = CR_ERROR_INIT;
    struct cr_run *run = NULL;
    static float got[(LLM_MAX_IDS + STEPS) * V];
    int32_t ids[LLM_MAX_IDS + STEPS];
    const int count = text->prompt.count + text->answer.count;
    struct cr_value *value = NULL;
    memcpy(ids, text->prompt.ids, (size_t)text->prompt.count * sizeof(*ids));
    memcpy(ids + text->prompt.count, text->answer.ids, (size_t)text->answer.count * sizeof(*ids));
    assert_int_equal(cr_value_create(&value, CR_TYPE_TOKENS, 1, &err), 0);
    assert_int_equal(cr_value_set_tokens(value, 0, ids, (size_t)count, &err), 0);
    assert_int_equal(cr_run_create(&run, s->model, &err), 0);
    llm_set(run, "ids", value);
    if (llm_execute(run, "logits", &err) < 0)
        fail_msg("%s", err.message);
    assert_int_equal(cr_tensor_read(cr_value_tensor(cr_run_output(run, "logits")), got,
                                    (size_t)(count * V) * sizeof(*got), &err),
                     0);
    for (int i = 0; i < V; i++)
        logits[i] = (double)got[(count - 1) * V + i];
    cr_run_destroy(&run);
}

static void penalise(const struct search *s, const struct text *text, double *x)
{
    bool used[V] = {false};
    for (int i = 0; i < text->prompt.count; i++)
        used[text->prompt.ids[i]] = true;
    for (int i = 0; i < text->answer.count; i++)
        used[text->answer.ids[i]] = true;
    for (int i = 0; i < V; i++)
        if (used[i])
            x[i] = x[i] > 0 ? x[i] / s->penalty : x[i] * s->penalty;
}

static void to_logarithms(double *x)
{
    double most = x[0], sum = 0;
    for (int i = 1; i < V; i++)
        most = fmax(most, x[i]);
    for (int i = 0; i < V; i++)
        sum += exp(x[i] - most);
    for (int i = 0; i < V; i++)
        x[i] -= most + log(sum);
}

static int compare(const void *left, const void *right)
{
    const struct candidate *a = left, *b = right;
    if (a->sum != b->sum)
        return a->sum < b->sum ? 1 : -1;
    return a->beam != b->beam ? a->beam - b->beam : a->token - b->token;
}

static int compare_scores(const void *left, const void *right)
{
    const struct text *a = left, *b = right;
    return a->score < b->score ? 1 : a->score > b->score ? -1 : 0;
}

/* Best first; the worst of too many goes. */
static void complete(const struct search *s, struct text *done, int *count, struct text text)
{
    text.score = text.sum / pow(text.answer.count, s->length_penalty);
    done[(*count)++] = text;
    qsort(done, (size_t)*count, sizeof(*done), compare_scores);
    if (*count > s->beams)
        (*count)--;
}

static struct text extend(const struct text *from, const struct candidate *candidate)
{
    struct text text = *from;
    text.answer.ids[text.answer.count++] = candidate->token;
    text.sum = candidate->sum;
    return text;
}

static int list_candidates(const struct search *s, const struct text *running, int count,
                           struct candidate *all)
{
    double x[V];
    for (int i = 0; i < count; i++) {
        read_logits(s, &running[i], x);
        if (s->beams > 1)
            to_logarithms(x);
        penalise(s, &running[i], x);
        for (int j = 0; j < V; j++)
            all[i * V + j] = (struct candidate){running[i].sum + x[j], i, j};
    }
    qsort(all, (size_t)(count * V), sizeof(*all), compare);
    return count * V;
}

static void search(const struct search *s, const struct llm_list *prompt, struct llm_list *answer)
{
    static struct candidate all[MAX_BEAMS * V];
    struct text running[MAX_BEAMS] = {{.prompt = *prompt}}, next[MAX_BEAMS], done[MAX_BEAMS + 1];
    int run = 1, complete_count = 0;
    bool over = false;
    for (int step = 1; step <= STEPS && !over; step++) {
        const int count = list_candidates(s, running, run, all);
        int filled = 0;
        for (int rank = 0; rank < count && filled < s->beams; rank++) {
            const struct text text = extend(&running[all[rank].beam], &all[rank]);
            if (!is_end(s, all[rank].token))
                next[filled++] = text;
            else if (rank < s->beams)
                complete(s, done, &complete_count, text);
        }
        memcpy(running, next, sizeof(running));
        run = filled;
        over = complete_count == s->beams &&
               (s->early || done[s->beams - 1].score >= all[0].sum / pow(step, s->length_penalty));
    }
    for (int i = 0; i < run && !over; i++)
        complete(s, done, &complete_count, running[i]);
    *answer = done[0].answer;
}

/* ---- Beams ---- */

/* The options of a search in JSON. */
static void print_search(const struct search *s, char *options, size_t size)
{
    int at =
        snprintf(options, size, "\"beams\": %d, \"max_tokens\": %d, \"repetition_penalty\": %g",
                 s->beams, STEPS, s->penalty);
    if (s->beams > 1)
        at += snprintf(options + at, size - (size_t)at,
                       ", \"length_penalty\": %g, \"early_stopping\": %s", s->length_penalty,
                       s->early ? "true" : "false");
    at += snprintf(options + at, size - (size_t)at,
                   s->end_count == 0 ? ", \"ignore_eos\": true" : ", \"eos\": [");
    for (int i = 0; i < s->end_count; i++)
        at += snprintf(options + at, size - (size_t)at, "%d%s", s->ends[i],
                       i + 1 < s->end_count ? ", " : "]");
}

static void check_search(struct search *s)
{
    struct llm_list expected[COUNT(prompts)], got[COUNT(prompts)];
    char options[256], what[512];
    print_search(s, options, sizeof(options));
    s->model = pipeline_with("");
    for (size_t i = 0; i < COUNT(prompts); i++)
        search(s, &prompts[i], &expected[i]);
    cr_pipeline_destroy(&s->model);
    answer_with(options, prompts, COUNT(prompts), got);
    for (size_t i = 0; i < COUNT(prompts); i++) {
        snprintf(what, sizeof(what), "prompt %zu, %s", i, options);
        llm_assert_same(&got[i], &expected[i], what);
    }
}

static uint32_t next_number(void)
{
    static uint32_t number = 3;
    number = number * 1664525 + 1013904223;
    return number >> 8;
}

/* Ends are so many that beams meet them, and items leave the batch at different times. One beam is
 * greedy. */
static void test_search(void **unused)
{
    (void)unused;
    static const int32_t likely[] = {152, 53, 65, 70, 112, 151, 19, 143, 59, 5, 32, 37};
    static const double length_penalties[] = {1, 0, 2, -1, 0.6}, penalties[] = {1, 1, 1.4, 0.6};
    for (int i = 0; i < 60; i++) {
        struct search s = {.beams = i % MAX_BEAMS + 1,
                           .length_penalty = length_penalties[i % COUNT(length_penalties)],
                           .early = next_number() % 2,
                           .penalty = penalties[i / 6 % COUNT(penalties)],
                           .end_count = (int)(next_number() % (MAX_ENDS + 1))};
        for (int j = 0; j < s.end_count; j++)
            s.ends[j] =
                j % 2 == 0 ? likely[next_number() % COUNT(likely)] : (int32_t)(next_number() % V);
        check_search(&s);
    }
}

/* ---- Chance ---- */

static void test_seed(void **unused)
{
    (void)unused;
    static const char chance[] = "\"temperature\": 1.5, \"ignore_eos\": true, \"max_tokens\": 8";
    char options[256];
    struct llm_list first[COUNT(prompts)], again[COUNT(prompts)], alone, backwards[COUNT(prompts)];
    answer_with(chance, prompts, COUNT(prompts), first);
    answer_with(chance, prompts, COUNT(prompts), again);
    for (size_t i = 0; i < COUNT(prompts); i++)
        backwards[i] = prompts[COUNT(prompts) - 1 - i];
    answer_with(chance, backwards, COUNT(prompts), backwards);
    for (size_t i = 0; i < COUNT(prompts); i++) {
        answer_with(chance, &prompts[i], 1, &alone);
        llm_assert_same(&again[i], &first[i], "again");
        llm_assert_same(&alone, &first[i], "alone");
        llm_assert_same(&backwards[COUNT(prompts) - 1 - i], &first[i], "at another place");
    }
    for (int seed = 1; seed <= 3; seed++) {
        snprintf(options, sizeof(options), "%s, \"seed\": %d", chance, seed);
        answer_with(options, prompts, 1, again);
        assert_memory_not_equal(again[0].ids, first[0].ids, sizeof(first[0].ids[0]) * 8);
    }
}

/* The seed of the run is added to the stage's. */
static int32_t draw_one(struct cr_pipeline *pipeline, uint64_t seed)
{
    struct cr_error err = CR_ERROR_INIT;
    struct cr_run *run = NULL;
    size_t count;
    assert_int_equal(cr_run_create(&run, pipeline, &err), 0);
    cr_run_set_seed(run, seed);
    llm_set(run, "ids", llm_ids_value(prompts, 1));
    if (llm_execute(run, "tokens", &err) < 0)
        fail_msg("%s", err.message);
    const int32_t token = cr_value_tokens(cr_run_output(run, "tokens"), 0, &count)[0];
    assert_int_equal(count, 1);
    cr_run_destroy(&run);
    return token;
}

static void test_both_seeds(void **unused)
{
    (void)unused;
    struct cr_pipeline *none = pipeline_with("\"temperature\": 4, \"max_tokens\": 1");
    struct cr_pipeline *five = pipeline_with("\"temperature\": 4, \"max_tokens\": 1, \"seed\": 5");
    int others = 0;
    for (uint64_t seed = 0; seed < 20; seed++) {
        assert_int_equal(draw_one(five, seed), draw_one(none, seed + 5));
        others += draw_one(five, seed) != draw_one(none, seed);
    }
    assert_true(others > 5);
    cr_pipeline_destroy(&none);
    cr_pipeline_destroy(&five);
}

/* Penalty, then temperature, then top_k, then top_p, of one row of logits. */
static void find_shares(const struct search *s, double temperature, int top_k, double top_p,
                        double *shares)
{
    struct candidate all[V];
    const struct text text = {.prompt = prompts[0]};
    double x[V], total = 0, sum = 0;
    read_logits(s, &text, x);
    penalise(s, &text, x);
    for (int i = 0; i < V; i++)
        all[i] = (struct candidate){x[i] / temperature, 0, i};
    qsort(all, V, sizeof(*all), compare);
    for (int i = 0; i < top_k; i++)
        total += exp(all[i].sum - all[0].sum);
    memset(shares, 0, V * sizeof(*shares));
    for (int i = 0; i < top_k && sum < top_p; i++) {
        shares[all[i].token] = exp(all[i].sum - all[0].sum) / total;
        sum += shares[all[i].token];
    }
    for (int i = 0; i < V; i++)
        shares[i] /= sum;
}

static void test_shares(void **unused)
{
    (void)unused;
    enum {
        DRAWS = 1000
    };
    struct search s = {.penalty = 3, .model = pipeline_with("")};
    double shares[V];
    int drawn[V] = {0}, possible = 0;
    find_shares(&s, 2.5, 12, 0.9, shares);
    cr_pipeline_destroy(&s.model);
    struct cr_pipeline *pipeline =
        pipeline_with("\"temperature\": 2.5, \"top_k\": 12, \"top_p\": 0.9, "
                      "\"repetition_penalty\": 3, \"max_tokens\": 1");
    for (uint64_t i = 0; i < DRAWS; i++)
        drawn[draw_one(pipeline, i)]++;
    cr_pipeline_destroy(&pipeline);
    for (int i = 0; i < V; i++) {
        possible += shares[i] > 0;
        if (fabs(drawn[i] - DRAWS * shares[i]) > 5 * sqrt(DRAWS * shares[i] * (1 - shares[i])))
            fail_msg("token %d: %d of %d, share %g", i, drawn[i], DRAWS, shares[i]);
    }
    assert_true(possible > 3 && possible < 12);
}

/* The likeliest of one. */
static void test_top_one(void **unused)
{
    (void)unused;
    struct llm_list greedy[COUNT(prompts)], drawn[COUNT(prompts)];
    answer_with("\"max_tokens\": 8", prompts, COUNT(prompts), greedy);
    answer_with("\"max_tokens\": 8, \"temperature\": 5, \"top_k\": 1", prompts, COUNT(prompts),
                drawn);
    for (size_t i = 0; i < COUNT(prompts); i++)
        llm_assert_same(&drawn[i], &greedy[i], "top_k 1");
    answer_with("\"max_tokens\": 8, \"temperature\": 5, \"top_p\": 1e-6", prompts, COUNT(prompts),
                drawn);
    for (size_t i = 0; i < COUNT(prompts); i++)
        llm_assert_same(&drawn[i], &greedy[i], "top_p next to nothing");
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

/* After the prompt's token and 4 of 8 steps: the best of what there is. */
static void test_cancelled(void **unused)
{
    (void)unused;
    struct cr_error err = CR_ERROR_INIT;
    struct cr_run *run = NULL;
    struct stop stop = {.after = 0.7};
    const struct cr_run_hooks hooks = {
        .user = &stop, .progress = stop_after, .cancel = &stop.cancel};
    struct llm_list whole, shorter;
    size_t count;
    answer_with("\"beams\": 3, \"ignore_eos\": true, \"max_tokens\": 5", prompts, 1, &shorter);
    struct cr_pipeline *pipeline =
        pipeline_with("\"beams\": 3, \"ignore_eos\": true, \"max_tokens\": 8");
    llm_answer(pipeline, prompts, 1, &whole); /* the model is loaded */
    assert_int_equal(cr_run_create(&run, pipeline, &err), 0);
    llm_set(run, "ids", llm_ids_value(prompts, 1));
    cr_run_set_hooks(run, &hooks);
    assert_int_equal(llm_execute(run, "tokens", &err), 0);
    const int32_t *ids = cr_value_tokens(cr_run_output(run, "tokens"), 0, &count);
    assert_int_equal(count, shorter.count);
    assert_memory_equal(ids, shorter.ids, count * sizeof(*ids));
    cr_run_destroy(&run);
    cr_pipeline_destroy(&pipeline);
}

/* ---- Mistakes ---- */

static const struct mistake {
    const char *options, *finding;
} mistakes[] = {
    {"\"beams\": 0", "/beams: 0 is outside 1..64"},
    {"\"beams\": 65", "/beams: 65 is outside 1..64"},
    {"\"beams\": 1.5", "/beams: "},
    {"\"temperature\": -0.5", "/temperature: -0.5 is outside 0..100"},
    {"\"temperature\": 1e-5", "/temperature: 1e-05 leaves only the most likely token; 0 says so"},
    {"\"temperature\": 1, \"beams\": 2", "/temperature: beam search does not draw"},
    {"\"temperature\": 1, \"top_p\": 0", "/top_p: 0 is outside 1e-06..1"},
    {"\"temperature\": 1, \"top_p\": 1.01", "/top_p: 1.01 is outside 1e-06..1"},
    {"\"temperature\": 1, \"top_k\": 1025", "/top_k: 1025 is outside 0..1024"},
    {"\"top_k\": 5", "/top_k: it has no effect without \"temperature\""},
    {"\"top_p\": 0.5", "/top_p: it has no effect without \"temperature\""},
    {"\"length_penalty\": 2", "/length_penalty: it has no effect without \"beams\""},
    {"\"early_stopping\": true", "/early_stopping: it has no effect without \"beams\""},
    {"\"repetition_penalty\": 0", "/repetition_penalty: 0 is outside 0.01..100"},
    {"\"seed\": -1", "/seed: -1 is not at least 0"},
    {"\"max_tokens\": -1", "/max_tokens: -1 is outside 0.."},
    {"\"beams\": 64, \"eos\": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]",
     "/eos: with 64 beams a list of at most 15 ends is followed, this has 16"},
};

static void check_mistake(const struct mistake *mistake)
{
    char text[512];
    snprintf(text, sizeof(text),
             "{\"crayon\": 1, \"inputs\": {\"i\": \"tokens\"}, \"stages\": {\"llm\": {\"use\": "
             "\"llm-internlm\", \"model\": \"m\", %s, \"in\": {\"ids\": \"@i\"}}}, \"outputs\": "
             "{\"tokens\": \"llm.tokens\"}}",
             mistake->options);
    char *findings = stage_mistakes(text);
    if (strstr(findings, mistake->finding) == NULL || strchr(findings, '\n')[1] != '\0')
        fail_msg("\"%s\" is not \"%s\" alone", findings, mistake->finding);
    cr_free(findings);
}

static void test_mistakes(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(mistakes); i++)
        check_mistake(&mistakes[i]);
}

/* ---- Many requests ---- */

#define MANY_IDS 120
#define REQUESTS 1000

/* What an input may hold; `message` is what is wrong with it, NULL: nothing. */
struct request {
    int pipeline, count;
    int32_t id; /* of all but the first, which opens the prompt */
    int pictures;
    const char *message;
};

enum {
    GREEDY,
    BEAMS,
    CHANCE,
    PICTURES,
    TEXT,
    STOPPED, /* a template that stops at an empty string */
    WIDE,    /* more beams than the vocabulary has tokens for */
    PIPELINES
};

static const struct request requests[] = {
    {GREEDY, 5, 33, 0, NULL},
    {BEAMS, 7, 20, 0, NULL},
    {GREEDY, 2, 161, 0, "item 0: token 1 is 161; the model has 0..160"},
    {CHANCE, 30, 4, 0, NULL},
    {GREEDY, 2, -7, 0, "item 0: token 1 is -7; the model has 0..160"},
    {PICTURES, 2, LLM_IMAGE, 1, NULL},
    {BEAMS, 0, 0, 0, "item 0: the prompt is empty"},
    {CHANCE, 60, 4, 0, "a prompt of 60 tokens and an answer of 6 exceed the model's 64 by 2"},
    {PICTURES, 2, LLM_IMAGE, 100, "the prompt holds <image> 1 times for 100 pictures"},
    {PICTURES, 101, LLM_IMAGE, 100, "a prompt of 601 tokens and an answer of 6 exceed"},
    {TEXT, 27, 0, 0, NULL},
    {GREEDY, 2, LLM_IMAGE, 0, "holds <image> (token 160), and \"image\" is not connected"},
    {STOPPED, 27, 0, 0, "/stop/0: an empty string would stop every answer"},
    {WIDE, 5, 33, 0, "64 beams choose among the 192 most likely tokens, and the model has 160"},
};
static const struct request megabyte = {TEXT, 1 << 20, 0, 0,
                                        "tokens and an answer of 6 exceed the"};

/* A copy of the model, with the smallest tokenizer. */
static const char *model_with_tokenizer(void)
{
    static const char *const files[][2] = {
        {"tests/golden/internlm2_plora/config.json", "config.json"},
        {"tests/golden/internlm2_plora/model.safetensors", "model.safetensors"},
        {"tests/tokenizer/small.model", "tokenizer.model"}};
    const char *folder = scratch("model");
    char path[4096];
    assert_int_equal(mkdir(folder, 0700), 0);
    for (size_t i = 0; i < COUNT(files); i++) {
        size_t size;
        const char *data = read_test_file(source_path(files[i][0]), &size);
        snprintf(path, sizeof(path), "%s/%s", folder, files[i][1]);
        write_test_file(path, data, size);
    }
    return folder;
}

static struct cr_pipeline *text_pipeline(const char *model, const char *stop)
{
    char json[256], options[1024], name[64];
    snprintf(name, sizeof(name), "template-%s.json", stop[0] == '\0' ? "empty" : "good");
    const char *template = scratch(name);
    snprintf(json, sizeof(json),
             "{\"crayon-template\": 1, \"prompt\": \"{question}\", \"stop\": [\"%s\"]}", stop);
    write_test_text(template, json);
    snprintf(options, sizeof(options),
             "\"weights\": \"f32\", \"max_tokens\": 6, \"ignore_eos\": true, \"template\": \"%s\",",
             template);
    return llm_pipeline(model, options, "\"prompt\": \"text\"", "\"prompt\": \"@prompt\"");
}

static void open_pipelines(struct cr_pipeline **pipelines)
{
    const char *model = model_with_tokenizer();
    pipelines[GREEDY] = llm_with_ids("\"max_tokens\": 6,");
    pipelines[BEAMS] = llm_with_ids("\"beams\": 4, \"max_tokens\": 6,");
    pipelines[CHANCE] = llm_with_ids("\"temperature\": 1, \"top_p\": 0.9, \"max_tokens\": 6,");
    pipelines[PICTURES] = llm_with_images("\"beams\": 2, \"max_tokens\": 6,");
    pipelines[WIDE] = llm_with_ids("\"beams\": 64, \"eos\": [1, 2], \"max_tokens\": 6,");
    pipelines[TEXT] = text_pipeline(model, "@");
    pipelines[STOPPED] = text_pipeline(model, "");
}

/* Words for a tokenizer, or ids, and pictures of 6 rows. */
static void feed(struct cr_run *run, const struct request *request)
{
    struct cr_error err = CR_ERROR_INIT;
    struct cr_value *value = NULL;
    if (request->pipeline == TEXT || request->pipeline == STOPPED) {
        char *text = calloc(1, (size_t)request->count + 1);
        for (int i = 0; i < request->count; i++)
            text[i] = "the crayon is in the plugin "[i % 28];
        assert_int_equal(cr_value_from_text(&value, text, &err), 0);
        free(text);
        llm_set(run, "prompt", value);
        return;
    }
    int32_t ids[MANY_IDS] = {1};
    for (int i = 1; i < request->count; i++)
        ids[i] = request->id;
    assert_int_equal(cr_value_create(&value, CR_TYPE_TOKENS, 1, &err), 0);
    assert_int_equal(cr_value_set_tokens(value, 0, ids, (size_t)request->count, &err), 0);
    llm_set(run, "ids", value);
    if (request->pipeline != PICTURES)
        return;
    const int64_t shape[4] = {1, request->pictures, 6, 64}, crayon[3] = {1, shape[1] * 6, 64};
    float *zeros = calloc((size_t)(request->pictures * 6 * 64), sizeof(*zeros));
    llm_set(run, "image", llm_floats_value(zeros, 4, shape));
    llm_set(run, "crayon", llm_floats_value(zeros, 3, crayon));
    free(zeros);
}

/* The most bytes that were on the device meanwhile. */
static double peak_of(const struct cr_run *run)
{
    for (size_t i = 0; i < cr_run_figures(run, 0); i++)
        if (strcmp(cr_run_figure(run, 0, i).name, "device_peak_bytes") == 0)
            return cr_run_figure(run, 0, i).value;
    return 0;
}

/* Returns the peak on the device; 0 if nothing was computed. */
static double make_request(struct cr_pipeline **pipelines, const struct request *request)
{
    struct cr_error err = CR_ERROR_INIT;
    struct cr_run *run = NULL;
    double peak = 0;
    assert_int_equal(cr_run_create(&run, pipelines[request->pipeline], &err), 0);
    feed(run, request);
    const int result = llm_execute(run, request->pipeline == TEXT ? "text" : "tokens", &err);
    if (request->message != NULL)
        llm_expect(result, &err, request->message);
    else if (result < 0)
        fail_msg("%s", err.message);
    else
        peak = peak_of(run);
    cr_run_destroy(&run);
    return peak;
}

/* As a program that serves requests would make them: the second of each kind, and the last, find
 * the same memory in use. */
static void test_requests(void **unused)
{
    (void)unused;
    struct cr_pipeline *pipelines[PIPELINES];
    double peaks[COUNT(requests)] = {0};
    const int64_t before = cr_memory_live();
    int64_t live = 0;
    open_pipelines(pipelines);
    for (size_t i = 0; i < REQUESTS; i++) {
        const size_t kind = i % COUNT(requests), round = i / COUNT(requests);
        const double peak = make_request(pipelines, &requests[kind]);
        if (kind == 0 && round % 20 == 1)
            (void)make_request(pipelines, &megabyte);
        if (kind == 0)
            check_mistake(&mistakes[round % COUNT(mistakes)]);
        if (round == 1)
            peaks[kind] = peak;
        if (round > 1 && peak != peaks[kind])
            fail_msg("request %zu: %.0f bytes on the device, %.0f before", i, peak, peaks[kind]);
        if (kind == 0 && round == 2)
            live = cr_memory_live();
        if (kind == 0 && round > 2 && cr_memory_live() != live)
            fail_msg("request %zu: %lld allocations live, %lld before", i,
                     (long long)cr_memory_live(), (long long)live);
    }
    for (size_t i = 0; i < PIPELINES; i++)
        cr_pipeline_destroy(&pipelines[i]);
    assert_int_equal(cr_memory_live(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_search),     cmocka_unit_test(test_seed),
        cmocka_unit_test(test_both_seeds), cmocka_unit_test(test_shares),
        cmocka_unit_test(test_top_one),    cmocka_unit_test(test_cancelled),
        cmocka_unit_test(test_mistakes),   cmocka_unit_test(test_requests),
    };
    return cmocka_run_group_tests_name("generation", tests, NULL, NULL);
}

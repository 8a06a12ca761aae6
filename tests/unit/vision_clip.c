/* SPDX-License-Identifier: MIT */
/* The stage vision-clip: preprocessing against recorded numbers, batches, what is refused. The
 * recorded networks are cases of `crayon verify`. */
#include <math.h>

#include "model/save.h"
#include "run_stage.h"
#include "safetensors.h"
#include "weights.h"

static const char *clip_model(void)
{
    return source_path("tests/golden/clip_vision");
}

static struct cr_pipeline *vision_as(const char *model, const char *weights, const char *options,
                                     const char *port)
{
    char text[4096];
    snprintf(
        text, sizeof(text),
        "{\"crayon\": 1, \"inputs\": {\"in\": \"%s\"}, \"stages\": {\"vision\": {\"use\": "
        "\"vision-clip\", \"model\": \"%s\", \"weights\": \"%s\", \"device\": \"cpu\"%s, "
        "\"in\": {\"%s\": \"@in\"}}}, \"outputs\": {\"pixels\": \"vision.pixels\", \"hidden\": "
        "\"vision.hidden\", \"features\": \"vision.features\"}}",
        strcmp(port, "image") == 0 ? "image" : "tensor", model, weights, options, port);
    return stage_parse(text);
}

static struct cr_pipeline *vision(const char *model, const char *options, const char *port)
{
    return vision_as(model, "f32", options, port);
}

/* The numbers of a tensor on whatever device. */
static float *read_numbers(const struct cr_run *run, const char *output, size_t *count)
{
    const struct cr_tensor *tensor = cr_value_tensor(cr_run_output(run, output));
    struct cr_error err = CR_ERROR_INIT;
    *count = (size_t)cr_tensor_elements(tensor);
    float *numbers = calloc(*count + 1, sizeof(*numbers));
    assert_non_null(numbers);
    if (cr_tensor_read(tensor, numbers, *count * sizeof(*numbers), &err) < 0)
        fail_msg("%s: %s", output, err.message);
    return numbers;
}

static struct cr_value *run_input(const float *numbers, int64_t b, int64_t h, int64_t w)
{
    struct cr_error err = CR_ERROR_INIT;
    struct cr_tensor *tensor = NULL;
    struct cr_value *value = NULL;
    const int64_t shape[4] = {b, 3, h, w};
    assert_int_equal(cr_tensor_create(&tensor, CR_DTYPE_F32, 4, shape, numbers, &err), 0);
    assert_int_equal(cr_value_from_tensor(&value, tensor, &err), 0);
    cr_tensor_unref(&tensor);
    return value;
}

/* ---- Preprocessing ---- */

static void check_pixels(const char *name, const char *size, int32_t height, int32_t width)
{
    struct st_file *inputs = st_open(shared_path("goldens/preprocess/inputs.safetensors"));
    struct st_file *expected = st_open(shared_path("goldens/preprocess/expected.safetensors"));
    char text[96];
    snprintf(text, sizeof(text), "%s.u8", name);
    struct st_tensor picture = st_get(inputs, text, "U8");
    struct cr_image *image =
        stage_image((int32_t)picture.shape[1], (int32_t)picture.shape[2], NULL);
    const int64_t plane = picture.shape[1] * picture.shape[2];
    for (int64_t i = 0; i < 3 * plane; i++)
        cr_image_edit(image)[3 * (i % plane) + i / plane] = ((const uint8_t *)picture.data)[i];
    snprintf(text, sizeof(text), ", \"input_size\": [%d, %d]", height, width);
    struct cr_pipeline *pipeline = vision(clip_model(), text, "image");
    struct cr_run *run = NULL;
    struct cr_error err = CR_ERROR_INIT;
    if (stage_run(&run, pipeline, "in", stage_images(&image, 1),
                  (const char *const[]){"pixels", NULL}, &err) < 0)
        fail_msg("%s", err.message);
    snprintf(text, sizeof(text), "%s.clip_%s.pixel_values", name, size);
    struct st_tensor wanted = st_get(expected, text, "F32");
    size_t count, off = 0;
    float *got = read_numbers(run, "pixels", &count);
    assert_int_equal(count, wanted.elements);
    for (size_t i = 0; i < count; i++) {
        double difference = fabs((double)got[i] - ((const float *)wanted.data)[i]);
        off += difference > 1e-5;
        if (difference > 0.0153) /* one level of 255, by the smallest deviation */
            fail_msg("%s: number %zu is %g, recorded %g", text, i, got[i],
                     ((const float *)wanted.data)[i]);
    }
    if (off * 1000 > count)
        fail_msg("%s: %zu of %zu numbers are a level off", text, off, count);
    free(got);
    cr_run_destroy(&run);
    cr_pipeline_destroy(&pipeline);
    st_close(&inputs);
    st_close(&expected);
}

static void test_pixels(void **unused)
{
    (void)unused;
    check_pixels("142238.crop", "70x70", 70, 70);
    check_pixels("142238.crop", "56x98", 56, 98);
    check_pixels("439180.crop", "70x70", 70, 70);
    check_pixels("439180.crop", "56x98", 56, 98);
}

/* ---- Batches and grids ---- */

static float *hidden_of(struct cr_pipeline *pipeline, const float *pixels, int64_t b, int64_t h,
                        int64_t w, size_t *count)
{
    struct cr_run *run = NULL;
    struct cr_error err = CR_ERROR_INIT;
    if (stage_run(&run, pipeline, "in", run_input(pixels, b, h, w),
                  (const char *const[]){"hidden", NULL}, &err) < 0)
        fail_msg("%s", err.message);
    float *numbers = read_numbers(run, "hidden", count);
    cr_run_destroy(&run);
    return numbers;
}

/* An item comes out the same alone and among others, and after a run with another grid. */
static void test_batch(void **unused)
{
    (void)unused;
    enum {
        SIDE = 42,
        PLANES = 3 * SIDE * SIDE,
        ITEMS = 3
    };
    struct cr_pipeline *pipeline = vision(clip_model(), "", "pixels");
    float *pixels = calloc(ITEMS * PLANES, sizeof(*pixels));
    assert_non_null(pixels);
    for (int i = 0; i < ITEMS * PLANES; i++)
        pixels[i] = (float)sin(0.37 * i) + (float)(i / PLANES);
    size_t all, one, other;
    float *batch = hidden_of(pipeline, pixels, ITEMS, SIDE, SIDE, &all);
    float *oblong = hidden_of(pipeline, pixels, 1, 14, 126, &other);
    assert_int_equal(all, ITEMS * 9 * 64);
    assert_int_equal(other, 9 * 64);
    for (int i = 0; i < ITEMS; i++) {
        float *alone = hidden_of(pipeline, pixels + i * PLANES, 1, SIDE, SIDE, &one);
        assert_int_equal(one, 9 * 64);
        for (size_t j = 0; j < one; j++)
            if (fabs((double)alone[j] - batch[(size_t)i * one + j]) > 2e-5)
                fail_msg("item %d, number %zu: %g alone, %g in a batch", i, j, alone[j],
                         batch[(size_t)i * one + j]);
        free(alone);
    }
    free(batch);
    free(oblong);
    free(pixels);
    cr_pipeline_destroy(&pipeline);
}

/* The size that the position embedding was saved for: 4 x 4 patches of 14. */
static void test_native_size(void **unused)
{
    (void)unused;
    struct cr_pipeline *pipeline = vision(clip_model(), "", "image");
    struct cr_image *image = stage_image(31, 17, NULL);
    struct cr_run *run = NULL;
    struct cr_error err = CR_ERROR_INIT;
    assert_int_equal(stage_run(&run, pipeline, "in", stage_images(&image, 1),
                               (const char *const[]){"pixels", "hidden", NULL}, &err),
                     0);
    const struct cr_tensor *pixels = cr_value_tensor(cr_run_output(run, "pixels"));
    const struct cr_tensor *hidden = cr_value_tensor(cr_run_output(run, "hidden"));
    assert_int_equal(cr_tensor_extent(pixels, 2), 56);
    assert_int_equal(cr_tensor_extent(pixels, 3), 56);
    assert_int_equal(cr_tensor_extent(hidden, 1), 16);
    cr_run_destroy(&run);
    cr_pipeline_destroy(&pipeline);
}

/* ---- Models as they are published ---- */

/* A whole CLIP model, small, with the heads of 80 that ViT-H has. */
enum {
    WIDTH = 160,
    INNER = 320,
    LAYERS = 2,
    PATCH = 14,
    GRID = 2,
    CLIP_WEIGHTS = 16 * LAYERS + 13
};

static const char clip_config[] =
    "{\"model_type\": \"clip\", \"logit_scale_init_value\": 2.6592, \"projection_dim\": 64,\n"
    " \"text_config\": {\"hidden_act\": \"gelu\", \"hidden_size\": 96, \"patch_size\": null,\n"
    "  \"num_hidden_layers\": 7, \"vocab_size\": 49408, \"eos_token_id\": 2},\n"
    " \"text_config_dict\": {\"hidden_size\": 96}, \"torch_dtype\": \"float32\",\n"
    " \"vision_config\": {\"hidden_act\": \"gelu\", \"hidden_size\": 160, \"image_size\": 28,\n"
    "  \"intermediate_size\": 320, \"num_attention_heads\": 2, \"num_hidden_layers\": 2,\n"
    "  \"patch_size\": 14, \"layer_norm_eps\": 1e-5, \"dropout\": 0.0}, \"vision_config_dict\": "
    "{}}";

struct clip_weights {
    struct weight list[CLIP_WEIGHTS];
    char names[CLIP_WEIGHTS][96];
    size_t count;
    const float *numbers, *ones;
};

static void add_weight(struct clip_weights *w, const char *name, int rank, int64_t rows,
                       int64_t columns, const void *data)
{
    assert_true(w->count < CLIP_WEIGHTS);
    char *copy = w->names[w->count];
    snprintf(copy, sizeof(w->names[0]), "%s", name);
    w->list[w->count++] = (struct weight){copy, "F32", rank, {rows, columns}, data};
}

static void add_pair(struct clip_weights *w, const char *module, int rank, int64_t rows,
                     int64_t columns)
{
    char name[96];
    snprintf(name, sizeof(name), "%s.weight", module);
    add_weight(w, name, rank, rows, columns, rank == 1 ? w->ones : w->numbers);
    snprintf(name, sizeof(name), "%s.bias", module);
    add_weight(w, name, 1, rows, 0, w->numbers);
}

static void add_layer(struct clip_weights *w, int index)
{
    static const struct {
        const char *name;
        int rank;
        int64_t rows, columns;
    } parts[] = {
        {"layer_norm1", 1, WIDTH, 0},
        {"self_attn.q_proj", 2, WIDTH, WIDTH},
        {"self_attn.k_proj", 2, WIDTH, WIDTH},
        {"self_attn.v_proj", 2, WIDTH, WIDTH},
        {"self_attn.out_proj", 2, WIDTH, WIDTH},
        {"layer_norm2", 1, WIDTH, 0},
        {"mlp.fc1", 2, INNER, WIDTH},
        {"mlp.fc2", 2, WIDTH, INNER},
    };
    for (size_t i = 0; i < COUNT(parts); i++) {
        char module[96];
        snprintf(module, sizeof(module), "vision_model.encoder.layers.%d.%s", index, parts[i].name);
        add_pair(w, module, parts[i].rank, parts[i].rows, parts[i].columns);
    }
}

static void write_clip(const char *folder)
{
    static float numbers[WIDTH * 3 * PATCH * PATCH], ones[WIDTH];
    struct clip_weights w = {.count = 0, .numbers = numbers, .ones = ones};
    char path[4096];
    for (size_t i = 0; i < COUNT(numbers); i++)
        numbers[i] = 0.08f * (float)sin(0.7 * (double)i * (double)(1 + i % 7));
    for (size_t i = 0; i < COUNT(ones); i++)
        ones[i] = 1;
    add_weight(&w, "vision_model.embeddings.class_embedding", 1, WIDTH, 0, numbers);
    add_weight(&w, "vision_model.embeddings.patch_embedding.weight", 4, WIDTH, 3, numbers);
    w.list[w.count - 1].shape[2] = w.list[w.count - 1].shape[3] = PATCH;
    add_weight(&w, "vision_model.embeddings.position_embedding.weight", 2, GRID * GRID + 1, WIDTH,
               numbers);
    add_weight(&w, "vision_model.embeddings.position_ids", 2, 1, GRID * GRID + 1, NULL);
    w.list[w.count - 1].dtype = "I64";
    add_pair(&w, "vision_model.pre_layrnorm", 1, WIDTH, 0);
    add_pair(&w, "vision_model.post_layernorm", 1, WIDTH, 0);
    for (int i = 0; i < LAYERS; i++)
        add_layer(&w, i);
    add_weight(&w, "logit_scale", 0, 0, 0, ones);
    add_weight(&w, "visual_projection.weight", 2, 64, WIDTH, numbers);
    add_weight(&w, "text_projection.weight", 2, 64, 96, numbers);
    add_weight(&w, "text_model.embeddings.token_embedding.weight", 2, 10, 96, numbers);
    add_weight(&w, "text_model.final_layer_norm.bias", 1, 96, 0, numbers);
    snprintf(path, sizeof(path), "%s/model.safetensors", folder);
    write_weights(path, w.list, w.count);
    snprintf(path, sizeof(path), "%s/config.json", folder);
    write_test_text(path, clip_config);
}

static void save_as(const char *folder, enum cr_dtype weights, const char *target)
{
    const struct cr_save_params params = {.weights = weights};
    struct cr_save_summary summary;
    struct cr_error err = CR_ERROR_INIT;
    struct cr_model *model = NULL;
    assert_int_equal(cr_model_open(&model, folder, NULL, &err), 0);
    if (cr_model_save(model, target, &params, NULL, &summary, &err) < 0)
        fail_msg("%s", err.message);
    assert_true(summary.quantized >= (size_t)6 * LAYERS);
    cr_model_unref(&model);
}

/* |hidden - exact| / |exact| of a model whose matrices are kept as `weights`. */
static double hidden_error(const char *folder, const char *weights, const float *pixels,
                           const float *exact, size_t count)
{
    struct cr_pipeline *pipeline = vision_as(folder, weights, "", "pixels");
    size_t got;
    double difference = 0, reference = 0;
    float *numbers = hidden_of(pipeline, pixels, 1, GRID * PATCH, GRID * PATCH, &got);
    assert_int_equal(got, count);
    for (size_t i = 0; i < count; i++) {
        difference += pow((double)numbers[i] - exact[i], 2);
        reference += pow(exact[i], 2);
    }
    free(numbers);
    cr_pipeline_destroy(&pipeline);
    return sqrt(difference / reference);
}

/* The tower of a whole CLIP model, whose text part nobody wants: as published, and as it is saved
 * with quantised matrices. */
static void test_published(void **unused)
{
    (void)unused;
    static const struct {
        const char *folder, *weights;
        double least, most;
    } cases[] = {
        {"clip", "f16", 0, 2e-3},         {"clip", "q8_0", 1e-5, 2e-2},
        {"clip", "nf4", 1e-3, 0.25},      {"clip-nf4", "nf4", 1e-3, 0.25},
        {"clip-nf4", "f32", 1e-3, 0.25},  {"clip-nf4", "f16", 1e-3, 0.25},
        {"clip-q8_0", "f16", 1e-5, 2e-2}, {"clip-q8_0", "q8_0", 1e-5, 2e-2},
    };
    float pixels[3 * GRID * PATCH * GRID * PATCH];
    for (size_t i = 0; i < COUNT(pixels); i++)
        pixels[i] = (float)sin(0.11 * (double)i);
    weights_folder("clip");
    write_clip(scratch("clip"));
    save_as(scratch("clip"), CR_DTYPE_NF4, scratch("clip-nf4"));
    save_as(scratch("clip"), CR_DTYPE_Q8_0, scratch("clip-q8_0"));
    size_t count;
    stage_forget_log();
    struct cr_pipeline *pipeline = vision(scratch("clip"), "", "pixels");
    float *exact = hidden_of(pipeline, pixels, 1, GRID * PATCH, GRID * PATCH, &count);
    assert_int_equal(count, GRID * GRID * WIDTH);
    assert_non_null(strstr(stage_log(), ": no stage uses 5 of the 45 tensors in "));
    assert_non_null(strstr(stage_log(), ": logit_scale, text_model."));
    cr_pipeline_destroy(&pipeline);
    for (size_t i = 0; i < COUNT(cases); i++) {
        double error =
            hidden_error(scratch(cases[i].folder), cases[i].weights, pixels, exact, count);
        if (!(error >= cases[i].least && error <= cases[i].most))
            fail_msg("%s as %s: %g, not %g..%g", cases[i].folder, cases[i].weights, error,
                     cases[i].least, cases[i].most);
    }
    free(exact);
}

/* ---- What nobody uses ---- */

static size_t occurrences(const char *text, const char *word)
{
    size_t count = 0;
    while ((text = strstr(text, word)) != NULL) {
        text++;
        count++;
    }
    return count;
}

/* Two stages share a model; what neither wants is one warning, once both are open. */
static void test_unclaimed(void **unused)
{
    (void)unused;
    static const float pixels[3 * 42 * 42] = {0};
    char text[2048];
    const char *model = source_path("tests/golden/collavo_e2e");
    snprintf(text, sizeof(text),
             "{\"crayon\": 1, \"inputs\": {\"in\": \"tensor\", \"map\": \"tensor\"}, \"stages\": "
             "{\"vision\": {\"use\": \"vision-clip\", \"model\": \"%s\", \"config\": "
             "\"%s/clip_config.json\", \"device\": \"cpu\", \"in\": {\"pixels\": \"@in\"}}, "
             "\"crayon\": {\"use\": \"crayon-encoder\", \"model\": \"%s\", \"device\": \"cpu\", "
             "\"in\": {\"semantic\": \"@map\", \"numbering\": \"@map\"}}}, \"outputs\": "
             "{\"hidden\": \"vision.hidden\", \"embedding\": \"crayon.embedding\"}}",
             model, model, model);
    struct cr_pipeline *pipeline = stage_parse(text);
    stage_forget_log();
    size_t count;
    free(hidden_of(pipeline, pixels, 1, 42, 42, &count));
    assert_string_equal(stage_log(), ""); /* the other stage is not open yet */
    const int32_t map[4] = {0};
    const int64_t shape[3] = {1, 2, 2};
    struct cr_error err = CR_ERROR_INIT;
    for (int i = 0; i < 2; i++) {
        struct cr_tensor *tensor = NULL;
        struct cr_value *value = NULL;
        struct cr_run *run = NULL;
        assert_int_equal(cr_tensor_create(&tensor, CR_DTYPE_I32, 3, shape, map, &err), 0);
        assert_int_equal(cr_value_from_tensor(&value, tensor, &err), 0);
        if (stage_run(&run, pipeline, "map", value, (const char *const[]){"embedding", NULL},
                      &err) < 0)
            fail_msg("%s", err.message);
        cr_tensor_unref(&tensor);
        cr_run_destroy(&run);
    }
    assert_int_equal(occurrences(stage_log(), "no stage uses "), 1);
    assert_non_null(strstr(stage_log(), ": no stage uses 84 of the 134 tensors in "));
    assert_non_null(strstr(stage_log(), ": model.layers.0."));
    cr_pipeline_destroy(&pipeline);
}

/* ---- What is refused ---- */

static void expect_failure(struct cr_pipeline *pipeline, struct cr_value *value, const char *output,
                           const char *message)
{
    struct cr_run *run = NULL;
    struct cr_error err = CR_ERROR_INIT;
    assert_true(stage_run(&run, pipeline, "in", value, (const char *const[]){output, NULL}, &err) <
                0);
    if (strstr(err.message, message) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", err.message, message);
    cr_run_destroy(&run);
    cr_pipeline_destroy(&pipeline);
}

static void test_refused(void **unused)
{
    (void)unused;
    static const float small[3 * 13 * 14] = {0};
    expect_failure(vision(clip_model(), "", "pixels"), run_input(small, 1, 13, 14), "hidden",
                   "pixels must be f32 [B, 3, height, width] with sides of 14..65535");
    expect_failure(vision(clip_model(), "", "pixels"), run_input(small, 1, 14, 13), "hidden",
                   "sides of 14..65535");
    static const float fits[3 * 14 * 14] = {0};
    float *vast = calloc(3 * 2548 * 2548, sizeof(*vast));
    assert_non_null(vast);
    expect_failure(vision(clip_model(), "", "pixels"), run_input(vast, 1, 2548, 2548), "hidden",
                   "182 x 182 patches of 14 pixels: 32768 at most");
    free(vast);
    expect_failure(vision(clip_model(), "", "pixels"), run_input(fits, 1, 14, 14), "features",
                   "has no connector (vision_proj.*)");
    expect_failure(vision(source_path("tests/golden/nf4"), "", "pixels"),
                   run_input(fits, 1, 14, 14), "hidden", "no CLIP vision tower among its");
    struct cr_image *image = stage_image(8, 8, NULL);
    expect_failure(vision(clip_model(), ", \"input_size\": [13, 14]", "image"),
                   stage_images(&image, 1), "pixels",
                   "an input_size of [13, 14] is less than one "
                   "patch, 14");
}

static void test_mistakes(void **unused)
{
    (void)unused;
    char *findings = stage_mistakes(
        "{\"crayon\": 1, \"stages\": {\"v\": {\"use\": \"vision-clip\", \"model\": \"m\"}}, "
        "\"outputs\": {\"hidden\": \"v.hidden\"}}");
    assert_text("findings", findings,
                "test.json: /stages/v/in/image: connect \"image\" or \"pixels\", one of them "
                "(vision-clip)\n");
    cr_free(findings);
    findings = stage_mistakes(
        "{\"crayon\": 1, \"inputs\": {\"x\": \"tensor\"}, \"stages\": {\"v\": {\"use\": "
        "\"vision-clip\", \"model\": \"m\", \"input_size\": [56, 56], \"in\": {\"pixels\": "
        "\"@x\"}}}, \"outputs\": {\"hidden\": \"v.hidden\"}}");
    assert_text("findings", findings,
                "test.json: /stages/v/input_size: pixels come in their size; it is for "
                "\"image\" (vision-clip)\n");
    cr_free(findings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pixels),      cmocka_unit_test(test_batch),
        cmocka_unit_test(test_native_size), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_published),   cmocka_unit_test(test_unclaimed),
        cmocka_unit_test(test_mistakes),
    };
    return cmocka_run_group_tests_name("vision-clip", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* The network of segment-mask2former from the inside: every recorded tensor on the way, batches,
 * sizes that nothing divides, configs that are not as they should be. */
#include <errno.h>
#include <math.h>

#include "../../plugins/segment-mask2former/network.h"
#include "fault_sweep.h"
#include "ops/devices.h"
#include "safetensors.h"

static struct cr_device *device;
static struct mask2former network;

/* The recorded network. */
static int load(struct mask2former *out, struct cr_error *err)
{
    struct cr_model *model = NULL;
    struct cr_claim *claim = NULL;
    int result = cr_model_open(&model, source_path("tests/golden/mask2former"), NULL, err);
    if (result == 0)
        result = mask2former_config_read(&out->config, model, NULL, err);
    if (result == 0)
        result = cr_claim_create(&claim, model, err);
    if (result == 0)
        result = mask2former_claim(out, claim, CR_DTYPE_F32, err);
    if (result == 0)
        result = cr_claim_load(claim, device, NULL, err);
    cr_claim_destroy(&claim);
    cr_model_unref(&model);
    return result == 0 ? mask2former_prepare(out, err) : result;
}

static int load_network(void **state)
{
    struct cr_error err = CR_ERROR_INIT;
    (void)state;
    device = open_best();
    assert_non_null(device);
    int result = load(&network, &err);
    if (result < 0)
        print_error("%s\n", err.message);
    return result;
}

static int unload_network(void **state)
{
    (void)state;
    mask2former_unload(&network);
    cr_device_unref(&device);
    return 0;
}

static void *read_numbers(const struct cr_tensor *tensor, size_t size)
{
    struct cr_error err = CR_ERROR_INIT;
    assert_non_null(tensor);
    const size_t bytes = (size_t)cr_tensor_elements(tensor) * size;
    void *numbers = malloc(bytes + 1);
    assert_non_null(numbers);
    if (cr_tensor_read(tensor, numbers, bytes, &err) < 0)
        fail_msg("%s", err.message);
    return numbers;
}

static struct cr_tensor *upload(const float *numbers, int64_t b, int64_t h, int64_t w)
{
    struct cr_tensor *tensor = NULL;
    struct cr_error err = CR_ERROR_INIT;
    if (cr_tensor_upload(&tensor, device, CR_DTYPE_F32, 4, (int64_t[]){b, 3, h, w}, numbers, &err) <
        0)
        fail_msg("%s", err.message);
    return tensor;
}

/* ---- On the way ---- */

static struct st_file *expected;

/* Is this the recorded tensor, but for `bound`? Relative bounds are of its largest number. */
static void check(const struct cr_tensor *tensor, double bound, bool relative, const char *format,
                  ...) CR_PRINTF(4, 5);
static void check(const struct cr_tensor *tensor, double bound, bool relative, const char *format,
                  ...)
{
    char name[64];
    double largest = 1;
    va_list args;
    va_start(args, format);
    vsnprintf(name, sizeof(name), format, args);
    va_end(args);
    const struct st_tensor wanted = st_get(expected, name, "F32");
    const float *numbers = wanted.data;
    float *got = read_numbers(tensor, sizeof(*got));
    assert_int_equal(cr_tensor_elements(tensor), wanted.elements);
    for (int64_t i = 0; i < wanted.elements && relative; i++)
        largest = fmax(largest, fabs((double)numbers[i]));
    for (int64_t i = 0; i < wanted.elements; i++)
        if (!(fabs((double)got[i] - numbers[i]) <= bound * largest))
            fail_msg("%s: number %lld is %g, recorded %g", name, (long long)i, got[i], numbers[i]);
    free(got);
}

/* A map [N, C] as it was recorded, [C, h, w]. */
static void check_map(struct cr_chain *c, const struct cr_tensor *map, int stage)
{
    struct cr_tensor *turned = CR_DO(c, cr_op_permute, map, (int[]){1, 0});
    check(turned, 5e-5, false, "backbone.stage%d", stage + 1);
}

/* The mask bit by bit, with the rule for rows that are masked as a whole. Returns how many are. */
static int check_visible(const struct cr_tensor *visible, int index)
{
    char name[64];
    int blind = 0;
    snprintf(name, sizeof(name), "decoder.attention_mask.%d", index);
    const struct st_tensor wanted = st_get(expected, name, "BOOL");
    const uint8_t *masked = wanted.data;
    uint8_t *got = read_numbers(visible, 1);
    assert_int_equal(cr_tensor_elements(visible), wanted.elements);
    const int64_t keys = wanted.shape[2];
    for (int64_t row = 0; row < wanted.elements / keys; row++) {
        const bool all = memchr(masked + row * keys, 0, (size_t)keys) == NULL;
        blind += all;
        for (int64_t i = row * keys; i < (row + 1) * keys; i++)
            if ((got[i] != 0) != (all || masked[i] == 0))
                fail_msg("%s: bit %lld is %d, recorded %d", name, (long long)i, got[i], masked[i]);
    }
    free(got);
    return blind;
}

static void use_size(int64_t items, int32_t height, int32_t width)
{
    struct cr_error err = CR_ERROR_INIT;
    if (mask2former_tables_use(&network, device, items, (struct cr_size){height, width}, &err) < 0)
        fail_msg("%s", err.message);
}

static void check_backbone(struct cr_chain *c, const struct cr_tensor *pixels,
                           struct cr_tensor *maps[SWIN_STAGES])
{
    struct cr_tensor *x = swin_embed(c, &network, pixels);
    check(x, 5e-5, false, "swin.embeddings");
    for (int i = 0; i < SWIN_STAGES; i++) {
        for (int j = 0; j < network.config.swin.depths[i]; j++) {
            x = swin_block(c, &network, i, j, x);
            check(x, 5e-5, false, "swin.stage%d.block%d", i, j);
        }
        maps[i] = apply_norm(c, &network.weights->swin.stages[i].norm, x, NORM_EPSILON);
        check_map(c, maps[i], i);
        if (i + 1 < SWIN_STAGES)
            x = swin_merge(c, &network, i, x);
    }
}

static void check_decoder(struct cr_chain *c, const struct pixel_features *features)
{
    const struct norm *norm = &network.weights->decoder.norm;
    struct cr_tensor *x = decoder_start(c, &network);
    int blind = 0;
    for (int i = 0; i <= network.config.decoder_layers; i++) {
        check(x, 2e-4, true, "decoder.hidden_states.%d", i);
        struct cr_tensor *logits =
            decoder_masks(c, &network, apply_norm(c, norm, x, NORM_EPSILON), features->mask);
        check(logits, 2e-4, true, "decoder.mask_logits.%d", i);
        struct cr_tensor *visible = decoder_visible(c, &network, logits, i % LEVELS);
        blind += check_visible(visible, i);
        if (i < network.config.decoder_layers)
            x = decoder_layer(c, &network, i, x, features, visible);
    }
    assert_int_equal(blind, 5); /* or the rule for them is not tested */
}

static void test_recorded(void **unused)
{
    (void)unused;
    struct st_file *inputs = st_open(source_path("tests/golden/mask2former/inputs.safetensors"));
    const struct st_tensor recorded = st_get(inputs, "pixel_values", "F32");
    struct cr_error err = CR_ERROR_INIT;
    struct cr_chain c = CR_CHAIN_INIT(&err);
    struct cr_tensor *maps[SWIN_STAGES];
    struct pixel_features features;
    struct steps steps = {.count = 1};
    expected = st_open(source_path("tests/golden/mask2former/expected.safetensors"));
    struct cr_tensor *pixels = upload(recorded.data, 1, recorded.shape[2], recorded.shape[3]);
    use_size(1, (int32_t)recorded.shape[2], (int32_t)recorded.shape[3]);
    check_backbone(&c, pixels, maps);
    if (pixel_decoder_forward(&features, &network, maps, &steps, &err) < 0)
        fail_msg("%s", err.message);
    for (int i = 0; i < LEVELS; i++)
        check(CR_DO(&c, cr_op_permute, features.levels[i], (int[]){0, 2, 1}), 2e-4, true,
              "pixel_decoder.multi_scale.%d", i);
    check(features.mask, 2e-4, true, "pixel_decoder.mask_features");
    check_decoder(&c, &features);
    pixel_features_finish(&features);
    assert_int_equal(cr_chain_finish(&c), 0);
    cr_tensor_unref(&pixels);
    st_close(&expected);
    st_close(&inputs);
}

/* ---- Batches and sizes ---- */

struct logits {
    float *classes, *masks;
    size_t class_count, mask_count;
    int64_t height, width;
};

static struct logits forward(const float *numbers, int64_t b, int64_t h, int64_t w)
{
    struct cr_tensor *pixels = upload(numbers, b, h, w), *classes = NULL, *masks = NULL;
    struct cr_error err = CR_ERROR_INIT;
    if (mask2former_forward(&classes, &masks, &network, pixels, NULL, &err) < 0)
        fail_msg("%lld of %lld x %lld: %s", (long long)b, (long long)h, (long long)w, err.message);
    assert_int_equal(cr_tensor_extent(classes, 0), b);
    assert_int_equal(cr_tensor_extent(classes, 1), network.config.queries);
    assert_int_equal(cr_tensor_extent(classes, 2), network.config.labels + 1);
    assert_int_equal(cr_tensor_extent(masks, 0), b);
    assert_int_equal(cr_tensor_extent(masks, 1), network.config.queries);
    const struct logits logits = {
        .classes = read_numbers(classes, sizeof(float)),
        .masks = read_numbers(masks, sizeof(float)),
        .class_count = (size_t)cr_tensor_elements(classes),
        .mask_count = (size_t)cr_tensor_elements(masks),
        .height = cr_tensor_extent(masks, 2),
        .width = cr_tensor_extent(masks, 3),
    };
    cr_tensor_unref(&classes);
    cr_tensor_unref(&masks);
    cr_tensor_unref(&pixels);
    return logits;
}

static void free_logits(struct logits *logits)
{
    free(logits->classes);
    free(logits->masks);
}

static float *make_pixels(int64_t count)
{
    float *pixels = calloc((size_t)count, sizeof(*pixels));
    assert_non_null(pixels);
    for (int64_t i = 0; i < count; i++)
        pixels[i] = 2 * sinf(0.37f * (float)(i % 9973)) + cosf((float)(i / 977));
    return pixels;
}

static void assert_near(const char *what, const float *got, const float *wanted, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!(fabs((double)got[i] - wanted[i]) <= 2e-3))
            fail_msg("%s: number %zu is %g and %g", what, i, got[i], wanted[i]);
}

/* Pictures come out the same alone and among others: `most` are computed at once, so that eleven
 * are two groups of unequal size. */
static void test_batch(void **unused)
{
    enum {
        SIDE = 50,
        ITEMS = 11,
        PLANES = 3 * SIDE * SIDE
    };
    (void)unused;
    float *pixels = make_pixels(ITEMS * PLANES);
    struct logits all = forward(pixels, ITEMS, SIDE, SIDE);
    assert_in_range(network.tables->items, 2, ITEMS - 1);
    for (size_t i = 0; i < ITEMS; i++) {
        struct logits one = forward(pixels + i * PLANES, 1, SIDE, SIDE);
        assert_int_equal(one.class_count * ITEMS, all.class_count);
        assert_near("classes", one.classes, all.classes + i * one.class_count, one.class_count);
        assert_near("masks", one.masks, all.masks + i * one.mask_count, one.mask_count);
        free_logits(&one);
    }
    free_logits(&all);
    free(pixels);
}

/* Pictures are filled up to whole patches with zeros: doing so beforehand changes nothing. */
static void check_size(int64_t h, int64_t w)
{
    const int64_t height = (h + 3) / 4, width = (w + 3) / 4;
    float *pixels = make_pixels(3 * h * w), *filled = make_pixels(3 * height * width * 16);
    for (int64_t i = 0; i < 3 * height * width * 16; i++) {
        const int64_t plane = i / (height * width * 16);
        const int64_t y = i / (width * 4) % (height * 4), x = i % (width * 4);
        filled[i] = y < h && x < w ? pixels[(plane * h + y) * w + x] : 0;
    }
    struct logits odd = forward(pixels, 1, h, w), even = forward(filled, 1, 4 * height, 4 * width);
    assert_int_equal(odd.height, height);
    assert_int_equal(odd.width, width);
    assert_near("classes", odd.classes, even.classes, even.class_count);
    assert_near("masks", odd.masks, even.masks, even.mask_count);
    free_logits(&odd);
    free_logits(&even);
    free(pixels);
    free(filled);
}

static void test_sizes(void **unused)
{
    (void)unused;
    check_size(1, 1);
    check_size(7, 5);
    check_size(2, 131);
    check_size(258, 1);
    check_size(37, 54);
}

/* Squares of four tokens, by columns, of maps with odd sides: row numbers against coordinates. */
static void test_merging(void **unused)
{
    (void)unused;
    use_size(2, 4 * 3, 4 * 5);
    const struct cr_tensor *merge = network.tables->stages[0].merge;
    const int32_t wanted[24] = {0,  5,  1,  6,  2,  7,  3,  8,  4,  9,  -1, -1,
                                10, -1, 11, -1, 12, -1, 13, -1, 14, -1, -1, -1};
    int32_t *rows = read_numbers(merge, sizeof(*rows));
    assert_int_equal(cr_tensor_elements(merge), 48);
    for (int i = 0; i < 48; i++)
        assert_int_equal(rows[i], wanted[i % 24] < 0 ? -1 : wanted[i % 24] + i / 24 * 15);
    free(rows);
}

static void test_wrong_pixels(void **unused)
{
    (void)unused;
    struct cr_error err = CR_ERROR_INIT;
    struct cr_tensor *classes, *masks, *pixels = NULL;
    assert_int_equal(
        cr_tensor_upload(&pixels, device, CR_DTYPE_F32, 4, (int64_t[]){1, 4, 8, 8}, NULL, &err), 0);
    assert_int_equal(mask2former_forward(&classes, &masks, &network, pixels, NULL, &err),
                     CR_ERR_ARGUMENT);
    assert_text("channels", err.message,
                "pixels must be f32 [B, 3, height, width] with sides of 1..65535");
    assert_null(classes);
    cr_tensor_unref(&pixels);
}

/* A network so wide that its tensors would have more numbers than tensors can have. */
static void test_too_large(void **unused)
{
    (void)unused;
    struct mask2former wide = network;
    struct cr_error err = CR_ERROR_INIT;
    struct cr_tensor *classes, *masks;
    const float numbers[3 * 8 * 8] = {0};
    struct cr_tensor *pixels = upload(numbers, 1, 8, 8);
    wide.config.swin.mlp_ratio = 1e8;
    assert_int_equal(mask2former_forward(&classes, &masks, &wide, pixels, NULL, &err),
                     CR_ERR_LIMIT);
    assert_text("numbers", err.message,
                "pictures of 8 x 8 pixels need a tensor of 38400000000 numbers: 2147483647 at "
                "most; make them smaller with \"input_size\"");
    cr_tensor_unref(&pixels);
}

/* ---- Want of memory ---- */

/* On a device of its own, so that nothing stays. */
static int load_and_run(struct cr_error *err)
{
    struct mask2former other = {.weights = NULL};
    struct cr_tensor *pixels = NULL, *classes = NULL, *masks = NULL;
    int result = load(&other, err);
    if (result == 0)
        result =
            cr_tensor_upload(&pixels, device, CR_DTYPE_F32, 4, (int64_t[]){2, 3, 5, 9}, NULL, err);
    if (result == 0)
        result = mask2former_forward(&classes, &masks, &other, pixels, NULL, err);
    cr_tensor_unref(&pixels);
    cr_tensor_unref(&classes);
    cr_tensor_unref(&masks);
    mask2former_unload(&other);
    return result;
}

/* Some of the allocations fail, each in a run of its own. */
static void test_faults(void **unused)
{
    (void)unused;
    struct cr_device *shared = device;
    bool reached = true;
    sweep_cjson();
    for (int n = 1; reached; n += n < 20 ? 1 : 31) {
        struct cr_error err = CR_ERROR_INIT;
        const int64_t live = cr_memory_live();
        device = open_best();
        sweep_arm(CR_FAULT_ALLOC, ENOMEM, n);
        int result = load_and_run(&err);
        reached = sweep_disarm();
        cr_device_unref(&device);
        assert_int_equal(cr_memory_live(), live);
        assert_true(result == 0 || err.code == result);
        if (!reached && result < 0)
            fail_msg("%s", err.message);
    }
    device = shared;
}

/* ---- Configs ---- */

static int read_config(struct mask2former_config *config, const char *text, struct cr_error *err)
{
    const char *path = scratch("config.json");
    write_test_text(path, text);
    cr_error_clear(err);
    return mask2former_config_read(config, NULL, path, err);
}

/* What is absent is as transformers has it. */
static void test_defaults(void **unused)
{
    (void)unused;
    struct mask2former_config config;
    struct cr_error err = CR_ERROR_INIT;
    assert_int_equal(read_config(&config, "{}", &err), 0);
    assert_int_equal(config.width, 256);
    assert_int_equal(config.mask_width, 256);
    assert_int_equal(config.heads, 8);
    assert_int_equal(config.encoder_layers, 6);
    assert_int_equal(config.encoder_inner, 1024);
    assert_int_equal(config.decoder_layers, 9);
    assert_int_equal(config.decoder_inner, 2048);
    assert_int_equal(config.queries, 100);
    assert_int_equal(config.labels, 2);
    assert_int_equal(config.swin.width, 96);
    assert_int_equal(config.swin.depths[2], 18);
    assert_int_equal(config.swin.heads[3], 24);
    assert_int_equal(config.swin.window, 7);
    assert_true(config.swin.qkv_bias);
    assert_int_equal(
        read_config(
            &config,
            "{\"backbone_config\": {\"model_type\": \"swin\"}, \"id2label\": {\"0\": \"a\"}}",
            &err),
        0);
    assert_int_equal(config.swin.depths[2], 6);
    assert_int_equal(config.labels, 1);
}

static const struct {
    const char *text, *message; /* after the path */
} wrong_configs[] = {
    {"[]", ": holds a list, an object is needed"},
    {"{\"model_type\": \"maskformer\"}",
     ": /model_type: \"maskformer\" is not supported, \"mask2former\" would be"},
    {"{\"activation_function\": \"gelu\"}",
     ": /activation_function: \"gelu\" is not supported, \"relu\" would be"},
    {"{\"pre_norm\": true}", ": /pre_norm: true is not supported, false would be"},
    {"{\"enforce_input_projection\": true}",
     ": /enforce_input_projection: true is not supported, false would be"},
    {"{\"common_stride\": 8}", ": /common_stride: 8 is outside 4..4"},
    {"{\"feature_strides\": [4, 8, 16, 64]}",
     ": /feature_strides: [4, 8, 16, 64] is not supported, [4, 8, 16, 32] would be"},
    {"{\"feature_strides\": 4}", ": /feature_strides: a list of 4 whole numbers is needed"},
    {"{\"hidden_dim\": 0}", ": /hidden_dim: 0 is outside 1..16384"},
    {"{\"hidden_dim\": 128}", ": /feature_size: 256 differs from a hidden_dim of 128, which is not "
                              "supported; equal ones would be"},
    {"{\"hidden_dim\": 40, \"feature_size\": 40}",
     ": /hidden_dim: 40 is no multiple of 32, the groups of its norms"},
    {"{\"num_attention_heads\": 7}",
     ": /num_attention_heads: 7 heads do not divide a hidden_dim of 256 into parts of 256 at most"},
    {"{\"decoder_layers\": 1}", ": /decoder_layers: 1 is outside 2..256"},
    {"{\"num_queries\": 1e9}", ": /num_queries: 1000000000 is outside 1..65536"},
    {"{\"num_queries\": 2.5}", ": /num_queries: is 2.5, a whole number is needed"},
    {"{\"num_queries\": \"100\"}", ": /num_queries: is a string, a whole number is needed"},
    {"{\"backbone_config\": {\"model_type\": \"resnet\"}}",
     ": /backbone_config/model_type: \"resnet\" is not supported, \"swin\" would be"},
    {"{\"backbone_config\": {\"hidden_act\": \"relu\"}}",
     ": /backbone_config/hidden_act: \"relu\" is not supported, \"gelu\" would be"},
    {"{\"backbone_config\": {\"use_absolute_embeddings\": true}}",
     ": /backbone_config/use_absolute_embeddings: true is not supported, false would be"},
    {"{\"backbone_config\": {\"patch_size\": 2}}",
     ": /backbone_config/patch_size: 2 is outside 4..4"},
    {"{\"backbone_config\": {\"depths\": [2, 2, 6]}}",
     ": /backbone_config/depths: a list of 4 whole numbers is needed"},
    {"{\"backbone_config\": {\"depths\": [2, 2, 0, 2]}}",
     ": /backbone_config/depths/2: 0 is outside 1..256"},
    {"{\"backbone_config\": {\"depths\": {\"0\": 1, \"1\": 1, \"2\": 1, \"3\": 1}}}",
     ": /backbone_config/depths: a list of 4 whole numbers is needed"},
    {"{\"backbone_config\": {\"num_heads\": [3, 5, 12, 24]}}",
     ": /backbone_config/num_heads/1: 5 heads do not divide the 192 channels of their stage into "
     "parts of 256 at most"},
    {"{\"backbone_config\": {\"window_size\": 100000}}",
     ": /backbone_config/window_size: 100000 is outside 1..32"},
    {"{\"backbone_config\": {\"mlp_ratio\": 0.001}}",
     ": /backbone_config/mlp_ratio: 0.001 of 96 channels is less than one"},
    {"{\"backbone_config\": {\"out_features\": [\"stage4\"]}}",
     ": /backbone_config/out_features: [\"stage1\", \"stage2\", \"stage3\", \"stage4\"] would be "
     "right"},
    {"{\"backbone_config\": {\"out_features\": [\"stem\", \"stage2\", \"stage3\", \"stage4\"]}}",
     ": /backbone_config/out_features/0: \"stem\" is not supported, \"stage1\" would be"},
    {"{\"backbone_config\": 7}", ": /backbone_config: an object with members is needed"},
    {"{\"id2label\": []}", ": /id2label: an object with members is needed"},
};

static void test_wrong_configs(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(wrong_configs); i++) {
        struct mask2former_config config;
        struct cr_error err = CR_ERROR_INIT;
        char wanted[1024];
        assert_int_equal(read_config(&config, wrong_configs[i].text, &err), CR_ERR_FORMAT);
        snprintf(wanted, sizeof(wanted), "%s%s", scratch("config.json"), wrong_configs[i].message);
        assert_text(wrong_configs[i].text, err.message, wanted);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recorded),     cmocka_unit_test(test_batch),
        cmocka_unit_test(test_sizes),        cmocka_unit_test(test_merging),
        cmocka_unit_test(test_defaults),     cmocka_unit_test(test_wrong_configs),
        cmocka_unit_test(test_wrong_pixels), cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_faults),
    };
    return cmocka_run_group_tests(tests, load_network, unload_network);
}

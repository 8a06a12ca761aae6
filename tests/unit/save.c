/* SPDX-License-Identifier: MIT */
/* A quantised model in files is what quantising while loading gives. */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include <crayon/config.h>
#include <crayon/memory.h>
#include <crayon/ops.h>

#include "../ops/devices.h"
#include "fault_sweep.h"
#include "model/save.h"
#include "safetensors.h"
#include "test.h"
#include "weights.h"

#define SHAPE(...) ((const int64_t[]){__VA_ARGS__})

static struct cr_device *device;

static int open_device(void **state)
{
    (void)state;
    device = open_best();
    return device == NULL;
}

static int close_device(void **state)
{
    (void)state;
    cr_device_unref(&device);
    return 0;
}

static float numbers[300 * 130];
static uint16_t halves[300 * 130];

/* A small model of what there is: linear layers of several types, an embedding, norms, an output.
 */
static const struct weight weights[] = {
    {"model.tok_embeddings.weight", "F16", 2, {40, 32}, halves},
    {"model.layers.0.attention.wo.weight", "F16", 2, {300, 130}, halves},
    {"model.layers.0.feed_forward.w1.weight", "F32", 2, {7, 33}, numbers},
    {"model.layers.0.feed_forward.w1.bias", "F32", 1, {7}, numbers},
    {"model.layers.0.ffn_norm.weight", "F16", 1, {32}, halves},
    {"model.layers.0.odd_norm.weight", "F16", 2, {4, 4}, halves},
    {"bert.encoder.attention.output.dense.weight", "BF16", 2, {16, 64}, halves},
    {"vit.patch.weight", "F16", 4, {4, 3, 2, 2}, halves},
    {"output.weight", "F16", 2, {40, 32}, halves},
    {"steps", "I64", 0, {0}, NULL},
};

static void make_source(const char *name)
{
    char file[256];
    uint32_t seed = 7;
    for (size_t i = 0; i < COUNT(numbers); i++) {
        seed = seed * 1664525 + 1013904223;
        numbers[i] = (float)(seed >> 8) / 8388608 - 1;
        halves[i] = (uint16_t)((seed & 0x8000) | (0x2C00 + (seed >> 16 & 0xFFF)));
    }
    weights_folder(name);
    snprintf(file, sizeof(file), "%s/model.safetensors", name);
    write_weights(scratch(file), weights, COUNT(weights));
    snprintf(file, sizeof(file), "%s/config.json", name);
    write_test_text(scratch(file), "{\"hidden_size\": 32, \"rms_norm_eps\": 1e-05}\n");
    snprintf(file, sizeof(file), "%s/tokenizer.model", name);
    write_test_text(scratch(file), "tokens");
    snprintf(file, sizeof(file), "%s/pytorch_model.bin", name);
    write_test_text(scratch(file), "pickle");
}

static struct cr_model *open_model(const char *folder)
{
    struct cr_model *model;
    struct cr_error err = CR_ERROR_INIT;
    if (cr_model_open(&model, scratch(folder), NULL, &err) < 0)
        fail_msg("%s", err.message);
    return model;
}

static struct cr_save_summary save(const char *from, const char *to,
                                   const struct cr_save_params *params)
{
    struct cr_model *model = open_model(from);
    struct cr_save_summary summary;
    struct cr_error err = CR_ERROR_INIT;
    if (cr_model_save(model, scratch(to), params, NULL, &summary, &err) < 0)
        fail_msg("%s", err.message);
    cr_model_unref(&model);
    return summary;
}

/* A tensor of a model as the bytes of its planes, or of its numbers. */
struct loaded {
    unsigned char planes[3][300 * 130 * 4];
    float map[256], offset;
    bool nested;
};

static void load(struct loaded *loaded, const char *folder, const char *name, enum cr_dtype dtype,
                 uint32_t flags)
{
    struct cr_model *model = open_model(folder);
    struct cr_claim *claim = NULL;
    struct cr_tensor *tensor = NULL;
    struct cr_error err = CR_ERROR_INIT;
    memset(loaded, 0, sizeof(*loaded));
    assert_int_equal(cr_claim_create(&claim, model, &err), 0);
    cr_claim_tensor(claim, &tensor, dtype, 2, SHAPE(-1, -1), flags, "%s", name);
    if (cr_claim_load(claim, device, NULL, &err) < 0)
        fail_msg("%s", err.message);
    if (cr_dtype_size(dtype) > 0)
        assert_int_equal(cr_tensor_read(tensor, loaded->planes[0],
                                        (size_t)cr_tensor_elements(tensor) * cr_dtype_size(dtype),
                                        &err),
                         0);
    else
        assert_int_equal(cr_tensor_read_quantized(tensor, loaded->planes[0], loaded->planes[1],
                                                  (float *)(void *)loaded->planes[2], loaded->map,
                                                  &loaded->offset, &loaded->nested, &err),
                         0);
    cr_tensor_unref(&tensor);
    cr_claim_destroy(&claim);
    cr_model_unref(&model);
}

static void assert_same(const char *folder, const char *name, enum cr_dtype dtype, uint32_t flags)
{
    static struct loaded saved, quantized;
    load(&quantized, "source", name, dtype, flags);
    load(&saved, folder, name, dtype, flags);
    if (memcmp(&saved, &quantized, sizeof(saved)) != 0)
        fail_msg("%s of %s differs from quantising it while loading", name, folder);
    assert_int_equal(saved.nested, (flags & CR_CLAIM_NESTED) != 0);
}

static void assert_stored(const char *folder, const char *name, const char *dtype)
{
    char file[256];
    snprintf(file, sizeof(file), "%s/model.safetensors", folder);
    struct st_file *st = st_open(scratch(file));
    st_get(st, name, dtype);
    st_close(&st);
}

static const char *const linear[] = {"model.layers.0.attention.wo.weight",
                                     "model.layers.0.feed_forward.w1.weight",
                                     "bert.encoder.attention.output.dense.weight"};

static void writes_what_loading_gives(void **state)
{
    (void)state;
    static const struct {
        const char *folder;
        struct cr_save_params params;
        uint32_t flags;
    } cases[] = {
        {"nf4", {.weights = CR_DTYPE_NF4}, CR_CLAIM_NESTED},
        {"single", {.weights = CR_DTYPE_NF4, .single = true}, 0},
        {"q8_0", {.weights = CR_DTYPE_Q8_0}, 0},
    };
    make_source("source");
    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *folder = cases[i].folder;
        struct cr_save_summary summary = save("source", folder, &cases[i].params);
        assert_int_equal(summary.quantized, 3);
        assert_int_equal(summary.kept, 7);
        assert_int_equal(summary.files, 1);
        assert_true(summary.after < summary.before);
        for (size_t j = 0; j < COUNT(linear); j++)
            assert_same(folder, linear[j], cases[i].params.weights, cases[i].flags);
        assert_same(folder, "output.weight", CR_DTYPE_F16, 0);
        assert_same(folder, "model.tok_embeddings.weight", CR_DTYPE_F16, 0);
        assert_same(folder, "model.layers.0.odd_norm.weight", CR_DTYPE_F32, 0);
        assert_stored(folder, "steps", "I64");
        assert_stored(folder, "vit.patch.weight", "F16");
        assert_stored(folder, linear[0], i < 2 ? "U8" : "I8");
        assert_int_equal(count_files(scratch(folder)), 3);
    }
}

static void says_so_in_the_config(void **state)
{
    (void)state;
    struct cr_config *config;
    struct cr_error err = CR_ERROR_INIT;
    assert_int_equal(cr_config_read(&config, scratch("nf4/config.json"), &err), 0);
    assert_int_equal(cr_config_int(config, "/hidden_size", 0, 0, 99), 32);
    assert_true(cr_config_number(config, "/rms_norm_eps", 0, 0, 1) == 1e-5);
    assert_string_equal(cr_config_text(config, "/quantization_config/quant_method", ""),
                        "bitsandbytes");
    assert_true(cr_config_bool(config, "/quantization_config/bnb_4bit_use_double_quant", false));
    assert_int_equal(cr_config_count(config, "/quantization_config/llm_int8_skip_modules"), 3);
    assert_string_equal(cr_config_text(config, "/quantization_config/llm_int8_skip_modules/0", ""),
                        "model.tok_embeddings");
    cr_config_destroy(&config);
    assert_string_equal(read_test_file(scratch("nf4/tokenizer.model"), NULL), "tokens");
}

static void keeps_and_takes_by_pattern(void **state)
{
    (void)state;
    static const char *const keep[] = {"bert.*", "*.w1.weight"}, *const also[] = {"output.*"};
    const struct cr_save_params params = {
        .weights = CR_DTYPE_NF4, .keep = keep, .keep_count = 2, .also = also, .also_count = 1};
    assert_int_equal(save("source", "patterns", &params).quantized, 2);
    assert_stored("patterns", linear[0], "U8");
    assert_stored("patterns", linear[1], "F32");
    assert_stored("patterns", linear[2], "BF16");
    assert_stored("patterns", "output.weight", "U8");
}

static void begins_new_files(void **state)
{
    (void)state;
    const struct cr_save_params params = {.weights = CR_DTYPE_NF4, .shard_bytes = 4000};
    struct cr_save_summary summary = save("source", "shards", &params);
    assert_true(summary.files > 1);
    assert_int_equal(count_files(scratch("shards")), summary.files + 3);
    for (size_t j = 0; j < COUNT(linear); j++)
        assert_same("shards", linear[j], CR_DTYPE_NF4, CR_CLAIM_NESTED);
    /* As many files again, and the quantised matrices stay as they are. */
    const struct cr_save_params q8_0 = {.weights = CR_DTYPE_Q8_0};
    static const char *const also[] = {"output.weight"};
    struct cr_save_params more = q8_0;
    more.also = also;
    more.also_count = 1;
    assert_int_equal(save("shards", "again", &more).files, summary.files);
    assert_same("again", linear[0], CR_DTYPE_NF4, CR_CLAIM_NESTED);
}

static void assert_refused(const char *target, const struct cr_save_params *params,
                           const char *message)
{
    struct cr_model *model = open_model("source");
    struct cr_save_summary summary;
    struct cr_error err = CR_ERROR_INIT;
    assert_int_equal(cr_model_save(model, target, params, NULL, &summary, &err), CR_ERR_ARGUMENT);
    if (strstr(err.message, message) == NULL)
        fail_msg("%s\nlacks %s", err.message, message);
    cr_model_unref(&model);
}

static void refuses(void **state)
{
    (void)state;
    static const char *const all[] = {"*"};
    const struct cr_save_params nf4 = {.weights = CR_DTYPE_NF4};
    assert_refused(scratch("nf4"), &nf4, "nf4: is there already; name a folder that is not");
    assert_refused("", &nf4, "the name of a new folder is needed, not an empty text");
    assert_refused(scratch("new"), &(const struct cr_save_params){.weights = CR_DTYPE_F16},
                   "weights are quantised to nf4 or q8_0, not to f16");
    assert_refused(
        scratch("new"),
        &(const struct cr_save_params){.weights = CR_DTYPE_NF4, .keep = all, .keep_count = 1},
        "source: holds no matrix to be quantised");
}

/* ---- Faults ---- */

static int save_once(void *user, struct cr_error *err)
{
    struct cr_model *model = NULL;
    struct cr_save_summary summary;
    const struct cr_save_params params = {.weights = CR_DTYPE_NF4, .shard_bytes = 4000};
    int result = cr_model_open(&model, scratch("source"), NULL, err);
    if (result == 0)
        result = cr_model_save(model, user, &params, NULL, &summary, err);
    cr_model_unref(&model);
    return result;
}

/* All or nothing; what is there goes, for the next run. */
static void all_or_nothing(void *user, int result)
{
    size_t files = count_files(scratch("faults"));
    if (files != (result == 0 ? 1 : 0))
        fail_msg("%zu things are left after result %d", files, result);
    if (result < 0)
        return;
    assert_true(count_files(user) > 4);
    char command[4096];
    snprintf(command, sizeof(command), "rm -r '%s'", (const char *)user);
    assert_int_equal(system(command), 0);
}

static void leaves_nothing_behind(void **state)
{
    (void)state;
    weights_folder("faults");
    void *target = (void *)(uintptr_t)scratch("faults/new");
    assert_true(sweep_faults(CR_FAULT_ALLOC, ENOMEM, save_once, all_or_nothing, target) > 50);
    assert_true(sweep_faults(CR_FAULT_READ, EIO, save_once, all_or_nothing, target) > 10);
    assert_true(sweep_faults(CR_FAULT_WRITE, ENOSPC, save_once, all_or_nothing, target) > 10);
    assert_true(sweep_faults(CR_FAULT_SYNC, EIO, save_once, all_or_nothing, target) > 3);
    assert_true(sweep_faults(CR_FAULT_RENAME, EIO, save_once, all_or_nothing, target) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_what_loading_gives),
        cmocka_unit_test(says_so_in_the_config),
        cmocka_unit_test(keeps_and_takes_by_pattern),
        cmocka_unit_test(begins_new_files),
        cmocka_unit_test(refuses),
        cmocka_unit_test(leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}

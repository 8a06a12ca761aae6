/* SPDX-License-Identifier: MIT */
/* Finding a model, its files and its tensors; files that are opened once. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <crayon/memory.h>

#include "fault_sweep.h"
#include "model/model.h"
#include "test.h"
#include "weights.h"

static struct cr_model *open_model(const char *name)
{
    struct cr_model *model;
    struct cr_error err = CR_ERROR_INIT;
    if (cr_model_open(&model, name, NULL, &err) < 0)
        fail_msg("%s", err.message);
    return model;
}

static void assert_not_found(const char *name, int code, const char *message)
{
    struct cr_model *model;
    struct cr_error err = CR_ERROR_INIT;
    assert_int_equal(cr_model_open(&model, name, NULL, &err), code);
    assert_null(model);
    assert_text(name, err.message, message);
}

/* Only these places are looked at. */
static void set_places(const char *path, const char *hub)
{
    unsetenv("HF_HOME");
    unsetenv("XDG_CACHE_HOME");
    setenv("HOME", scratch("home"), 1);
    if (path != NULL)
        setenv("CRAYON_MODEL_PATH", path, 1);
    else
        unsetenv("CRAYON_MODEL_PATH");
    if (hub != NULL)
        setenv("HF_HUB_CACHE", hub, 1);
    else
        unsetenv("HF_HUB_CACHE");
}

static void assert_folder(const char *name, const char *folder)
{
    struct cr_model *model = open_model(name);
    assert_string_equal(cr_model_folder(model), folder);
    cr_model_unref(&model);
    cr_model_unref(&model);
}

static void finds_folders_and_names(void **state)
{
    (void)state;
    char path[4096];
    weights_folder("a");
    weights_folder("a/ORG");
    weights_folder("a/ORG/One");
    weights_folder("b");
    weights_folder("b/Two");
    weights_folder("b/One");
    snprintf(path, sizeof(path), "%s::%s", scratch("a"), scratch("b"));
    set_places(path, NULL);
    assert_folder(scratch("b/Two"), scratch("b/Two"));
    assert_folder("ORG/One", scratch("a/ORG/One"));
    assert_folder("ORG/Two", scratch("b/Two"));
    assert_folder("Two", scratch("b/Two"));
}

static void finds_the_revision_in_the_hub(void **state)
{
    (void)state;
    static const char *const folders[] = {"hub",
                                          "hub/models--ORG--M",
                                          "hub/models--ORG--M/refs",
                                          "hub/models--ORG--M/snapshots",
                                          "hub/models--ORG--M/snapshots/old",
                                          "hub/models--ORG--M/snapshots/new"};
    for (size_t i = 0; i < COUNT(folders); i++)
        weights_folder(folders[i]);
    const struct timespec old[2] = {{1000, 0}, {1000, 0}}, new[2] = {{2000, 0}, {2000, 0}};
    utimensat(AT_FDCWD, scratch(folders[4]), old, 0);
    utimensat(AT_FDCWD, scratch(folders[5]), new, 0);
    set_places(NULL, scratch("hub"));
    assert_folder("ORG/M", scratch(folders[5]));
    write_test_text(scratch("hub/models--ORG--M/refs/main"), "old\n");
    assert_folder("ORG/M", scratch(folders[4]));
    /* What says no folder beside the others is not followed. */
    write_test_text(scratch("hub/models--ORG--M/refs/main"), "../../../a");
    assert_folder("ORG/M", scratch(folders[5]));
    set_places(NULL, NULL);
    setenv("HF_HOME", scratch("home"), 1);
    weights_folder("home");
    assert_int_equal(rename(scratch("hub"), scratch("home/hub")), 0);
    assert_folder("ORG/M", scratch("home/hub/models--ORG--M/snapshots/new"));
    unsetenv("HF_HOME");
}

#define NEEDED "config.json and model.safetensors, or its shards with model.safetensors.index.json"

static void says_where_it_looked(void **state)
{
    (void)state;
    char message[4096];
    set_places(scratch("a"), scratch("nowhere"));
    snprintf(message, sizeof(message),
             "ORG/X: the model is not here; looked for the folders ORG/X, %s/ORG/X, %s/X, "
             "%s/models--ORG--X/snapshots; one of them has to hold " NEEDED
             ", as published under the name \"ORG/X\"",
             scratch("a"), scratch("a"), scratch("nowhere"));
    assert_not_found("ORG/X", CR_ERR_NOT_FOUND, message);
    assert_not_found("./gone", CR_ERR_NOT_FOUND,
                     "./gone: there is no such folder; a model is a folder that holds " NEEDED
                     ", or a public name such as \"ORG/NAME\"");
    assert_not_found("", CR_ERR_NOT_FOUND,
                     "\"\": there is no such folder; a model is a folder that holds " NEEDED
                     ", or a public name such as \"ORG/NAME\"");
    write_test_text(scratch("file"), "x");
    snprintf(message, sizeof(message), "%s: is no folder; a model is the folder that holds " NEEDED,
             scratch("file"));
    assert_not_found(scratch("file"), CR_ERR_ARGUMENT, message);
}

static void names_missing_files(void **state)
{
    (void)state;
    char *path = NULL, expected[4096];
    struct cr_error err = CR_ERROR_INIT;
    size_t count;
    set_places(scratch("a"), NULL);
    struct cr_model *model = open_model("ORG/One");
    assert_int_equal(cr_model_file(model, "config.json", &path, &err), CR_ERR_NOT_FOUND);
    assert_null(path);
    snprintf(expected, sizeof(expected),
             "%s: there is no config.json in this folder of the model \"ORG/One\"",
             cr_model_folder(model));
    assert_text("config", err.message, expected);
    assert_int_equal(cr_model_tensors(model, &count, &err), CR_ERR_NOT_FOUND);
    assert_non_null(
        strstr(err.message, "no model.safetensors and no model.safetensors.index.json"));
    assert_false(cr_model_has(model, "x"));
    write_test_text(scratch("a/ORG/One/config.json"), "{}");
    assert_int_equal(cr_model_file(model, "config.json", &path, &err), 0);
    assert_string_equal(path, scratch("a/ORG/One/config.json"));
    cr_free(path);
    cr_model_unref(&model);
}

/* ---- Shards ---- */

static void write_shards(void)
{
    const struct weight one[] = {{"b", "F32", 1, {2}, NULL}, {"both", "U8", 1, {1}, NULL}};
    const struct weight two[] = {{"a", "F16", 2, {2, 3}, NULL}, {"both", "U8", 1, {2}, NULL}};
    write_weights(scratch("shards/one.safetensors"), one, 2);
    write_weights(scratch("shards/two.safetensors"), two, 2);
}

static void reads_shards(void **state)
{
    (void)state;
    struct cr_error err = CR_ERROR_INIT;
    size_t count = 0;
    weights_folder("shards");
    write_shards();
    write_test_text(
        scratch("shards/model.safetensors.index.json"),
        "{\"metadata\":{\"total_size\":[1,{}]},\"weight_map\":{\"b\":\"one.safetensors\","
        "\"a\":\"two.safetensors\",\"both\":\"two.safetensors\"}}");
    struct cr_model *model = open_model(scratch("shards"));
    assert_int_equal(cr_model_tensors(model, &count, &err), 0);
    assert_int_equal(count, 3);
    struct cr_model_tensor a = cr_model_tensor(model, 0), both = cr_model_tensor(model, 2);
    assert_string_equal(a.name, "a");
    assert_string_equal(a.dtype, "F16");
    assert_int_equal(a.rank, 2);
    assert_int_equal(a.shape[1], 3);
    assert_int_equal(a.bytes, 12);
    assert_string_equal(a.file, scratch("shards/two.safetensors"));
    assert_string_equal(both.name, "both");
    assert_int_equal(both.bytes, 2);
    assert_true(cr_model_has(model, "b"));
    assert_false(cr_model_has(model, "c"));
    cr_model_unref(&model);
}

/* Two names, one file: each tensor is there once. */
static void reads_a_shard_with_two_names_once(void **state)
{
    (void)state;
    struct cr_error err = CR_ERROR_INIT;
    size_t count = 0;
    weights_folder("twice");
    const struct weight weights[] = {{"a", "F32", 1, {2}, NULL}, {"b", "U8", 1, {1}, NULL}};
    write_weights(scratch("twice/one.safetensors"), weights, 2);
    assert_int_equal(link(scratch("twice/one.safetensors"), scratch("twice/two.safetensors")), 0);
    write_test_text(scratch("twice/model.safetensors.index.json"),
                    "{\"weight_map\":{\"a\":\"one.safetensors\",\"b\":\"two.safetensors\"}}");
    struct cr_model *model = open_model(scratch("twice"));
    assert_int_equal(cr_model_tensors(model, &count, &err), 0);
    assert_int_equal(count, 2);
    assert_string_equal(cr_model_tensor(model, 0).name, "a");
    assert_string_equal(cr_model_tensor(model, 1).name, "b");
    cr_model_unref(&model);
}

static void refuses_a_bad_index(void **state)
{
    (void)state;
    static const struct {
        const char *index, *message;
    } cases[] = {
        {"[]", ":1:1: an object with \"weight_map\" is needed"},
        {"{}", ":1:3: \"weight_map\" is missing"},
        {"{\"weight_map\":[]}", ":1:15: \"weight_map\" has to be an object"},
        {"{\"weight_map\":{},\"weight_map\":{}}", ":1:18: \"weight_map\" stands there twice"},
        {"{\"weight_map\":{\"a\":1}}", ":1:20: \"a\": the name of a shard is needed, a string"},
        {"{\"weight_map\":{\"a\":\"../two.safetensors\"}}",
         ":1:20: \"../two.safetensors\" is no shard; a file name without folders is needed"},
        {"{\"weight_map\":{\"a\":\"..\"}}",
         ":1:20: \"..\" is no shard; a file name without folders is needed"},
        {"{\"weight_map\":{\"a\":\"\"}}",
         ":1:20: \"\" is no shard; a file name without folders is needed"},
        {"{\"weight_map\":{\"a\":\"two.safetensors\",\"a\":\"one.safetensors\"}}",
         ": \"a\" stands twice in \"weight_map\""},
        {"{\"weight_map\":{\"b\":\"two.safetensors\"}}",
         ": \"b\" is not in two.safetensors, where it should be"},
        {"{\"weight_map\":{\"a\":\"three.safetensors\"}}", " names a shard that is missing: "},
        {"{\"weight_map\":{\"a\":\"two.safetensors\",\"b\":\"one.safetensors\"}}",
         ": \"both\" is in several shards and not in the index, which would say in which"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct cr_error err = CR_ERROR_INIT;
        size_t count;
        write_test_text(scratch("shards/model.safetensors.index.json"), cases[i].index);
        struct cr_model *model = open_model(scratch("shards"));
        assert_true(cr_model_tensors(model, &count, &err) < 0);
        const char *path = scratch("shards/model.safetensors.index.json");
        if (strncmp(err.message, path, strlen(path)) != 0 ||
            strstr(err.message, cases[i].message) == NULL)
            fail_msg("%s\nlacks %s", err.message, cases[i].message);
        cr_model_unref(&model);
    }
}

/* ---- The store ---- */

static void opens_a_file_once(void **state)
{
    (void)state;
    struct cr_weights *first, *again, *linked, *changed;
    struct cr_error err = CR_ERROR_INIT;
    const struct weight weight = {"w", "U8", 1, {4}, NULL}, longer = {"w", "U8", 1, {5}, NULL};
    write_weights(scratch("store"), &weight, 1);
    assert_int_equal(link(scratch("store"), scratch("link")), 0);
    assert_int_equal(cr_weights_open(&first, scratch("store"), &err), 0);
    assert_int_equal(cr_weights_open(&again, scratch("store"), &err), 0);
    assert_int_equal(cr_weights_open(&linked, scratch("link"), &err), 0);
    assert_ptr_equal(first, again);
    assert_ptr_equal(first, linked);
    assert_int_equal(cr_weights_check(first, &err), 0);
    write_weights(scratch("store"), &longer, 1);
    assert_int_equal(cr_weights_open(&changed, scratch("store"), &err), 0);
    assert_ptr_not_equal(first, changed);
    assert_int_equal(cr_weights_check(first, &err), CR_ERR_IO);
    assert_non_null(strstr(err.message, "the file has been changed since it was opened"));
    cr_weights_unref(&first);
    cr_weights_unref(&again);
    cr_weights_unref(&linked);
    cr_weights_unref(&linked);
    cr_weights_unref(&changed);
    assert_int_equal(cr_weights_open(&first, "/dev/null", &err), CR_ERR_IO);
    assert_string_equal(err.message, "/dev/null: is no regular file; weights are read from one");
    assert_int_equal(mkfifo(scratch("fifo"), 0600), 0); /* without anybody who writes to it */
    alarm(60);
    assert_int_equal(cr_weights_open(&first, scratch("fifo"), &err), CR_ERR_IO);
    alarm(0);
    assert_non_null(strstr(err.message, "/fifo: is no regular file"));
    assert_int_equal(cr_weights_open(&first, scratch(""), &err), CR_ERR_IO);
    write_test_text(scratch("empty"), "");
    assert_int_equal(cr_weights_open(&first, scratch("empty"), &err), CR_ERR_FORMAT);
    assert_non_null(strstr(err.message, "/empty: 0 bytes are no safetensors file"));
}

struct heard {
    char text[512];
    int count;
};

static void hear(void *user, enum cr_log_level level, const char *subject, const char *message)
{
    struct heard *heard = user;
    assert_int_equal(level, CR_LOG_WARNING);
    snprintf(heard->text, sizeof(heard->text), "%s: %s", subject, message);
    heard->count++;
}

static void warns_of_what_nobody_wants(void **state)
{
    (void)state;
    struct heard heard = {.count = 0};
    const struct cr_log log = {.write = hear, .user = &heard, .level = CR_LOG_WARNING};
    const struct weight weights[] = {{"a", "F32", 1, {1}, NULL},
                                     {"b.x", "F32", 1, {1}, NULL},
                                     {"b.y", "F32", 1, {1}, NULL},
                                     {"c", "F32", 1, {1}, NULL}};
    struct cr_model *model;
    struct cr_claim *claim;
    struct cr_tensor *tensor = NULL;
    struct cr_error err = CR_ERROR_INIT;
    weights_folder("wanted");
    write_weights(scratch("wanted/model.safetensors"), weights, 4);
    assert_int_equal(cr_model_open(&model, scratch("wanted"), NULL, &err), 0);
    assert_int_equal(cr_claim_create(&claim, model, &err), 0);
    cr_claim_ignore(claim, "b.*");
    cr_claim_tensor(claim, &tensor, CR_DTYPE_F32, 1, (const int64_t[]){1}, 0, "a");
    assert_int_equal(cr_claim_load(claim, NULL, NULL, &err), 0);
    cr_model_warn_unclaimed(model, &log);
    assert_int_equal(heard.count, 1);
    assert_non_null(strstr(heard.text, ": no stage uses 1 of the 4 tensors in "));
    assert_non_null(strstr(heard.text, "/wanted: c"));
    cr_tensor_unref(&tensor);
    cr_claim_destroy(&claim);
    cr_model_unref(&model);
}

static int open_all(void *user, struct cr_error *err)
{
    struct cr_model *model = NULL;
    size_t count;
    int result = cr_model_open(&model, user, NULL, err);
    if (result == 0)
        result = cr_model_tensors(model, &count, err);
    cr_model_unref(&model);
    return result;
}

static void survives_faults(void **state)
{
    (void)state;
    char name[] = "ORG/Shards";
    write_test_text(scratch("shards/model.safetensors.index.json"),
                    "{\"weight_map\":{\"b\":\"one.safetensors\",\"both\":\"two.safetensors\"}}");
    assert_int_equal(symlink(scratch("shards"), scratch("a/ORG/Shards")), 0);
    set_places(scratch("a"), scratch("hub"));
    assert_true(sweep_faults(CR_FAULT_ALLOC, ENOMEM, open_all, NULL, name) > 20);
    assert_true(sweep_faults(CR_FAULT_READ, EIO, open_all, NULL, name) >= 5);
    assert_true(sweep_faults(CR_FAULT_OPEN, EACCES, open_all, NULL, name) >= 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_folders_and_names),
        cmocka_unit_test(finds_the_revision_in_the_hub),
        cmocka_unit_test(says_where_it_looked),
        cmocka_unit_test(names_missing_files),
        cmocka_unit_test(reads_shards),
        cmocka_unit_test(reads_a_shard_with_two_names_once),
        cmocka_unit_test(refuses_a_bad_index),
        cmocka_unit_test(opens_a_file_once),
        cmocka_unit_test(warns_of_what_nobody_wants),
        cmocka_unit_test(survives_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

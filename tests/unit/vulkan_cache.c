/* SPDX-License-Identifier: MIT */
/* Compiled pipelines on disk: kept, found again, and dropped on any doubt. */
#include <dirent.h>
#include <dlfcn.h>
#include <sys/stat.h>

#include "test.h"

#include "vulkan_hooks.h"

#include "tensor/device.h"

#define HEADER 88 /* bytes in front of what the driver gave */

/* ---- What the device says ---- */

static char notes[4096];

static void take_note(void *user, enum cr_log_level level, const char *subject, const char *message)
{
    (void)user;
    (void)level;
    size_t used = strlen(notes);
    snprintf(notes + used, sizeof(notes) - used, "%s: %s\n", subject, message);
}

static const struct cr_log log_notes = {.write = take_note, .level = CR_LOG_INFO};

/* ---- A driver that keeps pipelines, which software drivers do not ---- */

static struct {
    struct vk_api real;
    struct vk *vk;
    size_t given;     /* bytes that the cache was made from */
    int compilations; /* that were not found there */
} driver;

static VkResult create_cache(VkDevice device, const VkPipelineCacheCreateInfo *info,
                             const VkAllocationCallbacks *callbacks, VkPipelineCache *cache)
{
    VkPipelineCacheCreateInfo empty = *info;
    driver.given = info->initialDataSize;
    empty.initialDataSize = 0;
    return driver.real.CreatePipelineCache(device, &empty, callbacks, cache);
}

/* The header that the specification asks for, and 100 bytes. */
static VkResult get_data(VkDevice device, VkPipelineCache cache, size_t *bytes, void *data)
{
    (void)device;
    (void)cache;
    const VkPhysicalDeviceProperties *properties = &driver.vk->physical.properties;
    const uint32_t words[4] = {32, 1, properties->vendorID, properties->deviceID};
    if (data != NULL) {
        assert_true(*bytes >= 132);
        memcpy(data, words, sizeof(words));
        memcpy((char *)data + 16, properties->pipelineCacheUUID, VK_UUID_SIZE);
        memset((char *)data + 32, 'p', 100);
    }
    *bytes = 132;
    return VK_SUCCESS;
}

static VkResult create_pipelines(VkDevice device, VkPipelineCache cache, uint32_t count,
                                 const VkComputePipelineCreateInfo *infos,
                                 const VkAllocationCallbacks *callbacks, VkPipeline *pipelines)
{
    VkResult result =
        driver.real.CreateComputePipelines(device, cache, count, infos, callbacks, pipelines);
    const VkPipelineCreationFeedbackCreateInfoEXT *tell = infos->pNext;
    driver.compilations += driver.given == 0;
    if (tell != NULL)
        tell->pPipelineCreationFeedback->flags =
            VK_PIPELINE_CREATION_FEEDBACK_VALID_BIT_EXT |
            (driver.given > 0 ? VK_PIPELINE_CREATION_FEEDBACK_APPLICATION_PIPELINE_CACHE_HIT_BIT_EXT
                              : 0u);
    return result;
}

static void replace(void *user, struct vk_api *api)
{
    (void)user;
    if (api->CreatePipelineCache == NULL)
        return;
    driver.real = *api;
    api->CreatePipelineCache = create_cache;
    api->GetPipelineCacheData = get_data;
    api->CreateComputePipelines = create_pipelines;
}

static int open_replaced(void *state, const char *selector, const struct cr_device_params *params,
                         struct cr_error *err)
{
    static const struct vk_hooks hooks = {.loaded = replace};
    driver.vk = state;
    return vk_open(state, selector, params, &hooks, err);
}

static struct cr_device *open_with(int (*open)(void *, const char *,
                                               const struct cr_device_params *, struct cr_error *))
{
    static struct cr_device_ops ops;
    struct cr_device *device = NULL;
    struct cr_error err = CR_ERROR_INIT;
    const struct cr_device_params params = {.log = &log_notes};
    const char *name = getenv("CRAYON_TEST_VULKAN");
    if (name == NULL)
        skip_because("CRAYON_TEST_VULKAN names no driver");
    notes[0] = '\0';
    ops = vk_ops;
    ops.open = open;
    if (cr_device_create(&device, &ops, sizeof(struct vk), name, &params, &err) < 0)
        fail_msg("no device: %s", err.message);
    return device;
}

/* ---- Runs ---- */

/* Compile something, and look whether it computes. */
static void use(struct cr_device *device)
{
    struct cr_error err = CR_ERROR_INIT;
    struct cr_tensor *x = hooked_numbers(device, 10, 1, 1), *y = NULL;
    assert_int_equal(cr_op_reduce(&y, CR_OP_SUM, x, &err), 0);
    assert_true(hooked_read(y)[0] == 55);
    cr_tensor_unref(&x);
    cr_tensor_unref(&y);
}

static struct vk_pipelines run_once(void)
{
    struct cr_device *device = open_with(open_replaced);
    use(device);
    struct vk_pipelines pipelines = hooked_inside(device)->pipelines;
    cr_device_unref(&device);
    return pipelines;
}

/* ---- The file ---- */

/* A cache of this name, empty. */
static void use_cache(const char *name)
{
    setenv("XDG_CACHE_HOME", scratch(name), 1);
}

static const char *file(const char *name)
{
    static char path[512];
    char folder[256];
    snprintf(folder, sizeof(folder), "%s/crayon/vulkan", scratch(name));
    assert_int_equal(count_files(folder), 1);
    DIR *list = opendir(folder);
    struct dirent *entry = readdir(list);
    while (entry->d_name[0] == '.')
        entry = readdir(list);
    snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
    closedir(list);
    return path;
}

static void test_kept(void **state)
{
    (void)state;
    struct stat first, second, folder;
    use_cache("kept");
    assert_true(run_once().loaded == 0);
    assert_text("notes", notes, "");
    const char *path = file("kept");
    assert_int_equal(stat(path, &first), 0);
    assert_int_equal(stat(scratch("kept/crayon/vulkan"), &folder), 0);
    assert_int_equal(folder.st_mode & 0777, 0700);
    assert_int_equal(run_once().loaded, first.st_size - HEADER);
    assert_text("notes", notes, "");
    assert_int_equal(stat(path, &second), 0);
    assert_true(first.st_ino == second.st_ino);
}

static void test_nothing_compiled_twice(void **state)
{
    (void)state;
    use_cache("twice");
    run_once();
    driver.compilations = 0;
    struct cr_device *device = open_with(open_replaced);
    use(device);
    const struct vk_counters counters = hooked_inside(device)->counters;
    bool tells = hooked_inside(device)->physical.feedback;
    cr_device_unref(&device);
    assert_int_equal(driver.compilations, 0);
    assert_true(counters.pipelines > 0);
    if (!tells)
        skip_because("this driver does not tell what it found in its cache");
    assert_int_equal(counters.pipelines_kept, counters.pipelines);
}

/* The driver as it is: what it has kept it takes back, whatever that is. */
static void test_real_driver(void **state)
{
    (void)state;
    use_cache("real");
    for (int i = 0; i < 3; i++) {
        struct cr_device *device = open_with(vk_ops.open);
        use(device);
        cr_device_unref(&device);
        assert_text("notes", notes, "");
    }
}

/* What is done to a good file, and what is said then. */
static const struct {
    const char *name;
    int at;       /* a byte that is changed, from the end if negative; 0: none */
    size_t bytes; /* that are left; 0: all */
    const char *reason;
} doubts[] = {
    {"empty", 0, 0, "it is too short"},
    {"short", 0, HEADER - 1, "it is too short"},
    {"other magic", 1, 0, "it is no pipeline cache"},
    {"other format", 8, 0, "it has another format"},
    {"other vendor", 16, 0, "another driver or device wrote it"},
    {"other driver version", 28, 0, "another driver or device wrote it"},
    {"other device", 33, 0, "another driver or device wrote it"},
    {"other cache", 50, 0, "another driver or device wrote it"},
    {"other shaders", 64, 0, "it was made from other shaders"},
    {"other length", 72, 0, "it was cut off"},
    {"cut off", 0, HEADER + 5, "it was cut off"},
    {"other hash", 81, 0, "it is damaged"},
    {"damaged", -1, 0, "it is damaged"},
};

static void spoil(const char *path, size_t index)
{
    size_t size;
    char *data = read_test_file(path, &size);
    char *copy = malloc(size);
    assert_non_null(copy);
    memcpy(copy, data, size);
    if (doubts[index].at != 0)
        copy[doubts[index].at < 0 ? (int)size + doubts[index].at : doubts[index].at] ^= 0x40;
    bool empty = strcmp(doubts[index].name, "empty") == 0;
    write_test_file(path, copy, empty ? 0 : doubts[index].bytes > 0 ? doubts[index].bytes : size);
    free(copy);
}

static void test_doubts(void **state)
{
    (void)state;
    char expected[1024];
    use_cache("doubts");
    run_once();
    const char *path = file("doubts");
    for (size_t i = 0; i < COUNT(doubts); i++) {
        spoil(path, i);
        assert_true(run_once().loaded == 0);
        snprintf(expected, sizeof(expected),
                 "device-vulkan: %s: not used, %s; pipelines are compiled anew\n", path,
                 doubts[i].reason);
        assert_text(doubts[i].name, notes, expected);
        assert_true(run_once().loaded > 0); /* it was replaced by a good one */
        assert_text(doubts[i].name, notes, "");
    }
}

/* What the driver wrote itself is looked at too: a hash that fits does not help. */
static void test_driver_header(void **state)
{
    (void)state;
    use_cache("header");
    run_once();
    const char *path = file("header");
    size_t size;
    char *data = read_test_file(path, &size);
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    data[HEADER + 20] ^= 1; /* in the UUID of the driver's cache */
    for (size_t i = HEADER; i < size; i++)
        hash = (hash ^ (uint8_t)data[i]) * UINT64_C(0x100000001b3);
    memcpy(data + 80, &hash, sizeof(hash));
    write_test_file(path, data, size);
    assert_true(run_once().loaded == 0);
    assert_non_null(strstr(notes, "the driver's own header in it does not fit"));
}

static void test_no_place(void **state)
{
    (void)state;
    char expected[1024];
    write_test_text(scratch("plain"), "");
    use_cache("plain");
    assert_true(run_once().loaded == 0);
    snprintf(expected, sizeof(expected), "device-vulkan: compiled pipelines cannot be kept: %s",
             scratch("plain"));
    assert_true(strncmp(notes, expected, strlen(expected)) == 0);
}

static void test_switched_off(void **state)
{
    (void)state;
    struct stat st;
    struct cr_device *device = NULL;
    struct cr_error err = CR_ERROR_INIT;
    use_cache("off");
    setenv("CRAYON_VULKAN_CACHE", "off", 1);
    assert_true(run_once().loaded == 0);
    assert_int_equal(stat(scratch("off/crayon"), &st), -1);
    setenv("CRAYON_VULKAN_CACHE", "no", 1);
    assert_int_equal(cr_device_create(&device, &vk_ops, sizeof(struct vk),
                                      getenv("CRAYON_TEST_VULKAN"), NULL, &err),
                     CR_ERR_ARGUMENT);
    assert_text("message", err.message, "CRAYON_VULKAN_CACHE is \"no\"; it may be on or off");
    cr_error_clear(&err);
    unsetenv("CRAYON_VULKAN_CACHE");
}

int main(void)
{
    /* The loader unloads drivers, and then nobody can tell that a leak is theirs: keep them. */
    (void)dlopen("libvulkan_lvp.so", RTLD_LAZY | RTLD_NODELETE);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kept),          cmocka_unit_test(test_nothing_compiled_twice),
        cmocka_unit_test(test_real_driver),   cmocka_unit_test(test_doubts),
        cmocka_unit_test(test_driver_header), cmocka_unit_test(test_no_place),
        cmocka_unit_test(test_switched_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* Every Vulkan call that can fail does so once: an error that says why, nothing left behind, and
 * the next run is as if nothing had been. */
#include "test.h"

#include "base/fault.h"
#include "fault_sweep.h"
#include "vulkan_hooks.h"

#define NUMBERS 500

/* What a run found out about itself. */
struct trace {
    struct cr_error again; /* of a call after the failure */
    bool opened;
    double seconds; /* that the call after the failure and the end took */
};

/* max(softmax(x + x) x x), which is known. */
static int compute(struct cr_device *device, struct cr_error *err)
{
    float numbers[NUMBERS], *found = calloc(NUMBERS, sizeof(*found));
    const int64_t count = NUMBERS;
    struct cr_tensor *x = NULL, *sum = NULL, *soft = NULL, *y = NULL;
    for (int i = 0; i < NUMBERS; i++)
        numbers[i] = 1;
    int result = cr_tensor_upload(&x, device, CR_DTYPE_F32, 1, &count, numbers, err);
    if (result == 0)
        result = cr_op_add(&sum, x, x, err);
    if (result == 0)
        result = cr_device_finish(device, err);
    if (result == 0)
        result = cr_op_reduce(&soft, CR_OP_SOFTMAX, sum, err);
    if (result == 0)
        result = cr_op_mul(&y, soft, x, err);
    if (result == 0)
        result = cr_tensor_read(y, found, NUMBERS * sizeof(*found), err);
    for (int i = 0; result == 0 && i < NUMBERS; i++)
        assert_true(found[i] > 0.00199f && found[i] < 0.00201f);
    free(found);
    cr_tensor_unref(&x);
    cr_tensor_unref(&sum);
    cr_tensor_unref(&soft);
    cr_tensor_unref(&y);
    return result;
}

static int run(struct trace *trace, struct cr_error *err)
{
    struct cr_device *device = NULL;
    memset(trace, 0, sizeof(*trace));
    int result = hooked_open(&device, err);
    if (result < 0)
        return result;
    trace->opened = true;
    /* Memory that the host does not see: more calls, more ways. */
    hooked_inside(device)->heap.mapped = hooked_inside(device)->heap.cached = false;
    result = compute(device, err);
    double start = vk_seconds();
    (void)compute(device, &trace->again);
    cr_device_unref(&device);
    trace->seconds = vk_seconds() - start;
    return result;
}

static void check_clean(int64_t memory, const char *what)
{
    if (hooked_objects() != 0 || cr_memory_live() != memory)
        fail_msg("%s: %d Vulkan objects and %lld allocations are left", what, hooked_objects(),
                 (long long)(cr_memory_live() - memory));
}

/* Calls whose failure need not stop anything: a time that was not measured, pipelines that are not
 * kept, a block for which a smaller one will do. */
static bool dispensable(const char *call)
{
    return strncmp(call, "vkGetQueryPoolResults ", 22) == 0 ||
           strncmp(call, "vkGetPipelineCacheData ", 23) == 0 || strstr(call, " memory.c") != NULL;
}

/* Calls after which work that was recorded is gone: the device says so from then on. */
static bool fatal(const char *call)
{
    static const char *const calls[] = {"vkQueueSubmit ",      "vkWaitSemaphores ",
                                        "vkResetCommandPool ", "vkBeginCommandBuffer ",
                                        "vkEndCommandBuffer ", "vkGetSemaphoreCounterValue "};
    for (size_t i = 0; i < COUNT(calls); i++)
        if (strncmp(call, calls[i], strlen(calls[i])) == 0)
            return true;
    return false;
}

static void check_failure(const struct trace *trace, const char *call, VkResult result, int code,
                          const struct cr_error *err)
{
    const char *reason = vk_result_name(result);
    bool first = code != 0; /* else the work after it met the failure */
    const char *message = first ? err->message : trace->again.message;
    if (code == 0 && trace->again.code == 0) {
        if (!dispensable(call))
            fail_msg("%s: %s was passed over", call, reason);
        return;
    }
    if (result != VK_TIMEOUT && strstr(message, reason) == NULL &&
        strstr(message, "out of memory") == NULL)
        fail_msg("%s: %s is not in \"%s\"", call, reason, message);
    if (fatal(call) && trace->opened) {
        assert_non_null(strstr(message, "is lost"));
        assert_non_null(strstr(message, "unfinished: "));
        /* The same again, at once. */
        if (first && (code != CR_ERR_DEVICE || strstr(trace->again.message, "is lost") == NULL))
            fail_msg("%s: then %s", call, trace->again.message);
    }
    assert_true(trace->seconds < 20);
}

static int sweep(const char *call, VkResult result)
{
    struct trace trace;
    struct cr_error err;
    int64_t memory = cr_memory_live();
    for (int n = 1;; n++) {
        cr_error_clear(&err);
        hooked_fail(call, n, result);
        int code = run(&trace, &err);
        const char *failed = hooked_failed();
        char what[200];
        snprintf(what, sizeof(what), "%s (call %d)", failed == NULL ? "nothing" : failed, n);
        check_clean(memory, what);
        if (failed == NULL) {
            if (code != 0)
                fail_msg("undisturbed: %s", err.message);
            return n - 1;
        }
        check_failure(&trace, failed, result, code, &err);
    }
}

static void test_no_memory(void **state)
{
    (void)state;
    assert_true(sweep(NULL, VK_ERROR_OUT_OF_DEVICE_MEMORY) > 30);
}

static void test_lost(void **state)
{
    (void)state;
    assert_true(sweep("vkQueueSubmit", VK_ERROR_DEVICE_LOST) >= 2);
    assert_true(sweep("vkWaitSemaphores", VK_ERROR_DEVICE_LOST) >= 2);
    (void)sweep("vkGetSemaphoreCounterValue", VK_ERROR_DEVICE_LOST);
    assert_true(sweep("vkCreateComputePipelines", VK_ERROR_DEVICE_LOST) >= 2);
}

static void test_late(void **state)
{
    (void)state;
    assert_true(sweep("vkWaitSemaphores", VK_TIMEOUT) >= 2);
}

static int open_and_run(void *user, struct cr_error *err)
{
    (void)user;
    struct trace trace;
    int result = run(&trace, err);
    assert_int_equal(hooked_objects(), 0);
    return result;
}

static void test_no_host_memory(void **state)
{
    (void)state;
    hooked_fail(NULL, 0, VK_SUCCESS);
    assert_true(sweep_faults(CR_FAULT_ALLOC, 12, open_and_run, NULL, NULL) > 10);
}

/* It never comes back: the end does not wait for ever, and what the driver may still use is left.
 */
static void test_hanging(void **state)
{
    (void)state;
    struct trace trace;
    struct cr_error err = CR_ERROR_INIT;
    int64_t memory = cr_memory_live();
    hooked_fail("vkWaitSemaphores", -1, VK_TIMEOUT);
    assert_int_equal(run(&trace, &err), CR_ERR_DEVICE);
    assert_non_null(strstr(err.message, "was not done after"));
    assert_non_null(strstr(err.message, "unfinished: copies, add"));
    assert_true(trace.seconds < 20);
    assert_int_equal(cr_memory_live(), memory);
    assert_true(hooked_objects() > 0);
    hooked_forget();
    hooked_fail(NULL, 0, VK_SUCCESS);
    cr_error_clear(&err);
    assert_int_equal(run(&trace, &err), 0);
    check_clean(memory, "the run after");
}

int main(void)
{
    /* A file that an earlier run left would have a second chance without it. */
    setenv("CRAYON_VULKAN_CACHE", "off", 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_memory), cmocka_unit_test(test_lost),
        cmocka_unit_test(test_late),      cmocka_unit_test(test_no_host_memory),
        cmocka_unit_test(test_hanging),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* How much memory is left: what is told by files as Linux has them. */
#include <sys/stat.h>

#include "base/available.h"
#include "test.h"

/* A file below the folder that stands for the root, with the folders on the way. */
static void put(const char *path, const char *text)
{
    char full[512];
    int root = snprintf(full, sizeof(full), "%s", scratch("root"));
    mkdir(full, 0777);
    snprintf(full + root, sizeof(full) - (size_t)root, "%s", path);
    for (char *slash = full + root + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = '\0';
        mkdir(full, 0777);
        *slash = '/';
    }
    write_test_text(full, text);
}

static void put_memory(void)
{
    put("/proc/meminfo", "MemTotal:       16000 kB\nMemFree:  7 kB\nMemAvailable:    9000 kB\n");
}

static uint64_t available(void)
{
    return cr_memory_available_in(scratch("root"));
}

static void is_what_the_system_says(void **state)
{
    (void)state;
    assert_int_equal(available(), 0);
    put_memory();
    assert_int_equal(available(), 9000 * 1024);
    put("/proc/self/cgroup", "0::/\n");
    assert_int_equal(available(), 9000 * 1024);
}

static void keeps_to_control_groups(void **state)
{
    (void)state;
    put_memory();
    put("/proc/self/cgroup", "0::/user/session\n");
    put("/sys/fs/cgroup/user/session/memory.max", "max\n");
    put("/sys/fs/cgroup/user/session/memory.current", "300\n");
    assert_int_equal(available(), 9000 * 1024);
    put("/sys/fs/cgroup/user/memory.max", "5000000\n");
    put("/sys/fs/cgroup/user/memory.current", "2000000\n");
    assert_int_equal(available(), 3000000);
    put("/sys/fs/cgroup/user/memory.stat", "anon 7\ninactive_file 500000\nactive_file 9\n");
    assert_int_equal(available(), 3500000);
    put("/sys/fs/cgroup/user/session/memory.max", "1000\n");
    assert_int_equal(available(), 700);
    put("/sys/fs/cgroup/user/session/memory.current", "1001\n");
    assert_int_equal(available(), 0);
}

static void knows_the_first_version(void **state)
{
    (void)state;
    put_memory();
    put("/proc/self/cgroup", "9:name=systemd:/\n4:cpu,memory_x:/a\n3:memory:/job\n0::/nowhere\n");
    put("/sys/fs/cgroup/memory/job/memory.limit_in_bytes", "4000000\n");
    put("/sys/fs/cgroup/memory/job/memory.usage_in_bytes", "1000000\n");
    put("/sys/fs/cgroup/memory/job/memory.stat", "inactive_file 1\ntotal_inactive_file 2000\n");
    put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    put("/sys/fs/cgroup/memory/memory.usage_in_bytes", "1000000\n");
    assert_int_equal(available(), 3002000);
}

static void survives_nonsense(void **state)
{
    (void)state;
    static const char *const groups[] = {
        "", "0", "0:", "0::", "::", "memory:memory:memory", "\n\n", "0::x", "1:memory:"};
    put_memory();
    for (size_t i = 0; i < COUNT(groups); i++) {
        put("/proc/self/cgroup", groups[i]);
        assert_true(available() <= 9000 * 1024);
    }
    put("/proc/meminfo", "MemAvailable: lots\n");
    put("/proc/self/cgroup", "");
    assert_int_equal(available(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_what_the_system_says),
        cmocka_unit_test(keeps_to_control_groups),
        cmocka_unit_test(knows_the_first_version),
        cmocka_unit_test(survives_nonsense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

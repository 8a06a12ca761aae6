/* SPDX-License-Identifier: MIT */
/* The self-test of a device, as `crayon devices --check` shows it. */
#include <string.h>

#include "command/common.h"
#include "command/devices/devices.h"
#include "tensor/cases.h"

static bool passed(const struct cr_selftest_result *result)
{
    return result->failed == 0;
}

/* A bound of 0 asks for the same bits. */
static void print_bound(double bound)
{
    if (bound > 0)
        print("%7.0e", bound);
    else
        print("%7s", "exact");
}

static void print_operation(enum cr_op op, const struct cr_selftest_result *result)
{
    print("    %-20s  %7.1e  ", cr_op_name(op), result->error);
    print_bound(result->bound);
    print("  %-6s  %s\n", passed(result) ? "ok" : "FAILED", result->worst);
    if (!passed(result) && result->variant[0] != '\0')
        print("        executed by the variant %s\n", result->variant);
    if (result->problem[0] != '\0') {
        print("        ");
        print_wrapped(result->problem, 8, 8);
    }
}

static void add_operation(struct cr_text *json, enum cr_op op,
                          const struct cr_selftest_result *result)
{
    cr_text_add(json, "{");
    add_member(json, "name", cr_op_name(op));
    cr_text_printf(json, ",\"ok\":%s,\"cases\":%d,\"failed\":%d,",
                   passed(result) ? "true" : "false", result->cases, result->failed);
    add_number(json, "error", result->error);
    cr_text_add(json, ",");
    add_number(json, "bound", result->bound);
    cr_text_add(json, ",");
    add_member(json, "worst", result->worst);
    cr_text_add(json, ",");
    add_member(json, "variant", result->variant);
    if (result->problem[0] != '\0') {
        cr_text_add(json, ",");
        add_member(json, "problem", result->problem);
    }
    cr_text_add(json, "}");
}

struct tally {
    int operations, cases, failed;
};

static int check_all(struct cr_device *device, struct cr_text *json, struct tally *tally,
                     struct cr_error *err)
{
    for (int op = 1; op < CR_OP_COUNT; op++) {
        struct cr_selftest_result result;
        progress_show("check", (double)op / CR_OP_COUNT);
        int code = cr_selftest_run(device, (enum cr_op)op, &result, err);
        if (code < 0)
            return code;
        if (json != NULL) {
            cr_text_add(json, tally->operations > 0 ? "," : "");
            add_operation(json, (enum cr_op)op, &result);
        } else {
            print_operation((enum cr_op)op, &result);
        }
        tally->operations++;
        tally->cases += result.cases;
        tally->failed += !passed(&result);
    }
    return 0;
}

int device_check(const struct cr_registry *registry, const char *name, struct cr_text *json)
{
    struct cr_error err = CR_ERROR_INIT;
    struct cr_device *device = NULL;
    struct tally tally = {0, 0, 0};
    if (json != NULL)
        cr_text_add(json, "\"operations\":[");
    else
        print("    %-20s  %7s  %7s  %-6s  worst case\n", "operation", "error", "bound", "");
    int result = cr_device_open(&device, registry, name, NULL, &err);
    if (result == 0)
        result = check_all(device, json, &tally, &err);
    cr_device_unref(&device);
    bool ok = result == 0 && tally.failed == 0;
    if (json != NULL)
        cr_text_printf(json, "],\"ok\":%s", ok ? "true" : "false");
    else if (ok)
        print("    all %d operations are right in %d cases\n", tally.operations, tally.cases);
    else if (result == 0)
        print("    FAILED: %d of %d operations\n", tally.failed, tally.operations);
    return result < 0 ? say_failure(&err) : ok ? EXIT_OK : EXIT_FAILED;
}

/* SPDX-License-Identifier: MIT */
/* Fuzz target: a case of `crayon verify`, run on the processor. */
#include "fuzz.h"

#include <stdlib.h>

#include <crayon/crayon.h>

#include "verify/verify.h"

static struct cr_registry *registry;
static struct cr_verify *session;

static void finish(void)
{
    cr_verify_destroy(&session);
    cr_registry_destroy(&registry);
}

static void start(void)
{
    struct cr_error err = CR_ERROR_INIT;
    fuzz_assert(cr_registry_create(&registry, NULL, &err) == 0);
    const struct cr_verify_params params = {.registry = registry, .threads = 1};
    fuzz_assert(cr_verify_create(&session, &params, &err) == 0 && atexit(finish) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cr_error err = CR_ERROR_INIT;
    struct cr_verified verified;
    const char *path = fuzz_path("f.case.json");
    if (session == NULL)
        start();
    fuzz_write(path, data, size);
    int result = cr_verify_case(&verified, session, path, "cpu", &err);
    fuzz_result(result, result == 0, &err);
    if (result < 0)
        return 0;
    fuzz_assert(verified.verdict == CR_VERDICT_PASSED || verified.count > 0 ||
                cr_report_count(verified.report) > 0);
    cr_verified_finish(&verified);
    return 0;
}

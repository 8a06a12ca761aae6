/* SPDX-License-Identifier: MIT */
/* Fuzz target: a pipeline file, checked against the plugins of the build tree. What is accepted
 * prints as a pipeline that is accepted and prints the same. */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include <crayon/crayon.h>

static struct cr_registry *registry;

static void destroy_registry(void)
{
    cr_registry_destroy(&registry);
}

static void create_registry(void)
{
    struct cr_error err = CR_ERROR_INIT;
    fuzz_assert(cr_registry_create(&registry, NULL, &err) == 0 && atexit(destroy_registry) == 0);
}

static struct cr_pipeline *parse(const char *text, size_t size)
{
    struct cr_pipeline *pipeline = NULL;
    struct cr_report *report = cr_report_create();
    struct cr_error err = CR_ERROR_INIT;
    int result = cr_pipeline_parse(&pipeline, registry, text, size, fuzz_path("f.json"), NULL, 0,
                                   report, &err);
    fuzz_result(result, pipeline != NULL, &err);
    fuzz_assert((result == CR_ERR_PIPELINE) == (cr_report_errors(report) > 0));
    for (size_t i = 0; i < cr_report_count(report); i++)
        cr_free(cr_finding_text(cr_report_get(report, i)));
    cr_report_destroy(&report);
    return pipeline;
}

static char *print(const struct cr_pipeline *pipeline)
{
    struct cr_error err = CR_ERROR_INIT;
    char *json = NULL, *dot = NULL;
    fuzz_assert(cr_pipeline_print(pipeline, &json, &err) == 0);
    fuzz_assert(cr_pipeline_graph(pipeline, &dot, &err) == 0);
    cr_free(dot);
    return json;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (registry == NULL)
        create_registry();
    struct cr_pipeline *pipeline = parse((const char *)data, size);
    if (pipeline == NULL)
        return 0;
    char *json = print(pipeline);
    cr_pipeline_destroy(&pipeline);
    pipeline = parse(json, strlen(json));
    fuzz_assert(pipeline != NULL);
    char *again = print(pipeline);
    fuzz_assert(strcmp(json, again) == 0);
    cr_free(again);
    cr_free(json);
    cr_pipeline_destroy(&pipeline);
    return 0;
}

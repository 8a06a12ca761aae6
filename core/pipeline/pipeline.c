/* SPDX-License-Identifier: MIT */
/* pipeline.c: loading as a whole, and looking at the result. */
#include <assert.h>

#include "base/paths.h"
#include "pipeline/models.h"
#include "pipeline/pipeline.h"
#include "pipeline/run.h"

static int set_name(struct cr_pipeline *pipeline, struct cr_error *err)
{
    const cJSON *name = cr_json_get(pipeline->tree, "name");
    pipeline->name = cJSON_IsString(name) ? cr_strdup(name->valuestring)
                                          : cr_path_stem(pipeline->layers[1].file);
    return pipeline->name != NULL ? 0 : cr_fail_memory(err, 1);
}

/* Everything up to a checked graph, or as far as it makes sense to go. */
static int load(struct cr_pipeline *pipeline, const char *path, const char *text, size_t size,
                const char *const *sets, size_t count, struct cr_report *report,
                struct cr_error *err)
{
    size_t before = cr_report_errors(report);
    int result = cr_layers_load(pipeline, path, text, size, report, err);
    if (result == 0 && cr_report_errors(report) == before)
        result = cr_layers_merge(pipeline, sets, count, report, err);
    if (result == 0 && pipeline->tree != NULL)
        result = cr_pipeline_check(pipeline, report, err);
    if (result < 0)
        return result;
    size_t mistakes = cr_report_errors(report) - before;
    if (mistakes > 0)
        return cr_fail(err, CR_ERR_PIPELINE, "%s: %zu mistake%s", path, mistakes,
                       mistakes == 1 ? "" : "s");
    return set_name(pipeline, err);
}

static int create(struct cr_pipeline **out, const struct cr_registry *registry, const char *path,
                  const char *text, size_t size, const char *const *sets, size_t count,
                  struct cr_report *report, struct cr_error *err)
{
    assert(report != NULL);
    *out = NULL;
    struct cr_pipeline *pipeline = cr_calloc(1, sizeof(*pipeline));
    if (pipeline == NULL)
        return cr_fail_memory(err, sizeof(*pipeline));
    pipeline->registry = registry;
    int result = load(pipeline, path, text, size, sets, count, report, err);
    if (result < 0)
        cr_pipeline_destroy(&pipeline);
    *out = pipeline;
    return result;
}

int cr_pipeline_load(struct cr_pipeline **out, const struct cr_registry *registry, const char *path,
                     const char *const *sets, size_t count, struct cr_report *report,
                     struct cr_error *err)
{
    return create(out, registry, path, NULL, 0, sets, count, report, err);
}

int cr_pipeline_parse(struct cr_pipeline **out, const struct cr_registry *registry,
                      const char *text, size_t size, const char *name, const char *const *sets,
                      size_t count, struct cr_report *report, struct cr_error *err)
{
    assert(text != NULL);
    return create(out, registry, name, text, size, sets, count, report, err);
}

void cr_pipeline_destroy(struct cr_pipeline **pipeline)
{
    struct cr_pipeline *old = *pipeline;
    *pipeline = NULL;
    if (old == NULL)
        return;
    for (size_t i = 0; i < old->node_count; i++)
        cr_node_close(&old->nodes[i]);
    cr_models_release(old);
    cr_devices_close(old);
    cr_names_finish(&old->input_names);
    cr_names_finish(&old->node_names);
    cr_layers_finish(old);
    cr_arena_finish(&old->arena);
    cr_free(old->name);
    cr_free(old);
}

/* ---- Looking ---- */

const char *cr_pipeline_name(const struct cr_pipeline *pipeline)
{
    return pipeline->name;
}

size_t cr_pipeline_inputs(const struct cr_pipeline *pipeline)
{
    return pipeline->input_count;
}

struct cr_pipeline_port cr_pipeline_input(const struct cr_pipeline *pipeline, size_t index)
{
    assert(index < pipeline->input_count);
    const struct cr_source *input = &pipeline->inputs[index];
    return (struct cr_pipeline_port){.name = input->name, .type = input->type};
}

size_t cr_pipeline_outputs(const struct cr_pipeline *pipeline)
{
    return pipeline->output_count;
}

struct cr_pipeline_port cr_pipeline_output(const struct cr_pipeline *pipeline, size_t index)
{
    assert(index < pipeline->output_count);
    const struct cr_output *output = &pipeline->outputs[index];
    return (struct cr_pipeline_port){output->name, output->source->type, output->wire};
}

size_t cr_pipeline_stages(const struct cr_pipeline *pipeline)
{
    return pipeline->node_count;
}

struct cr_pipeline_stage cr_pipeline_stage(const struct cr_pipeline *pipeline, size_t index)
{
    assert(index < pipeline->node_count);
    const struct cr_node *node = pipeline->order[index];
    return (struct cr_pipeline_stage){node->name, node->element};
}

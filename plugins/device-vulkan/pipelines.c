/* SPDX-License-Identifier: MIT */
/* Compiled pipelines: made when they are first needed, found again by shader and specialisation. */
#include <string.h>

#include "vk.h"

#define FIRST_SIZE 256

int vk_pipelines_init(struct vk *vk, struct cr_error *err)
{
    struct vk_pipelines *pipelines = &vk->pipelines;
    if ((pipelines->table = cr_calloc(FIRST_SIZE, sizeof(*pipelines->table))) == NULL)
        return cr_fail_memory(err, FIRST_SIZE * sizeof(*pipelines->table));
    pipelines->size = FIRST_SIZE;
    const VkPushConstantRange range = {VK_SHADER_STAGE_COMPUTE_BIT, 0, VK_MAX_PUSH};
    const VkPipelineLayoutCreateInfo layout = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
        .pushConstantRangeCount = 1,
        .pPushConstantRanges = &range,
    };
    VkResult result =
        VK_CALL(&vk->api, CreatePipelineLayout, vk->device, &layout, NULL, &pipelines->layout);
    if (result != VK_SUCCESS)
        return vk_fail(err, result, "vkCreatePipelineLayout");
    return vk_cache_init(vk, err);
}

void vk_pipelines_finish(struct vk *vk)
{
    struct vk_pipelines *pipelines = &vk->pipelines;
    bool given_up = vk->device == VK_NULL_HANDLE; /* see vk_close() */
    if (!given_up && pipelines->cache != VK_NULL_HANDLE)
        vk_cache_save(vk);
    for (size_t i = 0; !given_up && i < pipelines->size; i++)
        if (pipelines->table[i].shader != NULL)
            vk->api.DestroyPipeline(vk->device, pipelines->table[i].handle, NULL);
    if (!given_up && pipelines->cache != VK_NULL_HANDLE)
        vk->api.DestroyPipelineCache(vk->device, pipelines->cache, NULL);
    if (!given_up && pipelines->layout != VK_NULL_HANDLE)
        vk->api.DestroyPipelineLayout(vk->device, pipelines->layout, NULL);
    cr_free(pipelines->table);
    memset(pipelines, 0, sizeof(*pipelines));
}

/* ---- The table ---- */

/* FNV-1a, by words. */
static size_t hash(const struct vk_shader *shader, bool subgroup, const uint32_t *spec,
                   uint32_t specs)
{
    uint64_t value = UINT64_C(0xcbf29ce484222325) ^ (uintptr_t)shader;
    value = (value ^ subgroup) * UINT64_C(0x100000001b3);
    for (uint32_t i = 0; i < specs; i++)
        value = (value ^ spec[i]) * UINT64_C(0x100000001b3);
    return (size_t)(value ^ value >> 32);
}

static bool equal(const struct vk_pipeline *pipeline, const struct vk_dispatch *d)
{
    return pipeline->shader == d->shader && pipeline->subgroup == d->subgroup &&
           pipeline->specs == d->specs &&
           memcmp(pipeline->spec, d->spec, d->specs * sizeof(d->spec[0])) == 0;
}

/* The place of this pipeline, or the empty one where it belongs. */
static struct vk_pipeline *place(const struct vk_pipelines *pipelines, const struct vk_dispatch *d)
{
    size_t at = hash(d->shader, d->subgroup, d->spec, d->specs);
    for (;; at++) {
        struct vk_pipeline *pipeline = &pipelines->table[at & (pipelines->size - 1)];
        if (pipeline->shader == NULL || equal(pipeline, d))
            return pipeline;
    }
}

static int grow(struct vk_pipelines *pipelines, struct cr_error *err)
{
    size_t size = pipelines->size * 2;
    struct vk_pipeline *table = cr_calloc(size, sizeof(*table));
    if (table == NULL)
        return cr_fail_memory(err, size * sizeof(*table));
    for (size_t i = 0; i < pipelines->size; i++) {
        const struct vk_pipeline *old = &pipelines->table[i];
        if (old->shader == NULL)
            continue;
        size_t at = hash(old->shader, old->subgroup, old->spec, old->specs);
        while (table[at & (size - 1)].shader != NULL)
            at++;
        table[at & (size - 1)] = *old;
    }
    cr_free(pipelines->table);
    pipelines->table = table;
    pipelines->size = size;
    return 0;
}

/* ---- Compiling ---- */

static int compile_module(struct vk *vk, const struct vk_dispatch *d, VkShaderModule module,
                          VkPipeline *pipeline, struct cr_error *err)
{
    VkSpecializationMapEntry entries[VK_MAX_SPECS];
    for (uint32_t i = 0; i < d->specs; i++)
        entries[i] =
            (VkSpecializationMapEntry){i, i * (uint32_t)sizeof(uint32_t), sizeof(uint32_t)};
    const VkSpecializationInfo specialisation = {d->specs, entries, d->specs * sizeof(uint32_t),
                                                 d->spec};
    const VkPipelineShaderStageRequiredSubgroupSizeCreateInfoEXT subgroup = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO_EXT,
        .requiredSubgroupSize = vk->caps.subgroup,
    };
    VkPipelineCreationFeedbackEXT feedback[2] = {{.flags = 0}};
    const VkPipelineCreationFeedbackCreateInfoEXT tell = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_CREATION_FEEDBACK_CREATE_INFO_EXT,
        .pPipelineCreationFeedback = &feedback[0],
        .pipelineStageCreationFeedbackCount = 1,
        .pPipelineStageCreationFeedbacks = &feedback[1],
    };
    const VkComputePipelineCreateInfo create = {
        .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
        .pNext = vk->physical.feedback ? &tell : NULL,
        .flags = VK_PIPELINE_CREATE_DISPATCH_BASE_BIT,
        .stage =
            {
                .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                .pNext = d->subgroup ? &subgroup : NULL,
                .flags = d->subgroup
                             ? VK_PIPELINE_SHADER_STAGE_CREATE_REQUIRE_FULL_SUBGROUPS_BIT_EXT
                             : 0,
                .stage = VK_SHADER_STAGE_COMPUTE_BIT,
                .module = module,
                .pName = "main",
                .pSpecializationInfo = &specialisation,
            },
        .layout = vk->pipelines.layout,
        .basePipelineIndex = -1,
    };
    VkResult result = VK_CALL(&vk->api, CreateComputePipelines, vk->device, vk->pipelines.cache, 1,
                              &create, NULL, pipeline);
    if (result != VK_SUCCESS)
        return vk_fail_call(vk, err, result, "vkCreateComputePipelines");
    const VkPipelineCreationFeedbackFlagsEXT kept =
        VK_PIPELINE_CREATION_FEEDBACK_VALID_BIT_EXT |
        VK_PIPELINE_CREATION_FEEDBACK_APPLICATION_PIPELINE_CACHE_HIT_BIT_EXT;
    vk->counters.pipelines_kept += (feedback[0].flags & kept) == kept;
    return 0;
}

static int compile(struct vk *vk, const struct vk_dispatch *d, VkPipeline *pipeline,
                   struct cr_error *err)
{
    const VkShaderModuleCreateInfo create = {
        .sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
        .codeSize = d->shader->bytes,
        .pCode = d->shader->code,
    };
    VkShaderModule module = VK_NULL_HANDLE;
    VkResult result = VK_CALL(&vk->api, CreateShaderModule, vk->device, &create, NULL, &module);
    int code = result != VK_SUCCESS ? vk_fail_call(vk, err, result, "vkCreateShaderModule")
                                    : compile_module(vk, d, module, pipeline, err);
    if (module != VK_NULL_HANDLE)
        vk->api.DestroyShaderModule(vk->device, module, NULL);
    if (code < 0 && err != NULL)
        cr_error_prefix(err, "the shader %s cannot be compiled", d->shader->name);
    return code;
}

int vk_pipeline_get(struct vk *vk, const struct vk_dispatch *d, VkPipeline *pipeline,
                    struct cr_error *err)
{
    struct vk_pipelines *pipelines = &vk->pipelines;
    struct vk_pipeline *found = place(pipelines, d);
    if (found->shader != NULL) {
        *pipeline = found->handle;
        return 0;
    }
    int result = 0;
    if (pipelines->count * 2 >= pipelines->size && (result = grow(pipelines, err)) < 0)
        return result;
    if ((result = compile(vk, d, pipeline, err)) < 0)
        return result;
    found = place(pipelines, d);
    found->shader = d->shader;
    found->subgroup = d->subgroup;
    found->specs = d->specs;
    memcpy(found->spec, d->spec, d->specs * sizeof(d->spec[0]));
    found->handle = *pipeline;
    pipelines->count++;
    vk->counters.pipelines++;
    return 0;
}

/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/amount.h"
#include "command/check/plan.h"
#include "command/options.h"
#include "command/run/request.h"

/* ---- Inputs ---- */

int plan_check_inputs(const struct plan_inputs *inputs)
{
    for (size_t i = 0; i < inputs->in.count; i++) {
        const char *equals = strchr(inputs->in.items[i], '=');
        if (equals == NULL || equals == inputs->in.items[i])
            return usage_error(&command_check, "--in %s: NAME=VALUE is needed",
                               inputs->in.items[i]);
    }
    return EXIT_OK;
}

static int feed_input(struct request *request, const char *name, size_t length, const char *text,
                      struct cr_error *err)
{
    char *copy = cr_strndup(name, length);
    if (copy == NULL)
        return cr_fail_memory(err, length + 1);
    struct feed *feed = request_feed(request, copy, err);
    cr_free(copy);
    if (feed == NULL)
        return CR_ERR_ARGUMENT;
    if (feed->value != NULL)
        return cr_fail(err, CR_ERR_ARGUMENT, "the input %s is given twice", feed->port.name);
    return feed_load_argument(feed, text, err);
}

static int feed_all(struct request *request, const struct plan_inputs *inputs, struct cr_error *err)
{
    int result = 0;
    if (inputs->image != NULL)
        result = feed_input(request, "image", strlen("image"), inputs->image, err);
    if (result == 0 && inputs->prompt != NULL)
        result = feed_input(request, "prompt", strlen("prompt"), inputs->prompt, err);
    for (size_t i = 0; i < inputs->in.count && result == 0; i++) {
        const char *pair = inputs->in.items[i];
        const size_t length = strcspn(pair, "=");
        result = feed_input(request, pair, length, pair + length + 1, err);
    }
    return result;
}

int plan_make(struct cr_run **run, struct cr_pipeline *pipeline, const struct plan_inputs *inputs,
              struct cr_error *err)
{
    struct request request;
    *run = NULL;
    int result = request_init(&request, pipeline, err);
    if (result < 0)
        return result;
    for (size_t i = 0; i < request.sinks_count; i++)
        request.sinks[i].wanted = true;
    result = feed_all(&request, inputs, err);
    if (result == 0)
        result = request_prepare(&request, pipeline, run, err);
    if (result == 0)
        result = cr_run_plan(*run, err);
    request_finish(&request);
    return result;
}

/* ---- For people ---- */

static void print_amount(uint64_t bytes)
{
    char text[32];
    print("  %8s", cr_amount(text, bytes));
}

static void print_stage(const struct cr_stage_plan *stage, int name, int device)
{
    if (stage->device == NULL) {
        print("%-*s  -\n", name, stage->name);
        return;
    }
    print("%-*s  %-*s", name, stage->name, device, stage->device);
    print_amount(stage->weights);
    print_amount(stage->work);
    print_amount(stage->peak);
    print_amount(stage->host);
    print("%s\n", stage->release ? "  released" : "");
}

static void print_device(const struct cr_device_plan *device)
{
    char needed[32], left[32], total[32];
    print("%s: %s needed", device->name, cr_amount(needed, device->needed));
    if (device->left > 0)
        print(", %s of %s free%s", cr_amount(left, device->left), cr_amount(total, device->total),
              device->needed > device->left ? ": too little" : "");
    print("\n");
}

void plan_print(const struct cr_run *run)
{
    int name = (int)strlen("stage"), device = (int)strlen("device");
    for (size_t i = 0; i < cr_run_planned_stages(run); i++) {
        struct cr_stage_plan stage = cr_run_planned_stage(run, i);
        int length = (int)strlen(stage.name);
        name = length > name ? length : name;
        length = stage.device != NULL ? (int)strlen(stage.device) : 0;
        device = length > device ? length : device;
    }
    print("%-*s  %-*s  %8s  %8s  %8s  %8s\n", name, "stage", device, "device", "weights", "work",
          "peak", "host");
    for (size_t i = 0; i < cr_run_planned_stages(run); i++) {
        struct cr_stage_plan stage = cr_run_planned_stage(run, i);
        print_stage(&stage, name, device);
    }
    for (size_t i = 0; i < cr_run_planned_devices(run); i++) {
        struct cr_device_plan plan = cr_run_planned_device(run, i);
        print_device(&plan);
    }
}

/* ---- For machines ---- */

static void add_bytes(struct cr_text *json, const char *key, uint64_t bytes)
{
    cr_text_printf(json, ",\"%s\":%llu", key, (unsigned long long)bytes);
}

static void add_stage(struct cr_text *json, const struct cr_stage_plan *stage)
{
    add_member(json, "name", stage->name);
    cr_text_add(json, ",");
    if (stage->device != NULL)
        add_member(json, "device", stage->device);
    else
        cr_text_add(json, "\"device\":null");
    add_bytes(json, "weights", stage->weights);
    add_bytes(json, "work", stage->work);
    add_bytes(json, "peak", stage->peak);
    add_bytes(json, "host", stage->host);
    cr_text_printf(json, ",\"release\":%s", stage->release ? "true" : "false");
}

void plan_add(struct cr_text *json, const struct cr_run *run)
{
    cr_text_add(json, ",\"plan\":{\"stages\":[");
    for (size_t i = 0; i < cr_run_planned_stages(run); i++) {
        struct cr_stage_plan stage = cr_run_planned_stage(run, i);
        cr_text_add(json, i > 0 ? ",{" : "{");
        add_stage(json, &stage);
        cr_text_add(json, "}");
    }
    cr_text_add(json, "],\"devices\":[");
    for (size_t i = 0; i < cr_run_planned_devices(run); i++) {
        struct cr_device_plan device = cr_run_planned_device(run, i);
        cr_text_add(json, i > 0 ? ",{" : "{");
        add_member(json, "name", device.name);
        add_bytes(json, "needed", device.needed);
        add_bytes(json, "total", device.total);
        add_bytes(json, "free", device.left);
        cr_text_add(json, "}");
    }
    cr_text_add(json, "]}");
}

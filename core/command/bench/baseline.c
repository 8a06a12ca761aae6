/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "command/bench/bench.h"
#include "command/common.h"

static const cJSON *results_of(const cJSON *baseline)
{
    return cr_json_get(baseline, "results");
}

/* A positive number, or 0. */
static double number(const cJSON *object, const char *key)
{
    const cJSON *item = cr_json_get(object, key);
    return cJSON_IsNumber(item) && item->valuedouble > 0 ? item->valuedouble : 0;
}

static const char *text(const cJSON *object, const char *key)
{
    const cJSON *item = cr_json_get(object, key);
    return cJSON_IsString(item) ? item->valuestring : "";
}

int bench_baseline_load(cJSON **baseline, const char *path, struct cr_error *err)
{
    int result = cr_json_load(baseline, path, err);
    if (result == 0 && !cJSON_IsArray(results_of(*baseline))) {
        cJSON_Delete(*baseline);
        *baseline = NULL;
        result = cr_fail(err, CR_ERR_FORMAT,
                         "%s: it has no list \"results\"; 'crayon bench --json' writes such files",
                         path);
    }
    return result;
}

static const cJSON *find(const cJSON *baseline, const char *name)
{
    const cJSON *item;
    cJSON_ArrayForEach (item, results_of(baseline))
        if (strcmp(text(item, "name"), name) == 0)
            return item;
    return NULL;
}

void bench_baseline_find(const cJSON *baseline, struct bench_result *result)
{
    const cJSON *item = find(baseline, result->c->name);
    result->before = number(item, "seconds");
    result->before_share = number(item, "share");
}

static bool is_case(const char *name)
{
    for (size_t i = 0; i < bench_case_count; i++)
        if (strcmp(bench_cases[i].name, name) == 0)
            return true;
    return false;
}

static void add_name(struct cr_text *names, const char *name)
{
    cr_text_printf(names, "%s%s", names->size > 0 ? ", " : "", name);
}

static void say_names(const char *path, const char *what, struct cr_text *names)
{
    if (names->size > 0 && !names->failed)
        say_note("%s %s: %s", path, what, names->data);
    cr_text_finish(names);
}

void bench_baseline_compare(const cJSON *baseline, const char *path,
                            const struct cr_device_info *info, const struct bench_result *results,
                            size_t count)
{
    struct cr_text names = CR_TEXT_INIT;
    const cJSON *device = cr_json_get(baseline, "device"), *item;
    if (strcmp(text(device, "name"), info->name) != 0 ||
        strcmp(text(device, "title"), info->title) != 0)
        say_note("%s is from another device: %s, %s", path, text(device, "name"),
                 text(device, "title"));
    else if (strcmp(text(device, "driver"), info->driver) != 0 ||
             number(device, "threads") != info->threads)
        say_note("%s is from this device with other settings: %s, %.0f threads", path,
                 text(device, "driver"), number(device, "threads"));
    for (size_t i = 0; i < count; i++)
        if (!results[i].lacking && results[i].before <= 0)
            add_name(&names, results[i].c->name);
    say_names(path, "has no time of", &names);
    cJSON_ArrayForEach (item, results_of(baseline))
        if (!is_case(text(item, "name")))
            add_name(&names, text(item, "name"));
    say_names(path, "has cases that there are no longer", &names);
}

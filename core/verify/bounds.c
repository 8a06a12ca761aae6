/* SPDX-License-Identifier: MIT */
/* bounds.c: what a case expects, and how exactly. */
#include <math.h>
#include <string.h>

#include <crayon/memory.h>

#include "pipeline/hint.h"
#include "verify/case.h"

static const char *const bound_keys[] = {
#define KEY(name, key) [CR_BOUND_##name] = (key),
    CR_BOUNDS(KEY)
#undef KEY
        [CR_BOUND_COUNT] = NULL};

const char *cr_bound_key(enum cr_bound_kind kind)
{
    return bound_keys[kind];
}

static int find_kind(const char *key)
{
    int kind = 0;
    while (kind < CR_BOUND_COUNT && strcmp(bound_keys[kind], key) != 0)
        kind++;
    return kind;
}

/* ---- One bound ---- */

/* Read the bound `item`; a mistake is reported. In "devices" false takes "exact" away. */
static bool read_bound(struct verify_case *c, struct verify_place place, const cJSON *item,
                       bool may_be_false, struct cr_bound *bound)
{
    int kind = find_kind(item->string);
    bound->given = true;
    bound->limit = 0;
    if (kind == CR_BOUND_EXACT) {
        bound->given = cJSON_IsTrue(item);
        if (bound->given || (may_be_false && cJSON_IsFalse(item)))
            return true;
        verify_problem(c, place, "true is needed here, not %s",
                       cJSON_IsBool(item) ? "false" : cr_json_kind(item));
        return false;
    }
    if (!cJSON_IsNumber(item)) {
        verify_problem(c, place, "a number is needed here, not %s", cr_json_kind(item));
        return false;
    }
    bound->limit = item->valuedouble;
    bool whole = kind == CR_BOUND_MISMATCHES;
    if (bound->limit >= 0 && (!whole || cr_json_is_integer(item)))
        return true;
    verify_problem(c, place, whole ? "%g is no whole number, at least 0" : "%g is below 0",
                   bound->limit);
    return false;
}

/* ---- "expected" ---- */

static const char *const entry_keys[] = {"value", "relative",   "absolute", "exact",
                                         "note",  "mismatches", "devices",  NULL};

static void read_entry(struct verify_case *c, const cJSON *item, struct cr_compared *compared)
{
    struct verify_place place = VERIFY_PLACE("expected", item->string);
    if (!cJSON_IsObject(item)) {
        verify_problem(c, place, "{\"value\": VALUE, BOUND: ...} is needed here, not %s",
                       cr_json_kind(item));
        return;
    }
    verify_check_keys(c, place, item, "an expected value", entry_keys);
    if (cr_json_get(item, "value") == NULL)
        verify_problem(c, place, "the value is missing: \"value\": VALUE");
    bool any = false;
    for (int kind = 0; kind < CR_BOUND_COUNT; kind++) {
        const cJSON *bound = cr_json_get(item, bound_keys[kind]);
        any = any || bound != NULL;
        if (bound != NULL)
            read_bound(c, VERIFY_PLACE("expected", item->string, bound_keys[kind]), bound, false,
                       &compared->bounds[kind]);
    }
    if (!any)
        verify_problem(c, place,
                       "it has no bound: one of \"relative\", \"absolute\", \"exact\" and "
                       "\"mismatches\" at least");
}

/* ---- "devices" ---- */

/* The bounds that an object gives for one device, laid over those of a value where they are wider;
 * with `compared` NULL they are only checked. */
static void lay_over(struct verify_case *c, struct verify_place place, const cJSON *bounds,
                     struct cr_compared *compared)
{
    size_t depth = 0;
    while (place.steps[depth] != NULL)
        depth++;
    const cJSON *item;
    cJSON_ArrayForEach (item, bounds) {
        struct cr_bound bound = {.given = false};
        int kind = find_kind(item->string);
        place.steps[depth] = item->string;
        if (kind == CR_BOUND_COUNT || !read_bound(c, place, item, true, &bound) || compared == NULL)
            continue;
        struct cr_bound *old = &compared->bounds[kind];
        if (!bound.given || !old->given || bound.limit > old->limit)
            *old = bound;
    }
}

static bool is_bound(const cJSON *item)
{
    return !cJSON_IsObject(item) && find_kind(item->string) < CR_BOUND_COUNT;
}

static void check_bounds(struct verify_case *c, struct verify_place place, const cJSON *bounds)
{
    if (!cJSON_IsObject(bounds)) {
        verify_problem(c, place, "an object of bounds is needed here, not %s",
                       cr_json_kind(bounds));
        return;
    }
    verify_check_keys(c, place, bounds, "a set of bounds", bound_keys);
    lay_over(c, place, bounds, NULL);
}

/* {DEVICE: {BOUND: ...}} beside a value. */
static void check_entry_devices(struct verify_case *c, const cJSON *item)
{
    const cJSON *devices = cr_json_get(item, "devices"), *device;
    if (devices != NULL && !cJSON_IsObject(devices)) {
        verify_problem(c, VERIFY_PLACE("expected", item->string, "devices"),
                       "an object of devices is needed here, not %s", cr_json_kind(devices));
        return;
    }
    cJSON_ArrayForEach (device, devices)
        check_bounds(c, VERIFY_PLACE("expected", item->string, "devices", device->string), device);
}

/* What one device gets: bounds for all outputs, or OUTPUT: {BOUND: ...}. */
static void check_device(struct verify_case *c, const cJSON *device)
{
    const cJSON *expected = cr_json_get(c->json, "expected"), *item, *output;
    lay_over(c, VERIFY_PLACE("devices", device->string), device, NULL);
    cJSON_ArrayForEach (item, device) {
        struct verify_place place = VERIFY_PLACE("devices", device->string, item->string);
        struct cr_hint hint;
        if (is_bound(item))
            continue;
        cr_hint_init(&hint, item->string, "outputs");
        cJSON_ArrayForEach (output, expected)
            cr_hint_offer(&hint, output->string);
        if (cr_json_get(expected, item->string) == NULL)
            verify_problem(c, place, "nothing is expected of \"%s\"%s", item->string,
                           cr_hint_text(&hint));
        else
            check_bounds(c, place, item);
    }
}

static void check_case_devices(struct verify_case *c)
{
    const cJSON *device;
    cJSON_ArrayForEach (device, cr_json_get(c->json, "devices")) {
        if (cJSON_IsObject(device))
            check_device(c, device);
        else
            verify_problem(c, VERIFY_PLACE("devices", device->string),
                           "an object of bounds is needed here, not %s", cr_json_kind(device));
    }
}

void verify_read_expected(struct verify_case *c)
{
    const cJSON *expected = cr_json_get(c->json, "expected"), *item;
    if (!cJSON_IsObject(expected) || expected->child == NULL) {
        verify_problem(c, VERIFY_PLACE("expected"),
                       "nothing is expected: {\"OUTPUT\": {\"value\": VALUE, BOUND: ...}}");
        return;
    }
    size_t count = (size_t)cJSON_GetArraySize(expected);
    c->result->compared = cr_calloc(count, sizeof(*c->result->compared));
    if (c->result->compared == NULL) {
        c->no_memory = true;
        return;
    }
    cJSON_ArrayForEach (item, expected) {
        struct cr_compared *compared = &c->result->compared[c->result->count++];
        compared->name = cr_strdup(item->string);
        c->no_memory = c->no_memory || compared->name == NULL;
        read_entry(c, item, compared);
        if (cJSON_IsObject(item))
            check_entry_devices(c, item);
    }
    if (cJSON_IsObject(cr_json_get(c->json, "devices")))
        check_case_devices(c);
}

/* ---- Widening ---- */

/* "vulkan:0" is meant by "vulkan:0" and by "vulkan". */
static bool is_meant(const struct verify_case *c, const char *device)
{
    size_t length = strlen(device);
    for (size_t i = 0; i < c->used_count; i++)
        if (strncmp(c->used[i]->name, device, length) == 0 &&
            (c->used[i]->name[length] == '\0' || c->used[i]->name[length] == ':'))
            return true;
    return false;
}

void verify_widen(struct verify_case *c)
{
    const cJSON *expected = cr_json_get(c->json, "expected");
    const cJSON *devices = cr_json_get(c->json, "devices"), *device;
    for (size_t i = 0; i < c->result->count; i++) {
        struct cr_compared *compared = &c->result->compared[i];
        const cJSON *own = cr_json_get(cr_json_get(expected, compared->name), "devices");
        cJSON_ArrayForEach (device, devices) {
            if (!is_meant(c, device->string))
                continue;
            lay_over(c, VERIFY_PLACE("devices"), device, compared);
            lay_over(c, VERIFY_PLACE("devices"), cr_json_get(device, compared->name), compared);
        }
        cJSON_ArrayForEach (device, own)
            if (is_meant(c, device->string))
                lay_over(c, VERIFY_PLACE("expected"), device, compared);
    }
}

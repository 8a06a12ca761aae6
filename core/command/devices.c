/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "command/common.h"
#include "command/devices/devices.h"
#include "command/options.h"
#include "tensor/device.h"

struct devices_settings {
    const char *device, *plugin_path;
    bool check, verbose, json;
};

#define MEMBER(name) offsetof(struct devices_settings, name)

static const struct option devices_options[] = {
    {"device", OPTION_TEXT, MEMBER(device), "NAME", "only this one: cpu, vulkan:1, auto, ..."},
    {"check", OPTION_FLAG, MEMBER(check), NULL, "compare every operation with exact results"},
    {"verbose", OPTION_FLAG, MEMBER(verbose), NULL, "tell what was detected, what follows"},
    {"json", OPTION_FLAG, MEMBER(json), NULL, "print everything as one JSON object"},
    {"plugin-path", OPTION_TEXT, MEMBER(plugin_path), "DIRS",
     "search these folders for plugins first"},
    {NULL, OPTION_FLAG, 0, NULL, NULL},
};

/* ---- Finding them ---- */

/* A plugin that has no device. */
struct absence {
    const char *element;
    char *reason;
};

struct inventory {
    struct cr_device_info *devices;
    size_t count;
    struct absence *absences;
    size_t absence_count;
    char automatic[64]; /* what "auto" means */
    bool failed;        /* memory ran out */
};

static void note_device(void *user, const struct cr_device_info *info)
{
    struct inventory *found = user;
    struct cr_device_info *devices =
        cr_realloc_array(found->devices, found->count + 1, sizeof(*devices));
    found->failed = found->failed || devices == NULL;
    if (devices == NULL)
        return;
    found->devices = devices;
    devices[found->count++] = *info;
}

static void note_absence(void *user, const char *element, const char *reason)
{
    struct inventory *found = user;
    struct absence *absences =
        cr_realloc_array(found->absences, found->absence_count + 1, sizeof(*absences));
    char *copy = cr_strdup(reason);
    found->failed = found->failed || absences == NULL || copy == NULL;
    if (absences != NULL)
        found->absences = absences;
    if (absences != NULL && copy != NULL)
        absences[found->absence_count++] = (struct absence){element, copy};
    else
        cr_free(copy);
}

/* All devices, or the one of this name. */
static int take_inventory(struct inventory *found, const struct cr_registry *registry,
                          const char *name, struct cr_error *err)
{
    cr_device_automatic(registry, found->automatic);
    if (name != NULL) {
        struct cr_device *device = NULL;
        struct cr_device_info info;
        int result = cr_device_open(&device, registry, name, NULL, err);
        if (result < 0)
            return result;
        cr_device_get_info(device, &info);
        cr_device_unref(&device);
        note_device(found, &info);
    } else {
        int result = cr_device_list(registry, note_device, note_absence, found, err);
        if (result < 0)
            return result;
    }
    return found->failed ? cr_fail_memory(err, sizeof(struct cr_device_info)) : 0;
}

static void finish_inventory(struct inventory *found)
{
    for (size_t i = 0; i < found->absence_count; i++)
        cr_free(found->absences[i].reason);
    cr_free(found->absences);
    cr_free(found->devices);
}

/* Drivers that compute on the processor are left alone unless they are named. */
static bool is_checked(const struct devices_settings *settings, const struct cr_device_info *info)
{
    return settings->check && (info->flags & CR_DEVICE_UNUSABLE) == 0 &&
           (settings->device != NULL || (info->flags & CR_DEVICE_SOFTWARE) == 0);
}

/* ---- For people ---- */

static void print_memory(uint64_t bytes)
{
    if (bytes >= UINT64_C(1) << 30)
        print("    memory   %.1f GiB\n", (double)bytes / (double)(UINT64_C(1) << 30));
    else
        print("    memory   %.0f MiB\n", (double)bytes / (1 << 20));
}

/* Lines under one title. */
static void print_detail(const char *title, const char *lines)
{
    while (*lines != '\0') {
        int length = (int)strcspn(lines, "\n");
        print("    %-7s  %.*s\n", title, length, lines);
        lines += length;
        lines += *lines == '\n';
        title = "";
    }
}

static void print_device(const struct inventory *found, const struct cr_device_info *info,
                         bool verbose)
{
    print("%s  %s\n", info->name, info->title);
    print("    driver   %s\n", info->driver);
    if (info->threads > 0)
        print("    threads  %u\n", info->threads);
    print_memory(info->memory);
    if ((info->flags & CR_DEVICE_UNUSABLE) != 0)
        print("    used     never: it %.*s\n", (int)strcspn(info->detail, "\n"), info->detail);
    else if (strcmp(info->name, found->automatic) == 0)
        print("    used     when none is named (auto)\n");
    else if ((info->flags & CR_DEVICE_SOFTWARE) != 0)
        print("    used     only when named: this driver computes on the processor\n");
    else
        print("    used     when named\n");
    if (verbose)
        print_detail("details", info->detail);
}

/* Which variants its operations take. That depends on an open device; one that cannot be opened
 * says so when it is used. */
static void print_variants(const struct cr_registry *registry, const struct cr_device_info *info)
{
    struct cr_device *device = NULL;
    struct cr_text text = CR_TEXT_INIT;
    if ((info->flags & CR_DEVICE_UNUSABLE) == 0 &&
        cr_device_open(&device, registry, info->name, NULL, NULL) == 0 &&
        cr_device_explain(device, &text, NULL) == 0 && text.size > 0)
        print_detail("variant", text.data);
    cr_text_finish(&text);
    cr_device_unref(&device);
}

static void print_absences(const struct inventory *found)
{
    for (size_t i = 0; i < found->absence_count; i++) {
        print("%s has no device\n    ", found->absences[i].element);
        print_wrapped(found->absences[i].reason, 4, 4);
    }
    if (found->count == 0 && found->absence_count == 0)
        print("no device was found; 'crayon plugins' lists what was searched\n");
}

static int show_people(const struct devices_settings *settings, const struct cr_registry *registry,
                       const struct inventory *found)
{
    int code = found->count > 0 ? EXIT_OK : EXIT_FAILED;
    for (size_t i = 0; i < found->count; i++) {
        const struct cr_device_info *info = &found->devices[i];
        print_device(found, info, settings->verbose);
        if (settings->verbose)
            print_variants(registry, info);
        if (is_checked(settings, info) && device_check(registry, info->name, NULL) != EXIT_OK)
            code = EXIT_FAILED;
    }
    print_absences(found);
    return code;
}

/* ---- For machines ---- */

static int show_json(const struct devices_settings *settings, const struct cr_registry *registry,
                     const struct inventory *found)
{
    int code = found->count > 0 ? EXIT_OK : EXIT_FAILED;
    struct cr_text json = CR_TEXT_INIT;
    cr_text_add(&json, "{\"crayon\":1,");
    add_member(&json, "auto", found->automatic);
    cr_text_add(&json, ",\"devices\":[");
    for (size_t i = 0; i < found->count; i++) {
        const struct cr_device_info *info = &found->devices[i];
        cr_text_add(&json, i > 0 ? ",{" : "{");
        device_add_json(&json, info);
        if (is_checked(settings, info)) {
            cr_text_add(&json, ",\"check\":{");
            if (device_check(registry, info->name, &json) != EXIT_OK)
                code = EXIT_FAILED;
            cr_text_add(&json, "}");
        }
        cr_text_add(&json, "}");
    }
    cr_text_add(&json, "],\"absent\":[");
    for (size_t i = 0; i < found->absence_count; i++) {
        cr_text_add(&json, i > 0 ? ",{" : "{");
        add_member(&json, "plugin", found->absences[i].element);
        cr_text_add(&json, ",");
        add_member(&json, "reason", found->absences[i].reason);
        cr_text_add(&json, "}");
    }
    cr_text_add(&json, "]}\n");
    return print_text(&json) ? code : EXIT_FAILED;
}

/* ---- The command ---- */

static int run_devices(const void *settings_, const struct strings *operands)
{
    const struct devices_settings *settings = settings_;
    struct cr_error err = CR_ERROR_INIT;
    struct session session = {.registry = NULL};
    struct inventory found = {.devices = NULL};
    int code = EXIT_OK;
    (void)operands;
    if (session_open(&session, settings->plugin_path, message_log(CR_LOG_ERROR), &err) < 0)
        return say_failure(&err);
    if (take_inventory(&found, session.registry, settings->device, &err) < 0)
        code = say_failure(&err);
    else if (settings->json)
        code = show_json(settings, session.registry, &found);
    else
        code = show_people(settings, session.registry, &found);
    finish_inventory(&found);
    session_close(&session);
    return code;
}

const struct command command_devices = {
    .name = "devices",
    .operands = "",
    .summary = "list devices, or check that they compute rightly",
    .options = devices_options,
    .settings_size = sizeof(struct devices_settings),
    .run = run_devices,
};

/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include "base/json.h"
#include "command/common.h"
#include "command/devices/devices.h"

void add_number(struct cr_text *json, const char *key, double number)
{
    cr_json_quote(json, key);
    if (isfinite(number))
        cr_text_printf(json, ":%.6g", number);
    else
        cr_text_add(json, ":null");
}

/* Lines as a list of strings. */
static void add_lines(struct cr_text *json, const char *lines)
{
    for (const char *separator = ""; *lines != '\0'; separator = ",") {
        size_t length = strcspn(lines, "\n");
        char *line = cr_strndup(lines, length);
        cr_text_add(json, separator);
        cr_json_quote(json, line != NULL ? line : "");
        json->failed = json->failed || line == NULL;
        cr_free(line);
        lines += length + (lines[length] == '\n');
    }
}

void device_add_json(struct cr_text *json, const struct cr_device_info *info)
{
    add_member(json, "name", info->name);
    cr_text_add(json, ",");
    add_member(json, "title", info->title);
    cr_text_add(json, ",");
    add_member(json, "driver", info->driver);
    cr_text_printf(json, ",\"threads\":%u,\"memory\":%llu,\"gpu\":%s,\"software\":%s,\"details\":[",
                   info->threads, (unsigned long long)info->memory,
                   (info->flags & CR_DEVICE_GPU) != 0 ? "true" : "false",
                   (info->flags & CR_DEVICE_SOFTWARE) != 0 ? "true" : "false");
    add_lines(json, info->detail);
    cr_text_add(json, "]");
}

void device_describe(struct cr_text *text, const struct cr_device_info *info)
{
    cr_text_add(text, info->driver);
    if (info->threads > 0)
        cr_text_printf(text, "; %u thread%s", info->threads, info->threads == 1 ? "" : "s");
}

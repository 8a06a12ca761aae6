/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include "base/json.h"
#include "command/common.h"
#include "command/run/request.h"

/* ---- Numbers as JSON ---- */

static float half_to_float(uint16_t half)
{
    int exponent = half >> 10 & 31, fraction = half & 1023;
    float value = exponent == 0    ? ldexpf((float)fraction, -24)
                  : exponent == 31 ? (fraction == 0 ? INFINITY : NAN)
                                   : ldexpf((float)(fraction + 1024), exponent - 25);
    return half >> 15 != 0 ? -value : value;
}

static void add_number(struct cr_text *json, const void *data, size_t index, enum cr_dtype dtype)
{
    float value;
    if (dtype == CR_DTYPE_I32) {
        cr_text_printf(json, "%ld", (long)((const int32_t *)data)[index]);
        return;
    }
    if (dtype == CR_DTYPE_U8) {
        cr_text_printf(json, "%u", ((const uint8_t *)data)[index]);
        return;
    }
    if (dtype == CR_DTYPE_F16)
        value = half_to_float(((const uint16_t *)data)[index]);
    else
        value = ((const float *)data)[index];
    if (isfinite(value))
        cr_text_printf(json, "%.9g", (double)value);
    else
        cr_text_add(json, "null");
}

/* The part of the array below `axis`, from element `*index` on. */
static void add_axis(struct cr_text *json, const struct cr_tensor *tensor, int axis,
                     const void *data, size_t *index)
{
    if (axis == cr_tensor_rank(tensor)) {
        add_number(json, data, (*index)++, cr_tensor_dtype(tensor));
        return;
    }
    cr_text_add(json, "[");
    for (int64_t i = 0; i < cr_tensor_extent(tensor, axis); i++) {
        if (i > 0)
            cr_text_add(json, ",");
        add_axis(json, tensor, axis + 1, data, index);
    }
    cr_text_add(json, "]");
}

int tensor_print(const struct cr_tensor *tensor, struct cr_text *json, struct cr_error *err)
{
    size_t bytes = (size_t)cr_tensor_elements(tensor) * cr_dtype_size(cr_tensor_dtype(tensor)),
           index = 0;
    void *data = cr_malloc(bytes);
    if (data == NULL)
        return cr_fail_memory(err, bytes);
    int result = cr_tensor_read(tensor, data, bytes, err);
    if (result == 0)
        add_axis(json, tensor, 0, data, &index);
    cr_free(data);
    if (result == 0 && json->failed)
        result = cr_fail_memory(err, json->size);
    return result;
}

static void add_tokens(struct cr_text *json, const struct cr_value *value)
{
    size_t count;
    const int32_t *ids = cr_value_tokens(value, 0, &count);
    cr_text_add(json, "[");
    for (size_t i = 0; i < count; i++)
        cr_text_printf(json, "%s%ld", i > 0 ? "," : "", (long)ids[i]);
    cr_text_add(json, "]");
}

/* ---- Files ---- */

/* The bytes that a text, tensor or tokens file holds. */
static int compose(const struct cr_value *value, struct cr_text *text, struct cr_error *err)
{
    int result = 0;
    if (cr_value_type(value) == CR_TYPE_TENSOR)
        result = tensor_print(cr_value_tensor(value), text, err);
    else if (cr_value_type(value) == CR_TYPE_TOKENS)
        add_tokens(text, value);
    else if (cr_value_text(value, 0) != NULL)
        cr_text_add(text, cr_value_text(value, 0));
    else
        return 0; /* a null text is an empty file */
    cr_text_add(text, "\n");
    if (result == 0 && text->failed)
        result = cr_fail_memory(err, text->size);
    return result;
}

static int save_composed(const struct cr_value *value, const char *path, struct cr_error *err)
{
    struct cr_text text = CR_TEXT_INIT;
    int result = compose(value, &text, err);
    if (result == 0)
        result = cr_file_write(path, text.data != NULL ? text.data : "", text.size, err);
    cr_text_finish(&text);
    return result;
}

/* The photograph that a map belongs to: the first picture among the inputs, else the map's file. */
static const char *image_name(const struct request *request, const char *path)
{
    for (size_t i = 0; i < request->feeds_count; i++) {
        const struct feed *feed = &request->feeds[i];
        if (feed->value == NULL || feed->port.type != CR_TYPE_IMAGE)
            continue;
        const char *name = cr_image_name(cr_value_image(feed->value, 0));
        if (name != NULL)
            path = name;
        break;
    }
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

static int save(const struct request *request, const struct sink *sink,
                const struct cr_value *value, struct cr_error *err)
{
    switch (sink->port.type) {
    case CR_TYPE_IMAGE:
        return cr_image_save(cr_value_image(value, 0), sink->path, err);
    case CR_TYPE_PANOPTIC:
        return cr_coco_save(cr_value_panoptic(value, 0), image_name(request, sink->path),
                            sink->path, NULL, err);
    case CR_TYPE_TEXT:
    case CR_TYPE_TENSOR:
    case CR_TYPE_TOKENS:
        break;
    }
    return save_composed(value, sink->path, err);
}

int request_save(const struct request *request, const struct cr_run *run, struct cr_error *err)
{
    int result = 0;
    for (size_t i = 0; result == 0 && i < request->sinks_count; i++) {
        const struct sink *sink = &request->sinks[i];
        if (sink->path != NULL && strcmp(sink->path, "-") != 0) {
            result = save(request, sink, cr_run_output(run, sink->port.name), err);
            if (result < 0)
                cr_error_prefix(err, "output %s", sink->port.name);
        }
    }
    return result;
}

int sink_print(const struct sink *sink, const struct cr_value *value, struct cr_error *err)
{
    if (sink->port.type == CR_TYPE_IMAGE) {
        void *data = NULL;
        size_t size = 0;
        int result = cr_image_encode(cr_value_image(value, 0), "png", &data, &size, err);
        if (result == 0)
            print_bytes(data, size);
        cr_free(data);
        return result;
    }
    struct cr_text text = CR_TEXT_INIT;
    int result = compose(value, &text, err);
    if (result == 0 && text.size > 0)
        print_bytes(text.data, text.size);
    cr_text_finish(&text);
    return result;
}

/* ---- Results as JSON ---- */

static void add_file(const struct sink *sink, struct cr_text *json)
{
    cr_text_add(json, "{\"file\":");
    cr_json_quote(json, sink->path);
    if (sink->port.type == CR_TYPE_PANOPTIC) {
        cr_text_add(json, ",\"json\":");
        char *beside = request_companion(sink->port.type, sink->path);
        cr_json_quote(json, beside != NULL ? beside : "");
        json->failed = json->failed || beside == NULL;
        cr_free(beside);
    }
    cr_text_add(json, "}");
}

void request_add_outputs(const struct request *request, const struct cr_run *run,
                         struct cr_text *json)
{
    const char *separator = "";
    cr_text_add(json, "\"outputs\":{");
    for (size_t i = 0; i < request->sinks_count; i++) {
        const struct sink *sink = &request->sinks[i];
        if (!sink->wanted || (sink->path == NULL && sink->port.type != CR_TYPE_TEXT))
            continue;
        cr_text_add(json, separator);
        cr_json_quote(json, sink->port.name);
        cr_text_add(json, ":");
        if (sink->path != NULL) {
            add_file(sink, json);
        } else {
            const char *text = cr_value_text(cr_run_output(run, sink->port.name), 0);
            if (text != NULL)
                cr_json_quote(json, text);
            else
                cr_text_add(json, "null");
        }
        separator = ",";
    }
    cr_text_add(json, "}");
}

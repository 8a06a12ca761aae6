/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "pipeline/example.h"
#include "value/value.h"

#define TEXT "What is the person in the middle of the picture doing, and what do they hold?"
#define TOKENS 64
#define CELLS 4 /* objects in a row, and rows */

static int set_image(struct cr_value *value, size_t item, struct cr_size size, struct cr_error *err)
{
    struct cr_image *image = NULL;
    int result = cr_image_create(&image, size, err);
    if (result < 0)
        return result;
    memset(cr_image_edit(image), 128, (size_t)size.height * (size_t)size.width * 3);
    cr_value_set_image(value, item, image);
    cr_image_unref(&image);
    return 0;
}

/* A chequer of things: what a picture with some objects looks like to the stages behind. */
static int set_panoptic(struct cr_value *value, size_t item, struct cr_size size,
                        struct cr_error *err)
{
    struct cr_panoptic *panoptic = NULL;
    int result = cr_panoptic_create(&panoptic, size, err);
    if (result < 0)
        return result;
    int32_t *id = cr_panoptic_edit(panoptic);
    for (int32_t y = 0; y < size.height; y++)
        for (int32_t x = 0; x < size.width; x++)
            *id++ = 1 + (int32_t)((int64_t)y * CELLS / size.height) * CELLS +
                    (int32_t)((int64_t)x * CELLS / size.width);
    for (int32_t i = 0; i < CELLS * CELLS && result == 0; i++)
        result = cr_panoptic_add(
            panoptic,
            &(struct cr_segment){.id = i + 1, .label = i, .score = 1, .original_id = i + 1}, err);
    if (result == 0)
        cr_value_set_panoptic(value, item, panoptic);
    cr_panoptic_unref(&panoptic);
    return result;
}

static int set_tokens(struct cr_value *value, size_t item, struct cr_error *err)
{
    int32_t ids[TOKENS];
    for (size_t i = 0; i < TOKENS; i++)
        ids[i] = 1;
    return cr_value_set_tokens(value, item, ids, TOKENS, err);
}

static int set_item(struct cr_value *value, enum cr_type type, size_t item, struct cr_size size,
                    struct cr_error *err)
{
    switch (type) {
    case CR_TYPE_IMAGE:
        return set_image(value, item, size, err);
    case CR_TYPE_PANOPTIC:
        return set_panoptic(value, item, size, err);
    case CR_TYPE_TEXT:
        return cr_value_set_text(value, item, TEXT, err);
    case CR_TYPE_TOKENS:
        return set_tokens(value, item, err);
    case CR_TYPE_TENSOR:
        break;
    }
    return 0;
}

int cr_example(struct cr_value **out, enum cr_type type, size_t items, struct cr_size size,
               struct cr_error *err)
{
    *out = NULL;
    if (type == CR_TYPE_TENSOR)
        return cr_fail(err, CR_ERR_ARGUMENT, "a tensor has no ordinary shape");
    int result = cr_value_create(out, type, items, err);
    for (size_t i = 0; i < items && result == 0; i++)
        result = set_item(*out, type, i, size, err);
    if (result == 0)
        cr_value_seal(*out);
    else
        cr_value_unref(out);
    return result;
}

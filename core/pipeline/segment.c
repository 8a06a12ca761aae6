/* SPDX-License-Identifier: MIT */
/* segment.c: the run of a segmenter that makes one map of each picture. */
#include <crayon/plugin.h>

static int create(struct cr_value **value, struct cr_context *context, const char *port,
                  size_t count, struct cr_error *err)
{
    return cr_context_wants(context, port) ? cr_value_create(value, CR_TYPE_PANOPTIC, count, err)
                                           : 0;
}

/* Put the map, resized, at `item` of an output, if anybody wants it. */
static int set(struct cr_value *value, size_t item, struct cr_panoptic *map, struct cr_size size,
               struct cr_error *err)
{
    const struct cr_size has = cr_panoptic_size(map);
    struct cr_panoptic *resized = NULL;
    if (value == NULL)
        return 0;
    if (has.height == size.height && has.width == size.width) {
        cr_value_set_panoptic(value, item, map);
        return 0;
    }
    int result = cr_panoptic_resize(&resized, map, size, err);
    if (result == 0)
        cr_value_set_panoptic(value, item, resized);
    cr_panoptic_unref(&resized);
    return result;
}

static void hand_over(struct cr_context *context, const char *port, struct cr_value **value)
{
    if (*value != NULL)
        cr_context_output(context, port, value);
}

int cr_context_segment(struct cr_context *context, const void *state, cr_segment_fn segment,
                       struct cr_size size, struct cr_size grid, struct cr_error *err)
{
    const struct cr_value *images = cr_context_input(context, "image");
    const size_t count = cr_value_count(images);
    struct cr_value *panoptic = NULL, *reduced = NULL;
    int result = create(&panoptic, context, "panoptic", count, err);
    if (result == 0)
        result = create(&reduced, context, "grid", count, err);
    for (size_t i = 0; i < count && result == 0; i++) {
        const struct cr_image *image = cr_value_image(images, i);
        struct cr_panoptic *map = NULL;
        if (cr_context_cancelled(context))
            result = cr_fail(err, CR_ERR_CANCELLED, "cancelled");
        else
            result = segment(state, image, context, &map, err);
        if (result == 0)
            result = set(panoptic, i, map, size.height > 0 ? size : cr_image_size(image), err);
        if (result == 0)
            result = set(reduced, i, map, grid, err);
        cr_panoptic_unref(&map);
        cr_context_progress(context, (double)(i + 1) / (double)count);
    }
    if (result == 0) {
        hand_over(context, "panoptic", &panoptic);
        hand_over(context, "grid", &reduced);
    }
    cr_value_unref(&panoptic);
    cr_value_unref(&reduced);
    return result;
}

/* SPDX-License-Identifier: MIT */
/* example-stage: leave the chosen objects of a picture as they are and paint the rest in few tones.
 *
 * This file is written to be copied. It shows every kind of declaration that a stage makes and
 * everything that a stage may do while it runs, in the order in which the core meets them. Build it
 * outside of crayon's tree, against the installed library, with nothing but
 *
 *     cc -std=c11 -shared -fPIC -Wl,--no-undefined -o example-stage.so example-stage.c \
 *         $(pkg-config --cflags --libs crayon)
 *
 * put the result into ~/.local/share/crayon/plugins (or name its folder with --plugin-path), and
 * `crayon plugins example-stage` prints what is declared below. A pipeline that uses it:
 *
 *     {
 *       "crayon": 1,
 *       "stages": {
 *         "photo": { "use": "source-image", "path": "street.jpg" },
 *         "rest":  { "use": "example-stage", "tones": 3, "paint": "sepia",
 *                    "in": { "image": "photo.image" } }
 *       },
 *       "outputs": { "image": "rest.image" }
 *     }
 *
 * crayon-plugin(7) is the tour through the same things in prose. */

/* A plugin includes crayon's public headers and the C library, nothing else. */
#include <stdio.h>
#include <string.h>

#include <crayon/image.h>
#include <crayon/memory.h>
#include <crayon/plugin.h>

/* ---- 1. The state: one struct for each time that a pipeline uses the stage ----
 *
 * It starts zeroed. The core fills the members that the options below point at, and calls nothing
 * before all of them are valid. The other members are the stage's own. There are no global
 * variables: a pipeline may use the stage twice, a program may run two pipelines at once. */

struct example {
    int64_t tones;                 /* option */
    const char *paint;             /* option: one of the words in `paints` */
    double strength;               /* option */
    struct cr_option_strings keep; /* option */

    uint8_t *table; /* made by open(), freed by close(): [256][3], from brightness to colour */
};

/* ---- 2. Small helpers ---- */

enum {
    RED,
    GREEN,
    BLUE,
    CHANNELS
};

static const char *const paints[] = {"grey", "sepia", NULL};

/* The colour that full brightness gets, for each of `paints`. */
static const double colours[][CHANNELS] = {{255, 255, 255}, {255, 226, 178}};

/* ITU-R BT.601, in whole numbers, so that every machine gets the same picture. */
static unsigned brightness(const uint8_t *pixel)
{
    return (299u * pixel[RED] + 587u * pixel[GREEN] + 114u * pixel[BLUE] + 500u) / 1000u;
}

/* ---- 3. check(): mistakes that need more than one option to be seen ----
 *
 * Types, ranges, choices, unknown and missing options: all that has been checked already. What is
 * left are rules between options and ports. Every problem is reported, not only the first; the core
 * adds file and place. Nothing is opened or read here, since `crayon check` has to be quick. */

static void example_check(const void *state, struct cr_check *check)
{
    const struct example *self = state;
    if (self->keep.count > 0 && !cr_check_connected(check, "panoptic"))
        cr_check_problem(check, "keep",
                         "what to keep is looked up in a panoptic map: wire one to \"panoptic\"");
    if (self->strength == 0 && cr_check_given(check, "paint"))
        cr_check_problem(check, "paint", "with \"strength\" 0 nothing is painted: raise it");
    for (size_t i = 0; i < self->keep.count; i++)
        if (cr_coco_label_by_name(self->keep.items[i]) == CR_LABEL_UNKNOWN)
            cr_check_problem(check, "keep", "\"%s\" is no COCO category", self->keep.items[i]);
}

/* ---- 4. open() and close(): what is made once and used in every run ----
 *
 * Reading a model belongs here. open() reports a failure with cr_fail() and friends, once, where it
 * is known, and returns the code; close() is called after a failure too, and leaves the state as it
 * was before open(), since it may be opened again. Memory comes from <crayon/memory.h>. */

static int example_open(void *state, struct cr_context *context, struct cr_error *err)
{
    struct example *self = state;
    self->table = cr_calloc(256, CHANNELS);
    if (self->table == NULL)
        return cr_fail_memory(err, 256 * CHANNELS);
    size_t paint = 0;
    while (strcmp(paints[paint], self->paint) != 0)
        paint++; /* the core has made sure that it is one of them */
    for (int i = 0; i < 256; i++) {
        int64_t tone = i * self->tones / 256; /* 0..tones-1 */
        for (int c = 0; c < CHANNELS; c++)
            self->table[i * CHANNELS + c] =
                (uint8_t)(colours[paint][c] * (double)tone / (double)(self->tones - 1) + 0.5);
    }
    cr_context_log(context, CR_LOG_DEBUG, "%lld tones of %s", (long long)self->tones, self->paint);
    return 0;
}

static void example_close(void *state)
{
    struct example *self = state;
    cr_free(self->table);
    self->table = NULL;
}

/* ---- 5. run(): inputs into outputs ---- */

/* Is this label among those that the user wants to keep? */
static bool is_kept(const struct example *self, int32_t label)
{
    for (size_t i = 0; i < self->keep.count; i++)
        if (cr_coco_label_by_name(self->keep.items[i]) == label)
            return true;
    return false;
}

/* mask[i] = 1 where pixel i belongs to a segment that is kept. The map may have another size than
 * the picture; a pixel's id may be missing in the list of segments, which makes it background. */
static int make_mask(const struct example *self, const struct cr_panoptic *map, struct cr_size size,
                     uint8_t *mask, struct cr_error *err)
{
    struct cr_panoptic *fitted;
    int result = cr_panoptic_resize(&fitted, map, size, err);
    if (result < 0)
        return result;
    const int32_t *ids = cr_panoptic_ids(fitted);
    size_t pixels = (size_t)size.height * (size_t)size.width;
    int32_t last_id = 0; /* neighbours mostly have the same id */
    uint8_t last = 0;
    for (size_t i = 0; i < pixels; i++) {
        if (ids[i] != last_id) {
            const struct cr_segment *segment = cr_panoptic_find(fitted, ids[i]);
            last_id = ids[i];
            last = segment != NULL && is_kept(self, segment->label);
        }
        mask[i] = last;
    }
    cr_panoptic_unref(&fitted);
    return 0;
}

/* Paint every pixel whose mask is 0. Long loops look now and then whether the user wants to stop.
 */
static int paint_picture(const struct example *self, struct cr_image *image, const uint8_t *mask,
                         struct cr_context *context, struct cr_error *err)
{
    struct cr_size size = cr_image_size(image);
    uint8_t *pixels = cr_image_edit(image);
    int weight = (int)(self->strength * 256 + 0.5);
    for (int32_t y = 0; y < size.height; y++) {
        if (cr_context_cancelled(context))
            return cr_fail(err, CR_ERR_CANCELLED, "stopped at row %d", y);
        for (int32_t x = 0; x < size.width; x++) {
            size_t at = (size_t)y * (size_t)size.width + (size_t)x;
            if (mask[at] != 0)
                continue;
            uint8_t *pixel = pixels + at * CHANNELS;
            const uint8_t *tone = self->table + brightness(pixel) * CHANNELS;
            for (int c = 0; c < CHANNELS; c++)
                pixel[c] = (uint8_t)((pixel[c] * (256 - weight) + tone[c] * weight + 128) / 256);
        }
    }
    return 0;
}

/* How much was kept, as a text. Only called when somebody wants that output. */
static int tell(const uint8_t *mask, struct cr_size size, struct cr_value *texts, size_t item,
                struct cr_error *err)
{
    size_t pixels = (size_t)size.height * (size_t)size.width, kept = 0;
    for (size_t i = 0; i < pixels; i++)
        kept += mask[i];
    char text[80];
    snprintf(text, sizeof(text), "%zu of %zu pixels kept", kept, pixels);
    return cr_value_set_text(texts, item, text, err);
}

/* One item of the batch. Items do not know of each other. */
static int run_item(const struct example *self, struct cr_context *context, size_t item,
                    struct cr_value *images, struct cr_value *texts, struct cr_error *err)
{
    const struct cr_image *input = cr_value_image(cr_context_input(context, "image"), item);
    /* An optional port that is not connected is NULL. */
    const struct cr_value *maps = cr_context_input(context, "panoptic");
    struct cr_size size = cr_image_size(input);

    /* Scratch lasts until run() returns and needs no freeing on any way out of here. */
    uint8_t *mask = cr_context_scratch(context, (size_t)size.height * (size_t)size.width, err);
    if (mask == NULL)
        return CR_ERR_MEMORY;
    int result = maps == NULL ? 0 : make_mask(self, cr_value_panoptic(maps, item), size, mask, err);

    /* Inputs are shared with other stages and never changed: paint on a copy. */
    struct cr_image *image = NULL;
    if (result == 0)
        result = cr_image_copy(&image, input, err);
    if (result == 0)
        result = paint_picture(self, image, mask, context, err);
    if (result == 0)
        cr_value_set_image(images, item, image); /* takes a reference of its own */
    cr_image_unref(&image);                      /* NULL is harmless */
    if (result == 0 && texts != NULL)
        result = tell(mask, size, texts, item, err);
    return result;
}

static int example_run(void *state, struct cr_context *context, struct cr_error *err)
{
    const struct example *self = state;
    /* All inputs of a run have the same count of items. */
    size_t count = cr_value_count(cr_context_input(context, "image"));
    struct cr_value *images = NULL, *texts = NULL;
    int result = cr_value_create(&images, CR_TYPE_IMAGE, count, err);
    if (result == 0 && cr_context_wants(context, "kept"))
        result = cr_value_create(&texts, CR_TYPE_TEXT, count, err);
    for (size_t item = 0; item < count && result == 0; item++) {
        result = run_item(self, context, item, images, texts, err);
        cr_context_progress(context, (double)(item + 1) / (double)count);
    }
    /* Every wanted output is handed over once; an unwanted one may be. */
    if (result == 0) {
        cr_context_output(context, "image", &images); /* leaves NULL */
        if (texts != NULL)
            cr_context_output(context, "kept", &texts);
    }
    cr_value_unref(&images);
    cr_value_unref(&texts);
    return result;
}

/* ---- 6. The declaration ----
 *
 * Constants at file scope. Checking of pipelines, `crayon plugins`, the JSON Schema and the
 * messages that users see all come from here, so the sentences matter: no full stop, units in them.
 */

static const struct cr_stage_ops example_ops = {
    .size = sizeof(struct cr_stage_ops),
    .check = example_check,
    .open = example_open,
    .run = example_run,
    .close = example_close,
};

static const struct cr_element example_stage = {
    .size = sizeof(struct cr_element),
    .kind = CR_ELEMENT_STAGE,
    .name = "example-stage",
    .summary = "leave the chosen objects as they are and paint the rest in few tones",
    .description = "The example that comes with crayon. Everything that does not belong to one of "
                   "the categories in keep is reduced to a few tones of one colour.\n"
                   "\n"
                   "Without a panoptic map, the whole picture is painted.",
    .inputs = CR_PORTS(CR_PORT("image", CR_TYPE_IMAGE, 0, "the picture"),
                       CR_PORT("panoptic", CR_TYPE_PANOPTIC, CR_PORT_OPTIONAL,
                               "which pixel belongs to which object, in any size")),
    .outputs = CR_PORTS(CR_PORT("image", CR_TYPE_IMAGE, 0, "the painted picture"),
                        CR_PORT("kept", CR_TYPE_TEXT, 0, "how many pixels were kept")),
    /* Name, struct, member, default (as text), then what the type needs (bounds or choices), flags,
     * documentation. Defaults are checked like what users write, when the plugin is loaded. */
    .options = CR_OPTIONS(
        CR_OPTION_INT("tones", struct example, tones, "4", 2, 256, 0, "number of tones"),
        CR_OPTION_CHOICE("paint", struct example, paint, "grey", paints, 0, "colour of the tones"),
        CR_OPTION_NUMBER("strength", struct example, strength, "1", 0, 1, 0,
                         "0 leaves the picture as it is, 1 paints in full"),
        CR_OPTION_STRINGS("keep", struct example, keep, "[]", 0,
                          "COCO categories that are left alone, such as \"person\"")),
    .state_size = sizeof(struct example),
    .stage = &example_ops,
};

/* The one symbol that is exported. The name is that of the file, without ".so". */
CR_PLUGIN("example-stage", "1.0", "MIT", "the example of how to write a plugin", &example_stage);

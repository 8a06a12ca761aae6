/* SPDX-License-Identifier: MIT */
/* embed FOLDER: a program of somebody else's that uses the library. It lists the plugins of a
 * folder with what they declare, and then runs example-stage on a picture that it makes itself. */
#include <stdio.h>
#include <string.h>

#include <crayon/memory.h>
#include <crayon/pipeline.h>

/* ---- What there is ---- */

static void print_ports(const char *direction, const struct cr_port *const *ports)
{
    for (; ports != NULL && *ports != NULL; ports++)
        printf("  %s %s %s%s\n", direction, (*ports)->name, cr_type_name((*ports)->type),
               ((*ports)->flags & CR_PORT_OPTIONAL) != 0 ? " optional" : "");
}

static void print_element(const struct cr_element *element)
{
    printf("%s: %s\n", element->name, element->summary);
    print_ports("in", element->inputs);
    print_ports("out", element->outputs);
    for (const struct cr_option *const *option = element->options;
         option != NULL && *option != NULL; option++)
        printf("  option %s = %s\n", (*option)->name,
               (*option)->initial == NULL ? "(none)" : (*option)->initial);
}

/* The number of files that were refused. */
static int list(const struct cr_registry *registry)
{
    int refused = 0;
    for (size_t i = 0; i < cr_registry_count(registry); i++) {
        struct cr_plugin_info info = cr_registry_get(registry, i);
        if (info.plugin != NULL)
            continue;
        fprintf(stderr, "embed: %s: %s\n", info.file, info.reason);
        refused++;
    }
    for (size_t i = 0; i < cr_registry_elements(registry); i++)
        print_element(cr_registry_element(registry, i));
    return refused;
}

/* ---- A run ---- */

static const char pipeline_text[] =
    "{\"crayon\": 1, \"inputs\": {\"image\": \"image\", \"objects\": \"panoptic\"},"
    " \"stages\": {\"paint\": {\"use\": \"example-stage\", \"tones\": 2, \"keep\": [\"person\"],"
    "                       \"in\": {\"image\": \"@image\", \"panoptic\": \"@objects\"}}},"
    " \"outputs\": {\"image\": \"paint.image\", \"kept\": \"paint.kept\"}}";

/* One row of four pixels: black, dark red, light blue, white. */
static int make_picture(struct cr_value **value, struct cr_error *err)
{
    static const uint8_t pixels[] = {0, 0, 0, 120, 0, 0, 150, 200, 255, 255, 255, 255};
    struct cr_image *image;
    int result = cr_image_create(&image, (struct cr_size){1, 4}, err);
    if (result < 0)
        return result;
    memcpy(cr_image_edit(image), pixels, sizeof(pixels));
    result = cr_value_from_image(value, image, err);
    cr_image_unref(&image);
    return result;
}

/* Half as fine: a car on the left, a person on the right. */
static int make_objects(struct cr_value **value, struct cr_error *err)
{
    struct cr_segment car = {.id = 1, .label = cr_coco_label_by_name("car"), .score = 1};
    struct cr_segment person = {.id = 2, .label = cr_coco_label_by_name("person"), .score = 1};
    struct cr_panoptic *map;
    int result = cr_panoptic_create(&map, (struct cr_size){1, 2}, err);
    if (result < 0)
        return result;
    cr_panoptic_edit(map)[0] = 1;
    cr_panoptic_edit(map)[1] = 2;
    if ((result = cr_panoptic_add(map, &car, err)) == 0 &&
        (result = cr_panoptic_add(map, &person, err)) == 0)
        result = cr_value_from_panoptic(value, map, err);
    cr_panoptic_unref(&map);
    return result;
}

static void print_output(const struct cr_run *run)
{
    const struct cr_image *image = cr_value_image(cr_run_output(run, "image"), 0);
    const uint8_t *pixels = cr_image_pixels(image);
    for (int i = 0; i < 12; i++)
        printf("%d%c", pixels[i], i < 11 ? ' ' : '\n');
    printf("%s\n", cr_value_text(cr_run_output(run, "kept"), 0));
}

static int execute(struct cr_pipeline *pipeline, struct cr_error *err)
{
    struct cr_run *run = NULL;
    struct cr_value *picture = NULL, *objects = NULL;
    int result;
    if ((result = make_picture(&picture, err)) == 0 &&
        (result = make_objects(&objects, err)) == 0 &&
        (result = cr_run_create(&run, pipeline, err)) == 0 &&
        (result = cr_run_set_input(run, "image", picture, err)) == 0 &&
        (result = cr_run_set_input(run, "objects", objects, err)) == 0 &&
        (result = cr_run_want(run, "image", err)) == 0 &&
        (result = cr_run_want(run, "kept", err)) == 0 && (result = cr_run_execute(run, err)) == 0)
        print_output(run);
    cr_run_destroy(&run);
    cr_value_unref(&picture);
    cr_value_unref(&objects);
    return result;
}

static int run_example(const struct cr_registry *registry, struct cr_error *err)
{
    struct cr_report *report = cr_report_create();
    if (report == NULL)
        return cr_fail(err, CR_ERR_MEMORY, "out of memory");
    struct cr_pipeline *pipeline;
    int result = cr_pipeline_parse(&pipeline, registry, pipeline_text, strlen(pipeline_text),
                                   "embedded", NULL, 0, report, err);
    for (size_t i = 0; i < cr_report_count(report); i++) {
        char *text = cr_finding_text(cr_report_get(report, i));
        fprintf(stderr, "embed: %s\n", text == NULL ? "out of memory" : text);
        cr_free(text);
    }
    cr_report_destroy(&report);
    if (result == 0)
        result = execute(pipeline, err);
    cr_pipeline_destroy(&pipeline);
    return result;
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    struct cr_registry_params params = {.path = argv[1], .only_path = true};
    struct cr_registry *registry;
    struct cr_error err = CR_ERROR_INIT;
    int refused = 0;
    int result = cr_registry_create(&registry, &params, &err);
    if (result == 0) {
        refused = list(registry);
        result = run_example(registry, &err);
    }
    cr_registry_destroy(&registry);
    if (result < 0)
        fprintf(stderr, "embed: %s\n", err.message);
    return result < 0 || refused > 0;
}

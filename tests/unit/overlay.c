/* SPDX-License-Identifier: MIT */
/* The stage overlay: its layout and its pixels by the functions that the plugin is made of, and the
 * plugin itself in a pipeline. */
#include <math.h>

#include "../../plugins/overlay/draw.h"
#include "../../plugins/overlay/paint.h"
#include "../../plugins/overlay/palette.h"
#include "run_stage.h"

static const struct overlay_options defaults = {.opacity = 0.5,
                                                .stuff_opacity = 0.7,
                                                .outline = -1,
                                                .labels = true,
                                                .legend = true,
                                                .min_area = 0.0001,
                                                .grid = {35, 35}};

/* Labels by name, so that tables read well; "?" is unknown. */
static int32_t label_of(const char *name)
{
    return strcmp(name, "?") == 0 ? CR_LABEL_UNKNOWN : cr_coco_label_by_name(name);
}

static uint32_t next_number(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static struct cr_image *noise_image(int32_t height, int32_t width, uint32_t seed)
{
    struct cr_image *image = stage_image(height, width, NULL);
    for (size_t i = 0; i < (size_t)height * (size_t)width * 3; i++)
        cr_image_edit(image)[i] = (uint8_t)next_number(&seed);
    return image;
}

static struct cr_panoptic *empty_map(int32_t height, int32_t width)
{
    struct cr_error err = CR_ERROR_INIT;
    struct cr_panoptic *map = NULL;
    if (cr_panoptic_create(&map, (struct cr_size){height, width}, &err) < 0)
        fail_msg("%s", err.message);
    return map;
}

static void add(struct cr_panoptic *map, int32_t id, const char *name, bool crowd)
{
    struct cr_error err = CR_ERROR_INIT;
    const struct cr_segment segment = {
        .id = id, .label = label_of(name), .score = 1, .crowd = crowd, .original_id = id};
    if (cr_panoptic_add(map, &segment, &err) < 0)
        fail_msg("%s", err.message);
}

static void fill(struct cr_panoptic *map, int32_t y0, int32_t x0, int32_t y1, int32_t x1,
                 int32_t id)
{
    for (int32_t y = y0; y < y1; y++)
        for (int32_t x = x0; x < x1; x++)
            cr_panoptic_edit(map)[y * cr_panoptic_size(map).width + x] = id;
}

/* Sky over grass, a person in a crowd of sheep, something unknown, background, an unlisted id. */
static struct cr_panoptic *small_scene(void)
{
    struct cr_panoptic *map = empty_map(120, 200);
    add(map, 10, "sky-other-merged", false);
    add(map, 4, "grass-merged", false);
    add(map, 7, "sheep", true);
    add(map, 2, "person", false);
    add(map, 900, "?", false);
    add(map, 5, "person", false);
    add(map, 6, "dog", false); /* has no pixel */
    fill(map, 0, 0, 60, 200, 10);
    fill(map, 60, 0, 120, 200, 4);
    fill(map, 50, 20, 100, 120, 7);
    fill(map, 40, 60, 110, 80, 2);
    fill(map, 90, 140, 120, 200, 900);
    fill(map, 0, 190, 20, 200, 0);
    fill(map, 20, 190, 40, 200, 333);
    fill(map, 71, 150, 73, 152, 5); /* a speck that no cell of the grid sees */
    return map;
}

/* Regions around random points, with these classes in turn. */
static struct cr_panoptic *patchwork(int32_t height, int32_t width, int32_t count, uint32_t seed)
{
    static const char *const names[] = {"person", "horse", "sky-other-merged",
                                        "?",      "car",   "grass-merged"};
    struct cr_panoptic *map = empty_map(height, width);
    int32_t *points = calloc((size_t)count, 2 * sizeof(*points));
    assert_non_null(points);
    for (int32_t i = 0; i < count; i++) {
        add(map, i + 1, names[i % (int32_t)COUNT(names)], i % 17 == 5);
        points[2 * i] = (int32_t)(next_number(&seed) % (uint32_t)height);
        points[2 * i + 1] = (int32_t)(next_number(&seed) % (uint32_t)width);
    }
    for (int32_t y = 0; y < height; y++)
        for (int32_t x = 0; x < width; x++) {
            int64_t nearest = INT64_MAX;
            int32_t *id = &cr_panoptic_edit(map)[(size_t)y * (size_t)width + (size_t)x];
            for (int32_t i = 0; i < count; i++) {
                int64_t dy = y - points[2 * i], dx = x - points[2 * i + 1];
                if (dy * dy + dx * dx < nearest) {
                    nearest = dy * dy + dx * dx;
                    *id = i + 1;
                }
            }
        }
    free(points);
    return map;
}

/* ---- What has to hold for every picture ---- */

static bool overlap(struct cr_rect a, struct cr_rect b)
{
    return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height &&
           b.y < a.y + a.height;
}

static void check_labels(const struct overlay_plan *plan, struct cr_size photograph)
{
    for (size_t i = 0; i < plan->count; i++) {
        const struct label *label = &plan->labels[i];
        if (!label->placed)
            continue;
        struct cr_rect r = label->rect;
        if (r.x < 0 || r.y < 0 || r.x + r.width > photograph.width ||
            r.y + r.height > photograph.height)
            fail_msg("\"%s\" leaves the photograph", label->text);
        if (!label->leader)
            assert_int_equal(survey_at(&plan->survey, r.x + r.width / 2, r.y + r.height / 2),
                             label->index);
        for (size_t j = 0; j < i; j++)
            if (plan->labels[j].placed && overlap(r, plan->labels[j].rect))
                fail_msg("\"%s\" covers \"%s\"", label->text, plan->labels[j].text);
    }
}

/* Entries are apart from each other and from the photograph, inside the result, and count right. */
static void check_legend(const struct overlay_plan *plan, struct cr_size photograph)
{
    const struct legend *legend = &plan->legend;
    struct cr_rect picture = {0, 0, photograph.width, photograph.height};
    int64_t counted = 0, present = 0;
    for (size_t i = 0; i < legend->count; i++) {
        const struct legend_entry *a = &legend->entries[i];
        struct cr_rect r = {a->x, a->y, legend->swatch + a->width, legend->row};
        assert_false(overlap(r, picture));
        assert_true(r.x >= 0 && r.x + r.width <= plan->size.width);
        assert_true(r.y >= 0 && r.y + r.height <= plan->size.height);
        if (i > 0)
            assert_true(legend->entries[i - 1].thing || !a->thing);
        for (size_t j = 0; j < i; j++) {
            const struct legend_entry *b = &legend->entries[j];
            assert_int_not_equal(a->label, b->label);
            assert_false(
                overlap(r, (struct cr_rect){b->x, b->y, legend->swatch + b->width, legend->row}));
        }
        counted += a->segments;
    }
    for (size_t i = 0; i < plan->survey.count; i++)
        present += plan->survey.segments[i].area > 0;
    assert_int_equal(counted, present);
}

static struct overlay_plan plan_for(const struct overlay_options *options,
                                    const struct cr_image *image, const struct cr_panoptic *map)
{
    struct cr_error err = CR_ERROR_INIT;
    struct overlay_plan plan;
    if (overlay_plan(&plan, options, image, map, &err) < 0)
        fail_msg("%s", err.message);
    check_labels(&plan, cr_image_size(image));
    if (options->legend)
        check_legend(&plan, cr_image_size(image));
    return plan;
}

static struct cr_image *draw(const struct overlay_options *options, const struct cr_image *image,
                             const struct cr_panoptic *map)
{
    struct cr_error err = CR_ERROR_INIT;
    struct overlay_plan plan = plan_for(options, image, map);
    struct cr_image *result = NULL;
    if (overlay_draw(&result, &plan, options, image, &err) < 0)
        fail_msg("%s", err.message);
    assert_int_equal(cr_image_size(result).height, plan.size.height);
    assert_int_equal(cr_image_size(result).width, plan.size.width);
    overlay_plan_finish(&plan);
    return result;
}

static void assert_same(const struct cr_image *a, const struct cr_image *b)
{
    struct cr_size size = cr_image_size(a);
    assert_int_equal(size.height, cr_image_size(b).height);
    assert_int_equal(size.width, cr_image_size(b).width);
    assert_memory_equal(cr_image_pixels(a), cr_image_pixels(b),
                        (size_t)size.height * (size_t)size.width * 3);
}

/* ---- Pixels ---- */

/* The position in the list of a pixel's segment; -1 for background and unlisted ids. */
static int32_t index_of(const struct cr_panoptic *map, int32_t x, int32_t y)
{
    int32_t id = cr_panoptic_ids(map)[y * cr_panoptic_size(map).width + x];
    for (size_t i = 0; i < cr_panoptic_count(map); i++)
        if (cr_panoptic_segment(map, i)->id == id)
            return (int32_t)i;
    return -1;
}

static bool is_thing(const struct cr_panoptic *map, int32_t index)
{
    const struct cr_category *category =
        index < 0 ? NULL : cr_coco_category(cr_panoptic_segment(map, (size_t)index)->label);
    return category != NULL && category->thing;
}

/* Is segment `a` in front of `b`? */
static bool in_front(const struct cr_panoptic *map, const int64_t *areas, int32_t a, int32_t b)
{
    if (a < 0 || b < 0)
        return b < 0 && a >= 0;
    if (is_thing(map, a) != is_thing(map, b))
        return is_thing(map, a);
    return areas[a] != areas[b] ? areas[a] < areas[b] : a > b;
}

/* How white the outline is at a pixel. */
static int32_t expected_edge(const struct cr_panoptic *map, const int64_t *areas, int32_t x,
                             int32_t y, int32_t n)
{
    struct cr_size size = cr_panoptic_size(map);
    int32_t own = index_of(map, x, y), front = own;
    for (int32_t v = y - n; v <= y + n; v++)
        for (int32_t u = x - n; u <= x + n; u++) {
            if (u < 0 || v < 0 || u >= size.width || v >= size.height)
                continue;
            int32_t other = index_of(map, u, v);
            if (in_front(map, areas, other, front))
                front = other;
        }
    if (front == own)
        return 0;
    return is_thing(map, front) ? PAINT_THING_EDGE : PAINT_STUFF_EDGE;
}

static uint8_t mix(int32_t below, int32_t above, int32_t alpha)
{
    return (uint8_t)((below * (255 - alpha) + above * alpha) / 255.0 + 0.5);
}

static void expected_pixel(const struct cr_panoptic *map, const int64_t *areas,
                           const struct overlay_plan *plan, const struct overlay_options *options,
                           int32_t x, int32_t y, uint8_t pixel[3])
{
    int32_t index = index_of(map, x, y);
    if (index >= 0) {
        const struct surveyed *segment = &plan->survey.segments[index];
        double opacity = options->opacity * (is_thing(map, index) ? 1 : options->stuff_opacity);
        if (cr_panoptic_segment(map, (size_t)index)->crowd && (x + y) / plan->style.stripe % 2 == 1)
            opacity *= 0.4;
        for (int i = 0; i < 3; i++)
            pixel[i] = mix(pixel[i], segment->color[i], (int32_t)(255 * opacity + 0.5));
    }
    int32_t edge = expected_edge(map, areas, x, y, plan->style.outline);
    for (int i = 0; edge > 0 && i < 3; i++)
        pixel[i] = mix(pixel[i], 255, edge);
}

/* May drawing have touched the pixel? */
static bool near_drawing(const struct overlay_plan *plan, int32_t x, int32_t y)
{
    struct cr_rect pixel = {x, y, 1, 1};
    for (size_t i = 0; i < plan->count; i++) {
        const struct label *label = &plan->labels[i];
        struct cr_rect r = label->rect;
        if (!label->placed)
            continue;
        if (label->leader) { /* the box around label, line and dot */
            const struct surveyed *s = &plan->survey.segments[label->index];
            double x1 = s->x > r.x + r.width ? s->x : r.x + r.width;
            double y1 = s->y > r.y + r.height ? s->y : r.y + r.height;
            r.x = s->x < r.x ? s->x : r.x;
            r.y = s->y < r.y ? s->y : r.y;
            r.width = x1 - r.x;
            r.height = y1 - r.y;
            r = (struct cr_rect){r.x - 8, r.y - 8, r.width + 16, r.height + 16};
        }
        if (overlap(r, pixel))
            return true;
    }
    return false;
}

static void check_pixels(const struct overlay_options *options)
{
    struct cr_error err = CR_ERROR_INIT;
    struct cr_panoptic *map = small_scene();
    struct cr_image *image = noise_image(120, 200, 1), *result = NULL;
    struct overlay_plan plan = plan_for(options, image, map);
    int64_t areas[7] = {0};
    size_t checked = 0;
    assert_int_equal(overlay_draw(&result, &plan, options, image, &err), 0);
    for (int32_t i = 0; i < 120 * 200; i++)
        if (index_of(map, i % 200, i / 200) >= 0)
            areas[index_of(map, i % 200, i / 200)]++;
    for (int32_t y = 0; y < 120; y++)
        for (int32_t x = 0; x < 200; x++) {
            uint8_t expected[3];
            const uint8_t *got =
                cr_image_pixels(result) + 3 * ((size_t)y * (size_t)plan.size.width + (size_t)x);
            if (near_drawing(&plan, x, y))
                continue;
            memcpy(expected, cr_image_pixels(image) + 3 * (y * 200 + x), 3);
            expected_pixel(map, areas, &plan, options, x, y, expected);
            if (memcmp(got, expected, 3) != 0)
                fail_msg("pixel (%d, %d) is %d %d %d, expected %d %d %d", x, y, got[0], got[1],
                         got[2], expected[0], expected[1], expected[2]);
            checked++;
        }
    assert_true(checked > (options->labels ? 10000 : 23999));
    overlay_plan_finish(&plan);
    cr_image_unref(&result);
    cr_image_unref(&image);
    cr_panoptic_unref(&map);
}

static void pixels_are_the_documented_blend(void **state)
{
    (void)state;
    struct overlay_options options = defaults;
    check_pixels(&options);
    options.labels = false;
    check_pixels(&options);
    for (options.outline = 0; options.outline <= 5; options.outline++)
        check_pixels(&options);
    options.outline = 1;
    options.opacity = 1;
    check_pixels(&options);
    options.stuff_opacity = 0;
    check_pixels(&options);
}

static void nothing_to_paint_leaves_the_photograph(void **state)
{
    (void)state;
    struct cr_image *image = noise_image(50, 70, 3);
    struct cr_panoptic *map = empty_map(50, 70);
    fill(map, 0, 0, 25, 70, 8); /* not listed */
    struct cr_image *result = draw(&defaults, image, map);
    assert_same(result, image);
    cr_image_unref(&result);
    cr_panoptic_unref(&map);
    /* Nor does a map that must not be seen. */
    struct overlay_options invisible = {.opacity = 0, .grid = {35, 35}};
    map = patchwork(50, 70, 9, 4);
    result = draw(&invisible, image, map);
    assert_same(result, image);
    cr_image_unref(&result);
    cr_panoptic_unref(&map);
    cr_image_unref(&image);
}

/* ---- Labels ---- */

static const char *text_of(const struct overlay_plan *plan, int32_t id)
{
    for (size_t i = 0; i < plan->count; i++)
        if (cr_panoptic_segment(plan->panoptic, (size_t)plan->labels[i].index)->id == id)
            return plan->labels[i].text;
    return "(none)";
}

static void labels_and_legend_say_what_is_there(void **state)
{
    (void)state;
    struct cr_image *image = noise_image(120, 200, 1);
    struct cr_panoptic *map = small_scene();
    struct overlay_plan plan = plan_for(&defaults, image, map);
    assert_text("sky", text_of(&plan, 10), "sky");
    assert_text("sheep", text_of(&plan, 7), "#1 sheep (crowd)");
    assert_text("person", text_of(&plan, 2), "#1 person");
    assert_text("unknown", text_of(&plan, 900), "unknown");
    assert_text("a person that vanishes on the grid", text_of(&plan, 5), "person");
    assert_text("a dog without pixels", text_of(&plan, 6), "(none)");
    static const char *const entries[] = {"sheep \303\227 1, 1 crowd", "person \303\227 2", "sky",
                                          "grass", "unknown"};
    assert_int_equal(plan.legend.count, COUNT(entries));
    for (size_t i = 0; i < COUNT(entries); i++)
        assert_text("entry", plan.legend.entries[i].text, entries[i]);
    overlay_plan_finish(&plan);

    struct overlay_options options = defaults;
    options.grid = (struct cr_size){0, 0};
    options.min_area = 0.01;
    plan = plan_for(&options, image, map);
    assert_text("numbered without a grid", text_of(&plan, 2), "#1 person");
    assert_text("smaller than min_area", text_of(&plan, 5), "(none)");
    overlay_plan_finish(&plan);
    cr_panoptic_unref(&map);

    map = patchwork(120, 200, 12, 6);
    plan = plan_for(&defaults, image, map);
    assert_text("one of several unknown", text_of(&plan, 10), "#2");
    overlay_plan_finish(&plan);
    cr_panoptic_unref(&map);
    cr_image_unref(&image);
}

static void lone_label_sits_on_the_visual_centre(void **state)
{
    (void)state;
    /* A thick blob with a long thin arm: the mean lies in the arm, the centre in the blob. */
    struct cr_image *image = noise_image(300, 600, 5);
    struct cr_panoptic *map = empty_map(300, 600);
    add(map, 1, "grass-merged", false);
    fill(map, 100, 20, 220, 160, 1);
    fill(map, 155, 160, 160, 590, 1);
    struct overlay_plan plan = plan_for(&defaults, image, map);
    const struct surveyed *segment = &plan.survey.segments[0];
    assert_true(segment->x > 75 && segment->x < 110);
    assert_true(segment->y > 155 && segment->y < 165);
    assert_true(segment->radius > 52 && segment->radius < 62);
    assert_int_equal(plan.count, 1);
    assert_true(plan.labels[0].placed && !plan.labels[0].leader);
    struct cr_rect r = plan.labels[0].rect;
    assert_true(r.x < segment->x && segment->x < r.x + r.width);
    assert_true(r.y < segment->y && segment->y < r.y + r.height);
    overlay_plan_finish(&plan);
    cr_panoptic_unref(&map);
    cr_image_unref(&image);
}

static void label_of_a_speck_stands_beside_it(void **state)
{
    (void)state;
    struct cr_image *image = noise_image(200, 300, 5);
    struct cr_panoptic *map = empty_map(200, 300);
    add(map, 1, "bird", false);
    fill(map, 100, 150, 106, 158, 1);
    struct overlay_plan plan = plan_for(&defaults, image, map);
    assert_true(plan.labels[0].placed && plan.labels[0].leader);
    struct cr_rect speck = {150, 100, 8, 6}, r = plan.labels[0].rect;
    assert_false(overlap(r, speck));
    assert_true(overlap((struct cr_rect){r.x - 20, r.y - 20, r.width + 40, r.height + 40}, speck));
    overlay_plan_finish(&plan);
    cr_panoptic_unref(&map);
    cr_image_unref(&image);
}

static void labels_never_touch(void **state)
{
    (void)state;
    static const struct {
        int32_t height, width, segments;
    } cases[] = {{240, 320, 12}, {240, 320, 60}, {240, 320, 200}, {90, 640, 40},
                 {640, 90, 40},  {60, 60, 30},   {480, 640, 25}};
    for (size_t i = 0; i < COUNT(cases); i++)
        for (uint32_t seed = 1; seed <= 3; seed++) {
            struct cr_image *image = noise_image(cases[i].height, cases[i].width, seed);
            struct cr_panoptic *map =
                patchwork(cases[i].height, cases[i].width, cases[i].segments, seed);
            struct overlay_plan plan = plan_for(&defaults, image, map);
            size_t placed = 0;
            for (size_t j = 0; j < plan.count; j++)
                placed += plan.labels[j].placed;
            /* Where there is ample room, everybody has a label. */
            if (cases[i].segments <= 25)
                assert_int_equal(placed, plan.survey.count);
            assert_true(placed > 0);
            overlay_plan_finish(&plan);
            cr_panoptic_unref(&map);
            cr_image_unref(&image);
        }
}

static void real_photographs_have_all_their_labels(void **state)
{
    (void)state;
    static const char *const names[] = {"000000142238.jpg", "000000439180.jpg"};
    char path[4096];
    const char *json = shared_path("data/coco_panoptic_sample/panoptic_examples.json");
    for (size_t i = 0; i < COUNT(names); i++) {
        struct cr_error err = CR_ERROR_INIT;
        struct cr_image *image = NULL;
        struct cr_panoptic *map = NULL;
        snprintf(path, sizeof(path), "data/coco_panoptic_sample/%s", names[i]);
        const struct cr_coco_query query = {.image_id = -1, .file_name = names[i]};
        if (cr_image_load(&image, shared_path(path), NULL, &err) < 0 ||
            cr_coco_load(&map, json, NULL, &query, NULL, &err) < 0)
            fail_msg("%s", err.message);
        struct overlay_plan plan = plan_for(&defaults, image, map);
        for (size_t j = 0; j < plan.count; j++)
            if (!plan.labels[j].placed)
                fail_msg("%s: no place for \"%s\"", names[i], plan.labels[j].text);
        assert_int_equal(plan.count, plan.survey.count);
        overlay_plan_finish(&plan);
        cr_panoptic_unref(&map);
        cr_image_unref(&image);
    }
}

/* ---- Sizes ---- */

static void any_size_works(void **state)
{
    (void)state;
    static const struct {
        int32_t height, width, segments;
        bool beside; /* where the legend stands */
    } cases[] = {{1, 1, 1, false},     {1, 7, 3, false},      {3, 2000, 6, false},
                 {2000, 3, 6, true},   {2000, 30, 400, true}, {33, 17, 5, false},
                 {35, 17, 5, true},    {64, 64, 1000, false}, {300, 400, 1000, false},
                 {2, 65535, 4, false}, {65535, 2, 4, true}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        int32_t height = cases[i].height, width = cases[i].width;
        struct cr_image *image = noise_image(height, width, 8);
        struct cr_panoptic *map = patchwork(height, width, cases[i].segments, 9);
        struct cr_image *first = draw(&defaults, image, map);
        struct cr_image *second = draw(&defaults, image, map);
        assert_same(first, second);
        struct cr_size size = cr_image_size(first);
        assert_int_equal(size.width > width && cases[i].beside, cases[i].beside);
        assert_int_equal(size.height > height || cases[i].beside, true);
        cr_image_unref(&first);
        cr_image_unref(&second);
        cr_panoptic_unref(&map);
        cr_image_unref(&image);
    }
}

/* ---- Colours ---- */

static double linear(uint8_t value)
{
    double v = value / 255.0;
    return v <= 0.04045 ? v / 12.92 : pow((v + 0.055) / 1.055, 2.4);
}

static void colours_are_readable_and_differ(void **state)
{
    (void)state;
    for (int32_t label = CR_LABEL_UNKNOWN; label < CR_COCO_LABELS; label++) {
        uint8_t colors[16][3];
        for (int32_t nth = 0; nth < 16; nth++) {
            uint8_t *c = colors[nth];
            palette_color(label, nth, c);
            double y = 0.2126 * linear(c[0]) + 0.7152 * linear(c[1]) + 0.0722 * linear(c[2]);
            double contrast = palette_is_light(c) ? (y + 0.05) / 0.05 : 1.05 / (y + 0.05);
            if (contrast < 4.5) /* what WCAG 2 asks for text */
                fail_msg("label %d, instance %d: contrast %.2f", label, nth, contrast);
            const struct cr_category *category = cr_coco_category(label);
            bool countable = category == NULL || category->thing;
            for (int32_t other = nth > 6 ? nth - 6 : 0; countable && other < nth; other++)
                if (abs(c[0] - colors[other][0]) + abs(c[1] - colors[other][1]) +
                        abs(c[2] - colors[other][2]) <
                    10)
                    fail_msg("label %d: instances %d and %d look the same", label, nth, other);
        }
    }
}

/* ---- The plugin ---- */

static const char pipeline_text[] =
    "{\"crayon\": 1, \"inputs\": {\"image\": \"image\", \"panoptic\": \"panoptic\"},"
    " \"stages\": {\"overlay\": {\"use\": \"overlay\","
    " \"in\": {\"image\": \"@image\", \"panoptic\": \"@panoptic\"}}},"
    " \"outputs\": {\"picture\": \"overlay.image\"}}";

/* Runs the plugin on a batch; the caller destroys `*run`. */
static const struct cr_value *run_plugin(struct cr_run **run, struct cr_pipeline *pipeline,
                                         struct cr_image *const *images,
                                         struct cr_panoptic *const *maps, size_t count)
{
    struct cr_error err = CR_ERROR_INIT;
    struct cr_value *pictures = NULL, *panoptics = NULL;
    assert_int_equal(cr_value_create(&pictures, CR_TYPE_IMAGE, count, &err), 0);
    assert_int_equal(cr_value_create(&panoptics, CR_TYPE_PANOPTIC, count, &err), 0);
    for (size_t i = 0; i < count; i++) {
        cr_value_set_image(pictures, i, images[i]);
        cr_value_set_panoptic(panoptics, i, maps[i]);
    }
    if (cr_run_create(run, pipeline, &err) < 0 ||
        cr_run_set_input(*run, "image", pictures, &err) < 0 ||
        cr_run_set_input(*run, "panoptic", panoptics, &err) < 0 ||
        cr_run_want(*run, "picture", &err) < 0 || cr_run_execute(*run, &err) < 0)
        fail_msg("%s", err.message);
    cr_value_unref(&pictures);
    cr_value_unref(&panoptics);
    return cr_run_output(*run, "picture");
}

static void plugin_draws_each_item_for_itself(void **state)
{
    (void)state;
    struct cr_pipeline *pipeline = stage_parse(pipeline_text);
    struct cr_image *images[] = {noise_image(80, 120, 1), noise_image(200, 90, 2),
                                 noise_image(60, 60, 3)};
    /* The second map is smaller than its picture. */
    struct cr_panoptic *maps[] = {patchwork(80, 120, 7, 1), patchwork(50, 30, 9, 2),
                                  empty_map(60, 60)};
    struct cr_run *run = NULL;
    const struct cr_value *pictures = run_plugin(&run, pipeline, images, maps, 3);
    assert_int_equal(cr_value_count(pictures), 3);
    for (size_t i = 0; i < 3; i++) {
        struct cr_image *alone = draw(&defaults, images[i], maps[i]);
        assert_same(cr_value_image(pictures, i), alone);
        cr_image_unref(&alone);
    }
    cr_run_destroy(&run);
    for (size_t i = 0; i < 3; i++) {
        cr_image_unref(&images[i]);
        cr_panoptic_unref(&maps[i]);
    }
    cr_pipeline_destroy(&pipeline);
}

/* Who reads "#2 horse" in a caption finds that horse in the picture. */
static void numbers_are_those_of_the_caption(void **state)
{
    (void)state;
    static const char *const wanted[] = {"objects", NULL};
    struct cr_error err = CR_ERROR_INIT;
    struct cr_panoptic *map = NULL;
    struct cr_value *value = NULL;
    struct cr_run *run = NULL;
    if (cr_registry_find(stage_registry(), CR_ELEMENT_STAGE, "crayon-encoder", NULL) == NULL)
        skip_because("crayon-encoder is not built");
    const struct cr_coco_query query = {.image_id = -1};
    if (cr_coco_load(&map, source_path("pipelines/scene/panoptic_scene.json"), NULL, &query, NULL,
                     &err) < 0 ||
        cr_value_from_panoptic(&value, map, &err) < 0)
        fail_msg("%s", err.message);
    struct cr_pipeline *pipeline =
        stage_parse("{\"crayon\": 1, \"inputs\": {\"panoptic\": \"panoptic\"}, \"stages\": {"
                    "\"crayon\": {\"use\": \"crayon-encoder\", \"in\": {\"panoptic\": "
                    "\"@panoptic\"}}}, \"outputs\": {\"objects\": \"crayon.objects\"}}");
    if (stage_run(&run, pipeline, "panoptic", value, wanted, &err) < 0)
        fail_msg("%s", err.message);
    const char *caption = cr_value_text(cr_run_output(run, "objects"), 0);
    struct cr_image *image =
        stage_image(cr_panoptic_size(map).height, cr_panoptic_size(map).width, NULL);
    struct overlay_plan plan = plan_for(&defaults, image, map);
    size_t numbered = 0;
    for (size_t i = 0; i < plan.count; i++) {
        const struct surveyed *segment = &plan.survey.segments[plan.labels[i].index];
        char entry[80];
        if (segment->number == 0)
            continue;
        snprintf(entry, sizeof(entry), "(#%d %s) [", segment->number,
                 cr_coco_category(segment->label)->short_name);
        if (strstr(caption, entry) == NULL)
            fail_msg("\"%s\" is not in the caption: %s", entry, caption);
        numbered++;
    }
    for (const char *at = caption; (at = strstr(at, "(#")) != NULL; at++)
        numbered--;
    assert_int_equal(numbered, 0);
    overlay_plan_finish(&plan);
    cr_run_destroy(&run);
    cr_pipeline_destroy(&pipeline);
    cr_image_unref(&image);
    cr_panoptic_unref(&map);
}

struct attempt {
    struct cr_image *image;
    struct cr_panoptic *map;
};

static int try_to_draw(void *user, struct cr_error *err)
{
    const struct attempt *attempt = user;
    struct overlay_plan plan;
    struct cr_image *result = NULL;
    int code = overlay_plan(&plan, &defaults, attempt->image, attempt->map, err);
    if (code < 0)
        return code;
    code = overlay_draw(&result, &plan, &defaults, attempt->image, err);
    assert_true((code == 0) == (result != NULL));
    cr_image_unref(&result);
    overlay_plan_finish(&plan);
    return code;
}

static void every_fault_is_reported(void **state)
{
    (void)state;
    struct attempt attempt = {noise_image(24, 40, 1), patchwork(12, 20, 3, 1)};
    stage_sweep(try_to_draw, &attempt);
    cr_image_unref(&attempt.image);
    cr_panoptic_unref(&attempt.map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pixels_are_the_documented_blend),
        cmocka_unit_test(nothing_to_paint_leaves_the_photograph),
        cmocka_unit_test(labels_and_legend_say_what_is_there),
        cmocka_unit_test(lone_label_sits_on_the_visual_centre),
        cmocka_unit_test(label_of_a_speck_stands_beside_it),
        cmocka_unit_test(labels_never_touch),
        cmocka_unit_test(real_photographs_have_all_their_labels),
        cmocka_unit_test(any_size_works),
        cmocka_unit_test(colours_are_readable_and_differ),
        cmocka_unit_test(plugin_draws_each_item_for_itself),
        cmocka_unit_test(numbers_are_those_of_the_caption),
        cmocka_unit_test(every_fault_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* The stage crayon-encoder beyond the recorded cases: other grids, reduction, batches, errors. */
#include <locale.h>
#include <time.h>

#include "run_stage.h"

#define MAX_CELLS 64
#define HEAD "{\"crayon\": 1, \"inputs\": {\"map\": \"panoptic\"}, \"stages\": {\"crayon\": {"
#define TAIL                                                                                       \
    "\"use\": \"crayon-encoder\", \"in\": {\"panoptic\": \"@map\"}}}, \"outputs\": {"              \
    "\"semantic\": \"crayon.semantic\", \"numbering\": \"crayon.numbering\", "                     \
    "\"objects\": \"crayon.objects\"}}"

static const char *const all_outputs[] = {"semantic", "numbering", "objects", NULL};

/* A map of one character a cell: '.' background, '-' a negative id, '1'..'9' and 'a'.. ids. */
struct sketch {
    int32_t height, width;
    const char *cells;
    struct {
        int32_t id, label;
    } segments[8]; /* ends with id 0 */
};

static int32_t sketched_id(char cell)
{
    if (cell >= 'a' && cell <= 'z')
        return cell - 'a' + 10;
    return cell == '.' ? 0 : cell == '-' ? -7 : cell - '0';
}

static struct cr_panoptic *draw(const struct sketch *sketch)
{
    struct cr_panoptic *map = NULL;
    struct cr_error err = CR_ERROR_INIT;
    struct cr_size size = {sketch->height, sketch->width};
    assert_int_equal(strlen(sketch->cells), (size_t)sketch->height * (size_t)sketch->width);
    if (cr_panoptic_create(&map, size, &err) < 0)
        fail_msg("%s", err.message);
    for (size_t i = 0; sketch->cells[i] != '\0'; i++)
        cr_panoptic_edit(map)[i] = sketched_id(sketch->cells[i]);
    for (size_t i = 0; i < COUNT(sketch->segments) && sketch->segments[i].id != 0; i++) {
        const struct cr_segment segment = {.id = sketch->segments[i].id,
                                           .label = sketch->segments[i].label};
        if (cr_panoptic_add(map, &segment, &err) < 0)
            fail_msg("%s", err.message);
    }
    return map;
}

static struct cr_value *draw_batch(const struct sketch *sketches, size_t count)
{
    struct cr_value *value = NULL;
    struct cr_error err = CR_ERROR_INIT;
    if (cr_value_create(&value, CR_TYPE_PANOPTIC, count, &err) < 0)
        fail_msg("%s", err.message);
    for (size_t i = 0; i < count; i++) {
        struct cr_panoptic *map = draw(&sketches[i]);
        cr_value_set_panoptic(value, i, map);
        cr_panoptic_unref(&map);
    }
    return value;
}

static struct cr_pipeline *pipeline_with_grid(int32_t rows, int32_t columns)
{
    char text[512];
    snprintf(text, sizeof(text), HEAD "\"grid\": [%d, %d], " TAIL, rows, columns);
    return stage_parse(text);
}

static struct cr_run *encode(struct cr_pipeline *pipeline, struct cr_value *value)
{
    struct cr_run *run = NULL;
    struct cr_error err = CR_ERROR_INIT;
    if (stage_run(&run, pipeline, "map", value, all_outputs, &err) < 0)
        fail_msg("%s", err.message);
    return run;
}

/* ---- Maps and captions ---- */

/* Labels: 0 person, 2 car, 17 horse, 119 sky, -1 unknown. */
struct row {
    const char *what;
    struct sketch sketch;
    int32_t rows, columns;
    const char *semantic; /* numbers, a space between two */
    const char *numbering;
    const char *objects; /* NULL: nothing found */
};

static const struct row rows[] = {
    {"the grid's own size",
     {2, 4, "11.222.2", {{1, 17}, {2, 119}}},
     2,
     4,
     "18 18 0 120 120 120 0 120",
     "1 1 0 1 1 1 0 1",
     "(#1 horse) [0.00, 0.00, 0.50, 0.50], (#1 sky) [0.00, 0.00, 1.00, 1.00]"},
    {"reduced, the pixel under each cell's centre counts",
     {4, 4, "1.2.1122..3333.3", {{1, 0}, {2, 0}, {3, 2}}},
     2,
     2,
     "1 1 3 3",
     "1 2 1 1",
     "(#1 person) [0.00, 0.00, 0.50, 0.50], (#2 person) [0.50, 0.00, 1.00, 0.50], "
     "(#1 car) [0.00, 0.50, 1.00, 1.00]"},
    {"enlarged, rows and columns are not mixed up",
     {1, 2, "12", {{1, 0}, {2, 2}}},
     3,
     4,
     "1 1 3 3 1 1 3 3 1 1 3 3",
     "1 1 1 1 1 1 1 1 1 1 1 1",
     "(#1 person) [0.00, 0.00, 0.50, 1.00], (#1 car) [0.50, 0.00, 1.00, 1.00]"},
    {"what vanishes in the reduction is not counted",
     {2, 6, "112233112233", {{1, 0}, {2, 0}, {3, 0}}},
     1,
     2,
     "1 1",
     "1 2",
     "(#1 person) [0.00, 0.00, 0.50, 1.00], (#2 person) [0.50, 0.00, 1.00, 1.00]"},
    {"listed without a pixel",
     {1, 3, "1.3", {{1, 0}, {2, 0}, {3, 0}}},
     1,
     3,
     "1 0 1",
     "1 0 2",
     "(#1 person) [0.00, 0.00, 0.33, 1.00], (#2 person) [0.67, 0.00, 1.00, 1.00]"},
    {"an id that is not listed",
     {1, 3, "123", {{1, 0}, {3, 0}}},
     1,
     3,
     "1 0 1",
     "1 0 2",
     "(#1 person) [0.00, 0.00, 0.33, 1.00], (#2 person) [0.67, 0.00, 1.00, 1.00]"},
    {"an unknown label",
     {1, 3, "123", {{1, 0}, {2, CR_LABEL_UNKNOWN}, {3, 0}}},
     1,
     3,
     "1 0 1",
     "1 0 2",
     "(#1 person) [0.00, 0.00, 0.33, 1.00], (#2 person) [0.67, 0.00, 1.00, 1.00]"},
    {"the caption counts by the list, the map by ids",
     {1, 3, "123", {{3, 0}, {2, 2}, {1, 0}}},
     1,
     3,
     "1 3 1",
     "1 1 2",
     "(#1 person) [0.67, 0.00, 1.00, 1.00], (#1 car) [0.33, 0.00, 0.67, 1.00], "
     "(#2 person) [0.00, 0.00, 0.33, 1.00]"},
    {"a segment in pieces",
     {3, 3, "1...2...1", {{1, 0}, {2, 2}}},
     3,
     3,
     "1 0 0 0 3 0 0 0 1",
     "1 0 0 0 1 0 0 0 1",
     "(#1 person) [0.00, 0.00, 1.00, 1.00], (#1 car) [0.33, 0.33, 0.67, 0.67]"},
    {"the last label",
     {1, 1, "1", {{1, 132}}},
     1,
     1,
     "133",
     "1",
     "(#1 rug) [0.00, 0.00, 1.00, 1.00]"},
    {"eighths end between two hundredths: to the even one",
     {1, 8, ".1.2.3.4", {{1, 0}, {2, 0}, {3, 0}, {4, 0}}},
     1,
     8,
     "0 1 0 1 0 1 0 1",
     "0 1 0 2 0 3 0 4",
     "(#1 person) [0.12, 0.00, 0.25, 1.00], (#2 person) [0.38, 0.00, 0.50, 1.00], "
     "(#3 person) [0.62, 0.00, 0.75, 1.00], (#4 person) [0.88, 0.00, 1.00, 1.00]"},
    {"fortieths too, but single precision puts these above: 0.075 and 0.225",
     {1, 40, "...111111...............................", {{1, 0}}},
     1,
     40,
     "0 0 0 1 1 1 1 1 1 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0",
     "0 0 0 1 1 1 1 1 1 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0",
     "(#1 person) [0.08, 0.00, 0.23, 1.00]"},
    {"background alone", {1, 3, ".-.", {{1, 0}}}, 1, 3, "0 0 0", "0 0 0", NULL},
    {"nothing is listed", {1, 3, "123", {{0}}}, 1, 3, "0 0 0", "0 0 0", NULL},
    {"nothing is known", {1, 2, "11", {{1, CR_LABEL_UNKNOWN}}}, 1, 2, "0 0", "0 0", NULL},
};

static size_t parse_numbers(const char *text, int32_t *numbers)
{
    size_t count = 0;
    char *end;
    for (long number = strtol(text, &end, 10); end != text && count < MAX_CELLS;
         text = end, number = strtol(text, &end, 10))
        numbers[count++] = (int32_t)number;
    return count;
}

static void check_map(const char *what, const struct cr_run *run, const char *output,
                      const char *expected)
{
    int32_t numbers[MAX_CELLS];
    size_t count = parse_numbers(expected, numbers);
    char title[256];
    snprintf(title, sizeof(title), "%s: %s", what, output);
    stage_assert_map(title, cr_run_output(run, output), numbers, count);
}

static void check_row(const struct row *row)
{
    struct cr_pipeline *pipeline = pipeline_with_grid(row->rows, row->columns);
    struct cr_run *run = encode(pipeline, draw_batch(&row->sketch, 1));
    check_map(row->what, run, "semantic", row->semantic);
    check_map(row->what, run, "numbering", row->numbering);
    const struct cr_tensor *tensor = cr_value_tensor(cr_run_output(run, "semantic"));
    assert_int_equal(cr_tensor_rank(tensor), 3);
    assert_int_equal(cr_tensor_extent(tensor, 0), 1);
    assert_int_equal(cr_tensor_extent(tensor, 1), row->rows);
    assert_int_equal(cr_tensor_extent(tensor, 2), row->columns);
    const char *objects = cr_value_text(cr_run_output(run, "objects"), 0);
    assert_text(row->what, objects == NULL ? "null" : objects,
                row->objects == NULL ? "null" : row->objects);
    cr_run_destroy(&run);
    cr_pipeline_destroy(&pipeline);
}

static void maps_and_captions(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        check_row(&rows[i]);
}

/* Numbers end at 20 in the map and go on in the caption; of another label they begin anew. */
static void beyond_twenty(void **state)
{
    (void)state;
    struct cr_panoptic *map = NULL;
    struct cr_value *value = NULL;
    struct cr_error err = CR_ERROR_INIT;
    assert_int_equal(cr_panoptic_create(&map, (struct cr_size){1, 24}, &err), 0);
    int32_t semantic[24], numbering[24];
    for (int32_t i = 0; i < 24; i++) {
        const struct cr_segment segment = {.id = i + 1, .label = i == 22 ? 2 : 0};
        assert_int_equal(cr_panoptic_add(map, &segment, &err), 0);
        cr_panoptic_edit(map)[i] = i + 1;
        semantic[i] = i == 22 ? 3 : 1;
        numbering[i] = i == 22 ? 1 : i < 20 ? i + 1 : 0;
    }
    assert_int_equal(cr_value_from_panoptic(&value, map, &err), 0);
    struct cr_pipeline *pipeline = pipeline_with_grid(1, 24);
    struct cr_run *run = encode(pipeline, value);
    stage_assert_map("semantic", cr_run_output(run, "semantic"), semantic, 24);
    stage_assert_map("numbering", cr_run_output(run, "numbering"), numbering, 24);
    const char *objects = cr_value_text(cr_run_output(run, "objects"), 0);
    assert_non_null(strstr(objects, "(#20 person) [0.79, 0.00, 0.83, 1.00], (#21 person) [0.83,"));
    assert_non_null(strstr(objects, "(#1 car) [0.92, 0.00, 0.96, 1.00], (#23 person) [0.96,"));
    cr_run_destroy(&run);
    cr_pipeline_destroy(&pipeline);
    cr_panoptic_unref(&map);
}

/* The largest grid with a segment in every cell, in a list that is longer still. Looking every cell
 * up in the list would take minutes. */
static void many_segments(void **state)
{
    (void)state;
    enum {
        SIDE = 256,
        CELLS = SIDE * SIDE,
        LISTED = 100000
    };
    struct cr_panoptic *map = NULL;
    struct cr_value *value = NULL;
    struct cr_error err = CR_ERROR_INIT;
    assert_int_equal(cr_panoptic_create(&map, (struct cr_size){SIDE, SIDE}, &err), 0);
    for (int32_t i = 0; i < LISTED; i++) {
        const struct cr_segment segment = {.id = i + 1, .label = i % CR_COCO_LABELS};
        assert_int_equal(cr_panoptic_add(map, &segment, &err), 0);
    }
    int32_t *semantic = calloc(CELLS, sizeof(*semantic));
    int32_t *numbering = calloc(CELLS, sizeof(*numbering));
    assert_non_null(semantic);
    assert_non_null(numbering);
    for (int32_t i = 0; i < CELLS; i++) {
        int32_t index = CELLS - 1 - i, number = index / CR_COCO_LABELS + 1;
        cr_panoptic_edit(map)[i] = index + 1;
        semantic[i] = index % CR_COCO_LABELS + 1;
        numbering[i] = number <= 20 ? number : 0;
    }
    assert_int_equal(cr_value_from_panoptic(&value, map, &err), 0);
    struct cr_pipeline *pipeline = pipeline_with_grid(SIDE, SIDE);
    clock_t start = clock();
    struct cr_run *run = encode(pipeline, value);
    assert_true((double)(clock() - start) / CLOCKS_PER_SEC < 5.0);
    stage_assert_map("semantic", cr_run_output(run, "semantic"), semantic, CELLS);
    stage_assert_map("numbering", cr_run_output(run, "numbering"), numbering, CELLS);
    cr_run_destroy(&run);
    cr_pipeline_destroy(&pipeline);
    cr_panoptic_unref(&map);
    free(semantic);
    free(numbering);
}

static void default_grid(void **state)
{
    (void)state;
    static const struct sketch sketch = {1, 1, "1", {{1, 0}}};
    struct cr_pipeline *pipeline = stage_parse(HEAD TAIL);
    struct cr_run *run = encode(pipeline, draw_batch(&sketch, 1));
    const struct cr_tensor *tensor = cr_value_tensor(cr_run_output(run, "numbering"));
    assert_int_equal(cr_tensor_extent(tensor, 1), 35);
    assert_int_equal(cr_tensor_extent(tensor, 2), 35);
    cr_run_destroy(&run);
    cr_pipeline_destroy(&pipeline);
}

/* Where numbers have a decimal comma the caption does not. */
static void decimal_comma(void **state)
{
    (void)state;
    if (setlocale(LC_ALL, "de_DE.UTF-8") == NULL)
        skip_because("there is no locale de_DE.UTF-8");
    check_row(&rows[0]);
    setlocale(LC_ALL, "C");
}

/* ---- Batches and wanted outputs ---- */

static void batch(void **state)
{
    (void)state;
    enum {
        CELLS = 2 * 3,
        ITEMS = 4
    };
    static const struct sketch sketches[ITEMS] = {
        {2, 3, "112332", {{1, 0}, {2, 0}, {3, 17}}},
        {1, 1, ".", {{0}}},
        {4, 6, "111222111222333444333444", {{4, 0}, {2, 2}, {1, CR_LABEL_UNKNOWN}}},
        {2, 3, "112332", {{3, 0}, {2, 0}, {1, 0}}},
    };
    struct cr_pipeline *pipeline = pipeline_with_grid(2, 3);
    struct cr_run *together = encode(pipeline, draw_batch(sketches, ITEMS));
    int32_t semantic[ITEMS * CELLS], numbering[ITEMS * CELLS];
    struct cr_error err = CR_ERROR_INIT;
    for (size_t i = 0; i < ITEMS; i++) {
        struct cr_run *alone = encode(pipeline, draw_batch(&sketches[i], 1));
        const struct cr_tensor *map = cr_value_tensor(cr_run_output(alone, "semantic"));
        assert_int_equal(cr_tensor_read(map, semantic + i * CELLS, CELLS * 4, &err), 0);
        map = cr_value_tensor(cr_run_output(alone, "numbering"));
        assert_int_equal(cr_tensor_read(map, numbering + i * CELLS, CELLS * 4, &err), 0);
        const char *expected = cr_value_text(cr_run_output(alone, "objects"), 0);
        const char *got = cr_value_text(cr_run_output(together, "objects"), i);
        assert_text("objects", got == NULL ? "null" : got, expected == NULL ? "null" : expected);
        cr_run_destroy(&alone);
    }
    assert_int_equal(cr_tensor_extent(cr_value_tensor(cr_run_output(together, "semantic")), 0),
                     ITEMS);
    stage_assert_map("semantic", cr_run_output(together, "semantic"), semantic, ITEMS * CELLS);
    stage_assert_map("numbering", cr_run_output(together, "numbering"), numbering, ITEMS * CELLS);
    cr_run_destroy(&together);
    cr_pipeline_destroy(&pipeline);
}

static void one_output(void **state)
{
    (void)state;
    for (size_t i = 0; all_outputs[i] != NULL; i++) {
        const char *const wanted[] = {all_outputs[i], NULL};
        struct cr_error err = CR_ERROR_INIT;
        struct cr_run *run = NULL;
        struct cr_pipeline *pipeline = pipeline_with_grid(2, 4);
        int result = stage_run(&run, pipeline, "map", draw_batch(&rows[0].sketch, 1), wanted, &err);
        assert_int_equal(result, 0);
        for (size_t j = 0; all_outputs[j] != NULL; j++)
            assert_int_equal(cr_run_output(run, all_outputs[j]) != NULL, i == j);
        cr_run_destroy(&run);
        cr_pipeline_destroy(&pipeline);
    }
}

/* ---- Mistakes and faults ---- */

static void faults(void **state)
{
    (void)state;
    stage_sweep_run(pipeline_with_grid(2, 2), "map", draw_batch(&rows[1].sketch, 1), all_outputs);
}

static void wrong_pipelines(void **state)
{
    (void)state;
    static const struct {
        const char *text, *mistakes;
    } wrong[] = {
        {HEAD "\"grid\": [35, 257], " TAIL, "test.json: /stages/crayon/grid: width: 257 is outside "
                                            "1..256 (crayon-encoder, default [35, 35])\n"},
        {HEAD "\"grid\": 35, \"categories\": \"coco-panoptics\", " TAIL,
         "test.json: /stages/crayon/grid: a size [height, width] is needed here, not a number "
         "(crayon-encoder, default [35, 35])\ntest.json: /stages/crayon/categories: "
         "\"coco-panoptics\" is none of coco-panoptic; did you mean \"coco-panoptic\"? "
         "(crayon-encoder, default coco-panoptic)\n"},
        {HEAD "\"use\": \"crayon-encoder\"}}, \"outputs\": {\"maps\": \"crayon.semantics\"}}",
         "test.json: /outputs/maps: \"crayon.semantics\": stage \"crayon\" (crayon-encoder) has no "
         "output \"semantics\"; did you mean \"semantic\"? Known outputs: semantic, numbering, "
         "objects, embedding, features\ntest.json: /stages/crayon/in/panoptic: connect "
         "\"panoptic\", or both \"semantic\" and \"numbering\" (crayon-encoder)\n"},
        {"{\"crayon\": 1, \"inputs\": {\"map\": \"panoptic\", \"m\": \"tensor\"}, \"stages\": "
         "{\"crayon\": {\"use\": \"crayon-encoder\", \"weights\": \"f16\", \"in\": {\"panoptic\": "
         "\"@map\", \"semantic\": \"@m\"}}}, \"outputs\": {\"maps\": \"crayon.semantic\"}}",
         "test.json: /stages/crayon/in/semantic: the maps are made from \"panoptic\", which is "
         "connected too; connect either (crayon-encoder)\ntest.json: /stages/crayon/weights: it is "
         "about the model, and none is named (crayon-encoder)\n"},
    };
    for (size_t i = 0; i < COUNT(wrong); i++) {
        char *mistakes = stage_mistakes(wrong[i].text);
        assert_text(wrong[i].text, mistakes, wrong[i].mistakes);
        cr_free(mistakes);
    }
}

/* ---- The learned half, with the recorded model ---- */

#define MAPS                                                                                       \
    "{\"crayon\": 1, \"inputs\": {\"s\": \"tensor\", \"n\": \"tensor\"}, \"stages\": "             \
    "{\"crayon\": "                                                                                \
    "{\"use\": \"crayon-encoder\", \"device\": \"cpu\", %s\"in\": {\"semantic\": \"@s\", "         \
    "\"numbering\": \"@n\"}}}, \"outputs\": {\"semantic\": \"crayon.semantic\", \"embedding\": "   \
    "\"crayon.embedding\", \"features\": \"crayon.features\", \"objects\": \"crayon.objects\"}}"

static struct cr_value *map_value(const int32_t *map, int rank, const int64_t *shape)
{
    struct cr_error err = CR_ERROR_INIT;
    struct cr_tensor *tensor = NULL;
    struct cr_value *value = NULL;
    assert_int_equal(cr_tensor_create(&tensor, CR_DTYPE_I32, rank, shape, map, &err), 0);
    assert_int_equal(cr_value_from_tensor(&value, tensor, &err), 0);
    cr_tensor_unref(&tensor);
    return value;
}

/* A run over two maps of four cells; `model` may be NULL. */
static int run_maps(struct cr_run **run, struct cr_pipeline **pipeline, const char *model,
                    const int32_t semantic[4], const int32_t numbering[4], bool flat,
                    const char *output, struct cr_error *err)
{
    char option[1024] = "", text[4096];
    const int64_t square[3] = {1, 2, 2}, row[2] = {1, 4};
    if (model != NULL)
        snprintf(option, sizeof(option), "\"model\": \"%s\", ", model);
    snprintf(text, sizeof(text), MAPS, option);
    *pipeline = stage_parse(text);
    assert_int_equal(cr_run_create(run, *pipeline, err), 0);
    struct cr_value *s = map_value(semantic, flat ? 2 : 3, flat ? row : square);
    struct cr_value *n = map_value(numbering, 3, square);
    assert_int_equal(cr_run_set_input(*run, "s", s, err), 0);
    assert_int_equal(cr_run_set_input(*run, "n", n, err), 0);
    assert_int_equal(cr_run_want(*run, output, err), 0);
    cr_value_unref(&s);
    cr_value_unref(&n);
    return cr_run_execute(*run, err);
}

static const int32_t some_classes[4] = {0, 5, 133, 1}, some_numbers[4] = {0, 1, 20, 3};

static void embedding_of_maps(void **state)
{
    (void)state;
    const char *model = source_path("tests/golden/collavo_e2e");
    struct cr_error err = CR_ERROR_INIT;
    for (int flat = 0; flat < 2; flat++) {
        struct cr_pipeline *pipeline;
        struct cr_run *run;
        if (run_maps(&run, &pipeline, model, some_classes, some_numbers, flat, "features", &err) <
            0)
            fail_msg("%s", err.message);
        const struct cr_tensor *tensor = cr_value_tensor(cr_run_output(run, "features"));
        assert_int_equal(cr_tensor_rank(tensor), 3);
        assert_int_equal(cr_tensor_extent(tensor, 1), 4);
        assert_int_equal(cr_tensor_extent(tensor, 2), 64);
        cr_run_destroy(&run);
        cr_pipeline_destroy(&pipeline);
    }
}

static void refused_maps(void **state)
{
    (void)state;
    const char *model = source_path("tests/golden/collavo_e2e");
    static const struct {
        bool with_model;
        int32_t semantic[4], numbering[4];
        const char *output, *message;
    } cases[] = {
        {true,
         {0, 134, 0, 0},
         {0},
         "embedding",
         "semantic of item 0, cell 1 is 134; the model's table has rows 0..133"},
        {true,
         {0, 0, -1, 0},
         {0},
         "features",
         "semantic of item 0, cell 2 is -1; the model's table has rows 0..133"},
        {true,
         {0},
         {0, 0, 0, 21},
         "embedding",
         "numbering of item 0, cell 3 is 21; the model's table has rows 0..20"},
        {true, {0}, {INT32_MIN}, "embedding", "numbering of item 0, cell 0 is -2147483648"},
        {false, {0}, {0}, "embedding", "name a model with the option \"model\""},
        {true, {0}, {0}, "objects", "objects come from a panoptic map"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct cr_error err = CR_ERROR_INIT;
        struct cr_pipeline *pipeline;
        struct cr_run *run;
        assert_true(run_maps(&run, &pipeline, cases[i].with_model ? model : NULL, cases[i].semantic,
                             cases[i].numbering, false, cases[i].output, &err) < 0);
        if (strstr(err.message, cases[i].message) == NULL)
            fail_msg("\"%s\" does not say \"%s\"", err.message, cases[i].message);
        cr_run_destroy(&run);
        cr_pipeline_destroy(&pipeline);
    }
}

/* The folder where it looked, which files are needed, and their public name. */
static void missing_model(void **state)
{
    (void)state;
    struct cr_error err = CR_ERROR_INIT;
    struct cr_pipeline *pipeline;
    struct cr_run *run;
    setenv("CRAYON_MODEL_PATH", "/nowhere/models", 1);
    assert_true(run_maps(&run, &pipeline, "BK-Lee/CoLLaVO-7B", some_classes, some_numbers, false,
                         "features", &err) < 0);
    unsetenv("CRAYON_MODEL_PATH");
    static const char *const parts[] = {
        "stage \"crayon\"",           "BK-Lee/CoLLaVO-7B", "/nowhere/models/BK-Lee/CoLLaVO-7B",
        "models--BK-Lee--CoLLaVO-7B", "config.json",       "model.safetensors"};
    for (size_t i = 0; i < COUNT(parts); i++)
        if (strstr(err.message, parts[i]) == NULL)
            fail_msg("\"%s\" does not name %s", err.message, parts[i]);
    cr_run_destroy(&run);
    cr_pipeline_destroy(&pipeline);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(maps_and_captions), cmocka_unit_test(beyond_twenty),
        cmocka_unit_test(many_segments),     cmocka_unit_test(default_grid),
        cmocka_unit_test(decimal_comma),     cmocka_unit_test(batch),
        cmocka_unit_test(one_output),        cmocka_unit_test(wrong_pipelines),
        cmocka_unit_test(embedding_of_maps), cmocka_unit_test(refused_maps),
        cmocka_unit_test(missing_model),     cmocka_unit_test(faults),
    };
    return cmocka_run_group_tests_name("crayon_encoder", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <sys/stat.h>

#include <crayon/memory.h>
#include <crayon/panoptic.h>

#include "base/json.h"
#include "fault_sweep.h"
#include "media/coco.h"
#include "pictures.h"
#include "test.h"

/* ---- A small dataset ---- */

#define WIDTH 4
#define HEIGHT 3

/* Ids that need all three bytes. 9 is listed nowhere. */
static const uint32_t colors[WIDTH * HEIGHT] = {7, 7, 0, 300, 7, 7, 0, 300, 9, 0, 0, 16777215};

static void write_png(const char *path, const uint32_t *ids, uint32_t width, uint32_t height)
{
    uint16_t samples[3 * 64];
    for (uint32_t i = 0; i < width * height; i++)
        for (int c = 0; c < 3; c++)
            samples[3 * i + (uint32_t)c] = ids[i] >> (8 * c) & 0xFF;
    struct bytes bytes = make_png(&(struct png_recipe){
        .width = width, .height = height, .bits = 8, .color = 2, .samples = samples});
    write_test_file(path, bytes.data, bytes.size);
    free_bytes(&bytes);
}

#define IMAGES                                                                                     \
    "\"images\": [{\"id\": 5, \"file_name\": \"train/horse.jpg\", \"height\": 3, \"width\": 4},"   \
    " {\"id\": 6, \"file_name\": \"house.jpg\"}]"
#define SEGMENTS                                                                                   \
    "\"segments_info\": [{\"id\": 300, \"category_id\": 193, \"iscrowd\": 0, \"area\": 2},"        \
    " {\"category_id\": 19, \"id\": 7, \"bbox\": [0, 0, 2, 2]},"                                   \
    " {\"id\": 16777215, \"category_id\": 1, \"iscrowd\": 1},"                                     \
    " {\"id\": 8, \"category_id\": 12}]"
#define HORSE "{\"file_name\": \"horse.png\", " SEGMENTS ", \"image_id\": 5}"
#define HOUSE "{\"image_id\": 6, \"segments_info\": [], \"file_name\": \"house.png\"}"
#define ANNOTATIONS "\"annotations\": [" HORSE ", " HOUSE "]"
#define DATASET "{" IMAGES ", " ANNOTATIONS "}"

static const struct cr_coco_query by_number = {5, NULL, {0, 0}};
static const struct cr_coco_query by_name = {-1, "photos/horse.png", {0, 0}};
static const struct cr_coco_query anything = {-1, NULL, {0, 0}};

/* A folder with horse.png, house.png and the given JSON text. */
static const char *write_dataset(const char *text)
{
    write_png(scratch("horse.png"), colors, WIDTH, HEIGHT);
    write_png(scratch("house.png"), colors, WIDTH, HEIGHT);
    const char *path = scratch("data.json");
    write_test_text(path, text);
    return path;
}

static void check_horse(const struct cr_panoptic *map)
{
    static const struct cr_segment segments[] = {
        {.id = 1, .label = 125, .score = 1, .crowd = false, .original_id = 300},
        {.id = 2, .label = 17, .score = 1, .crowd = false, .original_id = 7},
        {.id = 3, .label = 0, .score = 1, .crowd = true, .original_id = 16777215},
        {.id = 4, .label = CR_LABEL_UNKNOWN, .score = 1, .crowd = false, .original_id = 8}};
    static const int32_t ids[] = {2, 2, 0, 1, 2, 2, 0, 1, 0, 0, 0, 3};
    assert_int_equal(cr_panoptic_size(map).height, HEIGHT);
    assert_int_equal(cr_panoptic_size(map).width, WIDTH);
    assert_int_equal(cr_panoptic_count(map), 4);
    for (size_t i = 0; i < 4; i++) {
        const struct cr_segment *segment = cr_panoptic_segment(map, i);
        assert_int_equal(segment->id, segments[i].id);
        assert_int_equal(segment->label, segments[i].label);
        assert_true(segment->score == 1);
        assert_int_equal(segment->crowd, segments[i].crowd);
        assert_int_equal(segment->original_id, segments[i].original_id);
    }
    assert_memory_equal(cr_panoptic_ids(map), ids, sizeof(ids));
}

static struct cr_panoptic *load(const char *json, const struct cr_coco_query *query)
{
    struct cr_error err = CR_ERROR_INIT;
    struct cr_panoptic *map;
    size_t unlisted = 99;
    if (cr_coco_load(&map, json, NULL, query, &unlisted, &err) < 0)
        fail_msg("%s", err.message);
    assert_int_equal(unlisted, 1);
    return map;
}

/* The members of the file may come in any order. */
static void test_orders(void **unused)
{
    (void)unused;
    static const char *const texts[] = {
        DATASET,
        "{" ANNOTATIONS ", " IMAGES "}",
        "{\"info\": {\"annotations\": 5}, " ANNOTATIONS ", \"licenses\": [[]], " IMAGES "}",
        "{" ANNOTATIONS "}", /* found by the PNG's name */
        "{" ANNOTATIONS ", \"images\": []}",
        "{\"annotations\": [" HOUSE ", " HORSE "], " IMAGES "}",
    };
    for (size_t i = 0; i < COUNT(texts); i++) {
        const char *path = write_dataset(texts[i]);
        struct cr_panoptic *map = load(path, &by_number);
        check_horse(map);
        cr_panoptic_unref(&map);
        map = load(path, &by_name);
        check_horse(map);
        cr_panoptic_unref(&map);
    }
}

/* images[] decides which annotation belongs to a file name; the PNG may have another one. */
static void test_image_names_come_first(void **unused)
{
    (void)unused;
    const char *path = write_dataset(
        "{\"annotations\": [{\"image_id\": 6, \"file_name\": \"horse.png\", \"segments_info\": []},"
        " {\"image_id\": 5, \"file_name\": \"house.png\", " SEGMENTS "}], " IMAGES "}");
    struct cr_panoptic *map = load(path, &by_name);
    check_horse(map);
    cr_panoptic_unref(&map);
}

static void test_only_image(void **unused)
{
    (void)unused;
    const char *path = write_dataset("{\"annotations\": [" HORSE "]}");
    struct cr_panoptic *map = load(path, &anything);
    check_horse(map);
    cr_panoptic_unref(&map);
    map = load(path, NULL);
    cr_panoptic_unref(&map);
}

/* Other datasets number their categories differently: then the name counts. */
static void test_declared_categories(void **unused)
{
    (void)unused;
    const char *path = write_dataset(
        "{\"categories\": [{\"id\": 193, \"name\": \"grass\"}, {\"name\": \"person\", \"id\": 19},"
        " {\"id\": 1, \"name\": \"tumour\"}, {\"id\": 12, \"name\": \"cat\"}],"
        " \"annotations\": [" HORSE "]}");
    static const int32_t labels[] = {125, 0, CR_LABEL_UNKNOWN, 15};
    struct cr_panoptic *map = load(path, &anything);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(cr_panoptic_segment(map, i)->label, labels[i]);
    cr_panoptic_unref(&map);
}

/* ---- Where the PNG lies ---- */

static void test_folders(void **unused)
{
    (void)unused;
    static const char *const folders[] = {"places", "places/d.v1", "places/panoptic",
                                          "places/elsewhere"};
    for (size_t i = 0; i < COUNT(folders); i++)
        mkdir(scratch(folders[i]), 0700);
    const char *json = scratch("places/d.v1.json");
    write_test_text(json, "{\"annotations\": [" HORSE "]}");
    for (size_t i = 0; i < COUNT(folders); i++) {
        struct cr_error err = CR_ERROR_INIT;
        struct cr_panoptic *map;
        char name[64];
        snprintf(name, sizeof(name), "%s/horse.png", folders[i]);
        const char *png = scratch(name), *png_dir = i == 3 ? scratch(folders[i]) : NULL;
        assert_int_equal(cr_coco_load(&map, json, png_dir, &anything, NULL, &err),
                         CR_ERR_NOT_FOUND);
        write_png(png, colors, WIDTH, HEIGHT);
        assert_int_equal(cr_coco_load(&map, json, png_dir, &anything, NULL, &err), 0);
        check_horse(map);
        cr_panoptic_unref(&map);
        remove(png);
    }
}

/* ---- Kinds of PNG ---- */

static int load_with_png(struct cr_panoptic **map, const struct png_recipe *recipe,
                         struct cr_error *err)
{
    const char *path = write_dataset("{\"annotations\": [" HORSE "]}");
    struct bytes bytes = make_png(recipe);
    write_test_file(scratch("horse.png"), bytes.data, bytes.size);
    free_bytes(&bytes);
    cr_error_clear(err);
    return cr_coco_load(map, path, NULL, &anything, NULL, err);
}

static void test_png_kinds(void **unused)
{
    (void)unused;
    static const uint8_t palette[4][3] = {{0, 0, 0}, {7, 0, 0}, {44, 1, 0}, {255, 255, 255}};
    static const uint16_t indices[] = {1, 1, 0, 2, 1, 1, 0, 2, 0, 0, 0, 3};
    static const uint8_t alphas[] = {0, 5, 255, 9};
    uint16_t rgba[4 * WIDTH * HEIGHT];
    for (int i = 0; i < WIDTH * HEIGHT; i++) {
        for (int c = 0; c < 3; c++)
            rgba[4 * i + c] = palette[indices[i]][c];
        rgba[4 * i + 3] = (uint16_t)(i * 20); /* the official tools do not look at it either */
    }
    struct png_recipe recipe = {.width = WIDTH, .height = HEIGHT, .bits = 2, .color = 3};
    struct cr_error err = CR_ERROR_INIT;
    struct cr_panoptic *map;
    recipe.samples = indices;
    recipe.palette = palette;
    assert_int_equal(load_with_png(&map, &recipe, &err), 0);
    check_horse(map);
    cr_panoptic_unref(&map);
    recipe.alphas = alphas;
    recipe.transparent_count = 4;
    assert_int_equal(load_with_png(&map, &recipe, &err), 0);
    check_horse(map);
    cr_panoptic_unref(&map);
    recipe = (struct png_recipe){
        .width = WIDTH, .height = HEIGHT, .bits = 8, .color = 6, .samples = rgba};
    assert_int_equal(load_with_png(&map, &recipe, &err), 0);
    check_horse(map);
    cr_panoptic_unref(&map);
    recipe.bits = 16;
    assert_int_equal(load_with_png(&map, &recipe, &err), CR_ERR_FORMAT);
    assert_non_null(strstr(err.message, "horse.png: a colour PNG of 16 bits; segment ids are "
                                        "colours of an 8-bit RGB PNG"));
    recipe.bits = 8;
    recipe.color = 0;
    assert_int_equal(load_with_png(&map, &recipe, &err), CR_ERR_FORMAT);
    assert_non_null(strstr(err.message, "horse.png: a grey PNG of 8 bits"));
    write_test_text(scratch("horse.png"), "GIF89a");
    assert_int_equal(cr_coco_load(&map, scratch("data.json"), NULL, &anything, NULL, &err),
                     CR_ERR_FORMAT);
    assert_non_null(strstr(err.message, "horse.png: not a PNG picture, which is needed here"));
}

static void test_size(void **unused)
{
    (void)unused;
    const char *path = write_dataset(DATASET);
    struct cr_error err = CR_ERROR_INIT;
    struct cr_panoptic *map;
    struct cr_coco_query query = {5, NULL, {3, 4}};
    assert_int_equal(cr_coco_load(&map, path, NULL, &query, NULL, &err), 0);
    cr_panoptic_unref(&map);
    query.size.width = 5;
    assert_int_equal(cr_coco_load(&map, path, NULL, &query, NULL, &err), CR_ERR_FORMAT);
    assert_null(map);
    assert_non_null(strstr(err.message, "horse.png: the annotation measures 4 x 3 pixels, the "
                                        "photograph 5 x 3; they do not belong together"));
}

/* Each colour counts once, wherever its pixels lie. */
static void test_unlisted(void **unused)
{
    (void)unused;
    static const uint32_t ids[] = {1, 2, 1, 2, 3, 0xFFFFFF, 0, 7, 1, 0, 0, 0xFFFFFF};
    const char *path = write_dataset(
        "{\"annotations\": [{\"image_id\": 1, \"file_name\": \"horse.png\", \"segments_info\": ["
        "{\"id\": 7, \"category_id\": 1}]}]}");
    write_png(scratch("horse.png"), ids, 4, 3);
    struct cr_error err = CR_ERROR_INIT;
    struct cr_panoptic *map;
    size_t unlisted = 0;
    assert_int_equal(cr_coco_load(&map, path, NULL, &anything, &unlisted, &err), 0);
    assert_int_equal(unlisted, 4);
    for (int i = 0; i < 12; i++)
        assert_int_equal(cr_panoptic_ids(map)[i], i == 7);
    cr_panoptic_unref(&map);
}

/* ---- What can be wrong ---- */

#define ONE(segments)                                                                              \
    "{\"annotations\": [{\"image_id\": 5, \"file_name\": \"horse.png\", "                          \
    "\"segments_info\":\n" segments "}]}"
#define SEGMENT(members) ONE("[{" members "}]")
#define NAMED(name) "{\"annotations\": [{\"image_id\": 5, \"file_name\": " name ",\n" SEGMENTS "}]}"

static const struct {
    const char *text, *message; /* after "FOLDER/data.json" */
    int code;
    const struct cr_coco_query *query;
} broken[] = {
    {"", ":1:1: expected a value, found the end of the text", CR_ERR_FORMAT, &by_number},
    {"[]", ":1:1: a COCO file is an object with \"images\" and \"annotations\"", CR_ERR_FORMAT,
     &by_number},
    {"{}", ": has no \"annotations\"; a COCO panoptic dataset is needed", CR_ERR_FORMAT,
     &by_number},
    {"{\"annotations\": {}}", ":1:17: \"annotations\" is not a list", CR_ERR_FORMAT, &by_number},
    {"{\"annotations\": [5]}", ":1:18: an annotation is an object, not this", CR_ERR_FORMAT,
     &by_number},
    {"{\"annotations\": []}", ": the list of annotations is empty", CR_ERR_NOT_FOUND, &anything},
    {"{\"annotations\": [{]}", ":1:19: expected a key in double quotes or '}', found ']'",
     CR_ERR_FORMAT, &by_number},
    {"{\"images\": 3}", ":1:12: \"images\" is not a list", CR_ERR_FORMAT, &by_number},
    {"{\"images\": [3]}", ":1:13: an image is an object, not this", CR_ERR_FORMAT, &by_number},
    {"{\"categories\": true}", ":1:16: \"categories\" is not a list", CR_ERR_FORMAT, &by_number},
    {"{\"categories\": [1]}", ":1:17: a category is an object, not this", CR_ERR_FORMAT,
     &by_number},
    {"{\"categories\": [{\"id\": 1}]}", ":1:17: the category has no \"name\"", CR_ERR_FORMAT,
     &by_number},
    {"{\"categories\": [{\"name\": \"x\"}]}", ":1:17: the category has no \"id\"", CR_ERR_FORMAT,
     &by_number},
    {"{\"categories\": [{\"name\": 5, \"id\": 1}]}", ":1:26: \"name\" is not a string",
     CR_ERR_FORMAT, &by_number},
    {DATASET " x", ":1:452: expected nothing more after the end of the document, found 'x'",
     CR_ERR_FORMAT, &by_number},

    /* Images. */
    {"{\"images\": [{\"file_name\": \"horse.jpg\"}]}", ":1:13: the image has no \"id\"",
     CR_ERR_FORMAT, &by_name},
    {"{\"images\": [{\"file_name\": \"horse.jpg\", \"id\": \"5\"}]}",
     ":1:46: \"id\" is not a number", CR_ERR_FORMAT, &by_name},
    {"{\"images\": [{\"file_name\": 7}]}",
     ": has no \"annotations\"; a COCO panoptic dataset is "
     "needed",
     CR_ERR_FORMAT, &by_name},
    {"{\"images\": [{\"file_name\": \"a/horse.jpg\", \"id\": 1},\n"
     "{\"file_name\": \"b/horse.jpg\", \"id\": 2}]}",
     ":2:1: a second image named \"horse\"; say which one is meant by its image id (1 or 2)",
     CR_ERR_FORMAT, &by_name},

    /* Which annotation. */
    {DATASET, ": holds 2 annotations; say which image is meant, by its number or its file name",
     CR_ERR_ARGUMENT, &anything},
    {"{\"annotations\": [" HOUSE "]}", ": none of 1 annotations is of image 5", CR_ERR_NOT_FOUND,
     &by_number},
    {"{\"annotations\": [" HOUSE "], \"images\": [{\"id\": 6, \"file_name\": \"house.jpg\"}]}",
     ": none of 1 images is named \"horse\"; did you mean \"house\"?", CR_ERR_NOT_FOUND, &by_name},
    {"{\"annotations\": [" HOUSE "]}",
     ": none of 1 images is named \"horse\"; did you mean \"house\"?", CR_ERR_NOT_FOUND, &by_name},
    {"{\"annotations\": [], \"images\": [{\"id\": 6, \"file_name\": \"elephant.jpg\"}]}",
     ": none of 1 images is named \"horse\"", CR_ERR_NOT_FOUND, &by_name},
    {"{" IMAGES ", \"annotations\": [" HOUSE "]}",
     ": none of 1 annotations is of image 5 (\"horse\")", CR_ERR_NOT_FOUND, &by_name},
    {"{\"annotations\": [" HORSE ",\n" HORSE "]}",
     ":2:1: a second annotation of the same image; the first is at 1:18", CR_ERR_FORMAT,
     &by_number},

    /* Its members. */
    {"{\"annotations\": [{\"image_id\": 5, \"segments_info\": []}]}",
     ":1:18: the annotation has no \"file_name\"; one of a panoptic dataset is needed",
     CR_ERR_FORMAT, &by_number},
    {"{\"annotations\": [{\"image_id\": 5, \"bbox\": [0, 0, 1, 1], \"segmentation\": []}]}",
     ":1:18: the annotation has no \"segments_info\"; one of a panoptic dataset is needed",
     CR_ERR_FORMAT, &by_number},
    {"{\"annotations\": [{\"segments_info\": [], \"file_name\": \"horse.png\"}]}",
     ":1:18: the annotation has no \"image_id\"; one of a panoptic dataset is needed",
     CR_ERR_FORMAT, &by_name},
    {"{\"annotations\": [{\"image_id\": 5.5, " SEGMENTS ", \"file_name\": \"horse.png\"}]}",
     ":1:31: \"image_id\" is 5.5, a whole number from 0 to 9007199254740991 is needed",
     CR_ERR_FORMAT, &by_name},
    {NAMED("null"), ":1:47: \"file_name\" is not a string", CR_ERR_FORMAT, &by_number},
    {NAMED("\"\""),
     ":1:18: the annotation has no \"file_name\"; one of a panoptic dataset is "
     "needed",
     CR_ERR_FORMAT, &by_number},
    {NAMED("\"/etc/passwd\""),
     ":1:18: the annotation's \"file_name\" is \"/etc/passwd\", which leads out of the dataset's "
     "folder",
     CR_ERR_FORMAT, &by_number},
    {NAMED("\"a/../../b.png\""),
     ":1:18: the annotation's \"file_name\" is \"a/../../b.png\", which leads out of the dataset's "
     "folder",
     CR_ERR_FORMAT, &by_number},
    {NAMED("\"..\""),
     ":1:18: the annotation's \"file_name\" is \"..\", which leads out of the dataset's folder",
     CR_ERR_FORMAT, &by_number},
    {ONE("{}"), ":2:1: \"segments_info\" is not a list", CR_ERR_FORMAT, &by_number},
    {ONE("[[1]]"), ":2:2: a segment is an object, not this", CR_ERR_FORMAT, &by_number},
    {SEGMENT("\"category_id\": 1"), ":2:2: the segment has no \"id\"", CR_ERR_FORMAT, &by_number},
    {SEGMENT("\"id\": 1"), ":2:2: the segment has no \"category_id\"", CR_ERR_FORMAT, &by_number},
    {SEGMENT("\"id\": 0, \"category_id\": 1"),
     ":2:9: \"id\" is 0, a whole number from 1 to 16777215 is needed", CR_ERR_FORMAT, &by_number},
    {SEGMENT("\"id\": 16777216, \"category_id\": 1"),
     ":2:9: \"id\" is 16777216, a whole number from 1 to 16777215 is needed", CR_ERR_FORMAT,
     &by_number},
    {SEGMENT("\"id\": \"1\", \"category_id\": 1"), ":2:9: \"id\" is not a number", CR_ERR_FORMAT,
     &by_number},
    {SEGMENT("\"id\": {\"a\": 1}, \"category_id\": 1"), ":2:9: \"id\" is not a number",
     CR_ERR_FORMAT, &by_number},
    {SEGMENT("\"id\": 1, \"category_id\": -1"),
     ":2:27: \"category_id\" is -1, a whole number from 0 to 9007199254740991 is needed",
     CR_ERR_FORMAT, &by_number},
    {SEGMENT("\"id\": 1, \"category_id\": 1, \"iscrowd\": 2"),
     ":2:41: \"iscrowd\" is 2, a whole number from 0 to 1 is needed", CR_ERR_FORMAT, &by_number},
    {ONE("[{\"id\": 4, \"category_id\": 1}, {\"id\": 3, \"category_id\": 1},\n"
         "{\"id\": 4, \"category_id\": 2}]"),
     ":3:1: a second segment with the id 4; the first is at 2:2", CR_ERR_FORMAT, &by_number},
};

static void test_broken_files(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(broken); i++) {
        const char *path = write_dataset(broken[i].text);
        struct cr_error err = CR_ERROR_INIT;
        struct cr_panoptic *map;
        int64_t live = cr_memory_live();
        int result = cr_coco_load(&map, path, NULL, broken[i].query, NULL, &err);
        assert_null(map);
        assert_int_equal(cr_memory_live(), live);
        assert_int_equal(strncmp(err.message, path, strlen(path)), 0);
        assert_text(broken[i].text, err.message + strlen(path), broken[i].message);
        assert_int_equal(result, broken[i].code);
    }
}

/* Mistakes in annotations of other images are not in the way. */
static void test_other_annotations(void **unused)
{
    (void)unused;
    const char *path = write_dataset(
        "{\"annotations\": [{\"image_id\": 6, \"segments_info\": [{\"id\": -1}]}, {\"image_id\": "
        "8, \"file_name\": 9, \"segments_info\": 3}, " HORSE "], \"images\": [{}, {\"id\": \"a\", "
        "\"file_name\": []}]}");
    struct cr_panoptic *map = load(path, &by_number);
    check_horse(map);
    cr_panoptic_unref(&map);
    map = load(path, &by_name);
    check_horse(map);
    cr_panoptic_unref(&map);
}

static void test_too_many(void **unused)
{
    (void)unused;
    struct cr_error err = CR_ERROR_INIT;
    struct cr_panoptic *map;
    struct cr_text text = CR_TEXT_INIT;
    cr_text_add(&text, "{\"annotations\": [{\"segments_info\": [{}");
    for (int i = 0; i < CR_COCO_MAX_SEGMENTS; i++)
        cr_text_add(&text, ",{}");
    cr_text_add(&text, "]}]}");
    const char *path = write_dataset(text.data);
    assert_int_equal(cr_coco_load(&map, path, NULL, &anything, NULL, &err), CR_ERR_LIMIT);
    assert_non_null(strstr(err.message, ":1:196645: more than 65536 segments in one image"));
    cr_text_finish(&text);
    cr_text_add(&text, "{\"categories\": [{\"id\": 1, \"name\": \"a\"}");
    for (int i = 0; i < CR_COCO_MAX_CATEGORIES; i++)
        cr_text_add(&text, ",{\"id\": 1, \"name\": \"a\"}");
    cr_text_add(&text, "]}");
    write_test_text(path, text.data);
    assert_int_equal(cr_coco_load(&map, path, NULL, &anything, NULL, &err), CR_ERR_LIMIT);
    assert_non_null(strstr(err.message, "data.json: more than 4096 categories"));
    cr_text_finish(&text);
}

/* ---- Saving ---- */

static struct cr_panoptic *make_map(void)
{
    static const struct cr_segment segments[] = {{.id = 70000, .label = 125, .score = 0.5f},
                                                 {.id = 3, .label = 17, .crowd = true},
                                                 {.id = 9, .label = 4},
                                                 {.id = 5, .label = CR_LABEL_UNKNOWN}};
    /* 9 has no pixel, 8 and -1 are listed nowhere. */
    static const int32_t ids[] = {3, 3, 0, 70000, 3, 3, -1, 70000, 8, 5, 0, 70000};
    struct cr_error err = CR_ERROR_INIT;
    struct cr_panoptic *map;
    assert_int_equal(cr_panoptic_create(&map, (struct cr_size){HEIGHT, WIDTH}, &err), 0);
    memcpy(cr_panoptic_edit(map), ids, sizeof(ids));
    for (size_t i = 0; i < COUNT(segments); i++)
        assert_int_equal(cr_panoptic_add(map, &segments[i], &err), 0);
    return map;
}

static void check_saved_map(const struct cr_panoptic *map)
{
    static const int32_t labels[] = {125, 17, CR_LABEL_UNKNOWN};
    static const int32_t ids[] = {2, 2, 0, 1, 2, 2, 0, 1, 0, 3, 0, 1};
    assert_int_equal(cr_panoptic_count(map), 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(cr_panoptic_segment(map, i)->label, labels[i]);
        assert_int_equal(cr_panoptic_segment(map, i)->original_id, i + 1);
        assert_int_equal(cr_panoptic_segment(map, i)->crowd, i == 1);
    }
    assert_memory_equal(cr_panoptic_ids(map), ids, sizeof(ids));
}

static const cJSON *element(const cJSON *object, const char *key, int index)
{
    const cJSON *item = cJSON_GetArrayItem(cr_json_get(object, key), index);
    if (item == NULL)
        fail_msg("there is no %s[%d]", key, index);
    return item;
}

static void check_member(const cJSON *object, const char *key, const char *expected)
{
    char *text = cJSON_PrintUnformatted(cr_json_get(object, key));
    assert_text(key, text != NULL ? text : "(absent)", expected);
    cJSON_free(text);
}

static void check_saved_json(const char *path)
{
    struct cr_error err = CR_ERROR_INIT;
    cJSON *file;
    if (cr_json_load(&file, path, &err) < 0)
        fail_msg("%s", err.message);
    const cJSON *image = element(file, "images", 0), *annotation = element(file, "annotations", 0);
    check_member(image, "id", "142238");
    check_member(image, "file_name", "\"000000142238.jpg\"");
    check_member(image, "height", "3");
    check_member(image, "width", "4");
    check_member(annotation, "image_id", "142238");
    check_member(annotation, "file_name", "\"saved.png\"");
    const cJSON *segment = element(annotation, "segments_info", 0);
    check_member(segment, "id", "1");
    check_member(segment, "category_id", "193");
    check_member(segment, "area", "3");
    check_member(segment, "bbox", "[3,0,1,3]");
    check_member(segment, "iscrowd", "0");
    segment = element(annotation, "segments_info", 1);
    check_member(segment, "area", "4");
    check_member(segment, "bbox", "[0,0,2,2]");
    check_member(segment, "iscrowd", "1");
    segment = element(annotation, "segments_info", 2);
    check_member(segment, "category_id", "0");
    check_member(segment, "bbox", "[1,2,1,1]");
    const cJSON *categories = cr_json_get(file, "categories");
    assert_int_equal(cJSON_GetArraySize(categories), 134);
    check_member(cJSON_GetArrayItem(categories, 0), "name", "\"unknown\"");
    check_member(cJSON_GetArrayItem(categories, 126), "name", "\"grass-merged\"");
    check_member(cJSON_GetArrayItem(categories, 126), "supercategory", "\"plant\"");
    check_member(cJSON_GetArrayItem(categories, 126), "color", "[152,251,152]");
    check_member(cJSON_GetArrayItem(categories, 126), "isthing", "0");
    cJSON_Delete(file);
}

static void test_save(void **unused)
{
    (void)unused;
    struct cr_error err = CR_ERROR_INIT;
    struct cr_panoptic *map = make_map(), *again;
    const char *png = scratch("saved.png");
    if (cr_coco_save(map, "photos/000000142238.jpg", png, NULL, &err) < 0)
        fail_msg("%s", err.message);
    check_saved_json(scratch("saved.json"));
    assert_int_equal(cr_coco_load(&again, scratch("saved.json"), NULL, NULL, NULL, &err), 0);
    check_saved_map(again);
    cr_panoptic_unref(&map);

    /* What was loaded is saved as it is. */
    assert_int_equal(
        cr_coco_save(again, "x\"\\y.jpg", scratch("second.png"), scratch("other.json"), &err), 0);
    cr_panoptic_unref(&again);
    struct cr_coco_query query = {-1, "x\"\\y.png", {HEIGHT, WIDTH}};
    size_t unlisted = 9;
    assert_int_equal(cr_coco_load(&again, scratch("other.json"), NULL, &query, &unlisted, &err), 0);
    check_saved_map(again);
    assert_int_equal(unlisted, 0);
    assert_int_equal(cr_coco_save(again, "x", scratch("x.json"), NULL, &err), CR_ERR_ARGUMENT);
    assert_non_null(
        strstr(err.message, "x.json: the picture and the description need two different files"));
    cr_panoptic_unref(&again);
}

static void test_save_nothing(void **unused)
{
    (void)unused;
    struct cr_error err = CR_ERROR_INIT;
    struct cr_panoptic *map;
    assert_int_equal(cr_panoptic_create(&map, (struct cr_size){2, 2}, &err), 0);
    assert_int_equal(cr_coco_save(map, "a.jpg", scratch("empty.png"), NULL, &err), 0);
    cr_panoptic_unref(&map);
    assert_int_equal(cr_coco_load(&map, scratch("empty.json"), NULL, NULL, NULL, &err), 0);
    assert_int_equal(cr_panoptic_count(map), 0);
    cr_panoptic_unref(&map);
}

/* ---- Whole data sets ---- */

#define CATEGORIES                                                                                 \
    "\"categories\": [{\"id\": 19, \"name\": \"horse\"}, {\"isthing\": 0, \"name\": \"gate\", "    \
    "\"id\": 193}, {\"id\": 1, \"name\": \"person\", \"isthing\": 0}]"

static void check_set(const struct cr_coco *set)
{
    static const struct cr_coco_class classes[] = {
        {19, "horse", 17, true}, {193, "gate", CR_LABEL_UNKNOWN, false}, {1, "person", 0, false}};
    assert_int_equal(cr_coco_classes(set), COUNT(classes));
    for (size_t i = 0; i < COUNT(classes); i++) {
        struct cr_coco_class class = cr_coco_class(set, i);
        assert_int_equal(class.category_id, classes[i].category_id);
        assert_string_equal(class.name, classes[i].name);
        assert_int_equal(class.label, classes[i].label);
        assert_int_equal(class.thing, classes[i].thing);
    }
    assert_int_equal(cr_coco_count(set), 2);
    struct cr_coco_entry horse = cr_coco_entry(set, 0);
    assert_int_equal(horse.image_id, 5);
    assert_string_equal(horse.image, "train/horse.jpg");
    assert_string_equal(horse.png, "horse.png");
    assert_int_equal(cr_coco_find(set, 6), 1);
    assert_int_equal(cr_coco_find(set, 5), 0);
    assert_int_equal(cr_coco_find(set, 4), 2);
    assert_int_equal(cr_coco_find(set, 7), 2);
}

/* The map is as the file has it: colours, categories, pixels of segments that are not listed. */
static void check_set_map(const struct cr_coco *set)
{
    struct cr_error err = CR_ERROR_INIT;
    struct cr_panoptic *map;
    assert_int_equal(cr_coco_map(&map, set, 0, &err), 0);
    assert_int_equal(cr_panoptic_count(map), 4);
    const struct cr_segment *gate = cr_panoptic_segment(map, 0);
    const struct cr_segment *person = cr_panoptic_segment(map, 2);
    assert_true(gate->id == 300 && gate->category_id == 193 && gate->label == CR_LABEL_UNKNOWN);
    assert_true(person->id == 16777215 && person->crowd && person->label == 0);
    for (size_t i = 0; i < WIDTH * HEIGHT; i++)
        assert_int_equal(cr_panoptic_ids(map)[i], colors[i]);
    cr_panoptic_unref(&map);
}

static void test_sets(void **unused)
{
    (void)unused;
    static const char *const texts[] = {"{" IMAGES ", " ANNOTATIONS ", " CATEGORIES "}",
                                        "{" CATEGORIES ", " ANNOTATIONS ", " IMAGES "}"};
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct cr_error err = CR_ERROR_INIT;
        struct cr_coco *set;
        if (cr_coco_open(&set, write_dataset(texts[i]), NULL, &err) < 0)
            fail_msg("%s", err.message);
        check_set(set);
        check_set_map(set);
        cr_coco_close(&set);
    }
}

/* A picture where nothing is to be found may be the first, or the only one. */
static void test_empty_sets(void **unused)
{
    (void)unused;
    static const char *const texts[] = {"{\"annotations\": [" HOUSE "]}", "{\"annotations\": []}"};
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct cr_error err = CR_ERROR_INIT;
        struct cr_coco *set;
        struct cr_panoptic *map;
        if (cr_coco_open(&set, write_dataset(texts[i]), NULL, &err) < 0)
            fail_msg("%s", err.message);
        assert_int_equal(cr_coco_count(set), 1 - i);
        assert_int_equal(cr_coco_classes(set), 0);
        assert_int_equal(cr_coco_find(set, 6), 0);
        if (i == 0) {
            assert_null(cr_coco_entry(set, 0).image);
            assert_int_equal(cr_coco_map(&map, set, 0, &err), 0);
            assert_int_equal(cr_panoptic_count(map), 0);
            cr_panoptic_unref(&map);
        }
        cr_coco_close(&set);
    }
}

static void test_broken_sets(void **unused)
{
    (void)unused;
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"{" IMAGES "}", "has no \"annotations\"; a COCO panoptic dataset is needed"},
        {"{\"annotations\": [" HORSE ",\n" HORSE "]}", "2:1: a second annotation of image 5"},
        {"{\"annotations\": [{\"image_id\": 5, \"segments_info\": []}]}",
         "1:18: the annotation has no \"file_name\"; one of a panoptic dataset is needed"},
        {"{\"annotations\": [{\"image_id\": 5, \"file_name\": \"a\", \"segments_info\": [{\"id\": "
         "1, "
         "\"category_id\": 1},\n{\"id\": 1, \"category_id\": 2}]}]}",
         "2:1: a second segment with the id 1; the first is at 1:70"},
        {"{\"images\": [{\"id\": 3}], \"annotations\": []}",
         "1:13: the image has no \"file_name\""},
        {"{\"images\": [{\"id\": 3, \"file_name\": 4}], \"annotations\": []}",
         "1:36: \"file_name\" is not a string"},
        {"{\"annotations\": [], \"categories\": [{\"id\": 1, \"name\": \"a\"}, {\"id\": 1, "
         "\"name\": "
         "\"b\"}]}",
         "a second category with the id 1"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct cr_error err = CR_ERROR_INIT;
        struct cr_coco *set;
        const char *path = write_dataset(cases[i].text);
        assert_int_equal(cr_coco_open(&set, path, NULL, &err), CR_ERR_FORMAT);
        assert_null(set);
        assert_int_equal(strncmp(err.message, path, strlen(path)), 0);
        assert_text(cases[i].text,
                    strchr(err.message + strlen(path), ':') + 1 +
                        (err.message[strlen(path) + 1] == ' '),
                    cases[i].message);
    }
}

static int open_set_once(void *user, struct cr_error *err)
{
    struct cr_coco *set;
    struct cr_panoptic *map = NULL;
    int result = cr_coco_open(&set, user, NULL, err);
    if (result == 0)
        result = cr_coco_map(&map, set, 0, err);
    assert_int_equal(result == 0, map != NULL);
    cr_panoptic_unref(&map);
    cr_coco_close(&set);
    return result;
}

/* ---- Faults ---- */

static int load_once(void *user, struct cr_error *err)
{
    struct cr_panoptic *map;
    int result = cr_coco_load(&map, user, NULL, &by_name, NULL, err);
    assert_int_equal(result == 0, map != NULL);
    cr_panoptic_unref(&map);
    return result;
}

static int save_once(void *user, struct cr_error *err)
{
    return cr_coco_save(user, "horse.jpg", scratch("fault.png"), NULL, err);
}

static void test_faults(void **unused)
{
    (void)unused;
    void *path = (void *)(uintptr_t)write_dataset(
        "{\"categories\": [{\"id\": 1, \"name\": \"person\"}], " ANNOTATIONS ", " IMAGES "}");
    assert_true(sweep_faults(CR_FAULT_ALLOC, ENOMEM, load_once, NULL, path) > 20);
    assert_true(sweep_faults(CR_FAULT_OPEN, EACCES, load_once, NULL, path) >= 3);
    assert_true(sweep_faults(CR_FAULT_READ, EIO, load_once, NULL, path) >= 3);
    assert_true(sweep_faults(CR_FAULT_ALLOC, ENOMEM, open_set_once, NULL, path) > 20);
    assert_true(sweep_faults(CR_FAULT_READ, EIO, open_set_once, NULL, path) >= 2);
    struct cr_panoptic *map = make_map();
    assert_true(sweep_faults(CR_FAULT_ALLOC, ENOMEM, save_once, NULL, map) > 8);
    size_t files = count_files(test_folder());
    assert_true(sweep_faults(CR_FAULT_OPEN, EACCES, save_once, NULL, map) >= 2);
    assert_true(sweep_faults(CR_FAULT_WRITE, ENOSPC, save_once, NULL, map) >= 2);
    assert_true(sweep_faults(CR_FAULT_RENAME, EACCES, save_once, NULL, map) >= 2);
    assert_int_equal(count_files(test_folder()), files);
    cr_panoptic_unref(&map);
}

/* ---- The real thing ---- */

static void check_areas(const struct cr_panoptic *map, const cJSON *annotation)
{
    const cJSON *segments = cr_json_get(annotation, "segments_info");
    struct cr_size size = cr_panoptic_size(map);
    assert_int_equal(cr_panoptic_count(map), cJSON_GetArraySize(segments));
    for (size_t i = 0; i < cr_panoptic_count(map); i++) {
        const cJSON *expected = cJSON_GetArrayItem(segments, (int)i);
        const struct cr_segment *segment = cr_panoptic_segment(map, i);
        int64_t area = 0;
        for (int32_t j = 0; j < size.height * size.width; j++)
            area += cr_panoptic_ids(map)[j] == segment->id;
        assert_int_equal(area, cr_json_get(expected, "area")->valueint);
        assert_int_equal(segment->original_id, cr_json_get(expected, "id")->valueint);
        assert_int_equal(segment->crowd, cr_json_get(expected, "iscrowd")->valueint);
        assert_int_equal(cr_coco_category(segment->label)->category_id,
                         cr_json_get(expected, "category_id")->valueint);
    }
}

static void test_sample(void **unused)
{
    (void)unused;
    const char *path = shared_path("data/coco_panoptic_sample/panoptic_examples.json");
    struct cr_error err = CR_ERROR_INIT;
    cJSON *file;
    assert_int_equal(cr_json_load(&file, path, &err), 0);
    for (int i = 0; i < 2; i++) {
        const cJSON *annotation = element(file, "annotations", i);
        struct cr_coco_query query = {
            -1, cr_json_get(annotation, "file_name")->valuestring, {i == 0 ? 427 : 360, 640}};
        struct cr_panoptic *map;
        size_t unlisted = 9;
        if (cr_coco_load(&map, path, NULL, &query, &unlisted, &err) < 0)
            fail_msg("%s", err.message);
        assert_int_equal(unlisted, 0);
        check_areas(map, annotation);
        cr_panoptic_unref(&map);
    }
    cJSON_Delete(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_orders),       cmocka_unit_test(test_image_names_come_first),
        cmocka_unit_test(test_only_image),   cmocka_unit_test(test_declared_categories),
        cmocka_unit_test(test_folders),      cmocka_unit_test(test_png_kinds),
        cmocka_unit_test(test_size),         cmocka_unit_test(test_unlisted),
        cmocka_unit_test(test_broken_files), cmocka_unit_test(test_other_annotations),
        cmocka_unit_test(test_too_many),     cmocka_unit_test(test_save),
        cmocka_unit_test(test_save_nothing), cmocka_unit_test(test_sets),
        cmocka_unit_test(test_empty_sets),   cmocka_unit_test(test_broken_sets),
        cmocka_unit_test(test_faults),       cmocka_unit_test(test_sample),
    };
    return cmocka_run_group_tests_name("coco", tests, NULL, NULL);
}

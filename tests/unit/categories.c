/* SPDX-License-Identifier: MIT */
#include <crayon/memory.h>
#include <crayon/panoptic.h>

#include "base/json.h"
#include "media/categories.h"
#include "test.h"

static void test_order(void **unused)
{
    (void)unused;
    int things = 0;
    int32_t before = 0;
    for (int32_t label = 0; label < CR_COCO_LABELS; label++) {
        const struct cr_category *category = cr_coco_category(label);
        assert_non_null(category);
        assert_true(category->category_id > before); /* the look-up depends on it */
        assert_int_equal(category->thing, label < 80);
        assert_non_null(cr_coco_supercategory(label));
        things += category->thing;
        before = category->category_id;
    }
    assert_int_equal(before, 200);
    assert_int_equal(things, 80);
    assert_null(cr_coco_category(CR_LABEL_UNKNOWN));
    assert_null(cr_coco_category(CR_COCO_LABELS));
    assert_null(cr_coco_category(INT32_MIN));
    assert_null(cr_coco_category(INT32_MAX));
    assert_null(cr_coco_supercategory(CR_LABEL_UNKNOWN));
    assert_null(cr_coco_supercategory(CR_COCO_LABELS));
}

static void test_facts(void **unused)
{
    (void)unused;
    static const struct {
        int32_t label, category_id;
        const char *name, *short_name, *supercategory;
        uint8_t color[3];
    } facts[] = {
        {0, 1, "person", "person", "person", {220, 20, 60}},
        {79, 90, "toothbrush", "toothbrush", "indoor", {191, 162, 208}},
        {80, 92, "banner", "banner", "textile", {255, 255, 128}},
        {119, 187, "sky-other-merged", "sky", "sky", {70, 130, 180}},
        {125, 193, "grass-merged", "grass", "plant", {152, 251, 152}},
        {86, 112, "door-stuff", "door", "furniture-stuff", {92, 136, 89}},
        {132, 200, "rug-merged", "rug", "textile", {250, 141, 255}},
    };
    for (size_t i = 0; i < COUNT(facts); i++) {
        const struct cr_category *category = cr_coco_category(facts[i].label);
        assert_int_equal(category->category_id, facts[i].category_id);
        assert_string_equal(category->name, facts[i].name);
        assert_string_equal(category->short_name, facts[i].short_name);
        assert_string_equal(cr_coco_supercategory(facts[i].label), facts[i].supercategory);
        assert_memory_equal(category->color, facts[i].color, 3);
    }
}

static void remove_all(char *text, const char *part)
{
    for (char *at = strstr(text, part); at != NULL; at = strstr(text, part))
        memmove(at, at + strlen(part), strlen(at + strlen(part)) + 1);
}

static void test_short_names(void **unused)
{
    (void)unused;
    for (int32_t label = 0; label < CR_COCO_LABELS; label++) {
        const struct cr_category *category = cr_coco_category(label);
        char name[64];
        snprintf(name, sizeof(name), "%s", category->name);
        remove_all(name, "-merged");
        remove_all(name, "-other");
        remove_all(name, "-stuff");
        assert_string_equal(category->short_name, name);
    }
}

static void test_look_up(void **unused)
{
    (void)unused;
    int found = 0;
    for (int64_t id = -5; id < 300; id++) {
        int32_t label = cr_coco_label(id);
        if (label != CR_LABEL_UNKNOWN) {
            assert_int_equal(cr_coco_category(label)->category_id, id);
            found++;
        }
    }
    assert_int_equal(found, CR_COCO_LABELS);
    assert_int_equal(cr_coco_label(12), CR_LABEL_UNKNOWN); /* one of the gaps */
    assert_int_equal(cr_coco_label(INT64_MAX), CR_LABEL_UNKNOWN);
    assert_int_equal(cr_coco_label((int64_t)1 << 32 | 1), CR_LABEL_UNKNOWN);
    for (int32_t label = 0; label < CR_COCO_LABELS; label++)
        assert_int_equal(cr_coco_label_by_name(cr_coco_category(label)->name), label);
    assert_int_equal(cr_coco_label_by_name("sky"), CR_LABEL_UNKNOWN); /* the short name */
    assert_int_equal(cr_coco_label_by_name("Person"), CR_LABEL_UNKNOWN);
    assert_int_equal(cr_coco_label_by_name(""), CR_LABEL_UNKNOWN);
}

/* Against the published file, where it is there. */
static void test_published_file(void **unused)
{
    (void)unused;
    const char *path = shared_path("data/coco_panoptic_sample/panoptic_coco_categories.json");
    struct cr_error err = CR_ERROR_INIT;
    cJSON *list;
    if (cr_json_load(&list, path, &err) < 0)
        fail_msg("%s", err.message);
    assert_int_equal(cJSON_GetArraySize(list), CR_COCO_LABELS);
    int32_t label = 0;
    const cJSON *entry;
    cJSON_ArrayForEach (entry, list) {
        const struct cr_category *category = cr_coco_category(label);
        assert_int_equal(category->category_id, cr_json_get(entry, "id")->valueint);
        assert_string_equal(category->name, cr_json_get(entry, "name")->valuestring);
        assert_int_equal(category->thing, cr_json_get(entry, "isthing")->valueint);
        assert_string_equal(cr_coco_supercategory(label),
                            cr_json_get(entry, "supercategory")->valuestring);
        for (int c = 0; c < 3; c++)
            assert_int_equal(category->color[c],
                             cJSON_GetArrayItem(cr_json_get(entry, "color"), c)->valueint);
        label++;
    }
    cJSON_Delete(list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),          cmocka_unit_test(test_facts),
        cmocka_unit_test(test_short_names),    cmocka_unit_test(test_look_up),
        cmocka_unit_test(test_published_file),
    };
    return cmocka_run_group_tests_name("categories", tests, NULL, NULL);
}

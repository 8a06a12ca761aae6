/* SPDX-License-Identifier: MIT */
/* Fuzz target: a COCO panoptic dataset: its JSON, a NUL byte, and the PNG "p.png". */
#include "fuzz.h"

#include <crayon/panoptic.h>

/* What cr_coco_load() promises of a map. */
static void check(const struct cr_panoptic *map)
{
    struct cr_size size = cr_panoptic_size(map);
    const int32_t *ids = cr_panoptic_ids(map);
    size_t count = cr_panoptic_count(map);
    for (size_t i = 0; i < count; i++) {
        const struct cr_segment *segment = cr_panoptic_segment(map, i);
        fuzz_assert(segment->id == (int32_t)i + 1 && segment->label >= CR_LABEL_UNKNOWN &&
                    segment->label < CR_COCO_LABELS);
    }
    for (size_t i = 0; i < (size_t)size.height * (size_t)size.width; i++)
        fuzz_assert(ids[i] >= 0 && (size_t)ids[i] <= count);
}

static void load(const char *json, const struct cr_coco_query *query)
{
    struct cr_panoptic *map = NULL;
    struct cr_error err = CR_ERROR_INIT;
    size_t unlisted;
    int result = cr_coco_load(&map, json, fuzz_folder(), query, &unlisted, &err);
    fuzz_result(result, map != NULL, &err);
    if (map != NULL)
        check(map);
    cr_panoptic_unref(&map);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct cr_coco_query by_name = {.image_id = -1, .file_name = "photo.jpg"},
                               by_number = {.image_id = 7, .size = {2, 3}};
    struct fuzz_pair files = fuzz_split(data, size);
    const char *json = fuzz_path("dataset.json");
    fuzz_write(json, files.text, files.text_size);
    fuzz_write(fuzz_path("p.png"), files.rest, files.rest_size);
    load(json, NULL);
    load(json, &by_name);
    load(json, &by_number);
    return 0;
}

#ifdef FUZZ_SEARCH
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    (void)seed;
    size = LLVMFuzzerMutate(data, size, max_size);
    size_t text = fuzz_split(data, size).text_size;
    if (text < size)
        fuzz_fix_png(data + text + 1, size - text - 1);
    return size;
}
#endif

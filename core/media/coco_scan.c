/* SPDX-License-Identifier: MIT */
/* The dataset file: hundreds of MB, of which one annotation is wanted. It is read from front to
 * back, and only that annotation is kept; a second time only if the annotations come before the
 * list of images that tells which one it is. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/nearest.h"
#include "base/paths.h"
#include "media/coco.h"

struct scan {
    const char *path;
    struct cr_coco_found *found;           /* where the wanted annotation goes */
    const struct cr_coco_visitor *visitor; /* or who wants all of them */
    struct cr_json_reader *reader;
    char *stem; /* of the file name asked for, or NULL */

    bool images_seen, annotations_seen, annotations_skipped, again;
    int64_t images, annotations; /* how many there are */
    int64_t matches;             /* annotations that are the wanted one */
    bool image_known;
    int64_t image_id;

    struct cr_coco_annotation current;
    struct cr_nearest nearest;
    char near_name[128];
};

/* ---- Members and values ---- */

/* Step to the next member of an object whose key is in `members` (NULL-terminated), passing over
 * the others: 1 with its position and the first token of its value, 0 at the object's end. */
static int next_member(struct scan *scan, const char *const *members, int *member,
                       struct cr_json_token *token, struct cr_error *err)
{
    for (;;) {
        int result = cr_json_next(scan->reader, token, err);
        if (result < 0)
            return result;
        if (token->type != CR_JSON_KEY)
            return 0;
        *member = 0;
        while (members[*member] != NULL && strcmp(members[*member], token->text) != 0)
            ++*member;
        bool wanted = members[*member] != NULL;
        if ((result = cr_json_next(scan->reader, token, err)) < 0)
            return result;
        if (wanted)
            return 1;
        if ((result = cr_json_skip(scan->reader, token, err)) < 0)
            return result;
    }
}

/* Step to the next element of an array: 1 with its first token, 0 at the end. */
static int next_element(struct scan *scan, struct cr_json_token *token, struct cr_error *err)
{
    int result = cr_json_next(scan->reader, token, err);
    return result < 0 ? result : token->type != CR_JSON_ARRAY_END;
}

/* Pass over a value that is not what it should be, and remember the first such complaint in
 * `problem`, at the value's place. */
static int complain(struct scan *scan, const struct cr_json_token *token, struct cr_error *problem,
                    struct cr_error *err, const char *format, ...) CR_PRINTF(5, 6);

static int complain(struct scan *scan, const struct cr_json_token *token, struct cr_error *problem,
                    struct cr_error *err, const char *format, ...)
{
    if (problem->code == 0) {
        va_list args;
        va_start(args, format);
        cr_failv(problem, CR_ERR_FORMAT, format, args);
        va_end(args);
        cr_error_prefix(problem, "%s:%lld:%lld", scan->path, (long long)token->line,
                        (long long)token->column);
    }
    return cr_json_skip(scan->reader, token, err);
}

static int read_integer(struct scan *scan, const struct cr_json_token *token, const char *name,
                        double lowest, double highest, int64_t *value, struct cr_error *problem,
                        struct cr_error *err)
{
    if (token->type == CR_JSON_NUMBER && token->number >= lowest && token->number <= highest &&
        floor(token->number) == token->number) {
        *value = (int64_t)token->number;
        return 0;
    }
    if (token->type == CR_JSON_NUMBER)
        return complain(scan, token, problem, err,
                        "\"%s\" is %.17g, a whole number from %.0f to %.0f is needed", name,
                        token->number, lowest, highest);
    return complain(scan, token, problem, err, "\"%s\" is not a number", name);
}

/* Exchange `*value` for the string of the token. */
static int read_string(struct scan *scan, const struct cr_json_token *token, const char *name,
                       char **value, struct cr_error *problem, struct cr_error *err)
{
    if (token->type != CR_JSON_STRING)
        return complain(scan, token, problem, err, "\"%s\" is not a string", name);
    cr_free(*value);
    *value = cr_strdup(token->text);
    return *value != NULL ? 0 : cr_fail_memory(err, token->size + 1);
}

static struct cr_coco_place place_of(const struct cr_json_token *token)
{
    return (struct cr_coco_place){token->line, token->column};
}

static int fail_at(const struct scan *scan, struct cr_coco_place place, struct cr_error *err,
                   const char *format, ...) CR_PRINTF(4, 5);

static int fail_at(const struct scan *scan, struct cr_coco_place place, struct cr_error *err,
                   const char *format, ...)
{
    va_list args;
    va_start(args, format);
    cr_failv(err, CR_ERR_FORMAT, format, args);
    va_end(args);
    cr_error_prefix(err, "%s:%lld:%lld", scan->path, (long long)place.line,
                    (long long)place.column);
    return CR_ERR_FORMAT;
}

static int pass_on(const struct cr_error *problem, struct cr_error *err)
{
    return cr_fail(err, problem->code, "%s", problem->message);
}

/* The last part of a path without its suffix: is it `stem`? */
static bool has_stem(const char *path, const char *stem)
{
    const char *base = cr_path_base(path);
    const char *dot = strrchr(base, '.');
    size_t length = dot == NULL || dot == base ? strlen(base) : (size_t)(dot - base);
    return strlen(stem) == length && memcmp(base, stem, length) == 0;
}

/* For "did you mean": the names pass by and are gone, so the best is copied. */
static void offer_name(struct scan *scan, const char *path)
{
    char name[sizeof(scan->near_name)];
    const char *base = cr_path_base(path);
    const char *dot = strrchr(base, '.');
    size_t length = dot == NULL || dot == base ? strlen(base) : (size_t)(dot - base);
    if (length >= sizeof(name))
        return;
    memcpy(name, base, length);
    name[length] = '\0';
    cr_nearest_offer(&scan->nearest, name);
    if (scan->nearest.best == name) {
        memcpy(scan->near_name, name, length + 1);
        scan->nearest.best = scan->near_name;
    }
}

/* ---- Images ---- */

static int read_image(struct scan *scan, const struct cr_json_token *start, struct cr_error *err)
{
    static const char *const members[] = {"id", "file_name", NULL};
    struct cr_coco_place place = place_of(start);
    struct cr_error problem = CR_ERROR_INIT;
    struct cr_json_token token;
    bool named = false;
    int64_t id = -1;
    int member, result;
    while ((result = next_member(scan, members, &member, &token, err)) > 0) {
        if (member == 0) {
            result = read_integer(scan, &token, "id", 0, CR_JSON_MAX_INTEGER, &id, &problem, err);
        } else if (token.type != CR_JSON_STRING) {
            result = complain(scan, &token, &problem, err, "\"file_name\" is not a string");
        } else {
            named = has_stem(token.text, scan->stem);
            if (!named && !scan->image_known)
                offer_name(scan, token.text);
        }
        if (result < 0)
            break;
    }
    if (result < 0 || !named)
        return result;
    if (problem.code != 0)
        return pass_on(&problem, err);
    if (id < 0)
        return fail_at(scan, place, err, "the image has no \"id\"");
    if (scan->image_known)
        return fail_at(scan, place, err,
                       "a second image named \"%s\"; say which one is meant by its image id "
                       "(%lld or %lld)",
                       scan->stem, (long long)scan->image_id, (long long)id);
    scan->image_known = true;
    scan->image_id = id;
    return 0;
}

static int visit_image(struct scan *scan, const struct cr_json_token *start, struct cr_error *err)
{
    static const char *const members[] = {"id", "file_name", NULL};
    struct cr_error problem = CR_ERROR_INIT;
    struct cr_json_token token;
    char *name = NULL;
    int64_t id = -1;
    int member, result;
    while ((result = next_member(scan, members, &member, &token, err)) > 0) {
        if (member == 0)
            result = read_integer(scan, &token, "id", 0, CR_JSON_MAX_INTEGER, &id, &problem, err);
        else
            result = read_string(scan, &token, "file_name", &name, &problem, err);
        if (result < 0)
            break;
    }
    if (result == 0 && problem.code != 0)
        result = pass_on(&problem, err);
    else if (result == 0 && (id < 0 || name == NULL))
        result = fail_at(scan, place_of(start), err, "the image has no \"%s\"",
                         id < 0 ? "id" : "file_name");
    else if (result == 0)
        result = scan->visitor->image(scan->visitor->user, id, name, err);
    cr_free(name);
    return result;
}

static int read_images(struct scan *scan, const struct cr_json_token *start, struct cr_error *err)
{
    if (start->type != CR_JSON_ARRAY)
        return cr_json_fail(scan->reader, err, "\"images\" is not a list");
    scan->images_seen = true;
    struct cr_json_token token;
    int result;
    while ((result = next_element(scan, &token, err)) > 0) {
        scan->images++;
        if (token.type != CR_JSON_OBJECT)
            return cr_json_fail(scan->reader, err, "an image is an object, not this");
        result = scan->visitor != NULL ? visit_image(scan, &token, err)
                 : scan->stem != NULL  ? read_image(scan, &token, err)
                                       : cr_json_skip(scan->reader, &token, err);
        if (result < 0)
            return result;
    }
    return result;
}

/* ---- Annotations ---- */

static int add_segment(struct cr_coco_annotation *annotation, const struct cr_coco_segment *segment,
                       struct cr_error *err)
{
    if (annotation->count == annotation->capacity) {
        size_t capacity = annotation->capacity == 0 ? 64 : annotation->capacity * 2;
        struct cr_coco_segment *segments =
            cr_realloc_array(annotation->segments, capacity, sizeof(*segments));
        if (segments == NULL)
            return cr_fail_memory(err, capacity * sizeof(*segments));
        annotation->segments = segments;
        annotation->capacity = capacity;
    }
    annotation->segments[annotation->count++] = *segment;
    return 0;
}

static int read_crowd(struct scan *scan, const struct cr_json_token *token, bool *crowd,
                      struct cr_error *err)
{
    int64_t number = 0;
    if (token->type == CR_JSON_TRUE || token->type == CR_JSON_FALSE) {
        *crowd = token->type == CR_JSON_TRUE;
        return 0;
    }
    int result = read_integer(scan, token, "iscrowd", 0, 1, &number, &scan->current.problem, err);
    *crowd = number == 1;
    return result;
}

static int read_segment(struct scan *scan, const struct cr_json_token *start, struct cr_error *err)
{
    static const char *const members[] = {"id", "category_id", "iscrowd", NULL};
    struct cr_error *problem = &scan->current.problem;
    struct cr_coco_segment segment = {place_of(start), -1, -1, false};
    if (start->type != CR_JSON_OBJECT)
        return complain(scan, start, problem, err, "a segment is an object, not this");
    if (scan->current.count == CR_COCO_MAX_SEGMENTS)
        return cr_fail(err, CR_ERR_LIMIT, "%s:%lld:%lld: more than %d segments in one image",
                       scan->path, (long long)start->line, (long long)start->column,
                       CR_COCO_MAX_SEGMENTS);
    struct cr_json_token token;
    int member, result;
    while ((result = next_member(scan, members, &member, &token, err)) > 0) {
        if (member == 0)
            result = read_integer(scan, &token, "id", 1, CR_COCO_MAX_ID, &segment.id, problem, err);
        else if (member == 1)
            result = read_integer(scan, &token, "category_id", 0, CR_JSON_MAX_INTEGER,
                                  &segment.category_id, problem, err);
        else
            result = read_crowd(scan, &token, &segment.crowd, err);
        if (result < 0)
            break;
    }
    if (result < 0)
        return result;
    if (problem->code == 0 && (segment.id < 0 || segment.category_id < 0))
        fail_at(scan, segment.place, problem, "the segment has no \"%s\"",
                segment.id < 0 ? "id" : "category_id");
    return add_segment(&scan->current, &segment, err);
}

static int read_segments(struct scan *scan, const struct cr_json_token *start, struct cr_error *err)
{
    if (start->type != CR_JSON_ARRAY)
        return complain(scan, start, &scan->current.problem, err,
                        "\"segments_info\" is not a list");
    struct cr_json_token token;
    int result;
    scan->current.count = 0;
    while ((result = next_element(scan, &token, err)) > 0)
        if ((result = read_segment(scan, &token, err)) < 0)
            break;
    return result;
}

static void reset_current(struct scan *scan, const struct cr_json_token *start)
{
    struct cr_coco_annotation *current = &scan->current;
    current->place = place_of(start);
    current->image_id = -1;
    current->count = 0;
    current->file_name.size = 0;
    cr_text_add(&current->file_name, "");
    cr_error_clear(&current->problem);
}

/* Is the annotation just read the wanted one? */
static bool is_wanted(const struct scan *scan)
{
    if (scan->image_known)
        return scan->current.image_id == scan->image_id;
    if (scan->stem != NULL)
        return has_stem(scan->current.file_name.data, scan->stem);
    return true;
}

/* Keep it: what was kept before becomes the room for the next one. */
static int keep_current(struct scan *scan, struct cr_error *err)
{
    struct cr_coco_annotation *kept = &scan->found->annotation, before = *kept;
    scan->matches++;
    bool choice = scan->image_known || scan->stem != NULL;
    if (choice && scan->matches > 1)
        return kept->problem.code != 0
                   ? pass_on(&kept->problem, err)
                   : fail_at(scan, scan->current.place, err,
                             "a second annotation of the same image; the first is at %lld:%lld",
                             (long long)before.place.line, (long long)before.place.column);
    *kept = scan->current;
    scan->current = before;
    return 0;
}

static int by_id(const void *a, const void *b)
{
    const struct cr_coco_segment *const *first = a, *const *second = b;
    if ((*first)->id != (*second)->id)
        return (*first)->id < (*second)->id ? -1 : 1;
    return *first < *second ? -1 : 1;
}

static int check_duplicates(const struct scan *scan, const struct cr_coco_annotation *annotation,
                            struct cr_error *err)
{
    const struct cr_coco_segment **sorted = cr_calloc(annotation->count, sizeof(*sorted));
    if (sorted == NULL)
        return cr_fail_memory(err, annotation->count * sizeof(*sorted));
    for (size_t i = 0; i < annotation->count; i++)
        sorted[i] = &annotation->segments[i];
    qsort(sorted, annotation->count, sizeof(*sorted), by_id);
    int result = 0;
    for (size_t i = 1; i < annotation->count && result == 0; i++)
        if (sorted[i]->id == sorted[i - 1]->id)
            result = fail_at(scan, sorted[i]->place, err,
                             "a second segment with the id %lld; the first is at %lld:%lld",
                             (long long)sorted[i]->id, (long long)sorted[i - 1]->place.line,
                             (long long)sorted[i - 1]->place.column);
    cr_free(sorted);
    return result;
}

static int visit_current(struct scan *scan, struct cr_error *err)
{
    const struct cr_coco_annotation *current = &scan->current;
    if (current->problem.code != 0)
        return pass_on(&current->problem, err);
    int result = check_duplicates(scan, current, err);
    return result == 0 ? scan->visitor->annotation(scan->visitor->user, current, err) : result;
}

static int read_annotation(struct scan *scan, const struct cr_json_token *start,
                           struct cr_error *err)
{
    static const char *const members[] = {"image_id", "file_name", "segments_info", NULL};
    struct cr_coco_annotation *current = &scan->current;
    struct cr_json_token token;
    bool segmented = false;
    int member, result;
    reset_current(scan, start);
    while ((result = next_member(scan, members, &member, &token, err)) > 0) {
        if (member == 0) {
            result = read_integer(scan, &token, "image_id", 0, CR_JSON_MAX_INTEGER,
                                  &current->image_id, &current->problem, err);
        } else if (member == 2) {
            segmented = true;
            result = read_segments(scan, &token, err);
        } else if (token.type != CR_JSON_STRING) {
            result =
                complain(scan, &token, &current->problem, err, "\"file_name\" is not a string");
        } else {
            current->file_name.size = 0;
            cr_text_append(&current->file_name, token.text, token.size);
        }
        if (result < 0)
            break;
    }
    if (result < 0)
        return result;
    if (current->file_name.failed)
        return cr_fail(err, CR_ERR_MEMORY, "%s: out of memory", scan->path);
    if (!is_wanted(scan)) {
        if (scan->stem != NULL && scan->images == 0)
            offer_name(scan, current->file_name.data);
        return 0;
    }
    const char *missing = !segmented                     ? "segments_info"
                          : current->file_name.size == 0 ? "file_name"
                          : current->image_id < 0        ? "image_id"
                                                         : NULL;
    if (current->problem.code == 0 && missing != NULL)
        fail_at(scan, current->place, &current->problem,
                "the annotation has no \"%s\"; one of a panoptic dataset is needed", missing);
    return scan->visitor != NULL ? visit_current(scan, err) : keep_current(scan, err);
}

static int read_annotations(struct scan *scan, const struct cr_json_token *start,
                            struct cr_error *err)
{
    if (start->type != CR_JSON_ARRAY)
        return cr_json_fail(scan->reader, err, "\"annotations\" is not a list");
    scan->annotations_seen = true;
    if (scan->stem != NULL && !scan->images_seen && !scan->again) {
        scan->annotations_skipped = true;
        return cr_json_skip(scan->reader, start, err);
    }
    struct cr_json_token token;
    int result;
    while ((result = next_element(scan, &token, err)) > 0) {
        scan->annotations++;
        if (token.type != CR_JSON_OBJECT)
            return cr_json_fail(scan->reader, err, "an annotation is an object, not this");
        if ((result = read_annotation(scan, &token, err)) < 0)
            return result;
    }
    return result;
}

/* ---- Categories ---- */

/* Other datasets number other categories in the same way. What a file calls 7 is COCO's 7 only if
 * it bears that name; otherwise the name decides. */
static int32_t label_of(int64_t category_id, const char *name)
{
    int32_t label = cr_coco_label(category_id);
    const struct cr_category *category = cr_coco_category(label);
    if (category != NULL &&
        (strcmp(category->name, name) == 0 || strcmp(category->short_name, name) == 0))
        return label;
    return cr_coco_label_by_name(name);
}

static int declare(struct scan *scan, int64_t category_id, int32_t label, struct cr_error *err)
{
    struct cr_coco_found *found = scan->found;
    if (found->count == CR_COCO_MAX_CATEGORIES)
        return cr_fail(err, CR_ERR_LIMIT, "%s: more than %d categories", scan->path,
                       CR_COCO_MAX_CATEGORIES);
    if (found->count == found->capacity) {
        size_t capacity = found->capacity == 0 ? 128 : found->capacity * 2;
        struct cr_coco_declared *declared =
            cr_realloc_array(found->declared, capacity, sizeof(*declared));
        if (declared == NULL)
            return cr_fail_memory(err, capacity * sizeof(*declared));
        found->declared = declared;
        found->capacity = capacity;
    }
    found->declared[found->count++] = (struct cr_coco_declared){category_id, label};
    return 0;
}

/* 0, 1, or -1: not said in a way that could be understood. */
static int read_thing(struct scan *scan, const struct cr_json_token *token, int *thing,
                      struct cr_error *err)
{
    if (token->type == CR_JSON_TRUE || token->type == CR_JSON_FALSE)
        *thing = token->type == CR_JSON_TRUE;
    else if (token->type == CR_JSON_NUMBER && (token->number == 0 || token->number == 1))
        *thing = token->number == 1;
    else
        *thing = -1;
    return cr_json_skip(scan->reader, token, err);
}

static int take_category(struct scan *scan, int64_t id, const char *name, int thing,
                         struct cr_error *err)
{
    int32_t label = label_of(id, name);
    if (scan->visitor == NULL)
        return declare(scan, id, label, err);
    const struct cr_category *known = cr_coco_category(label);
    const struct cr_coco_class category = {
        .category_id = id,
        .name = name,
        .label = label,
        .thing = thing >= 0 ? thing == 1 : known != NULL && known->thing,
    };
    return scan->visitor->category(scan->visitor->user, &category, err);
}

/* The id may come after the name: both ways of finding a label are tried while the name is there.
 */
static int read_category(struct scan *scan, const struct cr_json_token *start, struct cr_error *err)
{
    static const char *const members[] = {"id", "name", "isthing", NULL};
    struct cr_coco_place place = place_of(start);
    struct cr_error problem = CR_ERROR_INIT;
    struct cr_json_token token;
    char *name = NULL;
    int64_t id = -1;
    int member, result, thing = -1;
    while ((result = next_member(scan, members, &member, &token, err)) > 0) {
        if (member == 0)
            result = read_integer(scan, &token, "id", 0, CR_JSON_MAX_INTEGER, &id, &problem, err);
        else if (member == 1)
            result = read_string(scan, &token, "name", &name, &problem, err);
        else
            result = read_thing(scan, &token, &thing, err);
        if (result < 0)
            break;
    }
    if (result == 0 && problem.code != 0)
        result = pass_on(&problem, err);
    else if (result == 0 && (id < 0 || name == NULL))
        result = fail_at(scan, place, err, "the category has no \"%s\"", id < 0 ? "id" : "name");
    else if (result == 0)
        result = take_category(scan, id, name, thing, err);
    cr_free(name);
    return result;
}

static int read_categories(struct scan *scan, const struct cr_json_token *start,
                           struct cr_error *err)
{
    if (start->type != CR_JSON_ARRAY)
        return cr_json_fail(scan->reader, err, "\"categories\" is not a list");
    struct cr_json_token token;
    int result;
    while ((result = next_element(scan, &token, err)) > 0) {
        if (token.type != CR_JSON_OBJECT)
            return cr_json_fail(scan->reader, err, "a category is an object, not this");
        if ((result = read_category(scan, &token, err)) < 0)
            return result;
    }
    return result;
}

/* ---- The file ---- */

static int read_members(struct scan *scan, struct cr_error *err)
{
    static const char *const members[] = {"images", "annotations", "categories", NULL};
    struct cr_json_token token;
    int member, result = cr_json_next(scan->reader, &token, err);
    if (result < 0)
        return result;
    if (token.type != CR_JSON_OBJECT)
        return cr_json_fail(scan->reader, err,
                            "a COCO file is an object with \"images\" and \"annotations\"");
    while ((result = next_member(scan, members, &member, &token, err)) > 0) {
        if (member == 1)
            result = read_annotations(scan, &token, err);
        else if (scan->again)
            result = cr_json_skip(scan->reader, &token, err);
        else
            result =
                member == 0 ? read_images(scan, &token, err) : read_categories(scan, &token, err);
        if (result < 0)
            return result;
    }
    return result < 0 ? result : cr_json_next(scan->reader, &token, err);
}

static int read_file(struct scan *scan, struct cr_error *err)
{
    int result = cr_json_reader_open(&scan->reader, scan->path, err);
    if (result == 0)
        result = read_members(scan, err);
    cr_json_reader_destroy(&scan->reader);
    return result;
}

/* Why there is no annotation, or more than one. */
static int report(const struct scan *scan, struct cr_error *err)
{
    long long images = (long long)scan->images, annotations = (long long)scan->annotations;
    if (!scan->annotations_seen)
        return cr_fail(err, CR_ERR_FORMAT,
                       "%s: has no \"annotations\"; a COCO panoptic dataset is needed", scan->path);
    if (scan->matches > 1)
        return cr_fail(err, CR_ERR_ARGUMENT,
                       "%s: holds %lld annotations; say which image is meant, by its number or its "
                       "file name",
                       scan->path, annotations);
    if (scan->stem == NULL && !scan->image_known)
        return cr_fail(err, CR_ERR_NOT_FOUND, "%s: the list of annotations is empty", scan->path);
    if (scan->stem == NULL)
        return cr_fail(err, CR_ERR_NOT_FOUND, "%s: none of %lld annotations is of image %lld",
                       scan->path, annotations, (long long)scan->image_id);
    if (scan->image_known)
        return cr_fail(err, CR_ERR_NOT_FOUND,
                       "%s: none of %lld annotations is of image %lld (\"%s\")", scan->path,
                       annotations, (long long)scan->image_id, scan->stem);
    const char *near = scan->nearest.best;
    return cr_fail(err, CR_ERR_NOT_FOUND, "%s: none of %lld images is named \"%s\"%s%s%s",
                   scan->path, images > 0 ? images : annotations, scan->stem,
                   near != NULL ? "; did you mean \"" : "", near != NULL ? near : "",
                   near != NULL ? "\"?" : "");
}

static void annotation_finish(struct cr_coco_annotation *annotation)
{
    cr_text_finish(&annotation->file_name);
    cr_free(annotation->segments);
}

void cr_coco_found_finish(struct cr_coco_found *found)
{
    annotation_finish(&found->annotation);
    cr_free(found->declared);
    *found = (struct cr_coco_found){.count = 0};
}

int32_t cr_coco_found_label(const struct cr_coco_found *found, int64_t category_id)
{
    for (size_t i = 0; i < found->count; i++)
        if (found->declared[i].category_id == category_id)
            return found->declared[i].label;
    return cr_coco_label(category_id);
}

static int run(struct scan *scan, struct cr_error *err)
{
    int result = read_file(scan, err);
    if (result == 0 && scan->annotations_skipped) {
        scan->again = true;
        result = read_file(scan, err);
    }
    if (result < 0)
        return result;
    if (scan->matches != 1)
        return report(scan, err);
    if (scan->found->annotation.problem.code != 0)
        return pass_on(&scan->found->annotation.problem, err);
    return check_duplicates(scan, &scan->found->annotation, err);
}

int cr_coco_scan(struct cr_coco_found *found, const char *json, const struct cr_coco_query *query,
                 struct cr_error *err)
{
    struct scan scan = {.path = json, .found = found};
    if (query != NULL && query->image_id >= 0) {
        scan.image_known = true;
        scan.image_id = query->image_id;
    } else if (query != NULL && query->file_name != NULL) {
        if ((scan.stem = cr_path_stem(query->file_name)) == NULL)
            return cr_fail_memory(err, strlen(query->file_name) + 1);
        cr_nearest_init(&scan.nearest, scan.stem);
    }
    int result = run(&scan, err);
    annotation_finish(&scan.current);
    cr_free(scan.stem);
    return result;
}

int cr_coco_visit(const char *json, const struct cr_coco_visitor *visitor, struct cr_error *err)
{
    struct scan scan = {.path = json, .visitor = visitor};
    int result = read_file(&scan, err);
    if (result == 0 && !scan.annotations_seen)
        result = report(&scan, err);
    annotation_finish(&scan.current);
    return result;
}

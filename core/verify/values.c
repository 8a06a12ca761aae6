/* SPDX-License-Identifier: MIT */
/* values.c: what the values of a case stand for, and batches made of them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <sys/stat.h>

#include <crayon/file.h>
#include <crayon/memory.h>
#include <crayon/ops.h>

#include "base/io.h"
#include "base/paths.h"
#include "base/utf8.h"
#include "pipeline/check.h"
#include "verify/case.h"

#define MAX_TEXT (16u << 20)

/* ---- Resolving ---- */

static bool ends_with(const char *text, size_t length, const char *end)
{
    size_t size = strlen(end);
    return length > size && memcmp(text + length - size, end, size) == 0;
}

static int resolve_pointer(const char *path, const char *pointer, struct verify_datum *out,
                           struct cr_error *err)
{
    int result = cr_json_load_python(&out->root, path, err);
    if (result < 0)
        return result;
    out->json = cr_json_at(out->root, pointer);
    if (out->json == NULL)
        return cr_fail(err, CR_ERR_NOT_FOUND, "%s: there is nothing at %s", path, pointer);
    return 0;
}

/* "FILE.safetensors#NAME" and "FILE.json#/POINTER"; *is_reference is false for other texts. */
static int resolve_reference(struct verify_case *c, const char *text, struct cr_device *device,
                             struct verify_datum *out, bool *is_reference, struct cr_error *err)
{
    const char *hash = strchr(text, '#');
    size_t length = hash == NULL ? 0 : (size_t)(hash - text);
    bool is_tensor = ends_with(text, length, ".safetensors") && hash[1] != '\0';
    *is_reference =
        is_tensor || (ends_with(text, length, ".json") && (hash[1] == '/' || hash[1] == '\0'));
    if (!*is_reference)
        return 0;
    char *name = cr_strndup(text, length);
    char *path = name == NULL ? NULL : cr_path_join(c->folder, name);
    int result = path == NULL ? cr_fail_memory(err, length)
                 : is_tensor  ? verify_read_tensor(c, path, hash + 1, device, out, err)
                              : resolve_pointer(path, hash + 1, out, err);
    cr_free(name);
    cr_free(path);
    return result;
}

static int resolve_text(struct verify_case *c, const char *text, struct verify_datum *out,
                        struct cr_error *err)
{
    struct stat st;
    char *path = cr_path_join(c->folder, text);
    if (path == NULL)
        return cr_fail_memory(err, strlen(text));
    if (text[0] != '\0' && cr_io_stat(path, &st) == 0 && S_ISREG(st.st_mode)) {
        out->file = path;
        return 0;
    }
    cr_free(path);
    out->text = text;
    return 0;
}

int verify_resolve(struct verify_case *c, const cJSON *json, struct cr_device *device,
                   struct verify_datum *out, struct cr_error *err)
{
    *out = (struct verify_datum)VERIFY_DATUM_INIT;
    if (!cJSON_IsString(json)) {
        out->json = json;
        return 0;
    }
    bool is_reference;
    int result = resolve_reference(c, json->valuestring, device, out, &is_reference, err);
    if (result == 0 && !is_reference)
        result = resolve_text(c, json->valuestring, out, err);
    if (result < 0)
        verify_datum_finish(out);
    return result;
}

void verify_datum_finish(struct verify_datum *datum)
{
    cJSON_Delete(datum->root);
    cr_free(datum->file);
    cr_tensor_unref(&datum->tensor);
    *datum = (struct verify_datum)VERIFY_DATUM_INIT;
}

/* ---- Batches from lists ---- */

/* Make one item from the JSON of one; `literal`: strings are texts, for they come from a file. */
typedef int make_item(struct verify_case *c, const cJSON *json, bool literal,
                      struct cr_value *value, size_t index, struct cr_error *err);

static int make_list(struct verify_case *c, const cJSON *json, bool literal, enum cr_type type,
                     make_item *make, struct cr_value **out, struct cr_error *err)
{
    bool is_list = cJSON_IsArray(json);
    size_t index = 0, count = is_list ? (size_t)cJSON_GetArraySize(json) : 1;
    int result = cr_value_create(out, type, count, err);
    const cJSON *item = is_list ? json->child : json;
    for (; index < count && result == 0; index++, item = item->next)
        if ((result = make(c, item, literal, *out, index, err)) < 0 && is_list)
            cr_error_prefix(err, "item %zu", index);
    return result;
}

static int wrong_form(const char *needed, const struct verify_datum *datum, struct cr_error *err)
{
    if (datum->text != NULL || datum->file != NULL)
        return cr_fail(err, CR_ERR_FORMAT, "%s, not %s\"%s\"", needed,
                       datum->file != NULL ? "the file " : "",
                       datum->file != NULL ? datum->file : datum->text);
    return cr_fail(err, CR_ERR_FORMAT, "%s, not %s", needed,
                   datum->tensor != NULL ? "a tensor" : cr_json_kind(datum->json));
}

/* ---- Texts ---- */

static int read_text(const char *path, char **text, struct cr_error *err)
{
    size_t size;
    int result = cr_file_read(path, MAX_TEXT, text, &size, err);
    if (result < 0)
        return result;
    if (size > 0 && (*text)[size - 1] == '\n')
        (*text)[--size] = '\0';
    if (strlen(*text) == size && *cr_utf8_fault(*text) == '\0')
        return 0;
    cr_free(*text);
    *text = NULL;
    return cr_fail(err, CR_ERR_FORMAT, "%s is no text in UTF-8", path);
}

static int set_text(struct cr_value *value, size_t index, const struct verify_datum *datum,
                    struct cr_error *err)
{
    static const char needed[] = "a text, a text file, {\"text\": TEXT} or null is needed here";
    const cJSON *text = cr_json_get(datum->json, "text");
    if (datum->text != NULL)
        return cr_value_set_text(value, index, datum->text, err);
    if (datum->file != NULL) {
        char *content;
        int result = read_text(datum->file, &content, err);
        if (result == 0)
            result = cr_value_set_text(value, index, content, err);
        cr_free(content);
        return result;
    }
    if (cJSON_IsNull(datum->json))
        return cr_value_set_text(value, index, NULL, err);
    if (cJSON_IsString(datum->json))
        return cr_value_set_text(value, index, datum->json->valuestring, err);
    if (cJSON_IsString(text) && cJSON_GetArraySize(datum->json) == 1)
        return cr_value_set_text(value, index, text->valuestring, err);
    return wrong_form(needed, datum, err);
}

static int make_text(struct verify_case *c, const cJSON *json, bool literal, struct cr_value *value,
                     size_t index, struct cr_error *err)
{
    struct verify_datum datum = {.json = json};
    int result = literal ? 0 : verify_resolve(c, json, NULL, &datum, err);
    if (result == 0)
        result = set_text(value, index, &datum, err);
    verify_datum_finish(&datum);
    return result;
}

static int text_value(struct verify_case *c, const struct verify_datum *datum,
                      struct cr_value **out, struct cr_error *err)
{
    if (cJSON_IsArray(datum->json))
        return make_list(c, datum->json, datum->root != NULL, CR_TYPE_TEXT, make_text, out, err);
    int result = cr_value_create(out, CR_TYPE_TEXT, 1, err);
    return result < 0 ? result : set_text(*out, 0, datum, err);
}

/* ---- Pictures ---- */

/* Item `index` of u8 [B,3,H,W]. */
static int planes_to_image(struct cr_image **out, const uint8_t *planes, struct cr_size size,
                           struct cr_error *err)
{
    int result = cr_image_create(out, size, err);
    size_t pixels = (size_t)size.height * (size_t)size.width;
    uint8_t *pixel = result < 0 ? NULL : cr_image_edit(*out);
    for (size_t i = 0; i < pixels && result == 0; i++)
        for (size_t channel = 0; channel < 3; channel++)
            pixel[3 * i + channel] = planes[channel * pixels + i];
    return result;
}

static int tensor_images(const struct cr_tensor *tensor, struct cr_value **out,
                         struct cr_error *err)
{
    int rank = cr_tensor_rank(tensor), at = rank - 3;
    if (cr_tensor_dtype(tensor) != CR_DTYPE_U8 || at < 0 || cr_tensor_extent(tensor, at) != 3 ||
        cr_tensor_extent(tensor, rank - 2) > 65535 || cr_tensor_extent(tensor, rank - 1) > 65535)
        return cr_fail(err, CR_ERR_FORMAT,
                       "a picture is a tensor of type u8, [3,H,W] or [B,3,H,W], and this one is "
                       "none");
    struct cr_size size = {(int32_t)cr_tensor_extent(tensor, rank - 2),
                           (int32_t)cr_tensor_extent(tensor, rank - 1)};
    size_t count = at == 0 ? 1 : (size_t)cr_tensor_extent(tensor, 0);
    size_t bytes = (size_t)cr_tensor_elements(tensor);
    uint8_t *data = cr_malloc(bytes);
    int result =
        data == NULL ? cr_fail_memory(err, bytes) : cr_tensor_read(tensor, data, bytes, err);
    if (result == 0)
        result = cr_value_create(out, CR_TYPE_IMAGE, count, err);
    for (size_t i = 0; i < count && result == 0; i++) {
        struct cr_image *image = NULL;
        result = planes_to_image(&image, data + i * (bytes / count), size, err);
        if (result == 0)
            cr_value_set_image(*out, i, image);
        cr_image_unref(&image);
    }
    cr_free(data);
    return result;
}

static int image_value(struct verify_case *c, const struct verify_datum *datum,
                       struct cr_value **out, struct cr_error *err);

static int make_image(struct verify_case *c, const cJSON *json, bool literal,
                      struct cr_value *value, size_t index, struct cr_error *err)
{
    struct verify_datum datum = VERIFY_DATUM_INIT;
    struct cr_value *one = NULL;
    (void)literal;
    int result = verify_resolve(c, json, NULL, &datum, err);
    if (result == 0 && cJSON_IsArray(datum.json))
        result = wrong_form("a picture is needed here", &datum, err);
    if (result == 0)
        result = image_value(c, &datum, &one, err);
    if (result == 0 && cr_value_count(one) != 1)
        result =
            cr_fail(err, CR_ERR_FORMAT, "one picture is needed here, not %zu", cr_value_count(one));
    if (result == 0)
        cr_value_set_image(value, index, cr_value_image(one, 0));
    cr_value_unref(&one);
    verify_datum_finish(&datum);
    return result;
}

static int image_value(struct verify_case *c, const struct verify_datum *datum,
                       struct cr_value **out, struct cr_error *err)
{
    struct cr_image *image = NULL;
    if (datum->tensor != NULL)
        return tensor_images(datum->tensor, out, err);
    if (cJSON_IsArray(datum->json) && datum->root == NULL)
        return make_list(c, datum->json, false, CR_TYPE_IMAGE, make_image, out, err);
    if (datum->text != NULL)
        return cr_fail(err, CR_ERR_NOT_FOUND, "no file \"%s\" beside the case", datum->text);
    if (datum->file == NULL)
        return wrong_form("a picture is needed here, a file or a tensor of type u8", datum, err);
    int result = cr_image_load(&image, datum->file, NULL, err);
    if (result == 0)
        result = cr_value_from_image(out, image, err);
    cr_image_unref(&image);
    return result;
}

/* ---- Panoptic maps ---- */

static int add_segment(struct cr_panoptic *panoptic, const cJSON *json, struct cr_error *err)
{
    const cJSON *id = cr_json_get(json, "id"), *label = cr_json_get(json, "label_id");
    const cJSON *score = cr_json_get(json, "score");
    if (!cr_json_is_integer(id) || id->valuedouble < INT32_MIN || id->valuedouble > INT32_MAX ||
        !cr_json_is_integer(label) || label->valuedouble < CR_LABEL_UNKNOWN ||
        label->valuedouble >= CR_COCO_LABELS)
        return cr_fail(err, CR_ERR_FORMAT,
                       "a segment is {\"id\": N, \"label_id\": N}, label_id from %d to %d",
                       CR_LABEL_UNKNOWN, CR_COCO_LABELS - 1);
    const struct cr_segment segment = {
        .id = (int32_t)id->valuedouble,
        .label = (int32_t)label->valuedouble,
        .score = cJSON_IsNumber(score) ? (float)score->valuedouble : 1,
        .original_id = (int64_t)id->valuedouble,
    };
    return cr_panoptic_add(panoptic, &segment, err);
}

/* A map of `size`, with its list of segments. */
static int make_panoptic(struct cr_panoptic **out, const int32_t *ids, struct cr_size size,
                         const cJSON *segments, struct cr_error *err)
{
    int result = cr_panoptic_create(out, size, err);
    if (result < 0)
        return result;
    memcpy(cr_panoptic_edit(*out), ids, (size_t)size.height * (size_t)size.width * sizeof(*ids));
    if (!cJSON_IsArray(segments))
        return cr_fail(err, CR_ERR_FORMAT,
                       "\"segments\": a list of segments is needed here, not %s",
                       cr_json_kind(segments));
    const cJSON *segment;
    size_t index = 0;
    cJSON_ArrayForEach (segment, segments) {
        if (result == 0 && (result = add_segment(*out, segment, err)) < 0)
            cr_error_prefix(err, "segment %zu", index);
        index++;
    }
    return result;
}

/* Maps from ids [H,W] or [B,H,W], and a list of segments, or a list of B lists. */
static int make_panoptics(const struct cr_tensor *ids, const cJSON *segments, struct cr_value **out,
                          struct cr_error *err)
{
    int rank = cr_tensor_rank(ids);
    if (cr_tensor_dtype(ids) != CR_DTYPE_I32 || rank < 2 || rank > 3 ||
        cr_tensor_extent(ids, rank - 1) > 65535 || cr_tensor_extent(ids, rank - 2) > 65535)
        return cr_fail(err, CR_ERR_FORMAT, "\"ids\" are whole numbers [H,W] or [B,H,W]");
    struct cr_size size = {(int32_t)cr_tensor_extent(ids, rank - 2),
                           (int32_t)cr_tensor_extent(ids, rank - 1)};
    size_t count = rank == 2 ? 1 : (size_t)cr_tensor_extent(ids, 0);
    size_t bytes = (size_t)cr_tensor_elements(ids) * sizeof(int32_t);
    int32_t *data = cr_malloc(bytes);
    int result = data == NULL ? cr_fail_memory(err, bytes) : cr_tensor_read(ids, data, bytes, err);
    if (result == 0)
        result = cr_value_create(out, CR_TYPE_PANOPTIC, count, err);
    bool one_list = count == 1 && !cJSON_IsArray(segments != NULL ? segments->child : NULL);
    if (result == 0 && !one_list && (size_t)cJSON_GetArraySize(segments) != count)
        result = cr_fail(err, CR_ERR_FORMAT, "\"segments\": %zu lists are needed, one for each map",
                         count);
    for (size_t i = 0; i < count && result == 0; i++) {
        struct cr_panoptic *panoptic = NULL;
        const cJSON *list = one_list ? segments : cJSON_GetArrayItem(segments, (int)i);
        result =
            make_panoptic(&panoptic, data + i * (bytes / sizeof(int32_t) / count), size, list, err);
        if (result == 0)
            cr_value_set_panoptic(*out, i, panoptic);
        cr_panoptic_unref(&panoptic);
    }
    cr_free(data);
    return result;
}

static int ids_value(struct verify_case *c, const cJSON *json, struct cr_value **out,
                     struct cr_error *err)
{
    struct verify_datum segments = VERIFY_DATUM_INIT;
    struct cr_tensor *ids = NULL;
    bool is_row = false;
    int result = verify_tensor(c, cr_json_get(json, "ids"), NULL, &ids, &is_row, err);
    if (result < 0)
        cr_error_prefix(err, "\"ids\"");
    if (result == 0)
        result = verify_resolve(c, cr_json_get(json, "segments"), NULL, &segments, err);
    if (result == 0 && segments.json == NULL)
        result = wrong_form("\"segments\": a list of segments is needed here", &segments, err);
    if (result == 0)
        result = make_panoptics(ids, segments.json, out, err);
    verify_datum_finish(&segments);
    cr_tensor_unref(&ids);
    return result;
}

/* The annotation of a PNG file; the picture is told by its name, or is the only one. */
static int coco_value(struct verify_case *c, const cJSON *json, struct cr_value **out,
                      struct cr_error *err)
{
    struct cr_panoptic *panoptic = NULL;
    const cJSON *png = cr_json_get(json, "png"), *file = cr_json_get(json, "json");
    if (!cJSON_IsString(png) || !cJSON_IsString(file))
        return cr_fail(err, CR_ERR_FORMAT, "\"png\" and \"json\" are the names of files");
    char *png_path = cr_path_join(c->folder, png->valuestring);
    char *json_path = cr_path_join(c->folder, file->valuestring);
    char *folder = png_path == NULL ? NULL : cr_path_folder(png_path);
    int result = folder == NULL || json_path == NULL ? cr_fail_memory(err, 1) : 0;
    if (result == 0) {
        const struct cr_coco_query query = {.image_id = -1, .file_name = cr_path_base(png_path)};
        result = cr_coco_load(&panoptic, json_path, folder, &query, NULL, err);
    }
    if (result == 0)
        result = cr_value_from_panoptic(out, panoptic, err);
    cr_panoptic_unref(&panoptic);
    cr_free(png_path);
    cr_free(json_path);
    cr_free(folder);
    return result;
}

static int panoptic_value(struct verify_case *c, const struct verify_datum *datum,
                          struct cr_value **out, struct cr_error *err)
{
    const cJSON *json = datum->json;
    if (cr_json_get(json, "ids") != NULL && cr_json_get(json, "segments") != NULL &&
        cJSON_GetArraySize(json) == 2)
        return ids_value(c, json, out, err);
    if (cr_json_get(json, "png") != NULL && cr_json_get(json, "json") != NULL &&
        cJSON_GetArraySize(json) == 2)
        return coco_value(c, json, out, err);
    return wrong_form("a panoptic map is needed here, {\"ids\": VALUE, \"segments\": VALUE} or "
                      "{\"png\": FILE, \"json\": FILE}",
                      datum, err);
}

/* ---- Tokens ---- */

static int list_tokens(struct cr_value *value, size_t index, const cJSON *list,
                       struct cr_error *err)
{
    size_t count = 0, room = (size_t)cJSON_GetArraySize(list);
    int32_t *ids = cr_calloc(room, sizeof(*ids));
    const cJSON *id;
    int result = ids != NULL ? 0 : cr_fail_memory(err, room * sizeof(*ids));
    cJSON_ArrayForEach (id, list) {
        bool fits =
            cr_json_is_integer(id) && id->valuedouble >= INT32_MIN && id->valuedouble <= INT32_MAX;
        if (result == 0 && !fits)
            result = cr_fail(err, CR_ERR_FORMAT, "token %zu is no whole number of 32 bits", count);
        if (result == 0)
            ids[count++] = (int32_t)id->valuedouble;
    }
    if (result == 0)
        result = cr_value_set_tokens(value, index, ids, count, err);
    cr_free(ids);
    return result;
}

static int make_tokens(struct verify_case *c, const cJSON *json, bool literal,
                       struct cr_value *value, size_t index, struct cr_error *err)
{
    (void)c;
    (void)literal;
    if (!cJSON_IsArray(json))
        return cr_fail(err, CR_ERR_FORMAT, "a list of token ids is needed here, not %s",
                       cr_json_kind(json));
    return list_tokens(value, index, json, err);
}

static int tensor_tokens(const struct cr_tensor *tensor, struct cr_value **out,
                         struct cr_error *err)
{
    int rank = cr_tensor_rank(tensor);
    if (cr_tensor_dtype(tensor) != CR_DTYPE_I32 || rank < 1 || rank > 2)
        return cr_fail(err, CR_ERR_FORMAT, "tokens are whole numbers [L] or [B,L]");
    size_t count = rank == 1 ? 1 : (size_t)cr_tensor_extent(tensor, 0);
    size_t length = (size_t)cr_tensor_extent(tensor, rank - 1);
    size_t bytes = (size_t)cr_tensor_elements(tensor) * sizeof(int32_t);
    int32_t *ids = cr_malloc(bytes);
    int result = ids == NULL ? cr_fail_memory(err, bytes) : cr_tensor_read(tensor, ids, bytes, err);
    if (result == 0)
        result = cr_value_create(out, CR_TYPE_TOKENS, count, err);
    for (size_t i = 0; i < count && result == 0; i++)
        result = cr_value_set_tokens(*out, i, ids + i * length, length, err);
    cr_free(ids);
    return result;
}

static int tokens_value(struct verify_case *c, const struct verify_datum *datum,
                        struct cr_value **out, struct cr_error *err)
{
    if (datum->tensor != NULL)
        return tensor_tokens(datum->tensor, out, err);
    if (!cJSON_IsArray(datum->json))
        return wrong_form("tokens are needed here, whole numbers [L] or [B,L]", datum, err);
    if (cJSON_IsArray(datum->json->child))
        return make_list(c, datum->json, true, CR_TYPE_TOKENS, make_tokens, out, err);
    int result = cr_value_create(out, CR_TYPE_TOKENS, 1, err);
    return result < 0 ? result : list_tokens(*out, 0, datum->json, err);
}

/* ---- Tensors ---- */

/* One number, or a row of a batch, is a batch of one. */
static int tensor_value(struct verify_case *c, const cJSON *json, struct cr_value **out,
                        struct cr_error *err)
{
    struct cr_tensor *tensor = NULL, *batch = NULL;
    bool is_row;
    int result = verify_tensor(c, json, NULL, &tensor, &is_row, err);
    if (result < 0)
        return result;
    int rank = cr_tensor_rank(tensor);
    if (rank == 0 || (is_row && rank < CR_TENSOR_MAX_RANK)) {
        int64_t shape[CR_TENSOR_MAX_RANK] = {1};
        for (int i = 0; i < rank; i++)
            shape[1 + i] = cr_tensor_extent(tensor, i);
        result = cr_op_reshape(&batch, tensor, 1 + rank, shape, err);
    } else {
        batch = cr_tensor_ref(tensor);
    }
    if (result == 0)
        result = cr_value_from_tensor(out, batch, err);
    cr_tensor_unref(&batch);
    cr_tensor_unref(&tensor);
    return result;
}

int verify_value(struct verify_case *c, const cJSON *json, enum cr_type type, struct cr_value **out,
                 struct cr_error *err)
{
    struct verify_datum datum = VERIFY_DATUM_INIT;
    *out = NULL;
    if (type == CR_TYPE_TENSOR)
        return tensor_value(c, json, out, err);
    int result = verify_resolve(c, json, NULL, &datum, err);
    if (result == 0)
        result = type == CR_TYPE_TEXT       ? text_value(c, &datum, out, err)
                 : type == CR_TYPE_IMAGE    ? image_value(c, &datum, out, err)
                 : type == CR_TYPE_PANOPTIC ? panoptic_value(c, &datum, out, err)
                                            : tokens_value(c, &datum, out, err);
    if (result < 0)
        cr_value_unref(out);
    verify_datum_finish(&datum);
    return result;
}

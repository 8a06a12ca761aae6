/* SPDX-License-Identifier: MIT */
/* tensors.c: numbers that a case names: from safetensors files, or written out in JSON. */
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <crayon/memory.h>

#include "base/paths.h"
#include "model/model.h"
#include "verify/case.h"

/* Tensor files that are open, until the case is over. */
struct verify_file {
    char *path;
    struct cr_model *model;
    struct verify_file *next;
};

static int open_file(struct verify_case *c, const char *path, struct cr_model **model,
                     struct cr_error *err)
{
    struct verify_file *file = c->files;
    while (file != NULL && strcmp(file->path, path) != 0)
        file = file->next;
    if (file == NULL) {
        file = cr_calloc(1, sizeof(*file));
        if (file == NULL || (file->path = cr_strdup(path)) == NULL) {
            cr_free(file);
            return cr_fail_memory(err, strlen(path));
        }
        int result = cr_model_open_file(&file->model, path, c->verify->params.log, err);
        if (result < 0) {
            cr_free(file->path);
            cr_free(file);
            return result;
        }
        file->next = c->files;
        c->files = file;
    }
    *model = file->model;
    return 0;
}

void verify_files_close(struct verify_case *c)
{
    while (c->files != NULL) {
        struct verify_file *old = c->files;
        c->files = old->next;
        cr_model_unref(&old->model);
        cr_free(old->path);
        cr_free(old);
    }
}

/* ---- From a file ---- */

static int find_tensor(struct cr_model *model, const char *name, struct cr_model_tensor *found,
                       struct cr_error *err)
{
    size_t count;
    int result = cr_model_tensors(model, &count, err);
    for (size_t i = 0; i < count && result == 0; i++) {
        *found = cr_model_tensor(model, i);
        if (strcmp(found->name, name) == 0)
            return 0;
    }
    return result < 0 ? result : cr_fail(err, CR_ERR_NOT_FOUND, "no tensor \"%s\"", name);
}

/* What a tensor of this type in a file becomes. */
static enum cr_dtype natural_dtype(const char *dtype)
{
    static const char *const whole[] = {"I64", "I32", "I16", "I8", "U16", "U32", "U64"};
    if (strcmp(dtype, "F16") == 0)
        return CR_DTYPE_F16;
    if (strcmp(dtype, "U8") == 0 || strcmp(dtype, "BOOL") == 0)
        return CR_DTYPE_U8;
    for (size_t i = 0; i < sizeof(whole) / sizeof(whole[0]); i++)
        if (strcmp(dtype, whole[i]) == 0)
            return CR_DTYPE_I32;
    return CR_DTYPE_F32;
}

/* A matrix that bitsandbytes saved in four bits? */
static bool is_nf4(struct cr_model *model, const char *name, struct cr_error *err, bool *answer)
{
    char *state = cr_asprintf("%s.quant_state.bitsandbytes__nf4", name);
    if (state == NULL) {
        cr_fail_memory(err, strlen(name));
        return false;
    }
    *answer = cr_model_has(model, state);
    cr_free(state);
    return true;
}

/* Load `name`, whose shape in the file is that of `found`. */
static int claim_tensor(struct cr_model *model, const char *name,
                        const struct cr_model_tensor *found, bool nf4, struct cr_device *device,
                        struct cr_tensor **out, struct cr_error *err)
{
    static const int64_t any[CR_TENSOR_MAX_RANK] = {-1, -1, -1, -1};
    enum cr_dtype dtype =
        nf4 ? device != NULL ? CR_DTYPE_NF4 : CR_DTYPE_F32 : natural_dtype(found->dtype);
    struct cr_claim *claim;
    if (found->rank > CR_TENSOR_MAX_RANK)
        return cr_fail(err, CR_ERR_UNSUPPORTED, "\"%s\" has rank %d: at most %d", name, found->rank,
                       CR_TENSOR_MAX_RANK);
    int result = cr_claim_create(&claim, model, err);
    if (result < 0)
        return result;
    cr_claim_tensor(claim, out, dtype, nf4 ? 2 : found->rank, nf4 ? any : found->shape,
                    dtype == CR_DTYPE_NF4 ? 0 : CR_CLAIM_HOST, "%s", name);
    result = cr_claim_load(claim, device, NULL, err);
    cr_claim_destroy(&claim);
    return result;
}

static int load_tensor(struct verify_case *c, const char *path, const char *name,
                       struct cr_device *device, struct cr_tensor **out, struct cr_error *err)
{
    struct cr_model *model = NULL;
    struct cr_model_tensor found = {.name = NULL};
    bool nf4 = false;
    int result = open_file(c, path, &model, err);
    if (result < 0)
        return result;
    result = find_tensor(model, name, &found, err);
    if (result < 0) {
        cr_error_prefix(err, "%s", path);
        return result;
    }
    if (!is_nf4(model, name, err, &nf4))
        return CR_ERR_MEMORY;
    return claim_tensor(model, name, &found, nf4, device, out, err);
}

/* Row `index` of the leading extent of a tensor on the host, without that extent. */
static int take_row(struct cr_tensor **tensor, int64_t index, struct cr_error *err)
{
    struct cr_tensor *whole = *tensor;
    int rank = cr_tensor_rank(whole);
    size_t size = cr_dtype_size(cr_tensor_dtype(whole));
    int64_t shape[CR_TENSOR_MAX_RANK], rows = cr_tensor_extent(whole, 0);
    if (rank == 0 || size == 0 || index >= rows)
        return cr_fail(err, CR_ERR_ARGUMENT, "there is no row %lld: it has %lld", (long long)index,
                       rank == 0 || size == 0 ? 0LL : (long long)rows);
    for (int i = 1; i < rank; i++)
        shape[i - 1] = cr_tensor_extent(whole, i);
    size_t bytes = (size_t)cr_tensor_elements(whole) * size;
    char *data = cr_malloc(bytes);
    if (data == NULL)
        return cr_fail_memory(err, bytes);
    *tensor = NULL;
    int result = cr_tensor_read(whole, data, bytes, err);
    if (result == 0)
        result = cr_tensor_create(tensor, cr_tensor_dtype(whole), rank - 1, shape,
                                  data + bytes / (size_t)rows * (size_t)index, err);
    cr_free(data);
    cr_tensor_unref(&whole);
    return result;
}

/* "NAME[3]": the length of NAME, and 3; the whole length, and -1, for any other name. */
static size_t split_row(const char *name, int64_t *row)
{
    size_t length = strlen(name);
    const char *open = strrchr(name, '[');
    *row = -1;
    if (open == NULL || open == name || length == 0 || name[length - 1] != ']')
        return length;
    size_t digits = strspn(open + 1, "0123456789");
    if (digits == 0 || digits > 9 || open[1 + digits] != ']' || open[2 + digits] != '\0')
        return length;
    *row = strtol(open + 1, NULL, 10);
    return (size_t)(open - name);
}

int verify_read_tensor(struct verify_case *c, const char *path, const char *name,
                       struct cr_device *device, struct verify_datum *out, struct cr_error *err)
{
    int64_t row;
    char *whole = cr_strndup(name, split_row(name, &row));
    if (whole == NULL)
        return cr_fail_memory(err, strlen(name));
    out->is_row = row >= 0;
    int result = load_tensor(c, path, whole, row >= 0 ? NULL : device, &out->tensor, err);
    if (result == 0 && row >= 0) {
        result = take_row(&out->tensor, row, err);
        if (result < 0)
            cr_error_prefix(err, "%s#%s", path, name);
    }
    cr_free(whole);
    return result;
}

/* ---- Written out ---- */

/* Numbers in nested lists, as they are gathered. */
struct gathered {
    int rank;
    int64_t shape[CR_TENSOR_MAX_RANK];
    double *numbers;
    size_t count, capacity;
    bool whole; /* all are whole numbers of 32 bits */
};

static int gather_number(struct gathered *g, const cJSON *item, struct cr_error *err)
{
    if (!cJSON_IsNumber(item) && !cJSON_IsBool(item))
        return cr_fail(err, CR_ERR_FORMAT, "a number is needed in the lists, not %s",
                       cr_json_kind(item));
    if (g->count == g->capacity) {
        size_t capacity = g->capacity == 0 ? 64 : 2 * g->capacity;
        double *numbers = cr_realloc_array(g->numbers, capacity, sizeof(*numbers));
        if (numbers == NULL)
            return cr_fail_memory(err, capacity * sizeof(*numbers));
        g->numbers = numbers;
        g->capacity = capacity;
    }
    double number = cJSON_IsNumber(item) ? item->valuedouble : cJSON_IsTrue(item);
    g->whole = g->whole && (cJSON_IsBool(item) || cr_json_is_integer(item)) &&
               number >= INT32_MIN && number <= INT32_MAX;
    g->numbers[g->count++] = number;
    return 0;
}

/* The shape follows from the first list of each depth; the others must be as long. */
static int measure(struct gathered *g, const cJSON *item, struct cr_error *err)
{
    g->rank = 0;
    g->whole = true;
    for (; cJSON_IsArray(item); item = item->child) {
        if (g->rank == CR_TENSOR_MAX_RANK)
            return cr_fail(err, CR_ERR_UNSUPPORTED, "lists within lists: at most %d deep",
                           CR_TENSOR_MAX_RANK);
        g->shape[g->rank++] = cJSON_GetArraySize(item);
    }
    return 0;
}

/* Depth first, as row-major order has it. The depth is at most 4. */
static int gather(struct gathered *g, const cJSON *item, int depth, struct cr_error *err)
{
    if (depth == g->rank)
        return gather_number(g, item, err);
    if (!cJSON_IsArray(item) || cJSON_GetArraySize(item) != g->shape[depth])
        return cr_fail(err, CR_ERR_FORMAT, "the lists differ in length");
    int result = 0;
    const cJSON *child;
    cJSON_ArrayForEach (child, item)
        if (result == 0)
            result = gather(g, child, depth + 1, err);
    return result;
}

static int make_tensor(const struct gathered *g, struct cr_tensor **out, struct cr_error *err)
{
    union number {
        int32_t i;
        float f;
    } *data = cr_calloc(g->count, sizeof(*data));
    if (data == NULL)
        return cr_fail_memory(err, g->count * sizeof(*data));
    for (size_t i = 0; i < g->count; i++) {
        if (g->whole)
            data[i].i = (int32_t)g->numbers[i];
        else
            data[i].f = (float)g->numbers[i];
    }
    int result =
        cr_tensor_create(out, g->whole ? CR_DTYPE_I32 : CR_DTYPE_F32, g->rank, g->shape, data, err);
    cr_free(data);
    return result;
}

static int json_tensor(const cJSON *json, struct cr_tensor **out, struct cr_error *err)
{
    struct gathered g = {.numbers = NULL};
    int result = measure(&g, json, err);
    if (result == 0)
        result = gather(&g, json, 0, err);
    if (result == 0)
        result = make_tensor(&g, out, err);
    cr_free(g.numbers);
    return result;
}

/* ---- Both ---- */

int verify_tensor(struct verify_case *c, const cJSON *json, struct cr_device *device,
                  struct cr_tensor **out, bool *is_row, struct cr_error *err)
{
    struct verify_datum datum = VERIFY_DATUM_INIT;
    *out = NULL;
    int result = verify_resolve(c, json, device, &datum, err);
    if (result == 0 && datum.tensor != NULL)
        *out = cr_tensor_ref(datum.tensor);
    else if (result == 0 && datum.json != NULL)
        result = json_tensor(datum.json, out, err);
    else if (result == 0)
        result = cr_fail(err, CR_ERR_FORMAT,
                         "\"%s\" is no tensor: FILE.safetensors#NAME, FILE.json#/POINTER or lists "
                         "of numbers are needed here",
                         datum.file != NULL ? datum.file : datum.text);
    *is_row = datum.is_row;
    verify_datum_finish(&datum);
    return result;
}

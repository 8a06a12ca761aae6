/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include <crayon/config.h>
#include <crayon/memory.h>

#include "model/numbers.h"
#include "model/quantizer.h"
#include "model/source.h"
#include "tensor/quantized.h"

#define MAX_STATE 65536 /* bytes of a description */

const char *cr_model_shape(char text[CR_SHAPE_TEXT], int rank, const int64_t *shape)
{
    size_t used = 0;
    text[used++] = '[';
    for (int i = 0; i < rank && used < CR_SHAPE_TEXT - 32; i++) {
        const char *comma = i > 0 ? ", " : "";
        int count = shape[i] < 0 ? snprintf(text + used, CR_SHAPE_TEXT - used, "%sany", comma)
                                 : snprintf(text + used, CR_SHAPE_TEXT - used, "%s%lld", comma,
                                            (long long)shape[i]);
        used += (size_t)count;
    }
    snprintf(text + used, CR_SHAPE_TEXT - used, "]");
    return text;
}

const char *cr_weight_source_type(const struct cr_weight_source *source)
{
    return source->kind == CR_SOURCE_NF4    ? "nf4"
           : source->kind == CR_SOURCE_Q8_0 ? "q8_0"
                                            : cr_st_dtype_name(source->values.tensor->dtype);
}

size_t cr_weight_source_owner(const char *name)
{
    static const char *const suffixes[] = {
        CR_NF4_STATE,     ".absmax",           ".quant_map",
        ".nested_absmax", ".nested_quant_map", CR_Q8_0_SCALES,
    };
    size_t length = strlen(name);
    for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
        size_t tail = strlen(suffixes[i]);
        if (length > tail && strcmp(name + length - tail, suffixes[i]) == 0)
            return length - tail;
    }
    return 0;
}

/* ---- Finding ---- */

/* Nor may the other extents of an empty tensor, such as [0, N, N], make more than can be counted:
 * the elements of a row are counted, too. */
static bool count_elements(struct cr_weight_source *source)
{
    int64_t elements = 1;
    bool empty = false;
    for (int i = 0; i < source->rank; i++) {
        int64_t extent = source->shape[i];
        empty = empty || extent == 0;
        if (extent != 0 && elements > INT64_MAX / 64 / extent)
            return false;
        elements *= extent != 0 ? extent : 1;
    }
    source->elements = empty ? 0 : elements;
    return true;
}

static int64_t blocks_of(int64_t elements, int64_t size)
{
    return elements / size + (elements % size != 0);
}

/* The stored tensor NAME + suffix. */
static int find_part(struct cr_stored *part, const struct cr_model *model, const char *name,
                     const char *suffix, struct cr_error *err)
{
    char *full = cr_asprintf("%s%s", name, suffix);
    if (full == NULL)
        return cr_fail_memory(err, strlen(name) + strlen(suffix));
    const struct cr_stored *stored = cr_model_find(model, full);
    *part = stored != NULL ? *stored : (struct cr_stored){.file = NULL};
    cr_free(full);
    return 0;
}

/* A part that has to be there and hold `count` numbers of this type. */
static int require_part(struct cr_stored *part, const struct cr_model *model, const char *name,
                        const char *suffix, enum cr_st_dtype dtype, int64_t count,
                        struct cr_error *err)
{
    int result = find_part(part, model, name, suffix, err);
    if (result < 0)
        return result;
    if (part->tensor == NULL)
        return cr_fail(err, CR_ERR_FORMAT, "\"%.200s%s\" is missing, a part of a quantised matrix",
                       name, suffix);
    uint64_t bytes = (uint64_t)count * (uint64_t)cr_st_dtype_bits(dtype) / 8;
    if (part->tensor->dtype != dtype || part->tensor->bytes != bytes)
        return cr_fail(err, CR_ERR_FORMAT, "\"%.200s%s\" is %s of %llu bytes, not %s [%lld]", name,
                       suffix, cr_st_dtype_name(part->tensor->dtype),
                       (unsigned long long)part->tensor->bytes, cr_st_dtype_name(dtype),
                       (long long)count);
    return 0;
}

/* What the JSON says of the matrix. */
static int read_state(struct cr_weight_source *source, const char *text, size_t size,
                      const char *name, struct cr_error *err)
{
    struct cr_config *config = NULL;
    int result = cr_config_parse(&config, text, size, name, err);
    if (result < 0)
        return result;
    const char *type = cr_config_text(config, "/quant_type", CR_CONFIG_REQUIRED_TEXT);
    if (strcmp(type, "nf4") != 0 && type[0] != '\0')
        cr_config_problem(config, "/quant_type", "is \"%.40s\", not \"nf4\"", type);
    cr_config_int(config, "/blocksize", CR_CONFIG_REQUIRED, CR_NF4_BLOCK, CR_NF4_BLOCK);
    size_t rank = cr_config_count(config, "/shape");
    if (rank < 1 || rank > CR_MODEL_MAX_RANK)
        cr_config_problem(config, "/shape", "a list of 1 to %d extents is needed",
                          CR_MODEL_MAX_RANK);
    source->rank = rank <= CR_MODEL_MAX_RANK ? (int)rank : 0;
    for (int i = 0; i < source->rank; i++) {
        char pointer[32];
        snprintf(pointer, sizeof(pointer), "/shape/%d", i);
        source->shape[i] = cr_config_int(config, pointer, CR_CONFIG_REQUIRED, 0, INT64_C(1) << 40);
    }
    if (source->nested) {
        cr_config_int(config, "/nested_blocksize", CR_CONFIG_REQUIRED, CR_NESTED_BLOCK,
                      CR_NESTED_BLOCK);
        source->nested_offset = (float)cr_config_number(config, "/nested_offset",
                                                        CR_CONFIG_REQUIRED_NUMBER, -3.4e38, 3.4e38);
    }
    if (!count_elements(source))
        cr_config_problem(config, "/shape", "makes more elements than can be counted");
    result = cr_config_check(config, err);
    cr_config_destroy(&config);
    return result;
}

static int load_state(struct cr_weight_source *source, struct cr_error *err)
{
    const struct cr_st_tensor *tensor = source->state.tensor;
    if (tensor->dtype != CR_ST_U8 || tensor->bytes > MAX_STATE)
        return cr_fail(err, CR_ERR_FORMAT,
                       "\"%.200s\" is %s of %llu bytes, not a text in U8 of at most %d",
                       tensor->name, cr_st_dtype_name(tensor->dtype),
                       (unsigned long long)tensor->bytes, MAX_STATE);
    char *text = cr_malloc((size_t)tensor->bytes);
    if (text == NULL)
        return cr_fail_memory(err, (size_t)tensor->bytes);
    int result = cr_weights_load(source->state.file, tensor, 0, text, (size_t)tensor->bytes, err);
    if (result == 0)
        result = read_state(source, text, (size_t)tensor->bytes, tensor->name, err);
    cr_free(text);
    return result;
}

/* A file with another table would be another format. */
static int check_map(const struct cr_stored *map, struct cr_error *err)
{
    float values[16];
    int result = cr_weights_load(map->file, map->tensor, 0, values, sizeof(values), err);
    for (int i = 0; i < 16 && result == 0; i++)
        if (!(fabsf(values[i] - cr_nf4_values()[i]) <= 1e-6f))
            result = cr_fail(err, CR_ERR_FORMAT,
                             "\"%.200s\": number %d is %g, in the table of NF4 it is %g",
                             map->tensor->name, i, (double)values[i], (double)cr_nf4_values()[i]);
    return result;
}

static int find_nf4(struct cr_weight_source *source, const struct cr_model *model, const char *name,
                    struct cr_error *err)
{
    struct cr_stored map;
    source->kind = CR_SOURCE_NF4;
    int result = find_part(&source->nested_absmax, model, name, ".nested_absmax", err);
    source->nested = source->nested_absmax.tensor != NULL;
    if (result == 0)
        result = load_state(source, err);
    if (result < 0)
        return result;
    int64_t blocks = blocks_of(source->elements, CR_NF4_BLOCK);
    const struct cr_st_tensor *codes = source->values.tensor;
    if (codes->bytes != (uint64_t)(source->elements + 1) / 2) {
        char text[CR_SHAPE_TEXT];
        return cr_fail(err, CR_ERR_FORMAT,
                       "\"%.200s\" holds %llu bytes of codes, its shape %s takes %lld", name,
                       (unsigned long long)codes->bytes,
                       cr_model_shape(text, source->rank, source->shape),
                       (long long)(source->elements + 1) / 2);
    }
    if (codes->dtype != CR_ST_U8)
        cr_log_write(model->log, CR_LOG_INFO, model->name,
                     "\"%.200s\": NF4 saved with quant_storage %s; its bytes are read as U8", name,
                     cr_st_dtype_name(codes->dtype));
    result = require_part(&map, model, name, ".quant_map", CR_ST_F32, 16, err);
    if (result == 0)
        result = check_map(&map, err);
    if (result == 0)
        result = require_part(&source->scales, model, name, ".absmax",
                              source->nested ? CR_ST_U8 : CR_ST_F32, blocks, err);
    if (result == 0 && source->nested)
        result = require_part(&source->nested_absmax, model, name, ".nested_absmax", CR_ST_F32,
                              blocks_of(blocks, CR_NESTED_BLOCK), err);
    if (result == 0 && source->nested)
        result = require_part(&source->nested_map, model, name, ".nested_quant_map", CR_ST_F32, 256,
                              err);
    return result;
}

static int find_q8_0(struct cr_weight_source *source, const struct cr_model *model,
                     const char *name, struct cr_error *err)
{
    source->kind = CR_SOURCE_Q8_0;
    return require_part(&source->scales, model, name, CR_Q8_0_SCALES, CR_ST_F16,
                        blocks_of(source->elements, CR_Q8_0_BLOCK), err);
}

int cr_weight_source_find(struct cr_weight_source *source, const struct cr_model *model,
                          const char *name, struct cr_error *err)
{
    memset(source, 0, sizeof(*source));
    const struct cr_stored *stored = cr_model_find(model, name);
    if (stored == NULL)
        return cr_fail(err, CR_ERR_NOT_FOUND, "%.200s", name);
    source->values = *stored;
    int result = find_part(&source->state, model, name, CR_NF4_STATE, err);
    if (result < 0)
        return result;
    if (source->state.tensor != NULL)
        return find_nf4(source, model, name, err);
    source->rank = stored->tensor->rank;
    for (int i = 0; i < source->rank; i++)
        source->shape[i] = stored->tensor->shape[i];
    if (!count_elements(source))
        return cr_fail(err, CR_ERR_LIMIT, "\"%.200s\" has more elements than can be counted", name);
    if (stored->tensor->dtype != CR_ST_I8)
        return 0;
    struct cr_stored scales;
    result = find_part(&scales, model, name, CR_Q8_0_SCALES, err);
    return result == 0 && scales.tensor != NULL ? find_q8_0(source, model, name, err) : result;
}

int cr_weight_source_prepare(struct cr_weight_source *source, struct cr_error *err)
{
    if (!source->nested || source->tables != NULL)
        return 0;
    size_t bytes = (size_t)source->nested_absmax.tensor->bytes;
    source->tables = cr_malloc(256 * sizeof(float) + bytes);
    if (source->tables == NULL)
        return cr_fail_memory(err, 256 * sizeof(float) + bytes);
    int result = cr_weights_load(source->nested_map.file, source->nested_map.tensor, 0,
                                 source->tables, 256 * sizeof(float), err);
    if (result == 0)
        result = cr_weights_load(source->nested_absmax.file, source->nested_absmax.tensor, 0,
                                 source->tables + 256, bytes, err);
    return result;
}

void cr_weight_source_finish(struct cr_weight_source *source)
{
    cr_free(source->tables);
    source->tables = NULL;
}

/* ---- Reading ---- */

int cr_weight_source_read_absmax(const struct cr_weight_source *source, int64_t block,
                                 int64_t count, void *raw, float *out, struct cr_error *err)
{
    const struct cr_stored *scales = &source->scales;
    if (!source->nested)
        return cr_weights_load(scales->file, scales->tensor, (uint64_t)block * sizeof(float), out,
                               (size_t)count * sizeof(float), err);
    const uint8_t *codes = raw;
    const float *map = source->tables, *groups = source->tables + 256;
    int result =
        cr_weights_load(scales->file, scales->tensor, (uint64_t)block, raw, (size_t)count, err);
    for (int64_t i = 0; i < count && result == 0; i++) {
        float scaled = map[codes[i]] * groups[(block + i) / CR_NESTED_BLOCK];
        out[i] = scaled + source->nested_offset;
    }
    return result;
}

/* Codes, then what belongs to their blocks, in one scratch memory. */
static int read_nf4(const struct cr_weight_source *source, int64_t from, int64_t count, void *raw,
                    float *out, struct cr_error *err)
{
    int64_t first = from / CR_NF4_BLOCK, last = (from + count + CR_NF4_BLOCK - 1) / CR_NF4_BLOCK;
    int64_t start = first * CR_NF4_BLOCK, end = from + count;
    size_t bytes = (size_t)(end - start + 1) / 2;
    char *codes = raw;
    float *absmax = (float *)(void *)(codes + CR_SOURCE_STRIP);
    int result = cr_weights_load(source->values.file, source->values.tensor, (uint64_t)start / 2,
                                 codes, bytes, err);
    if (result == 0)
        result = cr_weight_source_read_absmax(source, first, last - first, absmax + (last - first),
                                              absmax, err);
    if (result == 0)
        cr_dequantize_nf4(raw, from - start, count, absmax, out);
    return result;
}

static int read_q8_0(const struct cr_weight_source *source, int64_t from, int64_t count, void *raw,
                     float *out, struct cr_error *err)
{
    int64_t first = from / CR_Q8_0_BLOCK, last = (from + count + CR_Q8_0_BLOCK - 1) / CR_Q8_0_BLOCK;
    char *codes = raw;
    uint16_t *scales = (uint16_t *)(void *)(codes + CR_SOURCE_STRIP);
    int result = cr_weights_load(source->values.file, source->values.tensor, (uint64_t)from, codes,
                                 (size_t)count, err);
    if (result == 0)
        result = cr_weights_load(source->scales.file, source->scales.tensor,
                                 (uint64_t)first * sizeof(*scales), scales,
                                 (size_t)(last - first) * sizeof(*scales), err);
    if (result == 0)
        cr_dequantize_q8_0(raw, from - first * CR_Q8_0_BLOCK, count, scales, out);
    return result;
}

/* The bytes of dense numbers, into `raw`. */
static int read_raw(const struct cr_weight_source *source, int64_t from, int64_t count, void *raw,
                    struct cr_error *err)
{
    size_t size = (size_t)cr_st_dtype_bits(source->values.tensor->dtype) / 8;
    return cr_weights_load(source->values.file, source->values.tensor, (uint64_t)from * size, raw,
                           (size_t)count * size, err);
}

int cr_weight_source_read_f32(const struct cr_weight_source *source, int64_t from, int64_t count,
                              void *raw, float *out, struct cr_error *err)
{
    enum cr_st_dtype dtype = source->values.tensor->dtype;
    if (source->kind == CR_SOURCE_NF4)
        return read_nf4(source, from, count, raw, out, err);
    if (source->kind == CR_SOURCE_Q8_0)
        return read_q8_0(source, from, count, raw, out, err);
    int result = read_raw(source, from, count, dtype == CR_ST_F32 ? out : raw, err);
    if (result == 0 && dtype != CR_ST_F32)
        cr_numbers_to_f32(dtype, raw, (size_t)count, out);
    return result;
}

static int convert(const struct cr_weight_source *source, enum cr_dtype to, enum cr_st_dtype dtype,
                   int64_t from, const void *numbers, int64_t count, void *out,
                   struct cr_error *err)
{
    size_t done = cr_numbers_to(to, dtype, numbers, (size_t)count, out);
    if (done == (size_t)count)
        return 0;
    return cr_fail(err, CR_ERR_FORMAT,
                   "%s: number %lld of \"%.200s\" (%s) is out of the range of %s",
                   source->values.file->path, (long long)from + (long long)done,
                   cr_weight_source_name(source), cr_weight_source_type(source), cr_dtype_name(to));
}

int cr_weight_source_read(const struct cr_weight_source *source, enum cr_dtype dtype, int64_t from,
                          int64_t count, void *raw, void *out, struct cr_error *err)
{
    enum cr_st_dtype from_dtype = source->values.tensor->dtype;
    bool same = cr_numbers_same(from_dtype, dtype);
    int result = read_raw(source, from, count, same ? out : raw, err);
    if (result < 0 || same)
        return result;
    return convert(source, dtype, from_dtype, from, raw, count, out, err);
}

int cr_weight_source_narrow(const struct cr_weight_source *source, enum cr_dtype dtype,
                            int64_t from, const float *numbers, int64_t count, void *out,
                            struct cr_error *err)
{
    return convert(source, dtype, CR_ST_F32, from, numbers, count, out, err);
}

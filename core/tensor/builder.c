/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include <crayon/memory.h>

#include "tensor/builder.h"
#include "tensor/device.h"

const char *cr_shape_text(char text[96], int rank, const int64_t *shape)
{
    int used = snprintf(text, 96, "[");
    for (int i = 0; i < rank; i++) {
        used += snprintf(text + used, 96 - (size_t)used, "%s", i > 0 ? ", " : "");
        used += shape[i] < 0
                    ? snprintf(text + used, 96 - (size_t)used, "any")
                    : snprintf(text + used, 96 - (size_t)used, "%lld", (long long)shape[i]);
    }
    snprintf(text + used, 96 - (size_t)used, "]");
    return text;
}

const char *cr_numbered(char text[32], const char *name, size_t index)
{
    snprintf(text, 32, "%s[%zu]", name, index);
    return text;
}

int64_t cr_last_of(const struct cr_tensor *tensor)
{
    return tensor->rank == 0 ? 1 : tensor->shape[tensor->rank - 1];
}

int64_t cr_rows_of(const struct cr_tensor *tensor)
{
    int64_t rows = 1;
    for (int i = 0; i + 1 < tensor->rank; i++)
        rows *= tensor->shape[i];
    return rows;
}

void cr_build(struct cr_builder *b, enum cr_op op, struct cr_error *err)
{
    memset(b, 0, sizeof(*b));
    b->call.size = sizeof(b->call);
    b->call.op = op;
    b->err = err;
}

void cr_build_expect(struct cr_builder *b, bool condition, const char *format, ...)
{
    if (b->result < 0 || condition)
        return;
    va_list args;
    va_start(args, format);
    b->result = cr_failv(b->err, CR_ERR_ARGUMENT, format, args);
    va_end(args);
    cr_error_prefix(b->err, "%s", cr_op_name((enum cr_op)b->call.op));
}

/* "f32 or f16" */
static const char *dtypes_text(char text[96], unsigned dtypes)
{
    int used = 0;
    text[0] = '\0';
    for (int dtype = CR_DTYPE_F32; dtype <= CR_DTYPE_NF4; dtype++)
        if ((dtypes & (1u << dtype)) != 0)
            used += snprintf(text + used, 96 - (size_t)used, "%s%s", used > 0 ? " or " : "",
                             cr_dtype_name((enum cr_dtype)dtype));
    return text;
}

static const char *device_name(struct cr_device *device, struct cr_device_info *info)
{
    if (device == NULL)
        return "the host";
    cr_device_get_info(device, info);
    return info->name;
}

/* One device for all: the first operand's. */
static void check_device(struct cr_builder *b, const char *name, struct cr_device *device)
{
    struct cr_device_info first, second;
    cr_build_expect(b, device != NULL, "%s is on the host; move it to a device with cr_tensor_to()",
                    name);
    if (b->device_of[0] == '\0') {
        b->device = device;
        snprintf(b->device_of, sizeof(b->device_of), "%s", name);
    }
    if (b->result == 0 && device != b->device)
        cr_build_expect(b, false, "%s is on %s, but %s on %s", name, device_name(device, &second),
                        b->device_of, device_name(b->device, &first));
}

static struct cr_operand operand(const struct cr_tensor *tensor)
{
    struct cr_operand result = {
        .memory = tensor->buffer->memory,
        .offset = tensor->offset,
        .dtype = (int32_t)tensor->dtype,
        .rank = tensor->rank,
        .scales = tensor->scales,
        .nested = tensor->nested,
        .nested_map = tensor->nested_map,
    };
    memcpy(result.shape, tensor->shape, sizeof(result.shape));
    return result;
}

static void check_operand(struct cr_builder *b, const char *name, const struct cr_tensor *tensor,
                          unsigned dtypes)
{
    char text[96];
    cr_build_expect(b, tensor != NULL, "%s is missing", name);
    if (b->result < 0)
        return;
    check_device(b, name, tensor->buffer->device);
    cr_build_expect(b, (dtypes & (1u << tensor->dtype)) != 0, "%s is %s, not %s", name,
                    cr_dtype_name(tensor->dtype), dtypes_text(text, dtypes));
}

void cr_build_in(struct cr_builder *b, const char *name, const struct cr_tensor *tensor,
                 unsigned dtypes)
{
    check_operand(b, name, tensor, dtypes);
    assert(b->call.inputs < CR_CALL_MAX_INPUTS);
    if (b->result == 0)
        b->call.in[b->call.inputs++] = operand(tensor);
}

void cr_build_optional(struct cr_builder *b, const char *name, const struct cr_tensor *tensor,
                       unsigned dtypes)
{
    if (tensor != NULL)
        cr_build_in(b, name, tensor, dtypes);
    else if (b->result == 0)
        b->call.inputs++;
}

void cr_build_in_place(struct cr_builder *b, const char *name, struct cr_tensor *tensor,
                       unsigned dtypes)
{
    check_operand(b, name, tensor, dtypes);
    assert(b->call.outputs < CR_CALL_MAX_OUTPUTS);
    if (b->result == 0)
        b->call.out[b->call.outputs++] = operand(tensor);
}

void cr_build_out(struct cr_builder *b, struct cr_tensor **out, enum cr_dtype dtype, int rank,
                  const int64_t *shape)
{
    *out = NULL;
    if (b->result < 0)
        return;
    assert(b->device != NULL && b->call.outputs < CR_CALL_MAX_OUTPUTS);
    b->result = cr_tensor_upload(out, b->device, dtype, rank, shape, NULL, b->err);
    if (b->result < 0) {
        cr_error_prefix(b->err, "%s", cr_op_name((enum cr_op)b->call.op));
        return;
    }
    b->outputs[b->created++] = out;
    b->call.out[b->call.outputs++] = operand(*out);
}

void cr_build_ints(struct cr_builder *b, struct cr_device *device, int rank, const int64_t *shape,
                   const int32_t *data, struct cr_tensor **keep)
{
    *keep = NULL;
    if (b->result < 0)
        return;
    b->result = cr_tensor_upload(keep, device, CR_DTYPE_I32, rank, shape, data, b->err);
    if (b->result == 0)
        b->call.in[b->call.inputs++] = operand(*keep);
}

void cr_build_rank(struct cr_builder *b, const char *name, const struct cr_tensor *tensor,
                   int least, int most)
{
    char text[96];
    if (b->result < 0 || tensor == NULL)
        return;
    cr_shape_text(text, tensor->rank, tensor->shape);
    if (least == most)
        cr_build_expect(b, tensor->rank == least, "%s %s has rank %d, not %d", name, text,
                        tensor->rank, least);
    else
        cr_build_expect(b, tensor->rank >= least && tensor->rank <= most,
                        "%s %s has rank %d, not %d..%d", name, text, tensor->rank, least, most);
}

void cr_build_shape(struct cr_builder *b, const char *name, const struct cr_tensor *tensor,
                    int rank, const int64_t *shape)
{
    if (b->result < 0 || tensor == NULL)
        return;
    bool same = tensor->rank == rank;
    for (int i = 0; same && i < rank; i++)
        same = shape[i] < 0 || tensor->shape[i] == shape[i];
    char is[96], wanted[96];
    cr_build_expect(b, same, "%s is %s, not %s", name,
                    cr_shape_text(is, tensor->rank, tensor->shape),
                    cr_shape_text(wanted, rank, shape));
}

int cr_build_end(struct cr_builder *b)
{
    if (b->result < 0)
        for (int i = 0; i < b->created; i++)
            cr_tensor_unref(b->outputs[i]);
    return b->result;
}

int cr_build_submit(struct cr_builder *b)
{
    if (b->result == 0) {
        b->call.precision = (int32_t)b->device->params.precision;
        b->result = cr_device_submit(b->device, &b->call, b->err);
        if (b->result < 0)
            cr_error_prefix(b->err, "%s", cr_op_name((enum cr_op)b->call.op));
    }
    return cr_build_end(b);
}

/* SPDX-License-Identifier: MIT */
#include <crayon/ops.h>

#include "tensor/builder.h"
#include "tensor/device.h"
#include "tensor/quantized.h"

static size_t aligned(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

static int64_t blocks_of(int64_t elements, int64_t size)
{
    return (elements + size - 1) / size;
}

struct cr_quantized_layout cr_quantized_layout(enum cr_dtype dtype, int64_t elements, bool nested)
{
    struct cr_quantized_layout layout = {0};
    if (dtype == CR_DTYPE_Q8_0) {
        layout.blocks = blocks_of(elements, CR_Q8_0_BLOCK);
        layout.codes_bytes = (size_t)elements;
        layout.scales_bytes = (size_t)layout.blocks * sizeof(uint16_t);
    } else {
        layout.blocks = blocks_of(elements, CR_NF4_BLOCK);
        layout.codes_bytes = (size_t)(elements + 1) / 2;
        layout.scales_bytes = (size_t)layout.blocks * (nested ? 1 : sizeof(float));
    }
    layout.scales = aligned(layout.codes_bytes);
    layout.bytes = aligned(layout.scales + layout.scales_bytes);
    if (nested && dtype == CR_DTYPE_NF4) {
        layout.nested = layout.bytes;
        layout.nested_bytes = (size_t)blocks_of(layout.blocks, CR_NESTED_BLOCK) * sizeof(float);
        layout.map = aligned(layout.nested + layout.nested_bytes);
        layout.bytes = layout.map + 257 * sizeof(float);
    }
    return layout;
}

int cr_quantized_create(struct cr_tensor **out, struct cr_device *device, enum cr_dtype dtype,
                        int64_t rows, int64_t columns, bool nested, struct cr_error *err)
{
    const int64_t shape[2] = {rows, columns};
    int64_t elements = 0;
    *out = NULL;
    if (dtype != CR_DTYPE_Q8_0 && dtype != CR_DTYPE_NF4)
        return cr_fail(err, CR_ERR_ARGUMENT, "%s is no quantised type", cr_dtype_name(dtype));
    int result = cr_shape_elements(2, shape, &elements, err);
    if (result < 0)
        return result;
    struct cr_quantized_layout layout = cr_quantized_layout(dtype, elements, nested);
    struct cr_buffer *buffer = NULL;
    if ((result = cr_device_buffer(&buffer, device, layout.bytes, err)) < 0 ||
        (result = cr_tensor_wrap(out, dtype, 2, shape, buffer, err)) < 0)
        return result;
    (*out)->scales = layout.scales;
    (*out)->nested = layout.nested;
    (*out)->nested_map = layout.map;
    return 0;
}

int cr_tensor_upload_quantized(struct cr_tensor **out, struct cr_device *device,
                               enum cr_dtype dtype, int64_t rows, int64_t columns,
                               const struct cr_quantized *parts, struct cr_error *err)
{
    bool nested = dtype == CR_DTYPE_NF4 && parts->nested_absmax != NULL;
    int result = cr_quantized_create(out, device, dtype, rows, columns, nested, err);
    if (result < 0)
        return result;
    struct cr_buffer *buffer = (*out)->buffer;
    struct cr_quantized_layout layout = cr_quantized_layout(dtype, (*out)->elements, nested);
    result = cr_device_upload(device, buffer, 0, parts->codes, layout.codes_bytes, err);
    if (result == 0)
        result = cr_device_upload(device, buffer, layout.scales, parts->scales, layout.scales_bytes,
                                  err);
    if (result == 0 && nested)
        result = cr_device_upload(device, buffer, layout.nested, parts->nested_absmax,
                                  layout.nested_bytes, err);
    if (result == 0 && nested)
        result = cr_device_upload(device, buffer, layout.map, parts->nested_map,
                                  256 * sizeof(float), err);
    if (result == 0 && nested)
        result = cr_device_upload(device, buffer, layout.map + 256 * sizeof(float),
                                  &parts->nested_offset, sizeof(float), err);
    if (result < 0)
        cr_tensor_unref(out);
    return result;
}

static int read_plane(const struct cr_tensor *tensor, uint64_t offset, void *data, size_t bytes,
                      struct cr_error *err)
{
    if (data == NULL || bytes == 0)
        return 0;
    return tensor->buffer->ops->read(tensor->buffer, offset, data, bytes, err);
}

int cr_tensor_read_quantized(const struct cr_tensor *tensor, void *codes, void *scales,
                             float *nested_absmax, float *nested_map, float *nested_offset,
                             bool *nested, struct cr_error *err)
{
    if (tensor->dtype != CR_DTYPE_Q8_0 && tensor->dtype != CR_DTYPE_NF4)
        return cr_fail(err, CR_ERR_ARGUMENT, "a tensor of type %s is not quantised",
                       cr_dtype_name(tensor->dtype));
    bool has_nested = tensor->nested != 0;
    struct cr_quantized_layout layout =
        cr_quantized_layout(tensor->dtype, tensor->elements, has_nested);
    int result = read_plane(tensor, 0, codes, layout.codes_bytes, err);
    if (result == 0)
        result = read_plane(tensor, layout.scales, scales, layout.scales_bytes, err);
    if (result == 0 && has_nested)
        result = read_plane(tensor, layout.nested, nested_absmax, layout.nested_bytes, err);
    if (result == 0 && has_nested)
        result = read_plane(tensor, layout.map, nested_map, 256 * sizeof(float), err);
    if (result == 0 && has_nested)
        result =
            read_plane(tensor, layout.map + 256 * sizeof(float), nested_offset, sizeof(float), err);
    if (nested != NULL)
        *nested = has_nested;
    return result;
}

int cr_op_quantize(struct cr_tensor **y, const struct cr_tensor *x, enum cr_dtype dtype,
                   bool nested, struct cr_error *err)
{
    struct cr_builder b;
    *y = NULL;
    cr_build(&b, CR_OP_QUANTIZE, err);
    cr_build_in(&b, "x", x, CR_F32);
    cr_build_rank(&b, "x", x, 2, 2);
    cr_build_expect(&b, !nested || dtype == CR_DTYPE_NF4, "only nf4 is doubly quantised");
    if (!cr_build_ok(&b))
        return cr_build_end(&b);
    b.result = cr_quantized_create(y, b.device, dtype, x->shape[0], x->shape[1], nested, err);
    if (!cr_build_ok(&b)) {
        cr_error_prefix(err, "%s", cr_op_name(CR_OP_QUANTIZE));
    } else {
        cr_build_in_place(&b, "y", *y, CR_Q8_0 | CR_NF4);
        b.outputs[b.created++] = y;
    }
    b.call.ints[0] = nested;
    return cr_build_submit(&b);
}

int cr_op_dequantize(struct cr_tensor **y, const struct cr_tensor *x, enum cr_dtype dtype,
                     struct cr_error *err)
{
    struct cr_builder b;
    *y = NULL;
    cr_build(&b, CR_OP_DEQUANTIZE, err);
    cr_build_in(&b, "x", x, CR_Q8_0 | CR_NF4);
    cr_build_expect(&b, dtype == CR_DTYPE_F32 || dtype == CR_DTYPE_F16, "to %s, not f32 or f16",
                    cr_dtype_name(dtype));
    if (cr_build_ok(&b))
        cr_build_out(&b, y, dtype, 2, x->shape);
    return cr_build_submit(&b);
}

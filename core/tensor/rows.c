/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <crayon/memory.h>
#include <crayon/ops.h>

#include "tensor/builder.h"

/* Ids that are on the host are checked here and uploaded; `*moved` is the copy on the device. */
static int check_host_ids(struct cr_builder *b, const char *name, const struct cr_tensor *ids,
                          int64_t limit, struct cr_tensor **moved)
{
    size_t bytes = (size_t)ids->elements * sizeof(int32_t);
    int32_t *list = cr_malloc(bytes);
    if (list == NULL)
        return b->result = cr_fail_memory(b->err, bytes);
    b->result = cr_tensor_read(ids, list, bytes, b->err);
    for (int64_t i = 0; cr_build_ok(b) && i < ids->elements; i++)
        cr_build_expect(b, list[i] < limit, "%s[%lld] is %d, the table has %lld rows", name,
                        (long long)i, list[i], (long long)limit);
    cr_build_ints(b, b->device, ids->rank, ids->shape, list, moved);
    cr_free(list);
    return b->result;
}

int cr_op_embedding(struct cr_tensor **y, const struct cr_tensor *table,
                    const struct cr_tensor *ids, struct cr_error *err)
{
    struct cr_builder b;
    struct cr_tensor *moved = NULL;
    int64_t shape[CR_TENSOR_MAX_RANK];
    *y = NULL;
    cr_build(&b, CR_OP_EMBEDDING, err);
    cr_build_in(&b, "table", table, CR_WEIGHTS);
    cr_build_rank(&b, "table", table, 2, 2);
    cr_build_expect(&b, ids != NULL && ids->dtype == CR_DTYPE_I32, "ids must be i32");
    cr_build_rank(&b, "ids", ids, 0, 3);
    if (!cr_build_ok(&b))
        return cr_build_end(&b);
    if (ids->buffer->device == NULL)
        check_host_ids(&b, "ids", ids, table->shape[0], &moved);
    else
        cr_build_in(&b, "ids", ids, CR_I32);
    memcpy(shape, ids->shape, sizeof(shape));
    shape[ids->rank] = table->shape[1];
    cr_build_out(&b, y, CR_DTYPE_F32, ids->rank + 1, shape);
    int result = cr_build_submit(&b);
    cr_tensor_unref(&moved);
    return result;
}

int cr_op_gather_rows(struct cr_tensor **y, const struct cr_tensor *x, const struct cr_tensor *rows,
                      struct cr_error *err)
{
    struct cr_builder b;
    int64_t shape[CR_TENSOR_MAX_RANK];
    *y = NULL;
    cr_build(&b, CR_OP_GATHER_ROWS, err);
    cr_build_in(&b, "x", x, CR_F32);
    cr_build_in(&b, "rows", rows, CR_I32);
    cr_build_rank(&b, "x", x, 1, 4);
    cr_build_rank(&b, "rows", rows, 1, 1);
    if (!cr_build_ok(&b))
        return cr_build_end(&b);
    memcpy(shape, x->shape, sizeof(shape));
    shape[0] = rows->shape[0];
    cr_build_out(&b, y, CR_DTYPE_F32, x->rank, shape);
    return cr_build_submit(&b);
}

static int scatter(enum cr_op op, struct cr_tensor *x, const struct cr_tensor *rows,
                   const struct cr_tensor *src, struct cr_error *err)
{
    struct cr_builder b;
    int64_t shape[CR_TENSOR_MAX_RANK];
    cr_build(&b, op, err);
    cr_build_in(&b, "rows", rows, CR_I32);
    cr_build_in(&b, "src", src, CR_F32);
    cr_build_in_place(&b, "x", x, CR_F32);
    cr_build_rank(&b, "x", x, 1, 4);
    cr_build_rank(&b, "rows", rows, 1, 1);
    if (cr_build_ok(&b)) {
        memcpy(shape, x->shape, sizeof(shape));
        shape[0] = rows->shape[0];
        cr_build_shape(&b, "src", src, x->rank, shape);
    }
    return cr_build_submit(&b);
}

int cr_op_scatter_rows(struct cr_tensor *x, const struct cr_tensor *rows,
                       const struct cr_tensor *src, struct cr_error *err)
{
    return scatter(CR_OP_SCATTER_ROWS, x, rows, src, err);
}

int cr_op_scatter_add_rows(struct cr_tensor *x, const struct cr_tensor *rows,
                           const struct cr_tensor *src, struct cr_error *err)
{
    return scatter(CR_OP_SCATTER_ADD_ROWS, x, rows, src, err);
}

/* SPDX-License-Identifier: MIT */
/* size.h: the sides that pictures and panoptic maps may have. */
#ifndef CR_BASE_SIZE_H
#define CR_BASE_SIZE_H

#include <crayon/error.h>

#define CR_MAX_SIDE 65535
/* 2^28 pixels: what a picture may measure at all (decoders have lower, adjustable limits). */
#define CR_MAX_PIXELS ((int64_t)1 << 28)

static inline int cr_size_check(struct cr_size size, struct cr_error *err)
{
    if (size.height < 1 || size.width < 1 || size.height > CR_MAX_SIDE || size.width > CR_MAX_SIDE)
        return cr_fail(err, CR_ERR_LIMIT, "a size of %d x %d (height x width): sides are 1..%d",
                       size.height, size.width, CR_MAX_SIDE);
    if ((int64_t)size.height * size.width > CR_MAX_PIXELS)
        return cr_fail(err, CR_ERR_LIMIT, "a size of %d x %d (height x width) exceeds %lld pixels",
                       size.height, size.width, (long long)CR_MAX_PIXELS);
    return 0;
}

static inline bool cr_size_equal(struct cr_size a, struct cr_size b)
{
    return a.height == b.height && a.width == b.width;
}

#endif

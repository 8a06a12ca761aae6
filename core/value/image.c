/* SPDX-License-Identifier: MIT */
#include <stdatomic.h>
#include <string.h>

#include <crayon/image.h>
#include <crayon/memory.h>

#include "base/size.h"

struct cr_image {
    _Atomic int references;
    struct cr_size size;
    char *name;
    uint8_t pixels[];
};

int cr_image_create(struct cr_image **out, struct cr_size size, struct cr_error *err)
{
    *out = NULL;
    int result = cr_size_check(size, err);
    if (result < 0)
        return result;
    size_t bytes = sizeof(struct cr_image) + (size_t)size.height * (size_t)size.width * 3;
    struct cr_image *image = cr_calloc(1, bytes);
    if (image == NULL)
        return cr_fail_memory(err, bytes);
    image->references = 1;
    image->size = size;
    *out = image;
    return 0;
}

struct cr_image *cr_image_ref(const struct cr_image *image)
{
    struct cr_image *shared = (struct cr_image *)(uintptr_t)image;
    if (shared != NULL)
        atomic_fetch_add_explicit(&shared->references, 1, memory_order_relaxed);
    return shared;
}

void cr_image_unref(struct cr_image **image)
{
    struct cr_image *old = *image;
    *image = NULL;
    if (old == NULL || atomic_fetch_sub_explicit(&old->references, 1, memory_order_acq_rel) > 1)
        return;
    cr_free(old->name);
    cr_free(old);
}

struct cr_size cr_image_size(const struct cr_image *image)
{
    return image->size;
}

const uint8_t *cr_image_pixels(const struct cr_image *image)
{
    return image->pixels;
}

uint8_t *cr_image_edit(struct cr_image *image)
{
    return image->pixels;
}

const char *cr_image_name(const struct cr_image *image)
{
    return image->name;
}

int cr_image_set_name(struct cr_image *image, const char *name, struct cr_error *err)
{
    char *copy = NULL;
    if (name != NULL && (copy = cr_strdup(name)) == NULL)
        return cr_fail_memory(err, strlen(name) + 1);
    cr_free(image->name);
    image->name = copy;
    return 0;
}

int cr_image_copy(struct cr_image **out, const struct cr_image *image, struct cr_error *err)
{
    int result = cr_image_create(out, image->size, err);
    if (result == 0 && (result = cr_image_set_name(*out, image->name, err)) < 0)
        cr_image_unref(out);
    if (result == 0)
        memcpy((*out)->pixels, image->pixels,
               (size_t)image->size.height * (size_t)image->size.width * 3);
    return result;
}

/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>

#include <crayon/memory.h>

#include "base/io.h"
#include "model/store.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct cr_weights *store;

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static void destroy(struct cr_weights *weights)
{
    if (weights->fd >= 0)
        cr_io_close(weights->fd);
    cr_safetensors_destroy(&weights->header);
    cr_free((void *)(uintptr_t)weights->claimed);
    cr_free(weights->path);
    cr_free(weights);
}

static int examine(int fd, const char *path, struct stat *st, struct cr_error *err)
{
    if (cr_io_fstat(fd, st) < 0)
        return cr_fail_errno(err, errno, "%s: cannot examine", path);
    if (!S_ISREG(st->st_mode))
        return cr_fail(err, CR_ERR_IO, "%s: is no regular file; weights are read from one", path);
    return 0;
}

/* Takes `fd`. */
static int create(struct cr_weights **out, int fd, const struct stat *st, const char *path,
                  struct cr_error *err)
{
    struct cr_weights *weights = cr_calloc(1, sizeof(*weights));
    if (weights == NULL) {
        cr_io_close(fd);
        return cr_fail_memory(err, sizeof(*weights));
    }
    weights->references = 1;
    weights->identity = *st;
    weights->fd = fd;
    weights->path = cr_strdup(path);
    int result = weights->path == NULL ? cr_fail_memory(err, strlen(path) + 1) : 0;
    if (result == 0)
        result = cr_safetensors_read(&weights->header, fd, (uint64_t)st->st_size, path, err);
    if (result == 0) {
        size_t count = weights->header->count;
        weights->claimed = cr_calloc(count, sizeof(*weights->claimed));
        if (weights->claimed == NULL)
            result = cr_fail_memory(err, count);
    }
    if (result < 0) {
        destroy(weights);
        return result;
    }
    *out = weights;
    return 0;
}

/* Takes `fd`. Called with the lock held, so that two who come at once do not both read a header. */
static int find_or_create(struct cr_weights **out, int fd, const char *path, struct cr_error *err)
{
    struct stat st;
    int result = examine(fd, path, &st, err);
    struct cr_weights *found = result < 0 ? NULL : store;
    while (found != NULL && !is_same(&found->identity, &st))
        found = found->next;
    if (result < 0 || found != NULL)
        cr_io_close(fd);
    else
        result = create(out, fd, &st, path, err);
    if (found != NULL) {
        found->references++;
        *out = found;
    } else if (result == 0) {
        (*out)->next = store;
        store = *out;
    }
    return result;
}

int cr_weights_open(struct cr_weights **out, const char *path, struct cr_error *err)
{
    *out = NULL;
    /* Opening a FIFO would wait for a writer otherwise, before it can be seen that it is one. */
    int fd = cr_io_open(path, O_RDONLY | O_NONBLOCK, 0);
    if (fd < 0)
        return cr_fail_errno(err, errno, "%s: cannot open", path);
    pthread_mutex_lock(&lock);
    int result = find_or_create(out, fd, path, err);
    pthread_mutex_unlock(&lock);
    return result;
}

struct cr_weights *cr_weights_ref(struct cr_weights *weights)
{
    pthread_mutex_lock(&lock);
    weights->references++;
    pthread_mutex_unlock(&lock);
    return weights;
}

void cr_weights_unref(struct cr_weights **weights)
{
    struct cr_weights *old = *weights;
    *weights = NULL;
    if (old == NULL)
        return;
    pthread_mutex_lock(&lock);
    bool last = --old->references == 0;
    if (last) {
        struct cr_weights **at = &store;
        while (*at != old)
            at = &(*at)->next;
        *at = old->next;
    }
    pthread_mutex_unlock(&lock);
    if (last)
        destroy(old);
}

int cr_weights_check(const struct cr_weights *weights, struct cr_error *err)
{
    struct stat st;
    int result = examine(weights->fd, weights->path, &st, err);
    if (result < 0)
        return result;
    if (st.st_size < weights->identity.st_size)
        return cr_fail(err, CR_ERR_IO,
                       "%s: the file has shrunk from %lld to %lld bytes since it was opened",
                       weights->path, (long long)weights->identity.st_size, (long long)st.st_size);
    if (!is_same(&weights->identity, &st))
        return cr_fail(err, CR_ERR_IO, "%s: the file has been changed since it was opened",
                       weights->path);
    return 0;
}

int cr_weights_load(const struct cr_weights *weights, const struct cr_st_tensor *tensor,
                    uint64_t offset, void *data, size_t bytes, struct cr_error *err)
{
    uint64_t at = weights->header->data + tensor->start + offset;
    ssize_t got = cr_io_read_at(weights->fd, data, bytes, at);
    if (got < 0)
        return cr_fail_errno(err, errno, "%s: cannot read \"%.200s\"", weights->path, tensor->name);
    if ((size_t)got < bytes)
        return cr_fail(err, CR_ERR_IO,
                       "%s: the file has shrunk since it was opened: it ends at %llu, within "
                       "\"%.200s\"",
                       weights->path, (unsigned long long)(at + (uint64_t)got), tensor->name);
    return 0;
}

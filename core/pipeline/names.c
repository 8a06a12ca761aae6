/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "pipeline/names.h"

static int compare(const void *a, const void *b)
{
    const struct cr_name *x = a, *y = b;
    return strcmp(x->name, y->name);
}

bool cr_names_init(struct cr_names *names, const cJSON *object)
{
    *names = (struct cr_names){NULL, 0};
    if (!cJSON_IsObject(object) || object->child == NULL)
        return true;
    size_t count = (size_t)cJSON_GetArraySize(object);
    names->items = cr_calloc(count, sizeof(*names->items));
    if (names->items == NULL)
        return false;
    const cJSON *member;
    cJSON_ArrayForEach (member, object) {
        names->items[names->count] = (struct cr_name){member->string, member, names->count};
        names->count++;
    }
    qsort(names->items, count, sizeof(*names->items), compare);
    return true;
}

void cr_names_finish(struct cr_names *names)
{
    cr_free(names->items);
    *names = (struct cr_names){NULL, 0};
}

const struct cr_name *cr_names_find(const struct cr_names *names, const char *name, size_t length)
{
    size_t low = 0, high = names->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const char *other = names->items[middle].name;
        int order = strncmp(name, other, length);
        if (order == 0 && other[length] == '\0')
            return &names->items[middle];
        /* With an equal beginning the longer name is the greater one. */
        if (order > 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* SPDX-License-Identifier: MIT */
/* names.h: the members of a JSON object by name, for objects that may have thousands of them. */
#ifndef CR_PIPELINE_NAMES_H
#define CR_PIPELINE_NAMES_H

#include "base/json.h"

struct cr_name {
    const char *name; /* borrowed from the member */
    const cJSON *member;
    size_t place; /* of the member in its object, from 0 */
};

/* Zeroed: empty. */
struct cr_names {
    struct cr_name *items; /* sorted by name */
    size_t count;
};

/* Index `object`, which must outlive the index; anything but an object gives an empty one. False
 * when memory is exhausted. */
bool cr_names_init(struct cr_names *names, const cJSON *object) CR_MUST_CHECK;
void cr_names_finish(struct cr_names *names);

/* The entry of the name (its first `length` bytes), or NULL. */
const struct cr_name *cr_names_find(const struct cr_names *names, const char *name, size_t length);

#endif

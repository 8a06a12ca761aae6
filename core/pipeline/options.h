/* SPDX-License-Identifier: MIT */
/* options.h: options as somebody wrote them, bound onto the state of an element; of stages here,
 * and of tasks in evaluate/. */
#ifndef CR_PIPELINE_OPTIONS_H
#define CR_PIPELINE_OPTIONS_H

#include "pipeline/pipeline.h"

/* Who binds. Memory that could not be had is remembered. */
struct cr_binder {
    void *user;
    struct cr_arena *arena; /* of strings and lists */
    bool *no_memory;
    /* A mistake about an option, about "in/PORT", or (NULL) about the node itself. */
    void (*problem)(void *user, const struct cr_node *node, const char *key, const char *message);
    /* Where the relative path in an option starts. */
    const char *(*folder)(void *user, const struct cr_node *node, const char *option);
};

/* Check `value`, the value of an option of the node's element, and store it in the node's state. */
void cr_bind_option(const struct cr_binder *binder, struct cr_node *node,
                    const struct cr_option *option, const cJSON *value);
/* The element has no option `key`. */
void cr_bind_unknown(const struct cr_binder *binder, const struct cr_node *node, const char *key);
/* The options that node->json leaves out: the default, or a mistake. */
void cr_bind_defaults(const struct cr_binder *binder, struct cr_node *node);

/* What an element's own check() asks. It looks at the wires of the node's ports and at node->json.
 */
struct cr_check {
    const struct cr_binder *binder;
    const struct cr_node *node;
};

#endif

/* SPDX-License-Identifier: MIT */
/* registry.h: what the core may do with a registry beyond crayon/registry.h. */
#ifndef CR_PLUGIN_REGISTRY_H
#define CR_PLUGIN_REGISTRY_H

#include <crayon/registry.h>

/* Add a plugin that is part of the program itself: the tests bring theirs so. It is checked like
 * one from a file and must outlive the registry. CR_ERR_PLUGIN when it, or a name in it, is
 * refused. */
int cr_registry_add_static(struct cr_registry *registry, const struct cr_plugin *plugin,
                           struct cr_error *err);

/* Why the plugin whose file is called `prefix` and `length` bytes of `name` is there and was not
 * loaded; NULL when there is none, or another of that name was. */
const char *cr_registry_refusal(const struct cr_registry *registry, const char *prefix,
                                const char *name, size_t length);

/* Does the user allow what `permission` says? */
bool cr_registry_allows(const struct cr_registry *registry, enum cr_permission permission);

#endif

/* SPDX-License-Identifier: MIT */
/* check.h: is a descriptor what crayon/plugin.h asks for? Asked in the probe's process first. */
#ifndef CR_PLUGIN_CHECK_H
#define CR_PLUGIN_CHECK_H

#include <crayon/plugin.h>

/* Does the struct that a plugin brought reach to the end of this member? Members that came after
 * ABI 1.0 are read only then. */
#define CR_HAS(pointer, member)                                                                    \
    ((pointer)->size >= offsetof(__typeof__(*(pointer)), member) + sizeof((pointer)->member))

/* Magic, version, sizes; names of elements, ports and options; types; defaults inside their bounds.
 * The message says what is wrong with which element. CR_ERR_PLUGIN. */
int cr_plugin_check(const struct cr_plugin *plugin, struct cr_error *err);

/* "stage", "device", "task"; NULL for a number that is no kind. */
CR_API
const char *cr_element_kind_name(uint32_t kind);

#endif

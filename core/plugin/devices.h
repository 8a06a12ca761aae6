/* SPDX-License-Identifier: MIT */
/* devices.h: what the core asks about devices before it opens one. */
#ifndef CR_PLUGIN_DEVICES_H
#define CR_PLUGIN_DEVICES_H

#include <crayon/plugin.h>
#include <crayon/registry.h>

/* Is there a plugin for the device of this name ("auto", "cpu", "vulkan:1")? Opens nothing.
 * CR_ERR_NOT_FOUND names those that there are. */
int cr_device_known(const struct cr_registry *registry, const char *name, struct cr_error *err);

/* Does the stage compute on a device? */
CR_API
bool cr_element_uses_device(const struct cr_element *element);
/* Should it not run for several items at the same time? */
CR_API
bool cr_element_is_serial(const struct cr_element *element);

#endif

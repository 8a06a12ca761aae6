/* SPDX-License-Identifier: MIT */
/* load.h: one plugin file, loaded and checked. */
#ifndef CR_PLUGIN_LOAD_H
#define CR_PLUGIN_LOAD_H

#include <crayon/plugin.h>

/* Load the file at the absolute path `path` as the plugin called `name`. The message says why it is
 * refused, in the loader's own words if it was the loader, without naming the file. Exported in the
 * private part of the symbol list, for crayon-probe. */
CR_API
int cr_plugin_open(const char *path, const char *name, void **handle,
                   const struct cr_plugin **plugin, struct cr_error *err);
CR_API
void cr_plugin_close(void **handle);

#endif

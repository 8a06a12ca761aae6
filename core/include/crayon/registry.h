/* SPDX-License-Identifier: MIT */
/* crayon/registry.h: which plugins there are. For programs.
 *
 * Plugins are the *.so files of these folders, the first of two with the same name wins:
 *   1. cr_registry_params.path (--plugin-path), colon separated
 *   2. $CRAYON_PLUGIN_PATH
 *   3. $XDG_DATA_HOME/crayon/plugins (default ~/.local/share/crayon/plugins)
 *   4. the build tree, when the library runs from one
 *   5. the folder where plugins are installed
 * Never the current folder unless it is named; not 2 and 3 when the program runs with raised
 * privileges. A file is loaded only if it is a regular file that
 * belongs to root or the user and that nobody else may write to (the build tree is exempt); the
 * folder likewise. A file that was never seen is first loaded in a child process, so that one that
 * crashes, hangs or exits is a reason and no catastrophe; the outcome is remembered in
 * $XDG_CACHE_HOME/crayon/plugins. A bad plugin never stops the others. */
#ifndef CRAYON_REGISTRY_H
#define CRAYON_REGISTRY_H

#include <crayon/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

struct cr_registry;

/* What stages may do only if the user says so: neither a pipeline nor a plugin can. (since ABI 1.3)
 */
enum cr_permission {
    CR_ALLOW_COMMAND = 1, /* run other programs. $CRAYON_ALLOW_COMMAND=1 allows it as well, except
                             in a program that runs with raised privileges */
};

struct cr_registry_params {
    const char *path;         /* folders to search first, colon separated; or NULL */
    const struct cr_log *log; /* must outlive the registry; or NULL */
    bool only_path;           /* search `path` alone */
    bool no_cache;            /* neither read nor write the cache of outcomes */
    uint32_t allow;           /* of enum cr_permission; since ABI 1.3 */
    uint32_t reserved[3];
};

/* Find and load plugins. Fails only for want of memory: what could not be loaded is listed with its
 * reason. */
CR_API
int cr_registry_create(struct cr_registry **out, const struct cr_registry_params *params,
                       struct cr_error *err) CR_MUST_CHECK;
/* Unloads the plugins: pipelines made with the registry must be gone. */
CR_API
void cr_registry_destroy(struct cr_registry **registry);

struct cr_plugin_info {
    const char *file;               /* absolute path */
    const struct cr_plugin *plugin; /* NULL if refused */
    const char *reason;             /* why it was refused, else NULL */
    bool shadowed;                  /* refused only because an earlier folder has the name */
};

/* Every file that was considered, in the order of the search. */
CR_API
size_t cr_registry_count(const struct cr_registry *registry);
CR_API
struct cr_plugin_info cr_registry_get(const struct cr_registry *registry, size_t index);

/* The folders searched; `*reason` (may be NULL) says why one gave nothing ("no such folder"), or is
 * NULL. */
CR_API
size_t cr_registry_paths(const struct cr_registry *registry);
CR_API
const char *cr_registry_path(const struct cr_registry *registry, size_t index, const char **reason);

/* All elements of loaded plugins, sorted by name. */
CR_API
size_t cr_registry_elements(const struct cr_registry *registry);
CR_API
const struct cr_element *cr_registry_element(const struct cr_registry *registry, size_t index);
/* The element of this kind and name, or NULL. `*plugin` (may be NULL) becomes its plugin. */
CR_API
const struct cr_element *cr_registry_find(const struct cr_registry *registry,
                                          enum cr_element_kind kind, const char *name,
                                          const struct cr_plugin **plugin);

#ifdef __cplusplus
}
#endif
#endif

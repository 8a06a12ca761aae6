/* SPDX-License-Identifier: MIT */
/* options.h: from the JSON value of an option to the member of a state struct, by its declaration.
 */
#ifndef CR_PLUGIN_OPTIONS_H
#define CR_PLUGIN_OPTIONS_H

#include <crayon/plugin.h>

#include "base/arena.h"
#include "base/json.h"

/* Is `value` what the declaration allows? The message says what is wrong and what would be right,
 * without naming option or place: "512 is outside 1..256", "a string is needed here, not a number",
 * "\"fast\" is none of exact, quick". CR_ERR_ARGUMENT. */
int cr_option_check(const struct cr_option *option, const cJSON *value, struct cr_error *err);

/* Store a value that passed cr_option_check() in `state`. Strings and lists are copied into
 * `arena`; a relative PATH is taken from `folder`. */
int cr_option_store(const struct cr_option *option, const cJSON *value, const char *folder,
                    struct cr_arena *arena, void *state, struct cr_error *err);

/* Do two states say the same? */
bool cr_option_equal(const struct cr_option *option, const void *state, const void *other);

/* The default as a new tree; NULL in `*out` when the option has none. CR_ERR_FORMAT when the
 * declaration's text is no valid value: the plugin's mistake, refused when it is loaded. */
CR_API
int cr_option_default(const struct cr_option *option, cJSON **out, struct cr_error *err);

/* What may be written, for people: "a whole number, 1..100", "exact or fast", "a path". */
CR_API
void cr_option_describe(const struct cr_option *option, struct cr_text *text);

/* The declaration with this name, or NULL; `options` may be NULL. The same for ports. */
const struct cr_option *cr_option_find(const struct cr_option *const *options, const char *name);
const struct cr_port *cr_port_find(const struct cr_port *const *ports, const char *name);

/* Bytes of the member of the state struct; 0 for a number that is no type. */
size_t cr_option_member_size(enum cr_option_type type);

/* The keys of a stage that belong to the core: use, in, device, release, note, batch, when, x-*. */
bool cr_is_reserved_key(const char *key);

#endif

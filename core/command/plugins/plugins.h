/* SPDX-License-Identifier: MIT */
/* plugins.h: what `crayon plugins` shows of an element. */
#ifndef CR_COMMAND_PLUGINS_H
#define CR_COMMAND_PLUGINS_H

#include "command/command.h"

/* Paragraph after paragraph of a description, parted by empty lines: the next one from `*text` on
 * into `paragraph`, with single spaces between words. One whose lines begin with four spaces is an
 * example (`*literal`), which goes on over empty lines: without these spaces, each line ended.
 * False when there is none left. */
bool next_paragraph(const char **text, struct cr_text *paragraph, bool *literal);

/* Everything about one element, for a terminal of 80 columns. */
bool element_print(const struct cr_element *element, const struct cr_plugin *plugin,
                   const char *file);

/* One element as a JSON object. */
void element_add_json(struct cr_text *json, const struct cr_element *element);

/* The manual page crayon-NAME(7) in the mdoc language. */
void element_manual(const struct cr_element *element, struct cr_text *page);

#endif

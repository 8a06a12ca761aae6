/* SPDX-License-Identifier: MIT */
/* sheet.h: a contact sheet: pictures side by side, with captions. */
#ifndef CR_COMMAND_SHEET_H
#define CR_COMMAND_SHEET_H

#include "command/run/request.h"

struct sheet_cell {
    const struct cr_image *image; /* borrowed; NULL: there is none */
    const char *title, *subtitle;
};

struct sheet {
    size_t columns;
    struct sheet_cell *cells; /* row after row */
    size_t count;
};

/* Can the pictures of the request be written there? EXIT_OK, or a usage error of the command. */
int sheet_check(const struct command *command, const char *path, const struct request *request);

int sheet_init(struct sheet *sheet, size_t most, struct cr_error *err);
void sheet_add(struct sheet *sheet, const struct cr_image *image, const char *title,
               const char *subtitle);
int sheet_save(const struct sheet *sheet, const char *path, struct cr_error *err);
void sheet_finish(struct sheet *sheet);

#endif

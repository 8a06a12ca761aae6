/* SPDX-License-Identifier: MIT */
#ifndef CR_BASE_AMOUNT_H
#define CR_BASE_AMOUNT_H

#include <crayon/base.h>

/* Bytes for people, "13.5 GB", into `text`, which it returns. */
CR_API
const char *cr_amount(char text[32], uint64_t bytes);

#endif

/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/nearest.h"

#define MAX_LENGTH 64

void cr_nearest_init(struct cr_nearest *nearest, const char *wanted)
{
    *nearest = (struct cr_nearest){.wanted = wanted, .distance = SIZE_MAX};
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Optimal string alignment distance (Damerau-Levenshtein without repeated edits of one place),
 * three rows. */
static size_t edit_distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
    size_t rows[3][MAX_LENGTH + 1];
    size_t *before = rows[0], *above = rows[1], *row = rows[2];
    for (size_t j = 0; j <= b_length; j++)
        above[j] = j;
    for (size_t i = 1; i <= a_length; i++) {
        row[0] = i;
        for (size_t j = 1; j <= b_length; j++) {
            size_t substitute = above[j - 1] + (a[i - 1] != b[j - 1]);
            row[j] = smaller(substitute, smaller(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = smaller(row[j], before[j - 2] + 1);
        }
        size_t *free_row = before;
        before = above;
        above = row;
        row = free_row;
    }
    return above[b_length];
}

void cr_nearest_offer(struct cr_nearest *nearest, const char *name)
{
    size_t wanted_length = strlen(nearest->wanted), length = strlen(name);
    if (wanted_length > MAX_LENGTH || length > MAX_LENGTH)
        return;
    size_t longer = wanted_length > length ? wanted_length : length;
    size_t allowed = longer / 3 > 0 ? longer / 3 : 1;
    size_t distance = edit_distance(nearest->wanted, wanted_length, name, length);
    if (distance <= allowed && distance < nearest->distance) {
        nearest->distance = distance;
        nearest->best = name;
    }
}

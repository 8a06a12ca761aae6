/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "base/amount.h"

const char *cr_amount(char text[32], uint64_t bytes)
{
    static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB"};
    double number = (double)bytes;
    size_t unit = 0;
    while (number >= 999.5 && unit + 1 < sizeof(units) / sizeof(units[0])) {
        number /= 1000;
        unit++;
    }
    snprintf(text, 32, "%.3g %s", number, units[unit]);
    return text;
}

/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "command/run/run.h"
#include "pipeline/run.h"

struct line {
    const char *name;
    uint64_t calls;
    double seconds;
};

static int compare(const void *a, const void *b)
{
    const double x = ((const struct line *)a)->seconds, y = ((const struct line *)b)->seconds;
    return (x < y) - (x > y);
}

/* The operations that were executed, in order. */
static size_t list(const struct cr_profile *profile, struct line lines[CR_OP_COUNT])
{
    size_t count = 0;
    for (int op = 0; op < CR_OP_COUNT; op++)
        if (profile->calls[op] > 0)
            lines[count++] =
                (struct line){cr_op_name((enum cr_op)op), profile->calls[op], profile->seconds[op]};
    qsort(lines, count, sizeof(*lines), compare);
    return count;
}

void profile_say(const struct cr_run *done, size_t index)
{
    struct line lines[CR_OP_COUNT];
    const struct cr_stage_time time = cr_run_time(done, index);
    const size_t count = list(cr_run_profile(done, index), lines);
    double all = 0;
    for (size_t i = 0; i < count; i++)
        all += lines[i].seconds;
    for (size_t i = 0; i < count; i++)
        say_plain("%s: %-16s %6llu calls %9.3f s %5.1f %%", time.name, lines[i].name,
                  (unsigned long long)lines[i].calls, lines[i].seconds,
                  all > 0 ? 100 * lines[i].seconds / all : 0);
    if (count > 0)
        say_plain("%s: %.3f s in operations, of %.3f s", time.name, all,
                  time.open_seconds + time.run_seconds);
}

void profile_add_json(const struct cr_run *done, size_t index, struct cr_text *json)
{
    struct line lines[CR_OP_COUNT];
    const size_t count = list(cr_run_profile(done, index), lines);
    cr_text_add(json, ",\"operations\":[");
    for (size_t i = 0; i < count; i++)
        cr_text_printf(json, "%s{\"name\":\"%s\",\"calls\":%llu,\"seconds\":%.6f}",
                       i > 0 ? "," : "", lines[i].name, (unsigned long long)lines[i].calls,
                       lines[i].seconds);
    cr_text_add(json, "]");
}

/* SPDX-License-Identifier: MIT */
/* guarded.h: a case run through the device table itself, with all its operands in one block, at
 * places that are aligned to 4 bytes and no more, and canaries around each. */
#ifndef CR_TEST_GUARDED_H
#define CR_TEST_GUARDED_H

#include "devices.h"

#include "tensor/cases.h"
#include "tensor/reference.h"

/* A device's table and state, without the core around it. */
struct table {
    const struct cr_device_ops *ops;
    void *state;
    char name[64]; /* "avx2, 2 threads" */
};

/* The device at one of test_levels(), with 2 threads; it stays open. */
const struct table *level_table(size_t level);

/* The case at every level: results within the operation's bound of the reference, the same bits
 * with 1, 2 and 3 threads, in three runs and with all barriers, every byte outside the outputs
 * untouched. Outputs are full of NaN before. Finishes the case. On a Vulkan driver: at the first
 * level, and at one that chooses another variant; some also with other barriers. */
void check_case(struct cr_case *c);
/* The same with every operand aligned to 64 bytes, which tensors of their own are. */
void check_case_aligned(struct cr_case *c);
/* The same with a bound of its own. */
void check_case_within(struct cr_case *c, double bound);

/* Number by number, at every level: NaN where the reference has NaN, the same infinities, zeros of
 * the same sign (if `absolute` is under 1e-30), and else within relative x |expected|
 * + absolute. A GPU may take denormal numbers for 0. */
void check_each(struct cr_case *c, double relative, double absolute);

/* Run a case once; the new contents of its output `index` go to `result`. Checks what lies around.
 */
void run_guarded(const struct table *table, const struct cr_case *c, int index, void *result);

#endif

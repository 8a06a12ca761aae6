/* SPDX-License-Identifier: MIT */
/* crayon/chain.h: writing networks with little noise (since ABI 1.2).
 *
 * A chain owns the tensors that its operations make, and remembers the first failure: operations
 * after it are not executed and give NULL. So a layer is its formulas and nothing else:
 *
 *     struct cr_chain c = CR_CHAIN_INIT(err);
 *     struct cr_tensor *n = CR_DO(&c, cr_op_rms_norm, x, layer->norm, 1e-5f);
 *     struct cr_tensor *h = CR_DO(&c, cr_op_linear, n, layer->up, NULL);
 *     struct cr_tensor *y = CR_DO(&c, cr_op_linear, h, layer->down, NULL);
 *     *out = cr_chain_take(&c, y);
 *     return cr_chain_finish(&c);
 *
 * What a layer made is let go with cr_chain_release(). Held by the caller, used by one thread. */
#ifndef CRAYON_CHAIN_H
#define CRAYON_CHAIN_H

#include <crayon/ops.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CR_CHAIN_MAX 128 /* tensors at once */

struct cr_chain {
    struct cr_error *err;
    int result;             /* of the first operation that failed, else 0 */
    struct cr_tensor *made; /* by the operation that is being executed */
    size_t count;
    struct cr_tensor *tensors[CR_CHAIN_MAX];
};

#define CR_CHAIN_INIT(err_)                                                                        \
    {                                                                                              \
        .err = (err_)                                                                              \
    }

/* Execute an operation that has its result as first and `err` as last parameter: the result,
 * borrowed from the chain; NULL after a failure. */
#define CR_DO(chain, operation, ...)                                                               \
    ((chain)->result < 0                                                                           \
         ? NULL                                                                                    \
         : cr_chain_keep((chain), operation(&(chain)->made, __VA_ARGS__, (chain)->err)))

/* The step behind CR_DO: take `made` into the chain if `result` is 0. */
CR_API
struct cr_tensor *cr_chain_keep(struct cr_chain *chain, int result);

/* Where the chain stands; and: let everything go that was made since, but `keep` (may be NULL or
 * older), which is returned. */
CR_API
size_t cr_chain_mark(const struct cr_chain *chain);
CR_API
struct cr_tensor *cr_chain_release(struct cr_chain *chain, size_t mark, struct cr_tensor *keep);

/* A reference for the caller; NULL after a failure. */
CR_API
struct cr_tensor *cr_chain_take(const struct cr_chain *chain, struct cr_tensor *tensor);
/* Let everything go. Returns `result`. */
CR_API
int cr_chain_finish(struct cr_chain *chain);

#ifdef __cplusplus
}
#endif
#endif

/* SPDX-License-Identifier: MIT */
#include <assert.h>

#include <crayon/chain.h>

struct cr_tensor *cr_chain_keep(struct cr_chain *chain, int result)
{
    struct cr_tensor *made = chain->made;
    chain->made = NULL;
    if (result == 0 && chain->count == CR_CHAIN_MAX)
        result =
            cr_fail(chain->err, CR_ERR_INTERNAL, "more than %d tensors in one chain", CR_CHAIN_MAX);
    if (result < 0) {
        cr_tensor_unref(&made);
        chain->result = result;
        return NULL;
    }
    chain->tensors[chain->count++] = made;
    return made;
}

size_t cr_chain_mark(const struct cr_chain *chain)
{
    return chain->count;
}

struct cr_tensor *cr_chain_release(struct cr_chain *chain, size_t mark, struct cr_tensor *keep)
{
    assert(mark <= chain->count);
    bool kept = false;
    for (size_t i = mark; i < chain->count; i++) {
        if (chain->tensors[i] == keep && keep != NULL)
            kept = true;
        else
            cr_tensor_unref(&chain->tensors[i]);
    }
    chain->count = mark;
    if (kept)
        chain->tensors[chain->count++] = keep;
    return keep;
}

struct cr_tensor *cr_chain_take(const struct cr_chain *chain, struct cr_tensor *tensor)
{
    return chain->result < 0 || tensor == NULL ? NULL : cr_tensor_ref(tensor);
}

int cr_chain_finish(struct cr_chain *chain)
{
    (void)cr_chain_release(chain, 0, NULL);
    return chain->result;
}

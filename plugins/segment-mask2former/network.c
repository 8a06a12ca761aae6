/* SPDX-License-Identifier: MIT */
/* Stands where config.c, weights.c, swin.c, pixel_decoder.c and decoder.c will be. */
#include "mask2former.h"

int mask2former_config_read(struct mask2former_config *config, const struct cr_model *model,
                            const char *path, struct cr_error *err)
{
    (void)model;
    (void)path;
    (void)err;
    *config = (struct mask2former_config){.queries = 0};
    return 0;
}

int mask2former_load(struct mask2former *network, struct cr_model *model, enum cr_dtype dtype,
                     struct cr_context *context, struct cr_error *err)
{
    (void)network;
    (void)model;
    (void)dtype;
    (void)context;
    return cr_fail(err, CR_ERR_UNSUPPORTED, "the network of Mask2Former is not built in");
}

void mask2former_unload(struct mask2former *network)
{
    network->weights = NULL;
}

int mask2former_forward(struct cr_tensor **class_logits, struct cr_tensor **mask_logits,
                        const struct mask2former *network, const struct cr_tensor *pixels,
                        struct cr_context *context, struct cr_error *err)
{
    (void)network;
    (void)pixels;
    (void)context;
    *class_logits = *mask_logits = NULL;
    return cr_fail(err, CR_ERR_UNSUPPORTED, "the network of Mask2Former is not built in");
}

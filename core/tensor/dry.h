/* SPDX-License-Identifier: MIT */
/* dry.h: a device that counts memory and does nothing else. It stands for a real one: what that
 * supports, how it is called and how precise it is, is asked there. Operations pass the same
 * front-end and pool and take the same memory, so that what a run takes is known before anything is
 * loaded. Everything that is read from it is zero. */
#ifndef CR_TENSOR_DRY_H
#define CR_TENSOR_DRY_H

#include <crayon/device.h>

/* Keeps a reference to `real`. */
CR_API
int cr_device_create_dry(struct cr_device **out, struct cr_device *real, struct cr_error *err);
CR_API
bool cr_device_is_dry(const struct cr_device *device);

#endif

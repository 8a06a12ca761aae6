/* SPDX-License-Identifier: MIT */
/* crayon/crayon.h: everything. Plugins need crayon/plugin.h (and canvas.h, file.h, memory.h);
 * programs need crayon/pipeline.h. */
#ifndef CRAYON_CRAYON_H
#define CRAYON_CRAYON_H

#include <crayon/base.h>
#include <crayon/canvas.h>
#include <crayon/chain.h>
#include <crayon/config.h>
#include <crayon/device.h>
#include <crayon/error.h>
#include <crayon/file.h>
#include <crayon/image.h>
#include <crayon/log.h>
#include <crayon/memory.h>
#include <crayon/model.h>
#include <crayon/ops.h>
#include <crayon/panoptic.h>
#include <crayon/pipeline.h>
#include <crayon/plugin.h>
#include <crayon/registry.h>
#include <crayon/tensor.h>
#include <crayon/value.h>

#endif

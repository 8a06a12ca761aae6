/* SPDX-License-Identifier: MIT */
/* Fuzz target: JPEG pictures and their EXIF data. */
#include "picture.h"

/* SPDX-License-Identifier: MIT */
/* fuzz.h: what the fuzz targets share (tests/fuzz/README.md). A target defines
 * LLVMFuzzerTestOneInput(); what it finds wrong beside what sanitizers see ends in abort(). */
#ifndef CR_FUZZ_H
#define CR_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <crayon/error.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What every function promises: 0 and the object, or a negative code, its reason and no object. */
void fuzz_result(int result, bool object, const struct cr_error *err);
/* Fails unless it holds. */
void fuzz_assert(bool holds);

/* A folder of this process's own below $TMPDIR (/tmp), removed when it ends; and the path of a file
 * there, which lives for ever. */
const char *fuzz_folder(void);
const char *fuzz_path(const char *name);
/* Make it hold these bytes. */
void fuzz_write(const char *path, const void *data, size_t size);

/* An input of two files: a text up to the first NUL byte, then the other one. */
struct fuzz_pair {
    const uint8_t *text, *rest;
    size_t text_size, rest_size;
};
struct fuzz_pair fuzz_split(const uint8_t *data, size_t size);

/* Give the chunks of a PNG their right checksums, so that a search gets beyond them. */
void fuzz_fix_png(uint8_t *data, size_t size);
/* Of libFuzzer, with -DFUZZ_SEARCH: change `data` somehow; returns the new size. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
/* Of a target: the same. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);

#endif

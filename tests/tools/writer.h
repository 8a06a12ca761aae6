/* SPDX-License-Identifier: MIT */
/* writer.h: models of full size in 16-bit floats, filled with random numbers, with the names and
 * shapes that real ones have: to try loading, memory and speed. Whatever fails ends the program. */
#ifndef TOOLS_WRITER_H
#define TOOLS_WRITER_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Print what failed, with errno, and end the program. */
void writer_fail(const char *what) __attribute__((noreturn));

/* Tensors [shape[0], ...], in the order of the files; the name is the format's. Numbers are normal
 * with a deviation of 1 / sqrt(columns), so that results stay of the size that real ones have; or
 * they are 1. */
void writer_add(int rank, const int64_t *shape, bool ones, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void writer_matrix(int64_t n, int64_t k, const char *prefix, const char *name);
void writer_vector(int64_t n, const char *prefix, const char *name, bool ones);
/* A matrix and its bias: PREFIX NAME.weight, PREFIX NAME.bias; a norm: ones, and a bias. */
void writer_linear(int64_t n, int64_t k, const char *prefix, const char *name);
void writer_norm(int64_t n, const char *prefix, const char *name);

/* A file in the folder, to be written and closed. */
FILE *writer_create(const char *folder, const char *name);
void writer_close(FILE *file);

/* Make the folder; write all tensors into files of at most `shard_bytes` bytes, and their index.
 * With `sparse`, numbers are a hole, which takes no room on the disk. */
void writer_folder(const char *folder);
void writer_save(const char *folder, uint64_t shard_bytes, bool sparse);

#endif

/* SPDX-License-Identifier: MIT */
/* Fuzz target: the header of a safetensors file, as it lies in the file (tests/fuzz/README.md).
 * Built by clang with -fsanitize=fuzzer, or with -DSTANDALONE as a program that runs the files that
 * it is given. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/safetensors.h"

/* What the reader promises of a file that it accepts. */
static void check(const struct cr_safetensors *file, uint64_t data_bytes)
{
    uint64_t total = 0;
    for (size_t i = 0; i < file->count; i++) {
        const struct cr_st_tensor *tensor = &file->tensors[i];
        if (tensor->start > data_bytes || tensor->bytes > data_bytes - tensor->start ||
            tensor->rank > CR_ST_MAX_RANK || tensor->dtype >= CR_ST_DTYPE_COUNT ||
            (i > 0 && strcmp(file->tensors[i - 1].name, tensor->name) >= 0) ||
            cr_safetensors_find(file, tensor->name) != tensor)
            abort();
        total += tensor->bytes;
    }
    if (total != data_bytes)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cr_safetensors *file = NULL;
    struct cr_error err = CR_ERROR_INIT;
    uint64_t header = 0;
    if (size < 8)
        return 0;
    for (int i = 7; i >= 0; i--)
        header = header << 8 | data[i];
    if (header > size - 8)
        return 0;
    uint64_t rest = size - 8 - header;
    int result =
        cr_safetensors_parse(&file, (const char *)data + 8, (size_t)header, rest, "f", &err);
    if ((result == 0) != (file != NULL) || (result < 0) != (err.message[0] != '\0'))
        abort();
    if (file != NULL)
        check(file, rest);
    cr_safetensors_destroy(&file);
    return 0;
}

#ifdef STANDALONE
int main(int argc, char **argv)
{
    static uint8_t bytes[1 << 20];
    for (int i = 1; i < argc; i++) {
        FILE *file = fopen(argv[i], "rb");
        size_t size = file == NULL ? 0 : fread(bytes, 1, sizeof(bytes), file);
        if (file == NULL || fclose(file) != 0) {
            printf("not ok %d - %s cannot be read\n", i, argv[i]);
            return 1;
        }
        /* A block of its own, so that a sanitizer sees what is read beyond its end. */
        uint8_t *copy = malloc(size == 0 ? 1 : size);
        if (copy == NULL)
            return 1;
        memcpy(copy, bytes, size);
        LLVMFuzzerTestOneInput(copy, size);
        free(copy);
        printf("ok %d - %s\n", i, argv[i]);
    }
    printf("1..%d\n", argc - 1);
    return 0;
}
#endif

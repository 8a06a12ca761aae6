/* SPDX-License-Identifier: MIT */
/* Fuzz target: the header of a safetensors file, as it lies in the file (tests/fuzz/README.md). */
#include "fuzz.h"

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
    fuzz_result(result, file != NULL, &err);
    if (file != NULL)
        check(file, rest);
    cr_safetensors_destroy(&file);
    return 0;
}

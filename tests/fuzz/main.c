/* SPDX-License-Identifier: MIT */
/* main.c: a fuzz target as a plain program that runs the files that it is given, once each. With
 * -DFUZZ_SEARCH, libFuzzer has the main(). */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef FUZZ_SEARCH
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
        fflush(stdout);
    }
    printf("1..%d\n", argc - 1);
    return 0;
}
#endif

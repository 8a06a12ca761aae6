/* SPDX-License-Identifier: MIT */
/* Fuzz target: PNG pictures. What the search makes gets right checksums, or none would be read. */
#include "picture.h"

#ifdef FUZZ_SEARCH
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    (void)seed;
    size = LLVMFuzzerMutate(data, size, max_size);
    fuzz_fix_png(data, size);
    return size;
}
#endif

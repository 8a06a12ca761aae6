/* SPDX-License-Identifier: MIT */
/* Fuzz target: a prompt template, filled in. */
#include "fuzz.h"

#include <string.h>

#include <crayon/memory.h>

#include "template.h"

static void fill(const struct template *template, size_t images, const char *caption)
{
    struct cr_error err = CR_ERROR_INIT;
    char *prompt = NULL;
    int result = template_fill(template, "{image}{objects}{question}", images, caption != NULL,
                               caption, &prompt, &err);
    fuzz_result(result, prompt != NULL, &err);
    cr_free(prompt);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct template *template = NULL;
    struct cr_error err = CR_ERROR_INIT;
    const char *path = fuzz_path("f.json");
    fuzz_write(path, data, size);
    int result = template_open(&template, path, &err);
    fuzz_result(result, template != NULL, &err);
    if (template != NULL) {
        fill(template, 0, NULL);
        fill(template, 2, "{question}");
    }
    template_close(&template);
    return 0;
}

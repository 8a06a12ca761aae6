/* SPDX-License-Identifier: MIT */
#include "collavo.h"

#include "test.h"
#include "weights.h"

static const char pipeline_text[] =
    "{\"crayon\": 1, \"inputs\": {\"image\": \"image\", \"prompt\": \"text\"}, \"stages\": {\n"
    " \"segment\": {\"use\": \"segment-mask2former\", \"model\": \"%s\", \"grid\": [3, 3],\n"
    "  \"input_size\": [64, 64], \"threshold\": 0.8, \"in\": {\"image\": \"@image\"}},\n"
    " \"crayon\": {\"use\": \"crayon-encoder\", \"model\": \".\", \"grid\": [3, 3],\n"
    "  \"in\": {\"panoptic\": \"segment.grid\"}},\n"
    " \"vision\": {\"use\": \"vision-clip\", \"model\": \".\", \"config\": \"clip_config.json\",\n"
    "  \"weights\": \"nf4\", \"input_size\": [42, 42], \"in\": {\"image\": \"@image\"}},\n"
    " \"overlay\": {\"use\": \"overlay\", \"in\": {\"image\": \"@image\",\n"
    "  \"panoptic\": \"segment.panoptic\"}},\n"
    " \"llm\": {\"use\": \"llm-internlm\", \"model\": \".\", \"weights\": \"q8_0\",\n"
    "  \"crayon\": \"plora\", \"max_tokens\": 3,\n"
    "  \"ignore_eos\": true, \"in\": {\"prompt\": \"@prompt\", \"image\": \"vision.features\",\n"
    "  \"crayon\": \"crayon.features\", \"objects\": \"crayon.objects\"}},\n"
    " \"again\": {\"use\": \"tokenizer-sentencepiece\", \"model\": \".\",\n"
    "  \"in\": {\"tokens\": \"llm.tokens\"}}},\n"
    " \"outputs\": {\"answer\": \"llm.text\", \"again\": \"again.text\", \"ids\": "
    "\"llm.ids\",\n"
    "  \"features\": \"vision.features\", \"overlay\": \"overlay.image\",\n"
    "  \"panoptic\": \"segment.panoptic\"}}";

static const char template_text[] = "{\"crayon-template\": 1, \"prompt\": \"{image} {question}\",\n"
                                    " \"objects\": \"{objects} {question}\"}";

static void copy(const char *from, const char *folder, const char *name)
{
    size_t size;
    char path[4096], *data = read_test_file(source_path(from), &size);
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    write_test_file(path, data, size);
}

/* The path of a new file in the folder. */
static const char *write_text(const char *folder, const char *name, const char *text)
{
    static char path[4096];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    write_test_text(path, text);
    return path;
}

struct collavo collavo_write(void)
{
    static const char *const files[] = {"config.json", "clip_config.json", "plora.json",
                                        "model.safetensors"};
    static char path[4096], set[4200], text[8192];
    const char *folder = weights_folder("collavo");
    for (size_t i = 0; i < COUNT(files); i++) {
        snprintf(path, sizeof(path), "tests/golden/collavo_e2e/%s", files[i]);
        copy(path, folder, files[i]);
    }
    copy("tests/tokenizer/small.model", folder, "tokenizer.model");
    snprintf(set, sizeof(set), "llm.template=%s",
             write_text(folder, "template.json", template_text));
    snprintf(text, sizeof(text), pipeline_text, source_path("tests/golden/mask2former"));
    snprintf(path, sizeof(path), "%s", write_text(folder, "pipeline.json", text));
    return (struct collavo){folder, path, set};
}

void collavo_pixels(unsigned char pixels[42 * 42 * 3])
{
    for (int i = 0; i < 42 * 42 * 3; i++)
        pixels[i] = (unsigned char)(i % 3 == 1 ? 0 : i % 3 == 0 ? 255 - i / 21 : i / 21);
}

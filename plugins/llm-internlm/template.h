/* SPDX-License-Identifier: MIT */
/* template.h: prompts as data. A template is a JSON file:
 *
 *     { "crayon-template": 1, "name": "collavo-demo", "source": "where it comes from",
 *       "prompt": "AI assistant should ... an image. {image} USER: {question} ASSISTANT:",
 *       "image": "<image>", "text_only": "... USER: {question} ASSISTANT:",
 *       "objects": "The image includes {objects}. {question}",
 *       "nothing": "None of detailed object information for image. {question}",
 *       "begin": true, "stop": ["[U"], "max_tokens": 256 }
 *
 * "prompt" is for prompts with pictures, "text_only" for those without. {image} becomes "image"
 * once for each picture. {question} is what the user asked; where captions are connected, "objects"
 * or, for a null caption, "nothing" around it. What users and captions write is never searched for
 * braces. All members but "prompt" may be left out: "image" is then "<image>", "text_only" the
 * prompt without {image}, "objects" and "nothing" the question alone. */
#ifndef LLM_TEMPLATE_H
#define LLM_TEMPLATE_H

#include <crayon/plugin.h>

struct template
{
    char *prompt, *image, *text_only, *objects, *nothing;
    char **stop; /* stop_count strings, none empty */
    size_t stop_count;
    bool begin;         /* put the BOS token in front */
    int64_t max_tokens; /* 0: not said */
};

/* `name` is a path to a file, or the name of one that is installed (pipelines/templates/NAME.json);
 * an unknown name is an error that lists those that there are. */
int template_open(struct template **out, const char *name, struct cr_error *err) CR_MUST_CHECK;
void template_close(struct template **t);

/* The whole prompt of one item, new, freed with cr_free(), for `images` pictures. `captions`:
 * captions are connected, and `caption` is this item's, NULL where nothing was found. */
int template_fill(const struct template *t, const char *question, size_t images, bool captions,
                  const char *caption, char **prompt, struct cr_error *err) CR_MUST_CHECK;

#endif

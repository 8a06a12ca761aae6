/* SPDX-License-Identifier: MIT */
/* collavo.h: the whole of CoLLaVO, small enough to be run thousands of times: a model folder with
 * weights and tokenizer, and the pipeline. */
#ifndef CR_TEST_COLLAVO_H
#define CR_TEST_COLLAVO_H

struct collavo {
    const char *folder;   /* of all these */
    const char *pipeline; /* inputs "image" (42 x 42) and "prompt"; outputs "answer" and "again",
                             texts that are the same, "ids", "features", "overlay", "panoptic" */
    const char *set;      /* goes with it: "llm.template=FILE" */
};

/* Write it into the test's folder, once. */
struct collavo collavo_write(void);
/* The prompt whose answer has tokens that the small tokenizer knows. */
#define COLLAVO_PROMPT "cat"
/* The picture's pixels, R G B. */
void collavo_pixels(unsigned char pixels[42 * 42 * 3]);

#endif

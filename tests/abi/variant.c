/* SPDX-License-Identifier: MIT */
/* A plugin with something wrong with it: the tests build it several times, each time with one of
 * the switches below. Without a switch it is good. NAME is what it calls itself, ELEMENT its
 * element. */
#include <stdlib.h>
#include <unistd.h>

#include <crayon/plugin.h>

#ifndef NAME
#define NAME "good"
#endif
#ifndef ELEMENT
#define ELEMENT NAME
#endif
#ifndef INITIAL
#define INITIAL "3"
#endif
#ifndef MINOR
#define MINOR CR_ABI_MINOR
#endif
#ifndef MAJOR
#define MAJOR CR_ABI_MAJOR
#endif
#ifndef SIZE
#define SIZE sizeof(struct cr_plugin)
#endif
#ifndef MAGIC
#define MAGIC 'c'
#endif
#ifndef SYMBOL
#define SYMBOL crayon_plugin
#endif

#if defined(CRASH) || defined(EXIT) || defined(HANG) || defined(CLOSE)
__attribute__((constructor)) static void at_load(void)
{
#if defined(FORK)
    if (fork() == 0)
        for (;;)
            pause();
#endif
#if defined(CRASH)
    abort();
#elif defined(EXIT)
    exit(EXIT);
#elif defined(CLOSE)
    for (int fd = 0; fd < CLOSE; fd++)
        close(fd);
#else
    for (;;)
        pause();
#endif
}
#endif

#ifdef UNRESOLVED
int cr_no_such_function(void);
#endif

struct state {
    int64_t level;
};

static int run(void *state, struct cr_context *context, struct cr_error *err)
{
    (void)state, (void)context, (void)err;
#ifdef UNRESOLVED
    return cr_no_such_function();
#else
    return 0;
#endif
}

static const struct cr_stage_ops ops = {.size = sizeof(struct cr_stage_ops), .run = run};

static const struct cr_element element = {
    .size = sizeof(struct cr_element),
    .kind = CR_ELEMENT_STAGE,
    .name = ELEMENT,
    .summary = "does nothing",
    .outputs = CR_PORTS(CR_PORT("image", CR_TYPE_IMAGE, 0, "a picture")),
    .options =
        CR_OPTIONS(CR_OPTION_INT("level", struct state, level, INITIAL, 0, 9, 0, "how much")),
    .state_size = sizeof(struct state),
    .stage = &ops,
};

CR_EXPORT extern const struct cr_plugin SYMBOL;
CR_EXPORT const struct cr_plugin SYMBOL = {
    .magic = {MAGIC, 'r', 'a', 'y', 'o', 'n', '\r', '\n'},
    .abi_major = MAJOR,
    .abi_minor = MINOR,
    .size = SIZE,
    .name = NAME,
    .version = "1.0",
    .licence = "MIT",
    .summary = "a plugin for the tests",
    .elements = (const struct cr_element *const[]){&element, NULL},
};

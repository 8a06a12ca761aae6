/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "base/amount.h"
#include "command/common.h"
#include "command/options.h"
#include "model/save.h"

struct quantize_settings {
    const char *weights;
    bool single;
    struct strings keep, also;
};

#define MEMBER(name) offsetof(struct quantize_settings, name)

static const struct option quantize_options[] = {
    {"weights", OPTION_TEXT, MEMBER(weights), "TYPE", "nf4 (the default) or q8_0"},
    {"single", OPTION_FLAG, MEMBER(single), NULL, "nf4: do not quantise the absmax as well"},
    {"keep", OPTION_LIST, MEMBER(keep), "PATTERN", "leave tensors of such names as they are"},
    {"also", OPTION_LIST, MEMBER(also), "PATTERN", "quantise such ones as well: 'output.weight'"},
    {NULL, OPTION_FLAG, 0, NULL, NULL},
};

static void show_progress(void *user, double done)
{
    progress_show(user, done);
}

static bool is_stopped(void *user)
{
    (void)user;
    return stop_signal() != 0;
}

static void print_summary(const struct cr_save_summary *summary, const char *target)
{
    char before[32], after[32];
    print("%s: quantised %zu of %zu tensors: %s instead of %s\n", target, summary->quantized,
          summary->quantized + summary->kept, cr_amount(after, summary->after),
          cr_amount(before, summary->before));
}

static int run_quantize(const void *settings_, const struct strings *operands)
{
    const struct quantize_settings *settings = settings_;
    const char *type = settings->weights != NULL ? settings->weights : "nf4";
    bool nf4 = strcmp(type, "nf4") == 0;
    struct cr_save_params params = {
        .weights = nf4 ? CR_DTYPE_NF4 : CR_DTYPE_Q8_0,
        .single = settings->single,
        .keep = settings->keep.items,
        .keep_count = settings->keep.count,
        .also = settings->also.items,
        .also_count = settings->also.count,
    };
    if (!nf4 && strcmp(type, "q8_0") != 0)
        return usage_error(&command_quantize, "--weights is \"%s\", not nf4 or q8_0", type);
    if (!nf4 && settings->single)
        return usage_error(&command_quantize, "--single is about nf4, and --weights says q8_0");
    char label[] = "quantize";
    const struct cr_load_hooks hooks = {
        .user = label, .progress = show_progress, .cancelled = is_stopped};
    struct cr_model *model = NULL;
    struct cr_save_summary summary;
    struct cr_error err = CR_ERROR_INIT;
    defer_signals();
    int result = cr_model_open(&model, operands->items[0], message_log(CR_LOG_WARNING), &err);
    if (result == 0)
        result = cr_model_save(model, operands->items[1], &params, &hooks, &summary, &err);
    cr_model_unref(&model);
    progress_clear();
    if (result < 0)
        return say_failure(&err);
    print_summary(&summary, operands->items[1]);
    return EXIT_OK;
}

const struct command command_quantize = {
    .name = "quantize",
    .operands = "MODEL FOLDER",
    .operands_min = 2,
    .operands_max = 2,
    .summary = "write a model with 4-bit or 8-bit weights",
    .options = quantize_options,
    .settings_size = sizeof(struct quantize_settings),
    .run = run_quantize,
};

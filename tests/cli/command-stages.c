/* SPDX-License-Identifier: MIT */
/* Stages that do on purpose what the tests of the program want to see. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <crayon/file.h>
#include <crayon/memory.h>
#include <crayon/ops.h>
#include <crayon/plugin.h>

/* ---- test-speak: says what it was told ---- */

struct speak {
    bool null, stream, retract, seed, warn;
};

static int speak_text(struct speak *speak, struct cr_context *context, size_t item,
                      const char *prompt, struct cr_value *out, struct cr_error *err)
{
    char *text = speak->seed ? cr_asprintf("%llu", (unsigned long long)cr_context_seed(context))
                             : cr_asprintf("you said: %s", prompt != NULL ? prompt : "nothing");
    if (text == NULL)
        return cr_fail_memory(err, 16);
    if (speak->warn) {
        cr_context_log(context, CR_LOG_WARNING, "%s is hard to say", prompt);
        cr_context_log(context, CR_LOG_INFO, "%s is said", prompt);
    }
    if (speak->stream)
        cr_context_emit(context, "text", item, text, strlen("you said: "));
    if (speak->retract)
        cr_context_emit(context, "text", item, "no", 2);
    int result = cr_value_set_text(out, item, speak->null ? NULL : text, err);
    cr_free(text);
    return result;
}

static int speak_run(void *state, struct cr_context *context, struct cr_error *err)
{
    const struct cr_value *prompt = cr_context_input(context, "prompt");
    struct cr_value *out;
    int result = cr_value_create(&out, CR_TYPE_TEXT, cr_value_count(prompt), err);
    for (size_t i = 0; result == 0 && i < cr_value_count(prompt); i++)
        result = speak_text(state, context, i, cr_value_text(prompt, i), out, err);
    if (result == 0)
        cr_context_output(context, "text", &out);
    cr_value_unref(&out);
    return result;
}

static const struct cr_stage_ops speak_ops = {.size = sizeof(struct cr_stage_ops),
                                              .run = speak_run};

static const struct cr_element speak_element = {
    .size = sizeof(struct cr_element),
    .kind = CR_ELEMENT_STAGE,
    .name = "test-speak",
    .summary = "say what was said",
    .inputs = CR_PORTS(CR_PORT("prompt", CR_TYPE_TEXT, 0, "what to say")),
    .outputs = CR_PORTS(CR_PORT("text", CR_TYPE_TEXT, 0, "what was said")),
    .options = CR_OPTIONS(
        CR_OPTION_BOOL("null", struct speak, null, "false", 0, "say nothing"),
        CR_OPTION_BOOL("stream", struct speak, stream, "false", 0, "say it as it comes"),
        CR_OPTION_BOOL("retract", struct speak, retract, "false", 0, "say something else first"),
        CR_OPTION_BOOL("seed", struct speak, seed, "false", 0, "say the seed"),
        CR_OPTION_BOOL("warn", struct speak, warn, "false", 0, "warn of it")),
    .state_size = sizeof(struct speak),
    .stage = &speak_ops,
};

/* ---- test-wait: works for a while, unless it is cancelled ---- */

struct wait {
    const char *mark;
    double seconds;
    bool stubborn;
    bool fail;
};

static int wait_run(void *state, struct cr_context *context, struct cr_error *err)
{
    struct wait *wait = state;
    const struct timespec step = {0, 10000000};
    int result = wait->mark == NULL ? 0 : cr_file_write(wait->mark, "running\n", 8, err);
    for (double waited = 0; result == 0 && waited < wait->seconds; waited += 0.01) {
        if (cr_context_cancelled(context) && !wait->stubborn)
            return cr_fail(err, CR_ERR_CANCELLED, "cancelled");
        cr_context_progress(context, waited / wait->seconds);
        nanosleep(&step, NULL);
    }
    if (result == 0 && wait->fail)
        result = cr_fail(err, CR_ERR_FORMAT, "told to fail");
    struct cr_value *out = NULL;
    if (result == 0)
        result = cr_value_from_text(&out, "waited", err);
    if (result == 0)
        cr_context_output(context, "text", &out);
    return result;
}

static const struct cr_stage_ops wait_ops = {.size = sizeof(struct cr_stage_ops), .run = wait_run};

static const struct cr_element wait_element = {
    .size = sizeof(struct cr_element),
    .kind = CR_ELEMENT_STAGE,
    .name = "test-wait",
    .summary = "wait",
    .inputs = CR_PORTS(CR_PORT("prompt", CR_TYPE_TEXT, 0, "anything")),
    .outputs = CR_PORTS(CR_PORT("text", CR_TYPE_TEXT, 0, "that it is done")),
    .options = CR_OPTIONS(
        CR_OPTION_PATH("mark", struct wait, mark, NULL, 0, "a file to write at the start"),
        CR_OPTION_NUMBER("seconds", struct wait, seconds, "0", 0, 3600, 0, "how long"),
        CR_OPTION_BOOL("stubborn", struct wait, stubborn, "false", 0, "do not let it be cancelled"),
        CR_OPTION_BOOL("fail", struct wait, fail, "false", 0, "fail at the end")),
    .state_size = sizeof(struct wait),
    .stage = &wait_ops,
};

/* ---- test-values: one of each type ---- */

static int make_panoptic(struct cr_value **out, struct cr_error *err)
{
    struct cr_panoptic *map = NULL;
    const struct cr_segment segment = {.id = 1, .label = 17, .score = 1, .original_id = 1};
    int result = cr_panoptic_create(&map, (struct cr_size){2, 3}, err);
    if (result == 0) {
        cr_panoptic_edit(map)[4] = 1;
        result = cr_panoptic_add(map, &segment, err);
    }
    if (result == 0)
        result = cr_value_from_panoptic(out, map, err);
    cr_panoptic_unref(&map);
    return result;
}

static int make_tensor(struct cr_value **out, enum cr_dtype dtype, const void *data,
                       struct cr_error *err)
{
    const int64_t shape[] = {1, 2, 2};
    struct cr_tensor *tensor = NULL;
    int result = cr_tensor_create(&tensor, dtype, 3, shape, data, err);
    if (result == 0)
        result = cr_value_from_tensor(out, tensor, err);
    cr_tensor_unref(&tensor);
    return result;
}

static int make_tokens(struct cr_value **out, struct cr_error *err)
{
    const int32_t ids[] = {1, 517, 2};
    int result = cr_value_create(out, CR_TYPE_TOKENS, 1, err);
    if (result == 0 && (result = cr_value_set_tokens(*out, 0, ids, 3, err)) < 0)
        cr_value_unref(out);
    return result;
}

static int make_image(struct cr_value **out, struct cr_error *err)
{
    struct cr_image *image = NULL;
    int result = cr_image_create(&image, (struct cr_size){2, 3}, err);
    if (result == 0)
        result = cr_value_from_image(out, image, err);
    cr_image_unref(&image);
    return result;
}

static int values_run(void *state, struct cr_context *context, struct cr_error *err)
{
    static const char *const names[] = {"image", "panoptic", "f32", "f16", "i32", "u8", "tokens"};
    static const float f32[] = {0.5f, -1e-10f, 16777216, 0};
    static const uint16_t f16[] = {0x3C00, 0xC000, 0x0001, 0x7C00};
    static const int32_t i32[] = {INT32_MIN, -1, 0, INT32_MAX};
    static const uint8_t u8[] = {0, 1, 254, 255};
    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct cr_value *out = NULL;
        if (!cr_context_wants(context, names[i]))
            continue;
        int result = i == 0   ? make_image(&out, err)
                     : i == 1 ? make_panoptic(&out, err)
                     : i == 2 ? make_tensor(&out, CR_DTYPE_F32, f32, err)
                     : i == 3 ? make_tensor(&out, CR_DTYPE_F16, f16, err)
                     : i == 4 ? make_tensor(&out, CR_DTYPE_I32, i32, err)
                     : i == 5 ? make_tensor(&out, CR_DTYPE_U8, u8, err)
                              : make_tokens(&out, err);
        if (result < 0)
            return result;
        cr_context_output(context, names[i], &out);
    }
    return 0;
}

static const struct cr_stage_ops values_ops = {.size = sizeof(struct cr_stage_ops),
                                               .run = values_run};

static const struct cr_element values_element = {
    .size = sizeof(struct cr_element),
    .kind = CR_ELEMENT_STAGE,
    .name = "test-values",
    .summary = "one of each type, with words such as \"quoted\" and back\\slash",
    .description = "A first paragraph that is long enough to be broken into several lines on a\n"
                   "terminal of eighty columns.\n\n.starts with a dot, as no request should.",
    .inputs =
        CR_PORTS(CR_PORT("panoptic", CR_TYPE_PANOPTIC, CR_PORT_OPTIONAL, "not looked at"),
                 CR_PORT("image", CR_TYPE_IMAGE, CR_PORT_OPTIONAL | CR_PORT_MANY, "not looked at")),
    .outputs = CR_PORTS(CR_PORT("image", CR_TYPE_IMAGE, 0, "black"),
                        CR_PORT("panoptic", CR_TYPE_PANOPTIC, 0, "a horse of one pixel"),
                        CR_PORT("f32", CR_TYPE_TENSOR, 0, "numbers"),
                        CR_PORT("f16", CR_TYPE_TENSOR, 0, "small numbers"),
                        CR_PORT("i32", CR_TYPE_TENSOR, 0, "whole numbers"),
                        CR_PORT("u8", CR_TYPE_TENSOR, 0, "bytes"),
                        CR_PORT("tokens", CR_TYPE_TOKENS, 0, "ids")),
    .stage = &values_ops,
};

/* ---- test-device: which device it got ---- */

/* Some work for a device; one that cannot do it does nothing. */
static int compute(struct cr_device *device, struct cr_error *err)
{
    struct cr_tensor *zeros = NULL;
    int result = cr_op_fill(&zeros, device, CR_DTYPE_F32, 1, (int64_t[]){8}, 0, err);
    cr_tensor_unref(&zeros);
    if (result != CR_ERR_UNSUPPORTED)
        return result;
    cr_error_clear(err);
    return 0;
}

static int device_run(void *state, struct cr_context *context, struct cr_error *err)
{
    (void)state;
    struct cr_device *device;
    struct cr_device_info info;
    char text[sizeof(info.name) + sizeof(info.driver) + 2];
    struct cr_value *out = NULL;
    int result = cr_context_device(context, &device, err);
    if (result < 0)
        return result;
    cr_device_get_info(device, &info);
    snprintf(text, sizeof(text), "%s: %s", info.name, info.driver);
    result = compute(device, err);
    if (result == 0)
        result = cr_value_from_text(&out, text, err);
    if (result == 0)
        cr_context_output(context, "text", &out);
    return result;
}

static const struct cr_stage_ops device_ops = {.size = sizeof(struct cr_stage_ops),
                                               .run = device_run};

static const struct cr_element device_element = {
    .size = sizeof(struct cr_element),
    .kind = CR_ELEMENT_STAGE,
    .name = "test-device",
    .summary = "tells its device",
    .outputs = CR_PORTS(CR_PORT("text", CR_TYPE_TEXT, 0, "name and driver")),
    .stage = &device_ops,
    .flags = CR_ELEMENT_USES_DEVICE,
};

CR_PLUGIN("command-stages", "1.0", "MIT", "stages for the tests of the program", &speak_element,
          &wait_element, &values_element, &device_element);

/* SPDX-License-Identifier: MIT */
/* crayon/plugin.h: how to write a plugin. crayon-plugin(7) is the tour, plugins/example-stage the
 * example.
 *
 * A plugin is a shared object that exports one constant, `crayon_plugin`. Nothing runs when it is
 * loaded:
 *
 *     struct blur { int64_t radius; };
 *
 *     static const struct cr_stage_ops blur_ops = {.size = sizeof(struct cr_stage_ops),
 *                                                  .run = blur_run};
 *
 *     static const struct cr_element blur_element = {
 *         .size = sizeof(struct cr_element),
 *         .kind = CR_ELEMENT_STAGE,
 *         .name = "blur",
 *         .summary = "soften a picture",
 *         .inputs = CR_PORTS(CR_PORT("image", CR_TYPE_IMAGE, 0, "the picture")),
 *         .outputs = CR_PORTS(CR_PORT("image", CR_TYPE_IMAGE, 0, "the softened picture")),
 *         .options = CR_OPTIONS(
 *             CR_OPTION_INT("radius", struct blur, radius, "3", 0, 100, 0, "in pixels")),
 *         .state_size = sizeof(struct blur),
 *         .stage = &blur_ops,
 *     };
 *
 *     CR_PLUGIN("blur", "1.0", "MIT", "soften pictures", &blur_element);
 *
 * Growth. Every struct carries its size, lists are lists of pointers, and the core reads a member
 * only if the size reaches it: structs grow at their ends. CR_ABI_MINOR counts additions,
 * CR_ABI_MAJOR changes of meaning. The core loads plugins of its own major and of a minor up to its
 * own.
 *
 * Rules for a stage. It never prints, never exits, keeps no global state, can be opened several
 * times at once, and changes none of its inputs. An item's result does not depend on its neighbours
 * in the batch.
 */
#ifndef CRAYON_PLUGIN_H
#define CRAYON_PLUGIN_H

#include <crayon/config.h>
#include <crayon/device.h>
#include <crayon/error.h>
#include <crayon/log.h>
#include <crayon/model.h>
#include <crayon/value.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CR_ABI_MAJOR 1
#define CR_ABI_MINOR 3
#define CR_PLUGIN_MAGIC "crayon\r\n"

/* ---- Ports ---- */

enum cr_port_flags {
    CR_PORT_OPTIONAL = 1, /* an input that may stay unconnected */
    CR_PORT_MANY = 2,     /* an input that takes a list of wires */
};

struct cr_port {
    uint32_t size; /* sizeof(struct cr_port) */
    uint32_t flags;
    const char *name;
    enum cr_type type;
    const char *doc; /* one sentence without full stop, for people */
};

#define CR_PORT(name_, type_, flags_, doc_)                                                        \
    &(const struct cr_port)                                                                        \
    {                                                                                              \
        .size = sizeof(struct cr_port), .flags = (flags_), .name = (name_), .type = (type_),       \
        .doc = (doc_)                                                                              \
    }
#define CR_PORTS(...) ((const struct cr_port *const[]){__VA_ARGS__, NULL})

/* ---- Options ---- */

/* The core checks an option's JSON value against its declaration and stores it in the state struct;
 * open() and run() see valid values only. */

/* Beside each type: its JSON value, and the member of the state struct that receives it. */
enum cr_option_type {
    CR_OPTION_TYPE_BOOL = 1,     /* true or false; bool */
    CR_OPTION_TYPE_INT = 2,      /* a whole number; int64_t */
    CR_OPTION_TYPE_NUMBER = 3,   /* a number; double */
    CR_OPTION_TYPE_STRING = 4,   /* a string; const char * */
    CR_OPTION_TYPE_CHOICE = 5,   /* one of `choices`; const char * */
    CR_OPTION_TYPE_PATH = 6,     /* a path, relative to the file that wrote it; const char * */
    CR_OPTION_TYPE_MODEL = 7,    /* a folder, or a public name such as "ORG/NAME"; const char *: the
                                    folder resolved as PATH if there is one, else as written */
    CR_OPTION_TYPE_SIZE = 8,     /* [height, width]; struct cr_size */
    CR_OPTION_TYPE_INTS = 9,     /* a list of whole numbers; struct cr_option_ints */
    CR_OPTION_TYPE_STRINGS = 10, /* a list of strings; struct cr_option_strings */
    CR_OPTION_TYPE_FILE = 11 /* a file, named with a slash, or the name of an installed one; const
                                char *: resolved as PATH if there is a slash, else as written
                                (since ABI 1.3) */
};

struct cr_option_ints {
    const int64_t *items;
    size_t count;
};

struct cr_option_strings {
    const char *const *items;
    size_t count;
};

enum cr_option_flags {
    CR_OPTION_REQUIRED = 1, /* must be given; has no default */
};

struct cr_option {
    uint32_t size; /* sizeof(struct cr_option) */
    uint32_t flags;
    const char *name; /* lower case, digits, underscores; not a reserved stage key */
    enum cr_option_type type;
    uint32_t offset;     /* of the member in the state struct */
    const char *initial; /* the default: JSON for numbers, lists and booleans, else the plain text.
                            NULL: absent stays zero (NULL, 0, false, {0, 0}) */
    double min;          /* inclusive bounds for INT, NUMBER and the parts of SIZE and INTS; */
    double max;          /* min == max: none */
    const char *const *choices; /* ends with NULL; for CHOICE */
    const char *doc;            /* one sentence without full stop; units in it */
};

#define CR_OPTION_(name_, type_, struct_, member_, initial_, min_, max_, choices_, flags_, doc_)   \
    &(const struct cr_option)                                                                      \
    {                                                                                              \
        .size = sizeof(struct cr_option), .flags = (flags_), .name = (name_), .type = (type_),     \
        .offset = offsetof(struct_, member_), .initial = (initial_), .min = (min_), .max = (max_), \
        .choices = (choices_), .doc = (doc_)                                                       \
    }
#define CR_OPTION_BOOL(name, st, member, initial, flags, doc)                                      \
    CR_OPTION_(name, CR_OPTION_TYPE_BOOL, st, member, initial, 0, 0, NULL, flags, doc)
#define CR_OPTION_INT(name, st, member, initial, min, max, flags, doc)                             \
    CR_OPTION_(name, CR_OPTION_TYPE_INT, st, member, initial, min, max, NULL, flags, doc)
#define CR_OPTION_NUMBER(name, st, member, initial, min, max, flags, doc)                          \
    CR_OPTION_(name, CR_OPTION_TYPE_NUMBER, st, member, initial, min, max, NULL, flags, doc)
#define CR_OPTION_STRING(name, st, member, initial, flags, doc)                                    \
    CR_OPTION_(name, CR_OPTION_TYPE_STRING, st, member, initial, 0, 0, NULL, flags, doc)
#define CR_OPTION_CHOICE(name, st, member, initial, choices, flags, doc)                           \
    CR_OPTION_(name, CR_OPTION_TYPE_CHOICE, st, member, initial, 0, 0, choices, flags, doc)
#define CR_OPTION_PATH(name, st, member, initial, flags, doc)                                      \
    CR_OPTION_(name, CR_OPTION_TYPE_PATH, st, member, initial, 0, 0, NULL, flags, doc)
#define CR_OPTION_FILE(name, st, member, initial, flags, doc)                                      \
    CR_OPTION_(name, CR_OPTION_TYPE_FILE, st, member, initial, 0, 0, NULL, flags, doc)
#define CR_OPTION_MODEL(name, st, member, initial, flags, doc)                                     \
    CR_OPTION_(name, CR_OPTION_TYPE_MODEL, st, member, initial, 0, 0, NULL, flags, doc)
#define CR_OPTION_SIZE(name, st, member, initial, min, max, flags, doc)                            \
    CR_OPTION_(name, CR_OPTION_TYPE_SIZE, st, member, initial, min, max, NULL, flags, doc)
#define CR_OPTION_INTS(name, st, member, initial, min, max, flags, doc)                            \
    CR_OPTION_(name, CR_OPTION_TYPE_INTS, st, member, initial, min, max, NULL, flags, doc)
#define CR_OPTION_STRINGS(name, st, member, initial, flags, doc)                                   \
    CR_OPTION_(name, CR_OPTION_TYPE_STRINGS, st, member, initial, 0, 0, NULL, flags, doc)
#define CR_OPTIONS(...) ((const struct cr_option *const[]){__VA_ARGS__, NULL})
#define CR_CHOICES(...) ((const char *const[]){__VA_ARGS__, NULL})

/* ---- Checking ---- */

/* What a stage's check() can ask and say. Valid during the call only. */
struct cr_check;

/* Is the input connected? Is the output wired to something? */
CR_API
bool cr_check_connected(const struct cr_check *check, const char *port);
/* Was the option written in the pipeline? A value that equals its default counts as left out. */
CR_API
bool cr_check_given(const struct cr_check *check, const char *option);
/* Report a mistake. `key` is the option (or "in/PORT") that it is about, NULL for the stage itself.
 */
CR_API
void cr_check_problem(struct cr_check *check, const char *key, const char *format, ...)
    CR_PRINTF(3, 4);

/* ---- Running ---- */

/* What a stage sees of the run that it is part of. Used by the thread that called open() or run(),
 * during the call only. Port names are those that the element declares; another name is asserted.
 */
struct cr_context;

/* The batch on an input, sealed and borrowed; NULL when the port is not connected. For a port that
 * takes many: wire `index` < cr_context_wires(). Inputs of one run have the same count. */
CR_API
const struct cr_value *cr_context_input(const struct cr_context *context, const char *port);
CR_API
size_t cr_context_wires(const struct cr_context *context, const char *port);
CR_API
const struct cr_value *cr_context_input_at(const struct cr_context *context, const char *port,
                                           size_t index);

/* In plan(): is the value an example, because the real one is not known yet? (since ABI 1.3) */
CR_API
bool cr_context_is_example(const struct cr_context *context, const char *port);

/* Is the output wanted by anybody in this run? Others need not be computed. */
CR_API
bool cr_context_wants(const struct cr_context *context, const char *port);

/* Hand over an output: takes the caller's reference, leaves NULL, seals the value. Each wanted
 * output is set exactly once in a run that returns 0. */
CR_API
void cr_context_output(struct cr_context *context, const char *port, struct cr_value **value);

/* The same for a tensor [B, ...], if it is wanted; takes a reference of its own. (since ABI 1.2) */
CR_API
int cr_context_output_tensor(struct cr_context *context, const char *port,
                             const struct cr_tensor *tensor, struct cr_error *err) CR_MUST_CHECK;

/* The device of this stage, opened when somebody first asks for it, borrowed. For elements that say
 * CR_ELEMENT_USES_DEVICE; their tensor inputs have been moved there, those of other stages are on
 * the host. (since ABI 1.2) */
CR_API
int cr_context_device(struct cr_context *context, struct cr_device **device,
                      struct cr_error *err) CR_MUST_CHECK;
/* Load a claim to the device of this stage, with its progress and its cancel flag. (since ABI 1.2)
 */
CR_API
int cr_context_load(struct cr_context *context, struct cr_claim *claim,
                    struct cr_error *err) CR_MUST_CHECK;

/* Memory that lasts until this run() or open() returns, zeroed, aligned for anything; never freed
 * by the stage. */
CR_API
void *cr_context_scratch(struct cr_context *context, size_t bytes,
                         struct cr_error *err) CR_MUST_CHECK;

/* A new, empty folder for the files of this run() or open(), which is removed with all that is in
 * it when that returns: its path, borrowed; NULL after a failure. (since ABI 1.3) */
CR_API
const char *cr_context_folder(struct cr_context *context, struct cr_error *err) CR_MUST_CHECK;
/* Run a program and wait for it: `argv` ends with NULL and is handed over as it is, without a
 * shell; a name without a slash is looked up in $PATH. It reads nothing, starts in the current
 * folder, and has no open files but its standard streams. After `timeout` seconds, or when the user
 * asks to stop (CR_ERR_CANCELLED), it is ended together with all that it started, and so is what it
 * leaves running. A status other than 0 is CR_ERR_IO; the message ends with the last lines that the
 * program wrote. Links, FIFOs and the like that are then in a folder of cr_context_folder() are
 * CR_ERR_FORMAT. CR_ERR_ARGUMENT unless the user allows it, see CR_ALLOW_COMMAND in
 * crayon/registry.h. (since ABI 1.3) */
CR_API
int cr_context_command(struct cr_context *context, const char *const *argv, double timeout,
                       struct cr_error *err) CR_MUST_CHECK;

/* The run() of a segmenter that makes one map of each picture: input "image", outputs "panoptic" at
 * `size` ({0, 0}: the picture's) and "grid" at `grid`, both by nearest neighbour. `segment` gives a
 * new map of any size. (since ABI 1.3) */
typedef int (*cr_segment_fn)(const void *state, const struct cr_image *image,
                             struct cr_context *context, struct cr_panoptic **map,
                             struct cr_error *err);
CR_API
int cr_context_segment(struct cr_context *context, const void *state, cr_segment_fn segment,
                       struct cr_size size, struct cr_size grid,
                       struct cr_error *err) CR_MUST_CHECK;

/* Has the user asked to stop? A stage that runs long looks now and then, and returns
 * CR_ERR_CANCELLED. */
CR_API
bool cr_context_cancelled(const struct cr_context *context);
/* How much of this run() is done, 0..1. */
CR_API
void cr_context_progress(struct cr_context *context, double done);
/* The seed of the run, for whatever draws random numbers. */
CR_API
uint64_t cr_context_seed(const struct cr_context *context);
/* Text of output `port`, item `item`, as it comes (whole UTF-8 characters), before the output is
 * complete. */
CR_API
void cr_context_emit(struct cr_context *context, const char *port, size_t item, const char *bytes,
                     size_t count);
/* A figure of this run, for `crayon run --json`: "tokens_per_second". The name is a literal; the
 * last one of a name counts. (since ABI 1.2) */
CR_API
void cr_context_figure(struct cr_context *context, const char *name, double value);
/* A message whose subject is the stage. */
CR_API
void cr_context_log(const struct cr_context *context, enum cr_log_level level, const char *format,
                    ...) CR_PRINTF(3, 4);

struct cr_stage_ops {
    uint32_t size; /* sizeof(struct cr_stage_ops) */
    uint32_t reserved;
    /* Find mistakes that span several options or ports. Touches no file. May be NULL. */
    void (*check)(const void *state, struct cr_check *check);
    /* Get ready to run: read models, allocate. Called once before the first run(). May be NULL.
     * After a failure close() is called as well. */
    int (*open)(void *state, struct cr_context *context, struct cr_error *err);
    /* Turn inputs into outputs. Called any number of times. */
    int (*run)(void *state, struct cr_context *context, struct cr_error *err);
    /* Give everything back that open() and run() left in the state. May be NULL. The state may be
     * opened again. */
    void (*close)(void *state);
    /* Take the memory that run() would take at most, on a device that only counts: everything that
     * is read from it is 0. Called in place of run() when a pipeline is planned, after open(),
     * which has loaded no numbers; inputs may be examples. Outputs are set as by run(), of its
     * shapes. NULL: run() itself is called, which is right unless its course depends on numbers.
     * Since ABI 1.3. */
    int (*plan)(void *state, struct cr_context *context, struct cr_error *err);
};

/* ---- Tasks (since ABI 1.3) ---- */

/* A task is a benchmark: it hands out items, one question each, and scores the answers. Its outputs
 * are what it hands to a pipeline (a picture, a prompt), its inputs what it takes back (a map, an
 * answer). A port is wired to the pipeline's input or output of its name, or else to the only one
 * of its type; outputs that the pipeline has no input for are not wanted. A task whose inputs are
 * all optional can do without a pipeline.
 *
 * The order of calls: open(), then item() and score() for one item after the other, then finish(),
 * which may come before all items are done, then close(). The rules for stages hold for tasks. */

/* What a task sees of the evaluation. Used by the thread that made the call, during the call only.
 * Port names are those that the element declares; another name is asserted. */
struct cr_task_context;

/* In item(): what messages call this item ("000000142238.jpg"; copied; its number without this). Is
 * the output wanted? Hand over an output, a value of one item: takes the caller's reference, leaves
 * NULL, seals the value. Each wanted output is set exactly once by an item() that returns 0. */
CR_API
int cr_task_name(struct cr_task_context *context, const char *name,
                 struct cr_error *err) CR_MUST_CHECK;
CR_API
bool cr_task_wants(const struct cr_task_context *context, const char *port);
CR_API
void cr_task_output(struct cr_task_context *context, const char *port, struct cr_value **value);

/* In score(): the pipeline's answer, a value of one item, borrowed; NULL when the input is not
 * connected. */
CR_API
const struct cr_value *cr_task_input(const struct cr_task_context *context, const char *port);

/* In finish(): one cell of the table called `table` ("classes"). Tables, their rows and their
 * columns stand in the order in which they are first named; cells that are not set stay empty.
 * A share of 0.5 is shown as 50 %. NaN: there is nothing to divide by. */
enum cr_unit {
    CR_UNIT_NUMBER = 1,
    CR_UNIT_COUNT = 2,
    CR_UNIT_SHARE = 3,
};
CR_API
void cr_task_figure(struct cr_task_context *context, const char *table, const char *row,
                    const char *column, enum cr_unit unit, double value);

/* Anywhere: has the user asked to stop? A call that takes long looks now and then, and returns
 * CR_ERR_CANCELLED. And a message whose subject is the task. */
CR_API
bool cr_task_cancelled(const struct cr_task_context *context);
CR_API
void cr_task_log(const struct cr_task_context *context, enum cr_log_level level, const char *format,
                 ...) CR_PRINTF(3, 4);

struct cr_task_ops {
    uint32_t size; /* sizeof(struct cr_task_ops) */
    uint32_t reserved;
    /* Find mistakes that span several options or ports, as for stages. May be NULL. */
    void (*check)(const void *state, struct cr_check *check);
    /* Read the questions and tell how many items there are. After a failure close() is called as
     * well. */
    int (*open)(void *state, struct cr_task_context *context, size_t *count, struct cr_error *err);
    /* Hand out item `index` (< count). An item that fails is reported and left out. */
    int (*item)(void *state, size_t index, struct cr_task_context *context, struct cr_error *err);
    /* Take its answer. */
    int (*score)(void *state, size_t index, struct cr_task_context *context, struct cr_error *err);
    /* Tell the figures of the items that were scored. */
    int (*finish)(void *state, struct cr_task_context *context, struct cr_error *err);
    /* Give everything back that the others left in the state. May be NULL. */
    void (*close)(void *state);
};

/* ---- Elements and the plugin ---- */

enum cr_element_kind {
    CR_ELEMENT_STAGE = 1,  /* a node of a pipeline */
    CR_ELEMENT_DEVICE = 2, /* executes tensor operations (since ABI 1.1) */
    CR_ELEMENT_TASK = 3,   /* a benchmark for `crayon eval` (since ABI 1.3) */
};

enum cr_element_flags {
    CR_ELEMENT_USES_DEVICE = 1, /* a stage that computes on a device */
    CR_ELEMENT_PARALLEL = 2,    /* a task whose item() and score() may be called by several threads
                                   at once, each about another item (since ABI 1.3) */
    CR_ELEMENT_SERIAL = 4, /* a stage that takes much of what a machine has: programs should not run
                              it for several items at the same time (since ABI 1.3) */
};

struct cr_element {
    uint32_t size;           /* sizeof(struct cr_element) */
    uint32_t kind;           /* enum cr_element_kind */
    const char *name;        /* lower case, digits, hyphens: what "use" says */
    const char *summary;     /* one line without full stop */
    const char *description; /* paragraphs for the manual, an empty line between two; or NULL */
    const struct cr_port *const *inputs; /* each list ends with NULL; a NULL list is empty */
    const struct cr_port *const *outputs;
    const struct cr_option *const *options;
    size_t state_size; /* of the state struct, which starts zeroed; 0: none */
    const struct cr_stage_ops *stage;
    const struct cr_device_ops *device; /* since ABI 1.1 */
    uint32_t flags;                     /* enum cr_element_flags; since ABI 1.2 */
    uint32_t reserved;
    const struct cr_task_ops *task; /* since ABI 1.3 */
};

struct cr_plugin {
    char magic[8]; /* CR_PLUGIN_MAGIC */
    uint16_t abi_major;
    uint16_t abi_minor;
    uint32_t size;    /* sizeof(struct cr_plugin) */
    const char *name; /* of the file, without ".so" */
    const char *version;
    const char *licence; /* an SPDX expression */
    const char *summary;
    const struct cr_element *const *elements; /* ends with NULL */
};

#ifdef __cplusplus
#define CR_EXPORT extern "C" CR_API
#else
#define CR_EXPORT CR_API
#endif

/* Define the exported constant; the elements are listed as pointers. */
#define CR_PLUGIN(name_, version_, licence_, summary_, ...)                                        \
    CR_EXPORT extern const struct cr_plugin crayon_plugin;                                         \
    CR_EXPORT const struct cr_plugin crayon_plugin = {                                             \
        .magic = {'c', 'r', 'a', 'y', 'o', 'n', '\r', '\n'},                                       \
        .abi_major = CR_ABI_MAJOR,                                                                 \
        .abi_minor = CR_ABI_MINOR,                                                                 \
        .size = sizeof(struct cr_plugin),                                                          \
        .name = (name_),                                                                           \
        .version = (version_),                                                                     \
        .licence = (licence_),                                                                     \
        .summary = (summary_),                                                                     \
        .elements = (const struct cr_element *const[]){__VA_ARGS__, NULL},                         \
    }

#ifdef __cplusplus
}
#endif
#endif

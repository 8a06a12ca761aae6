/* SPDX-License-Identifier: MIT */
/* request.h: what one run of a pipeline is asked for: a value for each input, and where each output
 * goes. */
#ifndef CR_COMMAND_REQUEST_H
#define CR_COMMAND_REQUEST_H

#include "base/json.h"

#include "command/command.h"

struct feed {
    struct cr_pipeline_port port;
    const struct cr_image_limits *limits; /* of the request */
    const char *text;                     /* as the command line gave it; NULL: not there */
    struct cr_value *value;               /* NULL: not given */
};

struct sink {
    struct cr_pipeline_port port;
    const char *path; /* NULL: no file was asked for; "-": standard output */
    bool wanted;
};

/* One feed for each input and one sink for each output of the pipeline, in its order. Borrows the
 * pipeline and the strings that it is given. */
struct request {
    const struct cr_pipeline *pipeline;
    struct cr_image_limits limits; /* of pictures that are loaded */
    struct feed *feeds;
    size_t feeds_count;
    struct sink *sinks;
    size_t sinks_count;
};

/* Text outputs are wanted, other outputs when they get a path. */
int request_init(struct request *request, const struct cr_pipeline *pipeline, struct cr_error *err);
/* The same inputs and limits, none of the paths. */
int request_init_like(struct request *request, const struct request *other, struct cr_error *err);
void request_finish(struct request *request);

/* Set a limit of pictures, from "max_pixels=100000000" or the like. */
int request_set_limit(struct request *request, const char *text, struct cr_error *err);

/* The input or output called `name`; NULL with a message that names the nearest and all. */
struct feed *request_feed(struct request *request, const char *name, struct cr_error *err);
struct sink *request_sink(struct request *request, const char *name, struct cr_error *err);

/* Give an output its file. Refuses a suffix that does not suit the type, a folder that is not there
 * and a second use of one file. */
int request_set_path(struct request *request, struct sink *sink, const char *path,
                     struct cr_error *err);

/* Is the path one that a picture called `what` can be written to? */
int request_check_image_path(const char *path, const char *what, struct cr_error *err);

/* The JSON file beside the picture of a panoptic map, as a new string. NULL for other types, and
 * when memory is exhausted. */
char *request_companion(enum cr_type type, const char *path);

/* Is any output wanted? The message names those that can be. */
int request_check_wanted(const struct request *request, bool as_json, struct cr_error *err);
/* Append how the outputs that are not wanted are asked for: "overlay (image): --out
 * overlay=FILE.png"; or, as keys of "out", "overlay (image): \"overlay\": \"FILE.png\"". */
void request_add_offers(const struct request *request, bool as_json, struct cr_text *text);
/* Is every input given? The message lists the missing ones: as options, or as keys of "in". */
int request_check_complete(const struct request *request, bool as_json, struct cr_error *err);

/* Make the value of an input from an argument (`text`: FILE, @FILE, TEXT, @- by type), or from the
 * value of a key of "in". */
int feed_load_argument(struct feed *feed, const char *text, struct cr_error *err);
int feed_load_json(struct feed *feed, const cJSON *value, struct cr_error *err);

/* Hand the inputs and wishes to a new run. */
int request_prepare(const struct request *request, struct cr_pipeline *pipeline,
                    struct cr_run **run, struct cr_error *err);

/* Refuse a run that does not fit into memory, before anything is loaded. */
int request_check_memory(struct cr_run *run, struct cr_error *err);

/* Write the files of a run that succeeded. Nothing for sinks without a path or with "-". */
int request_save(const struct request *request, const struct cr_run *run, struct cr_error *err);
/* What goes to standard output for the sink "-". */
int sink_print(const struct sink *sink, const struct cr_value *value, struct cr_error *err);
/* The member "outputs" of a JSON result. */
void request_add_outputs(const struct request *request, const struct cr_run *run,
                         struct cr_text *json);

/* All numbers of a tensor as nested lists; NaN and infinities, which JSON lacks, become null. */
int tensor_print(const struct cr_tensor *tensor, struct cr_text *json, struct cr_error *err);

#endif

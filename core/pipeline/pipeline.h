/* SPDX-License-Identifier: MIT */
/* pipeline.h: a pipeline as the files of this room share it.
 *
 * The way of a pipeline: layers.c reads the files and lays them over each other; check.c, bind.c
 * and wires.c turn the merged tree into nodes and report every mistake on the way; graph.c puts the
 * nodes in order. From then on nothing changes but the states of the stages: print.c, dot.c and
 * run.c read. Everything that lives as long as the pipeline lies in its arena. */
#ifndef CR_PIPELINE_PIPELINE_H
#define CR_PIPELINE_PIPELINE_H

#include <sys/types.h>

#include <crayon/pipeline.h>

#include "base/arena.h"
#include "base/json.h"
#include "pipeline/names.h"

#define CR_PIPELINE_FORMAT 1
#define CR_MAX_CHAIN 8 /* files that extend each other */

/* Where a part of the merged tree was written. */
struct cr_layer {
    char *file;   /* as messages show it; "--set" */
    char *folder; /* from which its relative paths start */
    cJSON *tree;  /* NULL: no changes */
    struct cr_names stages;
    dev_t device; /* which file it is; 0, 0: none */
    ino_t inode;
};

/* What a wire starts from: an input of the pipeline, or an output of a stage. */
struct cr_source {
    const char *name;     /* of the input, or of the port */
    struct cr_node *node; /* NULL: an input of the pipeline */
    enum cr_type type;    /* 0: not known because of a mistake elsewhere */
    size_t index;         /* among all sources: where a run keeps its value */
    size_t wires;         /* that start here */
};

/* What is connected to one input port of a stage. */
struct cr_wires {
    struct cr_source **sources;
    size_t count;
};

/* A device that is open. */
struct cr_opened {
    const char *asked; /* as a stage or the pipeline names it */
    char name[64];     /* as it calls itself */
    struct cr_device *device;
    struct cr_device *real; /* while the pipeline is planned: what `device` stands for; else NULL */
    struct cr_opened *next;
};

/* A stage. */
struct cr_node {
    const char *name;
    const cJSON *json;                /* its object in the merged tree */
    const struct cr_element *element; /* NULL: not known because of a mistake (while checking) */
    void *state;                      /* of element->state_size bytes */
    struct cr_wires *inputs;          /* one for each input port of the element */
    size_t input_count;
    struct cr_source *outputs; /* one for each output port of the element */
    size_t output_count;
    size_t place;             /* in the file */
    size_t batch;             /* items that it takes at once; 0: any number */
    const char *device;       /* that the stage names; NULL: the pipeline's */
    struct cr_opened *opened; /* NULL: not asked for so far */
    bool release;             /* close after each run, and give its device's memory back */
    bool lacks_wire; /* one that is written leads from something unknown (while checking) */
    bool is_sound;   /* nothing wrong with it was found (while checking) */
    bool is_needed;  /* by an output of the pipeline */
    bool is_open;
    bool was_open; /* in a run so far */
};

struct cr_output {
    const char *name;
    const char *wire; /* as the file has it */
    struct cr_source *source;
};

struct cr_pipeline {
    const struct cr_registry *registry;
    char *name;
    struct cr_arena arena;

    const char *device; /* of stages that name none; NULL: "auto" */
    struct cr_device_params device_params;
    bool profiled; /* devices time each operation */
    struct cr_opened *devices;
    struct cr_held_model *models; /* that open stages have loaded from */
    bool warned;                  /* of what no stage loads */
    bool plans;                   /* devices only count: plan.c */

    struct cr_layer layers[1 + CR_MAX_CHAIN]; /* --set; the file; what it extends; ... */
    size_t layer_count;
    cJSON *tree; /* all layers over each other */

    struct cr_source *inputs;
    size_t input_count;
    struct cr_names input_names;
    struct cr_node *nodes; /* in the order of the file */
    size_t node_count;
    struct cr_names node_names;
    struct cr_node **order; /* the same nodes in the order in which they run */
    struct cr_output *outputs;
    size_t output_count;
    size_t source_count;
};

/* ---- layers.c, sets.c ---- */

/* Read the file, or the text that stands for it (NULL: read), and all that it extends. What is
 * wrong inside the files goes into the report; a first file that cannot be read at all is a
 * failure. */
int cr_layers_load(struct cr_pipeline *pipeline, const char *path, const char *text, size_t size,
                   struct cr_report *report, struct cr_error *err);
/* Make pipeline->tree from the files, and lay the changes over it. */
int cr_layers_merge(struct cr_pipeline *pipeline, const char *const *sets, size_t count,
                    struct cr_report *report, struct cr_error *err);
/* The changes as a tree in the layer of their own; what is wrong with them goes into the report. */
int cr_sets_read(struct cr_pipeline *pipeline, const char *const *sets, size_t count,
                 struct cr_report *report, struct cr_error *err);
/* The value of a change: JSON if it parses, else the text itself. NULL in `*out`: not even valid
 * UTF-8. */
int cr_sets_value(const char *text, cJSON **out, struct cr_error *err);
void cr_layers_finish(struct cr_pipeline *pipeline);

/* A place in the tree: the steps of a JSON pointer, up to the first NULL. */
#define CR_MAX_STEPS 6
struct cr_place {
    const char *steps[CR_MAX_STEPS];
};
#define CR_PLACE(...)                                                                              \
    (struct cr_place)                                                                              \
    {                                                                                              \
        {                                                                                          \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }

/* The layer that had the last word on a place. For a stage as a whole, and for what nobody wrote in
 * it: the layer that says its "use"; elsewhere, for what nobody wrote: that of the nearest part
 * around it. */
const struct cr_layer *cr_layer_of(const struct cr_pipeline *pipeline, struct cr_place place);
/* The layer that made the stage what it is, if another one below had made it something else; the
 * layers after it are then about that other plugin. NULL: the stage never changed its plugin. */
const struct cr_layer *cr_layer_of_change(const struct cr_pipeline *pipeline, const char *stage);

/* ---- check.c, graph.c ---- */

/* Build the graph from the merged tree, reporting every mistake. Fails only for want of memory. */
int cr_pipeline_check(struct cr_pipeline *pipeline, struct cr_report *report, struct cr_error *err);

/* ---- devices.c ---- */

/* The device that the stage computes on, opened if it is not; borrowed from the pipeline. */
int cr_node_device(struct cr_pipeline *pipeline, struct cr_node *node, struct cr_device **device,
                   struct cr_error *err);
/* The device that the stage computes on, or will, if it is open; NULL: it is not. */
struct cr_opened *cr_node_opened(const struct cr_pipeline *pipeline, const struct cr_node *node);
/* Wait for what the stage left on its device, if it has one. */
int cr_node_finish(const struct cr_node *node, struct cr_error *err);
/* Stages that ask for `name` get this device, which is open already. */
int cr_pipeline_lend(struct cr_pipeline *pipeline, const char *name, struct cr_device *device,
                     struct cr_error *err);
void cr_devices_close(struct cr_pipeline *pipeline);
/* Put devices that only count in the place of those that are open, and of those that will be
 * opened, until cr_devices_end_plan(). */
int cr_devices_begin_plan(struct cr_pipeline *pipeline, struct cr_error *err);
void cr_devices_end_plan(struct cr_pipeline *pipeline);

/* ---- write.c ---- */

/* Append a tree as indented JSON, for people: short lists and objects stay on one line. */
void cr_json_write(struct cr_text *text, const cJSON *item);

#endif

/* SPDX-License-Identifier: MIT */
/* check.h: what the steps of checking share. */
#ifndef CR_PIPELINE_CHECK_H
#define CR_PIPELINE_CHECK_H

#include "pipeline/hint.h"
#include "pipeline/pipeline.h"

/* Memory that could not be had is remembered, so that the steps need no results: one look at the
 * end is enough. */
struct cr_checker {
    struct cr_pipeline *pipeline;
    struct cr_report *report;
    bool no_memory;
    bool no_inputs, no_stages; /* these parts are unusable, and reported: wires say nothing more */
};

/* Report a mistake about a place, or something worth knowing, under the name of the file that wrote
 * it. */
void cr_problem(struct cr_checker *checker, struct cr_place place, const char *format, ...)
    CR_PRINTF(3, 4);
void cr_remark(struct cr_checker *checker, const struct cr_layer *layer, struct cr_place place,
               const char *format, ...) CR_PRINTF(4, 5);

/* Zeroed memory of the pipeline for `count` things; NULL, and remembered, when there is none. */
void *cr_check_alloc(struct cr_checker *checker, size_t count, size_t bytes);

/* "an image", "a panoptic map", ... */
const char *cr_type_words(enum cr_type type);

/* ---- bind.c: one stage ---- */

/* The element that "use" names, silently, and room for its ports. */
void cr_node_declare(struct cr_checker *checker, struct cr_node *node);
/* Everything that one stage says, with every mistake; its state is filled. */
void cr_node_check(struct cr_checker *checker, struct cr_node *node);
/* The check of the plugin itself, once all wires are known. */
void cr_node_ask_plugin(struct cr_checker *checker, struct cr_node *node);

/* ---- wires.c ---- */

/* What the wire starts from. NULL: reported, or the stage it names is not known for a reason that
 * is reported there. */
struct cr_source *cr_wire_resolve(struct cr_checker *checker, struct cr_place place,
                                  const cJSON *wire);
/* The member "in" of a stage. */
void cr_node_connect(struct cr_checker *checker, struct cr_node *node, const cJSON *in);
/* Ports that must be connected and are not. */
void cr_node_check_ports(struct cr_checker *checker, struct cr_node *node, const cJSON *in);
/* Something that a stage inherited and that its new plugin lacks: dropped with a remark, true. */
bool cr_node_drops(struct cr_checker *checker, const struct cr_node *node, struct cr_place place,
                   const char *what);

/* ---- graph.c ---- */

/* Put the nodes in order; rings are mistakes. */
void cr_graph_order(struct cr_checker *checker);
/* Mark what the outputs need; the rest is worth a remark. */
void cr_graph_mark_needed(struct cr_checker *checker);

#endif

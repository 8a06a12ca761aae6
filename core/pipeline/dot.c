/* SPDX-License-Identifier: MIT */
/* dot.c: the pipeline as a drawing for dot(1). Names need no escapes: the checks of pipelines and
 * plugins let letters, digits, _ and - pass. */
#include <string.h>

#include "pipeline/pipeline.h"

/* A column of ports: "|{<i0> image|<i1> panoptic}". */
static void write_column(struct cr_text *text, char kind, size_t index, const char *name)
{
    cr_text_printf(text, "%s<%c%zu> %s", index == 0 ? "{" : "|", kind, index, name);
}

static void write_node(struct cr_text *text, const struct cr_node *node)
{
    cr_text_printf(text, "    \"%s\" [label=\"{", node->name);
    for (size_t i = 0; i < node->input_count; i++)
        write_column(text, 'i', i, node->element->inputs[i]->name);
    cr_text_add(text, node->input_count > 0 ? "}|" : "");
    cr_text_add(text, node->name);
    if (strcmp(node->name, node->element->name) != 0)
        cr_text_printf(text, "\\n(%s)", node->element->name);
    cr_text_add(text, node->output_count > 0 ? "|" : "");
    for (size_t i = 0; i < node->output_count; i++)
        write_column(text, 'o', i, node->outputs[i].name);
    cr_text_add(text, node->output_count > 0 ? "}}\"" : "}\"");
    cr_text_add(text, node->is_needed ? "];\n" : ", style=dashed];\n");
}

static void write_source(struct cr_text *text, const struct cr_source *source)
{
    if (source->node == NULL)
        cr_text_printf(text, "    \"@%s\"", source->name);
    else
        cr_text_printf(text, "    \"%s\":o%zu", source->node->name,
                       (size_t)(source - source->node->outputs));
}

static void write_wires(struct cr_text *text, const struct cr_node *node)
{
    for (size_t i = 0; i < node->input_count; i++) {
        for (size_t j = 0; j < node->inputs[i].count; j++) {
            const struct cr_source *source = node->inputs[i].sources[j];
            write_source(text, source);
            cr_text_printf(text, " -> \"%s\":i%zu [label=\"%s\"];\n", node->name, i,
                           cr_type_name(source->type));
        }
    }
}

int cr_pipeline_graph(const struct cr_pipeline *pipeline, char **dot, struct cr_error *err)
{
    struct cr_text text = CR_TEXT_INIT;
    cr_text_add(&text, "digraph ");
    cr_json_quote(&text, pipeline->name);
    cr_text_add(&text, " {\n"
                       "    rankdir=LR;\n"
                       "    node [shape=Mrecord, fontname=\"sans-serif\", fontsize=11];\n"
                       "    edge [fontname=\"sans-serif\", fontsize=9, color=gray40];\n");
    for (size_t i = 0; i < pipeline->input_count; i++)
        cr_text_printf(&text, "    \"@%s\" [shape=ellipse, label=\"%s\"];\n",
                       pipeline->inputs[i].name, pipeline->inputs[i].name);
    for (size_t i = 0; i < pipeline->node_count; i++)
        write_node(&text, &pipeline->nodes[i]);
    /* Stage names hold no "=". */
    for (size_t i = 0; i < pipeline->output_count; i++)
        cr_text_printf(&text, "    \"=%s\" [shape=ellipse, label=\"%s\"];\n",
                       pipeline->outputs[i].name, pipeline->outputs[i].name);
    for (size_t i = 0; i < pipeline->node_count; i++)
        write_wires(&text, &pipeline->nodes[i]);
    for (size_t i = 0; i < pipeline->output_count; i++) {
        const struct cr_output *output = &pipeline->outputs[i];
        write_source(&text, output->source);
        cr_text_printf(&text, " -> \"=%s\" [label=\"%s\"];\n", output->name,
                       cr_type_name(output->source->type));
    }
    cr_text_add(&text, "}\n");
    *dot = cr_text_take(&text);
    return *dot != NULL ? 0 : cr_fail_memory(err, 1);
}

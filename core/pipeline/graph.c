/* SPDX-License-Identifier: MIT */
/* graph.c: the order of the stages, the rings that forbid one, and what nobody needs. */
#include "pipeline/check.h"

/* The nodes that take values from a node. */
struct follower {
    struct cr_node *node;
    struct follower *next;
};

/* Everything but the result lies in an arena that goes when the order is found. Arrays have an
 * entry for each node. */
struct sorter {
    struct cr_checker *checker;
    struct cr_pipeline *pipeline;
    struct cr_arena arena;
    struct follower **followers;
    size_t *waits; /* for so many wires whose sources have not been put in order */
    size_t *heap;  /* places of nodes that wait for nothing, the smallest on top */
    size_t heap_count;
    size_t done;
};

static void *allocate(struct sorter *sorter, size_t count, size_t bytes)
{
    void *memory = cr_arena_alloc(&sorter->arena, count * bytes);
    sorter->checker->no_memory = sorter->checker->no_memory || memory == NULL;
    return memory;
}

/* ---- The heap ---- */

static void swap(size_t *a, size_t *b)
{
    size_t other = *a;
    *a = *b;
    *b = other;
}

static void heap_push(struct sorter *sorter, size_t place)
{
    size_t *heap = sorter->heap, at = sorter->heap_count++;
    heap[at] = place;
    for (; at > 0 && heap[(at - 1) / 2] > heap[at]; at = (at - 1) / 2)
        swap(&heap[(at - 1) / 2], &heap[at]);
}

static size_t heap_pop(struct sorter *sorter)
{
    size_t *heap = sorter->heap, top = heap[0], count = --sorter->heap_count, at = 0;
    heap[0] = heap[count];
    for (size_t child = 1; child < count; child = 2 * at + 1) {
        if (child + 1 < count && heap[child + 1] < heap[child])
            child++;
        if (heap[at] <= heap[child])
            break;
        swap(&heap[at], &heap[child]);
        at = child;
    }
    return top;
}

/* ---- The order ---- */

static void add_followers(struct sorter *sorter, struct cr_node *node)
{
    for (size_t i = 0; i < node->input_count; i++) {
        for (size_t j = 0; j < node->inputs[i].count; j++) {
            const struct cr_node *source = node->inputs[i].sources[j]->node;
            struct follower *follower =
                source == NULL ? NULL : allocate(sorter, 1, sizeof(*follower));
            if (follower == NULL)
                continue;
            *follower = (struct follower){node, sorter->followers[source->place]};
            sorter->followers[source->place] = follower;
            sorter->waits[node->place]++;
        }
    }
}

/* Always the first stage of the file whose sources are there: a file that is in order stays so. */
static void sort(struct sorter *sorter)
{
    struct cr_pipeline *pipeline = sorter->pipeline;
    for (size_t i = 0; i < pipeline->node_count; i++)
        if (sorter->waits[i] == 0)
            heap_push(sorter, i);
    while (sorter->heap_count > 0) {
        size_t place = heap_pop(sorter);
        pipeline->order[sorter->done++] = &pipeline->nodes[place];
        for (struct follower *f = sorter->followers[place]; f != NULL; f = f->next)
            if (--sorter->waits[f->node->place] == 0)
                heap_push(sorter, f->node->place);
    }
}

/* ---- Rings ---- */

#define MAX_RINGS 20 /* reported; more say nothing new */

/* A walk against the wires, from each stage to those that it takes values from. */
struct step {
    struct cr_node *node;
    size_t input, wire; /* to be followed next */
};

struct walk {
    struct step *steps;
    size_t length;
    enum {
        UNSEEN,
        ON_THE_WALK,
        LEFT
    } * states;
    size_t rings;
};

static void report_ring(struct sorter *sorter, const struct walk *walk, const struct cr_node *start)
{
    const struct step *last = &walk->steps[walk->length - 1];
    struct cr_text ring = CR_TEXT_INIT;
    cr_text_add(&ring, start->name);
    for (const struct step *step = last; step->node != start; step--)
        cr_text_printf(&ring, " -> %s", step->node->name);
    cr_text_printf(&ring, " -> %s", start->name);
    if (ring.failed)
        sorter->checker->no_memory = true;
    else
        cr_problem(sorter->checker,
                   CR_PLACE("stages", last->node->name, "in",
                            last->node->element->inputs[last->input]->name),
                   "the stages feed each other in a ring: %s", ring.data);
    cr_text_finish(&ring);
}

/* The node behind the next wire of the step, or NULL after the last one. */
static struct cr_node *next_source(struct step *step)
{
    for (; step->input < step->node->input_count; step->input++, step->wire = 0) {
        const struct cr_wires *wires = &step->node->inputs[step->input];
        while (step->wire < wires->count) {
            struct cr_node *source = wires->sources[step->wire++]->node;
            if (source != NULL)
                return source;
        }
    }
    return NULL;
}

static void enter(struct walk *walk, struct cr_node *node)
{
    walk->states[node->place] = ON_THE_WALK;
    walk->steps[walk->length++] = (struct step){node, 0, 0};
}

/* Walk everything behind `start`; a wire to a stage on the walk closes a ring. */
static void find_rings(struct sorter *sorter, struct walk *walk, struct cr_node *start)
{
    enter(walk, start);
    while (walk->length > 0) {
        struct step *step = &walk->steps[walk->length - 1];
        struct cr_node *source = next_source(step);
        if (source == NULL) {
            walk->states[step->node->place] = LEFT;
            walk->length--;
        } else if (walk->states[source->place] == UNSEEN) {
            enter(walk, source);
        } else if (walk->states[source->place] == ON_THE_WALK && walk->rings++ < MAX_RINGS) {
            report_ring(sorter, walk, source);
        }
    }
}

static void report_rings(struct sorter *sorter)
{
    struct cr_pipeline *pipeline = sorter->pipeline;
    struct walk walk = {
        .steps = allocate(sorter, pipeline->node_count, sizeof(*walk.steps)),
        .states = allocate(sorter, pipeline->node_count, sizeof(*walk.states)),
    };
    for (size_t i = 0; i < pipeline->node_count && !sorter->checker->no_memory; i++)
        if (walk.states[i] == UNSEEN)
            find_rings(sorter, &walk, &pipeline->nodes[i]);
}

void cr_graph_order(struct cr_checker *checker)
{
    struct cr_pipeline *pipeline = checker->pipeline;
    size_t count = pipeline->node_count;
    struct sorter sorter = {.checker = checker, .pipeline = pipeline, .arena = CR_ARENA_INIT};
    pipeline->order = cr_check_alloc(checker, count, sizeof(*pipeline->order));
    sorter.followers = allocate(&sorter, count, sizeof(*sorter.followers));
    sorter.waits = allocate(&sorter, count, sizeof(*sorter.waits));
    sorter.heap = allocate(&sorter, count, sizeof(*sorter.heap));
    for (size_t i = 0; i < count && !checker->no_memory; i++)
        add_followers(&sorter, &pipeline->nodes[i]);
    if (!checker->no_memory)
        sort(&sorter);
    if (!checker->no_memory && sorter.done < count)
        report_rings(&sorter);
    cr_arena_finish(&sorter.arena);
}

/* ---- What is needed ---- */

/* Against the order: whoever needs a stage comes before it. */
static void mark_sources(struct cr_pipeline *pipeline)
{
    for (size_t i = 0; i < pipeline->output_count; i++)
        if (pipeline->outputs[i].source->node != NULL)
            pipeline->outputs[i].source->node->is_needed = true;
    for (size_t i = pipeline->node_count; i-- > 0;) {
        const struct cr_node *node = pipeline->order[i];
        for (size_t j = 0; j < node->input_count && node->is_needed; j++)
            for (size_t k = 0; k < node->inputs[j].count; k++)
                if (node->inputs[j].sources[k]->node != NULL)
                    node->inputs[j].sources[k]->node->is_needed = true;
    }
}

void cr_graph_mark_needed(struct cr_checker *checker)
{
    struct cr_pipeline *pipeline = checker->pipeline;
    mark_sources(pipeline);
    for (size_t i = 0; i < pipeline->input_count; i++) {
        struct cr_place place = CR_PLACE("inputs", pipeline->inputs[i].name);
        if (pipeline->inputs[i].wires == 0)
            cr_remark(checker, cr_layer_of(pipeline, place), place, "nothing uses this input");
    }
    for (size_t i = 0; i < pipeline->node_count; i++) {
        struct cr_place place = CR_PLACE("stages", pipeline->nodes[i].name);
        if (!pipeline->nodes[i].is_needed)
            cr_remark(checker, cr_layer_of(pipeline, place), place,
                      "no output needs this stage: it never runs");
    }
}

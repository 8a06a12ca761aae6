/* SPDX-License-Identifier: MIT */
/* measure.h: panoptic quality (Kirillov et al., "Panoptic Segmentation", arXiv 1801.00868).
 *
 * A predicted and a true segment of one class match if their intersection over union is above 1/2;
 * since segments do not overlap, there is at most one match for each. Over all pictures, a class
 * has
 *
 *     PQ = (sum of the IoU of its matches) / (TP + FP/2 + FN/2)
 *     SQ = (sum of the IoU of its matches) / TP        RQ = TP / (TP + FP/2 + FN/2)     PQ = SQ RQ
 *
 * and a set of classes the mean over those that occur. Pixels where the truth is void (id 0) do not
 * count for the union; true crowd segments are neither matched nor missed; and a predicted segment
 * that was not matched is not false if more than half of it lies on void and on crowds of its
 * class. */
#ifndef TASK_PANOPTIC_MEASURE_H
#define TASK_PANOPTIC_MEASURE_H

#include <crayon/error.h>

struct pq_segment {
    int32_t id;    /* > 0; each once in a map */
    int32_t class; /* an index; of a prediction < 0: none, matches nothing and is not false */
    bool crowd;    /* of the truth */
};

struct pq_map {
    const int32_t *ids; /* of the pixels; <= 0: void */
    const struct pq_segment *segments;
    size_t count;
    bool unlisted_is_void; /* of a prediction: else an id that is not listed is an error */
};

/* What one picture adds to one class. */
enum pq_kind {
    PQ_TRUE_POSITIVE,
    PQ_FALSE_POSITIVE,
    PQ_FALSE_NEGATIVE
};

struct pq_outcome {
    int32_t class;
    enum pq_kind kind;
    double iou; /* of a true positive */
};

/* Compare the maps of one picture. `*outcomes` is a new list, freed with cr_free(). A predicted
 * segment without a pixel is CR_ERR_FORMAT. Pixels of the truth whose id is not listed belong to
 * nothing, and are not void. */
int pq_compare(struct pq_outcome **outcomes, size_t *count, const struct pq_map *truth,
               const struct pq_map *prediction, size_t pixels, struct cr_error *err);

struct pq_tally {
    double iou;
    uint64_t true_positives, false_positives, false_negatives;
};

/* Add to the tallies of the classes, in the order of the list. */
void pq_add(struct pq_tally *tallies, const struct pq_outcome *outcomes, size_t count);

struct pq_quality {
    double pq, sq, rq;
};

/* Does the class occur? Its quality: 0 if nothing matched. */
bool pq_occurs(const struct pq_tally *tally);
struct pq_quality pq_quality_of(const struct pq_tally *tally);

/* A mean over classes, to which they are added one by one. */
struct pq_mean {
    struct pq_quality sum;
    uint64_t classes;
};
void pq_mean_add(struct pq_mean *mean, const struct pq_tally *tally); /* unless it is absent */
struct pq_quality pq_mean_of(const struct pq_mean *mean);             /* NaN: no class occurs */

#endif

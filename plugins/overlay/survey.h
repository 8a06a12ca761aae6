/* SPDX-License-Identifier: MIT */
/* survey.h: what a panoptic map holds: how large every segment is, where its visual centre lies,
 * which number and colour it has. */
#ifndef OVERLAY_SURVEY_H
#define OVERLAY_SURVEY_H

#include <crayon/panoptic.h>

#define SURVEY_NONE (-1) /* background, or an id that is not listed */

/* A segment, at the position that it has in the map's list. */
struct surveyed {
    int32_t label;
    bool thing, crowd;
    bool alone;     /* the only one of its class that has a pixel */
    int32_t number; /* 1, 2, ... within its class; 0: not counted */
    int64_t area;   /* pixels */
    int32_t rank;   /* things over stuff, small over large: who keeps its pixels at an edge */
    double x, y;    /* the visual centre, in pixels of the map */
    double radius;  /* of the largest circle around it that stays inside, about */
    uint8_t color[3];
    /* While surveying: the middle of the longest run of pixels. */
    int32_t run, run_x, run_y;
};

struct survey {
    struct cr_size size;
    const struct cr_panoptic *panoptic; /* borrowed */
    struct surveyed *segments;
    size_t count;
    struct survey_key {
        int32_t id, index;
    } * keys; /* sorted by id */
    /* A reduced copy of the map, in positions of the list; and the distance of its cells to the
     * nearest other segment or border, in thirds of a cell. */
    struct cr_size reduced;
    int32_t *map;
    int32_t *distance;
};

/* Survey `panoptic`, which must outlive the survey. It is `original` resized: segments that have no
 * cell when that is reduced to `grid` get no number, unless `grid` is {0, 0}. */
int survey_create(struct survey *survey, const struct cr_panoptic *panoptic,
                  const struct cr_panoptic *original, struct cr_size grid, struct cr_error *err);
void survey_finish(struct survey *survey);

/* The positions in the list for row `y` of the map. */
void survey_row(const struct survey *survey, int32_t y, int32_t *indices);
/* The position in the list of what covers a point of the map, from the reduced copy; SURVEY_NONE
 * outside. */
int32_t survey_at(const struct survey *survey, double x, double y);

#endif

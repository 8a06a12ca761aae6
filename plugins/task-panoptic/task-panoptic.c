/* SPDX-License-Identifier: MIT */
/* task-panoptic: panoptic quality between two COCO data sets, or of a pipeline against one. */
#include <string.h>

#include <crayon/plugin.h>

#include "measure.h"

/* What was found in one picture. */
struct scored {
    struct pq_outcome *outcomes;
    size_t count;
    size_t unknown; /* predicted segments whose class the truth does not have */
};

struct task_panoptic {
    const char *annotations, *masks, *predictions, *prediction_masks, *images;
    struct cr_coco *truth, *predicted;
    struct scored *scored; /* one for each annotation of the truth */
    /* Labels as classes of the truth; -1: none of them. */
    int32_t class_of_label[CR_COCO_LABELS];
};

static void check(const void *state, struct cr_check *check)
{
    const struct task_panoptic *task = state;
    bool piped = cr_check_connected(check, "panoptic"), filed = task->predictions != NULL;
    if (piped == filed)
        cr_check_problem(check, "predictions",
                         piped ? "the pipeline predicts already: one of both"
                               : "what is to be scored? Set this to the predictions' JSON file, or "
                                 "name a pipeline");
    if (piped && cr_check_connected(check, "image") && task->images == NULL)
        cr_check_problem(check, "images", "the folder of the photographs is needed");
    if (!filed && task->prediction_masks != NULL)
        cr_check_problem(check, "prediction_masks", "there are no predictions in files");
}

/* ---- Opening ---- */

static void index_labels(struct task_panoptic *task)
{
    for (int32_t label = 0; label < CR_COCO_LABELS; label++)
        task->class_of_label[label] = -1;
    for (size_t i = 0; i < cr_coco_classes(task->truth); i++) {
        int32_t label = cr_coco_class(task->truth, i).label;
        if (label != CR_LABEL_UNKNOWN)
            task->class_of_label[label] = (int32_t)i;
    }
}

static int open_task(void *state, struct cr_task_context *context, size_t *count,
                     struct cr_error *err)
{
    struct task_panoptic *task = state;
    (void)context;
    int result = cr_coco_open(&task->truth, task->annotations, task->masks, err);
    if (result == 0 && cr_coco_classes(task->truth) == 0)
        result = cr_fail(err, CR_ERR_FORMAT, "%s: declares no \"categories\"", task->annotations);
    if (result == 0 && task->predictions != NULL)
        result = cr_coco_open(&task->predicted, task->predictions, task->prediction_masks, err);
    if (result < 0)
        return result;
    index_labels(task);
    *count = cr_coco_count(task->truth);
    task->scored = cr_calloc(*count, sizeof(*task->scored));
    return task->scored != NULL ? 0 : cr_fail_memory(err, *count * sizeof(*task->scored));
}

static void close_task(void *state)
{
    struct task_panoptic *task = state;
    for (size_t i = 0; task->scored != NULL && i < cr_coco_count(task->truth); i++)
        cr_free(task->scored[i].outcomes);
    cr_free(task->scored);
    task->scored = NULL;
    cr_coco_close(&task->truth);
    cr_coco_close(&task->predicted);
}

/* ---- Items ---- */

static int load_image(const struct task_panoptic *task, const char *name, struct cr_image **image,
                      struct cr_error *err)
{
    char *path = cr_asprintf("%s/%s", task->images, name);
    if (path == NULL)
        return cr_fail_memory(err, strlen(name));
    int result = cr_image_load(image, path, NULL, err);
    cr_free(path);
    return result;
}

static int item(void *state, size_t index, struct cr_task_context *context, struct cr_error *err)
{
    const struct task_panoptic *task = state;
    struct cr_coco_entry entry = cr_coco_entry(task->truth, index);
    struct cr_image *image = NULL;
    struct cr_value *value = NULL;
    int result = cr_task_name(context, entry.image != NULL ? entry.image : entry.png, err);
    if (result < 0 || !cr_task_wants(context, "image"))
        return result;
    if (entry.image == NULL)
        return cr_fail(err, CR_ERR_FORMAT,
                       "%s: \"images\" does not list image %lld, so its photograph has no name",
                       task->annotations, (long long)entry.image_id);
    result = load_image(task, entry.image, &image, err);
    if (result == 0)
        result = cr_value_from_image(&value, image, err);
    if (result == 0)
        cr_task_output(context, "image", &value);
    cr_value_unref(&value);
    cr_image_unref(&image);
    return result;
}

/* ---- Scoring ---- */

/* A map and its segments as the measure wants them. */
struct side {
    struct cr_panoptic *map;
    struct pq_segment *segments;
    struct pq_map measured;
};

static void side_finish(struct side *side)
{
    cr_panoptic_unref(&side->map);
    cr_free(side->segments);
}

static int side_list(struct side *side, struct cr_error *err)
{
    size_t count = cr_panoptic_count(side->map);
    if ((side->segments = cr_calloc(count + 1, sizeof(*side->segments))) == NULL)
        return cr_fail_memory(err, count * sizeof(*side->segments));
    side->measured = (struct pq_map){cr_panoptic_ids(side->map), side->segments, 0};
    return 0;
}

static void side_add(struct side *side, const struct cr_segment *segment, int32_t class)
{
    side->segments[side->measured.count++] =
        (struct pq_segment){segment->id, class, segment->crowd};
}

/* A map from a file: every segment has to be of a class that the truth declares. */
static int load_side(struct side *side, const struct task_panoptic *task,
                     const struct cr_coco *coco, size_t index, struct cr_error *err)
{
    int result = cr_coco_map(&side->map, coco, index, err);
    if (result == 0)
        result = side_list(side, err);
    for (size_t i = 0; result == 0 && i < cr_panoptic_count(side->map); i++) {
        const struct cr_segment *segment = cr_panoptic_segment(side->map, i);
        size_t class = 0;
        while (class < cr_coco_classes(task->truth) &&
               cr_coco_class(task->truth, class).category_id != segment->category_id)
            class ++;
        if (class == cr_coco_classes(task->truth))
            return cr_fail(err, CR_ERR_FORMAT,
                           "%s: segment %d has the category_id %lld, which %s does not declare",
                           coco == task->truth ? task->annotations : task->predictions, segment->id,
                           (long long)segment->category_id, task->annotations);
        side_add(side, segment, (int32_t) class);
    }
    return result;
}

static int load_prediction(struct side *side, const struct task_panoptic *task, size_t index,
                           struct cr_error *err)
{
    struct cr_coco_entry entry = cr_coco_entry(task->truth, index);
    size_t found = cr_coco_find(task->predicted, entry.image_id);
    if (found == cr_coco_count(task->predicted))
        return cr_fail(err, CR_ERR_NOT_FOUND, "%s: no prediction for image %lld", task->predictions,
                       (long long)entry.image_id);
    return load_side(side, task, task->predicted, found, err);
}

static void mark_pixels(const struct cr_panoptic *map, bool *has_pixels)
{
    struct cr_size size = cr_panoptic_size(map);
    const int32_t *ids = cr_panoptic_ids(map);
    int32_t last = 0;
    for (size_t i = 0; i < (size_t)size.height * (size_t)size.width; i++) {
        if (ids[i] == last)
            continue;
        last = ids[i];
        const struct cr_segment *segment = last > 0 ? cr_panoptic_find(map, last) : NULL;
        if (segment != NULL)
            has_pixels[segment - cr_panoptic_segment(map, 0)] = true;
    }
}

/* The answer of a pipeline, as it would be written into a file: without segments that have no
 * pixel; ids that are not listed are background. */
static int take_prediction(struct side *side, const struct task_panoptic *task,
                           const struct cr_panoptic *answer, size_t *unknown, struct cr_error *err)
{
    side->map = cr_panoptic_ref(answer);
    bool *has_pixels = cr_calloc(cr_panoptic_count(answer) + 1, sizeof(*has_pixels));
    int result =
        has_pixels != NULL ? side_list(side, err) : cr_fail_memory(err, cr_panoptic_count(answer));
    if (result == 0)
        mark_pixels(answer, has_pixels);
    for (size_t i = 0; result == 0 && i < cr_panoptic_count(answer); i++) {
        const struct cr_segment *segment = cr_panoptic_segment(answer, i);
        int32_t class =
            segment->label != CR_LABEL_UNKNOWN ? task->class_of_label[segment->label] : -1;
        if (!has_pixels[i])
            continue;
        *unknown += class < 0;
        side_add(side, segment, class);
    }
    side->measured.unlisted_is_void = true;
    cr_free(has_pixels);
    return result;
}

static int compare(struct task_panoptic *task, size_t index, const struct side *truth,
                   const struct side *prediction, struct cr_error *err)
{
    struct cr_size size = cr_panoptic_size(truth->map), other = cr_panoptic_size(prediction->map);
    struct scored *scored = &task->scored[index];
    if (size.height != other.height || size.width != other.width)
        return cr_fail(err, CR_ERR_FORMAT,
                       "the prediction measures %d x %d pixels, the annotation %d x %d",
                       other.width, other.height, size.width, size.height);
    int result = pq_compare(&scored->outcomes, &scored->count, &truth->measured,
                            &prediction->measured, (size_t)size.height * (size_t)size.width, err);
    if (result < 0 && task->predicted != NULL)
        cr_error_prefix(err, "%s", task->predictions);
    return result;
}

static int score(void *state, size_t index, struct cr_task_context *context, struct cr_error *err)
{
    struct task_panoptic *task = state;
    const struct cr_value *answer = cr_task_input(context, "panoptic");
    struct side truth = {.map = NULL}, prediction = {.map = NULL};
    size_t unknown = 0;
    int result = load_side(&truth, task, task->truth, index, err);
    if (result == 0 && answer != NULL)
        result = take_prediction(&prediction, task, cr_value_panoptic(answer, 0), &unknown, err);
    else if (result == 0)
        result = load_prediction(&prediction, task, index, err);
    if (result == 0)
        result = compare(task, index, &truth, &prediction, err);
    if (result == 0)
        task->scored[index].unknown = unknown;
    side_finish(&truth);
    side_finish(&prediction);
    return result;
}

/* ---- Figures ---- */

static void tell_quality(struct cr_task_context *context, const char *table, const char *row,
                         struct pq_quality quality)
{
    cr_task_figure(context, table, row, "PQ", CR_UNIT_SHARE, quality.pq);
    cr_task_figure(context, table, row, "SQ", CR_UNIT_SHARE, quality.sq);
    cr_task_figure(context, table, row, "RQ", CR_UNIT_SHARE, quality.rq);
}

static void tell_mean(struct cr_task_context *context, const char *row, const struct pq_mean *mean)
{
    tell_quality(context, "quality", row, pq_mean_of(mean));
    cr_task_figure(context, "quality", row, "classes", CR_UNIT_COUNT, (double)mean->classes);
}

static void tell_class(struct cr_task_context *context, const char *name,
                       const struct pq_tally *tally)
{
    if (!pq_occurs(tally))
        return;
    tell_quality(context, "classes", name, pq_quality_of(tally));
    cr_task_figure(context, "classes", name, "TP", CR_UNIT_COUNT, (double)tally->true_positives);
    cr_task_figure(context, "classes", name, "FP", CR_UNIT_COUNT, (double)tally->false_positives);
    cr_task_figure(context, "classes", name, "FN", CR_UNIT_COUNT, (double)tally->false_negatives);
}

static void tell(const struct task_panoptic *task, struct cr_task_context *context,
                 const struct pq_tally *tallies)
{
    struct pq_mean all = {.classes = 0}, things = {.classes = 0}, stuff = {.classes = 0};
    for (size_t i = 0; i < cr_coco_classes(task->truth); i++) {
        pq_mean_add(&all, &tallies[i]);
        pq_mean_add(cr_coco_class(task->truth, i).thing ? &things : &stuff, &tallies[i]);
    }
    tell_mean(context, "all", &all);
    tell_mean(context, "things", &things);
    tell_mean(context, "stuff", &stuff);
    for (size_t i = 0; i < cr_coco_classes(task->truth); i++)
        tell_class(context, cr_coco_class(task->truth, i).name, &tallies[i]);
}

/* The sums run in the order of the pictures, whichever thread was first. */
static int finish(void *state, struct cr_task_context *context, struct cr_error *err)
{
    const struct task_panoptic *task = state;
    size_t classes = cr_coco_classes(task->truth), unknown = 0;
    struct pq_tally *tallies = cr_calloc(classes, sizeof(*tallies));
    if (tallies == NULL)
        return cr_fail_memory(err, classes * sizeof(*tallies));
    for (size_t i = 0; i < cr_coco_count(task->truth); i++) {
        pq_add(tallies, task->scored[i].outcomes, task->scored[i].count);
        unknown += task->scored[i].unknown;
    }
    tell(task, context, tallies);
    if (unknown > 0)
        cr_task_log(context, CR_LOG_WARNING,
                    "predicted segments of no class that %s has: %zu; they match nothing",
                    task->annotations, unknown);
    cr_free(tallies);
    return 0;
}

static const struct cr_task_ops task_ops = {
    .size = sizeof(struct cr_task_ops),
    .check = check,
    .open = open_task,
    .item = item,
    .score = score,
    .finish = finish,
    .close = close_task,
};

static const struct cr_element task_element = {
    .size = sizeof(struct cr_element),
    .kind = CR_ELEMENT_TASK,
    .name = "task-panoptic",
    .summary = "panoptic quality (PQ, SQ, RQ) against COCO panoptic annotations",
    .description =
        "Compares panoptic maps with annotated ones, as the COCO panoptic challenge does "
        "(Kirillov et al., \"Panoptic Segmentation\", arXiv 1801.00868). The maps to be scored "
        "come from a pipeline, which is given the photographs, or lie in files: a data set in "
        "COCO's panoptic format, a JSON file and a folder with one PNG for each image. Images are "
        "met by their image_id.\n\n"
        "A predicted and an annotated segment of one class match if their intersection over union "
        "is above 1/2. Pixels that are not annotated (id 0) do not count for the union. Annotated "
        "groups (iscrowd) are neither matched nor missed, and a predicted segment that matches "
        "nothing is not counted as false if more than half of it lies on pixels that are not "
        "annotated and on groups of its class. SQ is the mean IoU of the matches, RQ = TP / (TP + "
        "FP/2 + FN/2), PQ = SQ RQ; the rows all, things and stuff are means over the classes that "
        "occur. Areas are counted in the PNG files, not read from the JSON files. All groups of a "
        "class in one image count together, where panopticapi looks at the last one only; COCO "
        "has no more than one.\n\n"
        "In files, a predicted segment that is not in the PNG, a colour that is not listed, a "
        "category that the annotations do not declare, and an image without a prediction are "
        "errors of that image. From a pipeline, segments without a pixel are left out, ids that "
        "are not listed are background, and segments of no known class match nothing; a warning "
        "says how many they were.",
    .inputs = CR_PORTS(CR_PORT("panoptic", CR_TYPE_PANOPTIC, CR_PORT_OPTIONAL,
                               "the map to be scored, in the size of the photograph")),
    .outputs = CR_PORTS(CR_PORT("image", CR_TYPE_IMAGE, 0, "the photograph")),
    .options = CR_OPTIONS(
        CR_OPTION_PATH("annotations", struct task_panoptic, annotations, NULL, CR_OPTION_REQUIRED,
                       "the JSON file of the annotations"),
        CR_OPTION_PATH("masks", struct task_panoptic, masks, NULL, 0,
                       "the folder of their PNG files; by default, beside the JSON file, the "
                       "folder of its name without .json, or else the folder panoptic"),
        CR_OPTION_PATH("predictions", struct task_panoptic, predictions, NULL, 0,
                       "the JSON file of the predictions, without a pipeline"),
        CR_OPTION_PATH("prediction_masks", struct task_panoptic, prediction_masks, NULL, 0,
                       "the folder of their PNG files; by default as for masks"),
        CR_OPTION_PATH("images", struct task_panoptic, images, NULL, 0,
                       "the folder of the photographs, for a pipeline")),
    .state_size = sizeof(struct task_panoptic),
    .flags = CR_ELEMENT_PARALLEL,
    .task = &task_ops,
};

CR_PLUGIN("task-panoptic", CR_VERSION, "MIT", "panoptic quality", &task_element);

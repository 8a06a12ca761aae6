/* SPDX-License-Identifier: MIT */
/* The measure of task-panoptic on pictures that can be checked with a pencil. */
#include <math.h>

#include <crayon/memory.h>

#include "measure.h"
#include "test.h"

#define CLASSES 3

/* A picture of one row: a letter is the segment of that name, '.' is void. Segments are listed as
 * "a0 b1*": the letter, the class ('-': none), and '*' for a crowd. */
struct picture {
    const char *truth, *truth_list;
    const char *prediction, *prediction_list;
};

static size_t read_list(struct pq_segment *segments, const char *list)
{
    size_t count = 0;
    for (const char *at = list; *at != '\0';) {
        struct pq_segment *segment = &segments[count++];
        *segment = (struct pq_segment){at[0], at[1] == '-' ? -1 : at[1] - '0', at[2] == '*'};
        at += 2 + segment->crowd;
        at += *at == ' ';
    }
    return count;
}

static void read_ids(int32_t *ids, const char *row)
{
    for (size_t i = 0; row[i] != '\0'; i++)
        ids[i] = row[i] == '.' ? 0 : row[i];
}

static int compare(struct pq_outcome **outcomes, size_t *count, const struct picture *picture,
                   bool unlisted_is_void, struct cr_error *err)
{
    int32_t truth_ids[64], prediction_ids[64];
    struct pq_segment truths[16], predictions[16];
    assert_int_equal(strlen(picture->truth), strlen(picture->prediction));
    read_ids(truth_ids, picture->truth);
    read_ids(prediction_ids, picture->prediction);
    const struct pq_map truth = {truth_ids, truths, read_list(truths, picture->truth_list), false};
    const struct pq_map prediction = {prediction_ids, predictions,
                                      read_list(predictions, picture->prediction_list),
                                      unlisted_is_void};
    return pq_compare(outcomes, count, &truth, &prediction, strlen(picture->truth), err);
}

static void add(struct pq_tally *tallies, const struct picture *picture)
{
    struct cr_error err = CR_ERROR_INIT;
    struct pq_outcome *outcomes;
    size_t count;
    if (compare(&outcomes, &count, picture, false, &err) < 0)
        fail_msg("%s / %s: %s", picture->truth, picture->prediction, err.message);
    pq_add(tallies, outcomes, count);
    cr_free(outcomes);
}

static const struct {
    struct picture picture;
    double iou;     /* of class 0, summed */
    int tp, fp, fn; /* of class 0 */
} cases[] = {
    {{"aaaa", "a0", "aaaa", "a0"}, 1, 1, 0, 0},
    {{"aaaa", "a0", "xxxx", "x0"}, 1, 1, 0, 0}, /* ids mean nothing */
    {{"aaaa", "a0", "xxxx", "x1"}, 0, 0, 0, 1}, /* another class */
    {{"aaaa", "a0", "xxxx", "x-"}, 0, 0, 0, 1}, /* of no class */
    {{"aaaabbbb", "a0 b1", "xxxyyyyy", "x0 y1"}, 0.75, 1, 0, 0},
    {{"aab", "a0 b1", "xyy", "x0 y1"}, 0, 0, 1, 1}, /* 1/2 is not more than 1/2 */
    {{"aaabb", "a0 b1", "xxyyy", "x0 y1"}, 2.0 / 3, 1, 0, 0},
    {{"aaabbb", "a0 b0", "xxxxxx", "x0"}, 0, 0, 1, 2}, /* two in one */
    {{"aaaaabb", "a0 b0", "xxxxxxy", "x0 y0"}, 5.0 / 6, 1, 1, 1},
    {{"aaa", "a0", "...", ""}, 0, 0, 0, 1},
    {{"bbb", "b1", "xxx", "x0"}, 0, 0, 1, 0},
    /* void: not in the union; and most of a prediction on it excuses it */
    {{"aa..", "a0", "xxxx", "x0"}, 1, 1, 0, 0},
    {{"aa...bbb", "a0 b1", "xxxxxyyy", "x0 y1"}, 1, 1, 0, 0},
    {{"b...", "b1", "xxxx", "x0"}, 0, 0, 0, 0},
    {{"bb..", "b1", "xxxx", "x0"}, 0, 0, 1, 0}, /* half is not most */
    {{"....", "", "xxxx", "x0"}, 0, 0, 0, 0},
    /* predictions that are void are no segment */
    {{"aaaa", "a0", "xxx.", "x0"}, 0.75, 1, 0, 0},
    /* crowds */
    {{"cccc", "c0*", "....", ""}, 0, 0, 0, 0},             /* not missed */
    {{"cccc", "c0*", "xxxx", "x0"}, 0, 0, 0, 0},           /* not matched, and excused */
    {{"cccc", "c1*", "xxxx", "x0"}, 0, 0, 1, 0},           /* of another class: no excuse */
    {{"cbb", "c0* b1", "xxx", "x0"}, 0, 0, 1, 0},          /* a third of it */
    {{"cc.bbb", "c0* b1", "xxxxyy", "x0 y1"}, 0, 0, 0, 0}, /* crowd and void together */
    {{"ccbdd", "c0* b1 d0*", "xxxxx", "x0"}, 0, 0, 0, 0},  /* several crowds together */
    {{"ccccaa", "c0* a0", "ccccaa", "c0 a0"}, 1, 1, 0, 0},
    /* what the truth does not list belongs to nothing, and is no void */
    {{"aa??", "a0", "xxxx", "x0"}, 0, 0, 1, 1},
    {{"aaa?", "a0", "xxxx", "x0"}, 0.75, 1, 0, 0},
};

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct pq_tally tallies[CLASSES] = {{0, 0, 0, 0}};
        add(tallies, &cases[i].picture);
        if (fabs(tallies[0].iou - cases[i].iou) > 1e-12 ||
            tallies[0].true_positives != (uint64_t)cases[i].tp ||
            tallies[0].false_positives != (uint64_t)cases[i].fp ||
            tallies[0].false_negatives != (uint64_t)cases[i].fn)
            fail_msg("case %zu, %s / %s: IoU %g, TP %d, FP %d, FN %d", i, cases[i].picture.truth,
                     cases[i].picture.prediction, tallies[0].iou, (int)tallies[0].true_positives,
                     (int)tallies[0].false_positives, (int)tallies[0].false_negatives);
    }
}

/* Two pictures, three classes of which one does not occur. */
static void test_quality(void **state)
{
    (void)state;
    static const struct picture pictures[] = {
        {"aaaabbbbcc", "a0 b0 c1", "xxxxyyyyyz", "x0 y0 z1"}, /* 1; 4/5; 1/2: FP, FN of class 1 */
        {"aaabbbbb", "a0 b1", "xxxyyyyy", "x1 y1"},           /* FN of 0; FP of 1; 1 */
    };
    struct pq_tally tallies[CLASSES] = {{0, 0, 0, 0}};
    struct pq_mean mean = {.classes = 0};
    for (size_t i = 0; i < COUNT(pictures); i++)
        add(tallies, &pictures[i]);
    for (size_t i = 0; i < CLASSES; i++)
        pq_mean_add(&mean, &tallies[i]);
    struct pq_quality first = pq_quality_of(&tallies[0]), second = pq_quality_of(&tallies[1]);
    struct pq_quality all = pq_mean_of(&mean);
    assert_true(fabs(first.pq - 1.8 / 2.5) < 1e-9);
    assert_true(fabs(first.sq - 0.9) < 1e-9);
    assert_true(fabs(first.rq - 2 / 2.5) < 1e-9);
    assert_true(fabs(second.pq - 1 / 2.5) < 1e-9);
    assert_true(fabs(second.sq - 1) < 1e-9);
    assert_int_equal(mean.classes, 2);
    assert_false(pq_occurs(&tallies[2]));
    assert_true(fabs(all.pq - (1.8 / 2.5 + 1 / 2.5) / 2) < 1e-9);
    assert_true(fabs(all.sq - (0.9 + 1) / 2) < 1e-9);
    assert_true(fabs(all.rq - (2 / 2.5 + 1 / 2.5) / 2) < 1e-9);
    assert_true(isnan(pq_mean_of(&(struct pq_mean){.classes = 0}).pq));
}

static void test_mistakes(void **state)
{
    (void)state;
    static const struct picture unlisted = {"aa", "a0", "xy", "x0"},
                                empty = {"aa", "a0", "xx", "x0 y0"};
    struct cr_error err = CR_ERROR_INIT;
    struct pq_outcome *outcomes;
    size_t count;
    assert_int_equal(compare(&outcomes, &count, &unlisted, false, &err), CR_ERR_FORMAT);
    assert_text("unlisted", err.message,
                "segment 121 has pixels in the prediction, and is not listed");
    assert_int_equal(compare(&outcomes, &count, &empty, false, &err), CR_ERR_FORMAT);
    assert_text("empty", err.message, "segment 121 is listed in the prediction, and has no pixels");
    assert_int_equal(compare(&outcomes, &count, &unlisted, true, &err), 0);
    assert_int_equal(count, 2); /* missed, and false: 1/2 */
    cr_free(outcomes);
}

/* More pairs than the table has room for at first; each pixel is a segment of its own. */
static void test_many(void **state)
{
    (void)state;
    enum {
        MANY = 5000
    };
    static int32_t ids[MANY], others[MANY];
    static struct pq_segment segments[MANY], renamed[MANY];
    for (int32_t i = 0; i < MANY; i++) {
        ids[i] = 0xFFFFFF - i;
        others[i] = i + 1;
        segments[i] = (struct pq_segment){ids[i], i % CLASSES, false};
        renamed[i] = (struct pq_segment){others[i], i % CLASSES, false};
    }
    struct pq_tally tallies[CLASSES] = {{0, 0, 0, 0}};
    const struct pq_map truth = {ids, segments, MANY, false}, map = {others, renamed, MANY, false};
    struct pq_outcome *outcomes;
    size_t count;
    assert_int_equal(pq_compare(&outcomes, &count, &truth, &map, MANY, NULL), 0);
    pq_add(tallies, outcomes, count);
    cr_free(outcomes);
    assert_int_equal(count, MANY);
    assert_true(tallies[0].true_positives == 1667 && tallies[0].iou == 1667);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_quality),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

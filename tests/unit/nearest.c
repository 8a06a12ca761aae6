/* SPDX-License-Identifier: MIT */
#include "base/nearest.h"
#include "test.h"

static const struct {
    const char *wanted, *offered[4], *best;
} cases[] = {
    {"qunatize", {"context", "quantize", "weights"}, "quantize"}, /* a transposition counts one */
    {"overlay", {"overlay"}, "overlay"},
    {"overlya", {"overlays", "overlay"}, "overlay"},
    {"pathh", {"path", "patch"}, "path"}, /* equally near: the first stays */
    {"pathh", {"patch", "path"}, "patch"},
    {"gird", {"grid"}, "grid"},
    {"abc", {"xbc"}, "xbc"}, /* a third of the length may differ */
    {"abc", {"xyc"}, NULL},  /* but not two thirds */
    {"ab", {"b"}, "b"},      /* one difference is always allowed */
    {"a", {"b"}, "b"},
    {"ab", {"cd"}, NULL},
    {"", {"a"}, "a"},
    {"", {""}, ""},
    {"something", {"else"}, NULL},
    {"segment-mask2former", {"segment-command", "segment-mask2form"}, "segment-mask2form"},
    {"ca", {"abc"}, NULL}, /* no further edit inside a transposition: distance 3 */
};

static void finds_the_nearest_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct cr_nearest nearest;
        cr_nearest_init(&nearest, cases[i].wanted);
        for (size_t j = 0; j < 4 && cases[i].offered[j] != NULL; j++)
            cr_nearest_offer(&nearest, cases[i].offered[j]);
        assert_text(cases[i].wanted, nearest.best != NULL ? nearest.best : "(none)",
                    cases[i].best != NULL ? cases[i].best : "(none)");
    }
}

static void passes_over_very_long_names(void **state)
{
    (void)state;
    char name[66];
    memset(name, 'x', 65);
    name[65] = '\0';
    struct cr_nearest nearest;
    cr_nearest_init(&nearest, name);
    cr_nearest_offer(&nearest, name);
    assert_null(nearest.best);
    cr_nearest_init(&nearest, name + 1);
    cr_nearest_offer(&nearest, name);
    assert_null(nearest.best);
    cr_nearest_offer(&nearest, name + 1);
    assert_ptr_equal(nearest.best, name + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_the_nearest_name),
        cmocka_unit_test(passes_over_very_long_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include <crayon/error.h>
#include <crayon/memory.h>

#include "fault_sweep.h"
#include "test.h"

static void assert_finding(const struct cr_report *report, size_t index, const char *expected)
{
    char *text = cr_finding_text(cr_report_get(report, index));
    assert_text("finding", text, expected);
    cr_free(text);
}

static void keeps_findings_in_order(void **state)
{
    (void)state;
    struct cr_report *report = cr_report_create();
    assert_non_null(report);
    assert_int_equal(cr_report_count(report), 0);
    cr_report_add(report, CR_SEVERITY_ERROR, "p.json", "/stages/a", "%d is %s", 512, "too much");
    cr_report_add(report, CR_SEVERITY_NOTE, "p.json", "", "dropped");
    cr_report_add_at(report, CR_SEVERITY_ERROR, "p.json", 14, 9, "expected ','");
    assert_int_equal(cr_report_count(report), 3);
    assert_int_equal(cr_report_errors(report), 2);
    assert_finding(report, 0, "p.json: /stages/a: 512 is too much");
    assert_finding(report, 1, "p.json: dropped");
    assert_finding(report, 2, "p.json:14:9: expected ','");
    assert_int_equal(cr_report_get(report, 1)->severity, CR_SEVERITY_NOTE);
    assert_int_equal(cr_report_get(report, 2)->line, 14);
    assert_string_equal(cr_report_get(report, 2)->pointer, "");
    cr_report_destroy(&report);
    assert_null(report);
    cr_report_destroy(&report);
}

static void copies_its_strings(void **state)
{
    (void)state;
    char file[] = "a.json", pointer[] = "/x";
    struct cr_report *report = cr_report_create();
    cr_report_add(report, CR_SEVERITY_ERROR, file, pointer, "m");
    file[0] = pointer[1] = '?';
    assert_finding(report, 0, "a.json: /x: m");
    cr_report_destroy(&report);
}

static int add_twenty(void *user, struct cr_error *err)
{
    (void)user;
    struct cr_report *report = cr_report_create();
    if (report == NULL)
        return cr_fail_memory(err, 1);
    for (int i = 0; i < 20; i++)
        cr_report_add(report, CR_SEVERITY_ERROR, "f", "/p", "number %d", i);
    assert_int_equal(cr_report_errors(report), 20);
    assert_true(cr_report_count(report) >= 19);
    cr_report_destroy(&report);
    return 0;
}

static void counts_errors_that_memory_had_no_room_for(void **state)
{
    (void)state;
    /* the report, 3 strings a finding, room for 8, 16 and 32 findings */
    assert_int_equal(sweep_faults(CR_FAULT_ALLOC, ENOMEM, add_twenty, NULL, NULL), 1 + 60 + 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_findings_in_order),
        cmocka_unit_test(copies_its_strings),
        cmocka_unit_test(counts_errors_that_memory_had_no_room_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

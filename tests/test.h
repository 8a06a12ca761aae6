/* SPDX-License-Identifier: MIT */
/* test.h: what every unit test includes: cmocka, and where things are.
 *
 * All strings that are returned here live until the program ends; nobody frees them. */
#ifndef CR_TEST_H
#define CR_TEST_H

/* cmocka.h wants these first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* A folder of this program's own below tests/ of the build tree, made on first use and removed with
 * all that is in it when the program ends. */
const char *test_folder(void);
/* FOLDER/NAME in that folder; the file need not exist. */
const char *scratch(const char *name);
/* Names in a folder, without "." and ".."; fails the test if it cannot be read. */
size_t count_files(const char *folder);

/* A file of the source tree ("tests/unit/data/x.json"); everything used so is in EXTRA_DIST. */
const char *source_path(const char *name);
/* A file of ../shared; skips the test, with the reason, when it is not there. */
const char *shared_path(const char *name);

/* Set the locale `name` ("de_DE": a decimal comma), made with localedef where it is not installed;
 * skips the test when that fails too. setlocale(LC_ALL, "C") ends it. */
void use_locale(const char *name);

/* Write and read whole files with stdio, behind the library's back; they fail the test when they
 * cannot. `size` may be NULL. What read_test_file() returns ends with a NUL. */
void write_test_file(const char *path, const void *data, size_t size);
void write_test_text(const char *path, const char *text);
char *read_test_file(const char *path, size_t *size);

/* End this test as skipped; tests/cmocka-tap.sh carries the reason into the TAP output. */
void skip_because(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* Fail with both strings in full (assert_string_equal() cuts nothing either, but cannot be told
 * which row of a table is being looked at): `what` names the row. */
void assert_text(const char *what, const char *got, const char *expected);

#endif

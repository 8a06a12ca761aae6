/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "fault_sweep.h"
#include "test.h"

static void makes_folders_and_their_parents(void **state)
{
    (void)state;
    static const char *const names[] = {"a/b/c", "a/b/c", "d//e/", "f"};
    for (size_t i = 0; i < COUNT(names); i++) {
        struct stat st;
        assert_int_equal(cr_mkdirs(scratch(names[i]), NULL), 0);
        assert_int_equal(stat(scratch(names[i]), &st), 0);
        assert_true(S_ISDIR(st.st_mode));
        assert_int_equal(st.st_mode & 0777, 0700);
    }
    assert_int_equal(cr_mkdirs("/", NULL), 0);
    assert_int_equal(cr_mkdirs("", NULL), 0); /* the current folder, which is there */
}

static void says_which_folder_cannot_be_made(void **state)
{
    (void)state;
    struct cr_error err = CR_ERROR_INIT;
    char expected[4096];
    write_test_text(scratch("file"), "");
    assert_int_equal(cr_mkdirs(scratch("file/x"), &err), CR_ERR_IO);
    snprintf(expected, sizeof(expected), "%s: cannot create the folder: Not a directory",
             scratch("file"));
    assert_text("message", err.message, expected);
    assert_int_equal(cr_mkdirs(scratch("file"), &err), CR_ERR_IO);
    assert_text("message", err.message, expected);
}

static int make_it(void *user, struct cr_error *err)
{
    rmdir(scratch("x/y"));
    rmdir(scratch("x"));
    (void)user;
    return cr_mkdirs(scratch("x/y"), err);
}

static void making_folders_fails_cleanly(void **state)
{
    (void)state;
    assert_int_equal(sweep_faults(CR_FAULT_ALLOC, ENOMEM, make_it, NULL, NULL), 1);
    assert_true(sweep_faults(CR_FAULT_OTHER, EACCES, make_it, NULL, NULL) >= 2);
}

static int read_through(void *user, struct cr_error *err)
{
    struct cr_reader *reader;
    char bytes[5];
    size_t got = 0, total = 0;
    int result = cr_reader_open(&reader, user, err);
    if (result < 0) {
        assert_null(reader);
        return result;
    }
    do {
        result = cr_reader_read(reader, bytes, sizeof(bytes), &got, err);
        total += result == 0 ? got : 0;
    } while (result == 0 && got > 0);
    cr_reader_close(&reader);
    assert_null(reader);
    if (result == 0)
        assert_int_equal(total, 12);
    return result;
}

static void reads_piece_by_piece(void **state)
{
    (void)state;
    char *path = strdup(scratch("twelve"));
    write_test_text(path, "twelve bytes");
    assert_int_equal(sweep_faults(CR_FAULT_ALLOC, ENOMEM, read_through, NULL, path), 2);
    assert_int_equal(sweep_faults(CR_FAULT_OPEN, EACCES, read_through, NULL, path), 1);
    assert_int_equal(sweep_faults(CR_FAULT_READ, EIO, read_through, NULL, path), 4);
    assert_int_equal(sweep_faults(CR_FAULT_OTHER, EIO, read_through, NULL, path), 2);
    free(path);
    struct cr_error err = CR_ERROR_INIT;
    char folder[4096];
    snprintf(folder, sizeof(folder), "%s", test_folder());
    assert_int_equal(read_through(folder, &err), CR_ERR_IO);
    assert_non_null(strstr(err.message, ": is a folder, a file is needed here"));
}

static void descriptors_are_not_inherited(void **state)
{
    (void)state;
    int fd = cr_io_open("/dev/null", O_RDONLY, 0);
    assert_true(fd >= 0);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(cr_io_close(fd), 0);
    assert_int_equal(cr_io_close(fd), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(makes_folders_and_their_parents),
        cmocka_unit_test(says_which_folder_cannot_be_made),
        cmocka_unit_test(making_folders_fails_cleanly),
        cmocka_unit_test(reads_piece_by_piece),
        cmocka_unit_test(descriptors_are_not_inherited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

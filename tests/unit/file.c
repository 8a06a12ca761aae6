/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <crayon/file.h>
#include <crayon/memory.h>

#include "base/io.h"
#include "fault_sweep.h"
#include "test.h"

static void assert_holds(const char *path, const char *expected)
{
    size_t size;
    const char *text = read_test_file(path, &size);
    assert_int_equal(size, strlen(expected));
    assert_text(path, text, expected);
}

static mode_t mode_of(const char *path)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 07777;
}

/* A folder of its own for each test, so that left-over files show. */
static const char *fresh_folder(void)
{
    static int number;
    char name[32];
    snprintf(name, sizeof(name), "folder%d", number++);
    const char *folder = scratch(name);
    assert_int_equal(mkdir(folder, 0755), 0);
    return folder;
}

static const char *in(const char *folder, const char *name)
{
    static char path[2][4096];
    static int turn;
    turn = !turn;
    snprintf(path[turn], sizeof(path[turn]), "%s/%s", folder, name);
    return scratch(path[turn] + strlen(test_folder()) + 1);
}

static void assert_write_fails(const char *path, int code, const char *format)
{
    struct cr_error err = CR_ERROR_INIT;
    char expected[8192];
    snprintf(expected, sizeof(expected), "%s: %s", path, format);
    assert_int_equal(cr_file_write(path, "x", 1, &err), code);
    assert_int_equal(err.code, code);
    assert_text(path, err.message, expected);
}

/* ---- Reading ---- */

static void reads_whole_files(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 2, 4095, 4096, 65535, 65536, 65537, 300000};
    char *bytes = malloc(300000);
    for (size_t i = 0; i < 300000; i++)
        bytes[i] = (char)(i * 2654435761u >> 24);
    for (size_t i = 0; i < COUNT(sizes); i++) {
        char *data;
        size_t size;
        write_test_file(scratch("whole"), bytes, sizes[i]);
        assert_int_equal(cr_file_read(scratch("whole"), sizes[i], &data, &size, NULL), 0);
        assert_int_equal(size, sizes[i]);
        assert_memory_equal(data, bytes, size);
        assert_int_equal(data[size], '\0');
        cr_free(data);
    }
    free(bytes);
}

static void refuses_what_is_no_small_file(void **state)
{
    (void)state;
    write_test_text(scratch("twelve"), "twelve bytes");
    const struct {
        const char *path;
        size_t limit;
        int code;
        const char *message;
    } cases[] = {
        {scratch("twelve"), 11, CR_ERR_LIMIT, "the file is larger than the limit of 11 bytes"},
        {scratch("absent"), 99, CR_ERR_NOT_FOUND, "cannot open: No such file or directory"},
        {test_folder(), 99, CR_ERR_IO, "is a folder, a file is needed here"},
        {"/dev/null", 99, CR_ERR_IO, "is a device, a file is needed here"},
        {"/dev/zero", 99, CR_ERR_IO, "is a device, a file is needed here"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct cr_error err = CR_ERROR_INIT;
        char expected[4096], *data = &expected[0];
        size_t size = 7;
        snprintf(expected, sizeof(expected), "%s: %s", cases[i].path, cases[i].message);
        assert_int_equal(cr_file_read(cases[i].path, cases[i].limit, &data, &size, &err),
                         cases[i].code);
        assert_text(cases[i].path, err.message, expected);
        assert_null(data);
        assert_int_equal(size, 0);
    }
}

/* A process that writes `size` bytes 'x' into a pipe. */
static pid_t start_writer(const char *pipe, size_t size)
{
    pid_t child = fork();
    if (child == 0) {
        int fd = open(pipe, O_WRONLY);
        for (size_t i = 0; i < size; i += 1000)
            if (write(fd, memset((char[1000]){0}, 'x', 1000), 1000) < 0)
                _exit(1);
        _exit(0);
    }
    return child;
}

static void reads_pipes_to_their_end(void **state)
{
    (void)state;
    const char *pipe = scratch("pipe");
    assert_int_equal(mkfifo(pipe, 0600), 0);
    char *data;
    size_t size;
    pid_t child = start_writer(pipe, 200000);
    assert_int_equal(cr_file_read(pipe, 200000, &data, &size, NULL), 0);
    assert_int_equal(size, 200000);
    assert_int_equal(data[199999], 'x');
    cr_free(data);
    waitpid(child, NULL, 0);

    child = start_writer(pipe, 200000);
    assert_int_equal(cr_file_read(pipe, 199999, &data, &size, NULL), CR_ERR_LIMIT);
    assert_null(data);
    waitpid(child, NULL, 0); /* ends by SIGPIPE */
}

/* The kernel gives such a file no size. */
static void reads_files_without_a_size(void **state)
{
    (void)state;
    char *data;
    size_t size;
    if (access("/proc/self/maps", R_OK) != 0)
        skip_because("there is no /proc");
    assert_int_equal(cr_file_read("/proc/self/maps", 1u << 24, &data, &size, NULL), 0);
    assert_true(size > 100);
    assert_int_equal(strlen(data), size);
    cr_free(data);
}

static int read_it(void *user, struct cr_error *err)
{
    char *data;
    size_t size;
    int result = cr_file_read(user, 1u << 20, &data, &size, err);
    assert_true((result == 0) == (data != NULL));
    cr_free(data);
    return result;
}

static void reading_fails_cleanly(void **state)
{
    (void)state;
    char *path = strdup(scratch("read"));
    write_test_text(path, "some text");
    assert_int_equal(sweep_faults(CR_FAULT_ALLOC, ENOMEM, read_it, NULL, path), 1);
    assert_int_equal(sweep_faults(CR_FAULT_OPEN, EACCES, read_it, NULL, path), 1);
    assert_int_equal(sweep_faults(CR_FAULT_READ, EIO, read_it, NULL, path), 2);
    assert_int_equal(sweep_faults(CR_FAULT_OTHER, EIO, read_it, NULL, path), 2); /* and close */
    free(path);
}

/* ---- Writing ---- */

static void writes_new_files(void **state)
{
    (void)state;
    const char *folder = fresh_folder(), *path = in(folder, "new");
    mode_t mask = umask(027);
    assert_int_equal(cr_file_write(path, "first", 5, NULL), 0);
    umask(mask);
    assert_holds(path, "first");
    assert_int_equal(mode_of(path), 0640);
    assert_int_equal(cr_file_write(path, "", 0, NULL), 0);
    assert_holds(path, "");
    assert_int_equal(count_files(folder), 1);
}

static void replaces_the_file_and_keeps_its_mode(void **state)
{
    (void)state;
    static const mode_t modes[] = {0644, 0600, 0666, 0755};
    const char *folder = fresh_folder(), *path = in(folder, "old");
    for (size_t i = 0; i < COUNT(modes); i++) {
        struct stat before, after;
        write_test_text(path, "old and longer");
        assert_int_equal(chmod(path, modes[i]), 0);
        assert_int_equal(stat(path, &before), 0);
        int reader = open(path, O_RDONLY);
        assert_int_equal(cr_file_write(path, "new", 3, NULL), 0);
        assert_int_equal(stat(path, &after), 0);
        assert_true(before.st_ino != after.st_ino);
        assert_int_equal(mode_of(path), modes[i]);
        assert_holds(path, "new");
        char text[32] = "";
        assert_int_equal(read(reader, text, sizeof(text) - 1), 14); /* who reads it still may */
        assert_string_equal(text, "old and longer");
        close(reader);
    }
    assert_int_equal(count_files(folder), 1);
}

static void drops_set_user_id_bits(void **state)
{
    (void)state;
    const char *path = in(fresh_folder(), "suid");
    write_test_text(path, "old");
    assert_int_equal(chmod(path, 06755), 0);
    assert_int_equal(cr_file_write(path, "new", 3, NULL), 0);
    assert_int_equal(mode_of(path), 0755);
}

static void writes_names_of_full_length(void **state)
{
    (void)state;
    char name[256];
    memset(name, 'n', 255);
    name[255] = '\0';
    const char *path = in(fresh_folder(), name);
    assert_int_equal(cr_file_write(path, "long", 4, NULL), 0);
    assert_holds(path, "long");
}

static void writes_beside_the_program(void **state)
{
    (void)state;
    char before[4096];
    assert_non_null(getcwd(before, sizeof(before)));
    const char *folder = fresh_folder();
    char *real = realpath(folder, NULL);
    assert_int_equal(chdir(real), 0);
    int result = cr_file_write("plain", "name", 4, NULL);
    assert_int_equal(chdir(before), 0);
    assert_int_equal(result, 0);
    free(real);
    assert_holds(in(folder, "plain"), "name");
    assert_int_equal(count_files(folder), 1);
}

static void follows_links(void **state)
{
    (void)state;
    const char *folder = fresh_folder(), *target = in(folder, "target");
    const char *inner = in(folder, "inner");
    assert_int_equal(mkdir(inner, 0755), 0);
    write_test_text(target, "old");
    assert_int_equal(symlink("../target", in(inner, "relative")), 0);
    assert_int_equal(symlink(in(inner, "relative"), in(folder, "absolute")), 0);
    assert_int_equal(symlink("inner/later", in(folder, "dangling")), 0);
    assert_int_equal(cr_file_write(in(folder, "absolute"), "through two", 11, NULL), 0);
    assert_holds(target, "through two");
    assert_int_equal(cr_file_write(in(folder, "dangling"), "made", 4, NULL), 0);
    assert_holds(in(inner, "later"), "made");
    struct stat st;
    assert_int_equal(lstat(in(folder, "absolute"), &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_int_equal(lstat(in(folder, "dangling"), &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_int_equal(count_files(folder), 4);
    assert_int_equal(count_files(inner), 2);
}

static void refuses_what_cannot_be_replaced(void **state)
{
    (void)state;
    const char *folder = fresh_folder(), *file = in(folder, "file");
    write_test_text(file, "old");
    assert_int_equal(symlink("circle", in(folder, "circle")), 0);
    assert_write_fails(folder, CR_ERR_IO, "is a folder, a file name is needed here");
    assert_write_fails(in(folder, "circle"), CR_ERR_IO,
                       "cannot write: Too many levels of symbolic links");
    assert_write_fails(in(file, "x"), CR_ERR_IO, "cannot write: Not a directory");
    assert_write_fails(in(folder, "no/x"), CR_ERR_NOT_FOUND,
                       "cannot create a file beside it: No such file or directory");
    struct cr_error err = CR_ERROR_INIT;
    assert_int_equal(cr_file_write("", "x", 1, &err), CR_ERR_ARGUMENT);
    assert_string_equal(err.message, "a file name is needed here, not an empty text");
    assert_holds(file, "old");
    assert_int_equal(count_files(folder), 2);
}

static void respects_protection(void **state)
{
    (void)state;
    if (geteuid() == 0)
        skip_because("root may write everywhere");
    const char *folder = fresh_folder(), *file = in(folder, "file");
    write_test_text(file, "old");
    assert_int_equal(chmod(file, 0444), 0);
    assert_write_fails(file, CR_ERR_IO, "cannot write: Permission denied");
    assert_int_equal(chmod(file, 0644), 0);
    assert_int_equal(chmod(folder, 0555), 0);
    assert_write_fails(file, CR_ERR_IO, "cannot create a file beside it: Permission denied");
    assert_int_equal(chmod(folder, 0755), 0);
    assert_holds(file, "old");
    assert_int_equal(count_files(folder), 1);
}

static void a_read_only_file_is_not_replaced(void **state)
{
    (void)state;
    const char *path = in(fresh_folder(), "file");
    struct cr_error err = CR_ERROR_INIT;
    write_test_text(path, "old");
    sweep_arm(CR_FAULT_OTHER, EACCES, 3); /* readlink, stat, access */
    assert_int_equal(cr_file_write(path, "new", 3, &err), CR_ERR_IO);
    assert_true(sweep_disarm());
    assert_non_null(strstr(err.message, ": cannot write: Permission denied"));
    assert_holds(path, "old");
}

/* When a link cannot be read, it must not be taken for a file and replaced. */
static void a_link_that_cannot_be_read_stays(void **state)
{
    (void)state;
    const char *folder = fresh_folder(), *link = in(folder, "link");
    struct cr_error err = CR_ERROR_INIT;
    struct stat st;
    write_test_text(in(folder, "file"), "old");
    assert_int_equal(symlink("file", link), 0);
    sweep_arm(CR_FAULT_OTHER, EIO, 1);
    assert_int_equal(cr_file_write(link, "new", 3, &err), CR_ERR_IO);
    assert_true(sweep_disarm());
    assert_non_null(strstr(err.message, "/link: cannot write: Input/output error"));
    assert_int_equal(lstat(link, &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_holds(link, "old");
}

/* ---- Not regular files ---- */

struct reading {
    const char *path;
    char text[64];
    ssize_t size;
};

static void *read_pipe(void *user)
{
    struct reading *reading = user;
    int fd = open(reading->path, O_RDONLY);
    reading->size = read(fd, reading->text, sizeof(reading->text) - 1);
    close(fd);
    return NULL;
}

static void writes_into_pipes(void **state)
{
    (void)state;
    const char *folder = fresh_folder();
    struct reading reading = {.path = in(folder, "pipe")};
    assert_int_equal(mkfifo(reading.path, 0600), 0);
    assert_int_equal(symlink("pipe", in(folder, "link")), 0);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, read_pipe, &reading), 0);
    assert_int_equal(cr_file_write(in(folder, "link"), "flow", 4, NULL), 0);
    pthread_join(thread, NULL);
    assert_int_equal(reading.size, 4);
    assert_string_equal(reading.text, "flow");
    assert_int_equal(count_files(folder), 2);
}

/* As after `program >> log`: what is there stays, and the file is not replaced. */
static void writes_behind_redirected_output(void **state)
{
    (void)state;
    const char *folder = fresh_folder(), *log = in(folder, "log");
    write_test_text(log, "before ");
    int fd = open(log, O_WRONLY | O_APPEND);
    char name[64];
    snprintf(name, sizeof(name), "/dev/fd/%d", fd);
    assert_int_equal(symlink(name, in(folder, "link")), 0);
    assert_int_equal(cr_file_write(name, "one ", 4, NULL), 0);
    assert_int_equal(cr_file_write(in(folder, "link"), "two", 3, NULL), 0);
    close(fd);
    assert_holds(log, "before one two");
    assert_int_equal(count_files(folder), 2);
    assert_write_fails("/dev/fd/9999", CR_ERR_IO, "cannot write: Bad file descriptor");
}

static void writes_to_standard_output(void **state)
{
    (void)state;
    const char *path = scratch("stdout");
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        int fd = open(path, O_WRONLY | O_CREAT, 0600);
        dup2(fd, STDOUT_FILENO);
        _exit(cr_file_write("/dev/stdout", "a", 1, NULL) != 0 ||
              cr_file_write("/dev/stdout", "b", 1, NULL) != 0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_holds(path, "ab");
}

static void *drain(void *user)
{
    static char bytes[65536];
    size_t *total = user;
    ssize_t got;
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL); /* until the pipe is full */
    while ((got = read((int)*total, bytes, sizeof(bytes))) > 0)
        total[1] += (size_t)got;
    return NULL;
}

static void waits_for_room_in_a_pipe(void **state)
{
    (void)state;
    static char bytes[1000000];
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
    size_t reading[2] = {(size_t)ends[0], 0};
    char name[64];
    snprintf(name, sizeof(name), "/dev/fd/%d", ends[1]);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, drain, reading), 0);
    assert_int_equal(cr_file_write(name, bytes, sizeof(bytes), NULL), 0);
    close(ends[1]);
    pthread_join(thread, NULL);
    close(ends[0]);
    assert_int_equal(reading[1], sizeof(bytes));
}

static void devices_are_written_to(void **state)
{
    (void)state;
    assert_int_equal(cr_file_write("/dev/null", "gone", 4, NULL), 0);
    if (access("/dev/full", W_OK) != 0)
        skip_because("there is no /dev/full");
    assert_write_fails("/dev/full", CR_ERR_IO, "cannot write: No space left on device");
}

/* ---- Faults ---- */

struct replacement {
    const char *folder, *path;
    bool existed;
};

static int replace(void *user, struct cr_error *err)
{
    const struct replacement *replacement = user;
    if (replacement->existed)
        write_test_text(replacement->path, "old");
    else
        unlink(replacement->path);
    return cr_file_write(replacement->path, "new", 3, err);
}

/* Either all is as before or all is done; and nothing lies about. */
static void check_replaced(void *user, int result)
{
    const struct replacement *replacement = user;
    bool exists = access(replacement->path, F_OK) == 0;
    assert_int_equal(exists, result == 0 || replacement->existed);
    if (exists)
        assert_holds(replacement->path, result == 0 ? "new" : "old");
    assert_int_equal(count_files(replacement->folder), exists);
}

static void a_failure_leaves_the_old_file(void **state)
{
    (void)state;
    static const struct {
        enum cr_fault_kind kind;
        int number;
        int new_file, old_file; /* calls, each of which fails once */
    } cases[] = {
        {CR_FAULT_ALLOC, ENOMEM, 4, 4},
        {CR_FAULT_OPEN, EACCES, 2, 2},
        {CR_FAULT_WRITE, ENOSPC, 1, 1},
        {CR_FAULT_SYNC, EIO, 2, 2},
        {CR_FAULT_RENAME, EBUSY, 1, 1},
        {CR_FAULT_OTHER, EIO, 4, 6}, /* readlink, stat, (access, chmod,) close, close */
    };
    struct replacement replacement = {.folder = fresh_folder()};
    replacement.path = in(replacement.folder, "file");
    for (size_t i = 0; i < COUNT(cases); i++) {
        replacement.existed = false;
        assert_int_equal(
            sweep_faults(cases[i].kind, cases[i].number, replace, check_replaced, &replacement),
            cases[i].new_file);
        replacement.existed = true;
        assert_int_equal(
            sweep_faults(cases[i].kind, cases[i].number, replace, check_replaced, &replacement),
            cases[i].old_file);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_whole_files),
        cmocka_unit_test(refuses_what_is_no_small_file),
        cmocka_unit_test(reads_pipes_to_their_end),
        cmocka_unit_test(reads_files_without_a_size),
        cmocka_unit_test(reading_fails_cleanly),
        cmocka_unit_test(writes_new_files),
        cmocka_unit_test(replaces_the_file_and_keeps_its_mode),
        cmocka_unit_test(drops_set_user_id_bits),
        cmocka_unit_test(writes_names_of_full_length),
        cmocka_unit_test(writes_beside_the_program),
        cmocka_unit_test(follows_links),
        cmocka_unit_test(refuses_what_cannot_be_replaced),
        cmocka_unit_test(respects_protection),
        cmocka_unit_test(a_read_only_file_is_not_replaced),
        cmocka_unit_test(a_link_that_cannot_be_read_stays),
        cmocka_unit_test(writes_into_pipes),
        cmocka_unit_test(writes_behind_redirected_output),
        cmocka_unit_test(writes_to_standard_output),
        cmocka_unit_test(waits_for_room_in_a_pipe),
        cmocka_unit_test(devices_are_written_to),
        cmocka_unit_test(a_failure_leaves_the_old_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

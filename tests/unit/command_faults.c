/* SPDX-License-Identifier: MIT */
/* The program itself, in child processes, while allocations and calls for files fail: its exit code
 * and its message, and the files that it makes, which are what they were or complete. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/json.h"
#include "collavo.h"
#include "run_stage.h"

/* The program's own. */
int crayon_main(int argc, char **argv);
#define main crayon_main
#include "command/main.c"
#undef main

#define LEFTOVERS 99 /* the exit code for memory that a command has not freed */
#define MAX_FILES 8
#define MAX_ARGUMENTS 32

/* A command, and the files that it makes in the folder "results". */
struct scenario {
    const char *arguments[MAX_ARGUMENTS]; /* "crayon", ..., NULL */
    const char *files[MAX_FILES];
    bool is_folder; /* they lie in results/model, which is new: all of them or none */
    bool is_batch;  /* lines on standard output say what became of each item */
    /* What is in them after a run in which nothing failed. */
    struct {
        char *data;
        size_t size;
    } right[MAX_FILES];
    bool known;
};

static struct collavo collavo;
static char results[4096];

/* ---- The folder ---- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *walk)
{
    (void)st, (void)type;
    return walk->level > 0 ? remove(path) : 0;
}

static const char *result_path(const struct scenario *scenario, int file)
{
    static char path[2][4300];
    static int turn;
    turn = !turn;
    snprintf(path[turn], sizeof(path[turn]), "%s/%s%s", results,
             scenario->is_folder ? "model/" : "", scenario->files[file]);
    return path[turn];
}

/* Files that are to be replaced are there; a new folder is not. */
static void prepare(const struct scenario *scenario)
{
    assert_int_equal(nftw(results, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
    for (int i = 0; scenario->files[i] != NULL && !scenario->is_folder; i++)
        write_test_text(result_path(scenario, i), "old");
}

/* ---- One run ---- */

static void redirect(int stream, const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600);
    if (fd < 0 || dup2(fd, stream) < 0 || close(fd) < 0)
        _exit(LEFTOVERS);
}

static void run_child(const struct scenario *scenario)
{
    static const int caught[] = {SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGILL};
    char *arguments[MAX_ARGUMENTS + 1] = {NULL};
    int count = 0;
    for (; scenario->arguments[count] != NULL; count++)
        arguments[count] = strdup(scenario->arguments[count]);
    for (size_t i = 0; i < COUNT(caught); i++)
        signal(caught[i], SIG_DFL); /* cmocka would go on with the tests */
    redirect(STDOUT_FILENO, scratch("stdout"));
    redirect(STDERR_FILENO, scratch("stderr"));
    int64_t live = cr_memory_live();
    int code = crayon_main(count, arguments);
    sweep_disarm();
    for (int i = 0; i < count; i++)
        free(arguments[i]);
    exit(cr_memory_live() == live ? code : LEFTOVERS);
}

/* As sweep_run has it: the message is the program's. */
static int run_program(void *user, struct cr_error *err)
{
    const struct scenario *scenario = user;
    int status = 0;
    prepare(scenario);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0)
        run_child(scenario);
    assert_true(child > 0 && waitpid(child, &status, 0) == child);
    char *message = read_test_file(scratch("stderr"), NULL);
    /* A device whose plugin is not to be had is as unknown as one that does not exist. */
    bool misused = WIFEXITED(status) && WEXITSTATUS(status) == EXIT_MISUSED &&
                   strstr(message, ": no device ") != NULL;
    if (!WIFEXITED(status) || (WEXITSTATUS(status) > EXIT_NOT_RUN) ||
        (WEXITSTATUS(status) == EXIT_MISUSED && !misused))
        fail_msg("%s: crayon %s: status 0x%x, and the messages \"%s\"", sweep_current(),
                 scenario->arguments[1], (unsigned)status, message);
    if (WEXITSTATUS(status) == 0)
        return 0;
    /* `verify` tells what failed on standard output. */
    if (message[0] == '\0')
        message = read_test_file(scratch("stdout"), NULL);
    else if (strncmp(message, "crayon: ", 8) != 0)
        fail_msg("%s: crayon %s failed, and says \"%s\"", sweep_current(), scenario->arguments[1],
                 message);
    return cr_fail(err, CR_ERR_IO, "%s", message);
}

/* ---- What is left ---- */

static const struct scenario *walked;

static int look_at(const char *path, const struct stat *st, int type, struct FTW *walk)
{
    (void)st;
    bool known = walk->level == 0 || (walked->is_folder && type != FTW_F);
    for (int i = 0; walked->files[i] != NULL; i++)
        known = known || strcmp(path, result_path(walked, i)) == 0;
    if (!known)
        fail_msg("%s: %s is left", sweep_current(), path);
    return 0;
}

static bool is_there(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
}

/* Does this file hold what it has to in the end? If not, it is as it was. */
static bool is_right(const struct scenario *scenario, int file)
{
    const char *path = result_path(scenario, file);
    if (scenario->is_folder && !is_there(path))
        return false;
    size_t size;
    char *data = read_test_file(path, &size);
    bool right =
        size == scenario->right[file].size && memcmp(data, scenario->right[file].data, size) == 0;
    if (!right && (scenario->is_folder || size != 3 || memcmp(data, "old", 3) != 0))
        fail_msg("%s: %s is neither what it was nor what it is to be: %zu bytes", sweep_current(),
                 path, size);
    return right;
}

/* Each line says which item it is about and what became of it. */
static void check_lines(void)
{
    size_t size;
    char *text = read_test_file(scratch("stdout"), &size);
    assert_true(size == 0 || text[size - 1] == '\n');
    for (char *line = text; *line != '\0'; line += strcspn(line, "\n") + 1) {
        struct cr_error err = CR_ERROR_INIT;
        cJSON *item = NULL;
        if (cr_json_parse(&item, line, strcspn(line, "\n"), "stdout", &err) < 0)
            fail_msg("%s", err.message);
        assert_true(cr_json_get(item, "id") != NULL);
        assert_true((cr_json_get(item, "outputs") == NULL) != (cr_json_get(item, "error") == NULL));
        cJSON_Delete(item);
    }
}

static void check_results(void *user, int result)
{
    struct scenario *scenario = user;
    int right = 0, count = 0;
    if (!scenario->known)
        for (int i = 0; scenario->files[i] != NULL; i++)
            scenario->right[i].data =
                read_test_file(result_path(scenario, i), &scenario->right[i].size);
    scenario->known = true;
    for (; scenario->files[count] != NULL; count++)
        right += is_right(scenario, count);
    if (result == 0 && right != count)
        fail_msg("%s: it succeeded, and %d of %d files are made", sweep_current(), right, count);
    if (scenario->is_folder && right != 0 && right != count)
        fail_msg("%s: %d of %d files are in the folder", sweep_current(), right, count);
    walked = scenario;
    assert_int_equal(nftw(results, look_at, 8, FTW_PHYS), 0);
    if (scenario->is_batch)
        check_lines();
}

/* ---- The commands ---- */

static void sweep(struct scenario *scenario)
{
    static const struct {
        enum cr_fault_kind kind;
        int number;
    } kinds[] = {{CR_FAULT_ALLOC, ENOMEM}, {CR_FAULT_OPEN, EMFILE}, {CR_FAULT_READ, EIO},
                 {CR_FAULT_WRITE, ENOSPC}, {CR_FAULT_SYNC, EIO},    {CR_FAULT_RENAME, EACCES},
                 {CR_FAULT_OTHER, EIO}};
    struct cr_error err = CR_ERROR_INIT;
    int disturbed = 0;
    if (run_program(scenario, &err) != 0)
        fail_msg("%s", err.message);
    check_results(scenario, 0);
    for (size_t i = 0; i < COUNT(kinds); i++)
        disturbed +=
            sweep_sites(kinds[i].kind, kinds[i].number, run_program, check_results, scenario);
    printf("# crayon %s: %d faults\n", scenario->arguments[1], disturbed);
    assert_true(disturbed > 30);
    for (int i = 0; i < MAX_FILES; i++)
        scenario->right[i].data = NULL; /* of read_test_file(): not ours to free */
}

#define OUT(name, file) "--out", name "=results/" file

static void test_run(void **state)
{
    (void)state;
    struct scenario scenario = {
        .arguments = {"crayon", "run", collavo.pipeline, "--set", collavo.set, "--image",
                      "photo.png", "--prompt", COLLAVO_PROMPT, "--device", "cpu", "--threads", "1",
                      OUT("answer", "answer.txt"), OUT("overlay", "overlay.png"),
                      OUT("panoptic", "map.png"), OUT("features", "features.json"), "--json"},
        .files = {"answer.txt", "overlay.png", "map.png", "map.json", "features.json"}};
    sweep(&scenario);
}

static void test_batch(void **state)
{
    (void)state;
    struct scenario scenario = {.arguments = {"crayon", "run", collavo.pipeline, "--set",
                                              collavo.set, "--image", "photo.png", "--batch",
                                              "batch.jsonl", "--device", "cpu", "--threads", "1"},
                                .files = {"1.txt", "2.txt"},
                                .is_batch = true};
    write_test_text(scratch("batch.jsonl"), "{\"id\": 1, \"in\": {\"prompt\": \"" COLLAVO_PROMPT
                                            "\"}, \"out\": {\"answer\": \"results/1.txt\"}}\n"
                                            "{\"id\": 2, \"in\": {\"prompt\": \"" COLLAVO_PROMPT
                                            "\"}, \"out\": {\"answer\": \"results/2.txt\"}}\n");
    sweep(&scenario);
}

static void test_quantize(void **state)
{
    (void)state;
    struct scenario scenario = {
        .arguments = {"crayon", "quantize", collavo.folder, "results/model"},
        .files = {"config.json", "clip_config.json", "plora.json", "model.safetensors",
                  "tokenizer.model", "template.json", "pipeline.json"},
        .is_folder = true};
    sweep(&scenario);
}

static void test_verify(void **state)
{
    (void)state;
    struct scenario scenario = {.arguments = {"crayon", "verify",
                                              source_path("tests/golden/nf4/matmul.case.json"),
                                              "--device", "cpu", "--threads", "1"}};
    sweep(&scenario);
}

static void test_others(void **state)
{
    (void)state;
    struct scenario scenarios[] = {
        {.arguments = {"crayon", "check", collavo.pipeline, "--set", collavo.set}},
        {.arguments = {"crayon", "graph", collavo.pipeline}},
        {.arguments = {"crayon", "tokenize", "--model", collavo.folder, "batch.jsonl"}},
    };
    for (size_t i = 0; i < COUNT(scenarios); i++)
        sweep(&scenarios[i]);
}

/* ---- Around ---- */

static int setup(void **state)
{
    (void)state;
    struct cr_error err = CR_ERROR_INIT;
    struct cr_image *image = stage_image(42, 42, NULL);
    sweep_cjson();
    /* Children find the plugins loaded. */
    (void)stage_registry();
    collavo = collavo_write();
    collavo_pixels(cr_image_edit(image));
    assert_int_equal(cr_image_save(image, scratch("photo.png"), &err), 0);
    cr_image_unref(&image);
    snprintf(results, sizeof(results), "%s", scratch("results"));
    return mkdir(results, 0700) + chdir(test_folder());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_run),      cmocka_unit_test(test_batch),
        cmocka_unit_test(test_quantize), cmocka_unit_test(test_verify),
        cmocka_unit_test(test_others),
    };
    /* A process under a sanitizer takes ten times as long to end. */
    const char *sanitizers = getenv("SANITIZERS");
    if (sanitizers != NULL && sanitizers[0] != '\0')
        sweep_first_hits = 1;
    return cmocka_run_group_tests(tests, setup, NULL);
}

/* SPDX-License-Identifier: MIT */
/* The registry over folders of plugins that are built here, most of them from one source
 * (tests/abi/variant.c), each with something else wrong. */
#include <errno.h>
#include <pwd.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <crayon/memory.h>
#include <crayon/registry.h>

#include "base/fault.h"
#include "plugin/outcomes.h"
#include "plugin/probe.h"
#include "plugin/registry.h"
#include "plugin/trust.h"
#include "test.h"

/* ---- Building ---- */

static void shell(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void shell(const char *format, ...)
{
    char command[8192];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(command, sizeof(command), format, args);
    va_end(args);
    assert_in_range(length, 1, sizeof(command) - 1);
    if (system(command) != 0)
        fail_msg("this command failed: %s", command);
}

static void build(const char *folder, const char *name, const char *switches)
{
    const char *cc = getenv("CC");
    shell("mkdir -p '%s' && cd '%s' && %s -std=c11 -shared -fPIC -I'%s' '%s' -DNAME='\"%s\"' %s "
          "-o '%s.so'",
          scratch(folder), scratch(folder), cc == NULL || cc[0] == '\0' ? "cc" : cc,
          source_path("core/include"), source_path("tests/abi/variant.c"), name, switches, name);
}

static void copy(const char *from, const char *to)
{
    shell("cp '%s/%s' '%s/%s'", test_folder(), from, test_folder(), to);
}

/* ---- Listening and counting ---- */

static struct {
    size_t warnings, probes;
    char last[4096];
    bool no_probe;
} seen;

static void hear(void *user, enum cr_log_level level, const char *subject, const char *message)
{
    (void)user;
    if (level != CR_LOG_WARNING)
        return;
    seen.warnings++;
    snprintf(seen.last, sizeof(seen.last), "%s: %s", subject, message);
}

static const struct cr_log log_heard = {.write = hear, .level = CR_LOG_DEBUG};

/* The pipe to the probe is made at this site. */
static int count_probes(enum cr_fault_kind kind, const void *site)
{
    if (kind != CR_FAULT_OTHER || site != &cr_probe_limit)
        return 0;
    seen.probes++;
    return seen.no_probe ? EMFILE : 0;
}

static struct cr_registry *open_with(const char *path, bool only_path, bool no_cache)
{
    struct cr_registry_params params = {
        .path = path, .log = &log_heard, .only_path = only_path, .no_cache = no_cache};
    struct cr_registry *registry;
    memset(&seen, 0, sizeof(seen.warnings) + sizeof(seen.probes));
    assert_int_equal(cr_registry_create(&registry, &params, NULL), 0);
    return registry;
}

static struct cr_plugin_info find_file(const struct cr_registry *registry, const char *path)
{
    for (size_t i = 0; i < cr_registry_count(registry); i++)
        if (strcmp(cr_registry_get(registry, i).file, path) == 0)
            return cr_registry_get(registry, i);
    fail_msg("%s is not among the files of the registry", path);
    return (struct cr_plugin_info){.file = NULL};
}

static void assert_loaded(const struct cr_registry *registry, const char *path)
{
    struct cr_plugin_info info = find_file(registry, path);
    assert_text(path, info.reason == NULL ? "" : info.reason, "");
    assert_non_null(info.plugin);
    assert_false(info.shadowed);
}

/* `start` is how the reason begins. */
static void assert_refused(const struct cr_registry *registry, const char *path, const char *start)
{
    struct cr_plugin_info info = find_file(registry, path);
    assert_null(info.plugin);
    assert_non_null(info.reason);
    if (strncmp(info.reason, start, strlen(start)) != 0)
        assert_text(path, info.reason, start);
}

static int set_up(void **unused)
{
    (void)unused;
    umask(022);
    setenv("XDG_CACHE_HOME", scratch("cache"), 1);
    setenv("XDG_DATA_HOME", scratch("data"), 1);
    unsetenv("CRAYON_PLUGIN_PATH");
    build("good", "good", "");
    build("good", "also-good", "-DMINOR=0");
    cr_fault_set_hook(count_probes);
    return 0;
}

/* In a place where everybody may exchange things, nothing can be loaded from a scratch folder. */
static void need_trusted_place(void)
{
    char folder[4096];
    assert_non_null(realpath(test_folder(), folder));
    for (char *slash; (slash = strrchr(folder, '/')) != NULL && slash != folder;) {
        struct stat st;
        *slash = '\0';
        if (stat(folder, &st) == 0 && (st.st_mode & S_IWOTH) != 0 && (st.st_mode & S_ISVTX) == 0)
            skip_because("everybody may write to %s", folder);
    }
}

/* ---- What is wrong with files ---- */

static const struct {
    const char *name, *switches, *reason;
} variants[] = {
    {"bad-default", "-DINITIAL='\"12\"'",
     "element \"bad-default\": option \"level\": its default: 12 is outside 0..9"},
    {"closing-all", "-DCLOSE=256", "exited with status 1 when it was loaded"},
    {"closing-output", "-DCLOSE=2", "closed a standard stream when it was loaded"},
    {"crashing", "-DCRASH", "crashed when it was loaded: "},
    {"exiting", "-DEXIT=3", "exited with status 3 when it was loaded"},
    {"exiting-well", "-DEXIT=0", "exited with status 0 when it was loaded"},
    {"forking", "-DFORK -DEXIT=4", "exited with status 4 when it was loaded"},
    {"hanging", "-DHANG", "was not loaded after 0.5 s"},
    {"newer", "-DMINOR=7",
     "was built for plugin ABI 1.7, this is 1.3: install a newer crayon, or a plugin built for "
     "crayon 0.1"},
    {"older", "-DMAJOR=0",
     "was built for plugin ABI 0.3, this is 1.3: install a plugin built for crayon 0.1"},
    {"other", "-DMAJOR=2",
     "was built for plugin ABI 2.3, this is 1.3: install a plugin built for crayon 0.1"},
    {"no-magic", "-DMAGIC=\"'x'\"",
     "is not a crayon plugin: its crayon_plugin does not begin with the magic bytes"},
    {"no-symbol", "-DSYMBOL=crayon_plug", "is not a crayon plugin: it has no symbol crayon_plugin"},
    {"too-small", "-DSIZE=16", "its struct cr_plugin is too small: 16 bytes"},
    {"unresolved", "-DUNRESOLVED", "cannot be loaded: "},
};

static void build_variants(void)
{
    for (size_t i = 0; i < COUNT(variants); i++)
        build("bad", variants[i].name, variants[i].switches);
    copy("good/good.so", "bad/good.so");
    copy("good/good.so", "bad/renamed.so");
    copy("good/good.so", "bad/writable.so");
    shell("cd '%s' && head -c 3000 good.so >truncated.so && echo 'no library' >text.so && "
          ": >empty.so && mkdir folder.so && ln -s nowhere dangling.so && chmod o+w writable.so && "
          "echo x >notes.txt && echo x >.hidden.so",
          scratch("bad"));
}

static void test_refusals(void **unused)
{
    (void)unused;
    need_trusted_place();
    build_variants();
    cr_probe_limit = 500;
    struct cr_registry *registry = open_with(scratch("bad"), true, false);
    cr_probe_limit = 10000;
    static const char *const others[][2] = {
        {"bad/dangling.so", "cannot be opened: "},
        {"bad/empty.so", "cannot be loaded: "},
        {"bad/folder.so", "is not a regular file"},
        {"bad/renamed.so", "calls itself \"good\": the file of that plugin is named good.so"},
        {"bad/text.so", "cannot be loaded: "},
        {"bad/truncated.so", "is truncated: it has 3000 bytes, and its headers tell of "},
        {"bad/writable.so", "can be written by everybody (mode 0757): chmod o-w"},
    };
    for (size_t i = 0; i < COUNT(others); i++)
        assert_refused(registry, scratch(others[i][0]), others[i][1]);
    for (size_t i = 0; i < COUNT(variants); i++) {
        char path[200];
        snprintf(path, sizeof(path), "bad/%s.so", variants[i].name);
        assert_refused(registry, scratch(path), variants[i].reason);
    }
    assert_loaded(registry, scratch("bad/good.so"));
    size_t bad = COUNT(others) + COUNT(variants);
    assert_int_equal(cr_registry_count(registry), bad + 1);
    assert_int_equal(seen.warnings, bad);
    assert_int_equal(cr_registry_elements(registry), 1);
    assert_string_equal(cr_registry_element(registry, 0)->name, "good");
    const char *previous = "";
    for (size_t i = 0; i < cr_registry_count(registry); i++) {
        const char *path = cr_registry_get(registry, i).file;
        assert_true(strcmp(previous, path) < 0);
        previous = path;
    }
    cr_registry_destroy(&registry);
    assert_null(registry);

    /* Second time: only what did harm is remembered, and is not tried again. */
    registry = open_with(scratch("bad"), true, false);
    assert_refused(registry, scratch("bad/hanging.so"),
                   "was not loaded after 0.5 s (as remembered in ");
    assert_refused(registry, scratch("bad/exiting.so"),
                   "exited with status 3 when it was loaded (as remembered in ");
    assert_refused(registry, scratch("bad/newer.so"), "was built for plugin ABI 1.7");
    assert_loaded(registry, scratch("bad/good.so"));
    const char *refusal = cr_registry_refusal(registry, "new", "er:0", 2);
    assert_true(refusal != NULL && strstr(refusal, "was built for plugin ABI 1.7") == refusal);
    assert_null(cr_registry_refusal(registry, "new", "er:0", 1));
    assert_null(cr_registry_refusal(registry, "", "good", 4));
    cr_registry_destroy(&registry);
}

static void test_taken_element(void **unused)
{
    (void)unused;
    need_trusted_place();
    shell("mkdir -p '%s'", scratch("taken"));
    copy("good/good.so", "taken/good.so");
    build("taken", "late", "-DELEMENT='\"good\"'");
    struct cr_registry *registry = open_with(scratch("taken"), true, true);
    char reason[4096];
    snprintf(reason, sizeof(reason), "its element \"good\" has the name of one that %s has already",
             scratch("taken/good.so"));
    assert_refused(registry, scratch("taken/late.so"), reason);
    assert_loaded(registry, scratch("taken/good.so"));
    cr_registry_destroy(&registry);
}

/* ---- The search ---- */

static void test_lists(void **unused)
{
    (void)unused;
    need_trusted_place();
    struct cr_registry *registry = open_with(scratch("good"), true, true);
    assert_int_equal(cr_registry_paths(registry), 1);
    const char *reason = "unset";
    assert_string_equal(cr_registry_path(registry, 0, &reason), scratch("good"));
    assert_null(reason);
    assert_int_equal(cr_registry_elements(registry), 2);
    assert_string_equal(cr_registry_element(registry, 0)->name, "also-good");
    assert_string_equal(cr_registry_element(registry, 1)->name, "good");
    const struct cr_plugin *plugin = NULL;
    const struct cr_element *element =
        cr_registry_find(registry, CR_ELEMENT_STAGE, "good", &plugin);
    assert_ptr_equal(element, cr_registry_element(registry, 1));
    assert_string_equal(plugin->name, "good");
    assert_null(cr_registry_find(registry, CR_ELEMENT_STAGE, "gone", &plugin));
    assert_null(plugin);
    assert_null(cr_registry_find(registry, (enum cr_element_kind)2, "good", NULL));
    cr_registry_destroy(&registry);
    cr_registry_destroy(&registry);
}

static void test_path_list(void **unused)
{
    (void)unused;
    need_trusted_place();
    shell("cd '%s' && rm -rf first second empty link && mkdir first second empty && "
          "cp good/good.so first && cp good/*.so second && ln -s second link",
          test_folder());
    char here[4096], list[9000];
    assert_non_null(getcwd(here, sizeof(here)));
    size_t length = strlen(here);
    if (strncmp(here, test_folder(), length) != 0 || test_folder()[length] != '/')
        skip_because("the tests do not run in their build tree");
    const char *relative = test_folder() + length + 1;
    /* relative, empty entries, an absent folder, the same folder again: by name and through a link
     */
    snprintf(list, sizeof(list),
             ":%s/first//:%s/none::%s/second:%s/first:%s/link:%s/empty:%s/good/good.so:", relative,
             test_folder(), test_folder(), test_folder(), test_folder(), test_folder(),
             test_folder());
    struct cr_registry *registry = open_with(list, true, true);
    static const char *const expected[][2] = {
        {"first", NULL},
        {"none", "no such folder"},
        {"second", NULL},
        {"empty", "holds no plugin"},
        {"good/good.so", "is not a folder"},
    };
    assert_int_equal(cr_registry_paths(registry), COUNT(expected));
    for (size_t i = 0; i < COUNT(expected); i++) {
        const char *reason;
        assert_text("folder", cr_registry_path(registry, i, &reason), scratch(expected[i][0]));
        assert_text(expected[i][0], reason == NULL ? "" : reason,
                    expected[i][1] == NULL ? "" : expected[i][1]);
    }
    assert_loaded(registry, scratch("first/good.so"));
    assert_loaded(registry, scratch("second/also-good.so"));
    struct cr_plugin_info later = find_file(registry, scratch("second/good.so"));
    assert_true(later.shadowed);
    char reason[4096];
    snprintf(reason, sizeof(reason), "the plugin \"good\" was loaded from %s already",
             scratch("first/good.so"));
    assert_string_equal(later.reason, reason);
    assert_int_equal(seen.warnings, 0);
    assert_int_equal(cr_registry_count(registry), 3);
    cr_registry_destroy(&registry);
}

/* One that is refused does not stand in the way of a later one with its name. */
static void test_refused_does_not_shadow(void **unused)
{
    (void)unused;
    need_trusted_place();
    shell("cd '%s' && mkdir -p broken && echo x >broken/good.so", test_folder());
    char list[9000];
    snprintf(list, sizeof(list), "%s/broken:%s/good", test_folder(), test_folder());
    struct cr_registry *registry = open_with(list, true, true);
    assert_refused(registry, scratch("broken/good.so"), "cannot be loaded: ");
    assert_loaded(registry, scratch("good/good.so"));
    cr_registry_destroy(&registry);
}

static void test_order_of_places(void **unused)
{
    (void)unused;
    need_trusted_place();
    shell("cd '%s' && mkdir -p data/crayon/plugins variable && cp good/good.so variable && "
          "cp good/also-good.so data/crayon/plugins",
          test_folder());
    setenv("CRAYON_PLUGIN_PATH", scratch("variable"), 1);
    struct cr_registry *registry = open_with(scratch("good"), false, false);
    unsetenv("CRAYON_PLUGIN_PATH");
    assert_true(cr_registry_paths(registry) >= 4);
    assert_text("1", cr_registry_path(registry, 0, NULL), scratch("good"));
    assert_text("2", cr_registry_path(registry, 1, NULL), scratch("variable"));
    assert_text("3", cr_registry_path(registry, 2, NULL), scratch("data/crayon/plugins"));
    const char *last = cr_registry_path(registry, cr_registry_paths(registry) - 1, NULL);
    assert_text("last", last, CRAYON_PLUGINDIR);
    assert_true(find_file(registry, scratch("variable/good.so")).shadowed);
    assert_true(find_file(registry, scratch("data/crayon/plugins/also-good.so")).shadowed);
    cr_registry_destroy(&registry);
}

/* Without parameters: the usual places, and those that were named are not among them. */
static void test_defaults(void **unused)
{
    (void)unused;
    struct cr_registry *registry;
    assert_int_equal(cr_registry_create(&registry, NULL, NULL), 0);
    for (size_t i = 0; i < cr_registry_paths(registry); i++)
        assert_string_not_equal(cr_registry_path(registry, i, NULL), scratch("good"));
    cr_registry_destroy(&registry);
}

static void test_two_registries(void **unused)
{
    (void)unused;
    need_trusted_place();
    struct cr_registry *one = open_with(scratch("good"), true, false);
    struct cr_registry *two = open_with(scratch("good"), true, false);
    cr_registry_destroy(&one);
    assert_string_equal(cr_registry_element(two, 1)->summary, "does nothing");
    cr_registry_destroy(&two);
}

/* ---- Trust ---- */

static gid_t own_group(void)
{
    const struct passwd *entry = getpwuid(geteuid());
    return entry == NULL ? getegid() : entry->pw_gid;
}

static void test_trust_modes(void **unused)
{
    (void)unused;
    static const struct {
        long user, group; /* -1: the user's own */
        mode_t mode;
        const char *message;
    } cases[] = {
        {-1, -1, 0644, ""},
        {-1, -1, 0664, ""},
        {0, 0, 0664, ""},
        {-1, -1, 0646, "can be written by everybody (mode 0646): chmod o-w"},
        {-1, -1, 01777, "can be written by everybody (mode 1777): chmod o-w"},
        {-1, 54321, 0644, ""},
        {-1, 54321, 0664,
         "can be written by group 54321, which is not its owner's own (mode 0664): chmod g-w"},
        {54321, 54321, 0444, "belongs to user 54321; only what belongs to root or to you (user "},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct stat st;
        assert_int_equal(stat(scratch("good"), &st), 0);
        if (cases[i].user >= 0)
            st.st_uid = (uid_t)cases[i].user;
        if (cases[i].group >= 0)
            st.st_gid = (gid_t)cases[i].group;
        else
            st.st_gid = own_group();
        st.st_mode = S_IFREG | cases[i].mode;
        struct cr_error err = CR_ERROR_INIT;
        int result = cr_trust_check(&st, &err);
        assert_int_equal(result, cases[i].message[0] == '\0' ? 0 : CR_ERR_PLUGIN);
        err.message[strlen(cases[i].message)] = '\0';
        assert_text("cr_trust_check", err.message, cases[i].message);
    }
}

static void test_trust_folders(void **unused)
{
    (void)unused;
    need_trusted_place();
    shell("cd '%s' && mkdir -p open/inner sticky/inner linked && cp good/good.so open/inner && "
          "cp good/good.so sticky/inner && chmod 0777 open && chmod 1777 sticky",
          test_folder());
    const char *reason;
    struct cr_registry *registry = open_with(scratch("open"), true, true);
    cr_registry_path(registry, 0, &reason);
    assert_text("open", reason, "can be written by everybody (mode 0777): chmod o-w");
    cr_registry_destroy(&registry);

    char expected[4096];
    snprintf(expected, sizeof(expected),
             "lies in %s, which can be written by everybody (mode 0777): chmod o-w",
             scratch("open"));
    registry = open_with(scratch("open/inner"), true, true);
    cr_registry_path(registry, 0, &reason);
    assert_text("open/inner", reason, expected);
    assert_int_equal(cr_registry_count(registry), 0);
    cr_registry_destroy(&registry);

    registry = open_with(scratch("sticky/inner"), true, true);
    assert_loaded(registry, scratch("sticky/inner/good.so"));
    cr_registry_destroy(&registry);
}

/* A link into another folder is followed, and judged by where it leads. */
static void test_trust_links(void **unused)
{
    (void)unused;
    need_trusted_place();
    shell("cd '%s' && mkdir -p shelf links && cp good/good.so shelf/good.so.1 && "
          "cp good/also-good.so shelf && ln -sf ../shelf/good.so.1 links/good.so && "
          "ln -sf ../shelf/also-good.so links && chmod 0777 shelf",
          test_folder());
    struct cr_registry *registry = open_with(scratch("links"), true, true);
    char expected[4096];
    snprintf(expected, sizeof(expected), "lies in %s, which can be written by everybody",
             scratch("shelf"));
    assert_refused(registry, scratch("links/good.so"), expected);
    cr_registry_destroy(&registry);
    shell("chmod 0755 '%s'", scratch("shelf"));
    registry = open_with(scratch("links"), true, true);
    assert_loaded(registry, scratch("links/good.so"));
    assert_loaded(registry, scratch("links/also-good.so"));
    cr_registry_destroy(&registry);
}

/* ---- Probing and remembering ---- */

static size_t probes_of(const char *folder, bool no_cache)
{
    struct cr_registry *registry = open_with(scratch(folder), true, no_cache);
    assert_loaded(registry, scratch("probed/good.so"));
    cr_registry_destroy(&registry);
    return seen.probes;
}

static void test_remembers(void **unused)
{
    (void)unused;
    need_trusted_place();
    shell("cd '%s' && rm -rf cache && mkdir -p probed && cp good/good.so probed", test_folder());
    assert_int_equal(probes_of("probed", true), 1);
    assert_int_equal(probes_of("probed", true), 1);
    assert_int_not_equal(access(scratch("cache/crayon/plugins"), F_OK), 0);
    assert_int_equal(probes_of("probed", false), 1);
    assert_int_equal(probes_of("probed", false), 0);

    /* another file, or the same at another time */
    shell("touch -d 2001-02-03 '%s'", scratch("probed/good.so"));
    assert_int_equal(probes_of("probed", false), 1);
    assert_int_equal(probes_of("probed", false), 0);
    shell("cp -p '%s' '%s.new' && mv '%s.new' '%s'", scratch("probed/good.so"),
          scratch("probed/good.so"), scratch("probed/good.so"), scratch("probed/good.so"));
    assert_int_equal(probes_of("probed", false), 1);
    assert_int_equal(probes_of("probed", false), 0);

    /* a file that another library wrote, and a file that is no such file at all */
    shell("sed -i 1s/0[.]/99./ '%s'", scratch("cache/crayon/plugins"));
    assert_int_equal(probes_of("probed", false), 1);
    assert_int_equal(probes_of("probed", false), 0);
    shell("head -c 5000 '%s' >'%s'", scratch("good/good.so"), scratch("cache/crayon/plugins"));
    assert_int_equal(probes_of("probed", false), 1);

    /* a place where nothing can be written */
    shell("rm -rf '%s' && : >'%s'", scratch("cache"), scratch("cache"));
    assert_int_equal(probes_of("probed", false), 1);
    assert_int_equal(seen.warnings, 0);
    shell("rm '%s'", scratch("cache"));
}

static void test_without_probe(void **unused)
{
    (void)unused;
    need_trusted_place();
    seen.no_probe = true;
    struct cr_registry *registry = open_with(scratch("good"), true, true);
    seen.no_probe = false;
    assert_loaded(registry, scratch("good/good.so"));
    assert_loaded(registry, scratch("good/also-good.so"));
    assert_int_equal(seen.warnings, 1);
    assert_text("warning", seen.last,
                "plugins: new plugins are loaded without trying them in a process of their own: no "
                "pipe can be made: Too many open files");
    cr_registry_destroy(&registry);
}

/* A program that does not want to know of its children. */
static void test_ignored_children(void **unused)
{
    (void)unused;
    need_trusted_place();
    build("alone", "crashing", "-DCRASH");
    copy("good/good.so", "alone/good.so");
    signal(SIGCHLD, SIG_IGN);
    struct cr_registry *registry = open_with(scratch("alone"), true, true);
    signal(SIGCHLD, SIG_DFL);
    assert_loaded(registry, scratch("alone/good.so"));
    assert_refused(registry, scratch("alone/crashing.so"), "ended the process when it was loaded");
    cr_registry_destroy(&registry);
}

/* ---- Want of memory, and of everything else ---- */

static int64_t fail_at, fault_count;
static bool fail_memory;

static int fail_one(enum cr_fault_kind kind, const void *site)
{
    (void)site;
    if ((kind == CR_FAULT_ALLOC) != fail_memory)
        return 0;
    return ++fault_count == fail_at ? (fail_memory ? ENOMEM : EIO) : 0;
}

/* Whatever fails: the registry is made, or there is an error; nothing leaks. `made` counts how
 * often it was made. */
static void fail_each(bool memory, size_t *made)
{
    struct cr_registry_params params = {.path = scratch("good"), .only_path = true};
    fail_memory = memory;
    for (fail_at = 1; fail_at < 10000; fail_at++) {
        int64_t before = cr_memory_live();
        struct cr_registry *registry;
        struct cr_error err = CR_ERROR_INIT;
        fault_count = 0;
        cr_fault_set_hook(fail_one);
        int result = cr_registry_create(&registry, &params, &err);
        cr_fault_set_hook(count_probes);
        if (result < 0) {
            assert_true(memory);
            assert_int_equal(result, CR_ERR_MEMORY);
            assert_int_equal(err.code, CR_ERR_MEMORY);
            assert_null(registry);
        } else {
            (*made)++;
            cr_registry_destroy(&registry);
        }
        assert_int_equal(cr_memory_live(), before);
        if (fault_count < fail_at)
            break;
    }
    assert_true(fail_at > 5 && fail_at < 10000);
}

static void test_faults(void **unused)
{
    (void)unused;
    need_trusted_place();
    struct cr_registry *registry = open_with(scratch("good"), true, false);
    cr_registry_destroy(&registry); /* now the outcomes are known */
    size_t made = 0;
    fail_each(true, &made);
    assert_true(made >= 1);
    made = 0;
    fail_each(false, &made);
    assert_true(made == (size_t)fail_at);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_taken_element),
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_path_list),
        cmocka_unit_test(test_refused_does_not_shadow),
        cmocka_unit_test(test_order_of_places),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_two_registries),
        cmocka_unit_test(test_trust_modes),
        cmocka_unit_test(test_trust_folders),
        cmocka_unit_test(test_trust_links),
        cmocka_unit_test(test_remembers),
        cmocka_unit_test(test_without_probe),
        cmocka_unit_test(test_ignored_children),
        cmocka_unit_test(test_faults),
    };
    return cmocka_run_group_tests_name("registry", tests, set_up, NULL);
}

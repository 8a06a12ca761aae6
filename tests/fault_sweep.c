/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* dladdr, MAP_ANONYMOUS */
#include <dirent.h>
#include <dlfcn.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include <cjson/cJSON.h>

#include <crayon/memory.h>

#include "fault_sweep.h"
#include "test.h"

/* ---- Which call fails ---- */

#define MAX_SITES 4096

int sweep_first_hits = 3;

static enum cr_fault_kind armed_kind;
static int armed_number;
static const void *armed_site; /* NULL: wherever */
static bool persistent;        /* all that follow fail, too */

/* How often a place called. Workers call, too. */
struct site {
    const void *_Atomic place;
    atomic_int hits;
};

/* What calls change is shared with child processes, whose calls count. */
static struct shared {
    atomic_int countdown; /* 0 and below: spent, or not armed */
    struct site sites[MAX_SITES];
} * shared;

static int fail_one(enum cr_fault_kind kind, const void *site)
{
    if (kind != armed_kind || (armed_site != NULL && site != armed_site))
        return 0;
    int left = atomic_fetch_sub(&shared->countdown, 1);
    return left == 1 || (persistent && left <= 1) ? armed_number : 0;
}

static int count_hits(enum cr_fault_kind kind, const void *site)
{
    for (int i = 0; kind == armed_kind && i < MAX_SITES; i++) {
        const void *found = NULL; /* what stands there, if anything does */
        if (atomic_compare_exchange_strong(&shared->sites[i].place, &found, site) ||
            found == site) {
            atomic_fetch_add(&shared->sites[i].hits, 1);
            break;
        }
    }
    return 0;
}

static void arm(enum cr_fault_kind kind, int number, const void *site, int n, cr_fault_hook hook)
{
    armed_kind = kind;
    armed_number = number;
    armed_site = site;
    if (shared == NULL)
        shared =
            mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(shared, MAP_FAILED);
    atomic_store(&shared->countdown, n);
    cr_fault_set_hook(hook);
}

void sweep_arm(enum cr_fault_kind kind, int number, int n)
{
    arm(kind, number, NULL, n, fail_one);
}

bool sweep_disarm(void)
{
    cr_fault_set_hook(NULL);
    return shared != NULL && atomic_load(&shared->countdown) <= 0;
}

/* ---- What has to hold ---- */

/* Files that this process has open; 0 where the system does not say. */
static int open_files(void)
{
    int count = 0;
    DIR *folder = opendir("/proc/self/fd");
    while (folder != NULL && readdir(folder) != NULL)
        count++;
    if (folder != NULL)
        closedir(folder);
    return count;
}

struct attempt {
    sweep_run run;
    sweep_check check;
    void *user;
};

static const char *current = "no fault";

const char *sweep_current(void)
{
    return current;
}

/* One run that is armed; was the fault reached? */
static bool attempt(const struct attempt *attempt, const char *what)
{
    current = what;
    struct cr_error err = CR_ERROR_INIT;
    int64_t live = cr_memory_live();
    int files = open_files();
    int result = attempt->run(attempt->user, &err);
    bool reached = sweep_disarm();
    if (cr_memory_live() != live)
        fail_msg("%s: %lld allocations are left", what, (long long)(cr_memory_live() - live));
    if (open_files() != files)
        fail_msg("%s: %d files are left open", what, open_files() - files);
    if (result < 0 && (err.code != result || err.message[0] == '\0'))
        fail_msg("%s: returned %d, reported %d \"%s\"", what, result, err.code, err.message);
    if (!reached && result != 0)
        fail_msg("%s, which was not reached: %s", what, err.message);
    if (attempt->check != NULL)
        attempt->check(attempt->user, result);
    current = "no fault";
    return reached;
}

/* After each call its next, and one more for every `thin` calls before it; 0: none is left out. */
static int sweep_calls(enum cr_fault_kind kind, int number, const struct attempt *todo, int thin)
{
    int disturbed = 0;
    for (int n = 1; n < 1000000; n += 1 + (thin > 0 ? n / thin : 0)) {
        char what[80];
        snprintf(what, sizeof(what), "call %d of kind %d%s", n, (int)kind,
                 persistent ? " and all that follow" : "");
        sweep_arm(kind, number, n);
        if (!attempt(todo, what))
            return disturbed;
        disturbed++;
    }
    fail_msg("the sweep does not end");
    return -1;
}

int sweep_faults(enum cr_fault_kind kind, int number, sweep_run run, sweep_check check, void *user)
{
    return sweep_calls(kind, number, &(struct attempt){run, check, user}, 0);
}

int sweep_some(enum cr_fault_kind kind, int number, sweep_run run, sweep_check check, void *user)
{
    return sweep_calls(kind, number, &(struct attempt){run, check, user}, 8);
}

/* ---- By place ---- */

/* "cr_model_open+0x1f of libcrayon.so", as far as known. */
static void describe(const void *place, char *text, size_t size)
{
    Dl_info info;
    if (dladdr(place, &info) == 0)
        snprintf(text, size, "%p", place);
    else
        snprintf(text, size, "%s+0x%tx of %s+0x%tx", info.dli_sname ? info.dli_sname : "?",
                 (const char *)place - (const char *)(info.dli_sname ? info.dli_saddr : place),
                 info.dli_fname, (const char *)place - (const char *)info.dli_fbase);
}

static int sweep_site(enum cr_fault_kind kind, int number, const struct site *site,
                      const struct attempt *todo)
{
    int n = 0;
    char place[300], what[400];
    describe(site->place, place, sizeof(place));
    while (n < sweep_first_hits && n < site->hits) {
        snprintf(what, sizeof(what), "call %d of kind %d from %s", ++n, (int)kind, place);
        arm(kind, number, site->place, n, fail_one);
        if (!attempt(todo, what))
            break;
    }
    return n;
}

int sweep_sites(enum cr_fault_kind kind, int number, sweep_run run, sweep_check check, void *user)
{
    const struct attempt todo = {run, check, user};
    const char *faults = getenv("CRAYON_FAULTS");
    int disturbed = 0;
    /* What is kept for ever is there after the first. */
    struct cr_error err = CR_ERROR_INIT;
    if (run(user, &err) != 0)
        fail_msg("without a fault: %s", err.message);
    if (faults != NULL && strcmp(faults, "all") == 0) {
        disturbed = sweep_calls(kind, number, &todo, 0);
        persistent = true;
        disturbed += sweep_calls(kind, number, &todo, 0);
        persistent = false;
        return disturbed;
    }
    arm(kind, number, NULL, 1, count_hits);
    memset(shared->sites, 0, sizeof(shared->sites));
    attempt(&todo, "counting");
    for (int i = 0; i < MAX_SITES && shared->sites[i].place != NULL; i++)
        disturbed += sweep_site(kind, number, &shared->sites[i], &todo);
    return disturbed;
}

void sweep_cjson(void)
{
    cJSON_Hooks hooks = {.malloc_fn = cr_malloc, .free_fn = cr_free};
    cJSON_InitHooks(&hooks);
}

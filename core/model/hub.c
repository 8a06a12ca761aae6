/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <crayon/file.h>
#include <crayon/memory.h>

#include "base/io.h"
#include "base/paths.h"
#include "model/hub.h"

#define NEEDED "config.json and model.safetensors, or its shards with model.safetensors.index.json"

/* A search: the places that were looked at, for the error. */
struct search {
    const char *name;
    struct cr_text places;
    char *folder;
    bool failed; /* memory ran out */
};

static bool is_folder(const char *path)
{
    struct stat st;
    return cr_io_stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* Look at `path` (takes it; NULL: memory ran out). */
static void look(struct search *search, char *path)
{
    search->failed = search->failed || path == NULL;
    if (path != NULL && search->folder == NULL) {
        cr_text_printf(&search->places, "%s%s", search->places.size > 0 ? ", " : "", path);
        if (is_folder(path)) {
            search->folder = path;
            return;
        }
    }
    cr_free(path);
}

/* "ORG/NAME" or "NAME", of the characters that the Hugging Face hub allows. */
static bool is_public_name(const char *name)
{
    int slashes = 0;
    bool start = true;
    for (const char *at = name; *at != '\0'; at++) {
        bool plain =
            (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') || (*at >= '0' && *at <= '9');
        if (*at == '/')
            slashes++;
        else if (!plain && (start || strchr("._-", *at) == NULL))
            return false;
        if (*at == '/' && start)
            return false;
        start = *at == '/';
    }
    return name[0] != '\0' && !start && slashes <= 1;
}

/* A variable of the environment, unless it is empty or not to be trusted. */
static const char *variable(const char *name)
{
    const char *value = cr_is_privileged() ? NULL : getenv(name);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

static void look_in_path(struct search *search, const char *path)
{
    const char *slash = strchr(search->name, '/');
    while (*path != '\0') {
        size_t length = strcspn(path, ":");
        if (length > 0) {
            look(search, cr_asprintf("%.*s/%s", (int)length, path, search->name));
            if (slash != NULL)
                look(search, cr_asprintf("%.*s%s", (int)length, path, slash));
        }
        path += length;
        path += *path == ':';
    }
}

/* ---- The cache of Hugging Face ---- */

/* The folder that holds models--ORG--NAME; NULL: there is no home. */
static char *hub_folder(bool *failed)
{
    const char *value;
    char *folder = NULL;
    if ((value = variable("HF_HUB_CACHE")) != NULL)
        folder = cr_strdup(value);
    else if ((value = variable("HF_HOME")) != NULL)
        folder = cr_asprintf("%s/hub", value);
    else if ((value = variable("XDG_CACHE_HOME")) != NULL && value[0] == '/')
        folder = cr_asprintf("%s/huggingface/hub", value);
    else if ((value = variable("HOME")) != NULL)
        folder = cr_asprintf("%s/.cache/huggingface/hub", value);
    *failed = value != NULL && folder == NULL;
    return folder;
}

/* HUB/models--ORG--NAME */
static char *repository(const char *hub, const char *name)
{
    struct cr_text path = CR_TEXT_INIT;
    cr_text_printf(&path, "%s/models--", hub);
    for (; *name != '\0'; name++)
        cr_text_append(&path, *name == '/' ? "--" : name, *name == '/' ? 2 : 1);
    return cr_text_take(&path);
}

/* The revision that refs/main says, in `revision`; false when there is none that could be one. */
static bool read_revision(const char *repository, char revision[128])
{
    char *path = cr_asprintf("%s/refs/main", repository), *text = NULL;
    size_t size = 0;
    bool read = path != NULL && cr_file_read(path, 127, &text, &size, NULL) == 0;
    if (read) {
        memcpy(revision, text, size + 1);
        revision[strcspn(revision, " \r\n\t")] = '\0';
        read = revision[0] != '\0' && revision[0] != '.' && strchr(revision, '/') == NULL;
    }
    cr_free(text);
    cr_free(path);
    return read;
}

/* The newest folder in `snapshots`, new; NULL: there is none. */
static char *newest_snapshot(struct search *search, const char *snapshots)
{
    DIR *folder = cr_io_opendir(snapshots);
    char *newest = NULL;
    struct timespec time = {0};
    for (struct dirent *entry; folder != NULL && (entry = cr_io_readdir(folder)) != NULL;) {
        struct stat st;
        char *path = entry->d_name[0] == '.' ? NULL : cr_path_join(snapshots, entry->d_name);
        search->failed = search->failed || (path == NULL && entry->d_name[0] != '.');
        if (path != NULL && cr_io_stat(path, &st) == 0 && S_ISDIR(st.st_mode) &&
            (newest == NULL || st.st_mtim.tv_sec > time.tv_sec ||
             (st.st_mtim.tv_sec == time.tv_sec && st.st_mtim.tv_nsec > time.tv_nsec))) {
            char *before = newest;
            newest = path;
            path = before;
            time = st.st_mtim;
        }
        cr_free(path);
    }
    if (folder != NULL)
        closedir(folder);
    return newest;
}

static void look_in_hub(struct search *search, const char *hub)
{
    char revision[128];
    char *base = repository(hub, search->name);
    char *snapshots = base == NULL ? NULL : cr_path_join(base, "snapshots");
    if (snapshots == NULL) {
        search->failed = true;
    } else if (read_revision(base, revision)) {
        look(search, cr_path_join(snapshots, revision));
    } else {
        char *newest = newest_snapshot(search, snapshots);
        look(search, newest != NULL ? newest : cr_strdup(snapshots));
        if (newest == NULL) { /* a folder without revisions holds no model */
            cr_free(search->folder);
            search->folder = NULL;
        }
    }
    cr_free(snapshots);
    cr_free(base);
}

/* ---- All of it ---- */

static int not_found(const struct search *search, bool path_set, struct cr_error *err)
{
    return cr_fail(err, CR_ERR_NOT_FOUND,
                   "%s: the model is not here; looked for the folders %s%s; one of them has to "
                   "hold " NEEDED ", as published under the name \"%s\"",
                   search->name, search->places.data,
                   path_set ? "" : " (CRAYON_MODEL_PATH is not set)", search->name);
}

static void look_everywhere(struct search *search)
{
    const char *path = variable("CRAYON_MODEL_PATH");
    bool failed = false;
    if (path != NULL)
        look_in_path(search, path);
    char *hub = search->folder == NULL ? hub_folder(&failed) : NULL;
    if (hub != NULL && search->folder == NULL)
        look_in_hub(search, hub);
    search->failed = search->failed || failed;
    cr_free(hub);
}

int cr_hub_find(char **folder, bool *is_public, const char *name, struct cr_error *err)
{
    struct search search = {.name = name};
    struct stat st;
    int result = 0;
    *folder = NULL;
    *is_public = false;
    if (name[0] != '\0' && cr_io_stat(name, &st) == 0 && !S_ISDIR(st.st_mode))
        return cr_fail(err, CR_ERR_ARGUMENT,
                       "%s: is no folder; a model is the folder that holds " NEEDED, name);
    look(&search, cr_strdup(name));
    if (search.folder == NULL && is_public_name(name)) {
        *is_public = true;
        look_everywhere(&search);
    }
    if (search.failed || search.places.failed)
        result = cr_fail_memory(err, strlen(name) + 1);
    else if (search.folder == NULL && *is_public)
        result = not_found(&search, variable("CRAYON_MODEL_PATH") != NULL, err);
    else if (search.folder == NULL)
        result = cr_fail(err, CR_ERR_NOT_FOUND,
                         "%s: there is no such folder; a model is a folder that holds " NEEDED
                         ", or a public name such as \"ORG/NAME\"",
                         name[0] != '\0' ? name : "\"\"");
    cr_text_finish(&search.places);
    if (result == 0)
        *folder = search.folder;
    else
        cr_free(search.folder);
    return result;
}

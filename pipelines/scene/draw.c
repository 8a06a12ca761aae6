/* SPDX-License-Identifier: MIT */
/* draw FOLDER: draws the scene that the project ships into FOLDER: scene.jpg, panoptic_scene.json
 * and panoptic_scene/scene.png. `make scene` runs it over the committed files. */
#include <crayon/file.h>
#include <crayon/memory.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "scene.h"

static char *path_in(const char *folder, const char *name)
{
    char *path = cr_asprintf("%s/%s", folder, name);
    if (path == NULL) {
        fprintf(stderr, "draw: out of memory\n");
        exit(EXIT_FAILURE);
    }
    return path;
}

static int save_image(struct cr_image *image, const char *folder, const char *name,
                      struct cr_error *err)
{
    char *path = path_in(folder, name);
    int result = cr_image_save(image, path, err);
    cr_free(path);
    cr_image_unref(&image);
    return result;
}

static int save_text(char *text, const char *folder, const char *name, struct cr_error *err)
{
    char *path = path_in(folder, name);
    int result = cr_file_write(path, text, strlen(text), err);
    cr_free(path);
    cr_free(text);
    return result;
}

static int save(const struct scene *scene, const char *folder, struct cr_error *err)
{
    char *ids = path_in(folder, "panoptic_scene");
    int made = mkdir(ids, 0777);
    cr_free(ids);
    if (made < 0 && errno != EEXIST)
        return cr_fail_errno(err, errno, "%s/panoptic_scene", folder);
    int result = save_image(scene_photograph(scene), folder, "scene.jpg", err);
    if (result == 0)
        result = save_image(scene_annotation(scene), folder, "panoptic_scene/scene.png", err);
    if (result == 0)
        result = save_text(scene_json(scene), folder, "panoptic_scene.json", err);
    return result;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: draw FOLDER\n");
        return EXIT_FAILURE;
    }
    struct scene scene;
    struct cr_error err = CR_ERROR_INIT;
    scene_init(&scene);
    scene_draw(&scene);
    int result = save(&scene, argv[1], &err);
    scene_finish(&scene);
    if (result < 0)
        fprintf(stderr, "draw: %s\n", err.message);
    return result < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

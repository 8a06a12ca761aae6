/* SPDX-License-Identifier: MIT */
/* segment-command: the panoptic map of a picture from a program of the user's. */
#include <string.h>

#include <crayon/memory.h>
#include <crayon/plugin.h>

#define IMAGE_NAME "image.png"

struct segment_command {
    struct cr_option_strings command;
    const char *script;
    const char *result;
    double timeout;
    struct cr_size size;
    struct cr_size grid;
};

/* ---- The command line ---- */

/* What stands for something else in arguments, and what for. */
#define PLACES 3
struct place {
    const char *name, *value;
};

static char *fill_in(const char *argument, const struct place places[PLACES])
{
    struct cr_text text = CR_TEXT_INIT;
    while (*argument != '\0') {
        const struct place *place = places;
        size_t length = 1;
        while (place < places + PLACES &&
               strncmp(argument, place->name, length = strlen(place->name)) != 0)
            place++;
        if (place < places + PLACES)
            cr_text_add(&text, place->value);
        else
            cr_text_append(&text, argument, length = 1);
        argument += length;
    }
    if (text.size == 0)
        cr_text_add(&text, "");
    return cr_text_take(&text);
}

static bool mentions(const struct cr_option_strings *command, const char *place)
{
    for (size_t i = 0; i < command->count; i++)
        if (strstr(command->items[i], place) != NULL)
            return true;
    return false;
}

static void segment_check(const void *state, struct cr_check *check)
{
    const struct segment_command *segmenter = state;
    if (segmenter->command.count == 0 || segmenter->command.items[0][0] == '\0')
        cr_check_problem(check, "command", "the name of a program is needed");
    else if (!mentions(&segmenter->command, "{folder}"))
        cr_check_problem(check, "command",
                         "no argument holds \"{folder}\", so that the program cannot know where to "
                         "leave its result");
    if (mentions(&segmenter->command, "{script}") && segmenter->script == NULL)
        cr_check_problem(check, "command",
                         "\"{script}\" stands for the option \"script\", which is not given");
    if (segmenter->result[0] == '\0' || strchr(segmenter->result, '/') != NULL)
        cr_check_problem(check, "result",
                         "\"%s\" is no name of a file in the work folder, such as panoptic.json",
                         segmenter->result);
}

static int run_program(const struct segment_command *segmenter, const char *image,
                       const char *folder, struct cr_context *context, struct cr_error *err)
{
    const struct place places[PLACES] = {
        {"{image}", image}, {"{folder}", folder}, {"{script}", segmenter->script}};
    size_t count = segmenter->command.count, filled = 0;
    char **argv = cr_calloc(count + 1, sizeof(*argv));
    if (argv == NULL)
        return cr_fail_memory(err, (count + 1) * sizeof(*argv));
    while (filled < count &&
           (argv[filled] = fill_in(segmenter->command.items[filled], places)) != NULL)
        filled++;
    int result = filled < count ? cr_fail_memory(err, strlen(segmenter->command.items[filled]))
                                : cr_context_command(context, (const char *const *)argv,
                                                     segmenter->timeout, err);
    for (size_t i = 0; i < filled; i++)
        cr_free(argv[i]);
    cr_free(argv);
    return result;
}

/* ---- What it leaves ---- */

static int load_map(struct cr_panoptic **out, const struct segment_command *segmenter,
                    const struct cr_image *image, const char *folder, struct cr_error *err)
{
    const struct cr_coco_query query = {.image_id = -1, .size = cr_image_size(image)};
    size_t unlisted = 0;
    char *json = cr_asprintf("%s/%s", folder, segmenter->result);
    if (json == NULL)
        return cr_fail_memory(err, strlen(folder));
    int result = cr_coco_load(out, json, folder, &query, &unlisted, err);
    if (result == 0 && unlisted > 0) {
        cr_panoptic_unref(out);
        result =
            cr_fail(err, CR_ERR_FORMAT, "%s: colours in the map that its segments_info lacks: %zu",
                    json, unlisted);
    }
    if (result < 0)
        cr_error_prefix(err, "what %s left", segmenter->command.items[0]);
    cr_free(json);
    return result;
}

static int segment_image(const void *state, const struct cr_image *image,
                         struct cr_context *context, struct cr_panoptic **map, struct cr_error *err)
{
    const struct segment_command *segmenter = state;
    const char *given = cr_context_folder(context, err);
    const char *folder = given == NULL ? NULL : cr_context_folder(context, err);
    char *path = folder == NULL ? NULL : cr_asprintf("%s/%s", given, IMAGE_NAME);
    if (path == NULL)
        return folder == NULL ? CR_ERR_IO : cr_fail_memory(err, strlen(given));
    int result = cr_image_save(image, path, err);
    if (result == 0)
        result = run_program(segmenter, path, folder, context, err);
    if (result == 0)
        result = load_map(map, segmenter, image, folder, err);
    cr_free(path);
    return result;
}

/* ---- The stage ---- */

static int segment_run(void *state, struct cr_context *context, struct cr_error *err)
{
    const struct segment_command *segmenter = state;
    return cr_context_segment(context, segmenter, segment_image, segmenter->size, segmenter->grid,
                              err);
}

static const struct cr_stage_ops segment_ops = {
    .size = sizeof(struct cr_stage_ops),
    .check = segment_check,
    .run = segment_run,
};

static const struct cr_element segment_element = {
    .size = sizeof(struct cr_element),
    .kind = CR_ELEMENT_STAGE,
    .name = "segment-command",
    .summary = "panoptic map of a picture from any program",
    .description =
        "Runs a program for each picture and reads the map that it leaves: the way to a "
        "segmentation network that crayon does not have. The program gets the picture as a PNG "
        "file and an empty work folder, and has to leave there a panoptic annotation in COCO's "
        "format: a JSON file with one entry in annotations, and the PNG file that this entry names "
        "as file_name, as large as the picture, whose colours are the ids in segments_info: R + "
        "256 G + 65536 B, and 0 for background. Segments get the ids 1, 2, ... in the order of "
        "segments_info; their label is the position of category_id among the 133 COCO panoptic "
        "categories, and categories that COCO does not know become unknown.\n\n"
        "A pipeline is a file that may come from anywhere, so it cannot have programs run by "
        "itself: you have to allow it, with --allow-command or with CRAYON_ALLOW_COMMAND=1 in the "
        "environment.\n\n"
        "The command is a list of arguments that are handed over as they are; there is no shell. "
        "In each of them {image} stands for the picture's path, {folder} for that of the work "
        "folder, and {script} for the option script. The program starts in the current folder, "
        "reads nothing from standard input, and has no open files but its standard streams. What "
        "it writes there is not shown; when it fails, the message ends with its last lines. When "
        "its time is over, or on Ctrl-C, it gets SIGTERM and two seconds later SIGKILL, together "
        "with all that it started and that has not left its process group; what it leaves running "
        "there is ended as well. Picture and work "
        "folder lie in a folder of their own in TMPDIR, or /tmp, for you alone, which is removed "
        "in any case. What is left there as a link, a FIFO or the like is an error, and so are "
        "colours in the map that segments_info lacks.\n\n"
        "An example: with this program as horizon.py, the upper half of every picture is sky and "
        "the lower half grass.\n\n"
        "    import json, struct, sys, zlib\n"
        "\n"
        "    image, folder = sys.argv[1:]\n"
        "    with open(image, \"rb\") as file:\n"
        "        width, height = struct.unpack(\">16xII\", file.read(24))\n"
        "\n"
        "    SKY, GRASS = 1, 2\n"
        "    ids = [SKY if y < height // 2 else GRASS for y in range(height)]\n"
        "    rows = [bytes(1) + id.to_bytes(3, \"little\") * width for id in ids]\n"
        "\n"
        "    def chunk(name, data):\n"
        "        crc = zlib.crc32(name + data)\n"
        "        return struct.pack(\">I\", len(data)) + name + data + struct.pack(\">I\", crc)\n"
        "\n"
        "    with open(folder + \"/panoptic.png\", \"wb\") as file:\n"
        "        file.write(bytes([137, 80, 78, 71, 13, 10, 26, 10]))\n"
        "        header = struct.pack(\">IIBBBBB\", width, height, 8, 2, 0, 0, 0)\n"
        "        file.write(chunk(b\"IHDR\", header))\n"
        "        file.write(chunk(b\"IDAT\", zlib.compress(b\"\".join(rows))))\n"
        "        file.write(chunk(b\"IEND\", b\"\"))\n"
        "\n"
        "    segments = [{\"id\": SKY, \"category_id\": 187, \"iscrowd\": 0},\n"
        "                {\"id\": GRASS, \"category_id\": 193, \"iscrowd\": 0}]\n"
        "    annotation = {\"image_id\": 1, \"file_name\": \"panoptic.png\",\n"
        "                  \"segments_info\": segments}\n"
        "    with open(folder + \"/panoptic.json\", \"w\") as file:\n"
        "        json.dump({\"annotations\": [annotation]}, file)\n"
        "\n"
        "This pipeline beside it, horizon.json, runs it:\n\n"
        "    { \"crayon\": 1,\n"
        "      \"inputs\": { \"image\": \"image\" },\n"
        "      \"stages\": {\n"
        "        \"segment\": {\n"
        "          \"use\": \"segment-command\",\n"
        "          \"command\": [\"python3\", \"{script}\", \"{image}\", \"{folder}\"],\n"
        "          \"script\": \"horizon.py\",\n"
        "          \"in\": { \"image\": \"@image\" } },\n"
        "        \"crayon\": { \"use\": \"crayon-encoder\",\n"
        "                    \"in\": { \"panoptic\": \"segment.grid\" } } },\n"
        "      \"outputs\": { \"objects\": \"crayon.objects\" } }\n"
        "\n"
        "With both in the current folder:\n\n"
        "    $ crayon run --allow-command --image photo.jpg horizon.json",
    .inputs = CR_PORTS(CR_PORT("image", CR_TYPE_IMAGE, 0, "the picture")),
    .outputs = CR_PORTS(
        CR_PORT("panoptic", CR_TYPE_PANOPTIC, 0,
                "the map in the size of the picture, or in that of option size"),
        CR_PORT("grid", CR_TYPE_PANOPTIC, 0, "the map reduced to option grid, for crayon-encoder")),
    .options = CR_OPTIONS(
        CR_OPTION_STRINGS("command", struct segment_command, command, NULL, CR_OPTION_REQUIRED,
                          "the program and its arguments, in which {image}, {folder} and {script} "
                          "stand for paths; a name without a slash is looked up in PATH"),
        CR_OPTION_PATH("script", struct segment_command, script, NULL, 0,
                       "a file that {script} stands for in the command: one that lies beside the "
                       "pipeline is found from everywhere"),
        CR_OPTION_STRING("result", struct segment_command, result, "panoptic.json", 0,
                         "name of the JSON file that the program leaves in the work folder"),
        CR_OPTION_NUMBER("timeout", struct segment_command, timeout, "300", 0.001, 86400, 0,
                         "how long the program may take for one picture, in seconds"),
        CR_OPTION_SIZE("size", struct segment_command, size, NULL, 1, 65535, 0,
                       "height and width of the output panoptic, in pixels; by default those of "
                       "the picture"),
        CR_OPTION_SIZE("grid", struct segment_command, grid, "[35, 35]", 1, 256, 0,
                       "rows and columns of the output grid")),
    .state_size = sizeof(struct segment_command),
    .stage = &segment_ops,
    .flags = CR_ELEMENT_SERIAL,
};

CR_PLUGIN("segment-command", CR_VERSION, "MIT", "panoptic maps from other programs",
          &segment_element);

/* SPDX-License-Identifier: MIT */
/* The schema says of each stage what its plugin declares, and refuses what the checks refuse. */
#include <unistd.h>

#include <crayon/memory.h>

#include "base/json.h"
#include "pipeline/pipeline.h"
#include "pipeline_stages.h"
#include "test.h"

static char *make_schema(void)
{
    struct cr_registry *registry = stages_registry();
    char *text;
    struct cr_error err = CR_ERROR_INIT;
    assert_int_equal(cr_pipeline_schema(registry, &text, &err), 0);
    cr_registry_destroy(&registry);
    return text;
}

/* The member that a path of keys, separated by blanks, leads to. */
static const cJSON *member(const cJSON *item, const char *path)
{
    char copy[200], *rest = NULL;
    snprintf(copy, sizeof(copy), "%s", path);
    for (char *key = strtok_r(copy, " ", &rest); key != NULL; key = strtok_r(NULL, " ", &rest))
        item = cr_json_get(item, key);
    return item;
}

static void test_declarations(void **state)
{
    (void)state;
    static const struct {
        const char *path, *json;
    } cases[] = {
        {"title", "'segment'"},
        {"description", "'find the parts of a picture'"},
        {"required", "['in']"},
        {"additionalProperties", "false"},
        {"properties in required", "['image']"},
        {"properties in properties image",
         "{'$ref':'#/$defs/wire','description':'the photograph'}"},
        {"properties outlines", "{'type':'boolean','default':true,'description':'draw outlines'}"},
        {"properties max_side",
         "{'type':'integer','minimum':64,'maximum':4096,'default':1024,'description':"
         "'longer side of the picture, in pixels'}"},
        {"properties threshold",
         "{'type':'number','minimum':0,'maximum':1,'default':0.5,'description':"
         "'score from which a part counts'}"},
        {"properties title", "{'type':'string','description':'a title'}"},
        {"properties mode", "{'enum':['exact','quick'],'default':'exact','description':"
                            "'how to go about it'}"},
        {"properties file", "{'type':'string','minLength':1,'description':'a file with parts'}"},
        {"properties grid",
         "{'type':'array','items':{'type':'integer','minimum':1,'maximum':200},'minItems':2,"
         "'maxItems':2,'default':[35,35],'description':'size of the grid'}"},
        {"properties sides",
         "{'type':'array','items':{'type':'integer','minimum':1,'maximum':9},'description':"
         "'sides of the parts'}"},
        {"properties labels",
         "{'type':'array','items':{'type':'string'},'description':'labels to keep'}"},
    };
    char *text = make_schema();
    cJSON *schema;
    assert_int_equal(cr_json_parse(&schema, text, strlen(text), "schema", NULL), 0);
    const cJSON *stage = member(schema, "$defs use-segment");
    for (size_t i = 0; i < COUNT(cases); i++) {
        char *got = cJSON_PrintUnformatted(member(stage, cases[i].path));
        assert_non_null(got);
        for (char *c = got; *c != '\0'; c++)
            if (*c == '"')
                *c = '\'';
        assert_text(cases[i].path, got, cases[i].json);
        cJSON_free(got);
    }
    assert_int_equal(
        member(schema, "$defs use-collage properties in properties images minItems")->valueint, 1);
    assert_string_equal(member(schema, "$defs use-photo required")->child->valuestring, "path");
    cJSON_Delete(schema);
    cr_free(text);
}

/* ---- Against a validator ---- */

static const char good[] =
    "{\"$schema\": \"x\", \"crayon\": 1, \"name\": \"n\", \"note\": \"n\", \"x-a\": 1,\n"
    " \"inputs\": {\"image\": \"image\"}, \"stages\": {\n"
    " \"s\": {\"use\": \"segment\", \"outlines\": false, \"max_side\": 64, \"threshold\": 1, "
    "\"title\": \"\",\n"
    "       \"mode\": \"quick\", \"file\": \"f\", \"grid\": [1, 200], \"sides\": [], \"labels\": "
    "[\"\"],\n"
    "       \"in\": {\"image\": \"@image\"}, \"batch\": 1, \"release\": true, \"note\": \"\", "
    "\"x-b\": null},\n"
    " \"c\": {\"use\": \"collage\", \"in\": {\"images\": [\"@image\"], \"frames\": []}},\n"
    " \"o\": {\"use\": \"overlay\", \"in\": {\"image\": \"c.image\", \"panoptic\": \"s.grid\"}}},\n"
    " \"outputs\": {\"a\": \"o.image\", \"b\": \"@image\"}}";

static const char changes[] =
    "{\"crayon\": 1, \"extends\": \"good.json\", \"inputs\": {\"image\": null},\n"
    " \"stages\": {\"s\": null, \"c\": {\"use\": \"mark\", \"threshold\": null, \"in\": {\"x\": "
    "null}}},\n"
    " \"outputs\": {\"a\": null, \"c\": \"c.text\"}}";

/* Those of tests/pipelines/broken whose mistakes a schema can see. */
static const char refused[] =
    "check-after-range common-keys extends-empty extends-kind in-kind input-type kinds-top "
    "name-empty name-kind names no-outputs no-stages no-version not-an-object option-case "
    "option-choice option-fraction option-huge option-items option-kinds option-missing "
    "option-null option-of-none option-range option-unknown option-unknown-far output-wires "
    "outputs-empty plugin-unknown plugin-unknown-wires port-missing port-of-source port-unknown "
    "stage-kinds stages-empty unknown-key version-2 version-fraction version-text wire-forms "
    "wire-kinds wire-list wire-list-empty wire-list-item";

static const char validator[] =
    "import json, sys, jsonschema\n"
    "schema = json.load(open(sys.argv[1]))\n"
    "jsonschema.Draft202012Validator.check_schema(schema)\n"
    "check = jsonschema.Draft202012Validator(schema)\n"
    "wrong = 0\n"
    "for name in sys.argv[2:]:\n"
    "    expected = name[0] == '+'\n"
    "    errors = [e.message for e in check.iter_errors(json.load(open(name[1:])))]\n"
    "    if expected != (not errors):\n"
    "        print('#', name, errors)\n"
    "        wrong = 1\n"
    "sys.exit(wrong)\n";

static void test_validator(void **state)
{
    (void)state;
    if (system("/usr/bin/python3 -c 'import jsonschema' >/dev/null 2>&1") != 0)
        skip_because("python3-jsonschema is not there");
    char *text = make_schema();
    write_test_text(scratch("schema.json"), text);
    write_test_text(scratch("good.json"), good);
    write_test_text(scratch("changes.json"), changes);
    write_test_text(scratch("validate.py"), validator);
    cr_free(text);
    struct cr_text command = CR_TEXT_INIT;
    cr_text_printf(&command, "/usr/bin/python3 '%s' '%s' '+%s' '+%s'", scratch("validate.py"),
                   scratch("schema.json"), scratch("good.json"), scratch("changes.json"));
    char copy[sizeof(refused)], *rest = NULL;
    strcpy(copy, refused);
    for (char *name = strtok_r(copy, " ", &rest); name != NULL; name = strtok_r(NULL, " ", &rest))
        cr_text_printf(&command, " '-%s/%s.json'", source_path("tests/pipelines/broken"), name);
    fflush(stdout);
    assert_int_equal(system(command.data), 0);
    cr_text_finish(&command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_declarations),
                                       cmocka_unit_test(test_validator)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

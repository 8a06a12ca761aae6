#!/bin/sh
# SPDX-License-Identifier: MIT
# What crayon-pipeline(5) shows is true, and the schema that is shipped agrees.
# shellcheck disable=SC2154,SC2016 # top_srcdir and top_builddir come from tests/Makefile.inc; eval
. "$top_srcdir/tests/cli/command-lib.sh"
needs crayon-encoder overlay segment-coco-png segment-grid source-image
page=$top_srcdir/man/crayon-pipeline.5

# Examples stand behind a comment with the name of the file.
awk '/^\.\\" example: / { file = $3; next } /^\.Ed/ { file = "" } file != "" && !/^\.Bd/ { print > file }' "$page"
for example in caption fine annotated; do
    crayon check $example.json
    ok "the manual's $example.json is in order" eval '[ $status = 0 ] && holds "$out" "$example.json: ok"'
done
ok "its change of plugin needs no more than that" eval '[ ! -s "$err" ]'
crayon check --print annotated.json
ok "and its changes are there" eval 'holds "$out" "\"grid\": [35, 35]" && holds "$out" "\"opacity\": 0.3" &&
    holds "$out" "\"annotations\": \"$scratch/panoptic.json\"" && holds "$out" "\"numbering\": \"crayon.numbering\""'

# Messages: a line that is indented goes on from the one before.
sed -n '/^\.Sh DIAGNOSTICS/,/^\.Ed/p' "$page" | sed -n '/^\.Bd/,/^\.Ed/p' | sed '/^\./d' |
    awk '/^    / { sub(/^ +/, ""); line = line " " $0; next } { if (line != "") print line; line = $0 } END { print line }' >messages
ok "the manual shows six messages" [ "$(wc -l <messages)" -eq 6 ]
printf '{\n  "crayon": 1\n  "stages": {}\n}\n' >a.json
crayon check a.json
cp "$err" said
sed 's/"opacity": 0.3/"opacity": 3/; s/"grid"/"gird"/; s/"numbering".*/"more": "a.image" }/' fine.json |
    sed 's/"stages": {/&"a": { "use": "overlay", "in": { "image": "b.image", "panoptic": "segment.panoptic" } }, "b": { "use": "overlay", "in": { "image": "a.image", "panoptic": "segment.panoptic" } },/' >a.json
crayon check a.json
cat "$err" >>said
echo '{ "crayon": 1, "extends": "caption.json", "stages": { "overlay": { "in": { "panoptic": "@image" } } } }' >a.json
crayon check a.json
cat "$err" >>said
echo '{ "crayon": 1, "extends": "b.json" }' >a.json
echo '{ "crayon": 1, "extends": "a.json" }' >b.json
crayon check a.json
cat "$err" >>said
while read -r message; do
    ok "crayon says: $message" holds said "crayon: error: $message"
done <messages

# Editors read the schema.
if [ ! -x /usr/bin/python3 ] || ! /usr/bin/python3 -c 'import jsonschema' 2>/dev/null; then
    skip "the pipelines that are shipped keep to it" "python3-jsonschema is not there"
else
    cat >validate.py <<'END'
import json, sys, jsonschema
schema = json.load(open(sys.argv[1]))
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema)
for name in sys.argv[2:]:
    for error in validator.iter_errors(json.load(open(name))):
        print(name, error.json_path, error.message)
END
    set -- caption.json fine.json annotated.json
    for file in "$top_srcdir"/pipelines/*.json; do
        case $file in *.schema.json) ;; *) set -- "$@" "$file" ;; esac
    done
    /usr/bin/python3 validate.py "$top_srcdir/pipelines/pipeline.schema.json" "$@" >"$out" 2>"$err"
    status=$?
    ok "the pipelines that are shipped keep to it" is 0 "" ""
fi
plan

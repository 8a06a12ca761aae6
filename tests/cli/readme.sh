#!/bin/sh
# SPDX-License-Identifier: MIT
# What README.md shows is what happens: the caption of the scene, the pipelines, the mistakes.
# shellcheck disable=SC2154,SC2016 # top_srcdir comes from tests/Makefile.inc; eval
. "$top_srcdir/tests/cli/command-lib.sh"
needs crayon-encoder overlay segment-coco-png segment-grid source-image

# block WORDS: the fenced block in which WORDS occur first.
block() {
    awk -v words="$1" '
        /^```/ { if (inside && found) { printf "%s", text; exit } inside = !inside; text = ""; next }
        inside { text = text $0 "\n"; if (index($0, words)) found = 1 }' "$top_srcdir/README.md"
}

# same FILE FILE: equal but for line breaks, which were put in for the page.
same() {
    [ -s "$1" ] && [ "$(tr -s ' \n' ' ' <"$1")" = "$(tr -s ' \n' ' ' <"$2")" ]
}

block '(#1 boat)' >caption
crayon run scene
ok "the caption of the scene" same caption "$out"

block '"objects": "crayon.objects"' >whole.json
crayon check whole.json
ok "a pipeline from scratch" eval '[ -s whole.json ] && [ $status = 0 ]'
block '"segment": { "use": "segment-grid" }' >short.json
crayon check short.json
ok "a pipeline that extends another" eval '[ -s short.json ] && [ $status = 0 ]'

block segment-gird >mine.json
block 'crayon: error: mine.json' >messages
# The messages list the plugins that there are.
for plugin in llm-internlm segment-mask2former tokenizer-sentencepiece vision-clip; do
    crayon plugins $plugin
    [ $status = 0 ] || absent="${absent:+$absent, }$plugin"
done
if [ -z "${absent:-}" ]; then
    crayon check mine.json
    ok "mistakes and their messages" same messages "$err"
else
    skip "mistakes and their messages" "left out by configure: $absent"
fi
plan

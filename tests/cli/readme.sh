#!/bin/sh
# SPDX-License-Identifier: MIT
# What README.md shows is what happens: the caption of the scene, the pipelines, the mistakes.
# shellcheck disable=SC2154 # top_srcdir and top_builddir come from tests/Makefile.inc
set -u
readme=$top_srcdir/README.md
crayon=$top_builddir/crayon
scratch=$(mktemp -d "$top_builddir/tests/readme.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
cd "$scratch" || exit 1

# block WORDS: the fenced block in which WORDS occur first.
block() {
    awk -v words="$1" '
        /^```/ { if (inside && found) { printf "%s", text; exit } inside = !inside; text = ""; next }
        inside { text = text $0 "\n"; if (index($0, words)) found = 1 }' "$readme"
}

# Lines were broken for the page: every run of blanks counts as one.
joined() {
    tr -s ' \n' ' ' <"$1" | sed 's/ $//'
}

number=0
same() {
    number=$((number + 1))
    if [ -s "$2" ] && [ "$(joined "$2")" = "$(joined "$3")" ]; then
        echo "ok $number - $1"
    else
        echo "not ok $number - $1"
        sed 's/^/# README: /' "$2"
        sed 's/^/# now: /' "$3"
    fi
}

sound() {
    number=$((number + 1))
    if [ -s "$2" ] && "$crayon" check "$2" >errors 2>&1; then
        echo "ok $number - $1"
    else
        echo "not ok $number - $1"
        sed 's/^/# /' errors
    fi
}

left_out=
for plugin in crayon-encoder overlay segment-coco-png segment-grid source-image; do
    "$crayon" plugins "$plugin" >/dev/null 2>&1 || left_out="$left_out $plugin"
done
if [ -n "$left_out" ]; then
    echo "1..0 # SKIP left out by configure:$left_out"
    exit
fi

echo 1..4
block '(#1 boat)' >expected
"$crayon" run scene >got 2>errors
same "the caption of the scene" expected got

block '"objects": "crayon.objects"' >whole.json
sound "a pipeline from scratch" whole.json
block '"segment": { "use": "segment-grid" }' >short.json
sound "a pipeline that extends another" short.json

block segment-gird >mine.json
block 'crayon: error: mine.json' >expected
"$crayon" check mine.json >/dev/null 2>got
same "mistakes and their messages" expected got

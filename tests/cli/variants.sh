#!/bin/sh
# SPDX-License-Identifier: MIT
# crayon run --variant: texts, files, the sheet, what is shared, variants that fail.
# shellcheck disable=SC2154,SC2016 # top_srcdir and top_builddir come from tests/Makefile.inc; eval
. "$top_srcdir/tests/cli/command-lib.sh"
needs source-image segment-coco-png segment-grid crayon-encoder overlay

scene=$top_srcdir/pipelines/scene.json
run() {
    crayon run "$scene" --quiet "$@"
}

run --variant coco --variant grid:segment.use=segment-grid --variant thin:overlay.opacity=0.1 \
    --variant thin:overlay.outline=0 --out overlay=o.png --sheet sheet.png
grep -v '^(#' "$out" | sed 's/[0-9]*\.[0-9]* s/T/g' >heads
ok "every variant with its times, its texts, and what it did not do again" eval '[ $status = 0 ] && [ ! -s "$err" ] &&
    [ "$(cat heads)" = "coco: T (photo T, segment T, crayon T, overlay T)

grid: T (segment T, crayon T, overlay T; as before: photo)

thin: T (overlay T; as before: photo, segment, crayon)" ] && [ "$(grep -c "^(#1 boat)" "$out")" = 2 ]'
ok "files bear the name of the variant" eval '[ -s o.coco.png ] && [ -s o.grid.png ] && [ -s o.thin.png ] && [ ! -e o.png ]'
ok "no two of them are the same" eval '! cmp -s o.coco.png o.grid.png && ! cmp -s o.coco.png o.thin.png'
crayon run "$scene" --quiet --out overlay=alone.png
ok "a variant gives what it gives alone" cmp -s alone.png o.coco.png
crayon run "$scene" --quiet --set overlay.opacity=0.1 --set overlay.outline=0 --out overlay=thin.png
ok "also on values that another has computed" cmp -s thin.png o.thin.png
# Three columns of 960 pixels and four gaps of 16, from the header of the PNG.
ok "the sheet is one picture" eval '[ "$(od -An -tu1 -j16 -N4 sheet.png | tr -s " ")" = " 0 0 11 128" ]'

run --json --variant coco --variant absent:segment.annotations=absent.json --variant b:overlay.opacity=0.1 --sheet sheet.png
ok "a variant that fails does not stop the others" eval '[ $status = 1 ] && json "$out" &&
    holds "$err" "crayon: error: variant absent: stage \"segment\": " &&
    holds "$out" "{\"name\":\"absent\",\"error\":\"stage \\\"segment\\\": " &&
    holds "$out" "{\"name\":\"b\",\"shared\":[\"photo\",\"segment\",\"crayon\"],\"outputs\":{\"objects\":\"(#1 boat)" &&
    holds "$out" "\"sheet\":\"sheet.png\"}"'

# ---- Mistakes, before anything is opened ----

run --variant a:x --variant :x=3 --variant ok:segment.use=segment-grid --variant b/c:a.b=1
ok "all bad variants at once" misused run "--variant a:x: NAME:STAGE.KEY=VALUE is needed
crayon: error: --variant :x=3: NAME:STAGE.KEY=VALUE is needed
crayon: error: --variant b/c:a.b=1: NAME:STAGE.KEY=VALUE is needed; NAME is of letters, digits, - and _, and alone stands for the pipeline as it is"
run --variant a:segment.use=segment-gird --variant b:overlay.opacity=7 --out overlay=never.png
ok "mistakes in the pipeline, of all variants; nothing runs" eval '[ $status = 1 ] && [ ! -s "$out" ] && [ ! -e never.a.png ] &&
    holds "$err" "did you mean \"segment-grid\"?" && holds "$err" "crayon: error: in the variant a" &&
    holds "$err" "/stages/overlay/opacity: 7 is outside 0..1" && holds "$err" "crayon: error: in the variant b"'
run --sheet x.png
ok "a sheet of nothing" misused run "--sheet shows variants: --variant NAME:STAGE.KEY=VALUE"
run --variant a --sheet x.gif
ok "a sheet that is no picture" misused run "--sheet x.gif: the sheet is an image; its file name ends with .png, .jpg or .jpeg"
run --variant a --out overlay=-
ok "standard output is taken" misused run "--out overlay=-: with --variant, outputs go into files"
run --variant a --batch items.jsonl
ok "--batch" misused run "--variant excludes --batch and --profile"
plan

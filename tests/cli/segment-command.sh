#!/bin/sh
# SPDX-License-Identifier: MIT
# segment-command: programs as segmenters, who allows them, how they end, and what they may leave.
# shellcheck disable=SC2154,SC2016,SC2034 # top_srcdir comes from tests/Makefile.inc; eval; sh -c
. "$top_srcdir/tests/cli/command-lib.sh"
needs segment-command segment-grid

photo=$top_srcdir/pipelines/scene/scene.jpg
mkdir tmp
TMPDIR=$scratch/tmp
export TMPDIR
unset CRAYON_ALLOW_COMMAND

# A map that programs of the tests copy.
cat >grid.json <<'END'
{ "crayon": 1, "inputs": { "image": "image" },
  "stages": { "segment": { "use": "segment-grid", "in": { "image": "@image" } } },
  "outputs": { "map": "segment.panoptic" } }
END
mkdir ready
crayon run --image "$photo" --out map=ready/map.png grid.json
ok "a map to copy" eval '[ $status = 0 ] && [ -s ready/map.png ]'

# runs SCRIPT: make the pipeline command.json, whose program is this shell script; it gets the picture as $1
# and the work folder as $2.
runs() {
    printf '%s\n' "$1" >script.sh
    cat >command.json <<'END'
{ "crayon": 1, "inputs": { "image": "image" },
  "stages": { "segment": { "use": "segment-command", "command": ["sh", "{script}", "{image}", "{folder}"],
                           "script": "script.sh", "result": "map.json", "in": { "image": "@image" } } },
  "outputs": { "map": "segment.panoptic" } }
END
}
# command ARGUMENT...: run it with permission.
command_() {
    crayon run --allow-command --image "$photo" --out map=map.png "$@" command.json
}
# refused MESSAGE: the run failed with it.
refused() {
    [ $status = 1 ] && [ ! -s "$out" ] && [ "$(cat "$err")" = "crayon: error: stage \"segment\": $1" ]
}
# told PATTERN: the same as a pattern of grep.
told() {
    [ $status = 1 ] && grep -qx "crayon: error: stage \"segment\": $1" "$err"
}
clean() {
    [ -z "$(ls -A tmp)" ]
}
# gone FILE: does no process live whose number stands in it?
gone() {
    turns=0
    while kill -0 "$(cat "$1")" 2>/dev/null && [ $turns -lt 50 ]; do
        sleep 0.1
        turns=$((turns + 1))
    done
    ! kill -0 "$(cat "$1")" 2>/dev/null
}

# ---- The example of the manual ----

# listing NUMBER: the literal part of that number in the manual page.
listing() {
    awk -v number="$1" '/^\.Bd -literal/ { n++; inside = 1; next } /^\.Ed/ { inside = 0 }
        inside && n == number { gsub(/\\e/, "\\"); sub(/^\\&/, ""); print }' \
        "$top_srcdir/man/crayon-segment-command.7"
}
listing 1 >horizon.py
listing 2 >horizon.json
listing 3 >line
cp "$photo" photo.jpg
if command -v python3 >/dev/null; then
    needs crayon-encoder
    # shellcheck disable=SC2046 # the words of the line
    set -- $(sed 's/^\$ crayon //' line)
    crayon "$@"
    ok "the example of the manual page" is 0 \
        "(#1 sky) [0.00, 0.00, 1.00, 0.51], (#1 grass) [0.00, 0.51, 1.00, 1.00]" ""
    mkdir elsewhere
    cd elsewhere || exit 1
    crayon run --allow-command --image "$photo" ../horizon.json
    cd ..
    ok "the script lies beside the pipeline" is 0 "$(cat "$out")" ""
    ok "its work folder is gone" clean
else
    skip "the example of the manual page" "python3 was not found"
fi

# ---- Permission ----

runs 'cp ready/map.* "$2"'
crayon run --image "$photo" --out map=map.png command.json
ok "a pipeline alone runs no program" refused \
    "it runs a program (sh), which only the user can allow, not a pipeline: with --allow-command, or with CRAYON_ALLOW_COMMAND=1 in the environment"
ok "and leaves nothing" eval '[ ! -e map.png ] && clean'
for value in 0 yes ''; do
    CRAYON_ALLOW_COMMAND=$value crayon run --image "$photo" --out map=map.png command.json
    ok "CRAYON_ALLOW_COMMAND=$value is no permission" eval '[ $status = 1 ] && holds "$err" "only the user can allow"'
done
command_
ok "--allow-command allows it" eval '[ $status = 0 ] && cmp -s ready/map.png map.png && clean'
rm -f map.png
CRAYON_ALLOW_COMMAND=1 crayon run --image "$photo" --out map=map.png command.json
ok "CRAYON_ALLOW_COMMAND=1 allows it" eval '[ $status = 0 ] && cmp -s ready/map.png map.png && clean'
cat >case.json <<END
{ "crayon-case": 1, "pipeline": "command.json", "inputs": { "image": "$photo" },
  "expected": { "map": { "value": { "png": "ready/map.png", "json": "ready/map.json" }, "exact": true } } }
END
crayon verify case.json
ok "a case does not run a program by itself" eval '[ $status = 1 ] && holds "$out" "only the user can allow"'
crayon verify --allow-command case.json
ok "crayon verify --allow-command" eval '[ $status = 0 ]'

# ---- Starting ----

runs 'printf "%s\n" "$#" "$3" "$4" "$5" >arguments
ls /dev/fd >descriptors; cat >input
head -c 24 "$1" | tail -c 8 | od -An -tu1 | tr -d " \n" >size
ls -A "$2" >before; cp ready/map.* "$2"'
command_ --set 'segment.command=["sh", "{script}", "{image}", "{folder}", "a  b", "$HOME;`x`", "<{image}>"]'
ok "arguments arrive as they are" eval '[ $status = 0 ] && [ "$(sed -n 1,3p arguments)" = "5
a  b
\$HOME;\`x\`" ] && grep -q "^<$TMPDIR/crayon-.*png>\$" arguments'
ok "the picture is a PNG, the folder empty, and there is no input" \
    eval '[ "$(cat size)" = "'"$(head -c 24 ready/map.png | tail -c 8 | od -An -tu1 | tr -d ' \n')"'" ] && [ ! -s before ] && [ ! -s input ]'
if [ -d /dev/fd/ ] && (: 7<line) 2>/dev/null; then
    crayon run --allow-command --image "$photo" --out map=map.png command.json 7<line
    ok "files that are open are not handed on" eval '[ "$(tr "\n" " " <descriptors)" = "0 1 2 3 " ]' # 3: of ls
else
    skip "files that are open are not handed on" "there is no /dev/fd"
fi
command_ --set 'segment.command=["./no-such-program", "{folder}"]'
ok "a program that is not there" refused "./no-such-program: cannot be started: No such file or directory"
crayon check --set 'segment.command=[]' command.json
ok "no program" eval '[ $status = 1 ] && holds "$err" "the name of a program is needed"'
crayon check --set 'segment.command=["x", "{image}"]' command.json
ok "a program that does not get the folder" eval '[ $status = 1 ] && holds "$err" "no argument holds \"{folder}\""'
crayon check --set 'segment.result=../map.json' command.json
ok "a result elsewhere" eval '[ $status = 1 ] && holds "$err" "is no name of a file in the work folder"'
crayon check --set 'segment.script=null' command.json
ok "a script that is not there" eval '[ $status = 1 ] && holds "$err" "\"{script}\" stands for the option \"script\""'

# ---- Ending ----

runs 'seq 1 2000; echo "no picture" >&2; printf "bad\033[1m\n\n" >&2; exit 7'
command_
ok "a status, with the last lines" refused \
    'sh: exited with status 7; it said: "1995 | 1996 | 1997 | 1998 | 1999 | 2000 | no picture | bad [1m"'
ok "its work folder is gone, too" clean
runs 'exit 1'
command_
ok "a status without words" refused 'sh: exited with status 1'
runs 'kill -KILL $$'
command_
ok "a signal" refused 'sh: was ended by signal 9 (Killed)'
runs 'echo $$ >own; sh -c "trap \"\" TERM; echo \$\$ >child; sleep 60" & echo working; wait'
command_ --set segment.timeout=0.5
ok "the time is over" refused 'sh: took longer than 0.5 s and was ended; it said: "working"'
ok "the program and its child are gone" eval 'gone own && gone child && clean'
runs 'trap "" TERM; echo $$ >own; while :; do sleep 0.1; done'
command_ --set segment.timeout=0.2
ok "a program that does not listen" eval 'refused "sh: took longer than 0.2 s and was ended" && gone own && clean'
runs 'exec >&- 2>&-; sleep 60'
command_ --set segment.timeout=0.3
ok "a program that has closed its output" refused 'sh: took longer than 0.3 s and was ended'
runs 'cp ready/map.* "$2"; sleep 60 & echo $! >child'
command_
ok "what it leaves running is ended" eval '[ $status = 0 ] && gone child && clean'
if reaches INT && reaches TERM; then
    for case in "INT 130 interrupted" "TERM 143 terminated"; do
        # shellcheck disable=SC2086 # three words
        set -- $case
        number_of=$2 word=$3
        rm -f mark child
        runs 'sleep 60 & echo $! >child; echo x >mark; wait'
        signalled "$1" 1 mark run --allow-command --image "$photo" --out map=map.png command.json
        ok "SIG$1 ends the program" eval 'fails $number_of "crayon: $word" && gone child && clean'
    done
else
    skip "signals" "somebody above ignores them"
fi

# ---- Batches ----

# A program that finds another one running leaves no map.
runs 'mkdir running || exit 1; sleep 0.2; rmdir running; cp ready/map.* "$2"'
seq 1 4 | sed "s|.*|{\"id\":&,\"in\":{\"image\":\"$photo\"},\"out\":{\"map\":\"map&.png\"}}|" >items.jsonl
crayon run --allow-command --threads 4 --batch items.jsonl command.json
ok "items of a batch come one after the other" eval '[ $status = 0 ] && cmp -s map4.png ready/map.png && [ "$(wc -l <"$out")" = 4 ]'
runs 'exit 5'
crayon run --allow-command --batch items.jsonl command.json
ok "each tells how its program failed" eval '[ $status = 1 ] && [ "$(grep -c "\"error\":\"items.jsonl:[1-4]: stage .*sh: exited with status 5" "$out")" = 4 ]'

# ---- What it leaves ----

runs ':'
command_
ok "nothing" told 'what sh left: /.*/map.json: cannot open: No such file or directory'
runs 'cp ready/map.json "$2"'
command_
ok "no PNG" told 'what sh left: .*map.png: there is no such file; .*'
runs 'cp ready/map.png "$2"; echo "{" >"$2/map.json"'
command_
ok "no JSON" told 'what sh left: .*map.json:2:1: .*'
runs 'cp ready/map.* "$2"; sed "s/map.png/..\/0\/image.png/" ready/map.json >"$2/map.json"'
command_
ok "a PNG elsewhere" told 'what sh left: .*leads out of the dataset.s folder'
runs 'cp ready/map.* "$2"; sed "s/\"id\": *1,/\"id\":99,/" ready/map.json >"$2/map.json"'
command_
ok "ids that the JSON lacks" told 'what sh left: .*map.json: colours in the map that its segments_info lacks: 1'
runs 'cp ready/map.json "$2"; cp "$1" "$2/map.png"; cp small.png "$2/map.png"'
printf '{ "crayon": 1, "inputs": { "image": "image" }, "stages": { "overlay": { "use": "overlay", "in": { "image": "@image", "panoptic": "s.panoptic" } },
    "s": { "use": "segment-grid", "size": [8, 8], "in": { "image": "@image" } } }, "outputs": { "map": "s.panoptic" } }' >small.json
crayon run --image "$photo" --out map=small.png small.json
command_
ok "a map of another size" told 'what sh left: .*map.png: the annotation measures 8 x 8 pixels, the photograph .*'
runs 'cp ready/map.json "$2"; ln -s /etc/passwd "$2/map.png"'
command_
ok "a link" told '.*map.png: is a link, only files and folders may be left there'
runs 'cp ready/map.png "$2"; mkfifo "$2/map.json"'
command_
ok "a FIFO" told '.*map.json: is a FIFO, only files and folders may be left there'
runs 'mkdir -p "$2/a/b"; ln -s / "$2/a/b/c"; cp ready/map.* "$2"'
command_
ok "a link further down, which is not followed" eval 'told ".*/a/b/c: is a link.*" && clean'
runs 'cp ready/map.json "$2"; { head -c 16 ready/map.png; printf "\0\0\352\140\0\0\352\140\10\2\0\0\0"; tail -c +30 ready/map.png; } >"$2/map.png"'
command_
ok "a PNG that claims to be huge" told 'what sh left: .*map.png: 60000 x 60000 pixels exceed the limit of 67108864'
ok "no work folder is left" clean
plan

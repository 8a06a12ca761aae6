#!/bin/sh
# SPDX-License-Identifier: MIT
# crayon run --batch: a result for every line, whatever the line is.
# shellcheck disable=SC2154,SC2016 # top_srcdir and top_builddir come from tests/Makefile.inc; eval
. "$top_srcdir/tests/cli/command-lib.sh"

cat >speak.json <<'END'
{ "crayon": 1, "inputs": { "prompt": "text" },
  "stages": { "speak": { "use": "test-speak", "in": { "prompt": "@prompt" } },
              "values": { "use": "test-values" } },
  "outputs": { "answer": "speak.text", "u8": "values.u8", "map": "values.panoptic" } }
END
cat >wait.json <<'END'
{ "crayon": 1, "inputs": { "prompt": "text" },
  "stages": { "wait": { "use": "test-wait", "in": { "prompt": "@prompt" } } },
  "outputs": { "done": "wait.text" } }
END
cat >ports.json <<'END'
{ "crayon": 1, "inputs": { "image": "image" },
  "stages": { "v": { "use": "test-values", "in": { "image": "@image" } } },
  "outputs": { "image": "v.image" } }
END
printf 'from a file\n' >text

batch() {
    crayon run --plugin-path "$stages" --batch items.jsonl "$@"
}
# every_line_is_json: without python3 this is taken for granted.
every_line_is_json() {
    [ -x /usr/bin/python3 ] || return 0
    /usr/bin/python3 -c 'import json, sys
for line in sys.stdin: json.loads(line)' <"$out"
}

cat >items.jsonl <<'END'
{"id": 1, "in": {"prompt": "one"}}

{"id": {"set": "val", "n": [1, 2.5, null]}, "in": {"prompt": "@text"}, "out": {"u8": "u.json", "map": "m.png"}}
{"in": {"prompt": {"file": "text"}}}
{"id": "null", "in": {"prompt": null}}
END
batch speak.json
ok "a result for every item" is 0 '{"id":1,"outputs":{"answer":"you said: one"}}
{"id":{"set":"val","n":[1,2.5,null]},"outputs":{"answer":"you said: @text","u8":{"file":"u.json"},"map":{"file":"m.png","json":"m.json"}}}
{"id":null,"outputs":{"answer":"you said: from a file"}}
{"id":"null","outputs":{"answer":"you said: nothing"}}' ""
ok "files are written" eval '[ "$(cat u.json)" = "[[[0,1],[254,255]]]" ] && [ -s m.png ] && json m.json'

cat >items.jsonl <<'END'
{"id": 1, "in": {"prompt": "one"}}
{"id": 2}
END
batch speak.json --prompt always
ok "inputs of the command line count for all" is 0 '{"id":1,"outputs":{"answer":"you said: one"}}
{"id":2,"outputs":{"answer":"you said: always"}}' ""

cat >items.jsonl <<'END'
{"id": 1, "in": {"prompt": "x"}
[1]
{"id": 3}
{"id": 4, "in": {"promt": "x"}}
{"id": 5, "in": {"prompt": 5}}
{"id": 6, "in": {"prompt": {"file": "nowhere"}}}
{"id": 7, "in": ["x"]}
{"id": 8, "in": {"prompt": "x"}, "out": {"u8": "u.png"}}
{"id": 9, "in": {"prompt": "x"}, "out": {"u8": "-"}}
{"id": 10, "in": {"prompt": "x"}, "out": {"u8": 1}}
{"id": 11, "ins": {}}
{"id": 12, "frobnicate": {}}
{"id": 123456789012345678, "in": {"prompt": "x"}}
{"id": 14, "id": 14, "in": {"prompt": "x"}}
{"id": 15, "in": {"prompt": "x"}}
END
batch speak.json
cat >want <<'END'
{"id":null,"error":"items.jsonl:2: an object is needed here, not a list"}
{"id":3,"error":"items.jsonl:3: the pipeline needs prompt: \"in\": {\"prompt\": \"TEXT\"}"}
{"id":4,"error":"items.jsonl:4: the pipeline speak has no input \"promt\"; did you mean \"prompt\"? inputs: prompt (text)"}
{"id":5,"error":"items.jsonl:5: input prompt: a string or {\"file\": FILE} is needed here, not a number"}
{"id":6,"error":"items.jsonl:6: input prompt: nowhere: cannot open: No such file or directory"}
{"id":7,"error":"items.jsonl:7: \"in\": an object is needed here, not a list"}
{"id":8,"error":"items.jsonl:8: u.png: u8 is a tensor; its file name ends with .json"}
{"id":9,"error":"items.jsonl:9: output u8: standard output holds the result lines; name a file"}
{"id":10,"error":"items.jsonl:10: output u8: a file name is needed here, not a number"}
{"id":11,"error":"items.jsonl:11: no key \"ins\"; did you mean \"in\"? known: id, in, out"}
{"id":12,"error":"items.jsonl:12: no key \"frobnicate\"; known: id, in, out"}
{"id":null,"error":"items.jsonl:13: \"id\": the number is too large to come back unchanged; write it as a string"}
END
sed -n 2,13p "$out" >lines
ok "what is wrong with each line" cmp -s want lines
ok "the place in a line that is no JSON" eval 'sed -n 1p "$out" | grep -q "^{\"id\":null,\"error\":\"items.jsonl:1:32: "'
ok "a key that stands twice" eval 'sed -n 14p "$out" | grep -q "^{\"id\":null,\"error\":\"items.jsonl:14:12: .*at 14:2\"}"'
ok "the line after them is run" eval '[ "$(sed -n 15p "$out")" = "{\"id\":15,\"outputs\":{\"answer\":\"you said: x\"}}" ]'
ok "failures are counted, and the exit status tells" eval '[ $status = 1 ] && [ "$(cat "$err")" = "crayon: error: 14 items failed; their lines say why" ]'
ok "every line is JSON" every_line_is_json

printf '{"id": 1, "in": {"prompt": "\303"}}\n' >items.jsonl
batch speak.json
ok "a line that is not UTF-8" eval '[ $status = 1 ] && holds "$out" "{\"id\":null,\"error\":\"items.jsonl:1:"'
printf '{"id": 1, "in": {"prompt": "x"}}' >items.jsonl
batch speak.json
ok "a last line without a newline" is 0 '{"id":1,"outputs":{"answer":"you said: x"}}' ""
: >items.jsonl
batch speak.json
ok "an empty file" is 0 "" ""
{
    printf '{"id":1,"in":{"prompt":"'
    head -c 17000000 /dev/zero | tr '\0' x
    printf '"}}\n{"id":2,"in":{"prompt":"x"}}\n'
} >items.jsonl
batch speak.json
ok "a line that is too long" eval '[ $status = 1 ] && [ "$(cat "$out")" = "{\"id\":null,\"error\":\"items.jsonl:1: the line is longer than 16777216 bytes\"}
{\"id\":2,\"outputs\":{\"answer\":\"you said: x\"}}" ]'
crayon run --plugin-path "$stages" --batch nowhere.jsonl speak.json
ok "a file that is not there" fails 1 "crayon: error: nowhere.jsonl: cannot open: No such file or directory"
crayon run --plugin-path "$stages" --batch . speak.json
ok "a folder" eval '[ $status = 1 ] && holds "$err" "crayon: error: .: cannot "'
echo '{"id":1,"in":{"image":"nowhere.png"}}' >items.jsonl
batch ports.json
ok "no output at all" is 1 '{"id":1,"error":"items.jsonl:1: the pipeline ports has no text output; ask for another: image (image): \"image\": \"FILE.png\""}' \
    "crayon: error: 1 item failed; its line says why"
echo '{"id":1,"in":{"image":"nowhere.png"},"out":{"image":"x.png"}}' >items.jsonl
batch ports.json
ok "an image that is not there" eval '[ $status = 1 ] && holds "$out" "{\"id\":1,\"error\":\"items.jsonl:1: input image: nowhere.png: "'
echo '{"id":1,"in":{"prompt":"x"}}' >items.jsonl
batch wait.json --set wait.fail=true
ok "a stage that fails" eval '[ $status = 1 ] && holds "$out" "{\"id\":1,\"error\":\"items.jsonl:1: " && holds "$out" "told to fail"'
batch speak.json --set speak.warn=true
ok "warnings of stages are shown" is 0 '{"id":1,"outputs":{"answer":"you said: x"}}' \
    "crayon: warning: speak: x is hard to say"
if [ -w /dev/full ]; then
    "$top_builddir/crayon" run --plugin-path "$stages" --batch items.jsonl speak.json >/dev/full 2>"$err"
    status=$?
    ok "a full disk" eval ': >"$out"; fails 1 "crayon: error: cannot write to standard output: No space left on device"'
else
    skip "a full disk" "there is no /dev/full"
fi

# A result comes as soon as its line is there, before the next line is.
mkfifo items results
"$top_builddir/crayon" run --plugin-path "$stages" --batch - speak.json <items >results 2>"$err" &
pid=$!
# Should it wait for the end, it would wait forever.
{
    turns=0
    while kill -0 $pid && [ $turns -lt 100 ]; do
        sleep 0.2
        turns=$((turns + 1))
    done
    [ $turns -lt 100 ] || kill -KILL $pid
} >/dev/null 2>&1 &
exec 3>items 4<results
echo '{"id":1,"in":{"prompt":"a"}}' >&3
# shellcheck disable=SC2034 # read by eval
read -r first <&4
echo '{"id":2,"in":{"prompt":"b"}}' >&3
# shellcheck disable=SC2034
read -r second <&4
exec 3>&-
wait $pid
status=$?
exec 4<&-
ok "lines of a pipe are answered one by one" eval '[ $status = 0 ] && [ ! -s "$err" ] &&
    [ "$first" = "{\"id\":1,\"outputs\":{\"answer\":\"you said: a\"}}" ] &&
    [ "$second" = "{\"id\":2,\"outputs\":{\"answer\":\"you said: b\"}}" ]'

# ---- Results in a file ----

seq 1 9 | sed 's/.*/{"id":&,"in":{"prompt":"number &"}}/' >items.jsonl
batch speak.json
cp "$out" all
batch speak.json --results results.jsonl
ok "results in a file" eval 'is 0 "" "" && cmp -s all results.jsonl'
batch speak.json --results results.jsonl
ok "results that are there are not lost" eval 'fails 1 "crayon: error: results.jsonl: holds something already; --resume goes on with the results in it" && cmp -s all results.jsonl'
batch speak.json --results results.jsonl --resume
ok "nothing is left to do" eval 'is 0 "" "crayon: note: results.jsonl holds the results of 9 items already" && cmp -s all results.jsonl'
rm results.jsonl
batch speak.json --results results.jsonl --resume
ok "nothing is there to go on with" eval 'is 0 "" "" && cmp -s all results.jsonl'
bytes=$(wc -c <all)
ok "half a line at the end is written anew, wherever it was cut" eval '
    for cut in 0 1 $((bytes / 3)) $((bytes / 2)) $((bytes - 2)) $((bytes - 1)); do
        head -c $cut all >results.jsonl
        batch speak.json --results results.jsonl --resume --quiet
        is 0 "" "" && cmp -s all results.jsonl || break
    done'
sed -n '2p;7p' all >results.jsonl
batch speak.json --results results.jsonl --resume
sort all >want
ok "holes are filled" eval '[ $status = 0 ] && sort results.jsonl | cmp -s - want && [ "$(wc -l <results.jsonl)" = 9 ]'
cp items.jsonl results.jsonl
batch speak.json --results results.jsonl --resume
ok "a file that holds something else" fails 1 'crayon: error: results.jsonl:1: is no result line, which has "id" and "outputs" or "error"'
ok "it is left alone" cmp -s items.jsonl results.jsonl
printf 'x\n' >results.jsonl
batch speak.json --results results.jsonl --resume
ok "a file that holds no JSON" eval '[ $status = 1 ] && holds "$err" "crayon: error: results.jsonl:1:1: "'
batch speak.json --results .
ok "results in a folder" eval '[ $status = 1 ] && holds "$err" "crayon: error: .: cannot open for writing: "'
batch speak.json --results /dev/null
ok "results nowhere" fails 1 "crayon: error: /dev/null: is no regular file, which is needed for --results"
crayon run --plugin-path "$stages" --results results.jsonl --prompt x speak.json
ok "results of no batch" misused run "--results is for --batch; --out NAME=FILE writes one output"
batch speak.json --resume
ok "going on with nothing" misused run "--resume needs --results FILE, which says what is done"

cat >items.jsonl <<'END'
{"id": "a", "in": {"prompt": "1"}}
{"in": {"prompt": "2"}}
{"id": "a", "in": {"prompt": "3"}}
{"id": ["a"], "in": {"prompt": "4"}}
{"id": 1, "in": {"promt": "5"}}
END
rm results.jsonl
batch speak.json --results results.jsonl
cat >want <<'END'
{"id":"a","outputs":{"answer":"you said: 1"}}
{"id":null,"error":"items.jsonl:2: \"id\" is missing, by which --results tells items apart"}
{"id":"a","error":"items.jsonl:3: an item before has the same id, \"a\""}
{"id":["a"],"outputs":{"answer":"you said: 4"}}
{"id":1,"error":"items.jsonl:5: the pipeline speak has no input \"promt\"; did you mean \"prompt\"? inputs: prompt (text)"}
END
ok "ids tell items apart" eval 'is 1 "" "crayon: error: 3 items failed; their lines say why" && cmp -s want results.jsonl'

if reaches INT && reaches TERM; then
    seq 1 4 | sed 's/.*/{"id":&,"in":{"prompt":"x"}}/' >items.jsonl
    for case in "INT 130 interrupted" "TERM 143 terminated"; do
        # shellcheck disable=SC2086 # three words
        set -- $case
        number_of=$2 word=$3
        rm -f results.jsonl
        signalled "$1" 1 results.jsonl run --plugin-path "$stages" --batch items.jsonl --results results.jsonl \
            --threads 1 wait.json --set wait.seconds=0.5
        ok "after a SIG$1 what is finished is listed" eval 'fails $number_of "crayon: $word" &&
            [ "$(cat results.jsonl)" = "{\"id\":1,\"outputs\":{\"done\":\"waited\"}}" ]'
        batch wait.json --results results.jsonl --resume --quiet
        ok "and the rest can be had" eval '[ $status = 0 ] && [ "$(cut -c 1-7 results.jsonl | tr -d "\n")" = "{\"id\":1{\"id\":2{\"id\":3{\"id\":4" ]'
        rm -f mark
        signalled "$1" 1 mark run --plugin-path "$stages" --batch items.jsonl wait.json \
            --set wait.mark=mark --set wait.seconds=0.5 --set wait.stubborn=true
        ok "an item that a SIG$1 meets is not listed, even if it comes to an end" fails "$number_of" "crayon: $word"
    done
else
    skip "signals" "somebody above ignores them"
fi

# ---- Several at the same time ----

# The first item is run alone, and tells that the pipeline computes on no device.
seq 1 40 | sed 's/.*/{"id":&,"in":{"prompt":"number &"}}/' >items.jsonl
printf '{"id":"last","in":{"promt":""}}\n' >>items.jsonl
batch speak.json --threads 1
cp "$out" all
for threads in 2 5 100; do
    batch speak.json --threads $threads
    ok "$threads threads: the same results in the same order" eval '[ $status = 1 ] && cmp -s all "$out"'
done
seq 1 5 | sed 's/.*/{"id":&,"in":{"prompt":"x"}}/' >items.jsonl
start=$(date +%s)
batch wait.json --threads 4 --set wait.seconds=2
ok "items run at the same time" eval '[ $status = 0 ] && [ $(($(date +%s) - start)) -lt 8 ]'
if reaches INT; then
    seq 1 60 | sed 's/.*/{"id":&,"in":{"prompt":"x"}}/' >many.jsonl
    rm -f results.jsonl
    signalled INT 1 results.jsonl run --plugin-path "$stages" --batch many.jsonl --results results.jsonl \
        --threads 4 wait.json --set wait.seconds=0.4
    listed=$(wc -l <results.jsonl)
    ok "a SIGINT meets all of them" eval 'fails 130 "crayon: interrupted" && [ $listed -ge 1 ] && [ $listed -lt 60 ]'
    crayon run --plugin-path "$stages" --batch many.jsonl --results results.jsonl --resume --threads 4 --quiet wait.json
    ok "and the rest can be had" eval '[ $status = 0 ] &&
        [ "$(sed "s/{\"id\":\([0-9]*\),\"outputs.*/\1/" results.jsonl | sort -n | tr "\n" " ")" = "$(seq 1 60 | tr "\n" " ")" ]'
else
    skip "SIGINT" "somebody above ignores it"
fi
batch speak.json --threads 3 --set speak.warn=true
ok "warnings come one after the other" eval '[ $status = 0 ] && [ "$(sort -u "$err")" = "crayon: warning: speak: x is hard to say" ] && [ "$(wc -l <"$err")" = 5 ]'

if script -qec true /dev/null >"$out" 2>&1 </dev/null; then
    TERM=xterm script -qec "'$top_builddir/crayon' run --plugin-path '$stages' --batch items.jsonl --results progress.jsonl \
        --threads 1 wait.json --set wait.seconds=0.2" /dev/null >"$out" 2>"$err" </dev/null
    ok "progress on a terminal" eval 'holds "$out" "item 3 of 5 60 % [############        ]"'
else
    skip "progress on a terminal" "script(1) does not make a terminal here"
fi
plan

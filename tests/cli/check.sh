#!/bin/sh
# SPDX-License-Identifier: MIT
# crayon check: verdicts, findings, --print, --json.
# shellcheck disable=SC2154,SC2016 # top_srcdir and top_builddir come from tests/Makefile.inc; eval
. "$top_srcdir/tests/cli/command-lib.sh"

cat >good.json <<'END'
{ "crayon": 1, "name": "fine", "inputs": { "prompt": "text" },
  "stages": { "speak": { "use": "test-speak", "in": { "prompt": "@prompt" } } },
  "outputs": { "answer": "speak.text" } }
END
echo '{ "crayon": 1, "stages": { "v": { "use": "test-values" } }, "outputs": { "x": "v.u8", "y": "v.image" } }' >values.json
echo '{ "crayon": 1, "stages": { "v": { "use": "test-vlues", "nonsense": 1 } }, "outputs": { "x": "v.u8" } }' >bad.json
echo '{ "crayon": 1, ' >torn.json
sed 's/"test-speak"/"test-speak", "null": 3/' good.json >range.json

check() {
    crayon check --plugin-path "$stages" "$@"
}

check good.json values.json
ok "a line for each file" is 0 "good.json: ok, 1 stage, inputs: prompt (text), outputs: answer (text)
values.json: ok, 1 stage, inputs: none, outputs: x (tensor), y (image)" ""
check range.json good.json torn.json
ok "files with mistakes do not stop the others" eval '[ $status = 1 ] && [ "$(cat "$out")" = "range.json: 1 error
good.json: ok, 1 stage, inputs: prompt (text), outputs: answer (text)
torn.json: 1 error" ]'
ok "every mistake is told, with its place" eval '[ "$(grep -c "^crayon: error: " "$err")" = 2 ] &&
    holds "$err" "crayon: error: range.json: /stages/speak/null: " && holds "$err" "crayon: error: torn.json:2:1: "'
check bad.json
ok "the nearest plugin" eval '[ $status = 1 ] && holds "$err" "test-values"'
check nowhere.json
ok "a file that is not there" eval '[ $status = 1 ] && [ "$(cat "$out")" = "nowhere.json: 1 error" ] && [ "$(cat "$err")" = "crayon: error: nowhere.json: no such file, and no installed pipeline has that name" ]'
check good.json --set speak.null=true
ok "--set" eval '[ $status = 0 ]'
check good.json --set speak.null=7
ok "--set with a mistake" eval '[ $status = 1 ] && holds "$err" "crayon: error: "'

check good.json --device absent
ok "--device is not opened" eval '[ $status = 0 ] && [ ! -s "$err" ]'
check good.json --device nonsense
ok "--device with an unknown name" eval '[ $status = 1 ] && [ "$(cat "$out")" = "good.json: 1 error" ] &&
    holds "$err" "crayon: error: --device: no device \"nonsense\"; there are: "'

check --print good.json --set speak.null=true
cp "$out" printed.json
ok "--print" eval '[ $status = 0 ] && [ ! -s "$err" ] && json "$out" && holds "$out" "\"stream\":"'
check --print printed.json
ok "what it prints is a pipeline that means the same" eval '[ $status = 0 ] && cmp -s "$out" printed.json'
check --print range.json
ok "--print of a file with mistakes" eval '[ $status = 1 ] && [ ! -s "$out" ] && [ -s "$err" ]'

# A pipe that does not block and is full: the program waits for its reader.
if [ -x /usr/bin/python3 ]; then
    set --
    while [ $# -lt 400 ]; do
        set -- "$@" good.json
    done
    check --print "$@"
    cp "$out" whole
    /usr/bin/python3 - "$top_builddir/crayon" check --plugin-path "$stages" --print "$@" >"$out" 2>"$err" <<'END'
import os, subprocess, sys, time
reader, writer = os.pipe()
os.set_blocking(writer, False)
program = subprocess.Popen(sys.argv[1:], stdout=writer)
os.close(writer)
time.sleep(0.3)
with os.fdopen(reader, "rb") as pipe:
    sys.stdout.buffer.write(pipe.read())
sys.exit(program.wait())
END
    status=$?
    ok "nothing is lost in a pipe that does not block" eval \
        '[ $status = 0 ] && [ "$(wc -c <whole)" -gt 65536 ] && cmp -s "$out" whole'
else
    skip "nothing is lost in a pipe that does not block" "python3 is not here"
fi

check --json good.json
cat >want <<'END'
{"crayon":1,"files":[{"file":"good.json","ok":true,"findings":[],"name":"fine","stages":[{"name":"speak","use":"test-speak"}],"inputs":[{"name":"prompt","type":"text"}],"outputs":[{"name":"answer","type":"text","wire":"speak.text"}]}]}
END
ok "--json" eval '[ $status = 0 ] && [ ! -s "$err" ] && cmp -s want "$out" && json "$out"'
check --json range.json torn.json nowhere.json
ok "--json with mistakes" eval '[ $status = 1 ] && [ ! -s "$err" ] && json "$out" &&
    holds "$out" "{\"file\":\"range.json\",\"ok\":false,\"findings\":[{\"severity\":\"error\",\"file\":\"range.json\",\"pointer\":\"/stages/speak/null\",\"message\":\"" &&
    holds "$out" "{\"file\":\"torn.json\",\"ok\":false,\"findings\":[{\"severity\":\"error\",\"file\":\"torn.json\",\"line\":2,\"column\":1,\"message\":\""'
plan

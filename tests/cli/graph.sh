#!/bin/sh
# SPDX-License-Identifier: MIT
# crayon graph: a graph that dot can draw.
# shellcheck disable=SC2154,SC2016 # top_srcdir and top_builddir come from tests/Makefile.inc; eval
. "$top_srcdir/tests/cli/command-lib.sh"

cat >good.json <<'END'
{ "crayon": 1, "name": "fine", "inputs": { "prompt": "text" },
  "stages": { "speak": { "use": "test-speak", "in": { "prompt": "@prompt" } } },
  "outputs": { "answer": "speak.text" } }
END

crayon graph --plugin-path "$stages" good.json
ok "a graph on standard output" eval '[ $status = 0 ] && [ ! -s "$err" ] && holds "$out" digraph && holds "$out" test-speak'
if command -v dot >/dev/null 2>&1; then
    ok "dot draws it" eval 'dot -Tsvg "$out" >drawn.svg 2>"$err" && [ ! -s "$err" ] && holds drawn.svg "<svg"'
else
    skip "dot draws it" "dot is not here"
fi
cp "$out" graph
crayon graph --plugin-path "$stages" good.json --set speak.null=true
ok "--set" eval '[ $status = 0 ]'
crayon graph --plugin-path "$stages" good.json --set speak.use=nonsense
ok "a pipeline with mistakes" eval '[ $status = 1 ] && [ ! -s "$out" ] && holds "$err" "crayon: error: "'
if [ -w /dev/full ]; then
    "$top_builddir/crayon" graph --plugin-path "$stages" good.json >/dev/full 2>"$err"
    status=$?
    ok "a full disk" eval ': >"$out"; fails 1 "crayon: error: cannot write to standard output: No space left on device"'
else
    skip "a full disk" "there is no /dev/full"
fi
plan

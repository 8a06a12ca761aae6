#!/bin/sh
# SPDX-License-Identifier: MIT
# crayon verify: paths, verdicts, devices, --json, exit codes.
# shellcheck disable=SC2154,SC2016 # top_srcdir and top_builddir come from tests/Makefile.inc; eval
. "$top_srcdir/tests/cli/command-lib.sh"

verify() {
    crayon verify --plugin-path "$stages" "$@"
}
mkdir good bad absent
cat >good/case.json <<'END'
{ "crayon-case": 1, "stage": "test-speak", "inputs": { "prompt": "hello" },
  "expected": { "text": { "value": "you said: hello", "exact": true } } }
END
cat >good/values.case.json <<'END'
{ "crayon-case": 1, "stage": "test-values",
  "expected": {
    "f32": { "value": [[0.5, -1e-10], [16777217, 0]], "absolute": 1.5, "relative": 1e-6 },
    "i32": { "value": [-2147483648, 0, 0, 2147483647], "mismatches": 1 },
    "tokens": { "value": [1, 517, 2], "exact": true },
    "panoptic": { "value": { "ids": [[0, 0, -1], [0, 1, 0]], "segments": [{ "id": 1, "label_id": 17 }] },
                  "exact": true } } }
END
echo '{}' >good/other.json
sed 's/said: hello/said: hello!/' good/case.json >bad/case.json
sed 's/test-speak/llm-absent/' good/case.json >absent/case.json

verify good
ok "a folder: all cases in it, by name" is 0 "good/case.json: passed
  text  exact
good/values.case.json: passed
  f32       relative 0 of 1e-06, absolute 0 of 1.5
  i32       mismatches 1 of 1
  tokens    exact
  panoptic  exact
2 cases: 2 passed, 0 failed, 0 could not run" ""
sed 's/16777217/16777218/' good/values.case.json >good/values2.case.json
verify good/values2.case.json
ok "a difference within one bound and beyond another" eval '[ $status = 1 ] && [ ! -s "$err" ] &&
    holds "$out" "good/values2.case.json: FAILED" && holds "$out" "  f32       relative 1.19e-07 of 1e-06, absolute 2 exceeds 1.5"'
rm good/values2.case.json
verify good/case.json
ok "a file" is 0 "good/case.json: passed
  text  exact
1 case: 1 passed, 0 failed, 0 could not run" ""
verify bad
ok "a corrupted expectation" is 1 'bad/case.json: FAILED
  text  it is "you said: hello", not "you said: hello!"
1 case: 0 passed, 1 failed, 0 could not run' ""
verify absent
ok "an absent plugin" is 3 'absent/case.json: could not run
  absent/case.json: /stage: no plugin "llm-absent"
1 case: 0 passed, 0 failed, 1 could not run' ""
verify good absent
ok "3 if all that ran passed" eval '[ $status = 3 ] && [ "$(tail -n 1 "$out")" = "3 cases: 2 passed, 0 failed, 1 could not run" ]'
verify absent bad good
ok "1 if anything failed" eval '[ $status = 1 ] && [ "$(tail -n 1 "$out")" = "4 cases: 2 passed, 1 failed, 1 could not run" ]'
verify --quiet good bad
ok "--quiet" is 1 'bad/case.json: FAILED
  text  it is "you said: hello", not "you said: hello!"
3 cases: 2 passed, 1 failed, 0 could not run' ""
cd good || exit 1
verify .
ok "the folder that one is in" eval '[ $status = 0 ] && [ "$(tail -n 1 "$out")" = "2 cases: 2 passed, 0 failed, 0 could not run" ]'
cd .. || exit 1

# What does not need the absent plugin is compared.
cat >partial.case.json <<'END'
{ "crayon-case": 1,
  "pipeline": { "crayon": 1, "inputs": { "prompt": "text" },
                "stages": { "s": { "use": "test-speak", "in": { "prompt": "@prompt" } },
                            "l": { "use": "llm-absent", "in": { "text": "s.text" } },
                            "t": { "use": "test-speak", "in": { "prompt": "l.text" } } },
                "outputs": { "said": "s.text", "answer": "l.text", "again": "t.text" } },
  "inputs": { "prompt": "hello" },
  "expected": { "said": { "value": "you said: hello", "exact": true },
                "answer": { "value": "a", "exact": true }, "again": { "value": "b", "exact": true } } }
END
verify partial.case.json
ok "the rest of a pipeline" eval '[ $status = 3 ] && holds "$out" "partial.case.json: could not run
  partial.case.json: /pipeline/stages/l/use: no plugin \"llm-absent\"" && holds "$out" "  said    exact" && ! holds "$out" "  again"'
sed 's/said: hello/said: nothing/' partial.case.json >wrong.case.json
verify wrong.case.json
ok "and it can fail" eval '[ $status = 1 ] && holds "$out" "wrong.case.json: FAILED" && holds "$out" "  said    it is"'

# --- Devices ---------------------------------------------------------------------------------------

cat >device.case.json <<'END'
{ "crayon-case": 1, "stage": "test-device",
  "expected": { "text": { "value": "idle:0: test 1.0, exact, threads: 3", "exact": true } } }
END
verify --device idle --threads 3 device.case.json
ok "a device, with exact precision" is 0 "device.case.json: passed on idle:0
  text  exact
1 case: 1 passed, 0 failed, 0 could not run" ""
verify --device idle --device absent --device nonsense --threads 3 device.case.json
ok "several devices, absent ones" eval '[ $status = 3 ] && [ ! -s "$err" ] && holds "$out" "device.case.json: could not run on absent
  device.case.json: device \"absent\": no driver was found" && holds "$out" "device.case.json: could not run on nonsense
  device.case.json: no device \"nonsense\"; there are: "'
verify --device absent good/case.json
ok "a device that is named has to be there" is 3 'good/case.json: could not run on absent
  good/case.json: device "absent": no driver was found
1 case: 0 passed, 0 failed, 1 could not run' ""
verify --device idle good/case.json
ok "whether or not the case computes" eval '[ $status = 0 ] && [ "$(head -n 1 "$out")" = "good/case.json: passed" ]'
cat >wide.case.json <<'END'
{ "crayon-case": 1,
  "pipeline": { "crayon": 1, "stages": { "d": { "use": "test-device" }, "v": { "use": "test-values" } },
                "outputs": { "text": "d.text", "i32": "v.i32", "u8": "v.u8" } },
  "devices": { "idle": { "i32": { "mismatches": 1 } } },
  "expected": { "text": { "value": "idle:0: test 1.0", "mismatches": 0, "exact": true, "devices": { "idle:0": { "exact": false } } },
                "u8": { "value": [0, 1, 254, 255], "exact": true },
                "i32": { "value": [-2147483648, 0, 0, 2147483647], "mismatches": 0 } } }
END
verify --device idle wide.case.json
ok "a text that differs is not widened" eval '[ $status = 1 ] && holds "$out" "  text  it is"'
sed 's/test 1.0"/test 1.0, exact, threads: 0"/' wide.case.json >w.case.json
verify --device idle w.case.json
ok "bounds for a device" eval '[ $status = 0 ] && holds "$out" "  i32   mismatches 1 of 1"'
sed 's/"devices": { "idle": /"devices": { "cpu": /' w.case.json >n.case.json
verify --device idle n.case.json
ok "and not for another" eval '[ $status = 1 ] && holds "$out" "  i32   mismatches 1 exceeds 0"'

# --- Machines --------------------------------------------------------------------------------------

verify --json good/case.json absent
sed 's/"seconds":[0-9.]*/"seconds":0/g' "$out" >plain
cat >want <<'END'
{"crayon":1,"cases":[{"case":"good/case.json","device":null,"verdict":"passed","seconds":0,"reasons":[],"outputs":[{"name":"text","passed":true,"problem":null,"bounds":{"exact":{"limit":0,"error":0,"holds":true}}}]},{"case":"absent/case.json","device":null,"verdict":"not run","seconds":0,"reasons":["absent/case.json: /stage: no plugin \"llm-absent\""],"outputs":[{"name":"text","passed":null,"problem":null,"bounds":{"exact":{"limit":0,"error":null,"holds":false}}}]}],"passed":1,"failed":0,"not_run":1}
END
ok "--json" eval '[ $status = 3 ] && [ ! -s "$err" ] && json "$out" && cmp -s want plain'

# --- Mistakes --------------------------------------------------------------------------------------

verify nowhere good
ok "a path that leads nowhere" fails 1 "crayon: error: nowhere: cannot open: No such file or directory"
mkdir empty
verify empty
ok "a folder without a case" fails 1 "crayon: error: empty: no case in this folder: a file case.json or *.case.json"
verify
ok "no path" eval '[ $status = 2 ]'
verify --bound 3 good
ok "an unknown option" eval '[ $status = 2 ]'
printf '{"crayon-case": 1,\n "stage" "x"}' >torn.case.json
verify torn.case.json
ok "a file that is no JSON: line and column" is 1 "torn.case.json: FAILED
  torn.case.json: 2:10: expected ':' after the key, found '\"'
1 case: 0 passed, 1 failed, 0 could not run" ""
echo '{"crayon-case": 1, "stage": "test-speak", "option": {}, "inputs": {"prompt": "none.json#/a"}, "expected": {"text": {"value": "a", "exact": true}}}' >keys.case.json
verify keys.case.json
ok "an unknown key: its pointer" eval '[ $status = 1 ] && holds "$out" "keys.case.json: /option: a case has no key \"option\"; did you mean \"options\"?"'
sed -i.old 's/"option": {}, //' keys.case.json
verify keys.case.json
ok "a missing file: its pointer and its name" eval '[ $status = 1 ] && holds "$out" "keys.case.json: /inputs/prompt: none.json: cannot open: No such file or directory"'

# --- Signals ---------------------------------------------------------------------------------------

echo '{"crayon-case": 1, "stage": "test-wait", "options": {"seconds": 30, "mark": "mark"}, "inputs": {"prompt": "x"}, "expected": {"text": {"value": "a", "exact": true}}}' >wait.case.json
if reaches INT; then
    signalled INT 1 mark verify --plugin-path "$stages" wait.case.json good
    ok "an interruption ends it" eval '[ $status = 130 ] && holds "$err" "crayon: interrupted"'
else
    skip "an interruption ends it" "signals are ignored here"
fi
plan

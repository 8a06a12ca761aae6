#!/bin/sh
# SPDX-License-Identifier: MIT
# What the program says to command lines: help, versions, mistakes, word for word.
# shellcheck disable=SC2154,SC2016 # top_srcdir and top_builddir come from tests/Makefile.inc; eval
. "$top_srcdir/tests/cli/command-lib.sh"

crayon
ok "without arguments: the help, on standard error" \
    eval '[ $status = 2 ] && [ ! -s "$out" ] && holds "$err" "usage: crayon COMMAND"'
cp "$err" help
crayon --help
ok "--help is the same, on standard output" eval 'is 0 "$(cat help)" ""'
crayon -h
ok "-h, too" eval 'is 0 "$(cat help)" ""'
crayon help
ok "help, too" eval 'is 0 "$(cat help)" ""'
crayon --version
ok "--version" eval 'expr "$(cat "$out")" : "crayon [0-9]*\.[0-9]*\.[0-9]*$" >/dev/null && [ $status = 0 ]'

for command in run check graph plugins devices verify eval bench quantize completion; do
    ok "the help names $command" holds help "  $command "
    crayon $command --help
    cp "$out" help.$command
    ok "$command --help fits a screen" eval '[ $status = 0 ] && [ ! -s "$err" ] &&
        [ "$(wc -l <"$out")" -le 28 ] && ! grep -q "^.\{80\}" "$out"'
    crayon help $command
    ok "help $command is the same" eval 'is 0 "$(cat help.$command)" ""'
done
crayon run --nonsense --help
ok "--help counts whatever stands beside it" eval 'is 0 "$(cat help.run)" ""'

crayon rum
ok "an unknown command, with the nearest" misused "" "unknown command rum; did you mean run?"
crayon frobnicate
ok "an unknown command, with nothing near" misused "" "unknown command frobnicate"
crayon --verion
ok "an unknown option before the command" misused "" "unknown option --verion; did you mean --version?"
crayon help rnu
ok "help for an unknown command" misused "" "unknown command rnu; did you mean run?"
crayon help run check
ok "help for two commands" misused "" 'one argument too many: "check"'

crayon run
ok "a missing operand" misused run "PIPELINE is missing"
crayon check
ok "the same of a list" misused check "PIPELINE... is missing"
crayon graph a b
ok "an operand too many" misused graph 'one argument too many: "b"'
crayon run --imgae x p.json
ok "an unknown option, with the nearest" misused run "unknown option --imgae; did you mean --image?"
crayon run --frobnicate=3 p.json
ok "an unknown option, with nothing near" misused run "unknown option --frobnicate"
crayon run -i x p.json
ok "a short option" misused run "unknown option -i; options have two dashes"
crayon run p.json --image
ok "a missing value" misused run "--image needs a value: --image FILE"
crayon run --json=1 p.json
ok "a value for a switch" misused run "--json takes no value"
crayon run --image=a --image b p.json
ok "an option given twice" misused run "--image is given twice"
for seed in x -1 1.5 "" 18446744073709551616; do
    crayon run --seed "$seed" p.json
    ok "the seed \"$seed\"" misused run "--seed: \"$seed\" is not a whole number from 0 to 2^64 - 1"
done
crayon run --quiet --verbose p.json
ok "options that exclude each other" misused run "--quiet and --verbose exclude each other"
crayon run --batch b.jsonl --out x=y.png p.json
ok "--out with --batch" misused run 'with --batch, files are named by "out" in each line, not by --out'
crayon check --print --json p.json
ok "two forms of output" misused check "--print and --json exclude each other"
crayon plugins --json --schema
ok "the same of plugins" misused plugins "--json, --schema and --man exclude each other"
crayon plugins --man
ok "--man without a name" misused plugins "--man needs the name of a plugin"
crayon plugins --schema overlay
ok "--schema with a name" misused plugins '--schema covers all plugins; leave out "overlay"'
crayon check -- --json
ok "two dashes end the options" eval '[ $status = 1 ] && holds "$err" "crayon: error: --json: "'

if [ -w /dev/full ]; then
    "$top_builddir/crayon" --help >/dev/full 2>"$err"
    status=$?
    ok "a full disk is a failure" eval ': >"$out"; fails 1 \
        "crayon: error: cannot write to standard output: No space left on device"'
else
    skip "a full disk is a failure" "there is no /dev/full"
fi
"$top_builddir/crayon" --help >&- 2>"$err"
status=$?
ok "a closed standard output is a failure" eval ': >"$out"; fails 1 \
    "crayon: error: cannot write to standard output: Bad file descriptor"'
# With and without a parent that ignores SIGPIPE; the reader is gone when the text comes.
for action in - ''; do
    rm -f gone
    # shellcheck disable=SC1007 # an empty action ignores the signal
    sh -c 'trap "$3" PIPE; sleep 0.2; "$1" --help; echo $? >"$2"' sh "$top_builddir/crayon" \
        "$scratch/gone" "$action" 2>"$err" | :
    ok "a reader that goes away hears nothing" eval \
        'await gone && [ "$(cat gone)" != 0 ] && [ ! -s "$err" ]'
done
plan

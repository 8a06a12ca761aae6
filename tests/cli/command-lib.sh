# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC2034,SC2154 # read by the tests; top_builddir comes from tests/Makefile.inc
# command-lib.sh: for the tests of the program, which read it with ".". A test runs the program with
# crayon, looks at $status, $out and $err with check, and ends with plan.
set -u

number=0
scratch=$(mktemp -d "$top_builddir/tests/command.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
out=$scratch/.out
err=$scratch/.err
status=0
: >"$out"
: >"$err"
stages=$top_builddir/tests/cli/.libs
cd "$scratch" || exit 1

# crayon ARGUMENT...: run the program with an empty standard input.
crayon() {
    "$top_builddir/crayon" "$@" >"$out" 2>"$err" </dev/null
    status=$?
}

# ok NAME COMMAND...: one test case; a failure shows what the program printed.
ok() {
    number=$((number + 1))
    name=$1
    shift
    if "$@"; then
        echo "ok $number - $name"
    else
        echo "not ok $number - $name"
        echo "# exit status $status"
        sed 's/^/# stdout: /' "$out"
        sed 's/^/# stderr: /' "$err"
    fi
}

skip() {
    number=$((number + 1))
    echo "ok $number - $1 # SKIP $2"
}

# needs PLUGIN...: end the test, as skipped, where configure was told to leave one of them out.
needs() {
    for plugin in "$@"; do
        crayon plugins "$plugin"
        [ $status = 0 ] || absent="${absent:+$absent, }$plugin"
    done
    if [ -n "${absent:-}" ]; then
        echo "1..0 # SKIP left out by configure: $absent"
        exit
    fi
}

plan() {
    echo "1..$number"
}

# is STATUS STDOUT STDERR: all that the program did, word for word (without newlines at the end).
is() {
    [ "$status" = "$1" ] && [ "$(cat "$out")" = "$2" ] && [ "$(cat "$err")" = "$3" ]
}

# fails STATUS STDERR: nothing on standard output.
fails() {
    is "$1" "" "$2"
}

# misused COMMAND MESSAGE: exit status 2, the message, and where help is.
misused() {
    fails 2 "crayon: error: $2
crayon: try 'crayon${1:+ $1} --help'"
}

# holds FILE TEXT
holds() {
    grep -qF -- "$2" "$1"
}

# json FILE...: every file is one JSON document; without python3 this is taken for granted.
json() {
    for file in "$@"; do
        [ ! -x /usr/bin/python3 ] || /usr/bin/python3 -m json.tool "$file" >/dev/null || return 1
    done
}

# await FILE: until it is there and not empty, at most ten seconds.
await() {
    turns=0
    while [ ! -s "$1" ] && [ $turns -lt 200 ]; do
        sleep 0.05
        turns=$((turns + 1))
    done
    [ -s "$1" ]
}

# Does a signal reach what runs here? Not where somebody above ignores it.
reaches() {
    [ "$(sh -c "kill -$1 \$\$; echo ignored" 2>/dev/null)" != ignored ]
}

# signalled SIGNAL TIMES MARK ARGUMENT...: run the program; when the file MARK appears, send it the
# signal, once or again and again.
signalled() {
    signal=$1 times=$2 mark=$3
    shift 3
    {
        await "$mark"
        while [ "$times" -gt 0 ]; do
            kill "-$signal" "$(cat "$scratch/.pid")"
            times=$((times - 1))
            sleep 0.1
        done
    } 2>/dev/null &
    sh -c 'echo $$ >"$1"; shift; exec "$@"' sh "$scratch/.pid" "$top_builddir/crayon" "$@" \
        >"$out" 2>"$err" </dev/null
    status=$?
    wait
}

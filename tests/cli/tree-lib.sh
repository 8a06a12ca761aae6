# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC2154 # top_builddir comes from tests/Makefile.inc
# tree-lib.sh: for the tests that look at the source tree, which read it with ".".
set -u

number=0
scratch=$(mktemp -d "$top_builddir/tests/tree.XXXXXX")
trap 'rm -rf "$scratch"' EXIT

# found NAME FILE: one test case, passed when FILE (a list of what breaks a rule) is empty.
found() {
    number=$((number + 1))
    if [ -s "$2" ]; then
        echo "not ok $number - $1"
        sed 's/^/# /' "$2"
    else
        echo "ok $number - $1"
    fi
}

skip() {
    number=$((number + 1))
    echo "ok $number - $1 # SKIP $2"
}

plan() {
    echo "1..$number"
}

# code_of FILE: the C file without comments and without what stands in strings, line by line.
code_of() {
    awk '
    {
        out = ""
        for (i = 1; i <= length($0); i++) {
            two = substr($0, i, 2)
            c = substr($0, i, 1)
            if (comment) {
                if (two == "*/") { comment = 0; i++ }
            } else if (quote != "") {
                if (c == "\\") i++
                else if (c == quote) { quote = ""; out = out c }
            } else if (two == "/*") {
                comment = 1; i++; out = out " "
            } else {
                if (c == "\"" || c == "\047") quote = c
                out = out c
            }
        }
        print out
    }' "$1"
}

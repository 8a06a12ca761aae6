#!/bin/sh
# SPDX-License-Identifier: MIT
# The manual pages: clean mdoc, and the same options as --help.
# shellcheck disable=SC2154,SC2016 # top_srcdir and top_builddir come from tests/Makefile.inc; eval
. "$top_srcdir/tests/cli/command-lib.sh"

for page in "$top_srcdir"/man/*.[157]; do
    name=$(basename "$page")
    if [ -n "${MANDOC:-}" ]; then
        "$MANDOC" -Tlint -W warning "$page" >"$err" 2>&1
        status=$?
        ok "mandoc finds nothing wrong with $name" eval '[ $status = 0 ] && [ ! -s "$err" ]'
    else
        skip "mandoc finds nothing wrong with $name" "mandoc is not here"
    fi
done

crayon --help
sed -n 's/^  \(--[a-z-]*\).*/\1/p' "$out" | sort >program
sed -n 's/^\.It Fl -\([a-z-]*\).*/--\1/p' "$top_srcdir/man/crayon.1" | sort >page
ok "crayon(1) has the program's options" cmp -s program page
for command in run check graph plugins devices verify bench quantize tokenize completion; do
    crayon $command --help
    sed -n 's/^  \(--[a-z-]*\).*/\1/p' "$out" | sort >program
    sed -n 's/^\.It Fl -\([a-z-]*\).*/--\1/p' "$top_srcdir/man/crayon-$command.1" | sort >page
    ok "crayon-$command(1) has the options of --help" eval '[ -s program ] && cmp -s program page'
    sed -n '/^\.Sh SYNOPSIS/,/^\.Sh DESCRIPTION/p' "$top_srcdir/man/crayon-$command.1" |
        tr ' ' '\n' | tr '|' '\n' | sed -n 's/^-\([a-z][a-z-]*\)$/--\1/p' | sort -u >synopsis
    grep -v '^--help$' program >listed
    ok "and its synopsis" cmp -s listed synopsis
    ok "crayon(1) tells of it" holds "$top_srcdir/man/crayon.1" ".Xr crayon-$command 1"
done
plan

#!/bin/sh
# SPDX-License-Identifier: MIT
# Each fuzz target on its corpus.
# shellcheck disable=SC2154 # top_srcdir and top_builddir come from tests/Makefile.inc
number=0
TMPDIR=$top_builddir/tests
export TMPDIR
for folder in "$top_srcdir"/tests/fuzz/corpus/*; do
    target=${folder##*/}
    number=$((number + 1))
    if [ ! -x "$top_builddir/tests/fuzz/$target" ]; then
        echo "ok $number - $target # SKIP its plugin was left out"
    elif output=$("$top_builddir/tests/fuzz/$target" "$folder"/* 2>&1); then
        echo "ok $number - $target: $(echo "$output" | grep -c '^ok ') files"
    else
        echo "not ok $number - $target"
        echo "$output" | tail -n 40 | sed 's/^/# /'
    fi
done
echo "1..$number"

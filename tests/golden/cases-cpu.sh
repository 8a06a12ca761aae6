#!/bin/sh
# SPDX-License-Identifier: MIT
# The recorded cases on the CPU, and one with an expectation that is not what was recorded.
# shellcheck disable=SC2154 # top_srcdir and top_builddir come from tests/Makefile.inc
. "$top_srcdir/tests/cli/command-lib.sh"
. "$top_srcdir/tests/golden/cases-lib.sh"
needs device-cpu
cases cpu

mkdir nf4
cp "$top_srcdir"/tests/golden/nf4/*.safetensors nf4
sed 's/#f16\.y/#f32.y/' "$top_srcdir/tests/golden/nf4/matmul.case.json" >nf4/case.json
crayon verify --device cpu nf4
# shellcheck disable=SC2016 # eval
ok "an expectation of something else fails" eval '[ $status = 1 ] && grep -q "^  y  relative .* exceeds 0.0005, absolute .* exceeds 0.0005$" "$out"'
plan

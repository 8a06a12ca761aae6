#!/bin/sh
# SPDX-License-Identifier: MIT
# Every C file is as clang-format makes it and names its licence first; no line is too long; the
# version is the same everywhere.
# shellcheck disable=SC2154 # top_srcdir and top_builddir come from tests/Makefile.inc
. "$top_srcdir/tests/cli/tree-lib.sh"
cd "$top_srcdir" || exit 1

# tests/abi keeps headers as they were.
find core plugins pipelines tests -name '*.[ch]' ! -path 'tests/abi/[0-9]*' | LC_ALL=C sort >"$scratch/files"

if clang-format --version 2>/dev/null | grep -q 'version 14\.'; then
    xargs clang-format --dry-run -Werror <"$scratch/files" >"$scratch/found" 2>&1
    found "C files are formatted" "$scratch/found"
else
    skip "C files are formatted" "there is no clang-format 14 (others format differently)"
fi

while read -r file; do
    [ "$(sed -n 1p "$file")" = '/* SPDX-License-Identifier: MIT */' ] || echo "$file"
done <"$scratch/files" >"$scratch/found"
find core plugins tests bootstrap .ci m4 pipelines -name '*.sh' -o -name '*.py' -o -name '*.m4' \
    -o -name bootstrap -o -path .ci/run | grep -v '^m4/\(libtool\|lt\)' >"$scratch/scripts"
while read -r file; do
    sed -n 1,2p "$file" | grep -q '^# SPDX-License-Identifier: MIT$' || echo "$file"
done <"$scratch/scripts" >>"$scratch/found"
found "files name their licence in the first line" "$scratch/found"

while read -r file; do
    code_of "$file" | grep -n // | sed "s|^|$file:|"
    grep -nE 'TODO|FIXME' "$file" | sed "s|^|$file:|"
done <"$scratch/files" >"$scratch/found"
found "comments are in blocks and promise nothing" "$scratch/found"

# Comments, which clang-format does not always break; a tab counts one.
# shellcheck disable=SC2016 # awk has its own $0
xargs awk 'length($0) > 100 && !/"/ { print FILENAME ":" FNR ": " length($0) " characters" }' \
    <"$scratch/files" >"$scratch/found"
found "lines have at most 100 characters" "$scratch/found"

value() {
    sed -n "s/^#define $1 \"\{0,1\}\([^\"]*\)\"\{0,1\}\$/\1/p" "$2"
}
header=core/include/crayon/base.h
parts=$(value CR_VERSION_MAJOR $header).$(value CR_VERSION_MINOR $header).$(value CR_VERSION_PATCH $header)
package=$(value PACKAGE_VERSION "$top_builddir/config.h")
for version in "$parts" "$(value CR_VERSION $header)"; do
    [ -n "$package" ] && [ "$version" = "$package" ] ||
        echo "$header says $version, configure $package"
done >"$scratch/found"
found "the version is the same everywhere" "$scratch/found"
plan

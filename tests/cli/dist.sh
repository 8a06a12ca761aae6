#!/bin/sh
# SPDX-License-Identifier: MIT
# Does a release hold every file that is under version control?
# shellcheck disable=SC2154 # top_srcdir and top_builddir come from tests/Makefile.inc
set -u
unset MAKEFLAGS MFLAGS MAKELEVEL

echo 1..1
if [ ! -e "$top_srcdir/.git" ] || ! tracked=$(git -C "$top_srcdir" ls-files 2>/dev/null); then
    echo "ok 1 - complete # SKIP this is no working tree of git"
    exit
fi

# Paths of make's list begin with the source folder, as configure was told it; a folder in the list stands
# for all that is in it.
srcdir=$(sed -n 's/^srcdir = //p' "$top_builddir/Makefile")
dist=$(make -s -C "$top_builddir" print-dist | sed "s|^$top_srcdir/||; s|^$srcdir/||")
missing=$(echo "$tracked" | while read -r file; do
    case $file in
    .gitignore | */.gitignore) continue ;;
    esac
    folder=$file
    while ! echo "$dist" | grep -qxF -e "$folder" -e "./$folder"; do
        case $folder in
        */*) folder=${folder%/*} ;;
        *)
            echo "$file"
            break
            ;;
        esac
    done
done)

if [ -z "$missing" ]; then
    echo "ok 1 - complete"
else
    echo "not ok 1 - complete"
    echo "$missing" | sed 's/^/# neither in EXTRA_DIST nor a source: /'
fi

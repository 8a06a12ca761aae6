#!/bin/sh
# SPDX-License-Identifier: MIT
# The exported symbols: core/crayon.map, the prototypes in the headers and the built library agree; a
# plugin exports crayon_plugin and nothing else.
# shellcheck disable=SC2154 # top_srcdir and top_builddir come from tests/Makefile.inc
. "$top_srcdir/tests/cli/tree-lib.sh"

# listed PATTERN: the symbols of the versions in crayon.map that match.
listed() {
    awk -v version="^$1\$" '
        $2 == "{" { inside = $1 ~ version }
        /local:/ { inside = 0 }
        inside && /^ +cr_[a-z0-9_]+;/ { gsub(/[ ;]/, ""); print }' "$top_srcdir/core/crayon.map"
}

# declared FILE...: the functions declared with CR_API.
declared() {
    cat "$@" | awk '{ gsub(/\/\*[^*]*\*\//, "") } { print }' | tr '\n' ' ' | tr ';' '\n' |
        sed -n 's/.*CR_API \([^(]*[ *]\)\{0,1\}\(cr_[a-z0-9_]*\)(.*/\2/p' | sort
}

# differ FILE WHERE FILE WHERE: what one list holds and the other lacks.
differ() {
    LC_ALL=C sort "$1" >"$scratch/a"
    LC_ALL=C sort "$3" >"$scratch/b"
    LC_ALL=C comm -23 "$scratch/a" "$scratch/b" | sed "s|\$|: in $2, not in $4|"
    LC_ALL=C comm -13 "$scratch/a" "$scratch/b" | sed "s|\$|: in $4, not in $2|"
}

# exported FILE: "NAME VERSION" of what a shared object defines. Names with __ are the compiler's.
exported() {
    nm -D --defined-only "$1" | awk '$2 != "A" && $3 !~ /^__/ && $3 !~ /^_(init|fini|edata|end)$/ {
        sub(/@+/, " ", $3); print $3 }'
}

listed "CRAYON_[0-9_]+" >"$scratch/public"
listed CRAYON_PRIVATE >"$scratch/private"
declared "$top_srcdir"/core/include/crayon/*.h >"$scratch/declared"
find "$top_srcdir/core" -name '*.h' ! -path '*/include/*' >"$scratch/headers"
# shellcheck disable=SC2046 # no name in the tree holds a space
declared $(cat "$scratch/headers") >"$scratch/declared-private"

# Every version of the ABI is a list of its own: 1 is 1.0, 1_1 came with 1.1.
versions=$(sed -n 's/^\(CRAYON_[0-9_]*\) {$/\1/p' "$top_srcdir/core/crayon.map")
for version in $versions; do
    listed "$version" | LC_ALL=C sort -c 2>>"$scratch/found"
done
[ -s "$scratch/public" ] || echo "the list is empty" >>"$scratch/found"
found "the list is in order" "$scratch/found"
differ "$scratch/public" crayon.map "$scratch/declared" "the public headers" >"$scratch/found"
found "the list is what the public headers declare" "$scratch/found"
differ "$scratch/private" crayon.map "$scratch/declared-private" "the core's own headers" \
    >"$scratch/found"
found "the private list is what the core's own headers declare" "$scratch/found"

library=$top_builddir/.libs/libcrayon.so
if ! command -v nm >/dev/null; then
    skip "the library exports the list" "nm was not found"
    skip "plugins export crayon_plugin" "nm was not found"
elif [ ! -f "$library" ]; then
    skip "the library exports the list" "$library was not built"
    skip "plugins export crayon_plugin" "$library was not built"
else
    for version in $versions CRAYON_PRIVATE; do
        listed "$version" | sed "s/\$/ $version/"
    done >"$scratch/expected"
    exported "$library" >"$scratch/exported"
    differ "$scratch/expected" crayon.map "$scratch/exported" "the library" >"$scratch/found"
    found "the library exports the list" "$scratch/found"

    find "$top_builddir/plugins" -name '*.so' >"$scratch/plugins" 2>/dev/null
    while read -r plugin; do
        exports=$(exported "$plugin" | tr '\n' ' ')
        [ "$exports" = "crayon_plugin " ] || echo "$plugin exports: $exports"
    done <"$scratch/plugins" >"$scratch/found"
    if [ -s "$scratch/plugins" ]; then
        found "plugins export crayon_plugin" "$scratch/found"
    else
        skip "plugins export crayon_plugin" "no plugin was built"
    fi
fi
plan

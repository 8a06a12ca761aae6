#!/bin/sh
# SPDX-License-Identifier: MIT
# Each public header compiles alone, twice over, as strict C11 and as C++17; all of them are installed
# and are part of crayon.h.
# shellcheck disable=SC2154,SC2086 # from tests/Makefile.inc; $CC may hold options
. "$top_srcdir/tests/cli/tree-lib.sh"

folder=$top_srcdir/core/include
warnings="-Wall -Wextra -Wpedantic -Werror"

# alone COMPILER LANGUAGE STANDARD HEADER
alone() {
    printf '#include <crayon/%s>\n#include <crayon/%s>\nextern int unit;\nint unit;\n' "$4" "$4" |
        $1 -x "$2" "-std=$3" $warnings -I"$folder" -fsyntax-only - 2>&1
}

for path in "$folder"/crayon/*.h; do
    header=${path##*/}
    alone "$CC" c c11 "$header" >"$scratch/found"
    found "$header as C11" "$scratch/found"
    if [ -n "$CXX_CHECK" ]; then
        alone "$CXX_CHECK" c++ c++17 "$header" >"$scratch/found"
        found "$header as C++17" "$scratch/found"
    else
        skip "$header as C++17" "configure found no C++ compiler"
    fi
done

for path in "$folder"/crayon/*.h; do
    header=${path##*/}
    grep -q "/$header\b" "$folder/crayon/Makefile.inc" || echo "$header is not installed"
    [ "$header" = crayon.h ] || grep -q "<crayon/$header>" "$folder/crayon/crayon.h" ||
        echo "$header is not part of crayon.h"
done >"$scratch/found"
found "all headers are installed and part of crayon.h" "$scratch/found"
plan

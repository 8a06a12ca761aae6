#!/bin/sh
# SPDX-License-Identifier: MIT
# A stranger's view: the installed copy, pkg-config and a compiler are enough to write a plugin and a
# program, and uninstalling leaves nothing behind.
# shellcheck disable=SC2154,SC2086,SC2046 # from tests/Makefile.inc; flags are several words

scratch=$(mktemp -d "$top_builddir/tests/example-XXXXXX") || exit 1
trap 'rm -rf "$scratch"' EXIT
umask 022
root=$top_builddir/tests/installed/root
number=0

# check WHAT COMMAND...: one test; what the command prints becomes a comment when it fails.
check() {
    what=$1
    shift
    number=$((number + 1))
    if "$@" >"$scratch/output" 2>&1; then
        echo "ok $number - $what"
    else
        echo "not ok $number - $what"
        sed 's/^/# /' "$scratch/output"
    fi
}

skip() {
    number=$((number + 1))
    echo "ok $number - $1 # SKIP $2"
}

# The flags, as for any other library; the copy lies below $root, not where it was configured for.
flags() {
    pc=$(find "$root" -name crayon.pc) || return 1
    PKG_CONFIG_PATH=${pc%/*} PKG_CONFIG_SYSROOT_DIR=$root PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1 \
        PKG_CONFIG_ALLOW_SYSTEM_LIBS=1 ${PKG_CONFIG:-pkg-config} "$@" crayon
}

# Code that uses a sanitized library has to be sanitized, and its symbols come from the program.
sanitize=
undefined=-Wl,--no-undefined
if [ -n "$SANITIZERS" ]; then
    sanitize=-fsanitize=${SANITIZERS#,}
    undefined=
fi

build_plugin() {
    mkdir -p "$scratch/plugins" &&
        $CC -std=c11 -Wall -Wextra -Wpedantic -Werror $sanitize -shared -fPIC $undefined \
            -o "$scratch/plugins/example-stage.so" \
            "$top_srcdir/plugins/example-stage/example-stage.c" $(flags --cflags --libs)
}

# The plugin in the manual is one that works: compiled from the page, and run.
manual_example() {
    awk '/^\.\\" The tests compile what follows/ { found = 1; next }
        /^\.Ed/ { found = 0 }
        found && !/^\.Bd/' "$top_srcdir/man/crayon-plugin.7" | sed 's/\\e/\\/g' >"$scratch/invert.c"
    [ -s "$scratch/invert.c" ] &&
        $CC -std=c11 -Wall -Wextra -Wpedantic -Werror $sanitize -shared -fPIC $undefined \
            -o "$scratch/plugins/invert.so" "$scratch/invert.c" $(flags --cflags --libs) || return 1
    sed -n '/^{ "crayon": 1,$/,/^  "outputs": /p' "$top_srcdir/man/crayon-plugin.7" >"$scratch/invert.json"
    "$top_builddir/crayon" run --plugin-path "$scratch/plugins" --out "image=$scratch/inverted.png" \
        --image "$top_srcdir/pipelines/scene/scene.jpg" "$scratch/invert.json" &&
        [ -s "$scratch/inverted.png" ]
}

build_program() {
    $CC -std=c11 -Wall -Wextra -Wpedantic -Werror $sanitize -o "$scratch/embed" \
        "$top_srcdir/tests/cli/embed.c" $(flags --cflags --libs)
}

run_program() {
    library=$(find "$root" -name libcrayon.so) || return 1
    cat >"$scratch/expected" <<'END'
example-stage: leave the chosen objects as they are and paint the rest in few tones
  in image image
  in panoptic panoptic optional
  out image image
  out kept text
  option tones = 4
  option paint = grey
  option strength = 1
  option keep = []
0 0 0 0 0 0 150 200 255 255 255 255
2 of 4 pixels kept
END
    LD_LIBRARY_PATH=${library%/*} "$scratch/embed" "$scratch/plugins" >"$scratch/listed" &&
        diff -u "$scratch/expected" "$scratch/listed"
}

# In a pipeline, by the program of the build tree.
in_pipeline() {
    cat >"$scratch/pipeline.json" <<END
{ "crayon": 1,
  "inputs": { "image": "image" },
  "stages": { "rest": { "use": "example-stage", "paint": "sepia", "in": { "image": "@image" } } },
  "outputs": { "image": "rest.image", "kept": "rest.kept" } }
END
    "$top_builddir/crayon" run --plugin-path "$scratch/plugins" --out "image=$scratch/painted.png" \
        --image "$top_srcdir/pipelines/scene/scene.jpg" "$scratch/pipeline.json" >"$scratch/told" &&
        [ -s "$scratch/painted.png" ] && grep -qx '0 of [0-9]* pixels kept' "$scratch/told"
}

# Its check() finds what the declarations cannot say.
problems() {
    "$top_builddir/crayon" check --plugin-path "$scratch/plugins" --set rest.strength=0 \
        --set 'rest.keep=["person","persn"]' "$scratch/pipeline.json" 2>"$scratch/told" && return 1
    cat "$scratch/told"
    grep -q '/stages/rest/keep: what to keep is looked up in a panoptic map' "$scratch/told" &&
        grep -q '/stages/rest/keep: "persn" is no COCO category' "$scratch/told" &&
        grep -q '/stages/rest/paint: with "strength" 0 nothing is painted' "$scratch/told"
}

one_symbol() {
    [ "$(nm -D --defined-only "$scratch/plugins/example-stage.so" | grep -c ' [A-Z] ')" = 1 ]
}

# The installed headers, each alone, with only the flags of pkg-config.
headers_alone() {
    folder=$(find "$root" -type d -name crayon -path '*include*') || return 1
    for header in "$folder"/*.h; do
        echo "#include <crayon/${header##*/}>" >"$scratch/alone.c"
        $CC -std=c11 -Wall -Wextra -Wpedantic -Werror -fsyntax-only "$scratch/alone.c" \
            $(flags --cflags) || return 1
    done
}

uninstall() {
    cp -R "$root" "$scratch/copy" &&
        make -s -C "$top_builddir" DESTDIR="$scratch/copy" uninstall >/dev/null || return 1
    left=$(cd "$scratch/copy" && find . ! -type d)
    [ -z "$left" ] || {
        echo "$left"
        return 1
    }
}

echo 1..9
check "the installed headers compile alone" headers_alone
check "the example is built with pkg-config alone" build_plugin
if command -v nm >/dev/null; then
    check "it exports one symbol" one_symbol
else
    skip "it exports one symbol" "there is no nm"
fi
check "a program is built with pkg-config alone" build_program
check "the program finds the example, reads its declarations and runs it" run_program
check "crayon run runs the example in a pipeline" in_pipeline
check "its check() reports every problem" problems
check "the plugin in crayon-plugin(7) is built and runs" manual_example
check "make uninstall leaves no file behind" uninstall

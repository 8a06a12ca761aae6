#!/bin/sh
# SPDX-License-Identifier: MIT
# What ./bootstrap says and does where tools and libraries are missing: in a folder of its own, with a
# PATH that holds stand-ins for package managers, compiler and make. They write down that they were
# called, so a test also sees what was not.
# shellcheck disable=SC2154 # top_srcdir and top_builddir come from tests/Makefile.inc
set -u
unset CC CRAYON_PACKAGE_MANAGER

echo 1..26
number=0
scratch=$(mktemp -d "$top_builddir/tests/bootstrap.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
project=$scratch/project
bin=$scratch/bin
calls=$scratch/calls
out=$scratch/out
mkdir "$project"
cp "$top_srcdir/bootstrap" "$project/bootstrap"

# check NAME COMMAND...: one test case; when it fails, what bootstrap printed is shown.
check() {
    number=$((number + 1))
    name=$1
    shift
    if "$@"; then
        echo "ok $number - $name"
    else
        echo "not ok $number - $name"
        sed 's/^/# /' "$out"
        [ ! -s "$calls" ] || sed 's/^/# called: /' "$calls"
    fi
}

# stand_in NAME [LINE...]: a program that notes its arguments, then does the lines.
stand_in() {
    name=$1
    shift
    {
        echo '#!/bin/sh'
        echo "echo \"$name \$*\" >>'$calls'"
        [ $# = 0 ] || printf '%s\n' "$@"
    } >"$bin/$name"
    chmod +x "$bin/$name"
}

# A PATH with the tools of a bare system and nothing to build with.
bare_system() {
    rm -rf "$bin"
    mkdir "$bin"
    for tool in awk cat chmod cp date dirname env find getconf grep head mkdir mktemp rm sed sh sort \
        tail tr; do
        ln -s "$(command -v $tool)" "$bin/$tool"
    done
    printf '#!/bin/sh\necho 1000\n' >"$bin/id"
    chmod +x "$bin/id"
    : >"$calls"
}

# All that a build needs, in name: make writes down its target and prints $summary.
full_system() {
    bare_system
    for tool in gcc autoconf autoreconf automake libtoolize pkg-config g++ mandoc dot clang python3 \
        llvm-symbolizer clang-format xz glslc spirv-val; do
        stand_in $tool
    done
    stand_in make "cat '$scratch/summary'"
    rm -rf "$project/build"
    printf '%s\n' '#!/bin/sh' "echo configure \"\$@\" >>'$calls'" 'echo all: >Makefile' \
        >"$project/configure"
    chmod +x "$project/configure"
    : >"$scratch/summary"
    mkdir -p "$scratch/Library/Fonts"
    : >"$scratch/Library/Fonts/DejaVuSans.ttf"
    : >"$scratch/Library/Fonts/DejaVuSans-Bold.ttf"
}

# bootstrap ARGUMENT...: run it; its words go to $out, its exit status to $status.
bootstrap() {
    status=0
    PATH=$bin HOME=$scratch sh "$project/bootstrap" "$@" >"$out" 2>&1 </dev/null || status=$?
}

says() {
    grep -qF -- "$1" "$out"
}

exits_with() {
    [ "$status" = "$1" ]
}

last_line_is() {
    [ "$(tail -n 1 "$out")" = "$1" ]
}

called() {
    grep -q -- "$1" "$calls"
}

not_called() {
    ! called "$1"
}

stops_with() {
    exits_with 1 && says "$1" && not_called .
}

help_is_complete() {
    exits_with 0 && says "build " && says "run " && says "check --all" && [ "$(wc -l <"$out")" -lt 24 ]
}

bare_system
bootstrap --help
check "--help names every command and fits a screen" help_is_complete
bootstrap
check "no command: the usage, status 2" exits_with 2
bootstrap biuld
check "an unknown command is named" says "unknown command 'biuld'"
check "an unknown command: status 2" exits_with 2

bootstrap build
check "no package manager: names what is missing" stops_with "knows no package manager here: "

stand_in dnf
bootstrap build
check "dnf: prints the command, runs nothing" stops_with "run: sudo dnf install autoconf automake \
cairo-devel cjson-devel "
bare_system
stand_in pacman
bootstrap build
check "pacman: prints the command, runs nothing" stops_with "run: sudo pacman -S --needed autoconf \
automake cairo cjson "
bootstrap run
check "run asks for the same" stops_with "run: sudo pacman -S --needed autoconf automake cairo cjson "
bootstrap check
check "check asks for what only tests need, too" stops_with " cmocka "
bare_system
stand_in brew
bootstrap build
check "brew: prints the command, runs nothing" stops_with "run: brew install autoconf automake \
cairo cjson "
CRAYON_PACKAGE_MANAGER=dnf
export CRAYON_PACKAGE_MANAGER
bootstrap build
check "CRAYON_PACKAGE_MANAGER overrides the guess" stops_with "run: sudo dnf install "
CRAYON_PACKAGE_MANAGER=zypper
bootstrap build
check "an unknown manager is refused" stops_with "unknown package manager 'zypper'"
unset CRAYON_PACKAGE_MANAGER

bare_system
stand_in apt-get
bootstrap build
check "apt without root or sudo: prints the command, runs nothing" \
    stops_with "run as root: apt-get install --no-install-recommends autoconf automake "
# shellcheck disable=SC2016 # for the stand-in to expand
stand_in sudo 'shift; [ "$1" = true ] || exec "$@"'
bootstrap build
check "apt with sudo: installs" called '^apt-get .*install .* libcairo2-dev libcjson-dev '
printf '#!/bin/sh\necho 0\n' >"$bin/id"
: >"$calls"
bootstrap build
check "apt as root: installs without sudo" not_called '^sudo'
check "what an installation did not bring is named" says "still not found after the installation: "
stand_in apt-get 'echo "E: no network"; exit 100'
bootstrap build
check "apt-get fails: its own words are shown" says "E: no network"

full_system
bootstrap build
check "nothing missing: configures in build/ and makes" called '^make -s -C build '
: >"$calls"
bootstrap build
check "a second build does not configure again" not_called '^configure'

printf '# PASS:  12\n# SKIP:  1\n# XFAIL: 0\n# FAIL:  0\nSKIP: a.sh 3 - b # SKIP no d\n' \
    >"$scratch/summary"
bootstrap check
check "check: the last line counts" last_line_is "12 passed, 0 failed, 1 skipped"
check "check: a skipped case is shown with its reason" says "# SKIP no d"
bootstrap check --all
check "check --all: counts four runs" last_line_is "48 passed, 0 failed, 4 skipped"

printf '# PASS:  5\n# FAIL:  2\n# ERROR: 1\n' >"$scratch/summary"
bootstrap check
failure_is_counted() {
    exits_with 1 && last_line_is "5 passed, 3 failed, 0 skipped"
}
check "check: failures and errors fail" failure_is_counted

: >"$scratch/summary"
bootstrap check
nothing_ran() {
    exits_with 1 && says "no test ran" && last_line_is "0 passed, 1 failed, 0 skipped"
}
check "check: a run without tests fails" nothing_ran

rm -rf "$project/build"
printf '%s\n' '#!/bin/sh' 'echo "checking for libpng... no"; exit 1' >"$project/configure"
bootstrap check
configure_failed() {
    exits_with 1 && says "checking for libpng... no" &&
        last_line_is "0 passed, 1 failed, 0 skipped"
}
check "check: what cannot be configured is a failure" configure_failed

same_font_folders() {
    grep -o '/[a-z/-]*/fonts[A-Za-z/-]*' "$top_srcdir/m4/crayon.m4" | while read -r folder; do
        grep -qF "$folder" "$top_srcdir/bootstrap" || exit 1
    done
}
check "bootstrap looks for the font where configure does" same_font_folders

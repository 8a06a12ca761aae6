# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC2034,SC2154 # read by the tests; top_builddir comes from tests/Makefile.inc
# vulkan-lib.sh: for the tests that run on a Vulkan driver, which read it with ".". Drivers are told to the
# loader by name, so that a test never meets another one; tests/Makefile.inc hides all of them from the rest.
set -u

number=0
scratch=$(mktemp -d "$top_builddir/tests/vulkan.XXXXXX")
trap 'rm -rf "$scratch"' EXIT

# skip_all REASON: end the test.
skip_all() {
    echo "1..0 # SKIP $1"
    exit
}

# in_full_run: a test that takes its time is left out where CRAYON_TEST_QUICK is set, as bootstrap does for
# all but the first of its suites: neither the compiler nor a release makes a difference to a driver.
in_full_run() {
    [ -z "${CRAYON_TEST_QUICK:-}" ] || skip_all "left to the full run: CRAYON_TEST_QUICK is set"
    [ -z "$SANITIZERS" ] || skip_all "left to the full run: sanitizers watch what lavapipe is given"
}

plan() {
    echo "1..$number"
}

# found NAME FILE: one test case, passed when FILE (what is wrong) is empty.
found() {
    number=$((number + 1))
    if [ -s "$2" ]; then
        echo "not ok $number - $1"
        sed 's/^/# /' "$2"
    else
        echo "ok $number - $1"
    fi
}

needs_plugin() {
    [ -f "$top_builddir/plugins/device-vulkan/.libs/device-vulkan.so" ] ||
        skip_all "device-vulkan was left out"
}

# only_driver FILE: the loader sees this one. (Loaders before 1.3.207 know the first name only.)
only_driver() {
    VK_ICD_FILENAMES=$1
    VK_DRIVER_FILES=$1
    export VK_ICD_FILENAMES VK_DRIVER_FILES
}

# What the user's own environment lets the loader see.
use_installed_drivers() {
    unset VK_ICD_FILENAMES VK_DRIVER_FILES
    [ -z "$GPU_DRIVERS" ] || only_driver "$GPU_DRIVERS"
}

# find_icd PATTERN: the description of an installed driver, or nothing.
find_icd() {
    for folder in /usr/share/vulkan/icd.d /usr/local/share/vulkan/icd.d /etc/vulkan/icd.d \
        /usr/lib/chromium /usr/lib64/chromium-browser /usr/lib/chromium-browser /opt/google/chrome; do
        # shellcheck disable=SC2086 # a pattern
        for file in $folder/$1; do
            if [ -f "$file" ]; then
                echo "$file"
                return
            fi
        done
    done
}

# Mesa's driver for the CPU: subgroups of 8.
use_lavapipe() {
    icd=$(find_icd 'lvp_icd*.json')
    [ -n "$icd" ] || skip_all "lavapipe is not installed (Debian: mesa-vulkan-drivers)"
    only_driver "$icd"
    CRAYON_TEST_VULKAN=llvmpipe
    export CRAYON_TEST_VULKAN
}

# Google's driver for the CPU, which browsers bring along: subgroups of 4, and nothing that is optional.
use_swiftshader() {
    icd=${CRAYON_TEST_SWIFTSHADER:-$(find_icd vk_swiftshader_icd.json)}
    [ -f "$icd" ] || skip_all "SwiftShader was not found (Debian: chromium); \
CRAYON_TEST_SWIFTSHADER names its vk_swiftshader_icd.json"
    only_driver "$icd"
    CRAYON_TEST_VULKAN=SwiftShader
    export CRAYON_TEST_VULKAN
}

# What has to be right with every driver. Sanitizers take their time and get less; a quick run
# is content with sequences of operations.
programs="golden/nf4_case ops/chains"
if [ -n "$SANITIZERS" ]; then
    programs="$programs ops/composed ops/errors"
elif [ -z "${CRAYON_TEST_QUICK:-}" ]; then
    programs="$programs ops/selftest ops/composed ops/attention ops/cases ops/errors ops/linear ops/numbers \
        ops/quantize ops/units"
fi

[ ! -x "$top_builddir/tests/golden/sampling_case" ] || programs="$programs golden/sampling_case"

# What drivers keep for themselves is not ours to free.
LSAN_OPTIONS="suppressions=$top_srcdir/tests/portability/drivers.supp:print_suppressions=0"
export LSAN_OPTIONS

# run_program NAME: every test of tests/NAME is a test case here.
run_program() {
    log=$scratch/log
    result=0
    timeout 1500 sh "$top_srcdir/tests/cmocka-tap.sh" "$top_builddir/tests/$1" >"$log" 2>&1 || result=$?
    awk -v program="${1#*/}" -v number="$number" '
        /^1\.\.[0-9]+$/ { next }
        /^(not )?ok [0-9]+ - / {
            number++
            sub(/ok [0-9]+ - /, "ok " number " - " program ": ")
            print
            next
        }
        { print "# " $0 }' "$log"
    number=$((number + $(grep -cE '^(not )?ok [0-9]+ - ' "$log")))
    if [ $result != 0 ] && ! grep -q '^not ok ' "$log"; then
        number=$((number + 1))
        echo "not ok $number - ${1#*/}: ended with status $result"
    fi
}

run_programs() {
    for program in "$@"; do
        run_program "$program"
    done
}

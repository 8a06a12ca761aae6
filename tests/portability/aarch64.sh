#!/bin/sh
# SPDX-License-Identifier: MIT
# The AArch64 kernels of device-cpu, built by a cross compiler ($AARCH64_CC, or the one of Debian's
# gcc-aarch64-linux-gnu) and run in an emulator (qemu-user).
# shellcheck disable=SC2154,SC2086 # from tests/Makefile.inc; the compiler may hold options
cc=${AARCH64_CC:-aarch64-linux-gnu-gcc}

skip_all() {
    echo "1..0 # SKIP $1"
    exit 0
}

command -v ${cc%% *} >/dev/null || skip_all "there is no cross compiler $cc"
qemu=$(command -v qemu-aarch64 || command -v qemu-aarch64-static) ||
    skip_all "there is no emulator qemu-aarch64"

scratch=$(mktemp -d "$top_builddir/tests/aarch64.XXXXXX") || exit 1
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' HUP INT TERM

echo 'int main(void) { return 0; }' >"$scratch/trial.c"
if ! $cc -static "$scratch/trial.c" -o "$scratch/trial" 2>/dev/null || ! "$qemu" "$scratch/trial"; then
    skip_all "$cc and $qemu do not make a program that runs"
fi

cd "$top_srcdir" || exit 1
: >"$scratch/config.h" # the core without what configure would find
if $cc -std=c11 -O2 -static -D_XOPEN_SOURCE=700 -D_FILE_OFFSET_BITS=64 \
    -I"$scratch" -Icore/include -Icore -Iplugins/device-cpu -fno-math-errno -ffp-contract=off \
    -Wall -Wextra -Wpedantic -Wshadow -Wcast-qual -Wundef -Wvla -Wstrict-prototypes -Wno-missing-field-initializers \
    tests/portability/kernels.c tests/portability/alone.c plugins/device-cpu/*.c \
    core/tensor/*.c core/tensor/reference/*.c core/value/tensor.c \
    core/base/available.c core/base/error.c core/base/fault.c core/base/log.c core/base/memory.c \
    -lpthread -lm -o "$scratch/kernels" 2>"$scratch/words"; then
    built=yes
else
    built=no
fi
if [ $built = yes ] && [ ! -s "$scratch/words" ]; then
    echo "ok 1 - compiles without a warning"
else
    sed 's/^/# /' "$scratch/words"
    echo "not ok 1 - compiles without a warning"
fi
[ $built = yes ] || { echo "1..1"; exit 1; }

# The first has only what every AArch64 has; the other has dot products too.
status=0
number=1
for cpu in cortex-a53 max; do
    "$qemu" -cpu $cpu "$scratch/kernels" >"$scratch/tap" || status=1
    awk -v number=$number -v cpu=$cpu '
        /^1\.\./ { next }
        /^(not )?ok / {
            at = $1 == "not" ? 3 : 2
            $at = $at + number
            $(at + 1) = "- " cpu ","
        }
        { print }' "$scratch/tap"
    number=$((number + $(grep -cE '^(not )?ok ' "$scratch/tap")))
done
echo "1..$number"
exit $status

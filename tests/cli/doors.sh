#!/bin/sh
# SPDX-License-Identifier: MIT
# Everything passes through two doors, core/base/memory.c and core/base/io.c, where tests make it fail: which
# functions of the C library do the compiled files of the core and of the plugins ask for?
# shellcheck disable=SC2154 # top_srcdir and top_builddir come from tests/Makefile.inc
. "$top_srcdir/tests/cli/tree-lib.sh"

command -v nm >/dev/null 2>&1 || {
    echo "1..0 # SKIP there is no nm"
    exit
}

memory="malloc calloc realloc reallocarray aligned_alloc posix_memalign free strdup strndup asprintf vasprintf getline"
files="open openat creat fopen fdopen freopen read pread readv fread fgets write pwrite writev fwrite fsync fdatasync
    rename renameat link symlink unlink unlinkat remove mkdir mkdirat rmdir opendir fdopendir readdir scandir nftw
    stat lstat fstat fstatat access faccessat readlink chmod fchmod truncate ftruncate mmap mkstemp mkdtemp tmpfile dlopen"

# Whom the door is for: the doors themselves; where a child process is started, which has a test of its own and
# whose pipes are no files; and the Vulkan loader, whose absence is no error.
allowed() {
    case $1 in
    memory:*) echo "$memory" ;;
    io:*) echo "$files" ;;
    process:* | probe:*) echo "access read write close" ;;
    loader:dlopen) echo dlopen ;;
    esac
}

# asked OBJECT...: what they should not ask for.
asked() {
    for object in "$@"; do
        name=${object##*/}
        name=${name##*-}
        name=${name%.o}
        nm -u "$object" 2>/dev/null | sed 's/^ *[A-Za-z] //; s/@.*//; s/64$//' | while read -r symbol; do
            for door in $memory $files; do
                [ "$symbol" = "$door" ] || continue
                case " $(allowed "$name:$symbol" | tr '\n' ' ') " in
                *" $symbol "*) ;;
                *) echo "$object: $symbol" ;;
                esac
            done
        done
    done
}

asked "$top_builddir"/core/*/.libs/libcore_la-*.o >"$scratch/core"
found "the core" "$scratch/core"
asked "$top_builddir"/plugins/*/.libs/*.o >"$scratch/plugins"
found "the plugins" "$scratch/plugins"
plan

#!/bin/sh
# SPDX-License-Identifier: MIT
# The walls between the rooms (core/README.md): who includes whom, who knows which library, who calls
# what.
# shellcheck disable=SC2154 # top_srcdir comes from tests/Makefile.inc
. "$top_srcdir/tests/cli/tree-lib.sh"
cd "$top_srcdir" || exit 1

# "FILE:LINE:#include ..." -> "FILE NAME", NAME still in <> or "".
includes() {
    find "$@" -name '*.[ch]' -exec grep -n '^ *# *include' /dev/null {} + |
        sed 's/^\([^:]*\):[0-9]*: *# *include *\([^ ]*\).*/\1 \2/'
}

# Who may know whom: a room knows itself and what stands below it.
includes core/base core/value core/media core/tensor core/model core/plugin core/pipeline core/verify core/evaluate core/command core/include |
    awk '
    BEGIN {
        rank["base"] = 0; rank["value"] = 1; rank["media"] = 1
        rank["tensor"] = 2; rank["model"] = 3; rank["plugin"] = 4; rank["pipeline"] = 5
        rank["verify"] = 6; rank["evaluate"] = 6; rank["command"] = 7
        split("base error file log memory", names, " ")
        for (i in names) public[names[i]] = 0
        split("image panoptic tensor value canvas", names, " ")
        for (i in names) public[names[i]] = 1
        public["device"] = public["ops"] = public["chain"] = 2
        public["config"] = public["model"] = 3
        public["plugin"] = public["registry"] = 4
        public["pipeline"] = 5
        public["crayon"] = 7
    }
    {
        split($1, path, "/"); room = path[2]; name = $2
        if (name ~ /^<crayon\//) {
            gsub(/^<crayon\/|\.h>$/, "", name)
            if (!(name in public)) print $1 ": unknown header " $2
            else if (room != "include" && public[name] > rank[room])
                print $1 ": " room "/ does not know " $2
        } else if (name ~ /^"/ && name != "\"config.h\"") {
            if (room == "include") { print $1 ": a public header includes " $2; next }
            gsub(/"/, "", name); split(name, part, "/"); other = part[1]
            if (!(other in rank)) print $1 ": " $2 " names no room"
            else if (rank[other] > rank[room] || (rank[other] == rank[room] && other != room))
                print $1 ": " room "/ does not know " $2
        } else if (room == "include" && name !~ /^<std(arg|bool|def|int)\.h>$/)
            print $1 ": a public header includes " $2
    }' >"$scratch/found"
found "rooms include what stands below them" "$scratch/found"

includes core | awk '
    $2 ~ /png\.h|jpeglib\.h|jerror\.h|cairo|ft2build|FT_/ && $1 !~ /^core\/media\// ||
    $2 ~ /cJSON/ && $1 !~ /^core\/base\/json/ { print $1 ": does not know " $2 }
    $2 ~ /vulkan|cblas|sentencepiece/ { print $1 ": the core does not know " $2 }' >"$scratch/found"
found "libraries are known in one room each" "$scratch/found"

includes plugins | while read -r file name; do
    own=$(echo "$name" | sed -n 's/^"\([^/]*\)"$/\1/p')
    case $name in
    '<crayon/'*'.h>') ;;
    '<assert.h>' | '<ctype.h>' | '<errno.h>' | '<float.h>' | '<inttypes.h>' | '<limits.h>') ;;
    '<math.h>' | '<stdalign.h>' | '<stdarg.h>' | '<stdatomic.h>' | '<stdbool.h>' | '<stddef.h>') ;;
    '<stdint.h>' | '<stdio.h>' | '<stdlib.h>' | '<string.h>' | '<strings.h>' | '<time.h>') ;;
    '<pthread.h>' | '<sched.h>' | '<unistd.h>' | '<sys/auxv.h>' | '<sys/mman.h>') ;;
    '<immintrin.h>' | '<arm_neon.h>' | '<cpuid.h>' | '<cblas.h>')
        case $file in plugins/device-cpu/*) ;; *) echo "$file: a plugin includes $name" ;; esac ;;
    '<vulkan/vulkan.h>' | '<vulkan/vulkan_core.h>' | '<dlfcn.h>' | '"shaders.h"') # the last is made from shaders/Makefile.inc
        case $file in plugins/device-vulkan/*) ;; *) echo "$file: a plugin includes $name" ;; esac ;;
    *) [ -n "$own" ] && [ -f "${file%/*}/$own" ] || echo "$file: a plugin includes $name" ;;
    esac
done >"$scratch/found"
found "plugins include <crayon/...> and the C library" "$scratch/found"

# calls NAMES FILE...: calls of these functions (an extended regular expression) in code.
calls() {
    names=$1
    shift
    for file; do
        code_of "$file" | grep -nE "(^|[^A-Za-z0-9_.>])($names)\(" | sed "s|^|$file:|"
    done
}

# shellcheck disable=SC2046,SC2086 # no name in the tree holds a space
{
    rooms=$(find core plugins -name '*.c' ! -path 'core/command/*' ! -name 'probe-main.c')
    calls 'f?printf|vf?printf|f?puts|f?putc|putchar|fwrite|perror|exit|_exit|_Exit|quick_exit|abort|system|popen|setlocale|srand|rand|signal' \
        $rooms >"$scratch/found"
    found "the library does not print, exit or change the process" "$scratch/found"

    calls 'malloc|calloc|realloc|aligned_alloc|posix_memalign|free|strdup|strndup|v?asprintf|getline' \
        $(echo "$rooms" | grep -v '^core/base/memory.c$') >"$scratch/found"
    found "memory comes from base/memory.c" "$scratch/found"

    calls 'open|openat|creat|fopen|fdopen|rename|unlink|remove|mkdir|opendir|stat|lstat|fstat|fsync|mkstemp|readlink|dlopen' \
        $(echo "$rooms" | grep -v '^core/base/io.c$' | grep -v '^plugins/device-vulkan/loader.c$') >"$scratch/found"
    found "files are opened in base/io.c" "$scratch/found"
}
plan

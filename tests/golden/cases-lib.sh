# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC2154 # top_srcdir, top_builddir and SHARED come from tests/Makefile.inc
# cases-lib.sh: the recorded cases with crayon verify, a test case for each folder; read with "." after a library that
# has $number and $scratch.

# list FOLDER: its cases.
list() {
    find "$1/" -name '*.case.json' -o -name case.json | sort
}

# folder DEVICE NAME FOLDER: its cases pass, or some cannot run here and the others pass.
folder() {
    number=$((number + 1))
    log=$scratch/verify.log
    status=0
    # shellcheck disable=SC2046 # a word for each line
    (
        IFS='
'
        exec timeout 500 "$top_builddir/crayon" verify --quiet --device "$1" $(list "$3") >"$log" 2>&1
    ) || status=$?
    case $status in
    0) echo "ok $number - $2 on $1: $(tail -n 1 "$log")" ;;
    3) echo "ok $number - $2 on $1 # SKIP $(sed -n 's/^  .*: \(no [a-z]* "[^"]*"\|this version .*\).*/\1/p' "$log" |
        sort -u | tr '\n' ' ')($(tail -n 1 "$log"))" ;;
    *)
        echo "not ok $number - $2 on $1"
        sed 's/^/# /' "$log"
        ;;
    esac
}

# skips NAME REASON
skips() {
    number=$((number + 1))
    echo "ok $number - $1 # SKIP $2"
}

# cases DEVICE: those beside this file, and those of ../shared that hold other people's files.
cases() {
    for golden in clip_vision collavo_e2e crayon internlm1 internlm2_plora mask2former nf4; do
        folder "$1" $golden "$top_srcdir/tests/golden/$golden"
    done
    for golden in "$SHARED"/goldens/*/; do
        golden=${golden%/}
        # The same as here.
        case ${golden##*/} in clip_vision | collavo_e2e | internlm1 | internlm2_plora | mask2former | nf4) continue ;; esac
        if [ "${CRAYON_TEST_VULKAN:-} ${golden##*/}" = "SwiftShader pipeline" ]; then
            skips "shared pipeline on $1" "at its real geometry that takes 3 minutes a case there"
        elif [ -n "$(list "$golden")" ]; then
            folder "$1" "shared ${golden##*/}" "$golden"
        fi
    done
    [ -d "$SHARED/goldens" ] || skips "shared cases on $1" "there is no ../shared/goldens"
}

#!/bin/sh
# SPDX-License-Identifier: MIT
# Bash completion: what bash gets for the beginning of a line.
# shellcheck disable=SC2154,SC2016 # top_srcdir and top_builddir come from tests/Makefile.inc; eval
. "$top_srcdir/tests/cli/command-lib.sh"

crayon completion bash
ok "the script that is installed is the one that is printed" \
    eval '[ $status = 0 ] && cmp -s "$out" "$top_srcdir/core/command/completion/crayon.bash"'
crayon completion zsh
ok "another shell" misused completion '"zsh": only bash is known here'
if ! command -v bash >/dev/null; then
    skip "completions" "bash was not found"
    plan
    exit
fi

cat >pipeline.json <<'END'
{ "crayon": 1, "inputs": { "image": "image", "prompt": "text" },
  "stages": { "speak": { "use": "test-speak", "in": { "prompt": "@prompt" } },
              "values": { "use": "test-values", "in": { "image": "@image" } } },
  "outputs": { "answer": "speak.text", "picture": "values.image" } }
END
mkdir folder
: >folder/photo.png
: >'two words.png'

cat >complete.bash <<'END'
source "$1"
COMP_WORDBREAKS=$' \t\n"\'><=;|&(:'
COMP_LINE="$2/crayon $3"
COMP_POINT=${#COMP_LINE}
COMP_LINE+=" what stands behind"
_crayon
printf '%s\n' "${COMPREPLY[@]}"
END
# complete LINE: the completions, in order, with "|" between them.
complete() {
    bash complete.bash "$top_srcdir/core/command/completion/crayon.bash" "$top_builddir" "$1" >"$out" 2>"$err"
    status=$?
    LC_ALL=C sort "$out" | tr '\n' '|' >list
}
# gives LIST: all of them. offers WORD...: these among them.
gives() {
    [ "$(cat list)" = "$1" ] && [ ! -s "$err" ]
}
offers() {
    for word; do
        grep -qxF -- "$word" "$out" || return 1
    done
}
with="--plugin-path=$stages"

complete ""
ok "commands" offers run check graph plugins devices verify bench quantize tokenize completion help
complete "pl"
ok "the beginning of a command" gives "plugins|"
complete "--"
ok "options before a command" gives "--help|--version|"
complete "help che"
ok "commands to be helped with" gives "check|"
complete "run --res"
ok "options" gives "--results=|--resume|"
complete "nonsense --"
ok "no such command" gives "|"
for command in run check graph plugins devices verify eval bench quantize tokenize; do
    crayon $command --help
    sed -n 's/^  \(--[a-z-]*\) .*/\1/p' "$out" | LC_ALL=C sort -u >want
    complete "$command --"
    sed 's/=$//' "$out" | LC_ALL=C sort -u >got
    ok "$command has the options of --help" eval '[ -s want ] && cmp -s want got'
done
complete "run obj"
ok "pipelines that are installed" gives "objects|objects-grid|"
complete "run fo"
ok "files" gives "folder/|"
complete "run ./fol"
ok "files elsewhere" gives "./folder/|"
complete "run two"
ok "files with blanks" gives 'two\ words.png|'
complete "run --image folder/"
ok "files as values of options" gives "folder/photo.png|"
complete "run --image=folder/ph"
ok "behind an equals sign, where readline takes the last part" gives "folder/photo.png|"
complete "run --in image=@folder/ph"
ok "behind @" gives "@folder/photo.png|"
complete "run --precision "
ok "words that an option takes" gives "exact|fast|"
complete "run --device a"
ok "devices" gives "auto|"
complete "run $with --device i"
ok "devices of plugins" gives "idle|"
complete "plugins $with test-v"
ok "plugins" gives "test-values|"
complete "run $with pipeline.json --in "
ok "inputs of the pipeline" gives "image=|prompt=|"
complete "run $with pipeline.json --out pi"
ok "outputs of the pipeline" gives "picture=|"
complete "run $with pipeline.json --set "
ok "stages" gives "speak.|values.|"
complete "run $with pipeline.json --set speak."
ok "options of a stage" offers speak.null= speak.warn= speak.use= speak.device=
complete "run $with pipeline.json --set speak.nu"
ok "one option of a stage" gives "speak.null=|"
complete "run $with pipeline.json --set speak.null="
ok "values of an option" gives "false|true|"
complete "run $with pipeline.json --set=speak.null=t"
ok "the same in one word" gives "true|"
complete "run $with pipeline.json --set speak.use=test-w"
ok "plugins for a stage" gives "test-wait|"
complete "run $with pipeline.json --set speak.use=test-wait --set speak."
ok "options of the plugin that was chosen" offers speak.seconds= speak.stubborn=
complete "run $with nowhere.json --set "
ok "no pipeline" gives "|"
complete "run -- --ima"
ok "no options after --" gives "|"
complete "run --limit max_p"
ok "limits" gives "max_pixels=|"
complete "completion "
ok "shells" gives "bash|"
plan

#!/bin/sh
# SPDX-License-Identifier: MIT
# crayon check --plan, and crayon run, which refuses what does not fit: on checkpoints of full size whose
# numbers are holes.
# shellcheck disable=SC2154,SC2016 # top_srcdir and top_builddir come from tests/Makefile.inc; eval
. "$top_srcdir/tests/cli/command-lib.sh"
needs crayon-encoder llm-internlm segment-mask2former vision-clip

CRAYON_MODEL_PATH=$scratch/models
export CRAYON_MODEL_PATH
release=$CRAYON_MODEL_PATH/BK-Lee/CoLLaVO-7B
paper=$CRAYON_MODEL_PATH/local/collavo-paper
segmenter=$CRAYON_MODEL_PATH/facebook/mask2former-swin-large-coco-panoptic
tools=$top_builddir/tests/tools
image=$top_srcdir/pipelines/scene/scene.jpg
mkdir -p "$CRAYON_MODEL_PATH/BK-Lee" "$CRAYON_MODEL_PATH/local" "$CRAYON_MODEL_PATH/facebook"

crayon check --plan collavo-7b --device cpu
ok "a model that is not there" eval '[ $status = 1 ] &&
    holds "$err" "collavo-7b: stage \"segment\": facebook/mask2former-swin-large-coco-panoptic: the model is not here" &&
    [ "$(cat "$out")" = "collavo-7b: 1 error" ]'

if ! { "$tools/checkpoint" --sparse yes "$release" && "$tools/checkpoint" --sparse yes --variant paper "$paper" &&
    "$tools/segmenter" --sparse yes "$segmenter"; } 2>"$err"; then
    skip "plans of full size" "no files with holes of 20 GB here: $(head -n 1 "$err")"
    plan
    exit
fi
cp "$top_srcdir/tests/tokenizer/tokenizer.model" "$release/"
cp "$top_srcdir/tests/tokenizer/tokenizer.model" "$paper/"

# needed: bytes that the plan in $out asks of the device.
needed() {
    sed -n 's/.*"needed":\([0-9]*\).*/\1/p' "$out"
}

# stage NAME KEY: a figure of a stage.
stage() {
    sed 's/{"name"/\n&/g' "$out" | sed -n "s/^{\"name\":\"$1\",\"device\".*\"$2\":\([0-9]*\).*/\1/p"
}

# between LEAST MOST NUMBER
between() {
    [ "$1" -le "$3" ] && [ "$3" -le "$2" ]
}

for pipeline in collavo-7b collavo-paper; do
    crayon check --plan --json "$pipeline" --device cpu --set llm.context=4096
    ok "$pipeline in nf4, with 4096 tokens, takes less than 12 GB" eval \
        '[ $status = 0 ] && json "$out" && between 8000000000 12000000000 "$(needed)"'
    ok "$pipeline: on the host, buffers alone" eval 'between 1000000 100000000 "$(stage llm host)"'
done

# 32 layers, 8 key heads of 128 numbers, keys and values of 16 bits.
crayon check --plan --json collavo-7b --device cpu --set llm.context=2400 --set llm.max_tokens=1024
short=$(stage llm work)
crayon check --plan --json collavo-7b --device cpu --set llm.context=3424 --set llm.max_tokens=2048
ok "a token of the cache takes 128 KiB" eval \
    'between 131072 132096 $((($(stage llm work) - short) / 1024))'
crayon check --plan --json collavo-7b --device cpu --image "$image" --prompt "What is this?" \
    --set crayon.release=false --set vision.release=false --set segment.release=false
kept=$(stage llm peak)
crayon check --plan --json collavo-7b --device cpu --image "$image" --in prompt="What is this?"
ok "release gives back what the three others hold" eval 'between 1100000000 1300000000 $((kept - $(stage llm peak)))'

crayon check --plan collavo-7b --device cpu
ok "a table" eval '[ $status = 0 ] && [ "$(sed "1d; s/  .*//" "$out" | head -n 6)" = "stage
segment
crayon
overlay
vision
llm" ] && holds "$out" "vision   cpu       653 MB" && holds "$out" "  released" && holds "$out" "cpu: 7.9 GB needed, "'
crayon check --plan collavo-7b nonsense
ok "several pipelines" eval '[ $status = 1 ] && holds "$out" "llm      cpu" && holds "$out" "nonsense: 1 error"'
crayon check --plan collavo-7b --image nowhere.png
ok "an input that is not there" eval '[ $status = 1 ] && holds "$err" "nowhere.png"'
crayon check --plan collavo-7b --in picture=a.png
ok "an unknown input" eval '[ $status = 1 ] && holds "$err" "has no input \"picture\""'
crayon check collavo-7b --prompt "What?"
ok "inputs without --plan" misused check "inputs are for --plan"
crayon check --plan --print collavo-7b
ok "--print" misused check "--print and --plan exclude each other"
crayon check --plan collavo-7b --in prompt
ok "an input without a value" misused check "--in prompt: NAME=VALUE is needed"

# A header that asks for more than the model has, and one that asks for less.
sed -i 's/"num_hidden_layers":32/"num_hidden_layers":33/' "$paper/config.json"
crayon check --plan collavo-paper
ok "weights that are missing" eval '[ $status = 1 ] && holds "$err" "\"model.layers.32."'
sed -i 's/"num_hidden_layers":33/"num_hidden_layers":31/' "$paper/config.json"
crayon check --plan collavo-paper
ok "weights that are too many" eval '[ $status = 1 ] && holds "$err" "\"model.layers.31."'

available=$(sed -n 's/^MemAvailable: *\([0-9]*\) kB/\1/p' /proc/meminfo 2>/dev/null)
if [ -n "$available" ] && [ "$available" -lt 35000000 ]; then
    crayon run collavo-7b --device cpu --image "$image" --prompt "What is this?" --set llm.weights=f32
    ok "crayon run refuses what does not fit, with the figures" eval '[ $status = 1 ] && [ ! -s "$out" ] &&
        holds "$err" "collavo-7b needs 3" && holds "$err" " GB on cpu, and " && holds "$err" " are free" &&
        holds "$err" "; --no-plan tries it all the same"'
    echo '{"in": {"prompt": "What is this?"}}' >one.jsonl
    crayon run collavo-7b --device cpu --image "$image" --set llm.weights=f32 --batch one.jsonl
    ok "so does a batch" eval '[ $status = 1 ] && holds "$out" "collavo-7b needs 3"'
else
    skip "crayon run refuses what does not fit" "this machine may hold it: ${available:-an unknown number of} kB are free"
fi
plan

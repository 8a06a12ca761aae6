#!/bin/sh
# SPDX-License-Identifier: MIT
# crayon quantize: what it writes, what it refuses.
# shellcheck disable=SC2154,SC2016 # top_srcdir and top_builddir come from tests/Makefile.inc; eval
. "$top_srcdir/tests/cli/command-lib.sh"
# Models are looked for in these places only.
HF_HUB_CACHE=$scratch/hub HOME=$scratch
export HF_HUB_CACHE HOME

# weights FILE HEADER BYTES: a safetensors file of at most 255 bytes of header, and zeros.
weights() {
    {
        printf "\\$(printf %03o ${#2})\\0\\0\\0\\0\\0\\0\\0"
        printf %s "$2"
        head -c "$3" /dev/zero
    } >"$1"
}

mkdir model
weights model/model.safetensors \
    '{"a.weight":{"dtype":"F16","shape":[4,96],"data_offsets":[0,768]},"a.bias":{"dtype":"F16","shape":[4],"data_offsets":[768,776]}}' 776
echo '{"hidden_size": 4}' >model/config.json
echo tokens >model/tokenizer.model
echo pickle >model/pytorch_model.bin
mkdir model/runs

crayon quantize model nf4
ok "NF4" is 0 "nf4: quantised 1 of 2 tensors: 1.47 kB instead of 776 bytes" ""
ok "the files" eval '[ "$(ls nf4)" = "config.json
model.safetensors
tokenizer.model" ] && cmp -s model/tokenizer.model nf4/tokenizer.model'
ok "the layout of bitsandbytes" eval 'for name in a.weight a.weight.absmax a.weight.quant_map a.bias \
        a.weight.nested_absmax a.weight.nested_quant_map a.weight.quant_state.bitsandbytes__nf4; do
    grep -qF "\"$name\":{" nf4/model.safetensors || exit 1; done'
ok "and its configuration" eval 'json nf4/config.json && holds nf4/config.json hidden_size &&
    grep -q "\"bnb_4bit_use_double_quant\":.*true" nf4/config.json'
crayon quantize --single --weights=nf4 model single
ok "--single" eval '[ $status = 0 ] && ! holds single/model.safetensors nested &&
    grep -q "\"bnb_4bit_use_double_quant\":.*false" single/config.json'
crayon quantize --weights q8_0 model q8_0
ok "q8_0" eval '[ $status = 0 ] && holds q8_0/model.safetensors "\"a.weight.q8_0_scales\":{\"dtype\":\"F16\",\"shape\":[12]"'

crayon quantize model nf4
ok "a folder that exists" fails 1 "crayon: error: nf4: is there already; name a folder that is not"
crayon quantize --keep 'a.*' model other
ok "nothing to do" eval '[ $status = 1 ] && holds "$err" "model: holds no matrix to be quantised" && [ ! -e other ]'
crayon quantize nf4 twice
ok "nor where it was done" eval '[ $status = 1 ] && holds "$err" "nf4: holds no matrix to be quantised"'
crayon quantize --weights q4 model other
ok "an unknown type" misused quantize '--weights is "q4", not nf4 or q8_0'
crayon quantize --weights q8_0 --single model other
ok "--single with q8_0" misused quantize "--single is about nf4, and --weights says q8_0"
crayon quantize model
ok "no folder" misused quantize "MODEL FOLDER is missing"
crayon quantize ORG/NAME other
ok "no model, and where it was looked for" fails 1 "crayon: error: ORG/NAME: the model is not here; looked for \
the folders ORG/NAME, $scratch/hub/models--ORG--NAME/snapshots (CRAYON_MODEL_PATH is not set); one of them has \
to hold config.json and model.safetensors, or its shards with model.safetensors.index.json, as published under \
the name \"ORG/NAME\""
mkdir empty
crayon quantize empty other
ok "a folder without weights" fails 1 "crayon: error: empty: there is no model.safetensors and no \
model.safetensors.index.json in this folder"

mkdir -p hub/models--ORG--NAME/snapshots/abc hub/models--ORG--NAME/refs
cp model/* hub/models--ORG--NAME/snapshots/abc 2>/dev/null
printf abc >hub/models--ORG--NAME/refs/main
crayon quantize ORG/NAME public
ok "a public name" eval '[ $status = 0 ] && cmp -s public/model.safetensors nf4/model.safetensors'

crayon quantize model "$scratch/no/such/folder"
ok "a place that is not there" eval '[ $status = 1 ] && holds "$err" "cannot create the folder: No such file or directory"'
head -c 700 model/model.safetensors >short
mkdir cut && mv short cut/model.safetensors
crayon quantize cut other
ok "a file cut short" eval '[ $status = 1 ] && holds "$err" "cut/model.safetensors: the file is cut short" && [ ! -e other ]'
ok "nothing else is left" eval '[ -z "$(ls -d ./*.tmp 2>/dev/null)" ]'
plan

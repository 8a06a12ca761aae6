#!/bin/sh
# SPDX-License-Identifier: MIT
# crayon verify: every operation as a case, with numbers worked out by hand.
# shellcheck disable=SC2154,SC2016 # top_srcdir and top_builddir come from tests/Makefile.inc; eval
. "$top_srcdir/tests/cli/command-lib.sh"
needs device-cpu

# op NAME ATTRIBUTES INPUTS EXPECTED: a case NAME-N.case.json.
cases=0
op() {
    cases=$((cases + 1))
    printf '{"crayon-case": 1, "op": "%s", "attributes": {%s},\n "inputs": {%s},\n "expected": {%s}}\n' \
        "$1" "$2" "$3" "$4" >"$1-$cases.case.json"
}
# y VALUE: the output y, to a relative error of 1e-5.
y() {
    printf '"y": {"value": %s, "relative": 1e-5, "absolute": 1e-4}' "$1"
}

op linear '' '"x": [[1, 2]], "w": [[3, 4], [5, 6]], "bias": [0.5, 0]' "$(y '[[11.5, 17]]')"
op linear_fused '"activation": "relu"' '"x": [[1, 2]], "w": [[3, 4], [-5, -6]], "residual": [[1, 1]]' "$(y '[[12, 1]]')"
op linear_fused '' '"x": [[1.5, 2]], "w": [[0, 0]], "a0": [[1, 0]], "b0": [[2]], "scale0": [3]' "$(y '[[9]]')"
op matmul '' '"x": [[1, 2]], "weight": [[3, 4], [5, 6]]' "$(y '[[11, 17]]')"
op matmul '"transpose_b": true, "alpha": 2' '"a": [[1.5, 2]], "b": [[3.5, 4]]' "$(y '[[26.5]]')"
op embedding '' '"table": [[1.5, 2], [3, 4]], "ids": [1, -1, 0]' "$(y '[[3, 4], [0, 0], [1.5, 2]]')"
op gather_rows '' '"x": [[1.5], [2], [3]], "rows": [2, 0]' "$(y '[[3], [1.5]]')"
op scatter_rows '' '"x": [[1.5], [2], [3]], "rows": [2], "src": [[9.5]]' '"x": {"value": [[1.5], [2], [9.5]], "absolute": 0}'
op scatter_add_rows '' '"x": [[1.5], [2], [3]], "rows": [2, 2], "src": [[9.5], [1]]' '"x": {"value": [[1.5], [2], [13.5]], "absolute": 0}'
op rms_norm '' '"x": [[3, 4]], "w": [1, 2]' "$(y '[[0.848528, 2.262742]]')"
op layer_norm '"eps": 0' '"x": [[1, 3]], "w": [2, 2], "b": [1, 1]' "$(y '[[-1, 3]]')"
op group_norm '"groups": 1, "eps": 0' '"x": [[[[1]], [[3]]]], "w": [1, 1], "b": [0, 0]' "$(y '[[[[-1]], [[1]]]]')"
op rope '' '"x": [[[[1, 0]]]], "cos": [[1], [0]], "sin": [[0], [1]], "positions": [[1]]' "$(y '[[[[0, 1]]]]')"
op attention '' '"q": [[[[0, 0]]]], "k": [[[[1, 0], [0, 1]]]], "v": [[[[2, 4], [4, 8]]]]' "$(y '[[[[3, 6]]]]')"
op attention '"causal": true' '"q": [[[[0, 0]]]], "k": [[[[1, 0], [0, 1]]]], "v": [[[[2, 4], [4, 8]]]]' "$(y '[[[[2, 4]]]]')"
op attention '"scale": 1' '"q": [[[[0, 0]]]], "k": [[[[1, 0], [0, 1]]]], "v": [[[[2, 4], [4, 8]]]], "mask": [[[[0, 1]]]]' "$(y '[[[[4, 8]]]]')"
op kv_append '' '"cache": [[[[0.5, 0], [0, 0]]]], "x": [[[[7, 8]]]], "at": [1]' '"cache": {"value": [[[[0.5, 0], [7, 8]]]], "absolute": 0}'
op ms_deform_attn '"shapes": [1, 1]' '"value": [[[[2.5]]]], "locations": [[[[0.5, 0.5]]]], "weights": [[[2]]]' "$(y '[[[5]]]')"
op add '' '"a": [[1, 2], [3, 4]], "b": [10, 20.5]' "$(y '[[11, 22.5], [13, 24.5]]')"
op mul '' '"a": [[1, 2]], "b": [[3, 0.5]]' "$(y '[[3, 1]]')"
op silu_mul '' '"a": [0, 100], "b": [5, 0.5]' "$(y '[0, 50]')"
op scale '"factor": -2' '"x": [1, 0.25]' "$(y '[-2, -0.5]')"
op sigmoid '' '"x": [0]' "$(y '[0.5]')"
op relu '' '"x": [-1, 2]' "$(y '[0, 2]')"
op gelu '' '"x": [1]' "$(y '[0.841345]')"
op quick_gelu '' '"x": [1]' "$(y '[0.845796]')"
op silu '' '"x": [1]' "$(y '[0.731059]')"
op softmax '' '"x": [0, 0]' "$(y '[0.5, 0.5]')"
op log_softmax '' '"x": [0, 0]' "$(y '[-0.693147, -0.693147]')"
op sum '' '"x": [1, 2.5]' "$(y '[3.5]')"
op mean '' '"x": [1, 2]' "$(y '[1.5]')"
op max '' '"x": [1, 2.5]' "$(y '[2.5]')"
op sum_squares '' '"x": [1, 2.5]' "$(y '[7.25]')"
op argmax '' '"x": [[1, 3, 3]]' '"y": {"value": [1], "exact": true}'
op topk '"k": 2' '"x": [1, 3, 2.5]' '"values": {"value": [3, 2.5], "absolute": 0}, "indices": {"value": [1, 2], "exact": true}'
op reshape '"shape": [2, 1]' '"x": [1.5, 2]' "$(y '[[1.5], [2]]')"
op cast '"dtype": "i32"' '"x": [1.9, -1.9]' '"y": {"value": [1, -1], "exact": true}'
op slice '"start": [0, 1], "extent": [2, 1]' '"x": [[1, 2], [3, 4]]' '"y": {"value": [2, 4], "exact": true}'
op concat '"axis": 1' '"x0": [[1.5]], "x1": [[2, 3.5]]' "$(y '[[1.5, 2, 3.5]]')"
op permute '"order": [1, 0]' '"x": [[1.5, 2]]' "$(y '[[1.5], [2]]')"
op pad '"before": [1], "after": [-1], "value": 9' '"x": [1.5, 2]' "$(y '[9, 1.5]')"
op roll '"shift": [1]' '"x": [1.5, 2, 3]' "$(y '[3, 1.5, 2]')"
op fill '"shape": [2], "value": 0.5' '' "$(y '[0.5, 0.5]')"
op conv2d '"stride": 1, "padding": [0, 1]' '"x": [[[[1, 2]]]], "w": [[[[1, 10, 100]]]], "bias": [0.5]' "$(y '[[[[210.5, 21.5]]]]')"
op resize '"size": [1, 4], "mode": "nearest"' '"x": [[[[1.5, 2]]]]' "$(y '[[[[1.5, 1.5, 2, 2]]]]')"
op linear_cross_entropy '' '"x": [[1, 0], [5, 5]], "w": [[0, 0], [0, 0]], "labels": [1, -100]' '"loss": {"value": [0.693147], "relative": 1e-5}'
op adamw_step '"rate": 0.1, "step": 1, "decay": 0.5' '"p": [2.0], "m": [0.0], "v": [0.0], "grad": [3]' '"p": {"value": [1.8], "absolute": 1e-5}, "m": {"value": [0.3], "absolute": 1e-6}'
op grad_norm '' '"x0": [3], "x1": [4]' "$(y '[5]')"
op quantize '"dtype": "nf4"' '"x": [[1.0, -1.0]]' "$(y '[[1, -1]]'), \"codes\": {\"value\": [240], \"exact\": true}, \"scales\": {\"value\": [1], \"absolute\": 0}"
op quantize '"dtype": "q8_0"' '"x": [[1.27, -1.27]]' '"codes": {"value": [127, -127], "exact": true}, "y": {"value": [[1.27, -1.27]], "relative": 1e-3}'
op dequantize '"dtype": "f16"' "\"x\": \"$top_srcdir/tests/golden/nf4/model.safetensors#layer.weight\"" "\"y\": {\"value\": \"$top_srcdir/tests/golden/nf4/expected.safetensors#f16.dequant\", \"absolute\": 1e-3}"

crayon verify --quiet --device cpu .
ok "every operation on the CPU" is 0 "$cases cases: $cases passed, 0 failed, 0 could not run" ""

# Every name of the list is among the cases.
sed -n 's/^ *X([A-Z0-9_]*, [0-9]*, "\([a-z0-9_]*\)".*/\1/p' "$top_srcdir/core/include/crayon/device.h" >names
while read -r name; do
    ls "$name"-*.case.json >/dev/null 2>&1 || echo "$name"
done <names >lacking
ok "none is left out" eval '[ -s names ] && [ ! -s lacking ]'

# --- Mistakes --------------------------------------------------------------------------------------

mkdir wrong
cd wrong || exit 1
wrong() {
    op "$1" "$2" "$3" "$4"
    crayon verify --device cpu "$1-$cases.case.json"
}
wrong add '' '"a": [1.5]' "$(y '[1]')"
ok "a missing input" eval '[ $status = 1 ] && holds "$out" "/inputs: add needs the input \"b\""'
wrong add '"alpha": 1' '"a": [1.5], "b": [1.5], "c": [1]' "$(y '[3]')"
ok "an input and an attribute too many" eval '[ $status = 1 ] && holds "$out" "/inputs/c: add has no key \"c\"" && holds "$out" "/attributes/alpha: add has no key \"alpha\""'
wrong add '' '"a": [1.5, 1], "b": [1.5, 1, 1]' "$(y '[3]')"
ok "shapes that do not fit" eval '[ $status = 1 ] && holds "$out" "/op: add: "'
wrong topk '"k": "two"' '"x": [1.5, 1]' "$(y '[3]')"
ok "an attribute of the wrong kind" eval '[ $status = 1 ] && holds "$out" "/attributes/k: a whole number is needed here, not a string"'
wrong resize '"mode": "cubic"' '"x": [1.5, 1]' "$(y '[3]')"
ok "an unknown word" eval '[ $status = 1 ] && holds "$out" "/attributes/mode: no \"cubic\"; did you mean \"bicubic\"?"'
wrong scale '"factor": 2' '"x": [1.5]' '"z": {"value": [3], "absolute": 0}'
ok "an unknown output" eval '[ $status = 1 ] && holds "$out" "/expected/z: scale has no output \"z\""'
wrong permute '"order": [0]' '"x": [[1.5]]' "$(y '[3]')"
ok "one number for each axis" eval '[ $status = 1 ] && holds "$out" "/attributes/order: 2 numbers are needed here, one for each axis of x"'
wrong argmax '' "\"x\": \"$top_srcdir/tests/golden/nf4/inputs.safetensors#none\"" "$(y '[3]')"
ok "a tensor that is not there" eval '[ $status = 1 ] && holds "$out" "no tensor \"none\""'
plan

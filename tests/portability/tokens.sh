#!/bin/sh
# SPDX-License-Identifier: MIT
# What a token of an answer costs on a Vulkan device: a handful of submissions, whatever the number of layers.
# shellcheck disable=SC2154 # top_srcdir and top_builddir come from tests/Makefile.inc
. "$top_srcdir/tests/portability/vulkan-lib.sh"
needs_plugin
[ -f "$top_builddir/plugins/llm-internlm/.libs/llm-internlm.so" ] || skip_all "llm-internlm was left out"
use_lavapipe

cat >"$scratch/ids.json" <<END
{ "crayon": 1, "inputs": { "ids": "tokens" },
  "stages": { "llm": { "use": "llm-internlm", "model": "$top_srcdir/tests/golden/internlm1", "weights": "nf4",
                       "ignore_eos": true, "in": { "ids": "@ids" } } },
  "outputs": { "tokens": "llm.tokens" } }
END

# submissions TOKENS: of an answer of this length.
submissions() {
    timeout 300 "$top_builddir/crayon" run "$scratch/ids.json" --in 'ids=[1,2,3]' --out tokens=- --device vulkan:0 \
        --set llm.max_tokens="$1" --verbose 2>&1 >/dev/null |
        sed -n 's/.* dispatches in \([0-9]*\) submissions .*/\1/p'
}

few=$(submissions 4)
many=$(submissions 20)
if [ -z "$few" ] || [ -z "$many" ]; then
    echo "nothing was counted" >"$scratch/found"
elif [ $((many - few)) -gt $((4 * 16)) ]; then
    echo "$few submissions for 4 tokens, $many for 20" >"$scratch/found"
else
    : >"$scratch/found"
fi
found "at most 4 submissions a token" "$scratch/found"
plan

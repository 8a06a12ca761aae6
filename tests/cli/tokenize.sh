#!/bin/sh
# SPDX-License-Identifier: MIT
# crayon tokenize, with the small tokenizer that comes with the tests.
# shellcheck disable=SC2154,SC2016 # top_srcdir and top_builddir come from tests/Makefile.inc; eval
. "$top_srcdir/tests/cli/command-lib.sh"
needs tokenizer-sentencepiece

mkdir model
cp "$top_srcdir/tests/tokenizer/tokenizer.model" model

# tokenize TEXT ARGUMENT...: the text, with printf's escapes, on standard input.
tokenize() {
    text=$1
    shift
    # shellcheck disable=SC2059 # the text is a format
    printf "$text" | "$top_builddir/crayon" tokenize --model model "$@" >"$out" 2>"$err"
    status=$?
}

# back ARGUMENT...: what was printed becomes the input of --decode.
back() {
    cp "$out" ids
    crayon tokenize --model model --decode "$@" ids
}

tokenize 'a horse\n\nx\nno newline'
ok "a line in, a line out" is 0 '{"ids": [1, 513, 326, 282, 306]}
{"ids": [1]}
{"ids": [1, 558]}
{"ids": [1, 514, 516, 284, 511, 531, 520, 350]}' ""
back
ok "and back" is 0 "a horse

x
no newline" ""
tokenize 'a horse\r\n'
back
ok "a carriage return belongs to the text" is 0 "$(printf 'a horse\r')" ""
tokenize ''
ok "no text, no line" is 0 "" ""
tokenize '[1, 513]\n{"ids": []}\n{"ids": [ 513 ] }' --decode
ok "ids as a list or as printed" is 0 "a

a" ""
tokenize '<image>a <image>\n'
back
ok "added tokens keep the blanks around them" is 0 "<image>a <image>" ""

tokenize '"two\\nlines"\n"\\u0000 \\ud83d\\udc0e \\"\\\\"\n' --json
ok "texts as JSON" eval '[ $status = 0 ] && [ "$(grep -c "^{\"ids\": \[1, .*\]}\$" "$out")" = 2 ]'
back --json
ok "and back, NUL too" is 0 "\"two\\u000alines\"
\"\\u0000 $(printf '\360\237\220\216') \\\"\\\\\"" ""

printf 'a horse\n' >texts
crayon tokenize --model model texts
ok "a file" is 0 '{"ids": [1, 513, 326, 282, 306]}' ""
tokenize 'x\n' -
ok "- is standard input" is 0 '{"ids": [1, 558]}' ""
crayon tokenize --model model absent
ok "a file that is not there" fails 1 "crayon: error: absent: No such file or directory"
crayon tokenize
ok "no model" misused tokenize "--model is needed: the folder or public name of a model with a tokenizer.model"
crayon tokenize --model model texts texts
ok "two files" eval '[ $status = 2 ] && [ ! -s "$out" ]'

# wrong NAME TEXT MESSAGE ARGUMENT...: its first line is right, the second is not.
wrong() {
    name=$1
    text=$2
    message=$3
    shift 3
    tokenize "$text" "$@"
    ok "$name: the line, after what came before it" eval '[ $status = 1 ] && [ "$(wc -l <"$out")" -eq 1 ] &&
        [ "$(cat "$err")" = "crayon: error: standard input:2:$message" ]'
}
wrong "no UTF-8" 'a\nb\377\nc\n' ' stage "tokenizer": byte 1 of the text, 0xff, does not begin a character of UTF-8'
wrong "no JSON" '"a"\n"b\n"c"\n' "3: expected '\"' at the end of the string, found the end of the text" --json
wrong "no string" '"a"\n 3\n' "2: a string is needed here" --json
wrong "two values" '"a"\n"b" 2\n' "5: expected nothing more after the end of the document, found '2'" --json
wrong "no ids" '[1]\n{"id": [1]}\n' '2: the one member here is "ids"' --decode
wrong "more than ids" '[1]\n{"ids": [1], "x": 1}\n' '14: the one member here is "ids"' --decode
wrong "no whole number" '[1]\n[1, 1.5]\n' '5: a token id, a whole number, is needed here' --decode
wrong "a number too large" '[1]\n[9e9]\n' '2: a token id, a whole number, is needed here' --decode
wrong "an empty line" '[1]\n\n' '1: expected a value, found the end of the text' --decode
wrong "no such token" '[1]\n[513, 9999]\n' " stage \"tokenizer\": token 1, 9999, is none of the tokenizer's 0..599" --decode

# Tokens as inputs and outputs of a pipeline.
cat >decode.json <<'END'
{ "crayon": 1, "inputs": { "ids": "tokens" },
  "stages": { "t": { "use": "tokenizer-sentencepiece", "model": "model", "in": { "tokens": "@ids" } } },
  "outputs": { "text": "t.text", "ids": "t.tokens" } }
END
crayon run decode.json --in 'ids=[1, 513, 326, 282, 306]' --quiet
ok "tokens as an input" is 0 "a horse" ""
echo '{"ids": [513]}' >ids.json
crayon run decode.json --in ids=@ids.json --out ids=-
ok "from a file, and as an output" is 0 "[513]" ""
crayon run decode.json --in 'ids=[513, 0.5]'
ok "no token id" fails 1 "crayon: error: input ids: item 1 of the list is no token id"
crayon run decode.json --in ids=513
ok "no list" fails 1 'crayon: error: input ids: a list of token ids or {"ids": LIST} is needed here, not a number'
crayon run decode.json --in 'ids=[513'
ok "no JSON of ids" fails 1 "crayon: error: input ids: the list:1:5: expected ',' or ']' after a value, found the end of the text"
cat >items.jsonl <<'END'
{"in": {"ids": [513]}}
{"in": {"ids": {"file": "ids.json"}}}
{"in": {"ids": {"ids": []}}}
{"in": {"ids": [5e9]}}
{"in": {"ids": "513"}}
END
crayon run decode.json --batch items.jsonl
ok "in batches" is 1 '{"id":null,"outputs":{"text":"a"}}
{"id":null,"outputs":{"text":"a"}}
{"id":null,"outputs":{"text":""}}
{"id":null,"error":"items.jsonl:4: input ids: item 0 of the list is no token id"}
{"id":null,"error":"items.jsonl:5: input ids: a list of token ids or {\"ids\": LIST} is needed here, not a string"}' \
    "crayon: error: 2 items failed; their lines say why"

: >model/tokenizer.model
tokenize 'a\n'
ok "an empty tokenizer" eval '[ $status = 1 ] && [ ! -s "$out" ] && [ "$(wc -l <"$err")" -eq 1 ] &&
    holds "$err" "model/tokenizer.model: it is no SentencePiece model: "'
head -c 4000 "$top_srcdir/tests/tokenizer/tokenizer.model" >model/tokenizer.model
tokenize 'a\n'
ok "half a tokenizer" eval '[ $status = 1 ] && [ ! -s "$out" ] && [ "$(wc -l <"$err")" -eq 1 ] &&
    holds "$err" "model/tokenizer.model: it is no SentencePiece model: "'
plan

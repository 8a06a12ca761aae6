#!/bin/sh
# SPDX-License-Identifier: MIT
# crayon run: inputs, outputs, results, mistakes, signals.
# shellcheck disable=SC2154,SC2016 # top_srcdir and top_builddir come from tests/Makefile.inc; eval
. "$top_srcdir/tests/cli/command-lib.sh"

cat >speak.json <<'END'
{ "crayon": 1, "inputs": { "prompt": "text" },
  "stages": { "speak": { "use": "test-speak", "in": { "prompt": "@prompt" } } },
  "outputs": { "answer": "speak.text" } }
END
cat >two.json <<'END'
{ "crayon": 1, "inputs": { "prompt": "text", "more": "text" },
  "stages": { "one": { "use": "test-speak", "in": { "prompt": "@prompt" } },
              "two": { "use": "test-speak", "in": { "prompt": "@more" } } },
  "outputs": { "first": "one.text", "second": "two.text" } }
END
cat >wait.json <<'END'
{ "crayon": 1, "inputs": { "prompt": "text" },
  "stages": { "wait": { "use": "test-wait", "in": { "prompt": "@prompt" } },
              "values": { "use": "test-values" } },
  "outputs": { "done": "wait.text", "picture": "values.image" } }
END
cat >values.json <<'END'
{ "crayon": 1,
  "stages": { "v": { "use": "test-values" } },
  "outputs": { "image": "v.image", "panoptic": "v.panoptic", "f32": "v.f32", "f16": "v.f16",
               "i32": "v.i32", "u8": "v.u8", "tokens": "v.tokens" } }
END
cat >ports.json <<'END'
{ "crayon": 1, "inputs": { "image": "image", "map": "panoptic" },
  "stages": { "v": { "use": "test-values", "in": { "image": "@image", "panoptic": "@map" } } },
  "outputs": { "image": "v.image" } }
END
cat >tensor.json <<'END'
{ "crayon": 1, "inputs": { "x": "tensor" }, "stages": { "v": { "use": "test-values" } }, "outputs": { "x": "@x" } }
END
printf 'first\nsecond\n\n' >text
printf 'caf\351\n' >latin1
printf 'a\0b' >nul

escape=$(printf '\033')

run() {
    crayon run --plugin-path "$stages" "$@"
}
same() {
    cmp -s "$1" "$2"
}

# --- Texts ---------------------------------------------------------------------------------------

run speak.json --prompt hello
ok "a text input and a text output" is 0 "you said: hello" ""
run --in prompt=a=b speak.json
ok "--in; the value may hold an equals sign" is 0 "you said: a=b" ""
run speak.json --prompt=
ok "an empty text" eval 'printf "you said: \n" >want && same want "$out" && [ $status = 0 ]'
run speak.json --prompt @text
ok "a text from a file, less one newline" eval \
    'printf "you said: first\nsecond\n\n" >want && same want "$out"'
run speak.json --prompt @@text
ok "@@ is an @" is 0 "you said: @text" ""
printf 'from afar\n' | "$top_builddir/crayon" run --plugin-path "$stages" speak.json --prompt @- \
    >"$out" 2>"$err"
status=$?
ok "a text from standard input" is 0 "you said: from afar" ""
run two.json --prompt a --in more=b
ok "several texts have their names" is 0 "first: you said: a
second: you said: b" ""
run speak.json --prompt x --set speak.null=true
ok "a null text is a note" is 0 "" "crayon: note: answer is null: there is no text"
run speak.json --prompt x --set speak.null=true --quiet
ok "not with --quiet" is 0 "" ""
run speak.json --prompt x --set speak.stream=true
ok "text that comes in parts is printed once" is 0 "you said: x" ""
run speak.json --prompt x --set speak.stream=true --set speak.retract=true
ok "text that is taken back is said again" is 0 "you said: no
you said: x" ""
run speak.json --prompt x --seed 18446744073709551615 --set speak.seed=true
ok "--seed" is 0 "18446744073709551615" ""
run two.json --prompt a --in more=b --out second=second.txt
ok "a text goes to its file, the other is printed" eval \
    'is 0 "you said: a" "" && printf "you said: b\n" >want && same want second.txt'
run two.json --prompt a --in more=b --out second=-
ok "- is standard output, for one alone" is 0 "you said: b" ""

# --- What is wrong with inputs -------------------------------------------------------------------

run two.json
ok "missing inputs" misused run \
    "the pipeline needs prompt: --prompt TEXT; more: --in more=TEXT"
run ports.json
ok "missing files" misused run "the pipeline needs image: --image FILE; map: --in map=@FILE"
run two.json --in promt=x
ok "an unknown input, with the nearest" misused run 'the pipeline two has no input "promt"; did you mean "prompt"? inputs: prompt (text), more (text)'
run values.json --prompt x
ok "an input where there are none" misused run \
    'the pipeline values has no input "prompt"; inputs: none'
run speak.json --prompt a --in prompt=b
ok "an input given twice" misused run "the input prompt is given twice"
run speak.json --in prompt
ok "an input without a value" misused run "--in prompt: NAME=VALUE is needed"
run speak.json --in =x
ok "an input without a name" misused run "--in =x: NAME=VALUE is needed"
run speak.json --prompt @nowhere
ok "a text file that is not there" fails 1 \
    "crayon: error: input prompt: nowhere: cannot open: No such file or directory"
run speak.json --prompt @latin1
ok "a text file that is not UTF-8" fails 1 \
    "crayon: error: input prompt: latin1: byte 4 is not UTF-8; a text is needed here"
run speak.json --prompt @nul
ok "a text file with a NUL" fails 1 \
    "crayon: error: input prompt: nul: holds a NUL byte; a text is needed here"
run speak.json --prompt "$(printf '\300\200')"
ok "an argument that is not UTF-8" fails 1 \
    "crayon: error: input prompt: the text: byte 1 is not UTF-8; a text is needed here"
run ports.json --image text --in map=@nowhere.json --out image=x.png
ok "an image that is none" eval '[ $status = 1 ] && holds "$err" "crayon: error: input image: text: "'
run tensor.json --in x=1 --out x=x.json --quiet
ok "a tensor" fails 1 \
    "crayon: error: input x: a tensor cannot be given here, only an image, a panoptic map, a text or tokens"

# --- Files ---------------------------------------------------------------------------------------

run wait.json --prompt x
ok "outputs that nobody asked for are named" is 0 waited "crayon: also: picture (image): --out picture=FILE.png"
run wait.json --prompt x --quiet
ok "not with --quiet" is 0 waited ""
run values.json
ok "no output at all" misused run "the pipeline values has no text output; ask for another: image (image): --out image=FILE.png, panoptic (panoptic): --out panoptic=FILE.png, f32 (tensor): --out f32=FILE.json, f16 (tensor): --out f16=FILE.json, i32 (tensor): --out i32=FILE.json, u8 (tensor): --out u8=FILE.json, tokens (tokens): --out tokens=FILE.json"
run values.json --out f32=f32.json --out f16=f16.json --out i32=i32.json --out u8=u8.json \
    --out tokens=tokens.json --out image=image.png --out panoptic=panoptic.png
ok "a file for each type" eval 'is 0 "" "" && json f32.json f16.json i32.json u8.json tokens.json panoptic.json &&
    [ -s image.png ] && [ -s panoptic.png ]'
cat f32.json f16.json i32.json u8.json tokens.json >numbers
cat >want <<'END'
[[[0.5,-1.00000001e-10],[16777216,0]]]
[[[1,-2],[5.96046448e-08,null]]]
[[[-2147483648,-1],[0,2147483647]]]
[[[0,1],[254,255]]]
[1,517,2]
END
ok "numbers are nested lists" same want numbers
run values.json --out image=-
ok "an image on standard output is a PNG" eval \
    '[ $status = 0 ] && [ ! -s "$err" ] && cmp -s "$out" image.png'
run ports.json --image image.png --in map=@panoptic.json --out image=again.jpg
ok "an image and a panoptic map as inputs" eval 'is 0 "" "" && [ -s again.jpg ]'
run ports.json --image @image.png --in map=panoptic.json --out image=again.png
ok "with and without @" eval 'is 0 "" "" && cmp -s again.png image.png'
"$top_builddir/crayon" run --plugin-path "$stages" ports.json --image - --in map=panoptic.json \
    --out image=again.png <image.png >"$out" 2>"$err"
status=$?
ok "an image from standard input" eval '[ $status = 0 ]'

run values.json --out imag=x.png
ok "an unknown output, with the nearest" eval '[ $status = 2 ] && holds "$err" \
    "crayon: error: the pipeline values has no output \"imag\"; did you mean \"image\"? outputs: image (image), "'
run values.json --out image=x.gif
ok "a suffix that is no image" misused run \
    "x.gif: image is an image; its file name ends with .png, .jpg or .jpeg"
run values.json --out panoptic=x.jpg
ok "a suffix that is no panoptic map" misused run "x.jpg: panoptic is a panoptic map; its file name ends with .png, and a .json file is written beside it"
run values.json --out f32=x.npy
ok "a suffix that is no tensor" misused run "x.npy: f32 is a tensor; its file name ends with .json"
run values.json --out tokens=.json
ok "a suffix alone" misused run ".json: tokens is tokens; its file name ends with .json"
run values.json --out f32=a.json --out f32=b.json
ok "an output that is written twice" misused run "f32 is written twice: to a.json and to b.json"
run values.json --out f32=a.json --out f16=a.json
ok "a file that is written twice" misused run "f32 and f16 are both written to a.json"
ln -s a.json link.json
mkdir sub
for other in ./a.json sub/../a.json "$scratch/a.json"; do
    run values.json --out f32=a.json --out "f16=$other"
    ok "nor under two names: ${other#"$scratch"}" misused run "f32 and f16 are both written to $other"
done
: >a.json
run values.json --out f32=a.json --out f16=link.json
ok "nor through a link" misused run "f32 and f16 are both written to link.json"
run values.json --out panoptic=p.png --out f16=./p.json
ok "nor the second file of a panoptic map" misused run "panoptic and f16 are both written to ./p.json"
run values.json --out f32=p.json --out panoptic=p.png
ok "nor the other way round" misused run "f32 and panoptic are both written to p.json"
run values.json --out f32=- --out f16=-
ok "standard output for two" misused run "f32 and f16 are both written to standard output"
run values.json --out panoptic=-
ok "standard output for two files" misused run \
    "panoptic is a panoptic map, which is two files: standard output cannot take it"
run values.json --out f32=nowhere/a.json
ok "a folder that is not there" misused run "nowhere/a.json: there is no folder nowhere"
mkdir folder.json
run values.json --out f32=folder.json
ok "a folder in place of a file" misused run "folder.json: is a folder; a file name is needed here"
run values.json --out f32=
ok "an empty file name" misused run "f32: the file name is empty"
run values.json --out f32
ok "an output without a file" misused run "--out f32: NAME=FILE is needed"
run values.json --json --out f32=-
ok "standard output for --json, too" misused run "--json and --out f32=- both want standard output"

# --- Limits of pictures --------------------------------------------------------------------------

scene=$top_srcdir/pipelines/scene/scene.jpg
cat >picture.json <<'END'
{ "crayon": 1, "inputs": { "image": "image" },
  "stages": { "v": { "use": "test-values", "in": { "image": "@image" } } }, "outputs": { "picture": "v.image" } }
END
{
    printf '\211PNG\r\n\032\n\0\0\0\rIHDR\0\0\352\140\0\0\352\140\010\002\0\0\0'
    head -c 100000 /dev/zero
} >huge.png
cp huge.png claims.jpg
run picture.json --image huge.png --out picture=p.png
ok "a small file that claims to be huge" fails 1 \
    'crayon: error: input image: huge.png: 60000 x 60000 pixels exceed the limit of 67108864; raise it with "max_pixels"'
# As little memory as the program itself needs; sanitizers take terabytes of addresses.
if (ulimit -v 400000 && "$top_builddir/crayon" --version) >"$out" 2>&1; then
    (ulimit -v 400000 && exec "$top_builddir/crayon" run --plugin-path "$stages" picture.json --image huge.png \
        --out picture=p.png) >"$out" 2>"$err" </dev/null
    status=$?
    ok "no memory is asked for" eval '[ $status = 1 ] && holds "$err" "exceed the limit of 67108864"'
else
    skip "no memory is asked for" "the program does not start with little memory"
fi
run picture.json --image claims.jpg --out picture=p.png --limit max_pixels=4000000000
ok "no limit makes it real" eval '[ $status = 1 ] && [ ! -s "$out" ] && holds "$err" "60000 x 60000 pixels: sides go up to 65535, pictures up to 268435456 pixels"'
for limit in max_pixels=99 max_bytes=99 "max_scans=1 --limit max_pixels=99"; do
    # shellcheck disable=SC2086 # words
    run picture.json --image "$scene" --out picture=p.png --limit $limit
    ok "--limit $limit" eval '[ $status = 1 ] && [ ! -s "$out" ] && holds "$err" " the limit of 99"'
done
"$top_builddir/crayon" run --plugin-path "$stages" picture.json --image - --out picture=p.png --limit max_bytes=99 \
    <"$scene" >"$out" 2>"$err"
status=$?
ok "from standard input" fails 1 "crayon: error: input image: standard input: more than the limit of 99 bytes"
printf '{"id":1,"in":{"image":"%s"},"out":{"picture":"p.png"}}\n' "$scene" >items.jsonl
run picture.json --batch items.jsonl --limit max_pixels=99
ok "in a batch, too" eval '[ $status = 1 ] && holds "$out" "pixels exceed the limit of 99; raise it with \\\"max_pixels\\\""'
run picture.json --image "$scene" --out picture=p.png --limit max_pixel=5
ok "no such limit" misused run '--limit: no limit "max_pixel"; there are: max_pixels, max_bytes, max_chunk, max_scans'
for value in '' = =x =-1 =0 =1x =99999999999999999999999; do
    run picture.json --image "$scene" --out picture=p.png --limit "max_scans$value"
    ok "no limit: max_scans$value" misused run "--limit: max_scans$value: a whole number from 1 on is needed after \"=\""
done

# --- The pipelines of the toolkit ----------------------------------------------------------------

built() {
    for plugin; do
        [ -f "$top_builddir/plugins/$plugin/.libs/$plugin.so" ] || return 1
    done
}
if built segment-coco-png crayon-encoder overlay; then
    crayon run objects --image "$scene" --out overlay=overlay.png --out semantic=semantic.json
    ok "objects names what a picture shows" eval \
        '[ $status = 0 ] && [ ! -s "$err" ] && grep -q "^(#1 [a-z ]*) \[0\." "$out"'
    ok "and paints it" eval '[ -s overlay.png ] && json semantic.json && [ -s semantic.json ]'
    printf '{"id":%d,"in":{"image":"%s"}}\n' 1 "$scene" 2 "$scene" >items.jsonl
    cp "$out" alone
    crayon run objects --batch items.jsonl
    ok "the same in a batch" eval '[ $status = 0 ] && [ ! -s "$err" ] &&
        [ "$(cat "$out")" = "{\"id\":1,\"outputs\":{\"objects\":\"$(cat alone)\"}}
{\"id\":2,\"outputs\":{\"objects\":\"$(cat alone)\"}}" ]'
else
    skip "objects" "a plugin was left out"
fi

# --- Failures ------------------------------------------------------------------------------------

echo precious >kept.png
run wait.json --prompt x --set wait.fail=true --out picture=kept.png
ok "a stage that fails" eval '[ $status = 1 ] && [ ! -s "$out" ] && holds "$err" "crayon: error: " && holds "$err" "told to fail"'
ok "files are as they were" eval '[ "$(cat kept.png)" = precious ]'
run nowhere.json --prompt x
ok "a pipeline that is not there" eval '[ $status = 1 ] && [ ! -s "$out" ] && holds "$err" "crayon: error: nowhere.json: "'
run speak.json --prompt x --set speak.nonsense=1 --set speak.null=2
ok "every mistake of a pipeline" eval '[ $status = 1 ] && [ ! -s "$out" ] && [ "$(grep -c "^crayon: error: " "$err")" = 2 ]'
if [ -w /dev/full ]; then
    "$top_builddir/crayon" run --plugin-path "$stages" speak.json --prompt x >/dev/full 2>"$err"
    status=$?
    ok "a full disk" eval ': >"$out"; fails 1 "crayon: error: cannot write to standard output: No space left on device"'
else
    skip "a full disk" "there is no /dev/full"
fi

# --- Devices -------------------------------------------------------------------------------------

cat >device.json <<'END'
{ "crayon": 1, "stages": { "d": { "use": "test-device" } }, "outputs": { "where": "d.text" } }
END
run device.json --device idle --quiet
ok "--device" is 0 "idle:0: test 1.0" ""
run device.json --device idle:0 --precision exact --threads 3 --quiet
ok "--precision and --threads" is 0 "idle:0: test 1.0, exact, threads: 3" ""
run device.json --device absent --set d.device=idle --quiet
ok "a stage may name its own" is 0 "idle:0: test 1.0" ""
run device.json --device idle --json
ok "--json names the device" eval '[ $status = 0 ] && json "$out" && holds "$out" "{\"name\":\"d\",\"device\":\"idle:0\","'
run device.json --device idle --verbose
ok "--verbose, too" eval '[ $status = 0 ] && grep -q "^crayon: d: opened in .* s on idle:0\$" "$err"'
run device.json --device cpu --profile --quiet
ok "--profile times operations" eval '[ $status = 0 ] && [ "$(grep -c "^crayon: " "$err")" = 2 ] &&
    grep -q "^crayon: d: fill  *1 calls  *[0-9.]* s 100.0 %\$" "$err" && grep -q "^crayon: d: .* s in operations, of " "$err"'
run device.json --device cpu --profile --json
ok "in --json, too" eval '[ $status = 0 ] && json "$out" &&
    holds "$out" "\"operations\":[{\"name\":\"fill\",\"calls\":1,\"seconds\":"'
run device.json --batch x --profile
ok "of one run" misused run "--profile looks at one run, not at a --batch"
run device.json --device absent
ok "a device that does not open" fails 1 "crayon: error: stage \"d\": device \"absent\": no driver was found"
run device.json --device nonsense
ok "an unknown device" eval '[ $status = 2 ] && [ ! -s "$out" ] && holds "$err" "crayon: error: --device: no device \"nonsense\"; there are: "'
mkdir refused
echo "not a plugin" >refused/device-odd.so
crayon run device.json --plugin-path "$scratch/refused:$stages" --device odd:1
ok "a device whose plugin was refused, with the reason" eval '[ $status = 2 ] && holds "$err" "crayon: error: --device: no device \"odd:1\": the plugin device-odd: "'
cp refused/device-odd.so refused/odd-stage.so
echo '{"crayon": 1, "stages": {"a": {"use": "odd-stage"}}, "outputs": {"x": "a.x"}}' >odd.json
crayon run odd.json --plugin-path "$scratch/refused"
ok "a stage whose plugin was refused" eval '[ $status = 1 ] && holds "$err" "/stages/a/use: the plugin \"odd-stage\" was not loaded: "'
run device.json --precision better
ok "an unknown precision" misused run "--precision: \"better\" is neither exact nor fast"
run speak.json --prompt x --device absent
ok "a device that nobody asks for stays shut" is 0 "you said: x" ""

# --- Machines ------------------------------------------------------------------------------------

run two.json --prompt 'say "a"' --in more=b --set two.null=true --json
sed 's/_seconds":[0-9.]*/_seconds":0/g; s/"seconds":[0-9.]*/"seconds":0/' "$out" >plain
cat >want <<'END'
{"crayon":1,"pipeline":"two","outputs":{"first":"you said: say \"a\"","second":null},"stages":[{"name":"one","device":null,"open_seconds":0,"run_seconds":0},{"name":"two","device":null,"open_seconds":0,"run_seconds":0}],"seconds":0}
END
ok "--json" eval '[ $status = 0 ] && [ ! -s "$err" ] && json "$out" && same want plain'
run values.json --json --out panoptic=p.png --out u8=u.json
ok "--json names files" eval '[ $status = 0 ] && json "$out" && holds "$out" \
    "\"outputs\":{\"panoptic\":{\"file\":\"p.png\",\"json\":\"p.json\"},\"u8\":{\"file\":\"u.json\"}}"'
run speak.json --prompt x --set speak.warn=true
ok "warnings of stages are shown" is 0 "you said: x" "crayon: warning: speak: x is hard to say"
run speak.json --prompt x --set speak.warn=true --quiet
ok "not with --quiet" is 0 "you said: x" ""
run speak.json --prompt x --set speak.warn=true --verbose
ok "and more with --verbose" holds "$err" "crayon: speak: x is said"
run speak.json --prompt x --verbose
ok "--verbose tells times" eval \
    '[ $status = 0 ] && grep -q "^crayon: speak: opened in [0-9.]* s, ran in [0-9.]* s$" "$err"'

run speak.json --prompt "a${escape}b"
ok "control characters of a text are written as they are" is 0 "you said: a${escape}b" ""
newline='
'
run speak.json --prompt "@no${escape}[31m${newline}where$(printf '\302\233')"
ok "a message is one line without control characters" fails 1 \
    'crayon: error: input prompt: no\x1b[31m\x0awhere\xc2\x9b: cannot open: No such file or directory'
run speak.json --prompt x --out "answer=$(printf 'a\377').txt" --json
ok "--json is UTF-8 whatever a file is called" eval \
    '[ $status = 0 ] && json "$out" && holds "$out" "{\"file\":\"a\\ufffd.txt\"}"'

# --- Terminals -----------------------------------------------------------------------------------

# on_terminal ARGUMENT...: standard output and error are one terminal; what it got is in $out.
on_terminal() {
    script -qec "'$top_builddir/crayon' run --plugin-path '$stages' $*" /dev/null \
        >"$out" 2>"$err" </dev/null
    status=$?
    tr -d '\r' <"$out" >lines
}
null="speak.json --prompt x --set speak.null=true"
if script -qec true /dev/null >"$out" 2>&1 </dev/null; then
    TERM=xterm on_terminal "$null"
    ok "colour on a terminal" holds "$out" "${escape}[1mnote: "
    NO_COLOR=1 TERM=xterm on_terminal "$null"
    ok "not with NO_COLOR" eval 'holds "$out" "crayon: note: answer" && ! holds "$out" "$escape[1m"'
    TERM=dumb on_terminal "$null"
    ok "nor on a dumb terminal" eval 'holds "$out" "crayon: note: answer" && ! holds "$out" "$escape"'

    TERM=dumb on_terminal "speak.json --prompt \"a${escape}b\""
    ok "control characters of a text are shown, not obeyed" eval '[ "$(cat lines)" = "you said: a\\x1bb" ]'

    wait="wait.json --prompt x --set wait.seconds=0.1"
    TERM=xterm on_terminal "$wait"
    ok "progress on a terminal" holds lines "${escape}[Kcrayon: wait 0 %"
    # What stays is what comes after the last "delete this line".
    sed "s/.*$escape\[K//" lines >rest
    ok "it leaves nothing behind" eval '[ "$(cat rest)" = "waited
crayon: also: picture (image): --out picture=FILE.png" ]'
    TERM=xterm on_terminal "$wait" --quiet
    ok "not with --quiet" eval '[ "$(cat lines)" = waited ]'
    TERM=dumb on_terminal "$wait"
    ok "nor on a dumb terminal" eval '! holds lines "%"'

    TERM=dumb on_terminal two.json --prompt a --in more=b --set two.stream=true
    ok "of several texts the first that comes is shown first" eval '[ "$(cat lines)" = "second: you said: b
first: you said: a" ]'
else
    skip "terminals" "no terminal can be made here"
fi

# --- Signals -------------------------------------------------------------------------------------

interrupted() {
    rm -f mark
    signalled "$1" "$2" mark run --plugin-path "$stages" wait.json --prompt x \
        --set wait.mark=mark --set wait.seconds=20 --set "wait.stubborn=$3" --out picture=kept.png
}
if reaches INT && reaches TERM; then
    interrupted INT 1 false
    ok "Ctrl-C" fails 130 "crayon: interrupted"
    interrupted TERM 1 false
    ok "SIGTERM" fails 143 "crayon: terminated"
    rm -f mark
    signalled INT 1 mark run --plugin-path "$stages" wait.json --prompt x --quiet \
        --set wait.mark=mark --set wait.seconds=0.5 --set wait.stubborn=true
    ok "what a stage hands over after a Ctrl-C is printed" is 130 waited "crayon: interrupted"
    interrupted INT 2 true
    ok "a second Ctrl-C ends at once" fails 130 ""
    ok "files are as they were" eval '[ "$(cat kept.png)" = precious ]'
else
    skip "signals" "somebody above ignores them"
fi
plan

#!/bin/sh
# SPDX-License-Identifier: MIT
# crayon plugins: the list, one plugin, JSON, manual pages.
# shellcheck disable=SC2154,SC2016 # top_srcdir and top_builddir come from tests/Makefile.inc; eval
. "$top_srcdir/tests/cli/command-lib.sh"

plugins() {
    crayon plugins --plugin-path "$stages" "$@"
}

plugins
ok "the list" eval '[ $status = 0 ] && [ ! -s "$err" ]'
ok "name, version, kind and summary" eval 'grep -q "^test-speak  *1\.0  *stage  *say what was said$" "$out"'
ok "and the file" holds "$out" "    $stages/command-stages.so"
mkdir plugins
echo "not a plugin" >plugins/broken.so
crayon plugins --plugin-path "$scratch/plugins:$stages"
ok "a refused file, with the reason" eval '[ $status = 0 ] && holds "$out" "refused:
  $scratch/plugins/broken.so
    "'
crayon plugins --plugin-path "$scratch/plugins" broken
ok "a refused plugin by name" eval '[ $status = 1 ] && [ ! -s "$out" ] && holds "$err" "crayon: error: $scratch/plugins/broken.so was refused: "'
plugins test-spaek
ok "an unknown name, with the nearest" fails 1 'crayon: error: no plugin "test-spaek"; did you mean "test-speak"?'
plugins frobnicate
ok "an unknown name, with nothing near" fails 1 "crayon: error: no plugin \"frobnicate\"; 'crayon plugins' lists them"

plugins test-values
cat >want <<END
test-values - one of each type, with words such as "quoted" and back\\slash

stage, version 1.0, licence MIT
$stages/command-stages.so

A first paragraph that is long enough to be broken into several lines on a
terminal of eighty columns.

.starts with a dot, as no request should.

inputs
  panoptic  panoptic  not looked at (optional)
  image     image     not looked at (optional) (takes a list of wires)

outputs
  image     image     black
  panoptic  panoptic  a horse of one pixel
  f32       tensor    numbers
  f16       tensor    small numbers
  i32       tensor    whole numbers
  u8        tensor    bytes
  tokens    tokens    ids
END
ok "ports of a plugin" eval '[ $status = 0 ] && cmp -s want "$out"'
plugins test-wait
sed '1,/^options$/d' "$out" >options
cat >want <<'END'
  mark
      a file to write at the start
      a path
  seconds
      how long
      a number, 0..3600; default 0
  stubborn
      do not let it be cancelled
      true or false; default false
  fail
      fail at the end
      true or false; default false
END
ok "options of a plugin" cmp -s want options
plugins command-stages
ok "a plugin with several elements shows all" eval '[ $status = 0 ] && holds "$out" "test-speak - " && holds "$out" "test-wait - "'

plugins device-idle
ok "a device" eval '[ $status = 0 ] && holds "$out" "device-idle - a device that does nothing" && holds "$out" "device, version 1.0, licence MIT"'
plugins --json
ok "--json" eval '[ $status = 0 ] && [ ! -s "$err" ] && json "$out" && holds "$out" "\"refused\":[" && holds "$out" "\"paths\":["'
plugins --json test-wait
ok "--json of one" eval '[ $status = 0 ] && json "$out" && holds "$out" \
    "{\"name\":\"seconds\",\"type\":\"number\",\"required\":false,\"default\":0,\"min\":0,\"max\":3600,\"doc\":\"how long\"}"'
plugins --schema
ok "--schema" eval '[ $status = 0 ] && [ ! -s "$err" ] && json "$out" && holds "$out" "test-speak"'

plugins test-values --man
cp "$out" test-values.7
ok "--man" eval '[ $status = 0 ] && [ ! -s "$err" ] && holds "$out" ".Dt CRAYON-TEST-VALUES 7"'
ok "what roff would take for its own is escaped" eval 'holds "$out" "back\\eslash" && holds "$out" "\\(dqquoted\\(dq" && holds "$out" "\\&.starts"'
plugins device-idle --man
cp "$out" device-idle.7
ok "the page of a device" eval '[ $status = 0 ] && [ ! -s "$err" ] && holds "$out" "is a device of" && ! holds "$out" .Sh\ INPUTS'
if [ -n "${MANDOC:-}" ]; then
    "$MANDOC" -Tlint -W warning test-values.7 device-idle.7 >"$err" 2>&1
    ok "mandoc finds nothing wrong" eval '[ ! -s "$err" ]'
else
    skip "mandoc finds nothing wrong" "mandoc is not here"
fi

# In a build tree of its own, in which nothing was built, there is no plugin unless one is installed.
mkdir -p bare/.libs
echo "$top_srcdir" >bare/.crayon-build-tree
cp "$top_builddir"/.libs/libcrayon.so.0 "$top_builddir"/.libs/crayon bare/.libs
LD_LIBRARY_PATH=$scratch/bare/.libs bare/.libs/crayon plugins --plugin-path "$scratch/none" >"$out" 2>"$err"
status=$?
if [ $status = 0 ]; then
    skip "no plugin at all" "some are installed"
else
    ok "no plugin at all: every folder that was searched" eval '[ $status = 1 ] && [ ! -s "$err" ] &&
        [ "$(sed -n 1,2p "$out")" = "no plugin was found; searched:
  $scratch/none: no such folder" ] && holds "$out" "crayon/plugins: no such folder"'
fi

# The pages in man/ are what --man prints, and there is one for every plugin of the toolkit.
for page in "$top_srcdir"/man/crayon-*.7; do
    name=$(basename "$page" .7)
    name=${name#crayon-}
    [ "$name" != plugin ] || continue
    crayon plugins "$name" --man
    if [ $status = 0 ]; then
        ok "man/crayon-$name.7 is up to date" cmp -s "$page" "$out"
    else
        skip "man/crayon-$name.7 is up to date" "the plugin was left out"
    fi
done
for file in "$top_builddir"/plugins/*/.libs/*.so; do
    name=$(basename "$file" .so)
    [ ! -f "$file" ] || [ "$name" = example-stage ] ||
        ok "$name has a manual page" test -f "$top_srcdir/man/crayon-$name.7"
done
plan

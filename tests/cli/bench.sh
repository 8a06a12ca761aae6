#!/bin/sh
# SPDX-License-Identifier: MIT
# crayon bench: options, the table, JSON, comparison with an earlier run. No figure is judged here.
# shellcheck disable=SC2154,SC2016 # top_srcdir and top_builddir come from tests/Makefile.inc; eval
. "$top_srcdir/tests/cli/command-lib.sh"

crayon bench --runs 0
ok "no run" misused bench "--runs: 0 is outside 1..1000"
crayon bench --runs few
ok "runs that are no number" misused bench '--runs: "few" is not a whole number from 0 to 2^64 - 1'
crayon bench --fliter x
ok "an unknown option, with the nearest" misused bench "unknown option --fliter; did you mean --filter?"
crayon bench linear
ok "an operand" misused bench 'one argument too many: "linear"'
crayon bench --filter nonsense
ok "a filter that leaves nothing" fails 1 'crayon: error: no case has "nonsense" in its name'
crayon bench --quick --filter adamw
ok "the same of --quick" fails 1 'crayon: error: no case of --quick has "adamw" in its name'
crayon bench --filter rms_norm --device nonsense
ok "an unknown device" eval '[ $status = 1 ] && [ ! -s "$out" ] && holds "$err" "crayon: error: no device \"nonsense\""'
crayon bench --filter rms_norm --baseline none.json
ok "a baseline that is not there" eval '[ $status = 1 ] && [ ! -s "$out" ] && holds "$err" "none.json"'
echo '{"crayon": 1}' >empty.json
crayon bench --filter rms_norm --baseline empty.json
ok "a baseline without results" fails 1 \
    "crayon: error: empty.json: it has no list \"results\"; 'crayon bench --json' writes such files"

# A device that lacks everything and has no limits.
crayon bench --plugin-path "$stages" --device idle --filter rms_norm --runs 1
ok "operations that a device lacks are no failure" eval '[ $status = 0 ] && [ ! -s "$err" ] &&
    grep -q "^  rms_norm/1x4096  *the device has no such operation$" "$out"'
ok "a software driver is marked" holds "$out" "This driver computes on the processor: these are no speed figures."
ok "limits that nobody knows" eval 'grep -q "^    sgemm  *not known$" "$out"'
crayon bench --plugin-path "$stages" --device idle --filter rms_norm --runs 1 --json
ok "the same as JSON" eval '[ $status = 0 ] && json "$out" && holds "$out" "\"lacking\":true"'

crayon devices --plugin-path "$stages" --device idle --check --json
tr '{' '\n' <"$out" | sed -n 's/^"name":"\([a-z0-9_]*\)","ok".*/\1/p' >operations
while read -r operation; do
    grep -qF "\"$operation/" "$top_srcdir/core/command/bench/cases.c" || echo "$operation"
done <operations >without
ok "every operation has a case" eval '[ "$(wc -l <operations)" -ge 45 ] && [ ! -s without ]'

if [ ! -f "$top_builddir/plugins/device-cpu/.libs/device-cpu.so" ]; then
    skip "the processor" "device-cpu was left out"
    plan
    exit
fi

bench() {
    crayon bench --device cpu --threads 1 --runs 1 --quick "$@"
}

crayon bench --device cpu --threads 1000 --filter rms_norm
ok "too many threads" eval '[ $status = 1 ] && [ ! -s "$out" ] && holds "$err" "crayon: error: 1000 threads: 1..256"'
CRAYON_CPU_DISABLE=avx512,avx2,neon,openblas
export CRAYON_CPU_DISABLE
bench --filter rms_norm/1x
ok "plain kernels" eval '[ $status = 0 ] && [ ! -s "$err" ] && holds "$out" "    plain; 1 thread" &&
    grep -Eq "^  rms_norm/1x4096  .* (read|fma)  *plain$" "$out"'
unset CRAYON_CPU_DISABLE
bench --filter norm/
cp "$out" table
ok "a table" eval '[ $status = 0 ] && [ ! -s "$err" ] && [ "$(grep -c "^  [a-z]*_norm/" "$out")" = 3 ]'
ok "within 100 columns" eval '! grep -q "^.\{101\}" table'
bench --filter norm/ --json
cp "$out" before.json
ok "--json" eval '[ $status = 0 ] && [ ! -s "$err" ] && json "$out" && holds "$out" "\"commit\":\"" &&
    holds "$out" "\"threads\":1" && holds "$out" "\"sgemm\":" &&
    [ "$(grep -c "^{\"name\":\"[a-z_]*_norm/.*\"seconds\":.*\"share\":.*\"limit\":\"read\"" "$out")" = 3 ]'

bench --filter norm/ --baseline before.json
ok "--baseline" eval '[ $status = 0 ] && [ ! -s "$err" ] && holds "$out" "x time  x share" &&
    ! grep -q "^.\{101\}" "$out" &&
    [ "$(grep -c "^  [a-z]*_norm/.*%  *[0-9.]*  *[0-9.]*  *[0-9]*% read " "$out")" = 3 ]'
sed -e 's|"rms_norm/1x4096"|"rms_norm/1x1"|' -e 's/"threads":1/"threads":3/' before.json >other.json
bench --filter norm/ --baseline other.json --json
cat >want <<END
crayon: note: other.json is from this device with other settings: $(sed -n 's/.*"driver":"\([^"]*\)".*/\1/p' before.json), 3 threads
crayon: note: other.json has no time of: rms_norm/1x4096
crayon: note: other.json has cases that there are no longer: rms_norm/1x1
END
ok "what does not match is said" eval '[ $status = 0 ] && cmp -s want "$err" && json "$out" &&
    [ "$(grep -c "\"time_ratio\":.*\"share_ratio\":" "$out")" = 2 ]'
sed 's/"title":"/&Another /' before.json >other.json
bench --filter rms_norm/1x --baseline other.json
ok "a baseline from another machine" eval '[ $status = 0 ] &&
    holds "$err" "crayon: note: other.json is from another device: cpu, Another "'

# One of each kind of product, cold weights included.
bench --filter attention/decode
ok "attention" eval '[ $status = 0 ] && [ ! -s "$err" ] && grep -q "^  attention/decode/q1/k1226/f16 .*%" "$out"'
plan

#!/bin/sh
# SPDX-License-Identifier: MIT
# crayon devices: the list, the self-test.
# shellcheck disable=SC2154,SC2016 # top_srcdir and top_builddir come from tests/Makefile.inc; eval
. "$top_srcdir/tests/cli/command-lib.sh"

devices() {
    crayon devices --plugin-path "$stages" "$@"
}

crayon devices --chekc
ok "an unknown option, with the nearest" misused devices "unknown option --chekc; did you mean --check?"
crayon devices cpu
ok "an operand" misused devices 'one argument too many: "cpu"'
crayon devices --device nonsense
ok "an unknown device" eval '[ $status = 1 ] && [ ! -s "$out" ] && holds "$err" "crayon: error: no device \"nonsense\"; there are: "'

devices --device idle
cat >want <<'END'
idle:0  a device that does nothing
    driver   test 1.0
    memory   64 MiB
    used     only when named: this driver computes on the processor
END
ok "one by name" eval '[ $status = 0 ] && [ ! -s "$err" ] && cmp -s want "$out"'
devices --device idle:0 --verbose
cat >>want <<'END'
    details  first line
             second line
END
ok "--verbose" eval '[ $status = 0 ] && [ ! -s "$err" ] && cmp -s want "$out"'
devices --device idle:7
ok "a number that no device has" fails 1 'crayon: error: no device "idle:7"'
devices
ok "the list has it, too" eval '[ $status = 0 ] && [ ! -s "$err" ] && holds "$out" "idle:0  a device that does nothing"'
ok "and the plugin without a device, with the reason" holds "$out" "device-absent has no device
    no driver was found"
devices --json
ok "--json" eval '[ $status = 0 ] && [ ! -s "$err" ] && json "$out" && holds "$out" "\"name\":\"idle:0\"" &&
    holds "$out" "\"gpu\":true,\"software\":true,\"details\":[\"first line\",\"second line\"]" &&
    holds "$out" "\"absent\":[{\"plugin\":\"device-absent\",\"reason\":\"no driver was found\"}"'

devices --device idle --check
ok "a device that fails its check" eval '[ $status = 1 ] && [ ! -s "$err" ] && holds "$out" FAILED &&
    holds "$out" "the device idle has no such operation"'
devices --device idle --check --json
ok "the same as JSON" eval '[ $status = 1 ] && [ ! -s "$err" ] && json "$out" && holds "$out" "\"ok\":false"'

if [ -f "$top_builddir/plugins/device-cpu/.libs/device-cpu.so" ]; then
    devices
    ok "the processor is in the list" eval 'grep -q "^cpu  ." "$out" && holds "$out" "    threads  "'
    ok "and used when none is named" holds "$out" "    used     when none is named (auto)"
    for off in "" avx512 avx512,avx2,neon; do
        CRAYON_CPU_DISABLE=$off
        export CRAYON_CPU_DISABLE
        crayon devices --device cpu --check
        ok "the processor is right${off:+ without $off}" eval '[ $status = 0 ] && [ ! -s "$err" ] &&
            grep -q "^    linear  *[0-9.e-]*  *1e-05  ok " "$out" && ! holds "$out" FAILED &&
            grep -q "^    all [0-9]* operations are right in [0-9]* cases$" "$out"'
    done
    ok "plain C is chosen when all else is off" eval 'holds "$out" "    driver   plain"'
    unset CRAYON_CPU_DISABLE
    # Devices that are used only when named are checked only when named.
    devices --check --json
    ok "--check --json of all" eval '[ $status = 0 ] && [ ! -s "$err" ] && json "$out" &&
        holds "$out" "\"auto\":\"cpu\"" && holds "$out" "\"ok\":true" && ! holds "$out" "\"ok\":false"'
else
    skip "the processor" "device-cpu was left out"
fi

# No driver is to be seen here: tests/Makefile.inc.
if [ -f "$top_builddir/plugins/device-vulkan/.libs/device-vulkan.so" ]; then
    devices
    ok "a machine without a Vulkan driver, or without the loader" eval '[ $status = 0 ] && [ ! -s "$err" ] &&
        holds "$out" "device-vulkan has no device
    no Vulkan "'
    devices --device vulkan
    ok "and what happens when one is asked for" eval '[ $status = 1 ] && [ ! -s "$out" ] &&
        holds "$err" "crayon: error: no Vulkan "'
else
    skip "no Vulkan driver" "device-vulkan was left out"
fi
plan

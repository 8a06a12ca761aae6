#!/bin/sh
# SPDX-License-Identifier: MIT
# cmocka-tap.sh PROGRAM ARGUMENT...: run a cmocka program and mend its TAP: a skipped test is
# "ok 2 # SKIP name" there ("not ok" before cmocka 1.1.7, which counts as a failure); it becomes
# "ok 2 - name # SKIP reason", with the reason that skip_because() printed before it.
exec 4>&1
status=$({ { "$@"; echo $? >&3; } | awk '
    /^# skip: / { reason = substr($0, 9); next }
    /^(not )?ok [0-9]+ # SKIP / {
        sub(/^not /, "")
        number = $2
        sub(/^ok [0-9]+ # SKIP /, "")
        print "ok " number " - " $0 " # SKIP " reason
        reason = ""
        next
    }
    { print }' >&4; } 3>&1)
exit "$status"

#!/bin/bash
# What the daemon gives up at its start, that it finds its directories again all the same, and its work as an ordinary
# user without CAP_LEASE, in a drop directory of the mode that the man page advises.
# shellcheck source=tests/lib/e2e.sh
# shellcheck disable=SC2016 # what is single-quoted is for another shell
. "$(dirname "$0")/../../lib/e2e.sh"

# status_of KEY: from /proc of the daemon.
status_of() { awk -v key="$1:" '$1 == key { print $2 }' "/proc/$DAEMON_PID/status"; }

site start
start_daemon
has "$(cat "$LOG")" ' sandbox: no new privileges; (no )?capabilities' "the log says what is given up"
is "$(status_of NoNewPrivs)" 1 "no new privileges"
# CAP_DAC_OVERRIDE 1, CAP_DAC_READ_SEARCH 2, CAP_FOWNER 3, CAP_LEASE 28
is "$((0x$(status_of CapPrm) & ~0x1000000e))" 0 "no capability but four"
confined=no
grep -q 'sandbox: .*files: the configuration, and those below' "$LOG" && confined=yes
if [[ $confined == no ]]; then
    has "$(cat "$LOG")" 'notice .*sandbox: .*not confined' "that there is no Landlock is said"
    skip "Landlock" "the kernel has none"
fi

# A drop directory elsewhere, behind a link: made anew, mounted over, and linked to another one.
site linked rescan=1
mkdir -p "$SITE/uploads/drop" "$SITE/elsewhere/drop"
rmdir "$DROP"
ln -s "$SITE/uploads/drop" "$DROP"
# shellcheck disable=SC2317 # wait_for calls it
watching_target() { DROP=$(readlink -f "$DROP") watching; }
start_linked()
{
    "$DAEMON" -c "$INI" "${ALLOW_ROOT[@]}" >>"$LOG" 2>&1 &
    DAEMON_PID=$!
    started+=("$DAEMON_PID")
    wait_for watching_target || fail "the daemon watches the drop directory" "$(tail -n 20 "$LOG")"
}
start_linked
sample 5 1 >"$SITE/one"
cp "$SITE/one" "$DROP/one.csv"
arrived one.csv "$SITE/one" "a drop directory behind a link"
rm -r "$SITE/uploads/drop"
mkdir "$SITE/uploads/drop"
check "made anew, it is watched again" wait_for watching_target
sample 5 2 >"$SITE/two"
cp "$SITE/two" "$DROP/two.csv"
arrived two.csv "$SITE/two" "and merged from"
printf 'bad\n1\n' >"$DROP/bad.csv"
quarantined bad.csv missing-label "and files leave it"
if as_root && mount -t tmpfs tmpfs "$SITE/uploads/drop" 2>"$SITE/mount"; then
    mounted+=("$SITE/uploads/drop")
    check "mounted over, too" wait_for watching_target
    sample 5 3 >"$SITE/three"
    cp "$SITE/three" "$DROP/three.csv"
    arrived three.csv "$SITE/three" "it is merged from"
    printf 'bad\n2\n' >"$DROP/worse.csv"
    quarantined worse.csv missing-label "and files leave it to another file system"
    umount -l "$SITE/uploads/drop"
    mounted=()
else
    skip "mounted over" "no mount"
fi
ln -sfn "$SITE/elsewhere/drop" "$DROP"
sample 5 4 >"$SITE/four"
cp "$SITE/four" "$DROP/four.csv"
if [[ $confined == yes ]]; then
    check "linked to another one: it says what to do" wait_for grep -q 'elsewhere since the start, restart' "$LOG"
    stop_daemon
    start_linked
fi
arrived four.csv "$SITE/four" "after a restart it is merged from"
stop_daemon

# SIGHUP: the configuration is replaced by renaming; a schema elsewhere takes a restart.
site reload
mkdir "$SITE/etc" "$SITE/else"
mv "$SITE/schema.ini" "$SITE/etc/"
config data_dir=../data source=archive
mv "$INI" "$SITE/etc/"
INI=$SITE/etc/phasesentinel.ini
start_daemon
sed -i 's/^maximum *= *100$/maximum = 50/' "$SITE/etc/schema.ini"
kill -HUP "$DAEMON_PID"
check "SIGHUP: the schema is read again" wait_for grep -q 'configuration reloaded' "$LOG"
cp "$PROJECT/etc/schema.ini" "$SITE/else/schema.ini"
sed -i 's|^schema *=.*|schema = ../else/schema.ini|' "$INI"
kill -HUP "$DAEMON_PID"
if [[ $confined == yes ]]; then
    check "SIGHUP: a schema elsewhere is refused" \
        wait_for grep -q 'else/schema.ini: Permission denied; if it lies elsewhere since the start, restart' "$LOG"
    check "and the old configuration stays" wait_for grep -q 'old configuration stays' "$LOG"
    printf '%s\n' "$COLUMNS_REQUIRED" 1,60,2,3,4,5,6,7,idle | put hot.csv
    quarantined hot.csv constraint-error "it does"
    stop_daemon
    start_daemon
fi
printf '%s\n' "$COLUMNS_REQUIRED" 1,70,2,3,4,5,6,7,idle | put hot.csv
check "after a restart the new one counts" wait_for recorded hot.csv merged
stop_daemon
cp "$SITE/else/schema.ini" "$SITE/schema.ini" # where the checker looks for it

if ! as_root; then
    skip "other users' files" "not root"
    finish
fi

publish_programs
program=$DAEMON

# Run the daemon as an ordinary user without capabilities; the files belong to another user, who may remove only their own.
# as_daemon [OPTION…]: from now on the daemon is started as user daemon of group users.
as_daemon()
{
    printf '#!/bin/sh\nexec setpriv --reuid daemon --regid daemon --groups users %s %q "$@"\n' "$*" \
        "$program" >"$TMP/phasesentineld"
    chmod 755 "$TMP/phasesentineld"
    DAEMON=$TMP/phasesentineld ALLOW_ROOT=()
}

# as_other USER SCRIPT [ARGUMENT…]: a shell of another user of that group, in the drop directory.
as_other()
{
    (cd "$DROP" && setpriv --reuid "$1" --regid "$1" --groups users bash -c "$2" bash "${@:3}")
}

# upload NAME [UMASK]: standard input, from another user, under a hidden name first.
upload() { as_other games 'umask "$2"; cat >.up && mv .up "$1"' "$1" "${2:-022}"; }

# advised: the drop directory as the man page advises it, of user daemon and group users.
advised()
{
    chown daemon:daemon "$SITE" "$DATA"
    chown daemon:users "$DROP"
    chmod 3770 "$DROP"
}

as_daemon
site ordinary source=archive settle=2
advised
start_daemon
has "$(cat "$LOG")" ' sandbox: no new privileges; no capabilities' "an ordinary user has no capabilities"
is "$(status_of CapBnd)$(status_of NoNewPrivs)" "$(awk '/^CapBnd:/ { print $2 }' /proc/self/status)1" "and gets none"
sample 5 1 >"$SITE/one"
upload one.csv <"$SITE/one"
arrived one.csv "$SITE/one" "another user's file is merged"
check "and archived" wait_for test -e "$DATA/archive/one.csv"
echo >"$SITE/held" && upload .held <"$SITE/held"
check "another one of the group may not remove it" test "$(as_other bin 'rm -f .held 2>&1; echo $?' | tail -n 1)" = 1
check "nor replace it" test "$(as_other bin '>.mine; mv -f .mine .held 2>&1; echo $?' | tail -n 1)" = 1
sample 5 2 >"$SITE/two"
upload two.csv 077 <"$SITE/two"
becomes 'file-unreadable' "a file that only its owner may read waits" \
    awk -F, '$1 == "two.csv" { print $2 }' "$DATA/state/waiting.csv"
chmod 640 "$DROP/two.csv"
arrived two.csv "$SITE/two" "its group was that of the directory: readable for it, it merges"

# A writer that the kernel does not tell of: what is written slowly is not judged early.
as_other games 'exec >slow.csv; echo "$1"
    until [[ -e $2/enough ]]; do echo 1,2,3,4,5,6,7,8,idle; sleep 0.3; done; echo x' "$COLUMNS_REQUIRED" "$SITE" &
writer=$!
started+=("$writer")
wait_for test -s "$DROP/slow.csv"
printf 'bad\n1\n' | upload bad.csv
quarantined bad.csv missing-label "another user's bad file goes to quarantine"
is "$(verdicts slow.csv | grep quarantined)" '' "one that is still written to is not judged bad meanwhile"
check "it is still there" test -s "$DROP/slow.csv"
touch "$SITE/enough"
wait "$writer"
forget_pid "$writer"
check "it is judged when its writer has closed it" wait_for recorded slow.csv quarantined
is "$(grep -c 'the kernel does not tell who writes' "$LOG")" 1 "the log says once that quiet decides"
stop_daemon

# With the capabilities that help, given by the service manager.
as_daemon "--inh-caps=+lease,+dac_read_search,+chown --ambient-caps=+lease,+dac_read_search,+chown"
site helped
advised
start_daemon
has "$(cat "$LOG")" ' sandbox: no new privileges; capabilities: CAP_LEASE, CAP_DAC_READ_SEARCH; ' \
    "CAP_LEASE and CAP_DAC_READ_SEARCH are kept, others are not"
is "$(status_of CapPrm)$(status_of CapEff)$(status_of CapAmb)" "000000001000000400000000100000040000000000000000" \
    "nor handed on"
sample 5 1 >"$SITE/one"
upload one.csv 077 <"$SITE/one"
arrived one.csv "$SITE/one" "a file that only its owner may read is merged"
is "$(grep -c 'the kernel does not tell who writes' "$LOG")" 0 "and the kernel tells who writes"
stop_daemon

finish

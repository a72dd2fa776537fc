#!/bin/bash
# The daemon's life: signals, reload, timer, one daemon a data directory, and `merge` beside it.
# shellcheck source=tests/lib/e2e.sh
. "$(dirname "$0")/../../lib/e2e.sh"

# try_locked: merge while somebody holds the lock; it must give up after its 30 s. Runs beside the rest.
try_locked()
{
    exec 9<>"$DATA/state/lock" && flock 9
    cli merge >"$SITE/locked.out" 2>&1 9<&-
    echo "$? $((SECONDS - $1))" >"$SITE/locked"
}

site locked
sample 3 1 >"$DROP/one.csv"
exits 0 "merge before the lock is held" cli merge
sample 3 2 >"$DROP/two.csv"
locked_site=$SITE
try_locked "$SECONDS" &
locked=$!
started+=("$locked")
SITE='' # judged at the end

site signals
sample 5 1 >"$DROP/early.csv"
start_daemon
check "what lies there at the start is merged" wait_for recorded early.csv merged
sample 5 2 | put late.csv
end_daemon TERM
is "$CODE" 0 "SIGTERM: exit 0"
merged=$(ledger_column merged 9 | awk '{ n += $1 } END { print n }')
is "$(stat_of main_training_samples)" "$merged" "with the statistics written"
check "in all four files" ls "$DATA/stats/stats.json" "$DATA/stats/users.csv" "$DATA/stats/summary.txt" \
    "$DATA/stats/phasesentinel.prom"
start_daemon
check "what came last is merged by then, or at the next start" wait_for recorded late.csv merged
stop_daemon
is "$(stat_of main_training_samples)" 10 "and counted"

# opens TRACE: how often young.csv was opened.
opens() { grep -c 'young.csv.*= [0-9]' "$1"; }

# opened_again TRACE: more than once?
# shellcheck disable=SC2317 # wait_for calls it
opened_again() { (($(opens "$1") > 1)); }

# traced: does somebody trace the daemon?
# shellcheck disable=SC2317 # wait_for calls it
traced() { ! grep -q '^TracerPid:[[:space:]]*0$' "/proc/$DAEMON_PID/status"; }

site young rescan=3600
start_daemon
strace -f -e trace=openat2 -o "$SITE/daemon.trace" -p "$DAEMON_PID" 2>/dev/null &
tracer=$!
started+=("$tracer")
check "the daemon is traced" wait_for traced
sample 5 1 | put young.csv
check "a file is merged, and read once more when it is two seconds old" \
    wait_for opened_again "$SITE/daemon.trace"
kill "$tracer" # the leak checker of an ASan build cannot work beside it
wait "$tracer"
forget_pid "$tracer"
stop_daemon
strace -f -e trace=openat2 -o "$SITE/merge.trace" "$CLI" merge -c "$INI" "${ALLOW_ROOT[@]}" >"$SITE/out"
is "$(opens "$SITE/merge.trace")" 0 "so that nobody has to read it again"
is "$(verdicts young.csv)" merged "it is booked once"

site reload
start_daemon
sample 5 1 | put kept.csv
check "a file is merged" wait_for recorded kept.csv merged
config source=archive
kill -HUP "$DAEMON_PID"
sample 5 2 | put archived.csv
check "SIGHUP: the new configuration counts" wait_for test -e "$DATA/archive/archived.csv"
check "and what is archived is gone from the drop directory" wait_for test ! -e "$DROP/archived.csv"

config source=keep
echo 'sourcc = delete' >>"$INI"
line=$(grep -n sourcc "$INI" | cut -d : -f 1)
kill -HUP "$DAEMON_PID"
check "SIGHUP: a bad configuration is reported with file and line" \
    wait_for grep -F "phasesentinel.ini:$line:" "$LOG"
sample 5 3 | put still.csv
check "and the old one is kept" wait_for test -e "$DATA/archive/still.csv"
config source=archive settle=oops
kill -HUP "$DAEMON_PID"
line=$(grep -n oops "$INI" | cut -d : -f 1)
check "a bad value, too" wait_for grep -F "phasesentinel.ini:$line:" "$LOG"

config source=archive
sed -i 's/^maximum *= *100$/maximum = 50/' "$SITE/schema.ini"
kill -HUP "$DAEMON_PID"
printf '%s\n' "$COLUMNS_REQUIRED" 1,60,2,3,4,5,6,7,idle | put hot.csv
quarantined hot.csv constraint-error "SIGHUP reloads the schema"
sed -i 's/^type *= *number$/type = nonsense/' "$SITE/schema.ini"
kill -HUP "$DAEMON_PID"
check "a bad schema is reported" wait_for grep -E 'schema\.ini:[0-9]+:' "$LOG"
printf '%s\n' "$COLUMNS_REQUIRED" 1,50,2,3,4,5,6,7,idle | put cool.csv
check "and the old one is kept" wait_for recorded cool.csv merged
cp "$PROJECT/etc/schema.ini" "$SITE/schema.ini"

site hup-scans rescan=3600
start_daemon
sample 5 1 >"$SITE/elsewhere"
ln "$SITE/elsewhere" "$DROP/linked.csv"
check "a file is merged" wait_for recorded linked.csv merged
more_rows 5 1 5 >>"$SITE/elsewhere"
kill -HUP "$DAEMON_PID"
arrived linked.csv "$SITE/elsewhere" "SIGHUP scans: what had no event is found"

site timer merge=timer interval=3600
start_daemon
sample 5 1 | put one.csv
sample 5 2 | put two.csv
check "status answers while files wait for the timer" cli status
is "$(ledger_column merged 5)" '' "merge = timer: nothing merges before its time"
kill -USR1 "$DAEMON_PID"
becomes 10 "SIGUSR1 merges now" training_rows
is "$(ledger_column merged 2 | sort -u | wc -l)" 1 "both in one batch"
sample 5 3 | put three.csv
exits 0 "merge beside a daemon that waits" cli merge
is "$(training_rows)" 15 "merges at once"
stop_daemon
config merge=timer interval=1
start_daemon
sample 5 4 | put four.csv
becomes 20 "the timer merges" training_rows

site one-daemon
start_daemon
exits 75 "a second daemon exits 75" "$DAEMON" -c "$INI" "${ALLOW_ROOT[@]}"
has "$ERR" "\\b$DAEMON_PID\\b" "and says who holds the data directory"
check "the first one goes on" kill -0 "$DAEMON_PID"
kill_daemon
start_daemon
check "killed, its lock is free" watching

# 60 files in the hands of the daemon and of several `merge`, all at once.
site together
start_daemon
pids=()
for ((i = 0; i < 60; i++)); do
    sample 20 "$i" | put "f${i}_web_20240101_120000.csv"
    if ((i % 10 == 5)); then
        cli merge >>"$SITE/merge.out" 2>&1 &
        pids+=($!)
        started+=($!)
    fi
done
codes=''
for pid in "${pids[@]}"; do
    wait "$pid"
    codes+="$? "
    forget_pid "$pid"
done
is "$codes" "0 0 0 0 0 0 " "merge beside a running daemon exits 0"
becomes 1200 "the same files by daemon and merge: every row" training_rows
is "$(tail -n +2 "$DATA/training_data.csv" | sort | uniq -d | wc -l)" 0 "none twice"
is "$(ledger_column merged 5 | sort -u | wc -l)" 60 "each file merged"
is "$(ledger | awk -F, '{ if ($1 <= last) print; last = $1 }')" '' "the ledger counts on"

# A schema that the training file does not go with is refused like any bad configuration.
site schema-does-not-fit
cp "$PROJECT/etc/schema.ini" "$SITE/schema.ini"
sed -i "s|^schema *=.*|schema = $SITE/schema.ini|" "$INI"
sample 2 1 >"$DROP/a.csv"
start_daemon
check "a file is merged" wait_for recorded a.csv merged
printf '\n[field.14]\nname = fan_rpm\ntype = number\nrequired = true\n' >>"$SITE/schema.ini"
kill -HUP "$DAEMON_PID"
check "the old schema stays" wait_for grep -q 'old configuration stays' "$LOG"
sample 2 2 >"$DROP/b.csv"
check "and the daemon goes on" wait_for recorded b.csv merged
cp "$PROJECT/etc/schema.ini" "$SITE/schema.ini"

# The command line of what runs under journald has priorities, no times.
site journald
exec 8>"$SITE/journal"
stream=$(stat -c %d:%i "$SITE/journal")
JOURNAL_STREAM=$stream "$DAEMON" -c "$INI" "${ALLOW_ROOT[@]}" 2>&8 8>&- &
DAEMON_PID=$!
started+=("$DAEMON_PID")
exec 8>&-
wait_for watching
stop_daemon
is "$(grep -cv '^<[0-7]>' "$SITE/journal")" 0 "under journald each line has its priority"
SITE_JOURNAL=$SITE/journal
check "and there are lines" test -s "$SITE_JOURNAL"
site no-journald
start_daemon
stop_daemon
is "$(grep -c '^<[0-7]>' "$LOG")" 0 "elsewhere none has"

SITE=$locked_site DATA=$locked_site/data DROP=$locked_site/data/user_data INI=$locked_site/phasesentinel.ini
wait_for test -s "$SITE/locked"
read -r code seconds <"$SITE/locked"
is "$code" 75 "merge, while somebody holds the lock: 75"
check "after 30 s" test "$seconds" -ge 28
wait "$locked" 2>/dev/null
forget_pid "$locked"
exits 0 "merge, once the lock is free" cli merge
is "$(training_rows)" 6 "takes what waited"

finish

#!/bin/bash
# Files that take long to read: others do not wait for them, and whatever happens meanwhile, no row is lost or doubled.
# shellcheck source=tests/lib/e2e.sh
. "$(dirname "$0")/../../lib/e2e.sh"

# Quoted cells take the longest, and what is no plain number: 50 MB of them. Few rows, as the checker takes long for each,
# and all of them distinct, so that it sees their places.
big=$TMP/big.csv
awk 'BEGIN {
    print "timestamp,cpu_percent,memory_percent,memory_used_gb,disk_read_mb,disk_write_mb,network_sent_mb,network_recv_mb,phase"
    for (i = 0; i < 100000; i++)
        printf "\"%d.5\",\"%0420de0\",\"5e1\",\"8e0\",\"1e0\",\"1e0\",\"1e0\",\"1e0\",\"idle\"\n", i, 50
}' >"$big"
rows=$(($(wc -l <"$big") - 1))

# reading NAME: has the daemon this dropped file open? It has for a moment only: to start a process would take longer.
# shellcheck disable=SC2317 # wait_for calls it
reading()
{
    local fd

    for fd in "/proc/$DAEMON_PID/fd"/*; do
        [[ ! $fd -ef $DROP/$1 ]] || return 0
    done
    return 1
}

# drop_big NAME: drops the large file and waits until it is being read.
# shellcheck disable=SC2317 # check calls it
drop_big()
{
    cp "$big" "$SITE/.$1" && mv "$SITE/.$1" "$DROP/$1"
    wait_for reading "$1"
}

# order: the names in the order in which the ledger has them, started apart; pieces that follow each other are one.
order() { ledger | awk -F, '$4 != "started" && $5 != last { printf "%s%s", (n++ ? " " : ""), last = $5 }'; }

# whole NAME: is all of this copy of the large file booked? It may be so in pieces.
# shellcheck disable=SC2317 # wait_for calls it
whole() { [[ $(ledger | awk -F, -v name="$1" '$5 == name { bytes = $6 } END { print bytes }') == "$(stat -c %s "$big")" ]]; }

site others
start_daemon
check "a large file is being read" drop_big big.csv
sample 3 1 | put small.csv
check "a small one that comes then" wait_for booked small.csv merged
check "and the large one are merged" wait_for whole big.csv
is "$(order)" "small.csv big.csv" "the small one did not wait for it"
is "$(rows_of big.csv | wc -l)" "$rows" "all rows of the large one are there"
cp "$big" "$SITE/.again" && mv "$SITE/.again" "$DROP/copy.csv"
check "a copy of it is a duplicate" wait_for booked copy.csv duplicate
stop_daemon

site two
cp "$big" "$DROP/one.csv"
sed 's/idle/mixed/' "$big" >"$DROP/two.csv"
sample 3 1 >"$DROP/three.csv"
exits 0 "merge reads large files one after the other" cli merge
has "$OUT" "3 merged.*$((2 * rows + 3)) rows merged" "all of them in one run"

site changes
start_daemon
check "a large file is being read" drop_big grown.csv
printf '100000,50,50,8,1,1,1,1,idle\n' >>"$DROP/grown.csv"
check "and grows: all its rows are merged" wait_for gives $((rows + 1)) stat_of main_training_samples
is "$(rows_of grown.csv | wc -l)" $((rows + 1)) "each once"
rm "$DROP/grown.csv"
check "another" drop_big gone.csv
rm "$DROP/gone.csv"
sample 3 1 | put after.csv
check "is removed while it is read" wait_for booked after.csv
check "and is waited for no more" wait_for gives 0 stat_of waiting
is "$(verdicts gone.csv)" "" "nothing of it is booked"
check "another" drop_big replaced.csv
sample 4 2 >"$SITE/new" && mv "$SITE/new" "$DROP/replaced.csv"
check "is replaced while it is read: the new one counts" wait_for booked replaced.csv merged
is "$(rows_of replaced.csv | wc -l)" 4 "and it alone"
stop_daemon

site signals
start_daemon
check "a large file is being read" drop_big big.csv
stop_daemon "SIGTERM ends the reading"
is "$(order)" "" "nothing is booked of it"
start_daemon
check "the next start begins again" wait_for reading big.csv
kill -HUP "$DAEMON_PID"
check "a reload, too" wait_for whole big.csv
rm "$DROP/big.csv"
check "another one is being read" drop_big killed.csv
kill_daemon
is "$(find "$DATA/state" -name '.*' | wc -l)" 0 "kill -9 leaves no temporary file"
start_daemon
check "after a kill it is known as what it is" wait_for booked killed.csv duplicate
stop_daemon

site beside
start_daemon
check "a large file is being read" drop_big big.csv
exits 0 "merge beside the daemon reads it, too" cli merge
check "it is booked" wait_for whole big.csv
sample 3 1 | put small.csv
check "the daemon goes on" wait_for gives $((rows + 3)) stat_of main_training_samples
wait_for gives 0 stat_of waiting
is "$(training_rows)" $((rows + 3)) "its rows are there once"
stop_daemon

# Without quotes it takes the quick pass.
plain=$TMP/plain.csv
{
    echo "$COLUMNS_REQUIRED"
    seq 40000 | sed "s/\$/,50.$(printf %0300d 0),50,8,1,1,1,1,idle/"
} >"$plain"

site plain
cp "$plain" "$DROP/plain.csv"
exits 0 "a large file without quotes" cli merge
check "is merged as it is" same_bytes <(rows_of plain.csv | cut -d , -f 1-9) <(tail -n +2 "$plain")
seq 40001 50000 | sed 's/$/,50,50,8,1,1,1,1,idle/' >>"$DROP/plain.csv"
exits 0 "it grows a lot" cli merge
is "$(verdicts plain.csv)" "merged grown" "that is seen"
check "all is there once, in order" same_bytes <(tail -n +2 "$DATA/training_data.csv" | cut -d , -f 1-9) \
    <(tail -n +2 "$DROP/plain.csv")

# --- Its rows take long to append, and others do not wait for that: they are booked in pieces.

# slow_append: from now on the daemon takes long for each 4 MiB that it appends of a large file.
slow_append()
{
    strace -f -e trace=copy_file_range -e inject=copy_file_range:delay_enter=300000 -o /dev/null -p "$DAEMON_PID" \
        2>"$SITE/strace.err" &
    tracer=$!
    started+=("$tracer")
    wait_for grep -q attached "$SITE/strace.err"
}

# Quick again, from the next 4 MiB on. (The leak checker of an ASan build cannot work beside a tracer.)
quick_append()
{
    kill "$tracer"
    wait "$tracer"
    forget_pid "$tracer"
}

# drop_long NAME SUFFIX: a large file of 40 MB in 40,000 rows; it is being appended.
# shellcheck disable=SC2317 # check calls it
drop_long()
{
    {
        echo "$COLUMNS_REQUIRED"
        seq 40000 | sed "s/\$/.$2,50.$(printf %0950d 0),50,8,1,1,1,1,idle/"
    } >"$SITE/.long"
    appended=$(stat -c %s "$DATA/training_data.csv")
    mv "$SITE/.long" "$DROP/$1"
    wait_for appending "$((appended + 4096))"
}

# appending SIZE: is the training file larger than that?
# shellcheck disable=SC2317 # wait_for calls it
appending() { (($(stat -c %s "$DATA/training_data.csv") > $1)); }

# all_of NAME: has the training file all rows of this large file, each once, in order?
# shellcheck disable=SC2317 # check calls it
all_of() { same_bytes <(rows_of "$1" | cut -d , -f 1-9) <(tail -n +2 "$DROP/$1"); }

if command -v strace >/dev/null; then
    site pieces
    start_daemon
    slow_append
    check "a large file is being appended" drop_long long.csv 1
    gzip -c "$DROP/long.csv" | put copy.csv.gz # weighs little
    sample 3 1 | put small.csv
    check "a small one that comes then" wait_for booked small.csv merged
    part=$(rows_of long.csv | wc -l)
    check "does not wait for all of it" test "$part" -gt 0 -a "$part" -lt 40000
    quick_append
    check "the rest follows" wait_for all_of long.csv
    has "$(order)" "long.csv small.csv long.csv" "in the order of the ledger"
    has "$(verdicts long.csv)" "^merged grown" "as if it had grown"
    check "it is told once, as a whole" wait_for grep -q "merged long.csv: 40000 rows" "$SITE/daemon.log"
    is "$(grep -c "grown long.csv" "$SITE/daemon.log")" 0 "and no part of it"
    check "a copy that came in between is a duplicate" wait_for booked copy.csv.gz duplicate
    is "$(rows_of copy.csv.gz | wc -l)" 0 "of which no row is merged"
    wait_for gives 0 stat_of waiting
    stop_daemon

    site pieces-killed
    start_daemon
    slow_append
    check "a large file is being appended" drop_long long.csv 1
    sample 3 1 | put small.csv
    check "a small one has its turn" wait_for booked small.csv merged
    kill_daemon
    check "then the daemon is killed: a part is booked" test "$(verdicts long.csv)" = merged
    start_daemon
    check "the next one books the rest, each row once, in order" wait_for all_of long.csv
    slow_append
    check "another large file is being appended" drop_long other.csv 2
    kill -TERM "$DAEMON_PID"
    quick_append
    stop_daemon "SIGTERM does not wait for all of it"
    part=$(rows_of other.csv | wc -l)
    check "a part is booked" test "$part" -gt 0 -a "$part" -lt 40000
    mv "$DROP/other.csv" "$DROP/renamed.csv"
    exits 0 "the next run finds the file under another name" cli merge
    is $(($(rows_of other.csv | wc -l) + $(rows_of renamed.csv | wc -l))) 40000 "each of its rows is there once"
    is "$(grep -c "the last run ended" <<<"$ERR")" 0 "that was no crash"

    site pieces-copied
    start_daemon
    slow_append
    check "a large file is being appended" drop_long long.csv 1
    sample 3 1 | put small.csv
    check "a small one has its turn" wait_for booked small.csv merged
    kill_daemon
    cp "$DROP/long.csv" "$DROP/a-copy.csv"
    rm -f "$DATA"/state/{seen,waiting.csv}
    exits 0 "a copy of it is read before it, and nobody knows its name or inode any more" cli merge
    has "$(verdicts a-copy.csv)" "^grown" "what is booked is known by its content"
    is "$(training_rows)" 40003 "each row stands there once"
else
    skip "a large file in pieces" "no strace"
fi

site full rescan=1
if as_root && mount -t tmpfs -o size=80m tmpfs "$DATA" 2>"$SITE/mount"; then
    mounted+=("$DATA")
    mkdir "$DROP"
    start_daemon
    cp "$big" "$DROP/big.csv"
    check "there is no room for the rows of a large file" wait_for grep -q "No space left" "$SITE/daemon.log"
    is "$(verdicts big.csv)" "" "it is not booked"
    mount -o remount,size=300m "$DATA"
    # What the disk had no room for is tried again after ten seconds; the lock and the rows may both fail, in turn.
    WAIT=40 check "once there is room it is merged" wait_for whole big.csv
    is "$(training_rows)" "$rows" "all of it, once"
    stop_daemon
else
    skip "no room for a large file" "no tmpfs: $(cat "$SITE/mount" 2>/dev/null)"
fi

site bad
echo '100000,50,50,8,1,1,1,1,idling' | cat "$big" - >"$TMP/bad.csv"
cp "$TMP/bad.csv" "$DROP/bad.csv"
exits 1 "a large file whose last row is bad" cli merge
quarantined bad.csv constraint-error "is in quarantine" "$TMP/bad.csv"
is "$(training_rows)" 0 "and no row of it in the training file"

site rows
config bad_rows=reject-rows
cp "$TMP/bad.csv" "$DROP/bad.csv"
exits 0 "with reject-rows" cli merge
is "$(training_rows)" "$rows" "its good rows are merged"
is "$(tail -n 1 "$DATA/quarantine/bad.csv.rejects.csv")" "100000,50,50,8,1,1,1,1,idling" "and the bad one is kept apart"

finish

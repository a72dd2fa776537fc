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
check "a small one that comes then" wait_for recorded small.csv merged
check "and the large one are merged" wait_for whole big.csv
is "$(order)" "small.csv big.csv" "the small one did not wait for it"
is "$(rows_of big.csv | wc -l)" "$rows" "all rows of the large one are there"
cp "$big" "$SITE/.again" && mv "$SITE/.again" "$DROP/copy.csv"
check "a copy of it is a duplicate" wait_for recorded copy.csv duplicate
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
check "is removed while it is read" wait_for recorded after.csv
check "and is waited for no more" wait_for gives 0 stat_of waiting
is "$(verdicts gone.csv)" "" "nothing of it is booked"
check "another" drop_big replaced.csv
sample 4 2 >"$SITE/new" && mv "$SITE/new" "$DROP/replaced.csv"
check "is replaced while it is read: the new one counts" wait_for recorded replaced.csv merged
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
check "after a kill it is known as what it is" wait_for recorded killed.csv duplicate
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

finish

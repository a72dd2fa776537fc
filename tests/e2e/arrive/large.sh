#!/bin/bash
# Large files are read in the background and appended in one batch: small files do not wait for them, a large file has one
# ledger line, and whatever interrupts its reading or its appending, no row is lost or doubled.
# shellcheck disable=SC2317 # check and wait_for call functions by name
# shellcheck source=tests/lib/e2e.sh
. "$(dirname "$0")/../../lib/e2e.sh"

# Quoted cells and numbers with exponents take the longest to check. The rows are long, because the checker takes its time for
# each row, and distinct, so that it knows their places.
rows=60000
[[ -z ${TEST_SHORT-} ]] || rows=30000
big=$TMP/big.csv
awk -v rows="$rows" -v header="$COLUMNS_REQUIRED" 'BEGIN {
    print header
    for (i = 0; i < rows; i++)
        printf "\"%d.5\",\"%0420de0\",\"5e1\",\"8e0\",\"1e0\",\"1e0\",\"1e0\",\"1e0\",\"idle\"\n", i, 50
}' >"$big"

# reading NAME: succeed if the daemon has this dropped file open. That lasts for a moment only: this starts no process.
reading()
{
    local fd

    for fd in "/proc/$DAEMON_PID/fd"/*; do
        [[ ! $fd -ef $DROP/$1 ]] || return 0
    done
    return 1
}

# drop_big NAME: drop the large file and wait until the daemon reads it.
drop_big()
{
    cp "$big" "$SITE/.$1" && mv "$SITE/.$1" "$DROP/$1"
    wait_for reading "$1"
}

# order: print the names in the ledger, in their order.
order() { ledger | awk -F, '$4 != "started" { printf "%s%s", (n++ ? " " : ""), $5 }'; }

test_case beside-small-files && {
    start_daemon
    check "the daemon reads a large file" drop_big big.csv
    sample 3 1 | put small.csv
    check "a small file that arrives meanwhile is merged" wait_for recorded small.csv merged
    check "the large file is merged" wait_for recorded big.csv merged
    is "$(order)" "small.csv big.csv" "the small file did not wait for the large one"
    is "$(verdicts big.csv)" merged "the large file has one ledger line"
    is "$(rows_of big.csv | wc -l)" "$rows" "all its rows are merged"
    cp "$big" "$SITE/.again" && mv "$SITE/.again" "$DROP/copy.csv"
    check "a copy of it is a duplicate" wait_for recorded copy.csv duplicate
    is "$(training_rows)" $((rows + 3)) "the copy adds no row"
}

test_case several && {
    cp "$big" "$DROP/one.csv"
    sed 's/idle/mixed/' "$big" >"$DROP/two.csv"
    sample 3 1 >"$DROP/three.csv"
    exits 0 "merge takes two large files and a small one" cli merge
    has "$OUT" "3 merged.*$((2 * rows + 3)) rows merged" "all of them are merged in one run"
}

test_case changed-meanwhile && {
    start_daemon
    check "the daemon reads a large file" drop_big grown.csv
    printf '100000,50,50,8,1,1,1,1,idle\n' >>"$DROP/grown.csv"
    check "a row that is appended meanwhile is merged, too" wait_for gives $((rows + 1)) stat_of main_training_samples
    is "$(rows_of grown.csv | wc -l)" $((rows + 1)) "each row of the grown file is merged once"
    rm "$DROP/grown.csv"
    check "the daemon reads a second large file" drop_big gone.csv
    rm "$DROP/gone.csv"
    sample 3 1 | put after.csv
    check "that file is removed meanwhile: the next file is merged" wait_for recorded after.csv
    check "no file waits" wait_for gives 0 stat_of waiting
    is "$(verdicts gone.csv)" "" "the removed file has no ledger line"
    check "the daemon reads a third large file" drop_big replaced.csv
    sample 4 2 >"$SITE/new" && mv "$SITE/new" "$DROP/replaced.csv"
    check "that file is replaced meanwhile: the new one is merged" wait_for recorded replaced.csv merged
    is "$(rows_of replaced.csv | wc -l)" 4 "only the rows of the new file are merged"
}

test_case interrupted-reading && {
    start_daemon
    check "the daemon reads a large file" drop_big big.csv
    stop_daemon "SIGTERM interrupts the reading"
    is "$(order)" "" "the file has no ledger line"
    start_daemon
    check "the next daemon reads it again" wait_for reading big.csv
    kill -HUP "$DAEMON_PID"
    check "it is merged after a reload" wait_for recorded big.csv merged
    rm "$DROP/big.csv"
    check "the daemon reads a copy" drop_big killed.csv
    kill_daemon
    is "$(find "$DATA/state" -name '.*' | wc -l)" 0 "kill -9 leaves no temporary file"
    start_daemon
    check "the next daemon knows the copy as a duplicate" wait_for recorded killed.csv duplicate
    is "$(training_rows)" "$rows" "each row is merged once"
}

# appending SIZE: succeed if the training file is larger than that.
appending() { (($(stat -c %s "$DATA/training_data.csv") > $1)); }

test_case killed-while-appending && {
    if command -v strace >/dev/null; then
        start_daemon
        sample 3 1 | put small.csv
        check "a small file is merged" wait_for recorded small.csv merged
        size=$(stat -c %s "$DATA/training_data.csv")
        strace -f -e trace=fdatasync,fsync -e inject=fdatasync,fsync:delay_enter=3000000 -o "$SITE/strace" -p "$DAEMON_PID" \
            2>"$SITE/strace.err" &
        tracer=$!
        started+=("$tracer")
        wait_for grep -q attached "$SITE/strace.err"
        check "the daemon reads a large file" drop_big big.csv
        check "the daemon appends its rows" wait_for appending $((size + 1000000))
        kill_daemon
        wait "$tracer" 2>/dev/null
        forget_pid "$tracer"
        is "$(verdicts big.csv)" "" "killed before the commit: the file has no ledger line"
        start_daemon
        check "the next daemon merges it" wait_for recorded big.csv merged
        is "$(verdicts big.csv)" merged "it has one ledger line"
        is "$(training_rows)" $((rows + 3)) "each row is merged once"
        is "$(tail -n +2 "$DATA/training_data.csv" | sort -u | wc -l)" $((rows + 3)) "no row is doubled"
    else
        skip "killed while a large file is appended" "no strace"
    fi
}

test_case merge-beside-daemon && {
    start_daemon
    check "the daemon reads a large file" drop_big big.csv
    exits 0 "merge beside the daemon takes the file, too" cli merge
    check "it is merged" wait_for recorded big.csv merged
    sample 3 1 | put small.csv
    check "the daemon goes on" wait_for gives $((rows + 3)) stat_of main_training_samples
    wait_for gives 0 stat_of waiting
    is "$(training_rows)" $((rows + 3)) "each row is merged once"
}

test_case unquoted && {
    plain=$TMP/plain.csv
    {
        echo "$COLUMNS_REQUIRED"
        seq 40000 | sed "s/\$/,50.$(printf %0300d 0),50,8,1,1,1,1,idle/"
    } >"$plain"
    cp "$plain" "$DROP/plain.csv"
    exits 0 "merge takes a large file without quotes, by the fast path" cli merge
    check "its rows are merged verbatim" same_bytes <(rows_of plain.csv | cut -d , -f 1-9) <(tail -n +2 "$plain")
    seq 40001 50000 | sed 's/$/,50,50,8,1,1,1,1,idle/' >>"$DROP/plain.csv"
    exits 0 "merge takes 10,000 more rows" cli merge
    is "$(verdicts plain.csv)" "merged grown" "the file is grown"
    check "each row is merged once and in order" same_bytes <(tail -n +2 "$DATA/training_data.csv" | cut -d , -f 1-9) \
        <(tail -n +2 "$DROP/plain.csv")
}

test_case disk-full rescan=1 && {
    if as_root && mount -t tmpfs -o size=$((rows * 850)) tmpfs "$DATA" 2>"$SITE/mount"; then
        mounted+=("$DATA")
        mkdir "$DROP"
        start_daemon
        cp "$big" "$DROP/.big" && mv "$DROP/.big" "$DROP/big.csv"
        check "the disk has no room for the rows of a large file" wait_for grep -q "No space left" "$LOG"
        is "$(verdicts big.csv)" "" "the file has no ledger line"
        mount -o remount,size=300m "$DATA"
        check "with more room it is merged" wait_for recorded big.csv merged
        is "$(training_rows)" "$rows" "each row is merged once"
    else
        skip "no room for a large file" "not root, or no tmpfs"
    fi
}

test_case bad-row && {
    echo '100000,50,50,8,1,1,1,1,idling' | cat "$big" - >"$TMP/bad.csv"
    cp "$TMP/bad.csv" "$DROP/bad.csv"
    exits 1 "merge of a large file whose last row is bad exits 1" cli merge
    quarantined bad.csv constraint-error "the file goes to quarantine" "$TMP/bad.csv"
    is "$(training_rows)" 0 "no row of it is merged"
}

test_case bad-row-rejected bad_rows=reject-rows && {
    echo '100000,50,50,8,1,1,1,1,idling' | cat "$big" - >"$DROP/bad.csv"
    exits 0 "merge with bad_rows = reject-rows exits 0" cli merge
    is "$(training_rows)" "$rows" "the good rows are merged"
    is "$(tail -n 1 "$DATA/quarantine/bad.csv.rejects.csv")" "100000,50,50,8,1,1,1,1,idling" "the bad row is kept apart"
}

finish

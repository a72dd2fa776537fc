#!/bin/bash
# Files that begin with merged content: known under any name, without the cache, in one batch, and while a large file is read.
# shellcheck disable=SC2317 # check and wait_for call functions by name
# shellcheck source=tests/lib/e2e.sh
. "$(dirname "$0")/../../lib/e2e.sh"

# numbers FROM TO: rows with these timestamps.
numbers() { seq "$1" "$2" | sed 's/$/,50,50,8,1,1,1,1,idle/'; }

# file TO: a file with the timestamps from 1 on.
file()
{
    echo "$COLUMNS_REQUIRED"
    numbers 1 "$1"
}

# each_once N: succeed if the training file holds the timestamps from 1 to N, each once.
each_once() { same_bytes <(tail -n +2 "$DATA/training_data.csv" | cut -d , -f 1 | sort -n) <(seq "$1"); }

test_case rotated && {
    file 3 >"$DROP/log.csv"
    exits 0 "a log is merged" cli merge
    rm -f "$DATA/state/seen"
    mv "$DROP/log.csv" "$DROP/log-1.csv"
    numbers 4 6 >>"$DROP/log-1.csv"
    exits 0 "it is rotated and grows, and the cache is lost" cli merge
    is "$(verdicts log-1.csv)" grown "the rotated log has grown"
    check "each row is merged once" each_once 6
    rm -f "$DATA/state/seen"
    mv "$DROP/log-1.csv" "$DROP/log-2.csv"
    exits 0 "it is rotated again, without new rows" cli merge
    is "$(verdicts log-2.csv)" duplicate "there is nothing to merge"
    numbers 7 7 >>"$DROP/log-2.csv"
    gzip "$DROP/log-2.csv"
    mv "$DROP/log-2.csv.gz" "$DROP/log-3.csv.gz"
    exits 0 "it grows, is compressed and renamed" cli merge
    check "each row is merged once" each_once 7
}

test_case timer merge=timer interval=3600 && {
    file 4 >"$DROP/log.csv"
    start_daemon
    exits 0 "merge runs beside a daemon that waits for its timer" cli merge
    mv "$DROP/log.csv" "$DROP/log-1.csv"
    numbers 5 5 >>"$DROP/log-1.csv"
    kill -USR1 "$DAEMON_PID"
    check "the daemon merges the rotated log" wait_for recorded log-1.csv grown
    check "each row is merged once" each_once 5
}

test_case one-batch && {
    file 9 >"$DROP/c.csv"
    file 3 >"$DROP/a.csv"
    file 6 >"$DROP/b.csv"
    file 9 | gzip >"$DROP/d.csv.gz"
    exits 0 "files that begin alike are merged in one run" cli merge
    check "each row is merged once" each_once 9
}

test_case no-newline && {
    file 3 | head -c -1 >"$DROP/log.csv"
    exits 0 "a file without its last line end is merged" cli merge
    rm -f "$DATA/state/seen"
    rm "$DROP/log.csv"
    file 5 >"$DROP/log-1.csv"
    exits 0 "it comes back under another name, with that line end and more rows" cli merge
    check "each row is merged once" each_once 5
}

# An earlier state of the file stands there as a copy, too: the rows behind it were merged from the file itself.
test_case edited && {
    file 3 >"$DROP/log.csv"
    exits 0 "a file is merged" cli merge
    cp "$DROP/log.csv" "$DROP/copy.csv"
    exits 0 "and a copy of it" cli merge
    numbers 4 6 >>"$DROP/log.csv"
    exits 0 "the file grows" cli merge
    sed -i 's/^4,/4.5,/' "$DROP/log.csv"
    exits 1 "a row behind the copied ones is changed" cli merge
    has "$(verdicts log.csv)" quarantined "the file is rejected"
    check "each row is merged once" each_once 6
}

test_case one-row && {
    file 1 >"$DROP/a.csv"
    exits 0 "a file of one row is merged" cli merge
    file 2 >"$DROP/b.csv"
    exits 0 "another file begins with the same row, by chance" cli merge
    is "$(training_rows)" 3 "its row counts for itself while the first file is there"
}

test_case two-users && {
    for user in u1 u2; do
        file $((3 + ${user#u})) | sed '1s/$/,user_id/; 2,$s/$/,all/' >"$DROP/${user}_external_20240101_120000.csv"
    done
    exits 0 "two files begin alike, and their names tell different users" cli merge
    is "$(training_rows)" 9 "both are merged whole"
}

# reading NAME: succeed if the daemon has this dropped file open.
reading()
{
    local fd

    for fd in "/proc/$DAEMON_PID/fd"/*; do
        [[ ! $fd -ef $DROP/$1 ]] || return 0
    done
    return 1
}

# Long quoted rows take long to check.
rows=30000
big()
{
    echo "$COLUMNS_REQUIRED"
    seq "$rows" | awk '{ printf "\"%d\",\"%0420de0\",\"5e1\",\"8e0\",\"1e0\",\"1e0\",\"1e0\",\"1e0\",\"idle\"\n", $1, 50 }'
}

# meanwhile NAME: the large file NAME is dropped, and its first rows as a file of their own while it is read.
meanwhile()
{
    start_daemon
    mv "$SITE/.big" "$DROP/$1"
    check "the daemon reads a large file" wait_for reading "$1"
    mv "$SITE/.begin" "$DROP/begin.csv"
    check "its first rows arrive under another name, and are merged" wait_for recorded begin.csv merged
    check "then the large file is merged" wait_for recorded "$1" grown
    check "each row is merged once" each_once "$rows"
}

test_case large && {
    big >"$SITE/.big"
    head -n 1001 "$SITE/.big" >"$SITE/.begin"
    meanwhile big.csv
}

test_case large-packed && {
    big >"$SITE/.plain"
    head -n 1001 "$SITE/.plain" >"$SITE/.begin"
    { cat "$SITE/.plain"; } | gzip -1 >"$SITE/.big"
    truncate -s 0 "$SITE/.plain"
    start_daemon
    mv "$SITE/.begin" "$DROP/begin.csv"
    mv "$SITE/.big" "$DROP/big.csv.gz"
    check "a compressed large file and its first rows are merged" wait_for gives "$rows" stat_of main_training_samples
    check "each row is merged once" each_once "$rows"
}

finish

#!/bin/bash
# Transfers that are cut behind a row, over an older version of the file, and by a full disk; and sent again.
# shellcheck disable=SC2317 # called by name
# shellcheck source=tests/lib/interrupted.sh
. "$(dirname "$0")/../../lib/interrupted.sh"

# --- Cut exactly behind a row: that cannot be told from a whole file

open_site line-end
start_daemon
for way in cp cat; do
    name=$(file_of "$way" line)
    cp "$TMP/whole.csv" "$SRC/$name"
    interrupt "$way" "$name" KILL "$(head -n 3001 "$TMP/whole.csv" | wc -c)"
    head -n 3001 "$TMP/whole.csv" >"$SITE/begun"
    arrived "$name" "$SITE/begun" "$way cut behind a row: its rows are merged"
    again "$way" "$name"
    arrived "$name" "$TMP/whole.csv" "sent again, the others are"
    is "$(verdicts "$name")" "merged grown" "as grown"
done
is "$(in_quarantine)" '' "nothing is in quarantine"

# --- Over an older version that has all its rows in the new one

open_site grown
start_daemon
ways=(cp cat curl)
[[ -z $ssh ]] || ways+=(scp scp-O sftp-put rsync rsync-partial rsync-inplace rsync-append)
head -n 1501 "$TMP/whole.csv" >"$SITE/old"
for way in "${ways[@]}"; do
    name=$(file_of "$way" over)
    cp "$TMP/whole.csv" "$SRC/$name"
    put "$name" <"$SITE/old"
    arrived "$name" "$SITE/old" "$way: an older version is merged"
    if [[ $way == cp || $way == cat ]]; then
        interrupt "$way" "$name" KILL 40000 # shorter than it was
    else
        interrupt "$way" "$name" KILL
    fi
done
after_verdict
for way in "${ways[@]}"; do
    name=$(file_of "$way" over)
    check "$way over it, cut: no row but the first ones" only_begun "$name" "$TMP/whole.csv"
    check "$way: and none is lost" test "$(rows_of "$name" | wc -l)" -ge 1500
done
for way in "${ways[@]}"; do
    again "$way" "$(file_of "$way" over)"
done
for way in "${ways[@]}"; do
    name=$(file_of "$way" over)
    check "$way, sent again: all its rows" wait_for merged_whole "$name" "$TMP/whole.csv"
done
after_verdict
is "$(in_quarantine)" '' "a version that was cut short has left quarantine again"
is "$(training_rows)" $((${#ways[@]} * ROWS)) "each row once"

# --- Over an older version with other rows, in place: new rows, then old ones, and every row of them is good

same_length()
{
    awk -v rows="$1" -v seed="$2" -v header="$COLUMNS_REQUIRED" 'BEGIN {
        print header
        for (i = 0; i < rows; i++)
            printf "%d,50,50,%d,1,1,1,1,idle\n", 100000 + i, seed
    }'
}

open_site changed
start_daemon
same_length 20000 1 >"$SITE/old"
same_length 16000 2 >"$SITE/new"
ways=(dd)
[[ -z $ssh ]] || ways+=(scp scp-O rsync-inplace)
for way in "${ways[@]}"; do
    name=$(file_of "$way" changed)
    cp "$SITE/new" "$SRC/$name"
    put "$name" <"$SITE/old"
    arrived "$name" "$SITE/old" "$way: a version with other rows is merged"
    if [[ $way == dd ]]; then
        dd if="$SITE/new" of="$DROP/$name" conv=notrunc iflag=count_bytes bs=1M status=none \
            count="$(head -n 5001 "$SITE/new" | wc -c)"
    elif [[ $way == rsync-inplace ]]; then
        way_rsync-inplace-whole() { by_rsync "$1" "$2" -a --inplace -W; }
        interrupt rsync-inplace-whole "$name" server
    else
        interrupt "$way" "$name" KILL
    fi
    quarantined "$name" changed-file "$way: new rows and old ones behind them: changed-file"
    check "$way: of which none is merged" merged_whole "$name" "$SITE/old"
    cp "$SITE/new" "$DROP/$name"
    wait_for gives "merged quarantined quarantined" verdicts "$name"
    is "$(verdicts "$name")" "merged quarantined quarantined" "$way: sent again, it is other content than was merged"
done
is "$(training_rows)" $((20000 * ${#ways[@]})) "the rows are those of the old versions"

# --- A disk that is full: scp makes the file longer than what was written, by NUL bytes

open_site full
if [[ -n $ssh ]] && mount -t tmpfs -o size=200k tmpfs "$DROP" 2>"$SITE/mount"; then
    mounted+=("$DROP")
    start_daemon
    name=$(file_of scp full)
    cp "$TMP/whole.csv" "$SRC/$name"
    $SCP "$SRC/$name" "$HOST:$DROP/" 2>"$SITE/out" && fail "scp: the disk is full"
    check "scp left a file larger than the disk" test "$(stat -c %s "$DROP/$name")" -gt 204800
    quarantined "$name" encoding-error "which goes to quarantine for its NUL bytes"
    mount -o remount,size=8m "$DROP"
    again scp "$name"
    check "sent again when there is space, it is merged" wait_for merged_whole "$name" "$TMP/whole.csv"
    is "$(verdicts "$name")" "quarantined merged" "once"
    is "$(training_rows)" "$ROWS" "with its rows and no other"
    stop_daemon
else
    skip "scp to a full disk" "no mount, or no sshd"
fi

finish

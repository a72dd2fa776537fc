#!/bin/bash
# What a crash, a hand or a disk has done to ledger and training file, and what the next start makes of it.
# shellcheck source=tests/lib/e2e.sh
. "$(dirname "$0")/../../lib/e2e.sh"

# three_batches: three files of 10 rows, each merged by a run of its own; quick to repeat.
three_batches()
{
    local i

    for i in 1 2 3; do
        sample 10 "$i" >"$DROP/f$i.csv"
        cli merge >>"$SITE/merge.out" 2>&1
    done
    LEDGER=$DATA/state/ledger.csv
    TRAINING=$DATA/training_data.csv
    cp "$LEDGER" "$SITE/ledger.whole"
    cp "$TRAINING" "$SITE/training.whole"
}

# repaired TEXT: merge succeeds, and every row of the three files stands there once.
repaired()
{
    exits 0 "$1: merge succeeds" cli merge
    is "$(tail -n +2 "$TRAINING" | sort)" "$(tail -n +2 "$SITE/training.whole" | sort)" "$1: each row stands there once"
}

# refused CODE TEXT: merge and the daemon exit with it, and not a byte of either file has changed.
refused()
{
    local before

    before=$(fingerprint "$LEDGER" "$TRAINING" "$DROP")
    exits "$1" "$2: merge exits $1" cli merge
    exits "$1" "$2: the daemon exits $1" timeout "$WAIT" "$DAEMON" -c "$INI" "${ALLOW_ROOT[@]}"
    is "$(fingerprint "$LEDGER" "$TRAINING" "$DROP")" "$before" "$2: nothing is touched"
}

# put_back: the site as it was, for the checker.
put_back()
{
    cp "$SITE/ledger.whole" "$LEDGER"
    cp "$SITE/training.whole" "$TRAINING"
}

# flip FILE OFFSET: change one byte of the file.
flip()
{
    local byte

    byte=$(tail -c +$(($2 + 1)) "$1" | head -c 1)
    if [[ $byte == 7 ]]; then byte=8; else byte=7; fi
    printf %s "$byte" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

# --- The ledger

site torn-ledger
three_batches
printf '9,9,2024-01-01T00:00:00Z,merg' >>"$LEDGER"
repaired "a line half written at the end of the ledger"
check "the ledger is as before" same_bytes "$LEDGER" "$SITE/ledger.whole"

truncate -s -7 "$LEDGER"
repaired "the last line cut"
is "$(verdicts f3.csv)" merged "the file is merged again"
check "rows that were not committed are saved" bash -c "cat '$DATA'/state/cut/* | grep -q ."
is "$(cat "$DATA"/state/cut/* | wc -l)" 10 "all of them"

site torn-ledger-line
three_batches
size=$(stat -c %s "$LEDGER")
flip "$LEDGER" $((size - 40))
repaired "a damaged last line"

site damaged-ledger
three_batches
flip "$LEDGER" "$(head -n 3 "$LEDGER" | head -c -30 | wc -c)"
refused 65 "a damaged earlier line"
put_back
sed -i 3d "$LEDGER"
refused 65 "a line missing"
put_back
sed -i '1s/seq/sequence/' "$LEDGER"
refused 65 "another header"
put_back
printf '\0\0\0\0\0\0\0\0' >>"$LEDGER"
repaired "zeros at the end of the ledger"

# --- The training file

site torn-training
three_batches
printf '1,2,3,4,5\n6,7,8' >>"$TRAINING"
repaired "bytes at the end that nobody committed"
check "the training file is as before" same_bytes "$TRAINING" "$SITE/training.whole"
is "$(cat "$DATA"/state/cut/*)" $'1,2,3,4,5\n6,7,8' "they are saved in state/cut"

site gone-training
three_batches
mv "$TRAINING" "$SITE/away.csv"
sample 10 4 >"$DROP/f4.csv"
exits 0 "the training file was moved away: merge" cli merge
is "$(training_rows)" 10 "it is started anew, with what is new"
is "$(head -n 1 "$TRAINING")" "$(head -n 1 "$SITE/away.csv")" "with its header"
is "$(ledger_column started 4 | wc -l)" 2 "as the ledger says"
is "$(verdicts f1.csv)" merged "what was merged stays merged"

site short-training
three_batches
truncate -s -10 "$TRAINING"
refused 65 "a shorter training file"
put_back
truncate -s 0 "$TRAINING"
refused 65 "an empty one"
put_back
exits 0 "put back, merge goes on" cli merge

site altered-training
three_batches
flip "$TRAINING" $(($(stat -c %s "$TRAINING") - 30))
refused 65 "a byte of the last range altered"
put_back
exits 0 "put back, merge goes on" cli merge

site header
three_batches
head -n 2 "$SITE/ledger.whole" >"$LEDGER"
head -n 1 "$SITE/training.whole" | head -c 11 >"$TRAINING"
repaired "a header half written after started"
site header-gone
three_batches
head -n 2 "$SITE/ledger.whole" >"$LEDGER"
rm "$TRAINING"
repaired "a header missing after started"

# --- A crash at each sync of a run; the next one cleans up.

site killed
three_batches
if strace -o "$SITE/strace" true 2>"$SITE/strace.err"; then
    calls=0
    for call in fdatasync fsync; do
        for ((n = 1; n < 12; n++)); do
            sample 3 "$((100 + calls))" >"$DROP/g$calls.csv"
            printf "bad\n%s\n" "$calls" >"$DROP/bad$calls.csv"
            run strace -f -o "$SITE/strace" -e trace="$call" -e inject="$call:signal=KILL:when=$n" \
                "$CLI" -c "$INI" "${ALLOW_ROOT[@]}" merge
            calls=$((calls + 1))
            ((CODE >= 128)) || break
        done
    done
    check "merge was killed at several of its syncs" test "$calls" -ge 4
    run cli merge
    check "the run after them succeeds" test "$CODE" -le 1
    is "$(training_rows)" $((30 + 3 * calls)) "each row stands there once"
    is "$(tail -n +2 "$TRAINING" | sort | uniq -d | wc -l)" 0 "none twice"
    is "$(find "$DATA/quarantine" -name 'bad*.csv' ! -name '*.errors.csv' | wc -l)" "$calls" "each bad file is in quarantine"
else
    skip "killed at each sync" "no strace"
fi

# --- A sync that fails while more is appended, or a crash at it: as at the end. Nearly always it is one of a thread.

if command -v strace >/dev/null; then
    for how in error=EIO signal=KILL; do
        site "early-${how#*=}"
        three_batches
        sample 120000 901 >"$DROP/early.csv"
        # A leak checker does not work beside a tracer.
        ASAN_OPTIONS=detect_leaks=0 run strace -f -o "$SITE/strace" \
            -e trace=fdatasync -e inject="fdatasync:$how:when=1" \
            "$CLI" -c "$INI" "${ALLOW_ROOT[@]}" merge
        check "$how at a sync while rows are appended: merge stops" test "$CODE" = 74 -o "$CODE" -ge 128
        exits 0 "the next one" cli merge
        is "$(training_rows)" $((30 + 120000)) "each row stands there once"
        is "$(tail -n +2 "$TRAINING" | sort | uniq -d | wc -l)" 0 "none twice"
    done
else
    skip "a sync that fails early" "no strace"
fi

site dirty
start_daemon
sample 5 1 | put one.csv
check "a file is merged" wait_for recorded one.csv merged
kill_daemon
printf 'rows of a batch that died' >>"$DATA/training_data.csv"
start_daemon
sample 5 2 | put two.csv
becomes 10 "after kill -9 the daemon cleans up and goes on" training_rows

# --- A training file that was there before

site adopted
sample 10 1 | sed '1!s/$/,old,web,normal,/;1s/.*/'"$COLUMNS_ALL"'/' >"$DATA/training_data.csv"
cp "$DATA/training_data.csv" "$SITE/before.csv"
exits 0 "a training file and no drops: merge" cli merge
is "$(ledger | cut -d , -f 4)" adopted "it is adopted"
check "as it is" same_bytes "$DATA/training_data.csv" "$SITE/before.csv"
sample 5 2 >"$DROP/new.csv"
exits 0 "merge after that" cli merge
arrived new.csv "$DROP/new.csv" "what comes is appended"
is "$(stat_of main_training_samples)" 15 "and all rows are counted"
is "$(stat_of users)" '{"anonymous":5,"old":10}' "for each user"

site other-order
{
    echo "phase,label,user_id,network_recv_mb,network_sent_mb,disk_write_mb,disk_read_mb,memory_used_gb,memory_percent,cpu_percent,timestamp"
    echo "idle,normal,old,8,7,6,5,4,3,2,1"
} >"$DATA/training_data.csv"
exits 0 "a training file with columns in another order" cli merge
printf '%s\n' "$COLUMNS_REQUIRED" 1,2,3,4,5,6,7,8,mixed >"$DROP/u7_web_20240101_000000.csv"
exits 0 "merge into it" cli merge
is "$(tail -n 1 "$DATA/training_data.csv")" "mixed,normal,u7,8,7,6,5,4,3,2,1" "rows are written in its order"

site unfit
echo "timestamp,phase" >"$DATA/training_data.csv"
echo "1,idle" >>"$DATA/training_data.csv"
before=$(fingerprint "$DATA/training_data.csv")
run cli merge
check "a training file without a required field is refused" test "$CODE" -ne 0
is "$(fingerprint "$DATA/training_data.csv")" "$before" "and not touched"
rm "$DATA/training_data.csv"
exits 0 "without it, merge starts" cli merge

# with_drops NAME: a training file that holds the rows of one of two drops.
with_drops()
{
    site "$1"
    LEDGER=$DATA/state/ledger.csv
    TRAINING=$DATA/training_data.csv
    sample 10 1 >"$DROP/u1_web_20240101_000000.csv"
    sample 10 2 >"$DROP/u2_web_20240101_000000.csv"
    {
        echo "$COLUMNS_ALL"
        expected_rows "$DROP/u1_web_20240101_000000.csv" u1_web_20240101_000000.csv
        expected_rows "$DROP/u2_web_20240101_000000.csv" u2_web_20240101_000000.csv
    } >"$TRAINING"
}

with_drops adopt-merged
refused 78 "a training file, drops and no ledger"
exits 64 "adopt must be told about the drops" cli adopt
exits 64 "in one of two words" cli adopt --drops perhaps
exits 0 "adopt --drops merged" cli adopt --drops merged
exits 0 "merge" cli merge
is "$(training_rows)" 20 "what lay there is not merged again"
sample 5 3 >"$DROP/u3_web_20240101_000000.csv"
more_rows 5 1 10 >>"$DROP/u1_web_20240101_000000.csv"
exits 0 "merge of what comes later" cli merge
is "$(training_rows)" 30 "new files and grown ones are"
is "$(verdicts u3_web_20240101_000000.csv)" merged "the one as new"
is "$(rows_of u1_web_20240101_000000.csv | wc -l)" 5 "the other with its new rows"

with_drops adopt-new
exits 0 "adopt --drops new" cli adopt --drops new
exits 0 "merge" cli merge
is "$(training_rows)" 40 "what lay there is merged"

site hand-edited
three_batches
sed -i 5d "$TRAINING"
exits 65 "a row taken out by hand: merge exits 65" cli merge
exits 0 "adopt takes the file as it is" cli adopt --drops merged
exits 0 "merge" cli merge
is "$(training_rows)" 29 "what was merged stays merged"
sample 5 4 >"$DROP/f4.csv"
exits 0 "merge of a new file" cli merge
is "$(training_rows)" 34 "goes on"
has "$(verdicts f1.csv)" '^merged' "the history is kept"
start_daemon
sample 5 5 | put f5.csv
becomes 39 "and so does the daemon" training_rows

# A file on its way of which the ledger knows nothing comes back as a new arrival.
site unknown-moving
sample 2 1 >"$DROP/a.csv"
run cli merge
sample 3 2 >"$DATA/state/moving/77.csv"
run cli merge
is "$(training_rows)" 5 "a file that was left in state/moving/ is dropped again and merged"
is "$(find "$DATA/state/moving" -type f)" '' "and nothing is left there"

# Adopting books the training file and the drops that are in it at once.
if command -v strace >/dev/null; then
    for when in 1 2 3; do
        site "adopt-killed-$when"
        sample 3 1 >"$DROP/a.csv"
        {
            echo "$COLUMNS_ALL"
            tail -n +2 "$DROP/a.csv" | sed 's/$/,anonymous,external,normal,/'
        } >"$DATA/training_data.csv"
        run strace -f -o "$SITE/strace" -e trace=fdatasync -e inject=fdatasync:signal=KILL:when=$when \
            "$CLI" -c "$INI" "${ALLOW_ROOT[@]}" adopt --drops merged
        run cli merge
        ((CODE == 78)) && run cli adopt --drops merged
        run cli merge
        is "$(training_rows)" 3 "adopt killed at sync $when: no row is doubled"
    done
else
    skip "adopt killed" "no strace"
fi

finish

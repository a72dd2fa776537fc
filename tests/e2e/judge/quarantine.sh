#!/bin/bash
# Bad files: when they are judged, where they go, what is said of them; and where accepted files go.
# shellcheck source=tests/lib/e2e.sh
. "$(dirname "$0")/../../lib/e2e.sh"

ROW=1,2,3,4,5,6,7,8,idle

site reject-file
sample 10 1 | sed '3s/,[^,]*$/,sleeping/;7s/^[^,]*,[^,]*/1,101.5/' >"$SITE/bad"
cp "$SITE/bad" "$DROP/bad.csv"
exits 1 "merge exits 1 when a file goes to quarantine" cli merge
quarantined bad.csv constraint-error "a bad file goes to quarantine whole" "$SITE/bad"
is "$(cut -d , -f 1-5 "$DATA/quarantine/bad.csv.errors.csv")" \
    $'line,column,field,code,value\n3,9,phase,constraint-error,sleeping\n7,2,cpu_percent,constraint-error,101.5' \
    "its list names line, column, field, code and value"
is "$(training_rows)" 0 "no row of it is merged"
is "$(ledger | awk -F, '$5 == "bad.csv" { print $4, $6, $9, $10 }')" "quarantined $(stat -c %s "$SITE/bad") 0 10" \
    "the ledger has its size and 10 rejected rows"
is "$(ledger | awk -F, '$5 == "bad.csv" { print $7 }')" "$(sha256sum "$SITE/bad" | cut -d ' ' -f 1)" "and its SHA-256"
check "without a list of rejected rows" test ! -e "$DATA/quarantine/bad.csv.rejects.csv"

# A pass that takes longer than settle: the last of its files are given their time of quiet, too.
site slow-pass
for i in 1 2 3 4 5; do
    sed 's/idle/sleeping/' < <(sample 5 "$i") >"$DROP/bad-$i.csv"
done
if command -v strace >/dev/null; then
    exits 1 "merge with slow reads" strace -f -qq -o /dev/null -e trace=openat2 -e inject=openat2:delay_enter=400000 \
        "$CLI" -c "$INI" "${ALLOW_ROOT[@]}" merge
    is "$(ledger_column quarantined 5 | sort | tr '\n' ' ')" 'bad-1.csv bad-2.csv bad-3.csv bad-4.csv bad-5.csv ' \
        "all bad files are in quarantine after one merge"
else
    skip "a pass that takes long" "no strace"
fi

site reject-rows bad_rows=reject-rows
{
    echo "$COLUMNS_REQUIRED"
    echo "$ROW"
    echo "2,oops,3,4,5,6,7,8,idle"
    echo "3,2,3,4,5,6,7,8,\"idle\""
    printf '4,200,3,4,5,6,7,8,"mixed"\r\n'
    echo "5,2,3"
    echo "6,2,3,4,5,6,7,8,mixed"
} >"$SITE/mixed"
cp "$SITE/mixed" "$DROP/mixed.csv"
run cli merge
is "$(rows_of mixed.csv)" "$ROW,anonymous,external,normal,
3,2,3,4,5,6,7,8,idle,anonymous,external,normal,
6,2,3,4,5,6,7,8,mixed,anonymous,external,normal," "reject-rows: the good rows merge"
is "$(ledger | awk -F, '$5 == "mixed.csv" { print $4, $9, $10 }')" "merged 3 3" "booked as merged, 3 rows, 3 rejected"
{
    sed -n 1p "$SITE/mixed"
    sed -n 3p "$SITE/mixed"
    sed -n 5,6p "$SITE/mixed"
} >"$SITE/rejects"
check "the bad rows stand as they came in the list of rejects, with the header" \
    same_bytes "$DATA/quarantine/mixed.csv.rejects.csv" "$SITE/rejects"
is "$(cut -d , -f 1-4 "$DATA/quarantine/mixed.csv.errors.csv" | tail -n +2 | head -n 2)" \
    $'3,2,cpu_percent,type-error\n5,2,cpu_percent,constraint-error' "the violations in the other"
has "$(tail -n 1 "$DATA/quarantine/mixed.csv.errors.csv")" '^6,.*missing-cell' "a row too short, too"
check "the file stays where it is" same_bytes "$DROP/mixed.csv" "$SITE/mixed"

site max-bad-percent bad_rows=reject-rows max_bad_percent=20
{
    sample 9 1
    echo oops,2,3,4,5,6,7,8,idle
} >"$DROP/ten.csv"
{
    sample 6 2
    printf '%s\n' oops,2,3,4,5,6,7,8,idle oops,3,3,4,5,6,7,8,idle
} >"$DROP/quarter.csv"
run cli merge
is "$(verdicts ten.csv) $(verdicts quarter.csv)" "merged quarantined" "above max_bad_percent a file is rejected whole"
is "$(training_rows)" 9 "with all its rows"
quarantined quarter.csv type-error "and goes to quarantine"

site many max_reported_errors=10
{
    echo "$COLUMNS_REQUIRED"
    yes "oops,200,3,4,5,6,7,8,idle" | head -n 5000
} >"$DROP/many.csv"
run cli merge
quarantined many.csv type-error "10,000 violations"
is "$(grep -c '^[0-9]' "$DATA/quarantine/many.csv.errors.csv")" 10 "the list is capped"
is "$(stat_of violations)" '{"constraint-error":5000,"type-error":5000}' "the count is not"

# --- Names

site names
printf "bad\none\n" >"$SITE/one"
printf "bad\ntwo\n" >"$SITE/two"
cp "$SITE/one" "$DROP/x.csv"
run cli merge
cp "$SITE/two" "$DROP/x.csv"
run cli merge
check "a second x.csv" same_bytes "$DATA/quarantine/x.csv.~2~" "$SITE/two"
check "leaves the first alone" same_bytes "$DATA/quarantine/x.csv" "$SITE/one"
check "and has a list of its own" \
    test "$(find "$DATA/quarantine" -name 'x.csv*errors*' | wc -l)" = 2
cp "$SITE/one" "$DROP/x.csv"
run cli merge
check "the first one sent again is dropped" test ! -e "$DROP/x.csv"
is "$(find "$DATA/quarantine" -type f | wc -l)" 4 "and does not pile up"
printf "bad\nthree\n" >"$DROP/x.csv"
run cli merge
is "$(tail -n 1 "$DATA/quarantine/x.csv.~3~")" "three" "a third is x.csv.~3~"

# --- When

site settle settle=3
start_daemon
printf '%s\nbad\n' "$COLUMNS_REQUIRED" | put slow.csv
for ((i = 0; i < 4; i++)); do
    now
    wait_for passed 1000 "$NOW"
    echo "$ROW" >>"$DROP/slow.csv"
done
wait_for test ! -e "$DROP/slow.csv" # it was quiet in between, where this machine is slow
quarantined slow.csv missing-cell "a bad file goes to quarantine"
judged=$(date -d "$(ledger | awk -F, '$5 == "slow.csv" { print $3; exit }')" +%s%3N)
check "only after it was quiet for settle" test $((judged - $(date -r "$DATA/quarantine/slow.csv" +%s%3N))) -ge 3000

site open settle=1
start_daemon
exec 7>>"$DROP/held.csv"
sample 5 1 | sed '3s/^[^,]*/oops/' >&7
after_verdict
is "$(verdicts held.csv)" '' "a bad file that a writer has open is not judged"
check "and stays where it is" test -e "$DROP/held.csv"
exec 7>&-
quarantined held.csv type-error "when it is closed, it is"

site open-archive source=archive settle=1
start_daemon
sample 5 1 >"$SITE/a"
cp "$SITE/a" "$DROP/held.csv"
exec 7>>"$DROP/held.csv"
after_verdict
check "with source = archive, what a writer has open stays" test -e "$DROP/held.csv"
exec 7>&-
check "and is archived when it is closed" wait_for same_bytes "$DATA/archive/held.csv" "$SITE/a"
is "$(training_rows)" 5 "its rows are merged once"

site wait stale=3600
start_daemon
: >"$DROP/empty.csv"
echo "$COLUMNS_REQUIRED" >"$DROP/header.csv"
printf '%s' "$COLUMNS_REQUIRED" >"$DROP/header-cut.csv"
sample 5 1 | head -c -20 >"$DROP/cut.csv"
after_verdict
after_verdict
is "$(verdicts empty.csv)$(verdicts header.csv)$(verdicts header-cut.csv)" '' "files with no bytes or only a header wait"
check "and stay" ls "$DROP/empty.csv" "$DROP/header.csv" "$DROP/header-cut.csv"
check "a file whose only fault is an incomplete last row is not judged before stale" \
    test ! -e "$DATA/quarantine/cut.csv"
run cli status
has "$OUT" 'empty\.csv' "status lists those that wait"
has "$OUT" 'header\.csv' "with a header, too"
has "$OUT" 'cut\.csv' "and the cut one"
exits 1 "check says what the cut one is" cli check "$DROP/cut.csv"
has "$OUT" 'cut\.csv:6: truncated-file' "truncated-file, in its last line"
sample 2 3 | tail -n +2 >>"$DROP/header.csv"
check "a header that gets rows is merged" wait_for recorded header.csv merged

site stale stale=2
start_daemon
sample 5 1 | head -c -20 >"$DROP/cut.csv"
quarantined cut.csv truncated-file "after stale it goes to quarantine"

site newline-required final_newline=required stale=1
start_daemon
sample 5 1 | head -c -1 >"$DROP/cut.csv"
quarantined cut.csv truncated-file "with final_newline = required, a last line needs its newline"

site newline-optional
start_daemon
sample 5 1 >"$SITE/whole"
head -c -1 "$SITE/whole" >"$DROP/open.csv"
arrived open.csv "$SITE/whole" "with optional, it counts once the file is quiet, and gets its newline"

# --- What becomes of accepted files

site keep source=keep
sample 5 1 >"$DROP/a.csv"
exits 0 "merge with source = keep" cli merge
check "leaves the file" test -e "$DROP/a.csv"

site archive source=archive
sample 5 1 >"$SITE/one"
sample 5 2 >"$SITE/two"
cp "$SITE/one" "$DROP/a.csv"
exits 0 "merge with source = archive" cli merge
check "moves the file to the archive" same_bytes "$DATA/archive/a.csv" "$SITE/one"
check "out of the drop directory" test ! -e "$DROP/a.csv"
cp "$SITE/one" "$DROP/a.csv"
exits 0 "the same file sent again" cli merge
is "$(training_rows)" 5 "adds nothing"
is "$(ls "$DATA/archive")" a.csv "and is not archived twice"
cp "$SITE/two" "$DROP/b.csv"
exits 0 "another one" cli merge
is "$(training_rows)" 10 "is merged"

site archive-names source=archive changed=merge
sample 5 1 >"$DROP/a.csv"
run cli merge
sample 5 2 >"$SITE/two"
cp "$SITE/two" "$DROP/a.csv"
run cli merge
is "$(training_rows)" 10 "a second a.csv with other rows is merged"
check "and archived as a.csv.~2~" same_bytes "$DATA/archive/a.csv.~2~" "$SITE/two"

# A writer that never closes an accepted file costs a look now and then, not a processor.
site open-for-ever source=archive settle=1
start_daemon
sample 2 1 >"$DROP/held.csv"
exec 7>>"$DROP/held.csv"
check "a file that is kept open is merged when quiet" wait_for recorded held.csv merged
ticks() { awk '{ print $14 + $15 }' "/proc/$DAEMON_PID/stat"; }
before=$(ticks)
after_verdict
after_verdict
check "and does not keep the daemon busy" test $(($(ticks) - before)) -lt 50
exec 7>&-
check "closed, it leaves" wait_for test -e "$DATA/archive/held.csv"

# A file whose last change is long ago is not read a second time before it leaves.
site archive-old source=archive settle=1
sample 5 1 >"$DROP/a.csv"
# shellcheck disable=SC2317 # called by wait_for
old_enough() { (($(date +%s) - $(stat -c %Z "$DROP/a.csv") > 2)); }
wait_for old_enough
run cli merge
check "an old file is archived by the run that merges it" test -e "$DATA/archive/a.csv"
is "$(training_rows)" 5 "and its rows stay merged"

site delete source=delete
sample 5 1 >"$DROP/a.csv"
printf "bad\n1\n" >"$DROP/bad.csv"
run cli merge
check "source = delete takes an accepted file away" test ! -e "$DROP/a.csv"
check "never a bad one" test -e "$DATA/quarantine/bad.csv"
sample 5 1 >"$DROP/a.csv"
exits 0 "sent again" cli merge
is "$(training_rows)" 5 "it adds nothing"
start_daemon
sample 5 2 | put b.csv
check "the daemon merges" wait_for recorded b.csv merged
check "and deletes" wait_for test ! -e "$DROP/b.csv"

finish

#!/bin/bash
# Identity is content: duplicates, renamed, grown, changed and corrected files, by the daemon and by `merge`.
# shellcheck disable=SC2016 # awk's variables
# shellcheck source=tests/lib/e2e.sh
. "$(dirname "$0")/../../lib/e2e.sh"

U1=u1_external_20240101_120000.csv
U1_LATER=u1_external_20240301_130000.csv
U2=u2_external_20240101_120000.csv

# booked_rows NAME: "rows duplicate" of its last line.
booked_rows() { ledger | awk -F, -v name="$1" '$5 == name { last = $9 " " $11 } END { print last }'; }

# --- The same content again

site duplicate
sample 10 1 >"$SITE/a"
cp "$SITE/a" "$DROP/$U1"
exits 0 "merge takes a new file" cli merge
arrived "$U1" "$SITE/a" "it is merged"
is "$(booked_rows "$U1")" "10 0" "its line books 10 rows"

cp "$SITE/a" "$DROP/$U1_LATER"
exits 0 "merge takes a copy" cli merge
is "$(verdicts "$U1_LATER")" duplicate "the same content under another name is a duplicate"
is "$(booked_rows "$U1_LATER")" "0 10" "its line books 10 duplicate rows"
check "a duplicate stays where it is" test -e "$DROP/$U1_LATER"

cp "$SITE/a" "$DROP/$U2"
exits 0 "merge takes the same rows of another user" cli merge
arrived "$U2" "$SITE/a" "the same bytes of another user are another content"
is "$(training_rows)" 20 "20 rows in all"

exits 0 "merge looks at unchanged files" cli merge
touch "$DROP/$U1" "$DROP/$U1_LATER"
exits 0 "merge looks at touched files" cli merge
cp "$SITE/a" "$SITE/b" && mv "$SITE/b" "$DROP/$U1"
exits 0 "merge looks at a file sent again" cli merge
is "$(training_rows)" 20 "none of them adds a row"
rm "$DROP/$U1"
exits 0 "merge without one of the files" cli merge
cp "$SITE/a" "$DROP/$U1"
exits 0 "merge with the file back" cli merge
is "$(training_rows)" 20 "nor does a file that was away and came back"

site unchanged
sample 10 1 >"$DROP/$U1"
cli merge >"$SITE/merge.out" 2>&1
cli merge >>"$SITE/merge.out" 2>&1
touch "$DROP/$U1"
cli merge >>"$SITE/merge.out" 2>&1
start_daemon
touch "$DROP/$U1"
kill -HUP "$DAEMON_PID"
after_verdict
stop_daemon
is "$(verdicts "$U1")" merged "an unchanged file books no second line"

site other-columns
sample 5 1 | sed "1s/\$/,user_id,source,label/;2,\$s/\$/,u9,web,normal/" >"$DROP/$U1"
cli merge >"$SITE/merge.out" 2>&1
cp "$DROP/$U1" "$DROP/$U2"
cli merge >"$SITE/merge.out" 2>&1
is "$(verdicts "$U1") $(verdicts "$U2")" "merged duplicate" "a file that names its user is the same under any name"
is "$(ledger | awk -F, '$5 != "" && $8 != ""')" '' "and has no meta in the ledger"

site renamed
sample 10 1 >"$SITE/a"
cp "$SITE/a" "$DROP/$U1"
start_daemon
arrived "$U1" "$SITE/a" "a file is merged"
mv "$DROP/$U1" "$DROP/$U1_LATER"
check "renamed, it is seen" wait_for recorded "$U1_LATER"
is "$(verdicts "$U1_LATER")" duplicate "and is a duplicate"
more_rows 5 1 10 >>"$DROP/$U1_LATER"
check "renamed and appended to, it is grown" wait_for recorded "$U1_LATER" grown
stop_daemon
mv "$DROP/$U1_LATER" "$DROP/$U1"
more_rows 5 1 15 >>"$DROP/$U1"
start_daemon
becomes 20 "renamed and appended to while nobody looks, too" training_rows
after_merge
is "$(training_rows)" 21 "each row stands there once"

# The file is renamed while its last row is written; the rows before it are merged already.
site renamed-in-a-row
sample 3 1 >"$DROP/$U1"
start_daemon
check "a file is merged" wait_for recorded "$U1" merged
{ more_rows 1 1 3; more_rows 1 1 4 | head -c 20; } >>"$DROP/$U1"
check "it grows, by a row and a part of one" wait_for recorded "$U1" grown
mv "$DROP/$U1" "$DROP/$U1_LATER"
more_rows 1 1 4 | tail -c +21 >>"$DROP/$U1_LATER"
check "renamed and complete, it is grown" wait_for recorded "$U1_LATER" grown
after_merge
is "$(training_rows)" 6 "each row stands there once"
stop_daemon

# The number of an inode is given again, to a file with the same bytes, but of another user: that is no renamed file.
site inode-again
sample 10 1 >"$SITE/a"
cp "$SITE/a" "$DROP/$U1"
start_daemon
arrived "$U1" "$SITE/a" "a file is merged"
inode=$(stat -c %i "$DROP/$U1")
kill -STOP "$DAEMON_PID" # else it may be the first to make a file
rm "$DROP/$U1"
for ((i = 0; i < 500; i++)); do
    cp "$SITE/a" "$DROP/.another$i"
    [[ $(stat -c %i "$DROP/.another$i") != "$inode" ]] || break
done
((i < 500)) || comment "this file system gives numbers only once"
mv "$DROP/.another$((i < 500 ? i : 0))" "$DROP/$U2"
rm -f "$DROP"/.another*
kill -CONT "$DAEMON_PID"
arrived "$U2" "$SITE/a" "another user's file with that inode is merged, too"
mv "$DROP/$U2" "$DROP/u3_web_20240101_120000.csv"
check "a renamed file is known" wait_for recorded u3_web_20240101_120000.csv
is "$(training_rows)" 20 "whoever its new name says"

# --- Grown

site grown
start_daemon
sample 10 1 | put "$U1"
check "a file is merged" wait_for recorded "$U1" merged
more_rows 5 1 10 >>"$DROP/$U1"
sample 15 1 >"$SITE/15"
arrived "$U1" "$SITE/15" "what is appended is merged"
is "$(verdicts "$U1")" "merged grown" "as grown"
is "$(booked_rows "$U1")" "5 0" "with the new rows alone"
sample 25 1 >"$SITE/25"
put "$U1" <"$SITE/25"
arrived "$U1" "$SITE/25" "sent again with more rows, it is grown"
put "$U1" <"$SITE/15"
after_verdict
is "$(training_rows)" 25 "an older state of it adds nothing"
is "$(verdicts "$U1" | tr ' ' '\n' | grep -c quarantined)" 0 "and is no fault"

more_rows 3 1 25 | head -c -20 >>"$DROP/$U1.next"
{
    cat "$SITE/25"
    more_rows 3 1 25 | head -c -20
} | put "$U1"
sample 27 1 >"$SITE/27"
rm "$DROP/$U1.next"
arrived "$U1" "$SITE/27" "grown with an incomplete last row: the complete ones merge"
after_verdict
is "$(verdicts "$U1" | tr ' ' '\n' | grep -c quarantined)" 0 "and the rest waits"
more_rows 3 1 25 | tail -c 20 >>"$DROP/$U1"
sample 28 1 >"$SITE/28"
arrived "$U1" "$SITE/28" "the rest is merged when it is complete"

sample 3 2 | head -c -1 >"$SITE/no-newline"
put "$U2" <"$SITE/no-newline"
check "a last line without newline counts once the file is quiet" wait_for recorded "$U2" merged
is "$(rows_of "$U2" | wc -l)" 3 "with its 3 rows"
{
    echo
    more_rows 2 2 3
} >>"$DROP/$U2"
sample 5 2 >"$SITE/5"
arrived "$U2" "$SITE/5" "continued with a line end, the file is grown"

# A buffer that is written when it is full: nearly never behind a row.
site buffered
start_daemon
sample 30 4 >"$SITE/30"
head -c 700 "$SITE/30" >"$DROP/$U1"
check "a new file that is cut in a row waits" wait_for eval 'cli status | grep -q incomplete-row'
after_verdict
is "$(verdicts "$U1")" '' "as a whole"
head -c 1000 "$SITE/30" | tail -c +701 >>"$DROP/$U1"
head -c 1000 "$SITE/30" | sed '$d' >"$SITE/begun"
arrived "$U1" "$SITE/begun" "if it grows, and is cut in a row again, its complete rows are merged"
head -c 1500 "$SITE/30" | put "$U1"
head -c 1500 "$SITE/30" | sed '$d' >"$SITE/begun"
arrived "$U1" "$SITE/begun" "and so on, when it is sent again"
put "$U1" <"$SITE/30"
arrived "$U1" "$SITE/30" "up to its last row"

# And one whose collector writes the line end before each row: its last row never has one, while it grows.
site newline-first settle=5
start_daemon
sample 10 4 >"$SITE/10"
head -c -1 <(head -n 4 "$SITE/10") >"$DROP/$U1"
check "a new file without a last newline waits" wait_for eval 'cli status | grep -q no-final-newline'
head -n 3 "$SITE/10" >"$SITE/begun"
for row in 5 6 7; do
    printf '\n%s' "$(sed -n "${row}p" "$SITE/10")" >>"$DROP/$U1"
    head -n $((row - 1)) "$SITE/10" >"$SITE/begun"
    arrived "$U1" "$SITE/begun" "with row $((row - 1)) all rows before it are merged"
done
printf '\n' >>"$DROP/$U1"
head -n 7 "$SITE/10" >"$SITE/begun"
arrived "$U1" "$SITE/begun" "and the last one with its line end"

# A snapshot of hard links takes nothing from what is merged already; a new name of something closed does wait.
site snapshot
start_daemon
sample 10 4 >"$SITE/10"
(umask 027 && head -n 6 "$SITE/10" >"$DROP/$U1")
check "a file that not everybody may read is merged" wait_for recorded "$U1" merged
cp -al "$DROP" "$SITE/snapshot"
tail -n +7 "$SITE/10" >>"$DROP/$U1"
arrived "$U1" "$SITE/10" "and its new rows, when a snapshot has given it another name"

# Merged content is known under any name, whatever became of the cache and of the daemon.
site renamed-without-cache
sample 10 1 >"$SITE/10"
head -n 4 "$SITE/10" >"$DROP/log.csv"
exits 0 "a log is merged" cli merge
rm -f "$DATA/state/seen"
mv "$DROP/log.csv" "$DROP/log-1.csv"
sed -n 5,7p "$SITE/10" >>"$DROP/log-1.csv"
exits 0 "it is rotated and grows, and the cache is lost" cli merge
is "$(verdicts log-1.csv)" grown "the renamed log has grown"
is "$(training_rows)" 6 "no row comes twice"
sed -n 8,10p "$SITE/10" | cat "$DROP/log-1.csv" - >"$DROP/copy.csv"
sample 3 7 >"$DROP/one.csv"
sample 5 7 >"$DROP/two.csv"
exits 0 "a longer copy beside it; and two files in one run that begin alike" cli merge
is "$(verdicts copy.csv), $(verdicts one.csv), $(verdicts two.csv)" "grown, merged, grown" "are taken as grown"
is "$(training_rows)" 14 "each row stands there once"

site renamed-before-timer merge=timer interval=3600
sample 4 1 >"$DROP/log.csv"
start_daemon
exits 0 "merge beside a daemon that waits for its timer" cli merge
mv "$DROP/log.csv" "$DROP/log-1.csv"
more_rows 1 1 5 >>"$DROP/log-1.csv"
kill -USR1 "$DAEMON_PID"
check "the daemon merges the rotated log" wait_for recorded log-1.csv grown
is "$(training_rows)" 5 "no row comes twice"
stop_daemon

# Two collections that begin alike are two, as long as their names say so.
site alike
sample 3 1 >"$SITE/3"
sample 5 1 >"$SITE/5"
cut -d , -f 1-9 "$SITE/3" | sed '1s/$/,user_id/; 2,$s/$/,x/' >"$DROP/u1_external_20240101_120000.csv"
cut -d , -f 1-9 "$SITE/5" | sed '1s/$/,user_id/; 2,$s/$/,x/' >"$DROP/u2_external_20240101_120000.csv"
exits 0 "two files of different names that begin alike" cli merge
is "$(training_rows)" 8 "are both merged as they are"

# Rewritten shorter, then appended to: measured against what it was last, not against the longest it ever was.
site rewritten changed=merge
start_daemon
sample 10 1 | put "$U1"
check "a file is merged" wait_for recorded "$U1" merged
sample 2 2 >"$SITE/short"
put "$U1" <"$SITE/short"
becomes 12 "rewritten shorter, it is merged as changed = merge says" training_rows
more_rows 1 2 2 >>"$DROP/$U1"
becomes 13 "appended to, it is grown" training_rows
more_rows 1 2 3 >>"$DROP/$U1"
becomes 14 "and again" training_rows
after_merge
is "$(training_rows)" 15 "no row came twice"

site grown-duplicate
sample 10 1 >"$DROP/$U1"
cp "$DROP/$U1" "$DROP/$U1_LATER"
cli merge >"$SITE/merge.out" 2>&1
more_rows 5 1 10 >>"$DROP/$U1_LATER"
more_rows 5 2 10 >>"$DROP/$U1"
exits 0 "two copies grow apart" cli merge
is "$(training_rows)" 20 "each brings its new rows alone"
is "$(ledger_column grown 9 | tr '\n' ' ')" "5 5 " "as grown"

site cut-at-line-end
sample 100 1 >"$SITE/whole"
head -n 41 "$SITE/whole" >"$DROP/$U1"
start_daemon
check "a transfer cut at a line end is merged" wait_for recorded "$U1" merged
put "$U1" <"$SITE/whole"
arrived "$U1" "$SITE/whole" "sent again, it merges once"

# --- Changed

site changed
start_daemon
sample 10 1 >"$SITE/one"
sample 10 2 >"$SITE/two"
put "$U1" <"$SITE/one"
arrived "$U1" "$SITE/one" "a file is merged"
put "$U1" <"$SITE/two"
quarantined "$U1" changed-file "with other content it goes to quarantine" "$SITE/two"
is "$(verdicts "$U1")" "merged quarantined" "as the ledger says"
check "its rows stay as they were" same_bytes <(rows_of "$U1") <(expected_rows "$SITE/one" "$U1")
is "$(training_rows)" 10 "and no others are added"

sample 10 3 >"$DROP/$U2"
check "another file is merged" wait_for recorded "$U2" merged
sample 10 3 | sed '3s/^[^,]*/77/' | dd of="$DROP/$U2" conv=notrunc status=none
quarantined "$U2" changed-file "rewritten in place with the same size, too"

site changed-merge changed=merge
start_daemon
sample 10 1 | put "$U1"
check "a file is merged" wait_for recorded "$U1" merged
sample 10 2 >"$SITE/two"
put "$U1" <"$SITE/two"
becomes "merged merged" "with changed = merge, the new content is merged" verdicts "$U1"
check "beside the old rows" same_bytes <(rows_of "$U1") \
    <(sample 10 1 | expected_rows /dev/stdin "$U1"; expected_rows "$SITE/two" "$U1")

# A last row that ends in a number, so that the cut row is valid.
site cut-row
{
    echo "$COLUMNS_REQUIRED" | awk -F, -v OFS=, '{ print $9, $1, $2, $3, $4, $5, $6, $7, $8 }'
    echo "idle,0,1,2,3,4,5,6,7"
    printf 'idle,1,1,2,3,4,5,6,7'
} >"$DROP/$U1"
start_daemon
check "a cut row that is valid is merged when quiet" wait_for recorded "$U1" merged
is "$(training_rows)" 2 "as a row"
printf '5\n' >>"$DROP/$U1"
quarantined "$U1" changed-file "continued, it is changed-file"
has "$(cat "$DATA/quarantine/$U1.errors.csv")" '^3,' "at its line"
is "$(training_rows)" 2 "and adds nothing"

# --- Quarantine and correction

site corrected
start_daemon
sample 10 1 >"$SITE/good"
sed '4s/^[^,]*/soon/' "$SITE/good" >"$SITE/bad"
put "$U1" <"$SITE/bad"
quarantined "$U1" type-error "a bad file goes to quarantine" "$SITE/bad"
has "$(cat "$DATA/quarantine/$U1.errors.csv")" '^4,1,timestamp,type-error,soon,' "with line, column, field and value"
becomes 1 "it counts as quarantined" stat_of quarantined

put "$U1" <"$SITE/bad"
check "sent again" wait_for test ! -e "$DROP/$U1"
is "$(cd "$DATA/quarantine" && echo ./*)" "./$U1 ./$U1.errors.csv" "it does not pile up"

put "$U1" <"$SITE/good"
check "corrected, it is merged" wait_for merged_whole "$U1" "$SITE/good"
becomes 0 "and the one in quarantine counts as resolved" stat_of quarantined
check "but is kept" same_bytes "$DATA/quarantine/$U1" "$SITE/bad"

site prefix stale=1
start_daemon
sample 10 1 >"$SITE/whole"
head -c 300 "$SITE/whole" >"$SITE/cut"
put "$U1" <"$SITE/cut"
quarantined "$U1" truncated-file "a cut file goes to quarantine when stale" "$SITE/cut"
put "$U1" <"$SITE/whole"
check "the whole file is merged" wait_for merged_whole "$U1" "$SITE/whole"
check "and its prefix taken out of quarantine" wait_for test ! -e "$DATA/quarantine/$U1"
check "with its list" wait_for test ! -e "$DATA/quarantine/$U1.errors.csv"

# --- Caches are only caches

site lost-cache
start_daemon
sample 10 1 >"$SITE/a"
put "$U1" <"$SITE/a"
arrived "$U1" "$SITE/a" "a file is merged"
stop_daemon
find "$DATA/state" -mindepth 1 ! -name ledger.csv ! -name lock ! -name daemon.lock -delete
start_daemon
more_rows 5 1 10 >>"$DROP/$U1"
sample 15 1 >"$SITE/15"
arrived "$U1" "$SITE/15" "without the caches, what grew is merged alone"
stop_daemon
find "$DATA/state" -mindepth 1 ! -name ledger.csv ! -name lock ! -name daemon.lock -delete
exits 0 "merge without the caches" cli merge
is "$(training_rows)" 15 "adds nothing"
is "$(verdicts "$U1")" "merged grown" "and books nothing"

# --- Hard links to what is no file of the sender's

site links
sample 5 1 >"$DROP/$U1"
cli merge >"$SITE/merge.out" 2>&1
ln "$DATA/training_data.csv" "$DROP/again.csv"
start_daemon
becomes file-type "a hard link to the training file waits" \
    awk -F, '$1 == "again.csv" { print $2 }' "$DATA/state/waiting.csv"
(umask 077 && sample 5 2 >"$SITE/closed")
ln "$SITE/closed" "$DROP/$U2"
becomes file-type "so does one to a file that not everybody may read" \
    awk -F, -v name="$U2" '$1 == name { print $2 }' "$DATA/state/waiting.csv"
is "$(training_rows)" 5 "neither adds a row"
cp "$SITE/closed" "$SITE/copy"
rm "$SITE/closed"
arrived "$U2" "$SITE/copy" "with its other name gone, it is the sender's own, and merged"
rm "$DROP/again.csv"

finish

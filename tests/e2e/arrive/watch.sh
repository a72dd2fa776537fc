#!/bin/bash
# The drop directory goes away, is renamed, re-created, mounted over; events are lost or never come; and what is
# not looked at.
# shellcheck source=tests/lib/e2e.sh
. "$(dirname "$0")/../../lib/e2e.sh"

site removed rescan=2
start_daemon
sample 5 1 >"$SITE/one"
put one.csv <"$SITE/one"
arrived one.csv "$SITE/one" "a file is merged"
rm -r "$DROP"
mkdir -p "$DROP"
check "re-created, it is watched again" wait_for watching
sample 5 2 >"$SITE/two"
put two.csv <"$SITE/two"
arrived two.csv "$SITE/two" "and merged from"
rm -r "$DROP"
mkdir "$SITE/new"
sample 5 3 >"$SITE/new/three.csv"
[[ ! -d $DROP ]] || rmdir "$DROP"
mv "$SITE/new" "$DROP"
arrived three.csv "$DROP/three.csv" "what lies in a re-created one already is found"

site renamed rescan=2
start_daemon
mv "$DROP" "$DROP.old"
mkdir -p "$DROP"
check "renamed and made anew, the new one is watched" wait_for watching
sample 5 1 >"$SITE/one"
sample 5 2 >"$DROP.old/old.csv"
put one.csv <"$SITE/one"
arrived one.csv "$SITE/one" "and merged from"
after_merge
is "$(verdicts old.csv)" '' "and the old one is not"

site mounted rescan=2
start_daemon
if as_root && mount -t tmpfs tmpfs "$DROP" 2>"$SITE/mount"; then
    mounted+=("$DROP")
    check "mounted over, the new directory is watched" wait_for watching
    sample 5 1 >"$SITE/one"
    cp "$SITE/one" "$DROP/one.csv"
    arrived one.csv "$SITE/one" "and merged from"
    umount -l "$DROP"
    mounted=()
    check "unmounted, the one below is watched" wait_for watching
    sample 5 2 >"$SITE/two"
    put two.csv <"$SITE/two"
    arrived two.csv "$SITE/two" "and merged from"
else
    skip "mounted over" "no mount"
fi

# More files than the event queue holds.
site overflow
start_daemon
kill -STOP "$DAEMON_PID"
awk -v drop="$DROP" -v header="$COLUMNS_REQUIRED" 'BEGIN {
    for (i = 0; i < 20000; i++) {
        file = drop "/u_web_20240101_" sprintf("%06d", i) ".csv"
        print header "\n" i ",1,2,3,4,5,6,7,idle" > file
        close(file)
    }
}'
since=$(date +%s%N)
kill -CONT "$DAEMON_PID"
WAIT=120
becomes 20000 "20,000 files while the daemon stood still: all merged" training_rows
is "$(tail -n +2 "$DATA/training_data.csv" | cut -d , -f 1 | sort -u | wc -l)" 20000 "each once"
is "$(ledger_lines)" 20001 "each with its line in the ledger"
echo "# through the overflow: $((20000 * 1000000000 / ($(date +%s%N) - since))) files a second"
has "$(cat "$LOG")" 'more arrived than the kernel could tell of' "the queue did overflow"
WAIT=60

# Bytes that come through another name, in another directory, give no event at all.
site rescan rescan=1
start_daemon
sample 5 1 >"$SITE/elsewhere.csv"
ln "$SITE/elsewhere.csv" "$DROP/linked.csv"
arrived linked.csv "$SITE/elsewhere.csv" "a hard link is merged"
more_rows 5 1 5 >>"$SITE/elsewhere.csv"
arrived linked.csv "$SITE/elsewhere.csv" "what is appended through its other name is found"

# Names that are ignored, and files that are never opened.
site ignored
start_daemon
sample 3 1 >"$DROP/.hidden.csv"
sample 3 2 >"$DROP/upload.csv.tmp"
sample 3 3 >"$DROP/notes.txt"
sample 3 4 >"$DROP/UPPER.CSV"
mkdir "$DROP/dir.csv" "$DROP/alice"
sample 3 5 >"$DROP/alice/inside.csv"
sample 3 6 >"$SITE/target.csv"
ln -s "$SITE/target.csv" "$DROP/link.csv"
mkfifo "$DROP/fifo.csv"
after_verdict
is "$(verdicts UPPER.CSV)" merged "a name in upper case is looked at"
is "$(ledger_lines)" 3 "hidden files, other names, directories, links and FIFOs are not"
run cli status
has "$OUT" 'link\.csv.*file-type|file-type.*link\.csv' "status lists a symbolic link as waiting: file-type"
has "$OUT" 'fifo\.csv.*file-type|file-type.*fifo\.csv' "and a FIFO"
check "the link is left in place" test -L "$DROP/link.csv"
check "the FIFO is left in place" test -p "$DROP/fifo.csv"
check "merge does not wait for the FIFO" timeout "$WAIT" "$CLI" -c "$INI" "${ALLOW_ROOT[@]}" merge

# Names of any bytes: spaces, quotes, line breaks, no UTF-8.
site names
start_daemon
names=('with space.csv' $'line\nbreak.csv' "quote'\".csv" $'latin-\xe4.csv' '-rf.csv' '*.csv' '=cmd|A1.csv' 'a,b.csv')
seed=0
for name in "${names[@]}"; do
    seed=$((seed + 1))
    sample 2 "$seed" | put "$name"
done
becomes 16 "names of any bytes are merged" training_rows
is "$(ledger | wc -l)" 9 "each has one line in the ledger"
is "$(ledger | awk -F, 'NF != 15')" '' "of 15 cells"
is "$(verdicts line%0Abreak.csv) $(verdicts latin-%E4.csv) $(verdicts with%20space.csv)" "merged merged merged" \
    "their names are written with %XX"
printf 'x\n1\n' | put $'bad\nname\xff.csv'
check "a bad file of such a name goes to quarantine" wait_for test -e "$DATA/quarantine/"$'bad\nname\xff.csv'
has "$(cat "$DATA/quarantine/"$'bad\nname\xff.csv.errors.csv')" '^1,.*label' "with its list"

finish

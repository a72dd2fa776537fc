#!/bin/bash
# Compressed files, NAME.csv.gz and NAME.csv.zst: they are what the CSV inside is, by the daemon and by `merge`.
# shellcheck disable=SC2317 # some functions are called by name
# shellcheck source=tests/lib/e2e.sh
. "$(dirname "$0")/../../lib/e2e.sh"

U1=u1_web_20240101_120000.csv
U2=u2_web_20240101_120000.csv

# pack SUFFIX: standard input as .gz or .zst.
pack() { if [[ $1 == gz ]]; then gzip -cn; else zstd -cq; fi; }

# booked_rows NAME: "rows duplicate" of its last line.
booked_rows() { ledger | awk -F, -v name="$1" '$5 == name { last = $9 " " $11 } END { print last }'; }

# reasons NAME: print its list of violations.
reasons() { cat "$DATA/quarantine/$1.errors.csv"; }

# waiting_name: the file that waits.
waiting_name()
{
    cli status --json | python3 -c 'import json, sys; print(*[f["name"] for f in json.load(sys.stdin)["waiting"]])'
}

# --- They come in every way

site arrival
start_daemon
sample 20 1 >"$SITE/one"
sample 20 2 >"$SITE/two"
pack gz <"$SITE/one" | put "$U1.gz"
arrived "$U1.gz" "$SITE/one" "the daemon merges a .csv.gz, its metadata being that of the name"
pack zst <"$SITE/two" >"$DROP/$U2.zst"
arrived "$U2.zst" "$SITE/two" "and a .csv.zst"
becomes '{"u1":20,"u2":20}' "stats.json counts the rows of both users" stat_of users
becomes 40 "stats.json counts the rows read" stat_of total_user_samples
stop_daemon
sample 5 3 >"$SITE/three"
pack gz <"$SITE/three" >"$DROP/UPPER.CSV.GZ"
head -c 300 "$SITE/one" >"$SITE/part"
tail -c +301 "$SITE/one" >"$SITE/rest"
{ pack gz <"$SITE/part"; pack gz <"$SITE/rest"; } >"$DROP/members_web_20240101_120000.csv.gz"
{ pack zst <"$SITE/part"; pack zst <"$SITE/rest"; } >"$DROP/frames_web_20240101_120000.csv.zst"
exits 0 "merge takes them" cli merge
arrived UPPER.CSV.GZ "$SITE/three" "the end of the name may be in upper case"
arrived members_web_20240101_120000.csv.gz "$SITE/one" "members in a row are one file"
arrived frames_web_20240101_120000.csv.zst "$SITE/one" "so are frames"
printf '' | pack gz >"$DROP/nothing.csv.gz"
head -n 1 "$SITE/one" | pack zst >"$DROP/header.csv.zst"
exits 0 "merge looks at files without rows" cli merge
has "$OUT$ERR" "2 waiting" "they wait"
rm "$DROP/nothing.csv.gz" "$DROP/header.csv.zst"
cli merge >/dev/null

# --- Plain or packed, it is the same content

site duplicate
sample 10 1 >"$SITE/a"
sample 10 2 >"$SITE/b"
cp "$SITE/a" "$DROP/$U1"
pack gz <"$SITE/b" >"$DROP/$U2.gz"
exits 0 "merge takes a plain and a packed file" cli merge
pack gz <"$SITE/a" >"$DROP/$U1.gz"
pack zst <"$SITE/a" >"$DROP/$U1.zst"
cp "$SITE/b" "$DROP/$U2"
exits 0 "merge takes the other one of each" cli merge
is "$(verdicts "$U1.gz")" duplicate "packed, it is a duplicate of the plain one"
is "$(booked_rows "$U1.gz")" "0 10" "with its rows"
is "$(verdicts "$U1.zst")" duplicate "packed otherwise, too"
is "$(verdicts "$U2")" duplicate "unpacked, it is a duplicate of the packed one"
gzip -1 -c <"$SITE/b" >"$DROP/$U2.gz"
exits 0 "merge looks at it packed anew" cli merge
is "$(verdicts "$U2.gz")" merged "which is nothing new"
is "$(training_rows)" 20 "each row came once"

# --- It grows

for how in gz zst; do
    site "grown-$how"
    sample 10 1 >"$SITE/a"
    { cat "$SITE/a"; more_rows 5 1 10; } >"$SITE/b"
    { cat "$SITE/b"; more_rows 5 1 15; } >"$SITE/c"
    cp "$SITE/a" "$DROP/$U1"
    exits 0 "$how: merge takes a plain file" cli merge
    pack "$how" <"$SITE/b" >"$DROP/$U1.$how"
    exits 0 "$how: merge takes it grown, and packed" cli merge
    is "$(verdicts "$U1.$how")" grown "$how: the packed file has grown from the plain one"
    is "$(booked_rows "$U1.$how")" "5 10" "$how: the rows that it begins with are duplicates"
    pack "$how" <"$SITE/c" >"$DROP/$U1.$how"
    exits 0 "$how: merge takes it packed anew, and grown" cli merge
    is "$(booked_rows "$U1.$how")" "5 0" "$how: it has grown from itself"
    more_rows 5 1 20 | pack "$how" >>"$DROP/$U1.$how"
    exits 0 "$how: merge takes it with a member more" cli merge
    is "$(verdicts "$U1.$how")" "grown grown grown" "$how: which is growing, too"
    { cat "$SITE/c"; more_rows 5 1 20; more_rows 5 1 25; } >"$DROP/$U1"
    exits 0 "$how: merge takes the plain one, grown further" cli merge
    is "$(booked_rows "$U1")" "5 25" "$how: it has grown from the packed one"
    is "$(training_rows)" 30 "$how: each row came once"
    is "$(tail -n +2 "$DATA/training_data.csv" | cut -d, -f 4 | sort -u | wc -l)" 30 "$how: all of them"
    pack "$how" <"$SITE/a" >"$DROP/$U1.$how"
    exits 0 "$how: merge takes an older version" cli merge
    is "$(training_rows)" 30 "$how: which adds nothing"
    sample 3 9 | pack "$how" >"$DROP/$U1.$how"
    exits 1 "$how: merge takes other content under the name" cli merge
    quarantined "$U1.$how" changed-file "$how: it is changed"
done

# Plain and packed files in one batch, in any order.
site together
for i in 1 2 3 4 5 6 7 8; do
    sample 10 "$i" >"$DROP/both-$i.csv"
    { cat "$DROP/both-$i.csv"; more_rows 5 "$i" 10; } | pack gz >"$DROP/both-$i.csv.gz"
done
exits 0 "merge takes plain files and their packed, longer selves at once" cli merge
is "$(training_rows)" 120 "each row comes once"
is "$(tail -n +2 "$DATA/training_data.csv" | sort -u | wc -l)" 120 "all of them"

# --- What is wrong inside, and outside

site faults
sample 10 1 | sed '5s/^[^,]*/x/' | pack gz >"$DROP/row.csv.gz"
sample 10 2 >"$DROP/plain.csv.gz"
sample 10 3 | pack zst >"$DROP/other.csv.gz"
sample 10 4 | pack gz >"$DROP/named-plain.csv"
{ sample 10 5 | pack gz; echo more; } >"$DROP/behind.csv.gz"
{ sample 10 6 | pack zst; printf '\0\0\0\0'; } >"$DROP/zeros.csv.zst"
sample 1000 7 | pack zst >"$SITE/damaged"
printf '\377\377\377' | dd of="$SITE/damaged" bs=1 seek=2000 conv=notrunc status=none
cp "$SITE/damaged" "$DROP/damaged.csv.zst"
sample 1000 8 | pack gz >"$SITE/damaged"
printf '\377\377\377' | dd of="$SITE/damaged" bs=1 seek=2000 conv=notrunc status=none
cp "$SITE/damaged" "$DROP/damaged.csv.gz"
sample 10 9 | pack gz | pack gz >"$DROP/twice.csv.gz"
head -c 20000000 /dev/zero | zstd -cq --long=27 >"$DROP/window.csv.zst"
for name in row.csv.gz plain.csv.gz other.csv.gz named-plain.csv behind.csv.gz zeros.csv.zst damaged.csv.zst \
    damaged.csv.gz twice.csv.gz window.csv.zst; do
    run cli check "$DROP/$name"
    printf '%s\n' "$OUT" | head -n 1 | sed 's/^[^:]*: //' >"$SITE/said-$name"
done
cp "$DROP/damaged.csv.gz" "$SITE/sent"
exits 1 "merge takes files with faults" cli merge
quarantined row.csv.gz type-error "a bad row inside"
has "$(reasons row.csv.gz)" '^5,' "has the line that it has in the CSV"
for name in plain.csv.gz other.csv.gz named-plain.csv behind.csv.gz zeros.csv.zst damaged.csv.zst twice.csv.gz \
    window.csv.zst; do
    quarantined "$name" format-error "$name"
    has "$(<"$SITE/said-$name")" '^format-error: ' "check says so, too"
done
quarantined damaged.csv.gz format-error "damaged.csv.gz, byte for byte" "$SITE/sent"
has "$(reasons plain.csv.gz)" 'if it is CSV and not compressed, name it NAME.csv' "told what to do: plain"
has "$(reasons other.csv.gz)" 'but zstd: name it NAME.csv.zst' "told what to do: zstd"
has "$(reasons named-plain.csv)" 'or name it NAME.csv.gz' "told what to do: gzip"
has "$(reasons window.csv.zst)" 'without --ultra and --long' "told what to do: the window"
is "$(training_rows)" 0 "no row of them is merged"
cli check "$DATA/quarantine/row.csv.gz" >"$SITE/out"
has "$(<"$SITE/out")" '^[^:]*:5: type-error' "check reads them in quarantine"
sample 10 1 | pack gz >"$DROP/row.csv.gz"
exits 0 "merge takes the mended file" cli merge
is "$(verdicts row.csv.gz)" "quarantined merged" "it is merged"

# --- Cut off

for how in gz zst; do
    site "cut-$how" stale=1000
    sample 2000 1 | tee "$SITE/a" | pack "$how" >"$SITE/whole"
    head -c 9000 "$SITE/whole" >"$DROP/$U1.$how"
    start_daemon
    becomes "$U1.$how" "$how: a file that is cut waits" waiting_name
    has "$(cli status)" "incomplete.*the file was cut off; send it again" "$how: and says why"
    has "$(cli check "$DROP/$U1.$how")" "truncated-file: " "$how: check says so, too"
    after_verdict
    is "$(verdicts "$U1.$how")" "" "$how: quiet as it is, it is not judged before it is stale"
    cp "$SITE/whole" "$DROP/$U1.$how"
    arrived "$U1.$how" "$SITE/a" "$how: sent again it is merged"
    site "stale-$how" stale=1 bad_rows=reject-rows
    sample 2000 1 | tee "$SITE/a" | pack "$how" >"$SITE/whole"
    head -c 9000 "$SITE/whole" >"$DROP/$U1.$how"
    start_daemon
    quarantined "$U1.$how" truncated-file "$how: stale, it is cut, also where good rows are merged"
    is "$(training_rows)" 0 "$how: not a row of it is merged"
    cp "$SITE/whole" "$DROP/$U1.$how"
    arrived_again() { gives "quarantined merged" verdicts "$U1.$how"; }
    check "$how: sent again it is merged" wait_for arrived_again
    check "$how: and the cut copy is taken away" wait_for test ! -e "$DATA/quarantine/$U1.$how"
done

# A writer at work, that pauses in the middle of the stream.
site writer
sample 3000 1 | tee "$SITE/a" | pack gz >"$SITE/whole"
start_daemon
exec 9>"$DROP/$U1.gz"
head -c 9000 "$SITE/whole" >&9
after_verdict
is "$(training_rows)" 0 "nothing of what is being written is merged"
tail -c +9001 "$SITE/whole" >&9
exec 9>&-
arrived "$U1.gz" "$SITE/a" "it is, once it is whole"

# --- Limits

site limits max_expand_ratio=50 max_file_mib=40
{ echo "$COLUMNS_REQUIRED"; yes 1,2,3,4,5,6,7,8,idle | head -c 20000000; } >"$SITE/dense"
pack gz <"$SITE/dense" >"$DROP/dense.csv.gz"
pack zst <"$SITE/dense" >"$DROP/dense.csv.zst"
sample 200000 1 >"$SITE/large"
cat "$SITE/large" "$SITE/large" "$SITE/large" "$SITE/large" | zstd -1 -cq --no-check >"$DROP/large.csv.zst"
exits 1 "merge takes files of which much comes out" cli merge
quarantined dense.csv.gz file-too-large "a .csv.gz that is too dense"
has "$(reasons dense.csv.gz)" 'max_expand_ratio = 50 times' "says so"
quarantined dense.csv.zst file-too-large "a .csv.zst that is too dense"
quarantined large.csv.zst file-too-large "a CSV that is too large"
has "$(reasons large.csv.zst)" 'max_file_mib = 40' "says so"
is "$(training_rows)" 0 "nothing of them is merged"
config max_expand_ratio=100000
mv "$DATA/quarantine/dense.csv.zst" "$DROP/dense.csv.zst"
exits 0 "merge takes it with other limits" cli merge
is "$(verdicts dense.csv.zst)" "quarantined merged" "it is merged"

# --- What becomes of them

site archive source=archive
sample 10 1 | tee "$SITE/a" | pack gz >"$SITE/one"
sample 10 2 | sed 2s/idle/odd/ | sed '3s/^[^,]*/x/' | pack zst >"$SITE/bad"
cp "$SITE/one" "$DROP/$U1.gz"
cp "$SITE/bad" "$DROP/$U2.zst"
start_daemon
check "an accepted one goes to the archive" wait_for same_bytes "$DATA/archive/$U1.gz" "$SITE/one"
quarantined "$U2.zst" type-error "a bad one to quarantine" "$SITE/bad"
gzip -1cn <"$SITE/a" >"$DROP/$U1.gz"
check "packed anew it has a slot of its own" wait_for test -e "$DATA/archive/$U1.gz.~2~"
sample 10 2 | sed '4s/^[^,]*/x/' | pack zst >"$DROP/$U2.zst"
check "so has a bad one" wait_for test -e "$DATA/quarantine/$U2.zst.~2~.errors.csv"
has "$(cli check "$DATA/quarantine/$U2.zst.~2~")" ':4: type-error' "check reads it there"
LONG=$(printf 'x%.0s' {1..240}).csv.gz
sample 10 4 | pack gz >"$DROP/$LONG"
check "a long name keeps its end" wait_for eval "ls '$DATA/archive' | grep -Eqx 'x{192}~[0-9a-f]{16}.csv.gz'"

site recursive recursive=yes source=delete
sample 10 1 >"$SITE/a"
mkdir -p "$DROP/alice/2024"
pack gz <"$SITE/a" >"$DROP/alice/2024/m.csv.gz"
exits 0 "merge takes one in a directory" cli merge
is "$(rows_of alice/2024/m.csv.gz | cut -d, -f 10 | sort -u)" alice "the directory is its user"
check "and it is deleted" test ! -e "$DROP/alice/2024/m.csv.gz"
sample 10 1 2>/dev/null | pack zst >"$DROP/alice/again.csv.zst"
exits 0 "merge takes the same, packed otherwise" cli merge
is "$(verdicts alice/again.csv.zst)" duplicate "it is a duplicate"

site adopt
sample 10 1 | tee "$SITE/a" | pack gz >"$DROP/$U1.gz"
cli merge >/dev/null
rm -r "$DATA/state"
exits 0 "adopt takes packed files as merged" cli adopt --drops merged
cp "$SITE/a" "$DROP/$U1"
exits 0 "merge after it" cli merge
is "$(training_rows)" 10 "adds none of their rows again"
finish

#!/bin/bash
# What a sender puts beside a file: NAME.sha256 and NAME.done. They are waited for where the configuration says so,
# honoured wherever they are, and go where their file goes.
# shellcheck source=tests/lib/e2e.sh
# shellcheck disable=SC2317 # some functions are called by name
. "$(dirname "$0")/../../lib/e2e.sh"

# sum_of FILE NAME: the checksum file of FILE as it will be called.
sum_of() { sha256sum <"$1" | sed "s|-\$|$2|"; }

# waits NAME REASON: does state/waiting.csv say so?
waits() { grep -q "^$1,$2," "$DATA/state/waiting.csv"; }

# none_of NAME: is nothing of it in quarantine?
none_of() { ! compgen -G "$DATA/quarantine/$1*"; }

# --- confirm = checksum: by the daemon

site checksum confirm=checksum settle=1
sample 10 1 >"$SITE/a"
start_daemon
cp "$SITE/a" "$DROP/a.csv"
check "without its checksum a file waits" wait_for waits a.csv unconfirmed
has "$(cli status 2>&1)" 'a\.csv: unconfirmed: a\.csv\.sha256 has not come' "status says for what"
sample 1 99 >"$SITE/m"
sum_of "$SITE/m" m.csv >"$DROP/m.csv.sha256"
mv "$SITE/m" "$DROP/m.csv"
check "another one with its checksum is merged meanwhile" wait_for recorded m.csv merged
is "$(verdicts a.csv)" '' "and the first one is not judged"
sum_of "$SITE/a" a.csv >"$DROP/a.csv.sha256"
arrived a.csv "$SITE/a" "once its checksum is there it is merged"
check "both stay where they are" test -e "$DROP/a.csv" -a -e "$DROP/a.csv.sha256"

# The checksum first, in pieces; and each way of writing it.
n=0
for form in '%s  %s\n' '%s *%s\n' '%s\n' '--tag' '%s  /some/where/%s\r\n' '%s  other-name.csv\n' '\\%s  %s\n'; do
    n=$((n + 1))
    sample 5 "2$n" >"$SITE/f$n"
    sum=$(sha256sum <"$SITE/f$n" | cut -c 1-64)
    # shellcheck disable=SC2059 # the forms are formats
    printf "$form" "$sum" "f$n.csv" >"$SITE/sum"
    [[ $form != --tag ]] || echo "SHA256 (f$n.csv) = $sum" >"$SITE/sum"
    head -c 20 "$SITE/sum" >"$DROP/f$n.csv.sha256"
    cp "$SITE/f$n" "$DROP/f$n.csv"
    cp "$SITE/sum" "$DROP/f$n.csv.sha256"
    arrived "f$n.csv" "$SITE/f$n" "a checksum written as '$form'"
done
sample 5 30 >"$SITE/g"
{
    sum_of "$SITE/a" other.csv
    sum_of "$SITE/g" more/g.csv
} >"$DROP/g.csv.sha256"
cp "$SITE/g" "$DROP/g.csv"
arrived g.csv "$SITE/g" "of several checksums it is the one with the file's name"

# A wrong one.
sample 5 31 >"$SITE/h"
sum_of "$SITE/a" h.csv >"$DROP/h.csv.sha256"
cp "$DROP/h.csv.sha256" "$SITE/wrong"
cp "$SITE/h" "$DROP/h.csv"
quarantined h.csv checksum-mismatch "a checksum that is not the file's: checksum-mismatch" "$SITE/h"
check "the checksum stands beside it in quarantine" wait_for same_bytes "$DATA/quarantine/h.csv.sha256" "$SITE/wrong"
check "and no longer in the drop directory" test ! -e "$DROP/h.csv.sha256"
has "$(cat "$DATA/quarantine/h.csv.errors.csv")" \
    "$(sha256sum <"$SITE/h" | cut -c 1-64).*$(sha256sum <"$SITE/a" | cut -c 1-64)" "the reason names both"
cp "$SITE/h" "$DROP/h.csv"
sum_of "$SITE/h" h.csv >"$DROP/h.csv.sha256"
check "sent again with the right one it is merged" wait_for merged_whole h.csv "$SITE/h"
check "and the copy in quarantine is taken away, with all that stood beside it" \
    wait_for none_of h.csv

# Contents that cannot be a checksum.
sample 5 32 >"$SITE/i"
echo 'to be done' >"$DROP/i.csv.sha256"
cp "$SITE/i" "$DROP/i.csv"
quarantined i.csv checksum-mismatch "a file of no checksum: checksum-mismatch" "$SITE/i"
has "$(cat "$DATA/quarantine/i.csv.errors.csv")" 'holds no SHA-256' "and that is said"

# A transfer that was cut, with the checksum of the whole: nothing of it is merged, even up to a line end.
sample 200 33 >"$SITE/j"
sum_of "$SITE/j" j.csv >"$DROP/j.csv.sha256"
head -n 100 "$SITE/j" >"$DROP/j.csv"
check "a cut file waits" wait_for waits j.csv failing
is "$(verdicts j.csv)" '' "and nothing of it is merged"
cp "$SITE/j" "$DROP/j.csv"
arrived j.csv "$SITE/j" "the whole of it is merged at once"
is "$(verdicts j.csv)" merged "in one go"

# A last row without a newline counts at once: with its checksum it is no beginning of a longer one.
sample 5 34 >"$SITE/k"
truncate -s -1 "$SITE/k"
sum_of "$SITE/k" k.csv >"$DROP/k.csv.sha256"
cp "$SITE/k" "$DROP/k.csv"
check "a last row without newline is merged with its checksum" wait_for recorded k.csv merged
is "$(rows_of k.csv | wc -l)" 5 "with all its rows"

# A file grows, and is sent again with a new checksum each time.
sample 20 35 >"$SITE/l"
for lines in 6 11 21; do
    head -n "$lines" "$SITE/l" >"$SITE/part"
    cp "$SITE/part" "$DROP/l.csv"
    sum_of "$SITE/part" l.csv >"$DROP/l.csv.sha256"
    check "grown to $lines lines it is merged" wait_for merged_whole l.csv "$SITE/part"
done
is "$(verdicts l.csv)" 'merged grown grown' "its new rows each time"

# The checksum of a packed file is that of the file as it was sent.
sample 20 36 >"$SITE/p"
gzip -c "$SITE/p" >"$SITE/p.gz"
sum_of "$SITE/p.gz" p.csv.gz >"$DROP/p.csv.gz.sha256"
cp "$SITE/p.gz" "$DROP/p.csv.gz"
check "a packed file is merged with its checksum" wait_for recorded p.csv.gz merged
is "$(rows_of p.csv.gz | wc -l)" 20 "with all its rows"
sample 20 37 | gzip -c >"$SITE/q.gz"
gunzip -c "$SITE/q.gz" | sha256sum >"$DROP/q.csv.gz.sha256"
cp "$SITE/q.gz" "$DROP/q.csv.gz"
quarantined q.csv.gz checksum-mismatch "the checksum of what is in it is another one" "$SITE/q.gz"

# Somebody else's word does not count.
if as_root; then
    sample 5 38 >"$SITE/s"
    sum_of "$SITE/s" s.csv >"$SITE/sum"
    install -o nobody -m 644 "$SITE/s" "$DROP/s.csv"
    install -o daemon -m 644 "$SITE/sum" "$DROP/s.csv.sha256"
    check "a checksum of another user than the file's: it waits" wait_for waits s.csv unconfirmed
    has "$(cli status 2>&1)" 's\.csv\.sha256 belongs to another user' "and status says why"
    install -o nobody -m 644 "$SITE/sum" "$DROP/s.csv.sha256"
    arrived s.csv "$SITE/s" "with one of its own it is merged"
else
    skip "files of several users" "not root"
fi
sample 5 39 >"$SITE/t"
sum_of "$SITE/t" t.csv >"$SITE/sum"
ln "$SITE/sum" "$DROP/t.csv.sha256"
cp "$SITE/t" "$DROP/t.csv"
check "nor does a hard link count" wait_for waits t.csv unconfirmed
rm "$SITE/sum" "$DROP/t.csv.sha256"
sum_of "$SITE/t" t.csv >"$DROP/t.csv.sha256"
arrived t.csv "$SITE/t" "until there is a file of its own"

# Things that are no files.
for thing in link fifo directory; do
    case $thing in
        link) ln -s "$SITE/wrong" "$DROP/$thing.csv.sha256" ;;
        fifo) mkfifo "$DROP/$thing.csv.sha256" ;;
        directory) mkdir "$DROP/$thing.csv.sha256" ;;
    esac
    sample 5 "4${#thing}" >"$DROP/$thing.csv"
    check "a $thing is no checksum: it is never opened, and the file waits" wait_for waits "$thing.csv" file-type
done
if as_root; then
    skip "a checksum that may not be read" "root may read all"
else
    sample 5 49 >"$SITE/o"
    sum_of "$SITE/o" o.csv >"$DROP/o.csv.sha256"
    chmod 0 "$DROP/o.csv.sha256"
    cp "$SITE/o" "$DROP/o.csv"
    check "a checksum that may not be read: the file waits" wait_for waits o.csv file-unreadable
    chmod 644 "$DROP/o.csv.sha256"
    arrived o.csv "$SITE/o" "and is merged as soon as it may"
fi
rm -rf "$DROP"/{link,fifo,directory}.csv*

# --- confirm = done

site mark confirm=done source=archive
sample 10 50 >"$SITE/a"
start_daemon
cp "$SITE/a" "$DROP/a.csv"
check "without NAME.done a file waits" wait_for waits a.csv unconfirmed
: >"$DROP/a.csv.done"
check "with it it is merged" wait_for merged_whole a.csv "$SITE/a"
check "and both are archived" wait_for test -e "$DATA/archive/a.csv" -a -e "$DATA/archive/a.csv.done"
check "and have left" test ! -e "$DROP/a.csv" -a ! -e "$DROP/a.csv.done"
sample 10 77 >"$SITE/held"
cp "$SITE/held" "$DROP/held.csv"
exec {mark}>"$DROP/held.csv.done"
check "NAME.done is still open: the file is merged" wait_for recorded held.csv merged
check "and does not leave without it" test -e "$DROP/held.csv" -a -e "$DROP/held.csv.done"
exec {mark}>&-
check "once it is closed both are archived" wait_for test -e "$DATA/archive/held.csv" -a -e "$DATA/archive/held.csv.done"
: >"$DROP/b.csv.done"
sed 's/idle/sleeping/' "$SITE/a" >"$SITE/b"
cp "$SITE/b" "$DROP/b.csv"
quarantined b.csv constraint-error "a bad file goes to quarantine" "$SITE/b"
check "with its NAME.done" wait_for test -e "$DATA/quarantine/b.csv.done" -a ! -e "$DROP/b.csv.done"
# The same name again, with another content: nothing is overwritten.
echo 2 >"$DROP/a.csv.done"
sample 10 51 >"$DROP/a.csv"
quarantined a.csv changed-file "another content under that name is changed-file"
sample 10 52 >"$SITE/b2"
sed -i 's/idle/asleep/' "$SITE/b2"
echo 3 >"$DROP/b.csv.done"
cp "$SITE/b2" "$DROP/b.csv"
check "the second bad one has its own slot, with what is beside it" \
    wait_for test -e "$DATA/quarantine/b.csv.~2~" -a -e "$DATA/quarantine/b.csv.~2~.done"
is "$(cat "$DATA/quarantine/b.csv.done")" '' "the first one's is as it was"
# Sent again as it was: byte for byte the same pair, which does not pile up.
: >"$DROP/b.csv.done"
cp "$SITE/b" "$DROP/b.csv"
check "the same pair once more is dropped" wait_for test ! -e "$DROP/b.csv" -a ! -e "$DROP/b.csv.done"
printf 'bad\n1\n' >"$DROP/mark.csv"
: >"$DROP/mark.csv.done"
check "a marker is judged" wait_for recorded mark.csv quarantined
check "and there is no third copy" test ! -e "$DATA/quarantine/b.csv.~3~"

# --- by `merge` alone, from cron

site cron confirm=checksum source=delete
sample 10 60 >"$SITE/a"
cp "$SITE/a" "$DROP/a.csv"
exits 0 "merge leaves an unconfirmed file waiting" cli merge
has "$OUT" 'a\.csv.*a\.csv\.sha256 has not come' "and says so"
sum_of "$SITE/a" a.csv >"$DROP/a.csv.sha256"
exits 0 "merge with the checksum" cli merge
is "$(verdicts a.csv)" merged "merges it"
check "and deletes both" test ! -e "$DROP/a.csv" -a ! -e "$DROP/a.csv.sha256"
is "$(stat_of user_files)" 0 "a checksum is no CSV file"
echo "$(sha256sum <"$SITE/a" | cut -c 1-64)  b.csv" >"$DROP/b.csv.sha256"
sample 10 61 >"$DROP/b.csv"
exits 1 "merge with a wrong one exits 1" cli merge
quarantined b.csv checksum-mismatch "and the file is in quarantine"

# --- a checksum that comes after its file has left stays in the drop directory

site late source=archive settle=0
sample 10 64 >"$SITE/a"
start_daemon
cp "$SITE/a" "$DROP/a.csv"
check "a file leaves" wait_for test ! -e "$DROP/a.csv"
sum_of "$SITE/a" a.csv >"$DROP/a.csv.sha256"
after_merge
stop_daemon
run cli merge
check "its late checksum stays" test -e "$DROP/a.csv.sha256" -a ! -e "$DATA/archive/a.csv.sha256"
is "$(verdicts a.csv)" merged "and changes no verdict"
has "$(cli status 2>&1)" '^ignored +1 ' "status counts it among the ignored names"
has "$(cli status 2>&1)" '^  a\.csv\.sha256: its file is not here' "and names it"

# --- confirm = none: what is there is honoured

site none
sample 10 70 >"$SITE/a"
cp "$SITE/a" "$DROP/a.csv"
sum_of "$SITE/a" a.csv >"$DROP/a.csv.sha256"
cp "$SITE/a" "$DROP/b.csv"
sample 10 71 >"$SITE/c"
sum_of "$SITE/a" c.csv >"$DROP/c.csv.sha256"
cp "$SITE/c" "$DROP/c.csv"
exits 1 "with none, a wrong checksum is one too" cli merge
is "$(verdicts a.csv)$(verdicts c.csv)" mergedquarantined "the right one is merged, the wrong one in quarantine"
is "$(verdicts b.csv)" duplicate "a file without one is judged as ever"
has "$(cli status 2>&1)" '^ignored +0 ' "sidecars are no ignored names"
start_daemon
sample 10 72 >"$SITE/d"
cp "$SITE/d" "$DROP/d.csv"
arrived d.csv "$SITE/d" "a file is merged before its checksum comes"
sum_of "$SITE/a" d.csv >"$DROP/d.csv.sha256"
quarantined d.csv checksum-mismatch "if that is of other content, the file is put aside" "$SITE/d"
check "its checksum with it" wait_for test -e "$DATA/quarantine/d.csv.sha256"
cp "$SITE/d" "$DROP/d.csv"
sum_of "$SITE/d" d.csv >"$DROP/d.csv.sha256"
becomes 10 "sent again right, its rows are there once" eval 'rows_of d.csv | wc -l'
check "and it stays" wait_for none_of d.csv

# The reason that rejects the whole file is reported first.
site rejecting bad_rows=reject-rows max_reported_errors=1
sample 10 76 | sed '4s/^[^,]*/oops/;5s/^[^,]*/oops/' >"$DROP/r.csv"
sum_of "$INI" r.csv >"$DROP/r.csv.sha256"
exits 1 "bad rows, and a wrong checksum" cli merge
has "$OUT" 'r\.csv: checksum-mismatch: the SHA-256' "merge says what rejects the whole file"
is "$(codes_of r.csv | head -n 2 | tr '\n' ' ')" 'checksum-mismatch type-error ' "and the list begins with it"

# --- the same in a user's directory, and by `check`

site tree recursive=yes confirm=checksum source=archive
mkdir "$DROP/alice"
sample 10 80 >"$SITE/a"
sum_of "$SITE/a" a.csv >"$DROP/alice/a.csv.sha256"
cp "$SITE/a" "$DROP/alice/a.csv"
run cli merge
check "a user's pair is archived together" test -e "$DATA/archive/alice/a.csv" -a -e "$DATA/archive/alice/a.csv.sha256"

site by-check
sample 10 81 >"$SITE/a.csv"
sum_of "$SITE/a.csv" a.csv >"$SITE/a.csv.sha256"
exits 0 "check reads the checksum beside a file" cli check "$SITE/a.csv"
more_rows 1 82 0 >>"$SITE/a.csv"
exits 1 "and exits 1 where it is another" cli check "$SITE/a.csv"
has "$OUT" 'a\.csv: checksum-mismatch: the SHA-256 of the file is' "with that code"

# --- a crash between the moves: all that belongs together is completed together

if command -v strace >/dev/null; then
    for place in archive quarantine; do
        site "crash-$place" confirm=done source=archive settle=0
        for ((point = 1; point < 30; point++)); do
            sample 10 "9$point" >"$SITE/a"
            [[ $place == archive ]] || sed -i 's/idle/sleeping/' "$SITE/a"
            sum_of "$SITE/a" "p$point.csv" >"$DROP/p$point.csv.sha256"
            : >"$DROP/p$point.csv.done"
            cp "$SITE/a" "$DROP/p$point.csv"
            run strace -f -qq -o /dev/null -e trace=renameat2 -e "inject=renameat2:signal=KILL:when=$point" \
                "$CLI" -c "$INI" "${ALLOW_ROOT[@]}" merge
            killed=$CODE
            run cli merge
            run cli merge
            check "$place, killed before move $point: the file and what is beside it" test -e "$DATA/$place/p$point.csv" \
                -a -e "$DATA/$place/p$point.csv.sha256" -a -e "$DATA/$place/p$point.csv.done"
            is "$(ls -A "$DROP")$(ls -A "$DATA/state/moving")" '' "nothing is left behind"
            ((killed == 137)) || break
            [[ $place != archive ]] || is "$(rows_of "p$point.csv" | wc -l)" 10 "and merged once"
        done
        check "$place: each move was a point, at least six" test "$point" -gt 6
    done
else
    skip "crashes between the moves" "no strace"
fi
finish

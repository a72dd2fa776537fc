#!/bin/bash
# The statistics: four files, their keys and numbers, after restarts, and what `stats` prints of them.
# shellcheck disable=SC2317 # called by check
# shellcheck source=tests/lib/e2e.sh
. "$(dirname "$0")/../../lib/e2e.sh"

# users_line USER: print the user's line in users.csv without the time.
users_line() { grep "^$1," "$DATA/stats/users.csv" | cut -d , -f 1-4; }

# prom_is_sound FILE: a simple check of Prometheus's text format: each sample belongs to a family that has its
# HELP and TYPE before it, names and values are well formed, no sample comes twice, the last line ends.
prom_is_sound()
{
    [[ -z $(tail -c 1 "$1") ]] || { echo "no line end at the end" && return 1; }
    awk '
        function bad(why) { print FILENAME ":" FNR ": " why ": " $0; failed = 1 }
        /^# HELP / { if ($3 in help) bad("HELP twice"); help[$3] = 1; next }
        /^# TYPE / {
            if ($3 in type) bad("TYPE twice")
            if ($4 !~ /^(counter|gauge)$/) bad("type")
            if ($4 == "counter" && $3 !~ /_total$/) bad("a counter not called _total")
            if ($4 == "gauge" && $3 ~ /_total$/) bad("a gauge called _total")
            if ($3 !~ /^phasesentinel_[a-z0-9_]+$/) bad("name")
            type[$3] = $4
            next
        }
        /^#/ || /^$/ { next }
        !/^[a-z_][a-z0-9_]*(\{[a-z_]+="([^"\\]|\\.)*"(,[a-z_]+="([^"\\]|\\.)*")*\})? -?[0-9.]+(e[+-]?[0-9]+)?$/ { bad("sample") }
        {
            name = $0; sub(/[{ ].*/, "", name)
            key = $0; sub(/ [^ ]*$/, "", key)
            if (!(name in type)) bad("no TYPE")
            if (!(name in help)) bad("no HELP")
            if (key in seen) bad("sample twice")
            seen[key] = 1
            samples++
        }
        END { exit failed || !samples }' "$1"
}

site stats
sample 10 1 >"$DROP/u1_external_20240101_120000.csv"
sample 5 2 >"$DROP/u1_web_20240102_120000.csv"
sample 4 3 | sed '1s/$/,label/;2,$s/$/,anomaly/' >"$DROP/u2_simulation_20240101_120000.csv"
cp "$DROP/u1_web_20240102_120000.csv" "$DROP/u1_web_20240103_120000.csv"
sample 3 4 | sed '2s/^[^,]*/oops/;3s/^[^,]*,[^,]*/1,300/' >"$DROP/u3_web_20240101_120000.csv"
: >"$DROP/empty.csv"
exits 1 "merge of three good files, a copy, a bad one and an empty one" cli merge
more_rows 2 1 10 >>"$DROP/u1_external_20240101_120000.csv"
exits 0 "merge of a grown one" cli merge

# numbers WHEN: check the numbers in stats.json.
numbers()
{
    is "$(stat_of user_files)" 5 "$1: user_files: the CSV files in the drop directory"
    is "$(stat_of total_user_samples)" 26 "$1: total_user_samples: the rows read from them"
    is "$(stat_of users)" '{"u1":17,"u2":4}' "$1: users: rows in the training file by user"
    is "$(stat_of main_training_samples)" 21 "$1: main_training_samples: rows in the training file"
    is "$(stat_of rows merged)" 21 "$1: rows merged"
    is "$(stat_of rows rejected)" 3 "$1: rows rejected"
    is "$(stat_of rows duplicate)" 5 "$1: rows duplicate"
    is "$(stat_of rows forgotten)" 0 "$1: rows forgotten"
    is "$(stat_of files merged)" 3 "$1: files merged"
    is "$(stat_of files duplicate)" 1 "$1: files duplicate"
    is "$(stat_of files quarantined)" 1 "$1: files quarantined"
    is "$(stat_of violations)" '{"constraint-error":1,"type-error":1}' "$1: violations by code"
    is "$(stat_of labels)" '{"anomaly":4,"normal":17}' "$1: labels"
    is "$(stat_of sources)" '{"external":12,"simulation":4,"web":5}' "$1: sources"
    is "$(python3 -c '
import csv, collections, json, sys
rows = list(csv.DictReader(open(sys.argv[1], newline="")))
print(json.dumps(collections.Counter(r["phase"] for r in rows), sort_keys=True, separators=(",", ":")))
' "$DATA/training_data.csv")" "$(stat_of phases)" "$1: phases: the class balance"
    is "$(stat_of committed_bytes)" "$(stat -c %s "$DATA/training_data.csv")" "$1: committed_bytes"
    is "$(stat_of training_inode)" "$(stat -c %i "$DATA/training_data.csv")" "$1: training_inode"
    is "$(stat_of quarantined)" 1 "$1: quarantined"
    has "$(users_line u1) $(users_line u2)" '^u1,[23],17,0 u2,1,4,0$' "$1: users.csv: files, rows, rejected files"
    has "$(users_line u3)" '^u3,[01],0,1$' "$1: a user of whom nothing was good, too"
}

numbers "after merge"
has "$(stat_of waiting)" '^1$|empty' "one file waits"
has "$(stat_of generated_at)" '^20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9](\.[0-9]+)?Z$' \
    "generated_at is a time"
is "$(head -n 1 "$DATA/stats/users.csv")" "user_id,files,rows,rejected_files,last_arrival" "users.csv has its header"
has "$(tail -n +2 "$DATA/stats/users.csv" | cut -d , -f 5)" '^20[0-9]{2}-[01][0-9]-[0-3][0-9]T' "and times"
check "the metrics are sound" prom_is_sound "$DATA/stats/phasesentinel.prom"
has "$(cat "$DATA/stats/phasesentinel.prom")" ' 21(\.0)?$' "with the number of rows"
has "$(cat "$DATA/stats/summary.txt")" '\b21\b' "the summary has it as well"
check "the summary is one screen" test "$(wc -l <"$DATA/stats/summary.txt")" -le 50
is "$(awk 'length > 100' "$DATA/stats/summary.txt")" '' "of lines that fit"

exits 0 "stats" cli stats
has "$OUT" '\b21\b' "prints the rows"
exits 0 "stats --json" cli stats --json
printf '%s\n' "$OUT" >"$SITE/stats.json"
for key in user_files total_user_samples users main_training_samples rows files violations labels sources phases \
    committed_bytes training_inode quarantined waiting; do
    is "$(json_of "$SITE/stats.json" "$key")" "$(stat_of "$key")" "stats --json says the same: $key"
done

start_daemon
after_verdict
stop_daemon
is "$(stat_of files quarantined)" 2 "the daemon counts on"
rm "$DROP/empty.csv"
rm -r "$DATA/stats"
start_daemon
check "stats that were removed are made again" wait_for test -s "$DATA/stats/stats.json"
stop_daemon
is "$(stat_of users)" '{"u1":17,"u2":4}' "with the same users"
is "$(stat_of main_training_samples)" 21 "and rows"

site restart
sample 10 1 >"$DROP/u1_external_20240101_120000.csv"
sample 5 2 >"$DROP/u1_web_20240102_120000.csv"
sample 4 3 | sed '1s/$/,label/;2,$s/$/,anomaly/' >"$DROP/u2_simulation_20240101_120000.csv"
cp "$DROP/u1_web_20240102_120000.csv" "$DROP/u1_web_20240103_120000.csv"
sample 3 4 | sed '2s/^[^,]*/oops/;3s/^[^,]*,[^,]*/1,300/' >"$DROP/u3_web_20240101_120000.csv"
: >"$DROP/empty.csv"
start_daemon
check "the daemon merges" wait_for recorded u2_simulation_20240101_120000.csv merged
check "and judges" wait_for recorded u3_web_20240101_120000.csv quarantined
stop_daemon
start_daemon
more_rows 2 1 10 >>"$DROP/u1_external_20240101_120000.csv"
becomes 21 "restarted, it merges on" training_rows
stop_daemon
numbers "after restarts"
find "$DATA/state" -mindepth 1 ! -name ledger.csv ! -name lock ! -name daemon.lock -delete
rm -r "$DATA/stats"
exits 0 "merge without the caches" cli merge
is "$(stat_of users)" '{"u1":17,"u2":4}' "the rows by user are counted again"
is "$(stat_of labels)" '{"anomaly":4,"normal":17}' "and by label"
is "$(stat_of rows merged) $(stat_of rows rejected) $(stat_of rows duplicate)" "21 3 5" "and the verdicts"

site soon rescan=86400
start_daemon
sample 5 1 | put one.csv
check "a file is merged" wait_for recorded one.csv merged
# first_report: keep the file, since another one may follow.
# shellcheck disable=SC2317 # wait_for calls it
first_report() { cp "$DATA/stats/stats.json" "$SITE/first" && grep -q '"main_training_samples": 5,' "$SITE/first"; }
check "stats.json follows, without a rescan" wait_for first_report
inode=$(stat -c %i "$DATA/stats/stats.json")
sample 5 2 | put two.csv
becomes 10 "and again" stat_of main_training_samples
check "as a whole new file" test "$(stat -c %i "$DATA/stats/stats.json")" != "$inode"
check "with nothing left beside it" test "$(find "$DATA/stats" -type f | wc -l)" = 4

# A schema without the guide's fields has none of their statistics.
site other-schema
printf '%s\n' '[schema]' 'name = pairs' '[field.1]' 'name = a' '[field.2]' 'name = b' >"$SITE/schema.ini"
printf 'a,b\n1,2\n3,4\n' >"$DROP/p.csv"
exits 0 "merge with another schema" cli merge
is "$(stat_of main_training_samples)" 2 "rows are counted"
is "$(python3 -c '
import json, sys
print(sorted(set(json.load(open(sys.argv[1]))) & {"labels", "sources", "phases"}))' "$DATA/stats/stats.json")" "[]" \
    "labels, sources, phases are not there"

# Strange values in labels stay inside their quotes.
site strange-values
printf '%s\n' '[schema]' 'name = strange' '[field.1]' 'name = user_id' '[field.2]' 'name = label' >"$SITE/schema.ini"
printf 'user_id,label\n"a""b\\c","x\ny"\n"=1,2",\xc3\xa9\n' >"$DROP/p.csv"
exits 0 "merge of strange users" cli merge
is "$(stat_of users)" '{"=1,2":1,"a\"b\\c":1}' "stats.json has them"
is "$(stat_of labels)" '{"x\ny":1,"\u00e9":1}' "and labels"
check "the metrics are sound" prom_is_sound "$DATA/stats/phasesentinel.prom"
is "$(python3 -c '
import csv, sys
print([row[0] for row in csv.reader(open(sys.argv[1], newline=""))])' "$DATA/stats/users.csv" |
    tr -d '\n' | grep -c "a\"b")" 1 "users.csv has them"

# The next rescan notices changes by other processes.
site noticed rescan=1
start_daemon
put a.csv < <(sample 5 1)
becomes 5 "statistics of the daemon" stat_of main_training_samples
cp "$DATA/stats/stats.json" "$SITE/old.json"
put b.csv < <(sample 6 2)
becomes 11 "and of the next file" stat_of main_training_samples
mv "$SITE/old.json" "$DATA/stats/stats.json"
becomes 11 "an older report, as of a merge that began earlier, is replaced" stat_of main_training_samples
: >"$DROP/empty.csv"
becomes 1 "a file that waits is counted" stat_of waiting
rm "$DROP/empty.csv"
becomes 0 "one that is taken away no longer" stat_of waiting

finish

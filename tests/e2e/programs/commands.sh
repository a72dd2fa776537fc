#!/bin/bash
# The command lines: options, where the configuration comes from, exit codes, stdout and stderr, root.
# shellcheck source=tests/lib/e2e.sh
. "$(dirname "$0")/../../lib/e2e.sh"

# bare ARGUMENT…: phasesentinel without -c, as root where that is allowed.
bare() { "$CLI" "${ALLOW_ROOT[@]}" "$@"; }

# --- Options of both

site options
for program in "$DAEMON" "$CLI"; do
    name=${program##*/}
    run_it=("${ALLOW_ROOT[@]}")
    [[ $program == "$DAEMON" ]] || run_it+=(stats)
    exits 0 "$name --help" "$program" --help
    has "$(head -n 12 <<<"$OUT")" "$name .*" "its help begins with examples"
    is "$ERR" '' "on stdout"
    help=$OUT
    exits 0 "$name -h" "$program" -h
    is "$OUT" "$help" "is the same"
    exits 0 "$name --version" "$program" --version
    has "$OUT" "^$name .*[0-9]+\.[0-9]+" "names the program and its version"
    exits 0 "$name -V" "$program" -V
    exits 64 "$name --nonsense" "$program" --nonsense
    is "$OUT" '' "leaves stdout empty"
    has "$ERR" "$name" "and says so on stderr"
    exits 64 "$name -c without a file" "$program" -c
    exits 78 "$name -c with a file that is not there" "$program" -c "$SITE/nothing.ini" "${run_it[@]}"
    echo '[watch' >"$SITE/bad.ini"
    exits 78 "$name with a bad configuration" "$program" -c "$SITE/bad.ini" "${run_it[@]}"
    has "$ERR" 'bad\.ini:1:' "names file and line"
done
exits 64 "the daemon takes no arguments" "$DAEMON" -c "$INI" "${ALLOW_ROOT[@]}" nonsense
exits 64 "no command" cli
exits 64 "an unknown command" cli nonsense
exits 64 "merge takes no arguments" cli merge nonsense
exits 64 "check needs files" cli check
exits 64 "save needs a user" cli save
for command in check merge save stats status adopt; do
    exits 0 "$command --help" cli "$command" --help
    has "$OUT" "phasesentinel.* $command" "has an example"
    exits 64 "$command --nonsense" cli "$command" --nonsense
done

sample 3 1 >"$DROP/one.csv"
exits 0 "--config" bare --config "$INI" merge
exits 0 "--config=" bare "--config=$INI" merge
exits 0 "PHASESENTINEL_CONFIG" env PHASESENTINEL_CONFIG="$INI" "$CLI" "${ALLOW_ROOT[@]}" merge
is "$(training_rows)" 3 "each took this site's configuration"
mkdir -p "$SITE/other/user_data"
sample 4 2 >"$SITE/other/user_data/two.csv"
exits 0 "-d" bare -c "$INI" -d "$SITE/other" merge
is "$(tail -n +2 "$SITE/other/training_data.csv" | wc -l)" 4 "took another data directory"
exits 0 "--data-dir" env PHASESENTINEL_CONFIG="$INI" "$CLI" "${ALLOW_ROOT[@]}" --data-dir "$SITE/other" stats
is "$(training_rows)" 3 "and left the configured one alone"
mkdir "$SITE/third"
(cd "$SITE" && bare -c phasesentinel.ini -d third merge >"$SITE/third.out" 2>&1)
is "$?" 0 "relative names, and a data directory that is empty"
check "its parts are made" test -d "$SITE/third/user_data" -a -d "$SITE/third/state"

# --- check

site check
sample 3 1 >"$SITE/good.csv"
sample 3 2 | sed '3s/^[^,]*/x/' >"$SITE/bad.csv"
exits 0 "check of a good file" cli check "$SITE/good.csv"
is "$(wc -l <<<"$OUT")" 1 "prints its summary alone"
exits 1 "check of a bad file" cli check "$SITE/bad.csv"
has "$OUT" "^$SITE/bad\.csv:3: type-error: timestamp: ." "prints what is wrong on stdout"
exits 1 "check of both" cli check "$SITE/good.csv" "$SITE/bad.csv"
exits 66 "check of a file that is not there" cli check "$SITE/nothing.csv"
has "$ERR" 'nothing\.csv' "names it on stderr"
is "$(find "$DATA" -mindepth 1)" "$DROP" "check leaves no trace"
cp "$SITE/bad.csv" "$DROP/u1_web_20240101_120000.csv"
before=$(fingerprint "$DATA")
exits 1 "check where it lies" cli check "$DROP/u1_web_20240101_120000.csv"
is "$(fingerprint "$DATA")" "$before" "leaves no trace either"
printf '%s\n' "$COLUMNS_REQUIRED" 'x,x,x,x,x,x,x,x,x' >"$SITE/all.csv"
run cli check "$SITE/all.csv"
is "$(grep -c 'all\.csv:2: ' <<<"$OUT")" 9 "check lists all violations of a row"
rm "$DROP/u1_web_20240101_120000.csv"

# --- merge

site missing-config
exits 78 "a configuration that is not there" "$CLI" -c "$SITE/nothing.ini" "${ALLOW_ROOT[@]}" status
has "$ERR" 'nothing\.ini' "is named"
exits 78 "a directory for a configuration" "$CLI" -c "$SITE" "${ALLOW_ROOT[@]}" status
has "$ERR" 'directory' "is told"

site merge
exits 0 "merge of nothing" cli merge
sample 3 1 >"$DROP/good.csv"
exits 0 "merge of a good file" cli merge
has "$OUT" 'good\.csv' "prints a line for it on stdout"
is "$ERR" '' "and nothing on stderr"
printf "bad\n1\n" >"$DROP/bad.csv"
exits 1 "merge of a bad file" cli merge
has "$OUT" 'bad\.csv' "prints a line for it"
exits 0 "merge after that" cli merge
sample 3 2 | head -c -20 >"$DROP/cut.csv"
exits 0 "merge of a file that may still be growing" cli merge
has "$OUT" 'cut\.csv' "says that it waits"
check "and leaves it" test -e "$DROP/cut.csv"
rm "$DROP/cut.csv"
run cli merge

# --- save

site save
sample 3 1 >"$SITE/metrics"
run cli save --user-id u1 "$SITE/metrics"
is "$CODE" 0 "save from a file"
has "$OUT" "^$DROP/u1_external_[0-9]{8}_[0-9]{6}\.csv$" "prints the path"
check "and the file is whole" same_bytes "$OUT" "$SITE/metrics"
first=$OUT
run cli save --user-id u1 <"$SITE/metrics"
is "$CODE" 0 "save from standard input"
check "takes another second" test "$OUT" != "$first" -a -e "$OUT"
is "$(find "$DROP" -type f | wc -l)" 2 "two files now"
sample 3 2 >"$SITE/metrics"
run cli save --user-id u2 --source simulation --label anomaly --merge "$SITE/metrics"
is "$CODE" 0 "save --merge"
saved=$(head -n 1 <<<"$OUT")
has "$saved" "/u2_simulation_[0-9_]{15}\.csv$" "with its source"
is "$(tail -n +2 "$DATA/training_data.csv" | grep -c ',u2,simulation,anomaly,20')" 3 "and label, merges at once"
exits 1 "save of bad rows with --merge" cli save --user-id u3 --merge <<<"x"
run cli save --user-id 'u 4' "$SITE/metrics"
check "save refuses a user that the schema refuses" test "$CODE" -ne 0
run cli save --user-id u4 --source radio "$SITE/metrics"
check "and a source" test "$CODE" -ne 0
run cli save --user-id ../../x "$SITE/metrics"
check "and a path" test "$CODE" -ne 0
exits 66 "save of a file that is not there" cli save --user-id u5 "$SITE/nothing"
is "$(find "$DROP" -name '.*' -type f | wc -l)" 0 "nothing half written is left"
pids=()
for i in 1 2 3 4 5 6 7 8; do
    sample 2 "$((50 + i))" | cli save --user-id same >"$SITE/save.$i" &
    pids+=($!)
done
wait "${pids[@]}"
is "$(find "$DROP" -name 'same_*' | wc -l)" 8 "eight at once have eight names"
is "$(sort -u "$SITE"/save.? | wc -l)" 8 "each prints its own"
exits 0 "merge takes them" cli merge

# --- status

site status
exits 0 "status of an empty directory" cli status
sample 3 1 >"$DROP/good.csv"
: >"$DROP/empty.csv"
: >"$DROP/note.txt"
start_daemon
check "the daemon merges" wait_for recorded good.csv merged
exits 0 "status beside a daemon" cli status
has "$OUT" "\\b$DAEMON_PID\\b" "names its process"
has "$OUT" 'empty\.csv' "what waits"
running=$OUT
stop_daemon
exits 0 "status without one" cli status
check "says something else" test "$OUT" != "$running"

# --- Exit codes of the disk

site no-directory
rm -r "$DATA"
run cli merge
check "merge without a data directory makes it, or says so" test "$CODE" = 0 -o "$CODE" = 66 -o "$CODE" = 78
[[ $CODE == 0 ]] || check "on stderr" test -n "$ERR"
mkdir -p "$DROP"

site full
if as_root && mount -t tmpfs -o size=256k tmpfs "$DATA" 2>"$SITE/mount"; then
    mounted+=("$DATA")
    mkdir "$DROP"
    sample 1200 1 >"$DROP/big.csv"
    cp "$DROP/big.csv" "$SITE/big.csv"
    head -c 150000 /dev/zero >"$DATA/filler" 2>"$SITE/full"
    run timeout "$WAIT" "$CLI" -c "$INI" "${ALLOW_ROOT[@]}" merge
    check "merge on a full disk: 74 or 75" test "$CODE" = 74 -o "$CODE" = 75
    check "a good file stays" same_bytes "$DROP/big.csv" "$SITE/big.csv"
    check "out of quarantine" test ! -e "$DATA/quarantine/big.csv"
    rm "$DATA/filler"
    exits 0 "with space again" cli merge
    is "$(training_rows)" 1200 "it merges once"
    rm -f "$SITE/big.csv"
else
    skip "a full disk" "no mount"
fi

# --- Root

if as_root; then
    publish_programs
    site root
    ALLOW_ROOT=()
    sample 3 1 >"$DROP/one.csv"
    exits 78 "root's data directory is refused" cli merge
    has "$ERR" 'allow-root' "with a hint"
    exits 78 "by the daemon, too" timeout "$WAIT" "$DAEMON" -c "$INI"
    is "$(find "$DATA" -mindepth 1 | sort)" "$DROP"$'\n'"$DROP/one.csv" "and nothing is touched"
    chown -R nobody "$DATA"
    chmod 755 "$SITE"
    exits 0 "root becomes its owner" cli merge
    is "$(find "$DATA" -mindepth 1 ! -user nobody)" '' "all it makes is the owner's"
    start_daemon
    is "$(stat -c %u "/proc/$DAEMON_PID/")" "$(id -u nobody)" "the daemon, too"
    is "$(awk '/^(Uid|Gid):/ { print ($2 == $3 && $3 == $4 && $4 != 0) }' "/proc/$DAEMON_PID/status" | sort -u)" 1 \
        "for good: real, effective and saved"
    is "$(awk '/^CapEff:/ { print $2 }' "/proc/$DAEMON_PID/status")" 0000000000000000 "without capabilities"
    stop_daemon
    AS_USER=nobody
    exits 0 "the owner needs no root" as_user "$CLI" -c "$INI" merge
    AS_USER=daemon
    run as_user "$CLI" -c "$INI" merge
    check "somebody else is refused" test "$CODE" = 74 -o "$CODE" = 78
    AS_USER=''
    ALLOW_ROOT=(--allow-root)
else
    skip "root becomes the owner" "not root"
fi

finish

#!/bin/bash
# recursive = yes: whole directories that arrive, by every way, however new they are. No scan helps: rescan is a day.
# shellcheck disable=SC2317 # the ways are called by name
# shellcheck source=tests/lib/e2e.sh
. "$(dirname "$0")/../../lib/e2e.sh"

# tree NAME FILES SEED: a directory $SRC/NAME with files of one row, a part of them in directories below.
tree()
{
    mkdir -p "$SRC/$1/2024/01"
    awk -v dir="$SRC/$1" -v files="$2" -v seed="$3" -v header="$COLUMNS_REQUIRED" 'BEGIN {
        for (i = 0; i < files; i++) {
            file = dir (i % 3 == 1 ? "/2024" : i % 3 == 2 ? "/2024/01" : "") "/m" i ".csv"
            printf "%s\n%d.%d,1,2,3,4,5,6,7,idle\n", header, seed, 10000 + i > file
            close(file)
        }
    }'
}

# The ways; each delivers the directory $SRC/NAME to $DROP/NAME.
way_mkdir()
{
    mkdir "$DROP/$1" && cp "$SRC/$1"/*.csv "$DROP/$1/" && mkdir -p "$DROP/$1/2024/01" &&
        cp "$SRC/$1/2024"/*.csv "$DROP/$1/2024/" && cp "$SRC/$1/2024/01"/*.csv "$DROP/$1/2024/01/"
}
way_cp() { cp -r "$SRC/$1" "$DROP/"; }
way_mv() { cp -r "$SRC/$1" "$SITE/moving" && mv "$SITE/moving" "$DROP/$1"; }
way_tar() { tar -C "$SRC" -c "$1" | tar -C "$DROP" -x; }
way_rsync() { rsync -a "$SRC/$1" "$DROP/"; }
way_rsync-delay() { rsync -a --delay-updates "$SRC/$1" "$DROP/"; }
way_rsync-partial() { rsync -a --partial-dir=.rsync-partial "$SRC/$1" "$HOST:$DROP/"; }
way_scp() { $SCP -r "$SRC/$1" "$HOST:$DROP/"; }
way_scp-O() { $SCP -O -r "$SRC/$1" "$HOST:$DROP/"; }
way_sftp()
{
    printf '%s\n' "mkdir $DROP/$1" "put $SRC/$1/*.csv $DROP/$1/" "mkdir $DROP/$1/2024" \
        "put $SRC/$1/2024/*.csv $DROP/$1/2024/" "mkdir $DROP/$1/2024/01" \
        "put $SRC/$1/2024/01/*.csv $DROP/$1/2024/01/" | $SFTP "$HOST" >/dev/null
}
way_sftp-r() { echo "put -r $SRC/$1 $DROP/" | $SFTP "$HOST" >/dev/null; }
ways=(mkdir cp mv tar rsync rsync-delay)
ssh_ways=()
if start_sshd; then
    ssh_ways=(rsync-partial scp scp-O sftp sftp-r)
else
    skip "scp, sftp and rsync" "no sshd"
fi

# merged_in DIRECTORY: how many files of this directory the ledger has as merged.
merged_in() { ledger | awk -F, -v dir="$1/" '$4 == "merged" && index($5, dir) == 1' | wc -l; }

# A file has an event of its own, or the scan of its new directory finds it.
site up recursive=yes rescan=86400
SRC=$SITE/src
start_daemon
total=0
rounds=3
[[ -z ${TEST_SHORT-} ]] || rounds=1
for ((round = 1; round <= rounds; round++)); do
    ((round > 1)) || round_ways=("${ways[@]}" "${ssh_ways[@]}")
    for way in "${round_ways[@]}"; do
        files=300
        [[ " ${ways[*]} " == *" $way "* ]] || files=90
        total=$((total + files))
        tree "$way-$round" "$files" "$total"
        "way_$way" "$way-$round" || fail "$way: the files are delivered"
    done
    for way in "${round_ways[@]}"; do
        files=$(find "$SRC/$way-$round" -name '*.csv' | wc -l)
        becomes "$files" "round $round: $files files at once in new directories, by $way" merged_in "$way-$round"
    done
    round_ways=("${ways[@]}")
done
is "$(training_rows)" "$total" "each row once"
is "$(ledger_lines)" $((total + 1)) "each file with one line in the ledger"

states=(down stopped overflowed)
[[ -z ${TEST_SHORT-} ]] || states=(overflowed)
for state in "${states[@]}"; do
    site "$state" recursive=yes rescan=86400
    SRC=$SITE/src
    total=0
    [[ $state == down ]] || start_daemon
    [[ $state == down ]] || kill -STOP "$DAEMON_PID"
    if [[ $state == overflowed ]]; then
        queue=$(cat /proc/sys/fs/inotify/max_queued_events)
        for ((i = 0; i < queue; i++)); do
            : >"$DROP/.noise$i"
        done
    fi
    for way in "${ways[@]}" "${ssh_ways[@]}"; do
        total=$((total + 15))
        tree "$way" 15 "$total"
        "way_$way" "$way" || fail "$way: the files are delivered"
    done
    [[ $state != down ]] || start_daemon
    kill -CONT "$DAEMON_PID"
    becomes "$total" "$state: all are merged" training_rows
    tree later 15 1
    way_cp later
    becomes $((total + 15)) "$state: and what comes later" training_rows
    is "$(ledger_lines)" $((total + 16)) "$state: each file once"
done

finish

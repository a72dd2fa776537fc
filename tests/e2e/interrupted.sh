#!/bin/bash
# Transfers that are cut in the middle, by every tool, at either end, and sent again: meanwhile nothing is merged that
# is not the beginning of the file, then the right rows are, once and in order, and quarantine is as it was.
# shellcheck disable=SC2317,SC2206 # the ways are called by name; SCP and SFTP are words
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

ROWS=12000
BEGUN=100000 # bytes that are there when a transfer is cut, or more
OTHER_FS=/dev/shm
[[ -d $OTHER_FS && -w $OTHER_FS ]] || OTHER_FS=$TMP
OTHER_FS=$(mktemp -d "$OTHER_FS/e2e.XXXXXX")
trap 'rm -rf "$OTHER_FS"; clean_up' EXIT

# --- The ways
#
# way_NAME FILE SLOW: how $SRC/FILE is sent to the drop directory, as COMMAND, and if SLOW is 1, so that there is time
# to cut it. INPUT is a file that goes into it; BEFORE, bytes of the file that came before.

batch() { echo "$1" >"$SITE/batch" && COMMAND=(${SFTP% -b -} ${2:+-l 1600} -b "$SITE/batch" "$HOST"); }
by_scp() { COMMAND=($SCP ${2:+-l 1600} "${@:3}" "$SRC/$1" "$HOST:$DROP/"); }
by_rsync() { COMMAND=(rsync ${2:+--bwlimit=200} "${@:3}" "$SRC/$1" "$HOST:$DROP/"); }

way_scp() { by_scp "$1" "$2"; }
way_scp-O() { by_scp "$1" "$2" -O; }
way_scp-p() { by_scp "$1" "$2" -p; }
way_sftp-put() { batch "put $SRC/$1 $DROP/$1" "$2"; }
way_sftp-reput() { batch "reput $SRC/$1 $DROP/$1" "$2" && BEFORE=50000; }
way_rsync() { by_rsync "$1" "$2" -a; }
way_rsync-partial() { by_rsync "$1" "$2" -a --partial; }
way_rsync-partial-now() { by_rsync "$1" "$2" --partial; }
way_rsync-partial-dir() { by_rsync "$1" "$2" -a --partial-dir=.rsync-partial; }
way_rsync-delay() { by_rsync "$1" "$2" -a --delay-updates; }
way_rsync-inplace() { by_rsync "$1" "$2" -a --inplace; }
way_rsync-append() { by_rsync "$1" "$2" -a --append-verify && BEFORE=50000; }
way_cp() { COMMAND=(cp /dev/stdin "$DROP/$1") && INPUT=$SRC/$1; }
way_cat() { COMMAND=(bash -c "exec cat >'$DROP/$1'") && INPUT=$SRC/$1; }
way_tar()
{
    tar -C "$SRC" -cf "$SITE/tar" "$1"
    COMMAND=(tar -C "$DROP" -xf -) && INPUT=$SITE/tar
}

# Too quick for anybody: these are ended at their third write.
by_itself()
{
    [[ -z $2 ]] || COMMAND=(strace -f -o "$SITE/strace" -e "trace=write,copy_file_range"
        -e inject=copy_file_range:error=ENOSYS -e "inject=write:signal=SIG$signal:when=3" "${COMMAND[@]}")
}
way_curl() { COMMAND=(curl -s -o "$DROP/$1" "file://$SRC/$1") && by_itself "$@"; }
way_mv-across() { cp "$SRC/$1" "$OTHER_FS/$1" && COMMAND=(mv "$OTHER_FS/$1" "$DROP/") && by_itself "$@"; }

# begun NAME BYTES [EXACTLY]: has so much of it come, under whatever name? EXACTLY: and no more?
begun()
{
    local path

    while read -r path; do
        cmp -s -n "$2" "$path" "$SRC/$1" && (($(stat -c %s "$path") == $2 || ($# == 2 && $(stat -c %s "$path") > $2))) &&
            return 0
    done < <(find "$DROP" -type f -name "*$1*")
    return 1
}

# writer_of NAME: who has the dropped file open, or one that will be it.
writer_of()
{
    find /proc/[0-9]*/fd -lname "$DROP/*$1*" 2>/dev/null | cut -d / -f 3 | grep -vx "$DAEMON_PID" | head -n 1
}

# feed BYTES: so many of INPUT go into a pipe, and no more; sets FEEDER.
feed()
{
    rm -f "$SITE/pipe" && mkfifo "$SITE/pipe"
    {
        head -c "$1" "$INPUT"
        exec sleep 1000
    } >"$SITE/pipe" &
    FEEDER=$!
    started+=("$FEEDER")
}

# end_of PID: waits for it; it is ours no more.
end_of()
{
    wait "$1" 2>/dev/null
    forget_pid "$1"
}

# interrupt WAY NAME SIGNAL [BYTES]: sends it so, and cuts that: SIGNAL goes to the sender, or KILL to whom it sends to, where
# it is `server`. What goes through a pipe stops behind so many bytes.
interrupt()
{
    local signal=$3 pid victim from=/dev/null
    INPUT='' BEFORE=0 FEEDER='' COMMAND=()

    "way_$1" "$2" 1
    ((BEFORE == 0)) || head -c "$BEFORE" "$SRC/$2" >"$DROP/$2"
    [[ -z $INPUT ]] || { feed "${4:-$((BEGUN + 10000))}" && from=$SITE/pipe; }
    env --default-signal=INT "${COMMAND[@]}" <"$from" >"$SITE/out" 2>&1 &
    pid=$!
    started+=("$pid")
    if [[ ${COMMAND[0]} != strace ]]; then
        wait_for begun "$2" "${4:-$BEGUN}" ${4:+exactly} || fail "$1: the transfer begins" "$(cat "$SITE/out")"
        victim=$pid
        [[ $signal != server ]] || victim=$(writer_of "$2")
        kill "-${signal/server/KILL}" "$victim" || fail "$1: the transfer is cut" "$(cat "$SITE/out")"
    fi
    end_of "$pid"
    if [[ -n $FEEDER ]]; then
        kill "$FEEDER"
        end_of "$FEEDER"
    fi
    wait_for eval "[[ -z \$(writer_of '$2') ]]"
}

# again WAY NAME: sends it so, whole.
again()
{
    INPUT='' BEFORE=0 COMMAND=()
    "way_$1" "$2" ''
    "${COMMAND[@]}" <"${INPUT:-/dev/null}" >"$SITE/out" 2>&1 || fail "$1: it is sent again" "$(cat "$SITE/out")"
}

# file_of WAY SIGNAL: a name for each.
file_of() { echo "$1-${2}_web_20240203_040506.csv"; }

# only_begun NAME FILE: is what is merged of NAME the beginning of FILE, and not all of it?
only_begun()
{
    rows_of "$1" >"$SITE/got" && expected_rows "$2" "$1" >"$SITE/want" &&
        (($(stat -c %s "$SITE/got") < $(stat -c %s "$SITE/want"))) &&
        cmp -n "$(stat -c %s "$SITE/got")" "$SITE/got" "$SITE/want"
}

# in_quarantine: the names there, but for those of after_settle, in one line.
in_quarantine() { find "$DATA/quarantine" -type f ! -name 'settle-mark*' -printf '%P ' 2>/dev/null; }

# open_site NAME [KEY=VALUE…]: a site with a directory of what is sent.
open_site()
{
    site "$@"
    SRC=$SITE/src
    mkdir "$SRC"
}

by_ssh=(scp scp-O scp-p sftp-put sftp-reput rsync rsync-partial rsync-partial-now rsync-partial-dir rsync-delay
    rsync-inplace rsync-append)
cuts=()
for way in cp cat tar curl mv-across; do
    cuts+=("$way KILL" "$way INT")
done
if start_sshd; then
    for way in "${by_ssh[@]}"; do
        cuts+=("$way KILL" "$way server")
        [[ $way =~ ^(scp|scp-O|sftp-put|rsync-partial|rsync-inplace)$ ]] && cuts+=("$way INT")
    done
else
    skip "scp, sftp and rsync" "no sshd"
fi
sample "$ROWS" 1 >"$TMP/whole.csv"

# --- Files that are new

open_site new
start_daemon
for cut in "${cuts[@]}"; do
    read -r way signal <<<"$cut"
    name=$(file_of "$way" "$signal")
    cp "$TMP/whole.csv" "$SRC/$name"
    interrupt "$way" "$name" "$signal"
done
after_settle
for cut in "${cuts[@]}"; do
    read -r way signal <<<"$cut"
    name=$(file_of "$way" "$signal")
    check "$way cut by $signal: no row but the first ones" only_begun "$name" "$TMP/whole.csv"
done
is "$(in_quarantine)" '' "no cut file is in quarantine"
for cut in "${cuts[@]}"; do
    read -r way signal <<<"$cut"
    again "$way" "$(file_of "$way" "$signal")"
done
good=0
for cut in "${cuts[@]}"; do
    read -r way signal <<<"$cut"
    name=$(file_of "$way" "$signal")
    failures=$test_failures
    arrived "$name" "$TMP/whole.csv" "$way cut by $signal, and sent again: merged once"
    ((test_failures > failures)) || good=$((good + 1))
done
after_settle
is "$(in_quarantine)" '' "nothing of them is in quarantine"
is "$(training_rows)" $((${#cuts[@]} * ROWS)) "each row once"
echo "# interrupted: $good of ${#cuts[@]} cuts of new files"

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
[[ ${#cuts[@]} == 10 ]] || ways+=(scp scp-O sftp-put rsync rsync-partial rsync-inplace rsync-append)
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
after_settle
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
after_settle
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
[[ ${#cuts[@]} == 10 ]] || ways+=(scp scp-O rsync-inplace)
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

# --- A disk that is full: scp makes the file as long as it should be, with NUL bytes

open_site full
if ((${#cuts[@]} > 10)) && mount -t tmpfs -o size=200k tmpfs "$DROP" 2>"$SITE/mount"; then
    mounted+=("$DROP")
    start_daemon
    name=$(file_of scp full)
    cp "$TMP/whole.csv" "$SRC/$name"
    $SCP "$SRC/$name" "$HOST:$DROP/" 2>"$SITE/out" && fail "scp: the disk is full"
    is "$(stat -c %s "$DROP/$name")" "$(stat -c %s "$SRC/$name")" "scp left a file of the full size"
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

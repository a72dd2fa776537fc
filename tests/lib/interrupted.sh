# What the tests of interrupted transfers share: the ways to send $SRC/NAME to the drop directory, and to cut them.
#
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2206 # much is for the scripts; SCP and SFTP are words
# shellcheck source=tests/lib/e2e.sh
. "$(dirname "${BASH_SOURCE[0]}")/e2e.sh"

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

# in_quarantine: the names there, but for those of after_verdict, in one line.
in_quarantine() { find "$DATA/quarantine" -type f ! -name 'settle-mark*' -printf '%P ' 2>/dev/null; }

# open_site NAME [KEY=VALUE…]: a site with a directory of what is sent.
open_site()
{
    site "$@" settle=1
    SRC=$SITE/src
    mkdir "$SRC"
}

by_ssh=(scp scp-O scp-p sftp-put sftp-reput rsync rsync-partial rsync-partial-now rsync-partial-dir rsync-delay
    rsync-inplace rsync-append)
cuts=()
for way in cp cat tar curl mv-across; do
    cuts+=("$way KILL")
    [[ -n ${TEST_SHORT-} ]] || cuts+=("$way INT")
done
ssh=''
if start_sshd; then
    ssh=yes
    for way in "${by_ssh[@]}"; do
        cuts+=("$way server")
        [[ -n ${TEST_SHORT-} ]] || cuts+=("$way KILL")
        [[ $way =~ ^(scp|scp-O|sftp-put|rsync-partial|rsync-inplace)$ ]] && cuts+=("$way INT")
    done
else
    skip "scp, sftp and rsync" "no sshd"
fi
sample "$ROWS" 1 >"$TMP/whole.csv"

# The library of the tests of interrupted transfers: ways to send $SRC/NAME to the drop directory, and to cut them off.
#
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2206 # the scripts use much of this; SCP and SFTP are split into words
# shellcheck source=tests/lib/e2e.sh
. "$(dirname "${BASH_SOURCE[0]}")/e2e.sh"

ROWS=12000
BEGUN=100000 # bytes that have arrived at least when a transfer is cut off
OTHER_FS=/dev/shm
[[ -d $OTHER_FS && -w $OTHER_FS ]] || OTHER_FS=$TMP
OTHER_FS=$(mktemp -d "$OTHER_FS/e2e.XXXXXX")
trap 'rm -rf "$OTHER_FS"; clean_up' EXIT

# --- The ways
#
# way_NAME FILE SLOW: set COMMAND to what sends $SRC/FILE to the drop directory. SLOW is 1 for a transfer slow enough to cut off.
# INPUT is a file that becomes the standard input, BEFORE the number of bytes of the file that are in place already.

batch() { echo "$1" >"$SITE/batch" && COMMAND=(${SFTP% -b -} ${2:+-l 800} -b "$SITE/batch" "$HOST"); }
by_scp() { COMMAND=($SCP ${2:+-l 800} "${@:3}" "$SRC/$1" "$HOST:$DROP/"); }
by_rsync() { COMMAND=(rsync ${2:+--bwlimit=100} "${@:3}" "$SRC/$1" "$HOST:$DROP/"); }

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

# kill_at_write FILE SLOW: end a command that is too quick to be cut off from outside at its third write.
kill_at_write()
{
    [[ -z $2 ]] || COMMAND=(strace -f -o "$SITE/strace" -e "trace=write,copy_file_range"
        -e inject=copy_file_range:error=ENOSYS -e "inject=write:signal=SIG$signal:when=3" "${COMMAND[@]}")
}
way_curl() { COMMAND=(curl -s -o "$DROP/$1" "file://$SRC/$1") && kill_at_write "$@"; }
way_mv-across() { cp "$SRC/$1" "$OTHER_FS/$1" && COMMAND=(mv "$OTHER_FS/$1" "$DROP/") && kill_at_write "$@"; }

# begun NAME BYTES [EXACTLY]: succeed if so many bytes or more have arrived, under any name; with EXACTLY, no more than that.
begun()
{
    local path

    while read -r path; do
        cmp -s -n "$2" "$path" "$SRC/$1" && (($(stat -c %s "$path") == $2 || ($# == 2 && $(stat -c %s "$path") > $2))) &&
            return 0
    done < <(find "$DROP" -type f -name "*$1*")
    return 1
}

# servers: print the ids of the processes that receive files for our sshd.
servers()
{
    ps -e -o pid=,ppid=,comm= | awk -v sshd="$SSHD_PID" '
        { parent[$1] = $2; name[$1] = $3 }
        END {
            for (pid in parent) {
                if (name[pid] !~ /^(sftp-server|scp|rsync)$/) continue
                for (p = pid; p in parent && p != sshd; p = parent[p]);
                if (p == sshd) print pid
            }
        }'
}

# servers_ended: succeed if none is left.
servers_ended() { [[ -z $ssh || -z $(servers) ]]; }

# feed BYTES: write so many bytes of INPUT into a pipe and keep it open; set FEEDER.
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

# reap PID: wait for the end of a process.
reap()
{
    wait "$1" 2>/dev/null
    forget_pid "$1"
}

# interrupt WAY NAME SIGNAL [BYTES]: send the file and cut the transfer off: SIGNAL goes to the sender; `server` kills the
# receiving processes. A transfer through a pipe stops after BYTES.
interrupt()
{
    local signal=$3 pid from=/dev/null
    local victims
    INPUT='' BEFORE=0 FEEDER='' COMMAND=()

    "way_$1" "$2" 1
    ((BEFORE == 0)) || head -c "$BEFORE" "$SRC/$2" >"$DROP/$2"
    [[ -z $INPUT ]] || { feed "${4:-$((BEGUN + 10000))}" && from=$SITE/pipe; }
    env --default-signal=INT "${COMMAND[@]}" <"$from" >"$SITE/out" 2>&1 &
    pid=$!
    started+=("$pid")
    if [[ ${COMMAND[0]} != strace ]]; then
        wait_for begun "$2" "${4:-$BEGUN}" ${4:+exactly} || fail "$1: the transfer begins" "$(cat "$SITE/out")"
        victims=("$pid")
        [[ $signal != server ]] || mapfile -t victims < <(servers)
        kill "-${signal/server/KILL}" "${victims[@]}" || fail "$1: the transfer is cut off" "$(cat "$SITE/out")"
    fi
    reap "$pid"
    if [[ -n $FEEDER ]]; then
        kill "$FEEDER"
        reap "$FEEDER"
    fi
    wait_for servers_ended
}

# again WAY NAME: send the whole file.
again()
{
    INPUT='' BEFORE=0 COMMAND=()
    "way_$1" "$2" ''
    "${COMMAND[@]}" <"${INPUT:-/dev/null}" >"$SITE/out" 2>&1 || fail "$1: the file is sent again" "$(cat "$SITE/out")"
}

# file_of WAY SIGNAL: print the name of the file that is sent and cut off so.
file_of() { echo "$1-${2}_web_20240203_040506.csv"; }

# only_begun NAME FILE: succeed if the rows merged from NAME are the first ones of FILE, and not all of them.
only_begun()
{
    rows_of "$1" >"$SITE/got" && expected_rows "$2" "$1" >"$SITE/want" &&
        (($(stat -c %s "$SITE/got") < $(stat -c %s "$SITE/want"))) &&
        cmp -n "$(stat -c %s "$SITE/got")" "$SITE/got" "$SITE/want"
}

# in_quarantine: print the names in quarantine on one line, without the markers of after_verdict.
in_quarantine() { find "$DATA/quarantine" -type f ! -name 'settle-mark*' -printf '%P ' 2>/dev/null; }

# open_site NAME [KEY=VALUE…]: open a site with a directory SRC for the files to send. A cut file waits for its other half: settle = 1.
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

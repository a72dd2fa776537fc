#!/bin/bash
# Files that come over ssh, by every tool and option that people use: each merges exactly once, whether the
# daemon watches, is down, stands still, or has lost events.
# shellcheck disable=SC2317 # the ways are called by name
# shellcheck source=tests/lib/arrival.sh
. "$(dirname "$0")/../../lib/arrival.sh"

# send_by_sftp LINE…: a batch of sftp commands.
send_by_sftp() { printf '%s\n' "$@" | $SFTP "$HOST" >/dev/null; }

# first_half NAME: the same file up to a line end in its middle, for ways that deliver in two steps.
first_half()
{
    mkdir -p "$SRC/half"
    head -n 150 "$SRC/$1" >"$SRC/half/$1"
    echo "$SRC/half/$1"
}

# The ways; each delivers $SRC/NAME to $DROP/NAME.
way_scp() { $SCP "$SRC/$1" "$HOST:$DROP/"; }
way_scp-O() { $SCP -O "$SRC/$1" "$HOST:$DROP/"; }
way_scp-p() { $SCP -p "$SRC/$1" "$HOST:$DROP/"; }
way_scp-O-p() { $SCP -O -p "$SRC/$1" "$HOST:$DROP/"; }
way_sftp-put() { send_by_sftp "put $SRC/$1 $DROP/$1"; }
way_sftp-put-p() { send_by_sftp "put -p $SRC/$1 $DROP/$1"; }
way_sftp-rename() { send_by_sftp "put $SRC/$1 $DROP/$1.tmp" "rename $DROP/$1.tmp $DROP/$1"; }
way_sftp-rename-l() { send_by_sftp "put $SRC/$1 $DROP/$1.tmp" "rename -l $DROP/$1.tmp $DROP/$1"; }
way_rsync() { rsync "$SRC/$1" "$HOST:$DROP/"; }
way_rsync-inplace() { rsync -a --inplace "$SRC/$1" "$HOST:$DROP/"; }
way_rsync-delay() { rsync -a --delay-updates "$SRC/$1" "$HOST:$DROP/"; }

way_scp-over()
{
    $SCP "$(first_half "$1")" "$HOST:$DROP/" && seen "$1" && $SCP "$SRC/$1" "$HOST:$DROP/"
}

way_scp-O-over()
{
    $SCP -O "$(first_half "$1")" "$HOST:$DROP/" && seen "$1" && $SCP -O "$SRC/$1" "$HOST:$DROP/"
}

way_sftp-reput()
{
    mkdir -p "$SRC/half"
    head -c $(($(stat -c %s "$SRC/$1") / 2)) "$SRC/$1" >"$SRC/half/$1"
    send_by_sftp "put $SRC/half/$1 $DROP/$1" || return
    [[ $state != up ]] || after_merge
    send_by_sftp "reput $SRC/$1 $DROP/$1"
}

way_rsync-grown()
{
    rsync -a "$(first_half "$1")" "$HOST:$DROP/" && seen "$1" && rsync -a "$SRC/$1" "$HOST:$DROP/"
}

way_rsync-append()
{
    rsync -a "$(first_half "$1")" "$HOST:$DROP/" && seen "$1" &&
        rsync -a --append-verify "$SRC/$1" "$HOST:$DROP/"
}

way_rsync-again()
{
    rsync -a "$SRC/$1" "$HOST:$DROP/" && seen "$1" && rsync -a "$SRC/$1" "$HOST:$DROP/" || return
    [[ $state == up ]] || return 0
    after_merge
    is "$(verdicts "$1")" merged "rsync -a run again has nothing booked"
}

way_rsync-other-mtime()
{
    rsync -a "$SRC/$1" "$HOST:$DROP/" && seen "$1" && touch -d '2001-02-03 04:05:06' "$SRC/$1" &&
        rsync -a "$SRC/$1" "$HOST:$DROP/"
}

# A transfer cut by its sender: rsync puts what came under the final name, with the time 0.
way_rsync-partial()
{
    local pid

    sample 30000 99 >"$SRC/$1"
    rsync -a --partial --bwlimit=1000 "$SRC/$1" "$HOST:$DROP/" 2>/dev/null &
    pid=$!
    started+=("$pid")
    wait_for partial_began "$1"
    kill -TERM "$pid"
    wait "$pid" 2>/dev/null
    forget_pid "$pid"
    wait_for test -e "$DROP/$1" || return
    if [[ $state == up ]]; then
        is "$(stat -c %Y "$DROP/$1")" 0 "rsync left a partial file with the time 0"
        after_verdict
        is "$(verdicts "$1")" '' "a file with the time 0 is not judged"
    fi
    rsync -a --partial "$SRC/$1" "$HOST:$DROP/"
}

# partial_began NAME: has rsync's temporary file some content?
partial_began() { find "$DROP" -name ".$1.*" -size +100k | grep -q .; }

CELLS=([scp]=scp [scp-O]=scp-O [sftp-put]=sftp-put [sftp-rename]=sftp-rename [sftp-rename-l]=sftp-rename-l
    [sftp-reput]=sftp-reput [rsync]=rsync [rsync-inplace]=rsync-inplace [rsync-append]=rsync-append
    [rsync-partial]=rsync-partial [rsync-delay]=rsync-delay)
if start_sshd; then
    in_each_state scp scp-O scp-p scp-O-p scp-over scp-O-over sftp-put sftp-put-p sftp-rename sftp-rename-l \
        sftp-reput rsync rsync-inplace rsync-delay rsync-grown rsync-append rsync-again rsync-other-mtime \
        rsync-partial
else
    skip "files over ssh" "no sshd"
fi
finish

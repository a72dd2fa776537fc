#!/bin/bash
# File systems of which inotify does not tell all: known, said once, looked at every `poll` seconds. rescan is a day, so
# that nothing else helps.
# shellcheck source=tests/lib/e2e.sh
. "$(dirname "$0")/../../lib/e2e.sh"

# told SYSTEM DIRECTORY: the log and status say that it is polled, the log once.
told()
{
    is "$(grep -c "user_data/$2 is on $1, of which the kernel does not tell all that happens: looked at every 1 sec" "$LOG")" \
        1 "$1: the log says once that it is looked at often"
    run cli status
    has "$OUT" "^polled +every 1 seconds: user_data/$2 is on $1" "$1: so does status"
    is "$(cli status --json | json_of /dev/stdin polled | cut -d : -f 1)" "every 1 seconds" "$1: as JSON too"
}

# silent NAME FILE: wait until a file is merged for which the kernel sends no event.
silent()
{
    arrived "$1" "$2" "${3:-$1}: found without an event"
}

# Files are written to the directory below an overlay.
site overlay rescan=86400 poll=1
mkdir "$SITE/lower" "$SITE/upper" "$SITE/work"
if as_root && mount -t overlay overlay -o "lowerdir=$SITE/lower,upperdir=$SITE/upper,workdir=$SITE/work" "$DROP" \
    2>"$SITE/mount"; then
    mounted+=("$DROP")
    start_daemon
    sample 5 1 >"$SITE/one"
    cp "$SITE/one" "$SITE/upper/one.csv"
    silent one.csv "$SITE/one" "a file written below an overlay"
    sample 5 2 >"$SITE/two"
    put two.csv <"$SITE/two"
    arrived two.csv "$SITE/two" "one written through it"
    told overlay ''
    stop_daemon
    umount -l "$DROP"
    mounted=()
    cp "$SITE/upper"/*.csv "$DROP/" # for the checker
    cli merge >/dev/null
else
    skip "an overlay" "no mount"
fi

# A FUSE mount, of which the other side writes; the drop directory, or a user's.
fuse() { [[ -c /dev/fuse ]] && command -v bindfs >/dev/null && bindfs -o attr_timeout=0,entry_timeout=0 "$1" "$2"; }

site fuse rescan=86400 poll=1
mkdir "$SITE/remote"
if fuse "$SITE/remote" "$DROP" 2>"$SITE/mount"; then
    mounted+=("$DROP")
    start_daemon
    sample 5 1 >"$SITE/one"
    cp "$SITE/one" "$SITE/remote/one.csv"
    silent one.csv "$SITE/one" "a file written on the other side"
    more_rows 5 1 5 >>"$SITE/one"
    more_rows 5 1 5 >>"$SITE/remote/one.csv"
    silent one.csv "$SITE/one" "what is appended there"
    printf 'bad\n1\n' >"$SITE/bad"
    cp "$SITE/bad" "$SITE/remote/bad.csv"
    quarantined bad.csv missing-label "a bad file crosses to quarantine" "$SITE/bad"
    check "and is gone on the other side" test ! -e "$SITE/remote/bad.csv"
    told FUSE ''
    stop_daemon
    umount -l "$DROP"
    mounted=()
    cp "$SITE/remote"/*.csv "$DROP/"
    cli merge >/dev/null
else
    skip "a FUSE mount" "no /dev/fuse, or no bindfs"
fi

site below rescan=86400 poll=1 recursive=yes
mkdir "$SITE/remote" "$DROP/alice"
start_daemon
if fuse "$SITE/remote" "$DROP/alice" 2>"$SITE/mount"; then
    mounted+=("$DROP/alice")
    # Mounted over, which nothing tells either: the next scan sees it.
    kill -HUP "$DAEMON_PID"
    sample 5 1 >"$SITE/one"
    cp "$SITE/one" "$SITE/remote/one.csv"
    silent alice/one.csv "$SITE/one" "a file written on the other side of a user's directory"
    told FUSE alice
    stop_daemon
    umount -l "$DROP/alice"
    mounted=()
    cp "$SITE/remote"/*.csv "$DROP/alice/"
    cli merge >/dev/null
else
    skip "a FUSE mount below" "no /dev/fuse, or no bindfs"
fi

# Do not poll file systems that report all events.
site plain rescan=86400 poll=1
start_daemon
case $(stat -f -c %T "$DROP") in
ext2/ext3 | xfs | btrfs | tmpfs)
    sample 5 1 >"$SITE/elsewhere.csv"
    ln "$SITE/elsewhere.csv" "$DROP/linked.csv"
    arrived linked.csv "$SITE/elsewhere.csv" "a hard link is merged"
    run cli status
    has "$(cat "$LOG")$OUT" 'linked' "it is told of"
    is "$(grep -c 'looked at every' "$LOG")$(grep -c '^polled' <<<"$OUT")" 00 "and nothing of polling"
    ;;
*) skip "a file system that tells all" "$(stat -f -c %T "$DROP") here" ;;
esac

finish

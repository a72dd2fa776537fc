#!/bin/bash
# Files that come by the tools of the machine itself: each merges exactly once, whether the daemon watches, is
# down, stands still, or has lost events.
# shellcheck disable=SC2016,SC2317,SC2129 # the ways are called by name; files are opened again and again on purpose
# shellcheck source=tests/lib/arrival.sh
. "$(dirname "$0")/../../lib/arrival.sh"

# The ways; each delivers $SRC/NAME to $DROP/NAME.
way_cp() { cp "$SRC/$1" "$DROP/"; }
way_cp-p() { cp -p "$SRC/$1" "$DROP/"; }
way_install() { install -m 644 "$SRC/$1" "$DROP/"; }
way_mv() { cp "$SRC/$1" "$SITE/$1" && mv "$SITE/$1" "$DROP/"; }
way_mv-across() { cp "$SRC/$1" "$OTHER_FS/$1" && mv "$OTHER_FS/$1" "$DROP/"; }
way_ln() { ln "$SRC/$1" "$DROP/$1"; }
way_redirect() { cat "$SRC/$1" >"$DROP/$1"; }
way_tar() { tar -C "$SRC" -cf - "$1" | tar -C "$DROP" -xf -; }
way_touch-then-fill() { : >"$DROP/$1" && cat "$SRC/$1" >>"$DROP/$1"; }

way_cp-remove() { cp "$SRC/$1" "$DROP/" && seen "$1" && cp --remove-destination "$SRC/$1" "$DROP/"; }
way_cp-again() { cp "$SRC/$1" "$DROP/" && seen "$1" && cp "$SRC/$1" "$DROP/"; }

# Three pieces, cut within a line; every close looks like the end.
way_pieces()
{
    local size third

    size=$(stat -c %s "$SRC/$1")
    third=$((size / 3))
    head -c "$third" "$SRC/$1" >>"$DROP/$1"
    tail -c +$((third + 1)) "$SRC/$1" | head -c "$third" >>"$DROP/$1"
    tail -c +$((2 * third + 1)) "$SRC/$1" >>"$DROP/$1"
}

# Line by line through one descriptor that stays open.
way_slow()
{
    while IFS= read -r line; do
        echo "$line"
    done <"$SRC/$1" >"$DROP/$1"
}

way_unzip() { (cd "$SRC" && zip -q "$SITE/$1.zip" "$1") && unzip -q "$SITE/$1.zip" -d "$DROP"; }
way_gunzip() { gzip -c "$SRC/$1" >"$DROP/$1.z" && gunzip -S .z "$DROP/$1.z"; } # NAME.csv.gz would be a file of its own

# A file without a name that is linked in when it is whole.
way_tmpfile()
{
    python3 -c '
import os, sys
source, drop, name = sys.argv[1:]
fd = os.open(drop, os.O_TMPFILE | os.O_WRONLY, 0o644)
os.write(fd, open(source, "rb").read())
fds = os.open("/proc/self/fd", os.O_RDONLY)
os.link(str(fd), drop + "/" + name, src_dir_fd=fds, follow_symlinks=True)
' "$SRC/$1" "$DROP" "$1"
}

way_mkstemp()
{
    python3 -c '
import os, sys, tempfile
source, drop, name = sys.argv[1:4]
fd, path = tempfile.mkstemp(dir=drop)
os.write(fd, open(source, "rb").read())
if len(sys.argv) > 4:
    os.fchmod(fd, 0o644)
os.replace(path, drop + "/" + name)
' "$SRC/$1" "$DROP" "$1" ${DATA_OWNER:+readable}
}

# An editor's way: a bad cell is corrected in place, by a new file under the same name.
way_sed-i()
{
    sed '5s/^[^,]*/oops/' "$SRC/$1" >"$DROP/$1" && sed -i "5s/^oops/$(sed -n '5s/,.*//p' "$SRC/$1")/" "$DROP/$1"
}

# shellcheck disable=SC2016 # vim's own $: the last line
# Half of the lines, saved; then the others behind them, saved again.
way_vim()
{
    timeout "$WAIT" vim -Nu NONE -n -es -c "0read $SRC/$1" -c '$delete' -c '151,$delete' -c write \
        -c "\$read $SRC/$1" -c '151,300delete' -c write -c quit "$DROP/$1"
}

# By its keys, on a terminal: read a file, save, read a second one behind it, save, leave.
way_nano()
{
    head -n 150 "$SRC/$1" >"$SITE/head"
    tail -n +151 "$SRC/$1" >"$SITE/tail"
    TERM=xterm timeout "$WAIT" python3 -c '
import os, pty, sys
head, tail, path = sys.argv[1:]
pid, terminal = pty.fork()
if pid == 0:
    os.execvp("nano", ["nano", "--ignorercfiles", "--nonewlines", path])
screen = b""
while b"Exit" not in screen:
    screen += os.read(terminal, 4096)
os.write(terminal, b"".join(b"\x12%s\r\x0f\r" % os.fsencode(part) for part in (head, tail)) + b"\x18")
try:
    while os.read(terminal, 4096):
        pass
except OSError:
    pass # it has left
os.waitpid(pid, 0)
' "$SITE/head" "$SITE/tail" "$DROP/$1"
}

way_hidden-rename() { cp "$SRC/$1" "$DROP/.in.$1" && mv "$DROP/.in.$1" "$DROP/$1"; }
way_hidden-link() { cp "$SRC/$1" "$DROP/.in.$1" && ln "$DROP/.in.$1" "$DROP/$1" && rm "$DROP/.in.$1"; }

CELLS=([cp]=cp [mv]=mv [mv-across]=mv-across [ln]=ln [pieces]=pieces [tar]=tar [unzip]=unzip [tmpfile]=tmpfile
    [vim]=editors [nano]=editors [sed-i]=editors)
ways=(cp cp-p cp-remove cp-again install mv mv-across ln redirect tar touch-then-fill pieces slow tmpfile mkstemp
    sed-i gunzip hidden-rename hidden-link)
for editor in vim nano; do
    if command -v "$editor" >"$TMP/editor"; then
        ways+=("$editor")
    else
        skip "files by $editor" "no $editor"
    fi
done
if command -v zip unzip >"$TMP/zip"; then
    ways+=(unzip)
else
    skip "files by unzip" "no zip"
fi
OTHER_FS=/dev/shm
[[ -d $OTHER_FS && -w $OTHER_FS ]] || OTHER_FS=$TMP
OTHER_FS=$(mktemp -d "$OTHER_FS/e2e.XXXXXX")
trap 'rm -rf "$OTHER_FS"; clean_up' EXIT

in_each_state "${ways[@]}"

# Files that their owner has closed to us: waiting, and merged as soon as they are opened.
if as_root; then
    site other-user
    chown -R nobody "$SITE"
    start_daemon
    is "$(stat -c %u "/proc/$DAEMON_PID")" "$(id -u nobody)" "root becomes the owner of the data directory"
    sample 20 1 >"$SITE/closed.csv"
    chmod 600 "$SITE/closed.csv"
    cp -p "$SITE/closed.csv" "$DROP/closed.csv"
    after_verdict
    is "$(verdicts closed.csv)" '' "a file that may not be read is not judged"
    check "status lists it as file-unreadable" wait_for eval "cli status | grep -q 'closed\.csv: file-unreadable'"
    chmod 644 "$DROP/closed.csv"
    arrived closed.csv "$SITE/closed.csv" "it is merged as soon as it may be read"
    sample 20 2 >"$SITE/foreign.csv"
    cp "$SITE/foreign.csv" "$DROP/foreign.csv"
    arrived foreign.csv "$SITE/foreign.csv" "a file that belongs to somebody else is merged"
else
    skip "files that may not be read" "not root"
fi

finish

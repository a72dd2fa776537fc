#!/bin/bash
# recursive = yes: the same name in two directories; directories that are renamed, removed, linked, mounted, hidden, too
# many to be watched.
# shellcheck disable=SC2317 # functions are called by wait_for
# shellcheck source=tests/lib/e2e.sh
. "$(dirname "$0")/../../lib/e2e.sh"

# Names, users, and what is in quarantine.
site files recursive=yes
mkdir "$DROP/bob"
start_daemon
mkdir "$DROP/alice"
sample 5 1 >"$SITE/one"
for name in m.csv alice/m.csv bob/m.csv; do
    cp "$SITE/one" "$DROP/$name"
    arrived "$name" "$SITE/one" "the same file as $name: of another user, merged"
done
is "$(tail -n +2 "$DATA/training_data.csv" | cut -d , -f 10 | sort | uniq -c | xargs)" \
    "5 alice 5 anonymous 5 bob" "the directory is the user where nothing else tells"
cp "$SITE/one" "$DROP/alice/carol_web_20240102_030405.csv"
arrived alice/carol_web_20240102_030405.csv "$SITE/one" "a name that tells the user is believed first"
sed "1s/\$/,user_id/; 2,\$s/\$/,dora/" "$SITE/one" >"$SITE/own"
cp "$SITE/own" "$DROP/alice/own.csv"
check "so are columns" wait_for recorded alice/own.csv merged
cp "$SITE/own" "$DROP/bob/own.csv"
check "the same content is a duplicate then" wait_for recorded bob/own.csv duplicate
mkdir -p "$DROP/alice/2024/01"
sample 5 2 >"$SITE/two"
cp "$SITE/two" "$DROP/alice/2024/01/deep.csv"
arrived alice/2024/01/deep.csv "$SITE/two" "further below, the first directory is the user"
more_rows 3 2 5 >>"$SITE/two"
more_rows 3 2 5 >>"$DROP/alice/2024/01/deep.csv"
arrived alice/2024/01/deep.csv "$SITE/two" "a file that grows there"
sample 5 3 >"$DROP/bob/m.csv"
quarantined bob/m.csv changed-file "a file that changes goes to quarantine, under its directory"
is "$(verdicts alice/m.csv) $(verdicts m.csv)" "merged merged" "and has nothing to do with others of its name"
for name in bad.csv alice/bad.csv alice_bad.csv bob/bad.csv; do
    printf 'bad\n1\n' >"$DROP/$name"
done
for name in bad.csv alice/bad.csv alice_bad.csv bob/bad.csv; do
    quarantined "$name" missing-label "$name has its own place in quarantine"
done
sample 5 4 >"$SITE/four"
cp "$SITE/four" "$DROP/alice/bad.csv"
check "corrected under its name" wait_for recorded alice/bad.csv merged
becomes 4 "it is resolved, the others are not" stat_of quarantined
sample 2 5 | head -c 90 >"$DROP/alice/cut.csv"
run cli status
has "$OUT" 'ignored +0 names that do not end in .csv, .csv.gz or .csv.zst, or begin with a dot$' "status names no directory"
sample 2 5 >"$DROP/alice/cut.csv"
check "a file that was cut" wait_for recorded alice/cut.csv merged
sed -i '/^name = user_id/,/^$/ { s/^default = .*/required = true/ }' "$SITE/schema.ini"
exits 0 "check knows a file's place, from which its user comes" cli check "$DROP/alice/m.csv"
exits 1 "a file elsewhere has none" cli check "$SITE/one"
cp "$PROJECT/etc/schema.ini" "$SITE/schema.ini"
run cli stats
has "$OUT" 'users .*alice' "the statistics have the users"

site archived recursive=yes source=archive
mkdir "$DROP/alice" "$DROP/bob"
for name in alice bob; do
    sample 5 1 >"$DROP/$name/m.csv"
done
cli merge >/dev/null
check "archived by directory" test -e "$DATA/archive/alice/m.csv" -a -e "$DATA/archive/bob/m.csv"
sample 5 2 >"$DROP/alice/m.csv"
run cli merge
check "what was archived may not change either" test -e "$DATA/quarantine/alice/m.csv"
is "$(find "$DROP" -name '*.csv' | wc -l)" 0 "nothing stays"
check "but the users' directories" test -d "$DROP/alice" -a -d "$DROP/bob"

# Directories that are not looked into; and one that cannot be.
site apart recursive=yes
mkdir "$DROP/.~tmp~" "$DROP/.rsync-partial" "$DROP/lost+found" "$SITE/elsewhere" "$DROP/x.csv" "$DROP/alice"
for place in "$DROP/.~tmp~" "$DROP/.rsync-partial" "$DROP/lost+found" "$SITE/elsewhere"; do
    sample 1 1 >"$place/hidden.csv"
done
ln -s "$SITE/elsewhere" "$DROP/link"
ln -s "$SITE/elsewhere/hidden.csv" "$DROP/alice/link.csv"
sample 1 2 >"$DROP/x.csv/in.csv"
start_daemon
check "a directory named as a file is a directory" wait_for recorded x.csv/in.csv merged
mkdir "$DROP/.later"
sample 1 3 >"$DROP/.later/in.csv"
ln -s "$SITE/elsewhere" "$DROP/later"
sample 1 4 >"$DROP/x.csv/more.csv"
check "and what comes into it" wait_for recorded x.csv/more.csv merged
is "$(ledger_lines)" 3 "hidden directories and links to others are not looked into"
run cli status
has "$OUT" 'alice/link\.csv: file-type' "a link in one waits"
has "$OUT" 'ignored +6 ' "what is not looked at is counted"
deep=$(printf 'd/%.0s' {1..20})
mkdir -p "$DROP/$deep"
run cli merge
has "$OUT" "waiting (d/){16}d: a directory too deep" "a directory that is too deep is named"
rm -r "$DROP/d"
becomes 1 "until it is gone" stat_of waiting

site locked recursive=yes
if as_root && AS_USER=$(id -un nobody 2>/dev/null); then
    publish_programs
    mkdir "$DROP/locked"
    sample 5 1 >"$DROP/locked/m.csv"
    chown -R "$AS_USER" "$SITE"
    chown root "$DROP/locked"
    chmod 700 "$DROP/locked"
    run as_user "$CLI" -c "$INI" merge
    has "$OUT" 'waiting locked: no permission to look into this directory' "a directory without permission is named"
    run as_user "$CLI" -c "$INI" status
    has "$OUT" 'locked: file-unreadable' "by status too"
    chmod 755 "$DROP/locked"
    run as_user "$CLI" -c "$INI" merge
    is "$(verdicts locked/m.csv)" merged "and looked into when that is mended"
    AS_USER=''
else
    skip "a directory without permission" "not root"
fi

# Directories that come, go and change their names while files wait in them.
site names recursive=yes rescan=86400 settle=2
start_daemon
mkdir "$DROP/alice"
sample 5 1 >"$DROP/alice/m.csv"
check "merged" wait_for recorded alice/m.csv merged
printf 'bad\n1\n' >"$DROP/alice/bad.csv"
: >"$DROP/alice/empty.csv"
waits() { cli status --json | grep -q "\"$1\""; }
check "others wait" wait_for waits alice/empty.csv
mv "$DROP/alice" "$DROP/alina"
quarantined alina/bad.csv missing-label "renamed, a bad file is judged under its new name"
is "$(verdicts alice/bad.csv)" '' "and not under its old one"
becomes 2 "the files are counted once" stat_of user_files
is "$(training_rows)" 5 "no row comes twice"
sample 5 2 >"$SITE/two"
cp "$SITE/two" "$DROP/alina/two.csv"
arrived alina/two.csv "$SITE/two" "it is watched under its new name"
mv "$DROP/alina" "$SITE/away"
becomes 0 "moved away, its files are counted out" stat_of user_files
sample 5 3 >"$SITE/away/three.csv"
mkdir "$DROP/alina"
sample 5 4 >"$SITE/four"
cp "$SITE/four" "$DROP/alina/four.csv"
arrived alina/four.csv "$SITE/four" "another one in its place is another one"
mv "$SITE/away" "$DROP/alina/back"
check "moved in elsewhere, full of files" wait_for recorded alina/back/three.csv merged
: >"$DROP/alina/back/empty2.csv"
check "one waits" wait_for waits alina/back/empty2.csv
rm -r "$DROP/alina"
becomes 0 "removed with files that wait" stat_of user_files
gone() { ! waits empty; }
check "which are waited for no more" wait_for gone
mkdir -p "$DROP/alina/back"
sample 5 5 >"$SITE/five"
cp "$SITE/five" "$DROP/alina/back/five.csv"
arrived alina/back/five.csv "$SITE/five" "made again, it is watched again"
kill_daemon
sample 5 6 >"$SITE/six"
mkdir "$DROP/bob"
cp "$SITE/six" "$DROP/bob/six.csv"
start_daemon
arrived bob/six.csv "$SITE/six" "killed and started again, it finds what came meanwhile"

# Switched on and off while the daemon runs.
site switched rescan=86400
mkdir "$DROP/alice"
sample 5 1 >"$SITE/one"
sample 5 2 >"$SITE/two"
sample 5 3 >"$SITE/three"
cp "$SITE/one" "$DROP/alice/one.csv"
start_daemon
after_merge
is "$(verdicts alice/one.csv)" '' "recursive = no: not looked at"
config recursive=yes rescan=86400
kill -HUP "$DAEMON_PID"
arrived alice/one.csv "$SITE/one" "recursive = yes: looked at"
cp "$SITE/two" "$DROP/alice/two.csv"
arrived alice/two.csv "$SITE/two" "and watched"
: >"$DROP/alice/empty.csv"
check "one waits" wait_for waits alice/empty.csv
config recursive=no rescan=86400
kill -HUP "$DAEMON_PID"
check "recursive = no: waited for no more" wait_for gone
cp "$SITE/three" "$DROP/alice/three.csv"
after_merge
is "$(verdicts alice/three.csv)" '' "nor looked at"
becomes 2 "nor counted" stat_of user_files

# A file system of its own for a user; the names of what goes from there lead across.
site mounted recursive=yes rescan=1
mkdir "$DROP/alice"
start_daemon
if as_root && mount -t tmpfs tmpfs "$DROP/alice" 2>"$SITE/mount"; then
    mounted+=("$DROP/alice")
    sample 5 1 >"$SITE/one"
    cp "$SITE/one" "$DROP/alice/one.csv"
    arrived alice/one.csv "$SITE/one" "mounted over, a directory is looked into"
    printf 'bad\n1\n' >"$SITE/bad"
    cp "$SITE/bad" "$DROP/alice/bad.csv"
    quarantined alice/bad.csv missing-label "a bad file crosses file systems" "$SITE/bad"
    umount -l "$DROP/alice"
    mounted=()
    sample 5 2 >"$SITE/two"
    cp "$SITE/two" "$DROP/alice/two.csv"
    arrived alice/two.csv "$SITE/two" "unmounted, the directory below is"
    becomes 1 "and what was in the other is counted out" stat_of user_files
else
    skip "mounted over" "no mount"
fi

# More directories than may be watched.
site limited recursive=yes rescan=1
cat >"$SITE/daemon" <<END
#!/bin/sh
echo 3 >/proc/sys/user/max_inotify_watches || exit 99
exec "$DAEMON" "\$@"
END
chmod +x "$SITE/daemon"
if as_root && unshare --user --map-root-user true 2>/dev/null; then
    mkdir "$DROP"/{a,b,c,d,e}
    shipped=$DAEMON
    DAEMON=$SITE/limited
    printf '#!/bin/sh\nexec unshare --user --map-root-user "%s" "$@"\n' "$SITE/daemon" >"$DAEMON"
    chmod +x "$DAEMON"
    start_daemon
    DAEMON=$shipped
    for name in a b c d e; do
        sample 5 "$(printf %d "'$name")" >"$SITE/$name"
        cp "$SITE/$name" "$DROP/$name/m.csv"
    done
    for name in a b c d e; do
        arrived "$name/m.csv" "$SITE/$name" "watched or not, what comes to $name is found"
    done
    is "$(grep -c 'raise sysctl fs.inotify.max_user_watches' "$LOG")" 1 "the log says once what to raise"
else
    skip "more directories than may be watched" "no user namespaces"
fi

finish

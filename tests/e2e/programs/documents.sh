#!/bin/bash
# The documents are true. Every command in README.md and in the EXAMPLES of the man pages is run in a fresh directory, and its
# output is compared with what they show, except times, process numbers and directories. The lists in the documents (modules,
# files, keys, codes, reasons, commands) are compared with the sources and with the files that the programs write.
# shellcheck disable=SC2016,SC2317 # patterns with $ and backticks; functions called by name
# shellcheck source=tests/lib/e2e.sh
. "$(dirname "$0")/../../lib/e2e.sh"

README=$PROJECT/README.md
MAN=$PROJECT/man
BLOCKS=$TMP/blocks
SHOWN_DAY=20251124 # of the names that `save` makes in the documents
TODAY=$(date -u +%Y%m%d)
CALLER_PATH=$PATH

# The sample files that git has. A clone may hold more: a reader of README drops other files beside them.
samples=("$PROJECT"/data/user_data/user_001_external_20240101_120000.csv
    "$PROJECT"/data/user_data/user_002_simulation_20240101_130000.csv
    "$PROJECT"/data/user_data/user_003_web_20240101_140000.csv)

# --- What the documents show -------------------------------------------------------------------------------

# page FILE [SECTION]: print the formatted man page, or one section of it.
page()
{
    mandoc -T ascii "$MAN/$1" | sed 's/.\x08//g' |
        awk -v section="${2-}" '/^[A-Z]/ { within = $0 == section } section == "" || within'
}

# words_of TEXT: print the text on one line, so that a search finds words across line ends.
words_of() { tr -s ' \n' '  ' <<<"$1"; }

# blocks_of_readme: write each fenced block to a file $BLOCKS/NUMBER.KIND.
blocks_of_readme()
{
    rm -rf "$BLOCKS" && mkdir "$BLOCKS"
    awk -v dir="$BLOCKS" '
        /^ *```/ && file == "" {
            match($0, /^ */)
            indent = RLENGTH
            kind = substr($0, indent + 4)
            file = sprintf("%s/%02d.%s", dir, ++count, kind == "" ? "text" : kind)
            next
        }
        /^ *```/ { close(file); file = ""; next }
        file != "" { print substr($0, indent + 1) > file }' "$README"
}

# blocks_of_page FILE SECTION: do the same with the displays of that section. The first line of a display tells its kind.
blocks_of_page()
{
    rm -rf "$BLOCKS" && mkdir "$BLOCKS"
    page "$1" "$2" | awk -v dir="$BLOCKS" '
        substr($0, 1, 11) == "           " {
            line = substr($0, 12)
            if (file == "") {
                kind = line ~ /^\$ / ? "console" : line ~ /^[*]/ ? "crontab" : "text"
                file = sprintf("%s/%02d.%s", dir, ++count, kind)
            } else if (blank) {
                print "" > file
            }
            print line > file
            blank = 0
            next
        }
        /^ *$/ { blank = 1; next }
        { file = ""; blank = 0 }'
}

# real TEXT: print a command with the directories of the site in place of those that the documents name.
real()
{
    local text=${1//\/usr\/local\/bin/$SITE/build}

    text=${text//\/srv\/phasesentinel/$SITE}
    text=${text//\/etc\/phasesentinel/$SITE/etc}
    echo "${text//\/var\/lib\/phasesentinel/$SITE/data}"
}

# plain TEXT: print what is shown or was printed, without what differs from run to run.
plain()
{
    sed -E -e "s|$SITE/etc|/etc/phasesentinel|g; s|$SITE/data|/var/lib/phasesentinel|g; s|$SITE|/srv/phasesentinel|g" \
        -e 's|/srv/phasesentinel/data|/var/lib/phasesentinel|g' \
        -e 's/ sandbox: .*/ sandbox: as kernel and user let it be/' -e '/^make(\[[0-9]+\])?: |^  (CC|LINK) /d' \
        -e 's/[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(\.[0-9]+)?Z/TIME/g' -e 's/process [0-9]+/process ID/' \
        -e "s/_($SHOWN_DAY|$TODAY|$(date -u +%Y%m%d))_[0-9]{6}\.csv/_NOW.csv/g" <<<"$1"
}

# --- Running it --------------------------------------------------------------------------------------------

# stage: make the site what the documents see, a clone and an installation in one, and go there. The programs are found by
# name. scp, ssh, rsync and sftp lead to this machine; useradd and chown do nothing.
stage()
{
    local name rsync sftp

    rsync=$(command -v rsync) sftp=$(command -v sftp)
    cp -r "$PROJECT/etc" "$SITE/etc"
    ln -s "$PROJECT/src" "$PROJECT/Makefile" "$SITE/"
    mkdir "$SITE/build"
    for name in phasesentinel phasesentineld; do
        printf '#!/bin/bash\nexec %q %s "$@"\n' "$BUILD/$name" "${ALLOW_ROOT[*]}" >"$SITE/build/$name"
    done
    printf '#!/bin/sh\ncp "$1" "${2#HOST:}"\n' >"$SITE/build/scp"
    printf '#!/bin/sh\nshift\nexec "$@"\n' >"$SITE/build/ssh"
    printf '#!/bin/sh\nexec %s "$1" "${2#HOST:}"\n' "$rsync" >"$SITE/build/rsync"
    printf '#!/bin/sh\nexec %s -q -D /usr/lib/openssh/sftp-server -b -\n' "$sftp" >"$SITE/build/sftp"
    tee "$SITE/build/useradd" <<<'#!/bin/sh' >"$SITE/build/chown"
    chmod +x "$SITE"/build/*
    cd "$SITE" || exit 1
    background=''
    last_code=0
}

# leave: go back, and restore the environment.
leave()
{
    cd "$PROJECT" || exit 1
    PATH=$CALLER_PATH
    unset PHASESENTINEL_CONFIG
}

# run_behind COMMAND: start a program in the background; set `background` to its process.
run_behind()
{
    eval "$1"
    background=$!
    started+=("$background")
}

# code CODE: return it, so that the next command finds it in $?.
code() { return "$1"; }

# now_gives COMMAND WANT: run the command in this shell and set `printed`; return 0 if it printed WANT.
now_gives()
{
    code "$last_code"
    eval "$1" >"$TMP/printed" 2>&1 </dev/null
    last_code=$?
    printed=$(plain "$(cat "$TMP/printed")")
    [[ $printed == "$2" ]]
}

# play_command COMMAND SHOWN: run the command and compare its output. While a daemon works, try again for WAIT seconds.
play_command()
{
    local command want end=$((SECONDS + WAIT))

    command=$(real "$1")
    want=$(plain "$2")
    if [[ $command == "cat metrics.csv" && ! -e metrics.csv ]]; then
        printf '%s' "$2" >metrics.csv
    elif [[ $command == "make run" ]]; then
        run_behind 'make run BUILD="$BUILD" >make.out 2>&1 &'
        command="cat make.out"
    elif [[ $command == *"&" ]]; then
        run_behind "$command"
        pass "$document: $1"
        return
    fi
    until now_gives "$command" "$want" || [[ -z $background ]] || ((SECONDS > end)); do
        sleep 0.1
    done
    is "$printed" "$want" "$document: ${1%%$'\n'*}"
    [[ -n $want ]] || is "$last_code" 0 "$document: it exits 0"
}

# play_console FILE: run its commands, which begin with "$ " and continue with "> ", and compare what they print.
play_console()
{
    local line command='' shown=''

    while IFS= read -r line; do
        case $line in
        '$ '*)
            [[ -z $command ]] || play_command "$command" "$shown"
            command=${line#'$ '} shown=''
            ;;
        '> '*) command+=$'\n'${line#'> '} ;;
        *) shown+=$line$'\n' ;;
        esac
    done <"$1"
    play_command "$command" "$shown"
}

# play_crontab FILE: run its commands at once.
play_crontab()
{
    local command

    while read -r _ _ _ _ _ command; do
        exits 0 "$document: crontab: $command" bash -c "$(real "$command")"
    done <"$1"
}

# play_shell FILE: run its commands, which print nothing. Of `make TARGET` only look that the target is there; systemctl stops
# and starts the daemon that runs in the background.
play_shell()
{
    local line

    while IFS= read -r line; do
        case $line in
        'make '*) has "$(make -s -C "$PROJECT" help)" "^ *$(awk '{ print $2 }' <<<"$line") " "$document: ${line%%  *}" ;;
        'systemctl stop '*) end_of_background "$document: $line: the daemon exits 0" ;;
        'systemctl start '*) run_behind 'phasesentineld 2>daemon.log &' ;;
        *) exits 0 "$document: $line" bash -c "$(real "$line")" ;;
        esac
    done <"$1"
}

# play_python FILE: run it; it must print what its comment "prints:" says.
play_python()
{
    document+=": python" background=yes play_command "python3 $1" "$(sed -n 's/.*# prints: //p' "$1")"
}

# play DOCUMENT COUNT: run all blocks in their order; there must be COUNT blocks of commands or more.
play()
{
    local block played=0

    document=$1
    for block in "$BLOCKS"/*; do
        case $block in
        *.console) play_console "$block" ;;
        *.crontab) play_crontab "$block" ;;
        *.sh) play_shell "$block" ;;
        *.python) play_python "$block" ;;
        *) continue ;;
        esac
        played=$((played + 1))
    done
    is "$((played >= $2))" 1 "$document: it shows at least $2 blocks of commands"
}

# end_of_background TEXT: end the program that runs in the background, whose daemon may have been ended already; it exits 0.
end_of_background()
{
    local daemon

    daemon=$(sed -n 's/.*process \([0-9]*\),.*/\1/p' "$DATA/state/daemon.lock")
    [[ -z $daemon ]] || kill "$daemon"
    wait_for ended "$background"
    wait "$background"
    is "$?" 0 "$1"
    forget_pid "$background"
    background=''
}

# play_cases: in README's table of reasons why a file is not in, run each command on a file that was in quarantine.
play_cases()
{
    local command count=0

    while IFS= read -r command; do
        exits 0 "README: $command" bash -c "${command//NAME/user_005_web_20240105_090000.csv}"
        count=$((count + 1))
    done < <(sed -n '/^## My file is not in/,/^## How/p' "$README" | cut -d '|' -f 3 | grep -oE '`(phasesentinel|cat|ls|grep) [^`]*`' | tr -d '`')
    is "$count" 6 "README: six commands tell why a file is not in"
}

# --- README ------------------------------------------------------------------------------------------------

unset MAKELEVEL MAKEFLAGS MFLAGS
blocks_of_readme
site readme
stage
cp "${samples[@]}" "$DROP/"
play README 12
play_cases
end_of_background "README: the daemon exits 0"
leave
is "$(($(wc -l <"$README") <= 300))" 1 "README: at most 300 lines"
missing=
for anchor in $(grep -oE '\]\(#[a-z-]+\)' "$README" | tr -d '](#)'); do
    grep '^## ' "$README" | tr 'A-Z ' 'a-z-' | grep -qx -- "##-$anchor" || missing+=" $anchor"
done
is "$missing" '' "README: each heading that the contents name"

# A file that was merged after the backup merges again after it was restored.
site restored
cp "${samples[0]}" "$DROP/"
exits 0 "README, restore: a file merges" cli merge
mkdir "$SITE/backup"
exits 0 "and is in the backup" flock "$DATA/state/lock" cp -p "$DATA/training_data.csv" "$DATA/state/ledger.csv" "$SITE/backup/"
cp "${samples[1]}" "$DROP/"
exits 0 "another one merges" cli merge
cp -p "$SITE/backup/training_data.csv" "$DATA/"
cp -p "$SITE/backup/ledger.csv" "$DATA/state/"
rm "$DATA/state/seen" "$DATA/state/tally.csv"
exits 0 "and once more, after the backup was restored" cli merge
is "$(wc -l <"$DATA/training_data.csv")" 23 "each row is in once"

# --- The man pages -----------------------------------------------------------------------------------------

# play_page FILE COUNT [PREPARE]: the EXAMPLES of a page, in a site with the installed configuration, after the command PREPARE.
play_page()
{
    blocks_of_page "$1" EXAMPLES
    site "${1//./-}"
    stage
    sed -i 's|^data_dir *= *[^ ]*|data_dir = ../data|' etc/phasesentinel.ini
    export PATH=$SITE/build:$PATH PHASESENTINEL_CONFIG=$SITE/etc/phasesentinel.ini
    [[ -z ${3-} ]] || "$3"
    play "$1" "$2"
    [[ -z $background ]] || end_of_background "$1: the daemon exits 0"
    leave
}

# merge_samples: merge the sample files, of which the examples of the formats speak.
merge_samples()
{
    cp "${samples[@]}" "$DROP/"
    exits 0 "phasesentinel-formats.5: the samples merge" phasesentinel merge
}

play_page phasesentinel.1 5
play_page phasesentineld.8 2
play_page phasesentinel-formats.5 2 merge_samples

# The example of a configuration works, and so does that of a schema.
blocks_of_page phasesentinel.ini.5 EXAMPLES
site ini source=archive
stage
real "$(cat "$BLOCKS/01.text")" >etc/phasesentinel.ini
cp "${samples[0]}" "$DROP/"
exits 0 "phasesentinel.ini.5: the example is a configuration" \
    "$CLI" -c etc/phasesentinel.ini "${ALLOW_ROOT[@]}" check "$DROP"/*
exits 0 "phasesentinel.ini.5: with which files merge" "$CLI" -c etc/phasesentinel.ini "${ALLOW_ROOT[@]}" merge
check "phasesentinel.ini.5: and are archived" test -e "$DATA/archive/user_001_external_20240101_120000.csv"
leave
blocks_of_page phasesentinel-schema.5 EXAMPLES
site temperatures
cp "$BLOCKS/01.text" "$SITE/schema.ini"
printf 'celsius\n-3.5\n' >"$DROP/WIE7_20240131.csv"
exits 0 "phasesentinel-schema.5: the example is a schema" cli merge
is "$(cat "$DATA/training_data.csv")" $'station,day,celsius\nWIE7,2024-01-31,-3.5' \
    "phasesentinel-schema.5: which takes values from the name"

# Check that both pages show true diagnostics.
blocks_of_page phasesentinel.ini.5 DIAGNOSTICS
printf '\n\n\n\n\n\n\n[watch]\nsetle = 5\n' >"$SITE/phasesentinel.ini"
is "$(cd "$SITE" && "$CLI" -c phasesentinel.ini check x 2>&1 | sed 's/^phasesentinel: //')" "$(cat "$BLOCKS/01.text")" \
    "phasesentinel.ini.5: the diagnostic"
blocks_of_page phasesentinel-schema.5 DIAGNOSTICS
config
printf '\n\n\n\n\n\n[field.1]\nname = x\ntype = number\n\nminimum = 105\nmaximum = 100\n' >"$SITE/schema.ini"
is "$("$CLI" -c "$INI" check x 2>&1 | sed "s|^phasesentinel: $SITE/||")" "$(cat "$BLOCKS/01.text")" \
    "phasesentinel-schema.5: the diagnostic"
rm -r "$DATA" # the checker knows only the shipped schema

# --- What the documents list ----------------------------------------------------------------------------------------

# strings_of PATTERN: print the first quoted string of each line of the sources that matches.
strings_of() { sed -nE "/$1/s/[^\"]*\"([^\"]*)\".*/\1/p" "$PROJECT"/src/*/*.c; }

# lists DOCUMENT TEXT WHAT WORD…: check that the text has all of the words, and that there is at least one.
lists()
{
    local missing='' word

    (($# > 3)) || missing='no word was found to look for'
    for word in "${@:4}"; do
        grep -qE "(^|[^A-Za-z0-9_-])$word([^A-Za-z0-9_-]|\$)" <<<"$2" || missing+=" $word"
    done
    is "$missing" '' "$1: $3"
}

page8=$(page phasesentineld.8)
page1=$(page phasesentinel.1)
page5=$(page phasesentinel.ini.5)
formats=$(page phasesentinel-formats.5)
schema=$(page phasesentinel-schema.5)

mapfile -t words < <(strings_of '^    \[PENDING_[A-Z_]*\] = "' | grep -vx racy) # such a file is never shown as waiting
lists phasesentineld.8 "$page8" "every reason to wait (${#words[@]})" "${words[@]}"
mapfile -t words < <(strings_of '^    \[VIOLATION_[A-Z_]*\] = "')
lists phasesentinel-schema.5 "$schema" "every code (${#words[@]})" "${words[@]}"

# keys_of FILE: print the keys of a JSON object.
keys_of() { python3 -c 'import json, sys; print("\n".join(json.load(open(sys.argv[1]))))' "$1"; }

"$CLI" -c "$TMP/readme/etc/phasesentinel.ini" "${ALLOW_ROOT[@]}" status --json >"$TMP/status.json"
mapfile -t words < <(keys_of "$TMP/status.json")
lists phasesentinel.1 "$page1" "every key of status --json (${#words[@]})" "${words[@]}"
mapfile -t words < <(keys_of "$TMP/readme/data/stats/stats.json")
lists phasesentinel-formats.5 "$formats" "every key of stats.json (${#words[@]})" "${words[@]}"
mapfile -t words < <(find "$TMP/readme/data/state" -maxdepth 1 -mindepth 1 -printf 'state/%f\n')
lists phasesentinel-formats.5 "$formats" "every file in state/ (${#words[@]})" "${words[@]}"
has "$(tr -d '\n ' <<<"$formats")" "$(head -n 1 "$TMP/readme/data/state/ledger.csv")" "phasesentinel-formats.5: the header of ledger.csv"
for file in waiting tally; do
    lists phasesentinel-formats.5 "$formats" "the header of $file.csv" "$(head -n 1 "$TMP/readme/data/state/$file.csv")"
done
lists phasesentinel-formats.5 "$formats" "the header of users.csv" "$(head -n 1 "$TMP/readme/data/stats/users.csv")"
mapfile -t words < <(sed -n 's/^# TYPE \([a-z_]*\) .*/\1/p' "$TMP/readme/data/stats/phasesentinel.prom")
lists phasesentinel-formats.5 "$formats" "every metric of phasesentinel.prom (${#words[@]})" "${words[@]}"
mapfile -t words < <(cat "$PROJECT"/src/*/*.c | grep -o '"started", .*' | grep -o '[a-z]*')
lists phasesentineld.8 "$page8" "every verdict (${#words[@]})" "${words[@]}"
mapfile -t words < <("$CLI" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p')
lists phasesentinel.1 "$(grep -E '^   [a-z]' <<<"$page1")" "every command (${#words[@]})" "${words[@]}"
lists README "$(grep phasesentinel.1 "$README")" "every command" "${words[@]}"
mapfile -t words < <(sed -n 's/^CHECK_PACKAGES = //p' "$PROJECT/Makefile" | tr ' ' '\n')
lists README "$(words_of "$(cat "$README")")" "every package that make check installs" "${words[@]}"
mapfile -t words < <(sed -n '/^const char \*const field_parser_keys\[/,/};/p' "$PROJECT"/src/*/*.c |
    grep -o '"[A-Za-z]*"' | tr -d '"' | sort -u)
lists phasesentinel-schema.5 "$schema" "every key of a field (${#words[@]})" "${words[@]}"

# No page is too long to read, and the pages of ours that it names exist.
for file in "$MAN"/*; do
    is "$(($(wc -l <"$file") <= 500))" 1 "${file##*/}: at most 500 lines"
    missing=
    while read -r name section; do
        [[ -e $MAN/$name.$section ]] || missing+=" $name($section)"
    done < <(sed -nE 's/^\.Xr (phasesentinel[^ ]*) ([0-9]).*/\1 \2/p' "$file" | sort -u)
    is "$missing" '' "${file##*/}: every page of ours that it names"
done

# default_of KEY: print the default that phasesentinel.ini(5) gives.
default_of()
{
    words_of "$(awk -v key="$1" '/^     [a-z]/ { within = $1 == key } /^[A-Z]/ { within = 0 } within' <<<"$page5")" |
        sed -n 's/.*Default: \([^ ]*\)\. .*/\1/p'
}

while read -r key value; do
    is "$(default_of "$key")" "$value" "phasesentinel.ini.5: the default of $key, as in etc/phasesentinel.ini"
done < <(sed -nE 's/^([a-z_]+) *= *([^ ]+).*/\1 \2/p' "$PROJECT/etc/phasesentinel.ini")

# paths_exist FILE: check that the files that it names exist.
paths_exist()
{
    local path missing=''

    for path in $(grep -oE '`[^` ]*`' "$PROJECT/$1" | tr -d '`' | grep -E '^(src|tests|etc|man|\.ci)/' |
        grep -vE '[A-Z*]{3}|\*'); do
        [[ -e $PROJECT/$path ]] || missing+=" $path"
    done
    is "$missing" '' "$1: every file that it names"
}

# targets_exist FILE: check that the targets of make that it names exist.
targets_exist()
{
    local target missing=''

    while read -r _ target; do
        grep -q "^$target:" "$PROJECT/Makefile" || missing+=" $target"
    done < <(grep -oE '`make [a-z-]+' "$PROJECT/$1" | sort -u)
    is "$missing" '' "$1: every target of make that it names"
}

for file in README.md src/README.md tests/README.md; do
    paths_exist "$file"
    targets_exist "$file"
done
missing=
while read -r name; do
    grep -qrw --include='*.[ch]' --include=checker.py -- "$name" "$PROJECT/src" "$PROJECT/tests" ||
        compgen -G "$PROJECT/src/*/$name.c" >"$TMP/found" || missing+=" $name"
done < <(grep -oE '`[a-z]+(_[a-z]+)+`' "$PROJECT/src/README.md" | tr -d '`' | sort -u)
while read -r name; do
    [[ -e $PROJECT/src/$name ]] || missing+=" $name"
done < <(grep -oE '`[a-z]+/[a-z_]+\.[ch]`' "$PROJECT/src/README.md" | tr -d '`' | sort -u)
is "$missing" '' "src/README.md: every function and every file that it names"

# modules_of_makefile: print a line with the name and the modules of each folder.
modules_of_makefile()
{
    make -s -C "$PROJECT" -pn help 2>/dev/null | awk '
        /^FOLDERS = / { count = split($0, folders); next }
        /^MODULES_[a-z]+ = / { name = substr($1, 9); sub(/^[^=]*=/, ""); modules[name] = $0 }
        END { for (i = 3; i <= count; i++) print folders[i] modules[folders[i]] }'
}

# modules_of_readme: print the same from the table of src/README.md.
modules_of_readme()
{
    sed -nE 's:^\| `([a-z]+)/` \|[^|]*\|(.*)\|$:\1\2:p' "$PROJECT/src/README.md" | tr -d '`,' | tr -s ' ' | sed 's/ *$//'
}

is "$(modules_of_readme)" "$(modules_of_makefile | tr -s ' ')" "src/README.md: the modules of each folder, as in the Makefile"
mapfile -t words < <(cd "$PROJECT/tests/e2e" && basename -a ./*/*.sh)
lists tests/README.md "$(cat "$PROJECT/tests/README.md" 2>&1)" "every end-to-end script" "${words[@]}"
check "the license is the GPL, version 2" grep -q 'Version 2, June 1991' "$PROJECT/LICENSE"

finish

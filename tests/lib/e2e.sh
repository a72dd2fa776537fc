# The library of the end-to-end tests: data directories of their own, the two programs, and checks that print TAP lines.
#
# A script sources this file, opens one `site` after another and ends with `finish`. A site is a fresh data directory with a
# configuration of its own. Closing it (the next `site`, or `finish`) stops its daemon, which must exit 0. `finish` lets
# tests/checker.py check the files that all sites have left. Scripts never sleep for a fixed time: wait_for polls a condition.
#
# Processes cost more than anything else in these scripts, so functions that are polled start none.
#
# Environment: BUILD is the directory of the programs, KEEP=1 keeps the directories, WAIT is the limit of wait_for in seconds,
# TEST_CASES are the cases that run (see test_case).
#
# shellcheck shell=bash
# shellcheck disable=SC2034 # the scripts use much of this

set -u
TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
PROJECT=$(dirname "$TESTS")
BUILD=${BUILD:-$PROJECT/build}
DAEMON=$BUILD/phasesentineld
CLI=$BUILD/phasesentinel
WAIT=${WAIT:-90}
TMP=$(mktemp -d "${TMPDIR:-/tmp}/e2e.XXXXXX")
chmod 755 "$TMP"
mkfifo "$TMP/never" # has no writer: `read -t` from it sleeps without a process
export LC_ALL=C
unset PHASESENTINEL_CONFIG JOURNAL_STREAM

COLUMNS_REQUIRED=timestamp,cpu_percent,memory_percent,memory_used_gb,disk_read_mb,disk_write_mb
COLUMNS_REQUIRED+=,network_sent_mb,network_recv_mb,phase
COLUMNS_ALL=$COLUMNS_REQUIRED,user_id,source,label,collection_timestamp

as_root() { ((EUID == 0)); }

# python3 ARGUMENT…: run python3 without site packages, which halves the time it takes to start.
python3() { command python3 -SEB "$@"; }

DATA_OWNER=${DATA_OWNER-} # for root only: the user who owns the sites and runs the programs; root drops the files
ALLOW_ROOT=()
as_root && ALLOW_ROOT=(--allow-root)

test_count=0 test_failures=0 site_failures=0
started=() mounted=()
sites=() # the closed ones, for check_sites: PATH TAB SCHEMA TAB SOURCE TAB RECURSIVE
SITE='' DATA='' DROP='' INI='' LOG='' DAEMON_PID='' AS_USER='' SOURCE=''

# --- Checks ------------------------------------------------------------------------------------------------

# pass TEXT: print a check that passed.
pass()
{
    test_count=$((test_count + 1))
    echo "ok $test_count - $1"
}

# fail TEXT [DETAIL]: print a check that failed, with the detail as comment lines.
fail()
{
    test_count=$((test_count + 1))
    test_failures=$((test_failures + 1))
    site_failures=$((site_failures + 1))
    echo "not ok $test_count - $1"
    echo "# ${BASH_SOURCE[-1]##*/}:${BASH_LINENO[-2]}"
    [[ -z ${2-} ]] || comment "$2"
}

# comment TEXT: print TAP comment lines.
comment() { printf '#   %s\n' "${1//$'\n'/$'\n#   '}"; }

# skip TEXT WHY: print a check that cannot be made here.
skip()
{
    test_count=$((test_count + 1))
    echo "ok $test_count - skipped: $2 ($1)"
}

# check TEXT COMMAND…: pass if the command succeeds, else fail with its output.
check()
{
    local text=$1 output

    shift
    if output=$("$@" 2>&1); then
        pass "$text"
    else
        fail "$text" "$output"
    fi
}

# is GOT WANT TEXT: pass if both are equal.
is()
{
    if [[ $1 == "$2" ]]; then
        pass "$3"
    else
        fail "$3" "got:  $1"$'\n'"want: $2"
    fi
}

# has LINES PATTERN TEXT: pass if the extended regular expression matches one of the lines.
has()
{
    local line

    while IFS= read -r line; do
        if [[ $line =~ $2 ]]; then
            pass "$3"
            return
        fi
    done <<<"$1"
    fail "$3" "no match for: $2"$'\n'"$1"
}

# same_bytes FILE FILE: succeed if both files have the same bytes.
same_bytes() { cmp -- "$1" "$2"; }

# wait_for COMMAND…: poll until the command succeeds. Fail after WAIT seconds, or when the daemon has ended.
wait_for()
{
    local end=$((SECONDS + WAIT)) pause=1

    until "$@" >/dev/null 2>&1; do
        if ((SECONDS > end)); then
            echo "waited $WAIT s for: $*"
            return 1
        elif [[ -n $DAEMON_PID ]] && ended "$DAEMON_PID" && ! "$@" >/dev/null 2>&1; then
            echo "the daemon ended; waited for: $*"
            return 1
        fi
        read -rt "0.0$pause" <>"$TMP/never"
        ((pause == 8)) || pause=$((pause * 2))
    done
    return 0
}

# now: set NOW to the time in microseconds.
now() { NOW=${EPOCHREALTIME/./}; }

# passed MILLISECONDS SINCE: succeed if that time has passed since SINCE, a value of NOW.
passed() { now && (((NOW - $2) / 1000 >= $1)); }

# gives WANT COMMAND…: succeed if the command prints WANT.
gives() { [[ $("${@:2}" 2>/dev/null) == "$1" ]]; }

# becomes WANT TEXT COMMAND…: wait until the command prints WANT, then check that it does.
becomes()
{
    wait_for gives "$1" "${@:3}" >/dev/null
    is "$("${@:3}")" "$1" "$2"
}

# --- Cases and sites ---------------------------------------------------------------------------------------

# test_case NAME [KEY=VALUE…] && { … }: a part of a script that needs no other part. Open a site of that name and succeed, or
# fail if TEST_CASES names other cases only.
test_case()
{
    known_cases+=("$1")
    [[ -z ${TEST_CASES-} || ,$TEST_CASES, == *",$1,"* ]] && site "$@"
}
known_cases=()

# site NAME [KEY=VALUE…]: close the previous site; open a fresh data directory with its configuration.
site()
{
    close_site
    SITE=$TMP/$1
    DATA=$SITE/data
    DROP=$DATA/user_data
    INI=$SITE/phasesentinel.ini
    LOG=$SITE/daemon.log
    site_failures=0
    AS_USER=''
    SOURCE=''
    [[ " $* " != *" source=archive "* ]] || SOURCE=archive
    [[ " $* " != *" source=delete "* ]] || SOURCE=delete
    mkdir -p "$DROP"
    cp "$PROJECT/etc/schema.ini" "$SITE/schema.ini"
    config "${@:2}"
    : >"$LOG"
    [[ -z $DATA_OWNER ]] || chown -R "$DATA_OWNER" "$SITE"
}

# config [KEY=VALUE…]: write the site's configuration. The tests have settle = 0 where the value does not say otherwise.
config()
{
    local pair key section
    local -A values=([data_dir]=data [schema]=schema.ini [settle]=0) sections=(
        [data_dir]=paths [schema]=paths [merge]=watch [interval]=watch [rescan]=watch [poll]=watch [settle]=watch
        [stale]=watch [recursive]=watch [confirm]=watch [source]=merge [bad_rows]=merge [max_bad_percent]=merge
        [changed]=merge [final_newline]=merge [max_file_mib]=limits [max_expand_ratio]=limits
        [max_row_kib]=limits [max_columns]=limits [max_reported_errors]=limits [level]=log)

    for pair; do
        values[${pair%%=*}]=${pair#*=}
    done
    for section in paths watch merge limits log; do
        echo "[$section]"
        for key in "${!values[@]}"; do
            [[ ${sections[$key]} == "$section" ]] && echo "$key = ${values[$key]}"
        done
    done >"$INI"
}

# close_site: stop the daemon; show its log if a check failed; leave the site to check_sites.
close_site()
{
    local recursive=no

    [[ -n $SITE ]] || return 0
    [[ -z $DAEMON_PID ]] || stop_daemon "${SITE##*/}: the daemon exits 0 on SIGTERM"
    if ((site_failures > 0)); then
        show_log "$LOG"
    fi
    ! grep -q '^recursive = yes' "$INI" || recursive=yes
    if [[ -e $DATA/state/ledger.csv || -e $DATA/training_data.csv ]]; then
        sites+=("$SITE"$'\t'"$SITE/schema.ini"$'\t'"$SOURCE"$'\t'"$recursive")
    fi
    SITE=''
}

# show_log FILE: print the last lines of a daemon's log as comment lines.
show_log() { [[ ! -s $1 ]] || comment "the daemon logged:"$'\n'"$(tail -n 60 "$1")"; }

# check_sites: let one process of the checker check all closed sites.
check_sites()
{
    local line path said
    local -A findings=()

    ((${#sites[@]})) || return 0
    printf '%s\n' "${sites[@]}" >"$TMP/sites"
    python3 "$TESTS/checker.py" --sites "$TMP/sites" >"$TMP/findings" 2>&1
    while IFS= read -r line; do
        findings[${line%%$'\t'*}]+=${line#*$'\t'}$'\n'
    done <"$TMP/findings"
    for line in "${sites[@]}"; do
        path=${line%%$'\t'*}
        said=${findings[$path]-}
        if [[ $said == "ok"$'\n' ]]; then
            pass "${path##*/}: the checker finds nothing"
        else
            fail "${path##*/}: the checker finds nothing" "${said:-$(tail -n 5 "$TMP/findings")}"
            show_log "$path/daemon.log"
        fi
    done
}

# finish: close the last site, check all sites, print the plan and exit.
finish()
{
    local name
    local -a chosen

    close_site
    check_sites
    IFS=, read -ra chosen <<<"${TEST_CASES-}"
    for name in "${chosen[@]}"; do
        [[ " ${known_cases[*]} " == *" $name "* ]] || fail "there is no case $name among: ${known_cases[*]}"
    done
    echo "1..$test_count"
    exit $((test_failures > 0))
}

# clean_up: kill the processes that this script started, by id, and unmount what it mounted.
clean_up()
{
    local pid dir

    for pid in "${started[@]}"; do
        kill -KILL "$pid" 2>/dev/null
        wait "$pid" 2>/dev/null
    done
    for dir in "${mounted[@]}"; do
        umount -l "$dir" 2>/dev/null
    done
    [[ -n ${KEEP-} ]] || rm -rf "$TMP"
}
trap clean_up EXIT
trap 'exit 143' TERM INT

# forget_pid PID: note that a process has ended, so that clean_up does not kill it.
forget_pid()
{
    local i

    for i in "${!started[@]}"; do
        [[ ${started[i]} == "$1" ]] && unset "started[i]"
    done
}

# ended PID: succeed if the process is gone or a zombie.
ended()
{
    local stat

    { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 0
    stat=${stat##*) }
    [[ $stat == Z* ]]
}

# --- The programs ------------------------------------------------------------------------------------------

# publish_programs: copy the programs to where every user reaches them, if the project is in a closed directory like /root.
publish_programs()
{
    mkdir "$TMP/programs" && cp "$DAEMON" "$CLI" "$TMP/programs/"
    DAEMON=$TMP/programs/phasesentineld CLI=$TMP/programs/phasesentinel
}

# as_user COMMAND…: run it as the user AS_USER, if that is set.
as_user()
{
    if [[ -n $AS_USER ]]; then
        setpriv --reuid "$AS_USER" --regid "$(id -g "$AS_USER")" --clear-groups "$@"
    else
        "$@"
    fi
}

# cli COMMAND ARGUMENT…: run phasesentinel on this site.
cli() { "$CLI" -c "$INI" "${ALLOW_ROOT[@]}" "$@"; }

# run COMMAND…: run it and set OUT, ERR and CODE.
run()
{
    { "$@" >"$TMP/out" 2>"$TMP/err"; } 2>/dev/null # bash reports a killed process
    CODE=$?
    { OUT=$(<"$TMP/out") ERR=$(<"$TMP/err"); } 2>/dev/null # bash warns of NUL bytes, which it leaves out
}

# exits CODE TEXT COMMAND…: run it as `run` does; pass if it exits with CODE.
exits()
{
    run "${@:3}"
    if ((CODE == $1)); then
        pass "$2"
    else
        fail "$2" "exit $CODE instead of $1"$'\n'"$OUT"$'\n'"$ERR"
    fi
}

# watching: succeed if the daemon has an inotify watch on the drop directory.
watching()
{
    local inode path text

    printf -v inode %x "$(stat -c %i "$DROP")"
    for path in "/proc/$DAEMON_PID/fdinfo"/*; do
        { text=$(<"$path"); } 2>/dev/null
        [[ $text != *"inotify wd:"*" ino:$inode "* ]] || return 0
    done
    return 1
}

# watching_or_ended: the condition that start_daemon waits for.
watching_or_ended() { watching || ended "$DAEMON_PID"; }

# start_daemon: start the daemon on this site and wait until it watches the drop directory.
start_daemon()
{
    "$DAEMON" -c "$INI" "${ALLOW_ROOT[@]}" >>"$LOG" 2>&1 &
    DAEMON_PID=$!
    started+=("$DAEMON_PID")
    wait_for watching_or_ended
    watching || fail "the daemon watches the drop directory" "$(tail -n 20 "$LOG")"
}

# end_daemon SIGNAL: send the signal, wait for the end and set CODE to the exit code.
end_daemon()
{
    kill "-$1" "$DAEMON_PID"
    wait_for ended "$DAEMON_PID" || kill -KILL "$DAEMON_PID"
    wait "$DAEMON_PID" 2>/dev/null
    CODE=$?
    forget_pid "$DAEMON_PID"
    DAEMON_PID=''
}

# stop_daemon [TEXT]: send SIGTERM; pass if the daemon exits 0.
stop_daemon()
{
    end_daemon TERM
    is "$CODE" 0 "${1:-the daemon exits 0 on SIGTERM}"
}

# kill_daemon: simulate a crash by SIGKILL.
kill_daemon() { end_daemon KILL; }

# --- What is on disk ---------------------------------------------------------------------------------------

# ledger: print the lines of the ledger without the header.
ledger() { [[ -f $DATA/state/ledger.csv ]] && tail -n +2 "$DATA/state/ledger.csv"; }

# find_lines NAME: set the array LINES_FOUND to "VERDICT OFFSET LENGTH" of each ledger line of that name.
find_lines()
{
    local line lines cells

    LINES_FOUND=()
    [[ -f $DATA/state/ledger.csv ]] && mapfile -t lines <"$DATA/state/ledger.csv"
    for line in "${lines[@]:1}"; do
        if [[ $line == *",$1,"* ]]; then
            IFS=, read -ra cells <<<"$line"
            [[ ${cells[4]} != "$1" ]] || LINES_FOUND+=("${cells[3]} ${cells[11]} ${cells[12]}")
        fi
    done
}

# verdicts NAME: print its verdicts in the ledger, in order, on one line.
verdicts()
{
    find_lines "$1"
    LINES_FOUND=("${LINES_FOUND[@]%% *}")
    printf %s "${LINES_FOUND[*]}"
}

# recorded NAME [VERDICT]: succeed if the ledger has a line of that name (with that verdict).
recorded()
{
    find_lines "$1"
    ((${#LINES_FOUND[@]})) && [[ " ${LINES_FOUND[*]%% *}" == *" ${2-}"* ]]
}

# ledger_column VERDICT COLUMN: print that column (1 seq … 15 check) of the ledger lines with this verdict.
ledger_column() { ledger | awk -F, -v verdict="$1" -v column="$2" '$4 == verdict { print $column }'; }

# ledger_lines: print how many lines the ledger has.
ledger_lines() { lines_below "$DATA/state/ledger.csv"; }

# training_rows: print how many rows the training file has; no cell may hold a line break.
training_rows() { lines_below "$DATA/training_data.csv"; }

# lines_below FILE: print how many lines follow the first.
lines_below() { [[ -f $1 ]] && tail -n +2 "$1" | wc -l; }

# rows_of NAME: print the rows merged from it, read from the training file at the ranges in the ledger.
rows_of()
{
    local line offset length

    find_lines "$1"
    for line in "${LINES_FOUND[@]}"; do
        read -r _ offset length <<<"$line"
        ((length == 0)) || dd if="$DATA/training_data.csv" bs=1M iflag=skip_bytes,count_bytes skip="$offset" \
            count="$length" status=none
    done
}

# meta_of NAME: set META to the metadata cells that a file with only the required columns takes from its name.
meta_of()
{
    local name=${1%.gz} template='^([A-Za-z0-9._-]{1,64})_(external|simulation|web)_'

    template+='([0-9]{4})([0-9]{2})([0-9]{2})_([0-9]{2})([0-9]{2})([0-9]{2})\.csv$'
    name=${name%.zst}

    if [[ ${name##*/} =~ $template ]]; then
        printf -v META ',%s,%s,normal,%s-%s-%sT%s:%s:%s' "${BASH_REMATCH[@]:1}"
    elif [[ $1 == */* ]]; then
        META=",${1%%/*},external,normal,"
    else
        META=,anonymous,external,normal,
    fi
}

# expected_rows FILE NAME: print the rows of a file with only the required columns as they are merged under NAME.
expected_rows() { meta_of "$2" && sed "1d;s|\$|$META|" "$1"; }

# merged_whole NAME FILE: succeed if exactly the rows of FILE are merged from NAME.
merged_whole() { recorded "$1" && cmp <(rows_of "$1") <(expected_rows "$2" "$1"); }

# arrived NAME FILE TEXT: wait until the rows of FILE are merged from NAME. Pass if each was merged once, in one step or
# several, and quarantine has no NAME.
arrived()
{
    if ! wait_for merged_whole "$1" "$2"; then
        fail "$3" "$1: '$(verdicts "$1")', $(rows_of "$1" | wc -l) rows of $(expected_rows "$2" "$1" | wc -l)"
    elif [[ ! $(verdicts "$1") =~ ^merged(\ grown|\ duplicate)*$ ]]; then
        fail "$3" "$1: verdicts $(verdicts "$1")"
    elif [[ -e $DATA/quarantine/$1 ]]; then
        fail "$3" "$1 is in quarantine"
    else
        pass "$3"
    fi
}

# quarantined NAME CODE TEXT [FILE]: wait until NAME is in quarantine; pass if its list has CODE (and it has the bytes of FILE).
quarantined()
{
    local errors=$DATA/quarantine/$1.errors.csv

    if ! wait_for recorded "$1" quarantined || ! wait_for test -e "$DATA/quarantine/$1"; then
        fail "$3" "$1: verdicts '$(verdicts "$1")', in quarantine: $(ls "$DATA/quarantine" 2>&1)"
    elif [[ $(<"$errors") != line,column,field,code,value,message$'\n'* ]]; then
        fail "$3" "header of $errors: $(head -n 1 "$errors" 2>&1)"
    elif [[ $'\n'$(codes_of "$1")$'\n' != *$'\n'"$2"$'\n'* ]]; then
        fail "$3" "$2 is not among: $(cat "$errors")"
    elif [[ -n ${4-} ]] && ! cmp -s "$DATA/quarantine/$1" "$4"; then
        fail "$3" "$1 in quarantine is not what was dropped"
    elif [[ -e $DROP/$1 ]]; then
        fail "$3" "$1 is still in the drop directory"
    else
        pass "$3"
    fi
}

# codes_of NAME: print the codes of its violations, one a line.
codes_of() { awk -F, 'NR > 1 { print $4 }' "$DATA/quarantine/$1.errors.csv"; }

# json_of FILE KEY…: print the value below these keys; objects and lists as compact JSON.
json_of()
{
    python3 -c '
import json, sys
value = json.load(open(sys.argv[1]))
for key in sys.argv[2:]:
    value = value[key]
print(value if isinstance(value, str) else json.dumps(value, sort_keys=True, separators=(",", ":")))
' "$@" 2>&1 | tail -n 1
}

# stat_of KEY…: print a value of stats.json.
stat_of() { json_of "$DATA/stats/stats.json" "$@"; }

# fingerprint PATH…: print one hash over the names and bytes of all files below.
fingerprint() { find "$@" -type f -print0 2>/dev/null | sort -z | xargs -0 sha256sum | sha256sum; }

# after_verdict: drop a bad file and wait for its verdict; files that were quiet before it have their verdict by then.
settle_marks=0
after_verdict()
{
    settle_marks=$((settle_marks + 1))
    printf "bad\n%s\n" "$settle_marks" >"$DROP/settle-mark-$settle_marks.csv"
    wait_for recorded "settle-mark-$settle_marks.csv" quarantined ||
        fail "the marker file goes to quarantine" "settle-mark-$settle_marks.csv"
}

# after_merge: drop a good file and wait until it is merged; earlier events are handled by then.
merge_marks=0
after_merge()
{
    merge_marks=$((merge_marks + 1))
    sample 1 "77$merge_marks" >"$SITE/merge-mark"
    mv "$SITE/merge-mark" "$DROP/merge-mark-$merge_marks.csv"
    wait_for recorded "merge-mark-$merge_marks.csv" merged ||
        fail "the marker file is merged" "merge-mark-$merge_marks.csv"
}

# --- Input -------------------------------------------------------------------------------------------------

# sample ROWS SEED [FIRST]: print a header and ROWS rows of the required columns from row FIRST on; no two seeds share a row.
sample()
{
    awk -v rows="$1" -v seed="$2" -v first="${3:-0}" -v header="$COLUMNS_REQUIRED" 'BEGIN {
        srand(seed)
        split("cpu_bound io_bound memory_bound idle mixed", phase, " ")
        print header
        for (i = 0; i < first + rows; i++) {
            cpu = rand() * 100
            memory = rand() * 100
            if (i >= first)
                printf "%.1f,%.1f,%.2f,%d.%07d,%.1f,%.2f,%d,%.3f,%s\n", i / 2, cpu, memory, seed, i,
                    cpu * 3, memory / 7, i % 13, (cpu + memory) / 3, phase[i % 5 + 1]
        }
    }'
}

# more_rows ROWS SEED FIRST: print the same rows as sample, without the header.
more_rows() { sample "$@" | tail -n +2; }

# put NAME: move standard input into the drop directory as a complete file.
put()
{
    cat >"$SITE/.put"
    mv "$SITE/.put" "$DROP/$1"
}

# --- sshd on loopback --------------------------------------------------------------------------------------

# accepts PORT: succeed if a process listens on the port.
accepts() { (: >"/dev/tcp/127.0.0.1/$1"); }

# start_sshd: start an sshd with its own keys, and a connection that all sessions share; set SCP, SFTP, RSYNC_RSH,
# HOST and SSHD_PID.
# HOME is an empty directory, so that no session runs a .bashrc.
start_sshd()
{
    local dir=$TMP/ssh sshd port sftp_server=internal-sftp pid try options

    sshd=$(PATH=$PATH:/usr/sbin command -v sshd) || return 1
    [[ -x /usr/lib/openssh/sftp-server ]] && sftp_server=/usr/lib/openssh/sftp-server
    mkdir "$dir" && chmod 700 "$dir"
    as_root && mkdir -p /run/sshd && chmod 755 /run/sshd
    ssh-keygen -q -t ed25519 -N '' -f "$dir/host_key" && ssh-keygen -q -t ed25519 -N '' -f "$dir/key" || return 1
    cp "$dir/key.pub" "$dir/authorized_keys"
    for try in 1 2 3 4 5 6 7 8; do
        port=$((20000 + (RANDOM << 2 | try) % 40000))
        printf '%s\n' "Port $port" 'ListenAddress 127.0.0.1' "HostKey $dir/host_key" 'PidFile none' \
            "AuthorizedKeysFile $dir/authorized_keys" 'StrictModes no' 'PasswordAuthentication no' \
            'PermitRootLogin prohibit-password' "Subsystem sftp $sftp_server" "SetEnv HOME=$dir" >"$dir/sshd_config"
        "$sshd" -D -e -f "$dir/sshd_config" >"$dir/log" 2>&1 &
        pid=$!
        started+=("$pid")
        wait_for eval "accepts $port || ended $pid"
        ended "$pid" || break
        forget_pid "$pid"
    done
    if ended "$pid"; then
        comment "$(cat "$dir/log")"
        return 1
    fi
    SSHD_PID=$pid
    options="-q -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"
    options+=" -o IdentitiesOnly=yes -o KexAlgorithms=curve25519-sha256 -i $dir/key -F none -o ControlPath=$dir/shared"
    HOST=$(id -un)@127.0.0.1
    # shellcheck disable=SC2086 # words
    ssh $options -M -N -p "$port" "$HOST" >>"$dir/log" 2>&1 </dev/null &
    started+=("$!")
    wait_for test -S "$dir/shared"
    SCP="scp $options -P $port"
    SFTP="sftp $options -P $port -b -"
    export RSYNC_RSH="ssh $options -p $port"
}

# The library of the end-to-end tests: private data directories, the shipping programs, and checks that print
# TAP lines. A test sources it, opens one `site` after another, and ends with `finish`.
#
# A site is a fresh data directory with a configuration of its own. Closing it (the next `site`, or `finish`)
# ends its daemon, which must exit 0, and lets tests/checker.py judge what is left on disk. Nothing sleeps for
# luck: wait_for polls a condition. BUILD names the directory of the programs; KEEP=1 keeps the directories.
#
# Most of what a script costs are the processes that it starts: what is asked again and again, here, starts none.
#
# shellcheck shell=bash
# shellcheck disable=SC2034 # much here is for the scripts

set -u
TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
PROJECT=$(dirname "$TESTS")
BUILD=${BUILD:-$PROJECT/build}
DAEMON=$BUILD/phasesentineld
CLI=$BUILD/phasesentinel
WAIT=${WAIT:-60}
TMP=$(mktemp -d "${TMPDIR:-/tmp}/e2e.XXXXXX")
chmod 755 "$TMP"
mkfifo "$TMP/never" # nobody writes into it: to read from it is to sleep
export LC_ALL=C
unset PHASESENTINEL_CONFIG JOURNAL_STREAM

COLUMNS_REQUIRED=timestamp,cpu_percent,memory_percent,memory_used_gb,disk_read_mb,disk_write_mb
COLUMNS_REQUIRED+=,network_sent_mb,network_recv_mb,phase
COLUMNS_ALL=$COLUMNS_REQUIRED,user_id,source,label,collection_timestamp

as_root() { ((EUID == 0)); }

# python3 ARGUMENT…: the scripts here need nothing but its own library, without which it starts in half the time.
python3() { command python3 -SEB "$@"; }

DATA_OWNER=${DATA_OWNER-} # set for root: the programs work as this user, to whom the sites belong, and files come from root
ALLOW_ROOT=()
as_root && ALLOW_ROOT=(--allow-root)

test_count=0 test_failures=0 site_failures=0
started=() mounted=()
SITE='' DATA='' DROP='' INI='' LOG='' DAEMON_PID='' AS_USER='' SOURCE=''

# --- Checks ------------------------------------------------------------------------------------------------

# pass TEXT: a check that holds.
pass()
{
    test_count=$((test_count + 1))
    echo "ok $test_count - $1"
}

# fail TEXT [DETAIL]: a check that does not hold; the detail follows as comment lines.
fail()
{
    test_count=$((test_count + 1))
    test_failures=$((test_failures + 1))
    site_failures=$((site_failures + 1))
    echo "not ok $test_count - $1"
    echo "# ${BASH_SOURCE[-1]##*/}:${BASH_LINENO[-2]}"
    [[ -z ${2-} ]] || comment "$2"
}

# comment TEXT: as TAP comment lines.
comment() { printf '#   %s\n' "${1//$'\n'/$'\n#   '}"; }

# skip TEXT WHY: a check that cannot be made here.
skip()
{
    test_count=$((test_count + 1))
    echo "ok $test_count - skipped: $2 ($1)"
}

# check TEXT COMMAND…: holds if the command succeeds; what it printed is shown if not.
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

# is GOT WANT TEXT: holds if both are equal.
is()
{
    if [[ $1 == "$2" ]]; then
        pass "$3"
    else
        fail "$3" "got:  $1"$'\n'"want: $2"
    fi
}

# has TEXT-OF-FILE-OR-OUTPUT PATTERN TEXT: holds if the extended regular expression is found in it.
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

# same_bytes FILE FILE: are they equal?
same_bytes() { cmp -- "$1" "$2"; }

# wait_for COMMAND…: polls until it succeeds; fails after WAIT seconds, or when the daemon is no more.
wait_for()
{
    local end=$((SECONDS + WAIT))

    until "$@" >/dev/null 2>&1; do
        if ((SECONDS > end)); then
            echo "waited $WAIT s for: $*"
            return 1
        elif [[ -n $DAEMON_PID ]] && ended "$DAEMON_PID" && ! "$@" >/dev/null 2>&1; then
            echo "the daemon ended; waited for: $*"
            return 1
        fi
        read -rt 0.03 <>"$TMP/never"
    done
    return 0
}

# now: the time in microseconds, in NOW.
now() { NOW=${EPOCHREALTIME/./}; }

# passed MILLISECONDS SINCE: is so much time gone since then (NOW)?
passed() { now && (((NOW - $2) / 1000 >= $1)); }

# gives WANT COMMAND…: does it print this?
gives() { [[ $("${@:2}" 2>/dev/null) == "$1" ]]; }

# becomes WANT TEXT COMMAND…: waits until the command prints this.
becomes()
{
    wait_for gives "$1" "${@:3}" >/dev/null
    is "$("${@:3}")" "$1" "$2"
}

# --- Sites -------------------------------------------------------------------------------------------------

# site NAME [KEY=VALUE…]: closes the one before; a fresh data directory and its configuration.
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

# config [KEY=VALUE…]: writes the site's configuration. The tests' own defaults: settle 1.
config()
{
    local pair key section
    local -A values=([data_dir]=data [schema]=schema.ini [settle]=1) sections=(
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

# close_site: ends the daemon, asks the checker, shows the log where something failed.
close_site()
{
    local output options=(--schema "$SITE/schema.ini")

    [[ -n $SITE ]] || return 0
    [[ -z $DAEMON_PID ]] || stop_daemon "${SITE##*/}: the daemon exits 0 on SIGTERM"
    [[ -z $SOURCE ]] || options+=(--source "$SOURCE")
    ! grep -q '^recursive = yes' "$INI" || options+=(--recursive)
    if [[ ! -e $DATA/state/ledger.csv && ! -e $DATA/training_data.csv ]]; then
        :
    elif output=$(python3 "$TESTS/checker.py" "$DATA" "${options[@]}" 2>&1); then
        pass "${SITE##*/}: the checker finds nothing"
    else
        fail "${SITE##*/}: the checker finds nothing" "$output"
    fi
    if ((site_failures > 0)) && [[ -s $LOG ]]; then
        comment "the daemon said:"$'\n'"$(tail -n 60 "$LOG")"
    fi
    SITE=''
}

# finish: closes the last site, prints the plan, exits.
finish()
{
    close_site
    echo "1..$test_count"
    exit $((test_failures > 0))
}

# clean_up: ends exactly what was started here, by id, and unmounts what was mounted.
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

# forget_pid PID: it ended; clean_up need not end it.
forget_pid()
{
    local i

    for i in "${!started[@]}"; do
        [[ ${started[i]} == "$1" ]] && unset "started[i]"
    done
}

# ended PID: is it gone, or a zombie?
ended()
{
    local stat

    { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 0
    stat=${stat##*) }
    [[ $stat == Z* ]]
}

# --- The programs ------------------------------------------------------------------------------------------

# as_user COMMAND…: as the site's other user where one is set (AS_USER), else as we are.
as_user()
{
    if [[ -n $AS_USER ]]; then
        setpriv --reuid "$AS_USER" --regid "$(id -g "$AS_USER")" --clear-groups "$@"
    else
        "$@"
    fi
}

# cli COMMAND ARGUMENT…: phasesentinel on this site.
cli() { "$CLI" -c "$INI" "${ALLOW_ROOT[@]}" "$@"; }

# run COMMAND…: runs it; leaves OUT, ERR and CODE.
run()
{
    { "$@" >"$TMP/out" 2>"$TMP/err"; } 2>/dev/null # bash would tell of a kill
    CODE=$?
    { OUT=$(<"$TMP/out") ERR=$(<"$TMP/err"); } 2>/dev/null # bash would tell of NUL bytes, and leaves them out
}

# exits CODE TEXT COMMAND…: runs it as run does; holds if it exits so.
exits()
{
    run "${@:3}"
    if ((CODE == $1)); then
        pass "$2"
    else
        fail "$2" "exit $CODE instead of $1"$'\n'"$OUT"$'\n'"$ERR"
    fi
}

# watching: has the daemon its inotify watch on the drop directory?
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

# watching_or_ended: for start_daemon.
watching_or_ended() { watching || ended "$DAEMON_PID"; }

# start_daemon: starts it on this site and waits until it watches the drop directory.
start_daemon()
{
    "$DAEMON" -c "$INI" "${ALLOW_ROOT[@]}" >>"$LOG" 2>&1 &
    DAEMON_PID=$!
    started+=("$DAEMON_PID")
    wait_for watching_or_ended
    watching || fail "the daemon watches the drop directory" "$(tail -n 20 "$LOG")"
}

# end_daemon SIGNAL: ends it and leaves its exit code in CODE.
end_daemon()
{
    kill "-$1" "$DAEMON_PID"
    wait_for ended "$DAEMON_PID" || kill -KILL "$DAEMON_PID"
    wait "$DAEMON_PID" 2>/dev/null
    CODE=$?
    forget_pid "$DAEMON_PID"
    DAEMON_PID=''
}

# stop_daemon [TEXT]: SIGTERM; it must exit 0.
stop_daemon()
{
    end_daemon TERM
    is "$CODE" 0 "${1:-the daemon exits 0 on SIGTERM}"
}

# kill_daemon: SIGKILL, as a crash.
kill_daemon() { end_daemon KILL; }

# --- What is on disk ---------------------------------------------------------------------------------------

# ledger: its lines without the header.
ledger() { [[ -f $DATA/state/ledger.csv ]] && tail -n +2 "$DATA/state/ledger.csv"; }

# look_up NAME: the ledger's lines for it, in the array BOOK, each "VERDICT OFFSET LENGTH" of what was appended.
look_up()
{
    local line lines cells

    BOOK=()
    [[ -f $DATA/state/ledger.csv ]] && mapfile -t lines <"$DATA/state/ledger.csv"
    for line in "${lines[@]:1}"; do
        if [[ $line == *",$1,"* ]]; then
            IFS=, read -ra cells <<<"$line"
            [[ ${cells[4]} != "$1" ]] || BOOK+=("${cells[3]} ${cells[11]} ${cells[12]}")
        fi
    done
}

# verdicts NAME: those booked for it, in order, in one line.
verdicts()
{
    look_up "$1"
    BOOK=("${BOOK[@]%% *}")
    printf %s "${BOOK[*]}"
}

# booked NAME [VERDICT]: has the ledger a line for it?
booked()
{
    look_up "$1"
    ((${#BOOK[@]})) && [[ " ${BOOK[*]%% *}" == *" ${2-}"* ]]
}

# book_of VERDICT COLUMN: that column (1 seq … 15 check) of the lines with this verdict.
book_of() { ledger | awk -F, -v verdict="$1" -v column="$2" '$4 == verdict { print $column }'; }

# lines_booked: how many lines the ledger has.
lines_booked() { lines_below "$DATA/state/ledger.csv"; }

# training_rows: how many rows the training file has (of rows without line breaks in cells).
training_rows() { lines_below "$DATA/training_data.csv"; }

# lines_below FILE: how many lines it has below the first.
lines_below() { [[ -f $1 ]] && tail -n +2 "$1" | wc -l; }

# rows_of NAME: what was merged from it, read from the training file at the ledger's ranges.
rows_of()
{
    local line offset length

    look_up "$1"
    for line in "${BOOK[@]}"; do
        read -r _ offset length <<<"$line"
        ((length == 0)) || dd if="$DATA/training_data.csv" bs=1M iflag=skip_bytes,count_bytes skip="$offset" \
            count="$length" status=none
    done
}

# meta_of NAME: the metadata cells that a file with the required columns alone takes from its name, in META.
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

# expected_rows FILE NAME: the rows of a file with the required columns, as merged under NAME.
expected_rows() { meta_of "$2" && sed "1d;s|\$|$META|" "$1"; }

# merged_whole NAME FILE: are exactly the rows of FILE merged from NAME?
merged_whole() { booked "$1" && cmp <(rows_of "$1") <(expected_rows "$2" "$1"); }

# arrived NAME FILE TEXT: waits until NAME is merged with the rows of FILE; each once, perhaps in steps, and
# nothing of it in quarantine.
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

# quarantined NAME CODE TEXT [FILE]: waits until NAME is in quarantine with this code (and the bytes of FILE).
quarantined()
{
    local errors=$DATA/quarantine/$1.errors.csv

    if ! wait_for booked "$1" quarantined || ! wait_for test -e "$DATA/quarantine/$1"; then
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

# codes_of NAME: the codes in its list of violations, one a line.
codes_of() { awk -F, 'NR > 1 { print $4 }' "$DATA/quarantine/$1.errors.csv"; }

# json_of FILE KEY…: the value below these keys, objects and lists as compact JSON.
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

# stat_of KEY…: from stats.json.
stat_of() { json_of "$DATA/stats/stats.json" "$@"; }

# fingerprint PATH…: one hash over the names and bytes of all files below.
fingerprint() { find "$@" -type f -print0 2>/dev/null | sort -z | xargs -0 sha256sum | sha256sum; }

# after_settle: drops a bad file and waits until it is judged; what was quiet before it has been judged too.
settle_marks=0
after_settle()
{
    settle_marks=$((settle_marks + 1))
    printf "bad\n%s\n" "$settle_marks" >"$DROP/settle-mark-$settle_marks.csv"
    wait_for booked "settle-mark-$settle_marks.csv" quarantined ||
        fail "the marker is judged" "settle-mark-$settle_marks.csv"
}

# after_merge: drops a good file and waits until it is merged; events before it have been seen.
merge_marks=0
after_merge()
{
    merge_marks=$((merge_marks + 1))
    sample 1 "77$merge_marks" >"$SITE/merge-mark"
    mv "$SITE/merge-mark" "$DROP/merge-mark-$merge_marks.csv"
    wait_for booked "merge-mark-$merge_marks.csv" merged ||
        fail "the marker is merged" "merge-mark-$merge_marks.csv"
}

# --- Input -------------------------------------------------------------------------------------------------

# sample ROWS SEED [FIRST]: a header and rows with the required columns, every row unlike any of another seed.
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

# more_rows ROWS SEED FIRST: as sample, without the header.
more_rows() { sample "$@" | tail -n +2; }

# put NAME: standard input becomes a file in the drop directory, complete from its first instant.
put()
{
    cat >"$SITE/.put"
    mv "$SITE/.put" "$DROP/$1"
}

# --- sshd on loopback --------------------------------------------------------------------------------------

# accepts PORT: does somebody listen there?
accepts() { (: >"/dev/tcp/127.0.0.1/$1"); }

# start_sshd: one of our own, with keys of our own, and a connection to it that all sessions share; sets SCP, SFTP,
# RSYNC_RSH and HOST. The home directory is an empty one: what a user's .bashrc does would be done for each session.
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

# The library of the tests of arrival. Each way is a function way_NAME that delivers the file $SRC/$1 to $DROP/$1; in
# each state of the daemon all of them are tried, and every file must be merged exactly once.
#
# shellcheck shell=bash
# shellcheck source=tests/lib/e2e.sh
. "$(dirname "${BASH_SOURCE[0]}")/e2e.sh"

state=''
STATES=(up down stopped overflowed)
[[ -z ${TEST_SHORT-} ]] || STATES=(up overflowed)
[[ -z ${ARRIVAL_STATES-} ]] || read -ra STATES <<<"$ARRIVAL_STATES"

# The table: CELLS[WAY] is the column that a way belongs to, for those that belong to one. A cell holds if each of its
# ways was merged exactly once in that state: held[WAY,STATE].
declare -A CELLS=() held=()

# seen NAME: for ways in two steps; where the daemon is up, waits until it has merged what is there by now.
seen() { [[ $state != up ]] || wait_for recorded "$1" merged; }

# file_of WAY: the name of its file.
file_of() { echo "${1}_web_20240203_040506.csv"; }

# arrived_by WAY: check that the file of this way is merged exactly once; else its cell does not hold.
arrived_by()
{
    local name failures=$test_failures

    name=$(file_of "$1")
    arrived "$name" "$SRC/$name" "$state, $1: merged once"
    ((test_failures > failures)) || held[$1,$state]=${held[$1,$state]-1}
}

# deliver_all WAY…: by each way a file; where the daemon is up, each is looked at before the next.
deliver_all()
{
    local way name failures seed=0

    for way; do
        name=$(file_of "$way")
        seed=$((seed + 1))
        failures=$test_failures
        sample 300 "$seed" >"$SRC/$name"
        "way_$way" "$name" || fail "$state, $way: the file is delivered"
        ((test_failures == failures)) || held[$way,$state]=0
        [[ $state != up ]] || arrived_by "$way"
    done
}

# all_arrived WAY…: every file is merged, and there is not one row more in the training file.
all_arrived()
{
    local way want=$merge_marks failures

    for way; do
        [[ $state == up ]] || arrived_by "$way"
        want=$((want + $(wc -l <"$SRC/$(file_of "$way")") - 1))
    done
    after_merge
    failures=$test_failures
    is "$(training_rows)" $((want + 1)) "$state: the training file has these rows and no other"
    for way; do
        ((test_failures == failures)) || held[$way,$state]=0
    done
}

# tell_cells: how many cells of the table hold, of those there are.
tell_cells()
{
    local way state cell good=0
    local -A cells=()

    for way in "${!CELLS[@]}"; do
        for state in "${STATES[@]}"; do
            cell=${CELLS[$way]},$state
            cells[$cell]=$((${cells[$cell]-1} && ${held[$way,$state]-0}))
        done
    done
    for cell in "${!cells[@]}"; do
        good=$((good + cells[$cell]))
    done
    echo "# arrival: $good of ${#cells[@]} cells"
}

# write_badly: files that are bad while they are being written. One stays open; see judged_late.
write_badly()
{
    {
        sample 3 1
        echo oops
        exec sleep 1000
    } >"$DROP/open.csv" &
    holder=$!
    started+=("$holder")
}

# judged_late: no file is judged bad while it is open, nor before it was quiet for settle, which is 1 second.
judged_late()
{
    local piece judged written

    for piece in 1 2 3 4 5 6; do
        now
        printf 'bad\n%s\n' "$piece" >>"$DROP/again.csv"
        wait_for passed 300 "$NOW"
    done
    wait_for test ! -e "$DROP/again.csv" # it was quiet in between, where this machine is slow
    quarantined again.csv missing-label "$state: bad, and opened again and again: in quarantine"
    judged=$(ledger | awk -F, '$5 == "again.csv" { print $3; exit }')
    written=$(date -r "$DATA/quarantine/again.csv" +%s%3N)
    check "$state: but quiet before that" test $(($(date -d "$judged" +%s%3N) - written)) -ge 1000
    if [[ -z $DATA_OWNER ]]; then
        is "$(verdicts open.csv)" '' "$state: bad, but open for writing: not judged"
    else
        skip "$state: bad, but open for writing" "of another user's files the kernel does not tell: quiet decides"
    fi
    kill "$holder"
    quarantined open.csv missing-cell "$state: closed, it goes to quarantine"
    forget_pid "$holder"
}

# in_each_state WAY…: with the daemon up, down, standing still, and with its queue of events overflowed; or in those
# states alone that ARRIVAL_STATES names.
in_each_state()
{
    for state in "${STATES[@]}"; do
        site "$state" settle=1
        SRC=$SITE/src
        mkdir "$SRC"
        merge_marks=0
        [[ $state == down ]] || start_daemon
        [[ $state == up || $state == down ]] || kill -STOP "$DAEMON_PID"
        [[ $state != overflowed ]] || overflow_queue
        write_badly
        deliver_all "$@"
        [[ $state != down ]] || start_daemon
        kill -CONT "$DAEMON_PID"
        all_arrived "$@"
        judged_late
    done
    tell_cells
}

# overflow_queue: more events than the kernel keeps, of names that nobody asked for.
overflow_queue()
{
    local i queue

    queue=$(cat /proc/sys/fs/inotify/max_queued_events)
    for ((i = 0; i < queue; i++)); do
        : >"$DROP/.noise$i"
    done
}

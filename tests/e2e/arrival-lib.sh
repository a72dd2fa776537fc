# What the tests of arrival share. Each way is a function way_NAME that delivers the file $SRC/$1 to $DROP/$1; in
# each state of the daemon all of them are tried, and every file must be merged exactly once.
#
# shellcheck shell=bash
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

state=''

# seen NAME: for ways in two steps; where the daemon is up, waits until it has merged what is there by now.
seen() { [[ $state != up ]] || wait_for booked "$1" merged; }

# file_of WAY: the name of its file.
file_of() { echo "${1}_web_20240203_040506.csv"; }

# deliver_all WAY…: by each way a file; where the daemon is up, each is looked at before the next.
deliver_all()
{
    local way name seed=0

    for way; do
        name=$(file_of "$way")
        seed=$((seed + 1))
        sample 300 "$seed" >"$SRC/$name"
        "way_$way" "$name" || fail "$state, $way: the file is delivered"
        [[ $state != up ]] || arrived "$name" "$SRC/$name" "$state, $way: merged once"
    done
}

# all_arrived WAY…: every file is merged, and there is not one row more in the training file.
all_arrived()
{
    local way name want=$merge_marks

    for way; do
        name=$(file_of "$way")
        [[ $state == up ]] || arrived "$name" "$SRC/$name" "$state, $way: merged once"
        want=$((want + $(wc -l <"$SRC/$name") - 1))
    done
    after_merge
    is "$(training_rows)" $((want + 1)) "$state: the training file has these rows and no other"
}

# in_each_state WAY…: with the daemon up, down, standing still, and with its queue of events overflowed; or in those
# states alone that ARRIVAL_STATES names.
in_each_state()
{
    for state in ${ARRIVAL_STATES:-up down stopped overflowed}; do
        site "$state"
        SRC=$SITE/src
        mkdir "$SRC"
        merge_marks=0
        [[ $state == down ]] || start_daemon
        [[ $state == up || $state == down ]] || kill -STOP "$DAEMON_PID"
        [[ $state != overflowed ]] || overflow_queue
        deliver_all "$@"
        [[ $state != down ]] || start_daemon
        kill -CONT "$DAEMON_PID"
        all_arrived "$@"
    done
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

#!/bin/bash
# Files that grow and are sent again; tests/stress/growing.py tells what it does. Arguments are given to it.
# shellcheck source=tests/lib/e2e.sh
. "$(dirname "$0")/../../lib/e2e.sh"

rounds=12
[[ -z ${TEST_SHORT-} ]] || rounds=6
(($#)) || set -- --files 42 --rounds "$rounds" --kills "$rounds"
start_sshd && set -- --scp "$SCP" --host "$HOST" "$@"
python3 "$TESTS/stress/growing.py" --build "$BUILD" "$@"
exit

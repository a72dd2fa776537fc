#!/bin/bash
# Files that grow and are sent again; tests/growing.py tells what it does. Arguments are given to it.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

(($#)) || set -- --files 42 --rounds 12 --kills 12
start_sshd && set -- --scp "$SCP" --host "$HOST" "$@"
python3 "$TESTS/growing.py" --build "$BUILD" "$@"
exit

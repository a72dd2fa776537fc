#!/bin/sh
# The random-kill test; tests/stress/kill.py tells what it does.
kills=200
[ -z "${TEST_SHORT-}" ] || kills=100
exec python3 -SEB "$(dirname "$0")/../../stress/kill.py" --build "${BUILD:-$(dirname "$0")/../../../build}" --kills "$kills"

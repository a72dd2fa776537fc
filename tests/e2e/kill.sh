#!/bin/sh
# The random-kill test; tests/kill.py tells what it does.
exec python3 "$(dirname "$0")/../kill.py" --build "${BUILD:-$(dirname "$0")/../../build}"

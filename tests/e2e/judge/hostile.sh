#!/bin/sh
# What an enemy drops; tests/stress/hostile.py tells what that is.
exec python3 -SEB "$(dirname "$0")/../../stress/hostile.py" --build "${BUILD:-$(dirname "$0")/../../../build}"

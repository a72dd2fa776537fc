#!/bin/sh
# What an enemy drops; tests/hostile.py tells what that is.
exec python3 -SEB "$(dirname "$0")/../hostile.py" --build "${BUILD:-$(dirname "$0")/../../build}"

#!/bin/sh
# Does the checker find what is wrong? A good data directory, broken in many ways.
exec python3 -SEB "$(dirname "$0")/../../checker.py" --self-test

#!/bin/sh
# Files are swapped under the collector's hands; tests/races.py tells how.
exec python3 "$(dirname "$0")/../races.py" --build "${BUILD:-$(dirname "$0")/../../build}" --seconds 6

#!/bin/bash
# Transfers that are cut in the middle, by every tool, at either end, and sent again: meanwhile nothing is merged that
# is not the beginning of the file, then the right rows are, once and in order, and quarantine is as it was.
# shellcheck disable=SC2317 # called by name
# shellcheck source=tests/lib/interrupted.sh
. "$(dirname "$0")/../../lib/interrupted.sh"

open_site new
start_daemon
for cut in "${cuts[@]}"; do
    read -r way signal <<<"$cut"
    name=$(file_of "$way" "$signal")
    cp "$TMP/whole.csv" "$SRC/$name"
    interrupt "$way" "$name" "$signal"
done
after_verdict
for cut in "${cuts[@]}"; do
    read -r way signal <<<"$cut"
    name=$(file_of "$way" "$signal")
    check "$way cut by $signal: no row but the first ones" only_begun "$name" "$TMP/whole.csv"
done
is "$(in_quarantine)" '' "no cut file is in quarantine"
for cut in "${cuts[@]}"; do
    read -r way signal <<<"$cut"
    again "$way" "$(file_of "$way" "$signal")"
done
good=0
for cut in "${cuts[@]}"; do
    read -r way signal <<<"$cut"
    name=$(file_of "$way" "$signal")
    failures=$test_failures
    arrived "$name" "$TMP/whole.csv" "$way cut by $signal, and sent again: merged once"
    ((test_failures > failures)) || good=$((good + 1))
done
after_verdict
is "$(in_quarantine)" '' "nothing of them is in quarantine"
is "$(training_rows)" $((${#cuts[@]} * ROWS)) "each row once"
echo "# interrupted: $good of ${#cuts[@]} cuts of new files"

finish

#!/bin/sh
# Check the subjects of the commits since the last tag, or else since the branch left main: at most 72 characters, no full stop.
# A clone without that history passes: there is nothing to check.
set -u
cd "$(dirname "$0")/../.." || exit 1

base=$(git describe --tags --abbrev=0 2>/dev/null)
for branch in origin/main main; do
    [ -n "$base" ] || base=$(git merge-base HEAD "$branch" 2>/dev/null)
done
[ -n "$base" ] || exit 0
git log --no-merges --format='%h %s' "$base..HEAD" | awk '
    { subject = substr($0, index($0, " ") + 1) }
    length(subject) > 72 { print "lint: commit " $1 ": a subject of " length(subject) " characters: " subject; bad = 1 }
    subject ~ /\.$/ { print "lint: commit " $1 ": the subject ends with a full stop: " subject; bad = 1 }
    END { exit bad }'

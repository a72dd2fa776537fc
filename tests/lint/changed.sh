#!/bin/sh
# Print the sources in src/ that changed since the branch left main (on main: since the commit before), and those that include a
# header that changed. A clone without that history prints none.
set -u
cd "$(dirname "$0")/../.." || exit 1

for ref in origin/main main HEAD^; do
    base=$(git merge-base HEAD "$ref" 2>/dev/null) || continue
    [ "$base" = "$(git rev-parse HEAD)" ] || break
done
changed=$(git diff --name-only "${base:-HEAD}" -- src 2>/dev/null)
[ -n "$changed" ] || exit 0
for source in src/*/*.c; do
    cc -MM -D_GNU_SOURCE -Isrc "$source" | tr -s ' ' '\n' | grep -qxF "$changed" && echo "$source"
done
exit 0

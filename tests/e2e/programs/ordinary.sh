#!/bin/bash
# Other tests once more, for root: all of them as an ordinary user without any capability; and the collector as such a
# user among files of another one, of which the kernel does not tell who writes to them.
# shellcheck source=tests/lib/e2e.sh
. "$(dirname "$0")/../../lib/e2e.sh"

if ! as_root || ! id nobody >/dev/null 2>&1; then
    skip "as an ordinary user" "we are one, or there is none"
    finish
fi
group=$(id -gn nobody)
mkdir "$TMP/own"
chown nobody "$TMP/own"

# A copy of the project, as its directory may be closed to others, like /root.
mkdir -p "$TMP/project/build"
cp -r "$PROJECT/etc" "$TMP/project/"
(cd "$PROJECT" && find tests/run tests/checker.py tests/lib tests/e2e -type f -exec cp --parents {} "$TMP/project/" \;)
cp "$BUILD/phasesentineld" "$BUILD/phasesentinel" "$TMP/project/build/"
chmod -R a+rX "$TMP/project"

# again TEXT NAME COMMAND…: the script NAME holds, run by COMMAND.
again()
{
    local output

    if output=$("${@:3}" BUILD="$TMP/project/build" "$TMP/project/tests/e2e/$2.sh" 2>&1) && [[ $(tail -n 1 <<<"$output") == 1..* ]]; then
        pass "$2 $1: $(grep -c '^ok' <<<"$output") checks"
    else
        fail "$2 $1" "$(grep -v '^ok' <<<"$output")"
    fi
}

nobody=(env TMPDIR="$TMP/own" setpriv --reuid nobody --regid "$group" --clear-groups --bounding-set=-all --inh-caps=-all)
# shellcheck disable=SC2016 # for awk
is "$("${nobody[@]}" awk '/^Cap(Prm|Bnd):/ { print $2 + 0 }' /proc/self/status | xargs)" "0 0" "nobody has no capability"
[[ -n ${TEST_SHORT-} ]] || again "as an ordinary user" merge/identity "${nobody[@]}" env
again "as an ordinary user" arrive/arrival-local "${nobody[@]}" env ARRIVAL_STATES="up"
again "among files of another user" arrive/arrival-local env ARRIVAL_STATES="up" DATA_OWNER=nobody

finish

#!/bin/bash
# `make uninstall` removes what `make install` put there, but no edited configuration and no data.
# shellcheck disable=SC2317 # called by exits
# shellcheck source=tests/lib/e2e.sh
. "$(dirname "$0")/../../lib/e2e.sh"

STAGE=$TMP/stage
PREFIX=/opt/sentinel

# installing TARGET: run make with the stage as DESTDIR.
installing() { make -s -C "$PROJECT" "$1" "DESTDIR=$STAGE" "prefix=$PREFIX" "sysconfdir=/etc" BUILD="$BUILD"; }

# installed PATTERN: print the files in the stage whose path ends with the pattern.
installed() { find "$STAGE" -type f -path "*$1"; }

before=$(git -C "$PROJECT" status --porcelain 2>&1)
exits 0 "make install" installing install
daemon=$(installed /phasesentineld)
cli=$(installed /phasesentinel)
for path in "$daemon" "$cli"; do
    has "$path" "^$STAGE$PREFIX/s?bin/phasesentineld?$" "below prefix: ${path#"$STAGE"}"
    check "executable" test -x "$path"
done
for page in "$PROJECT"/man/*; do
    page=${page##*/}
    has "$(installed "/$page*")" "/man${page##*.}/$page" "the manual page $page"
done
ini=$(installed /phasesentinel.ini)
schema=$(installed /schema.ini)
has "$ini" "^$STAGE/etc/" "the configuration is in sysconfdir"
has "$schema" "^$STAGE/etc/" "and the schema"
has "$(cat "$ini")" '^data_dir *= */var/lib/phasesentinel' "with data_dir = /var/lib/phasesentinel"
is "$(find "$STAGE" -type f -name '*.csv')" '' "no data is installed"

exits 0 "the installed program runs" "$cli" --version
mkdir -p "$TMP/data/user_data"
sample 3 1 >"$TMP/data/user_data/one.csv"
exits 0 "with the installed configuration" "$cli" -c "$ini" -d "$TMP/data" "${ALLOW_ROOT[@]}" merge
is "$(tail -n +2 "$TMP/data/training_data.csv" | wc -l)" 3 "it merges"

all=$(find "$STAGE" -type f | sort)
exits 0 "make uninstall" installing uninstall
is "$(find "$STAGE" -type f)" '' "takes everything away again"

exits 0 "make install again" installing install
is "$(find "$STAGE" -type f | sort)" "$all" "puts it back"
sed -i 's/^settle *=.*/settle = 7/' "$ini"
mkdir -p "$STAGE/var/lib/phasesentinel/user_data"
echo precious >"$STAGE/var/lib/phasesentinel/user_data/p.csv"
exits 0 "make install over an edited configuration" installing install
has "$(cat "$ini")" '^settle = 7$' "keeps it"
exits 0 "make uninstall" installing uninstall
has "$(cat "$ini" 2>&1)" '^settle = 7$' "keeps it as well"
is "$(cat "$STAGE/var/lib/phasesentinel/user_data/p.csv")" precious "and data"
check "but not the programs" test ! -e "$daemon" -a ! -e "$cli"
is "$(git -C "$PROJECT" status --porcelain 2>&1)" "$before" "the tree is as it was"

finish

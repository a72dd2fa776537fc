#!/bin/sh
# Checks the architecture: tests/lint-order.sh MODULE… names the modules from left to right. A module may include its own
# header and those of modules to its left; each library has one module that includes it; one module calls fsync, rename and
# ftruncate; one alone writes the training file.
# shellcheck disable=SC2013 # no name here has a blank
set -u
cd "$(dirname "$0")/.." || exit 1
failed=0
fail() {
    echo "lint-order: $*" >&2
    failed=1
}

left=" "
for module in "$@"; do
    left="$left$module "
    for file in "src/$module.c" "src/$module.h"; do
        [ -e "$file" ] || continue
        for header in $(sed -n 's/^#include "\(.*\)\.h"$/\1/p' "$file"); do
            case $left in
            *" $header "*) ;;
            *) fail "$file includes $header.h, which is not to its left" ;;
            esac
        done
    done
done
for file in src/*.c src/*.h; do
    module=$(basename "${file%.?}")
    case "$left phasesentinel phasesentineld " in
    *" $module "*) ;;
    *) fail "$file is no module of the Makefile" ;;
    esac
done

# only PATTERN MODULE…: no other module has a line with it.
only() {
    pattern=$1
    shift
    for file in $(grep -lE "$pattern" src/*.c src/*.h); do
        module=$(basename "${file%.?}")
        case " $* " in
        *" $module "*) ;;
        *) fail "$file has $pattern, which belongs to $*" ;;
        esac
    done
}
only '#include <(csv)\.h>' rows
only '#include <iniparser' ini
only '#include <inotifytools' watch
only '#include <nettle' digest
only '#include <xxhash' digest
only '#include <jansson' report
only '#include <zlib' unpack
only '#include <zstd' unpack
only '(^|[^_[:alnum:]])(fsync|fdatasync|ftruncate|rename|renameat|renameat2)\(' durable
only 'durable_(write|truncate)\(.*DATADIR_TRAINING' training
only 'appender_[a-z]+\(' appender training
exit $failed

#!/bin/sh
# Check the architecture: tests/lint/order.sh FOLDER/MODULE… names the modules from left to right. A module may include its own
# header and those to its left, but a program's folder (cli, daemon, http) is closed to the other programs. Each library has one
# module that includes it, one module calls fsync, rename and ftruncate, and one writes the training file.
# shellcheck disable=SC2013 # no name here has a blank
set -u
cd "$(dirname "$0")/../.." || exit 1
failed=0
fail()
{
    echo "lint: $*" >&2
    failed=1
}

# The order of includes, at most 12 modules a folder, at most 500 lines a file.
awk -v all="$*" '
    function complain(text) { print "lint: " text > "/dev/stderr"; bad = 1 }
    function check_line(file, line, from,    name, to) {
        if (!match(line, /^#include "[^"]+\.h"/)) return
        name = substr(line, 11, RLENGTH - 13)
        split(name, to, "/")
        if (!(name in place)) complain(file ": " name ".h is in no folder of the list")
        else if (place[name] > place[from]) complain(file ": " name ".h is to its right")
        else if ((to[1] in program) && to[1] != substr(from, 1, index(from, "/") - 1)) complain(file ": " name ".h belongs to another program")
    }
    BEGIN {
        n = split(all, list, " ")
        split("cli daemon http", programs, " ")
        for (i in programs) program[programs[i]] = 1
        for (i = 1; i <= n; i++) { place[list[i]] = i; split(list[i], part, "/"); size[part[1]]++ }
        for (folder in size) if (size[folder] > 12) complain("src/" folder "/ has " size[folder] " modules: two folders?")
        for (i = 1; i <= n; i++)
            for (e = 0; e < 2; e++) {
                file = "src/" list[i] (e ? ".h" : ".c")
                for (lines = 0; (getline line < file) > 0; lines++) check_line(file, line, list[i])
                if (lines > 500) complain(file " has " lines " lines: two modules?")
            }
        exit bad
    }' || failed=1

for file in src/*/*.[ch]; do
    module=${file#src/}
    case " $* " in
    *" ${module%.?} "*) ;;
    *) fail "$file is no module of the Makefile" ;;
    esac
done

# only PATTERN FOLDER/MODULE…: no other module has a line with it.
only()
{
    pattern=$1
    shift
    for file in $(grep -lE "$pattern" src/*/*.[ch]); do
        module=${file#src/}
        case " $* " in
        *" ${module%.?} "*) ;;
        *) fail "$file has $pattern, which belongs to $*" ;;
        esac
    done
}
only '#include <csv\.h>' csv/csv_reader
only '#include <iniparser' schema/ini
only '#include <inotifytools' daemon/watch
only '#include <nettle' base/digest
only '#include <xxhash' base/digest
only '#include <jansson' ops/json
only '#include <zlib' csv/decompress
only '#include <zstd' csv/decompress
only '(^|[^_[:alnum:]])(fsync|fdatasync|ftruncate|rename|renameat|renameat2)\(' fs/durable
only 'durable_(write|truncate)\(.*DATADIR_TRAINING' store/training
only 'appender_[a-z]+\(' store/appender store/training

exit $failed

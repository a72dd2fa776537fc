/*
 * csv_name: paths, and the rules for names of dropped files.
 *
 * Names are relative to the drop directory and may contain directories: "one.csv",
 * "alice/one.csv.gz". Pointers that are returned point into the caller's string, but for
 * path_normalize.
 */
#ifndef PHASESENTINEL_CSV_NAME_H
#define PHASESENTINEL_CSV_NAME_H

#include <stdbool.h>
#include <stddef.h>

/* Return the part of the path after its last slash. */
const char *path_base(const char *path);

/*
 * Make the path absolute against a directory, which is absolute and has no symbolic links, so that
 * each leading ".." takes away its last part. Parts behind the first other name stay as written, as
 * does an absolute path. Return an owned string; NULL: out of memory.
 */
char *path_normalize(const char *directory, const char *path);

/* Return true if the path, or a directory in it, begins with a dot. */
bool path_is_hidden(const char *path);

/* Return true for the name of a file to be merged: not hidden, and ending in .csv, .csv.gz or
 * .csv.zst in any case. */
bool csv_name_is_accepted(const char *name);

/* Return true for a directory to be scanned: not hidden, and not the lost+found of a file system.
 */
bool csv_name_is_scanned_directory(const char *name);

/* Return the suffix of an accepted name (".csv.gz"), or the empty string at the end of another. */
const char *csv_name_suffix(const char *name);

/* Return the length of the name of the CSV inside: without .gz or .zst after .csv. */
size_t csv_name_length(const char *name);

#endif

/*
 * ini: a strict reader of INI files.
 *
 * iniparser reads the values, but silently accepts a lot: duplicates, text after a section, joined
 * lines, quotes that are never closed, values cut at ';'. So this module checks each line first. A
 * file with a problem is not given to iniparser; for any other file both must read the same values.
 *
 *     if (ini_load(&ini, path, cause) < 0)
 *         return -1;
 *     for each of ini.entries that is wrong: ini_problems_add(&ini.problems, entry->line, ...);
 *     return ini_finish(&ini, cause);
 *
 * The problems of the lines and those of the caller make one list, sorted by line. Only regular
 * files of UTF-8 up to 1 MiB are read. Not thread-safe: iniparser's error callback is global.
 */
#ifndef PHASESENTINEL_INI_H
#define PHASESENTINEL_INI_H

#include <stddef.h>
#include <stdint.h>

#include "base/cause.h"
#include "schema/ini_problems.h"

/* A section or a key. Names are kept as written; compare them with strcasecmp, as iniparser does.
 */
struct ini_entry {
    char *section; /* owned by the entry of the section's line */
    char *key;     /* owned; NULL: the line of the section itself */
    const char *value;
    char *written; /* owned, never NULL; the value as the line check read it */
    unsigned line;
};

/* The struct owns all of its contents. Entries are in the order of the file. */
struct ini {
    char *path;
    struct ini_entry *entries;
    size_t count, cap;
    struct ini_problems problems;
    struct _dictionary_ *dictionary;
};

/* Read a file. Return 0, also if its lines have problems; -1, with *ini freed, if it cannot be
 * read. */
int ini_load(struct ini *ini, const char *path, struct cause *cause);

/* Report the problems and free *ini. Return 0 if there were none, else -1. */
int ini_finish(struct ini *ini, struct cause *cause);

/* Return the index of the value in a NULL-terminated list of words, or -1 with a problem added. */
int ini_word(struct ini *ini, const struct ini_entry *entry, const char *const *words);

/* Read a whole number from min to max. Return 0, or -1 with a problem added. `unit`, like "
 * seconds" or "", is for the message. */
int ini_number(struct ini *ini, const struct ini_entry *entry, uint64_t min, uint64_t max,
               const char *unit, uint64_t *ret_number);

#endif

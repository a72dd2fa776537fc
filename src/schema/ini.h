/*
 * ini: a strict reader of INI files.
 *
 * iniparser reads the values, but takes much silently: duplicates, text behind a section, joined
 * lines, quotes that never close, values cut at ';'. So each line is looked at here first, and a
 * file with a problem never reaches iniparser; for one without, both must have understood the same.
 *
 *     if (ini_load(&ini, path, cause) < 0)
 *         return -1;
 *     …look at ini.entries; ini_problems_add(&ini.problems, entry->line, …) for each that is wrong…
 *     return ini_finish(&ini, cause);
 *
 * The problems of the lines and those of the caller end as one list, sorted by line. Only regular
 * files up to 1 MiB of UTF-8 are read. Not for several threads: iniparser's error callback is
 * global.
 */
#ifndef PHASESENTINEL_INI_H
#define PHASESENTINEL_INI_H

#include <stddef.h>
#include <stdint.h>

#include "base/cause.h"
#include "schema/ini_problems.h"

/* Names are as written; iniparser folds their case, so compare with strcasecmp. */
struct ini_entry {
    char *section; /* owned by the section's own entry */
    char *key;     /* owned; NULL: the section's own line */
    const char *value;
    char *written; /* the value as the line check found it, owned; never NULL */
    unsigned line;
};

/* All owned by the struct; entries in the order of the file. */
struct ini {
    char *path;
    struct ini_entry *entries;
    size_t count, cap;
    struct ini_problems problems;
    struct _dictionary_ *dictionary;
};

/* 0, also where lines have problems; -1 where there is nothing to look at, with *ini freed. */
int ini_load(struct ini *ini, const char *path, struct cause *cause);

/* Reports the problems (problem.h) and frees *ini: 0 if there were none, else -1. */
int ini_finish(struct ini *ini, struct cause *cause);

/* Those below read one value; what is wrong with it becomes a problem. Words are a NULL-terminated
 * list. */

/* The index of the value in `words`, or -1. */
int ini_word(struct ini *ini, const struct ini_entry *entry, const char *const *words);

/* A whole number from min to max; `unit`, as " seconds" or "", is for the message. */
int ini_number(struct ini *ini, const struct ini_entry *entry, uint64_t min, uint64_t max,
               const char *unit, uint64_t *ret_number);

#endif

/*
 * log: one line per event, to stderr.
 *
 * If stderr is journald's stream (JOURNAL_STREAM), a line begins with journald's priority prefix
 * and has no time; else a daemon's line begins with time and level. Unprintable bytes are escaped,
 * so texts may contain raw file names.
 */
#ifndef PHASESENTINEL_LOG_H
#define PHASESENTINEL_LOG_H

#include <stdbool.h>
#include <stddef.h>

enum log_level {
    LOG_LEVEL_ERROR,
    LOG_LEVEL_WARNING,
    LOG_LEVEL_NOTICE,
    LOG_LEVEL_INFO,
    LOG_LEVEL_DEBUG
};

/* Return the level named error, warning, notice, info or debug; -1 for any other word. */
int log_level_from_name(const char *name);

/* Set how lines begin: with time and level, or with "PROGRAM: ". `program` is borrowed. */
void log_open(const char *program, bool with_time);

/* Drop lines of less important levels from now on. */
void log_set_level(enum log_level level);

void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...)   log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_notice(...)  log_line(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_info(...)    log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)   log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif

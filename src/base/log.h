/*
 * log: one line an event, to stderr.
 *
 * Under journald (JOURNAL_STREAM names our stderr) a line begins with journald's priority prefix
 * and has no time; elsewhere with time and level. Every line is made printable, so texts may hold
 * raw file names.
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

/* "error warning notice info debug"; -1 for any other word. */
int log_level_from_name(const char *name);

/* Times in front of the lines are the daemon's way; without, a line reads "PROGRAM: text". */
void log_open(const char *program, bool with_time);
void log_set_level(enum log_level level);

void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...)   log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_notice(...)  log_line(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_info(...)    log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)   log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif

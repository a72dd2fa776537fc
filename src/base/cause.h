/*
 * cause: why an operation failed.
 *
 * A function that can fail takes a struct cause as its last parameter and returns 0, or -1 with the
 * cause filled in; on success the cause is untouched. The kind decides what happens next. Only the
 * programs and ingest/batch act on it; all other functions pass it on. The text is a sentence
 * without a full stop and may contain raw file names: log.h escapes them.
 */
#ifndef PHASESENTINEL_CAUSE_H
#define PHASESENTINEL_CAUSE_H

#include <stdbool.h>

enum cause_kind {
    CAUSE_USAGE,    /* the command line is wrong */
    CAUSE_CORRUPT,  /* ledger and training file contradict each other: change nothing; a person
                       must decide */
    CAUSE_NO_INPUT, /* the user named a file that does not exist */
    CAUSE_CHANGED,  /* the file changed while it was read: no verdict, read it again */
    CAUSE_RETRY, /* trouble of our own (no space, no memory): undo, keep all files, retry later */
    CAUSE_PANIC, /* a sync failed, so the state on disk is unknown: stop; the next start recovers */
    CAUSE_BUSY,  /* the lock is held by another process */
    CAUSE_CONFIG, /* configuration or schema is wrong or incomplete */
};

struct cause {
    enum cause_kind kind;
    int errnum;    /* errno, or 0 */
    bool reported; /* already logged, in more detail */
    char text[1024];
};

/* Fill *cause and return -1, so that `return cause_set(...)` fails the caller. cause_errno appends
 * the text of errno. */
int cause_set(struct cause *cause, enum cause_kind kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
int cause_errno(struct cause *cause, enum cause_kind kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Fill *cause with "out of memory" and return -1. */
int cause_memory(struct cause *cause);

/* Return the exit code of sysexits.h for this kind. */
int cause_exit_code(const struct cause *cause);

#endif

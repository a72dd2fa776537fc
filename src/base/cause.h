/*
 * cause: why something could not be done.
 *
 * A function that can fail takes a struct cause as its last parameter and returns 0, or -1 with the
 * cause filled in; on success the cause is untouched. The kind says what is to be done about it,
 * and only the programs and the intake decide; everything below returns. The text is a full
 * sentence without a final stop; whoever prints it escapes it (log.h), so raw file names may stand
 * in it.
 */
#ifndef PHASESENTINEL_CAUSE_H
#define PHASESENTINEL_CAUSE_H

#include <stdbool.h>

enum cause_kind {
    CAUSE_USAGE,   /* the command line is wrong */
    CAUSE_CORRUPT, /* ledger or training file contradict each other: touch nothing, a person decides
                    */
    CAUSE_NO_INPUT, /* something named by the user does not exist */
    CAUSE_CHANGED,  /* it changed under our hands: no verdict, look again */
    CAUSE_RETRY, /* our own trouble (no space, no memory): undo, keep everything, pause, try again
                  */
    CAUSE_PANIC, /* what is on disk is unknown (a failed sync): stop now, the next start recovers */
    CAUSE_BUSY,  /* another process holds it */
    CAUSE_CONFIG, /* configuration or schema, or what they do not say yet */
};

struct cause {
    enum cause_kind kind;
    int errnum;    /* errno, or 0 */
    bool reported; /* has been logged already, in more detail */
    char text[1024];
};

/* Both return -1, so that `return cause_set(…)` fails the caller. cause_errno appends errno's text.
 */
int cause_set(struct cause *cause, enum cause_kind kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
int cause_errno(struct cause *cause, enum cause_kind kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Out of memory, as a cause. Returns -1. */
int cause_memory(struct cause *cause);

/* The exit code that sysexits.h has for it. */
int cause_exit_code(const struct cause *cause);

#endif

/*
 * waiting: the dropped files that have no verdict yet, and why.
 *
 * A file is here from its first sign of life until it is booked, quarantined or gone. The list is
 * kept in state/waiting.csv for `status`, and so that a run from cron knows how long a file has
 * been quiet already: times are of a clock that nobody sets (CLOCK_BOOTTIME), and hold for the same
 * boot only.
 */
#ifndef PHASESENTINEL_PENDING_H
#define PHASESENTINEL_PENDING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cause.h"
#include "base/hash_index.h"
#include "fs/spool.h"

enum reason {
    WAIT_NEW,         /* not looked at yet, or until the next merge */
    WAIT_EMPTY,       /* no bytes */
    WAIT_HEADER_ONLY, /* no rows */
    WAIT_UNCONFIRMED, /* what its sender puts beside it has not come */
    WAIT_WRITER,      /* somebody has it open, or it still changes */
    WAIT_PARTIAL,     /* mtime 0: rsync's mark of an interrupted transfer */
    WAIT_FAILING,     /* it does not pass; it may still be growing */
    WAIT_INCOMPLETE,  /* its last row is incomplete */
    WAIT_NEWLINE,     /* its last row has no newline; it may still be growing */
    WAIT_FILE_TYPE,   /* no regular file */
    WAIT_UNREADABLE,  /* no permission */
    WAIT_TROUBLE,     /* an error of ours or of the disk */
    WAIT_DISPOSAL,    /* accepted; to be archived or deleted once it is quiet */
    WAIT_REASONS,
};

const char *reason_name(enum reason reason);

/* Times are in nanoseconds. */
#define WAITING_NEVER  INT64_MAX
#define WAITING_SECOND INT64_C(1000000000)
#define WAITING_SOON   (WAITING_SECOND / 20) /* until another look at what just changed */

static inline int64_t waiting_seconds(unsigned count)
{
    return (int64_t)count * WAITING_SECOND;
}

struct waiting_file {
    char *name;   /* owned, as detail */
    char *detail; /* NULL: none */
    enum reason reason;
    struct signature signature;
    uint64_t beside;   /* the hash of what its sender put beside it; 0: nothing */
    bool looked;       /* the signature has been taken */
    uint64_t recalled; /* from an earlier run: the hash of the signature that `since` speaks of; 0:
                          none */
    int64_t since;     /* when this signature was first seen; nanoseconds, as the next three */
    int64_t judged;    /* when it was last judged, or first seen */
    int64_t due;       /* when to look again */
    int64_t noticed;   /* real time: when the file came to our notice */
    uint64_t cut;      /* its size when an incomplete last row was its only fault; 0: it was not */
    uint64_t order;    /* files are taken in the order in which they came */
    bool closed;       /* an event said that a writer closed it, or moved it here */
    bool counted;      /* among the files in the drop directory */
    bool turn;         /* a large file: due once the one that is being read is done */
    bool done;         /* nothing to wait for any more */
};

struct waiting {
    struct waiting_file *files;
    size_t count, cap;
    struct map index;
    uint64_t next_order;
    bool changed; /* since it was saved */
};

int64_t waiting_now(void); /* CLOCK_BOOTTIME in nanoseconds */

void waiting_free(struct waiting *waiting);
struct waiting_file *waiting_find(const struct waiting *waiting, const char *name);

/* The entry of this name, a new one if need be; borrowed until the next add or sweep. NULL: out of
 * memory. */
struct waiting_file *waiting_add(struct waiting *waiting, const char *name);

/* Takes a new signature, and that of what is beside it; what has changed is quiet from now on. */
void waiting_look(struct waiting_file *file, const struct signature *signature, uint64_t beside,
                  int64_t now);

/* Returns true if the reason is another one than before. */
bool waiting_set(struct waiting *waiting, struct waiting_file *file, enum reason reason,
                 const char *detail, int64_t due);

/* Removes what is done. */
void waiting_sweep(struct waiting *waiting);

int64_t waiting_due(const struct waiting *waiting);     /* the earliest, or WAITING_NEVER */
size_t waiting_unjudged(const struct waiting *waiting); /* all but WAIT_DISPOSAL */

int waiting_load(struct waiting *waiting, int state_fd, struct cause *cause);
int waiting_save(struct waiting *waiting, int state_fd, struct cause *cause);

#endif

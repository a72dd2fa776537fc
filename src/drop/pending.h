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
#include "fs/file_id.h"

enum pending_reason {
    PENDING_NEW,         /* not looked at yet, or until the next merge */
    PENDING_EMPTY,       /* no bytes */
    PENDING_HEADER_ONLY, /* no rows */
    PENDING_UNCONFIRMED, /* what its sender puts beside it has not come */
    PENDING_WRITER,      /* somebody has it open, or it still changes */
    PENDING_PARTIAL,     /* mtime 0: rsync's mark of an interrupted transfer */
    PENDING_FAILING,     /* it does not pass; it may still be growing */
    PENDING_INCOMPLETE,  /* its last row is incomplete */
    PENDING_NEWLINE,     /* its last row has no newline; it may still be growing */
    PENDING_FILE_TYPE,   /* no regular file */
    PENDING_UNREADABLE,  /* no permission */
    PENDING_TROUBLE,     /* an error of ours or of the disk */
    PENDING_DISPOSAL,    /* accepted; to be archived or deleted once it is quiet */
    PENDING_REASONS,
};

const char *pending_reason_name(enum pending_reason reason);

/* Times are in nanoseconds. */
#define CLOCK_NEVER  INT64_MAX
#define CLOCK_SECOND INT64_C(1000000000)
#define PENDING_SOON (CLOCK_SECOND / 20) /* until another look at what just changed */

static inline int64_t clock_seconds(unsigned count)
{
    return (int64_t)count * CLOCK_SECOND;
}

struct pending_file {
    char *name;   /* owned, as detail */
    char *detail; /* NULL: none */
    enum pending_reason reason;
    struct file_id file_id;
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

struct pending {
    struct pending_file *files;
    size_t count, cap;
    struct hash_index index;
    uint64_t next_order;
    bool changed; /* since it was saved */
};

int64_t clock_monotonic(void); /* CLOCK_BOOTTIME in nanoseconds */

void pending_free(struct pending *pending);
struct pending_file *pending_find(const struct pending *pending, const char *name);

/* The entry of this name, a new one if need be; borrowed until the next add or sweep. NULL: out of
 * memory. */
struct pending_file *pending_add(struct pending *pending, const char *name);

/* Takes a new signature, and that of what is beside it; what has changed is quiet from now on. */
void pending_look(struct pending_file *file, const struct file_id *file_id, uint64_t beside,
                  int64_t now);

/* Returns true if the reason is another one than before. */
bool pending_set(struct pending *pending, struct pending_file *file, enum pending_reason reason,
                 const char *detail, int64_t due);

/* Removes what is done. */
void pending_sweep(struct pending *pending);

int64_t pending_due(const struct pending *pending);     /* the earliest, or CLOCK_NEVER */
size_t pending_unjudged(const struct pending *pending); /* all but PENDING_DISPOSAL */

int pending_load(struct pending *pending, int state_fd, struct cause *cause);
int pending_save(struct pending *pending, int state_fd, struct cause *cause);

#endif

/*
 * pending: the dropped files that wait for a verdict, with the reason and the time of the next
 * check; and those that were accepted, but leave later or are read once more.
 *
 * A file enters the list when an event or a scan finds it, and leaves it once it was merged,
 * quarantined or removed. This module alone writes when a file is due (`due`) and that it has left
 * (`done`). Other modules read these fields and call
 *
 *     pending_arrive      when something happened to a file: it is due at that time, or earlier
 *     pending_requeue     when a file was checked and has to wait: due when, and why
 *     pending_hold        when a file is read in the background, or waits for that: not due
 *     pending_recheck     when an accepted file is to be read once more: due then
 *     pending_done        when nothing is left to do for a file
 *     pending_rollback    when a batch failed: all of its files are due again
 *     pending_sweep       after a batch: removes the entries that are done
 *
 * Pointers to entries are valid until the next pending_add, pending_arrive or pending_sweep. Times
 * are nanoseconds of CLOCK_BOOTTIME, which nobody sets, unless a comment says otherwise.
 */
#ifndef PHASESENTINEL_PENDING_H
#define PHASESENTINEL_PENDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/hash_index.h"
#include "fs/file_id.h"

enum pending_reason {
    PENDING_NEW,         /* not checked yet, or left for the next merge */
    PENDING_EMPTY,       /* no bytes */
    PENDING_HEADER_ONLY, /* no rows */
    PENDING_UNCONFIRMED, /* the sidecar that `confirm` asks for is missing */
    PENDING_WRITER,      /* open for writing, or still changing */
    PENDING_PARTIAL,     /* mtime 0: rsync's mark of an interrupted transfer */
    PENDING_FAILING,     /* not valid, but the file may still be growing */
    PENDING_INCOMPLETE,  /* the last row is incomplete */
    PENDING_NEWLINE,     /* the last row has no newline; the file may still be growing */
    PENDING_FILE_TYPE,   /* no regular file */
    PENDING_UNREADABLE,  /* no permission */
    PENDING_TROUBLE,     /* an I/O error or the like, not the file's fault */
    PENDING_ACCEPTED,    /* accepted; archived or deleted once the file is quiet */
    PENDING_RACY,        /* accepted; to be read once more (pending_recheck) */
    PENDING_REASONS,
};

const char *pending_reason_name(enum pending_reason reason);

#define PENDING_SOON (CLOCK_SECOND / 20) /* the delay before a file that just changed is checked */

struct pending_file {
    char *name;   /* owned, as detail */
    char *detail; /* NULL: none */
    enum pending_reason reason;
    struct file_id file_id;   /* result of the last check, if has_file_id */
    uint64_t sidecar_hash;    /* hash of the sidecars found by the last check; 0: none */
    uint64_t restored_hash;   /* pending_signature from state/waiting.csv; 0: none */
    int64_t unchanged_since;  /* time of the first check that found this file_id and sidecars */
    int64_t last_checked;     /* time of the last check of the content; at first, of the arrival */
    int64_t due;              /* time of the next check, or CLOCK_NEVER */
    int64_t first_seen;       /* real time of the arrival */
    uint64_t truncated_size;  /* size, if an incomplete last row was its only fault; else 0 */
    uint64_t arrival_no;      /* files are checked in the order of these numbers */
    uint64_t ledger_at;       /* ledger line that accepted a racy file */
    bool has_file_id;         /* checked by this process */
    bool writer_closed;       /* an event said that a writer closed the file or moved it here */
    bool counted;             /* in the totals of the drop directory (dropdir.h) */
    bool queued_behind_large; /* to be read in the background once the present one is done */
    bool done;                /* to be removed by pending_sweep */
};

/* A zeroed struct is an empty list. */
struct pending {
    struct pending_file *files;
    size_t count, cap;
    size_t racy_count; /* number of racy files */
    struct hash_index index;
    uint64_t next_arrival_no;
    bool changed; /* since state/waiting.csv was written */
};

void pending_free(struct pending *pending); /* leaves an empty list */

/* Return the entry of this name, or NULL. */
struct pending_file *pending_find(const struct pending *pending, const char *name);

/* Return the entry of this name; a new entry is PENDING_NEW and not due. NULL: out of memory. */
struct pending_file *pending_add(struct pending *pending, const char *name);

/* Make the entry of this name due at `when`, or earlier if it was; add it if need be. A racy file
 * is PENDING_NEW again. `writer_closed`: an event says that no writer has the file open. NULL: out
 * of memory. */
struct pending_file *pending_arrive(struct pending *pending, const char *name, bool writer_closed,
                                    int64_t when);

/* Make the file due at `when`, or earlier if it was, for the reason that it has. */
void pending_wake(struct pending_file *file, int64_t when);

/* Make all files due at `now` that are PENDING_NEW and due later. */
void pending_wake_new(struct pending *pending, int64_t now);

/* Record what a check found: `unchanged_since` becomes `now` if file_id or sidecars differ from
 * the last check. */
void pending_observe(struct pending_file *file, const struct file_id *file_id,
                     uint64_t sidecar_hash, int64_t now);

/* Return the XXH3-64 of file_id and sidecars of the last check, also of an earlier process. */
uint64_t pending_signature(const struct pending_file *file);

/* Record that the content was checked in the batch of the time `now`. */
void pending_checked(struct pending_file *file, int64_t now);

/* Make the file due at `when`, for this reason; `detail` may be NULL and is copied. Return true if
 * the reason changed. */
bool pending_requeue(struct pending *pending, struct pending_file *file, int64_t when,
                     enum pending_reason reason, const char *detail);

/* Take the file off the schedule, checked at `now`: a thread reads it. `behind_large`: it is read
 * later, and due again at the next pending_release_queued. */
void pending_hold(struct pending_file *file, bool behind_large, int64_t now);
void pending_release_queued(struct pending *pending, int64_t now);

void pending_done(struct pending_file *file);

/*
 * Make an accepted file due once more at `when`, because its timestamps were too young to trust
 * when it was read (file_cache.h). The file does not count as waiting for a verdict, and is neither
 * listed nor saved. At most PENDING_RACY_MOST files are kept, and at most PENDING_RACY_BATCH are
 * due at a time, after all others. Return NULL if there is no room: the next scan will find the
 * file.
 */
#define PENDING_RACY_MOST  16384
#define PENDING_RACY_BATCH 500

struct pending_file *pending_recheck(struct pending *pending, const char *name, int64_t when,
                                     uint64_t ledger_at);

/* Undo a batch: each file that was done or checked since `batch_start` is due then. */
void pending_rollback(struct pending *pending, int64_t batch_start);

/* Remove the files that are done. */
void pending_sweep(struct pending *pending);

int64_t pending_due(const struct pending *pending); /* the earliest time, or CLOCK_NEVER */

/* Return the files that are due at `now` in the order of their arrival, in an array that the caller
 * frees. NULL: out of memory. */
struct pending_file **pending_list_due(const struct pending *pending, int64_t now,
                                       size_t *ret_count);

/* ---- for programs: what waits, and why ---- */

/* Return how many files wait for a verdict: those that are neither PENDING_ACCEPTED nor
 * PENDING_RACY. */
size_t pending_waiting_count(const struct pending *pending);

/* Return true if each file that is due at `now` was checked once by this process. */
bool pending_all_checked(const struct pending *pending, int64_t now);

bool pending_has_reason(const struct pending *pending, enum pending_reason reason);

struct pending_view {
    const char *name;
    enum pending_reason reason;
    const char *detail; /* "" where there is none */
};

/* Fill *ret with the next file that waits for a verdict; *cursor is 0 at first. Return false at the
 * end. */
bool pending_next_waiting(const struct pending *pending, size_t *cursor, struct pending_view *ret);

/*
 * Compare a loaded list with the drop directory: call pending_note_present for each file that is
 * there and may wait, then pending_keep_present, which removes all others. A file that was not in
 * the list gets the reason `if_new`. Return -1 when out of memory.
 */
int pending_note_present(struct pending *pending, const char *name, enum pending_reason if_new);
void pending_keep_present(struct pending *pending);

#endif

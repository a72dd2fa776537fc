/*
 * ledger: state/ledger.csv, every verdict ever given, a line each, appended and never changed.
 *
 * The ledger is the truth about what is merged: a row counts once the line that records it is
 * durable. All lines are read and checked at each start; then they stay on disk, and an index of
 * them in memory (ledger_index).
 *
 *     ledger_open
 *     ledger_refresh               under the lock: read what others appended, repair a torn end
 *     ledger_content, _last, ...   look up
 *     ledger_add                   record a line in memory: pending, but lookups find it
 *     ledger_commit                write and sync the pending lines ...
 *     ledger_rollback              ... or drop them
 *     ledger_close
 *
 * A crash before ledger_commit returns leaves the lines in the file, or torn (the next refresh cuts
 * them off), or not at all.
 */
#ifndef PHASESENTINEL_LEDGER_H
#define PHASESENTINEL_LEDGER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buffer.h"
#include "base/cause.h"
#include "csv/content_hash.h"
#include "store/ledger_file.h"
#include "store/ledger_index.h"
#include "store/ledger_line.h"

struct ledger {
    int dir_fd; /* state/; borrowed */
    int fd;     /* -1: there is no ledger */
    dev_t device;
    ino_t inode;
    uint64_t end;      /* offset at which the committed lines that were read end */
    uint64_t next_seq; /* number of the next line */
    uint64_t batch;    /* batch of the last line */
    uint64_t cut;      /* bytes that ledger_refresh cut off; the caller logs and clears them */

    bool has_start;                /* true once a started or adopted line was read */
    bool start_is_last;            /* true while no line follows it */
    struct ledger_line start;      /* the last started or adopted line, without its name */
    struct ledger_line last_range; /* last line with rows in the training file, without its name */
    uint64_t training_end;         /* end of the training file according to the lines */
    uint64_t training_rows;        /* rows in the training file */

    uint64_t files[VERDICT_COUNT]; /* number of lines with each verdict */
    uint64_t rows, rejected, duplicate, forgotten;
    int64_t last_time;
    int64_t last_merge; /* time of the last merged or grown line; 0: there is none */

    struct ledger_index index;
    struct buffer pending; /* lines that ledger_commit will write */
    char *found_name;      /* owned: name of the line found last */
};

/* Open the ledger in a directory that is borrowed. Where no ledger is, fd is -1. */
int ledger_open(struct ledger *ledger, int dir_fd, struct cause *cause);
void ledger_close(struct ledger *ledger);

/* Create the file with its header, durably. */
int ledger_create(struct ledger *ledger, struct cause *cause);

/*
 * Read what was appended, or everything if the file is another one than before. With `repair`,
 * under the lock only, cut off a torn last batch; return -1 with CAUSE_CORRUPT if an earlier line
 * is bad. Without it stop at the first bad line.
 */
int ledger_refresh(struct ledger *ledger, bool repair, struct cause *cause);

/* Replace the file by a synced copy. Call it before ledger_refresh when a holder of the lock died:
 * the end of the file may be in memory only. */
int ledger_make_durable(struct ledger *ledger, struct cause *cause);

/*
 * The lookups return 1 with the line, 0 if there is none, or -1. The name of the line is valid
 * until the next lookup, refresh or rollback.
 */

/* Find content that counts as known: recorded as merged, grown, duplicate or forgotten. If `name`
 * is not NULL, only lines of this name count. */
int ledger_content(const struct ledger *ledger, const unsigned char sha256[DIGEST_SIZE],
                   struct content_meta meta, const char *name, struct ledger_line *ret_line,
                   struct cause *cause);
/* Find the last line of a name. */
int ledger_last(const struct ledger *ledger, const char *name, struct ledger_line *ret_line,
                struct cause *cause);
/* Find the line with the longest content that was merged under a name. */
int ledger_longest(const struct ledger *ledger, const char *name, struct ledger_line *ret_line,
                   struct cause *cause);
/* Read the line at an offset, committed or pending. */
int ledger_at(const struct ledger *ledger, uint64_t at, struct ledger_line *ret_line,
              struct cause *cause);
/*
 * Walk the last quarantined line of each name that has one, in the order of the first of them:
 * start with *cursor = 0. The name's last line of all may be another verdict (ledger_name tells):
 * then the file that was quarantined is resolved.
 */
int ledger_quarantined(const struct ledger *ledger, size_t *cursor, struct ledger_line *ret_line,
                       struct cause *cause);

/* Find a committed line by its number. */
int ledger_by_seq(const struct ledger *ledger, uint64_t seq, struct ledger_line *ret_line,
                  struct cause *cause);

/*
 * Take a snapshot of all content that counts as known, pending lines included, for a content_search.
 * It stays valid after ledger_rollback and ledger_close, until the caller gives it to
 * sorted_snapshot_release.
 */
int ledger_contents(struct ledger *ledger, struct sorted_snapshot *ret_snapshot,
                    struct cause *cause);

/* Summarise the lines of a name, from the index alone. Return false, with *ret_known zeroed, if
 * there are none. */
bool ledger_name(const struct ledger *ledger, const char *name, struct ledger_known *ret_known);

/* Return the offset of the last line of a name, 0 if there is none. */
uint64_t ledger_last_at(const struct ledger *ledger, const char *name);

/* Return the rows, good and bad, of the present and of the longest content of a name. */
uint64_t ledger_rows_of(const struct ledger *ledger, const char *name);
uint64_t ledger_rows_of_longest(const struct ledger *ledger, const char *name);

/* Record a line. seq, batch, offset and at are filled in. Commit or roll back later. */
int ledger_add(struct ledger *ledger, struct ledger_line *line, struct cause *cause);

/* Write and sync the pending lines. CAUSE_RETRY: roll back. CAUSE_PANIC: the sync failed. */
int ledger_commit(struct ledger *ledger, struct cause *cause);

/* Drop the pending lines, and cut off what a failed commit wrote of them. */
int ledger_rollback(struct ledger *ledger, struct cause *cause);

/* Read the committed lines in order, from offset *at on (0: the first), which moves to the next. */
int ledger_next(const struct ledger *ledger, uint64_t *at, struct ledger_line *ret_line,
                struct cause *cause);

#endif

/*
 * ledger: every verdict ever given, a line each, appended and never changed.
 *
 * state/ledger.csv is the truth about what is merged: a row counts when the line that books it is
 * durable. All of it is read and checked at each start; then the lines stay on disk, and what they
 * say stands in an index.
 *
 *     ledger_open, ledger_refresh          under the lock: reads what others appended, repairs a
 *                                          torn end
 *     ledger_content, _last, _longest      what is known
 *     ledger_add ...                       books lines in memory; lookups see them at once
 *     ledger_commit                        one write, one sync: now they stand
 *     ledger_rollback                       or they never were
 *
 * A crash before ledger_commit returns leaves the lines out, torn (the next refresh cuts them off)
 * or in.
 */
#ifndef PHASESENTINEL_LEDGER_H
#define PHASESENTINEL_LEDGER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buffer.h"
#include "base/cause.h"
#include "store/ledger_file.h"
#include "store/ledger_index.h"
#include "store/ledger_line.h"

struct ledger {
    int dir_fd; /* state/; borrowed */
    int fd;     /* -1: there is no ledger */
    dev_t device;
    ino_t inode;
    uint64_t end;      /* of the committed lines that have been read */
    uint64_t next_seq; /* as the next line will have */
    uint64_t batch;    /* of the last line */
    uint64_t cut;      /* bytes that the last refresh cut off; whoever logs it clears it */

    bool has_start;                /* a started or adopted line has been read */
    struct ledger_line start;      /* the last of them, without its name */
    struct ledger_line last_range; /* the last line with rows in the training file, likewise */
    uint64_t training_end;         /* how far the training file is booked */
    uint64_t training_rows;
    bool start_is_last;

    uint64_t files[VERDICT_COUNT]; /* lines by verdict */
    uint64_t rows, rejected, duplicate, forgotten;
    int64_t last_time;
    int64_t last_merge; /* time of the last merged or grown line; 0: none */

    struct ledger_index index;
    struct buffer pending; /* lines that are booked and not committed */
    char *found_name;      /* owned: the name of the line that a lookup gave last */
};

/* dir_fd is borrowed. Without a ledger file it is open and empty, fd -1. */
int ledger_open(struct ledger *ledger, int dir_fd, struct cause *cause);
void ledger_close(struct ledger *ledger);

/* A new ledger: the header, durable. */
int ledger_create(struct ledger *ledger, struct cause *cause);

/*
 * Reads what has been appended, or all again when the file is another one. With `repair`, under the
 * lock only, a torn last batch is cut; a bad line earlier is CAUSE_CORRUPT. Without, reading ends
 * at the first bad line.
 */
int ledger_refresh(struct ledger *ledger, bool repair, struct cause *cause);

/* Copies and syncs the file before it is believed: after a holder of the lock has died its end may
 * be in memory only. */
int ledger_make_durable(struct ledger *ledger, struct cause *cause);

/*
 * The lookups return 1 with the line, 0 for nothing, -1. ledger_content looks for content that
 * counts as known: merged, grown, duplicate or forgotten; under this very name only, if name is not
 * NULL. The line's name is valid until the next lookup or refresh.
 */
int ledger_content(const struct ledger *ledger, const unsigned char sha256[DIGEST_SIZE],
                   bool has_meta, uint64_t meta, const char *name, struct ledger_line *ret_line,
                   struct cause *cause);
int ledger_last(const struct ledger *ledger, const char *name, struct ledger_line *ret_line,
                struct cause *cause);
/* As ledger_last, by the path of the name's slot, where that is not the name (backup_name_of_long).
 */
int ledger_last_of_slot(const struct ledger *ledger, const char *path, struct ledger_line *ret_line,
                        struct cause *cause);
int ledger_longest(const struct ledger *ledger, const char *name, struct ledger_line *ret_line,
                   struct cause *cause);
int ledger_at(const struct ledger *ledger, uint64_t at, struct ledger_line *ret_line,
              struct cause *cause);
/*
 * Walk the last quarantined line of each name that has one, in the order of the first of them: start
 * with *cursor = 0. The name's last line of all may be another verdict (ledger_name tells): then the
 * file that was quarantined is resolved.
 */
int ledger_quarantined(const struct ledger *ledger, size_t *cursor, struct ledger_line *ret_line,
                       struct cause *cause);
int ledger_by_seq(const struct ledger *ledger, uint64_t seq, struct ledger_line *ret_line,
                  struct cause *cause);

/*
 * Take a snapshot of the lengths of all content that counts as known, pending lines included: see
 * length_set. It stays valid after ledger_rollback and ledger_close, until the caller gives it to
 * length_snapshot_release.
 */
int ledger_lengths(struct ledger *ledger, struct length_snapshot *ret_snapshot,
                   struct cause *cause);

/* All that is known of a name, from the index alone; false, and zeroed: nothing. */
bool ledger_name(const struct ledger *ledger, const char *name, struct ledger_known *ret_known);

/* Walk what is known of the names that the same CSV has plain and packed: see ledger_index_csv. */
bool ledger_csv(const struct ledger *ledger, const char *name, size_t *cursor,
                struct ledger_known *ret_known, bool *ret_is_name);

/* Where its last line stands; 0: there is none. */
uint64_t ledger_last_at(const struct ledger *ledger, const char *name);

/* The rows, good and bad, of the content that was last accepted under this name. */
uint64_t ledger_rows_of(const struct ledger *ledger, const char *name);
uint64_t ledger_rows_of_longest(const struct ledger *ledger, const char *name);

/* Books a line: seq, batch, offset and at are filled in, and the caller's line with them. */
int ledger_add(struct ledger *ledger, struct ledger_line *line, struct cause *cause);
int ledger_commit(struct ledger *ledger, struct cause *cause);
int ledger_rollback(struct ledger *ledger, struct cause *cause);

/* The committed lines from `at` on, in order; *at moves. */
int ledger_next(const struct ledger *ledger, uint64_t *at, struct ledger_line *ret_line,
                struct cause *cause);

#endif

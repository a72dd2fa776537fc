/*
 * dropdir: which files are in the drop directory, which of them need a check, and when.
 *
 *     dropdir_open
 *     dropdir_scan, dropdir_scan_directory      find files by listing the drop directory
 *     dropdir_arrive, dropdir_gone              take what an event says
 *     dropdir_due                               when the next batch has work
 *     dropdir_drop_stale_racy                   at the beginning of a batch
 *     dropdir_count_in, _count_out, _wait       while a file is checked
 *     dropdir_recheck, dropdir_notify           after the batch is durable
 *     dropdir_close
 *
 * A file is unchanged since its verdict (file_cache.h), or it is pending (pending.h). A name that
 * is neither is not known to be in the directory.
 *
 * `files` and `rows` are the totals of the drop directory that the statistics call user_files and
 * total_user_samples: its CSV files, and the rows that the ledger has accepted of their names. A
 * file is in the totals if file_cache_has knows its name or its pending entry is `counted`. A scan
 * of the whole directory computes the totals anew. Between two scans dropdir_count_in adds a file
 * when it is checked and dropdir_count_out subtracts it when it has left, and whoever adds a ledger
 * line for a file in the totals adds its rows to `rows`.
 */
#ifndef PHASESENTINEL_DROPDIR_H
#define PHASESENTINEL_DROPDIR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cause.h"
#include "drop/file_cache.h"
#include "drop/ingest_event.h"
#include "drop/pending.h"
#include "schema/config.h"
#include "store/ledger.h"

/* Called before a directory is listed, with its descriptor; "" is the drop directory itself. */
typedef void dropdir_enter_fn(void *context, const char *directory, int fd);

struct dropdir {
    const struct config *config; /* borrowed, as ledger */
    const struct ledger *ledger;
    struct file_cache file_cache;
    struct pending pending;
    bool is_daemon;           /* true if the process stays for later checks and gets events */
    bool sidecars;            /* true once a sidecar was found: look for them beside each file */
    uint64_t files, rows;     /* totals, see above */
    uint64_t ignored;         /* number of ignored names in the last scan */
    bool changed;             /* true if the statistics changed; whoever writes them clears it */
    ingest_notice_fn *notify; /* may be NULL */
    void *notify_context;
    dropdir_enter_fn *enter; /* may be NULL */
    void *enter_context;
};

/* Load the cache and the pending files. dropdir_close is to be called also after a failure. */
int dropdir_open(struct dropdir *drop, const struct config *config, const struct ledger *ledger,
                 int state_fd, struct cause *cause);
void dropdir_close(struct dropdir *drop);

/* Make a file due at `due`, because an event says that it appeared, or that a writer closed it or
 * moved it here (`writer_closed`). The event of a sidecar is one of its file. Other names
 * are ignored. */
int dropdir_arrive(struct dropdir *drop, const char *name, bool writer_closed, int64_t due,
                   struct cause *cause);

/* Take an event that says that a name has left. */
void dropdir_gone(struct dropdir *drop, const char *name);

/*
 * Scan the whole drop directory: make each new or changed file due at `due`, a pending file that is
 * not there due at once, and compute the totals. With `due` CLOCK_NEVER only the totals are
 * computed. The lock is not needed.
 */
int dropdir_scan(struct dropdir *drop, int dir_fd, int64_t due, struct cause *cause);

/* Scan one directory below the drop directory and those below it. The totals stay as they are: each
 * file found is counted when it is checked. */
int dropdir_scan_directory(struct dropdir *drop, int dir_fd, const char *directory, int64_t due,
                           struct cause *cause);

/* Return true if the file is in the totals. `file` is its pending entry, or NULL. */
bool dropdir_counts(const struct dropdir *drop, const char *name, const struct pending_file *file);

/* Add a file to the totals, or subtract it, if it is not in, or in, them already. */
void dropdir_count_in(struct dropdir *drop, struct pending_file *file);
void dropdir_count_out(struct dropdir *drop, const char *name);

/* Requeue a file (pending_requeue). If it has a new reason that its sender may want to know, send
 * INGEST_WAITING. */
void dropdir_wait(struct dropdir *drop, struct pending_file *file, enum pending_reason reason,
                  const char *detail, int64_t due);

/* Return when the next pending file is due, or CLOCK_NEVER. */
int64_t dropdir_due(const struct dropdir *drop);

/*
 * Schedule a second read of a file that the ledger line at `ledger_at` accepted while its
 * timestamps were too young to trust (file_cache.h). Only a daemon does so, and only for small
 * files: others are read again by the next scan.
 */
void dropdir_recheck(struct dropdir *drop, const char *name, const struct file_id *file_id,
                     uint64_t ledger_at);

/* Drop those of the second reads due at `now` whose file was read or accepted again meanwhile. */
void dropdir_drop_stale_racy(struct dropdir *drop, int64_t now);

/* Make all files due now that are left for the next merge. */
void dropdir_merge_all_now(struct dropdir *drop);

/* Tell the program about an event. `detail` may be NULL. */
void dropdir_notify(const struct dropdir *drop, enum ingest_event event, const char *name,
                    uint64_t rows, const char *detail);

#endif

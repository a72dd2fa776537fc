/*
 * drop: the population of the drop directory. Which files are there, which need a look, and when.
 *
 * A file is known (seen.h: it is as it was when it was booked), or it waits (waiting.h). Both kinds
 * are counted, with the rows that the ledger has accepted of them: user_files and
 * total_user_samples of the statistics.
 */
#ifndef PHASESENTINEL_DROPDIR_H
#define PHASESENTINEL_DROPDIR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cause.h"
#include "schema/config.h"
#include "store/ledger.h"
#include "drop/file_cache.h"
#include "drop/ingest_event.h"
#include "drop/pending.h"

/* A directory is open and will be looked into next; "" is the drop directory itself. */
typedef void dropdir_enter_fn(void *context, const char *directory, int fd);

struct dropdir {
    const struct config *config; /* borrowed, as the ledger */
    const struct ledger *ledger;
    struct file_cache file_cache;
    struct pending pending;
    bool is_daemon;           /* this is a daemon */
    bool sidecars;            /* somebody uses them: they are looked for beside each file */
    uint64_t files;           /* CSV files in the drop directory */
    uint64_t rows;            /* accepted of them */
    uint64_t ignored;         /* names that do not count, as of the last scan */
    bool changed;             /* since whoever reports it cleared this */
    ingest_notice_fn *notify; /* may be NULL */
    void *notify_context;
    dropdir_enter_fn *enter; /* may be NULL */
    void *enter_context;
};

int dropdir_open(struct dropdir *drop, const struct config *config, const struct ledger *ledger,
                 int state_fd, struct cause *cause);
void dropdir_close(struct dropdir *drop);

/* Something of this name appeared, or was `closed` or moved here by its writer: due then. */
int dropdir_arrive(struct dropdir *drop, const char *name, bool closed, int64_t due,
                   struct cause *cause);
void dropdir_gone(struct dropdir *drop, const char *name);

/* Everything in the directory that is not as it was at the last look is due then; CLOCK_NEVER: it
 * is only counted. */
int dropdir_scan(struct dropdir *drop, int dir_fd, int64_t due, struct cause *cause);

/* As dropdir_scan, of a directory below and what is below it; counts nothing. */
int dropdir_look_into(struct dropdir *drop, int dir_fd, const char *directory, int64_t due,
                      struct cause *cause);

/* A file that is looked at is there; and has left. */
void dropdir_count_in(struct dropdir *drop, struct pending_file *file);
void dropdir_count_out(struct dropdir *drop, const char *name);
bool dropdir_counts(const struct dropdir *drop, const char *name, const struct pending_file *file);

/* It waits, for this reason; told if the reason is a new one. */
void dropdir_wait(struct dropdir *drop, struct pending_file *file, enum pending_reason reason,
                  const char *detail, int64_t due);

/* When there is work again (clock_monotonic's clock), or CLOCK_NEVER. */
int64_t dropdir_due(const struct dropdir *drop);

/*
 * Schedule a second read of a file that the ledger line at `ledger_at` accepted while its
 * timestamps were too young to trust (file_cache.h). Only a daemon does so, and only for small
 * files: others are read again by the next scan.
 */
void dropdir_recheck(struct dropdir *drop, const char *name, const struct file_id *file_id,
                     uint64_t ledger_at);

/* Drop those of the second reads due at `now` whose file was read or accepted again meanwhile. To
 * be called before each batch. */
void dropdir_drop_stale_racy(struct dropdir *drop, int64_t now);

/* All that waits for the next merge is due now. */
void dropdir_merge_all_now(struct dropdir *drop);

/* Tell the program. `detail` may be NULL. */
void dropdir_notify(const struct dropdir *drop, enum ingest_event event, const char *name,
                    uint64_t rows, const char *detail);

#endif

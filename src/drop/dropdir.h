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
#include "drop/recheck.h"
#include "drop/file_cache.h"
#include "drop/pending.h"

/* Each verdict, and each new reason to wait, is told once: "merged", NAME, 3, "3 rows". */
typedef void drop_tell(void *context, const char *what, const char *name, uint64_t rows,
                       const char *detail);

/* A directory is open and will be looked into next; "" is the drop directory itself. */
typedef void drop_enter(void *context, const char *directory, int fd);

struct drop {
    const struct config *config; /* borrowed, as the ledger */
    const struct ledger *ledger;
    struct seen seen;
    struct waiting waiting;
    struct recheck recheck;
    bool lingers;     /* this is a daemon */
    bool sidecars;    /* somebody uses them: they are looked for beside each file */
    uint64_t files;   /* CSV files in the drop directory */
    uint64_t rows;    /* accepted of them */
    uint64_t ignored; /* names that do not count, as of the last scan */
    bool changed;     /* since whoever reports it cleared this */
    drop_tell *tell;  /* may be NULL */
    void *tell_context;
    drop_enter *enter; /* may be NULL */
    void *enter_context;
};

int drop_open(struct drop *drop, const struct config *config, const struct ledger *ledger,
              int state_fd, struct cause *cause);
void drop_close(struct drop *drop);

/* Something of this name appeared, or was `closed` or moved here by its writer: due then. */
int drop_arrive(struct drop *drop, const char *name, bool closed, int64_t due, struct cause *cause);
void drop_gone(struct drop *drop, const char *name);

/* Everything in the directory that is not as it was at the last look is due then; WAITING_NEVER: it
 * is only counted. */
int drop_scan(struct drop *drop, int dir_fd, int64_t due, struct cause *cause);

/* As drop_scan, of a directory below and what is below it; counts nothing. */
int drop_look_into(struct drop *drop, int dir_fd, const char *directory, int64_t due,
                   struct cause *cause);

/* A file that is looked at is there; and has left. */
void drop_count_in(struct drop *drop, struct waiting_file *file);
void drop_count_out(struct drop *drop, const char *name);
bool drop_counts(const struct drop *drop, const char *name, const struct waiting_file *file);

/* It waits, for this reason; told if the reason is a new one. */
void drop_wait(struct drop *drop, struct waiting_file *file, enum reason reason, const char *detail,
               int64_t due);

/* When there is work again (waiting_now's clock), or WAITING_NEVER. */
int64_t drop_due(const struct drop *drop);

/*
 * A young file (seen.h) was booked by the line at `at`: in time it is read once more, where the
 * process stays that long (`lingers`) and the file is not too large to be read twice without need.
 * drop_wake makes those due that are old enough now, some at a time.
 */
void drop_recheck(struct drop *drop, const char *name, const struct signature *signature,
                  uint64_t at);
int drop_wake(struct drop *drop, struct cause *cause);

/* All that waits for the next merge is due now. */
void drop_hurry(struct drop *drop);

void drop_say(const struct drop *drop, const char *what, const char *name, uint64_t rows,
              const char *detail);

#endif

/*
 * look: one look at one dropped file. Opened if it may be judged now, read, and let go.
 *
 *     look_init, once; then for each file
 *     look_claim      takes it, opened, or says why it has to wait
 *     look_part       the reading of a large file may outlast the batch, and the lock ...
 *     look_rejoin     ... and what was read counts if nothing else happened to it meanwhile
 *     look_resume     others had their turn before all of its pieces were booked
 *     look_read       reads and judges it; its rows are in look->accepted
 *     look_put_off    what look_read said is no verdict: it waits
 *     look_close
 *     look_free
 *
 * look_read touches nothing but its look and its judge, and reads the configuration: other threads
 * may be at other looks meanwhile. All else is for the thread that has the lock.
 */
#ifndef PHASESENTINEL_UPLOAD_H
#define PHASESENTINEL_UPLOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cause.h"
#include "schema/config.h"
#include "store/datadir.h"
#include "drop/dropdir.h"
#include "csv/check.h"
#include "store/ledger.h"
#include "store/transaction.h"
#include "ingest/pieces.h"
#include "base/thread_pool.h"
#include "ingest/history.h"
#include "drop/sidecar.h"
#include "store/spill.h"
#include "fs/spool.h"
#include "drop/pending.h"

/* What looks need; borrowed. */
struct desk {
    const struct config *config;
    const struct datadir *dir;
    struct merge *merge;
    struct drop *drop;
    struct pool *pool; /* may help to read a large file */
    /* Shall it pause after a piece, for others that wait? NULL: never. */
    bool (*must_pause)(void *context);
    void *pause_context;
    atomic_bool stop;   /* readings are to end */
    bool lease_unknown; /* the kernel would not say who writes: said once */
};

struct look {
    struct desk *desk;
    struct waiting_file *file; /* borrowed until others arrive */
    char name[LEDGER_NAME_SIZE];
    struct spool_taken taken; /* as it was opened */
    int fd;                   /* of it; -1 once it is not needed any more */
    struct layout layout;     /* of the training file, when it was claimed; borrowed ... */
    bool parted;              /* ... or its own */
    bool again;               /* something happened to it while it was read */
    struct signature signature;
    struct sidecars sidecars; /* as they were then */
    int64_t now;
    bool writer;                /* somebody has it open for writing, or may have */
    bool patient;               /* quiet, and nobody writes: a bad verdict may be carried out */
    bool complete_only;         /* its complete rows are judged, the rest may still come */
    bool growing;               /* it was cut in a row, and is longer now */
    bool known;                 /* as it was when it was booked: not to be read again */
    struct recall recall;       /* what the ledger knows of it */
    struct judgement judgement; /* filled by look_read */
    struct spill accepted;      /* its rows as they go to the training file */
    struct pieces pieces;       /* these, as they are booked */
    struct spill rejected;      /* behind its header: the bad ones as they came */
    bool sink_failed;           /* our own disk failed, not the file's */
};

void look_init(struct look *look, struct desk *desk);
void look_free(struct look *look); /* takes zeroed ones */

/* look->taken speaks of it. 1: claimed; 0: it waits, or is gone or done; -1. look_close in any
 * case. */
int look_claim(struct look *look, struct waiting_file *file, struct cause *cause);

int look_part(struct look *look, struct cause *cause);
int look_rejoin(struct look *look, struct waiting_file *file, struct cause *cause); /* 1, 0, -1 */

/* Some of its pieces are booked, and some are not. */
bool look_is_paused(const struct look *look);

/* 1: the rest goes on from them; 0: something else was booked, or the training file is another one;
 * -1. */
int look_resume(struct look *look, struct waiting_file *file, struct cause *cause);

/* The bytes to be reckoned with: a packed file has more in it than it shows. */
uint64_t look_weight(const struct look *look);

/* 1: look->judgement speaks of it; 0: no verdict, put it off; -1: our trouble. */
int look_read(struct look *look, struct judge *judge, struct cause *cause);

/* It changed under our hands, or could not be read: the cause that look_read gave with 0. */
void look_put_off(struct look *look, const struct cause *cause);

void look_close(struct look *look);

#endif

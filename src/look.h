/*
 * look: one look at one dropped file. Opened if it may be judged now, read, and let go.
 *
 *     look_init, once; then for each file
 *     look_claim      takes it, opened, or says why it has to wait
 *     look_part       the reading of a large file may outlast the batch, and the lock ...
 *     look_rejoin     ... and what was read counts if nothing else happened to it meanwhile
 *     look_read       reads and judges it; its rows are in look->accepted
 *     look_put_off    what look_read said is no verdict: it waits
 *     look_close
 *     look_free
 *
 * look_read touches nothing but its look and its judge, and reads the configuration: other threads
 * may be at other looks meanwhile. All else is for the thread that has the lock.
 */
#ifndef PHASESENTINEL_LOOK_H
#define PHASESENTINEL_LOOK_H

#include <stdbool.h>
#include <stdint.h>

#include "cause.h"
#include "config.h"
#include "datadir.h"
#include "drop.h"
#include "judge.h"
#include "ledger.h"
#include "merge.h"
#include "pool.h"
#include "sidecar.h"
#include "spill.h"
#include "spool.h"
#include "unpack.h"
#include "waiting.h"

/* What looks need; borrowed. */
struct desk {
    const struct config *config;
    const struct datadir *dir;
    struct merge *merge;
    struct drop *drop;
    struct pool *pool;  /* may help to read a large file */
    atomic_bool stop;   /* readings are to end */
    bool lease_unknown; /* the kernel would not say who writes: said once */
};

#define LOOK_SIBLINGS (UNPACK_FORMATS - 1)

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
    bool writer;             /* somebody has it open for writing, or may have */
    bool patient;            /* quiet, and nobody writes: a bad verdict may be carried out */
    bool complete_only;      /* its complete rows are judged, the rest may still come */
    bool growing;            /* it was cut in a row, and is longer now */
    bool known;              /* as it was when it was booked: not to be read again */
    struct ledger_line last; /* the last line of this name */
    bool has_last;
    struct ledger_line own;   /* the longest content that was booked for this name */
    struct ledger_line inode; /* what this inode held under another name: a renamed file */
    bool has_own, has_inode;
    bool is_ours; /* this inode was booked under this name */
    /* NAME.csv, NAME.csv.gz and NAME.csv.zst are one growing file: the longest content that was
     * booked for each of the other two names; at is 0 if none was. */
    struct ledger_line siblings[LOOK_SIBLINGS];
    /* What the file may begin with, the longest first: own, siblings, inode, last. */
    const struct ledger_line *bases[3 + LOOK_SIBLINGS];
    size_t base_count;
    const struct ledger_line *base; /* the one that is tried, or was found; NULL: none */
    struct judgement judgement;     /* filled by look_read */
    struct spill accepted;          /* its rows as they go to the training file */
    struct spill rejected;          /* behind its header: the bad ones as they came */
    bool sink_failed;               /* our own disk failed, not the file's */
};

void look_init(struct look *look, struct desk *desk);
void look_free(struct look *look); /* takes zeroed ones */

/* look->taken speaks of it. 1: claimed; 0: it waits, or is gone or done; -1. look_close in any
 * case. */
int look_claim(struct look *look, struct waiting_file *file, struct cause *cause);

int look_part(struct look *look, struct cause *cause);
int look_rejoin(struct look *look, struct waiting_file *file, struct cause *cause); /* 1, 0, -1 */

/* Has content been booked since that it may go on from? Then what was read is no verdict. */
bool look_is_overtaken(const struct look *look);

/* The rows of the booked content that the file begins with, under this name or another. */
uint64_t look_base_rows(const struct look *look);
bool look_base_is_foreign(const struct look *look);

/* The bytes to be reckoned with: a packed file has more in it than it shows. */
uint64_t look_weight(const struct look *look);

/* 1: look->judgement speaks of it; 0: no verdict, put it off; -1: our trouble. */
int look_read(struct look *look, struct judge *judge, struct cause *cause);

/* It changed under our hands, or could not be read: the cause that look_read gave with 0. */
void look_put_off(struct look *look, const struct cause *cause);

void look_close(struct look *look);

#endif

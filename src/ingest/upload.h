/*
 * look: one look at one dropped file. Opened if it may be judged now, read, and let go.
 *
 *     upload_init, once; then for each file
 *     upload_claim      takes it, opened, or says why it has to wait
 *     upload_detach       the reading of a large file may outlast the batch, and the lock ...
 *     upload_reattach     ... and what was read counts if nothing else happened to it meanwhile
 *     upload_read       reads and judges it; its rows are in look->accepted
 *     upload_postpone    what upload_read said is no verdict: it waits
 *     upload_close
 *     upload_free
 *
 * upload_read touches nothing but its look and its judge, and reads the configuration: other
 * threads may be at other looks meanwhile. All else is for the thread that has the lock.
 */
#ifndef PHASESENTINEL_UPLOAD_H
#define PHASESENTINEL_UPLOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cause.h"
#include "schema/config.h"
#include "store/datadir.h"
#include "drop/dropdir.h"
#include "csv/file_check.h"
#include "store/ledger.h"
#include "store/transaction.h"
#include "base/thread_pool.h"
#include "ingest/history.h"
#include "drop/sidecar.h"
#include "store/spill.h"
#include "fs/beneath.h"
#include "drop/pending.h"

/* What looks need; borrowed. */
struct ingest_env {
    const struct config *config;
    const struct datadir *dir;
    struct transaction *merge;
    struct dropdir *drop;
    struct thread_pool *pool; /* may help to read a large file */
    atomic_bool stop;         /* readings are to end */
    bool lease_unknown;       /* the kernel would not say who writes: said once */
};

struct upload {
    struct ingest_env *env;
    struct pending_file *file; /* borrowed until others arrive */
    const char *name;          /* a copy in name_copy, whose memory serves file after file */
    struct buffer name_copy;
    struct opened_file taken;       /* as it was opened */
    int fd;                         /* of it; -1 once it is not needed any more */
    struct training_columns layout; /* of the training file, when it was claimed; borrowed ... */
    bool detached;                  /* ... or its own */
    bool again;                     /* something happened to it while it was read */
    struct file_id file_id;
    struct sidecars sidecars; /* as they were then */
    int64_t now;
    bool writer;            /* somebody has it open for writing, or may have */
    bool may_reject;        /* quiet, and nobody writes: a bad verdict may be carried out */
    bool complete_only;     /* its complete rows are judged, the rest may still come */
    bool growing;           /* it was cut in a row, and is longer now */
    bool known;             /* as it was when it was booked: not to be read again */
    struct history history; /* what the ledger knows of it */
    struct check_result check_result; /* filled by upload_read */
    struct spill accepted;            /* its rows as they go to the training file */
    struct spill rejected;            /* behind its header: the bad ones as they came */
    bool sink_failed;                 /* our own disk failed, not the file's */
};

void upload_init(struct upload *upload, struct ingest_env *env);
void upload_free(struct upload *upload); /* takes zeroed ones */

/* look->taken speaks of it. 1: claimed; 0: it waits, or is gone or done; -1. upload_close in any
 * case. */
int upload_claim(struct upload *upload, struct pending_file *file, struct cause *cause);

int upload_detach(struct upload *upload, struct cause *cause);
int upload_reattach(struct upload *upload, struct pending_file *file,
                    struct cause *cause); /* 1, 0, -1 */

/* The bytes to be reckoned with: a packed file has more in it than it shows. */
uint64_t upload_weight(const struct upload *upload);

/* 1: look->judgement speaks of it; 0: no verdict, put it off; -1: our trouble. */
int upload_read(struct upload *upload, struct file_check *file_check, struct cause *cause);

/* It changed under our hands, or could not be read: the cause that upload_read gave with 0. */
void upload_postpone(struct upload *upload, const struct cause *cause);

void upload_close(struct upload *upload);

#endif

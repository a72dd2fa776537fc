/*
 * datadir: the directories below data_dir, as open descriptors.
 *
 *     datadir_open             create what is missing, durably, and open all; or
 *     datadir_open_existing    open what exists, for commands that only read
 *     datadir_open_drop        open the drop directory while work is done in it ...
 *     datadir_close_drop       ... and close it
 *     datadir_close
 *
 * Files are opened, moved and removed relative to these descriptors. The drop directory stays
 * closed between batches, because it may be removed, replaced, unmounted or mounted over: an open
 * descriptor would hide or hinder that. A descriptor of what does not exist is -1.
 *
 * Each file has one writer: training.c training_data.csv, ledger.c and the modules of its name the
 * ledger, tally_file.c, pending_file.c and file_cache.c the files of their names in state/, report.c
 * stats/, placement.c quarantine/ and archive/, save.c and its users user_data/. tests/lint/order.sh
 * checks the training file, and that fs/durable.c alone calls fsync and rename. Which directories
 * the whole daemon may write is up to fs/sandbox.c.
 */
#ifndef PHASESENTINEL_DATADIR_H
#define PHASESENTINEL_DATADIR_H

#include "base/cause.h"

#define DATADIR_DROP     "user_data"
#define DATADIR_TRAINING "training_data.csv"

struct datadir {
    char *path; /* owned */
    int root;
    int drop;       /* user_data/ */
    int quarantine; /* quarantine/ */
    int archive;    /* archive/ */
    int stats;      /* stats/ */
    int state;      /* state/ */
    int moving;     /* state/moving/: files on their way to quarantine or archive */
    int cut;        /* state/cut/: tails cut off the training file */
};

/* Return -1, with nothing open, if a directory cannot be opened. */
int datadir_open(struct datadir *dir, const char *path, struct cause *cause);
int datadir_open_existing(struct datadir *dir, const char *path, struct cause *cause);
void datadir_close(struct datadir *dir);

/* Open the drop directory anew. Return -1 with CAUSE_RETRY if it is missing. */
int datadir_open_drop(struct datadir *dir, struct cause *cause);
void datadir_close_drop(struct datadir *dir);

#endif

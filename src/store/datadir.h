/*
 * datadir: the directories below data_dir, open.
 *
 * Everything that is done to a file is done relative to one of these descriptors. datadir_open
 * creates what is missing (durably), datadir_look opens without creating anything, for commands
 * that only read: what is not there is then -1. The drop directory is open only while work is done
 * in it, between datadir_open_drop and datadir_close_drop: it may be removed, replaced, unmounted
 * or mounted over, and an open descriptor would hide that or hinder it.
 */
#ifndef PHASESENTINEL_DATADIR_H
#define PHASESENTINEL_DATADIR_H

#include "base/cause.h"

#define DATADIR_DROP     "user_data"
#define DATADIR_TRAINING "training_data.csv"

struct datadir {
    char *path; /* owned */
    int root;
    int drop;       /* user_data/, or -1 */
    int quarantine; /* quarantine/ */
    int archive;    /* archive/ */
    int stats;      /* stats/ */
    int state;      /* state/ */
    int moving;     /* state/moving/: what is on its way to quarantine or archive */
    int cut;        /* state/cut/: tails that were cut off the training file */
};

int datadir_open(struct datadir *dir, const char *path, struct cause *cause);
int datadir_look(struct datadir *dir, const char *path, struct cause *cause);
int datadir_open_drop(struct datadir *dir, struct cause *cause); /* CAUSE_RETRY: it is not there */
void datadir_close_drop(struct datadir *dir);
void datadir_close(struct datadir *dir);

#endif

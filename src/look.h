/*
 * look: one look at one dropped file. Opened if it may be judged now, read, and let go.
 *
 *     look_claim      opens it, or says why it has to wait
 *     look_read       reads and judges it; its rows are appended behind a mark
 *     look_take_back  the rows are not wanted after all
 *     look_close
 *
 * All under the lock.
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
#include "spool.h"
#include "waiting.h"

/* What a look needs; borrowed, but for the judge. */
struct desk {
    const struct config *config;
    const struct datadir *dir;
    struct merge *merge;
    struct drop *drop;
    struct judge judge;
    bool lease_unknown; /* the kernel would not say who writes: said once */
};

struct look {
    struct desk *desk;
    struct waiting_file *file;
    int fd;
    struct signature signature;
    int64_t now;
    bool writer;             /* somebody has it open for writing, or may have */
    bool patient;            /* quiet, and nobody writes: a bad verdict may be carried out */
    bool complete_only;      /* its complete rows are judged, the rest may still come */
    bool known;              /* as it was when it was booked: not to be read again */
    struct ledger_line last; /* the last line of this name */
    bool has_last;
    struct ledger_line own;   /* the longest content that was booked for this name */
    struct ledger_line inode; /* what this inode held under another name: a renamed file */
    bool has_own, has_inode;
    /* What the file may begin with, the longest first: own, inode, last. */
    const struct ledger_line *bases[3];
    size_t base_count;
    const struct ledger_line *base; /* the one that is tried, or was found; NULL: none */
    bool was_read;
    uint64_t mark; /* where its rows begin in the training file */
    int rejects;   /* SEQ.rejects.csv, or -1 */
    uint64_t rejects_len;
    bool sink_failed; /* our own disk failed, not the file's */
};

/* 1: open and claimed; 0: it waits, or is gone or done; -1. look_close in any case. */
int look_claim(struct look *look, struct desk *desk, struct waiting_file *file,
               struct cause *cause);

/* 1: desk->judge.result speaks of it; 0: no verdict now, it waits; -1: our trouble. */
int look_read(struct look *look, struct cause *cause);

int look_take_back(struct look *look, struct cause *cause);
void look_close(struct look *look);

#endif

/*
 * gate: may an opened file be read and checked now, or why does it wait?
 *
 * The gates in gate.c are asked in order, and the first one that is closed names the reason
 * (pending.h) and the time of the next check.
 */
#ifndef PHASESENTINEL_GATE_H
#define PHASESENTINEL_GATE_H

#include "base/cause.h"
#include "drop/pending.h"
#include "ingest/upload.h"

enum gate_result {
    GATE_READ,      /* read it */
    GATE_UNCHANGED, /* the same as when it was checked: its history says what it is */
    GATE_CLOSED,    /* wait, or the file is gone: nothing is left to do for now */
    GATE_FAILED,    /* our own trouble */
};

/* Begin with the file that was opened as upload->opened. Call upload_end in any case. */
enum gate_result gate_pass(struct upload *upload, struct pending_file *file, struct cause *cause);

#endif

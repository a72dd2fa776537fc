/*
 * decide: what is to become of a file that was read. The rules of identity, in their order: known,
 * grown, changed, new.
 *
 * Quick to accept, slow to reject: a file that does not pass is bad only once nobody writes to it
 * and it has been quiet.
 */
#ifndef PHASESENTINEL_CLASSIFY_H
#define PHASESENTINEL_CLASSIFY_H

#include "base/cause.h"
#include "ingest/upload.h"

enum decision {
    DECIDE_WAIT,      /* no verdict yet; why is on the list */
    DECIDE_KNOWN,     /* it is what its last ledger line says */
    DECIDE_DUPLICATE, /* its content is booked, under this name or another */
    DECIDE_MERGE,
    DECIDE_GROW, /* the rows behind what is booked */
    DECIDE_QUARANTINE,
};

int decide_file(struct look *look, enum decision *ret_decision, struct cause *cause);

#endif

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

enum file_class {
    CLASS_WAITS,     /* no verdict yet; why is on the list */
    CLASS_UNCHANGED, /* it is what its last ledger line says */
    CLASS_DUPLICATE, /* its content is booked, under this name or another */
    CLASS_NEW,
    CLASS_GROWN, /* the rows behind what is booked */
    CLASS_BAD,
};

int classify(struct upload *upload, enum file_class *ret_decision, struct cause *cause);

#endif

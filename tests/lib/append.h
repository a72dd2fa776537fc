/* append: add rows to a training file, as a merge does. */
#ifndef PHASESENTINEL_APPEND_H
#define PHASESENTINEL_APPEND_H

#include <stdlib.h>

#include "store/training.h"

/* Append the rows, and set length and range_hash of the ledger line. */
static void append_rows(struct training *training, const char *rows, size_t len,
                        struct ledger_line *line)
{
    struct spill spill;
    struct buffer bytes = {0};
    struct cause cause;

    spill_init(&spill, training->dir->state);
    buffer_append(&bytes, rows, len);
    if (spill_add(&spill, &bytes, &cause) < 0 ||
        training_append(training, &spill, NULL, &cause) < 0)
        abort();
    line->length = spill.length;
    line->range_hash = spill_hash(&spill);
    buffer_free(&bytes);
    spill_free(&spill);
}

#endif

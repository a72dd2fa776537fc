/*
 * ingest_event: what a program is told about a dropped file, by a callback.
 *
 * An event is sent once: for a verdict as soon as it is durable, and when a file begins to wait for
 * a reason that its sender may want to know.
 */
#ifndef PHASESENTINEL_INGEST_EVENT_H
#define PHASESENTINEL_INGEST_EVENT_H

#include <stdint.h>

#include "store/ledger_line.h"

enum ingest_event {
    INGEST_MERGED,
    INGEST_GROWN,
    INGEST_DUPLICATE,
    INGEST_QUARANTINED,
    INGEST_WAITING,
    INGEST_EVENTS,
};

/* Pointers are valid during the call. */
struct ingest_notice {
    enum ingest_event event;
    const char *name;
    uint64_t rows;      /* merged by this verdict */
    const char *detail; /* a sentence, or "" */
};

typedef void ingest_notice_fn(void *context, const struct ingest_notice *notice);

/* Return the word for logs: "merged", "waiting". */
const char *ingest_event_name(enum ingest_event event);

/* Return the event of a verdict that is given to a dropped file. */
enum ingest_event ingest_event_of(enum verdict verdict);

#endif

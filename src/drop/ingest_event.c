#include "drop/ingest_event.h"

const char *ingest_event_name(enum ingest_event event)
{
    switch (event) {
    case INGEST_MERGED:
        return verdict_name(VERDICT_MERGED);
    case INGEST_GROWN:
        return verdict_name(VERDICT_GROWN);
    case INGEST_DUPLICATE:
        return verdict_name(VERDICT_DUPLICATE);
    case INGEST_QUARANTINED:
        return verdict_name(VERDICT_QUARANTINED);
    case INGEST_WAITING:
    case INGEST_EVENTS:
        break;
    }
    return "waiting";
}

enum ingest_event ingest_event_of(enum verdict verdict)
{
    switch (verdict) {
    case VERDICT_GROWN:
        return INGEST_GROWN;
    case VERDICT_DUPLICATE:
        return INGEST_DUPLICATE;
    case VERDICT_QUARANTINED:
        return INGEST_QUARANTINED;
    default:
        return INGEST_MERGED;
    }
}

#include "daemon/log_throttle.h"

#include <inttypes.h>

#include "base/clock.h"
#include "base/log.h"

#define LINES_BURST  30
#define LINES_REFILL (CLOCK_SECOND / 2) /* a line more after each of these */

void log_throttle_init(struct log_throttle *throttle)
{
    *throttle = (struct log_throttle){.lines_left = LINES_BURST};
}

static void refill_lines(struct log_throttle *throttle)
{
    const int64_t now = clock_monotonic();
    const int64_t lines = (now - throttle->refill_time) / LINES_REFILL;

    if (lines <= 0)
        return;
    throttle->lines_left =
        throttle->lines_left + lines < LINES_BURST ? throttle->lines_left + lines : LINES_BURST;
    throttle->refill_time = now;
}

void log_throttle_notice(struct log_throttle *throttle, const struct ingest_notice *notice)
{
    refill_lines(throttle);
    if (throttle->lines_left == 0) {
        throttle->suppressed_files++;
        if (notice->event == INGEST_MERGED || notice->event == INGEST_GROWN)
            throttle->suppressed_rows += notice->rows;
        return;
    }
    throttle->lines_left--;
    log_line(notice->event == INGEST_QUARANTINED ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, "%s %s: %s",
             ingest_event_name(notice->event), notice->name, notice->detail);
}

void log_throttle_flush(struct log_throttle *throttle)
{
    if (throttle->suppressed_files > 0)
        log_info("and %" PRIu64 " more files, %" PRIu64 " rows merged", throttle->suppressed_files,
                 throttle->suppressed_rows);
    throttle->suppressed_files = throttle->suppressed_rows = 0;
}

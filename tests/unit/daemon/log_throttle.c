#include "daemon/log_throttle.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "lib/unit.h"

static struct log_throttle throttle;
static FILE *captured;

static void notify(enum ingest_event event, uint64_t rows)
{
    const struct ingest_notice notice = {
        .event = event, .name = "a.csv", .rows = rows, .detail = "3 rows"};

    log_throttle_notice(&throttle, &notice);
}

/* Return how many lines with this text were logged since the last call. */
static int logged_lines(const char *text)
{
    char line[512];
    int count = 0;

    rewind(captured);
    while (fgets(line, sizeof line, captured) != NULL)
        count += strstr(line, text) != NULL;
    rewind(captured);
    if (ftruncate(fileno(captured), 0) < 0)
        abort();
    return count;
}

int main(void)
{
    int i;

    captured = tmpfile();
    if (captured == NULL || dup2(fileno(captured), STDERR_FILENO) < 0)
        return 1;
    log_open("test", false);
    log_set_level(LOG_LEVEL_INFO);
    log_throttle_init(&throttle);

    notify(INGEST_MERGED, 3);
    check(logged_lines("merged a.csv: 3 rows") == 1, "a line for a file");
    log_throttle_flush(&throttle);
    check(logged_lines("more files") == 0, "nothing was suppressed");
    for (i = 0; i < 1000; i++)
        notify(i % 2 == 0 ? INGEST_MERGED : INGEST_WAITING, 3);
    i = logged_lines("a.csv");
    check(i >= 29 && i < 100, "a burst of lines, not one for each of 1,000 files: %d", i);
    check(throttle.suppressed_files == (uint64_t)(1000 - i), "the others are counted");
    check(throttle.suppressed_rows > 0 && throttle.suppressed_rows % 3 == 0 &&
              throttle.suppressed_rows < 1500,
          "only merged rows are counted");
    log_throttle_flush(&throttle);
    check(logged_lines("more files") == 1, "they are summed up in a line");
    log_throttle_flush(&throttle);
    check(logged_lines("more files") == 0, "once");
    return unit_done();
}

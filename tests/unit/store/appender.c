#include "store/appender.h"

#include <sys/stat.h>

#include "fs/durable.h"
#include "lib/place.h"
#include "lib/unit.h"

#define MIB (1024 * 1024)

static int dir;
static struct thread_pool *pool;

/* Add `len` bytes `fill`, as the rows of a file. */
static void give(struct spill *spill, size_t len, char fill)
{
    struct buffer bytes = {0}, one = {0};
    struct cause cause;
    size_t i, piece = len < MIB ? len : MIB;

    for (i = 0; i < piece; i++)
        buffer_byte(&one, fill);
    spill_clear(spill);
    for (i = 0; i < len; i += piece) {
        buffer_clear(&bytes);
        buffer_append(&bytes, one.data, piece);
        if (spill_add(spill, &bytes, &cause) < 0)
            abort();
    }
    buffer_free(&bytes);
    buffer_free(&one);
}

static uint64_t size_of(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 ? (uint64_t)st.st_size : UINT64_MAX;
}

/* Return true if the file has lens[i] bytes fills[i] for each i, in this order. */
static bool holds(int fd, const char *fills, const size_t *lens)
{
    uint64_t at = 0, left;
    struct cause cause;
    char bytes[65536];
    size_t i, want;
    ssize_t n;

    for (; *fills != '\0'; fills++, lens++)
        for (left = *lens; left > 0; left -= want, at += want) {
            want = left < sizeof bytes ? left : sizeof bytes;
            n = durable_read(fd, bytes, want, at, "x", &cause);
            for (i = 0; n == (ssize_t)want && i < want && bytes[i] == *fills;)
                i++;
            if (i < want)
                return false;
        }
    return size_of(fd) == at;
}

static void test_order(struct thread_pool *threads)
{
    static const size_t lens[] = {10, 30 * MIB, 70000, 100, 2 * MIB};
    struct appender appender = {.fd = -1};
    struct spill spill;
    struct cause cause;
    int fd = openat(dir, "rows", O_RDWR | O_CREAT | O_TRUNC, 0600);
    size_t i, failed = 0;
    uint64_t begun;

    spill_init(&spill, dir);
    appender_reset(&appender, fd, "rows", 0);
    for (i = 0; i < sizeof lens / sizeof *lens; i++) {
        give(&spill, lens[i], (char)('a' + i));
        failed += appender_add(&appender, &spill, threads, &cause) < 0;
    }
    begun = appender.begun;
    check((begun > 0) == (threads != NULL), "early syncs begin with threads only");
    check(failed == 0 && appender_commit(&appender, &cause) == 0, "all rows are appended");
    check(holds(fd, "abcde", lens), "in order");
    check(appender.end == size_of(fd), "and committed");

    give(&spill, 20 * MIB, 'x');
    failed += appender_add(&appender, &spill, threads, &cause) < 0;
    give(&spill, 7, 'y');
    failed += appender_add(&appender, &spill, threads, &cause) < 0;
    check(failed == 0 && appender_rollback(&appender, appender.end, &cause) == 0 &&
              appender_commit(&appender, &cause) == 0 && holds(fd, "abcde", lens),
          "rows that are rolled back are neither in the file nor in memory");
    spill_free(&spill);
    appender_free(&appender);
    close(fd);
}

/* After a failed sync the bytes may be lost, whatever later syncs return. */
static void test_failed_sync(void)
{
    struct appender appender = {.fd = -1};
    struct cause cause = {0};
    struct spill spill;
    int null = open("/dev/null", O_RDWR); /* can be written to, but not synced */
    int good = openat(dir, "rows", O_RDWR | O_CREAT | O_TRUNC, 0600);

    spill_init(&spill, dir);
    give(&spill, 20 * MIB, 'x');
    appender_reset(&appender, null, "rows", 0);
    check(appender_add(&appender, &spill, pool, &cause) < 0 ||
              appender_commit(&appender, &cause) < 0,
          "an early sync fails: %s", cause.text);
    check(cause.kind == CAUSE_PANIC, "the cause is CAUSE_PANIC");
    thread_pool_wait(pool, &appender.job, 0);
    appender.fd = good; /* like a kernel that reports the error once */
    cause = (struct cause){0};
    check(appender_commit(&appender, &cause) < 0 && cause.kind == CAUSE_PANIC,
          "appender_commit fails, too, though its sync would not");
    cause = (struct cause){0};
    check(appender_rollback(&appender, 0, &cause) < 0 && cause.kind == CAUSE_PANIC,
          "so does appender_rollback");
    spill_free(&spill);
    appender_free(&appender);
    close(null);
    close(good);
}

int main(void)
{
    dir = place_enter();
    pool = thread_pool_open();
    if (dir < 0 || pool == NULL)
        abort();
    test_order(NULL);
    test_order(pool);
    test_failed_sync();
    thread_pool_close(pool);
    close(dir);
    return unit_done();
}

#include "store/ledger_file.h"

#include <inttypes.h>
#include <string.h>

#include "base/buffer.h"
#include "fs/durable.h"

#define USUAL_SIZE  512  /* read first; most lines are shorter */
#define FIND_SIZE   4096 /* read at once when the next line is looked for */
#define BISECT_SIZE 8192 /* ranges up to this size are searched line by line */

int ledger_file_changed(uint64_t at, struct cause *cause)
{
    return cause_set(cause, CAUSE_CORRUPT,
                     LEDGER_PATH " changed under our hands at byte %" PRIu64
                                 ": only this program may write there",
                     at);
}

int ledger_file_check_header(int fd, struct cause *cause)
{
    char header[LEDGER_HEADER_SIZE];
    ssize_t n = durable_read(fd, header, LEDGER_HEADER_SIZE, 0, LEDGER_PATH, cause);

    if (n < 0)
        return -1;
    if ((size_t)n != LEDGER_HEADER_SIZE || memcmp(header, LEDGER_HEADER, LEDGER_HEADER_SIZE) != 0)
        return cause_set(
            cause, CAUSE_CORRUPT,
            LEDGER_PATH
            " does not begin with the header of a ledger: nothing was touched; put "
            "the right file back, or move it away and run: phasesentinel adopt --drops merged|new");
    return 0;
}

int ledger_file_line(int fd, uint64_t at, struct ledger_line *ret_line, char name[LEDGER_NAME_SIZE],
                     uint64_t *ret_next, struct cause *cause)
{
    char text[LEDGER_LINE_MAX_SIZE];
    const char *lf;
    ssize_t n = durable_read(fd, text, USUAL_SIZE, at, LEDGER_PATH, cause);

    if (n > 0 && memchr(text, '\n', (size_t)n) == NULL)
        n = durable_read(fd, text, sizeof text, at, LEDGER_PATH, cause);
    if (n < 0)
        return -1;
    lf = memchr(text, '\n', (size_t)n);
    if (lf == NULL || !ledger_line_parse(text, (size_t)(lf - text), ret_line, name))
        return ledger_file_changed(at, cause);
    ret_line->at = at;
    *ret_next = at + (uint64_t)(lf + 1 - text);
    return 1;
}

int ledger_file_find(int fd, uint64_t end, uint64_t from, uint64_t *ret_at, struct cause *cause)
{
    char bytes[FIND_SIZE];
    const char *lf;
    ssize_t n;

    /* A line begins after an LF, the first line after the LF of the header. */
    for (from = from < LEDGER_HEADER_SIZE ? LEDGER_HEADER_SIZE - 1 : from - 1; from < end;
         from += (uint64_t)n) {
        n = durable_read(fd, bytes, sizeof bytes, from, LEDGER_PATH, cause);
        if (n <= 0)
            return n < 0 ? -1 : ledger_file_changed(from, cause);
        lf = memchr(bytes, '\n', (size_t)n);
        if (lf != NULL) {
            *ret_at = from + (uint64_t)(lf + 1 - bytes);
            return 0;
        }
    }
    *ret_at = end;
    return 0;
}

int ledger_file_by_seq(int fd, uint64_t end, uint64_t seq, struct ledger_line *ret_line,
                       char name[LEDGER_NAME_SIZE], struct cause *cause)
{
    uint64_t low = LEDGER_HEADER_SIZE, high = end, at = end, next = end;

    /* Lines stand in the order of their numbers: bisect. The line, if there is one, begins in
     * [low, high). */
    while (low < high && high - low > BISECT_SIZE) {
        if (ledger_file_find(fd, end, low + (high - low) / 2, &at, cause) < 0)
            return -1;
        if (at >= high)
            break;
        if (ledger_file_line(fd, at, ret_line, name, &next, cause) < 0)
            return -1;
        if (ret_line->seq <= seq)
            low = at;
        else
            high = at;
    }
    for (; low < high; low = next) {
        if (ledger_file_line(fd, low, ret_line, name, &next, cause) < 0)
            return -1;
        if (ret_line->seq == seq)
            return 1;
    }
    return 0;
}

int ledger_file_check_tail(int fd, uint64_t end, uint64_t size, uint64_t batch, uint64_t next_seq,
                           struct cause *cause)
{
    char name[LEDGER_NAME_SIZE];
    struct ledger_line line;
    struct buffer tail = {0};
    const char *from, *limit, *lf;
    int result = -1;
    ssize_t n;

    if (buffer_reserve(&tail, size - end + 1) < 0) {
        cause_memory(cause);
        goto out;
    }
    n = durable_read(fd, tail.data, size - end, end, LEDGER_PATH, cause);
    if (n < 0)
        goto out;
    from = tail.data;
    limit = tail.data + n;
    while ((lf = memchr(from, '\n', (size_t)(limit - from))) != NULL) {
        if (ledger_line_parse(from, (size_t)(lf - from), &line, name) && line.batch != batch &&
            line.batch != next_seq) {
            cause_set(cause, CAUSE_CORRUPT,
                      LEDGER_PATH " is damaged at byte %" PRIu64 " (line %" PRIu64
                                  "), before its last batch: nothing was touched; put back a copy "
                                  "of data_dir/state and the training file of the same time, or "
                                  "move " LEDGER_PATH
                                  " away and run: phasesentinel adopt --drops merged|new",
                      end, next_seq + 1);
            goto out;
        }
        from = lf + 1;
    }
    result = 0;
out:
    buffer_free(&tail);
    return result;
}

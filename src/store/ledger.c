#include "store/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/durable.h"

#define CHUNK_SIZE (1024 * 1024)
#define CHUNK_MIN  (64 * 1024) /* longer than any line */
#define NOTES      32          /* lines that the index prefetches for at once */

/* Count the line that starts a training file: its rows are counted anew, known content stays. */
static void count_start(struct ledger *ledger, const struct ledger_line *line)
{
    ledger->has_start = true;
    ledger->start = *line;
    ledger->start.name = NULL;
    ledger->training_end = line->length;
    ledger->training_rows = line->rows;
    ledger->last_range = *line;
    ledger->last_range.name = NULL;
    ledger->start_is_last = true;
}

/* Count a line. Return true if it belongs into the index, too. */
static bool count_line(struct ledger *ledger, const struct ledger_line *line)
{
    ledger->next_seq = line->seq + 1;
    ledger->batch = line->batch;
    ledger->last_time = line->time;
    ledger->files[line->verdict]++;
    if (line->verdict == VERDICT_STARTED || line->verdict == VERDICT_ADOPTED) {
        count_start(ledger, line);
        return false;
    }
    ledger->start_is_last = false;
    ledger->training_end = line->offset + line->length;
    if (line->length > 0)
        ledger->last_range = *line;
    ledger->last_range.name = NULL;
    if (line->verdict == VERDICT_FORGOTTEN) {
        ledger->forgotten += line->rows;
    } else {
        ledger->rows += line->rows;
        ledger->training_rows += line->rows;
    }
    ledger->rejected += line->rejected;
    ledger->duplicate += line->duplicate;
    if (line->verdict == VERDICT_MERGED || line->verdict == VERDICT_GROWN)
        ledger->last_merge = line->time;
    return true;
}

/* Return true if the line continues the ledger: its number, batch and range come next. */
static bool is_next_line(const struct ledger *ledger, const struct ledger_line *line)
{
    bool start = line->verdict == VERDICT_STARTED || line->verdict == VERDICT_ADOPTED;

    return line->seq == ledger->next_seq && line->batch <= line->seq &&
           (start ? line->offset == 0 : ledger->has_start && line->offset == ledger->training_end);
}

/* Forget all lines, but not the open file. */
static void forget_lines(struct ledger *ledger)
{
    struct ledger empty = {.dir_fd = ledger->dir_fd,
                           .fd = ledger->fd,
                           .device = ledger->device,
                           .inode = ledger->inode,
                           .cut = ledger->cut,
                           .found_name = ledger->found_name,
                           .next_seq = 1};

    ledger_index_free(&ledger->index);
    buffer_free(&ledger->pending);
    *ledger = empty;
}

/* Open the present file, if it is not open. *ret_changed: the file is another one than before. */
static int open_ledger_file(struct ledger *ledger, bool *ret_changed, struct cause *cause)
{
    struct stat st;
    int fd;

    *ret_changed = false;
    if (fstatat(ledger->dir_fd, LEDGER_FILE, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        if (errno != ENOENT)
            return cause_errno(cause, CAUSE_RETRY, "cannot look at state/" LEDGER_FILE);
        *ret_changed = ledger->fd >= 0;
        if (ledger->fd >= 0)
            close(ledger->fd);
        ledger->fd = -1;
        return 0;
    }
    if (ledger->fd >= 0 && st.st_dev == ledger->device && st.st_ino == ledger->inode)
        return 0;
    fd = openat(ledger->dir_fd, LEDGER_FILE, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && (errno == EACCES || errno == EROFS))
        fd = openat(ledger->dir_fd, LEDGER_FILE, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0) {
        cause_errno(cause, CAUSE_RETRY, "cannot open state/" LEDGER_FILE);
        if (fd >= 0)
            close(fd);
        return -1;
    }
    if (ledger->fd >= 0)
        close(ledger->fd);
    ledger->fd = fd;
    ledger->device = st.st_dev;
    ledger->inode = st.st_ino;
    *ret_changed = true;
    return 0;
}

int ledger_open(struct ledger *ledger, int dir_fd, struct cause *cause)
{
    bool changed;

    *ledger = (struct ledger){.dir_fd = dir_fd, .fd = -1, .next_seq = 1};
    ledger->found_name = malloc(LEDGER_NAME_SIZE);
    if (ledger->found_name == NULL)
        return cause_memory(cause);
    return open_ledger_file(ledger, &changed, cause);
}

void ledger_close(struct ledger *ledger)
{
    forget_lines(ledger);
    if (ledger->fd >= 0)
        close(ledger->fd);
    ledger->fd = -1;
    free(ledger->found_name);
    ledger->found_name = NULL;
}

int ledger_create(struct ledger *ledger, struct cause *cause)
{
    bool changed;

    if (durable_replace(ledger->dir_fd, LEDGER_FILE, LEDGER_HEADER, LEDGER_HEADER_SIZE, true,
                        cause) < 0 ||
        open_ledger_file(ledger, &changed, cause) < 0)
        return -1;
    forget_lines(ledger);
    ledger->end = LEDGER_HEADER_SIZE;
    return 0;
}

static int add_notes(struct ledger *ledger, const struct ledger_note *notes, size_t count,
                     struct cause *cause)
{
    size_t i;

    for (i = 0; i < count; i++)
        if (ledger_index_add(&ledger->index, &notes[i]) < 0)
            return cause_memory(cause);
    return 0;
}

/* Add the good lines that the chunk begins with. *ret_len is their length. */
static int take_lines(struct ledger *ledger, const char *chunk, size_t len, size_t *ret_len,
                      struct cause *cause)
{
    const char *from = chunk, *end = chunk + len, *lf;
    struct ledger_note notes[NOTES];
    struct ledger_line line;
    size_t count = 0;

    while ((lf = memchr(from, '\n', (size_t)(end - from))) != NULL) {
        if (!ledger_line_parse(from, (size_t)(lf - from), &line, ledger->found_name) ||
            !is_next_line(ledger, &line))
            break;
        line.at = ledger->end;
        if (count_line(ledger, &line))
            ledger_index_note(&ledger->index, &line, &notes[count++]);
        ledger->end += (uint64_t)(lf + 1 - from);
        from = lf + 1;
        if (count == NOTES) {
            if (add_notes(ledger, notes, count, cause) < 0)
                return -1;
            count = 0;
        }
    }
    *ret_len = (size_t)(from - chunk);
    return add_notes(ledger, notes, count, cause);
}

/* Reserve memory for the index, judging by the lines so far how many the ledger has. */
static int reserve_index(struct ledger *ledger, uint64_t size, struct cause *cause)
{
    double lines = (double)ledger->next_seq * (double)size / (double)ledger->end;

    return ledger_index_reserve(&ledger->index, (size_t)(lines * 1.02)) < 0 ? cause_memory(cause)
                                                                            : 0;
}

/* Read and add lines up to the end of the file or the first bad line. */
static int read_lines(struct ledger *ledger, uint64_t size, struct cause *cause)
{
    bool first = ledger->end == LEDGER_HEADER_SIZE && size > 2 * CHUNK_SIZE;
    uint64_t left = size - ledger->end;
    const size_t want = left >= CHUNK_SIZE ? CHUNK_SIZE : left > CHUNK_MIN ? left : CHUNK_MIN;
    char *chunk = malloc(want);
    size_t taken;
    int result = -1;
    ssize_t n;

    if (chunk == NULL)
        return cause_memory(cause);
    do {
        n = durable_read(ledger->fd, chunk, want, ledger->end, LEDGER_PATH, cause);
        if (n < 0 || take_lines(ledger, chunk, (size_t)n, &taken, cause) < 0 ||
            (first && reserve_index(ledger, size, cause) < 0))
            goto out;
        first = false;
        /* When no line was taken, the file ends here, or a bad or torn line follows. */
    } while (taken > 0);
    result = 0;
out:
    free(chunk);
    return result;
}

int ledger_refresh(struct ledger *ledger, bool repair, struct cause *cause)
{
    struct stat st;
    bool changed;

    if (open_ledger_file(ledger, &changed, cause) < 0)
        return -1;
    if (ledger->fd < 0) {
        if (changed)
            forget_lines(ledger);
        return 0;
    }
    if (fstat(ledger->fd, &st) < 0)
        return cause_errno(cause, CAUSE_RETRY, "cannot look at state/" LEDGER_FILE);
    if (changed || (uint64_t)st.st_size < ledger->end)
        forget_lines(ledger);
    if (ledger->end == 0) {
        if (ledger_file_check_header(ledger->fd, cause) < 0)
            return -1;
        ledger->end = LEDGER_HEADER_SIZE;
    }
    if ((uint64_t)st.st_size == ledger->end)
        return 0;
    if (read_lines(ledger, (uint64_t)st.st_size, cause) < 0)
        return -1;
    if (!repair || fstat(ledger->fd, &st) < 0 || (uint64_t)st.st_size == ledger->end)
        return 0;
    if (ledger_file_check_tail(ledger->fd, ledger->end, (uint64_t)st.st_size, ledger->batch,
                               ledger->next_seq, cause) < 0)
        return -1;
    ledger->cut += (uint64_t)st.st_size - ledger->end;
    return durable_truncate(ledger->fd, ledger->end, LEDGER_PATH, cause) < 0
               ? -1
               : durable_sync(ledger->fd, LEDGER_PATH, cause);
}

int ledger_make_durable(struct ledger *ledger, struct cause *cause)
{
    struct stat st;
    bool changed;

    if (open_ledger_file(ledger, &changed, cause) < 0)
        return -1;
    if (ledger->fd < 0)
        return 0;
    if (fstat(ledger->fd, &st) < 0)
        return cause_errno(cause, CAUSE_RETRY, "cannot look at state/" LEDGER_FILE);
    /* The copy is another inode, so the next refresh reads it from the beginning. */
    return durable_copy(ledger->fd, 0, (uint64_t)st.st_size, ledger->dir_fd, LEDGER_FILE, cause);
}

/* Return the pending line at an offset behind the committed ones, and all that follow. */
static const char *pending_at(const struct ledger *ledger, uint64_t at, size_t *ret_len)
{
    uint64_t skip = at - ledger->end;

    *ret_len = skip < ledger->pending.len ? ledger->pending.len - (size_t)skip : 0;
    return *ret_len > 0 ? ledger->pending.data + skip : "";
}

/* Read the line at an offset, committed or pending. *ret_next is where it ends. */
static int read_at(const struct ledger *ledger, uint64_t at, struct ledger_line *ret_line,
                   uint64_t *ret_next, struct cause *cause)
{
    const char *text, *lf;
    size_t len;

    if (at < ledger->end)
        return ledger_file_line(ledger->fd, at, ret_line, ledger->found_name, ret_next, cause);
    text = pending_at(ledger, at, &len);
    lf = memchr(text, '\n', len);
    if (lf == NULL || !ledger_line_parse(text, (size_t)(lf - text), ret_line, ledger->found_name))
        return ledger_file_changed(at, cause);
    ret_line->at = at;
    *ret_next = at + (uint64_t)(lf + 1 - text);
    return 1;
}

int ledger_at(const struct ledger *ledger, uint64_t at, struct ledger_line *ret_line,
              struct cause *cause)
{
    uint64_t next;

    return read_at(ledger, at, ret_line, &next, cause);
}

/* Read the line that begins in this block of LEDGER_LINE_MIN_SIZE bytes. */
static int read_block(const struct ledger *ledger, uint64_t block, struct ledger_line *ret_line,
                      struct cause *cause)
{
    uint64_t at = block * LEDGER_LINE_MIN_SIZE;
    const char *text, *lf;
    size_t len;

    if (at <= ledger->end) {
        if (ledger_file_find(ledger->fd, ledger->end, at, &at, cause) < 0)
            return -1;
    } else {
        text = pending_at(ledger, at - 1, &len);
        lf = memchr(text, '\n', len);
        at += lf == NULL ? 0 : (uint64_t)(lf - text);
    }
    return ledger_at(ledger, at, ret_line, cause);
}

int ledger_content(const struct ledger *ledger, const unsigned char sha256[DIGEST_SIZE],
                   struct content_meta meta, const char *name, struct ledger_line *ret_line,
                   struct cause *cause)
{
    size_t cursor = 0;
    uint64_t block;

    while (ledger_index_content(&ledger->index, sha256, meta, &cursor, &block)) {
        if (read_block(ledger, block, ret_line, cause) < 0)
            return -1;
        if (memcmp(ret_line->sha256, sha256, DIGEST_SIZE) == 0 &&
            ret_line->has_meta == meta.has_meta && ret_line->meta == meta.meta &&
            (name == NULL || strcmp(ret_line->name, name) == 0))
            return 1;
    }
    return 0;
}

int ledger_contents(struct ledger *ledger, struct sorted_snapshot *ret_snapshot,
                    struct cause *cause)
{
    return sorted_set_take(&ledger->index.contents, ret_snapshot) < 0 ? cause_memory(cause) : 0;
}

bool ledger_name(const struct ledger *ledger, const char *name, struct ledger_known *ret_known)
{
    return ledger_index_name(&ledger->index, name, ret_known);
}

uint64_t ledger_last_at(const struct ledger *ledger, const char *name)
{
    struct ledger_known known;

    ledger_name(ledger, name, &known);
    return known.last_at;
}

uint64_t ledger_rows_of(const struct ledger *ledger, const char *name)
{
    struct ledger_known known;

    ledger_name(ledger, name, &known);
    return known.rows;
}

uint64_t ledger_rows_of_longest(const struct ledger *ledger, const char *name)
{
    struct ledger_known known;

    ledger_name(ledger, name, &known);
    return known.longest_rows;
}

int ledger_last(const struct ledger *ledger, const char *name, struct ledger_line *ret_line,
                struct cause *cause)
{
    struct ledger_known known;

    return ledger_name(ledger, name, &known) ? ledger_at(ledger, known.last_at, ret_line, cause)
                                             : 0;
}

int ledger_longest(const struct ledger *ledger, const char *name, struct ledger_line *ret_line,
                   struct cause *cause)
{
    struct ledger_known known;

    ledger_name(ledger, name, &known);
    return known.longest_at == 0 ? 0 : ledger_at(ledger, known.longest_at, ret_line, cause);
}

int ledger_quarantined(const struct ledger *ledger, size_t *cursor, struct ledger_line *ret_line,
                       struct cause *cause)
{
    const uint64_t at = ledger_index_quarantined(&ledger->index, cursor);

    return at == 0 ? 0 : ledger_at(ledger, at, ret_line, cause);
}

int ledger_by_seq(const struct ledger *ledger, uint64_t seq, struct ledger_line *ret_line,
                  struct cause *cause)
{
    return ledger->fd < 0 ? 0
                          : ledger_file_by_seq(ledger->fd, ledger->end, seq, ret_line,
                                               ledger->found_name, cause);
}

int ledger_next(const struct ledger *ledger, uint64_t *at, struct ledger_line *ret_line,
                struct cause *cause)
{
    if (*at < LEDGER_HEADER_SIZE)
        *at = LEDGER_HEADER_SIZE;
    if (*at >= ledger->end)
        return 0;
    return read_at(ledger, *at, ret_line, at, cause);
}

int ledger_add(struct ledger *ledger, struct ledger_line *line, struct cause *cause)
{
    bool start = line->verdict == VERDICT_STARTED || line->verdict == VERDICT_ADOPTED;
    struct ledger_note note;

    line->seq = ledger->next_seq;
    line->batch = ledger->pending.len == 0 ? ledger->next_seq : ledger->batch;
    line->offset = start ? 0 : ledger->training_end;
    line->at = ledger->end + ledger->pending.len;
    ledger_line_print(&ledger->pending, line);
    if (buffer_failed(&ledger->pending))
        return cause_memory(cause);
    if (!count_line(ledger, line))
        return 0;
    ledger_index_note(&ledger->index, line, &note);
    return add_notes(ledger, &note, 1, cause);
}

int ledger_commit(struct ledger *ledger, struct cause *cause)
{
    if (ledger->pending.len == 0)
        return 0;
    if (durable_write(ledger->fd, ledger->pending.data, ledger->pending.len, ledger->end,
                      LEDGER_PATH, cause) < 0)
        return -1;
    if (durable_sync(ledger->fd, LEDGER_PATH, cause) < 0)
        return -1;
    ledger->end += ledger->pending.len;
    buffer_clear(&ledger->pending);
    return 0;
}

int ledger_rollback(struct ledger *ledger, struct cause *cause)
{
    struct stat st;
    uint64_t end = ledger->end;

    if (ledger->fd < 0 || fstat(ledger->fd, &st) < 0)
        return 0;
    if ((uint64_t)st.st_size > end && durable_truncate(ledger->fd, end, LEDGER_PATH, cause) < 0)
        return -1;
    if (ledger->pending.len == 0)
        return 0;
    forget_lines(ledger);
    return ledger_refresh(ledger, true, cause);
}

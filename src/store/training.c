#include "store/training.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "fs/durable.h"
#include "base/log.h"
#include "csv/csv_file.h"
#include "base/csv_name.h"
#include "drop/drop_scan.h"
#include "fs/beneath.h"
#include "base/escape.h"

#define WRITE_SIZE     (1024 * 1024)
#define VERIFY_SIZE    (16 * 1024 * 1024)
#define HEADER_ROW_MAX (16 * 1024 * 1024)

void training_init(struct training *training, const struct datadir *dir,
                   const struct schema *schema)
{
    *training = (struct training){.dir = dir, .schema = schema, .fd = -1, .tail = {.fd = -1}};
}

void training_close(struct training *training)
{
    if (training->dir == NULL)
        return;
    if (training->fd >= 0)
        close(training->fd);
    training->fd = -1;
    training_columns_free(&training->layout);
    appender_free(&training->tail);
    training->dir = NULL;
}

/* The file ends here, and all of it is committed. */
static void stand_at(struct training *training, uint64_t end)
{
    appender_reset(&training->tail, training->fd, DATADIR_TRAINING, end);
}

/* ---- the header --------------------------------------------------------------------------- */

static int write_header_text(const struct schema *schema, struct buffer *out, struct cause *cause)
{
    size_t i;

    for (i = 0; i < schema->count; i++) {
        if (i > 0)
            buffer_byte(out, ',');
        escape_csv_cell(out, schema->fields[i].name, strlen(schema->fields[i].name));
    }
    buffer_byte(out, '\n');
    return buffer_failed(out) ? cause_memory(cause) : 0;
}

/* Read the rows of a range of the training file; `end` UINT64_MAX: all that follow. */
static int open_rows(const struct training *training, uint64_t offset, uint64_t end,
                     struct csv_file *rows, struct cause *cause)
{
    const struct csv_file_request request = {.fd = training->fd,
                                             .name = DATADIR_TRAINING,
                                             .offset = offset,
                                             .end = end,
                                             .max_row_bytes = HEADER_ROW_MAX,
                                             .max_columns = 1 << 20};

    return csv_file_open(rows, &request, cause);
}

static int layout_of_row(struct training *training, const struct row *header, struct cause *cause)
{
    const struct schema *schema = training->schema;
    size_t i, j;

    training_columns_free(&training->layout);
    training->layout.fields = calloc(header->count + 1, sizeof *training->layout.fields);
    if (training->layout.fields == NULL)
        return cause_memory(cause);
    training->layout.count = header->count;
    for (i = 0; i < header->count; i++)
        training->layout.fields[i] =
            schema_find(schema, header->cells[i].text, header->cells[i].len);
    for (i = 0; i < schema->count; i++) {
        for (j = 0; j < header->count && training->layout.fields[j] != (int)i; j++)
            continue;
        if (j == header->count && schema->fields[i].required)
            return cause_set(
                cause, CAUSE_CONFIG,
                "%s/" DATADIR_TRAINING
                " has no column '%s', which the schema requires: its header rules what "
                "is written. Move the file away to start a new one, or change the schema",
                training->dir->path, schema->fields[i].name);
    }
    return 0;
}

/* Take the columns from the training file's own header, which rules what is written. */
static int read_layout(struct training *training, struct cause *cause)
{
    struct csv_file rows;
    struct row row;
    int next, result = -1;

    if (open_rows(training, 0, UINT64_MAX, &rows, cause) < 0)
        return -1;
    next = csv_file_next(&rows, &row, cause);
    if (next == CSV_READER_ROW && row.fault == ROW_SOUND)
        result = layout_of_row(training, &row, cause);
    else if (next >= 0)
        cause_set(cause, CAUSE_CORRUPT,
                  "%s/" DATADIR_TRAINING " does not begin with a CSV header: nothing was touched",
                  training->dir->path);
    csv_file_close(&rows);
    return result;
}

/* The column that is counted by this; its count: there is none. */
static size_t counted_column(const struct training *training, enum tally_by by)
{
    const struct training_columns *layout = &training->layout;
    size_t column;

    for (column = 0; column < layout->count; column++)
        if (layout->fields[column] >= 0 &&
            strcmp(training->schema->fields[layout->fields[column]].name, tally_field(by)) == 0)
            break;
    return column;
}

static int tally_row(const struct training *training, const size_t columns[static TALLY_COUNT],
                     const struct row *row, struct tally *tally, struct cause *cause)
{
    enum tally_by by;

    tally->rows++;
    for (by = 0; by < TALLY_COUNT; by++) {
        const size_t column = columns[by];

        if (column < training->layout.count && column < row->count &&
            counter_add(&tally->by[by], row->cells[column].text, row->cells[column].len, 1) < 0)
            return cause_memory(cause);
    }
    return 0;
}

int training_tally(const struct training *training, uint64_t offset, uint64_t length,
                   struct tally *tally, struct cause *cause)
{
    size_t columns[TALLY_COUNT];
    bool header = offset == 0;
    struct csv_file rows;
    enum tally_by by;
    struct row row;
    int next;

    for (by = 0; by < TALLY_COUNT; by++)
        columns[by] = counted_column(training, by);
    if (open_rows(training, offset, offset + length, &rows, cause) < 0)
        return -1;
    while ((next = csv_file_next(&rows, &row, cause)) == CSV_READER_ROW) {
        if (row.fault == ROW_BLANK)
            continue;
        if (!header && tally_row(training, columns, &row, tally, cause) < 0)
            break;
        header = false;
    }
    csv_file_close(&rows);
    return next == CSV_READER_END ? 0 : -1;
}

/* ---- opening: file and ledger must agree -------------------------------------------------- */

/* -1 trouble, 0 it is not there, 1 open. *ret_other: it is another file than before. */
static int open_file(struct training *training, bool *ret_other, struct cause *cause)
{
    struct stat st;
    int fd;

    *ret_other = false;
    if (fstatat(training->dir->root, DATADIR_TRAINING, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        if (errno != ENOENT)
            return cause_errno(cause, CAUSE_RETRY, "cannot look at " DATADIR_TRAINING);
        if (training->fd >= 0)
            close(training->fd);
        training->fd = -1;
        return 0;
    }
    if (!S_ISREG(st.st_mode))
        return cause_set(cause, CAUSE_CORRUPT, "%s/" DATADIR_TRAINING " is no regular file",
                         training->dir->path);
    if (training->fd >= 0 && st.st_dev == training->device && st.st_ino == training->inode)
        return 1;
    fd = openat(training->dir->root, DATADIR_TRAINING, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return cause_errno(cause, CAUSE_RETRY, "cannot open %s/" DATADIR_TRAINING,
                           training->dir->path);
    if (training->fd >= 0)
        close(training->fd);
    training->fd = fd;
    training->device = st.st_dev;
    training->inode = st.st_ino;
    *ret_other = true;
    return 1;
}

static int hash_file(const struct training *training, uint64_t size, struct ledger_line *line,
                     struct cause *cause)
{
    struct digest_stream *stream = digest_stream_new();
    struct digest digest;
    char *chunk = malloc(WRITE_SIZE);
    uint64_t done = 0;
    int result = -1;

    digest_init(&digest);
    if (stream == NULL || chunk == NULL) {
        cause_memory(cause);
        goto out;
    }
    while (done < size) {
        size_t want = size - done < WRITE_SIZE ? (size_t)(size - done) : WRITE_SIZE;
        ssize_t n = durable_read(training->fd, chunk, want, done, DATADIR_TRAINING, cause);

        if (n <= 0) {
            if (n == 0)
                cause_set(cause, CAUSE_CHANGED,
                          DATADIR_TRAINING " became shorter while it was read");
            goto out;
        }
        digest_stream_update(stream, chunk, (size_t)n);
        digest_update(&digest, chunk, (size_t)n);
        done += (uint64_t)n;
    }
    line->bytes = line->length = size;
    digest_final(&digest, line->sha256);
    line->range_hash = digest_stream_value(stream);
    result = 0;
out:
    digest_stream_free(stream);
    free(chunk);
    return result;
}

static int book_start(struct training *training, struct ledger *ledger, struct ledger_line *line,
                      struct cause *cause)
{
    if (ledger->fd < 0 && ledger_create(ledger, cause) < 0)
        return -1;
    line->time = clock_real();
    line->name = DATADIR_TRAINING;
    if (ledger_add(ledger, line, cause) < 0)
        return -1;
    stand_at(training, line->length);
    return 0;
}

static int write_header(struct training *training, const struct buffer *header, struct cause *cause)
{
    bool other;

    if (training->fd < 0) {
        int fd = openat(training->dir->root, DATADIR_TRAINING,
                        O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

        if (fd < 0)
            return cause_errno(cause, CAUSE_RETRY, "cannot create %s/" DATADIR_TRAINING,
                               training->dir->path);
        close(fd);
        if (open_file(training, &other, cause) < 0)
            return -1;
    }
    if (durable_write(training->fd, header->data, header->len, 0, DATADIR_TRAINING, cause) < 0 ||
        durable_sync(training->fd, DATADIR_TRAINING, cause) < 0 ||
        durable_sync_dir(training->dir->root, DATADIR_TRAINING, cause) < 0)
        return -1;
    stand_at(training, header->len);
    return read_layout(training, cause);
}

/* A new training file: the line that books its header comes first, then the header. */
static int start(struct training *training, struct ledger *ledger, struct cause *cause)
{
    struct ledger_line line = {.verdict = VERDICT_STARTED};
    struct buffer header = {0};
    struct digest digest;
    int result = -1;

    if (write_header_text(training->schema, &header, cause) < 0)
        goto out;
    digest_init(&digest);
    digest_update(&digest, header.data, header.len);
    digest_final(&digest, line.sha256);
    line.bytes = line.length = header.len;
    line.range_hash = digest_check(header.data, header.len);
    /* A start that a crash left without its header is booked already. */
    if (!(ledger->start_is_last && ledger->start.verdict == VERDICT_STARTED &&
          ledger->start.length == line.length && ledger->start.range_hash == line.range_hash)) {
        if (ledger->has_start)
            log_notice("%s/" DATADIR_TRAINING
                       " is gone: starting a new one; what was merged stays known",
                       training->dir->path);
        if (book_start(training, ledger, &line, cause) < 0 || ledger_commit(ledger, cause) < 0)
            goto out;
    }
    result = write_header(training, &header, cause);
out:
    buffer_free(&header);
    return result;
}

int training_adopt(struct training *training, struct ledger *ledger, struct cause *cause)
{
    struct ledger_line line = {.verdict = VERDICT_ADOPTED};
    struct tally tally = {0};
    struct stat st;
    char last = '\n';
    bool other;
    int opened = open_file(training, &other, cause);

    if (opened < 0)
        return -1;
    if (opened == 0)
        return cause_set(cause, CAUSE_NO_INPUT,
                         "%s/" DATADIR_TRAINING " does not exist: there is nothing to adopt",
                         training->dir->path);
    if (fstat(training->fd, &st) < 0)
        return cause_errno(cause, CAUSE_RETRY, "cannot look at " DATADIR_TRAINING);
    if (st.st_size > 0 &&
        durable_read(training->fd, &last, 1, (uint64_t)st.st_size - 1, DATADIR_TRAINING, cause) < 0)
        return -1;
    if (read_layout(training, cause) < 0)
        return -1;
    /* The next row must not be glued to the last one. */
    if (last != '\n') {
        if (durable_write(training->fd, "\n", 1, (uint64_t)st.st_size, DATADIR_TRAINING, cause) <
                0 ||
            durable_sync(training->fd, DATADIR_TRAINING, cause) < 0)
            return -1;
        st.st_size++;
    }
    if (hash_file(training, (uint64_t)st.st_size, &line, cause) < 0)
        return -1;
    if (training_tally(training, 0, line.length, &tally, cause) < 0) {
        tally_free(&tally);
        return -1;
    }
    line.rows = tally.rows;
    tally_free(&tally);
    if (durable_sync(training->fd, DATADIR_TRAINING, cause) < 0 ||
        book_start(training, ledger, &line, cause) < 0)
        return -1;
    log_notice("adopted %s/" DATADIR_TRAINING " as it is: %" PRIu64 " rows, %" PRIu64 " bytes",
               training->dir->path, line.rows, line.length);
    return 0;
}

static void note_file(void *context, const char *name, enum file_kind kind,
                      const struct file_id *file_id)
{
    (void)name;
    (void)file_id;
    *(bool *)context |= kind == FILE_REGULAR;
}

/* A file from before our time. Whether the dropped files are in it already, only a person knows. */
static int take_unknown(struct training *training, struct ledger *ledger, uint64_t size,
                        struct cause *cause)
{
    struct tally tally = {0};
    bool drops = false;
    const struct drop_scan_request csv = {
        .recursive = true, .names_only = true, .found = note_file, .context = &drops};
    uint64_t ignored, rows;

    if (size == 0)
        return start(training, ledger, cause);
    if (read_layout(training, cause) < 0)
        return -1;
    if (training_tally(training, 0, size, &tally, cause) < 0) {
        tally_free(&tally);
        return -1;
    }
    rows = tally.rows;
    tally_free(&tally);
    if (rows > 0) {
        if (drop_scan(training->dir->drop, &csv, &ignored, cause) < 0 ||
            drop_scan(training->dir->archive, &csv, &ignored, cause) < 0)
            return -1;
        if (drops)
            return cause_set(cause, CAUSE_CONFIG,
                             "%s/" DATADIR_TRAINING " holds %" PRIu64
                             " rows from before, and CSV files lie in " DATADIR_DROP
                             "/ or archive/: run 'phasesentinel adopt --drops merged' if their "
                             "rows are in it already, "
                             "'phasesentinel adopt --drops new' if not",
                             training->dir->path, rows);
    }
    if (training_adopt(training, ledger, cause) < 0)
        return -1;
    return ledger_commit(ledger, cause);
}

/* The tail behind the ledger's end was never committed; it may be ours or somebody's. */
static int cut_tail(struct training *training, uint64_t end, uint64_t size, struct cause *cause)
{
    char name[128], when[CLOCK_TEXT_SIZE], *c;

    clock_print(when, clock_real());
    for (c = when; *c != '\0'; c++)
        if (*c == ':' || *c == '-')
            memmove(c, c + 1, strlen(c));
    snprintf(name, sizeof name, "%s-%" PRIu64 ".csv", when, end);
    if (durable_copy(training->fd, end, size - end, training->dir->cut, name, cause) < 0 ||
        durable_truncate(training->fd, end, DATADIR_TRAINING, cause) < 0)
        return -1;
    log_notice("%" PRIu64 " bytes at the end of " DATADIR_TRAINING
               " were never committed: cut off, kept as state/cut/%s",
               size - end, name);
    return 0;
}

static int verify_last_range(struct training *training, const struct ledger *ledger,
                             struct cause *cause)
{
    const struct ledger_line *range = &ledger->last_range;
    struct ledger_line line;
    char *bytes;
    ssize_t n;
    bool good;

    if (range->length == 0 || range->length > VERIFY_SIZE)
        return 0;
    bytes = malloc(range->length);
    if (bytes == NULL)
        return cause_memory(cause);
    n = durable_read(training->fd, bytes, range->length, range->offset, DATADIR_TRAINING, cause);
    good = n == (ssize_t)range->length && digest_check(bytes, range->length) == range->range_hash;
    free(bytes);
    if (n < 0)
        return -1;
    if (!good && ledger_at(ledger, range->at, &line, cause) > 0)
        cause_set(cause, CAUSE_CORRUPT,
                  "bytes %" PRIu64 " to %" PRIu64 " of %s/" DATADIR_TRAINING
                  " (rows of %s) are not what the ledger "
                  "says: nothing was touched. Put the file back as it was, or run "
                  "'phasesentinel adopt --drops "
                  "merged' to take it as it is",
                  range->offset, range->offset + range->length, training->dir->path, line.name);
    return good ? 0 : -1;
}

/* 1: a crash left the header short, or parts of it unwritten; 0: it is whole, or somebody else's.
 */
static int header_is_torn(struct training *training, uint64_t size, struct cause *cause)
{
    struct buffer header = {0}, there = {0};
    int result = -1;
    size_t i;

    if (write_header_text(training->schema, &header, cause) < 0 ||
        buffer_reserve(&there, (size_t)size + 1) < 0)
        goto out;
    if (durable_read(training->fd, there.data, (size_t)size, 0, DATADIR_TRAINING, cause) < 0)
        goto out;
    result = size < header.len;
    for (i = 0; i < size; i++) {
        if (i < header.len && there.data[i] == '\0')
            result = 1;
        else if (i >= header.len || there.data[i] != header.data[i])
            break;
    }
    if (i < size)
        result = 0;
out:
    buffer_free(&header);
    buffer_free(&there);
    return result;
}

/* File and ledger are both there. */
static int agree(struct training *training, struct ledger *ledger, uint64_t size, bool other,
                 struct cause *cause)
{
    int torn;

    if (ledger->start_is_last && ledger->start.verdict == VERDICT_STARTED &&
        size <= ledger->training_end) {
        torn = header_is_torn(training, size, cause);
        if (torn != 0)
            return torn < 0 ? -1 : start(training, ledger, cause);
    }
    if (size < ledger->training_end)
        return cause_set(cause, CAUSE_CORRUPT,
                         "%s/" DATADIR_TRAINING " has %" PRIu64
                         " bytes where the ledger books %" PRIu64
                         ": nothing was touched. Put the file back, or run 'phasesentinel adopt "
                         "--drops merged' to take it as "
                         "it is, or move it away to start a new one",
                         training->dir->path, size, ledger->training_end);
    if (other && verify_last_range(training, ledger, cause) < 0)
        return -1;
    if (size > ledger->training_end && cut_tail(training, ledger->training_end, size, cause) < 0)
        return -1;
    stand_at(training, ledger->training_end);
    return other ? read_layout(training, cause) : 0;
}

int training_open(struct training *training, struct ledger *ledger, struct cause *cause)
{
    struct stat st;
    bool other;
    int opened = open_file(training, &other, cause);

    if (opened < 0)
        return -1;
    if (opened == 0)
        return start(training, ledger, cause);
    if (fstat(training->fd, &st) < 0)
        return cause_errno(cause, CAUSE_RETRY, "cannot look at " DATADIR_TRAINING);
    if (!ledger->has_start)
        return take_unknown(training, ledger, (uint64_t)st.st_size, cause);
    if (agree(training, ledger, (uint64_t)st.st_size, other, cause) == 0)
        return 0;
    /* Asked again later, it must be looked at as thoroughly. */
    close(training->fd);
    training->fd = -1;
    return -1;
}

int training_check_schema(const struct datadir *dir, const struct schema *schema,
                          struct cause *cause)
{
    struct training training;
    bool other;
    int result;

    training_init(&training, dir, schema);
    result = open_file(&training, &other, cause);
    if (result > 0)
        result = read_layout(&training, cause);
    training_columns_free(&training.layout);
    training_close(&training);
    return result;
}

/* ---- appending ---------------------------------------------------------------------------- */

int training_append(struct training *training, const struct spill *rows, struct thread_pool *pool,
                    struct cause *cause)
{
    return appender_add(&training->tail, rows, pool, cause);
}

int training_commit(struct training *training, struct cause *cause)
{
    return appender_commit(&training->tail, cause);
}

int training_rollback(struct training *training, uint64_t end, struct cause *cause)
{
    return appender_rollback(&training->tail, end, cause);
}

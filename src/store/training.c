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
#include "base/log.h"
#include "csv/csv_file.h"
#include "fs/durable.h"

#define HASH_SIZE   (1024 * 1024)      /* bytes read at once to hash the file */
#define VERIFY_SIZE (16 * 1024 * 1024) /* ranges up to this size are read and compared */

void training_init(struct training *training, const struct datadir *dir,
                   const struct schema *schema, training_drops_check *has_drops)
{
    *training = (struct training){
        .dir = dir, .schema = schema, .has_drops = has_drops, .fd = -1, .appender = {.fd = -1}};
}

void training_close(struct training *training)
{
    if (training->dir == NULL)
        return;
    if (training->fd >= 0)
        close(training->fd);
    training->fd = -1;
    training_header_free(&training->header);
    appender_free(&training->appender);
    training->dir = NULL;
}

/* Note that the file ends here, and that all of it is committed. */
static void set_end(struct training *training, uint64_t end)
{
    appender_reset(&training->appender, training->fd, DATADIR_TRAINING, end);
}

static int read_header(struct training *training, struct cause *cause)
{
    return training_header_read(&training->header, training->fd, training->schema,
                                training->dir->path, cause);
}

/* ---- counting rows ------------------------------------------------------------------------ */

static int tally_row(const struct training_header *header, const struct row *row,
                     struct tally *tally, struct cause *cause)
{
    enum tally_by by;

    tally->rows++;
    for (by = 0; by < TALLY_COUNT; by++) {
        const size_t column = header->tally_column[by];

        if (column < header->columns.count && column < row->count &&
            counter_add(&tally->by[by], row->cells[column].text, row->cells[column].len, 1) < 0)
            return cause_memory(cause);
    }
    return 0;
}

int training_tally(const struct training *training, uint64_t offset, uint64_t length,
                   struct tally *tally, struct cause *cause)
{
    const struct csv_file_request request = {.fd = training->fd,
                                             .name = DATADIR_TRAINING,
                                             .offset = offset,
                                             .end = offset + length,
                                             .max_row_bytes = TRAINING_MAX_ROW_BYTES,
                                             .max_columns = TRAINING_MAX_COLUMNS};
    bool is_header = offset == 0;
    struct csv_file rows;
    struct row row;
    int next;

    if (csv_file_open(&rows, &request, cause) < 0)
        return -1;
    while ((next = csv_file_next(&rows, &row, cause)) == CSV_READER_ROW) {
        if (row.fault == ROW_BLANK)
            continue;
        if (!is_header && tally_row(&training->header, &row, tally, cause) < 0)
            break;
        is_header = false;
    }
    csv_file_close(&rows);
    return next == CSV_READER_END ? 0 : -1;
}

/* Count the rows, without the header, of the first `size` bytes. */
static int count_rows(const struct training *training, uint64_t size, uint64_t *ret_rows,
                      struct cause *cause)
{
    struct tally tally = {0};
    int result = training_tally(training, 0, size, &tally, cause);

    *ret_rows = tally.rows;
    tally_free(&tally);
    return result;
}

/* ---- starting and adopting ---------------------------------------------------------------- */

/* Open the present file, if it is not open. Return 1, 0 if there is none, or -1. *ret_other: the
 * file is another one than before. */
static int open_training_file(struct training *training, bool *ret_other, struct cause *cause)
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

/* Hash the first `size` bytes into the line. */
static int hash_training_file(const struct training *training, uint64_t size,
                              struct ledger_line *line, struct cause *cause)
{
    struct digest_stream *stream = digest_stream_new();
    struct digest digest;
    char *chunk = malloc(HASH_SIZE);
    uint64_t done = 0;
    int result = -1;

    digest_init(&digest);
    if (stream == NULL || chunk == NULL) {
        cause_memory(cause);
        goto out;
    }
    while (done < size) {
        size_t want = size - done < HASH_SIZE ? (size_t)(size - done) : HASH_SIZE;
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

/* Record the line that starts a training file. */
static int record_start(struct training *training, struct ledger *ledger, struct ledger_line *line,
                        struct cause *cause)
{
    if (ledger->fd < 0 && ledger_create(ledger, cause) < 0)
        return -1;
    line->time = clock_real();
    line->name = DATADIR_TRAINING;
    if (ledger_add(ledger, line, cause) < 0)
        return -1;
    set_end(training, line->length);
    return 0;
}

/* Write the header, creating the file if there is none. */
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
        if (open_training_file(training, &other, cause) < 0)
            return -1;
    }
    if (durable_write(training->fd, header->data, header->len, 0, DATADIR_TRAINING, cause) < 0 ||
        durable_sync(training->fd, DATADIR_TRAINING, cause) < 0 ||
        durable_sync_dir(training->dir->root, DATADIR_TRAINING, cause) < 0)
        return -1;
    set_end(training, header->len);
    return read_header(training, cause);
}

/* Start a training file: record its header first, then write it. */
static int start_file(struct training *training, struct ledger *ledger, struct cause *cause)
{
    struct ledger_line line = {.verdict = VERDICT_STARTED};
    struct buffer header = {0};
    struct digest digest;
    int result = -1;

    if (training_header_print(training->schema, &header, cause) < 0)
        goto out;
    digest_init(&digest);
    digest_update(&digest, header.data, header.len);
    digest_final(&digest, line.sha256);
    line.bytes = line.length = header.len;
    line.range_hash = digest_check(header.data, header.len);
    /* After a crash the line may be there without the header. */
    if (!(ledger->start_is_last && ledger->start.verdict == VERDICT_STARTED &&
          ledger->start.length == line.length && ledger->start.range_hash == line.range_hash)) {
        if (ledger->has_start)
            log_notice("%s/" DATADIR_TRAINING
                       " is gone: starting a new one; what was merged stays known",
                       training->dir->path);
        if (record_start(training, ledger, &line, cause) < 0 || ledger_commit(ledger, cause) < 0)
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
    struct stat st;
    char last = '\n';
    bool other;
    int opened = open_training_file(training, &other, cause);

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
    if (read_header(training, cause) < 0)
        return -1;
    /* End the last row, so that the next one does not continue it. */
    if (last != '\n') {
        if (durable_write(training->fd, "\n", 1, (uint64_t)st.st_size, DATADIR_TRAINING, cause) <
                0 ||
            durable_sync(training->fd, DATADIR_TRAINING, cause) < 0)
            return -1;
        st.st_size++;
    }
    if (hash_training_file(training, (uint64_t)st.st_size, &line, cause) < 0 ||
        count_rows(training, line.length, &line.rows, cause) < 0)
        return -1;
    if (durable_sync(training->fd, DATADIR_TRAINING, cause) < 0 ||
        record_start(training, ledger, &line, cause) < 0)
        return -1;
    log_notice("adopted %s/" DATADIR_TRAINING " as it is: %" PRIu64 " rows, %" PRIu64 " bytes",
               training->dir->path, line.rows, line.length);
    return 0;
}

/* Adopt a file that no ledger knows. Only a person can say whether dropped files are in it. */
static int adopt_unknown(struct training *training, struct ledger *ledger, uint64_t size,
                         struct cause *cause)
{
    uint64_t rows;
    int drops = 0;

    if (size == 0)
        return start_file(training, ledger, cause);
    if (read_header(training, cause) < 0 || count_rows(training, size, &rows, cause) < 0)
        return -1;
    if (rows > 0 && training->has_drops != NULL)
        drops = training->has_drops(training->dir, cause);
    if (drops > 0)
        cause_set(cause, CAUSE_CONFIG,
                  "%s/" DATADIR_TRAINING " holds %" PRIu64
                  " rows from before, and CSV files lie in " DATADIR_DROP
                  "/ or archive/: run 'phasesentinel adopt --drops merged' if their "
                  "rows are in it already, "
                  "'phasesentinel adopt --drops new' if not",
                  training->dir->path, rows);
    if (drops != 0 || training_adopt(training, ledger, cause) < 0)
        return -1;
    return ledger_commit(ledger, cause);
}

/* ---- comparing with the ledger ------------------------------------------------------------ */

/* Save the uncommitted bytes from `end` to `size` in state/cut/, then cut them off. */
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

/* Compare the last range with its hash, unless it is large. */
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

/* Make file and ledger agree, where both are there: cut off a tail, mend the header, or refuse. */
static int reconcile(struct training *training, struct ledger *ledger, uint64_t size, bool other,
                     struct cause *cause)
{
    int torn;

    if (ledger->start_is_last && ledger->start.verdict == VERDICT_STARTED &&
        size <= ledger->training_end) {
        torn = training_header_is_torn(training->fd, size, training->schema, cause);
        if (torn != 0)
            return torn < 0 ? -1 : start_file(training, ledger, cause);
    }
    if (size < ledger->training_end)
        return cause_set(cause, CAUSE_CORRUPT,
                         "%s/" DATADIR_TRAINING " has %" PRIu64
                         " bytes where the ledger books %" PRIu64
                         ": nothing was touched. Put the file back, or run 'phasesentinel adopt "
                         "--drops merged' to take it as "
                         "it is, or move it away to start a new one",
                         training->dir->path, size, ledger->training_end);
    if (other &&
        (verify_last_range(training, ledger, cause) < 0 || read_header(training, cause) < 0))
        return -1;
    if (size > ledger->training_end && cut_tail(training, ledger->training_end, size, cause) < 0)
        return -1;
    set_end(training, ledger->training_end);
    return 0;
}

int training_open(struct training *training, struct ledger *ledger, struct cause *cause)
{
    struct stat st;
    bool other;
    int opened = open_training_file(training, &other, cause);

    if (opened < 0)
        return -1;
    if (opened == 0)
        return start_file(training, ledger, cause);
    if (fstat(training->fd, &st) < 0)
        return cause_errno(cause, CAUSE_RETRY, "cannot look at " DATADIR_TRAINING);
    if (!ledger->has_start)
        return adopt_unknown(training, ledger, (uint64_t)st.st_size, cause);
    if (reconcile(training, ledger, (uint64_t)st.st_size, other, cause) == 0)
        return 0;
    /* Close the file, so that the next call checks it as a new one. */
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

    training_init(&training, dir, schema, NULL);
    result = open_training_file(&training, &other, cause);
    if (result > 0)
        result = read_header(&training, cause);
    training_close(&training);
    return result;
}

/* ---- appending ---------------------------------------------------------------------------- */

int training_append(struct training *training, const struct spill *rows, struct thread_pool *pool,
                    struct cause *cause)
{
    return appender_add(&training->appender, rows, pool, cause);
}

int training_commit(struct training *training, struct cause *cause)
{
    return appender_commit(&training->appender, cause);
}

int training_rollback(struct training *training, uint64_t end, struct cause *cause)
{
    return appender_rollback(&training->appender, end, cause);
}

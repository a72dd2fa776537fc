#include "csv/file_check.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/csv_name.h"

#define FLUSH_SIZE (1024 * 1024)
#define HASH_APART (512 * 1024) /* larger files may be hashed by another thread */

/* The state of one reading. */
struct reading {
    struct file_check *file_check;
    const struct file_check_request *request;
    struct check_result *result;
    struct content_hash hash; /* hash of the rows handed out by csv_reader */
    char last_byte;           /* last byte in hash */
    bool begun;               /* true once the first bytes were checked */
    bool all_read;            /* true once no more bytes will come */
    bool opaque;              /* true if the file is only hashed: it is no CSV, or too large */
    bool has_header;
    bool bad_header;         /* true if no row is valid because the header is not */
    bool in_prefix;          /* true while the rows of the prefix are skipped */
    bool prefix_differs;     /* true if the file must be read again without the prefix */
    uint64_t continued_line; /* line of the prefix's unterminated last row, if that goes on; or 0 */
    bool line_end_due;       /* true if that row is followed by its line end: skip it */
    uint64_t blanks; /* blank lines since the last row, which are wrong once a row follows */
    uint64_t first_blank;
};

int file_check_init(struct file_check *file_check, const struct schema *schema,
                    const struct config *config, struct cause *cause)
{
    *file_check = (struct file_check){.schema = schema, .config = config};
    file_check->rows = csv_reader_open(config->max_row_bytes, config->max_columns);
    file_check->caches = calloc(schema->count + 1, sizeof *file_check->caches);
    if (file_check->rows == NULL || file_check->caches == NULL)
        return cause_memory(cause);
    return 0;
}

void file_check_free(struct file_check *file_check)
{
    csv_reader_close(file_check->rows);
    fast_path_close(&file_check->fast_path);
    decompress_free(&file_check->decompress);
    buffer_free(&file_check->name);
    free(file_check->caches);
    column_map_free(&file_check->column_map);
    buffer_free(&file_check->accepted);
    *file_check = (struct file_check){0};
}

/* Look at the first bytes: what is no CSV, or too large, is hashed only. A BOM is skipped. */
static void check_first_bytes(struct reading *reading, const char *bytes, size_t len)
{
    const uint64_t max = reading->file_check->config->max_file_bytes;
    const bool packed = decompress_is_packed(&reading->file_check->decompress);
    enum violation_code code = VIOLATION_FILE_TOO_LARGE;
    bool utf16;
    const char *kind = decompress_not_csv(bytes, len, &utf16);
    char text[128] = "";

    reading->begun = true;
    reading->result->head = content_hash_head(bytes, len, reading->all_read);
    if (kind != NULL) {
        code = utf16 ? VIOLATION_ENCODING_ERROR : VIOLATION_FORMAT_ERROR;
        snprintf(text, sizeof text, "%s is no CSV but %s%s", packed ? "what is inside" : "the file",
                 kind, packed ? "" : decompress_advice(bytes, len));
    } else if (!packed && max > 0 && reading->request->size > max) {
        snprintf(text, sizeof text,
                 "%" PRIu64 " bytes, more than max_file_mib = %" PRIu64 " allows",
                 reading->request->size, max >> 20);
    }
    reading->opaque = text[0] != '\0';
    if (reading->opaque)
        check_result_blame(reading->result, code, text);
    else if (len >= 3 && memcmp(bytes, "\xEF\xBB\xBF", 3) == 0)
        csv_reader_skip(reading->file_check->rows, 3);
}

static int flush_rows(struct reading *reading, size_t at_least, struct cause *cause)
{
    struct file_check *file_check = reading->file_check;
    struct buffer *accepted = &file_check->accepted;

    if (buffer_failed(accepted))
        return cause_memory(cause);
    if (accepted->len == 0 || accepted->len < at_least)
        return 0;
    if (reading->request->sink.accept != NULL && !file_check->rejecting &&
        reading->request->sink.accept(reading->request->sink.context, accepted, cause) < 0)
        return -1;
    buffer_clear(accepted);
    return 0;
}

static int take_header(struct reading *reading, const struct row *row, struct cause *cause)
{
    struct file_check *file_check = reading->file_check;
    const struct column_map_request request = {.schema = file_check->schema,
                                               .output = reading->request->layout,
                                               .caches = file_check->caches,
                                               .name = buffer_text(&file_check->name),
                                               .header = row};
    const uint64_t before = reading->result->violations.total;

    reading->has_header = true;
    reading->result->no_rows = !row_is_beyond_repair(row);
    if (row->fault == ROW_SOUND) {
        check_result_set_header(reading->result, row);
        if (column_map_bind(&file_check->column_map, &request, &reading->result->violations,
                            cause) < 0)
            return -1;
    } else {
        row_check_fault(row, &reading->result->violations);
    }
    reading->bad_header = reading->result->violations.total > before;
    reading->in_prefix = reading->request->prefix.bytes > 0;
    if (reading->bad_header)
        return 0;
    content_hash_search(
        &reading->hash,
        &(struct content_search){reading->request->known, reading->request->prefix.bytes,
                                 reading->request->shorter_than},
        (struct content_meta){file_check->column_map.has_meta, file_check->column_map.meta});
    return fast_path_open(&file_check->fast_path, &file_check->column_map,
                          file_check->config->max_row_bytes, cause);
}

/* Report blank lines once a row follows them. */
static void report_blanks(struct reading *reading)
{
    if (reading->blanks == 0)
        return;
    row_check_blanks(reading->first_blank, reading->blanks, &reading->result->violations);
    reading->result->bad_rows += reading->blanks;
    reading->file_check->rejecting = reading->file_check->config->bad_rows == CONFIG_REJECT_FILE;
    reading->blanks = 0;
}

/* Return the destination of rows that are certainly valid. */
static struct fast_path_sink fast_sink(struct reading *reading)
{
    struct file_check *file_check = reading->file_check;
    const bool written = !file_check->rejecting && reading->request->sink.accept != NULL;

    return (struct fast_path_sink){.out = written ? &file_check->accepted : NULL,
                                   .tally = &reading->result->tally};
}

/* Take a row that csv_reader parsed, if it is certainly valid: one whose quotes were not needed.
 * Return 1 if it is taken; 0 if not, and the rows before it are in the tally; or -1. */
static int take_parsed_row(struct reading *reading, const struct row *row, struct cause *cause)
{
    struct fast_path *fast_path = &reading->file_check->fast_path;
    struct fast_path_sink sink = fast_sink(reading);
    int taken = 0;

    if (reading->bad_header)
        return 0;
    if (row->fault == ROW_SOUND && row->ended)
        taken = fast_path_row(fast_path, row, &sink, cause);
    if (taken == 0)
        return fast_path_count(fast_path, sink.tally, cause);
    reading->result->rows += sink.rows;
    return taken;
}

static int drop_row(struct reading *reading, const struct row *row, struct cause *cause)
{
    const struct file_check_sink *sink = &reading->request->sink;

    reading->result->bad_rows++;
    if (reading->file_check->config->bad_rows == CONFIG_REJECT_FILE)
        reading->file_check->rejecting = true;
    else if (sink->reject != NULL && !reading->bad_header)
        return sink->reject(sink->context, row->raw, row->raw_len, cause);
    return 0;
}

static int accept_row(struct reading *reading, const struct row *row, struct cause *cause)
{
    struct file_check *file_check = reading->file_check;

    reading->result->rows++;
    if (file_check->rejecting || reading->request->sink.accept == NULL)
        return 0;
    row_write(&file_check->column_map, row, &file_check->accepted);
    if (row_tally(&file_check->column_map, row, &reading->result->tally, cause) < 0)
        return -1;
    return flush_rows(reading, FLUSH_SIZE, cause);
}

/* Check a row that is not certainly valid. Under a bad header no row is valid. */
static enum row_check_result check_row(struct reading *reading, const struct row *row)
{
    struct file_check *file_check = reading->file_check;
    enum row_check_result checked;

    checked = row_check(&file_check->column_map, row, file_check->config->newline_required,
                        &reading->result->violations);
    reading->result->no_newline |= checked == ROW_CHECK_VALID && !row->ended;
    return checked == ROW_CHECK_VALID && reading->bad_header ? ROW_CHECK_INVALID : checked;
}

static int take_body_row(struct reading *reading, const struct row *row, struct cause *cause)
{
    const int taken = take_parsed_row(reading, row, cause);

    reading->result->no_rows = false;
    if (taken != 0)
        return taken < 0 ? -1 : flush_rows(reading, FLUSH_SIZE, cause);
    reading->result->cut_short |= row->last;
    switch (check_row(reading, row)) {
    case ROW_CHECK_VALID:
        return accept_row(reading, row, cause);
    case ROW_CHECK_INVALID:
        return drop_row(reading, row, cause);
    case ROW_CHECK_NO_MEMORY:
        break;
    }
    return cause_memory(cause);
}

static int take_row(struct reading *reading, const struct row *row, struct cause *cause)
{
    if (row->fault == ROW_BLANK) {
        if (reading->blanks++ == 0)
            reading->first_blank = row->line;
        return 0;
    }
    report_blanks(reading);
    return reading->has_header ? take_body_row(reading, row, cause)
                               : take_header(reading, row, cause);
}

/* Hash the rows that were handed out since the last call; of a large file while the next rows are
 * read. */
static void hash_consumed(struct reading *reading)
{
    size_t len;
    const char *bytes = csv_reader_consumed(reading->file_check->rows, &len);
    const bool is_large = reading->request->size >= HASH_APART ||
                          decompress_is_packed(&reading->file_check->decompress);

    if (len > 0)
        reading->last_byte = bytes[len - 1];
    content_hash_add(&reading->hash, bytes, len,
                     is_large && len >= HASH_APART / 8 ? reading->request->pool : NULL);
}

/* At the end of the prefix, compare its hash, and find out whether its last row has ended. */
static void end_prefix(struct reading *reading)
{
    const char *next;
    size_t len;

    reading->prefix_differs = !content_hash_is(&reading->hash, &reading->request->prefix);
    /* A prefix without a final newline: its last row has ended only if a line end comes now. */
    next = csv_reader_rest(reading->file_check->rows, &len);
    if (!reading->prefix_differs && len > 0 && reading->last_byte != '\n') {
        reading->line_end_due = next[0] == '\n' || (len > 1 && next[0] == '\r' && next[1] == '\n');
        if (!reading->line_end_due)
            reading->continued_line = csv_reader_line(reading->file_check->rows);
    }
    if (reading->continued_line > 0)
        reading->prefix_differs = true;
    reading->in_prefix = reading->prefix_differs;
    reading->result->prefix_found = !reading->prefix_differs;
}

/* Skip the rows of the prefix. Return true if the rows after it cannot be read yet, or not at all. */
static bool pass_prefix(struct reading *reading)
{
    struct csv_reader *rows = reading->file_check->rows;
    size_t behind;

    hash_consumed(reading);
    /* The prefix is shorter than this file's header. */
    if (reading->hash.given > reading->request->prefix.bytes) {
        reading->prefix_differs = true;
        return true;
    }
    csv_reader_skip(rows, (size_t)(reading->request->prefix.bytes - reading->hash.given));
    hash_consumed(reading);
    csv_reader_rest(rows, &behind);
    /* Two bytes are needed to see whether a line end comes next. */
    if (reading->hash.given == reading->request->prefix.bytes && (behind >= 2 || reading->all_read))
        end_prefix(reading);
    return reading->in_prefix || reading->prefix_differs;
}

/* Take the next rows, as long as they are certainly valid. */
static int take_fast_rows(struct reading *reading, struct cause *cause)
{
    struct file_check *file_check = reading->file_check;
    struct fast_path_sink sink = fast_sink(reading);
    ptrdiff_t passed;
    const char *text;
    size_t len;

    if (!reading->has_header || reading->bad_header || reading->blanks > 0)
        return 0;
    text = csv_reader_peek(file_check->rows, &len);
    if (text == NULL)
        return 0;
    passed = fast_path_rows(&file_check->fast_path, text, len, &sink, cause);
    if (passed <= 0)
        return (int)passed;
    csv_reader_advance(file_check->rows, (size_t)passed, sink.rows);
    reading->result->rows += sink.rows;
    reading->result->no_rows = false;
    return flush_rows(reading, FLUSH_SIZE, cause);
}

/* Give the rest of the accepted rows to the sink and to the tally. */
static int hand_over(struct reading *reading, struct cause *cause)
{
    if (reading->has_header && !reading->bad_header &&
        fast_path_count(&reading->file_check->fast_path, &reading->result->tally, cause) < 0)
        return -1;
    return flush_rows(reading, 0, cause);
}

/* Take all rows that are buffered. */
static int take_rows(struct reading *reading, struct cause *cause)
{
    struct row row;
    int result;

    if (reading->opaque)
        csv_reader_skip(reading->file_check->rows, SIZE_MAX);
    while (!reading->opaque) {
        if (reading->in_prefix && pass_prefix(reading))
            break;
        if (!reading->line_end_due && take_fast_rows(reading, cause) < 0)
            return -1;
        result = csv_reader_next(reading->file_check->rows, &row, cause);
        if (result < 0)
            return -1;
        if (result != CSV_READER_ROW)
            break;
        if (reading->line_end_due) {
            reading->line_end_due = false;
            continue;
        }
        if (take_row(reading, &row, cause) < 0)
            return -1;
    }
    hash_consumed(reading);
    return 0;
}

/* Return -1 with CAUSE_CHANGED if the reading is to be stopped. */
static int check_stop(const struct file_check_request *request, struct cause *cause)
{
    if (request->stop == NULL || !atomic_load(request->stop))
        return 0;
    return cause_set(cause, CAUSE_CHANGED, "the reading of %s was stopped", request->name);
}

static int read_rows(struct reading *reading, struct cause *cause)
{
    const struct file_check_request *request = reading->request;
    struct decompress *decompress = &reading->file_check->decompress;
    struct csv_reader *rows = reading->file_check->rows;
    size_t len;

    for (;;) {
        char *space = csv_reader_space(rows, &len);
        ssize_t n;

        if (space == NULL)
            return cause_memory(cause);
        if (check_stop(request, cause) < 0)
            return -1;
        n = decompress_read(decompress, space, len, cause);
        if (n < 0)
            return -1;
        if (decompress->fault != DECOMPRESS_SOUND)
            return 0;
        csv_reader_filled(rows, (size_t)n);
        reading->all_read = decompress->ended;
        if (!reading->begun && (n > 0 || reading->all_read))
            check_first_bytes(reading, space, (size_t)n);
        if (reading->all_read && !request->complete_only)
            csv_reader_finish(rows);
        if (take_rows(reading, cause) < 0)
            return -1;
        /* The content of a compressed file may be shorter than the prefix. */
        reading->prefix_differs |= reading->all_read && reading->in_prefix;
        if (reading->prefix_differs || reading->all_read)
            return 0;
    }
}

/* Give the verdict on a file that cannot be decompressed whole, which is known by its own bytes. */
static int take_broken(struct reading *reading, struct cause *cause)
{
    struct decompress *decompress = &reading->file_check->decompress;
    struct check_result *result = reading->result;
    int more;

    if (check_result_set_broken(result, decompress) < 0)
        return cause_memory(cause);
    while ((more = decompress_rest(decompress, cause)) > 0)
        if (check_stop(reading->request, cause) < 0)
            return -1;
    decompress_own(decompress, result->raw_sha256);
    memcpy(result->sha256, result->raw_sha256, DIGEST_SIZE);
    return more;
}

static int begin_decompress(struct file_check *file_check, const struct file_check_request *request,
                            struct cause *cause)
{
    const struct decompress_request whole = {.fd = request->fd,
                                             .name = request->name,
                                             .format = decompress_format_of(request->name),
                                             .size = request->size,
                                             .max_bytes = file_check->config->max_file_bytes,
                                             .max_ratio = file_check->config->max_expand_ratio};

    decompress_begin(&file_check->decompress, &whole);
    buffer_clear(&file_check->name);
    buffer_append(&file_check->name, request->name, csv_name_length(request->name));
    buffer_text(&file_check->name);
    return buffer_failed(&file_check->name) ? cause_memory(cause) : 0;
}

static int run_once(struct file_check *file_check, const struct file_check_request *request,
                    struct check_result *result, bool *ret_prefix_differs, struct cause *cause)
{
    struct reading reading = {.file_check = file_check, .request = request, .result = result};
    uint64_t continued = result->continued_line;
    size_t rest;
    int done;

    check_result_clear(result);
    result->continued_line = request->prefix.bytes == 0 ? continued : 0;
    result->no_rows = true;
    column_map_reset(&file_check->column_map);
    csv_reader_reset(file_check->rows);
    buffer_clear(&file_check->accepted);
    file_check->rejecting = false;
    content_hash_begin(&reading.hash);
    if (begin_decompress(file_check, request, cause) < 0)
        return -1;
    done = read_rows(&reading, cause);
    content_hash_finish(&reading.hash);
    if (done < 0)
        return -1;
    if (file_check->decompress.fault != DECOMPRESS_SOUND)
        return take_broken(&reading, cause);
    *ret_prefix_differs = reading.prefix_differs;
    if (reading.prefix_differs) {
        result->continued_line = reading.continued_line;
        return 0;
    }
    if (hand_over(&reading, cause) < 0)
        return -1;
    csv_reader_rest(file_check->rows, &rest);
    result->rest = rest;
    result->bytes = reading.hash.given;
    digest_final(&reading.hash.digest, result->sha256);
    result->longer =
        reading.hash.found.bytes < result->bytes ? reading.hash.found : reading.hash.before;
    if (decompress_is_packed(&file_check->decompress))
        decompress_own(&file_check->decompress, result->raw_sha256);
    else
        memcpy(result->raw_sha256, result->sha256, DIGEST_SIZE);
    result->has_meta = file_check->column_map.has_meta;
    result->meta = file_check->column_map.meta;
    result->no_columns = file_check->column_map.columns == 0;
    if (result->prefix_found || reading.opaque)
        result->no_rows = false;
    if (buffer_failed(&result->violations.texts) || buffer_failed(&result->header))
        return cause_memory(cause);
    return 0;
}

int file_check_run(struct file_check *file_check, const struct file_check_request *request,
                   struct check_result *result, struct cause *cause)
{
    struct file_check_request whole = *request;
    bool prefix_differs = false;

    if (decompress_format_of(request->name) == DECOMPRESS_PLAIN && whole.prefix.bytes > whole.size)
        whole.prefix.bytes = 0;
    result->continued_line = 0;
    if (run_once(file_check, &whole, result, &prefix_differs, cause) < 0)
        return -1;
    if (!prefix_differs)
        return 0;
    whole.prefix.bytes = 0;
    return run_once(file_check, &whole, result, &prefix_differs, cause);
}

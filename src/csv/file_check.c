#include "csv/file_check.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/csv_name.h"

#define FLUSH_SIZE (1024 * 1024)
#define HASH_APART (512 * 1024) /* larger files may be hashed by another thread */
#define HEAD_MAX   (64 * 1024)

/* How a reading goes on. */
struct reading {
    struct file_check *file_check;
    const struct file_check_request *order;
    struct check_result *result;
    struct content_hash hash; /* of the bytes of whole rows */
    char last_byte;           /* the last of them */
    bool begun;               /* the first bytes have been looked at */
    bool all_read;            /* no more bytes will come */
    bool opaque;              /* not CSV: hashed only */
    bool has_header;
    bool bad_header;         /* rows are counted, cells not checked */
    bool in_prefix;          /* the booked content is being passed over */
    bool prefix_differs;     /* it is not what was booked: read again without it */
    uint64_t continued_line; /* it is, but its last row had no line end and goes on */
    bool line_end_due;       /* it is, and the line end that its last row lacked comes next */
    uint64_t blanks; /* lines without content since the last row: wrong once a row follows */
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
    decompress_free(&file_check->unpack);
    buffer_free(&file_check->name);
    free(file_check->caches);
    column_map_free(&file_check->column_map);
    buffer_free(&file_check->accepted);
    *file_check = (struct file_check){0};
}

static bool is_packed(const struct reading *reading)
{
    return reading->file_check->unpack.order.format != DECOMPRESS_PLAIN;
}

/* Return a key of the header and the first row, or 0 if the bytes do not reach to their end. Content
 * that begins with other content has the same key. */
static uint64_t head_key(const char *bytes, size_t len, bool all)
{
    const size_t limit = len < HEAD_MAX ? len : HEAD_MAX;
    const char *end = memchr(bytes, '\n', limit);

    if (end != NULL)
        end = memchr(end + 1, '\n', limit - (size_t)(end + 1 - bytes));
    if (end == NULL && !all && len < HEAD_MAX)
        return 0;
    len = end == NULL ? limit : (size_t)(end - bytes);
    if (len > 0 && bytes[len - 1] == '\r')
        len--;
    return digest_key(bytes, len) | 1;
}

static void look_at_first_bytes(struct reading *reading, const char *bytes, size_t len)
{
    struct file_check *file_check = reading->file_check;
    bool utf16;
    const char *kind = decompress_not_csv(bytes, len, &utf16);
    char text[128];

    reading->begun = true;
    reading->result->head = head_key(bytes, len, reading->all_read);
    if (kind != NULL) {
        snprintf(text, sizeof text, "%s is no CSV but %s%s",
                 is_packed(reading) ? "what is inside" : "the file", kind,
                 is_packed(reading) ? "" : decompress_advice(bytes, len));
        check_result_blame(reading->result,
                           utf16 ? VIOLATION_ENCODING_ERROR : VIOLATION_FORMAT_ERROR, text);
        reading->opaque = true;
        return;
    }
    if (!is_packed(reading) && file_check->config->max_file_bytes > 0 &&
        reading->order->size > file_check->config->max_file_bytes) {
        snprintf(text, sizeof text,
                 "%" PRIu64 " bytes, more than max_file_mib = %" PRIu64 " allows",
                 reading->order->size, file_check->config->max_file_bytes >> 20);
        check_result_blame(reading->result, VIOLATION_FILE_TOO_LARGE, text);
        reading->opaque = true;
        return;
    }
    if (len >= 3 && memcmp(bytes, "\xEF\xBB\xBF", 3) == 0)
        csv_reader_skip(file_check->rows, 3);
}

static int flush(struct reading *reading, size_t at_least, struct cause *cause)
{
    struct file_check *file_check = reading->file_check;
    struct buffer *accepted = &file_check->accepted;

    if (buffer_failed(accepted))
        return cause_memory(cause);
    if (accepted->len == 0 || accepted->len < at_least)
        return 0;
    if (reading->order->sink.accept != NULL && !file_check->rejecting &&
        reading->order->sink.accept(reading->order->sink.context, accepted, cause) < 0)
        return -1;
    buffer_clear(accepted);
    return 0;
}

/* A header that more bytes will not mend: such a file is judged without rows, too. */
static bool is_hopeless(const struct row *row)
{
    switch (row->fault) {
    case ROW_NUL:
    case ROW_TOO_LONG:
    case ROW_TOO_MANY_COLUMNS:
        return true;
    case ROW_NOT_UTF8:
    case ROW_LONE_CR: /* at the very end it may be half a character, or half a CRLF */
        return row->ended || row->fault_offset + 4 < row->raw_len;
    case ROW_SOUND:
    case ROW_BLANK:
    case ROW_STRAY_QUOTE:
    case ROW_UNTERMINATED:
        break;
    }
    return false;
}

static int take_header(struct reading *reading, const struct row *row, struct cause *cause)
{
    struct file_check *file_check = reading->file_check;
    const struct column_map_request request = {.schema = file_check->schema,
                                               .output = reading->order->layout,
                                               .caches = file_check->caches,
                                               .name = buffer_text(&file_check->name),
                                               .header = row};
    uint64_t before = reading->result->violations.total;
    size_t len = row->raw_len;

    reading->has_header = true;
    reading->result->no_rows = !is_hopeless(row);
    if (row->fault == ROW_SOUND) {
        while (len > 0 && (row->raw[len - 1] == '\n' || row->raw[len - 1] == '\r'))
            len--;
        buffer_append(&reading->result->header, row->raw, len);
        buffer_byte(&reading->result->header, '\n');
        if (column_map_bind(&file_check->column_map, &request, &reading->result->violations,
                            cause) < 0)
            return -1;
    } else {
        row_check_fault(row, &reading->result->violations);
    }
    reading->bad_header = reading->result->violations.total > before;
    if (!reading->bad_header && fast_path_open(&file_check->fast_path, &file_check->column_map,
                                               file_check->config->max_row_bytes, cause) < 0)
        return -1;
    reading->in_prefix = reading->order->prefix.bytes > 0;
    if (!reading->bad_header)
        content_hash_search(
            &reading->hash,
            &(struct content_search){reading->order->known, reading->order->prefix.bytes,
                                     reading->order->shorter_than},
            (struct content_meta){file_check->column_map.has_meta, file_check->column_map.meta});
    return 0;
}

static void report_blanks(struct reading *reading)
{
    struct row blank = {.fault = ROW_BLANK};
    uint64_t i;

    for (i = 0; i < reading->blanks; i++) {
        blank.fault_line = reading->first_blank + i;
        row_check_fault(&blank, &reading->result->violations);
        reading->result->bad_rows++;
        reading->file_check->rejecting =
            reading->file_check->config->bad_rows == CONFIG_REJECT_FILE;
    }
    reading->blanks = 0;
}

static void add_truncated(struct reading *reading, const struct row *row)
{
    struct violations *violations = &reading->result->violations;
    struct buffer *message = violations_add(
        violations, VIOLATION_TRUNCATED_FILE,
        (struct violation_at){.line = row->line, .value = row->raw, .value_len = row->raw_len});

    if (message == NULL)
        return;
    buffer_printf(message, "the last line has no newline%s: the file was cut off; send it again",
                  reading->file_check->config->newline_required ? "" : " and is no valid row");
    violations_added(violations);
}

static uint64_t last_line(const struct row *row)
{
    uint64_t line = row->line;
    size_t i;

    for (i = 0; i < row->raw_len; i++)
        line += row->raw[i] == '\n';
    return line;
}

/*
 * The last line has no line end. Valid it may count; else that is its only fault, whatever its
 * cells look like. But NUL bytes are no row that was cut, and a quote that opened lines ago has
 * swallowed whole rows.
 */
static enum row_check_result check_last_row(struct reading *reading, const struct row *row)
{
    struct file_check *file_check = reading->file_check;
    struct violations silent;
    enum row_check_result checked;

    if (row->fault == ROW_NUL || row->fault == ROW_TOO_LONG ||
        (row->fault == ROW_UNTERMINATED && row->fault_line < last_line(row))) {
        row_check_fault(row, &reading->result->violations);
        return ROW_CHECK_INVALID;
    }
    violations_init(&silent, 0);
    checked = row_check(&file_check->column_map, row, &silent);
    violations_free(&silent);
    if (checked == ROW_CHECK_VALID && file_check->config->newline_required)
        checked = ROW_CHECK_INVALID;
    if (checked == ROW_CHECK_VALID)
        reading->result->no_newline = true;
    else if (checked == ROW_CHECK_INVALID)
        add_truncated(reading, row);
    return checked;
}

/* Return where rows go that are certainly valid. */
static struct fast_path_sink fast_sink(struct reading *reading)
{
    struct file_check *file_check = reading->file_check;
    const bool written = !file_check->rejecting && reading->order->sink.accept != NULL;

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

static int take_row(struct reading *reading, const struct row *row, struct cause *cause)
{
    struct file_check *file_check = reading->file_check;
    struct check_result *result = reading->result;
    enum row_check_result checked;
    int taken;

    if (row->fault == ROW_BLANK) {
        if (reading->blanks++ == 0)
            reading->first_blank = row->line;
        return 0;
    }
    if (!reading->has_header) {
        report_blanks(reading);
        return take_header(reading, row, cause);
    }
    report_blanks(reading);
    result->no_rows = false;
    taken = take_parsed_row(reading, row, cause);
    if (taken != 0)
        return taken < 0 ? -1 : flush(reading, FLUSH_SIZE, cause);
    result->cut_short |= row->last;
    if (file_check->column_map.columns == 0) {
        checked = ROW_CHECK_INVALID; /* a header that is no row: cells mean nothing */
        if (row->fault != ROW_SOUND)
            row_check_fault(row, &result->violations);
    } else if (!row->ended) {
        checked = check_last_row(reading, row);
    } else {
        checked = row_check(&file_check->column_map, row, &result->violations);
    }
    if (checked == ROW_CHECK_NO_MEMORY)
        return cause_memory(cause);
    if (checked == ROW_CHECK_INVALID || reading->bad_header) {
        result->bad_rows++;
        if (file_check->config->bad_rows == CONFIG_REJECT_FILE)
            file_check->rejecting = true;
        else if (reading->order->sink.reject != NULL && !reading->bad_header)
            return reading->order->sink.reject(reading->order->sink.context, row->raw, row->raw_len,
                                               cause);
        return 0;
    }
    result->rows++;
    if (file_check->rejecting || reading->order->sink.accept == NULL)
        return 0;
    row_write(&file_check->column_map, row, &file_check->accepted);
    if (row_tally(&file_check->column_map, row, &result->tally, cause) < 0)
        return -1;
    return flush(reading, FLUSH_SIZE, cause);
}

/* Hash the rows that were handed out since the last call; of a large file while the next rows are
 * read. */
static void hash_consumed(struct reading *reading)
{
    size_t len;
    const char *bytes = csv_reader_consumed(reading->file_check->rows, &len);
    const bool is_large = reading->order->size >= HASH_APART || is_packed(reading);

    if (len > 0)
        reading->last_byte = bytes[len - 1];
    content_hash_add(&reading->hash, bytes, len,
                     is_large && len >= HASH_APART / 8 ? reading->order->pool : NULL);
}

/* At the end of the prefix: is it what was booked, and does it end at a line end? */
static void end_prefix(struct reading *reading)
{
    const struct file_check_request *order = reading->order;
    struct check_result *result = reading->result;
    unsigned char sha[DIGEST_SIZE];
    const char *next;
    size_t len;

    content_hash_finish(&reading->hash);
    digest_final(&reading->hash.digest, sha);
    reading->prefix_differs = memcmp(sha, order->prefix.sha256, DIGEST_SIZE) != 0;
    /* Booked without a final newline: the row has ended only if a line end comes now. */
    next = csv_reader_rest(reading->file_check->rows, &len);
    if (!reading->prefix_differs && len > 0 && reading->last_byte != '\n') {
        reading->line_end_due = next[0] == '\n' || (len > 1 && next[0] == '\r' && next[1] == '\n');
        if (!reading->line_end_due)
            reading->continued_line = csv_reader_line(reading->file_check->rows);
    }
    if (reading->continued_line > 0)
        reading->prefix_differs = true;
    reading->in_prefix = reading->prefix_differs;
    result->prefix_found = !reading->prefix_differs;
}

static bool pass_prefix(struct reading *reading)
{
    struct csv_reader *rows = reading->file_check->rows;
    size_t behind;

    hash_consumed(reading);
    /* What was booked was shorter than this file's header. */
    if (reading->hash.given > reading->order->prefix.bytes) {
        reading->prefix_differs = true;
        return true;
    }
    csv_reader_skip(rows, (size_t)(reading->order->prefix.bytes - reading->hash.given));
    hash_consumed(reading);
    csv_reader_rest(rows, &behind);
    /* Whether a line end comes next takes two bytes to tell. */
    if (reading->hash.given == reading->order->prefix.bytes && (behind >= 2 || reading->all_read))
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
    if (passed < 0)
        return -1;
    if (passed == 0)
        return 0;
    csv_reader_advance(file_check->rows, (size_t)passed, sink.rows);
    reading->result->rows += sink.rows;
    reading->result->no_rows = false;
    return flush(reading, FLUSH_SIZE, cause);
}

/* What was taken is all in the sink and in the tally. */
static int hand_over(struct reading *reading, struct cause *cause)
{
    if (reading->has_header && !reading->bad_header &&
        fast_path_count(&reading->file_check->fast_path, &reading->result->tally, cause) < 0)
        return -1;
    return flush(reading, 0, cause);
}

/* All rows that are there. */
static int take_rows(struct reading *reading, struct cause *cause)
{
    struct row row;
    int result;

    for (;;) {
        if (reading->opaque) {
            csv_reader_skip(reading->file_check->rows, SIZE_MAX);
            break;
        }
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

static bool is_stopped(const struct file_check_request *order)
{
    return order->stop != NULL && atomic_load(order->stop);
}

static int stopped(const struct file_check_request *order, struct cause *cause)
{
    return cause_set(cause, CAUSE_CHANGED, "the reading of %s was stopped", order->name);
}

static int read_all(struct reading *reading, struct cause *cause)
{
    const struct file_check_request *order = reading->order;
    struct decompress *unpack = &reading->file_check->unpack;
    struct csv_reader *rows = reading->file_check->rows;
    size_t len;

    for (;;) {
        char *space = csv_reader_space(rows, &len);
        ssize_t n;

        if (space == NULL)
            return cause_memory(cause);
        if (is_stopped(order))
            return stopped(order, cause);
        n = decompress_read(unpack, space, len, cause);
        if (n < 0)
            return -1;
        if (unpack->fault != DECOMPRESS_SOUND)
            return 0;
        csv_reader_filled(rows, (size_t)n);
        reading->all_read = unpack->ended;
        if (!reading->begun && (n > 0 || reading->all_read))
            look_at_first_bytes(reading, space, (size_t)n);
        if (reading->all_read && !order->complete_only)
            csv_reader_finish(rows);
        if (take_rows(reading, cause) < 0)
            return -1;
        /* What is packed may be shorter than what was booked. */
        reading->prefix_differs |= reading->all_read && reading->in_prefix;
        if (reading->prefix_differs || reading->all_read)
            return 0;
    }
}

static enum violation_code code_of_fault(enum decompress_fault fault)
{
    switch (fault) {
    case DECOMPRESS_CUT:
        return VIOLATION_TRUNCATED_FILE;
    case DECOMPRESS_TOO_LARGE:
    case DECOMPRESS_TOO_DENSE:
        return VIOLATION_FILE_TOO_LARGE;
    case DECOMPRESS_SOUND:
    case DECOMPRESS_OTHER:
    case DECOMPRESS_DAMAGED:
    case DECOMPRESS_TRAILING:
    case DECOMPRESS_WINDOW:
    case DECOMPRESS_DICTIONARY:
        break;
    }
    return VIOLATION_FORMAT_ERROR;
}

/*
 * It cannot be unpacked whole. Nothing that came out of it counts, not even as faulty, and it is
 * known by its own bytes.
 */
static int take_broken(struct reading *reading, struct cause *cause)
{
    struct file_check *file_check = reading->file_check;
    struct check_result *result = reading->result;
    struct buffer text = {0};
    bool failed;
    int more;

    decompress_explain(&file_check->unpack, &text);
    check_result_clear(result);
    check_result_blame(result, code_of_fault(file_check->unpack.fault), buffer_text(&text));
    result->broken = true;
    result->bytes = reading->order->size;
    failed = buffer_failed(&text) || buffer_failed(&result->violations.texts);
    buffer_free(&text);
    if (failed)
        return cause_memory(cause);
    while ((more = decompress_rest(&file_check->unpack, cause)) > 0)
        if (is_stopped(reading->order))
            return stopped(reading->order, cause);
    decompress_own(&file_check->unpack, result->raw_sha256);
    memcpy(result->sha256, result->raw_sha256, DIGEST_SIZE);
    return more;
}

static int begin_unpacking(struct file_check *file_check, const struct file_check_request *order,
                           struct cause *cause)
{
    const struct decompress_request unpack = {.fd = order->fd,
                                              .name = order->name,
                                              .format = decompress_format_of(order->name),
                                              .size = order->size,
                                              .max_bytes = file_check->config->max_file_bytes,
                                              .max_ratio = file_check->config->max_expand_ratio};

    decompress_begin(&file_check->unpack, &unpack);
    buffer_clear(&file_check->name);
    buffer_append(&file_check->name, order->name, csv_name_length(order->name));
    buffer_text(&file_check->name);
    return buffer_failed(&file_check->name) ? cause_memory(cause) : 0;
}

static int read_once(struct file_check *file_check, const struct file_check_request *order,
                     struct check_result *result, bool *ret_prefix_differs, struct cause *cause)
{
    struct reading reading = {.file_check = file_check, .order = order, .result = result};
    uint64_t continued = result->continued_line;
    size_t rest;
    int done;

    check_result_clear(result);
    result->continued_line = order->prefix.bytes == 0 ? continued : 0;
    result->no_rows = true;
    column_map_reset(&file_check->column_map);
    csv_reader_reset(file_check->rows);
    buffer_clear(&file_check->accepted);
    file_check->rejecting = false;
    content_hash_begin(&reading.hash);
    if (begin_unpacking(file_check, order, cause) < 0)
        return -1;
    done = read_all(&reading, cause);
    content_hash_finish(&reading.hash);
    if (done < 0)
        return -1;
    if (file_check->unpack.fault != DECOMPRESS_SOUND)
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
    if (is_packed(&reading))
        decompress_own(&file_check->unpack, result->raw_sha256);
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

int file_check_run(struct file_check *file_check, const struct file_check_request *order,
                   struct check_result *result, struct cause *cause)
{
    struct file_check_request whole = *order;
    bool prefix_differs = false;

    if (decompress_format_of(order->name) == DECOMPRESS_PLAIN && whole.prefix.bytes > whole.size)
        whole.prefix.bytes = 0;
    result->continued_line = 0;
    if (read_once(file_check, &whole, result, &prefix_differs, cause) < 0)
        return -1;
    if (!prefix_differs)
        return 0;
    whole.prefix.bytes = 0;
    return read_once(file_check, &whole, result, &prefix_differs, cause);
}

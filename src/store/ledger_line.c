/*
 * The format of state/ledger.csv: a header, then one line for each verdict:
 *
 *     seq,batch,time,verdict,name,bytes,sha256,meta,rows,rejected,duplicate,offset,length,range_hash,check
 *
 *     seq, batch    number of the line, and of the first line of the same batch; the first is 1
 *     time          UTC, ISO 8601 with milliseconds
 *     verdict       one of verdict_names below
 *     name          path below user_data/; bytes outside A-Za-z0-9._~-/ are written as %XX
 *     bytes, sha256 of the whole content that was checked; of the CSV inside a packed file
 *     meta          hash of the user_id, source and label taken from name or directory; or empty
 *     rows          rows that this line added to the training file
 *     rejected      rows that were refused
 *     duplicate     rows that were in the training file already
 *     offset,length range of the added rows; without rows: end of the training file so far, 0
 *     range_hash    XXH3-64 of that range, or of no bytes
 *     check         XXH3-64 of the line before its last comma
 *
 * Numbers are decimal, hashes are lower-case hex digits. No cell is quoted. The program reads the
 * whole ledger at each start, so cells are parsed in place.
 *
 * Version 0.1 recorded a large file in parts: a merged line and grown lines of the same name, each
 * with the bytes and sha256 of a longer part. Such lines read like those of a file that grew.
 */
#include "store/ledger_line.h"

#include <string.h>

#include "base/clock.h"
#include "base/escape.h"

#define HASH_DIGITS 16
#define TIME_LEN    24

static const char *const verdict_names[VERDICT_COUNT] = {
    "started", "adopted", "merged", "grown", "duplicate", "quarantined", "forgotten"};

const char *verdict_name(enum verdict verdict)
{
    return verdict_names[verdict];
}

/* ---- printing -------------------------------------------------------------------------------- */

static void put_number(struct buffer *out, uint64_t number)
{
    char digits[20], *from = digits + sizeof digits;

    do
        *--from = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    buffer_append(out, from, (size_t)(digits + sizeof digits - from));
}

static void put_hash(struct buffer *out, uint64_t hash)
{
    unsigned char bytes[sizeof hash];
    size_t i;

    for (i = sizeof bytes; i > 0; i--, hash >>= 8)
        bytes[i - 1] = (unsigned char)hash;
    digest_hex(out, bytes, sizeof bytes);
}

void ledger_line_print(struct buffer *out, const struct ledger_line *line)
{
    const uint64_t numbers[] = {line->rows, line->rejected, line->duplicate, line->offset,
                                line->length};
    char when[CLOCK_TEXT_SIZE];
    size_t start = out->len, i;

    put_number(out, line->seq);
    buffer_byte(out, ',');
    put_number(out, line->batch);
    buffer_byte(out, ',');
    buffer_string(out, clock_print(when, line->time));
    buffer_byte(out, ',');
    buffer_string(out, verdict_names[line->verdict]);
    buffer_byte(out, ',');
    escape_percent(out, line->name, strlen(line->name));
    buffer_byte(out, ',');
    put_number(out, line->bytes);
    buffer_byte(out, ',');
    digest_hex(out, line->sha256, DIGEST_SIZE);
    buffer_byte(out, ',');
    if (line->has_meta)
        put_hash(out, line->meta);
    for (i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        buffer_byte(out, ',');
        put_number(out, numbers[i]);
    }
    buffer_byte(out, ',');
    put_hash(out, line->range_hash);
    if (buffer_failed(out))
        return;
    i = out->len;
    buffer_byte(out, ',');
    put_hash(out, digest_check(out->data + start, i - start));
    buffer_byte(out, '\n');
}

/* ---- parsing --------------------------------------------------------------------------------- */

/* The rest of a line. The take_ functions read a cell and the comma behind it, or return false. */
struct cells {
    const char *at, *end;
};

static bool take_comma(struct cells *cells)
{
    return cells->at < cells->end && *cells->at++ == ',';
}

static bool take_number(struct cells *cells, uint64_t *ret_number)
{
    const char *from = cells->at;
    uint64_t number = 0;
    unsigned digit;

    for (; cells->at < cells->end && (digit = (unsigned)(*cells->at - '0')) <= 9; cells->at++)
        if (__builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, digit, &number))
            return false;
    *ret_number = number;
    return cells->at > from && take_comma(cells);
}

static bool take_time(struct cells *cells, int64_t *ret_time)
{
    const char *from = cells->at;

    if (cells->end - from < TIME_LEN || !clock_parse(from, TIME_LEN, ret_time))
        return false;
    cells->at += TIME_LEN;
    return take_comma(cells);
}

static bool take_verdict(struct cells *cells, enum verdict *ret_verdict)
{
    const char *comma = memchr(cells->at, ',', (size_t)(cells->end - cells->at));
    size_t len = comma == NULL ? 0 : (size_t)(comma - cells->at);
    int v;

    for (v = 0; v < VERDICT_COUNT; v++)
        if (strlen(verdict_names[v]) == len && memcmp(verdict_names[v], cells->at, len) == 0)
            break;
    if (v == VERDICT_COUNT)
        return false;
    *ret_verdict = (enum verdict)v;
    cells->at += len;
    return take_comma(cells);
}

static bool take_name_cell(struct cells *cells, char name[LEDGER_NAME_SIZE])
{
    const char *comma = memchr(cells->at, ',', (size_t)(cells->end - cells->at));
    ssize_t len;

    if (comma == NULL)
        return false;
    len = escape_unpercent_into(name, LEDGER_NAME_SIZE - 1, cells->at, (size_t)(comma - cells->at));
    if (len <= 0 || memchr(name, '\0', (size_t)len) != NULL)
        return false;
    name[len] = '\0';
    cells->at = comma;
    return take_comma(cells);
}

static bool take_sha(struct cells *cells, unsigned char sha256[DIGEST_SIZE])
{
    if (cells->end - cells->at < 2 * DIGEST_SIZE || !digest_unhex(sha256, cells->at, DIGEST_SIZE))
        return false;
    cells->at += 2 * DIGEST_SIZE;
    return take_comma(cells);
}

static bool parse_hash(const char *digits, uint64_t *ret_hash)
{
    unsigned char bytes[HASH_DIGITS / 2];
    size_t i;

    if (!digest_unhex(bytes, digits, sizeof bytes))
        return false;
    *ret_hash = 0;
    for (i = 0; i < sizeof bytes; i++)
        *ret_hash = *ret_hash << 8 | bytes[i];
    return true;
}

static bool take_meta(struct cells *cells, bool *ret_has_meta, uint64_t *ret_meta)
{
    *ret_meta = 0;
    *ret_has_meta = cells->at < cells->end && *cells->at != ',';
    if (*ret_has_meta) {
        if (cells->end - cells->at < HASH_DIGITS || !parse_hash(cells->at, ret_meta))
            return false;
        cells->at += HASH_DIGITS;
    }
    return take_comma(cells);
}

bool ledger_line_parse(const char *text, size_t len, struct ledger_line *line,
                       char name[LEDGER_NAME_SIZE])
{
    struct cells cells = {text, text + len};
    uint64_t check;

    if (len < LEDGER_LINE_MIN_SIZE || text[len - HASH_DIGITS - 1] != ',' ||
        !parse_hash(text + len - HASH_DIGITS, &check) ||
        check != digest_check(text, len - HASH_DIGITS - 1))
        return false;
    line->name = name;
    /* Before the check, every cell ends in a comma. */
    cells.end -= HASH_DIGITS;
    return take_number(&cells, &line->seq) && take_number(&cells, &line->batch) &&
           take_time(&cells, &line->time) && take_verdict(&cells, &line->verdict) &&
           take_name_cell(&cells, name) && take_number(&cells, &line->bytes) &&
           take_sha(&cells, line->sha256) && take_meta(&cells, &line->has_meta, &line->meta) &&
           take_number(&cells, &line->rows) && take_number(&cells, &line->rejected) &&
           take_number(&cells, &line->duplicate) && take_number(&cells, &line->offset) &&
           take_number(&cells, &line->length) && cells.end - cells.at == HASH_DIGITS + 1 &&
           parse_hash(cells.at, &line->range_hash);
}

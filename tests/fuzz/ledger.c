/*
 * Fuzz the ledger with files of any bytes: which lines are accepted, cut off, or refused.
 *
 * The input is three bytes and the file. Bit 0 of the first byte: use the file as it is. Else mend
 * it, so that more than its first line is reached: put the header before it and give each line,
 * except those that begin with '!', the right check and, where these cells are empty, the next seq,
 * batch and offset. The other two bytes say where the file is cut.
 */
#include "store/ledger.h"

#include <inttypes.h>

#include "base/escape.h"
#include "fuzz.h"
#include "fuzz_place.h"

#define CELLS 15

enum { SEQ = 0, BATCH = 1, VERDICT = 3, NAME = 4, OFFSET = 11, LENGTH = 12, CHECK = 14 };

struct view {
    const char *text;
    size_t len;
};

static int dir = -1;

/* ---- the format, read by other code ------------------------------------------------------- */

/* Return the number of cells in a line; fill in the first CELLS of them. */
static size_t split(const char *line, size_t len, struct view cells[CELLS])
{
    size_t i, count = 0, from = 0;

    for (i = 0; i <= len; i++) {
        if (i < len && line[i] != ',')
            continue;
        if (count < CELLS)
            cells[count] = (struct view){line + from, i - from};
        count++;
        from = i + 1;
    }
    return count;
}

static uint64_t number(struct view cell)
{
    uint64_t value = 0;

    escape_number(cell.text, cell.len, UINT64_MAX, &value);
    return value;
}

static bool check_is_right(const char *line, size_t len)
{
    struct view cells[CELLS];
    char want[17];

    if (split(line, len, cells) != CELLS || cells[CHECK].len != 16)
        return false;
    snprintf(want, sizeof want, "%016" PRIx64, digest_check(line, len - 17));
    return memcmp(cells[CHECK].text, want, 16) == 0;
}

/* Return true if each cell is written as the ledger writes it. */
static bool is_canonical(const char *line, size_t len)
{
    struct view cells[CELLS];
    struct buffer name = {0}, again = {0};
    bool canonical = split(line, len, cells) == CELLS;
    size_t i;

    for (i = 0; canonical && i < CELLS; i++)
        if (i != NAME && (i < 2 || i == 5 || (i >= 8 && i <= LENGTH)))
            canonical = cells[i].len == 1 || *cells[i].text != '0';
    escape_unpercent(&name, cells[NAME].text, cells[NAME].len);
    escape_percent(&again, name.data, name.len);
    canonical = canonical && again.len == cells[NAME].len &&
                memcmp(again.data, cells[NAME].text, again.len) == 0;
    buffer_free(&name);
    buffer_free(&again);
    return canonical;
}

static void mend_line(struct buffer *out, struct view cells[CELLS], uint64_t *seq, uint64_t *end)
{
    bool start = cells[VERDICT].len == 7 && (memcmp(cells[VERDICT].text, "started", 7) == 0 ||
                                             memcmp(cells[VERDICT].text, "adopted", 7) == 0);
    size_t i, from = out->len;

    *seq = cells[SEQ].len > 0 ? number(cells[SEQ]) : *seq + 1;
    for (i = 0; i < CHECK; i++) {
        buffer_string(out, i > 0 ? "," : "");
        if (cells[i].len > 0)
            buffer_append(out, cells[i].text, cells[i].len);
        else if (i == SEQ || i == BATCH)
            buffer_printf(out, "%" PRIu64, *seq);
        else if (i == OFFSET)
            buffer_printf(out, "%" PRIu64, start ? 0 : *end);
    }
    *end = (cells[OFFSET].len > 0 ? number(cells[OFFSET])
            : start               ? 0
                                  : *end) +
           number(cells[LENGTH]);
    buffer_printf(out, ",%016" PRIx64 "\n", digest_check(out->data + from, out->len - from));
}

static void mend(struct buffer *out, const char *text, size_t len)
{
    const char *end = text + len, *lf;
    struct view cells[CELLS];
    uint64_t seq = 0, offset = 0;

    buffer_string(out, LEDGER_HEADER);
    for (; text < end; text = lf + 1) {
        lf = memchr(text, '\n', (size_t)(end - text));
        if (lf == NULL)
            lf = end;
        if (*text != '!' && split(text, (size_t)(lf - text), cells) == CELLS) {
            mend_line(out, cells, &seq, &offset);
            continue;
        }
        text += *text == '!';
        buffer_append(out, text, (size_t)(lf - text) + (lf < end));
        if (lf == end)
            break;
    }
}

/* ---- properties --------------------------------------------------------------------------- */

static bool file_is(const char *bytes, size_t len)
{
    struct buffer now = {0};
    bool same = place_get(dir, LEDGER_FILE, &now) && now.len == len &&
                (len == 0 || memcmp(now.data, bytes, len) == 0);

    buffer_free(&now);
    return same;
}

static int open_on(struct ledger *ledger, const char *bytes, size_t len, bool repair)
{
    struct cause cause;

    place_put(dir, LEDGER_FILE, bytes, len);
    fuzz_require(ledger_open(ledger, dir, &cause) == 0, "the ledger is opened");
    if (ledger_refresh(ledger, repair, &cause) == 0)
        return 0;
    fuzz_require(cause.kind == CAUSE_CORRUPT, "any failure is damage: %s", cause.text);
    fuzz_require(file_is(bytes, len), "a damaged ledger is not changed");
    return -1;
}

static bool same_line(const struct ledger_line *a, const struct ledger_line *b)
{
    return a->seq == b->seq && a->batch == b->batch && a->time == b->time &&
           a->verdict == b->verdict && strcmp(a->name, b->name) == 0 && a->bytes == b->bytes &&
           memcmp(a->sha256, b->sha256, DIGEST_SIZE) == 0 && a->has_meta == b->has_meta &&
           a->meta == b->meta && a->rows == b->rows && a->rejected == b->rejected &&
           a->duplicate == b->duplicate && a->offset == b->offset && a->length == b->length &&
           a->range_hash == b->range_hash;
}

/* Require that an accepted line is printed again as the same bytes. */
static void check_print(const struct ledger_line *line, const char *bytes, size_t len)
{
    static struct ledger_line again;
    static char name[LEDGER_NAME_SIZE];
    struct buffer out = {0};

    ledger_line_print(&out, line);
    fuzz_require(out.len > 0 && out.data[out.len - 1] == '\n', "a line is printed");
    if (is_canonical(bytes, len))
        fuzz_require(out.len == len + 1 && memcmp(out.data, bytes, len) == 0,
                     "the same bytes are printed again: %s", buffer_text(&out));
    fuzz_require(ledger_line_parse(out.data, out.len - 1, &again, name) && same_line(&again, line),
                 "and read as the same line");
    buffer_free(&out);
}

/* Require that every lookup finds the line, or a later one. */
static void check_lookups(const struct ledger *ledger, const struct ledger_line *line)
{
    static struct ledger_line found;
    struct cause cause;

    fuzz_require(ledger_by_seq(ledger, line->seq, &found, &cause) == 1 && found.at == line->at,
                 "found by its number");
    if (line->verdict <= VERDICT_ADOPTED)
        return;
    fuzz_require(ledger_last(ledger, line->name, &found, &cause) == 1 && found.at >= line->at &&
                     strcmp(found.name, line->name) == 0,
                 "found by its name");
    fuzz_require(ledger_longest(ledger, line->name, &found, &cause) >= 0,
                 "the longest content is found");
    if (line->verdict < VERDICT_QUARANTINED)
        fuzz_require(
            strcmp(found.name, line->name) == 0 &&
                (found.bytes > line->bytes || (found.bytes == line->bytes && found.at >= line->at)),
            "the longest content is no shorter");
    if (line->verdict != VERDICT_QUARANTINED)
        fuzz_require(ledger_content(ledger, line->sha256,
                                    (struct content_meta){line->has_meta, line->meta}, line->name,
                                    &found, &cause) == 1,
                     "found by its content");
}

/* Require that the accepted lines are the beginning of the file, in order. */
static void check_lines(const struct ledger *ledger, const char *bytes)
{
    static struct ledger_line line;
    static char name[LEDGER_NAME_SIZE];
    uint64_t at = 0, from = LEDGER_HEADER_SIZE, seq = 1, batch = 0, end = 0;
    struct cause cause;
    int status;

    fuzz_require(memcmp(bytes, LEDGER_HEADER, LEDGER_HEADER_SIZE) == 0,
                 "lines are accepted only after the header");
    while ((status = ledger_next(ledger, &at, &line, &cause)) > 0) {
        bool start = line.verdict == VERDICT_STARTED || line.verdict == VERDICT_ADOPTED;

        fuzz_require(line.at == from && line.seq == seq && line.batch <= seq, "lines are in order");
        fuzz_require(line.offset == (start ? 0 : end), "each range follows the one before");
        fuzz_require(check_is_right(bytes + from, (size_t)(at - from) - 1), "checks are right");
        check_print(&line, bytes + from, (size_t)(at - from) - 1);
        /* A lookup ends the life of the line's name. */
        snprintf(name, sizeof name, "%s", line.name);
        line.name = name;
        check_lookups(ledger, &line);
        end = line.offset + line.length;
        batch = line.batch;
        from = at;
        seq++;
    }
    fuzz_require(status == 0 && from == ledger->end, "the walk ends at the end: %s", cause.text);
    fuzz_require(seq == ledger->next_seq && batch == ledger->batch,
                 "number and batch of the last line");
    fuzz_require(end == ledger->training_end, "end of the training file");
}

/* Require that the walk gives the last quarantined line of each name. */
static void check_quarantined(const struct ledger *ledger)
{
    static struct ledger_line line, later;
    struct cause cause;
    size_t cursor = 0;

    while (ledger_quarantined(ledger, &cursor, &line, &cause) > 0) {
        fuzz_require(line.verdict == VERDICT_QUARANTINED, "a quarantined line is given");
        fuzz_require(ledger_last(ledger, line.name, &later, &cause) == 1 && later.at >= line.at &&
                         (later.verdict != VERDICT_QUARANTINED || later.at == line.at),
                     "the last one of its name");
    }
}

/* Return true if the bytes after the accepted lines may be cut off: no line of an older batch is
 * there. */
static bool may_be_cut(const struct ledger *ledger, const char *tail, size_t len)
{
    static struct ledger_line line;
    static char name[LEDGER_NAME_SIZE];
    const char *end = tail + len, *lf;

    for (; (lf = memchr(tail, '\n', (size_t)(end - tail))) != NULL; tail = lf + 1)
        if (check_is_right(tail, (size_t)(lf - tail)) &&
            ledger_line_parse(tail, (size_t)(lf - tail), &line, name) &&
            line.batch != ledger->batch && line.batch != ledger->next_seq)
            return false;
    return true;
}

static void check_repair(const char *bytes, size_t len, const struct ledger *plain)
{
    size_t end = (size_t)plain->end;
    bool allowed = may_be_cut(plain, bytes + end, len - end);
    struct ledger ledger;

    fuzz_require((open_on(&ledger, bytes, len, true) == 0) == allowed,
                 allowed ? "the last batch may be cut"
                         : "damage before the last batch may not be cut");
    if (allowed) {
        fuzz_require(ledger.end == end && ledger.next_seq == plain->next_seq,
                     "a repair accepts the same lines");
        fuzz_require(file_is(bytes, end), "a repair cuts the file after these lines");
        fuzz_require(ledger.cut == len - end, "and counts the bytes cut off");
    }
    ledger_close(&ledger);
}

/* Require that a refresh after an append finds the same as reading the whole file. */
static void check_steps(const char *bytes, size_t len, size_t cut, const struct ledger *plain)
{
    struct ledger ledger;
    struct cause cause;

    if (open_on(&ledger, bytes, cut, false) == 0) {
        place_put(dir, LEDGER_FILE, bytes, len);
        fuzz_require(ledger_refresh(&ledger, false, &cause) == 0 && ledger.end == plain->end &&
                         ledger.next_seq == plain->next_seq &&
                         ledger.training_end == plain->training_end && ledger.rows == plain->rows &&
                         ledger.index.count == plain->index.count,
                     "a refresh finds the same");
    }
    ledger_close(&ledger);
}

/* Require that a good ledger torn at any byte keeps its complete lines. */
static void check_torn(const char *bytes, size_t cut)
{
    struct ledger ledger;
    size_t end = cut;

    if (cut < LEDGER_HEADER_SIZE)
        return;
    while (bytes[end - 1] != '\n')
        end--;
    fuzz_require(open_on(&ledger, bytes, cut, true) == 0, "a torn line is no damage");
    fuzz_require(ledger.end == end && file_is(bytes, end), "all complete lines are accepted");
    ledger_close(&ledger);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buffer text = {0};
    struct ledger ledger;
    size_t cut;

    if (size < 3)
        return 0;
    if (dir < 0)
        dir = fuzz_place();
    if (data[0] & 1)
        buffer_append(&text, data + 3, size - 3);
    else
        mend(&text, (const char *)data + 3, size - 3);
    cut = (size_t)(data[1] + 256 * data[2]) % (text.len + 1);
    if (open_on(&ledger, text.data, text.len, false) == 0) {
        check_lines(&ledger, text.data);
        check_quarantined(&ledger);
        check_repair(text.data, text.len, &ledger);
        check_steps(text.data, text.len, cut, &ledger);
        if (ledger.end == text.len)
            check_torn(text.data, cut);
    }
    ledger_close(&ledger);
    buffer_free(&text);
    return 0;
}

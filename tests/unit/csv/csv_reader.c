#include "csv/csv_reader.h"

#include <inttypes.h>

#include "lib/place.h"
#include "base/escape.h"
#include "lib/unit.h"

#define LIMIT   (1 << 20)
#define COLUMNS 1024

static const char *const faults[] = {
    [ROW_SOUND] = "",        [ROW_BLANK] = "blank",       [ROW_NUL] = "nul",
    [ROW_NOT_UTF8] = "utf8", [ROW_LONE_CR] = "cr",        [ROW_STRAY_QUOTE] = "stray",
    [ROW_TOO_LONG] = "long", [ROW_UNTERMINATED] = "open", [ROW_TOO_MANY_COLUMNS] = "columns",
};

/* A way to read the bytes. */
struct way {
    uint64_t max_row_bytes;
    size_t max_columns;
    bool reference;
    size_t chunk;
    bool late_finish; /* the end of the file is known only after the last bytes were parsed */
};

/* The result of a reading. rows: for each row LINE and its cells in brackets, or !FAULT:LINE@OFFSET;
 * with ~ if it has no line end. */
struct reading {
    struct buffer rows, raw, consumed;
    uint64_t max_row_bytes;
    bool reference;
    bool too_long, plain_differs, failed;
};

static void free_reading(struct reading *reading)
{
    buffer_free(&reading->rows);
    buffer_free(&reading->raw);
    buffer_free(&reading->consumed);
}

static void note_row(struct reading *reading, const struct row *row)
{
    struct buffer *out = &reading->rows;
    size_t i;

    buffer_printf(out, "%s%" PRIu64, out->len > 0 ? " " : "", row->line);
    if (row->fault == ROW_BLANK) {
        buffer_string(out, "!blank");
    } else if (row->fault != ROW_SOUND) {
        buffer_printf(out, "!%s:%" PRIu64 "@%" PRIu64, faults[row->fault], row->fault_line,
                      row->fault_offset);
        if (row->fault == ROW_STRAY_QUOTE && row->opened_line > 0)
            buffer_printf(out, "<%" PRIu64, row->opened_line);
        if (row->fault == ROW_TOO_MANY_COLUMNS)
            buffer_printf(out, "=%zu", row->count);
    }
    for (i = 0; row->fault == ROW_SOUND && i < row->count; i++) {
        buffer_byte(out, '[');
        escape_printable(out, row->cells[i].text, row->cells[i].len);
        buffer_byte(out, ']');
    }
    if (row->raw_len > reading->max_row_bytes)
        reading->too_long = true;
    else if (!row->ended)
        buffer_byte(out, '~');
}

/* Check that a plain row is its cells with commas between them. */
static void check_plain(struct reading *reading, const struct row *row)
{
    size_t i, at = 0;

    for (i = 0; i < row->count; i++) {
        if (at + row->cells[i].len > row->raw_len ||
            memcmp(row->raw + at, row->cells[i].text, row->cells[i].len) != 0)
            reading->plain_differs = true;
        at += row->cells[i].len;
        if (i + 1 < row->count && (at >= row->raw_len || row->raw[at++] != ','))
            reading->plain_differs = true;
    }
    if (at < row->raw_len && row->raw[at] == '\r')
        at++;
    if (at + row->ended != row->raw_len)
        reading->plain_differs = true;
}

/* Check that the cells are joined, with zeros after them. */
static void check_joined(struct reading *reading, const struct row *row)
{
    static const char zeros[CSV_READER_ZEROS];
    const char *at = row->joined;
    size_t i;

    for (i = 0; i < row->count; i++) {
        if (row->cells[i].text != at || at[row->cells[i].len] != (i + 1 < row->count ? ',' : '\n'))
            reading->plain_differs = true;
        at += row->cells[i].len + 1;
    }
    if (at != row->joined + row->joined_len || memcmp(at, zeros, sizeof zeros) != 0)
        reading->plain_differs = true;
}

static int take_rows(struct csv_reader *rows, struct reading *reading)
{
    struct cause cause;
    struct row row;
    const char *bytes;
    size_t len;
    int next;

    while ((next = csv_reader_next(rows, &row, &cause)) == CSV_READER_ROW) {
        if (reading->too_long)
            reading->failed = true; /* no row may follow */
        note_row(reading, &row);
        buffer_append(&reading->raw, row.raw, row.raw_len);
        if (row.fault == ROW_SOUND && row.plain)
            check_plain(reading, &row);
        else if (row.fault == ROW_SOUND && row.joined != NULL)
            check_joined(reading, &row);
        if ((row.joined != NULL) != (row.fault == ROW_SOUND && !row.plain && !reading->reference))
            reading->plain_differs = true;
    }
    bytes = csv_reader_consumed(rows, &len);
    buffer_append(&reading->consumed, bytes, len);
    return next;
}

static void read_with(struct csv_reader *rows, const char *bytes, size_t len, const struct way *way,
                      struct reading *reading)
{
    size_t done = 0, room, n;
    int next = CSV_READER_MORE;

    buffer_clear(&reading->rows);
    buffer_clear(&reading->raw);
    buffer_clear(&reading->consumed);
    reading->max_row_bytes = way->max_row_bytes;
    reading->reference = way->reference;
    reading->too_long = reading->plain_differs = reading->failed = false;
    csv_reader_reset(rows);
    csv_reader_use_reference(rows, way->reference);
    while (done < len) {
        char *space = csv_reader_space(rows, &room);

        if (space == NULL)
            abort();
        n = len - done < way->chunk ? len - done : way->chunk;
        n = n < room ? n : room;
        memcpy(space, bytes + done, n);
        csv_reader_filled(rows, n);
        done += n;
        if (done == len && !way->late_finish)
            csv_reader_finish(rows);
        next = take_rows(rows, reading);
    }
    if (len == 0 || way->late_finish) {
        csv_reader_finish(rows);
        next = take_rows(rows, reading);
    }
    reading->failed |= next != CSV_READER_END;
    csv_reader_rest(rows, &room);
    reading->failed |= room != 0;
    /* Bytes must not get lost, but a row that is too long may end the rows early. */
    if (reading->consumed.len != len ||
        (len > 0 && memcmp(reading->consumed.data, bytes, len) != 0))
        reading->failed = true;
    if (!reading->too_long &&
        (reading->raw.len != len || (len > 0 && memcmp(reading->raw.data, bytes, len) != 0)))
        reading->failed = true;
    reading->failed |= reading->plain_differs;
}

static struct csv_reader *open_rows(const struct way *way)
{
    struct csv_reader *rows = csv_reader_open(way->max_row_bytes, way->max_columns);

    if (rows == NULL)
        abort();
    return rows;
}

/* ---- by hand ------------------------------------------------------------------------------ */

#define CASE(bytes) bytes, sizeof bytes - 1
static const struct {
    const char *bytes;
    size_t len;
    const char *rows;
} cases[] = {
    {CASE(""), ""},
    {CASE("\n"), "1!blank"},
    {CASE("a,b\n1,2\n"), "1[a][b] 2[1][2]"},
    /* Blanks are kept, inside and outside of quotes. */
    {CASE("  a  , b c ,\t d\t\n"), "1[  a  ][ b c ][\\x09 d\\x09]"},
    {CASE("\"  a  \", b\n"), "1[  a  ][ b]"},
    {CASE("\"  a  \" , b\n"), "1!stray:1@7"},
    {CASE(" \"a\"\n"), "1!stray:1@1"},
    {CASE("\v\"a\"\n"), "1!stray:1@1"},
    {CASE("a, \"b\"\n"), "1!stray:1@3"},
    {CASE("   \n"), "1[   ]"},
    {CASE("\t\n"), "1[\\x09]"},
    /* Blank lines are rows with a fault; an empty cell in quotes is none. */
    {CASE("a\n\nb\n"), "1[a] 2!blank 3[b]"},
    {CASE("a\n\r\nb\n"), "1[a] 2!blank 3[b]"},
    {CASE("\n\n\na"), "1!blank 2!blank 3!blank 4[a]~"},
    {CASE("\"\"\n"), "1[]"},
    {CASE("\"\"\r\n"), "1[]"},
    {CASE("\"\""), "1[]~"},
    {CASE("\"\",\"\"\n"), "1[][]"},
    /* Line ends. */
    {CASE("a,b\r\nc,d\r\n"), "1[a][b] 2[c][d]"},
    {CASE("a,b\r\n\"c\",d\r\n"), "1[a][b] 2[c][d]"},
    {CASE("a,b\r\nc,d\n"), "1[a][b] 2[c][d]"},
    {CASE("a\rb\nc\n"), "1!cr:1@1 2[c]"},
    {CASE("a\r\r\nc\n"), "1!cr:1@1 2[c]"},
    {CASE("\r\r\n"), "1!cr:1@0"},
    {CASE("a,b\r"), "1!cr:1@3~"},
    {CASE("\r"), "1!cr:1@0~"},
    {CASE("a\rb\rc"), "1!cr:1@1~"},
    {CASE("x\n\"a\rb\",c\n\"d\",e\n"), "1[x] 2!cr:2@4 3[d][e]"},
    {CASE("\"a\r\nb\",c\r\nd\r\n"), "1[a\\x0D\\x0Ab][c] 3[d]"},
    {CASE("\"a\r\"\n"), "1!cr:1@2"},
    {CASE("\"a\"\r\r\nb\n"), "1!cr:1@3 2[b]"},
    {CASE("\"a\"\r"), "1!cr:1@3~"},
    /* The end of the file. */
    {CASE("a,b"), "1[a][b]~"},
    {CASE("a,"), "1[a][]~"},
    {CASE(","), "1[][]~"},
    {CASE("\"a\","), "1[a][]~"},
    {CASE("\"a\""), "1[a]~"},
    {CASE("a,\nb,\r\n"), "1[a][] 2[b][]"},
    {CASE(",\n"), "1[][]"},
    {CASE(",\"\"\n"), "1[][]"},
    /* Encoding. */
    {CASE("a\0b\nc\n"), "1!nul:1@1 2[c]"},
    {CASE("a,b\n1,\0\0\0\0"), "1[a][b] 2!nul:2@6~"},
    {CASE("a,\"b\0\"\nc\n"), "1!nul:1@4 2[c]"},
    {CASE("\"a\nb\0\",c\nd\n"), "1!nul:2@4 3[d]"},
    {CASE("a\0,\0\n\0b\0"), "1!nul:1@1 2!nul:2@5~"},
    {CASE("\xEF\xBB\xBF"
          "a,b\n"),
     "1[\xEF\xBB\xBF"
     "a][b]"},
    {CASE("\xEF\xBB\xBF\"a\",b\nc\n"), "1!stray:1@3 2[c]"},
    {CASE("\xC3\xA4,\xE2\x82\xAC,\xF0\x9F\x98\x80\n"),
     "1[\xC3\xA4][\xE2\x82\xAC][\xF0\x9F\x98\x80]"},
    {CASE("a\xE4"
          "b\nc\n"),
     "1!utf8:1@1 2[c]"},
    {CASE("\"a\xE4\"\nc\n"), "1!utf8:1@2 2[c]"},
    {CASE("a\n\"b\n\xC0\xAF\",c\nd\n"), "1[a] 2!utf8:3@5 4[d]"},
    {CASE("\xED\xA0\x80\n"), "1!utf8:1@0"},
    {CASE("\xC3\n\xA4\n"), "1!utf8:1@0 2!utf8:2@2"},
    {CASE("\xC3"), "1!utf8:1@0~"},
    {CASE("a\xE4\0\r\n"), "1!nul:1@2"},
    {CASE("a\r\xE4\n"), "1!utf8:1@2"},
    /* Quotes. */
    {CASE("\"a\"\"b\",\"\"\"\"\n"), "1[a\"b][\"]"},
    {CASE("\"a,b\",c\n"), "1[a,b][c]"},
    {CASE("\"a\nb\",c\nd\n"), "1[a\\x0Ab][c] 3[d]"},
    {CASE("\"\n\n\"\nd\n"), "1[\\x0A\\x0A] 4[d]"},
    {CASE("a\"b,c\nd\n"), "1!stray:1@1 2[d]"},
    {CASE("\"a\"b,c\nd,e\n\"f\",g\n"), "1!stray:1@3 2[d][e] 3[f][g]"},
    {CASE("\"a\\\"b\"\nc\n"), "1!stray:1@4 2[c]"},
    {CASE("a,b\"\n"), "1!stray:1@3"},
    {CASE("\"a\nb\"c\nd\n"), "1!stray:2@5<1 3[d]"},
    {CASE("\"a\nb\",\"c\nd\"e\nf\n"), "1!stray:3@11<2 4[f]"},
    {CASE("x,\"a\n\n\nb\"c\nd\n"), "1!stray:4@9<1 5[d]"},
    {CASE("\"a\nb\",c\"d\ne\n"), "1!stray:2@7 3[e]"},
    {CASE("\"a\nb\",\"c\"d\ne\n"), "1!stray:2@9 3[e]"},
    {CASE("\"a\r\nb\"\"\",c\r\n"), "1[a\\x0D\\x0Ab\"][c]"},
};

/* Files that end inside quotes, and the line where these open. The offset is not promised. */
static const struct {
    const char *bytes, *rows;
    uint64_t opened;
} open_cases[] = {
    {"a,b\n\"c\nd\ne", "1[a][b]", 2},
    {"a,b\n\"c\nd\ne\n", "1[a][b]", 2},
    {"\"", "", 1},
    {"\"\n", "", 1},
    {"\"ok\",\"open\n", "", 1},
    {"\"x\ny\",\"c\nd", "", 2},
    {"\"x\ny\",\"p\nq\",r,\"c\nd\n\n", "", 3},
    {"a\n\n\"b\"\"", "1[a] 2!blank", 3},
    {"a\n\"b,\"\"\nc\nd\n", "1[a]", 2},
    {"\"a\",\"b\"\n\"c\r\nd\",\"e\r\n", "1[a][b]", 3},
};

static void check_case(const char *bytes, size_t len, const char *want, const struct way *way)
{
    struct csv_reader *rows = open_rows(way);
    struct reading reading = {0};
    struct buffer name = {0};

    read_with(rows, bytes, len, way, &reading);
    escape_printable(&name, bytes, len);
    buffer_printf(&name, " (%s, chunks of %zu)", way->reference ? "libcsv" : "quick", way->chunk);
    check_text(buffer_text(&reading.rows), want, buffer_text(&name));
    if (reading.failed)
        check(false, "all bytes of %s are accounted for", buffer_text(&name));
    buffer_free(&name);
    free_reading(&reading);
    csv_reader_close(rows);
}

static void test_cases(void)
{
    struct way way = {LIMIT, COLUMNS, false, 1000, false};
    size_t i, j;

    for (i = 0; i < sizeof cases / sizeof *cases; i++)
        for (j = 0; j < 4; j++) {
            way.reference = j % 2 == 1;
            way.chunk = j < 2 ? 1000 : 1;
            way.late_finish = j >= 2;
            check_case(cases[i].bytes, cases[i].len, cases[i].rows, &way);
        }
}

static void test_open_quotes(void)
{
    struct reading reading = {0};
    struct buffer want = {0};
    struct csv_reader *rows;
    size_t i, j;

    for (i = 0; i < sizeof open_cases / sizeof *open_cases; i++)
        for (j = 0; j < 4; j++) {
            struct way way = {LIMIT, COLUMNS, j % 2 == 1, j < 2 ? 1000 : 1, j >= 2};

            rows = open_rows(&way);
            read_with(rows, open_cases[i].bytes, strlen(open_cases[i].bytes), &way, &reading);
            buffer_clear(&want);
            buffer_string(&want, open_cases[i].rows);
            check(!reading.failed && strncmp(buffer_text(&reading.rows), open_cases[i].rows,
                                             strlen(open_cases[i].rows)) == 0,
                  "open quote, case %zu: the rows before it: %s", i, buffer_text(&reading.rows));
            buffer_clear(&want);
            buffer_printf(&want, "!open:%" PRIu64 "@", open_cases[i].opened);
            check(strstr(buffer_text(&reading.rows), buffer_text(&want)) != NULL,
                  "open quote, case %zu: opened on line %" PRIu64 ": %s", i, open_cases[i].opened,
                  buffer_text(&reading.rows));
            csv_reader_close(rows);
        }
    buffer_free(&want);
    free_reading(&reading);
}

static void test_limits(void)
{
    static const struct {
        const char *bytes;
        size_t len;
        const char *rows;
    } limits[] = {
        {CASE("1234567\na\n"), "1[1234567] 2[a]"},
        {CASE("a\n12345678\nb\n"), "1[a] 2!long:2@2"},
        {CASE("a\n12345678"), "1[a] 2[12345678]~"},
        {CASE("a\n123456789"), "1[a] 2!long:2@2"},
        {CASE("\"1\n23\n4\nb\n"), "1!long:1@0"},
        {CASE("\"1\n\n\n\n\"\nb\n"), "1[1\\x0A\\x0A\\x0A\\x0A] 6[b]"},
        {CASE("\n\n12345678\n\n"), "1!blank 2!blank 3!long:3@2"},
        {CASE("a,b,c\nd\n"), "1[a][b][c] 2[d]"},
        {CASE("a,b,c,d\nd\n"), "1!columns:1@0=4 2[d]"},
        {CASE("d\n\"\",,,,\nd\n"), "1[d] 2!columns:2@2=5 3[d]"},
        {CASE("1,,,\n,,,2"), "1!columns:1@0=4 2!columns:2@5=4~"},
        {CASE("\"\n\",,,\nd\n"), "1!columns:1@0=4 3[d]"},
        {CASE("a\0,,,\nd\n"), "1!nul:1@1 2[d]"},
    };
    struct way way = {8, 3, false, 1000, false};
    size_t i, j;

    for (i = 0; i < sizeof limits / sizeof *limits; i++)
        for (j = 0; j < 4; j++) {
            way.reference = j % 2 == 1;
            way.chunk = j < 2 ? 1000 : 1;
            check_case(limits[i].bytes, limits[i].len, limits[i].rows, &way);
        }
}

/* ---- comparison with libcsv --------------------------------------------------------- */

static size_t generate(char *out, size_t pieces)
{
    static const struct piece {
        const char *bytes;
        size_t len;
    } alphabet[] = {
        {CASE(",")},
        {CASE(",")},
        {CASE(",")},
        {CASE("\n")},
        {CASE("\n")},
        {CASE("\r\n")},
        {CASE("\r\n")},
        {CASE("1")},
        {CASE("2.5")},
        {CASE("a")},
        {CASE(" ")},
        {CASE("\t")},
        {CASE("-7e3")},
        {CASE("\"")},
        {CASE("\"")},
        {CASE("\"")},
        {CASE("\"\"")},
        {CASE("\",")},
        {CASE(",\"")},
        {CASE("\"\n\"")},
        {CASE("\xC3\xA4")},
        {CASE("\xE2")},
        {CASE("\x82\xAC")},
        {CASE("\xF0\x9F\x98\x80")},
        {CASE("\r")},
        {CASE("\0")},
        {CASE("\",\"")},
        {CASE("\"x\ny\",")},
        {CASE("\xEF\xBB\xBF")},
    };
    /* Pieces whose faults hide all others are rare. */
    static const unsigned char rare[] = {21, 22, 24, 25, 28};
    size_t len = 0, i, pick;

    for (i = 0; i < pieces; i++) {
        pick = place_below(sizeof alphabet / sizeof *alphabet);
        if (memchr(rare, (int)pick, sizeof rare) != NULL && place_below(8) != 0)
            pick = place_below(20);
        memcpy(out + len, alphabet[pick].bytes, alphabet[pick].len);
        len += alphabet[pick].len;
    }
    return len;
}

static bool same_rows(const struct reading *left, const struct reading *right)
{
    return !left->failed && !right->failed && left->rows.len == right->rows.len &&
           (left->rows.len == 0 || memcmp(left->rows.data, right->rows.data, left->rows.len) == 0);
}

static void show_difference(const char *bytes, size_t len, const struct way *way,
                            struct reading *got, struct reading *want)
{
    struct buffer input = {0};

    escape_printable(&input, bytes, len);
    printf("# '%s'\n# %s in chunks of %zu%s, rows of %" PRIu64 " bytes and %zu columns: %s%s\n",
           buffer_text(&input), way->reference ? "libcsv" : "quick", way->chunk,
           way->late_finish ? " and a late end" : "", way->max_row_bytes, way->max_columns,
           buffer_text(&got->rows), got->failed ? " (bytes are missing, or cells differ)" : "");
    printf("# libcsv, all at once: %s%s\n", buffer_text(&want->rows),
           want->failed ? " (bytes are missing)" : "");
    buffer_free(&input);
}

/* Read an input with libcsv at once and with both ways in chunks. Return how many differ. */
static size_t compare(struct csv_reader *rows, struct way way, const char *bytes, size_t len,
                      size_t chunks, struct reading *want, struct reading *got)
{
    size_t i, wrong = 0;

    way.reference = true;
    way.chunk = len + 1;
    way.late_finish = false;
    read_with(rows, bytes, len, &way, want);
    for (i = 0; i <= chunks; i++) {
        way.reference = i > 0 && place_below(8) == 0;
        way.chunk = i == 0 ? len + 1 : i;
        way.late_finish = place_below(2) == 0;
        read_with(rows, bytes, len, &way, got);
        if (same_rows(got, want))
            continue;
        if (wrong++ == 0)
            show_difference(bytes, len, &way, got, want);
    }
    return wrong;
}

static void test_against_libcsv(void)
{
    static const struct way ways[] = {
        {LIMIT, COLUMNS, false, 0, false}, {24, COLUMNS, false, 0, false},
        {LIMIT, 3, false, 0, false},       {9, 2, false, 0, false},
        {LIMIT, 1, false, 0, false},
    };
    const size_t count = sizeof ways / sizeof *ways, inputs = place_rounds(200000);
    struct reading want = {0}, got = {0};
    struct csv_reader *reader_pool[sizeof ways / sizeof *ways];
    size_t i, len, wrong = 0, shown = 0, runs = 0;
    char bytes[1024];

    for (i = 0; i < count; i++)
        reader_pool[i] = open_rows(&ways[i]);
    for (i = 0; i < inputs && shown < 5; i++) {
        size_t way = place_below(10) < 6 ? 0 : place_below(count), chunks, differ;

        len = generate(bytes, 1 + place_below(i % 10 == 0 ? 60 : 14));
        chunks = i % 16 == 0 ? len : 1 + place_below(4);
        differ = compare(reader_pool[way], ways[way], bytes, len, chunks, &want, &got);
        runs += chunks + 2;
        wrong += differ;
        shown += differ > 0;
    }
    check(wrong == 0, "%zu readings of %zu inputs, %zu of them differ from libcsv's", runs, i,
          wrong);
    for (i = 0; i < count; i++)
        csv_reader_close(reader_pool[i]);
    free_reading(&want);
    free_reading(&got);
}

/* Read a file larger than the window. */
static void test_large(void)
{
    const size_t size = getenv("UNIT_SHORT") != NULL ? 600000 : 3000000;
    struct way way = {LIMIT, COLUMNS, true, SIZE_MAX, false};
    struct reading want = {0}, got = {0};
    char *bytes = malloc(size + 4096);
    struct csv_reader *rows = open_rows(&way);
    size_t len = 0, i;

    if (bytes == NULL)
        abort();
    while (len < size)
        if (place_below(8) != 0)
            len += (size_t)snprintf(bytes + len, 512, "%zu,%*d,\"%d\n%d\",x\r\n", len,
                                    (int)place_below(200), 7, (int)place_below(9), 1);
        else
            len +=
                (size_t)snprintf(bytes + len, 512, "%zu,%*d,plain\n", len, (int)place_below(99), 7);
    read_with(rows, bytes, len, &way, &want);
    check(!want.failed && want.raw.len == len, "a file of %zu bytes through libcsv", len);
    for (i = 0; i < 6; i++) {
        way.reference = false;
        way.chunk = i == 0 ? SIZE_MAX : 1 + place_below(100000);
        read_with(rows, bytes, len, &way, &got);
        check(same_rows(&got, &want), "the quick way gives the same in chunks of %zu", way.chunk);
    }
    csv_reader_close(rows);
    free(bytes);
    free_reading(&want);
    free_reading(&got);
}

/* ---- the rest of the interface ------------------------------------------------------------ */

static void feed(struct csv_reader *rows, const char *text)
{
    size_t room;
    char *space = csv_reader_space(rows, &room);

    if (space == NULL || room < strlen(text))
        abort();
    memcpy(space, text, strlen(text));
    csv_reader_filled(rows, strlen(text));
}

static void test_pieces(void)
{
    struct csv_reader *rows = csv_reader_open(LIMIT, COLUMNS);
    struct cause cause;
    struct row row;
    const char *bytes;
    size_t len;

    check(csv_reader_next(rows, &row, &cause) == CSV_READER_MORE,
          "before the first bytes: more are needed");
    feed(rows, "\xEF\xBB\xBF\"a\",b\n1,");
    check(csv_reader_skip(rows, 3) == 3, "a BOM is skipped");
    check(csv_reader_next(rows, &row, &cause) == CSV_READER_ROW && row.line == 1 &&
              row.count == 2 && row.fault == ROW_SOUND && row.cells[0].len == 1,
          "the header after the BOM is read");
    bytes = csv_reader_consumed(rows, &len);
    check(len == 9 && memcmp(bytes, "\xEF\xBB\xBF\"a\",b\n", 9) == 0,
          "a BOM that is skipped counts as consumed");
    check(csv_reader_next(rows, &row, &cause) == CSV_READER_MORE, "half a row is not handed out");
    bytes = csv_reader_rest(rows, &len);
    check(len == 2 && memcmp(bytes, "1,", 2) == 0, "half a row is the rest");
    csv_reader_consumed(rows, &len);
    check(len == 0, "the rest is not consumed");
    feed(rows, "2\n3,4\n5,6\n7");
    check(csv_reader_skip(rows, 8) == 8, "rows are skipped");
    check(csv_reader_next(rows, &row, &cause) == CSV_READER_ROW && row.line == 4 &&
              row.fault_line == 4 && row.raw_len == 4 && memcmp(row.raw, "5,6\n", 4) == 0,
          "the lines of skipped rows count: %" PRIu64, row.line);
    bytes = csv_reader_consumed(rows, &len);
    check(len == 12 && memcmp(bytes, "1,2\n3,4\n5,6\n", 12) == 0, "skipped rows are consumed once");
    check(csv_reader_skip(rows, 100) == 1, "no more is skipped than is buffered");
    csv_reader_finish(rows);
    check(csv_reader_next(rows, &row, &cause) == CSV_READER_END &&
              csv_reader_next(rows, &row, &cause) == CSV_READER_END,
          "the end, again and again");
    csv_reader_reset(rows);
    feed(rows, "\"x\n");
    check(csv_reader_next(rows, &row, &cause) == CSV_READER_MORE, "an open quote needs more bytes");
    csv_reader_rest(rows, &len);
    check(len == 3, "the record with the open quote is the rest");
    csv_reader_reset(rows);
    feed(rows, "y\n");
    check(csv_reader_next(rows, &row, &cause) == CSV_READER_ROW && row.line == 1 &&
              row.count == 1 && row.raw_len == 2 && row.fault_offset == 0,
          "another file begins at line 1");
    csv_reader_close(rows);
    csv_reader_close(NULL);
}

/* Check that after a row that is too long memory does not grow, and no row follows. */
static void test_endless_row(const char *begin, const char *what)
{
    struct csv_reader *rows = csv_reader_open(LIMIT, COLUMNS);
    size_t room, len, fed = 0, at = 0, came = 0;
    struct cause cause;
    struct row row;
    bool bounded = true;
    int next = CSV_READER_MORE;

    feed(rows, begin);
    while (fed < 20 * LIMIT && next != CSV_READER_END) {
        char *space = csv_reader_space(rows, &room);

        memset(space, 'x', room);
        csv_reader_filled(rows, room);
        fed += room;
        while ((next = csv_reader_next(rows, &row, &cause)) == CSV_READER_ROW) {
            came++;
            at = fed;
            check(row.fault == ROW_TOO_LONG && row.fault_line == 1, "%s: it is too long", what);
        }
        csv_reader_consumed(rows, &len);
        csv_reader_rest(rows, &len);
        bounded &= len <= 2 * LIMIT;
    }
    check(came == 1 && at < 2 * LIMIT && bounded, "%s: detected after %zu bytes of %zu", what, at,
          fed);
    feed(rows, "\na,b\n");
    csv_reader_finish(rows);
    check(csv_reader_next(rows, &row, &cause) == CSV_READER_END, "%s: no row follows", what);
    csv_reader_close(rows);
}

int main(void)
{
    test_cases();
    test_open_quotes();
    test_limits();
    test_against_libcsv();
    test_large();
    test_pieces();
    test_endless_row("", "a row without end");
    test_endless_row("a,\"", "a quote without end");
    return unit_done();
}

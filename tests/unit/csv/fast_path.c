/*
 * fast_path against the reference: each input is checked with both, and the results must be the
 * same: rows as written, violations with line, column, value and message, counts and hash.
 *
 * usage: fast_path [INPUTS [SEED]]: try INPUTS random inputs (`make differential`)
 */
#include <inttypes.h>
#include <sys/mman.h>

#include "csv/file_check.h"
#include "lib/place.h"
#include "lib/twice.h"
#include "lib/unit.h"

#define SCHEMAS  4
#define REPEATED 40

static struct schema schemas[SCHEMAS];
static struct training_columns
    layouts[SCHEMAS + 1]; /* the last one: columns in reverse order, then the first ones again */
static struct config configs[2];
static struct outcome fast_path[SCHEMAS][2], reference[SCHEMAS][2];
static int file;

/* Check the input both ways. Return what differs, or NULL. */
static const char *compare(size_t schema, size_t config, const char *bytes, size_t len,
                           bool complete_only, size_t prefix)
{
    struct file_check_request order = {.fd = file,
                                       .name = "eva_external_20240101_120000.csv",
                                       .layout = &layouts[schema],
                                       .size = len,
                                       .complete_only = complete_only,
                                       .prefix.bytes = prefix};
    struct digest digest;

    if (ftruncate(file, 0) < 0 || pwrite(file, bytes, len, 0) != (ssize_t)len)
        abort();
    digest_init(&digest);
    digest_update(&digest, bytes, prefix);
    digest_final(&digest, order.prefix.sha256);
    if (schema == 0 && config == 1)
        order.layout = &layouts[SCHEMAS];
    twice_read(&fast_path[schema][config], &order);
    twice_read(&reference[schema][config], &order);
    return twice_difference(&fast_path[schema][config], &reference[schema][config]);
}

static void show(const char *bytes, size_t len, const char *what)
{
    size_t i;

    printf("# %s: ", what);
    for (i = 0; i < len; i++)
        if (bytes[i] >= ' ' && bytes[i] < 127 && bytes[i] != '\\')
            putchar(bytes[i]);
        else
            printf("\\x%02x", (unsigned char)bytes[i]);
    putchar('\n');
}

/* ---- corners ------------------------------------------------------------------------------ */

/* Cells that the two ways could treat differently. */
static const char *const cells[] = {
    "",
    "0",
    "1",
    "99",
    "100",
    "100.0",
    "100.00000001",
    "101",
    "1000",
    "00000000",
    "000000000",
    "0000000000000000000000",
    "1.",
    ".5",
    "1.5",
    "1.5.5",
    "-1",
    "-0",
    "-0.0",
    "+1",
    "1e2",
    "1E-2",
    "1e",
    "1e+",
    "1e400",
    "99999999",
    "9999999",
    "12345678",
    "1234567.8",
    "123456.78",
    "1.2345678",
    "1.23456",
    "1.234567",
    "12345678.9",
    " 1",
    "1 ",
    "1\t",
    "0x1",
    "NaN",
    "inf",
    "1,",
    "\"1\"",
    "\"",
    "\"a\"\"b\"",
    "a\"b",
    "\"\"\"x\"",
    "\"x",
    "\"a,b\"",
    "\"a\nb\"",
    "\r",
    "1\r",
    "\r1",
    "\xC3\xA4",
    "\xC3",
    "\xED\xA0\x80",
    "\xEF\xBB\xBF",
    "\xFF",
    "idle",
    "idl",
    "idlee",
    "cpu_bound",
    "CPU_BOUND",
    "mixed",
    "external",
    "web",
    "eva",
    "a.b-c_d",
    "true",
    "TRUE",
    "yes",
    "2024-01-01",
    "2024-02-30",
    "2024-01-01T12:00:00",
    "2024-01-01T12:00:00.123456Z",
    "2024-1-1",
    "0123456789012345678901234567890123456789",
    "01234567890123456789012345678901234567890",
    "9.999999999999999999999999999",
    "7",
    "8",
    "9",
    "10",
    "17",
    "18446744073709551616",
    "99999999999999999",
    "999999999999999999",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
};

static const char *const headers[SCHEMAS][3] = {
    {"t,p,phase,user_id,label", "label,phase,user_id,p,t", "t,p,phase"},
    {"n,i,s,b,d,z", "z,d,b,s,i,n", "n,i"},
    {"v", "v", "v"},
    {"a,b", "b,x,a", "a"},
};

static size_t header_columns(const char *header)
{
    size_t count = 1;

    for (; *header != '\0'; header++)
        count += *header == ',';
    return count;
}

/* Append a cell that is usually valid in its column. */
static const char *usual_cell(size_t schema, size_t column)
{
    static const char *const usual[SCHEMAS][6] = {
        {"12.5", "99.9", "idle", "eva", "normal", ""},
        {"-3.5", "17", "abc", "true", "2024-01-01", "2024-01-01T12:00:00"},
        {"5", "5", "5", "5", "5", "5"},
        {"x", "1", "", "", "", ""},
    };

    return usual[schema][column % 6];
}

/* Try each corner cell in each column, between two valid rows, with all line ends. */
static void test_corners(void)
{
    static const char *const ends[] = {"\n", "\r\n", "\r\r\n", "\n\n", ""};
    size_t schema, shape, column, cell, end, i, columns, wrong = 0, runs = 0;
    struct buffer text = {0};
    const char *what;

    for (schema = 0; schema < SCHEMAS; schema++)
        for (shape = 0; shape < 3; shape++) {
            columns = header_columns(headers[schema][shape]);
            for (column = 0; column < columns; column++)
                for (cell = 0; cell < sizeof cells / sizeof *cells; cell++)
                    for (end = 0; end < sizeof ends / sizeof *ends; end++) {
                        buffer_clear(&text);
                        buffer_printf(&text, "%s\n", headers[schema][shape]);
                        for (i = 0; i < columns; i++)
                            buffer_printf(&text, "%s%s", i > 0 ? "," : "", usual_cell(schema, i));
                        buffer_string(&text, ends[end]);
                        for (i = 0; i < columns; i++)
                            buffer_printf(&text, "%s%s", i > 0 ? "," : "",
                                          i == column ? cells[cell] : usual_cell(schema, i));
                        buffer_string(&text, ends[end]);
                        what = compare(schema, runs % 2, text.data, text.len, runs % 3 == 0, 0);
                        runs++;
                        wrong += what != NULL;
                        if (what != NULL && wrong < 10)
                            show(text.data, text.len, what);
                    }
        }
    check(wrong == 0, "%zu rows with a corner in them: %zu differ from the reference", runs, wrong);
    buffer_free(&text);
}

/* ---- at random ---------------------------------------------------------------------------- */

static size_t add(char *out, const char *text)
{
    size_t len = strlen(text);

    memcpy(out, text, len);
    return len;
}

/* Put quotes, valid or not, around the same few values. */
static size_t add_quoted(char *out)
{
    static const char *const parts[] = {"\"", "\"", "\"\"", "x", "ab", "1", ","};
    size_t len = 0, i;

    for (i = place_below(6); i > 0; i--)
        len += add(out + len, parts[place_below(sizeof parts / sizeof *parts)]);
    return len;
}

static size_t add_cell(char *out, size_t schema, size_t column)
{
    switch (place_below(8)) {
    case 0:
        return add(out, cells[place_below(sizeof cells / sizeof *cells)]);
    case 1:
    case 2:
    case 3:
        return (size_t)sprintf(out, "%zu.%zu", place_below(120), place_below(100000));
    case 4:
        return (size_t)sprintf(out, "%zu", place_below(150));
    case 5:
        return add_quoted(out);
    default:
        return add(out, usual_cell(schema, column));
    }
}

/* Quote the text at `out` as CSV writers do. */
static size_t quote(char *out, size_t len)
{
    char cell[256];
    size_t i, n = 0;

    memcpy(cell, out, len);
    out[n++] = '"';
    for (i = 0; i < len; i++) {
        if (cell[i] == '"')
            out[n++] = '"';
        out[n++] = cell[i];
    }
    out[n++] = '"';
    return n;
}

/* Generate rows that are mostly valid, then change, insert or remove a few bytes. */
static size_t generate(char *out, size_t schema, size_t *ret_prefix)
{
    static const char bytes[] = ",,,\n\n\r\"\" .-+eE0123456789abc\t;\xC3\xA4\xFF";
    const char *header = headers[schema][place_below(3)];
    size_t columns = header_columns(header), rows = place_below(6), len, cell, i, j, at;
    size_t quoted =
        place_below(2) == 0 ? 0 : place_below(5); /* how many of four cells are quoted */

    len = add(out, place_below(40) == 0 ? "\xEF\xBB\xBF" : "");
    len += add(out + len, header);
    len += add(out + len, place_below(4) == 0 ? "\r\n" : "\n");
    *ret_prefix = 0;
    for (i = 0; i < rows; i++) {
        if (place_below(12) == 0)
            *ret_prefix = len;
        for (j = 0; j < columns; j++) {
            len += add(out + len, j > 0 ? "," : "");
            cell = place_below(12) == 0 ? add_cell(out + len, schema, j)
                                        : add(out + len, usual_cell(schema, j));
            len += place_below(4) < quoted ? quote(out + len, cell) : cell;
        }
        len += add(out + len, place_below(6) == 0 ? "\r\n" : "\n");
    }
    for (i = place_below(4); i > 0 && len > 0; i--) {
        at = place_below(len);
        switch (place_below(4)) {
        case 0:
            out[at] = bytes[place_below(sizeof bytes)];
            break;
        case 1:
            memmove(out + at + 1, out + at, len - at);
            out[at] = bytes[place_below(sizeof bytes)];
            len++;
            break;
        case 2:
            memmove(out + at, out + at + 1, len - at - 1);
            len--;
            break;
        default:
            if (place_below(4) == 0)
                len = at;
        }
    }
    if (*ret_prefix > len)
        *ret_prefix = 0;
    return len;
}

static void test_random(size_t inputs)
{
    size_t i, len, schema, prefix, wrong = 0;
    char bytes[4096];
    const char *what;

    for (i = 0; i < inputs && wrong < 5; i++) {
        schema = place_below(SCHEMAS);
        len = generate(bytes, schema, &prefix);
        what = compare(schema, place_below(2), bytes, len, place_below(3) == 0, prefix);
        wrong += what != NULL;
        if (what != NULL)
            show(bytes, len, what);
    }
    check(wrong == 0, "%zu random inputs: %zu differ from the reference", i, wrong);
}

/* Try several windows, and more values than value_cache has slots. */
static void test_large(void)
{
    size_t i, size = getenv("UNIT_SHORT") != NULL ? 20000 : 200000;
    struct buffer text = {0};
    const char *what;

    buffer_printf(&text, "%s\n", headers[0][0]);
    for (i = 0; i < size; i++)
        buffer_printf(&text, "%zu.%zu,%zu,%s,user%zu,%s%s", i, place_below(1000), place_below(101),
                      place_below(2) == 0 ? "idle" : "mixed", place_below(300),
                      place_below(50) == 0 ? "" : "x", place_below(9) == 0 ? "\r\n" : "\n");
    what = compare(0, 0, text.data, text.len, false, 0);
    check(what == NULL, "%zu rows, 300 users: %s", size, what == NULL ? "the same" : what);
    check(fast_path[0][0].check_result.rows == size, "all of them good");
    what = compare(0, 1, text.data, text.len, true, 0);
    check(what == NULL, "in another layout: %s", what == NULL ? "the same" : what);
    buffer_free(&text);
}

static void start(size_t number, const char *text)
{
    struct cause cause;
    char path[64];
    size_t i;

    place_put_text(AT_FDCWD, "schema.ini", text);
    snprintf(path, sizeof path, "schema.ini");
    if (schema_load(&schemas[number], path, &cause) < 0 ||
        training_columns_of_schema(&layouts[number], &schemas[number], &cause) < 0) {
        printf("Bail out! %s\n", cause.text);
        exit(1);
    }
    for (i = 0; i < 2; i++) {
        struct outcome *both[] = {&fast_path[number][i], &reference[number][i]};
        size_t j;

        for (j = 0; j < 2; j++)
            twice_init(both[j], &schemas[number], &configs[i]);
        csv_reader_use_reference(reference[number][i].file_check.rows, true);
        reference[number][i].file_check.column_map.no_cache = true;
    }
}

static void stop(void)
{
    size_t i, j, k;

    for (i = 0; i < SCHEMAS; i++) {
        for (j = 0; j < 2; j++) {
            struct outcome *both[] = {&fast_path[i][j], &reference[i][j]};

            for (k = 0; k < 2; k++)
                twice_free(both[k]);
        }
        training_columns_free(&layouts[i]);
        schema_free(&schemas[i]);
    }
    free(layouts[SCHEMAS].fields);
    close(file);
}

int main(int argc, char **argv)
{
    size_t i, inputs = argc > 1 ? strtoul(argv[1], NULL, 10) : place_rounds(100000);
    int dir = place_enter();

    place_start(argc > 2 ? strtoull(argv[2], NULL, 10) : 0);
    file = memfd_create("input", MFD_CLOEXEC);
    if (dir < 0 || fchdir(dir) < 0 || file < 0)
        abort();
    configs[0] = (struct config){
        .max_row_bytes = 200, .max_columns = 8, .max_bad_percent = 100, .max_reported_errors = 20};
    configs[1] = configs[0];
    configs[1].bad_rows = CONFIG_REJECT_ROWS;
    configs[1].max_row_bytes = 48;
    start(0, "[schema]\nname = x\nfilename = {user_id}_{source}_{when:%Y%m%d_%H%M%S}.csv\n"
             "[field.1]\nname = t\ntype = number\nrequired = true\nminimum = 0\n"
             "[field.2]\nname = p\ntype = number\nrequired = true\nminimum = 0\nmaximum = 100\n"
             "[field.3]\nname = phase\nrequired = true\nenum = idle|mixed|cpu_bound\n"
             "[field.4]\nname = user_id\npattern = [A-Za-z0-9._-]{1,64}\n"
             "[field.5]\nname = source\ndefault = external\n"
             "[field.6]\nname = label\n[field.7]\nname = when\ntype = datetime\n");
    start(1,
          "[schema]\nname = x\n[field.1]\nname = n\ntype = number\nminimum = -10\nmaximum = 9.5\n"
          "[field.2]\nname = i\ntype = integer\nminimum = 7\nmaximum = 17\n"
          "[field.3]\nname = s\nminLength = 2\nmaxLength = 5\n[field.4]\nname = b\ntype = boolean\n"
          "[field.5]\nname = d\ntype = date\nminimum = 2024-01-01\nmissingValues = NaN|7\n"
          "[field.6]\nname = z\ntype = datetime\n");
    start(2, "[schema]\nname = x\n[field.1]\nname = v\n");
    start(3, "[schema]\nname = x\nextra_fields = drop\n[field.1]\nname = a\n"
             "[field.2]\nname = b\ntype = integer\n[field.3]\nname = phase\ntype = integer\n");
    layouts[SCHEMAS].count = layouts[0].count + 1 + REPEATED;
    layouts[SCHEMAS].fields = calloc(layouts[SCHEMAS].count, sizeof(int));
    for (i = 0; i <= layouts[0].count; i++)
        layouts[SCHEMAS].fields[i] = (int)(layouts[0].count - 1) - (int)i;
    if (argc <= 1) {
        test_corners();
        test_large();
    }
    test_random(inputs);
    stop();
    return unit_done();
}

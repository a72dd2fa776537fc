#include "csv/row_check.h"

#include <inttypes.h>

#include "csv/csv_file.h"
#include "lib/place.h"
#include "schema/schema.h"
#include "lib/unit.h"

static int dir;
static struct schema schema;
static struct training_columns own; /* the schema's fields, in order */
static struct cause cause;
static struct violations violations;
static struct column_map column_map;
static struct value_cache caches[64];
static struct tally tally;
static struct buffer out, said;

static void load_schema(void)
{
    char path[64];

    place_put_text(dir, "schema.ini",
                   "[schema]\nfilename = {user_id}_{source}_{at:%Y%m%d_%H%M%S}.csv\n"
                   "[field.1]\nname = t\ntype = number\nrequired = true\nminimum = 0\n"
                   "description = seconds since the start\n"
                   "[field.2]\nname = v\ntype = integer\nrequired = true\nmaximum = 100\n"
                   "[field.3]\nname = note\n"
                   "[field.4]\nname = user_id\npattern = [a-z.0-9]{1,9}\ndefault = anonymous\n"
                   "[field.5]\nname = source\nenum = external|web|a,b\ndefault = external\n"
                   "[field.6]\nname = at\ntype = datetime\n");
    snprintf(path, sizeof path, "%s/schema.ini", place);
    if (schema_load(&schema, path, &cause) < 0 ||
        training_columns_of_schema(&own, &schema, &cause) < 0) {
        printf("Bail out! %s\n", cause.text);
        exit(1);
    }
}

/* Check all rows of a file. `out` gets the accepted ones, `said` the violations. */
static void run(const char *name, const char *text, const struct training_columns *output)
{
    const struct csv_file_request source = {
        .bytes = text, .end = strlen(text), .max_row_bytes = 1 << 20, .max_columns = 32};
    struct column_map_request request = {
        .schema = &schema, .output = output, .caches = caches, .name = name};
    struct csv_file file;
    struct row row;

    violations_clear(&violations);
    tally_clear(&tally);
    column_map_reset(&column_map);
    memset(caches, 0, sizeof caches);
    buffer_clear(&out);
    buffer_clear(&said);
    request.header = &row;
    if (csv_file_open(&file, &source, &cause) < 0 ||
        csv_file_next(&file, &row, &cause) != CSV_READER_ROW || row.fault != ROW_SOUND ||
        column_map_bind(&column_map, &request, &violations, &cause) < 0)
        abort();
    while (csv_file_next(&file, &row, &cause) == CSV_READER_ROW) {
        if (row_check(&column_map, &row, false, &violations) != ROW_CHECK_VALID)
            continue;
        row_write(&column_map, &row, &out);
        if (row_tally(&column_map, &row, &tally, &cause) < 0)
            abort();
    }
    violations_print(&violations, "f", &said);
    csv_file_close(&file);
}

static void check_run(const char *name, const char *text, const char *want, const char *wrong,
                      const char *what)
{
    run(name, text, &own);
    check_text(buffer_text(&out), want, what);
    check_text(buffer_text(&said), wrong, what);
}

/* ---- what is written ---------------------------------------------------------------------- */

static void test_columns(void)
{
    check_run("x.csv", "t,v,note,user_id,source,at\n1,2,n,u,web,2024-01-01T12:00:00\n",
              "1,2,n,u,web,2024-01-01T12:00:00\n", "", "all columns in the schema's order");
    check_run("x.csv", "at,source,user_id,note,v,t\n2024-01-01T12:00:00,web,u,n,2,1\n",
              "1,2,n,u,web,2024-01-01T12:00:00\n", "", "in the other order");
    check_run("x.csv", "v,t\n2,1\n", "1,2,,anonymous,external,\n", "",
              "missing ones: the default, or nothing");
    check_run("x.csv", "t,v,user_id,source\n1,2,,\n", "1,2,,,,\n", "",
              "an empty cell of an optional column stays empty");
    check_run("x.csv", "t,v\n1,2\n3,4", "1,2,,anonymous,external,\n3,4,,anonymous,external,\n", "",
              "a last row without line end gets one");
    check_run("x.csv", "t,v,note\r\n1,2,\r\n1,2,\"\"\r\n",
              "1,2,,anonymous,external,\n1,2,,anonymous,external,\n", "", "CRLF becomes LF");
    check_run("x.csv", "\"t\",\"v\"\n\"1\",\"2\"\n", "1,2,,anonymous,external,\n", "",
              "quotes that need not be are left out");
}

static void test_bytes(void)
{
    static const char *const cells[][2] = {
        {"plain", "plain"},
        {" a ", " a "},
        {"\t", "\t"},
        {"\" a \"", " a "},
        {"\"a,b\"", "\"a,b\""},
        {"\"a\"\"b\"", "\"a\"\"b\""},
        {"\"\"\"\"", "\"\"\"\""},
        {"\"a\nb\"", "\"a\nb\""},
        {"\"a\r\nb\"", "\"a\r\nb\""},
        {"\"a\"", "a"},
        {"a'b;c|d\\", "a'b;c|d\\"},
        {"=1+1", "=1+1"},
        {"\xC3\xA4\xF0\x9F\x98\x80", "\xC3\xA4\xF0\x9F\x98\x80"},
        {"\xEF\xBB\xBFx", "\xEF\xBB\xBFx"},
        {"#x", "#x"},
    };
    char text[256], want[256];
    size_t i;

    for (i = 0; i < sizeof cells / sizeof *cells; i++) {
        snprintf(text, sizeof text, "note,v,t\n%s,002,1.50e+00\n", cells[i][0]);
        snprintf(want, sizeof want, "1.50e+00,002,%s,anonymous,external,\n", cells[i][1]);
        check_run("x.csv", text, want, "", cells[i][0]);
        snprintf(text, sizeof text, "t,v,note\n1.50e+00,002,%s\n", cells[i][0]);
        check_run("x.csv", text, want, "", "in the training file's order");
    }
    check_run("x.csv", "t,v,source\n1,2,\"a,b\"\n", "1,2,,anonymous,\"a,b\",\n", "",
              "a value of an enum with a comma");
}

/* Write rows in the columns of a training file's own header. */
static void test_layouts(void)
{
    static int one[] = {2}, odd[] = {5, -1, 1, 0, -1}, twice[] = {0, 0, 1};
    const struct training_columns note = {one, 1}, strange = {odd, 5}, doubled = {twice, 3};

    run("x.csv", "t,v,note\n1,2,n\n1,2,\n1,2,\"a,b\"\n", &note);
    check_text(buffer_text(&out), "n\n\"\"\n\"a,b\"\n", "one column: no row may be a blank line");
    run("x.csv", "note,v,t\n\"\",2,1\nx,2,1\n", &note);
    check_text(buffer_text(&out), "\"\"\nx\n", "likewise from other order");
    run("x.csv", "t,v\n1,2\n", &note);
    check_text(buffer_text(&out), "\"\"\n", "or without that column");
    run("x.csv", "t,v,at\n1,2,2024-01-01T12:00:00\n", &strange);
    check_text(buffer_text(&out), "2024-01-01T12:00:00,,2,1,\n",
               "columns that nobody knows are empty");
    run("x.csv", "t,v\n1,2\n", &doubled);
    check_text(buffer_text(&out), "1,1,2\n", "a column that is there twice");
    run("x.csv", "t,v,note,user_id,source,at\n1,2,n,u,web,\n", &doubled);
    check_text(buffer_text(&out), "1,1,2\n", "columns that it has not are left out");
}

static void test_tally(void)
{
    run("x.csv", "t,v,user_id\n1,2,eva\n1,2,udo\n1,2,\n1,2,eva\n1,200,eva\n", &own);
    check(tally.rows == 4 && counter_get(&tally.by[TALLY_USERS], "eva", 3) == 2 &&
              counter_get(&tally.by[TALLY_USERS], "udo", 3) == 1 &&
              counter_get(&tally.by[TALLY_USERS], "", 0) == 1 &&
              counter_get(&tally.by[TALLY_SOURCES], "external", 8) == 4,
          "accepted rows are counted, by what is written");
    check(tally.by[TALLY_PHASES].count == 0 && tally.by[TALLY_LABELS].count == 0,
          "not by what the schema has not");
}

static void test_rows(void)
{
    static const struct {
        const char *row, *said;
    } rows[] = {
        {"1", "missing-cell: 1 cells where the header has 3"},
        {"1,2", "missing-cell: 2 cells where the header has 3"},
        {"1,2,3,4", "extra-cell: 4 cells where the header has 3"},
        {"1,5,2,", "extra-cell: 4 cells where the header has 3"},
        {"x,2,", "type-error: t: "},
        {"-1,2,", "constraint-error: t: "},
        {",2,", "constraint-error: t: "},
        {"1,101,", "constraint-error: v: "},
        {"1,1.0,", "type-error: v: "},
        {"1 ,2,", "type-error: t: "},
        {"\"a\"b,2,", "stray-quote: "},
        {"1,2,\xFF", "encoding-error: "},
        {"1,2,a\rb", "encoding-error: "},
    };
    char text[256], want[256];
    size_t i;

    for (i = 0; i < sizeof rows / sizeof *rows; i++) {
        snprintf(text, sizeof text, "t,v,note\n1,2,\n%s\n1,3,\n", rows[i].row);
        snprintf(want, sizeof want, "f:3: %s", rows[i].said);
        run("x.csv", text, &own);
        check(violations.total == 1 && strncmp(buffer_text(&said), want, strlen(want)) == 0,
              "%s: %s", want, buffer_text(&said));
        check_text(buffer_text(&out), "1,2,,anonymous,external,\n1,3,,anonymous,external,\n",
                   "and the others are good");
    }
    run("x.csv", "t,v,note\nx,y,\n", &own);
    check(violations.counts[VIOLATION_TYPE_ERROR] == 2 && violations.list[0].column == 1 &&
              violations.list[1].column == 2 && violations.list[1].line == 2,
          "every bad cell of a row, with its column");
    run("x.csv", "v,note,t\n105,,1\n", &own);
    check_text(buffer_text(&said), "f:2: constraint-error: v: 105 is above maximum 100\n",
               "rule and value");
    run("x.csv", "t,v,note\n1,2,\"a\nb\"\nx,2,\n", &own);
    check(violations.list[0].line == 4, "lines as an editor counts them");
    run("x.csv", "t,v,note,user_id\n1,2,,eva\n1,2,,EVA\n1,2,,eva\n1,2,,EVA\n1,2,,\n", &own);
    check(violations.total == 2 && violations.list[0].line == 3 && violations.list[1].line == 5,
          "a value that was good before does not make another good");
}

/* Alternate valid and invalid values, some of them cached. */
static void test_runs(void)
{
    static const char *const users[] = {"eva",        "udo",    "eva1",      "",   "EVA",
                                        "toolong.xy", "evaeva", "\"e\"\"\"", "e v"};
    static const bool good[] = {true, true, true, true, false, false, true, false, false};
    size_t i, k, v, wrong = 0, rounds = place_rounds(3000);
    struct buffer text = {0}, want = {0};

    for (i = 0; i < rounds; i++) {
        buffer_clear(&text);
        buffer_clear(&want);
        buffer_string(&text, "user_id,t,v\n");
        for (k = 0; k < 12; k++) {
            size_t user = place_below(sizeof users / sizeof *users);

            v = place_below(2) == 0 ? 50 : 95 + place_below(10);
            buffer_printf(&text, "%s,%zu,%zu\n", users[user], k, v);
            if (good[user] && v <= 100)
                buffer_printf(&want, "%zu,%zu,,%s,external,\n", k, v, users[user]);
        }
        run("x.csv", buffer_text(&text), &own);
        wrong += strcmp(buffer_text(&out), buffer_text(&want)) != 0;
    }
    check(wrong == 0, "%zu files of good and bad values in turn: %zu wrong", rounds, wrong);
    buffer_free(&text);
    buffer_free(&want);
}

int main(void)
{
    dir = place_enter();
    violations_init(&violations, 100);
    load_schema();
    test_columns();
    test_bytes();
    test_layouts();
    test_tally();
    test_rows();
    test_runs();
    column_map_free(&column_map);
    column_map_free(&column_map);
    training_columns_free(&own);
    training_columns_free(&own);
    schema_free(&schema);
    violations_free(&violations);
    tally_free(&tally);
    buffer_free(&out);
    buffer_free(&said);
    close(dir);
    return unit_done();
}

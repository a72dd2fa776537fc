#include "csv/column_map.h"

#include "base/digest.h"
#include "csv/csv_file.h"
#include "lib/place.h"
#include "lib/unit.h"

static int dir;
static struct schema schema;
static struct training_columns own; /* the schema's fields, in order */
static struct cause cause;
static struct violations violations;
static struct column_map map;
static struct buffer said;

static void load_schema(const char *extra_fields)
{
    char text[2048], path[64];

    snprintf(text, sizeof text,
             "[schema]\nfilename = {user_id}_{source}_{at:%%Y%%m%%d_%%H%%M%%S}.csv\n"
             "extra_fields = %s\n"
             "[field.1]\nname = t\ntype = number\nrequired = true\nminimum = 0\n"
             "description = seconds since the start\n"
             "[field.2]\nname = v\ntype = integer\nrequired = true\nmaximum = 100\n"
             "[field.3]\nname = note\n"
             "[field.4]\nname = user_id\npattern = [a-z.0-9]{1,9}\ndefault = anonymous\n"
             "[field.5]\nname = source\nenum = external|web|a,b\ndefault = external\n"
             "[field.6]\nname = at\ntype = datetime\n",
             extra_fields);
    place_put_text(dir, "schema.ini", text);
    snprintf(path, sizeof path, "%s/schema.ini", place);
    column_map_free(&map);
    training_columns_free(&own);
    schema_free(&schema);
    if (schema_load(&schema, path, &cause) < 0 ||
        training_columns_of_schema(&own, &schema, &cause) < 0) {
        printf("Bail out! %s\n", cause.text);
        exit(1);
    }
}

/* Bind the header of a file. `said` gets the violations. */
static void bind(const char *name, const char *header)
{
    const struct csv_file_request source = {
        .bytes = header, .end = strlen(header), .max_row_bytes = 1 << 20, .max_columns = 32};
    struct column_map_request request = {.schema = &schema, .output = &own, .name = name};
    struct csv_file file;
    struct row row;

    violations_clear(&violations);
    column_map_reset(&map);
    buffer_clear(&said);
    request.header = &row;
    if (csv_file_open(&file, &source, &cause) < 0 ||
        csv_file_next(&file, &row, &cause) != CSV_READER_ROW || row.fault != ROW_SOUND ||
        column_map_bind(&map, &request, &violations, &cause) < 0)
        abort();
    violations_print(&violations, "f", &said);
    csv_file_close(&file);
}

static void check_bind(const char *header, const char *want, const char *what)
{
    bind("x.csv", header);
    check_text(buffer_text(&said), want, what);
}

static void test_columns(void)
{
    bind("x.csv", "v,note,t\n");
    check(violations.total == 0 && map.columns == 3 && map.field_of[0] == 1 &&
              map.field_of[1] == 2 && map.field_of[2] == 0 && map.column_of[0] == 2 &&
              map.column_of[1] == 0 && map.column_of[2] == 1 && map.column_of[3] == -1,
          "columns are matched by name, in any order");
    check(!map.copyable, "rows in another order than the training file's cannot be copied");
    check(map.counted[TALLY_USERS] == 3 && map.counted[TALLY_SOURCES] == 4 &&
              map.counted[TALLY_LABELS] == -1 && map.counted[TALLY_PHASES] == -1,
          "the fields that are counted, as far as the schema has them");
    bind("x.csv", "t,v,note\n");
    check(map.copyable, "rows in the training file's order can be copied");
    check_text(buffer_text(&map.suffix), ",anonymous,external,\n", "and what follows them");
    bind("y.csv", "t,v,note\n");
    check(map.copyable && map.column_of[2] == 2, "the same header again");
    bind("x.csv", "t\n");
    check(!map.copyable, "rows of one column cannot: an empty one needs quotes");
}

/* ---- values from the file name ------------------------------------------------------------ */

/* Bind a header and compare the constants of note, user_id, source and at. */
static void check_name(const char *name, const char *header, const char *want, const char *what)
{
    struct buffer got = {0};
    size_t i;

    bind(name, header);
    for (i = 2; i < schema.count; i++)
        buffer_printf(&got, "%s%s", i > 2 ? "," : "",
                      map.column_of[i] >= 0      ? "*"
                      : map.constants[i] == NULL ? ""
                                                 : map.constants[i]);
    check_text(buffer_text(&got), want, what);
    check(violations.total == 0, "%s: no violation", what);
    buffer_free(&got);
}

static void test_name(void)
{
    static const char name[] = "eva_web_20240131_120000.csv";
    static const char meta[] = "user_id=eva\nsource=web\n";
    uint64_t hash;

    check_name(name, "t,v\n", ",eva,web,2024-01-31T12:00:00", "a name gives values");
    hash = map.meta;
    check(map.has_meta && hash == digest_check(meta, strlen(meta)), "meta is their hash");
    check_name("eva_web_20240201_120000.csv", "t,v\n", ",eva,web,2024-02-01T12:00:00",
               "a name with another time");
    check(map.has_meta && map.meta == hash, "the time is not part of meta");
    check_name("udo_web_20240131_120000.csv", "t,v\n", ",udo,web,2024-01-31T12:00:00",
               "a name with another user");
    check(map.has_meta && map.meta != hash, "the user is part of meta");
    check_name(name, "t,v,user_id,source\n", ",*,*,2024-01-31T12:00:00",
               "columns come before the name");
    check(!map.has_meta && map.meta == 0, "no meta where columns give the values");
    check_name(name, "t,v,user_id\n", ",*,web,2024-01-31T12:00:00",
               "one column, one from the name");
    check(map.has_meta && map.meta == digest_check("source=web\n", 11),
          "meta is the value from the name");
    check_name("eva_ftp_20240131_120000.csv", "t,v\n", ",anonymous,external,",
               "a name with a value that is not valid gives none");
    check(!map.has_meta, "and no meta");
    check_name("Eva_web_20240131_120000.csv", "t,v\n", ",anonymous,external,", "a wrong user");
    check_name("eva_web_20240231_120000.csv", "t,v\n", ",anonymous,external,", "no such day");
}

/* ---- headers that break the schema -------------------------------------------------------- */

static void test_header(void)
{
    static const struct {
        const char *header, *said;
    } headers[] = {
        {"t,v,", "f:1: blank-label: column 3 has no name\n"},
        {",,t,v",
         "f:1: blank-label: column 1 has no name\nf:1: blank-label: column 2 has no name\n"},
        {"t,v,t", "f:1: duplicate-label: t: columns 1 and 3 have the same name\n"},
        {"t,v,note,note", "f:1: duplicate-label: note: columns 3 and 4 have the same name\n"},
        {"v", "f:1: missing-label: t: the required column is missing (seconds since the start)\n"},
        {"t,note", "f:1: missing-label: v: the required column is missing\n"},
        {"t,v,colour", "f:1: extra-label: the schema has no column 'colour'\n"},
        {"t,v,x,x", "f:1: extra-label: the schema has no column 'x'\n"
                    "f:1: duplicate-label: columns 3 and 4 have the same name\n"},
        {"t,v, note", "f:1: extra-label: the schema has no column ' note': did you mean 'note'?\n"},
        {"t,v,Note ", "f:1: extra-label: the schema has no column 'Note ': did you mean 'note'?\n"},
        {"t;v", "f:1: extra-label: the schema has no column 't;v': the columns are separated by "
                "semicolons; save with commas\n"
                "f:1: missing-label: t: the required column is missing (seconds since the start): "
                "the columns are separated by semicolons; save with commas\n"
                "f:1: missing-label: v: the required column is missing: the columns are separated "
                "by semicolons; save with commas\n"},
        {"t,v,n\x01", "f:1: extra-label: the schema has no column 'n\\x01'\n"},
    };
    char text[256];
    size_t i;

    for (i = 0; i < sizeof headers / sizeof *headers; i++) {
        snprintf(text, sizeof text, "%s\n", headers[i].header);
        check_bind(text, headers[i].said, headers[i].header);
    }
    bind("x.csv", "T,v\n");
    check(violations.counts[VIOLATION_EXTRA_LABEL] == 1 &&
              violations.counts[VIOLATION_MISSING_LABEL] == 1 &&
              strstr(buffer_text(&said), "did you mean 't'?") != NULL,
          "case counts: %s", buffer_text(&said));
    bind("x.csv", "t\tv\n");
    check(strstr(buffer_text(&said), "separated by tabs") != NULL, "tabs: %s", buffer_text(&said));
    load_schema("drop");
    check_bind("a,t,b,v,a2\n", "", "extra_fields = drop");
    check(map.field_of[0] == -1 && map.field_of[1] == 0 && map.field_of[2] == -1,
          "columns that the schema does not have are dropped");
    check_bind("a,t,b,v,a\n", "f:1: duplicate-label: columns 1 and 5 have the same name\n",
               "extra_fields = drop: the same label twice");
    check_bind("t,v,\n", "f:1: blank-label: column 3 has no name\n",
               "extra_fields = drop: no label");
    load_schema("reject");
}

int main(void)
{
    dir = place_enter();
    violations_init(&violations, 100);
    load_schema("reject");
    test_columns();
    test_name();
    test_header();
    column_map_free(&map);
    column_map_free(&map);
    training_columns_free(&own);
    training_columns_free(&own);
    schema_free(&schema);
    violations_free(&violations);
    buffer_free(&said);
    close(dir);
    return unit_done();
}

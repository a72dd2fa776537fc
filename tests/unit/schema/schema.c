#include "schema/schema.h"

#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/unit.h"

static char directory[] = "/tmp/phasesentinel-schema.XXXXXX";
static char path[sizeof directory + 16];

static void write_schema(const char *content)
{
    FILE *file = fopen(path, "w");

    if (file == NULL || fputs(content, file) < 0 || fclose(file) != 0)
        abort();
}

#define FIELD "[field.1]\nname = a\n" /* the next line is line 3 */
static const struct {
    const char *content;
    const char *problems; /* without "FILE:" in front of each line */
} bad[] = {
    {"", " it has no [field.1]; a schema has such a section for each column"},
    {"[schema]\nname = x\n", " it has no [field.1]; a schema has such a section for each column"},
    {"[shema]\n" FIELD, "1: unknown section [shema]; there are [schema] and, one for each column, "
                        "[field.1], [field.2] ..."},
    {FIELD "[field.x]\n", "3: unknown section [field.x]; there are [schema] and, one for each "
                          "column, [field.1], [field.2] ..."},
    {FIELD "[field.02]\n", "3: unknown section [field.02]; there are [schema] and, one for each "
                           "column, [field.1], [field.2] ..."},
    {FIELD "[field.0]\n", "3: unknown section [field.0]; there are [schema] and, one for each "
                          "column, [field.1], [field.2] ..."},
    {FIELD "[field.3]\nname = b\n",
     "3:[field.3] without [field.2]; fields are numbered from 1 without gaps"},
    {"[field.2]\nname = b\n",
     "1:[field.2] without [field.1]; fields are numbered from 1 without gaps"},
    {FIELD "[field.1]\nname = b\n",
     "3:section [field.1] stands in line 1 already\n4:name stands in line 2 already"},
    {"[field.1]\ntype = number\n", "1:the field has no name; write name = COLUMN"},
    {"[field.1]\nname =\n", "2:name: it is empty; write the name of the column"},
    {FIELD "[field.2]\nname = a\n", "4:name: 'a' is the name of [field.1] already"},
    {FIELD "requird = true\n",
     "3:unknown key requird in section [field.1]; did you mean required?"},
    {FIELD "min_length = 3\n",
     "3:unknown key min_length in section [field.1]; did you mean minLength?"},
    {FIELD "unique = true\n", "3:unknown key unique in section [field.1]"},
    {"[schema]\nfile_name = x\n" FIELD,
     "2:unknown key file_name in section [schema]; did you mean filename?"},
    {"[schema]\nname =\n" FIELD, "2:name: it is empty"},
    {"[schema]\nextra_fields = ignore\n" FIELD,
     "2:extra_fields: 'ignore' is not one of reject, drop"},
    {FIELD "type = float\n",
     "3:type: 'float' is not one of string, number, integer, boolean, date, datetime"},
    {FIELD "type = Number\n", "3:type: 'Number' is not one of string, number, integer, boolean, "
                              "date, datetime; did you mean number?"},
    {FIELD "required = yes\n", "3:required: 'yes' is not one of false, true"},
    {FIELD "minimum = 5\n", "3:minimum: type string has no order; type = number is missing?"},
    {FIELD "type = boolean\nmaximum = 1\n", "4:maximum: type boolean has no order"},
    {FIELD "type = number\nminimum = 1,5\n",
     "4:minimum: '1,5' is not a number: a decimal comma? Write 1.5"},
    {FIELD "type = integer\nmaximum = 1.0\n",
     "4:maximum: '1.0' is not an integer: an integer has no decimal point and no exponent"},
    {FIELD "type = number\nminimum =\n", "4:minimum: a value is required"},
    {FIELD "type = number\nmaximum = 100\nminimum = 100.00000000000000000001\n",
     "4:maximum: 100 is below minimum 100.00000000000000000001"},
    {FIELD "type = date\nminimum = 2024-02-30\n",
     "4:minimum: '2024-02-30' is not a date: the calendar has no such day"},
    {FIELD "type = date\nformat = %d.%m.%Y\nminimum = 2024-02-01\n",
     "5:minimum: '2024-02-01' is not a date written as %d.%m.%Y, as in 31.12.2024"},
    {FIELD "type = datetime\nminimum = 2024-01-01T12:00:00\nmaximum = 2024-01-01T12:00:00+01:00\n",
     "5:maximum: 2024-01-01T12:00:00+01:00 is below minimum 2024-01-01T12:00:00"},
    {FIELD "minLength = 5\nmaxLength = 4\n", "4:maxLength: 4 is below minLength 5"},
    {FIELD "minLength = few\n",
     "3:minLength: 'few' is no whole number from 0 to 1000000000 characters"},
    {FIELD "type = number\nmaxLength = 4\n",
     "4:maxLength: only type string has a length, not number"},
    {FIELD "pattern = a(b\n", "3:pattern: 'a(b' cannot be used: Unmatched ( or \\("},
    {FIELD "pattern = [a-\n", "3:pattern: '[a-' cannot be used: Unmatched [, [^, [:, [., or [="},
    {FIELD "pattern = a)|b\n", "3:pattern: 'a)|b' cannot be used: a ')' has no '(' before it"},
    {FIELD "pattern = (a)\\1\n", "3:pattern: '(a)\\1' cannot be used: it has a back-reference"},
    {FIELD "pattern =\n", "3:pattern: '' cannot be used: it is empty"},
    {FIELD "pattern = [;]x\n", "3:';' begins a comment and would cut the value; quote the value, "
                               "or put a blank before a comment"},
    {FIELD "enum = a|b|a\n", "3:enum: 'a' stands in it twice"},
    {FIELD "enum = a||b\n", "3:enum: an empty value stands in it; write them as in a|b|c"},
    {FIELD "enum = a | b\n",
     "3:enum: 'a ' has a blank at its start or end; write them as in a|b|c\n"
     "3:enum: ' b' has a blank at its start or end; write them as in a|b|c"},
    {FIELD "enum =\n", "3:enum: an empty value stands in it; write them as in a|b|c"},
    {FIELD "type = integer\nenum = 1|two\n", "4:enum: 'two' is not an integer"},
    {FIELD "type = integer\nminimum = 2\nenum = 1|2\n", "5:enum: 1 is below minimum 2"},
    {FIELD "missingValues = NA|NA\n", "3:missingValues: 'NA' stands in it twice"},
    {FIELD "format = %Y\n", "3:format: only the types date and datetime have one, not string"},
    {FIELD "type = date\nformat = %m/%d\n",
     "4:format: year, month and day are needed: %Y, %m and %d"},
    {FIELD "type = datetime\nformat = %Y-%m-%dT%X\n",
     "4:format: %X cannot be read; use %Y %m %d %H %M %S or what the manual lists"},
    {FIELD "enum = x|y\ndefault = X\n", "4:default: 'X' is not one of x, y: write x, exactly so"},
    {FIELD "type = number\ndefault = none\n",
     "4:default: 'none' is not a number: leave the cell empty where there is no value"},
    {FIELD "required = true\ndefault = x\n",
     "4:default: it would never be used, since the column is required"},
    {"[schema]\nfilename = {b}.csv\n" FIELD, "2:filename: {b} is no field of this schema"},
    {"[schema]\nfilename = {a.csv\n" FIELD, "2:filename: a '{' has no '}' behind it"},
    {"[schema]\nfilename = {a}_{a}.csv\n" FIELD, "2:filename: {a} stands in it twice"},
    {"[schema]\nfilename = {a}{b}.csv\n" FIELD "[field.2]\nname = b\n",
     "2:filename: a text must stand between {a} and {b}, or nobody can tell where one ends"},
    {"[schema]\nfilename = {a:%Y%m%d}.csv\n" FIELD,
     "2:filename: {a} has a time format, but its type is string"},
    {"[schema]\nextra = drop\nextra_fields = no\nfilename = }\n[field.3]\ntype = text\n" FIELD
     "colour = red\n",
     "2:unknown key extra in section [schema]\n3:extra_fields: 'no' is not one of reject, drop\n"
     "4:filename: a '}' has no '{' before it\n"
     "5:[field.3] without [field.2]; fields are numbered from 1 without gaps\n"
     "5:the field has no name; write name = COLUMN\n"
     "6:type: 'text' is not one of string, number, integer, boolean, date, datetime\n"
     "9:unknown key colour in section [field.1]"},
};

/* "LINE:text" becomes "FILE:LINE: text", and " text" "FILE: text". */
static void name_lines(char *out, size_t size, const char *problems)
{
    const char *end, *text;
    size_t used = 0;

    for (; *problems != '\0'; problems = *end == '\0' ? end : end + 1) {
        end = strchrnul(problems, '\n');
        text = problems + strspn(problems, "0123456789");
        used +=
            (size_t)snprintf(out + used, size - used, "%s%s%s%.*s: %.*s", used > 0 ? "\n" : "",
                             path, text > problems ? ":" : "", (int)(text - problems), problems,
                             (int)(end - text - 1 - (text[1] == ' ')), text + 1 + (text[1] == ' '));
    }
}

static void test_bad(void)
{
    struct schema schema;
    struct cause cause;
    char want[4096];
    size_t i;

    for (i = 0; i < sizeof bad / sizeof *bad; i++) {
        write_schema(bad[i].content);
        name_lines(want, sizeof want, bad[i].problems);
        cause.text[0] = '\0';
        check(schema_load(&schema, path, &cause) < 0 && cause.kind == CAUSE_CONFIG, "refused: %s",
              bad[i].content);
        check_text(cause.text, want, "with this text");
        check(schema.fields == NULL && schema.count == 0 && schema.name == NULL,
              "and the struct is zeroed");
    }
    unlink(path);
    check(schema_load(&schema, path, &cause) < 0 && cause.kind == CAUSE_CONFIG, "a missing file");
    snprintf(want, sizeof want,
             "there is no schema %s; `schema` in section [paths] of the configuration names it",
             path);
    check_text(cause.text, want, "the text says which key names it");
}

/* Match a name and compare the values with "field=value field=value". */
static void check_match(const struct schema *schema, const char *name, const char *want)
{
    char **values = calloc(schema->count, sizeof *values);
    struct buffer out = {0};
    struct cause cause;
    size_t i;

    if (values == NULL)
        return;
    check(schema_match_name(schema, name, values, &cause) == 0, "%s is matched", name);
    for (i = 0; i < schema->count; i++) {
        if (values[i] != NULL)
            buffer_printf(&out, "%s%s=%s", out.len > 0 ? " " : "", schema->fields[i].name,
                          values[i]);
        free(values[i]);
    }
    check_text(buffer_text(&out), want, name);
    buffer_free(&out);
    free(values);
}

static enum field_fault check_value(const struct schema *schema, const char *name, const char *text)
{
    int i = schema_find(schema, name, strlen(name));

    return i < 0 ? FIELD_NO_MEMORY : field_check(&schema->fields[i], text, strlen(text), NULL);
}

/* Load a schema with other columns, since none of them is built in. */
static void test_other(void)
{
    static const char content[] =
        "[field.2]\nname = Wert, \xE2\x82\xAC\ntype = number\nminimum = -5.5\nmissingValues = "
        "NA|-\n"
        "[schema]\nfilename = {Ort}/{Tag:%d.%m.%Y}-{lfd}.CSV\nextra_fields = drop\n"
        "[field.1]\nname = Ort\nminLength = 2\nmaxLength = 3\ndescription = a place\n"
        "[field.3]\nname = Tag\ntype = date\nmaximum = 2030-01-01\n"
        "[field.4]\nname = lfd\ntype = integer\nenum = 1|2|3\ndefault = 1\n"
        "[field.5]\nname = ok\ntype = boolean\nREQUIRED = true\n"
        "[field.6]\nname = um\ntype = datetime\nformat = \"%d.%m.%Y %H:%M\"\n"
        "[field.7]\nname = code\npattern = ([A-Z]{2}|[])(]x)-[[:digit:]]+\n";
    struct schema schema;
    struct cause cause = {.text = ""};

    write_schema(content);
    if (!check(schema_load(&schema, path, &cause) == 0, "another schema: %s", cause.text))
        return;
    check_text(schema.name, "schema", "the default name");
    check(schema.count == 7 && schema.drop_extra, "seven fields, others are dropped");
    check_text(schema.fields[0].name, "Ort", "fields are in the order of their numbers");
    check_text(schema.fields[0].description, "a place", "a field has its description");
    check(schema_find(&schema, "Wert, \xE2\x82\xAC", 9) == 1, "a name may have any characters");
    check(schema_find(&schema, "ort", 3) == -1 && schema_find(&schema, "Or", 2) == -1,
          "names are exact");
    check(check_value(&schema, "Ort", "\xC3\x84\xC3\x96\xC3\x9C") == FIELD_FITS,
          "lengths count characters");
    check(check_value(&schema, "Wert, \xE2\x82\xAC", "-5.51") == FIELD_CONSTRAINT_ERROR, "minimum");
    check(check_value(&schema, "Wert, \xE2\x82\xAC", "NA") == FIELD_FITS, "missing values");
    check(check_value(&schema, "ok", "") == FIELD_CONSTRAINT_ERROR,
          "required, in any case of the key");
    check(check_value(&schema, "um", "31.12.2024 23:59") == FIELD_FITS, "format");
    check(check_value(&schema, "um", "2024-12-31T23:59:00") == FIELD_TYPE_ERROR,
          "a time in another format is refused");
    check(check_value(&schema, "code", "AB-12") == FIELD_FITS &&
              check_value(&schema, "code", "(x-1") == FIELD_FITS,
          "pattern");
    check(check_value(&schema, "code", "AB-12 ") == FIELD_CONSTRAINT_ERROR,
          "a pattern matches the whole value");
    check_text(schema.fields[3].fallback, "1", "default");
    check_match(&schema, "drop/Ulm/1.2.2024-3.CSV", "Ort=Ulm Tag=2024-02-01 lfd=3");
    check_match(&schema, "Ulm/1.2.2024-3.CSV", "Ort=Ulm Tag=2024-02-01 lfd=3");
    check_match(&schema, "Ulm/01.02.2031-3.CSV", "");
    check_match(&schema, "Ulm/01.02.2024-4.CSV", "");
    check_match(&schema, "01.02.2024-3.CSV", "");
    schema_free(&schema);
    schema_free(&schema);
    write_schema("[field.1]\nname = a\n");
    check(schema_load(&schema, path, &cause) == 0, "the least schema");
    check_match(&schema, "a.csv", "");
    check_match(&schema, "eva/a.csv", "");
    schema_free(&schema);
    write_schema("[schema]\nfilename = {source}-{day:%Y%m%d}.csv\n[field.1]\nname = source\n"
                 "[field.2]\nname = user_id\npattern = [a-z]+\ndefault = none\n"
                 "[field.3]\nname = day\ntype = date\n");
    check(schema_load(&schema, path, &cause) == 0, "a schema with users");
    check_match(&schema, "web-20240201.csv", "source=web day=2024-02-01");
    check_match(&schema, "eva/web-20240201.csv", "source=web user_id=eva day=2024-02-01");
    check_match(&schema, "eva/2024/x.csv", "user_id=eva");
    check_match(&schema, "Eva/web-20240201.csv", "source=web day=2024-02-01");
    check_match(&schema, "/x.csv", "");
    schema_free(&schema);
    write_schema("[schema]\nfilename = {user_id}_{source}.csv\n[field.1]\nname = source\n"
                 "[field.2]\nname = user_id\n");
    check(schema_load(&schema, path, &cause) == 0, "a schema whose names tell users");
    check_match(&schema, "eva/udo_web.csv", "source=web user_id=udo");
    check_match(&schema, "eva/web.csv", "user_id=eva");
    schema_free(&schema);
    write_schema("[schema]\nfilename = {source}/x.csv\n[field.1]\nname = source\n"
                 "[field.2]\nname = user_id\n");
    check(schema_load(&schema, path, &cause) == 0, "a schema whose directories are no users");
    check_match(&schema, "web/x.csv", "source=web");
    check_match(&schema, "web/y.csv", "");
    schema_free(&schema);
}

/* etc/schema.ini has the fields of the guide. */
static void test_example(void)
{
    static const char *const names[] = {
        "timestamp",     "cpu_percent",     "memory_percent",      "memory_used_gb", "disk_read_mb",
        "disk_write_mb", "network_sent_mb", "network_recv_mb",     "phase",          "user_id",
        "source",        "label",           "collection_timestamp"};
    static const struct {
        const char *name, *text;
        enum field_fault fault;
    } cases[] = {
        {"timestamp", "0.0", FIELD_FITS},
        {"timestamp", "-0.5", FIELD_CONSTRAINT_ERROR},
        {"timestamp", "", FIELD_CONSTRAINT_ERROR},
        {"timestamp", "2024-01-01", FIELD_TYPE_ERROR},
        {"cpu_percent", "100", FIELD_FITS},
        {"cpu_percent", "100.00000000000000000001", FIELD_CONSTRAINT_ERROR},
        {"cpu_percent", "0.5", FIELD_FITS},
        {"memory_percent", "-1", FIELD_CONSTRAINT_ERROR},
        {"network_recv_mb", "nan", FIELD_TYPE_ERROR},
        {"phase", "mixed", FIELD_FITS},
        {"phase", "Mixed", FIELD_CONSTRAINT_ERROR},
        {"user_id", "user.001_a-b", FIELD_FITS},
        {"user_id", "user 1", FIELD_CONSTRAINT_ERROR},
        {"user_id", "", FIELD_FITS},
        {"source", "web", FIELD_FITS},
        {"source", "app", FIELD_CONSTRAINT_ERROR},
        {"label", "anomaly", FIELD_FITS},
        {"collection_timestamp", "2024-01-01T12:00:00.25+01:00", FIELD_FITS},
        {"collection_timestamp", "2024-01-01", FIELD_TYPE_ERROR},
    };
    struct schema schema;
    struct cause cause = {.text = ""};
    size_t i;

    if (access("etc/schema.ini", R_OK) < 0)
        return;
    if (!check(schema_load(&schema, "etc/schema.ini", &cause) == 0, "etc/schema.ini is good: %s",
               cause.text))
        return;
    check_text(schema.name, "phasesentinel-metrics", "its name");
    check(schema.count == sizeof names / sizeof *names && !schema.drop_extra, "thirteen fields");
    for (i = 0; i < schema.count && i < sizeof names / sizeof *names; i++)
        check(strcmp(schema.fields[i].name, names[i]) == 0 && schema.fields[i].required == (i < 9),
              "%s", names[i]);
    for (i = 0; i < sizeof cases / sizeof *cases; i++)
        check(check_value(&schema, cases[i].name, cases[i].text) == cases[i].fault, "%s = '%s'",
              cases[i].name, cases[i].text);
    check_text(schema.fields[9].fallback, "anonymous", "user_id");
    check_text(schema.fields[10].fallback, "external", "source");
    check_text(schema.fields[11].fallback, "normal", "label");
    check_match(&schema, "user_001_external_20240101_120000.csv",
                "user_id=user_001 source=external collection_timestamp=2024-01-01T12:00:00");
    check_match(&schema, "user_001_phone_20240101_120000.csv", "");
    check_match(&schema, "metrics.csv", "");
    schema_free(&schema);
}

int main(void)
{
    if (mkdtemp(directory) == NULL || freopen("/dev/null", "w", stderr) == NULL)
        return 1;
    snprintf(path, sizeof path, "%s/test.ini", directory);
    test_bad();
    test_other();
    test_example();
    unlink(path);
    rmdir(directory);
    return unit_done();
}

#include "schema/name_template.h"

#include <stdint.h>
#include <stdlib.h>

#include "lib/unit.h"

static char *words[] = {"web", "external"};
static struct field fields[] = {
    {.name = "user", .max_length = SIZE_MAX},
    {.name = "source", .values = words, .value_count = 2, .max_length = SIZE_MAX},
    {.name = "time", .type = FIELD_DATETIME, .max_length = SIZE_MAX},
    {.name = "day", .type = FIELD_DATE, .max_length = SIZE_MAX},
    {.name = "local", .type = FIELD_DATE, .format = "%d.%m.%Y", .max_length = SIZE_MAX},
};
#define FIELDS (sizeof fields / sizeof *fields)

/* Match a name. Return the values as "field=value field=value". */
static const char *match(const char *text, const char *name, struct buffer *out)
{
    char *values[FIELDS] = {NULL};
    struct name_template template;
    struct cause cause;
    size_t i;

    buffer_clear(out);
    if (name_template_parse(&template, text, fields, FIELDS, out) < 0)
        return buffer_text(out);
    if (name_template_match(&template, fields, name, values, &cause) < 0)
        buffer_string(out, cause.text);
    for (i = 0; i < FIELDS; i++) {
        if (values[i] != NULL)
            buffer_printf(out, "%s%s=%s", out->len > 0 ? " " : "", fields[i].name, values[i]);
        free(values[i]);
    }
    name_template_free(&template);
    return buffer_text(out);
}

static void test_match(void)
{
    static const char *const usual = "{user}_{source}_{time:%Y%m%d_%H%M%S}.csv";
    static const char *const cases[][3] = {
        {NULL, "user_001_external_20240101_120000.csv",
         "user=user_001 source=external time=2024-01-01T12:00:00"},
        {NULL, "a_web_web_20240101_120000.csv", "user=a_web source=web time=2024-01-01T12:00:00"},
        {NULL, "drop/u_web_20240101_120000.csv", "user=u source=web time=2024-01-01T12:00:00"},
        {NULL, "u_web_20240101_120000.csv.csv", ""},
        {NULL, "u_web_20240101_120000.CSV", ""},
        {NULL, "u_moon_20240101_120000.csv", ""},
        {NULL, "_web_20240101_120000.csv", ""},
        {NULL, "u_web_20230229_120000.csv", ""},
        {NULL, "u_web_20240101_12000.csv", ""},
        {NULL, "", ""},
        {NULL, "\xC3\xBC_web_20240101_120000.csv",
         "user=\xC3\xBC source=web time=2024-01-01T12:00:00"},
        {"{user}-{day:%d.%m.%Y}.csv", "a-b-1.2.2024.csv", "user=a-b day=2024-02-01"},
        {"{user}-{day}.csv", "a-b-2024-02-01.csv", ""},
        {"{user}~{day}.csv", "a-b~2024-02-01.csv", "user=a-b day=2024-02-01"},
        {"{time:%Y%m%dT%H%M%S%z}{user}", "x",
         "a text must stand between {time} and {user}, or nobody can tell where one ends"},
        {"{time:%Y%m%dT%H%M%S%z}-{user}", "20240101T120000+0130-bob",
         "user=bob time=2024-01-01T12:00:00+01:30"},
        {"{user}/{source}.csv", "/data/user_data/ann/web.csv", "user=ann source=web"},
        {"{user}/{source}.csv", "ann/web.csv", "user=ann source=web"},
        {"{user}/{source}.csv", "web.csv", ""},
        {"{user}.csv", "a.csv.csv", "user=a.csv"},
        {"metrics.csv", "metrics.csv", ""},
        {"{user}x{source}", "xxxxxweb", "user=xxxx source=web"},
    };
    struct buffer out = {0};
    size_t i;

    for (i = 0; i < sizeof cases / sizeof *cases; i++)
        check_text(match(cases[i][0] == NULL ? usual : cases[i][0], cases[i][1], &out), cases[i][2],
                   cases[i][1]);
    buffer_free(&out);
}

static void test_refused(void)
{
    static const char *const cases[][2] = {
        {"{name}.csv", "{name} is no field of this schema"},
        {"{}.csv", "{} is no field of this schema"},
        {"{User}.csv", "{User} is no field of this schema"},
        {"{user.csv", "a '{' has no '}' behind it"},
        {"{us{user}.csv", "a '{' has no '}' behind it"},
        {"user}.csv", "a '}' has no '{' before it"},
        {"{user}_{user}.csv", "{user} stands in it twice"},
        {"{user}{source}.csv",
         "a text must stand between {user} and {source}, or nobody can tell where one ends"},
        {"{user:%Y%m%d}.csv", "{user} has a time format, but its type is string"},
        {"{time:%H%M}.csv", "{time}: year, month and day are needed: %Y, %m and %d"},
        {"{time:}.csv", "{time}: year, month and day are needed: %Y, %m and %d"},
        {"{local:%Y%m%d}.csv",
         "the time of {local} is written as ISO 8601, which the format of the field does not take"},
    };
    struct buffer out = {0};
    size_t i;

    for (i = 0; i < sizeof cases / sizeof *cases; i++)
        check_text(match(cases[i][0], "x.csv", &out), cases[i][1], cases[i][0]);
    buffer_free(&out);
}

/* Thirty fields with the same text between them, and a name that fits nearly everywhere. */
static void test_cost(void)
{
    static char names[30][16];
    struct field many[30] = {0};
    char *values[30] = {NULL}, text[256] = "", name[256];
    struct name_template template;
    struct buffer why = {0};
    struct cause cause;
    int i;

    for (i = 0; i < 30; i++) {
        snprintf(names[i], sizeof names[i], "f%d", i);
        many[i] = (struct field){.name = names[i], .max_length = SIZE_MAX};
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s{f%d}", i > 0 ? "_" : "", i);
    }
    strcat(text, "!");
    memset(name, '_', 255);
    name[255] = '\0';
    check(name_template_parse(&template, text, many, 30, &why) == 0,
          "a template of thirty fields: %s", buffer_text(&why));
    /* A search that tries one way after the other would not come to an end. */
    for (i = 0; i < 100; i++)
        name_template_match(&template, many, name, values, &cause);
    check(values[0] == NULL, "255 bytes that nearly match, do not");
    name_template_free(&template);
    buffer_free(&why);
}

int main(void)
{
    test_match();
    test_refused();
    test_cost();
    return unit_done();
}

#include "ops/save.h"

#include <dirent.h>
#include <regex.h>

#include "lib/place.h"
#include "lib/unit.h"

static struct session session;
static struct cause cause;
static struct buffer messages;
static char name[SAVE_NAME_SIZE];

static enum save_result save(const char *rows, const char *label)
{
    struct buffer input = {0};
    const struct save_request request = {.user_id = "eva",
                                         .source = "external",
                                         .label = label,
                                         .input_name = "input",
                                         .rows = &input};
    enum save_result result;

    buffer_string(&input, rows);
    buffer_clear(&messages);
    result = save_rows(&session, &request, name, &messages, &cause);
    buffer_free(&input);
    return result;
}

static bool saved_is(const char *text)
{
    bool same;

    if (datadir_open_drop(&session.dir, &cause) < 0)
        abort();
    same = place_holds(session.dir.drop, name, text);
    datadir_close_drop(&session.dir);
    return same;
}

/* Return how many names the drop directory has, hidden ones too. */
static int drop_names(void)
{
    const struct dirent *entry;
    int count = -2; /* "." and ".." */
    char path[64];
    DIR *list;

    snprintf(path, sizeof path, "%s/data/user_data", place);
    list = opendir(path);
    if (list == NULL)
        abort();
    while ((entry = readdir(list)) != NULL)
        count++;
    closedir(list);
    return count;
}

static bool matches(const char *text, const char *pattern)
{
    regex_t regex;
    bool match;

    if (regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB) != 0)
        abort();
    match = regexec(&regex, text, 0, NULL, 0) == 0;
    regfree(&regex);
    return match;
}

static void test_saved(void)
{
    char first[SAVE_NAME_SIZE];

    check(save("value\n1\n", NULL) == SAVE_DONE, "rows are saved: %s", cause.text);
    check(matches(name, "^eva_external_[0-9]{8}_[0-9]{6}\\.csv$"), "named %s", name);
    check(saved_is("value\n1\n"), "a name that tells user and source needs no column");
    memcpy(first, name, sizeof first);
    check(save("value\r\n2", NULL) == SAVE_DONE && strcmp(first, name) != 0,
          "a second file of the same second gets another name");
    check(saved_is("value\n2\n"), "every row ends in LF");
    check(drop_names() == 2, "no hidden file is left");
}

static void test_added_columns(void)
{
    check(save("\xEF\xBB\xBFvalue\n1\n\"2\"\n", "night") == SAVE_DONE &&
              saved_is("value,label\n1,night\n\"2\",night\n"),
          "a label becomes a column");
    check(save("value,label\n1,day\n", "night") == SAVE_DONE && saved_is("value,label\n1,day\n"),
          "a column that is there stays");
}

static void test_refused(void)
{
    const int before = drop_names();

    check(save("value\nx\n", NULL) == SAVE_INVALID, "invalid rows are refused");
    check(strncmp(buffer_text(&messages), "input:2: type-error: value: ", 28) == 0, "and why: %s",
          buffer_text(&messages));
    check(save("value\n", NULL) == SAVE_INVALID, "a header alone is refused");
    check(save("value\n1\n", "../x") == SAVE_FAILED && cause.kind == CAUSE_USAGE,
          "a label with a slash: %s", cause.text);
    check(drop_names() == before, "nothing is left behind");
}

int main(void)
{
    int fd = place_enter();
    char path[64];

    place_put_text(fd, "schema.ini",
                   "[schema]\nfilename = "
                   "{user_id}_{source}_{collection_timestamp:%Y%m%d_%H%M%S}.csv\n"
                   "[field.1]\nname = value\ntype = number\nrequired = true\n"
                   "[field.2]\nname = user_id\n[field.3]\nname = source\n"
                   "[field.4]\nname = label\n"
                   "[field.5]\nname = collection_timestamp\ntype = datetime\n");
    place_put_text(fd, "collector.ini", "[paths]\ndata_dir = data\nschema = schema.ini\n");
    snprintf(path, sizeof path, "%s/collector.ini", place);
    if (config_load(&session.config, path, &cause) < 0 ||
        schema_load(&session.schema, session.config.schema, &cause) < 0 ||
        datadir_open(&session.dir, session.config.data_dir, &cause) < 0) {
        printf("Bail out! %s\n", cause.text);
        return 1;
    }
    test_saved();
    test_added_columns();
    test_refused();
    buffer_free(&messages);
    session_free(&session);
    close(fd);
    return unit_done();
}

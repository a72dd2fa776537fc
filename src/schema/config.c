#include "schema/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/csv_name.h"
#include "schema/ini.h"
#include "schema/suggestion.h"

enum {
    DATA_DIR,
    SCHEMA,
    MERGE,
    INTERVAL,
    RESCAN,
    POLL,
    SETTLE,
    STALE,
    RECURSIVE,
    CONFIRM,
    SOURCE,
    BAD_ROWS,
    MAX_BAD_PERCENT,
    CHANGED,
    FINAL_NEWLINE,
    MAX_FILE_MIB,
    MAX_EXPAND_RATIO,
    MAX_ROW_KIB,
    MAX_COLUMNS,
    MAX_REPORTED_ERRORS,
    LEVEL,
    SETTING_COUNT
};

#define WORDS(...)                                                                                 \
    .words = (const char *const[])                                                                 \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }
#define DAY  86400
#define YEAR 31536000

/* Every key with its default and its type: a path, a word (the value is its index) or a number. */
static const struct setting {
    const char *section, *key;
    const char *path;
    const char *const *words;
    uint64_t value, min, max;
    const char *unit;
} settings[SETTING_COUNT] = {
    [DATA_DIR] = {"paths", "data_dir", .path = "../data"},
    [SCHEMA] = {"paths", "schema", .path = "schema.ini"},
    [MERGE] = {"watch", "merge", WORDS("arrival", "timer"), .value = CONFIG_MERGE_ARRIVAL},
    [INTERVAL] = {"watch", "interval", .value = 60, .min = 1, .max = DAY, .unit = " seconds"},
    [RESCAN] = {"watch", "rescan", .value = 60, .min = 1, .max = DAY, .unit = " seconds"},
    [POLL] = {"watch", "poll", .value = 5, .min = 1, .max = DAY, .unit = " seconds"},
    [SETTLE] = {"watch", "settle", .value = 5, .max = DAY, .unit = " seconds"},
    [STALE] = {"watch", "stale", .value = 600, .max = YEAR, .unit = " seconds"},
    [RECURSIVE] = {"watch", "recursive", WORDS("no", "yes")},
    [CONFIRM] = {"watch", "confirm", WORDS("none", "checksum", "done")},
    [SOURCE] = {"merge", "source", WORDS("keep", "archive", "delete"), .value = CONFIG_SOURCE_KEEP},
    [BAD_ROWS] = {"merge", "bad_rows", WORDS("reject-file", "reject-rows"),
                  .value = CONFIG_REJECT_FILE},
    [MAX_BAD_PERCENT] = {"merge", "max_bad_percent", .value = 100, .max = 100, .unit = ""},
    [CHANGED] = {"merge", "changed", WORDS("quarantine", "merge")},
    [FINAL_NEWLINE] = {"merge", "final_newline", WORDS("optional", "required")},
    [MAX_FILE_MIB] = {"limits", "max_file_mib", .value = 0, .max = 1048576,
                      .unit = " MiB (0: no limit)"},
    [MAX_EXPAND_RATIO] = {"limits", "max_expand_ratio", .value = 200, .min = 1, .max = 100000,
                          .unit = ""},
    [MAX_ROW_KIB] = {"limits", "max_row_kib", .value = 1024, .min = 1, .max = 1048576,
                     .unit = " KiB"},
    [MAX_COLUMNS] = {"limits", "max_columns", .value = 1024, .min = 1, .max = 1048576, .unit = ""},
    [MAX_REPORTED_ERRORS] = {"limits", "max_reported_errors", .value = 1000, .max = 1000000,
                             .unit = ""},
    [LEVEL] = {"log", "level", WORDS("error", "warning", "notice", "info", "debug"),
               .value = LOG_LEVEL_INFO},
};

static const char *const sections[] = {"paths", "watch", "merge", "limits", "log", NULL};

/* The values of the file, or the defaults. */
struct chosen {
    const char *paths[SETTING_COUNT];
    uint64_t values[SETTING_COUNT];
};

static const struct setting *find_setting(const char *section, const char *key)
{
    size_t i;

    for (i = 0; i < SETTING_COUNT; i++)
        if (strcasecmp(settings[i].key, key) == 0 &&
            (section == NULL || strcasecmp(settings[i].section, section) == 0))
            return &settings[i];
    return NULL;
}

static void report_section(struct ini *ini, const struct ini_entry *entry)
{
    const char *nearest = suggestion_nearest(entry->section, sections);

    if (nearest != NULL)
        ini_problems_add(&ini->problems, entry->line, "unknown section [%s]; did you mean [%s]?",
                         entry->section, nearest);
    else
        ini_problems_add(
            &ini->problems, entry->line,
            "unknown section [%s]; there are [paths], [watch], [merge], [limits] and [log]",
            entry->section);
}

static bool known_section(const char *section)
{
    size_t i;

    for (i = 0; sections[i] != NULL; i++)
        if (strcasecmp(sections[i], section) == 0)
            return true;
    return false;
}

static void report_setting(struct ini *ini, const struct ini_entry *entry)
{
    const struct setting *elsewhere = find_setting(NULL, entry->key);
    const char *keys[SETTING_COUNT + 1] = {NULL}, *nearest;
    size_t i, count = 0;

    if (elsewhere != NULL) {
        ini_problems_add(&ini->problems, entry->line, "%s belongs into section [%s], not into [%s]",
                         elsewhere->key, elsewhere->section, entry->section);
        return;
    }
    for (i = 0; i < SETTING_COUNT; i++)
        if (strcasecmp(settings[i].section, entry->section) == 0)
            keys[count++] = settings[i].key;
    nearest = suggestion_nearest(entry->key, keys);
    ini_problems_add(&ini->problems, entry->line, "unknown key %s in section [%s]%s%s%s",
                     entry->key, entry->section, nearest != NULL ? "; did you mean " : "",
                     nearest != NULL ? nearest : "", nearest != NULL ? "?" : "");
}

/* Handle a key of earlier versions: accept the value that names today's behaviour, with a warning.
 * Return false for any other key. */
static bool read_dropped_key(struct ini *ini, const struct ini_entry *entry)
{
    if (strcasecmp(entry->section, "merge") != 0 || strcasecmp(entry->key, "duplicates") != 0)
        return false;
    if (strcmp(entry->value, "skip") == 0)
        log_warning("%s:%u: duplicates: the same content is never merged twice; drop the key",
                    ini->path, entry->line);
    else
        ini_problems_add(&ini->problems, entry->line,
                         "%s: the same content is never merged twice; drop the key", entry->key);
    return true;
}

static void read_entry(struct ini *ini, const struct ini_entry *entry, struct chosen *chosen)
{
    const struct setting *setting = find_setting(entry->section, entry->key);
    size_t i;
    int word;

    if (setting == NULL && read_dropped_key(ini, entry))
        return;
    if (setting == NULL) {
        report_setting(ini, entry);
        return;
    }
    i = (size_t)(setting - settings);
    if (setting->words != NULL) {
        word = ini_word(ini, entry, setting->words);
        if (word >= 0)
            chosen->values[i] = (uint64_t)word;
    } else if (setting->path == NULL) {
        ini_number(ini, entry, setting->min, setting->max, setting->unit, &chosen->values[i]);
    } else if (*entry->value == '\0') {
        ini_problems_add(&ini->problems, entry->line, "%s: a path is needed", entry->key);
    } else if (*entry->value == '~' || *entry->value == '$') {
        ini_problems_add(&ini->problems, entry->line,
                         "%s: '%c' is not expanded here; write the whole path", entry->key,
                         *entry->value);
    } else {
        chosen->paths[i] = entry->value;
    }
}

/* Return the path made absolute against the directory of the file that names it; owned. */
static char *absolute_path(const char *file, const char *path, struct cause *cause)
{
    char *parent, *directory, *absolute = NULL;

    if (asprintf(&parent, "%.*s.", (int)(path_base(file) - file), file) < 0) {
        cause_memory(cause);
        return NULL;
    }
    directory = realpath(parent, NULL);
    if (directory != NULL)
        absolute = path_normalize(directory, path);
    if (directory == NULL && errno != ENOMEM)
        cause_errno(cause, CAUSE_CONFIG, "cannot find the directory of %s", file);
    else if (absolute == NULL)
        cause_memory(cause);
    free(parent);
    free(directory);
    return absolute;
}

static void fill_config(struct config *config, const struct chosen *chosen)
{
    const uint64_t *values = chosen->values;

    config->merge = (enum config_merge)values[MERGE];
    config->interval = (unsigned)values[INTERVAL];
    config->rescan = (unsigned)values[RESCAN];
    config->poll = (unsigned)values[POLL];
    config->settle = (unsigned)values[SETTLE];
    config->stale = (unsigned)values[STALE];
    config->recursive = values[RECURSIVE] == 1;
    config->confirm = (enum config_confirm)values[CONFIRM];
    config->source = (enum config_source)values[SOURCE];
    config->bad_rows = (enum config_bad_rows)values[BAD_ROWS];
    config->max_bad_percent = (unsigned)values[MAX_BAD_PERCENT];
    config->merge_changed = values[CHANGED] == 1;
    config->newline_required = values[FINAL_NEWLINE] == 1;
    config->max_file_bytes = values[MAX_FILE_MIB] << 20;
    config->max_expand_ratio = (unsigned)values[MAX_EXPAND_RATIO];
    config->max_row_bytes = values[MAX_ROW_KIB] << 10;
    config->max_columns = (unsigned)values[MAX_COLUMNS];
    config->max_reported_errors = (unsigned)values[MAX_REPORTED_ERRORS];
    config->level = (enum log_level)values[LEVEL];
}

static void read_entries(struct ini *ini, struct chosen *chosen)
{
    bool known = true;
    size_t i;

    for (i = 0; i < SETTING_COUNT; i++) {
        chosen->paths[i] = settings[i].path;
        chosen->values[i] = settings[i].value;
    }
    for (i = 0; i < ini->count; i++) {
        const struct ini_entry *entry = &ini->entries[i];

        if (entry->key != NULL && known)
            read_entry(ini, entry, chosen);
        if (entry->key != NULL)
            continue;
        known = known_section(entry->section);
        if (!known)
            report_section(ini, entry);
    }
}

int config_load(struct config *config, const char *path, struct cause *cause)
{
    struct chosen chosen;
    struct ini ini;

    *config = (struct config){0};
    if (ini_load(&ini, path, cause) < 0) {
        if (cause->errnum == ENOENT)
            cause_set(cause, CAUSE_CONFIG,
                      "there is no configuration %s; name one with --config FILE or in "
                      "PHASESENTINEL_CONFIG",
                      path);
        return -1;
    }
    read_entries(&ini, &chosen);
    fill_config(config, &chosen);
    config->data_dir = absolute_path(path, chosen.paths[DATA_DIR], cause);
    if (config->data_dir != NULL)
        config->schema = absolute_path(path, chosen.paths[SCHEMA], cause);
    if (ini_finish(&ini, cause) < 0 || config->schema == NULL) {
        config_free(config);
        return -1;
    }
    return 0;
}

void config_free(struct config *config)
{
    free(config->data_dir);
    free(config->schema);
    *config = (struct config){0};
}

#include "schema/config.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/unit.h"

static char directory[] = "/tmp/phasesentinel-config.XXXXXX";
static char path[sizeof directory + 32];

static void write_config(const char *content)
{
    FILE *file = fopen(path, "w");

    if (file == NULL || fputs(content, file) < 0 || fclose(file) != 0)
        abort();
}

static const struct {
    const char *content;
    const char *problems; /* without "FILE:" in front of each line */
} bad[] = {
    {"[wacth]\nsettle = 5\n", "1: unknown section [wacth]; did you mean [watch]?"},
    {"[database]\n",
     "1: unknown section [database]; there are [paths], [watch], [merge], [limits] and [log]"},
    {"[watch]\nsetle = 5\n", "2: unknown key setle in section [watch]; did you mean settle?"},
    {"[watch]\ncolour = 5\n", "2: unknown key colour in section [watch]"},
    {"[paths]\nsettle = 5\n", "2: settle belongs into section [watch], not into [paths]"},
    {"settle = 5\n", "1: settle stands before any [section]"},
    {"[watch]\nsettle = 5s\n", "2: settle: '5s' is no whole number from 0 to 86400 seconds"},
    {"[watch]\nsettle = -1\n", "2: settle: '-1' is no whole number from 0 to 86400 seconds"},
    {"[watch]\nsettle = 86401\n", "2: settle: '86401' is no whole number from 0 to 86400 seconds"},
    {"[watch]\nsettle = 1.5\n", "2: settle: '1.5' is no whole number from 0 to 86400 seconds"},
    {"[watch]\nsettle = 0x10\n", "2: settle: '0x10' is no whole number from 0 to 86400 seconds"},
    {"[watch]\nsettle = 4294967301\n",
     "2: settle: '4294967301' is no whole number from 0 to 86400 seconds"},
    {"[watch]\nsettle =\n", "2: settle: '' is no whole number from 0 to 86400 seconds"},
    {"[watch]\ninterval = 0\n", "2: interval: '0' is no whole number from 1 to 86400 seconds"},
    {"[watch]\npoll = 0\n", "2: poll: '0' is no whole number from 1 to 86400 seconds"},
    {"[watch]\nrescan = 0\n", "2: rescan: '0' is no whole number from 1 to 86400 seconds"},
    {"[watch]\nstale = 31536001\n",
     "2: stale: '31536001' is no whole number from 0 to 31536000 seconds"},
    {"[watch]\nmerge = Timer\n",
     "2: merge: 'Timer' is not one of arrival, timer; did you mean timer?"},
    {"[watch]\nrecursive = true\n", "2: recursive: 'true' is not one of no, yes"},
    {"[merge]\nsource = move\n", "2: source: 'move' is not one of keep, archive, delete"},
    {"[merge]\nbad_rows = reject_rows\n", "2: bad_rows: 'reject_rows' is not one of reject-file, "
                                          "reject-rows; did you mean reject-rows?"},
    {"[merge]\nmax_bad_percent = 101\n",
     "2: max_bad_percent: '101' is no whole number from 0 to 100"},
    {"[merge]\nduplicates = merge\n",
     "2: duplicates: the same content is never merged twice; drop the key"},
    {"[watch]\nduplicates = skip\n", "2: unknown key duplicates in section [watch]"},
    {"[merge]\nchanged = keep\n", "2: changed: 'keep' is not one of quarantine, merge"},
    {"[merge]\nfinal_newline = require\n",
     "2: final_newline: 'require' is not one of optional, required; did you mean required?"},
    {"[limits]\nmax_file_mib = 1048577\n",
     "2: max_file_mib: '1048577' is no whole number from 0 to 1048576 MiB (0: no limit)"},
    {"[limits]\nmax_row_kib = 0\n", "2: max_row_kib: '0' is no whole number from 1 to 1048576 KiB"},
    {"[limits]\nmax_expand_ratio = 0\n",
     "2: max_expand_ratio: '0' is no whole number from 1 to 100000"},
    {"[limits]\nmax_expand_ratio = 100001\n",
     "2: max_expand_ratio: '100001' is no whole number from 1 to 100000"},
    {"[limits]\nmax_columns = 0\n", "2: max_columns: '0' is no whole number from 1 to 1048576"},
    {"[limits]\nmax_reported_errors = all\n",
     "2: max_reported_errors: 'all' is no whole number from 0 to 1000000"},
    {"[log]\nlevel = verbose\n",
     "2: level: 'verbose' is not one of error, warning, notice, info, debug"},
    {"[paths]\ndata_dir =\n", "2: data_dir: a path is needed"},
    {"[paths]\ndata_dir = ~/data\n", "2: data_dir: '~' is not expanded here; write the whole path"},
    {"[paths]\nschema = $HOME/schema.ini\n",
     "2: schema: '$' is not expanded here; write the whole path"},
    {"[watch]\nsettle = 5\nSETTLE = 6\n", "3: SETTLE stands in line 2 already"},
    {"[watch]\nsettle = 5\n[log]\n[Watch]\n", "4: section [Watch] stands in line 1 already"},
    {"[watch]\nsettle = 5;seconds\n", "2: ';' begins a comment and would cut the value; quote the "
                                      "value, or put a blank before a comment"},
    {"[watch:settle]\n",
     "1: 'watch:settle' is no name of a section: letters, digits, '_', '-' and '.' make one"},
    {"[log]\nlevel = loud\n[watch]\nsettle = x\nsetle = 1\n[oops]\nany = thing\n",
     "2: level: 'loud' is not one of error, warning, notice, info, debug\n"
     "4: settle: 'x' is no whole number from 0 to 86400 seconds\n"
     "5: unknown key setle in section [watch]; did you mean settle?\n"
     "6: unknown section [oops]; there are [paths], [watch], [merge], [limits] and [log]"},
};

/* Write the problems with the name of the file in front of each line. */
static void name_lines(char *out, size_t size, const char *problems)
{
    const char *end;
    size_t used = 0;

    for (; *problems != '\0'; problems = *end == '\0' ? end : end + 1) {
        end = strchrnul(problems, '\n');
        used += (size_t)snprintf(out + used, size - used, "%s%s:%.*s", used > 0 ? "\n" : "", path,
                                 (int)(end - problems), problems);
    }
}

static void test_bad(void)
{
    struct config config;
    struct cause cause;
    char want[2048];
    size_t i;

    for (i = 0; i < sizeof bad / sizeof *bad; i++) {
        write_config(bad[i].content);
        name_lines(want, sizeof want, bad[i].problems);
        cause.text[0] = '\0';
        check(config_load(&config, path, &cause) < 0 && cause.kind == CAUSE_CONFIG, "refused: %s",
              bad[i].content);
        check_text(cause.text, want, "with this text");
        check(config.data_dir == NULL && config.schema == NULL, "and the struct is zeroed");
    }
}

static void check_defaults(const struct config *config)
{
    check(config->merge == CONFIG_MERGE_ARRIVAL && config->interval == 60 && config->rescan == 60 &&
              config->poll == 5 && config->settle == 5 && config->stale == 600 &&
              !config->recursive && config->confirm == CONFIG_CONFIRM_NONE,
          "defaults of [watch]");
    check(config->source == CONFIG_SOURCE_KEEP && config->bad_rows == CONFIG_REJECT_FILE &&
              config->max_bad_percent == 100 && !config->merge_changed && !config->newline_required,
          "defaults of [merge]");
    check(config->max_file_bytes == 0 && config->max_row_bytes == 1048576 &&
              config->max_columns == 1024 && config->max_expand_ratio == 200 &&
              config->max_reported_errors == 1000 && config->level == LOG_LEVEL_INFO,
          "defaults of [limits] and [log]");
}

static void test_values(void)
{
    static const char content[] =
        "[paths]\ndata_dir = /srv/data\nschema = \"my schema.ini\"\n"
        "[watch]\nmerge = timer\ninterval = 2\nrescan = 3\npoll = 9\nsettle = 0\nstale = 4\n"
        "recursive = yes\nconfirm = done\n"
        "[merge]\nsource = delete\nbad_rows = reject-rows\nmax_bad_percent = 7\n"
        "duplicates = skip\nchanged = merge\nfinal_newline = required\n"
        "[limits]\nmax_file_mib = 1048576\nmax_row_kib = 8\nmax_columns = 9\nmax_expand_ratio = "
        "10\n"
        "max_reported_errors = 0\n[log]\nlevel = debug\n";
    struct config config;
    struct cause cause;

    write_config(content);
    if (!check(config_load(&config, path, &cause) == 0, "every key with a value of its own"))
        return;
    check_text(config.data_dir, "/srv/data", "data_dir");
    check(strstr(config.schema, "/etc/my schema.ini") != NULL, "schema: %s", config.schema);
    check(config.merge == CONFIG_MERGE_TIMER && config.interval == 2 && config.rescan == 3 &&
              config.poll == 9 && config.settle == 0 && config.stale == 4 && config.recursive &&
              config.confirm == CONFIG_CONFIRM_DONE,
          "[watch]");
    check(config.source == CONFIG_SOURCE_DELETE && config.bad_rows == CONFIG_REJECT_ROWS &&
              config.max_bad_percent == 7 && config.merge_changed && config.newline_required,
          "[merge]");
    check(config.max_file_bytes == (uint64_t)1 << 40 && config.max_row_bytes == 8192 &&
              config.max_columns == 9 && config.max_expand_ratio == 10 &&
              config.max_reported_errors == 0 && config.level == LOG_LEVEL_DEBUG,
          "[limits] and [log]");
    config_free(&config);
    write_config("");
    check(config_load(&config, path, &cause) == 0, "an empty file");
    check_defaults(&config);
    config_free(&config);
    config_free(&config);
}

/* Load the configuration with the log in a file. Return how many lines of it contain the text. */
static size_t count_logged(const char *content, const char *text)
{
    struct config config;
    struct cause cause;
    char log[256], line[512];
    size_t count = 0;
    FILE *file;

    snprintf(log, sizeof log, "%s/log", directory);
    write_config(content);
    if (freopen(log, "w", stderr) == NULL)
        return 99;
    check(config_load(&config, path, &cause) == 0, "loaded: %s", content);
    config_free(&config);
    if (freopen("/dev/null", "w", stderr) == NULL || (file = fopen(log, "r")) == NULL)
        return 99;
    while (fgets(line, sizeof line, file) != NULL)
        count += strstr(line, text) != NULL;
    fclose(file);
    unlink(log);
    return count;
}

static void test_dropped_key(void)
{
    check(count_logged("[merge]\nduplicates = skip\n",
                       ":2: duplicates: the same content is never merged twice; drop the key") == 1,
          "duplicates = skip is accepted with one warning");
    check(count_logged("[merge]\nchanged = merge\n", "duplicates") == 0,
          "no warning without the key");
}

static void test_paths(void)
{
    static const char *const cases[][2] = {
        {"data", "@/etc/data"},  {"./data", "@/etc/data"},
        {"../data", "@/data"},   {"..", "@"},
        {".", "@/etc"},          {"..//./../x/../y", "/tmp/x/../y"},
        {"/a/../b", "/a/../b"},  {"../../../../../../x", "/x"},
        {"../../../../..", "/"}, {"..x", "@/etc/..x"},
        {"...", "@/etc/..."},    {"a b", "@/etc/a b"},
    };
    char content[256], want[256], here[4096];
    struct config config;
    struct cause cause;
    size_t i;

    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(content, sizeof content, "[paths]\ndata_dir = %s\n", cases[i][0]);
        snprintf(want, sizeof want, "%s%s", *cases[i][1] == '@' ? directory : "",
                 cases[i][1] + (*cases[i][1] == '@'));
        write_config(content);
        if (!check(config_load(&config, path, &cause) == 0, "%s", cases[i][0]))
            continue;
        check_text(config.data_dir, want, cases[i][0]);
        config_free(&config);
    }
    if (getcwd(here, sizeof here) == NULL || chdir(directory) < 0)
        return;
    check(config_load(&config, "etc/test.ini", &cause) == 0, "a relative path of the file itself");
    snprintf(want, sizeof want, "%s/etc/schema.ini", directory);
    check_text(config.schema, want, "schema");
    config_free(&config);
    check(chdir(here) == 0, "the working directory is restored");
}

static void test_missing(void)
{
    struct config config;
    struct cause cause;
    char want[512];

    unlink(path);
    check(config_load(&config, path, &cause) < 0 && cause.kind == CAUSE_CONFIG, "a missing file");
    snprintf(want, sizeof want,
             "there is no configuration %s; name one with --config FILE or in PHASESENTINEL_CONFIG",
             path);
    check_text(cause.text, want, "the text says how to name one");
}

/* etc/phasesentinel.ini shows the defaults. */
static void test_example(void)
{
    struct config config;
    struct cause cause;

    if (access("etc/phasesentinel.ini", R_OK) < 0)
        return;
    cause.text[0] = '\0';
    check(config_load(&config, "etc/phasesentinel.ini", &cause) == 0,
          "etc/phasesentinel.ini is good: %s", cause.text);
    check_defaults(&config);
    config_free(&config);
}

int main(void)
{
    char etc[sizeof directory + 8];

    if (mkdtemp(directory) == NULL || freopen("/dev/null", "w", stderr) == NULL)
        return 1;
    snprintf(etc, sizeof etc, "%s/etc", directory);
    snprintf(path, sizeof path, "%s/test.ini", etc);
    if (mkdir(etc, 0700) < 0)
        return 1;
    test_bad();
    test_values();
    test_dropped_key();
    test_paths();
    test_missing();
    test_example();
    rmdir(etc);
    rmdir(directory);
    return unit_done();
}

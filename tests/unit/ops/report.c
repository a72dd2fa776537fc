#include "ops/report.h"

#include <inttypes.h>
#include <jansson.h>

#include "lib/place.h"
#include "lib/unit.h"

static struct schema schema;
static struct ledger ledger;
static struct tally_file stats;
static struct quarantine_summary quarantine;
static struct cause cause;
static struct buffer out;
static struct report report = {.stats = &stats, .ledger = &ledger, .quarantine = &quarantine};

static void count(struct counter *counter, const char *value, uint64_t rows)
{
    if (counter_add(counter, value, strlen(value), rows) < 0)
        abort();
}

static void fill(void)
{
    count(&stats.tally.by[TALLY_USERS], "eva", 5);
    count(&stats.tally.by[TALLY_USERS], "a,\n\"\\b", 2);
    count(&stats.tally.by[TALLY_USERS], "adopted", 1);
    count(&stats.tally.by[TALLY_PHASES], "idle", 7);
    count(&stats.tally.by[TALLY_PHASES], "", 1);
    count(&stats.tally.by[TALLY_PHASES], "never", 0);
    stats.tally.rows = 8;
    count(&stats.files, "eva", 2);
    count(&stats.files, "a,\n\"\\b", 1);
    count(&stats.rejected, "eva", 3);
    count(&stats.rejected, "only", 4);
    count(&stats.arrivals, "eva", UINT64_C(1704110400123456789));
    count(&stats.arrivals, "a,\n\"\\b", UINT64_C(1704110401000000000));
    count(&stats.arrivals, "only", UINT64_C(1704110402000000000));
    ledger.training_rows = 8;
    ledger.training_end = UINT64_C(10) << 32;
    ledger.rows = 7;
    ledger.rejected = 11;
    ledger.duplicate = 12;
    ledger.forgotten = 13;
    ledger.last_merge = INT64_C(1704110403500000000);
    ledger.files[VERDICT_STARTED] = 1;
    ledger.files[VERDICT_MERGED] = 3;
    ledger.files[VERDICT_QUARANTINED] = 7;
    quarantine.files = 6;
    quarantine.resolved = 1;
    quarantine.violations[VIOLATION_TYPE_ERROR] = 21;
    report.user_files = 31;
    report.total_user_samples = 32;
    report.pending = 33;
    report.training_inode = 34;
    report.time = INT64_C(1704110404000000000);
}

static void empty(void)
{
    tally_free(&stats.tally);
    counter_free(&stats.files);
    counter_free(&stats.rejected);
    counter_free(&stats.arrivals);
    ledger = (struct ledger){0};
    quarantine = (struct quarantine_summary){0};
    report.user_files = report.total_user_samples = report.pending = report.training_inode = 0;
}

/* ---- stats.json --------------------------------------------------------------------------- */

static json_t *parse(void)
{
    json_error_t error;
    json_t *json = json_loadb(out.data, out.len, JSON_REJECT_DUPLICATES, &error);

    if (json == NULL) {
        printf("Bail out! %s: %s\n", error.text, buffer_text(&out));
        exit(1);
    }
    return json;
}

static json_int_t at(const json_t *json, const char *key, const char *inner)
{
    const json_t *value = json_object_get(json, key);

    if (inner != NULL)
        value = json_object_get(value, inner);
    return json_is_integer(value) ? json_integer_value(value) : -1;
}

static void test_json(void)
{
    json_t *json;

    buffer_clear(&out);
    check(report_json(&report, &out, &cause) == 0, "stats.json");
    json = parse();
    check(at(json, "user_files", NULL) == 31 && at(json, "total_user_samples", NULL) == 32 &&
              at(json, "users", "eva") == 5 && at(json, "main_training_samples", NULL) == 8,
          "the guide's keys");
    check(at(json, "users", "a,\n\"\\b") == 2 &&
              json_object_size(json_object_get(json, "users")) == 3,
          "users of any name");
    check(at(json, "phases", "idle") == 7 && at(json, "phases", "") == 1 &&
              at(json, "phases", "never") == -1,
          "the class balance");
    check(json_object_get(json, "labels") == NULL && json_object_get(json, "sources") == NULL,
          "of what the schema has");
    check(at(json, "files", "merged") == 3 && at(json, "files", "quarantined") == 7 &&
              at(json, "files", "grown") == 0 && at(json, "files", "forgotten") == 0 &&
              at(json, "rows", "merged") == 7 && at(json, "rows", "rejected") == 11 &&
              at(json, "rows", "duplicate") == 12 && at(json, "rows", "forgotten") == 13,
          "files by verdict, rows by what became of them");
    check(at(json, "violations", "type-error") == 21 && at(json, "waiting", NULL) == 33 &&
              at(json, "quarantined", NULL) == 6,
          "what needs a person");
    check(at(json, "committed_bytes", NULL) == (json_int_t)10 << 32 &&
              at(json, "training_inode", NULL) == 34,
          "how far the training file is whole");
    check_text(json_string_value(json_object_get(json, "generated_at")), "2024-01-01T12:00:04.000Z",
               "the time of all that");
    json_decref(json);
}

/* ---- phasesentinel.prom ------------------------------------------------------------------- */

/* Check that each line is a comment or NAME{LABELS} VALUE, with HELP and TYPE once before it. */
static void check_prometheus(const char *text)
{
    struct buffer known = {0}, name = {0};
    const char *line, *end;
    size_t wrong = 0, samples = 0, len;

    for (line = text; *line != '\0'; line = end + 1) {
        end = strchr(line, '\n');
        if (end == NULL)
            break;
        buffer_clear(&name);
        if (strncmp(line, "# TYPE ", 7) == 0) {
            len = strcspn(line + 7, " ");
            buffer_printf(&name, "|%.*s|", (int)len, line + 7);
            wrong += strstr(buffer_text(&known), buffer_text(&name)) != NULL;
            buffer_string(&known, buffer_text(&name));
            wrong += strncmp(line + 7 + len, " gauge\n", 7) != 0 &&
                     strncmp(line + 7 + len, " counter\n", 9) != 0;
            wrong += strncmp(line + 7 + len, " counter\n", 9) == 0 &&
                     strncmp(line + 7 + len - 6, "_total", 6) != 0;
        } else if (*line != '#') {
            len = strcspn(line, "{ ");
            buffer_printf(&name, "|%.*s|", (int)len, line);
            wrong += strncmp(line, "phasesentinel_", 14) != 0 ||
                     strstr(buffer_text(&known), buffer_text(&name)) == NULL;
            samples++;
        }
    }
    check(wrong == 0 && samples > 20 && *line == '\0', "%zu samples, each of a type: %zu wrong",
          samples, wrong);
    buffer_free(&known);
    buffer_free(&name);
}

static bool has_line(const char *text, const char *line)
{
    const char *found = strstr(text, line);

    if (found == NULL)
        printf("# no line: %s\n", line);
    return found != NULL && (found == text || found[-1] == '\n') && found[strlen(line)] == '\n';
}

static void test_files(void)
{
    struct datadir dir;
    char path[64];

    snprintf(path, sizeof path, "%s/data", place);
    if (datadir_open(&dir, path, &cause) < 0)
        abort();
    place_put_text(dir.stats, "stats.json", "old");
    check(report_write(&report, &dir, &cause) == 0, "four files");
    check(place_get(dir.stats, "stats.json", &out), "stats.json");
    json_decref(parse());
    check(place_holds(dir.stats, "users.csv",
                      "user_id,files,rows,rejected_files,last_arrival\n"
                      "eva,2,5,3,2024-01-01T12:00:00.123Z\n"
                      "\"a,\n\"\"\\b\",1,2,0,2024-01-01T12:00:01.000Z\n"
                      "only,0,0,4,2024-01-01T12:00:02.000Z\n"
                      "adopted,0,1,0,\n"),
          "users.csv");
    place_get(dir.stats, "phasesentinel.prom", &out);
    check_prometheus(buffer_text(&out));
    check(
        has_line(out.data, "phasesentinel_files_total{verdict=\"merged\"} 3") &&
            has_line(out.data, "phasesentinel_rows_total{result=\"rejected\"} 11") &&
            has_line(out.data, "phasesentinel_training_bytes 42949672960") &&
            has_line(out.data, "phasesentinel_user_training_rows{user_id=\"a,\\n\\\"\\\\b\"} 2") &&
            has_line(out.data, "phasesentinel_quarantine_violations{code=\"type-error\"} 21") &&
            has_line(out.data, "phasesentinel_last_merge_timestamp_seconds 1704110403.5") &&
            has_line(out.data, "phasesentinel_stats_timestamp_seconds 1704110404"),
        "its samples");
    place_get(dir.stats, "summary.txt", &out);
    check(strstr(buffer_text(&out), "8 rows") != NULL && strstr(out.data, "eva 5 (62") != NULL &&
              strstr(out.data, "6 files to look at") != NULL &&
              strstr(out.data, "type-error 21") != NULL && strstr(out.data, "a,\\x0A") != NULL,
          "summary.txt: %s", buffer_text(&out));
    empty();
    check(
        report_write(&report, &dir, &cause) == 0 &&
            place_holds(dir.stats, "users.csv", "user_id,files,rows,rejected_files,last_arrival\n"),
        "where there is nothing yet");
    place_get(dir.stats, "stats.json", &out);
    json_decref(parse());
    place_get(dir.stats, "phasesentinel.prom", &out);
    check(has_line(buffer_text(&out), "phasesentinel_last_merge_timestamp_seconds 0"),
          "never merged");
    datadir_close(&dir);
}

/* Count values that no schema has checked, as of an adopted training file. */
static void test_unchecked(void)
{
    struct datadir dir;
    char path[64];
    json_t *json;

    snprintf(path, sizeof path, "%s/data", place);
    if (datadir_open(&dir, path, &cause) < 0)
        abort();
    count(&stats.tally.by[TALLY_USERS], "J\xFCrgen", 9);
    count(&stats.tally.by[TALLY_USERS], "J\xF6rgen", 2);
    check(report_write(&report, &dir, &cause) == 0, "two users in Latin-1");
    place_get(dir.stats, "stats.json", &out);
    json = parse();
    check(at(json, "users", "J\xEF\xBF\xBDrgen") == 11, "are counted all the same");
    json_decref(json);
    place_get(dir.stats, "phasesentinel.prom", &out);
    check(has_line(buffer_text(&out),
                   "phasesentinel_user_training_rows{user_id=\"J\xEF\xBF\xBDrgen\"} 11"),
          "as one metric, not as one that comes twice");
    datadir_close(&dir);
}

static void test_many_users(void)
{
    char name[64];
    int i;

    for (i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "user-%d-%040d", i, i);
        count(&stats.tally.by[TALLY_USERS], name, (uint64_t)i);
    }
    ledger.training_rows = 499500;
    buffer_clear(&out);
    report_summary(&report, &out);
    check(out.len < 4000 && strstr(buffer_text(&out), "user-999-") != NULL &&
              strstr(out.data, " more") != NULL,
          "the summary is one screen however many users there are: %zu bytes", out.len);
    empty();
}

int main(void)
{
    char path[64];
    int fd = place_enter();

    place_put_text(fd, "schema.ini", "[field.1]\nname = user_id\n[field.2]\nname = phase\n");
    snprintf(path, sizeof path, "%s/schema.ini", place);
    if (schema_load(&schema, path, &cause) < 0)
        return 1;
    stats.schema = &schema;
    fill();
    test_json();
    test_files();
    test_many_users();
    test_unchecked();
    empty();
    schema_free(&schema);
    buffer_free(&out);
    close(fd);
    return unit_done();
}

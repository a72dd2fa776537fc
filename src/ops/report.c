#include "ops/report.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "fs/durable.h"
#include "base/escape.h"
#include "ops/json.h"

/* ---- stats.json --------------------------------------------------------------------------- */

/* Make an object of rows by value. The rows of an adopted training file were never checked, so a
 * value may hold any bytes; values that are equal once repaired are added up. */
static json_t *rows_by_value(const struct counter *counter)
{
    json_t *object = json_object();
    struct buffer key = {0};
    size_t i;

    for (i = 0; i < counter->count; i++) {
        const struct tally_entry *entry = &counter->entries[i];
        json_int_t before;

        if (entry->rows == 0)
            continue;
        buffer_clear(&key);
        escape_repair_utf8(&key, entry->value, entry->len);
        before = json_integer_value(json_object_get(object, buffer_text(&key)));
        json_object_set_new(object, buffer_text(&key),
                            json_integer(before + (json_int_t)entry->rows));
    }
    buffer_free(&key);
    return object;
}

static json_t *files_by_verdict(const struct ledger *ledger)
{
    json_t *object = json_object();
    enum verdict v;

    for (v = VERDICT_STARTED; v < VERDICT_COUNT; v++)
        json_object_set_new(object, verdict_name(v), json_count(ledger->files[v]));
    return object;
}

static json_t *violations_by_code(const struct quarantine_summary *quarantine)
{
    json_t *object = json_object();
    enum violation_code code;

    for (code = 0; code < VIOLATION_CODE_COUNT; code++)
        if (quarantine->violations[code] > 0)
            json_object_set_new(object, violation_code_name(code),
                                json_count(quarantine->violations[code]));
    return object;
}

static bool has_field(const struct report *report, enum tally_by by)
{
    return schema_find(report->stats->schema, tally_field(by), strlen(tally_field(by))) >= 0;
}

int report_json(const struct report *report, struct buffer *out, struct cause *cause)
{
    const struct ledger *ledger = report->ledger;
    static const char *const keys[TALLY_COUNT] = {"users", "sources", "labels", "phases"};
    json_t *json = json_object();
    enum tally_by by;

    json_object_set_new(json, "generated_at", json_time(report->time));
    json_object_set_new(json, "user_files", json_count(report->user_files));
    json_object_set_new(json, "total_user_samples", json_count(report->total_user_samples));
    json_object_set_new(json, "main_training_samples", json_count(ledger->training_rows));
    for (by = TALLY_USERS; by < TALLY_COUNT; by++)
        if (by == TALLY_USERS || has_field(report, by))
            json_object_set_new(json, keys[by], rows_by_value(&report->stats->tally.by[by]));
    json_object_set_new(json, "files", files_by_verdict(ledger));
    json_object_set_new(json, "rows",
                        json_pack("{s:o, s:o, s:o, s:o}", "merged", json_count(ledger->rows),
                                  "rejected", json_count(ledger->rejected), "duplicate",
                                  json_count(ledger->duplicate), "forgotten",
                                  json_count(ledger->forgotten)));
    json_object_set_new(json, "violations", violations_by_code(report->quarantine));
    json_object_set_new(json, "waiting", json_count(report->pending));
    json_object_set_new(json, "quarantined", json_count(report->quarantine->files));
    json_object_set_new(json, "last_merge", json_time(ledger->last_merge));
    json_object_set_new(json, "committed_bytes", json_count(ledger->training_end));
    json_object_set_new(json, "training_inode", json_count(report->training_inode));
    return json_print(json, out, cause);
}

/* ---- summary.txt -------------------------------------------------------------------------- */

static int compare_rows_descending(const void *left, const void *right)
{
    const struct tally_entry *l = *(const struct tally_entry *const *)left;
    const struct tally_entry *r = *(const struct tally_entry *const *)right;

    if (l->rows != r->rows)
        return l->rows < r->rows ? 1 : -1;
    return strcmp(l->value, r->value);
}

/* Append a line with the largest counts of one field, as many as fit on a screen. */
static void append_counts(const char *title, const struct counter *counter, uint64_t total,
                          struct buffer *out)
{
    const size_t start = out->len, width = 79, reserve = strlen(", 1000000 more");
    const struct tally_entry **sorted = calloc(counter->count + 1, sizeof *sorted);
    size_t i, len;

    if (sorted == NULL)
        return;
    for (i = 0; i < counter->count; i++)
        sorted[i] = &counter->entries[i];
    qsort(sorted, counter->count, sizeof *sorted, compare_rows_descending);
    buffer_printf(out, "%-13s", title);
    for (i = 0; i < counter->count; i++) {
        size_t before = out->len;

        len = sorted[i]->len < 32 ? sorted[i]->len : 32;
        buffer_string(out, i == 0 ? "" : ", ");
        if (len == 0)
            buffer_string(out, "(none)");
        escape_printable(out, sorted[i]->value, len);
        buffer_printf(out, " %" PRIu64, sorted[i]->rows);
        if (total > 0)
            buffer_printf(out, " (%.0f%%)", 100.0 * (double)sorted[i]->rows / (double)total);
        if (i > 0 && out->len - start + (i + 1 < counter->count ? reserve : 0) > width) {
            out->len = before;
            buffer_printf(out, ", %zu more", counter->count - i);
            break;
        }
    }
    buffer_byte(out, '\n');
    free(sorted);
}

void report_summary(const struct report *report, struct buffer *out)
{
    static const char *const titles[TALLY_COUNT] = {"users", "sources", "labels", "phases"};
    const struct ledger *ledger = report->ledger;
    char when[CLOCK_TEXT_SIZE];
    enum tally_by by;
    enum violation_code code;
    bool first = true;

    buffer_printf(out, "PhaseSentinel collector, %s\n\n", clock_print(when, report->time));
    buffer_printf(out, "training     %" PRIu64 " rows, %" PRIu64 " bytes", ledger->training_rows,
                  ledger->training_end);
    if (ledger->last_merge > 0)
        buffer_printf(out, ", last merge %s", clock_print(when, ledger->last_merge));
    buffer_printf(
        out, "\ndropped      %" PRIu64 " CSV files with %" PRIu64 " rows, %" PRIu64 " waiting\n",
        report->user_files, report->total_user_samples, report->pending);
    buffer_printf(out,
                  "files        %" PRIu64 " merged, %" PRIu64 " grown, %" PRIu64
                  " duplicate, %" PRIu64 " quarantined\n",
                  ledger->files[VERDICT_MERGED], ledger->files[VERDICT_GROWN],
                  ledger->files[VERDICT_DUPLICATE], ledger->files[VERDICT_QUARANTINED]);
    buffer_printf(out,
                  "rows         %" PRIu64 " merged, %" PRIu64 " rejected, %" PRIu64
                  " duplicate, %" PRIu64 " forgotten\n",
                  ledger->rows, ledger->rejected, ledger->duplicate, ledger->forgotten);
    for (by = TALLY_USERS; by < TALLY_COUNT; by++)
        if (has_field(report, by))
            append_counts(titles[by], &report->stats->tally.by[by], ledger->training_rows, out);
    buffer_printf(
        out, "quarantine   %" PRIu64 " files to look at, %" PRIu64 " resolved by a later file\n",
        report->quarantine->files, report->quarantine->resolved);
    for (code = 0; code < VIOLATION_CODE_COUNT; code++)
        if (report->quarantine->violations[code] > 0) {
            buffer_printf(out, "%s%s %" PRIu64, first ? "violations   " : ", ",
                          violation_code_name(code), report->quarantine->violations[code]);
            first = false;
        }
    if (!first)
        buffer_byte(out, '\n');
}

/* ---- users.csv ---------------------------------------------------------------------------- */

static void append_users(const struct report *report, struct buffer *out)
{
    const struct tally_file *stats = report->stats;
    const struct counter *arrivals = &stats->arrivals, *rows = &stats->tally.by[TALLY_USERS];
    char when[CLOCK_TEXT_SIZE];
    size_t i;

    buffer_string(out, "user_id,files,rows,rejected_files,last_arrival\n");
    /* A user with a verdict has an arrival. A user who is only in an adopted training file has none,
     * and follows below. */
    for (i = 0; i < arrivals->count; i++) {
        const struct tally_entry *user = &arrivals->entries[i];

        escape_csv_cell(out, user->value, user->len);
        buffer_printf(out, ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%s\n",
                      counter_get(&stats->files, user->value, user->len),
                      counter_get(rows, user->value, user->len),
                      counter_get(&stats->rejected, user->value, user->len),
                      clock_print(when, (int64_t)user->rows));
    }
    for (i = 0; i < rows->count; i++) {
        const struct tally_entry *user = &rows->entries[i];

        if (counter_get(arrivals, user->value, user->len) > 0)
            continue;
        escape_csv_cell(out, user->value, user->len);
        buffer_printf(out, ",0,%" PRIu64 ",0,\n", user->rows);
    }
}

/* ---- phasesentinel.prom ------------------------------------------------------------------- */

static void metric_head(struct buffer *out, const char *name, const char *type, const char *help)
{
    buffer_printf(out, "# HELP phasesentinel_%s %s\n# TYPE phasesentinel_%s %s\n", name, help, name,
                  type);
}

static void metric(struct buffer *out, const char *name, const char *type, const char *help,
                   double value)
{
    metric_head(out, name, type, help);
    buffer_printf(out, "phasesentinel_%s %.17g\n", name, value);
}

/* Repair the UTF-8 of all values. Counts of values that are equal then are added up, because
 * Prometheus refuses a file that holds a metric twice. Return -1 if memory runs out. */
static int repair_values(const struct counter *counter, struct counter *ret_valid)
{
    struct buffer value = {0};
    int result = 0;
    size_t i;

    for (i = 0; i < counter->count && result == 0; i++) {
        const struct tally_entry *entry = &counter->entries[i];

        buffer_clear(&value);
        escape_repair_utf8(&value, entry->value, entry->len);
        result = buffer_failed(&value)
                     ? -1
                     : counter_add(ret_valid, buffer_text(&value), value.len, entry->rows);
    }
    buffer_free(&value);
    return result;
}

/* `value` is valid UTF-8. The format escapes backslash, quote and line feed. */
static void metric_label(struct buffer *out, const char *name, const char *label, const char *value,
                         size_t len, uint64_t count)
{
    size_t i;

    buffer_printf(out, "phasesentinel_%s{%s=\"", name, label);
    for (i = 0; i < len; i++) {
        if (value[i] == '\n') {
            buffer_string(out, "\\n");
            continue;
        }
        if (value[i] == '\\' || value[i] == '"')
            buffer_byte(out, '\\');
        buffer_byte(out, value[i]);
    }
    buffer_printf(out, "\"} %" PRIu64 "\n", count);
}

static void append_metrics(const struct report *report, struct buffer *out)
{
    static const char *const names[TALLY_COUNT] = {"user_training_rows", "source_training_rows",
                                                   "label_training_rows", "phase_training_rows"};
    const struct ledger *ledger = report->ledger;
    enum tally_by by;
    enum verdict v;
    enum violation_code code;
    size_t i;

    metric_head(out, "files_total", "counter", "Verdicts given, by verdict.");
    for (v = VERDICT_MERGED; v < VERDICT_COUNT; v++)
        metric_label(out, "files_total", "verdict", verdict_name(v), strlen(verdict_name(v)),
                     ledger->files[v]);
    metric_head(out, "rows_total", "counter", "Rows booked, by what became of them.");
    metric_label(out, "rows_total", "result", "merged", 6, ledger->rows);
    metric_label(out, "rows_total", "result", "rejected", 8, ledger->rejected);
    metric_label(out, "rows_total", "result", "duplicate", 9, ledger->duplicate);
    metric_label(out, "rows_total", "result", "forgotten", 9, ledger->forgotten);
    metric(out, "training_rows", "gauge", "Rows in the training file.",
           (double)ledger->training_rows);
    metric(out, "training_bytes", "gauge", "Committed bytes of the training file.",
           (double)ledger->training_end);
    metric(out, "drop_files", "gauge", "CSV files in the drop directory.",
           (double)report->user_files);
    metric(out, "waiting_files", "gauge", "Dropped files without a verdict.",
           (double)report->pending);
    metric(out, "quarantined_files", "gauge", "Files in quarantine that nothing has resolved.",
           (double)report->quarantine->files);
    metric_head(out, "quarantine_violations", "gauge",
                "Violations of what is in quarantine, by code.");
    for (code = 0; code < VIOLATION_CODE_COUNT; code++)
        metric_label(out, "quarantine_violations", "code", violation_code_name(code),
                     strlen(violation_code_name(code)), report->quarantine->violations[code]);
    for (by = TALLY_USERS; by < TALLY_COUNT; by++) {
        struct counter counter = {0};

        if (!has_field(report, by))
            continue;
        metric_head(out, names[by], "gauge", "Rows in the training file, by value.");
        if (repair_values(&report->stats->tally.by[by], &counter) < 0)
            out->failed = true;
        for (i = 0; i < counter.count; i++)
            metric_label(out, names[by], tally_field(by), counter.entries[i].value,
                         counter.entries[i].len, counter.entries[i].rows);
        counter_free(&counter);
    }
    metric(out, "last_merge_timestamp_seconds", "gauge", "When rows were last merged; 0: never.",
           (double)ledger->last_merge / 1e9);
    metric(out, "stats_timestamp_seconds", "gauge", "When these numbers were made.",
           (double)report->time / 1e9);
}

/* ---- writing ------------------------------------------------------------------------------ */

/* Replace a file in stats/ by the buffer, and clear it. */
static int write_stats_file(const struct datadir *dir, const char *name, struct buffer *out,
                            struct cause *cause)
{
    if (buffer_failed(out))
        return cause_memory(cause);
    if (durable_replace(dir->stats, name, out->data, out->len, false, cause) < 0)
        return -1;
    buffer_clear(out);
    return 0;
}

static int write_stats_files(const struct report *report, const struct datadir *dir,
                             struct buffer *out, struct cause *cause)
{
    if (report_json(report, out, cause) < 0 || write_stats_file(dir, "stats.json", out, cause) < 0)
        return -1;
    append_users(report, out);
    if (write_stats_file(dir, "users.csv", out, cause) < 0)
        return -1;
    report_summary(report, out);
    if (write_stats_file(dir, "summary.txt", out, cause) < 0)
        return -1;
    append_metrics(report, out);
    return write_stats_file(dir, "phasesentinel.prom", out, cause);
}

int report_write(const struct report *report, const struct datadir *dir, struct cause *cause)
{
    struct buffer out = {0};
    int result = write_stats_files(report, dir, &out, cause);

    buffer_free(&out);
    return result;
}

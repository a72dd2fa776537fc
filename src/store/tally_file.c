/*
 * state/tally.csv: kind,value,count. The kinds users, sources, labels and phases count rows of the
 * training file by value; files, rejected and arrivals by user. Values are written as names are in
 * the ledger. Then "at", empty, the place in the ledger that is counted, and before it "rows", all
 * of them; last "check", empty, the XXH3-64 of all before that line.
 */
#include "store/tally_file.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/durable.h"
#include "base/csv_name.h"
#include "base/escape.h"

#define FILE_NAME "tally.csv"
#define HEADER    "kind,value,count\n"

static const char *const row_kinds[TALLY_COUNT] = {"users", "sources", "labels", "phases"};

static void clear(struct tally_file *stats)
{
    tally_free(&stats->tally);
    counter_free(&stats->files);
    counter_free(&stats->rejected);
    counter_free(&stats->arrivals);
    stats->at = 0;
}

static struct counter *counter_of(struct tally_file *stats, const char *kind, size_t len)
{
    size_t by;

    for (by = 0; by < TALLY_COUNT; by++)
        if (strlen(row_kinds[by]) == len && memcmp(row_kinds[by], kind, len) == 0)
            return &stats->tally.by[by];
    if (len == 5 && memcmp(kind, "files", 5) == 0)
        return &stats->files;
    if (len == 8 && memcmp(kind, "rejected", 8) == 0)
        return &stats->rejected;
    if (len == 8 && memcmp(kind, "arrivals", 8) == 0)
        return &stats->arrivals;
    return NULL;
}

static int load_line(struct tally_file *stats, const char *line, size_t len)
{
    const char *value = memchr(line, ',', len), *count;
    struct buffer raw = {0};
    struct counter *counter;
    uint64_t number;
    int result = -1;

    if (value == NULL)
        return -1;
    value++;
    count = memchr(value, ',', len - (size_t)(value - line));
    if (count == NULL ||
        !escape_number(count + 1, len - (size_t)(count + 1 - line), UINT64_MAX, &number))
        return -1;
    counter = counter_of(stats, line, (size_t)(value - 1 - line));
    if (counter == NULL) {
        if (len >= 2 && memcmp(line, "at,", 3) == 0)
            stats->at = number;
        else if (len >= 4 && memcmp(line, "rows,", 5) == 0)
            stats->tally.rows = number;
        else
            return -1;
        return 0;
    }
    if (escape_unpercent(&raw, value, (size_t)(count - value)) == 0 && !buffer_failed(&raw))
        result = counter_add(counter, raw.data == NULL ? "" : raw.data, raw.len, number);
    buffer_free(&raw);
    return result;
}

static int load(struct tally_file *stats, const char *text, size_t len)
{
    static const char header[] = HEADER;
    const char *end = text + len, *lf, *from;
    char check[64];

    /* "check,,0123456789abcdef\n" */
    if (len < sizeof header - 1 + 24 || memcmp(text, header, sizeof header - 1) != 0)
        return -1;
    end -= 24;
    snprintf(check, sizeof check, "check,,%016" PRIx64 "\n",
             digest_check(text, (size_t)(end - text)));
    if (memcmp(end, check, 24) != 0)
        return -1;
    for (from = text + sizeof header - 1; from < end; from = lf + 1) {
        lf = memchr(from, '\n', (size_t)(end - from));
        if (lf == NULL || load_line(stats, from, (size_t)(lf - from)) < 0)
            return -1;
    }
    return 0;
}

int tally_file_open(struct tally_file *stats, const struct datadir *dir,
                    const struct schema *schema, struct cause *cause)
{
    struct buffer text = {0};
    struct stat st;
    int fd;

    *stats = (struct tally_file){.dir = dir, .schema = schema};
    fd = dir->state < 0 ? -1 : openat(dir->state, FILE_NAME, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return 0;
    if (fstat(fd, &st) == 0 && buffer_reserve(&text, (size_t)st.st_size + 1) == 0) {
        ssize_t n = durable_read(fd, text.data, (size_t)st.st_size, 0, "state/" FILE_NAME, cause);

        if (n <= 0 || load(stats, text.data, (size_t)n) < 0)
            clear(stats);
    }
    buffer_free(&text);
    close(fd);
    return 0;
}

void tally_file_close(struct tally_file *stats)
{
    clear(stats);
}

/* The user that a file's name speaks of, else the schema's default; NULL without such a field. */
static char *user_of_name(const struct tally_file *stats, const char *name)
{
    struct cause ignored;
    const struct schema *schema = stats->schema;
    int field = schema_find(schema, "user_id", strlen("user_id"));
    char **values, *user, *csv;
    size_t i;

    if (field < 0)
        return NULL;
    values = calloc(schema->count, sizeof *values);
    csv = strndup(name, csv_name_length(name));
    if (values == NULL || csv == NULL) {
        free(values);
        free(csv);
        return NULL;
    }
    schema_match_name(schema, csv, values, &ignored);
    free(csv);
    user = values[field];
    for (i = 0; i < schema->count; i++)
        if ((int)i != field)
            free(values[i]);
    free(values);
    if (user != NULL)
        return user;
    return strdup(schema->fields[field].fallback != NULL ? schema->fields[field].fallback : "");
}

static int set_arrival(struct tally_file *stats, const char *user, size_t len, int64_t time)
{
    uint64_t before = counter_get(&stats->arrivals, user, len);

    return (uint64_t)time <= before
               ? 0
               : counter_add(&stats->arrivals, user, len, (uint64_t)time - before);
}

static int count_user(struct tally_file *stats, struct counter *counter, const char *user,
                      size_t len, int64_t time, struct cause *cause)
{
    if ((counter != NULL && counter_add(counter, user, len, 1) < 0) ||
        set_arrival(stats, user, len, time) < 0)
        return cause_memory(cause);
    return 0;
}

/* Whose rows these are. Who has rows has a file, though they came as it grew, or in a later piece.
 */
static int count_users(struct tally_file *stats, const struct ledger_line *line,
                       const struct counter *users, struct cause *cause)
{
    size_t i;

    for (i = 0; i < users->count; i++) {
        const struct tally_entry *user = &users->entries[i];
        const bool another = line->verdict == VERDICT_MERGED ||
                             counter_get(&stats->files, user->value, user->len) == 0;

        if (count_user(stats, another ? &stats->files : NULL, user->value, user->len, line->time,
                       cause) < 0)
            return -1;
    }
    return 0;
}

int tally_file_apply(struct tally_file *stats, const struct ledger_line *line,
                     const struct tally *tally, struct cause *cause)
{
    char *user;
    int result;

    switch (line->verdict) {
    case VERDICT_STARTED:
    case VERDICT_ADOPTED:
        tally_clear(&stats->tally);
        return tally_add(&stats->tally, tally) < 0 ? cause_memory(cause) : 0;
    case VERDICT_MERGED:
    case VERDICT_GROWN:
        if (tally_add(&stats->tally, tally) < 0)
            return cause_memory(cause);
        return count_users(stats, line, &tally->by[TALLY_USERS], cause);
    case VERDICT_QUARANTINED:
        user = user_of_name(stats, line->name);
        if (user == NULL)
            return 0;
        result = count_user(stats, &stats->rejected, user, strlen(user), line->time, cause);
        free(user);
        return result;
    case VERDICT_DUPLICATE:
    case VERDICT_FORGOTTEN:
    case VERDICT_COUNT:
        break;
    }
    return 0;
}

int tally_file_catch_up(struct tally_file *stats, const struct ledger *ledger,
                        const struct training *training, struct cause *cause)
{
    struct tally tally = {0};
    struct ledger_line line;
    uint64_t at;
    int next = -1;

    /* Counts that reach further than the ledger are of another one. */
    if (stats->at > ledger->end)
        clear(stats);
    at = stats->at;
    while ((next = ledger_next(ledger, &at, &line, cause)) > 0) {
        tally_clear(&tally);
        /* Ranges of a training file that is gone cannot be read, and its rows do not count any
         * more. */
        if (line.length > 0 && line.verdict != VERDICT_STARTED && line.at >= ledger->start.at &&
            training_tally(training, line.offset, line.length, &tally, cause) < 0)
            next = -1;
        if (next < 0 || tally_file_apply(stats, &line, &tally, cause) < 0) {
            next = -1;
            break;
        }
        stats->at = at;
    }
    if (next == 0)
        stats->at = at;
    tally_free(&tally);
    return next;
}

static void write_counter(struct buffer *out, const char *kind, const struct counter *counter)
{
    size_t i;

    for (i = 0; i < counter->count; i++) {
        buffer_printf(out, "%s,", kind);
        escape_percent(out, counter->entries[i].value, counter->entries[i].len);
        buffer_printf(out, ",%" PRIu64 "\n", counter->entries[i].rows);
    }
}

int tally_file_save(const struct tally_file *stats, struct cause *cause)
{
    struct buffer out = {0};
    size_t by;
    int result;

    buffer_string(&out, HEADER);
    for (by = 0; by < TALLY_COUNT; by++)
        write_counter(&out, row_kinds[by], &stats->tally.by[by]);
    write_counter(&out, "files", &stats->files);
    write_counter(&out, "rejected", &stats->rejected);
    write_counter(&out, "arrivals", &stats->arrivals);
    buffer_printf(&out, "rows,,%" PRIu64 "\nat,,%" PRIu64 "\n", stats->tally.rows, stats->at);
    if (!buffer_failed(&out))
        buffer_printf(&out, "check,,%016" PRIx64 "\n", digest_check(out.data, out.len));
    result = buffer_failed(&out)
                 ? cause_memory(cause)
                 : durable_replace(stats->dir->state, FILE_NAME, out.data, out.len, false, cause);
    buffer_free(&out);
    return result;
}

/*
 * The format of state/tally.csv: a header, then one line for each count:
 *
 *     kind,value,count
 *
 *     users, sources, labels, phases    rows of the training file with this value
 *     files, rejected                   accepted and quarantined files of this user
 *     arrivals                          time of this user's last verdict, ns since 1970
 *     rows                              all rows of the training file; the value is empty
 *     at                                end of the counted lines in the ledger; likewise
 *     check                             XXH3-64 of all bytes before this last line; likewise
 *
 * Values are escaped as names are in the ledger.
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
#include "fs/csv_name.h"
#include "base/escape.h"

#define FILE_NAME "tally.csv"
#define HEADER    "kind,value,count\n"

#define CHECK_SIZE (sizeof "check,,0123456789abcdef\n" - 1)

static const char *const row_kinds[TALLY_COUNT] = {"users", "sources", "labels", "phases"};

/* Drop all counts: the ledger is counted from its beginning. */
static void reset_counts(struct tally_file *counts)
{
    tally_free(&counts->tally);
    counter_free(&counts->files);
    counter_free(&counts->rejected);
    counter_free(&counts->arrivals);
    counts->at = 0;
}

/* Return the counter of a kind, or NULL. */
static struct counter *counter_of_kind(struct tally_file *counts, const char *kind, size_t len)
{
    size_t by;

    for (by = 0; by < TALLY_COUNT; by++)
        if (strlen(row_kinds[by]) == len && memcmp(row_kinds[by], kind, len) == 0)
            return &counts->tally.by[by];
    if (len == 5 && memcmp(kind, "files", 5) == 0)
        return &counts->files;
    if (len == 8 && memcmp(kind, "rejected", 8) == 0)
        return &counts->rejected;
    if (len == 8 && memcmp(kind, "arrivals", 8) == 0)
        return &counts->arrivals;
    return NULL;
}

/* Read one line. Return -1 if it is malformed or memory is out. */
static int read_count(struct tally_file *counts, const char *line, size_t len)
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
    counter = counter_of_kind(counts, line, (size_t)(value - 1 - line));
    if (counter == NULL) {
        if (len >= 2 && memcmp(line, "at,", 3) == 0)
            counts->at = number;
        else if (len >= 4 && memcmp(line, "rows,", 5) == 0)
            counts->tally.rows = number;
        else
            return -1;
        return 0;
    }
    if (escape_unpercent(&raw, value, (size_t)(count - value)) == 0 && !buffer_failed(&raw))
        result = counter_add(counter, raw.data == NULL ? "" : raw.data, raw.len, number);
    buffer_free(&raw);
    return result;
}

/* Read a whole file. Return -1 if it is malformed or its check is wrong. */
static int read_counts(struct tally_file *counts, const char *text, size_t len)
{
    static const char header[] = HEADER;
    const char *end = text + len, *lf, *from;
    char check[64];

    if (len < sizeof header - 1 + CHECK_SIZE || memcmp(text, header, sizeof header - 1) != 0)
        return -1;
    end -= CHECK_SIZE;
    snprintf(check, sizeof check, "check,,%016" PRIx64 "\n",
             digest_check(text, (size_t)(end - text)));
    if (memcmp(end, check, CHECK_SIZE) != 0)
        return -1;
    for (from = text + sizeof header - 1; from < end; from = lf + 1) {
        lf = memchr(from, '\n', (size_t)(end - from));
        if (lf == NULL || read_count(counts, from, (size_t)(lf - from)) < 0)
            return -1;
    }
    return 0;
}

int tally_file_open(struct tally_file *counts, const struct datadir *dir,
                    const struct schema *schema, struct cause *cause)
{
    struct buffer text = {0};
    struct stat st;
    int fd;

    *counts = (struct tally_file){.dir = dir, .schema = schema};
    fd = dir->state < 0 ? -1 : openat(dir->state, FILE_NAME, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return 0;
    if (fstat(fd, &st) == 0 && buffer_reserve(&text, (size_t)st.st_size + 1) == 0) {
        ssize_t n = durable_read(fd, text.data, (size_t)st.st_size, 0, "state/" FILE_NAME, cause);

        if (n <= 0 || read_counts(counts, text.data, (size_t)n) < 0)
            reset_counts(counts);
    }
    buffer_free(&text);
    close(fd);
    return 0;
}

void tally_file_close(struct tally_file *counts)
{
    reset_counts(counts);
}

/* Return the user in a file's name, else the default of the field; NULL if the schema has no such
 * field or memory is out. The caller frees it. */
static char *user_of_name(const struct tally_file *counts, const char *name)
{
    const char *field_name = tally_field(TALLY_USERS);
    const struct schema *schema = counts->schema;
    const int field = schema_find(schema, field_name, strlen(field_name));
    struct cause ignored;
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

static int set_arrival(struct tally_file *counts, const char *user, size_t len, int64_t time)
{
    uint64_t before = counter_get(&counts->arrivals, user, len);

    return (uint64_t)time <= before
               ? 0
               : counter_add(&counts->arrivals, user, len, (uint64_t)time - before);
}

/* Count a file of this user, unless `counter` is NULL, and note the time of its verdict. */
static int count_user(struct tally_file *counts, struct counter *counter, const char *user,
                      size_t len, int64_t time, struct cause *cause)
{
    if ((counter != NULL && counter_add(counter, user, len, 1) < 0) ||
        set_arrival(counts, user, len, time) < 0)
        return cause_memory(cause);
    return 0;
}

/* Count a merged file for each user with rows in it. A grown file counts only for users without any
 * file yet: their first rows came as it grew. */
static int count_users(struct tally_file *counts, const struct ledger_line *line,
                       const struct counter *users, struct cause *cause)
{
    size_t i;

    for (i = 0; i < users->count; i++) {
        const struct tally_entry *user = &users->entries[i];
        const bool is_new = line->verdict == VERDICT_MERGED ||
                            counter_get(&counts->files, user->value, user->len) == 0;

        if (count_user(counts, is_new ? &counts->files : NULL, user->value, user->len, line->time,
                       cause) < 0)
            return -1;
    }
    return 0;
}

int tally_file_apply(struct tally_file *counts, const struct ledger_line *line,
                     const struct tally *tally, struct cause *cause)
{
    char *user;
    int result;

    switch (line->verdict) {
    case VERDICT_STARTED:
    case VERDICT_ADOPTED:
        tally_clear(&counts->tally);
        return tally_add(&counts->tally, tally) < 0 ? cause_memory(cause) : 0;
    case VERDICT_MERGED:
    case VERDICT_GROWN:
        if (tally_add(&counts->tally, tally) < 0)
            return cause_memory(cause);
        return count_users(counts, line, &tally->by[TALLY_USERS], cause);
    case VERDICT_QUARANTINED:
        user = user_of_name(counts, line->name);
        if (user == NULL)
            return 0;
        result = count_user(counts, &counts->rejected, user, strlen(user), line->time, cause);
        free(user);
        return result;
    case VERDICT_DUPLICATE:
    case VERDICT_FORGOTTEN:
    case VERDICT_COUNT:
        break;
    }
    return 0;
}

int tally_file_catch_up(struct tally_file *counts, const struct ledger *ledger,
                        const struct training *training, struct cause *cause)
{
    struct tally tally = {0};
    struct ledger_line line;
    uint64_t at;
    int next = -1;

    /* Counts that reach past the end of the ledger belong to another ledger. */
    if (counts->at > ledger->end)
        reset_counts(counts);
    at = counts->at;
    while ((next = ledger_next(ledger, &at, &line, cause)) > 0) {
        tally_clear(&tally);
        /* Lines before the last start refer to an older training file: their rows do not count. */
        if (line.length > 0 && line.verdict != VERDICT_STARTED && line.at >= ledger->start.at &&
            training_tally(training, line.offset, line.length, &tally, cause) < 0)
            next = -1;
        if (next < 0 || tally_file_apply(counts, &line, &tally, cause) < 0) {
            next = -1;
            break;
        }
        counts->at = at;
    }
    if (next == 0)
        counts->at = at;
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

int tally_file_save(const struct tally_file *counts, struct cause *cause)
{
    struct buffer out = {0};
    size_t by;
    int result;

    buffer_string(&out, HEADER);
    for (by = 0; by < TALLY_COUNT; by++)
        write_counter(&out, row_kinds[by], &counts->tally.by[by]);
    write_counter(&out, "files", &counts->files);
    write_counter(&out, "rejected", &counts->rejected);
    write_counter(&out, "arrivals", &counts->arrivals);
    buffer_printf(&out, "rows,,%" PRIu64 "\nat,,%" PRIu64 "\n", counts->tally.rows, counts->at);
    if (!buffer_failed(&out))
        buffer_printf(&out, "check,,%016" PRIx64 "\n", digest_check(out.data, out.len));
    result = buffer_failed(&out)
                 ? cause_memory(cause)
                 : durable_replace(counts->dir->state, FILE_NAME, out.data, out.len, false, cause);
    buffer_free(&out);
    return result;
}

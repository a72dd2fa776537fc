#include "ingest/quarantine_scan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fs/durable.h"
#include "csv/csv_reader.h"
#include "fs/backup_name.h"
#include "fs/spool.h"
#include "base/escape.h"

/* Adds up what one NAME.errors.csv counts. A file that is not of our making counts nothing. */
static int count_errors(int dir_fd, const char *name, struct quarantine_survey *survey,
                        struct cause *cause)
{
    struct rows *rows = rows_open(1 << 20, 16);
    struct signature signature;
    struct row row;
    uint64_t done = 0, more, count;
    int fd = -1, next = ROWS_MORE, code, result = -1;
    size_t len, digits;
    ssize_t n;

    if (rows == NULL)
        return cause_memory(cause);
    if (spool_open(dir_fd, name, &fd, &signature) != SPOOL_FILE) {
        rows_close(rows);
        return 0;
    }
    while (next != ROWS_END) {
        if (next == ROWS_MORE) {
            char *space = rows_space(rows, &len);

            n = space == NULL ? cause_memory(cause)
                              : durable_read(fd, space, len, done, name, cause);
            if (n < 0)
                goto out;
            rows_filled(rows, (size_t)n);
            done += (uint64_t)n;
            if ((size_t)n < len)
                rows_finish(rows);
        }
        next = rows_next(rows, &row, cause);
        if (next < 0)
            goto out;
        if (next != ROWS_ROW || row.fault != ROW_SOUND || row.count != 6)
            continue;
        code = code_from_name(row.cells[3].text, row.cells[3].len);
        digits = row.cells[5].len;
        while (digits > 0 &&
               (row.cells[5].text[digits - 1] < '0' || row.cells[5].text[digits - 1] > '9'))
            digits--;
        count = row.cells[0].len == 0 && text_number(row.cells[5].text, digits, UINT64_MAX, &more)
                    ? more
                    : 1;
        if (code >= 0)
            survey->violations[code] += count;
    }
    result = 0;
out:
    close(fd);
    rows_close(rows);
    return result;
}

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text), tail = strlen(end);

    return len > tail && strcmp(text + len - tail, end) == 0;
}

struct surveying {
    const struct datadir *dir;
    const struct ledger *ledger;
    struct quarantine_survey *survey;
    struct ledger_line *line;
    struct cause *cause;
    bool failed;
};

static bool is_there(int dir_fd, const char *path)
{
    struct signature ignored;

    return spool_look(dir_fd, path, &ignored) != SPOOL_GONE;
}

/* A data file has its reasons beside it, whatever its own name is. */
static int count_file(const struct surveying *of, const char *path)
{
    char name[LEDGER_NAME_SIZE];
    int known;

    snprintf(name, sizeof name, "%s", path);
    slot_origin(name);
    known = ledger_last(of->ledger, name, of->line, of->cause);
    if (known == 0)
        known = ledger_last_of_slot(of->ledger, name, of->line, of->cause);
    if (known == 0 && slot_other_origin(name)) {
        known = ledger_last(of->ledger, name, of->line, of->cause);
        if (known == 0)
            known = ledger_last_of_slot(of->ledger, name, of->line, of->cause);
    }
    if (known > 0 && of->line->verdict != VERDICT_QUARANTINED)
        of->survey->resolved++;
    else
        of->survey->files++;
    return known < 0 ? -1 : 0;
}

/* Each name that ends as those of dropped files do. A data file NAME.~2~ does not, but its reasons
 * do. */
static void survey_found(void *context, const char *path, enum spool_kind kind,
                         const struct signature *signature)
{
    static const char suffix[] = ".errors.csv";
    struct surveying *of = context;
    const int quarantine = of->dir->quarantine;
    char other[LEDGER_NAME_SIZE];
    int result = 0;

    (void)signature;
    if (of->failed || kind != SPOOL_FILE)
        return;
    snprintf(other, sizeof other, "%s%s", path, suffix);
    if (is_there(quarantine, other)) {
        result = count_file(of, path);
    } else if (ends_with(path, suffix)) {
        result = count_errors(quarantine, path, of->survey, of->cause);
        snprintf(other, sizeof other, "%.*s", (int)(strlen(path) - strlen(suffix)), path);
        if (result == 0 && ends_with(other, "~") && is_there(quarantine, other))
            result = count_file(of, other);
    }
    of->failed = result < 0;
}

int survey_quarantine(const struct datadir *dir, const struct ledger *ledger,
                      struct quarantine_survey *survey, struct cause *cause)
{
    struct surveying of = {dir, ledger, survey, malloc(sizeof *of.line), cause, false};
    const struct spool_order order = {.recursive = true, .found = survey_found, .context = &of};
    uint64_t ignored;
    int result = 0;

    *survey = (struct quarantine_survey){0};
    if (of.line == NULL)
        return cause_memory(cause);
    if (dir->quarantine >= 0)
        result = spool_scan(dir->quarantine, &order, &ignored, cause);
    free(of.line);
    return of.failed ? -1 : result;
}

#include "ingest/quarantine_scan.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "csv/csv_file.h"
#include "fs/backup_name.h"
#include "base/csv_name.h"
#include "drop/drop_scan.h"
#include "base/escape.h"
#include "fs/beneath.h"

/* Return how many violations one row of NAME.errors.csv stands for: a line without a line number
 * says "N more are not listed". */
static uint64_t violations_in_row(const struct row *row)
{
    const struct cell *line = &row->cells[0], *message = &row->cells[5];
    size_t digits = message->len;
    uint64_t more;

    while (digits > 0 && (message->text[digits - 1] < '0' || message->text[digits - 1] > '9'))
        digits--;
    return line->len == 0 && escape_number(message->text, digits, UINT64_MAX, &more) ? more : 1;
}

/* Add up the violations in one NAME.errors.csv. Rows that violations_write_csv does not write count
 * nothing. */
static int count_errors(int dir_fd, const char *name, struct quarantine_summary *survey,
                        struct cause *cause)
{
    struct csv_file_request request = {
        .name = name, .end = UINT64_MAX, .max_row_bytes = 1 << 20, .max_columns = 16};
    struct file_id ignored;
    struct csv_file rows;
    struct row row;
    int next = -1, code;

    if (beneath_open(dir_fd, name, &request.fd, &ignored) != FILE_REGULAR)
        return 0;
    if (csv_file_open(&rows, &request, cause) == 0) {
        while ((next = csv_file_next(&rows, &row, cause)) == CSV_READER_ROW) {
            if (row.fault != ROW_SOUND || row.count != 6)
                continue;
            code = violation_code_from_name(row.cells[3].text, row.cells[3].len);
            if (code >= 0)
                survey->violations[code] += violations_in_row(&row);
        }
        csv_file_close(&rows);
    }
    close(request.fd);
    return next == CSV_READER_END ? 0 : -1;
}

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text), tail = strlen(end);

    return len > tail && strcmp(text + len - tail, end) == 0;
}

struct surveying {
    const struct datadir *dir;
    const struct ledger *ledger;
    struct quarantine_summary *survey;
    struct cause *cause;
    bool failed;
};

static bool is_there(int dir_fd, const char *path)
{
    struct file_id ignored;

    return beneath_stat(dir_fd, path, &ignored) != FILE_GONE;
}

/* A data file has its reasons beside it, whatever its own name is. */
static int count_file(const struct surveying *of, const char *path)
{
    struct ledger_line line;
    char name[LEDGER_NAME_SIZE];
    int known;

    snprintf(name, sizeof name, "%s", path);
    backup_name_strip(name);
    known = ledger_last(of->ledger, name, &line, of->cause);
    if (known == 0)
        known = ledger_last_of_slot(of->ledger, name, &line, of->cause);
    if (known == 0 && backup_name_other_origin(name)) {
        known = ledger_last(of->ledger, name, &line, of->cause);
        if (known == 0)
            known = ledger_last_of_slot(of->ledger, name, &line, of->cause);
    }
    if (known > 0 && line.verdict != VERDICT_QUARANTINED)
        of->survey->resolved++;
    else
        of->survey->files++;
    return known < 0 ? -1 : 0;
}

/* Each name that ends as those of dropped files do. A data file NAME.~2~ does not, but its reasons
 * do. */
static void survey_found(void *context, const char *path, enum file_kind kind,
                         const struct file_id *file_id)
{
    static const char suffix[] = ".errors.csv";
    struct surveying *of = context;
    const int quarantine = of->dir->quarantine;
    char other[LEDGER_NAME_SIZE];
    int result = 0;

    (void)file_id;
    if (of->failed || kind != FILE_REGULAR)
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

int quarantine_scan(const struct datadir *dir, const struct ledger *ledger,
                    struct quarantine_summary *survey, struct cause *cause)
{
    struct surveying of = {dir, ledger, survey, cause, false};
    const struct drop_scan_request order = {
        .recursive = true, .found = survey_found, .context = &of};
    uint64_t ignored;
    int result = 0;

    *survey = (struct quarantine_summary){0};
    if (dir->quarantine >= 0)
        result = drop_scan(dir->quarantine, &order, &ignored, cause);
    return of.failed ? -1 : result;
}

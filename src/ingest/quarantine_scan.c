#include "ingest/quarantine_scan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fs/csv_name.h"
#include "base/digest.h"
#include "base/escape.h"
#include "base/hash_index.h"
#include "base/vector.h"
#include "csv/csv_file.h"
#include "drop/drop_scan.h"
#include "fs/backup_name.h"
#include "fs/beneath.h"

/* ---- violations --------------------------------------------------------------------------- */

/* Return how many violations one row of NAME.errors.csv stands for: a row without a line number
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
static int count_errors(int dir_fd, const char *name, struct quarantine_summary *summary,
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
                summary->violations[code] += violations_in_row(&row);
        }
        csv_file_close(&rows);
    }
    close(request.fd);
    return next == CSV_READER_END ? 0 : -1;
}

/* ---- data files --------------------------------------------------------------------------- */

/* A data file in quarantine/. Its key is that of the name whose places it stands in. */
struct quarantined_file {
    struct digest_wide key;
    bool resolved;
};

struct quarantine_list {
    const struct datadir *dir;
    struct quarantine_summary *summary;
    struct file_id directory;       /* the directory that is scanned */
    struct quarantined_file *files; /* owned */
    size_t count, cap;
    struct hash_index by_key; /* to a position in `files`, plus one */
    struct cause *cause;
    bool failed;
};

/* Return the key of all places of a name: of their directory, and of the first place in it. */
static struct digest_wide key_of_places(const struct file_id *directory, const char *first)
{
    const uint64_t inode[] = {directory->device, directory->inode};
    char key[sizeof inode + BACKUP_NAME_SIZE];
    const size_t len = strnlen(first, BACKUP_NAME_SIZE);

    memcpy(key, inode, sizeof inode);
    memcpy(key + sizeof inode, first, len);
    return digest_wide_key(key, sizeof inode + len);
}

/* Add the data file of this name, which is in the directory that is scanned. */
static void add_file(struct quarantine_list *list, const char *base)
{
    char first[LEDGER_NAME_SIZE];
    struct quarantined_file *file;

    snprintf(first, sizeof first, "%s", base);
    backup_name_strip(first);
    if (vector_grow(&list->files, sizeof *list->files, list->count, &list->cap) < 0) {
        list->failed = true;
        cause_memory(list->cause);
        return;
    }
    file = &list->files[list->count++];
    *file = (struct quarantined_file){.key = key_of_places(&list->directory, first)};
    if (hash_index_put(&list->by_key, file->key.high, list->count) < 0) {
        list->failed = true;
        cause_memory(list->cause);
    }
}

static void note_directory(void *context, const char *name, int fd)
{
    struct quarantine_list *list = context;

    (void)name;
    file_id_of_fd(fd, &list->directory);
}

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text), tail = strlen(end);

    return len > tail && strcmp(text + len - tail, end) == 0;
}

static bool is_there(int dir_fd, const char *path)
{
    struct file_id ignored;

    return beneath_stat(dir_fd, path, &ignored) != FILE_GONE;
}

/* Count a data file NAME.csv, or a list of violations and the data file NAME.csv.~2~ beside it,
 * whose own name drop_scan does not report. */
static void count_found(void *context, const char *path, enum file_kind kind,
                        const struct file_id *ignored)
{
    static const char suffix[] = ".errors.csv";
    struct quarantine_list *list = context;
    const int quarantine = list->dir->quarantine;
    char other[LEDGER_NAME_SIZE];

    (void)ignored;
    if (list->failed || kind != FILE_REGULAR)
        return;
    snprintf(other, sizeof other, "%s%s", path, suffix);
    if (is_there(quarantine, other)) {
        add_file(list, path_base(path));
    } else if (ends_with(path, suffix)) {
        list->failed = count_errors(quarantine, path, list->summary, list->cause) < 0;
        snprintf(other, sizeof other, "%.*s", (int)(strlen(path) - strlen(suffix)), path);
        if (!list->failed && ends_with(other, "~") && is_there(quarantine, other))
            add_file(list, path_base(other));
    }
}

/* Mark the files in all places of a name. A directory that cannot be opened was not scanned. */
static void resolve_name(struct quarantine_list *list, const char *name)
{
    struct cause ignored;
    const int fd = backup_name_open(list->dir->quarantine, name, false, &ignored);
    char first[BACKUP_NAME_SIZE];
    const struct hash_index_slot *slot;
    struct quarantined_file *file;
    struct file_id directory;
    struct digest_wide key;
    size_t cursor = 0;

    if (fd < 0)
        return;
    file_id_of_fd(fd, &directory);
    close(fd);
    backup_name_format(first, name, 1, "");
    key = key_of_places(&directory, first);
    while ((slot = hash_index_find(&list->by_key, key.high, &cursor)) != NULL) {
        file = &list->files[slot->value - 1];
        file->resolved |= file->key.high == key.high && file->key.low == key.low;
    }
}

static int resolve_files(struct quarantine_list *list, const struct ledger *ledger)
{
    struct ledger_known known;
    struct ledger_line line;
    size_t cursor = 0;
    int found = 0;

    while (list->count > 0 && (found = ledger_quarantined(ledger, &cursor, &line, list->cause)) > 0)
        if (ledger_name(ledger, line.name, &known) && known.last != VERDICT_QUARANTINED)
            resolve_name(list, line.name);
    return found;
}

int quarantine_scan(const struct datadir *dir, const struct ledger *ledger,
                    struct quarantine_summary *ret_summary, struct cause *cause)
{
    struct quarantine_list list = {.dir = dir, .summary = ret_summary, .cause = cause};
    const struct drop_scan_request request = {
        .recursive = true, .enter = note_directory, .found = count_found, .context = &list};
    uint64_t ignored;
    size_t i;
    int result = 0;

    *ret_summary = (struct quarantine_summary){0};
    if (dir->quarantine >= 0)
        result = drop_scan(dir->quarantine, &request, &ignored, cause);
    if (list.failed)
        result = -1;
    if (result == 0)
        result = resolve_files(&list, ledger);
    for (i = 0; i < list.count; i++)
        *(list.files[i].resolved ? &ret_summary->resolved : &ret_summary->files) += 1;
    free(list.files);
    hash_index_free(&list.by_key);
    return result;
}

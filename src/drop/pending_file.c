/*
 * state/waiting.csv: name,reason,noticed,boot,since,signature,detail. name: as in the ledger.
 * noticed: first_seen in UTC. since: unchanged_since in milliseconds, valid only for the boot with
 * the id `boot`. signature: pending_signature in 16 hex digits.
 */
#include "drop/pending_file.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/escape.h"
#include "csv/csv_file.h"
#include "fs/durable.h"

#define FILE_NAME "waiting.csv"
#define HEADER    "name,reason,noticed,boot,since,signature,detail\n"

static void read_boot_id(char out[64])
{
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, out, 63);

    if (fd >= 0)
        close(fd);
    out[n > 0 ? n : 0] = '\0';
    out[strcspn(out, "\n")] = '\0';
}
/* Write the detail as a cell. A detail may hold a raw name, whose bytes would make the line
 * unreadable. */
static void write_detail(struct buffer *out, const char *detail)
{
    struct buffer valid = {0};
    size_t i;

    escape_repair_utf8(&valid, detail, strlen(detail));
    for (i = 0; i < valid.len; i++)
        if (valid.data[i] == '\r')
            valid.data[i] = ' ';
    escape_csv_cell(out, valid.data == NULL ? "" : valid.data, valid.len);
    out->failed |= valid.failed;
    buffer_free(&valid);
}

int pending_save(struct pending *pending, int state_fd, struct cause *cause)
{
    char boot[64], when[CLOCK_TEXT_SIZE];
    struct buffer out = {0};
    size_t i;
    int result;

    if (!pending->changed)
        return 0;
    read_boot_id(boot);
    buffer_string(&out, HEADER);
    for (i = 0; i < pending->count; i++) {
        const struct pending_file *file = &pending->files[i];

        if (file->reason == PENDING_RACY)
            continue;
        escape_percent(&out, file->name, strlen(file->name));
        buffer_printf(&out, ",%s,%s,%s,%" PRId64 ",%016" PRIx64 ",",
                      pending_reason_name(file->reason), clock_print(when, file->first_seen), boot,
                      file->unchanged_since / 1000000, pending_signature(file));
        if (file->detail != NULL)
            write_detail(&out, file->detail);
        buffer_byte(&out, '\n');
    }
    result = buffer_failed(&out)
                 ? cause_memory(cause)
                 : durable_replace(state_fd, FILE_NAME, out.data, out.len, false, cause);
    buffer_free(&out);
    pending->changed = result < 0;
    return result;
}

static bool cell_is(const struct cell *cell, const char *text)
{
    return strlen(text) == cell->len && memcmp(text, cell->text, cell->len) == 0;
}

/* Restore `unchanged_since`, if the line was written in this boot. */
static void restore_unchanged_since(struct pending_file *file, const struct cell cells[7],
                                    const char *boot)
{
    uint64_t since;
    char hex[17] = "";

    if (!cell_is(&cells[3], boot) ||
        !escape_number(cells[4].text, cells[4].len, INT64_MAX / 1000000, &since) ||
        (int64_t)since * 1000000 > file->unchanged_since || cells[5].len != 16)
        return;
    memcpy(hex, cells[5].text, 16);
    file->restored_hash = strtoull(hex, NULL, 16);
    file->unchanged_since = (int64_t)since * 1000000;
}

/* Add the file of this line. A damaged line is skipped: its file will be found by a scan. Return -1
 * when out of memory. */
static int take_line(struct pending *pending, const struct row *row, const char *boot)
{
    struct buffer name = {0};
    struct pending_file *file = NULL;
    enum pending_reason reason = 0;

    if (row->fault != ROW_SOUND || row->count != 7)
        return 0;
    while (reason < PENDING_REASONS && !cell_is(&row->cells[1], pending_reason_name(reason)))
        reason++;
    if (reason == PENDING_REASONS || reason == PENDING_RACY ||
        escape_unpercent(&name, row->cells[0].text, row->cells[0].len) < 0 || name.len == 0 ||
        memchr(name.data, '\0', name.len) != NULL)
        goto out;
    file = pending_arrive(pending, buffer_text(&name), false, clock_monotonic());
    if (file == NULL)
        goto out;
    file->reason = reason;
    clock_parse(row->cells[2].text, row->cells[2].len, &file->first_seen);
    free(file->detail);
    file->detail = row->cells[6].len > 0 ? strndup(row->cells[6].text, row->cells[6].len) : NULL;
    restore_unchanged_since(file, row->cells, boot);
out:
    buffer_free(&name);
    return file == NULL && buffer_failed(&name) ? -1 : 0;
}

int pending_load(struct pending *pending, int state_fd, struct cause *cause)
{
    struct csv_file_request request = {
        .name = "state/" FILE_NAME, .end = UINT64_MAX, .max_row_bytes = 1 << 20, .max_columns = 16};
    struct csv_file rows;
    char boot[64];
    struct row row;
    int next = -1;

    read_boot_id(boot);
    request.fd = state_fd < 0 ? -1 : openat(state_fd, FILE_NAME, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (request.fd < 0)
        return 0;
    if (csv_file_open(&rows, &request, cause) == 0) {
        while ((next = csv_file_next(&rows, &row, cause)) == CSV_READER_ROW)
            if (row.line > 1 && take_line(pending, &row, boot) < 0) {
                cause_memory(cause);
                break;
            }
        csv_file_close(&rows);
    }
    close(request.fd);
    return next == CSV_READER_END ? 0 : -1;
}

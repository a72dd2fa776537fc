/*
 * state/waiting.csv: name,reason,noticed,boot,since,signature,detail. The name is written as in the
 * ledger; noticed is UTC; since counts milliseconds since the boot with this id; signature is the
 * XXH3-64 of the file's device, inode, size, mtime and ctime, 16 hex digits, mixed with that of
 * what its sender put beside it.
 */
#include "drop/pending.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/digest.h"
#include "fs/durable.h"
#include "csv/csv_reader.h"
#include "base/escape.h"

#define FILE_NAME "waiting.csv"
#define HEADER    "name,reason,noticed,boot,since,signature,detail\n"

static const char *const names[PENDING_REASONS] = {
    [PENDING_NEW] = "new",
    [PENDING_EMPTY] = "empty",
    [PENDING_HEADER_ONLY] = "header-only",
    [PENDING_UNCONFIRMED] = "unconfirmed",
    [PENDING_WRITER] = "being-written",
    [PENDING_PARTIAL] = "rsync-partial",
    [PENDING_FAILING] = "failing",
    [PENDING_INCOMPLETE] = "incomplete-row",
    [PENDING_NEWLINE] = "no-final-newline",
    [PENDING_FILE_TYPE] = "file-type",
    [PENDING_UNREADABLE] = "file-unreadable",
    [PENDING_TROUBLE] = "trouble",
    [PENDING_DISPOSAL] = "accepted",
};

const char *pending_reason_name(enum pending_reason reason)
{
    return names[reason];
}

static int64_t read_clock(clockid_t clock)
{
    struct timespec time;

    clock_gettime(clock, &time);
    return time.tv_sec * CLOCK_SECOND + time.tv_nsec;
}

int64_t clock_monotonic(void)
{
    return read_clock(CLOCK_BOOTTIME);
}

static uint64_t hash_signature(const struct file_id *file_id, uint64_t beside)
{
    uint64_t words[5] = {file_id->device, file_id->inode, file_id->size, (uint64_t)file_id->mtime,
                         (uint64_t)file_id->ctime};

    return digest_check(words, sizeof words) ^ beside;
}

void pending_free(struct pending *pending)
{
    size_t i;

    for (i = 0; i < pending->count; i++) {
        free(pending->files[i].name);
        free(pending->files[i].detail);
    }
    free(pending->files);
    hash_index_free(&pending->index);
    *pending = (struct pending){0};
}

static struct hash_index_slot *find_slot(const struct pending *pending, const char *name)
{
    struct hash_index_slot *slot;
    size_t cursor = 0;

    if (pending->count == 0)
        return NULL;
    while ((slot = hash_index_find(&pending->index, digest_key(name, strlen(name)), &cursor)) !=
           NULL)
        if (strcmp(pending->files[slot->value - 1].name, name) == 0)
            return slot;
    return NULL;
}

struct pending_file *pending_find(const struct pending *pending, const char *name)
{
    struct hash_index_slot *slot = find_slot(pending, name);

    return slot == NULL ? NULL : &pending->files[slot->value - 1];
}

struct pending_file *pending_add(struct pending *pending, const char *name)
{
    struct pending_file *file = pending_find(pending, name);

    if (file != NULL)
        return file;
    if (pending->files == NULL || pending->count == pending->cap) {
        size_t cap = pending->cap == 0 ? 16 : pending->cap * 2;
        struct pending_file *files = realloc(pending->files, cap * sizeof *files);

        if (files == NULL)
            return NULL;
        pending->files = files;
        pending->cap = cap;
    }
    file = &pending->files[pending->count];
    *file = (struct pending_file){
        .name = strdup(name), .due = CLOCK_NEVER, .order = pending->next_order++};
    if (file->name == NULL ||
        hash_index_put(&pending->index, digest_key(name, strlen(name)), pending->count + 1) < 0) {
        free(file->name);
        return NULL;
    }
    pending->count++;
    file->since = file->judged = clock_monotonic();
    file->noticed = read_clock(CLOCK_REALTIME);
    pending->changed = true;
    return file;
}

void pending_look(struct pending_file *file, const struct file_id *file_id, uint64_t beside,
                  int64_t now)
{
    bool same = file->looked
                    ? file_id_equal(&file->file_id, file_id) && file->beside == beside
                    : file->recalled != 0 && file->recalled == hash_signature(file_id, beside);

    file->file_id = *file_id;
    file->beside = beside;
    file->looked = true;
    if (same)
        return;
    file->since = now;
    file->recalled = 0;
}

bool pending_set(struct pending *pending, struct pending_file *file, enum pending_reason reason,
                 const char *detail, int64_t due)
{
    bool other = file->reason != reason;

    file->due = due;
    file->reason = reason;
    if (detail == NULL ? file->detail != NULL
                       : file->detail == NULL || strcmp(file->detail, detail) != 0) {
        free(file->detail);
        file->detail = detail == NULL ? NULL : strdup(detail);
        pending->changed = true;
    }
    pending->changed |= other;
    return other;
}

void pending_sweep(struct pending *pending)
{
    size_t i = 0;

    while (i < pending->count) {
        struct pending_file *file = &pending->files[i], *last;

        if (!file->done) {
            i++;
            continue;
        }
        hash_index_remove(&pending->index, find_slot(pending, file->name));
        free(file->name);
        free(file->detail);
        last = &pending->files[--pending->count];
        if (last != file) {
            *file = *last;
            find_slot(pending, file->name)->value = (uint32_t)(i + 1);
        }
        pending->changed = true;
    }
}

int64_t pending_due(const struct pending *pending)
{
    int64_t due = CLOCK_NEVER;
    size_t i;

    for (i = 0; i < pending->count; i++)
        if (pending->files[i].due < due)
            due = pending->files[i].due;
    return due;
}

size_t pending_unjudged(const struct pending *pending)
{
    size_t i, count = 0;

    for (i = 0; i < pending->count; i++)
        count += pending->files[i].reason != PENDING_DISPOSAL;
    return count;
}

static void boot_id(char out[64])
{
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, out, 63);

    if (fd >= 0)
        close(fd);
    out[n > 0 ? n : 0] = '\0';
    out[strcspn(out, "\n")] = '\0';
}

/* A detail may hold a raw name: in a line that is no CSV the file would be lost to the next reader.
 */
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
    char boot[64], when[TEXT_TIME_SIZE];
    struct buffer out = {0};
    size_t i;
    int result;

    if (!pending->changed)
        return 0;
    boot_id(boot);
    buffer_string(&out, HEADER);
    for (i = 0; i < pending->count; i++) {
        const struct pending_file *file = &pending->files[i];

        escape_percent(&out, file->name, strlen(file->name));
        buffer_printf(&out, ",%s,%s,%s,%" PRId64 ",%016" PRIx64 ",", names[file->reason],
                      escape_time(when, file->noticed), boot, file->since / 1000000,
                      file->looked ? hash_signature(&file->file_id, file->beside) : file->recalled);
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

/* One line of the file; whatever is wrong with it, its file is only waited for anew. */
static int history(struct pending *pending, const struct row *row, const char *boot)
{
    struct buffer name = {0};
    struct pending_file *file = NULL;
    uint64_t since;
    char hex[17];
    int reason = 0;

    if (row->fault != ROW_SOUND || row->count != 7)
        return 0;
    while (reason < PENDING_REASONS &&
           (strlen(names[reason]) != row->cells[1].len ||
            memcmp(names[reason], row->cells[1].text, row->cells[1].len) != 0))
        reason++;
    if (reason == PENDING_REASONS ||
        escape_unpercent(&name, row->cells[0].text, row->cells[0].len) < 0 || name.len == 0 ||
        memchr(name.data, '\0', name.len) != NULL)
        goto out;
    file = pending_add(pending, buffer_text(&name));
    if (file == NULL)
        goto out;
    file->reason = (enum pending_reason)reason;
    escape_parse_time(row->cells[2].text, row->cells[2].len, &file->noticed);
    free(file->detail);
    file->detail = row->cells[6].len > 0 ? strndup(row->cells[6].text, row->cells[6].len) : NULL;
    if (strlen(boot) == row->cells[3].len &&
        memcmp(boot, row->cells[3].text, row->cells[3].len) == 0 &&
        escape_number(row->cells[4].text, row->cells[4].len, INT64_MAX / 1000000, &since) &&
        (int64_t)since * 1000000 <= file->since && row->cells[5].len == 16) {
        memcpy(hex, row->cells[5].text, 16);
        hex[16] = '\0';
        file->recalled = strtoull(hex, NULL, 16);
        file->since = (int64_t)since * 1000000;
    }
    file->due = clock_monotonic();
out:
    buffer_free(&name);
    return file == NULL && buffer_failed(&name) ? -1 : 0;
}

int pending_load(struct pending *pending, int state_fd, struct cause *cause)
{
    struct csv_reader *rows = csv_reader_open(1 << 20, 16);
    char boot[64];
    struct row row;
    uint64_t done = 0;
    int fd, next = CSV_READER_MORE, result = -1;
    size_t len;
    ssize_t n;

    if (rows == NULL)
        return cause_memory(cause);
    boot_id(boot);
    fd = state_fd < 0 ? -1 : openat(state_fd, FILE_NAME, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        csv_reader_close(rows);
        return 0;
    }
    while (next != CSV_READER_END) {
        if (next == CSV_READER_MORE) {
            char *space = csv_reader_space(rows, &len);

            n = space == NULL ? cause_memory(cause)
                              : durable_read(fd, space, len, done, "state/" FILE_NAME, cause);
            if (n < 0)
                goto out;
            csv_reader_filled(rows, (size_t)n);
            done += (uint64_t)n;
            if ((size_t)n < len)
                csv_reader_finish(rows);
        }
        next = csv_reader_next(rows, &row, cause);
        if (next < 0 ||
            (next == CSV_READER_ROW && row.line > 1 && history(pending, &row, boot) < 0))
            goto out;
    }
    result = 0;
out:
    close(fd);
    csv_reader_close(rows);
    return result;
}

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

static const char *const names[WAIT_REASONS] = {
    [WAIT_NEW] = "new",
    [WAIT_EMPTY] = "empty",
    [WAIT_HEADER_ONLY] = "header-only",
    [WAIT_UNCONFIRMED] = "unconfirmed",
    [WAIT_WRITER] = "being-written",
    [WAIT_PARTIAL] = "rsync-partial",
    [WAIT_FAILING] = "failing",
    [WAIT_INCOMPLETE] = "incomplete-row",
    [WAIT_NEWLINE] = "no-final-newline",
    [WAIT_FILE_TYPE] = "file-type",
    [WAIT_UNREADABLE] = "file-unreadable",
    [WAIT_TROUBLE] = "trouble",
    [WAIT_DISPOSAL] = "accepted",
};

const char *reason_name(enum reason reason)
{
    return names[reason];
}

static int64_t read_clock(clockid_t clock)
{
    struct timespec time;

    clock_gettime(clock, &time);
    return time.tv_sec * WAITING_SECOND + time.tv_nsec;
}

int64_t waiting_now(void)
{
    return read_clock(CLOCK_BOOTTIME);
}

static uint64_t hash_signature(const struct signature *signature, uint64_t beside)
{
    uint64_t words[5] = {signature->device, signature->inode, signature->size,
                         (uint64_t)signature->mtime, (uint64_t)signature->ctime};

    return digest_check(words, sizeof words) ^ beside;
}

void waiting_free(struct waiting *waiting)
{
    size_t i;

    for (i = 0; i < waiting->count; i++) {
        free(waiting->files[i].name);
        free(waiting->files[i].detail);
    }
    free(waiting->files);
    map_free(&waiting->index);
    *waiting = (struct waiting){0};
}

static struct map_slot *find_slot(const struct waiting *waiting, const char *name)
{
    struct map_slot *slot;
    size_t cursor = 0;

    if (waiting->count == 0)
        return NULL;
    while ((slot = map_find(&waiting->index, digest_key(name, strlen(name)), &cursor)) != NULL)
        if (strcmp(waiting->files[slot->value - 1].name, name) == 0)
            return slot;
    return NULL;
}

struct waiting_file *waiting_find(const struct waiting *waiting, const char *name)
{
    struct map_slot *slot = find_slot(waiting, name);

    return slot == NULL ? NULL : &waiting->files[slot->value - 1];
}

struct waiting_file *waiting_add(struct waiting *waiting, const char *name)
{
    struct waiting_file *file = waiting_find(waiting, name);

    if (file != NULL)
        return file;
    if (waiting->files == NULL || waiting->count == waiting->cap) {
        size_t cap = waiting->cap == 0 ? 16 : waiting->cap * 2;
        struct waiting_file *files = realloc(waiting->files, cap * sizeof *files);

        if (files == NULL)
            return NULL;
        waiting->files = files;
        waiting->cap = cap;
    }
    file = &waiting->files[waiting->count];
    *file = (struct waiting_file){
        .name = strdup(name), .due = WAITING_NEVER, .order = waiting->next_order++};
    if (file->name == NULL ||
        map_put(&waiting->index, digest_key(name, strlen(name)), waiting->count + 1) < 0) {
        free(file->name);
        return NULL;
    }
    waiting->count++;
    file->since = file->judged = waiting_now();
    file->noticed = read_clock(CLOCK_REALTIME);
    waiting->changed = true;
    return file;
}

void waiting_look(struct waiting_file *file, const struct signature *signature, uint64_t beside,
                  int64_t now)
{
    bool same = file->looked
                    ? signature_equal(&file->signature, signature) && file->beside == beside
                    : file->recalled != 0 && file->recalled == hash_signature(signature, beside);

    file->signature = *signature;
    file->beside = beside;
    file->looked = true;
    if (same)
        return;
    file->since = now;
    file->recalled = 0;
}

bool waiting_set(struct waiting *waiting, struct waiting_file *file, enum reason reason,
                 const char *detail, int64_t due)
{
    bool other = file->reason != reason;

    file->due = due;
    file->reason = reason;
    if (detail == NULL ? file->detail != NULL
                       : file->detail == NULL || strcmp(file->detail, detail) != 0) {
        free(file->detail);
        file->detail = detail == NULL ? NULL : strdup(detail);
        waiting->changed = true;
    }
    waiting->changed |= other;
    return other;
}

void waiting_sweep(struct waiting *waiting)
{
    size_t i = 0;

    while (i < waiting->count) {
        struct waiting_file *file = &waiting->files[i], *last;

        if (!file->done) {
            i++;
            continue;
        }
        map_remove(&waiting->index, find_slot(waiting, file->name));
        free(file->name);
        free(file->detail);
        last = &waiting->files[--waiting->count];
        if (last != file) {
            *file = *last;
            find_slot(waiting, file->name)->value = (uint32_t)(i + 1);
        }
        waiting->changed = true;
    }
}

int64_t waiting_due(const struct waiting *waiting)
{
    int64_t due = WAITING_NEVER;
    size_t i;

    for (i = 0; i < waiting->count; i++)
        if (waiting->files[i].due < due)
            due = waiting->files[i].due;
    return due;
}

size_t waiting_unjudged(const struct waiting *waiting)
{
    size_t i, count = 0;

    for (i = 0; i < waiting->count; i++)
        count += waiting->files[i].reason != WAIT_DISPOSAL;
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

    text_repair_utf8(&valid, detail, strlen(detail));
    for (i = 0; i < valid.len; i++)
        if (valid.data[i] == '\r')
            valid.data[i] = ' ';
    text_csv_cell(out, valid.data == NULL ? "" : valid.data, valid.len);
    out->failed |= valid.failed;
    buffer_free(&valid);
}

int waiting_save(struct waiting *waiting, int state_fd, struct cause *cause)
{
    char boot[64], when[TEXT_TIME_SIZE];
    struct buffer out = {0};
    size_t i;
    int result;

    if (!waiting->changed)
        return 0;
    boot_id(boot);
    buffer_string(&out, HEADER);
    for (i = 0; i < waiting->count; i++) {
        const struct waiting_file *file = &waiting->files[i];

        text_percent(&out, file->name, strlen(file->name));
        buffer_printf(&out, ",%s,%s,%s,%" PRId64 ",%016" PRIx64 ",", names[file->reason],
                      text_time(when, file->noticed), boot, file->since / 1000000,
                      file->looked ? hash_signature(&file->signature, file->beside)
                                   : file->recalled);
        if (file->detail != NULL)
            write_detail(&out, file->detail);
        buffer_byte(&out, '\n');
    }
    result = buffer_failed(&out)
                 ? cause_memory(cause)
                 : durable_replace(state_fd, FILE_NAME, out.data, out.len, false, cause);
    buffer_free(&out);
    waiting->changed = result < 0;
    return result;
}

/* One line of the file; whatever is wrong with it, its file is only waited for anew. */
static int recall(struct waiting *waiting, const struct row *row, const char *boot)
{
    struct buffer name = {0};
    struct waiting_file *file = NULL;
    uint64_t since;
    char hex[17];
    int reason = 0;

    if (row->fault != ROW_SOUND || row->count != 7)
        return 0;
    while (reason < WAIT_REASONS &&
           (strlen(names[reason]) != row->cells[1].len ||
            memcmp(names[reason], row->cells[1].text, row->cells[1].len) != 0))
        reason++;
    if (reason == WAIT_REASONS ||
        text_unpercent(&name, row->cells[0].text, row->cells[0].len) < 0 || name.len == 0 ||
        memchr(name.data, '\0', name.len) != NULL)
        goto out;
    file = waiting_add(waiting, buffer_text(&name));
    if (file == NULL)
        goto out;
    file->reason = (enum reason)reason;
    text_parse_time(row->cells[2].text, row->cells[2].len, &file->noticed);
    free(file->detail);
    file->detail = row->cells[6].len > 0 ? strndup(row->cells[6].text, row->cells[6].len) : NULL;
    if (strlen(boot) == row->cells[3].len &&
        memcmp(boot, row->cells[3].text, row->cells[3].len) == 0 &&
        text_number(row->cells[4].text, row->cells[4].len, INT64_MAX / 1000000, &since) &&
        (int64_t)since * 1000000 <= file->since && row->cells[5].len == 16) {
        memcpy(hex, row->cells[5].text, 16);
        hex[16] = '\0';
        file->recalled = strtoull(hex, NULL, 16);
        file->since = (int64_t)since * 1000000;
    }
    file->due = waiting_now();
out:
    buffer_free(&name);
    return file == NULL && buffer_failed(&name) ? -1 : 0;
}

int waiting_load(struct waiting *waiting, int state_fd, struct cause *cause)
{
    struct rows *rows = rows_open(1 << 20, 16);
    char boot[64];
    struct row row;
    uint64_t done = 0;
    int fd, next = ROWS_MORE, result = -1;
    size_t len;
    ssize_t n;

    if (rows == NULL)
        return cause_memory(cause);
    boot_id(boot);
    fd = state_fd < 0 ? -1 : openat(state_fd, FILE_NAME, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        rows_close(rows);
        return 0;
    }
    while (next != ROWS_END) {
        if (next == ROWS_MORE) {
            char *space = rows_space(rows, &len);

            n = space == NULL ? cause_memory(cause)
                              : durable_read(fd, space, len, done, "state/" FILE_NAME, cause);
            if (n < 0)
                goto out;
            rows_filled(rows, (size_t)n);
            done += (uint64_t)n;
            if ((size_t)n < len)
                rows_finish(rows);
        }
        next = rows_next(rows, &row, cause);
        if (next < 0 || (next == ROWS_ROW && row.line > 1 && recall(waiting, &row, boot) < 0))
            goto out;
    }
    result = 0;
out:
    close(fd);
    rows_close(rows);
    return result;
}

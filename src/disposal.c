#include "disposal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "digest.h"
#include "log.h"
#include "rows.h"
#include "slot.h"
#include "take.h"
#include "text.h"

#define SEQ_NAME_SIZE 64
#define CHUNK_SIZE    (256 * 1024)

enum disposal disposal_of_accepted(const struct config *config)
{
    switch (config->source) {
    case CONFIG_SOURCE_ARCHIVE:
        return DISPOSAL_ARCHIVE;
    case CONFIG_SOURCE_DELETE:
        return DISPOSAL_DELETE;
    case CONFIG_SOURCE_KEEP:
        break;
    }
    return DISPOSAL_KEEP;
}

static void seq_name(char out[SEQ_NAME_SIZE], uint64_t seq, const char *what)
{
    snprintf(out, SEQ_NAME_SIZE, "%" PRIu64 ".%s", seq, what);
}

/* ---- reasons
 * ------------------------------------------------------------------------------------- */

static int write_reason(const struct datadir *dir, const char *name, const struct buffer *bytes,
                        struct durable_group *group, struct cause *cause)
{
    if (group != NULL)
        return durable_group_write(group, dir->moving, name, bytes->data, bytes->len, cause);
    return durable_replace(dir->moving, name, bytes->data, bytes->len, true, cause);
}

int disposal_write_reasons(const struct datadir *dir, uint64_t seq,
                           const struct violations *violations, const struct spill *rejected,
                           struct durable_group *group, struct cause *cause)
{
    struct buffer out = {0};
    char name[SEQ_NAME_SIZE];
    int result = 0;

    if (rejected != NULL && rejected->length > 0) {
        seq_name(name, seq, "rejects.csv");
        result = rejected->fd >= 0
                     ? durable_copy(rejected->fd, 0, rejected->length, dir->moving, name, cause)
                     : write_reason(dir, name, &rejected->memory, group, cause);
        if (result < 0)
            return -1;
    }
    seq_name(name, seq, "errors.csv");
    violations_write_csv(violations, &out);
    result =
        buffer_failed(&out) ? cause_memory(cause) : write_reason(dir, name, &out, group, cause);
    buffer_free(&out);
    return result;
}

void disposal_drop_reasons(const struct datadir *dir, uint64_t seq)
{
    char name[SEQ_NAME_SIZE];

    seq_name(name, seq, "errors.csv");
    unlinkat(dir->moving, name, 0);
    seq_name(name, seq, "rejects.csv");
    unlinkat(dir->moving, name, 0);
}

/* ---- places
 * ----------------------------------------------------------------------------------- */

static bool exists(int dir_fd, const char *name)
{
    struct stat st;

    return fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static int same_file(int dir_fd, const char *name, int fd, struct cause *cause)
{
    struct signature left, right;
    int other, result = 0;

    if (spool_open(dir_fd, name, &other, &left) != SPOOL_FILE)
        return 0;
    if (spool_signature(fd, &right) == SPOOL_FILE && left.size == right.size)
        result = take_same_bytes(other, fd, left.size, cause);
    close(other);
    return result;
}

/* ---- taking
 * -------------------------------------------------------------------------------------- */

int disposal_take(const struct datadir *dir, const char *name, const struct signature *read,
                  uint64_t seq, struct cause *cause)
{
    char moving[SEQ_NAME_SIZE], marker[SEQ_NAME_SIZE];

    seq_name(moving, seq, "csv");
    seq_name(marker, seq, "hidden");
    return take_out(dir, name, read, moving, marker, cause);
}

/*
 * Is this slot free? Errors go first, then one thing more, rejects or the file: where errors stand
 * alone while ours wait no longer, they are ours, put there before a crash.
 */
static bool slot_fits(int dir_fd, const char *name, unsigned n, bool errors_wait)
{
    char data[SLOT_NAME_SIZE], errors[SLOT_NAME_SIZE], rejects[SLOT_NAME_SIZE];

    slot_name(data, name, n, "");
    slot_name(errors, name, n, ".errors.csv");
    slot_name(rejects, name, n, ".rejects.csv");
    return !exists(dir_fd, data) && !exists(dir_fd, rejects) &&
           exists(dir_fd, errors) != errors_wait;
}

static int place(const struct datadir *dir, uint64_t seq, const char *what, int to_dir,
                 const char *name, unsigned n, const char *suffix, struct cause *cause)
{
    char from[SEQ_NAME_SIZE], to[SLOT_NAME_SIZE];

    seq_name(from, seq, what);
    if (!exists(dir->moving, from))
        return 0;
    slot_name(to, name, n, suffix);
    return durable_move(dir->moving, from, to_dir, to, cause);
}

/* 1: the directory holds an equal copy under one of the name's slots; 0: no; -1. */
static int has_copy(const struct datadir *dir, const char *moving, int to_dir, const char *name,
                    struct cause *cause)
{
    char slot[SLOT_NAME_SIZE];
    struct signature ignored;
    int fd, result = 0;
    unsigned n;

    if (spool_open(dir->moving, moving, &fd, &ignored) != SPOOL_FILE)
        return 0;
    for (n = 1; result == 0; n++) {
        slot_name(slot, name, n, "");
        if (!exists(to_dir, slot)) {
            slot_name(slot, name, n, ".errors.csv");
            if (!exists(to_dir, slot))
                break;
            continue;
        }
        result = same_file(to_dir, slot, fd, cause);
    }
    close(fd);
    return result;
}

static int quarantine_into(const struct datadir *dir, int slots, const char *name, uint64_t seq,
                           struct cause *cause)
{
    char file[SEQ_NAME_SIZE], errors[SEQ_NAME_SIZE];
    bool errors_wait;
    unsigned n = 1;
    int copy;

    seq_name(file, seq, "csv");
    seq_name(errors, seq, "errors.csv");
    errors_wait = exists(dir->moving, errors);
    if (exists(dir->moving, file)) {
        copy = has_copy(dir, file, slots, name, cause);
        if (copy < 0)
            return -1;
        if (copy > 0) {
            unlinkat(dir->moving, file, 0);
            disposal_drop_reasons(dir, seq);
            return 0;
        }
    }
    /* Where our errors were placed, and taken away by somebody since, the first free slot will do.
     */
    while (!slot_fits(slots, name, n, errors_wait) && !slot_fits(slots, name, n, true))
        n++;
    if (place(dir, seq, "errors.csv", slots, name, n, ".errors.csv", cause) < 0 ||
        place(dir, seq, "rejects.csv", slots, name, n, ".rejects.csv", cause) < 0)
        return -1;
    return place(dir, seq, "csv", slots, name, n, "", cause);
}

static int archive_into(const struct datadir *dir, int slots, const char *name, uint64_t seq,
                        struct cause *cause)
{
    char file[SEQ_NAME_SIZE], slot[SLOT_NAME_SIZE];
    unsigned n = 1;
    int copy;

    seq_name(file, seq, "csv");
    copy = has_copy(dir, file, slots, name, cause);
    if (copy < 0)
        return -1;
    if (copy > 0) {
        unlinkat(dir->moving, file, 0);
        return 0;
    }
    for (slot_name(slot, name, n, ""); exists(slots, slot); slot_name(slot, name, n, ""))
        n++;
    return place(dir, seq, "csv", slots, name, n, "", cause);
}

static int finish_in(const struct datadir *dir, int root, const char *name, uint64_t seq,
                     struct cause *cause)
{
    int slots = slot_open(root, name, true, cause), result;

    if (slots < 0)
        return -1;
    result = root == dir->archive ? archive_into(dir, slots, name, seq, cause)
                                  : quarantine_into(dir, slots, name, seq, cause);
    close(slots);
    return result;
}

int disposal_finish(const struct datadir *dir, const char *name, uint64_t seq,
                    enum disposal disposal, struct cause *cause)
{
    char file[SEQ_NAME_SIZE], errors[SEQ_NAME_SIZE], rejects[SEQ_NAME_SIZE];

    seq_name(file, seq, "csv");
    seq_name(errors, seq, "errors.csv");
    seq_name(rejects, seq, "rejects.csv");
    if (disposal == DISPOSAL_QUARANTINE)
        return finish_in(dir, dir->quarantine, name, seq, cause);
    if (exists(dir->moving, file)) {
        if (disposal == DISPOSAL_ARCHIVE && finish_in(dir, dir->archive, name, seq, cause) < 0)
            return -1;
        if (disposal == DISPOSAL_DELETE && unlinkat(dir->moving, file, 0) < 0)
            return cause_errno(cause, CAUSE_TROUBLE, "cannot delete %s", name);
        if (disposal == DISPOSAL_KEEP && take_back(dir, dir->moving, file, name, cause) < 0)
            return -1;
    }
    /* An accepted file's rejected rows. */
    if (exists(dir->moving, errors) || exists(dir->moving, rejects))
        return finish_in(dir, dir->quarantine, name, seq, cause);
    return 0;
}

static int resolve_in(int slots, const char *name, int fd, uint64_t size, struct cause *cause)
{
    char slot[SLOT_NAME_SIZE], companion[SLOT_NAME_SIZE];
    struct signature copy;
    int other, prefix;
    unsigned n;

    for (n = 1;; n++) {
        slot_name(slot, name, n, "");
        slot_name(companion, name, n, ".errors.csv");
        if (spool_open(slots, slot, &other, &copy) != SPOOL_FILE) {
            if (!exists(slots, companion))
                return 0;
            continue;
        }
        prefix = copy.size <= size ? take_same_bytes(other, fd, copy.size, cause) : 0;
        close(other);
        if (prefix < 0)
            return -1;
        if (prefix > 0) {
            unlinkat(slots, slot, 0);
            unlinkat(slots, companion, 0);
            slot_name(companion, name, n, ".rejects.csv");
            unlinkat(slots, companion, 0);
            log_info("%s: the cut copy in quarantine is taken away, this is the whole file", name);
        }
    }
}

int disposal_resolve(const struct datadir *dir, const char *name, int fd, uint64_t size,
                     struct cause *cause)
{
    int slots = slot_open(dir->quarantine, name, false, cause), result;

    if (slots < 0)
        return cause->errnum == ENOENT ? 0 : -1;
    result = resolve_in(slots, name, fd, size, cause);
    close(slots);
    return result;
}

/* ---- recovering
 * ---------------------------------------------------------------------------------- */

static int hash_matches(int dir_fd, const char *name, const struct ledger_line *line,
                        struct cause *cause)
{
    unsigned char sha256[DIGEST_SIZE];
    struct signature signature;
    struct digest digest;
    uint64_t done = 0;
    char *chunk;
    ssize_t n = -1;
    int fd, result = -1;

    if (spool_open(dir_fd, name, &fd, &signature) != SPOOL_FILE)
        return 0;
    chunk = malloc(CHUNK_SIZE);
    digest_init(&digest);
    if (chunk == NULL)
        cause_memory(cause);
    while (chunk != NULL && (n = durable_read(fd, chunk, CHUNK_SIZE, done, name, cause)) > 0) {
        digest_update(&digest, chunk, (size_t)n);
        done += (uint64_t)n;
    }
    if (n == 0) {
        digest_final(&digest, sha256);
        result = done == line->bytes && memcmp(sha256, line->sha256, DIGEST_SIZE) == 0;
    }
    free(chunk);
    close(fd);
    return result;
}

static int recover_one(const struct datadir *dir, const struct ledger *ledger,
                       const struct config *config, uint64_t seq, struct ledger_line *line,
                       struct cause *cause)
{
    enum disposal disposal;
    char file[SEQ_NAME_SIZE], name[SEQ_NAME_SIZE + 16];
    int booked = ledger_by_seq(ledger, seq, line, cause), same;

    if (booked < 0)
        return -1;
    seq_name(file, seq, "csv");
    if (booked == 0) {
        disposal_drop_reasons(dir, seq);
        if (!exists(dir->moving, file))
            return 0;
        /* Of another ledger than this one: a new arrival, whatever its name was. */
        snprintf(name, sizeof name, "recovered.%" PRIu64 ".csv", seq);
        log_notice("state/moving/%s is of no verdict in the ledger: it is dropped again as %s",
                   file, name);
        return take_back(dir, dir->moving, file, name, cause);
    }
    disposal =
        line->verdict == VERDICT_QUARANTINED ? DISPOSAL_QUARANTINE : disposal_of_accepted(config);
    if (exists(dir->moving, file)) {
        same = hash_matches(dir->moving, file, line, cause);
        if (same < 0)
            return -1;
        if (same == 0)
            return take_back(dir, dir->moving, file, line->name, cause);
    } else if (disposal == DISPOSAL_QUARANTINE) {
        /* Still dropped: the next look judges it once more, writes these again and takes it. Or its
         * owner has taken it away meanwhile. */
        disposal_drop_reasons(dir, seq);
        return 0;
    }
    return disposal_finish(dir, line->name, seq, disposal, cause);
}

/* Goes through state/moving/: what was hidden first, since it comes back from there. */
static int recover_all(const struct datadir *dir, const struct ledger *ledger,
                       const struct config *config, bool hidden, struct ledger_line *line,
                       struct cause *cause)
{
    int fd = openat(dir->moving, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), result = 0;
    DIR *list = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry;
    const char *name;
    uint64_t seq;
    size_t len;

    if (list == NULL) {
        cause_errno(cause, CAUSE_TROUBLE, "cannot list state/moving");
        if (fd >= 0)
            close(fd);
        return -1;
    }
    while (result == 0 && (entry = readdir(list)) != NULL) {
        name = entry->d_name;
        len = strcspn(name, ".");
        if (text_number(name, len, UINT64_MAX, &seq)) {
            if (hidden && strcmp(name + len, ".hidden") == 0)
                result = take_recover(dir, name, cause);
            else if (!hidden && strcmp(name + len, ".hidden") != 0)
                result = recover_one(dir, ledger, config, seq, line, cause);
        } else if (len == 0 && strcmp(name, ".") != 0 && strcmp(name, "..") != 0) {
            unlinkat(dir->moving, name, 0); /* a temporary file of durable_replace */
        }
    }
    closedir(list);
    return result;
}

int disposal_recover(const struct datadir *dir, const struct ledger *ledger,
                     const struct config *config, struct cause *cause)
{
    struct ledger_line *line = malloc(sizeof *line);
    int result;

    if (line == NULL)
        return cause_memory(cause);
    result = recover_all(dir, ledger, config, true, line, cause);
    if (result == 0)
        result = recover_all(dir, ledger, config, false, line, cause);
    free(line);
    return result;
}

/* ---- survey
 * -------------------------------------------------------------------------------------- */

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

/* Each name that ends in .csv. A data file NAME.~2~ does not, but its reasons do. */
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

int disposal_survey(const struct datadir *dir, const struct ledger *ledger,
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

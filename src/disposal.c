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
#include "durable.h"
#include "log.h"
#include "rows.h"
#include "text.h"

#define SLOT_NAME_SIZE (LEDGER_NAME_SIZE + 64)
#define SEQ_NAME_SIZE  64
#define CHUNK_SIZE     (256 * 1024)
#define LONGEST_NAME   224 /* with ".~9999999~.rejects.csv" it fits into NAME_MAX */

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

int disposal_write_reasons(const struct datadir *dir, uint64_t seq,
                           const struct violations *violations, const struct spill *rejected,
                           struct cause *cause)
{
    struct buffer out = {0};
    char name[SEQ_NAME_SIZE];
    int result = 0;

    if (rejected != NULL && rejected->length > 0) {
        seq_name(name, seq, "rejects.csv");
        result = rejected->fd >= 0
                     ? durable_copy(rejected->fd, 0, rejected->length, dir->moving, name, cause)
                     : durable_replace(dir->moving, name, rejected->memory.data,
                                       rejected->memory.len, true, cause);
        if (result < 0)
            return -1;
    }
    seq_name(name, seq, "errors.csv");
    violations_write_csv(violations, &out);
    result = buffer_failed(&out)
                 ? cause_memory(cause)
                 : durable_replace(dir->moving, name, out.data, out.len, true, cause);
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

/*
 * The nth NAME: NAME, NAME.~2~, NAME.~3~; with a companion's suffix. A '/' cannot stand in one file
 * name, and a name that leaves no room for the suffixes is shortened, with its hash in place of the
 * rest.
 */
static void slot_name(char out[SLOT_NAME_SIZE], const char *name, unsigned n, const char *suffix)
{
    char shortened[NAME_MAX + 1], *c;

    if (strlen(name) > LONGEST_NAME) {
        snprintf(shortened, sizeof shortened, "%.*s~%016" PRIx64 ".csv", LONGEST_NAME - 32, name,
                 digest_check(name, strlen(name)));
        name = shortened;
    }
    if (n == 1)
        snprintf(out, SLOT_NAME_SIZE, "%s%s", name, suffix);
    else
        snprintf(out, SLOT_NAME_SIZE, "%s.~%u~%s", name, n, suffix);
    for (c = out; *c != '\0'; c++)
        if (*c == '/')
            *c = '_';
}

/* 1: the first `limit` bytes are the same in both; 0: not; -1. */
static int same_bytes(int left, int right, uint64_t limit, struct cause *cause)
{
    char *chunks = malloc(2 * CHUNK_SIZE);
    uint64_t done = 0;
    int result = 1;

    if (chunks == NULL)
        return cause_memory(cause);
    while (result == 1 && done < limit) {
        size_t want = limit - done < CHUNK_SIZE ? (size_t)(limit - done) : CHUNK_SIZE;
        ssize_t l =
            durable_read(left, chunks, want, done, "a copy in quarantine or archive", cause);
        ssize_t r =
            durable_read(right, chunks + CHUNK_SIZE, want, done, "a file on its way there", cause);

        if (l < 0 || r < 0)
            result = -1;
        else if (l != (ssize_t)want || r != l || memcmp(chunks, chunks + CHUNK_SIZE, want) != 0)
            result = 0;
        done += want;
    }
    free(chunks);
    return result;
}

static int same_file(int dir_fd, const char *name, int fd, struct cause *cause)
{
    struct signature left, right;
    int other, result = 0;

    if (spool_open(dir_fd, name, &other, &left) != SPOOL_FILE)
        return 0;
    if (spool_signature(fd, &right) == SPOOL_FILE && left.size == right.size)
        result = same_bytes(other, fd, left.size, cause);
    close(other);
    return result;
}

/* ---- taking
 * -------------------------------------------------------------------------------------- */

static bool is_beginning_of(const struct datadir *dir, const char *moving, const char *name)
{
    struct signature older, newer;
    struct cause ignored;
    int fd, other, same = 0;

    if (spool_open(dir->moving, moving, &fd, &older) != SPOOL_FILE)
        return false;
    if (spool_open(dir->drop, name, &other, &newer) == SPOOL_FILE) {
        same = older.size <= newer.size ? same_bytes(fd, other, older.size, &ignored) : 0;
        close(other);
    }
    close(fd);
    return same > 0;
}

/* Somebody else's file came under our hands: back to the drop directory, under another name if its
 * own is taken. */
static int put_back(const struct datadir *dir, const char *moving, const char *name,
                    struct cause *cause)
{
    char other[SLOT_NAME_SIZE];
    const size_t end = strlen(name) - 4, stem = end < LONGEST_NAME ? end : LONGEST_NAME;
    unsigned n;

    if (durable_move(dir->moving, moving, dir->drop, name, cause) == 0)
        return 0;
    /* The sender has replaced it by a version that goes on from it: its rows are all there. */
    if (cause->errnum == EEXIST && is_beginning_of(dir, moving, name))
        return unlinkat(dir->moving, moving, 0) < 0
                   ? cause_errno(cause, CAUSE_TROUBLE, "cannot remove state/moving/%s", moving)
                   : 0;
    for (n = 2; cause->errnum == EEXIST && n < 10000; n++) {
        snprintf(other, sizeof other, "%.*s.~%u~%s", (int)stem, name, n, name + end);
        if (durable_move(dir->moving, moving, dir->drop, other, cause) == 0) {
            log_notice("%s was replaced while it was moved: the older one is back as %s", name,
                       other);
            return 0;
        }
    }
    return -1;
}

/* Is the file under this name what was read, and does nobody write to it? A rename changes the
 * ctime alone. */
static bool is_what_was_read(int dir_fd, const char *name, const struct signature *read)
{
    struct signature found;
    bool same;
    int fd;

    if (spool_open(dir_fd, name, &fd, &found) != SPOOL_FILE)
        return false;
    same = found.device == read->device && found.inode == read->inode && found.size == read->size &&
           found.mtime == read->mtime && spool_writer(fd) != SPOOL_WRITER;
    close(fd);
    return same;
}

/* The drop directory is a file system of its own: hidden and compared there, then copied. */
static int take_across(const struct datadir *dir, const char *name, const struct signature *read,
                       uint64_t seq, struct cause *cause)
{
    char moving[SEQ_NAME_SIZE], hidden[SEQ_NAME_SIZE + 32];

    seq_name(moving, seq, "csv");
    snprintf(hidden, sizeof hidden, ".phasesentinel.%s", moving);
    if (durable_move(dir->drop, name, dir->drop, hidden, cause) < 0)
        return -1;
    if (!is_what_was_read(dir->drop, hidden, read)) {
        if (durable_move(dir->drop, hidden, dir->drop, name, cause) < 0)
            return -1;
        return cause_set(cause, CAUSE_AGAIN, "%s changed while it was moved", name);
    }
    return durable_move(dir->drop, hidden, dir->moving, moving, cause);
}

int disposal_take(const struct datadir *dir, const char *name, const struct signature *read,
                  uint64_t seq, struct cause *cause)
{
    struct signature now;
    char moving[SEQ_NAME_SIZE];
    struct stat st;

    if (spool_look(dir->drop, name, &now) != SPOOL_FILE || !signature_equal(&now, read))
        return cause_set(cause, CAUSE_AGAIN, "%s changed before it was moved", name);
    if (fstat(dir->moving, &st) == 0 && st.st_dev != read->device)
        return take_across(dir, name, read, seq, cause);
    seq_name(moving, seq, "csv");
    if (durable_move(dir->drop, name, dir->moving, moving, cause) < 0) {
        if (cause->errnum == ENOENT)
            cause->kind = CAUSE_AGAIN;
        return -1;
    }
    if (is_what_was_read(dir->moving, moving, read))
        return 0;
    if (put_back(dir, moving, name, cause) < 0)
        return -1;
    return cause_set(cause, CAUSE_AGAIN, "%s changed while it was moved", name);
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

static int finish_quarantine(const struct datadir *dir, const char *name, uint64_t seq,
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
        copy = has_copy(dir, file, dir->quarantine, name, cause);
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
    while (!slot_fits(dir->quarantine, name, n, errors_wait) &&
           !slot_fits(dir->quarantine, name, n, true))
        n++;
    if (place(dir, seq, "errors.csv", dir->quarantine, name, n, ".errors.csv", cause) < 0 ||
        place(dir, seq, "rejects.csv", dir->quarantine, name, n, ".rejects.csv", cause) < 0)
        return -1;
    return place(dir, seq, "csv", dir->quarantine, name, n, "", cause);
}

static int finish_archive(const struct datadir *dir, const char *name, uint64_t seq,
                          struct cause *cause)
{
    char file[SEQ_NAME_SIZE], slot[SLOT_NAME_SIZE];
    unsigned n = 1;
    int copy;

    seq_name(file, seq, "csv");
    copy = has_copy(dir, file, dir->archive, name, cause);
    if (copy < 0)
        return -1;
    if (copy > 0) {
        unlinkat(dir->moving, file, 0);
        return 0;
    }
    for (slot_name(slot, name, n, ""); exists(dir->archive, slot); slot_name(slot, name, n, ""))
        n++;
    return place(dir, seq, "csv", dir->archive, name, n, "", cause);
}

int disposal_finish(const struct datadir *dir, const char *name, uint64_t seq,
                    enum disposal disposal, struct cause *cause)
{
    char file[SEQ_NAME_SIZE], errors[SEQ_NAME_SIZE], rejects[SEQ_NAME_SIZE];

    seq_name(file, seq, "csv");
    seq_name(errors, seq, "errors.csv");
    seq_name(rejects, seq, "rejects.csv");
    if (disposal == DISPOSAL_QUARANTINE)
        return finish_quarantine(dir, name, seq, cause);
    if (exists(dir->moving, file)) {
        if (disposal == DISPOSAL_ARCHIVE && finish_archive(dir, name, seq, cause) < 0)
            return -1;
        if (disposal == DISPOSAL_DELETE && unlinkat(dir->moving, file, 0) < 0)
            return cause_errno(cause, CAUSE_TROUBLE, "cannot delete %s", name);
        if (disposal == DISPOSAL_KEEP && put_back(dir, file, name, cause) < 0)
            return -1;
    }
    /* An accepted file's rejected rows. */
    if (exists(dir->moving, errors) || exists(dir->moving, rejects))
        return finish_quarantine(dir, name, seq, cause);
    return 0;
}

int disposal_resolve(const struct datadir *dir, const char *name, int fd, uint64_t size,
                     struct cause *cause)
{
    char slot[SLOT_NAME_SIZE], companion[SLOT_NAME_SIZE];
    struct signature copy;
    int other, prefix;
    unsigned n;

    for (n = 1;; n++) {
        slot_name(slot, name, n, "");
        slot_name(companion, name, n, ".errors.csv");
        if (spool_open(dir->quarantine, slot, &other, &copy) != SPOOL_FILE) {
            if (!exists(dir->quarantine, companion))
                return 0;
            continue;
        }
        prefix = copy.size <= size ? same_bytes(other, fd, copy.size, cause) : 0;
        close(other);
        if (prefix < 0)
            return -1;
        if (prefix > 0) {
            unlinkat(dir->quarantine, slot, 0);
            unlinkat(dir->quarantine, companion, 0);
            slot_name(companion, name, n, ".rejects.csv");
            unlinkat(dir->quarantine, companion, 0);
            log_info("%s: the cut copy in quarantine is taken away, this is the whole file", name);
        }
    }
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
        return put_back(dir, file, name, cause);
    }
    disposal =
        line->verdict == VERDICT_QUARANTINED ? DISPOSAL_QUARANTINE : disposal_of_accepted(config);
    if (exists(dir->moving, file)) {
        same = hash_matches(dir->moving, file, line, cause);
        if (same < 0)
            return -1;
        if (same == 0)
            return put_back(dir, file, line->name, cause);
    } else if (disposal == DISPOSAL_QUARANTINE && !exists(dir->drop, line->name)) {
        /* Its owner has taken the file away meanwhile. */
        disposal_drop_reasons(dir, seq);
        return 0;
    } else if (disposal == DISPOSAL_QUARANTINE) {
        /* Still dropped: the next look judges it once more, writes these again and takes it. */
        disposal_drop_reasons(dir, seq);
        return 0;
    }
    return disposal_finish(dir, line->name, seq, disposal, cause);
}

/* SEQ.csv; anything else that begins with a dot is somebody's upload. */
static bool is_moving_name(const char *name)
{
    size_t len = strspn(name, "0123456789");

    return len > 0 && strcmp(name + len, ".csv") == 0;
}

/* What take_across hid in the drop directory. */
static int recover_hidden(const struct datadir *dir, struct cause *cause)
{
    static const char prefix[] = ".phasesentinel.";
    const struct dirent *entry;
    DIR *list;
    int fd = openat(dir->drop, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), result = 0;

    list = fd < 0 ? NULL : fdopendir(fd);
    if (list == NULL) {
        if (fd >= 0)
            close(fd);
        return cause_errno(cause, CAUSE_TROUBLE, "cannot list the drop directory");
    }
    while (result == 0 && (entry = readdir(list)) != NULL)
        if (strncmp(entry->d_name, prefix, sizeof prefix - 1) == 0 &&
            is_moving_name(entry->d_name + sizeof prefix - 1)) {
            unlinkat(dir->moving, entry->d_name + sizeof prefix - 1, 0);
            result = durable_move(dir->drop, entry->d_name, dir->moving,
                                  entry->d_name + sizeof prefix - 1, cause);
        }
    closedir(list);
    return result;
}

int disposal_recover(const struct datadir *dir, const struct ledger *ledger,
                     const struct config *config, struct cause *cause)
{
    struct ledger_line *line = malloc(sizeof *line);
    const struct dirent *entry;
    struct stat drop, moving;
    DIR *list = NULL;
    int fd, result = -1;
    uint64_t seq;
    size_t len;

    if (line == NULL)
        return cause_memory(cause);
    if (fstat(dir->drop, &drop) == 0 && fstat(dir->moving, &moving) == 0 &&
        drop.st_dev != moving.st_dev && recover_hidden(dir, cause) < 0)
        goto out;
    fd = openat(dir->moving, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    list = fd < 0 ? NULL : fdopendir(fd);
    if (list == NULL) {
        cause_errno(cause, CAUSE_TROUBLE, "cannot list state/moving");
        if (fd >= 0)
            close(fd);
        goto out;
    }
    while ((entry = readdir(list)) != NULL) {
        len = strcspn(entry->d_name, ".");
        if (text_number(entry->d_name, len, UINT64_MAX, &seq)) {
            if (recover_one(dir, ledger, config, seq, line, cause) < 0)
                goto out;
        } else if (len == 0 && strcmp(entry->d_name, ".") != 0 &&
                   strcmp(entry->d_name, "..") != 0) {
            unlinkat(dir->moving, entry->d_name, 0); /* a temporary file of durable_replace */
        }
    }
    result = 0;
out:
    if (list != NULL)
        closedir(list);
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

/* NAME of NAME.~2~. */
static void base_name(char out[SLOT_NAME_SIZE], const char *slot)
{
    char *tilde;

    snprintf(out, SLOT_NAME_SIZE, "%s", slot);
    if (!ends_with(out, "~"))
        return;
    tilde = strstr(out, ".~");
    while (tilde != NULL && strstr(tilde + 1, ".~") != NULL)
        tilde = strstr(tilde + 1, ".~");
    if (tilde != NULL && tilde[2 + strspn(tilde + 2, "0123456789")] == '~')
        *tilde = '\0';
}

int disposal_survey(const struct datadir *dir, const struct ledger *ledger,
                    struct quarantine_survey *survey, struct cause *cause)
{
    struct ledger_line *line = malloc(sizeof *line);
    char companion[SLOT_NAME_SIZE], name[SLOT_NAME_SIZE];
    const struct dirent *entry;
    DIR *list = NULL;
    int fd, known, result = -1;

    *survey = (struct quarantine_survey){0};
    if (line == NULL)
        return cause_memory(cause);
    fd =
        dir->quarantine < 0 ? -1 : openat(dir->quarantine, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    list = fd < 0 ? NULL : fdopendir(fd);
    if (list == NULL) {
        if (fd >= 0)
            close(fd);
        result = 0;
        goto out;
    }
    while ((entry = readdir(list)) != NULL) {
        /* A data file has its reasons beside it, whatever its own name is. */
        snprintf(companion, sizeof companion, "%s.errors.csv", entry->d_name);
        if (exists(dir->quarantine, companion)) {
            base_name(name, entry->d_name);
            known = ledger_last(ledger, name, line, cause);
            if (known < 0)
                goto out;
            if (known > 0 && line->verdict != VERDICT_QUARANTINED)
                survey->resolved++;
            else
                survey->files++;
        } else if (ends_with(entry->d_name, ".errors.csv") &&
                   count_errors(dir->quarantine, entry->d_name, survey, cause) < 0) {
            goto out;
        }
    }
    result = 0;
out:
    if (list != NULL)
        closedir(list);
    free(line);
    return result;
}

#include "ingest/placement.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/log.h"
#include "fs/backup_name.h"
#include "ingest/move_out.h"
#include "base/escape.h"
#include "csv/decompress.h"
#include "fs/beneath.h"

#define SEQ_NAME_SIZE 64
#define CHUNK_SIZE    (256 * 1024)

enum placement placement_of_accepted(const struct config *config)
{
    switch (config->source) {
    case CONFIG_SOURCE_ARCHIVE:
        return PLACE_ARCHIVE;
    case CONFIG_SOURCE_DELETE:
        return PLACE_DELETE;
    case CONFIG_SOURCE_KEEP:
        break;
    }
    return PLACE_KEEP;
}

static void seq_name(char out[SEQ_NAME_SIZE], uint64_t seq, const char *what)
{
    snprintf(out, SEQ_NAME_SIZE, "%" PRIu64 ".%s", seq, what);
}

/* SEQ.sha256, SEQ.done. */
static void seq_sidecar(char out[SEQ_NAME_SIZE], uint64_t seq, int sidecar)
{
    seq_name(out, seq, sidecar_suffix((enum sidecar_kind)sidecar) + 1);
}

/* ---- reasons ------------------------------------------------------------------------------ */

static int write_reason(const struct datadir *dir, const char *name, const struct buffer *bytes,
                        struct durable_group *group, struct cause *cause)
{
    if (group != NULL)
        return durable_group_write(group, dir->moving, name, bytes->data, bytes->len, cause);
    return durable_replace(dir->moving, name, bytes->data, bytes->len, true, cause);
}

int placement_write_reasons(const struct datadir *dir, uint64_t seq,
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

void placement_drop_reasons(const struct datadir *dir, uint64_t seq)
{
    char name[SEQ_NAME_SIZE];

    seq_name(name, seq, "errors.csv");
    unlinkat(dir->moving, name, 0);
    seq_name(name, seq, "rejects.csv");
    unlinkat(dir->moving, name, 0);
}

/* ---- places ------------------------------------------------------------------------------- */

static bool exists(int dir_fd, const char *name)
{
    struct stat st;

    return fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static int same_file(int dir_fd, const char *name, int fd, struct cause *cause)
{
    struct file_id left, right;
    int other, result = 0;

    if (beneath_open(dir_fd, name, &other, &left) != FILE_REGULAR)
        return 0;
    if (file_id_of_fd(fd, &right) == FILE_REGULAR && left.size == right.size)
        result = same_bytes(other, fd, left.size, cause);
    close(other);
    return result;
}

/* ---- taking ------------------------------------------------------------------------------- */

int placement_take(const struct datadir *dir, const char *name, const struct file_id *read,
                   uint64_t seq, struct cause *cause)
{
    char moving[SEQ_NAME_SIZE], marker[SEQ_NAME_SIZE];

    seq_name(moving, seq, "csv");
    seq_name(marker, seq, "hidden");
    return move_out(dir, name, read, moving, marker, cause);
}

int placement_take_sidecars(const struct datadir *dir, const char *name,
                            const struct sidecars *read, uint64_t seq, struct cause *cause)
{
    char moving[SEQ_NAME_SIZE], marker[SEQ_NAME_SIZE];
    struct buffer path = {0};
    int i, result = 0;

    seq_name(marker, seq, "hidden");
    for (i = 0; i < SIDECAR_KINDS && result == 0; i++) {
        if (!read->each[i].there)
            continue;
        buffer_clear(&path);
        buffer_printf(&path, "%s%s", name, sidecar_suffix((enum sidecar_kind)i));
        seq_sidecar(moving, seq, i);
        result = buffer_failed(&path) ? cause_memory(cause)
                                      : move_out(dir, buffer_text(&path), &read->each[i].file_id,
                                                 moving, marker, cause);
        if (result < 0 && cause->kind == CAUSE_CHANGED)
            result = 0;
    }
    buffer_free(&path);
    return result;
}

int placement_return_sidecars(const struct datadir *dir, const char *name, uint64_t seq,
                              struct cause *cause)
{
    char moving[SEQ_NAME_SIZE];
    struct buffer path = {0};
    int i, result = 0;

    for (i = 0; i < SIDECAR_KINDS && result == 0; i++) {
        seq_sidecar(moving, seq, i);
        if (!exists(dir->moving, moving))
            continue;
        buffer_clear(&path);
        buffer_printf(&path, "%s%s", name, sidecar_suffix((enum sidecar_kind)i));
        result = buffer_failed(&path)
                     ? cause_memory(cause)
                     : move_back(dir, dir->moving, moving, buffer_text(&path), cause);
    }
    buffer_free(&path);
    return result;
}

static void drop_sidecars(const struct datadir *dir, uint64_t seq)
{
    char moving[SEQ_NAME_SIZE];
    int i;

    for (i = 0; i < SIDECAR_KINDS; i++) {
        seq_sidecar(moving, seq, i);
        unlinkat(dir->moving, moving, 0);
    }
}

/* Could the sidecars that wait stand beside the name's nth slot? */
static bool sidecars_fit(const struct datadir *dir, int slots, const char *name, unsigned n,
                         uint64_t seq)
{
    char moving[SEQ_NAME_SIZE], slot[BACKUP_NAME_SIZE];
    bool fit = true;
    int i;

    for (i = 0; i < SIDECAR_KINDS && fit; i++) {
        seq_sidecar(moving, seq, i);
        backup_name_format(slot, name, n, sidecar_suffix((enum sidecar_kind)i));
        fit = !exists(dir->moving, moving) || !exists(slots, slot);
    }
    return fit;
}

/*
 * Is this slot free? Errors go first, then one thing more, rejects or the file: where errors stand
 * alone while ours wait no longer, they are ours, put there before a crash.
 */
static bool slot_fits(int dir_fd, const char *name, unsigned n, bool errors_wait)
{
    char data[BACKUP_NAME_SIZE], errors[BACKUP_NAME_SIZE], rejects[BACKUP_NAME_SIZE];

    backup_name_format(data, name, n, "");
    backup_name_format(errors, name, n, ".errors.csv");
    backup_name_format(rejects, name, n, ".rejects.csv");
    return !exists(dir_fd, data) && !exists(dir_fd, rejects) &&
           exists(dir_fd, errors) != errors_wait;
}

static int place(const struct datadir *dir, uint64_t seq, const char *what, int to_dir,
                 const char *name, unsigned n, const char *suffix, struct cause *cause)
{
    char from[SEQ_NAME_SIZE], to[BACKUP_NAME_SIZE];

    seq_name(from, seq, what);
    if (!exists(dir->moving, from))
        return 0;
    backup_name_format(to, name, n, suffix);
    return durable_move(dir->moving, from, to_dir, to, cause);
}

/* Sidecars go before their file: as long as that waits, they are completed. */
static int place_sidecars(const struct datadir *dir, uint64_t seq, int to_dir, const char *name,
                          unsigned n, struct cause *cause)
{
    int i, result = 0;

    for (i = 0; i < SIDECAR_KINDS && result == 0; i++) {
        const char *suffix = sidecar_suffix((enum sidecar_kind)i);

        result = place(dir, seq, suffix + 1, to_dir, name, n, suffix, cause);
    }
    return result;
}

/* 1: each sidecar that waits has an equal copy beside the name's nth slot; 0: no; -1. */
static int has_sidecars(const struct datadir *dir, uint64_t seq, int slots, const char *name,
                        unsigned n, struct cause *cause)
{
    char moving[SEQ_NAME_SIZE], slot[BACKUP_NAME_SIZE];
    struct file_id ignored;
    int i, fd, result = 1;

    for (i = 0; i < SIDECAR_KINDS && result > 0; i++) {
        seq_sidecar(moving, seq, i);
        if (beneath_open(dir->moving, moving, &fd, &ignored) != FILE_REGULAR)
            continue;
        backup_name_format(slot, name, n, sidecar_suffix((enum sidecar_kind)i));
        result = same_file(slots, slot, fd, cause);
        close(fd);
    }
    return result;
}

/* 1: the directory holds an equal copy under one of the name's slots; 0: no; -1. */
static int has_copy(const struct datadir *dir, uint64_t seq, int to_dir, const char *name,
                    struct cause *cause)
{
    char slot[BACKUP_NAME_SIZE], moving[SEQ_NAME_SIZE];
    struct file_id ignored;
    int fd, result = 0;
    unsigned n;

    seq_name(moving, seq, "csv");
    if (beneath_open(dir->moving, moving, &fd, &ignored) != FILE_REGULAR)
        return 0;
    for (n = 1; result == 0; n++) {
        backup_name_format(slot, name, n, "");
        if (!exists(to_dir, slot)) {
            backup_name_format(slot, name, n, ".errors.csv");
            if (!exists(to_dir, slot))
                break;
            continue;
        }
        result = same_file(to_dir, slot, fd, cause);
        if (result > 0)
            result = has_sidecars(dir, seq, to_dir, name, n, cause);
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
        copy = has_copy(dir, seq, slots, name, cause);
        if (copy < 0)
            return -1;
        if (copy > 0) {
            drop_sidecars(dir, seq);
            unlinkat(dir->moving, file, 0);
            placement_drop_reasons(dir, seq);
            return 0;
        }
    }
    /* Where our errors were placed, and taken away by somebody since, the first free slot will do.
     */
    while ((!slot_fits(slots, name, n, errors_wait) && !slot_fits(slots, name, n, true)) ||
           !sidecars_fit(dir, slots, name, n, seq))
        n++;
    if (place(dir, seq, "errors.csv", slots, name, n, ".errors.csv", cause) < 0 ||
        place(dir, seq, "rejects.csv", slots, name, n, ".rejects.csv", cause) < 0 ||
        place_sidecars(dir, seq, slots, name, n, cause) < 0)
        return -1;
    return place(dir, seq, "csv", slots, name, n, "", cause);
}

static int archive_into(const struct datadir *dir, int slots, const char *name, uint64_t seq,
                        struct cause *cause)
{
    char file[SEQ_NAME_SIZE], slot[BACKUP_NAME_SIZE];
    unsigned n = 1;
    int copy = has_copy(dir, seq, slots, name, cause);

    if (copy < 0)
        return -1;
    if (copy > 0) {
        drop_sidecars(dir, seq);
        seq_name(file, seq, "csv");
        unlinkat(dir->moving, file, 0);
        return 0;
    }
    for (backup_name_format(slot, name, n, "");
         exists(slots, slot) || !sidecars_fit(dir, slots, name, n, seq);
         backup_name_format(slot, name, n, ""))
        n++;
    if (place_sidecars(dir, seq, slots, name, n, cause) < 0)
        return -1;
    return place(dir, seq, "csv", slots, name, n, "", cause);
}

static int finish_in(const struct datadir *dir, int root, const char *name, uint64_t seq,
                     struct cause *cause)
{
    int slots = backup_name_open(root, name, true, cause), result;

    if (slots < 0)
        return -1;
    result = root == dir->archive ? archive_into(dir, slots, name, seq, cause)
                                  : quarantine_into(dir, slots, name, seq, cause);
    close(slots);
    return result;
}

int placement_finish(const struct datadir *dir, const char *name, uint64_t seq,
                     enum placement disposal, struct cause *cause)
{
    char file[SEQ_NAME_SIZE], errors[SEQ_NAME_SIZE], rejects[SEQ_NAME_SIZE];

    seq_name(file, seq, "csv");
    seq_name(errors, seq, "errors.csv");
    seq_name(rejects, seq, "rejects.csv");
    if (disposal == PLACE_QUARANTINE)
        return finish_in(dir, dir->quarantine, name, seq, cause);
    if (exists(dir->moving, file)) {
        if (disposal == PLACE_ARCHIVE && finish_in(dir, dir->archive, name, seq, cause) < 0)
            return -1;
        if (disposal == PLACE_DELETE) {
            drop_sidecars(dir, seq);
            if (unlinkat(dir->moving, file, 0) < 0)
                return cause_errno(cause, CAUSE_RETRY, "cannot delete %s", name);
        }
        if (disposal == PLACE_KEEP && (move_back(dir, dir->moving, file, name, cause) < 0 ||
                                       placement_return_sidecars(dir, name, seq, cause) < 0))
            return -1;
    }
    /* An accepted file's rejected rows. */
    if (exists(dir->moving, errors) || exists(dir->moving, rejects))
        return finish_in(dir, dir->quarantine, name, seq, cause);
    return 0;
}

/* 0: no slot of the name holds a file. */
static unsigned last_slot(int slots, const char *name)
{
    char slot[BACKUP_NAME_SIZE];
    unsigned n = 0;

    do
        backup_name_format(slot, name, ++n, "");
    while (exists(slots, slot));
    return n - 1;
}

int placement_follow(const struct datadir *dir, const char *name, const struct sidecars *read,
                     uint64_t seq, enum placement disposal, struct cause *cause)
{
    int slots, result = 0;
    unsigned n;

    if (placement_take_sidecars(dir, name, read, seq, cause) < 0)
        return -1;
    if (disposal == PLACE_DELETE) {
        drop_sidecars(dir, seq);
        return 0;
    }
    slots = backup_name_open(dir->archive, name, true, cause);
    if (slots < 0)
        return -1;
    n = last_slot(slots, name);
    if (n > 0 && sidecars_fit(dir, slots, name, n, seq))
        result = place_sidecars(dir, seq, slots, name, n, cause);
    else
        result = placement_return_sidecars(dir, name, seq, cause);
    close(slots);
    return result;
}

static int resolve_in(int slots, const char *name, int fd, uint64_t size, struct cause *cause)
{
    char slot[BACKUP_NAME_SIZE], companion[BACKUP_NAME_SIZE];
    struct file_id copy;
    int other, prefix, i;
    unsigned n;

    for (n = 1;; n++) {
        backup_name_format(slot, name, n, "");
        backup_name_format(companion, name, n, ".errors.csv");
        if (beneath_open(slots, slot, &other, &copy) != FILE_REGULAR) {
            if (!exists(slots, companion))
                return 0;
            continue;
        }
        prefix = copy.size <= size ? same_bytes(other, fd, copy.size, cause) : 0;
        close(other);
        if (prefix < 0)
            return -1;
        if (prefix > 0) {
            unlinkat(slots, slot, 0);
            unlinkat(slots, companion, 0);
            backup_name_format(companion, name, n, ".rejects.csv");
            unlinkat(slots, companion, 0);
            for (i = 0; i < SIDECAR_KINDS; i++) {
                backup_name_format(companion, name, n, sidecar_suffix((enum sidecar_kind)i));
                unlinkat(slots, companion, 0);
            }
            log_info("%s: the cut copy in quarantine is taken away, this is the whole file", name);
        }
    }
}

int placement_resolve(const struct datadir *dir, const char *name, int fd, uint64_t size,
                      struct cause *cause)
{
    int slots = backup_name_open(dir->quarantine, name, false, cause), result;

    if (slots < 0)
        return cause->errnum == ENOENT ? 0 : -1;
    result = resolve_in(slots, name, fd, size, cause);
    close(slots);
    return result;
}

/* ---- recovering --------------------------------------------------------------------------- */

/* Is it the file of which the line speaks? A packed file is known by what is inside, or by its own
 * bytes where it could not be unpacked. */
static int hash_matches(int dir_fd, const char *file, const struct ledger_line *line,
                        struct cause *cause)
{
    struct decompress_request order = {
        .name = file, .format = decompress_format_of(line->name), .max_bytes = line->bytes};
    struct decompress unpack = {0};
    unsigned char sha256[DIGEST_SIZE];
    struct file_id file_id;
    struct digest digest;
    char *chunk;
    ssize_t n = -1;
    int result = -1, more;

    if (beneath_open(dir_fd, file, &order.fd, &file_id) != FILE_REGULAR)
        return 0;
    order.size = file_id.size;
    chunk = malloc(CHUNK_SIZE);
    if (chunk == NULL) {
        cause_memory(cause);
        goto out;
    }
    digest_init(&digest);
    decompress_begin(&unpack, &order);
    while (!unpack.ended && (n = decompress_read(&unpack, chunk, CHUNK_SIZE, cause)) >= 0)
        digest_update(&digest, chunk, (size_t)n);
    if (n < 0)
        goto out;
    digest_final(&digest, sha256);
    result = unpack.fault == DECOMPRESS_SOUND && unpack.given == line->bytes &&
             memcmp(sha256, line->sha256, DIGEST_SIZE) == 0;
    if (result == 1 || order.format == DECOMPRESS_PLAIN)
        goto out;
    while ((more = decompress_rest(&unpack, cause)) > 0)
        ;
    decompress_own(&unpack, sha256);
    result = more < 0
                 ? -1
                 : file_id.size == line->bytes && memcmp(sha256, line->sha256, DIGEST_SIZE) == 0;
out:
    decompress_free(&unpack);
    free(chunk);
    close(order.fd);
    return result;
}

/* What a file that the ledger does not know is called when it comes back. */
static void recovered_name(char *out, size_t size, int dir_fd, const char *file, uint64_t seq)
{
    enum decompress_format format = DECOMPRESS_PLAIN;
    struct file_id ignored;
    struct cause cause;
    char first[8];
    ssize_t n;
    int fd;

    if (beneath_open(dir_fd, file, &fd, &ignored) == FILE_REGULAR) {
        n = durable_read(fd, first, sizeof first, 0, file, &cause);
        format = n > 0 ? decompress_format_seen(first, (size_t)n) : DECOMPRESS_PLAIN;
        close(fd);
    }
    snprintf(out, size, "recovered.%" PRIu64 ".csv%s", seq, decompress_suffix(format));
}

static int recover_one(const struct datadir *dir, const struct ledger *ledger,
                       const struct config *config, uint64_t seq, struct cause *cause)
{
    struct ledger_line line;
    enum placement disposal;
    char file[SEQ_NAME_SIZE], name[SEQ_NAME_SIZE + 16];
    int post_commit = ledger_by_seq(ledger, seq, &line, cause), same;

    if (post_commit < 0)
        return -1;
    seq_name(file, seq, "csv");
    if (post_commit == 0) {
        placement_drop_reasons(dir, seq);
        recovered_name(name, sizeof name, dir->moving, file, seq);
        if (!exists(dir->moving, file))
            return placement_return_sidecars(dir, name, seq, cause);
        /* Of another ledger than this one: a new arrival, whatever its name was. */
        log_notice("state/moving/%s is of no verdict in the ledger: it is dropped again as %s",
                   file, name);
        return move_back(dir, dir->moving, file, name, cause) < 0
                   ? -1
                   : placement_return_sidecars(dir, name, seq, cause);
    }
    disposal =
        line.verdict == VERDICT_QUARANTINED ? PLACE_QUARANTINE : placement_of_accepted(config);
    if (exists(dir->moving, file)) {
        same = hash_matches(dir->moving, file, &line, cause);
        if (same < 0)
            return -1;
        if (same == 0)
            return move_back(dir, dir->moving, file, line.name, cause) < 0
                       ? -1
                       : placement_return_sidecars(dir, line.name, seq, cause);
    } else {
        /* Sidecars alone are of a file that did not follow, or is back already. */
        if (placement_return_sidecars(dir, line.name, seq, cause) < 0)
            return -1;
        if (disposal == PLACE_QUARANTINE) {
            /* Still dropped: the next look judges it once more, writes these again and takes it. Or
             * its owner has taken it away meanwhile. */
            placement_drop_reasons(dir, seq);
            return 0;
        }
    }
    return placement_finish(dir, line.name, seq, disposal, cause);
}

/* Goes through state/moving/: what was hidden first, since it comes back from there. */
static int recover_all(const struct datadir *dir, const struct ledger *ledger,
                       const struct config *config, bool hidden, struct cause *cause)
{
    int fd = openat(dir->moving, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), result = 0;
    DIR *list = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry;
    const char *name;
    uint64_t seq;
    size_t len;

    if (list == NULL) {
        cause_errno(cause, CAUSE_RETRY, "cannot list state/moving");
        if (fd >= 0)
            close(fd);
        return -1;
    }
    while (result == 0 && (entry = readdir(list)) != NULL) {
        name = entry->d_name;
        len = strcspn(name, ".");
        if (escape_number(name, len, UINT64_MAX, &seq)) {
            if (hidden && strcmp(name + len, ".hidden") == 0)
                result = move_out_recover(dir, name, cause);
            else if (!hidden && strcmp(name + len, ".hidden") != 0)
                result = recover_one(dir, ledger, config, seq, cause);
        } else if (len == 0 && strcmp(name, ".") != 0 && strcmp(name, "..") != 0) {
            unlinkat(dir->moving, name, 0); /* a temporary file of durable_replace */
        }
    }
    closedir(list);
    return result;
}

int placement_recover(const struct datadir *dir, const struct ledger *ledger,
                      const struct config *config, struct cause *cause)
{
    return recover_all(dir, ledger, config, true, cause) < 0
               ? -1
               : recover_all(dir, ledger, config, false, cause);
}

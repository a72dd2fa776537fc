/*
 * First, files that move_out hid beside themselves return to their names (SEQ.hidden). Then, for
 * each number SEQ of a ledger line in state/moving/:
 *
 *     line of SEQ   SEQ.csv                file and sidecars           reasons
 *     none          -                      dropped again as            deleted
 *                                          recovered.SEQ.csv
 *     quarantined   the content judged     to quarantine/              to quarantine/
 *     quarantined   missing, or another    back to their names         deleted
 *     accepted      the content judged     as the configuration says   to quarantine/
 *     accepted      missing, or another    back to their names         to quarantine/
 *
 * A quarantined file that has returned, or never left, is judged again, and its reasons are written
 * again. The reasons of an accepted file are those of its rejected rows: the line has booked them.
 */
#include "ingest/placement_recovery.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/escape.h"
#include "base/log.h"
#include "csv/decompress.h"
#include "fs/beneath.h"
#include "fs/durable.h"
#include "ingest/move_out.h"
#include "ingest/placement.h"

#define READ_SIZE (256 * 1024)

/* ---- comparing with the ledger line ------------------------------------------------------- */

/* Return 1 if the hash of what is inside the file is that of the line, 0 if not, -1. */
static int inside_matches(struct decompress *decompress, const struct ledger_line *line,
                          struct cause *cause)
{
    char *chunk = malloc(READ_SIZE);
    unsigned char sha256[DIGEST_SIZE];
    struct digest digest;
    ssize_t n = 0;

    if (chunk == NULL)
        return cause_memory(cause);
    digest_init(&digest);
    while (!decompress->ended && (n = decompress_read(decompress, chunk, READ_SIZE, cause)) >= 0)
        digest_update(&digest, chunk, (size_t)n);
    free(chunk);
    if (n < 0)
        return -1;
    digest_final(&digest, sha256);
    return decompress->fault == DECOMPRESS_SOUND && decompress->given == line->bytes &&
           memcmp(sha256, line->sha256, DIGEST_SIZE) == 0;
}

/* Do the same with the hash of a compressed file's own bytes. */
static int outside_matches(struct decompress *decompress, const struct ledger_line *line,
                           struct cause *cause)
{
    unsigned char sha256[DIGEST_SIZE];
    int more;

    while ((more = decompress_rest(decompress, cause)) > 0)
        ;
    if (more < 0)
        return -1;
    decompress_own(decompress, sha256);
    return memcmp(sha256, line->sha256, DIGEST_SIZE) == 0;
}

/* Return 1 if the file is the content of the line, 0 if not, -1. The line has the hash of what is
 * inside a compressed file, or of its own bytes if it could not be decompressed. */
static int is_content_of(const struct ledger_line *line, int dir_fd, const char *file,
                         struct cause *cause)
{
    struct decompress_request request = {
        .name = file, .format = decompress_format_of(line->name), .max_bytes = line->bytes};
    struct decompress decompress = {0};
    struct file_id file_id;
    int result;

    if (beneath_open(dir_fd, file, &request.fd, &file_id) != FILE_REGULAR)
        return 0;
    request.size = file_id.size;
    decompress_begin(&decompress, &request);
    result = inside_matches(&decompress, line, cause);
    if (result == 0 && request.format != DECOMPRESS_PLAIN && file_id.size == line->bytes)
        result = outside_matches(&decompress, line, cause);
    decompress_free(&decompress);
    close(request.fd);
    return result;
}

/* ---- one number --------------------------------------------------------------------------- */

/* Write recovered.SEQ.csv, with the suffix of what the file's first bytes are. */
static void name_recovered(char *out, size_t size, int dir_fd, uint64_t seq)
{
    enum decompress_format format = DECOMPRESS_PLAIN;
    char file[MOVING_NAME_SIZE], first[8];
    struct file_id ignored;
    struct cause cause;
    ssize_t n;
    int fd;

    moving_name(file, seq, MOVING_FILE);
    if (beneath_open(dir_fd, file, &fd, &ignored) == FILE_REGULAR) {
        n = durable_read(fd, first, sizeof first, 0, file, &cause);
        format = n > 0 ? decompress_format_seen(first, (size_t)n) : DECOMPRESS_PLAIN;
        close(fd);
    }
    snprintf(out, size, "recovered.%" PRIu64 ".csv%s", seq, decompress_suffix(format));
}

/* Move the file and its sidecars, as far as they are in state/moving/, back to this name. */
static int return_files(const struct datadir *dir, const char *name, uint64_t seq, bool file_there,
                        struct cause *cause)
{
    char file[MOVING_NAME_SIZE];

    moving_name(file, seq, MOVING_FILE);
    if (file_there && move_back(dir, dir->moving, file, name, cause) < 0)
        return -1;
    return placement_return_sidecars(dir, name, seq, cause);
}

/* No line has this number: the files are from before the ledger was replaced, or their line was
 * not committed. */
static int drop_again(const struct datadir *dir, uint64_t seq, bool file_there, struct cause *cause)
{
    char name[2 * MOVING_NAME_SIZE];

    placement_drop_reasons(dir, seq);
    name_recovered(name, sizeof name, dir->moving, seq);
    if (file_there)
        log_notice("state/moving/%" PRIu64 ".csv is of no verdict in the ledger: it is dropped "
                   "again as %s",
                   seq, name);
    return return_files(dir, name, seq, file_there, cause);
}

static int recover_one(const struct datadir *dir, const struct ledger *ledger,
                       const struct config *config, uint64_t seq, struct cause *cause)
{
    enum placement placement;
    char file[MOVING_NAME_SIZE];
    bool there[MOVING_FILES];
    struct ledger_line line;
    int booked = ledger_by_seq(ledger, seq, &line, cause), same = 0;

    if (booked < 0 || moving_look(dir, seq, there, cause) < 0)
        return -1;
    if (booked == 0)
        return drop_again(dir, seq, there[MOVING_FILE], cause);
    moving_name(file, seq, MOVING_FILE);
    if (there[MOVING_FILE])
        same = is_content_of(&line, dir->moving, file, cause);
    if (same < 0)
        return -1;
    if (same == 0 && return_files(dir, line.name, seq, there[MOVING_FILE], cause) < 0)
        return -1;
    if (same == 0 && line.verdict == VERDICT_QUARANTINED) {
        placement_drop_reasons(dir, seq);
        return 0;
    }
    placement =
        line.verdict == VERDICT_QUARANTINED ? PLACE_QUARANTINE : placement_of_accepted(config);
    return placement_finish(dir, line.name, seq, placement, cause);
}

/* ---- all of state/moving/ ----------------------------------------------------------------- */

/* The kinds of names in state/moving/. */
enum moving_entry { ENTRY_OTHER, ENTRY_TEMPORARY, ENTRY_MARKER, ENTRY_FILE };

static enum moving_entry entry_of(const char *name, uint64_t *ret_seq)
{
    const size_t len = strcspn(name, ".");

    if (escape_number(name, len, UINT64_MAX, ret_seq))
        return strcmp(name + len, MOVE_OUT_MARKER) == 0 ? ENTRY_MARKER : ENTRY_FILE;
    return len == 0 && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 ? ENTRY_TEMPORARY
                                                                         : ENTRY_OTHER;
}

/* Complete or undo what the names of this kind stand for, and delete temporary files. */
static int recover_entries(const struct datadir *dir, const struct ledger *ledger,
                           const struct config *config, enum moving_entry wanted,
                           struct cause *cause)
{
    int fd = openat(dir->moving, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), result = 0;
    DIR *list = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry;
    enum moving_entry found;
    uint64_t seq;

    if (list == NULL) {
        cause_errno(cause, CAUSE_RETRY, "cannot list state/moving");
        if (fd >= 0)
            close(fd);
        return -1;
    }
    while (result == 0 && (entry = readdir(list)) != NULL) {
        found = entry_of(entry->d_name, &seq);
        if (found == ENTRY_TEMPORARY)
            unlinkat(dir->moving, entry->d_name, 0); /* a leftover of durable_replace */
        else if (found == wanted)
            result = found == ENTRY_MARKER ? move_out_recover(dir, entry->d_name, cause)
                                           : recover_one(dir, ledger, config, seq, cause);
    }
    closedir(list);
    return result;
}

int placement_recover(const struct datadir *dir, const struct ledger *ledger,
                      const struct config *config, struct cause *cause)
{
    if (recover_entries(dir, ledger, config, ENTRY_MARKER, cause) < 0)
        return -1;
    return recover_entries(dir, ledger, config, ENTRY_FILE, cause);
}

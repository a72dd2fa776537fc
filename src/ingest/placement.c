#include "ingest/placement.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "fs/backup_name.h"
#include "fs/beneath.h"
#include "ingest/move_out.h"

/* The suffixes behind NAME at its place. In state/moving/ they are the same, but for SEQ.csv. */
static const char *const moving_suffixes[MOVING_FILES] = {
    [MOVING_ERRORS] = ".errors.csv",
    [MOVING_REJECTS] = ".rejects.csv",
    [MOVING_SHA256] = ".sha256",
    [MOVING_DONE] = ".done",
    [MOVING_FILE] = "",
};

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

/* ---- state/moving/ ------------------------------------------------------------------------ */

void moving_name(char out[MOVING_NAME_SIZE], uint64_t seq, enum moving_file which)
{
    snprintf(out, MOVING_NAME_SIZE, "%" PRIu64 "%s", seq,
             which == MOVING_FILE ? ".csv" : moving_suffixes[which]);
}

static enum moving_file moving_sidecar(int kind)
{
    return kind == SIDECAR_SHA256 ? MOVING_SHA256 : MOVING_DONE;
}

/* Find out whether the directory has such a name. */
static int look_up(int dir_fd, const char *name, bool *ret_there, struct cause *cause)
{
    struct stat st;

    *ret_there = fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
    if (!*ret_there && errno != ENOENT)
        return cause_errno(cause, CAUSE_RETRY, "cannot find out whether there is a file %s", name);
    return 0;
}

int moving_look(const struct datadir *dir, uint64_t seq, bool ret_there[MOVING_FILES],
                struct cause *cause)
{
    char name[MOVING_NAME_SIZE];
    int i, result = 0;

    for (i = 0; i < MOVING_FILES && result == 0; i++) {
        moving_name(name, seq, (enum moving_file)i);
        result = look_up(dir->moving, name, &ret_there[i], cause);
    }
    return result;
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
    char name[MOVING_NAME_SIZE];
    int result = 0;

    if (rejected != NULL && rejected->length > 0) {
        moving_name(name, seq, MOVING_REJECTS);
        result = rejected->fd >= 0
                     ? durable_copy(rejected->fd, 0, rejected->length, dir->moving, name, cause)
                     : write_reason(dir, name, &rejected->memory, group, cause);
        if (result < 0)
            return -1;
    }
    moving_name(name, seq, MOVING_ERRORS);
    violations_write_csv(violations, &out);
    result =
        buffer_failed(&out) ? cause_memory(cause) : write_reason(dir, name, &out, group, cause);
    buffer_free(&out);
    return result;
}

void placement_drop_reasons(const struct datadir *dir, uint64_t seq)
{
    char name[MOVING_NAME_SIZE];

    moving_name(name, seq, MOVING_ERRORS);
    unlinkat(dir->moving, name, 0);
    moving_name(name, seq, MOVING_REJECTS);
    unlinkat(dir->moving, name, 0);
}

/* ---- out of the drop directory ------------------------------------------------------------ */

static int take(const struct datadir *dir, const char *name, const struct file_id *read,
                uint64_t seq, enum moving_file which, struct cause *cause)
{
    char moving[MOVING_NAME_SIZE], marker[MOVING_NAME_SIZE];

    moving_name(moving, seq, which);
    snprintf(marker, sizeof marker, "%" PRIu64 MOVE_OUT_MARKER, seq);
    return move_out(dir, name, read, moving, marker, cause);
}

int placement_take(const struct datadir *dir, const char *name, const struct file_id *read,
                   uint64_t seq, struct cause *cause)
{
    return take(dir, name, read, seq, MOVING_FILE, cause);
}

int placement_take_sidecars(const struct datadir *dir, const char *name,
                            const struct sidecars *read, uint64_t seq, struct cause *cause)
{
    struct buffer path = {0};
    struct file_id now;
    int i, result = 0;

    for (i = 0; i < SIDECAR_KINDS && result == 0; i++) {
        if (!read->each[i].there)
            continue;
        buffer_clear(&path);
        buffer_printf(&path, "%s%s", name, sidecar_suffix((enum sidecar_kind)i));
        result = buffer_failed(&path) ? cause_memory(cause)
                                      : take(dir, buffer_text(&path), &read->each[i].file_id, seq,
                                             moving_sidecar(i), cause);
        /* A sidecar that is gone has nothing to move; one that changed or is open must not be left. */
        if (result < 0 && cause->kind == CAUSE_CHANGED &&
            beneath_stat(dir->drop, buffer_text(&path), &now) == FILE_GONE)
            result = 0;
    }
    buffer_free(&path);
    return result;
}

int placement_return_sidecars(const struct datadir *dir, const char *name, uint64_t seq,
                              struct cause *cause)
{
    char moving[MOVING_NAME_SIZE];
    struct buffer path = {0};
    bool there;
    int i, result = 0;

    for (i = 0; i < SIDECAR_KINDS && result == 0; i++) {
        moving_name(moving, seq, moving_sidecar(i));
        result = look_up(dir->moving, moving, &there, cause);
        if (result < 0 || !there)
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

/* ---- to their places ---------------------------------------------------------------------- */

/* The files under one SEQ on the way to their places. The nth place of NAME is NAME.~n~, with the
 * companions' suffixes behind it. */
struct placing {
    const struct datadir *dir;
    const char *name;
    uint64_t seq;
    bool there[MOVING_FILES]; /* still in state/moving/ */
    int places;               /* the directory of NAME below quarantine/ or archive/ */
    struct cause *cause;
    bool failed; /* the cause says why */
};

/* Return true if something has the name of this file's nth place, or, with placing->failed, if that
 * cannot be found out. */
static bool is_taken(struct placing *placing, enum moving_file which, unsigned n)
{
    char place[BACKUP_NAME_SIZE];
    bool there;

    backup_name_format(place, placing->name, n, moving_suffixes[which]);
    if (look_up(placing->places, place, &there, placing->cause) == 0)
        return there;
    placing->failed = true;
    return true;
}

/* Return 1 if the nth place holds a regular file equal to ours in state/moving/, 0 if not, -1 if it
 * cannot be read. */
static int is_equal(const struct placing *placing, enum moving_file which, unsigned n)
{
    char moving[MOVING_NAME_SIZE], place[BACKUP_NAME_SIZE];
    struct file_id left, right;
    int ours, other, result = 0;

    moving_name(moving, placing->seq, which);
    backup_name_format(place, placing->name, n, moving_suffixes[which]);
    if (beneath_open(placing->places, place, &other, &left) != FILE_REGULAR)
        return 0;
    if (beneath_open(placing->dir->moving, moving, &ours, &right) == FILE_REGULAR) {
        if (left.size == right.size)
            result = same_prefix(other, ours, left.size, placing->cause);
        close(ours);
    }
    close(other);
    return result;
}

/* Return 1 if one of the places holds a copy of the file and of its sidecars, 0 if not, -1. */
static int has_copy(struct placing *placing)
{
    int i, equal;
    unsigned n;

    for (n = 1; !placing->failed; n++) {
        if (!is_taken(placing, MOVING_FILE, n)) {
            if (!is_taken(placing, MOVING_ERRORS, n))
                return 0;
            continue;
        }
        for (i = MOVING_SHA256, equal = 1; i < MOVING_FILES && equal > 0; i++)
            if (placing->there[i])
                equal = is_equal(placing, (enum moving_file)i, n);
        if (equal != 0)
            return equal;
    }
    return -1;
}

/* Return true if the nth place is free for everything from `first` on. Errors that stand there
 * alone are ours, placed before a crash, if ours are not in state/moving/ any more. */
static bool is_free(struct placing *placing, enum moving_file first, unsigned n)
{
    int i;

    if (is_taken(placing, MOVING_FILE, n) ||
        (first == MOVING_ERRORS && is_taken(placing, MOVING_REJECTS, n)))
        return false;
    for (i = (int)first; i < MOVING_FILE; i++)
        if (placing->there[i] && is_taken(placing, (enum moving_file)i, n))
            return false;
    return true;
}

static int move_to_place(struct placing *placing, enum moving_file which, unsigned n)
{
    char moving[MOVING_NAME_SIZE], place[BACKUP_NAME_SIZE];

    if (!placing->there[which])
        return 0;
    moving_name(moving, placing->seq, which);
    backup_name_format(place, placing->name, n, moving_suffixes[which]);
    placing->there[which] = false;
    return durable_move(placing->dir->moving, moving, placing->places, place, placing->cause);
}

static int delete_moving(struct placing *placing, enum moving_file which)
{
    char moving[MOVING_NAME_SIZE];

    if (!placing->there[which])
        return 0;
    moving_name(moving, placing->seq, which);
    placing->there[which] = false;
    return unlinkat(placing->dir->moving, moving, 0) == 0
               ? 0
               : cause_errno(placing->cause, CAUSE_RETRY, "cannot delete %s", placing->name);
}

/* Move everything from `first` on to the first free place, or delete it if there is a copy. */
static int place_from(struct placing *placing, enum moving_file first)
{
    const int copy = placing->there[MOVING_FILE] ? has_copy(placing) : 0;
    unsigned n = 1;
    int i, result = copy < 0 ? -1 : 0;

    while (copy == 0 && !is_free(placing, first, n)) {
        if (placing->failed)
            return -1;
        n++;
    }
    for (i = (int)first; i < MOVING_FILES && result == 0; i++)
        result = copy > 0 ? delete_moving(placing, (enum moving_file)i)
                          : move_to_place(placing, (enum moving_file)i, n);
    return result;
}

/* Place everything from `first` on below quarantine/ or archive/. */
static int place_below(struct placing *placing, int root, enum moving_file first)
{
    int result;

    placing->places = backup_name_open(root, placing->name, true, placing->cause);
    if (placing->places < 0)
        return -1;
    result = place_from(placing, first);
    close(placing->places);
    return result;
}

static int delete_file(struct placing *placing)
{
    int i, result = 0;

    for (i = MOVING_SHA256; i < MOVING_FILES && result == 0; i++)
        result = delete_moving(placing, (enum moving_file)i);
    return result;
}

static int return_file(struct placing *placing)
{
    char moving[MOVING_NAME_SIZE];

    moving_name(moving, placing->seq, MOVING_FILE);
    placing->there[MOVING_FILE] = placing->there[MOVING_SHA256] = placing->there[MOVING_DONE] =
        false;
    if (move_back(placing->dir, placing->dir->moving, moving, placing->name, placing->cause) < 0)
        return -1;
    return placement_return_sidecars(placing->dir, placing->name, placing->seq, placing->cause);
}

/* Place an accepted file with its sidecars. */
static int place_accepted(struct placing *placing, enum placement placement)
{
    if (placement == PLACE_ARCHIVE)
        return place_below(placing, placing->dir->archive, MOVING_SHA256);
    return placement == PLACE_DELETE ? delete_file(placing) : return_file(placing);
}

int placement_finish(const struct datadir *dir, const char *name, uint64_t seq,
                     enum placement placement, struct cause *cause)
{
    struct placing placing = {.dir = dir, .name = name, .seq = seq, .cause = cause};

    if (moving_look(dir, seq, placing.there, cause) < 0)
        return -1;
    if (placement != PLACE_QUARANTINE && placing.there[MOVING_FILE] &&
        place_accepted(&placing, placement) < 0)
        return -1;
    if (placement != PLACE_QUARANTINE && !placing.there[MOVING_ERRORS] &&
        !placing.there[MOVING_REJECTS])
        return 0;
    return place_below(&placing, dir->quarantine, MOVING_ERRORS);
}

/* ---- superseded copies -------------------------------------------------------------------- */

/* Return 1 if the file at the nth place is a prefix of the first `size` bytes of `fd`, 0, or -1. */
static int is_superseded(const struct placing *placing, unsigned n, int fd, uint64_t size)
{
    char place[BACKUP_NAME_SIZE];
    struct file_id copy;
    int other, result;

    backup_name_format(place, placing->name, n, "");
    if (beneath_open(placing->places, place, &other, &copy) != FILE_REGULAR)
        return 0;
    result = copy.size <= size ? same_prefix(other, fd, copy.size, placing->cause) : 0;
    close(other);
    return result;
}

/* Empty the nth place. The file goes first, so that none is left without its reasons. */
static void clear_place(const struct placing *placing, unsigned n)
{
    char place[BACKUP_NAME_SIZE];
    int i;

    for (i = MOVING_FILES - 1; i >= 0; i--) {
        backup_name_format(place, placing->name, n, moving_suffixes[i]);
        unlinkat(placing->places, place, 0);
    }
    log_info("%s: the cut copy in quarantine is taken away, this is the whole file", placing->name);
}

static int resolve_places(struct placing *placing, int fd, uint64_t size)
{
    unsigned n;
    int superseded;

    for (n = 1; !placing->failed; n++) {
        if (!is_taken(placing, MOVING_FILE, n)) {
            if (!is_taken(placing, MOVING_ERRORS, n))
                return 0;
            continue;
        }
        superseded = is_superseded(placing, n, fd, size);
        if (superseded < 0)
            return -1;
        if (superseded > 0)
            clear_place(placing, n);
    }
    return -1;
}

int placement_resolve(const struct datadir *dir, const char *name, int fd, uint64_t size,
                      struct cause *cause)
{
    struct placing placing = {.dir = dir, .name = name, .cause = cause};
    int result;

    placing.places = backup_name_open(dir->quarantine, name, false, cause);
    if (placing.places < 0)
        return cause->errnum == ENOENT ? 0 : -1;
    result = resolve_places(&placing, fd, size);
    close(placing.places);
    return result;
}

#include "drop/pending.h"

#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/vector.h"

static const char *const reason_names[PENDING_REASONS] = {
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
    [PENDING_ACCEPTED] = "accepted",
    [PENDING_RACY] = "racy",
};

const char *pending_reason_name(enum pending_reason reason)
{
    return reason_names[reason];
}

/* ---- the list ---- */

static void free_entry(struct pending_file *file)
{
    free(file->name);
    free(file->detail);
}

void pending_free(struct pending *pending)
{
    size_t i;

    for (i = 0; i < pending->count; i++)
        free_entry(&pending->files[i]);
    free(pending->files);
    hash_index_free(&pending->index);
    *pending = (struct pending){0};
}

static struct hash_index_slot *find_entry_slot(const struct pending *pending, const char *name)
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
    struct hash_index_slot *slot = find_entry_slot(pending, name);

    return slot == NULL ? NULL : &pending->files[slot->value - 1];
}

static void set_reason(struct pending *pending, struct pending_file *file,
                       enum pending_reason reason)
{
    if (file->reason == PENDING_RACY)
        pending->racy_count--;
    if (reason == PENDING_RACY)
        pending->racy_count++;
    file->reason = reason;
}

/* Make the entry what it is for a file that has just been found. */
static void reset_entry(struct pending *pending, struct pending_file *file)
{
    set_reason(pending, file, PENDING_NEW);
    free(file->detail);
    *file = (struct pending_file){.name = file->name,
                                  .counted = file->counted,
                                  .due = CLOCK_NEVER,
                                  .arrival_no = pending->next_arrival_no++,
                                  .first_seen = clock_real(),
                                  .unchanged_since = clock_monotonic()};
    file->last_checked = file->unchanged_since;
    pending->changed = true;
}

struct pending_file *pending_add(struct pending *pending, const char *name)
{
    struct pending_file *file = pending_find(pending, name);

    if (file != NULL)
        return file;
    if (vector_grow(&pending->files, sizeof *pending->files, pending->count, &pending->cap) < 0)
        return NULL;
    file = &pending->files[pending->count];
    *file = (struct pending_file){.name = strdup(name)};
    if (file->name == NULL ||
        hash_index_put(&pending->index, digest_key(name, strlen(name)), pending->count + 1) < 0) {
        free(file->name);
        return NULL;
    }
    pending->count++;
    reset_entry(pending, file);
    return file;
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
        hash_index_remove(&pending->index, find_entry_slot(pending, file->name));
        free_entry(file);
        pending->racy_count -= file->reason == PENDING_RACY;
        pending->changed |= file->reason != PENDING_RACY;
        last = &pending->files[--pending->count];
        if (last != file) {
            *file = *last;
            find_entry_slot(pending, file->name)->value = (uint32_t)(i + 1);
        }
    }
}

/* ---- when a file is due ---- */

void pending_wake(struct pending_file *file, int64_t when)
{
    if (when < file->due || file->done)
        file->due = when;
    file->done = false;
}

struct pending_file *pending_arrive(struct pending *pending, const char *name, bool writer_closed,
                                    int64_t when)
{
    struct pending_file *file = pending_add(pending, name);

    if (file == NULL)
        return NULL;
    if (file->reason == PENDING_RACY)
        reset_entry(pending, file);
    file->writer_closed |= writer_closed;
    pending_wake(file, when);
    return file;
}

void pending_wake_new(struct pending *pending, int64_t now)
{
    size_t i;

    for (i = 0; i < pending->count; i++)
        if (pending->files[i].reason == PENDING_NEW)
            pending_wake(&pending->files[i], now);
}

uint64_t pending_signature(const struct pending_file *file)
{
    return file->has_file_id ? file_id_hash(&file->file_id, 0) ^ file->sidecar_hash
                             : file->restored_hash;
}

void pending_observe(struct pending_file *file, const struct file_id *file_id,
                     uint64_t sidecar_hash, int64_t now)
{
    bool same = file->has_file_id
                    ? file_id_equal(&file->file_id, file_id) && file->sidecar_hash == sidecar_hash
                    : file->restored_hash != 0 &&
                          file->restored_hash == (file_id_hash(file_id, 0) ^ sidecar_hash);

    file->file_id = *file_id;
    file->sidecar_hash = sidecar_hash;
    file->has_file_id = true;
    if (same)
        return;
    file->unchanged_since = now;
    file->restored_hash = 0;
}

void pending_checked(struct pending_file *file, int64_t now)
{
    file->last_checked = now;
}

bool pending_requeue(struct pending *pending, struct pending_file *file, int64_t when,
                     enum pending_reason reason, const char *detail)
{
    bool other = file->reason != reason;

    file->due = when;
    set_reason(pending, file, reason);
    if (detail == NULL ? file->detail != NULL
                       : file->detail == NULL || strcmp(file->detail, detail) != 0) {
        free(file->detail);
        file->detail = detail == NULL ? NULL : strdup(detail);
        pending->changed = true;
    }
    pending->changed |= other;
    return other;
}

void pending_hold(struct pending_file *file, bool behind_large, int64_t now)
{
    file->due = CLOCK_NEVER;
    file->last_checked = now;
    file->queued_behind_large = behind_large;
}

void pending_release_queued(struct pending *pending, int64_t now)
{
    size_t i;

    for (i = 0; i < pending->count; i++) {
        if (pending->files[i].queued_behind_large)
            pending_wake(&pending->files[i], now);
        pending->files[i].queued_behind_large = false;
    }
}

struct pending_file *pending_recheck(struct pending *pending, const char *name, int64_t when,
                                     uint64_t ledger_at)
{
    struct pending_file *file = pending_find(pending, name);
    const bool changed = pending->changed;

    if (file != NULL && !file->done && file->reason != PENDING_RACY)
        return file; /* to be checked anyway */
    if (pending->racy_count >= PENDING_RACY_MOST)
        return NULL;
    if (file == NULL) {
        file = pending_add(pending, name);
        pending->changed = changed; /* racy files are not saved */
    } else {
        reset_entry(pending, file);
    }
    if (file == NULL)
        return NULL;
    set_reason(pending, file, PENDING_RACY);
    file->due = when;
    file->ledger_at = ledger_at;
    return file;
}

void pending_done(struct pending_file *file)
{
    file->done = true;
}

void pending_rollback(struct pending *pending, int64_t batch_start)
{
    size_t i;

    for (i = 0; i < pending->count; i++) {
        struct pending_file *file = &pending->files[i];

        if (!file->done && file->last_checked < batch_start)
            continue;
        file->done = false;
        file->due = batch_start;
    }
}

int64_t pending_due(const struct pending *pending)
{
    int64_t due = CLOCK_NEVER;
    size_t i;

    for (i = 0; i < pending->count; i++)
        if (!pending->files[i].done && pending->files[i].due < due)
            due = pending->files[i].due;
    return due;
}

/* Order racy files after all others. */
static int compare_arrival(const void *left, const void *right)
{
    const struct pending_file *l = *(struct pending_file *const *)left;
    const struct pending_file *r = *(struct pending_file *const *)right;
    const bool l_racy = l->reason == PENDING_RACY, r_racy = r->reason == PENDING_RACY;

    if (l_racy != r_racy)
        return l_racy ? 1 : -1;
    return l->arrival_no < r->arrival_no ? -1 : l->arrival_no > r->arrival_no;
}

struct pending_file **pending_list_due(const struct pending *pending, int64_t now,
                                       size_t *ret_count)
{
    struct pending_file **due = calloc(pending->count + 1, sizeof(struct pending_file *));
    size_t i, count = 0, racy = 0;

    if (due == NULL)
        return NULL;
    for (i = 0; i < pending->count; i++) {
        if (pending->files[i].done || pending->files[i].due > now)
            continue;
        due[count++] = &pending->files[i];
        racy += pending->files[i].reason == PENDING_RACY;
    }
    qsort(due, count, sizeof(struct pending_file *), compare_arrival);
    *ret_count = racy > PENDING_RACY_BATCH ? count - racy + PENDING_RACY_BATCH : count;
    return due;
}

/* ---- for programs ---- */

static bool waits_for_verdict(const struct pending_file *file)
{
    return file->reason != PENDING_ACCEPTED && file->reason != PENDING_RACY;
}

size_t pending_waiting_count(const struct pending *pending)
{
    size_t i, count = 0;

    for (i = 0; i < pending->count; i++)
        count += waits_for_verdict(&pending->files[i]);
    return count;
}

bool pending_all_checked(const struct pending *pending, int64_t now)
{
    size_t i;

    for (i = 0; i < pending->count; i++)
        if (!pending->files[i].has_file_id && pending->files[i].due <= now)
            return false;
    return true;
}

bool pending_has_reason(const struct pending *pending, enum pending_reason reason)
{
    size_t i;

    for (i = 0; i < pending->count; i++)
        if (pending->files[i].reason == reason)
            return true;
    return false;
}

bool pending_next_waiting(const struct pending *pending, size_t *cursor, struct pending_view *ret)
{
    const struct pending_file *file;

    while (*cursor < pending->count) {
        file = &pending->files[(*cursor)++];
        if (!waits_for_verdict(file))
            continue;
        *ret = (struct pending_view){file->name, file->reason,
                                     file->detail == NULL ? "" : file->detail};
        return true;
    }
    return false;
}

int pending_note_present(struct pending *pending, const char *name, enum pending_reason if_new)
{
    struct pending_file *file = pending_find(pending, name);

    if (file == NULL) {
        file = pending_add(pending, name);
        if (file == NULL)
            return -1;
        set_reason(pending, file, if_new);
    }
    file->counted = true;
    return 0;
}

void pending_keep_present(struct pending *pending)
{
    size_t i;

    for (i = 0; i < pending->count; i++)
        pending->files[i].done = !pending->files[i].counted;
    pending_sweep(pending);
}

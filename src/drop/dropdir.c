#include "drop/dropdir.h"

#include <stdlib.h>
#include <string.h>

#include "fs/csv_name.h"
#include "base/vector.h"
#include "drop/drop_scan.h"
#include "drop/pending_file.h"
#include "drop/sidecar.h"

#define RACY_BYTES (UINT64_C(1) << 20) /* larger files are not read again before the next scan */

int dropdir_open(struct dropdir *drop, const struct config *config, const struct ledger *ledger,
                 int state_fd, struct cause *cause)
{
    size_t i;

    *drop = (struct dropdir){.config = config, .ledger = ledger, .changed = true};
    if (file_cache_open(&drop->file_cache, state_fd, cause) < 0 ||
        pending_load(&drop->pending, state_fd, cause) < 0)
        return -1;
    /* An earlier run may have been recursive. */
    for (i = 0; i < drop->pending.count && !config->recursive; i++)
        if (strchr(drop->pending.files[i].name, '/') != NULL)
            pending_done(&drop->pending.files[i]);
    pending_sweep(&drop->pending);
    return 0;
}

void dropdir_close(struct dropdir *drop)
{
    file_cache_close(&drop->file_cache);
    pending_free(&drop->pending);
}

void dropdir_notify(const struct dropdir *drop, enum ingest_event event, const char *name,
                    uint64_t rows, const char *detail)
{
    const struct ingest_notice notice = {event, name, rows, detail == NULL ? "" : detail};

    if (drop->notify != NULL)
        drop->notify(drop->notify_context, &notice);
}

bool dropdir_counts(const struct dropdir *drop, const char *name, const struct pending_file *file)
{
    return file_cache_has(&drop->file_cache, name) || (file != NULL && file->counted);
}

void dropdir_count_in(struct dropdir *drop, struct pending_file *file)
{
    if (dropdir_counts(drop, file->name, file))
        return;
    file->counted = true;
    drop->files++;
    drop->rows += ledger_rows_of(drop->ledger, file->name);
    drop->changed = true;
}

void dropdir_count_out(struct dropdir *drop, const char *name)
{
    struct pending_file *file = pending_find(&drop->pending, name);

    if (!dropdir_counts(drop, name, file))
        return;
    if (file != NULL)
        file->counted = false;
    file_cache_mark_gone(&drop->file_cache, name);
    drop->files--;
    drop->rows -= ledger_rows_of(drop->ledger, name);
    drop->changed = true;
}

static int arrive(struct dropdir *drop, const char *name, bool writer_closed, int64_t due,
                  struct cause *cause)
{
    return pending_arrive(&drop->pending, name, writer_closed, due) == NULL ? cause_memory(cause)
                                                                            : 0;
}

int dropdir_arrive(struct dropdir *drop, const char *name, bool writer_closed, int64_t due,
                   struct cause *cause)
{
    const size_t sidecar_of = sidecar_target_length(name);
    char *target;
    int result;

    if (!drop->config->recursive && strchr(name, '/') != NULL)
        return 0;
    if (csv_name_is_accepted(name))
        return arrive(drop, name, writer_closed, due, cause);
    if (sidecar_of == 0)
        return 0;
    drop->sidecars = true;
    target = strndup(name, sidecar_of);
    result = target == NULL ? cause_memory(cause) : arrive(drop, target, false, due, cause);
    free(target);
    return result;
}

void dropdir_gone(struct dropdir *drop, const char *name)
{
    const size_t sidecar_of = sidecar_target_length(name);
    char *target = sidecar_of > 0 ? strndup(name, sidecar_of) : NULL;
    struct pending_file *file = pending_find(&drop->pending, target != NULL ? target : name);
    const bool racy = file != NULL && file->reason == PENDING_RACY;

    free(target);
    if (file != NULL && !racy) {
        pending_wake(file, clock_monotonic()); /* the name may be back already */
    } else if (sidecar_of == 0) {
        dropdir_count_out(drop, name);
        if (racy)
            pending_done(file);
    }
}

int64_t dropdir_due(const struct dropdir *drop)
{
    return pending_due(&drop->pending);
}

void dropdir_recheck(struct dropdir *drop, const char *name, const struct file_id *file_id,
                     uint64_t ledger_at)
{
    if (drop->is_daemon && file_id->size <= RACY_BYTES)
        pending_recheck(&drop->pending, name, clock_monotonic() + FILE_CACHE_RACY_AGE, ledger_at);
}

void dropdir_drop_stale_racy(struct dropdir *drop, int64_t now)
{
    size_t i;

    for (i = 0; i < drop->pending.count && drop->pending.racy_count > 0; i++) {
        struct pending_file *file = &drop->pending.files[i];

        if (file->reason == PENDING_RACY && file->due <= now &&
            !(file_cache_is_racy(&drop->file_cache, file->name) &&
              ledger_last_at(drop->ledger, file->name) == file->ledger_at))
            pending_done(file);
    }
}

/* ---- scans ---- */

struct scan {
    struct dropdir *drop;
    int64_t due;
    bool count_only; /* compute the totals, and make nothing due */
    bool part;       /* not the whole drop directory: leave the totals as they are */
    bool keeps;      /* accepted files stay in the drop directory */
    struct scanned {
        char *name; /* owned */
        bool is_file;
    } * found; /* new and changed files */
    size_t count, cap;
    struct cause *cause;
    bool failed; /* out of memory */
};

/* Return true if a check of this pending file would find what the last check found. */
static bool is_unchanged(const struct pending_file *file, const struct file_id *file_id)
{
    return file->has_file_id && file_id_equal(&file->file_id, file_id) &&
           file->reason != PENDING_UNREADABLE && file->reason != PENDING_TROUBLE &&
           file->reason != PENDING_FILE_TYPE && file->reason != PENDING_UNCONFIRMED;
}

/* Add a name to the totals. A daemon that only counts leaves out a name that neither the ledger nor
 * the pending list has: its event is still to come, and dropdir_count_in will add it. */
static void count_scanned(const struct scan *scan, bool is_file, struct pending_file *file,
                          const struct ledger_known *known)
{
    struct dropdir *drop = scan->drop;

    if (file != NULL)
        file->counted = is_file;
    if (!is_file || (file == NULL && known->last_at == 0 && scan->count_only && drop->is_daemon))
        return;
    drop->files++;
    drop->rows += known->rows;
}

static void add_scanned(struct scan *scan, const char *name, bool is_file)
{
    char *copy = strdup(name);

    scan->failed |=
        copy == NULL || vector_grow(&scan->found, sizeof *scan->found, scan->count, &scan->cap) < 0;
    if (scan->failed)
        free(copy);
    else
        scan->found[scan->count++] = (struct scanned){copy, is_file};
}

/* Schedule a second read of a file that is unchanged as far as its timestamps can be trusted. */
static void recheck_scanned(const struct scan *scan, const char *name, uint64_t ledger_at)
{
    struct pending_file *file = pending_recheck(&scan->drop->pending, name, scan->due, ledger_at);

    if (file != NULL)
        file->counted = !scan->part;
}

static void take_scanned(void *context, const char *name, enum file_kind kind,
                         const struct file_id *file_id)
{
    struct scan *scan = context;
    struct dropdir *drop = scan->drop;
    struct pending_file *file = pending_find(&drop->pending, name);
    const bool is_file = kind == FILE_REGULAR;
    struct ledger_known known;
    enum file_cache_state state;

    if (scan->failed)
        return;
    ledger_name(drop->ledger, name, &known);
    state = file_cache_scan_found(&drop->file_cache, name, scan->count_only ? NULL : file_id,
                                  known.last_at);
    if (!scan->part)
        count_scanned(scan, is_file, file, &known);
    if (scan->count_only || (is_file && file != NULL && is_unchanged(file, file_id)))
        return;
    if (is_file && state != FILE_CACHE_MISS && scan->keeps &&
        (file == NULL || file->reason == PENDING_RACY)) {
        if (state == FILE_CACHE_RACY && file == NULL)
            recheck_scanned(scan, name, known.last_at);
        return;
    }
    add_scanned(scan, name, is_file);
}

static int compare_names(const void *left, const void *right)
{
    return strcmp(((const struct scanned *)left)->name, ((const struct scanned *)right)->name);
}

static void scan_enter(void *context, const char *directory, int fd)
{
    const struct scan *scan = context;

    if (scan->drop->enter != NULL)
        scan->drop->enter(scan->drop->enter_context, directory, fd);
}

static void scan_sidecar(void *context, const char *name)
{
    struct scan *scan = context;

    (void)name;
    scan->drop->sidecars = true;
}

/* Fill scan->found in the order of the names. free_scan is to be called also after a failure. */
static int run_scan(struct scan *scan, int dir_fd, const char *under, uint64_t *ret_ignored)
{
    struct drop_scan_request request = {.under = under,
                                        .recursive = scan->drop->config->recursive,
                                        .names_only = scan->count_only,
                                        .enter = scan_enter,
                                        .sidecar = scan_sidecar,
                                        .found = take_scanned,
                                        .context = scan};
    int result = drop_scan(dir_fd, &request, ret_ignored, scan->cause);

    if (result >= 0 && scan->failed)
        return cause_memory(scan->cause);
    if (scan->count > 0)
        qsort(scan->found, scan->count, sizeof *scan->found, compare_names);
    return result;
}

static void free_scan(struct scan *scan)
{
    while (scan->count > 0)
        free(scan->found[--scan->count].name);
    free(scan->found);
}

int dropdir_scan(struct dropdir *drop, int dir_fd, int64_t due, struct cause *cause)
{
    struct scan scan = {.drop = drop,
                        .due = due,
                        .count_only = due == CLOCK_NEVER,
                        .keeps = drop->config->source == CONFIG_SOURCE_KEEP,
                        .cause = cause};
    uint64_t files = drop->files, rows = drop->rows;
    size_t i;
    int result;

    drop->files = drop->rows = 0;
    for (i = 0; i < drop->pending.count; i++)
        drop->pending.files[i].counted = false;
    file_cache_scan_begin(&drop->file_cache);
    result = run_scan(&scan, dir_fd, NULL, &drop->ignored);
    if (result == 0) {
        file_cache_scan_end(&drop->file_cache);
        drop->changed |= files != drop->files || rows != drop->rows;
        for (i = 0; i < scan.count && result == 0; i++) {
            result = arrive(drop, scan.found[i].name, false, due, cause);
            if (result == 0)
                pending_find(&drop->pending, scan.found[i].name)->counted = scan.found[i].is_file;
        }
        /* A pending file that was not found may be back already: check it. */
        for (i = 0; i < drop->pending.count; i++)
            if (!drop->pending.files[i].counted)
                pending_wake(&drop->pending.files[i], clock_monotonic());
    }
    free_scan(&scan);
    return result;
}

int dropdir_scan_directory(struct dropdir *drop, int dir_fd, const char *directory, int64_t due,
                           struct cause *cause)
{
    struct scan scan = {.drop = drop,
                        .due = due,
                        .part = true,
                        .keeps = drop->config->source == CONFIG_SOURCE_KEEP,
                        .cause = cause};
    struct pending_file *file = pending_find(&drop->pending, directory);
    uint64_t ignored;
    size_t i;
    int result = run_scan(&scan, dir_fd, directory, &ignored);

    if (file != NULL)
        pending_wake(file, clock_monotonic());
    for (i = 0; i < scan.count && result >= 0; i++)
        if (arrive(drop, scan.found[i].name, false, due, cause) < 0)
            result = -1;
    free_scan(&scan);
    return result;
}

void dropdir_wait(struct dropdir *drop, struct pending_file *file, enum pending_reason reason,
                  const char *detail, int64_t due)
{
    const bool same_detail = file->detail == NULL || detail == NULL
                                 ? file->detail == detail
                                 : strcmp(file->detail, detail) == 0;
    const bool same_reason = !pending_requeue(&drop->pending, file, due, reason, detail);

    drop->changed |= !same_reason || !same_detail;
    if (same_reason)
        return;
    if (reason != PENDING_NEW && reason != PENDING_WRITER && reason != PENDING_ACCEPTED)
        dropdir_notify(drop, INGEST_WAITING, file->name, 0, detail);
}

void dropdir_merge_all_now(struct dropdir *drop)
{
    pending_wake_new(&drop->pending, clock_monotonic());
}

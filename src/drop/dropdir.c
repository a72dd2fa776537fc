#include "drop/dropdir.h"

#include <stdlib.h>
#include <string.h>

#include "ingest/placement.h"

#define RECHECK_BYTES (UINT64_C(1) << 20) /* a larger file waits for the next scan */
#define RECHECK_BATCH 500                 /* what arrives meanwhile does not wait for more */

int drop_open(struct drop *drop, const struct config *config, const struct ledger *ledger,
              int state_fd, struct cause *cause)
{
    size_t i;

    *drop = (struct drop){.config = config, .ledger = ledger, .changed = true};
    if (seen_open(&drop->seen, state_fd, cause) < 0 ||
        waiting_load(&drop->waiting, state_fd, cause) < 0)
        return -1;
    /* Directories may have been looked into at an earlier run. */
    for (i = 0; i < drop->waiting.count && !config->recursive; i++)
        drop->waiting.files[i].done = strchr(drop->waiting.files[i].name, '/') != NULL;
    waiting_sweep(&drop->waiting);
    return 0;
}

void drop_close(struct drop *drop)
{
    seen_close(&drop->seen);
    recheck_free(&drop->recheck);
    waiting_free(&drop->waiting);
}

void drop_say(const struct drop *drop, const char *what, const char *name, uint64_t rows,
              const char *detail)
{
    if (drop->tell != NULL)
        drop->tell(drop->tell_context, what, name, rows, detail);
}

/* The numbers of user_data/: each file that is counted stands for its rows that are accepted. */
bool drop_counts(const struct drop *drop, const char *name, const struct waiting_file *file)
{
    return seen_has(&drop->seen, name) || (file != NULL && file->counted);
}

void drop_count_in(struct drop *drop, struct waiting_file *file)
{
    if (drop_counts(drop, file->name, file))
        return;
    file->counted = true;
    drop->files++;
    drop->rows += ledger_rows_of(drop->ledger, file->name);
    drop->changed = true;
}

void drop_count_out(struct drop *drop, const char *name)
{
    struct waiting_file *file = waiting_find(&drop->waiting, name);

    if (!drop_counts(drop, name, file))
        return;
    if (file != NULL)
        file->counted = false;
    seen_leave(&drop->seen, name);
    drop->files--;
    drop->rows -= ledger_rows_of(drop->ledger, name);
    drop->changed = true;
}

/* A name that counts, or a directory that cannot be looked into. */
static int arrive(struct drop *drop, const char *name, bool closed, int64_t due,
                  struct cause *cause)
{
    struct waiting_file *file = waiting_add(&drop->waiting, name);

    if (file == NULL)
        return cause_memory(cause);
    file->closed |= closed;
    if (due < file->due || file->done)
        file->due = due;
    file->done = false;
    return 0;
}

/* What came beside a file is a reason to look at the file. */
static int arrive_beside(struct drop *drop, const char *name, size_t len, int64_t due,
                         struct cause *cause)
{
    char *file = strndup(name, len);
    int result = file == NULL ? cause_memory(cause) : arrive(drop, file, false, due, cause);

    drop->sidecars = true;
    free(file);
    return result;
}

int drop_arrive(struct drop *drop, const char *name, bool closed, int64_t due, struct cause *cause)
{
    size_t sidecar_of;

    if (!drop->config->recursive && strchr(name, '/') != NULL)
        return 0;
    if (spool_name_counts(name))
        return arrive(drop, name, closed, due, cause);
    sidecar_of = spool_sidecar_of(name);
    return sidecar_of > 0 ? arrive_beside(drop, name, sidecar_of, due, cause) : 0;
}

void drop_gone(struct drop *drop, const char *name)
{
    const size_t sidecar_of = spool_sidecar_of(name);
    char *beside = sidecar_of > 0 ? strndup(name, sidecar_of) : NULL;
    struct waiting_file *file = waiting_find(&drop->waiting, beside != NULL ? beside : name);

    free(beside);
    /* A name that is waited for is looked at: it may be back. */
    if (file != NULL)
        file->due = waiting_now();
    else
        drop_count_out(drop, name);
}

int64_t drop_due(const struct drop *drop)
{
    int64_t due = waiting_due(&drop->waiting);
    const struct recheck_file *first = recheck_first(&drop->recheck);

    return first != NULL && first->due < due ? first->due : due;
}

void drop_recheck(struct drop *drop, const char *name, const struct signature *signature,
                  uint64_t at)
{
    if (drop->lingers && signature->size <= RECHECK_BYTES)
        recheck_add(&drop->recheck, name, at, waiting_now() + SEEN_YOUNG_AGE);
}

int drop_wake(struct drop *drop, struct cause *cause)
{
    int64_t now = waiting_now();
    const struct recheck_file *first;
    unsigned left = RECHECK_BATCH;

    while (left > 0 && (first = recheck_first(&drop->recheck)) != NULL && first->due <= now) {
        /* More may have happened to it, or it was looked at since. */
        if (seen_is_young(&drop->seen, first->name) &&
            ledger_last_at(drop->ledger, first->name) == first->at) {
            if (drop_arrive(drop, first->name, false, now, cause) < 0)
                return -1;
            left--;
        }
        recheck_drop(&drop->recheck);
    }
    return 0;
}

struct scan {
    struct drop *drop;
    int64_t due;
    bool count_only;
    bool part;  /* not the whole directory: nothing is counted */
    bool keeps; /* accepted files stay in the drop directory */
    struct scanned {
        char *name; /* owned */
        bool is_file;
        bool beside; /* what was found is a sidecar of it */
    } * found;       /* those to be looked at */
    size_t count, cap;
    struct cause *cause;
    bool failed;
};

/* It waits, and nothing about it has changed since it was last looked at. */
static bool is_as_it_was(const struct waiting_file *file, const struct signature *signature)
{
    return file->looked && signature_equal(&file->signature, signature) &&
           file->reason != WAIT_UNREADABLE && file->reason != WAIT_TROUBLE &&
           file->reason != WAIT_FILE_TYPE && file->reason != WAIT_UNCONFIRMED;
}

/* What is met is counted. */
static enum seen_state meet(struct scan *scan, const char *name, enum spool_kind kind,
                            const struct signature *signature, struct waiting_file *file,
                            const struct ledger_known *known)
{
    struct drop *drop = scan->drop;
    enum seen_state state =
        seen_scan_meet(&drop->seen, name, scan->count_only ? NULL : signature, known->last_at);

    if (scan->part)
        return state;
    if (file != NULL)
        file->counted = kind == SPOOL_FILE;
    /* What nobody knows yet is counted when its event is taken, and not here as well. */
    if (kind == SPOOL_FILE &&
        (file != NULL || known->last_at != 0 || !scan->count_only || !drop->lingers)) {
        drop->files++;
        drop->rows += known->rows;
    }
    return state;
}

/* It is to be looked at. Takes the name. */
static void note(struct scan *scan, char *name, bool is_file, bool beside)
{
    scan->failed |= name == NULL;
    if (!scan->failed && scan->count == scan->cap) {
        size_t cap = scan->cap == 0 ? 64 : scan->cap * 2;
        struct scanned *found = realloc(scan->found, cap * sizeof *found);

        scan->failed = found == NULL;
        if (found != NULL) {
            scan->found = found;
            scan->cap = cap;
        }
    }
    if (scan->failed)
        free(name);
    else
        scan->found[scan->count++] = (struct scanned){name, is_file, beside};
}

static void scan_found(void *context, const char *name, enum spool_kind kind,
                       const struct signature *signature)
{
    struct scan *scan = context;
    struct waiting_file *file = waiting_find(&scan->drop->waiting, name);
    struct ledger_known known;
    enum seen_state state;

    if (scan->failed)
        return;
    ledger_name(scan->drop->ledger, name, &known);
    state = meet(scan, name, kind, signature, file, &known);
    if (scan->count_only)
        return;
    if (kind == SPOOL_FILE && file != NULL && is_as_it_was(file, signature))
        return;
    if (kind == SPOOL_FILE && file == NULL && state != SEEN_OTHER && scan->keeps) {
        /* As it was, as far as one can tell: to be sure there is no hurry. */
        if (state == SEEN_YOUNG)
            recheck_add(&scan->drop->recheck, name, known.last_at, scan->due);
        return;
    }
    note(scan, strdup(name), kind == SPOOL_FILE, false);
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

/* Where files leave, their own may have left before it came. */
static void scan_sidecar(void *context, const char *name)
{
    struct scan *scan = context;

    scan->drop->sidecars = true;
    if (!scan->keeps && !scan->count_only)
        note(scan, strndup(name, spool_sidecar_of(name)), false, true);
}

/* Fills in what was found; to be freed in any case. As spool_scan. */
static int run_scan(struct scan *scan, int dir_fd, const char *under, uint64_t *ret_ignored)
{
    struct spool_order order = {.under = under,
                                .recursive = scan->drop->config->recursive,
                                .names_only = scan->count_only,
                                .enter = scan_enter,
                                .sidecar = scan_sidecar,
                                .found = scan_found,
                                .context = scan};
    int result = spool_scan(dir_fd, &order, ret_ignored, scan->cause);

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

int drop_scan(struct drop *drop, int dir_fd, int64_t due, struct cause *cause)
{
    struct scan scan = {.drop = drop,
                        .due = due,
                        .count_only = due == WAITING_NEVER,
                        .keeps = disposal_of_accepted(drop->config) == DISPOSAL_KEEP,
                        .cause = cause};
    uint64_t files = drop->files, rows = drop->rows;
    size_t i;
    int result;

    drop->files = drop->rows = 0;
    for (i = 0; i < drop->waiting.count; i++)
        drop->waiting.files[i].counted = false;
    seen_scan_begin(&drop->seen);
    result = run_scan(&scan, dir_fd, NULL, &drop->ignored);
    if (result == 0) {
        seen_scan_end(&drop->seen);
        drop->changed |= files != drop->files || rows != drop->rows;
        for (i = 0; i < scan.count && result == 0; i++) {
            result = arrive(drop, scan.found[i].name, false, due, cause);
            if (result == 0 && !scan.found[i].beside)
                waiting_find(&drop->waiting, scan.found[i].name)->counted = scan.found[i].is_file;
        }
        /* What was waited for and is not there has to be looked at once, to find that out. */
        for (i = 0; i < drop->waiting.count; i++)
            if (!drop->waiting.files[i].counted)
                drop->waiting.files[i].due = waiting_now();
    }
    free_scan(&scan);
    return result;
}

int drop_look_into(struct drop *drop, int dir_fd, const char *directory, int64_t due,
                   struct cause *cause)
{
    struct scan scan = {.drop = drop,
                        .due = due,
                        .part = true,
                        .keeps = disposal_of_accepted(drop->config) == DISPOSAL_KEEP,
                        .cause = cause};
    struct waiting_file *file = waiting_find(&drop->waiting, directory);
    uint64_t ignored;
    size_t i;
    int result = run_scan(&scan, dir_fd, directory, &ignored);

    if (file != NULL)
        file->due = waiting_now();
    for (i = 0; i < scan.count && result >= 0; i++)
        if (arrive(drop, scan.found[i].name, false, due, cause) < 0)
            result = -1;
    free_scan(&scan);
    return result;
}

void drop_wait(struct drop *drop, struct waiting_file *file, enum reason reason, const char *detail,
               int64_t due)
{
    if (!waiting_set(&drop->waiting, file, reason, detail, due))
        return;
    drop->changed = true;
    if (reason != WAIT_NEW && reason != WAIT_WRITER && reason != WAIT_DISPOSAL)
        drop_say(drop, "waiting", file->name, 0, detail);
}

void drop_hurry(struct drop *drop)
{
    int64_t now = waiting_now();
    size_t i;

    for (i = 0; i < drop->waiting.count; i++)
        if (drop->waiting.files[i].reason == WAIT_NEW && drop->waiting.files[i].due > now)
            drop->waiting.files[i].due = now;
}

#include "intake.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "durable.h"
#include "log.h"
#include "report.h"

#define SECOND      INT64_C(1000000000)
#define SOON        (SECOND / 20)
#define YOUNG_AGE   (2 * SECOND)
#define BATCH_FILES 10000
#define BATCH_TIME  SECOND /* a batch that has taken so long is committed */

struct booked {
    char *name; /* owned */
    struct signature signature;
    uint64_t at, seq;       /* its ledger line */
    enum disposal disposal; /* DISPOSAL_KEEP: it stays */
    bool reasons;           /* rejected rows wait in state/moving/ */
    bool resolves;          /* the name may have copies in quarantine that this file supersedes */
    bool settled;           /* all of it is booked: it need not be read again */
    bool young;
};

/* One look at one file, while it is open. */
struct look {
    int fd;
    struct signature signature;
    int64_t now;
    bool writer;        /* somebody has it open for writing, or may have */
    bool patient;       /* quiet, and nobody writes: a bad verdict may be carried out */
    bool complete_only; /* judge its complete rows, the rest may still come */
    bool known;         /* as it was when it was booked: not read again */
    uint64_t mark;      /* where its rows begin in the training file */
    int rejects;        /* SEQ.rejects.csv, or -1 */
    uint64_t rejects_len;
    struct ledger_line base; /* the longest content booked for this name or inode */
    bool has_base;
    bool base_is_own;        /* of this name */
    struct ledger_line last; /* the last line of this name */
    bool has_last;
    bool sink_failed; /* our own disk, not the file's */
};

enum decision {
    DECIDE_WAIT,
    DECIDE_KNOWN,
    DECIDE_DUPLICATE,
    DECIDE_MERGE,
    DECIDE_GROW,
    DECIDE_QUARANTINE
};

static int64_t real_now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_REALTIME, &time);
    return time.tv_sec * SECOND + time.tv_nsec;
}

static int64_t seconds(unsigned count)
{
    return (int64_t)count * SECOND;
}

static void tell(const struct intake *intake, const char *what, const char *name, uint64_t rows,
                 const char *detail)
{
    if (intake->tell != NULL)
        intake->tell(intake->tell_context, what, name, rows, detail);
}

/* ---- opening
 * ------------------------------------------------------------------------------------- */

int intake_open(struct intake *intake, const struct config *config, const struct schema *schema,
                struct datadir *dir, const char *program, intake_tell *tell_function,
                void *tell_context, struct cause *cause)
{
    *intake = (struct intake){.config = config,
                              .schema = schema,
                              .dir = dir,
                              .tell = tell_function,
                              .tell_context = tell_context,
                              .recover_due = true,
                              .quarantine_changed = true,
                              .report_due = true};
    if (merge_open(&intake->merge, dir, schema, program, cause) < 0 ||
        judge_init(&intake->judge, schema, config, &intake->merge.training.layout, cause) < 0 ||
        seen_open(&intake->seen, dir->state, cause) < 0 ||
        stats_open(&intake->stats, dir, schema, cause) < 0 ||
        waiting_load(&intake->waiting, dir->state, cause) < 0) {
        intake_close(intake);
        return -1;
    }
    return 0;
}

static void clear_booked(struct intake *intake)
{
    size_t i;

    for (i = 0; i < intake->booked_count; i++)
        free(intake->booked[i].name);
    intake->booked_count = 0;
}

void intake_close(struct intake *intake)
{
    merge_close(&intake->merge);
    judge_free(&intake->judge);
    seen_close(&intake->seen);
    stats_close(&intake->stats);
    waiting_free(&intake->waiting);
    clear_booked(intake);
    free(intake->booked);
    intake->booked = NULL;
}

/* ---- what there is to do
 * ------------------------------------------------------------------------- */

/* The numbers of user_data/: each file that is counted stands for its rows that are accepted. */
static bool is_counted(const struct intake *intake, const char *name,
                       const struct waiting_file *file)
{
    return seen_has(&intake->seen, name) || (file != NULL && file->counted);
}

static void count_in(struct intake *intake, struct waiting_file *file)
{
    if (is_counted(intake, file->name, file))
        return;
    file->counted = true;
    intake->user_files++;
    intake->user_rows += ledger_rows_of(&intake->merge.ledger, file->name);
    intake->report_due = true;
}

static void count_out(struct intake *intake, const char *name)
{
    struct waiting_file *file = waiting_find(&intake->waiting, name);

    if (!is_counted(intake, name, file))
        return;
    if (file != NULL)
        file->counted = false;
    seen_leave(&intake->seen, name);
    intake->user_files--;
    intake->user_rows -= ledger_rows_of(&intake->merge.ledger, name);
    intake->report_due = true;
}

/* Books a line, and its rows with the file's. */
static int book(struct intake *intake, const struct waiting_file *file, struct ledger_line *line,
                struct cause *cause)
{
    struct ledger *ledger = &intake->merge.ledger;
    uint64_t before = ledger_rows_of(ledger, file->name);

    if (ledger_add(ledger, line, cause) < 0 ||
        stats_apply(&intake->stats, line, &intake->judge.result.tally, cause) < 0)
        return -1;
    if (is_counted(intake, file->name, file))
        intake->user_rows += ledger_rows_of(ledger, file->name) - before;
    return 0;
}

int intake_arrive(struct intake *intake, const char *name, bool closed, int64_t due,
                  struct cause *cause)
{
    struct waiting_file *file;

    if (!spool_name_counts(name))
        return 0;
    file = waiting_add(&intake->waiting, name);
    if (file == NULL)
        return cause_memory(cause);
    file->closed |= closed;
    if (due < file->due || file->done)
        file->due = due;
    file->done = false;
    return 0;
}

void intake_gone(struct intake *intake, const char *name)
{
    struct waiting_file *file = waiting_find(&intake->waiting, name);

    /* A name that is waited for is looked at: it may be back. */
    if (file != NULL)
        file->due = waiting_now();
    else
        count_out(intake, name);
}

struct scan {
    struct intake *intake;
    struct scanned {
        char *name; /* owned */
        bool is_file;
    } * found; /* those to be looked at */
    size_t count, cap;
    struct cause *cause;
    bool failed;
};

/* Nothing about it has changed since it was last looked at. */
static bool is_as_it_was(const struct intake *intake, const char *name,
                         const struct signature *signature)
{
    const struct waiting_file *file = waiting_find(&intake->waiting, name);

    if (file != NULL)
        return file->looked && signature_equal(&file->signature, signature) &&
               file->reason != WAIT_UNREADABLE && file->reason != WAIT_TROUBLE &&
               file->reason != WAIT_FILE_TYPE;
    return seen_holds(&intake->seen, name, signature,
                      ledger_last_at(&intake->merge.ledger, name)) &&
           !seen_is_young(&intake->seen, name) &&
           disposal_of_accepted(intake->config) == DISPOSAL_KEEP;
}

static void scan_found(void *context, const char *name, enum spool_kind kind,
                       const struct signature *signature)
{
    struct scan *scan = context;
    struct intake *intake = scan->intake;
    struct waiting_file *file = waiting_find(&intake->waiting, name);

    if (scan->failed || seen_scan_meet(&intake->seen, name, scan->cause) < 0) {
        scan->failed = true;
        return;
    }
    if (file != NULL)
        file->counted = kind == SPOOL_FILE;
    if (kind == SPOOL_FILE) {
        intake->user_files++;
        intake->user_rows += ledger_rows_of(&intake->merge.ledger, name);
        if (is_as_it_was(intake, name, signature))
            return;
    }
    if (scan->count == scan->cap) {
        size_t cap = scan->cap == 0 ? 64 : scan->cap * 2;
        struct scanned *found = realloc(scan->found, cap * sizeof *found);

        if (found == NULL) {
            scan->failed = true;
            return;
        }
        scan->found = found;
        scan->cap = cap;
    }
    scan->found[scan->count] = (struct scanned){strdup(name), kind == SPOOL_FILE};
    scan->failed = scan->found[scan->count].name == NULL;
    scan->count += !scan->failed;
}

static int compare_names(const void *left, const void *right)
{
    return strcmp(((const struct scanned *)left)->name, ((const struct scanned *)right)->name);
}

static int take_found(struct intake *intake, const struct scan *scan, int64_t due,
                      struct cause *cause)
{
    size_t i;

    for (i = 0; i < scan->count; i++) {
        if (intake_arrive(intake, scan->found[i].name, false, due, cause) < 0)
            return -1;
        waiting_find(&intake->waiting, scan->found[i].name)->counted = scan->found[i].is_file;
    }
    return 0;
}

static int begin(struct intake *intake, unsigned wait_ms, bool adopt, struct cause *cause);
static void end(struct intake *intake, bool whole);

int intake_scan(struct intake *intake, int64_t due, unsigned wait_ms, struct cause *cause)
{
    struct scan scan = {.intake = intake, .cause = cause};
    uint64_t files = intake->user_files, rows = intake->user_rows;
    size_t i;
    int result;

    if (begin(intake, wait_ms, false, cause) < 0)
        return -1;
    end(intake, true);
    if (datadir_open_drop(intake->dir, cause) < 0)
        return -1;
    intake->user_files = intake->user_rows = 0;
    for (i = 0; i < intake->waiting.count; i++)
        intake->waiting.files[i].counted = false;
    seen_scan_begin(&intake->seen);
    result = spool_scan(intake->dir->drop, scan_found, &scan, &intake->ignored, cause);
    if (result == 0 && scan.failed)
        result = cause_memory(cause);
    if (result == 0) {
        seen_scan_end(&intake->seen);
        intake->report_due |= files != intake->user_files || rows != intake->user_rows;
        qsort(scan.found, scan.count, sizeof *scan.found, compare_names);
        result = take_found(intake, &scan, due, cause);
        /* What was waited for and is not there any more has to be looked at once, to find that out.
         */
        for (i = 0; i < intake->waiting.count; i++)
            if (!intake->waiting.files[i].counted)
                intake->waiting.files[i].due = waiting_now();
    }
    for (i = 0; i < scan.count; i++)
        free(scan.found[i].name);
    free(scan.found);
    datadir_close_drop(intake->dir);
    return result;
}

int64_t intake_due(const struct intake *intake)
{
    return waiting_due(&intake->waiting);
}

void intake_hurry(struct intake *intake)
{
    int64_t now = waiting_now();
    size_t i;

    for (i = 0; i < intake->waiting.count; i++)
        if (intake->waiting.files[i].reason == WAIT_NEW && intake->waiting.files[i].due > now)
            intake->waiting.files[i].due = now;
}

/* ---- the story of a file: claim, read, check, merge or reject
 * ------------------------------------- */

static void wait_for(struct intake *intake, struct waiting_file *file, enum reason reason,
                     const char *detail, int64_t due)
{
    if (!waiting_set(&intake->waiting, file, reason, detail, due))
        return;
    intake->report_due = true;
    if (reason != WAIT_NEW && reason != WAIT_WRITER && reason != WAIT_DISPOSAL)
        tell(intake, "waiting", file->name, 0, detail);
}

/*
 * It is as it was judged. Where it was read too soon after its last change, so much time must have
 * passed that a change would show.
 */
static bool is_known(const struct intake *intake, const struct waiting_file *file,
                     const struct look *look)
{
    return seen_holds(&intake->seen, file->name, &look->signature,
                      ledger_last_at(&intake->merge.ledger, file->name)) &&
           (!seen_is_young(&intake->seen, file->name) ||
            (look->patient && intake->config->settle * SECOND >= YOUNG_AGE));
}

static void note_writer(struct intake *intake, struct waiting_file *file, struct look *look)
{
    enum spool_writer writer = spool_writer(look->fd);
    bool quiet = look->now - file->since >= seconds(intake->config->settle);

    if (writer == SPOOL_WRITER_UNKNOWN && !intake->lease_unknown) {
        intake->lease_unknown = true;
        log_notice("the kernel does not tell who writes to %s (it takes the file's owner or "
                   "CAP_LEASE): closing, moving "
                   "and %u seconds of quiet decide",
                   file->name, intake->config->settle);
    }
    look->writer =
        writer == SPOOL_WRITER || (writer == SPOOL_WRITER_UNKNOWN && !file->closed && !quiet);
    look->patient = quiet && !look->writer;
    look->complete_only = look->writer;
}

/* Opens the file if it may be judged now; else it waits, is done, or is gone. Returns true with
 * look->fd open. */
static bool claim(struct intake *intake, struct waiting_file *file, struct look *look)
{
    enum spool_kind kind = spool_open(intake->dir->drop, file->name, &look->fd, &look->signature);
    int64_t quiet_at, latest;

    switch (kind) {
    case SPOOL_GONE:
    case SPOOL_DIRECTORY:
        count_out(intake, file->name);
        file->done = true;
        return false;
    case SPOOL_OTHER:
        wait_for(intake, file, WAIT_FILE_TYPE,
                 "no regular file: links, FIFOs and devices are never opened; send the file itself",
                 WAITING_NEVER);
        return false;
    case SPOOL_UNREADABLE:
        wait_for(intake, file, WAIT_UNREADABLE,
                 "no permission to read it: chmod a+r, or send with rsync --chmod=F644",
                 WAITING_NEVER);
        return false;
    case SPOOL_TROUBLE:
        wait_for(intake, file, WAIT_TROUBLE, strerror(errno), WAITING_NEVER);
        return false;
    case SPOOL_FILE:
        break;
    }
    count_in(intake, file);
    waiting_look(file, &look->signature, look->now);
    note_writer(intake, file, look);
    look->known = is_known(intake, file, look);
    quiet_at = file->since + seconds(intake->config->settle);
    latest = file->judged + seconds(intake->config->rescan);
    if (look->writer && look->now < quiet_at && look->now < latest)
        wait_for(intake, file, WAIT_WRITER, "a program has it open for writing",
                 quiet_at < latest ? quiet_at : latest);
    else if (look->signature.size == 0)
        wait_for(intake, file, WAIT_EMPTY, "no bytes yet", WAITING_NEVER);
    else if (look->signature.mtime == 0)
        wait_for(intake, file, WAIT_PARTIAL,
                 "an interrupted rsync --partial left it (modification time 0): run rsync again",
                 WAITING_NEVER);
    else
        return true;
    close(look->fd);
    return false;
}

struct sink_context {
    struct intake *intake;
    struct look *look;
};

static int sink_accept(void *context, const char *rows, size_t len, struct cause *cause)
{
    struct sink_context *sink = context;
    int result = training_append(&sink->intake->merge.training, rows, len, cause);

    sink->look->sink_failed |= result < 0;
    return result;
}

static int write_reject(struct sink_context *sink, const char *raw, size_t len, struct cause *cause)
{
    struct look *look = sink->look;

    if (durable_write(look->rejects, raw, len, look->rejects_len, "rejects.csv", cause) < 0)
        return -1;
    look->rejects_len += len;
    return 0;
}

/* Bad rows as they came, behind the file's own header. */
static int sink_reject(void *context, const char *raw, size_t len, struct cause *cause)
{
    struct sink_context *sink = context;
    const struct buffer *header = &sink->intake->judge.result.header;
    int result = 0;

    if (sink->look->rejects < 0) {
        sink->look->rejects =
            disposal_open_rejects(sink->intake->dir, sink->intake->merge.ledger.next_seq, cause);
        result =
            sink->look->rejects < 0 ? -1 : write_reject(sink, header->data, header->len, cause);
    }
    if (result == 0)
        result = write_reject(sink, raw, len, cause);
    if (result == 0 && raw[len - 1] != '\n')
        result = write_reject(sink, "\n", 1, cause);
    sink->look->sink_failed |= result < 0;
    return result;
}

/* What of this read so far is taken back. */
static int unread(struct intake *intake, struct look *look, struct cause *cause)
{
    if (look->rejects >= 0) {
        close(look->rejects);
        look->rejects = -1;
        disposal_drop_reasons(intake->dir, intake->merge.ledger.next_seq);
    }
    return training_rewind(&intake->merge.training, look->mark, cause);
}

/* What the ledger knows of this name, and of this inode under another one. */
static int recall(struct intake *intake, const struct waiting_file *file, struct look *look,
                  struct cause *cause)
{
    const struct ledger *ledger = &intake->merge.ledger;
    int known = ledger_last(ledger, file->name, &look->last, cause);
    struct cause stale; /* the cache may point anywhere */
    uint64_t at;

    if (known < 0)
        return -1;
    look->has_last = known > 0;
    known = ledger_longest(ledger, file->name, &look->base, cause);
    look->has_base = look->base_is_own = known > 0;
    if (known == 0) {
        at = seen_inode(&intake->seen, &look->signature);
        look->has_base = at != 0 && at < ledger->end &&
                         ledger_at(ledger, at, &look->base, &stale) > 0 &&
                         look->base.verdict != VERDICT_QUARANTINED;
    }
    return known < 0 ? -1 : 0;
}

/* Reads and checks it up to the size of the first look. */
static int read_file(struct intake *intake, const struct waiting_file *file, struct look *look,
                     struct cause *cause)
{
    struct sink_context context = {intake, look};
    struct judge_order order = {.fd = look->fd,
                                .name = file->name,
                                .size = look->signature.size,
                                .complete_only = look->complete_only,
                                .sink = {sink_accept, sink_reject, &context}};

    if (look->has_base) {
        order.prefix_bytes = look->base.bytes;
        memcpy(order.prefix_sha, look->base.sha256, DIGEST_SIZE);
    }
    look->mark = training_mark(&intake->merge.training);
    return judge_run(&intake->judge, &order, cause);
}

/* Reads it; and again, up to its last complete row, if it grew meanwhile. 1: judged, 0: it changed,
 * no verdict. */
static int read_steadily(struct intake *intake, struct waiting_file *file, struct look *look,
                         struct cause *cause)
{
    struct signature after, path;
    unsigned tries;

    for (tries = 0; tries < 2; tries++) {
        if (read_file(intake, file, look, cause) < 0)
            return cause->kind == CAUSE_AGAIN ? 0 : -1;
        if (spool_signature(look->fd, &after) != SPOOL_FILE ||
            spool_look(intake->dir->drop, file->name, &path) != SPOOL_FILE)
            return 0;
        if (path.device != after.device || path.inode != after.inode)
            return 0;
        if (signature_equal(&after, &look->signature) ||
            (look->complete_only && after.size > look->signature.size))
            return 1;
        if (after.size <= look->signature.size)
            return 0;
        /* It only grew: somebody appends. */
        if (unread(intake, look, cause) < 0)
            return -1;
        look->complete_only = true;
        look->patient = false;
    }
    return 1;
}

/* It does not pass. Bad now, or may it still change? */
static enum decision decide_failing(struct intake *intake, struct waiting_file *file,
                                    const struct look *look)
{
    const struct config *config = intake->config;
    struct buffer detail = {0};
    int64_t due = file->since + seconds(config->settle);
    bool truncated = judge_only_truncated(&intake->judge);

    if (truncated && config->stale > config->settle)
        due = file->since + seconds(config->stale);
    if (look->patient && look->now >= due)
        return DECIDE_QUARANTINE;
    violations_summary(&intake->judge.result.violations, &detail);
    if (look->writer)
        due = look->now + seconds(config->rescan);
    wait_for(intake, file, truncated ? WAIT_INCOMPLETE : WAIT_FAILING, buffer_text(&detail),
             due > look->now ? due : look->now + SOON);
    buffer_free(&detail);
    return DECIDE_WAIT;
}

static void add_changed(struct intake *intake, const struct look *look)
{
    struct violations *violations = &intake->judge.result.violations;
    struct buffer *message = violations_add(violations, CODE_CHANGED_FILE, 0, 0, NULL, NULL, 0);
    char was[64] = "", is[64] = "";
    uint64_t end = look->base.bytes, from = end < 40 ? 0 : end - 40;
    struct cause ignored;
    ssize_t n;

    if (message == NULL)
        return;
    if (intake->judge.result.cut_row_continued) {
        /* Both readings of the row: as it was merged, and as it goes on. */
        n = durable_read(look->fd, was, (size_t)(end - from), from, "", &ignored);
        was[n > 0 ? n : 0] = '\0';
        n = durable_read(look->fd, is, 20, end, "", &ignored);
        is[n > 0 ? n : 0] = '\0';
        is[strcspn(is, "\r\n")] = '\0';
        buffer_printf(message,
                      "its last row was merged as '%s', without a line end, and now goes on as "
                      "'%s%s': check that row in the "
                      "training file; to take the new content under another name, rename the file",
                      strrchr(was, '\n') != NULL ? strrchr(was, '\n') + 1 : was,
                      strrchr(was, '\n') != NULL ? strrchr(was, '\n') + 1 : was, is);
    } else {
        buffer_printf(
            message,
            "a file of this name with other content (%" PRIu64
            " bytes) was accepted before: if these are other rows, "
            "drop them under another name; to take such files anyway, set changed = merge",
            look->base.bytes);
    }
    violations_added(violations);
}

/* Content that the ledger knows already. */
static int decide_known(struct intake *intake, struct waiting_file *file, struct look *look,
                        const struct ledger_line *known, enum decision *ret_decision,
                        struct cause *cause)
{
    const struct judgement *result = &intake->judge.result;
    struct ledger_line *own;
    int same_name;

    *ret_decision = DECIDE_KNOWN;
    if (result->rest > 0) {
        wait_for(intake, file, WAIT_INCOMPLETE,
                 "its last row is incomplete; the rows before it are merged",
                 look->writer ? look->now + seconds(intake->config->rescan) : WAITING_NEVER);
        *ret_decision = DECIDE_WAIT;
        return 0;
    }
    if (look->has_last && look->last.verdict != VERDICT_QUARANTINED &&
        memcmp(look->last.sha256, result->sha256, DIGEST_SIZE) == 0 &&
        look->last.has_meta == result->has_meta && look->last.meta == result->meta)
        return 0;
    *ret_decision = DECIDE_DUPLICATE;
    /* Merged again if asked for, but never under the same name, nor because the file was renamed.
     */
    if (!intake->config->merge_duplicates || strcmp(known->name, file->name) == 0 ||
        (look->has_base && !look->base_is_own))
        return 0;
    own = malloc(sizeof *own);
    if (own == NULL)
        return cause_memory(cause);
    same_name = ledger_content(&intake->merge.ledger, result->sha256, result->has_meta,
                               result->meta, file->name, own, cause);
    free(own);
    if (same_name == 0)
        *ret_decision = DECIDE_MERGE;
    return same_name < 0 ? -1 : 0;
}

/* New rows behind content that is booked. Their complete ones merge at once, whatever the last one
 * is. */
static enum decision decide_grown(struct intake *intake, struct waiting_file *file,
                                  struct look *look)
{
    const struct judgement *result = &intake->judge.result;
    bool nothing_new = result->rows + result->bad_rows == 0;

    if (result->rest > 0 && nothing_new) {
        wait_for(intake, file, WAIT_INCOMPLETE,
                 "its last row is incomplete; the rows before it are merged",
                 look->writer || !look->patient ? look->now + seconds(intake->config->settle)
                                                : WAITING_NEVER);
        return DECIDE_WAIT;
    }
    if (result->violations.total > 0 && (!look->patient || judge_rejects(&intake->judge)))
        return decide_failing(intake, file, look);
    return DECIDE_GROW;
}

/* The order of rules is the contract's: known, grown, changed, new. */
static int decide(struct intake *intake, struct waiting_file *file, struct look *look,
                  enum decision *ret_decision, struct cause *cause)
{
    const struct judgement *result = &intake->judge.result;
    struct ledger_line *known;
    int found;

    *ret_decision = DECIDE_WAIT;
    if (result->no_rows) {
        wait_for(intake, file, result->bytes + result->rest == 0 ? WAIT_EMPTY : WAIT_HEADER_ONLY,
                 "only a header yet", WAITING_NEVER);
        return 0;
    }
    known = malloc(sizeof *known);
    if (known == NULL)
        return cause_memory(cause);
    found = ledger_content(&intake->merge.ledger, result->sha256, result->has_meta, result->meta,
                           NULL, known, cause);
    if (found > 0)
        found = decide_known(intake, file, look, known, ret_decision, cause);
    else if (found == 0)
        found = 1;
    free(known);
    if (found <= 0)
        return found;
    if (result->prefix_found) {
        *ret_decision = decide_grown(intake, file, look);
    } else if (look->has_base && look->base_is_own &&
               !(intake->config->merge_changed && look->patient && !result->cut_row_continued)) {
        add_changed(intake, look);
        *ret_decision = decide_failing(intake, file, look);
    } else if (result->violations.total > 0 && (!look->patient || judge_rejects(&intake->judge))) {
        *ret_decision = decide_failing(intake, file, look);
    } else if (result->no_newline && !look->patient) {
        wait_for(intake, file, WAIT_NEWLINE,
                 "its last row has no newline: it counts once the file is quiet",
                 file->since + seconds(intake->config->settle));
    } else {
        *ret_decision = DECIDE_MERGE;
    }
    return 0;
}

/* ---- carrying it out
 * ----------------------------------------------------------------------------- */

/* Its batch is not durable yet: what is to be done then is kept. */
static struct booked *keep(struct intake *intake, const char *name, const struct look *look,
                           uint64_t at, uint64_t seq, struct cause *cause)
{
    struct booked *booked;

    if (intake->booked_count == intake->booked_cap) {
        size_t cap = intake->booked_cap == 0 ? 16 : intake->booked_cap * 2;

        booked = realloc(intake->booked, cap * sizeof *booked);
        if (booked == NULL) {
            cause_memory(cause);
            return NULL;
        }
        intake->booked = booked;
        intake->booked_cap = cap;
    }
    booked = &intake->booked[intake->booked_count];
    *booked =
        (struct booked){.name = strdup(name), .signature = look->signature, .at = at, .seq = seq};
    if (booked->name == NULL) {
        cause_memory(cause);
        return NULL;
    }
    intake->booked_count++;
    return booked;
}

/* An accepted file stays, or leaves once it is quiet. */
static int settle(struct intake *intake, struct waiting_file *file, const struct look *look,
                  uint64_t at, uint64_t seq, bool reasons, struct cause *cause)
{
    enum disposal disposal = disposal_of_accepted(intake->config);
    struct booked *booked = keep(intake, file->name, look, at, seq, cause);

    if (booked == NULL)
        return -1;
    booked->reasons = reasons;
    booked->resolves = look->has_last;
    booked->settled = look->known || intake->judge.result.rest == 0;
    booked->young = real_now() - look->signature.ctime < YOUNG_AGE;
    if (!booked->settled) {
        wait_for(intake, file, WAIT_INCOMPLETE,
                 "its last row is incomplete; the rows before it are merged",
                 look->now + seconds(intake->config->settle));
    } else if (disposal == DISPOSAL_KEEP || look->patient) {
        booked->disposal = disposal;
        file->done = true;
    } else {
        wait_for(intake, file, WAIT_DISPOSAL, "accepted; it leaves once it is quiet",
                 file->since + seconds(intake->config->settle));
    }
    return 0;
}

static void fill_line(const struct intake *intake, const struct waiting_file *file,
                      enum verdict verdict, struct ledger_line *line)
{
    const struct judgement *result = &intake->judge.result;

    *line = (struct ledger_line){.verdict = verdict,
                                 .time = real_now(),
                                 .bytes = result->bytes,
                                 .has_meta = result->has_meta,
                                 .meta = result->meta};
    line->range_hash = digest_check("", 0);
    memcpy(line->sha256, result->sha256, DIGEST_SIZE);
    snprintf(line->name, sizeof line->name, "%s", file->name);
}

/* Reasons of rejected rows go before the line that books them. */
static int write_reasons(struct intake *intake, struct look *look, struct cause *cause)
{
    const uint64_t seq = intake->merge.ledger.next_seq;

    if (look->rejects >= 0 && durable_sync(look->rejects, "rejects.csv", cause) < 0)
        return -1;
    intake->quarantine_changed = true;
    return disposal_write_errors(intake->dir, seq, &intake->judge.result.violations, cause);
}

static int accept_file(struct intake *intake, struct waiting_file *file, struct look *look,
                       enum verdict verdict, struct cause *cause)
{
    struct judgement *result = &intake->judge.result;
    struct ledger_line *line = malloc(sizeof *line);
    char detail[96];
    int done = -1;

    if (line == NULL)
        return cause_memory(cause);
    fill_line(intake, file, verdict, line);
    line->rows = result->rows;
    line->rejected = result->bad_rows;
    line->length = training_range(&intake->merge.training, look->mark, &line->range_hash);
    if (result->violations.total > 0 && write_reasons(intake, look, cause) < 0)
        goto out;
    if (book(intake, file, line, cause) < 0 ||
        settle(intake, file, look, line->at, line->seq, result->violations.total > 0, cause) < 0)
        goto out;
    intake->accepted_files++;
    snprintf(detail, sizeof detail, "%" PRIu64 "%s row%s%s", line->rows,
             verdict == VERDICT_GROWN ? " new" : "", line->rows == 1 ? "" : "s",
             line->rejected > 0 ? ", some rejected: see quarantine/" : "");
    tell(intake, verdict_name(verdict), file->name, line->rows, detail);
    done = 0;
out:
    free(line);
    return done;
}

static int skip_duplicate(struct intake *intake, struct waiting_file *file, struct look *look,
                          struct cause *cause)
{
    const struct judgement *result = &intake->judge.result;
    struct ledger_line *line = malloc(2 * sizeof *line), *known;
    char detail[LEDGER_NAME_SIZE + 64];
    int done = -1;

    if (line == NULL)
        return cause_memory(cause);
    known = &line[1];
    if (ledger_content(&intake->merge.ledger, result->sha256, result->has_meta, result->meta, NULL,
                       known, cause) < 0)
        goto out;
    snprintf(detail, sizeof detail, "the same content as %s, nothing to merge", known->name);
    fill_line(intake, file, VERDICT_DUPLICATE, line);
    line->duplicate = result->rows + result->bad_rows;
    if (result->prefix_found)
        line->duplicate += ledger_rows_of(&intake->merge.ledger, look->base.name);
    if (book(intake, file, line, cause) < 0 ||
        settle(intake, file, look, line->at, line->seq, false, cause) < 0)
        goto out;
    tell(intake, verdict_name(VERDICT_DUPLICATE), file->name, line->duplicate, detail);
    done = 0;
out:
    free(line);
    return done;
}

static int quarantine_file(struct intake *intake, struct waiting_file *file, struct look *look,
                           struct cause *cause)
{
    const struct judgement *result = &intake->judge.result;
    struct ledger_line *line = malloc(sizeof *line);
    struct buffer detail = {0};
    struct booked *booked;
    uint64_t seq = intake->merge.ledger.next_seq;
    bool again = look->has_last && look->last.verdict == VERDICT_QUARANTINED &&
                 memcmp(look->last.sha256, result->sha256, DIGEST_SIZE) == 0 &&
                 look->last.has_meta == result->has_meta && look->last.meta == result->meta;
    int done = -1;

    if (line == NULL)
        return cause_memory(cause);
    /* The same bad content once more, from a nightly re-send or a crash before the move: booked
     * already. */
    if (again)
        seq = look->last.seq;
    if (disposal_write_errors(intake->dir, seq, &result->violations, cause) < 0)
        goto out;
    if (!again) {
        fill_line(intake, file, VERDICT_QUARANTINED, line);
        line->rejected = result->rows + result->bad_rows;
        if (book(intake, file, line, cause) < 0)
            goto out;
    }
    booked = keep(intake, file->name, look, 0, seq, cause);
    if (booked == NULL)
        goto out;
    booked->disposal = DISPOSAL_QUARANTINE;
    file->done = true;
    intake->quarantined_files++;
    violations_summary(&result->violations, &detail);
    buffer_printf(&detail, "; see quarantine/%s.errors.csv", file->name);
    tell(intake, verdict_name(VERDICT_QUARANTINED), file->name, 0, buffer_text(&detail));
    done = 0;
out:
    buffer_free(&detail);
    free(line);
    return done;
}

static int carry_out(struct intake *intake, struct waiting_file *file, struct look *look,
                     enum decision decision, struct cause *cause)
{
    bool takes_rows = decision == DECIDE_MERGE || decision == DECIDE_GROW;

    file->judged = look->now;
    if (!takes_rows && unread(intake, look, cause) < 0)
        return -1;
    intake->report_due |= decision != DECIDE_WAIT && decision != DECIDE_KNOWN;
    switch (decision) {
    case DECIDE_WAIT:
        return 0;
    case DECIDE_KNOWN:
        return settle(intake, file, look, look->last.at, look->last.seq, false, cause);
    case DECIDE_DUPLICATE:
        return skip_duplicate(intake, file, look, cause);
    case DECIDE_MERGE:
        return accept_file(intake, file, look, VERDICT_MERGED, cause);
    case DECIDE_GROW:
        return accept_file(intake, file, look, VERDICT_GROWN, cause);
    case DECIDE_QUARANTINE:
        return quarantine_file(intake, file, look, cause);
    }
    return 0;
}

/* A grown file whose last row is incomplete: its complete rows alone. */
static bool wants_complete_rows(const struct intake *intake, const struct look *look)
{
    const struct judge *judge = &intake->judge;

    return judge->result.prefix_found && !look->complete_only &&
           (judge_only_truncated(judge) || (judge->result.no_newline && !look->patient));
}

/* It changed under our hands, or its disk failed: no verdict, look again. */
static void put_off(struct intake *intake, struct waiting_file *file, const struct look *look,
                    const char *trouble)
{
    int64_t now = waiting_now(), spent = now - look->now;

    if (trouble != NULL)
        wait_for(intake, file, WAIT_TROUBLE, trouble, now + seconds(intake->config->rescan));
    else /* the larger the file, the later */
        wait_for(intake, file, WAIT_WRITER, "it changed while it was read", now + SOON + 4 * spent);
}

static int intake_file(struct intake *intake, struct waiting_file *file, struct cause *cause)
{
    struct look *look = malloc(sizeof *look);
    enum decision decision = DECIDE_WAIT;
    int steady, result = -1;

    if (look == NULL)
        return cause_memory(cause);
    *look = (struct look){.fd = -1, .rejects = -1, .now = waiting_now()};
    if (!claim(intake, file, look)) {
        free(look);
        return 0;
    }
    if (recall(intake, file, look, cause) < 0)
        goto out;
    if (look->known) {
        result = settle(intake, file, look, look->last.at, look->last.seq, false, cause);
        goto out;
    }
    steady = read_steadily(intake, file, look, cause);
    if (steady > 0 && wants_complete_rows(intake, look)) {
        if (unread(intake, look, cause) < 0)
            goto out;
        look->complete_only = true;
        steady = read_steadily(intake, file, look, cause);
    }
    if (steady < 0 &&
        (cause->kind != CAUSE_TROUBLE || look->sink_failed || cause->errnum == ENOMEM))
        goto out;
    if (steady <= 0) {
        put_off(intake, file, look, steady == 0 ? NULL : cause->text);
        result = unread(intake, look, cause);
        goto out;
    }
    if (decide(intake, file, look, &decision, cause) < 0)
        goto out;
    result = carry_out(intake, file, look, decision, cause);
out:
    if (look->rejects >= 0)
        close(look->rejects);
    close(look->fd);
    free(look);
    return result;
}

/* ---- a batch
 * ------------------------------------------------------------------------------------- */

static int compare_order(const void *left, const void *right)
{
    const struct waiting_file *l = *(struct waiting_file *const *)left,
                              *r = *(struct waiting_file *const *)right;

    return l->order < r->order ? -1 : l->order > r->order;
}

/* All files that are due, in the order in which they came. */
static int run_files(struct intake *intake, struct cause *cause)
{
    struct waiting *waiting = &intake->waiting;
    struct waiting_file **due = calloc(waiting->count + 1, sizeof *due);
    int64_t start = waiting_now(), now = start;
    size_t i, count = 0;
    int result = 0;

    intake->batch_start = start;
    if (due == NULL)
        return cause_memory(cause);
    for (i = 0; i < waiting->count; i++)
        if (waiting->files[i].due <= start)
            due[count++] = &waiting->files[i];
    qsort(due, count, sizeof *due, compare_order);
    for (i = 0; i < count && i < BATCH_FILES && now - start < BATCH_TIME && result == 0; i++) {
        result = intake_file(intake, due[i], cause);
        now = waiting_now();
    }
    free(due);
    return result;
}

/* Earlier copies in quarantine that are the beginning of this file. */
static int resolve(struct intake *intake, const struct booked *booked, struct cause *cause)
{
    struct signature signature;
    int fd, result;

    if (spool_open(intake->dir->drop, booked->name, &fd, &signature) != SPOOL_FILE)
        return 0;
    result = disposal_resolve(intake->dir, booked->name, fd, booked->signature.size, cause);
    close(fd);
    intake->quarantine_changed = true;
    return result;
}

static int finish_file(struct intake *intake, const struct booked *booked, struct cause *cause)
{
    if (booked->settled && seen_put(&intake->seen, booked->name, &booked->signature, booked->at,
                                    booked->young, cause) < 0)
        return -1;
    if (booked->resolves && resolve(intake, booked, cause) < 0)
        return -1;
    if (booked->disposal == DISPOSAL_KEEP && !booked->reasons)
        return 0;
    intake->quarantine_changed = true;
    if (booked->disposal == DISPOSAL_KEEP)
        return disposal_finish(intake->dir, booked->name, booked->seq, DISPOSAL_KEEP, cause);
    if (disposal_take(intake->dir, booked->name, &booked->signature, booked->seq, cause) == 0) {
        count_out(intake, booked->name);
        return disposal_finish(intake->dir, booked->name, booked->seq, booked->disposal, cause);
    }
    if (cause->kind != CAUSE_AGAIN)
        return -1;
    /* Something else stands there now, or nothing; it is looked at again. */
    if (booked->disposal == DISPOSAL_QUARANTINE)
        disposal_drop_reasons(intake->dir, booked->seq);
    else if (booked->reasons &&
             disposal_finish(intake->dir, booked->name, booked->seq, DISPOSAL_KEEP, cause) < 0)
        return -1;
    return intake_arrive(intake, booked->name, false, waiting_now() + SOON, cause);
}

/* Booked and durable: files leave, and what was rejected gets its place. */
static int finish_files(struct intake *intake, struct cause *cause)
{
    size_t i;

    for (i = 0; i < intake->booked_count; i++)
        if (finish_file(intake, &intake->booked[i], cause) < 0)
            return -1;
    return 0;
}

/* The batch never was: its files are due again, and counts that ran ahead are made again from what
 * stands. */
static int undo(struct intake *intake, struct cause *cause)
{
    struct cause second;
    size_t i;

    clear_booked(intake);
    for (i = 0; i < intake->waiting.count; i++) {
        struct waiting_file *file = &intake->waiting.files[i];

        if (file->done || file->judged >= intake->batch_start) {
            file->done = false;
            file->due = intake->batch_start;
        }
    }
    stats_close(&intake->stats);
    if (stats_open(&intake->stats, intake->dir, intake->schema, &second) < 0 ||
        merge_abandon(&intake->merge, &second) < 0) {
        *cause = second;
        cause->kind = CAUSE_STOP;
    }
    return -1;
}

static int begin(struct intake *intake, unsigned wait_ms, bool adopt, struct cause *cause)
{
    if (datadir_open_drop(intake->dir, cause) < 0)
        return -1;
    if (merge_begin(&intake->merge, wait_ms, adopt, cause) < 0) {
        datadir_close_drop(intake->dir);
        return -1;
    }
    if (intake->recover_due || intake->merge.recovered) {
        if (disposal_recover(intake->dir, &intake->merge.ledger, intake->config, cause) < 0)
            goto fail;
        intake->recover_due = false;
        intake->quarantine_changed = true;
    }
    if (stats_catch_up(&intake->stats, &intake->merge.ledger, &intake->merge.training, cause) < 0)
        goto fail;
    return 0;
fail:
    end(intake, false);
    return -1;
}

static void end(struct intake *intake, bool whole)
{
    merge_end(&intake->merge, whole);
    datadir_close_drop(intake->dir);
}

int intake_run(struct intake *intake, unsigned wait_ms, struct cause *cause)
{
    int result;

    if (begin(intake, wait_ms, false, cause) < 0)
        return -1;
    result = run_files(intake, cause);
    if (result == 0)
        result = merge_commit(&intake->merge, cause);
    if (result < 0) {
        if (cause->kind != CAUSE_STOP)
            undo(intake, cause);
        end(intake, cause->kind != CAUSE_STOP);
        intake->recover_due = true;
        return -1;
    }
    intake->stats.at = intake->merge.ledger.end;
    result = finish_files(intake, cause);
    clear_booked(intake);
    waiting_sweep(&intake->waiting);
    intake->recover_due |= result < 0;
    end(intake, result == 0);
    return result;
}

/* ---- adopting
 * ------------------------------------------------------------------------------------ */

struct adoption {
    struct intake *intake;
    int dir_fd;
    uint64_t files;
    struct cause *cause;
    bool failed;
};

/* A file whose rows are in the training file already: its content is known from now on. Valid or
 * not does not matter. */
static void adopt_drop(void *context, const char *name, enum spool_kind kind,
                       const struct signature *signature)
{
    struct adoption *adoption = context;
    struct intake *intake = adoption->intake;
    struct ledger_line *line;
    struct judge_order order = {.name = name};
    struct waiting_file file = {.name = NULL};
    struct signature opened;

    (void)signature;
    if (adoption->failed || kind != SPOOL_FILE ||
        spool_open(adoption->dir_fd, name, &order.fd, &opened) != SPOOL_FILE)
        return;
    order.size = opened.size;
    line = malloc(sizeof *line);
    adoption->failed = line == NULL || judge_run(&intake->judge, &order, adoption->cause) < 0;
    if (!adoption->failed && !intake->judge.result.no_rows) {
        file.name = (char *)(uintptr_t)name;
        fill_line(intake, &file, VERDICT_DUPLICATE, line);
        line->duplicate = intake->judge.result.rows + intake->judge.result.bad_rows;
        adoption->failed = ledger_add(&intake->merge.ledger, line, adoption->cause) < 0;
        adoption->files++;
    }
    free(line);
    close(order.fd);
}

int intake_adopt(struct intake *intake, bool drops_merged, struct cause *cause)
{
    struct adoption adoption = {.intake = intake, .cause = cause};
    uint64_t ignored;
    int result = 0;

    if (begin(intake, 30000, true, cause) < 0)
        return -1;
    if (drops_merged) {
        adoption.dir_fd = intake->dir->drop;
        result = spool_scan(intake->dir->drop, adopt_drop, &adoption, &ignored, cause);
        adoption.dir_fd = intake->dir->archive;
        if (result == 0)
            result = spool_scan(intake->dir->archive, adopt_drop, &adoption, &ignored, cause);
        if (adoption.failed)
            result = -1;
        if (result == 0)
            result = ledger_commit(&intake->merge.ledger, cause);
        if (result == 0)
            log_notice("%" PRIu64 " files in " DATADIR_DROP "/ and archive/ count as merged",
                       adoption.files);
    }
    if (result < 0 && cause->kind != CAUSE_STOP)
        undo(intake, cause);
    if (result == 0)
        result =
            stats_catch_up(&intake->stats, &intake->merge.ledger, &intake->merge.training, cause);
    end(intake, result == 0);
    intake->report_due = true;
    return result;
}

/* ---- reporting
 * ----------------------------------------------------------------------------------- */

static void write_trouble(const struct intake *intake, const char *trouble)
{
    struct cause ignored;

    /* Best effort: where this cannot be written, the log has it. */
    if (trouble[0] == '\0')
        unlinkat(intake->dir->state, "trouble", 0);
    else
        durable_replace(intake->dir->state, "trouble", trouble, strlen(trouble), false, &ignored);
}

int intake_report(struct intake *intake, bool seen, const char *trouble, struct cause *cause)
{
    struct report report = {.stats = &intake->stats,
                            .ledger = &intake->merge.ledger,
                            .quarantine = &intake->quarantine,
                            .user_files = intake->user_files,
                            .total_user_samples = intake->user_rows,
                            .waiting = waiting_unjudged(&intake->waiting),
                            .training_inode = intake->merge.training.inode,
                            .time = real_now()};

    write_trouble(intake, trouble);
    if (intake->quarantine_changed) {
        if (disposal_survey(intake->dir, &intake->merge.ledger, &intake->quarantine, cause) < 0)
            return -1;
        intake->quarantine_changed = false;
    }
    if (waiting_save(&intake->waiting, intake->dir->state, cause) < 0 ||
        (seen && seen_save(&intake->seen, cause) < 0))
        return -1;
    if (!intake->report_due)
        return 0;
    if (stats_save(&intake->stats, cause) < 0 || report_write(&report, intake->dir, cause) < 0)
        return -1;
    intake->report_due = false;
    return 0;
}

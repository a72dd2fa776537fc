#include "ingest/batch.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ingest/adopt.h"
#include "ingest/classify.h"
#include "fs/durable.h"
#include "base/log.h"
#include "ops/report.h"

#define BATCH_FILES 10000
#define BATCH_TIME  INT64_C(500000000) /* a batch that has taken so long is committed */

/* In the middle of a large file no other process has its turn: it would merge a copy of it, too. */
static void give_lock_back(struct intake *intake, bool whole)
{
    if (!intake->paused || !whole)
        merge_end(&intake->merge, whole);
}

/* But if it does not go on now. */
static void let_others_in(struct intake *intake)
{
    if (intake->paused && intake->merge.lock.fd >= 0)
        merge_end(&intake->merge, true);
    intake->paused = false;
}

int intake_open(struct intake *intake, const struct config *config, const struct schema *schema,
                struct datadir *dir, const char *program, drop_tell *tell, void *tell_context,
                struct cause *cause)
{
    *intake = (struct intake){.config = config, .dir = dir, .recover_due = true};
    intake->desk =
        (struct desk){.config = config, .dir = dir, .merge = &intake->merge, .drop = &intake->drop};
    if (merge_open(&intake->merge, dir, schema, program, cause) < 0 ||
        (intake->readers = readers_open(&intake->desk, schema, cause)) == NULL ||
        drop_open(&intake->drop, config, &intake->merge.ledger, dir->state, cause) < 0 ||
        booking_open(&intake->booking, &intake->desk, schema, cause) < 0) {
        intake_close(intake);
        return -1;
    }
    intake->drop.tell = tell;
    intake->drop.tell_context = tell_context;
    return 0;
}

void intake_close(struct intake *intake)
{
    let_others_in(intake);
    booking_close(&intake->booking);
    drop_close(&intake->drop);
    readers_close(intake->readers);
    merge_close(&intake->merge);
}

int64_t intake_due(const struct intake *intake)
{
    return readers_apart_ready(intake->readers) ? 0 : drop_due(&intake->drop);
}

int intake_fd(const struct intake *intake)
{
    return readers_fd(intake->readers);
}

bool intake_is_reading(const struct intake *intake)
{
    return readers_reading_apart(intake->readers) != NULL;
}

/* ---- the lock
 * ------------------------------------------------------------------------------------
 */

static void end(struct intake *intake, bool whole)
{
    give_lock_back(intake, whole);
    datadir_close_drop(intake->dir);
}

/* Takes the lock, and notes if others have booked lines meanwhile. */
static int take_lock(struct intake *intake, unsigned wait_ms, bool adopt, struct cause *cause)
{
    const uint64_t end_before = intake->merge.ledger.end;

    if (intake->merge.lock.fd >= 0)
        return merge_go_on(&intake->merge, cause);
    if (merge_begin(&intake->merge, wait_ms, adopt, cause) < 0)
        return -1;
    intake->recount_due |= intake->merge.ledger.end != end_before;
    return 0;
}

static int begin(struct intake *intake, unsigned wait_ms, bool adopt, struct cause *cause)
{
    struct merge *merge = &intake->merge;

    if (datadir_open_drop(intake->dir, cause) < 0) {
        let_others_in(intake);
        return -1;
    }
    if (take_lock(intake, wait_ms, adopt, cause) < 0) {
        let_others_in(intake);
        datadir_close_drop(intake->dir);
        return -1;
    }
    if (intake->recover_due || merge->recovered) {
        durable_sweep(intake->dir->state);
        durable_sweep(intake->dir->stats);
        durable_sweep(intake->dir->cut);
        if (disposal_recover(intake->dir, &merge->ledger, intake->config, cause) < 0)
            goto fail;
        intake->recover_due = merge->recovered = false;
        intake->booking.quarantine_changed = true;
    }
    if (stats_catch_up(&intake->booking.stats, &merge->ledger, &merge->training, cause) < 0)
        goto fail;
    return 0;
fail:
    end(intake, false);
    return -1;
}

int intake_scan(struct intake *intake, int64_t due, unsigned wait_ms, struct cause *cause)
{
    int result;

    if (begin(intake, wait_ms, false, cause) < 0)
        return -1;
    end(intake, true);
    if (datadir_open_drop(intake->dir, cause) < 0)
        return -1;
    result = drop_scan(&intake->drop, intake->dir->drop, due, cause);
    datadir_close_drop(intake->dir);
    intake->recount_due &= result < 0;
    return result;
}

int intake_look_into(struct intake *intake, const char *directory, int64_t due, struct cause *cause)
{
    int result;

    if (datadir_open_drop(intake->dir, cause) < 0)
        return -1;
    result = drop_look_into(&intake->drop, intake->dir->drop, directory, due, cause);
    datadir_close_drop(intake->dir);
    return result;
}

/* ---- a batch
 * -------------------------------------------------------------------------------------
 */

/* The same content as the large file has that is booked in part? That will be known as a whole. */
static bool is_copy_of_paused(struct intake *intake, struct look *look)
{
    const struct look *paused =
        readers_apart_ready(intake->readers) ? readers_reading_apart(intake->readers) : NULL;
    const struct judgement *one = &look->judgement, *other;

    if (paused == NULL || !look_is_paused(paused))
        return false;
    other = &paused->judgement;
    if (memcmp(one->sha256, other->sha256, DIGEST_SIZE) != 0 || one->has_meta != other->has_meta ||
        one->meta != other->meta)
        return false;
    look->file->due = WAITING_NEVER;
    look->file->judged = look->now;
    look->file->turn = true;
    return true;
}

/* ... check, merge or reject. */
static int finish_file(struct intake *intake, struct look *look, int read, struct cause *cause)
{
    enum decision decision;
    int result;

    /* Another file has been booked meanwhile that this one may go on from: once more. */
    if (read > 0 && recall_is_overtaken(&look->recall, &intake->merge.ledger, look->name)) {
        cause_set(cause, CAUSE_AGAIN, "%s may go on from another file", look->name);
        look->now = waiting_now();
        read = 0;
    }
    result = read;
    if (read == 0)
        look_put_off(look, cause);
    if (look_is_paused(look))
        decision =
            look->judgement.prefix_found || look->pieces.known > 0 ? DECIDE_GROW : DECIDE_MERGE;
    else if (read > 0 && is_copy_of_paused(intake, look))
        result = 0; /* its turn comes once that one is booked */
    else if (read > 0 && decide_file(look, &decision, cause) < 0)
        result = -1;
    if (result > 0)
        result = booking_carry_out(&intake->booking, look, decision, cause);
    if (result >= 0 && look_is_paused(look))
        readers_put_back(intake->readers, look);
    else
        readers_release(intake->readers, look);
    return result < 0 ? -1 : 0;
}

/* The one that was begun first. 1: done; 0: none is being read; -1. */
static int finish_next(struct intake *intake, struct cause *cause)
{
    int read;
    struct look *look = readers_next(intake->readers, &read, cause);

    if (look == NULL)
        return 0;
    return finish_file(intake, look, read, cause) < 0 ? -1 : 1;
}

/* It was read without the lock, or others had their turn: does what was read still count? */
static int take_up(struct look *look, struct waiting_file *file, int *read, struct cause *cause)
{
    int result =
        look_is_paused(look) ? look_resume(look, file, cause) : look_rejoin(look, file, cause);

    if (result == 0) {
        cause_set(cause, CAUSE_AGAIN, "something happened to %s while it was read", look->name);
        look->now = waiting_now(); /* soon again */
        *read = 0;
    }
    return result;
}

/* The next of those that wait to be read apart. */
static void next_turn(struct waiting *waiting)
{
    size_t i;

    for (i = 0; i < waiting->count; i++) {
        if (waiting->files[i].turn)
            waiting->files[i].due = waiting_now();
        waiting->files[i].turn = false;
    }
}

/* A large file, begun some batches ago. 1: done, or a piece of it; 0: none is ready; -1. */
static int finish_apart(struct intake *intake, struct cause *cause)
{
    struct waiting *waiting = &intake->drop.waiting;
    struct waiting_file *file;
    int read, result;
    struct look *look = readers_apart(intake->readers, &read, cause);
    bool again;

    if (look == NULL)
        return 0;
    again = look->again;
    file = waiting_add(waiting, look->name);
    if (file == NULL || take_up(look, file, &read, cause) < 0) {
        readers_release(intake->readers, look);
        result = file == NULL ? cause_memory(cause) : -1;
    } else {
        result = finish_file(intake, look, read, cause);
    }
    intake->paused = intake->others_first = readers_reading_apart(intake->readers) != NULL;
    if (!intake->paused)
        next_turn(waiting);
    /* It was judged before this batch began: undo leaves it. */
    if (file != NULL && (result < 0 || (again && !intake->paused))) {
        file->done = false;
        file->due = waiting_now();
    }
    return result < 0 ? -1 : 1;
}

/* It may take long, and others shall not wait for it. */
static int begin_apart(struct intake *intake, struct look *look, struct cause *cause)
{
    look->file->due = WAITING_NEVER;
    look->file->judged = look->now;
    if (readers_reading_apart(intake->readers) != NULL) {
        look->file->turn = true;
    } else if (readers_read_apart(intake->readers, look, cause) == 0) {
        return 0;
    } else {
        log_warning("%s: %s", look->name, cause->text);
        look->file->due = look->now + waiting_seconds(1);
    }
    readers_release(intake->readers, look);
    return 0;
}

/* The story of a file: claim, read, ... */
static int begin_file(struct intake *intake, struct look *look, struct waiting_file *file,
                      bool alone, struct cause *cause)
{
    struct look *apart = readers_reading_apart(intake->readers);
    int result = 0;

    if (apart != NULL && strcmp(apart->name, file->name) == 0) {
        apart->again = true;
        file->due = WAITING_NEVER;
    } else {
        result = look_claim(look, file, cause);
    }
    if (result > 0 && !look->known) {
        if (readers_is_large(look))
            return begin_apart(intake, look, cause);
        while (result >= 0 && !readers_have_room(intake->readers, look))
            result = finish_next(intake, cause);
        if (result >= 0) {
            readers_read(intake->readers, look, alone);
            return 0;
        }
    }
    if (result > 0)
        result = booking_carry_out(&intake->booking, look, DECIDE_KNOWN, cause);
    readers_release(intake->readers, look);
    return result;
}

static int compare_order(const void *left, const void *right)
{
    const struct waiting_file *l = *(struct waiting_file *const *)left;
    const struct waiting_file *r = *(struct waiting_file *const *)right;

    return l->order < r->order ? -1 : l->order > r->order;
}

/* All files that are due, in the order in which they came. */
static int run_files(struct intake *intake, struct cause *cause)
{
    struct waiting *waiting = &intake->drop.waiting;
    struct waiting_file **due = calloc(waiting->count + 1, sizeof(struct waiting_file *));
    int64_t start = intake->batch_start, now = start;
    size_t i, count = 0;
    int result = 0, finished;

    if (due == NULL)
        return cause_memory(cause);
    for (i = 0; i < waiting->count; i++)
        if (waiting->files[i].due <= start)
            due[count++] = &waiting->files[i];
    qsort(due, count, sizeof(struct waiting_file *), compare_order);
    readers_begin(intake->readers, due, count < BATCH_FILES ? count : BATCH_FILES);
    for (i = 0; i < count && i < BATCH_FILES && now - start < BATCH_TIME && result >= 0; i++) {
        struct look *look;

        while (result >= 0 && (look = readers_look(intake->readers)) == NULL)
            result = finish_next(intake, cause);
        if (result >= 0)
            result = begin_file(intake, look, due[i], count == 1, cause);
        now = waiting_now();
    }
    while (result >= 0 && (finished = finish_next(intake, cause)) != 0)
        result = finished;
    readers_drop(intake->readers);
    free(due);
    return result < 0 ? -1 : 0;
}

/* The batch never was: its files are due again, and the counts go back. */
static void undo(struct intake *intake, struct cause *cause)
{
    struct cause second;
    size_t i;

    for (i = 0; i < intake->drop.waiting.count; i++) {
        struct waiting_file *file = &intake->drop.waiting.files[i];

        if (file->done || file->judged >= intake->batch_start) {
            file->done = false;
            file->due = intake->batch_start;
        }
    }
    if (booking_forget(&intake->booking, &second) < 0 ||
        merge_abandon(&intake->merge, &second) < 0) {
        *cause = second;
        cause->kind = CAUSE_STOP;
    }
    intake->recover_due = intake->recount_due = true;
}

int intake_run(struct intake *intake, unsigned wait_ms, struct cause *cause)
{
    bool others;
    int result;

    if (begin(intake, wait_ms, false, cause) < 0)
        return -1;
    result = drop_wake(&intake->drop, cause);
    intake->batch_start = waiting_now();
    others = intake->others_first && drop_due(&intake->drop) <= intake->batch_start;
    intake->others_first = false;
    if (result == 0 && !others)
        result = finish_apart(intake, cause);
    if (result == 0)
        result = run_files(intake, cause);
    if (result >= 0)
        result = booking_sync(&intake->booking, cause);
    if (result >= 0)
        result = merge_commit(&intake->merge, cause);
    if (result < 0) {
        intake->paused = false;
        if (cause->kind != CAUSE_STOP)
            undo(intake, cause);
        end(intake, cause->kind != CAUSE_STOP);
        return -1;
    }
    intake->booking.stats.at = intake->merge.ledger.end;
    result = booking_finish(&intake->booking, cause);
    /* After a crash it may have another name: its inode must be known. */
    if (result == 0 && intake->paused)
        result = seen_save(&intake->drop.seen, cause);
    waiting_sweep(&intake->drop.waiting);
    intake->recover_due |= result < 0;
    end(intake, result == 0);
    return result;
}

/* ---- adopting
 * ------------------------------------------------------------------------------------
 */

int intake_adopt(struct intake *intake, bool drops_merged, struct cause *cause)
{
    int result;

    if (begin(intake, 30000, true, cause) < 0)
        return -1;
    /* One batch with the adopted line: after a crash all of it is booked, or nothing. */
    result = drops_merged ? adopt_drops(&intake->desk, readers_judge(intake->readers), cause) : 0;
    if (result == 0)
        result = ledger_commit(&intake->merge.ledger, cause);
    if (result == 0)
        result = stats_catch_up(&intake->booking.stats, &intake->merge.ledger,
                                &intake->merge.training, cause);
    end(intake, result == 0);
    return result;
}

/* ---- reporting
 * -----------------------------------------------------------------------------------
 */

/* A file that was touched, and found to be as it was, waits no more: that changes nothing else. */
bool intake_report_due(const struct intake *intake)
{
    return intake->drop.changed || intake->booking.quarantine_changed ||
           waiting_unjudged(&intake->drop.waiting) != intake->reported_waiting;
}

/* Best effort: where this cannot be written, the log has it. */
static void write_trouble(const struct intake *intake, const char *trouble)
{
    struct cause ignored;

    if (trouble[0] == '\0')
        unlinkat(intake->dir->state, "trouble", 0);
    else
        durable_replace(intake->dir->state, "trouble", trouble, strlen(trouble), false, &ignored);
}

/* Another process that reported after us may have seen less of the drop directory: ours are written
 * again. */
static void notice_other_report(struct intake *intake)
{
    struct signature now = {0};

    spool_look(intake->dir->stats, "stats.json", &now);
    if (!signature_equal(&now, &intake->reported))
        intake->drop.changed = intake->drop.waiting.changed = intake->booking.quarantine_changed =
            true;
}

static int write_report(struct intake *intake, bool seen, struct cause *cause)
{
    struct drop *drop = &intake->drop;
    struct booking *booking = &intake->booking;
    struct timespec now;
    struct report report = {.stats = &booking->stats,
                            .ledger = &intake->merge.ledger,
                            .quarantine = &intake->quarantine,
                            .user_files = drop->files,
                            .total_user_samples = drop->rows,
                            .waiting = waiting_unjudged(&drop->waiting),
                            .training_inode = intake->merge.training.inode};

    notice_other_report(intake);
    if (waiting_save(&drop->waiting, intake->dir->state, cause) < 0 ||
        (seen && seen_save(&drop->seen, cause) < 0))
        return -1;
    if (!intake_report_due(intake))
        return 0;
    if (booking->quarantine_changed &&
        survey_quarantine(intake->dir, &intake->merge.ledger, &intake->quarantine, cause) < 0)
        return -1;
    booking->quarantine_changed = false;
    clock_gettime(CLOCK_REALTIME, &now);
    report.time = now.tv_sec * WAITING_SECOND + now.tv_nsec;
    if (stats_save(&booking->stats, cause) < 0 || report_write(&report, intake->dir, cause) < 0)
        return -1;
    spool_look(intake->dir->stats, "stats.json", &intake->reported);
    intake->reported_waiting = report.waiting;
    drop->changed = false;
    return 0;
}

/* Under the lock, too: two processes must not write the same temporary files. */
int intake_report(struct intake *intake, bool seen, unsigned wait_ms, const char *trouble,
                  struct cause *cause)
{
    int result;

    write_trouble(intake, trouble);
    if (take_lock(intake, wait_ms, false, cause) < 0)
        return -1;
    if (intake->recount_due && datadir_open_drop(intake->dir, cause) == 0) {
        intake->recount_due = drop_scan(&intake->drop, intake->dir->drop, WAITING_NEVER, cause) < 0;
        datadir_close_drop(intake->dir);
    }
    result = stats_catch_up(&intake->booking.stats, &intake->merge.ledger, &intake->merge.training,
                            cause);
    if (result == 0)
        result = write_report(intake, seen, cause);
    give_lock_back(intake, !intake->merge.recovered);
    return result;
}

#include "ingest/outcome.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/vector.h"
#include "ingest/placement.h"

struct post_commit {
    char *name; /* owned */
    struct file_id file_id;
    uint64_t at, seq;         /* its ledger line */
    char *detail;             /* to be told; NULL: nothing is. Owned */
    enum verdict verdict;     /* to be told */
    uint64_t rows;            /* likewise */
    enum placement disposal;  /* PLACE_KEEP: it stays */
    struct sidecars sidecars; /* go where it goes */
    bool reasons;             /* rejected rows wait in state/moving/ */
    bool resolves;            /* its name may have copies in quarantine that it supersedes */
    bool settled;             /* all of it is booked: it need not be read again */
    bool racy;                /* seen.h */
};

int outcome_open(struct outcome *outcome, struct ingest_env *env, const struct schema *schema,
                 struct cause *cause)
{
    *outcome = (struct outcome){.env = env, .quarantine_changed = true};
    return tally_file_open(&outcome->stats, env->dir, schema, cause);
}

static void clear(struct outcome *outcome)
{
    size_t i;

    for (i = 0; i < outcome->count; i++) {
        free(outcome->list[i].name);
        free(outcome->list[i].detail);
    }
    outcome->count = 0;
}

void outcome_close(struct outcome *outcome)
{
    tally_file_close(&outcome->stats);
    durable_group_forget(&outcome->reasons);
    clear(outcome);
    free(outcome->list);
    outcome->list = NULL;
    outcome->cap = 0;
}

int outcome_discard(struct outcome *outcome, struct cause *cause)
{
    const struct schema *schema = outcome->stats.schema;

    durable_group_forget(&outcome->reasons);
    clear(outcome);
    tally_file_close(&outcome->stats);
    return tally_file_open(&outcome->stats, outcome->env->dir, schema, cause);
}

void outcome_fill_line(const char *name, const struct check_result *result, enum verdict verdict,
                       struct ledger_line *line)
{
    *line = (struct ledger_line){.name = name,
                                 .verdict = verdict,
                                 .time = clock_real(),
                                 .bytes = result->bytes,
                                 .has_meta = result->has_meta,
                                 .meta = result->meta,
                                 .range_hash = digest_check("", 0)};
    memcpy(line->sha256, result->sha256, DIGEST_SIZE);
}

/* Books the line, and its rows with those of the drop directory. */
static int book(struct outcome *outcome, struct upload *upload, struct ledger_line *line,
                const struct tally *tally, struct cause *cause)
{
    struct ledger *ledger = &outcome->env->transaction->ledger;
    struct dropdir *drop = outcome->env->dropdir;
    uint64_t before = ledger_rows_of(ledger, line->name);

    if (ledger_add(ledger, line, cause) < 0 ||
        tally_file_apply(&outcome->stats, line, tally, cause) < 0)
        return -1;
    if (line->verdict != VERDICT_QUARANTINED && upload_note_recorded(upload, cause) < 0)
        return -1;
    if (dropdir_counts(drop, line->name, upload->file))
        drop->rows += ledger_rows_of(ledger, line->name) - before;
    drop->changed = true;
    return 0;
}

/* The batch is not durable yet: what is to be done then is kept. `line`: NULL, if nothing is told.
 */
static struct post_commit *keep(struct outcome *outcome, const struct upload *upload,
                                const struct ledger_line *line, const char *detail,
                                struct cause *cause)
{
    struct post_commit *post_commit;

    if (vector_grow(&outcome->list, sizeof *outcome->list, outcome->count, &outcome->cap) < 0) {
        cause_memory(cause);
        return NULL;
    }
    post_commit = &outcome->list[outcome->count];
    *post_commit = (struct post_commit){.name = strdup(upload->file->name),
                                        .file_id = upload->file_id,
                                        .sidecars = upload->sidecars,
                                        .at = line->at,
                                        .seq = line->seq,
                                        .verdict = line->verdict,
                                        .rows = line->rows};
    outcome->count++;
    if (detail != NULL)
        post_commit->detail = strdup(detail);
    if (post_commit->name == NULL || (detail != NULL && post_commit->detail == NULL)) {
        cause_memory(cause);
        return NULL;
    }
    return post_commit;
}

/* An accepted file stays, or leaves once it is quiet. */
static int settle(struct outcome *outcome, const struct upload *upload,
                  const struct ledger_line *line, const char *detail, struct cause *cause)
{
    const struct ingest_env *env = outcome->env;
    const int64_t settle_time = clock_seconds(env->config->settle);
    enum placement disposal = placement_of_accepted(env->config);
    struct post_commit *post_commit = keep(outcome, upload, line, detail, cause);
    int64_t due;

    if (post_commit == NULL)
        return -1;
    post_commit->reasons = detail != NULL && line->rejected > 0;
    post_commit->resolves = upload->history.has_last;
    post_commit->settled = upload->unchanged || upload->check_result.rest == 0;
    post_commit->racy = clock_real() - upload->file_id.ctime < FILE_CACHE_RACY_AGE;
    if (!post_commit->settled) {
        dropdir_wait(env->dropdir, upload->file, PENDING_INCOMPLETE,
                     "its last row is incomplete; the rows before it are merged",
                     upload->now + settle_time);
    } else if (disposal == PLACE_KEEP || upload->may_reject) {
        post_commit->disposal = disposal;
        pending_done(upload->file);
    } else {
        /* Who keeps it open may do so for long. */
        due = upload->has_writer ? upload->now + clock_seconds(env->config->rescan)
                                 : upload->file->unchanged_since + settle_time;
        dropdir_wait(env->dropdir, upload->file, PENDING_ACCEPTED,
                     "accepted; it leaves once it is quiet",
                     due > upload->now ? due : upload->now + PENDING_SOON);
    }
    return 0;
}

static int accept_file(struct outcome *outcome, struct upload *upload, enum verdict verdict,
                       struct cause *cause)
{
    const struct ingest_env *env = outcome->env;
    const struct check_result *result = &upload->check_result;
    struct ledger_line line;
    char detail[96];

    /* The reasons of rejected rows must be durable before the line that books them. */
    if (result->violations.total > 0 &&
        placement_write_reasons(env->dir, env->transaction->ledger.next_seq, &result->violations,
                                &upload->rejected, &outcome->reasons, cause) < 0)
        return -1;
    outcome_fill_line(upload->file->name, result, verdict, &line);
    line.rows = result->rows;
    line.rejected = result->bad_rows;
    if (result->prefix_found && upload->prefix_source != PREFIX_OWN)
        line.duplicate = upload->prefix_rows;
    line.length = upload->accepted.length;
    line.range_hash = spill_hash(&upload->accepted);
    if (training_append(&env->transaction->training, &upload->accepted, env->pool, cause) < 0 ||
        book(outcome, upload, &line, &result->tally, cause) < 0)
        return -1;
    snprintf(detail, sizeof detail, "%" PRIu64 "%s row%s", line.rows,
             verdict == VERDICT_GROWN ? " new" : "", line.rows == 1 ? "" : "s");
    if (line.rejected > 0)
        snprintf(detail + strlen(detail), sizeof detail - strlen(detail),
                 ", %" PRIu64 " rejected: see quarantine/", line.rejected);
    return settle(outcome, upload, &line, detail, cause);
}

static int skip_duplicate(struct outcome *outcome, struct upload *upload, struct cause *cause)
{
    const struct ingest_env *env = outcome->env;
    const struct check_result *result = &upload->check_result;
    struct ledger_line line, known;
    struct buffer detail = {0};
    int done = -1;

    if (ledger_content(&env->transaction->ledger, result->sha256, result->has_meta, result->meta,
                       NULL, &known, cause) < 0)
        goto out;
    buffer_printf(&detail, "the same content as %s: nothing to merge", known.name);
    outcome_fill_line(upload->file->name, result, VERDICT_DUPLICATE, &line);
    line.duplicate = result->rows + result->bad_rows;
    if (result->prefix_found)
        line.duplicate += upload->prefix_rows;
    if (book(outcome, upload, &line, &upload->check_result.tally, cause) < 0 ||
        settle(outcome, upload, &line, buffer_text(&detail), cause) < 0)
        goto out;
    done = 0;
out:
    buffer_free(&detail);
    return done;
}

/* The same bad content once more, from a nightly re-send or a crash before the move. */
static bool is_quarantined_already(const struct upload *upload)
{
    const struct check_result *result = &upload->check_result;

    return history_last_is(&upload->history, result->sha256, upload_meta(upload)) &&
           upload->history.last.verdict == VERDICT_QUARANTINED;
}

static int quarantine_file(struct outcome *outcome, struct upload *upload, struct cause *cause)
{
    const struct ingest_env *env = outcome->env;
    const struct check_result *result = &upload->check_result;
    bool again = is_quarantined_already(upload);
    struct ledger_line line;
    struct buffer detail = {0};
    struct post_commit *post_commit;
    int done = -1;

    outcome_fill_line(upload->file->name, result, VERDICT_QUARANTINED, &line);
    line.rejected = result->rows + result->bad_rows;
    line.seq = again ? upload->history.last.seq : env->transaction->ledger.next_seq;
    /* Where the line stands already nothing will wait for them. */
    if (placement_write_reasons(env->dir, line.seq, &result->violations, NULL,
                                again ? NULL : &outcome->reasons, cause) < 0 ||
        (!again && book(outcome, upload, &line, &result->tally, cause) < 0))
        goto out;
    violations_summary(&result->violations, &detail);
    buffer_printf(&detail, "; see quarantine/%s.errors.csv", upload->file->name);
    post_commit = keep(outcome, upload, &line, buffer_text(&detail), cause);
    if (post_commit == NULL)
        goto out;
    post_commit->disposal = PLACE_QUARANTINE;
    pending_done(upload->file);
    done = 0;
out:
    buffer_free(&detail);
    return done;
}

int outcome_record(struct outcome *outcome, struct upload *upload, enum file_class decision,
                   struct cause *cause)
{
    pending_checked(upload->file, upload->now);
    switch (decision) {
    case CLASS_WAITS:
        return 0;
    case CLASS_UNCHANGED:
        return settle(outcome, upload, &upload->history.last, NULL, cause);
    case CLASS_DUPLICATE:
        return skip_duplicate(outcome, upload, cause);
    case CLASS_NEW:
        return accept_file(outcome, upload, VERDICT_MERGED, cause);
    case CLASS_GROWN:
        return accept_file(outcome, upload, VERDICT_GROWN, cause);
    case CLASS_BAD:
        return quarantine_file(outcome, upload, cause);
    }
    return 0;
}

int outcome_sync(struct outcome *outcome, struct cause *cause)
{
    return durable_group_sync(&outcome->reasons, "state/moving/ (reasons)", cause);
}

/* ---- once it is durable ------------------------------------------------------------------- */

/* Earlier copies in quarantine that are the beginning of this file. */
static int resolve(struct outcome *outcome, const struct post_commit *post_commit,
                   struct cause *cause)
{
    const struct datadir *dir = outcome->env->dir;
    struct file_id file_id;
    int fd, result;

    outcome->quarantine_changed = true;
    if (beneath_open(dir->drop, post_commit->name, &fd, &file_id) != FILE_REGULAR)
        return 0;
    result = placement_resolve(dir, post_commit->name, fd, post_commit->file_id.size, cause);
    close(fd);
    return result;
}

static int leave(struct outcome *outcome, const struct post_commit *post_commit,
                 struct cause *cause)
{
    const struct datadir *dir = outcome->env->dir;

    outcome->quarantine_changed = true;
    if (placement_take_sidecars(dir, post_commit->name, &post_commit->sidecars, post_commit->seq,
                                cause) < 0)
        return -1;
    if (placement_take(dir, post_commit->name, &post_commit->file_id, post_commit->seq, cause) ==
        0) {
        dropdir_count_out(outcome->env->dropdir, post_commit->name);
        return placement_finish(dir, post_commit->name, post_commit->seq, post_commit->disposal,
                                cause);
    }
    if (cause->kind != CAUSE_CHANGED ||
        placement_return_sidecars(dir, post_commit->name, post_commit->seq, cause) < 0)
        return -1;
    /* Something else stands there now, or nothing; it is looked at again. */
    if (post_commit->disposal == PLACE_QUARANTINE)
        placement_drop_reasons(dir, post_commit->seq);
    else if (post_commit->reasons &&
             placement_finish(dir, post_commit->name, post_commit->seq, PLACE_KEEP, cause) < 0)
        return -1;
    return dropdir_arrive(outcome->env->dropdir, post_commit->name, false,
                          clock_monotonic() + PENDING_SOON, cause);
}

/* What is booked only in part is to be read again, but its inode must be known: it may be renamed.
 */
static int remember(struct dropdir *drop, const struct post_commit *post_commit,
                    struct cause *cause)
{
    struct file_id file_id = post_commit->file_id;

    if (!post_commit->settled)
        file_id.size = UINT64_MAX; /* holds for no file */
    return file_cache_put(&drop->file_cache, post_commit->name, &file_id, post_commit->at,
                          post_commit->racy, cause);
}

static int finish_file(struct outcome *outcome, const struct post_commit *post_commit,
                       struct cause *cause)
{
    struct dropdir *drop = outcome->env->dropdir;

    if (post_commit->detail != NULL)
        dropdir_notify(drop, ingest_event_of(post_commit->verdict), post_commit->name,
                       post_commit->rows, post_commit->detail);
    outcome->quarantined_files += post_commit->verdict == VERDICT_QUARANTINED;
    if (post_commit->disposal != PLACE_QUARANTINE && remember(drop, post_commit, cause) < 0)
        return -1;
    if (post_commit->settled && post_commit->racy && post_commit->disposal == PLACE_KEEP)
        dropdir_recheck(drop, post_commit->name, &post_commit->file_id, post_commit->at);
    if (post_commit->resolves && resolve(outcome, post_commit, cause) < 0)
        return -1;
    if (post_commit->disposal != PLACE_KEEP)
        return leave(outcome, post_commit, cause);
    if (!post_commit->reasons)
        return 0;
    outcome->quarantine_changed = true;
    return placement_finish(outcome->env->dir, post_commit->name, post_commit->seq, PLACE_KEEP,
                            cause);
}

int outcome_apply(struct outcome *outcome, struct cause *cause)
{
    size_t i;
    int result = 0;

    for (i = 0; i < outcome->count && result == 0; i++)
        result = finish_file(outcome, &outcome->list[i], cause);
    clear(outcome);
    return result;
}

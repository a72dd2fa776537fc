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
    char *name;   /* owned, as detail */
    char *detail; /* for the log; NULL: nothing is logged */
    struct file_id file_id;
    uint64_t at, seq;         /* place and number of its ledger line */
    enum verdict verdict;     /* in the log message */
    uint64_t rows;            /* likewise */
    enum placement placement; /* destination; PLACE_KEEP: none */
    struct sidecars sidecars; /* moved with it */
    bool has_rejects;         /* rejected rows are in state/moving/ */
    bool may_resolve;         /* quarantine may hold copies that this file supersedes */
    bool is_complete;         /* no incomplete last row is left: do not read it again */
    bool is_racy;             /* timestamps too fresh to be trusted (file_cache.h) */
};

int outcome_open(struct outcome *outcome, struct ingest_env *env, const struct schema *schema,
                 struct cause *cause)
{
    *outcome = (struct outcome){.env = env, .quarantine_changed = true};
    return tally_file_open(&outcome->tally_file, env->dir, schema, cause);
}

static void clear_queue(struct outcome *outcome)
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
    tally_file_close(&outcome->tally_file);
    durable_group_forget(&outcome->reasons);
    clear_queue(outcome);
    free(outcome->list);
    outcome->list = NULL;
    outcome->cap = 0;
}

int outcome_discard(struct outcome *outcome, struct cause *cause)
{
    const struct schema *schema = outcome->tally_file.schema;

    durable_group_forget(&outcome->reasons);
    clear_queue(outcome);
    tally_file_close(&outcome->tally_file);
    return tally_file_open(&outcome->tally_file, outcome->env->dir, schema, cause);
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

/* Add the line to the ledger and to all counts. */
static int record_line(struct outcome *outcome, struct upload *upload, struct ledger_line *line,
                       const struct tally *tally, struct cause *cause)
{
    struct ledger *ledger = &outcome->env->transaction->ledger;
    struct dropdir *drop = outcome->env->dropdir;
    uint64_t before = ledger_rows_of(ledger, line->name);

    if (ledger_add(ledger, line, cause) < 0 ||
        tally_file_apply(&outcome->tally_file, line, tally, cause) < 0)
        return -1;
    if (line->verdict != VERDICT_QUARANTINED && upload_note_recorded(upload, cause) < 0)
        return -1;
    if (dropdir_counts(drop, line->name, upload->file))
        drop->rows += ledger_rows_of(ledger, line->name) - before;
    drop->changed = true;
    return 0;
}

/* Queue what must happen after the commit. `detail` NULL: log nothing. */
static struct post_commit *queue_file(struct outcome *outcome, const struct upload *upload,
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

/* An accepted file stays where it is, or leaves the drop directory once it is quiet. */
static int queue_accepted(struct outcome *outcome, const struct upload *upload,
                          const struct ledger_line *line, const char *detail, struct cause *cause)
{
    const struct ingest_env *env = outcome->env;
    const int64_t settle_time = clock_seconds(env->config->settle);
    enum placement placement = placement_of_accepted(env->config);
    struct post_commit *post_commit = queue_file(outcome, upload, line, detail, cause);
    int64_t due;

    if (post_commit == NULL)
        return -1;
    post_commit->has_rejects = detail != NULL && line->rejected > 0;
    post_commit->may_resolve = upload->history.has_last;
    post_commit->is_complete = upload->unchanged || upload->check_result.rest == 0;
    post_commit->is_racy = clock_real() - upload->file_id.ctime < FILE_CACHE_RACY_AGE;
    if (!post_commit->is_complete) {
        dropdir_wait(env->dropdir, upload->file, PENDING_INCOMPLETE,
                     "its last row is incomplete; the rows before it are merged",
                     upload->now + settle_time);
    } else if (placement == PLACE_KEEP || upload->may_reject) {
        post_commit->placement = placement;
        pending_done(upload->file);
    } else {
        /* A writer may keep it open for long. */
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

    /* The reasons of rejected rows must be durable before the line that records them. */
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
        record_line(outcome, upload, &line, &result->tally, cause) < 0)
        return -1;
    snprintf(detail, sizeof detail, "%" PRIu64 "%s row%s", line.rows,
             verdict == VERDICT_GROWN ? " new" : "", line.rows == 1 ? "" : "s");
    if (line.rejected > 0)
        snprintf(detail + strlen(detail), sizeof detail - strlen(detail),
                 ", %" PRIu64 " rejected: see quarantine/", line.rejected);
    return queue_accepted(outcome, upload, &line, detail, cause);
}

static int skip_duplicate(struct outcome *outcome, struct upload *upload, struct cause *cause)
{
    const struct ingest_env *env = outcome->env;
    const struct check_result *result = &upload->check_result;
    struct ledger_line line, known;
    struct buffer detail = {0};
    int done = -1;

    if (ledger_content(&env->transaction->ledger, result->sha256, upload_meta(upload), NULL, &known,
                       cause) < 0)
        goto out;
    buffer_printf(&detail, "the same content as %s: nothing to merge", known.name);
    outcome_fill_line(upload->file->name, result, VERDICT_DUPLICATE, &line);
    line.duplicate = result->rows + result->bad_rows;
    if (result->prefix_found)
        line.duplicate += upload->prefix_rows;
    if (record_line(outcome, upload, &line, &upload->check_result.tally, cause) < 0 ||
        queue_accepted(outcome, upload, &line, buffer_text(&detail), cause) < 0)
        goto out;
    done = 0;
out:
    buffer_free(&detail);
    return done;
}

/* Return true if this bad content was recorded before: it was sent again, or a crash prevented its
 * move. */
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
    /* If the line is in the ledger already, no commit follows that waits for the reasons. */
    if (placement_write_reasons(env->dir, line.seq, &result->violations, NULL,
                                again ? NULL : &outcome->reasons, cause) < 0 ||
        (!again && record_line(outcome, upload, &line, &result->tally, cause) < 0))
        goto out;
    violations_summary(&result->violations, &detail);
    buffer_printf(&detail, "; see quarantine/%s.errors.csv", upload->file->name);
    post_commit = queue_file(outcome, upload, &line, buffer_text(&detail), cause);
    if (post_commit == NULL)
        goto out;
    post_commit->placement = PLACE_QUARANTINE;
    pending_done(upload->file);
    done = 0;
out:
    buffer_free(&detail);
    return done;
}

int outcome_record(struct outcome *outcome, struct upload *upload, enum file_class class,
                   struct cause *cause)
{
    pending_checked(upload->file, upload->now);
    switch (class) {
    case CLASS_WAITS:
        return 0;
    case CLASS_UNCHANGED:
        return queue_accepted(outcome, upload, &upload->history.last, NULL, cause);
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

/* ---- after the commit --------------------------------------------------------------------- */

/* Remove copies from quarantine that are the beginning of this file. */
static int resolve_copies(struct outcome *outcome, const struct post_commit *post_commit,
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

/* Move the file out of the drop directory to its place. */
static int move_file(struct outcome *outcome, const struct post_commit *post_commit,
                     struct cause *cause)
{
    const struct datadir *dir = outcome->env->dir;

    outcome->quarantine_changed = true;
    if (placement_take_sidecars(dir, post_commit->name, &post_commit->sidecars, post_commit->seq,
                                cause) == 0 &&
        placement_take(dir, post_commit->name, &post_commit->file_id, post_commit->seq, cause) ==
            0) {
        dropdir_count_out(outcome->env->dropdir, post_commit->name);
        return placement_finish(dir, post_commit->name, post_commit->seq, post_commit->placement,
                                cause);
    }
    if (cause->kind != CAUSE_CHANGED ||
        placement_return_sidecars(dir, post_commit->name, post_commit->seq, cause) < 0)
        return -1;
    /* Check the name again: the file or a sidecar was replaced, is open for writing, or is gone. */
    if (post_commit->placement == PLACE_QUARANTINE)
        placement_drop_reasons(dir, post_commit->seq);
    else if (post_commit->has_rejects &&
             placement_finish(dir, post_commit->name, post_commit->seq, PLACE_KEEP, cause) < 0)
        return -1;
    return dropdir_arrive(outcome->env->dropdir, post_commit->name, false,
                          clock_monotonic() + PENDING_SOON, cause);
}

/* Put the file into the cache. A file whose last row is left must be read again, but its inode is
 * kept in case it is renamed. */
static int cache_file(struct dropdir *drop, const struct post_commit *post_commit,
                      struct cause *cause)
{
    struct file_id file_id = post_commit->file_id;

    if (!post_commit->is_complete)
        file_id.size = UINT64_MAX; /* a size that no file has */
    return file_cache_put(&drop->file_cache, post_commit->name, &file_id, post_commit->at,
                          post_commit->is_racy, cause);
}

static int apply_file(struct outcome *outcome, const struct post_commit *post_commit,
                      struct cause *cause)
{
    struct dropdir *drop = outcome->env->dropdir;

    if (post_commit->detail != NULL)
        dropdir_notify(drop, ingest_event_of(post_commit->verdict), post_commit->name,
                       post_commit->rows, post_commit->detail);
    outcome->quarantined_files += post_commit->verdict == VERDICT_QUARANTINED;
    if (post_commit->placement != PLACE_QUARANTINE && cache_file(drop, post_commit, cause) < 0)
        return -1;
    if (post_commit->is_complete && post_commit->is_racy && post_commit->placement == PLACE_KEEP)
        dropdir_recheck(drop, post_commit->name, &post_commit->file_id, post_commit->at);
    if (post_commit->may_resolve && resolve_copies(outcome, post_commit, cause) < 0)
        return -1;
    if (post_commit->placement != PLACE_KEEP)
        return move_file(outcome, post_commit, cause);
    if (!post_commit->has_rejects)
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
        result = apply_file(outcome, &outcome->list[i], cause);
    clear_queue(outcome);
    return result;
}

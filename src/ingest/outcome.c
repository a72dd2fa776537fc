#include "ingest/outcome.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ingest/placement.h"

struct booked {
    char *name; /* owned */
    struct signature signature;
    uint64_t at, seq;         /* its ledger line */
    char *detail;             /* to be told; NULL: nothing is. Owned */
    enum verdict verdict;     /* to be told */
    uint64_t rows;            /* likewise */
    enum disposal disposal;   /* DISPOSAL_KEEP: it stays */
    struct sidecars sidecars; /* go where it goes */
    bool reasons;             /* rejected rows wait in state/moving/ */
    bool resolves;            /* its name may have copies in quarantine that it supersedes */
    bool settled;             /* all of it is booked: it need not be read again */
    bool young;               /* seen.h */
};

static int64_t real_now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_REALTIME, &time);
    return time.tv_sec * WAITING_SECOND + time.tv_nsec;
}

int booking_open(struct booking *booking, struct desk *desk, const struct schema *schema,
                 struct cause *cause)
{
    *booking = (struct booking){.desk = desk, .quarantine_changed = true};
    return stats_open(&booking->stats, desk->dir, schema, cause);
}

static void clear(struct booking *booking)
{
    size_t i;

    for (i = 0; i < booking->count; i++) {
        free(booking->list[i].name);
        free(booking->list[i].detail);
    }
    booking->count = 0;
}

void booking_close(struct booking *booking)
{
    stats_close(&booking->stats);
    durable_group_forget(&booking->reasons);
    clear(booking);
    free(booking->list);
    booking->list = NULL;
    booking->cap = 0;
}

int booking_forget(struct booking *booking, struct cause *cause)
{
    const struct schema *schema = booking->stats.schema;

    durable_group_forget(&booking->reasons);
    clear(booking);
    stats_close(&booking->stats);
    return stats_open(&booking->stats, booking->desk->dir, schema, cause);
}

void booking_fill_line(const char *name, const struct judgement *result, enum verdict verdict,
                       struct ledger_line *line)
{
    *line = (struct ledger_line){.verdict = verdict,
                                 .time = real_now(),
                                 .bytes = result->bytes,
                                 .has_meta = result->has_meta,
                                 .meta = result->meta,
                                 .range_hash = digest_check("", 0)};
    memcpy(line->sha256, result->sha256, DIGEST_SIZE);
    snprintf(line->name, sizeof line->name, "%s", name);
}

/* Books the line, and its rows with those of the drop directory. */
static int book(struct booking *booking, const struct look *look, struct ledger_line *line,
                const struct tally *tally, struct cause *cause)
{
    struct ledger *ledger = &booking->desk->merge->ledger;
    struct drop *drop = booking->desk->drop;
    uint64_t before = ledger_rows_of(ledger, line->name);

    if (ledger_add(ledger, line, cause) < 0 || stats_apply(&booking->stats, line, tally, cause) < 0)
        return -1;
    if (drop_counts(drop, line->name, look->file))
        drop->rows += ledger_rows_of(ledger, line->name) - before;
    drop->changed = true;
    return 0;
}

/* The batch is not durable yet: what is to be done then is kept. `line`: NULL, if nothing is told.
 */
static struct booked *keep(struct booking *booking, const struct look *look,
                           const struct ledger_line *line, const char *detail, struct cause *cause)
{
    struct booked *booked;

    if (booking->count == booking->cap) {
        size_t cap = booking->cap == 0 ? 16 : booking->cap * 2;

        booked = realloc(booking->list, cap * sizeof *booked);
        if (booked == NULL) {
            cause_memory(cause);
            return NULL;
        }
        booking->list = booked;
        booking->cap = cap;
    }
    booked = &booking->list[booking->count];
    *booked = (struct booked){.name = strdup(look->file->name),
                              .signature = look->signature,
                              .sidecars = look->sidecars,
                              .at = line->at,
                              .seq = line->seq,
                              .verdict = line->verdict,
                              .rows = line->rows};
    booking->count++;
    if (detail != NULL)
        booked->detail = strdup(detail);
    if (booked->name == NULL || (detail != NULL && booked->detail == NULL)) {
        cause_memory(cause);
        return NULL;
    }
    return booked;
}

/* An accepted file stays, or leaves once it is quiet. */
static int settle(struct booking *booking, const struct look *look, const struct ledger_line *line,
                  const char *detail, struct cause *cause)
{
    const struct desk *desk = booking->desk;
    const int64_t settle_time = waiting_seconds(desk->config->settle);
    enum disposal disposal = disposal_of_accepted(desk->config);
    struct booked *booked = keep(booking, look, line, detail, cause);
    int64_t due;

    if (booked == NULL)
        return -1;
    booked->reasons = detail != NULL && line->rejected > 0;
    booked->resolves = look->recall.has_last;
    booked->settled = look->known || look->judgement.rest == 0;
    booked->young = real_now() - look->signature.ctime < SEEN_YOUNG_AGE;
    if (!booked->settled) {
        drop_wait(desk->drop, look->file, WAIT_INCOMPLETE,
                  "its last row is incomplete; the rows before it are merged",
                  look->now + settle_time);
    } else if (disposal == DISPOSAL_KEEP || look->patient) {
        booked->disposal = disposal;
        look->file->done = true;
    } else {
        /* Who keeps it open may do so for long. */
        due = look->writer ? look->now + waiting_seconds(desk->config->rescan)
                           : look->file->since + settle_time;
        drop_wait(desk->drop, look->file, WAIT_DISPOSAL, "accepted; it leaves once it is quiet",
                  due > look->now ? due : look->now + WAITING_SOON);
    }
    return 0;
}

/* The pieces that are not booked yet, or the first of them, while others wait. As long as nothing
 * of the file is booked they are booked as one. */
static int append_pieces(struct look *look, size_t *ret_end, struct cause *cause)
{
    const struct desk *desk = look->desk;
    struct pieces *pieces = &look->pieces;
    size_t end = pieces->next;

    do {
        const struct spill_piece *range = &pieces->list[end++].range;

        if (training_append(&desk->merge->training, &look->accepted, range->offset, range->length,
                            desk->pool, cause) < 0)
            return -1;
    } while (end < pieces->count &&
             !(look->parted && look->judgement.violations.total == 0 && desk->must_pause != NULL &&
               desk->must_pause(desk->pause_context)));
    *ret_end = pieces->next > 0 ? end : 1;
    return pieces->next > 0 ? 0 : pieces_join(pieces, end, cause);
}

static int book_piece(struct booking *booking, struct look *look, enum verdict verdict,
                      struct ledger_line *line, struct cause *cause)
{
    const struct judgement *result = &look->judgement;
    const struct piece *piece = &look->pieces.list[look->pieces.next];
    const bool first = look->pieces.next++ == look->pieces.known;

    booking_fill_line(look->file->name, result, first ? verdict : VERDICT_GROWN, line);
    line->bytes = piece->bytes;
    memcpy(line->sha256, piece->sha256, DIGEST_SIZE);
    line->rows = piece->rows;
    line->rejected = result->bad_rows; /* then there is but one */
    if (first && result->prefix_found && recall_base_is_foreign(&look->recall))
        line->duplicate = recall_base_rows(&look->recall, &booking->desk->merge->ledger);
    else if (first)
        line->duplicate = pieces_known_rows(&look->pieces);
    line->length = piece->range.length;
    line->range_hash = piece->range.hash;
    return book(booking, look, line, &piece->tally, cause);
}

/* Others have their turn before the rest of it is booked. Nothing is told yet. */
static int pause_file(struct booking *booking, const struct look *look,
                      const struct ledger_line *line, struct cause *cause)
{
    look->file->due = WAITING_NEVER;
    return keep(booking, look, line, NULL, cause) == NULL ? -1 : 0;
}

static int accept_file(struct booking *booking, struct look *look, enum verdict verdict,
                       struct cause *cause)
{
    const struct desk *desk = booking->desk;
    const struct judgement *result = &look->judgement;
    struct ledger_line *line = malloc(sizeof *line);
    char detail[96];
    size_t end;
    int done = -1;

    if (line == NULL)
        return cause_memory(cause);
    /* The reasons of rejected rows go before the line that books them. */
    if (result->violations.total > 0 &&
        disposal_write_reasons(desk->dir, desk->merge->ledger.next_seq, &result->violations,
                               &look->rejected, &booking->reasons, cause) < 0)
        goto out;
    if (append_pieces(look, &end, cause) < 0)
        goto out;
    do {
        if (book_piece(booking, look, verdict, line, cause) < 0)
            goto out;
    } while (look->pieces.next < end);
    if (look_is_paused(look)) {
        done = pause_file(booking, look, line, cause);
        goto out;
    }
    line->verdict = verdict; /* as it is told, of all pieces */
    line->rows = result->rows - pieces_known_rows(&look->pieces);
    snprintf(detail, sizeof detail, "%" PRIu64 "%s row%s", line->rows,
             verdict == VERDICT_GROWN ? " new" : "", line->rows == 1 ? "" : "s");
    if (line->rejected > 0)
        snprintf(detail + strlen(detail), sizeof detail - strlen(detail),
                 ", %" PRIu64 " rejected: see quarantine/", line->rejected);
    done = settle(booking, look, line, detail, cause);
out:
    free(line);
    return done;
}

static int skip_duplicate(struct booking *booking, struct look *look, struct cause *cause)
{
    const struct desk *desk = booking->desk;
    const struct judgement *result = &look->judgement;
    struct ledger_line *line = malloc(2 * sizeof *line), *known;
    struct buffer detail = {0};
    int done = -1;

    if (line == NULL)
        return cause_memory(cause);
    known = &line[1];
    if (ledger_content(&desk->merge->ledger, result->sha256, result->has_meta, result->meta, NULL,
                       known, cause) < 0)
        goto out;
    buffer_printf(&detail, "the same content as %s: nothing to merge", known->name);
    booking_fill_line(look->file->name, result, VERDICT_DUPLICATE, line);
    line->duplicate = result->rows + result->bad_rows;
    if (result->prefix_found)
        line->duplicate += recall_base_rows(&look->recall, &desk->merge->ledger);
    if (book(booking, look, line, &look->judgement.tally, cause) < 0 ||
        settle(booking, look, line, buffer_text(&detail), cause) < 0)
        goto out;
    done = 0;
out:
    buffer_free(&detail);
    free(line);
    return done;
}

/* The same bad content once more, from a nightly re-send or a crash before the move. */
static bool is_quarantined_already(const struct look *look)
{
    const struct judgement *result = &look->judgement;

    return recall_last_is(&look->recall, result->sha256, result->has_meta, result->meta) &&
           look->recall.last.verdict == VERDICT_QUARANTINED;
}

static int quarantine_file(struct booking *booking, struct look *look, struct cause *cause)
{
    const struct desk *desk = booking->desk;
    const struct judgement *result = &look->judgement;
    bool again = is_quarantined_already(look);
    struct ledger_line *line = malloc(sizeof *line);
    struct buffer detail = {0};
    struct booked *booked;
    int done = -1;

    if (line == NULL)
        return cause_memory(cause);
    booking_fill_line(look->file->name, result, VERDICT_QUARANTINED, line);
    line->rejected = result->rows + result->bad_rows;
    line->seq = again ? look->recall.last.seq : desk->merge->ledger.next_seq;
    /* Where the line stands already nothing will wait for them. */
    if (disposal_write_reasons(desk->dir, line->seq, &result->violations, NULL,
                               again ? NULL : &booking->reasons, cause) < 0 ||
        (!again && book(booking, look, line, &result->tally, cause) < 0))
        goto out;
    violations_summary(&result->violations, &detail);
    buffer_printf(&detail, "; see quarantine/%s.errors.csv", look->file->name);
    booked = keep(booking, look, line, buffer_text(&detail), cause);
    if (booked == NULL)
        goto out;
    booked->disposal = DISPOSAL_QUARANTINE;
    look->file->done = true;
    done = 0;
out:
    buffer_free(&detail);
    free(line);
    return done;
}

int booking_carry_out(struct booking *booking, struct look *look, enum decision decision,
                      struct cause *cause)
{
    look->file->judged = look->now;
    switch (decision) {
    case DECIDE_WAIT:
        return 0;
    case DECIDE_KNOWN:
        return settle(booking, look, &look->recall.last, NULL, cause);
    case DECIDE_DUPLICATE:
        return skip_duplicate(booking, look, cause);
    case DECIDE_MERGE:
        return accept_file(booking, look, VERDICT_MERGED, cause);
    case DECIDE_GROW:
        return accept_file(booking, look, VERDICT_GROWN, cause);
    case DECIDE_QUARANTINE:
        return quarantine_file(booking, look, cause);
    }
    return 0;
}

int booking_sync(struct booking *booking, struct cause *cause)
{
    return durable_group_sync(&booking->reasons, "state/moving/ (reasons)", cause);
}

/* ---- once it is durable -------------------------------------------------------------------------
 */

/* Earlier copies in quarantine that are the beginning of this file. */
static int resolve(struct booking *booking, const struct booked *booked, struct cause *cause)
{
    const struct datadir *dir = booking->desk->dir;
    struct signature signature;
    int fd, result;

    booking->quarantine_changed = true;
    if (spool_open(dir->drop, booked->name, &fd, &signature) != SPOOL_FILE)
        return 0;
    result = disposal_resolve(dir, booked->name, fd, booked->signature.size, cause);
    close(fd);
    return result;
}

static int leave(struct booking *booking, const struct booked *booked, struct cause *cause)
{
    const struct datadir *dir = booking->desk->dir;

    booking->quarantine_changed = true;
    if (disposal_take_sidecars(dir, booked->name, &booked->sidecars, booked->seq, cause) < 0)
        return -1;
    if (disposal_take(dir, booked->name, &booked->signature, booked->seq, cause) == 0) {
        drop_count_out(booking->desk->drop, booked->name);
        return disposal_finish(dir, booked->name, booked->seq, booked->disposal, cause);
    }
    if (cause->kind != CAUSE_AGAIN ||
        disposal_return_sidecars(dir, booked->name, booked->seq, cause) < 0)
        return -1;
    /* Something else stands there now, or nothing; it is looked at again. */
    if (booked->disposal == DISPOSAL_QUARANTINE)
        disposal_drop_reasons(dir, booked->seq);
    else if (booked->reasons &&
             disposal_finish(dir, booked->name, booked->seq, DISPOSAL_KEEP, cause) < 0)
        return -1;
    return drop_arrive(booking->desk->drop, booked->name, false, waiting_now() + WAITING_SOON,
                       cause);
}

/* What is booked only in part is to be read again, but its inode must be known: it may be renamed.
 */
static int remember(struct drop *drop, const struct booked *booked, struct cause *cause)
{
    struct signature signature = booked->signature;

    if (!booked->settled)
        signature.size = UINT64_MAX; /* holds for no file */
    return seen_put(&drop->seen, booked->name, &signature, booked->at, booked->young, cause);
}

static int finish_file(struct booking *booking, const struct booked *booked, struct cause *cause)
{
    struct drop *drop = booking->desk->drop;

    if (booked->detail != NULL)
        drop_say(drop, verdict_name(booked->verdict), booked->name, booked->rows, booked->detail);
    booking->quarantined_files += booked->verdict == VERDICT_QUARANTINED;
    if (booked->disposal != DISPOSAL_QUARANTINE && remember(drop, booked, cause) < 0)
        return -1;
    if (booked->settled && booked->young && booked->disposal == DISPOSAL_KEEP)
        drop_recheck(drop, booked->name, &booked->signature, booked->at);
    if (booked->resolves && resolve(booking, booked, cause) < 0)
        return -1;
    if (booked->disposal != DISPOSAL_KEEP)
        return leave(booking, booked, cause);
    if (!booked->reasons)
        return 0;
    booking->quarantine_changed = true;
    return disposal_finish(booking->desk->dir, booked->name, booked->seq, DISPOSAL_KEEP, cause);
}

int booking_finish(struct booking *booking, struct cause *cause)
{
    size_t i;
    int result = 0;

    for (i = 0; i < booking->count && result == 0; i++)
        result = finish_file(booking, &booking->list[i], cause);
    clear(booking);
    return result;
}

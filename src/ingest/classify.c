#include "ingest/classify.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "fs/durable.h"

/* It does not pass. Bad now, or may it still change? */
static enum decision decide_failing(struct look *look)
{
    const struct config *config = look->desk->config;
    struct buffer detail = {0};
    int64_t due = look->file->since + waiting_seconds(config->settle);
    bool truncated = judgement_only_truncated(&look->judgement);

    look->file->cut = truncated ? look->signature.size : 0;
    if (truncated && config->stale > config->settle)
        due = look->file->since + waiting_seconds(config->stale);
    if (look->patient && look->now >= due)
        return DECIDE_QUARANTINE;
    violations_summary(&look->judgement.violations, &detail);
    if (look->writer)
        due = look->now + waiting_seconds(config->rescan);
    drop_wait(look->desk->drop, look->file, truncated ? WAIT_INCOMPLETE : WAIT_FAILING,
              buffer_text(&detail), due > look->now ? due : look->now + WAITING_SOON);
    buffer_free(&detail);
    return DECIDE_WAIT;
}

static void add_changed(struct look *look)
{
    struct violations *violations = &look->judgement.violations;
    struct buffer *message = violations_add(violations, CODE_CHANGED_FILE,
                                            look->judgement.continued_line, 0, NULL, NULL, 0);
    char was[64] = "", is[64] = "";
    uint64_t end = look->recall.base->bytes, from = end < 40 ? 0 : end - 40;
    struct cause ignored;
    ssize_t n;

    if (message == NULL)
        return;
    if (look->judgement.continued_line > 0 && unpack_format_of(look->name) != UNPACK_PLAIN) {
        buffer_string(message,
                      "its last row was merged without a line end, and now goes on: check that row "
                      "in the training file; to take the new content under another name, rename "
                      "the file");
    } else if (look->judgement.continued_line > 0) {
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
            look->recall.own.bytes);
    }
    violations_added(violations);
}

/* Its complete rows are merged; the last one may still be completed, or count once it is quiet. */
static enum decision wait_for_rest(struct look *look)
{
    const struct config *config = look->desk->config;
    int64_t due = look->patient  ? WAITING_NEVER
                  : look->writer ? look->now + waiting_seconds(config->rescan)
                                 : look->file->since + waiting_seconds(config->settle);

    drop_wait(look->desk->drop, look->file, WAIT_INCOMPLETE,
              "its last row is incomplete; the rows before it are merged",
              due > look->now ? due : look->now + WAITING_SOON);
    return DECIDE_WAIT;
}

/* Content that the ledger knows already. 0: decided; 1: to be merged again, if it is valid. */
static int decide_known(struct look *look, const struct ledger_line *known,
                        enum decision *ret_decision, struct cause *cause)
{
    const struct judgement *result = &look->judgement;
    struct ledger_line *own;
    int same_name;

    if (result->rest > 0) {
        *ret_decision = wait_for_rest(look);
        return 0;
    }
    *ret_decision = DECIDE_KNOWN;
    if (recall_last_is(&look->recall, result->sha256, result->has_meta, result->meta) &&
        look->recall.last.verdict != VERDICT_QUARANTINED)
        return 0;
    *ret_decision = DECIDE_DUPLICATE;
    /* Merged again if asked for, but never under the same name, nor because it was renamed. */
    if (!look->desk->config->merge_duplicates || strcmp(known->name, look->file->name) == 0 ||
        look->recall.has_inode)
        return 0;
    own = malloc(sizeof *own);
    if (own == NULL)
        return cause_memory(cause);
    same_name = ledger_content(&look->desk->merge->ledger, result->sha256, result->has_meta,
                               result->meta, look->file->name, own, cause);
    free(own);
    return same_name < 0 ? -1 : same_name == 0;
}

/* New rows behind content that is booked. Their complete ones merge at once, whatever the last one
 * is. */
static enum decision decide_grown(struct look *look)
{
    const struct judgement *result = &look->judgement;
    bool nothing_new = result->rows + result->bad_rows == 0;

    if (result->rest > 0 && nothing_new)
        return wait_for_rest(look);
    if (result->violations.total > 0 &&
        (!look->patient || judgement_rejects(&look->judgement, look->desk->config)))
        return decide_failing(look);
    return DECIDE_GROW;
}

/* Nothing, or only a header. If that does not fit, its sender may want to know. */
static void wait_for_rows(struct look *look)
{
    const struct judgement *result = &look->judgement;
    struct buffer detail = {0};

    buffer_string(&detail, "only a header yet");
    if (result->violations.total > 0) {
        buffer_string(&detail, ", and that is not valid: ");
        violations_summary(&result->violations, &detail);
    }
    drop_wait(look->desk->drop, look->file, WAIT_HEADER_ONLY, buffer_text(&detail), WAITING_NEVER);
    buffer_free(&detail);
}

/* Is it what its sender's checksum is of? Not to be said where not all of it was read. */
static bool agrees_with_checksum(struct look *look)
{
    struct judgement *result = &look->judgement;

    return result->cut_short || sidecar_agrees(&look->sidecars, look->file->name,
                                               result->raw_sha256, &result->violations);
}

/*
 * A large file may have been booked in part, before a crash, and its name and inode tell nothing of
 * that: it was renamed, or this is a copy. What is booked of it is not booked again. 1: a part is;
 * 0; -1.
 */
static int find_booked_pieces(struct look *look, struct cause *cause)
{
    const struct judgement *result = &look->judgement;
    struct pieces *pieces = &look->pieces;
    struct ledger_line *line;
    int found = 0;
    size_t i;

    if (pieces->count < 2 || result->violations.total > 0 || look->desk->config->merge_duplicates)
        return 0;
    line = malloc(sizeof *line);
    if (line == NULL)
        return cause_memory(cause);
    for (i = pieces->count - 1; i > 0 && found == 0; i--) {
        found = ledger_content(&look->desk->merge->ledger, pieces->list[i - 1].sha256,
                               result->has_meta, result->meta, NULL, line, cause);
        if (found > 0)
            pieces->known = pieces->next = i;
    }
    free(line);
    return found;
}

int decide_file(struct look *look, enum decision *ret_decision, struct cause *cause)
{
    const struct judgement *result = &look->judgement;
    struct ledger_line *known;
    int found;

    *ret_decision = DECIDE_WAIT;
    if (result->no_rows) {
        wait_for_rows(look);
        return 0;
    }
    if (!agrees_with_checksum(look)) {
        *ret_decision = decide_failing(look);
        return 0;
    }
    known = malloc(sizeof *known);
    if (known == NULL)
        return cause_memory(cause);
    found = ledger_content(&look->desk->merge->ledger, result->sha256, result->has_meta,
                           result->meta, NULL, known, cause);
    if (found > 0)
        found = decide_known(look, known, ret_decision, cause);
    else if (found == 0)
        found = 1;
    free(known);
    if (found <= 0)
        return found;
    if (result->prefix_found) {
        *ret_decision = decide_grown(look);
    } else if (!result->broken && (look->recall.has_own || result->continued_line > 0) &&
               !(look->desk->config->merge_changed && look->patient &&
                 result->continued_line == 0)) {
        add_changed(look);
        *ret_decision = decide_failing(look);
    } else if (result->violations.total > 0 &&
               (!look->patient || judgement_rejects(&look->judgement, look->desk->config))) {
        *ret_decision = decide_failing(look);
    } else if (result->no_newline && !look->patient && !look->sidecars.each[SPOOL_SHA256].there) {
        look->file->cut = look->signature.size;
        drop_wait(look->desk->drop, look->file, WAIT_NEWLINE,
                  "its last row has no newline: it counts once the file is quiet",
                  look->file->since + waiting_seconds(look->desk->config->settle));
    } else {
        found = find_booked_pieces(look, cause);
        if (found < 0)
            return -1;
        *ret_decision = found > 0 ? DECIDE_GROW : DECIDE_MERGE;
    }
    return 0;
}

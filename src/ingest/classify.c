#include "ingest/classify.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "fs/durable.h"

/* It does not pass. Bad now, or may it still change? */
static enum file_class decide_failing(struct upload *upload)
{
    const struct config *config = upload->env->config;
    struct buffer detail = {0};
    int64_t due = upload->file->unchanged_since + clock_seconds(config->settle);
    bool truncated = check_result_only_truncated(&upload->check_result);

    upload->file->truncated_size = truncated ? upload->file_id.size : 0;
    if (truncated && config->stale > config->settle)
        due = upload->file->unchanged_since + clock_seconds(config->stale);
    if (upload->may_reject && upload->now >= due)
        return CLASS_BAD;
    violations_summary(&upload->check_result.violations, &detail);
    if (upload->writer)
        due = upload->now + clock_seconds(config->rescan);
    dropdir_wait(upload->env->drop, upload->file, truncated ? PENDING_INCOMPLETE : PENDING_FAILING,
                 buffer_text(&detail), due > upload->now ? due : upload->now + PENDING_SOON);
    buffer_free(&detail);
    return CLASS_WAITS;
}

static void add_changed(struct upload *upload)
{
    struct violations *violations = &upload->check_result.violations;
    struct buffer *message =
        violations_add(violations, VIOLATION_CHANGED_FILE,
                       (struct violation_at){.line = upload->check_result.continued_line});
    char was[64] = "", is[64] = "";
    uint64_t end = upload->history.base->bytes, from = end < 40 ? 0 : end - 40;
    struct cause ignored;
    ssize_t n;

    if (message == NULL)
        return;
    if (upload->check_result.continued_line > 0 &&
        decompress_format_of(upload->name) != DECOMPRESS_PLAIN) {
        buffer_string(message,
                      "its last row was merged without a line end, and now goes on: check that row "
                      "in the training file; to take the new content under another name, rename "
                      "the file");
    } else if (upload->check_result.continued_line > 0) {
        /* Both readings of the row: as it was merged, and as it goes on. */
        n = durable_read(upload->fd, was, (size_t)(end - from), from, "", &ignored);
        was[n > 0 ? n : 0] = '\0';
        n = durable_read(upload->fd, is, 20, end, "", &ignored);
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
            upload->history.own.bytes);
    }
    violations_added(violations);
}

/* Its complete rows are merged; the last one may still be completed, or count once it is quiet. */
static enum file_class wait_for_rest(struct upload *upload)
{
    const struct config *config = upload->env->config;
    int64_t due = upload->may_reject ? CLOCK_NEVER
                  : upload->writer   ? upload->now + clock_seconds(config->rescan)
                                   : upload->file->unchanged_since + clock_seconds(config->settle);

    dropdir_wait(upload->env->drop, upload->file, PENDING_INCOMPLETE,
                 "its last row is incomplete; the rows before it are merged",
                 due > upload->now ? due : upload->now + PENDING_SOON);
    return CLASS_WAITS;
}

/* Classify content that the ledger knows already. */
static enum file_class decide_known(struct upload *upload)
{
    const struct check_result *result = &upload->check_result;

    if (result->rest > 0)
        return wait_for_rest(upload);
    return history_last_is(&upload->history, result->sha256, result->has_meta, result->meta) &&
                   upload->history.last.verdict != VERDICT_QUARANTINED
               ? CLASS_UNCHANGED
               : CLASS_DUPLICATE;
}

/* New rows behind content that is booked. Their complete ones merge at once, whatever the last one
 * is. */
static enum file_class decide_grown(struct upload *upload)
{
    const struct check_result *result = &upload->check_result;
    bool nothing_new = result->rows + result->bad_rows == 0;

    if (result->rest > 0 && nothing_new)
        return wait_for_rest(upload);
    if (result->violations.total > 0 &&
        (!upload->may_reject || check_result_rejects(&upload->check_result, upload->env->config)))
        return decide_failing(upload);
    return CLASS_GROWN;
}

/* Nothing, or only a header. If that does not fit, its sender may want to know. */
static void wait_for_rows(struct upload *upload)
{
    const struct check_result *result = &upload->check_result;
    struct buffer detail = {0};

    buffer_string(&detail, "only a header yet");
    if (result->violations.total > 0) {
        buffer_string(&detail, ", and that is not valid: ");
        violations_summary(&result->violations, &detail);
    }
    dropdir_wait(upload->env->drop, upload->file, PENDING_HEADER_ONLY, buffer_text(&detail),
                 CLOCK_NEVER);
    buffer_free(&detail);
}

/* Is it what its sender's checksum is of? Not to be said where not all of it was read. */
static bool agrees_with_checksum(struct upload *upload)
{
    struct check_result *result = &upload->check_result;

    return result->cut_short || sidecar_agrees(&upload->sidecars, upload->file->name,
                                               result->raw_sha256, &result->violations);
}

int classify(struct upload *upload, enum file_class *ret_decision, struct cause *cause)
{
    const struct check_result *result = &upload->check_result;
    struct ledger_line known;
    int found;

    *ret_decision = CLASS_WAITS;
    if (result->no_rows) {
        wait_for_rows(upload);
        return 0;
    }
    if (!agrees_with_checksum(upload)) {
        *ret_decision = decide_failing(upload);
        return 0;
    }
    found = ledger_content(&upload->env->merge->ledger, result->sha256, result->has_meta,
                           result->meta, NULL, &known, cause);
    if (found < 0)
        return -1;
    if (found > 0) {
        *ret_decision = decide_known(upload);
    } else if (result->prefix_found) {
        *ret_decision = decide_grown(upload);
    } else if (!result->broken && (upload->history.has_own || result->continued_line > 0) &&
               !(upload->env->config->merge_changed && upload->may_reject &&
                 result->continued_line == 0)) {
        add_changed(upload);
        *ret_decision = decide_failing(upload);
    } else if (result->violations.total > 0 &&
               (!upload->may_reject ||
                check_result_rejects(&upload->check_result, upload->env->config))) {
        *ret_decision = decide_failing(upload);
    } else if (result->no_newline && !upload->may_reject &&
               !upload->sidecars.each[SIDECAR_SHA256].there) {
        upload->file->truncated_size = upload->file_id.size;
        dropdir_wait(upload->env->drop, upload->file, PENDING_NEWLINE,
                     "its last row has no newline: it counts once the file is quiet",
                     upload->file->unchanged_since + clock_seconds(upload->env->config->settle));
    } else {
        *ret_decision = CLASS_NEW;
    }
    return 0;
}

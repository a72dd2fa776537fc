#include "ingest/classify.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "fs/durable.h"

/* ---- prefixes ----------------------------------------------------------------------------- */

static void free_values(const struct schema *schema, char **values)
{
    size_t i;

    for (i = 0; i < schema->count; i++)
        free(values[i]);
    free(values);
}

/* Return 1 if both names tell a value of the same field and the values differ; 0: no; -1. */
static int names_differ(const struct schema *schema, const char *left, const char *right,
                        struct cause *cause)
{
    char **of_left = calloc(schema->count + 1, sizeof *of_left);
    char **of_right = calloc(schema->count + 1, sizeof *of_right);
    int differ = -1;
    size_t i;

    if (of_left == NULL || of_right == NULL) {
        cause_memory(cause);
    } else if (schema_match_name(schema, left, of_left, cause) == 0 &&
               schema_match_name(schema, right, of_right, cause) == 0) {
        for (i = 0, differ = 0; i < schema->count; i++)
            differ |=
                of_left[i] != NULL && of_right[i] != NULL && strcmp(of_left[i], of_right[i]) != 0;
    }
    if (of_left != NULL)
        free_values(schema, of_left);
    if (of_right != NULL)
        free_values(schema, of_right);
    return differ;
}

/*
 * Known content of another name counts if that name has left the drop directory (it was renamed or
 * rotated). If it still stands there, a single row may be the same by chance, and names that tell
 * different users or times belong to different collections.
 */
static int other_name_counts(const struct upload *upload, const char *other, struct cause *cause)
{
    struct file_id ignored;
    int differ;

    if (beneath_stat(upload->env->dir->drop, other, &ignored) == FILE_GONE)
        return 1;
    if (upload->prefix_rows < 2)
        return 0;
    differ = names_differ(upload->env->schema, other, upload->name, cause);
    return differ < 0 ? -1 : !differ;
}

/* Return the rows of the content that this line is about, as the ledger counts them. Where it does
 * not tell, `estimate` is the difference between two readings, which counts blank lines as rows. */
static uint64_t rows_of_content(const struct ledger *ledger, const struct ledger_line *line,
                                uint64_t estimate)
{
    struct ledger_known known;

    if (line->verdict == VERDICT_MERGED)
        return line->rows + line->rejected;
    if (line->verdict == VERDICT_DUPLICATE)
        return line->duplicate;
    if (!ledger_name(ledger, line->name, &known))
        return estimate;
    if (known.last_at == line->at)
        return known.rows;
    return known.longest_at == line->at ? known.longest_rows : estimate;
}

/* Return 1 if the content of PREFIX_KNOWN counts; 0: it does not; -1. */
static int known_prefix_counts(struct upload *upload, struct cause *cause)
{
    const struct ledger *ledger = &upload->env->transaction->ledger;
    const struct content_meta meta = upload_meta(upload);
    const unsigned char *sha256 = upload->prefix.sha256;
    struct ledger_line line;
    int found;

    /* Content that this name had before: if its longest content is no prefix, rows were changed,
     * and the rows behind a shorter prefix may be merged rows. */
    found = ledger_content(ledger, sha256, meta, upload->name, &line, cause);
    if (found != 0)
        return found < 0 ? -1 : line.at == upload->history.longest_at;
    found = ledger_content(ledger, sha256, meta, NULL, &line, cause);
    if (found <= 0)
        return found;
    upload->prefix_rows = rows_of_content(ledger, &line, upload->prefix_rows);
    return other_name_counts(upload, line.name, cause);
}

int classify_prefix(struct upload *upload, bool *ret_counts, struct cause *cause)
{
    int counts = 1;

    if (upload->prefix_source == PREFIX_KNOWN && upload->check_result.prefix_found)
        counts = known_prefix_counts(upload, cause);
    *ret_counts = counts > 0;
    if (counts == 0)
        upload->shorter_than = upload->prefix.bytes;
    return counts < 0 ? -1 : 0;
}

/* ---- files that wait or fail -------------------------------------------------------------- */

static enum file_class wait_until(struct upload *upload, int64_t when, enum pending_reason reason,
                                  const char *detail)
{
    dropdir_wait(upload->env->dropdir, upload->file, reason, detail,
                 when > upload->now ? when : upload->now + PENDING_SOON);
    return CLASS_WAITS;
}

/* Reject a file that is not valid if no writer has it open and it was quiet for `settle` seconds,
 * or for `stale` if it is only cut off. It may still be growing. */
static enum file_class reject_or_wait(struct upload *upload)
{
    const struct config *config = upload->env->config;
    const bool truncated = check_result_only_truncated(&upload->check_result);
    int64_t when = upload->file->unchanged_since + clock_seconds(config->settle);
    struct buffer detail = {0};

    upload->file->truncated_size = truncated ? upload->file_id.size : 0;
    if (truncated && config->stale > config->settle)
        when = upload->file->unchanged_since + clock_seconds(config->stale);
    if (upload->may_reject && upload->now >= when)
        return CLASS_BAD;
    if (upload->has_writer)
        when = upload->now + clock_seconds(config->rescan);
    violations_summary(&upload->check_result.violations, &detail);
    wait_until(upload, when, truncated ? PENDING_INCOMPLETE : PENDING_FAILING,
               buffer_text(&detail));
    buffer_free(&detail);
    return CLASS_WAITS;
}

/* The complete rows are merged. The last row may still be completed, or counts once the file is
 * quiet. */
static enum file_class wait_for_rest(struct upload *upload)
{
    const struct config *config = upload->env->config;
    int64_t when = CLOCK_NEVER;

    if (upload->has_writer)
        when = upload->now + clock_seconds(config->rescan);
    else if (!upload->may_reject)
        when = upload->file->unchanged_since + clock_seconds(config->settle);
    return wait_until(upload, when, PENDING_INCOMPLETE,
                      "its last row is incomplete; the rows before it are merged");
}

/* Return true if the violations reject the file, or may not be booked yet. */
static bool has_faults(const struct upload *upload)
{
    return upload->check_result.violations.total > 0 &&
           (!upload->may_reject ||
            check_result_rejects(&upload->check_result, upload->env->config));
}

/* Append the last row as it was merged, and as it goes on now. */
static void describe_continued_row(const struct upload *upload, struct buffer *message)
{
    const uint64_t end = upload->prefix.bytes, from = end < 40 ? 0 : end - 40;
    char was[64] = "", is[64] = "";
    const char *row;
    struct cause ignored;
    ssize_t n;

    if (decompress_format_of(upload->name) != DECOMPRESS_PLAIN) {
        buffer_string(message,
                      "its last row was merged without a line end, and now goes on: check that row "
                      "in the training file; to take the new content under another name, rename "
                      "the file");
        return;
    }
    n = durable_read(upload->opened.fd, was, (size_t)(end - from), from, "", &ignored);
    was[n > 0 ? n : 0] = '\0';
    n = durable_read(upload->opened.fd, is, 20, end, "", &ignored);
    is[n > 0 ? n : 0] = '\0';
    is[strcspn(is, "\r\n")] = '\0';
    row = strrchr(was, '\n') != NULL ? strrchr(was, '\n') + 1 : was;
    buffer_printf(message,
                  "its last row was merged as '%s', without a line end, and now goes on as "
                  "'%s%s': check that row in the "
                  "training file; to take the new content under another name, rename the file",
                  row, row, is);
}

static void add_changed_file(struct upload *upload)
{
    struct check_result *result = &upload->check_result;
    struct buffer *message = violations_add(&result->violations, VIOLATION_CHANGED_FILE,
                                            (struct violation_at){.line = result->continued_line});

    if (message == NULL)
        return;
    if (result->continued_line > 0)
        describe_continued_row(upload, message);
    else
        buffer_printf(
            message,
            "a file of this name with other content (%" PRIu64
            " bytes) was accepted before: if these are other rows, "
            "drop them under another name; to take such files anyway, set changed = merge",
            upload->history.own.bytes);
    violations_added(&result->violations);
}

/* ---- the rules ---------------------------------------------------------------------------- */

struct classification {
    struct upload *upload;
    bool content_is_known; /* the ledger knows all of this content */
    enum file_class class;
};

/* A rule returns true if it applies, and sets the class. */
typedef bool class_rule(struct classification *of);

/* The file has no bytes or only a header, which may be wrong already. */
static bool has_no_rows(struct classification *of)
{
    struct upload *upload = of->upload;
    struct buffer detail = {0};

    if (!upload->check_result.no_rows)
        return false;
    buffer_string(&detail, "only a header yet");
    if (upload->check_result.violations.total > 0) {
        buffer_string(&detail, ", and that is not valid: ");
        violations_summary(&upload->check_result.violations, &detail);
    }
    of->class = wait_until(upload, CLOCK_NEVER, PENDING_HEADER_ONLY, buffer_text(&detail));
    buffer_free(&detail);
    return true;
}

/* The sender's checksum is that of other bytes. After a row that is too long nothing was read, so
 * that there is no checksum to compare. */
static bool contradicts_checksum(struct classification *of)
{
    struct upload *upload = of->upload;
    struct check_result *result = &upload->check_result;

    if (result->cut_short ||
        sidecar_agrees(&upload->sidecars, upload->name, result->raw_sha256, &result->violations))
        return false;
    of->class = reject_or_wait(upload);
    return true;
}

static bool is_known(struct classification *of)
{
    struct upload *upload = of->upload;
    const struct history *history = &upload->history;

    if (!of->content_is_known)
        return false;
    if (upload->check_result.rest > 0)
        of->class = wait_for_rest(upload);
    else if (history_last_is(history, upload->check_result.sha256, upload_meta(upload)) &&
             history->last.verdict != VERDICT_QUARANTINED)
        of->class = CLASS_UNCHANGED;
    else
        of->class = CLASS_DUPLICATE;
    return true;
}

/* Complete new rows merge at once, whatever the last row is. */
static bool has_grown(struct classification *of)
{
    struct upload *upload = of->upload;
    const struct check_result *result = &upload->check_result;

    if (!result->prefix_found)
        return false;
    if (result->rest > 0 && result->rows + result->bad_rows == 0)
        of->class = wait_for_rest(upload);
    else if (has_faults(upload))
        of->class = reject_or_wait(upload);
    else
        of->class = CLASS_GROWN;
    return true;
}

/* Rows of this name were merged, and the file does not begin with them. */
static bool was_changed(struct classification *of)
{
    struct upload *upload = of->upload;
    const bool continued = upload->check_result.continued_line > 0;

    if (upload->check_result.broken || (!upload->history.has_own && !continued) ||
        (upload->env->config->merge_changed && upload->may_reject && !continued))
        return false;
    add_changed_file(upload);
    of->class = reject_or_wait(upload);
    return true;
}

static bool is_invalid(struct classification *of)
{
    if (!has_faults(of->upload))
        return false;
    of->class = reject_or_wait(of->upload);
    return true;
}

/* A valid last row without newline may be half of a row. */
static bool is_unterminated(struct classification *of)
{
    struct upload *upload = of->upload;

    if (!upload->check_result.no_newline || upload->may_reject ||
        upload->sidecars.each[SIDECAR_SHA256].there)
        return false;
    upload->file->truncated_size = upload->file_id.size;
    dropdir_wait(upload->env->dropdir, upload->file, PENDING_NEWLINE,
                 "its last row has no newline: it counts once the file is quiet",
                 upload->file->unchanged_since + clock_seconds(upload->env->config->settle));
    of->class = CLASS_WAITS;
    return true;
}

static class_rule *const rules[] = {has_no_rows, contradicts_checksum, is_known,       has_grown,
                                    was_changed, is_invalid,           is_unterminated};

int classify(struct upload *upload, enum file_class *ret_class, struct cause *cause)
{
    const struct check_result *result = &upload->check_result;
    struct classification of = {.upload = upload, .class = CLASS_NEW};
    struct ledger_line line;
    int found = ledger_content(&upload->env->transaction->ledger, result->sha256,
                               upload_meta(upload), NULL, &line, cause);
    size_t i;

    if (found < 0)
        return -1;
    of.content_is_known = found > 0;
    for (i = 0; i < sizeof rules / sizeof *rules && !rules[i](&of);)
        i++;
    *ret_class = of.class;
    return 0;
}

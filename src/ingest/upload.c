#include "ingest/upload.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "fs/durable.h"

#define PACKED_WEIGHT 16 /* CSV rarely shrinks by more */

void upload_init(struct upload *upload, struct ingest_env *env)
{
    upload->env = env;
    upload->opened.fd = -1;
    check_result_init(&upload->check_result, env->config);
    spill_init(&upload->accepted, env->dir->state);
    spill_init(&upload->rejected, env->dir->state);
}

void upload_free(struct upload *upload)
{
    if (upload->env == NULL)
        return;
    check_result_free(&upload->check_result);
    spill_free(&upload->accepted);
    spill_free(&upload->rejected);
    buffer_free(&upload->name_copy);
    upload->env = NULL;
}

int upload_begin(struct upload *upload, struct pending_file *file, struct cause *cause)
{
    upload->file = file;
    buffer_clear(&upload->name_copy);
    buffer_string(&upload->name_copy, file->name);
    upload->name = buffer_text(&upload->name_copy);
    if (buffer_failed(&upload->name_copy))
        return cause_memory(cause);
    upload->now = clock_monotonic();
    upload->file_id = upload->opened.file_id;
    upload->training_columns = upload->env->transaction->training.header.columns;
    upload->detached = upload->changed_while_reading = upload->has_writer = upload->may_reject =
        upload->complete_only = upload->resumed = upload->unchanged = upload->sink_failed = false;
    upload->shorter_than = 0;
    upload->prefix_source = PREFIX_NONE;
    upload->known = sorted_snapshot_share(&upload->env->known);
    return 0;
}

/* ---- known content ------------------------------------------------------------------------ */

int upload_begin_batch(struct ingest_env *env, struct cause *cause)
{
    return ledger_contents(&env->transaction->ledger, &env->known, cause);
}

void upload_end_batch(struct ingest_env *env)
{
    sorted_snapshot_release(&env->known);
    hash_index_free(&env->heads.least_bytes);
    env->heads.any = false;
}

int upload_note_recorded(struct upload *upload, struct cause *cause)
{
    struct batch_heads *heads = &upload->env->heads;
    const struct check_result *result = &upload->check_result;
    const uint32_t bytes = result->bytes < UINT32_MAX ? (uint32_t)result->bytes : UINT32_MAX;
    size_t cursor = 0;
    struct hash_index_slot *slot;

    if (result->head == 0) {
        heads->any = true;
        return 0;
    }
    slot = hash_index_find(&heads->least_bytes, result->head, &cursor);
    if (slot == NULL && hash_index_put(&heads->least_bytes, result->head, bytes) < 0)
        return cause_memory(cause);
    if (slot != NULL && bytes < slot->value)
        slot->value = bytes;
    return 0;
}

bool upload_may_follow_recorded(const struct upload *upload)
{
    const struct batch_heads *heads = &upload->env->heads;
    const struct check_result *result = &upload->check_result;
    const struct hash_index_slot *slot;
    size_t cursor = 0;

    if (heads->any || (result->head == 0 && heads->least_bytes.used > 0))
        return true;
    slot = hash_index_find(&heads->least_bytes, result->head, &cursor);
    return slot != NULL && slot->value < result->bytes;
}

static int refresh_known(struct upload *upload, struct cause *cause)
{
    sorted_snapshot_release(&upload->known);
    return ledger_contents(&upload->env->transaction->ledger, &upload->known, cause);
}

enum upload_result upload_prepare_reread(struct upload *upload, struct cause *cause)
{
    if (refresh_known(upload, cause) < 0)
        return UPLOAD_FAILED;
    if (upload->opened.fd < 0)
        opened_file_open(upload->env->dir->drop, upload->name, &upload->opened);
    if (upload->opened.fd >= 0 && file_id_equal(&upload->opened.file_id, &upload->file_id))
        return UPLOAD_CHECKED;
    cause_set(cause, CAUSE_CHANGED, "%s changed after it was read", upload->name);
    return UPLOAD_CHANGED;
}

uint64_t upload_weight(const struct upload *upload)
{
    return decompress_format_of(upload->name) == DECOMPRESS_PLAIN
               ? upload->file_id.size
               : upload->file_id.size * PACKED_WEIGHT;
}

struct content_meta upload_meta(const struct upload *upload)
{
    return (struct content_meta){upload->check_result.has_meta, upload->check_result.meta};
}

static void close_file(struct upload *upload)
{
    if (upload->opened.fd >= 0)
        close(upload->opened.fd);
    upload->opened.fd = -1;
}

/* ---- reading ------------------------------------------------------------------------------ */

static int accept_rows(void *context, struct buffer *rows, struct cause *cause)
{
    struct upload *upload = context;
    int result = spill_add(&upload->accepted, rows, cause);

    upload->sink_failed |= result < 0;
    return result;
}

static int reject_row(void *context, const char *raw, size_t len, struct cause *cause)
{
    struct upload *upload = context;
    const struct buffer *header = &upload->check_result.header;
    struct buffer bytes = {0};
    int result;

    if (upload->rejected.length == 0)
        buffer_append(&bytes, header->data, header->len);
    buffer_append(&bytes, raw, len);
    if (raw[len - 1] != '\n')
        buffer_byte(&bytes, '\n');
    result =
        buffer_failed(&bytes) ? cause_memory(cause) : spill_add(&upload->rejected, &bytes, cause);
    buffer_free(&bytes);
    upload->sink_failed |= result < 0;
    return result;
}

/* Read and check the file once, up to the size that it had when it was opened. */
static int read_once(struct upload *upload, struct file_check *file_check, struct cause *cause)
{
    struct file_check_request request = {.fd = upload->opened.fd,
                                         .name = upload->name,
                                         .layout = &upload->training_columns,
                                         .size = upload->file_id.size,
                                         .complete_only = upload->complete_only,
                                         .prefix = upload->prefix,
                                         .known = &upload->known,
                                         .shorter_than = upload->shorter_than,
                                         .sink = {accept_rows, reject_row, upload},
                                         .pool = upload->env->pool,
                                         .stop = &upload->env->stop};

    spill_clear(&upload->accepted);
    spill_clear(&upload->rejected);
    upload->accepted.pool = upload->detached ? upload->env->pool : NULL;
    if (file_check_run(file_check, &request, &upload->check_result, cause) < 0)
        return -1;
    if (spill_finish(&upload->accepted, cause) == 0 && spill_finish(&upload->rejected, cause) == 0)
        return 0;
    upload->sink_failed = true;
    return -1;
}

/* Return true if the name still belongs to the file that was opened. */
static bool is_in_place(const struct upload *upload, struct file_id *ret_now)
{
    return beneath_stat(upload->env->dir->drop, upload->name, ret_now) == FILE_REGULAR &&
           ret_now->device == upload->file_id.device && ret_now->inode == upload->file_id.inode;
}

/* Return the file's state after the reading. A detached upload holds no lock and no drop directory:
 * upload_reattach looks at the name. */
static bool look_again(const struct upload *upload, struct file_id *ret_now)
{
    return upload->detached ? file_id_of_fd(upload->opened.fd, ret_now) == FILE_REGULAR
                            : is_in_place(upload, ret_now);
}

/* Read the file until it did not change meanwhile. If it only grew, read it once more, up to its
 * last complete row. */
static enum upload_result read_steadily(struct upload *upload, struct file_check *file_check,
                                        struct cause *cause)
{
    struct file_id after;
    unsigned tries;

    for (tries = 0; tries < 2; tries++) {
        if (read_once(upload, file_check, cause) < 0)
            return cause->kind == CAUSE_CHANGED ? UPLOAD_CHANGED : UPLOAD_FAILED;
        if (!look_again(upload, &after))
            return UPLOAD_CHANGED;
        if (file_id_equal(&after, &upload->file_id) ||
            (upload->complete_only && after.size > upload->file_id.size))
            return UPLOAD_CHECKED;
        if (after.size <= upload->file_id.size || upload->sidecars.each[SIDECAR_SHA256].there)
            return UPLOAD_CHANGED;
        upload->complete_only = true;
        upload->may_reject = false;
    }
    return UPLOAD_CHECKED;
}

static enum upload_result read_with(struct upload *upload, struct file_check *file_check,
                                    enum prefix_source source, struct cause *cause)
{
    const struct history *history = &upload->history;
    const struct ledger_line *line = source == PREFIX_OWN ? &history->own : &history->inode;

    upload->prefix_source = source;
    upload->prefix.bytes = upload->prefix_rows = 0;
    if (source == PREFIX_OWN || source == PREFIX_INODE) {
        upload->prefix.bytes = line->bytes;
        memcpy(upload->prefix.sha256, line->sha256, DIGEST_SIZE);
        upload->prefix_rows = source == PREFIX_OWN ? history->own_rows : history->inode_rows;
    }
    return read_steadily(upload, file_check, cause);
}

/* Return true if the file begins with the prefix that was tried, even if the last row of that goes
 * on in the file. */
static bool has_prefix(const struct upload *upload)
{
    return upload->check_result.prefix_found || upload->check_result.continued_line > 0;
}

/* Read the file with the content of its name or its inode as its prefix. */
static enum upload_result read_with_history(struct upload *upload, struct file_check *file_check,
                                            struct cause *cause)
{
    const struct history *history = &upload->history;
    enum upload_result result = UPLOAD_CHECKED;

    if (history->has_own) {
        result = read_with(upload, file_check, PREFIX_OWN, cause);
        if (result != UPLOAD_CHECKED || has_prefix(upload) || upload->check_result.broken ||
            !history->has_inode)
            return result;
    }
    if (history->has_inode) {
        result = read_with(upload, file_check, PREFIX_INODE, cause);
        if (result != UPLOAD_CHECKED || !has_prefix(upload) ||
            !history_inode_was_reused(history, upload->opened.fd, upload_meta(upload)))
            return result;
    }
    return read_with(upload, file_check, PREFIX_NONE, cause);
}

/* Read the file behind the longest known content that it begins with. Rows of that content are the
 * difference between the two readings. */
static enum upload_result read_with_known(struct upload *upload, struct file_check *file_check,
                                          struct cause *cause)
{
    const struct check_result *check_result = &upload->check_result;
    const bool complete_only = upload->complete_only;
    const uint64_t before = (check_result->prefix_found ? upload->prefix_rows : 0) +
                            check_result->rows + check_result->bad_rows;
    enum upload_result result;

    upload->prefix_source = PREFIX_KNOWN;
    upload->prefix = check_result->longer;
    result = read_steadily(upload, file_check, cause);
    if (result == UPLOAD_CHECKED &&
        (!check_result->prefix_found || upload->complete_only != complete_only)) {
        cause_set(cause, CAUSE_CHANGED, "it changed while it was read");
        return UPLOAD_CHANGED;
    }
    upload->prefix_rows = before - check_result->rows - check_result->bad_rows;
    return result;
}

/* Return true if only the complete rows should be merged: the last row is incomplete, and the rows
 * before it go on from merged ones, or the file was seen to grow. (A writer whose buffer ends in
 * the middle of a row may leave it so each time.) */
static bool wants_complete_rows(const struct upload *upload)
{
    const struct check_result *result = &upload->check_result;

    return (result->prefix_found || (upload->resumed && result->rows > 0)) &&
           !upload->complete_only && !upload->sidecars.each[SIDECAR_SHA256].there &&
           (check_result_only_truncated(result) || (result->no_newline && !upload->may_reject));
}

enum upload_result upload_read(struct upload *upload, struct file_check *file_check,
                               struct cause *cause)
{
    const struct check_result *check_result = &upload->check_result;
    enum upload_result result;

    *cause = (struct cause){.kind = CAUSE_CHANGED};
    result = read_with_history(upload, file_check, cause);
    if (result == UPLOAD_CHECKED && !check_result->broken && check_result->longer.bytes > 0)
        result = read_with_known(upload, file_check, cause);
    if (result == UPLOAD_CHECKED && wants_complete_rows(upload)) {
        upload->complete_only = true;
        result = read_steadily(upload, file_check, cause);
    }
    /* A new file's bytes are not needed any more. A large file may be searched once more. */
    if (!upload->history.has_own && upload->prefix_source == PREFIX_NONE && !upload->detached)
        close_file(upload);
    if (result == UPLOAD_FAILED && cause->kind == CAUSE_RETRY && !upload->sink_failed &&
        cause->errnum != ENOMEM)
        return UPLOAD_CHANGED;
    return result;
}

void upload_postpone(struct upload *upload, const struct cause *cause)
{
    const int64_t now = clock_monotonic(), spent = now - upload->now;

    log_debug("%s: no verdict: %s", upload->name, cause->text);
    if (cause->kind == CAUSE_RETRY)
        dropdir_wait(upload->env->dropdir, upload->file, PENDING_TROUBLE, cause->text,
                     now + clock_seconds(upload->env->config->rescan));
    else /* the longer the reading took, the later */
        dropdir_wait(upload->env->dropdir, upload->file, PENDING_WRITER,
                     "it changed while it was read", now + PENDING_SOON + 4 * spent);
}

/* ---- reading without the lock ------------------------------------------------------------- */

int upload_detach(struct upload *upload, struct cause *cause)
{
    struct training_columns *columns = &upload->training_columns;
    int *fields = malloc((columns->count + 1) * sizeof *fields);

    if (fields == NULL)
        return cause_memory(cause);
    memcpy(fields, columns->fields, columns->count * sizeof *fields);
    columns->fields = fields;
    upload->detached = true;
    return 0;
}

/* Return true if the rows would be written today as they were. */
static bool columns_are_current(const struct upload *upload)
{
    const struct training_columns *now = &upload->env->transaction->training.header.columns;
    const struct training_columns *then = &upload->training_columns;

    return now->count == then->count &&
           memcmp(now->fields, then->fields, then->count * sizeof(int)) == 0;
}

/* Return true if content of this length could be the beginning of the file: a row ends there. */
static bool ends_row_at(const struct upload *upload, uint64_t length)
{
    struct cause ignored;
    char bytes[3];
    const ssize_t n =
        durable_read(upload->opened.fd, bytes, sizeof bytes, length - 1, upload->name, &ignored);

    return decompress_format_of(upload->name) != DECOMPRESS_PLAIN || n < (ssize_t)sizeof bytes ||
           bytes[0] == '\n' || bytes[1] == '\n' || (bytes[1] == '\r' && bytes[2] == '\n');
}

/* Return the greatest length of content that is known now, was not known before, and that the file
 * may begin with; 0 if there is none. */
static uint64_t last_new_length(const struct upload *upload, const struct sorted_snapshot *before)
{
    const uint64_t from = upload->prefix.bytes + 1, to = upload->check_result.bytes - 1;
    struct sorted_cursor then = content_hash_walk(before, from);
    struct sorted_cursor now = content_hash_walk(&upload->known, from);
    uint64_t old = 0, new, length, last = 0;

    while (content_hash_walk_next(&now, to, &new, &length)) {
        while (old < new &&sorted_cursor_next(&then, new, &old))
            continue;
        if (old != new &&ends_row_at(upload, length))
            last = length;
    }
    return last;
}

/* Search the file for content that became known while it was read. */
static enum upload_result search_again(struct upload *upload, struct cause *cause)
{
    struct sorted_snapshot before = upload->known;
    struct content_search search = {.longer_than = upload->prefix.bytes};
    struct content_prefix found = {0};
    int result;

    upload->known = (struct sorted_snapshot){0};
    result = refresh_known(upload, cause);
    if (result == 0 && upload->check_result.bytes > 0) {
        search.known = &upload->known;
        search.shorter_than = last_new_length(upload, &before) + 1;
    }
    sorted_snapshot_release(&before);
    if (result == 0 && search.shorter_than > 1)
        result = content_hash_find(
            &(struct content_file){upload->opened.fd, upload->name, upload->file_id.size}, &search,
            upload_meta(upload), &found, cause);
    if (result < 0)
        return cause->kind == CAUSE_CHANGED ? UPLOAD_CHANGED : UPLOAD_FAILED;
    return found.bytes > 0 ? UPLOAD_CHANGED : UPLOAD_CHECKED;
}

enum upload_result upload_reattach(struct upload *upload, struct pending_file *file,
                                   struct cause *cause)
{
    struct file_id now;

    upload->file = file;
    if (upload->changed_while_reading || !columns_are_current(upload) ||
        !is_in_place(upload, &now) ||
        !history_is_current(&upload->history, &upload->env->transaction->ledger, upload->name)) {
        cause_set(cause, CAUSE_CHANGED, "something happened to %s while it was read", upload->name);
        return UPLOAD_CHANGED;
    }
    cause_set(cause, CAUSE_CHANGED, "%s may go on from another file", upload->name);
    return search_again(upload, cause);
}

void upload_end(struct upload *upload)
{
    close_file(upload);
    if (upload->detached)
        free(upload->training_columns.fields);
    upload->detached = false;
    sorted_snapshot_release(&upload->known);
    spill_clear(&upload->accepted);
    spill_clear(&upload->rejected);
}

#include "ingest/upload.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/csv_name.h"

#define PACKED_WEIGHT 16 /* more than CSV shrinks by as a rule */

/* It is as it was judged, and was not read too soon after its last change to be sure of that. */
static bool is_known(const struct upload *upload)
{
    const struct dropdir *drop = upload->env->drop;
    const char *name = upload->file->name;

    return file_cache_holds(&drop->file_cache, name, &upload->file_id,
                            ledger_last_at(&upload->env->merge->ledger, name)) &&
           !file_cache_is_racy(&drop->file_cache, name);
}

static void note_writer(struct upload *upload)
{
    enum lease_state writer = upload->taken.writer;
    bool quiet =
        upload->now - upload->file->unchanged_since >= clock_seconds(upload->env->config->settle);

    if (writer == LEASE_UNKNOWN && !upload->env->lease_unknown) {
        upload->env->lease_unknown = true;
        log_notice("the kernel does not tell who writes to %s (it takes the file's owner or "
                   "CAP_LEASE): closing, moving "
                   "and %u seconds of quiet decide",
                   upload->file->name, upload->env->config->settle);
    }
    upload->writer = writer == LEASE_WRITER ||
                     (writer == LEASE_UNKNOWN && !upload->file->writer_closed && !quiet);
    upload->may_reject = quiet && !upload->writer;
    /* A checksum is that of all of it. */
    upload->complete_only = upload->writer && !upload->sidecars.each[SIDECAR_SHA256].there;
}

/* Where it cannot be looked into, what lies in it may never be found. */
static bool directory_waits(struct upload *upload)
{
    const struct ingest_env *env = upload->env;
    enum file_kind kind;
    int fd = -1;

    if (!env->config->recursive)
        return false;
    kind = beneath_open_dir(env->dir->drop, upload->file->name, &fd);
    if (kind == FILE_UNREADABLE)
        dropdir_wait(env->drop, upload->file, PENDING_UNREADABLE,
                     "no permission to look into this directory: chmod a+rx", CLOCK_NEVER);
    else if (kind == FILE_OTHER)
        dropdir_wait(env->drop, upload->file, PENDING_FILE_TYPE,
                     "a directory too deep or with too long a path to be looked into", CLOCK_NEVER);
    else if (kind == FILE_TROUBLE)
        dropdir_wait(env->drop, upload->file, PENDING_TROUBLE, strerror(errno), CLOCK_NEVER);
    if (fd >= 0)
        close(fd);
    return kind != FILE_DIRECTORY && kind != FILE_GONE;
}

/* A second name of what is no file of the sender's. A sender's link is gone again soon, if it is a
 * step of a rename. */
static bool link_waits(struct upload *upload)
{
    const struct ingest_env *env = upload->env;

    if (upload->file_id.device == env->merge->training.device &&
        upload->file_id.inode == env->merge->training.inode)
        dropdir_wait(env->drop, upload->file, PENDING_FILE_TYPE,
                     "a hard link to training_data.csv: remove it", CLOCK_NEVER);
    else if (upload->taken.access.linked && upload->taken.access.is_protected &&
             !upload->history.is_ours)
        dropdir_wait(
            env->drop, upload->file, PENDING_FILE_TYPE,
            "a hard link to a file that not everybody may read: send a copy, remove its other "
            "name, or chmod a+r",
            upload->now < upload->file->unchanged_since + 5 * CLOCK_SECOND
                ? upload->now + CLOCK_SECOND
                : CLOCK_NEVER);
    else
        return false;
    return true;
}

/* Has its sender put beside it what it takes to judge it? Else it waits. */
static bool is_confirmed(struct upload *upload, enum file_kind kind)
{
    static const enum sidecar_kind wanted[] = {
        [CONFIG_CONFIRM_CHECKSUM] = SIDECAR_SHA256, [CONFIG_CONFIRM_DONE] = SIDECAR_DONE};
    const enum config_confirm confirm = upload->env->config->confirm;
    enum sidecar_kind last =
        upload->sidecars.each[SIDECAR_DONE].there ? SIDECAR_DONE : SIDECAR_SHA256;
    const char *base = path_base(upload->file->name), *why = NULL;
    struct buffer detail = {0};
    enum pending_reason reason = PENDING_FILE_TYPE;

    if (kind == FILE_UNREADABLE) {
        reason = PENDING_UNREADABLE;
        why = "may not be read: chmod a+r";
    } else if (kind == FILE_TROUBLE) {
        reason = PENDING_TROUBLE;
        why = strerror(errno);
    } else if (kind != FILE_REGULAR) {
        why = "is no regular file";
    } else if (upload->sidecars.linked) {
        reason = PENDING_UNCONFIRMED;
        why = "has another name: it counts once that is gone";
    } else if (upload->sidecars.foreign && confirm != CONFIG_CONFIRM_NONE &&
               !upload->sidecars.each[wanted[confirm]].there) {
        last = wanted[confirm];
        reason = PENDING_UNCONFIRMED;
        why = "belongs to another user than the file, or has another name: it does not count";
    } else if (confirm != CONFIG_CONFIRM_NONE && !upload->sidecars.each[wanted[confirm]].there) {
        last = wanted[confirm];
        reason = PENDING_UNCONFIRMED;
        why = confirm == CONFIG_CONFIRM_DONE
                  ? "has not come: the file is judged once its sender says so"
                  : "has not come: the file is judged once its checksum is there";
    }
    if (why == NULL)
        return true;
    buffer_printf(&detail, "%s%s %s", base, sidecar_suffix(last), why);
    dropdir_wait(upload->env->drop, upload->file, reason, buffer_text(&detail),
                 upload->sidecars.linked ? upload->now + CLOCK_SECOND : CLOCK_NEVER);
    buffer_free(&detail);
    return false;
}

/* May the file be judged now? Else it waits, is done, or is gone. */
static bool claim(struct upload *upload)
{
    enum file_kind beside = FILE_REGULAR;
    int64_t quiet_at, latest;

    switch (upload->taken.kind) {
    case FILE_DIRECTORY:
        if (directory_waits(upload))
            return false;
        /* fall through */
    case FILE_GONE:
        dropdir_count_out(upload->env->drop, upload->file->name);
        upload->env->drop->changed = true; /* one less waits */
        pending_done(upload->file);
        return false;
    case FILE_OTHER:
        dropdir_wait(
            upload->env->drop, upload->file, PENDING_FILE_TYPE,
            "no regular file: links, FIFOs and devices are never opened; send the file itself",
            CLOCK_NEVER);
        return false;
    case FILE_UNREADABLE:
        dropdir_wait(upload->env->drop, upload->file, PENDING_UNREADABLE,
                     "no permission to read it: chmod a+r, or send with rsync --chmod=F644",
                     CLOCK_NEVER);
        return false;
    case FILE_TROUBLE:
        dropdir_wait(upload->env->drop, upload->file, PENDING_TROUBLE,
                     strerror(upload->taken.errnum), CLOCK_NEVER);
        return false;
    case FILE_REGULAR:
        break;
    }
    upload->file_id = upload->taken.file_id;
    dropdir_count_in(upload->env->drop, upload->file);
    upload->sidecars = (struct sidecars){0};
    if (upload->env->drop->sidecars || upload->env->config->confirm != CONFIG_CONFIRM_NONE)
        beside = sidecar_read(upload->env->dir->drop, upload->file->name,
                              upload->taken.access.owner, &upload->sidecars);
    if (upload->sidecars.foreign)
        log_debug("%s: what somebody else put beside it does not count", upload->name);
    pending_observe(upload->file, &upload->file_id, sidecar_hash(&upload->sidecars), upload->now);
    note_writer(upload);
    upload->known = is_known(upload);
    quiet_at = upload->file->unchanged_since + clock_seconds(upload->env->config->settle);
    latest = upload->file->last_checked + clock_seconds(upload->env->config->rescan);
    if (upload->writer && upload->now < quiet_at && upload->now < latest)
        dropdir_wait(upload->env->drop, upload->file, PENDING_WRITER,
                     "a program has it open for writing", quiet_at < latest ? quiet_at : latest);
    else if (upload->file_id.size == 0)
        dropdir_wait(upload->env->drop, upload->file, PENDING_EMPTY, "no bytes yet", CLOCK_NEVER);
    else if (upload->file_id.mtime == 0)
        dropdir_wait(
            upload->env->drop, upload->file, PENDING_PARTIAL,
            "an interrupted rsync --partial left it (modification time 0): run rsync again",
            CLOCK_NEVER);
    else
        return is_confirmed(upload, beside);
    return false;
}

static int sink_accept(void *context, struct buffer *rows, struct cause *cause)
{
    struct upload *upload = context;
    int result = spill_add(&upload->accepted, rows, cause);

    upload->sink_failed |= result < 0;
    return result;
}

/* Bad rows as they came, behind the file's own header. */
static int sink_reject(void *context, const char *raw, size_t len, struct cause *cause)
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

/* Reads and checks it up to the size of the first look. */
static int read_file(struct upload *upload, struct file_check *file_check, struct cause *cause)
{
    struct file_check_request order = {.fd = upload->fd,
                                       .name = upload->name,
                                       .layout = &upload->layout,
                                       .size = upload->file_id.size,
                                       .complete_only = upload->complete_only,
                                       .sink = {sink_accept, sink_reject, upload},
                                       .pool = upload->env->pool,
                                       .stop = &upload->env->stop};

    if (upload->history.base != NULL) {
        order.prefix_bytes = upload->history.base->bytes;
        memcpy(order.prefix_sha, upload->history.base->sha256, DIGEST_SIZE);
    }
    spill_clear(&upload->accepted);
    spill_clear(&upload->rejected);
    upload->accepted.pool = upload->detached ? upload->env->pool : NULL;
    if (file_check_run(file_check, &order, &upload->check_result, cause) < 0)
        return -1;
    if (spill_finish(&upload->accepted, cause) == 0 && spill_finish(&upload->rejected, cause) == 0)
        return 0;
    upload->sink_failed = true;
    return -1;
}

/* Is it still this file that has the name? As it is now. */
static bool is_in_place(const struct upload *upload, struct file_id *ret_now)
{
    return beneath_stat(upload->env->dir->drop, upload->name, ret_now) == FILE_REGULAR &&
           ret_now->device == upload->file_id.device && ret_now->inode == upload->file_id.inode;
}

/* Reads it; and again, up to its last complete row, if it grew meanwhile. 1: judged, 0: it changed,
 * no verdict. */
static int read_steadily(struct upload *upload, struct file_check *file_check, struct cause *cause)
{
    struct file_id after;
    unsigned tries;

    for (tries = 0; tries < 2; tries++) {
        if (read_file(upload, file_check, cause) < 0)
            return cause->kind == CAUSE_CHANGED ? 0 : -1;
        /* The lock is not held, nor the drop directory open: upload_reattach asks for the name. */
        if (upload->detached ? file_id_of_fd(upload->fd, &after) != FILE_REGULAR
                             : !is_in_place(upload, &after))
            return 0;
        if (file_id_equal(&after, &upload->file_id) ||
            (upload->complete_only && after.size > upload->file_id.size))
            return 1;
        if (after.size <= upload->file_id.size)
            return 0;
        if (upload->sidecars.each[SIDECAR_SHA256].there)
            return 0;
        /* It only grew: somebody appends. */
        upload->complete_only = true;
        upload->may_reject = false;
    }
    return 1;
}

void upload_postpone(struct upload *upload, const struct cause *cause)
{
    int64_t now = clock_monotonic(), spent = now - upload->now;

    log_debug("%s: no verdict: %s", upload->name, cause->text);
    if (cause->kind == CAUSE_RETRY)
        dropdir_wait(upload->env->drop, upload->file, PENDING_TROUBLE, cause->text,
                     now + clock_seconds(upload->env->config->rescan));
    else /* the larger the file, the later */
        dropdir_wait(upload->env->drop, upload->file, PENDING_WRITER,
                     "it changed while it was read", now + PENDING_SOON + 4 * spent);
}

/*
 * A grown file whose last row is incomplete: its complete rows alone. Of which nothing is booked
 * yet, too, if it was seen to grow: whose buffer ends in the middle of a row may do so for ever.
 */
static bool wants_complete_rows(const struct upload *upload)
{
    const struct check_result *result = &upload->check_result;

    return (result->prefix_found || (upload->growing && result->rows > 0)) &&
           !upload->complete_only && !upload->sidecars.each[SIDECAR_SHA256].there &&
           (check_result_only_truncated(result) || (result->no_newline && !upload->may_reject));
}

uint64_t upload_weight(const struct upload *upload)
{
    return decompress_format_of(upload->name) == DECOMPRESS_PLAIN
               ? upload->file_id.size
               : upload->file_id.size * PACKED_WEIGHT;
}

static void close_file(struct upload *upload)
{
    if (upload->fd >= 0)
        close(upload->fd);
    upload->fd = -1;
}

void upload_init(struct upload *upload, struct ingest_env *env)
{
    upload->env = env;
    upload->fd = -1;
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

int upload_claim(struct upload *upload, struct pending_file *file, struct cause *cause)
{
    upload->file = file;
    upload->fd = upload->taken.fd;
    buffer_clear(&upload->name_copy);
    buffer_string(&upload->name_copy, file->name);
    upload->name = buffer_text(&upload->name_copy);
    if (buffer_failed(&upload->name_copy))
        return cause_memory(cause);
    upload->now = clock_monotonic();
    upload->layout = upload->env->merge->training.layout;
    upload->complete_only = upload->known = upload->sink_failed = upload->detached = upload->again =
        false;
    upload->history.base = NULL;
    if (!claim(upload))
        return 0;
    upload->growing = file->truncated_size > 0 && upload->file_id.size > file->truncated_size;
    if (history_file(&upload->history, &upload->env->merge->ledger, &upload->env->drop->file_cache,
                     upload->name, &upload->file_id, cause) < 0)
        return -1;
    upload->growing &= upload->history.base_count == 0;
    if (link_waits(upload))
        return 0;
    /* A checksum that came after its file was merged may contradict it. */
    if (upload->sidecars.each[SIDECAR_SHA256].there &&
        !(upload->history.has_last && upload->sidecars.has_sum &&
          memcmp(upload->sidecars.sha256, upload->history.last.sha256, DIGEST_SIZE) == 0))
        upload->known = false;
    return 1;
}

int upload_detach(struct upload *upload, struct cause *cause)
{
    int *fields = malloc((upload->layout.count + 1) * sizeof *fields);

    if (fields == NULL)
        return cause_memory(cause);
    memcpy(fields, upload->layout.fields, upload->layout.count * sizeof *fields);
    upload->layout.fields = fields;
    upload->detached = true;
    return 0;
}

/* Would its rows be written today as they were? */
static bool fits_training(const struct upload *upload)
{
    const struct training_columns *layout = &upload->env->merge->training.layout;

    return layout->count == upload->layout.count &&
           memcmp(layout->fields, upload->layout.fields, layout->count * sizeof(int)) == 0;
}

int upload_reattach(struct upload *upload, struct pending_file *file, struct cause *cause)
{
    struct file_id now;
    int same;

    upload->file = file;
    same = history_recheck(&upload->history, &upload->env->merge->ledger,
                           &upload->env->drop->file_cache, upload->name, &upload->file_id, cause);
    if (same <= 0)
        return same;
    return is_in_place(upload, &now) && fits_training(upload);
}

/* Does it begin with its base, or with what seems to be that? */
static bool goes_on(const struct upload *upload)
{
    return upload->check_result.prefix_found || upload->check_result.continued_line > 0;
}

static bool is_of_another(const struct upload *upload)
{
    return goes_on(upload) &&
           history_is_of_another(&upload->history, upload->fd, upload->check_result.has_meta,
                                 upload->check_result.meta);
}

int upload_read(struct upload *upload, struct file_check *file_check, struct cause *cause)
{
    const struct check_result *result = &upload->check_result;
    int steady;
    size_t i;

    *cause = (struct cause){.kind = CAUSE_CHANGED};
    steady = read_steadily(upload, file_check, cause);
    /* It does not begin with the longest content; with another? */
    for (i = 1; steady > 0 && i < upload->history.base_count && !result->broken &&
                (is_of_another(upload) || !goes_on(upload));
         i++) {
        upload->history.base = upload->history.bases[i];
        steady = read_steadily(upload, file_check, cause);
    }
    if (steady > 0 && is_of_another(upload)) {
        upload->history.base =
            upload->history.bases[0] != &upload->history.inode ? upload->history.bases[0] : NULL;
        steady = read_steadily(upload, file_check, cause);
    }
    if (steady > 0 && wants_complete_rows(upload)) {
        upload->complete_only = true;
        steady = read_steadily(upload, file_check, cause);
    }
    /* Nothing is decided of a new file that takes another look at its bytes. */
    if (upload->history.base_count == 0)
        close_file(upload);
    if (steady < 0 && cause->kind == CAUSE_RETRY && !upload->sink_failed && cause->errnum != ENOMEM)
        return 0;
    return steady;
}

void upload_close(struct upload *upload)
{
    close_file(upload);
    if (upload->detached)
        free(upload->layout.fields);
    upload->detached = false;
    spill_clear(&upload->accepted);
    spill_clear(&upload->rejected);
}

#include "ingest/gate.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "fs/csv_name.h"
#include "base/log.h"

#define LINK_PATIENCE (5 * CLOCK_SECOND) /* a rename by link and unlink takes less */

/* Why a gate is closed. */
struct closed {
    enum pending_reason reason;
    const char *detail;
    struct buffer text; /* for a detail that is made up */
    int64_t when;       /* time of the next check; CLOCK_NEVER: wait for an event */
};

/* A gate returns true if it is closed, and fills *closed, which says `never` before. */
typedef bool gate_test(struct upload *upload, struct closed *closed);

static bool close_gate(struct closed *closed, enum pending_reason reason, const char *detail,
                       int64_t when)
{
    closed->reason = reason;
    closed->detail = detail;
    closed->when = when;
    return true;
}

/* ---- before it is opened for good --------------------------------------------------------- */

static bool is_no_file(struct upload *upload, struct closed *closed)
{
    switch (upload->opened.kind) {
    case FILE_OTHER:
        return close_gate(
            closed, PENDING_FILE_TYPE,
            "no regular file: links, FIFOs and devices are never opened; send the file itself",
            CLOCK_NEVER);
    case FILE_UNREADABLE:
        return close_gate(closed, PENDING_UNREADABLE,
                          "no permission to read it: chmod a+r, or send with rsync --chmod=F644",
                          CLOCK_NEVER);
    case FILE_TROUBLE:
        return close_gate(closed, PENDING_TROUBLE, strerror(upload->opened.errnum), CLOCK_NEVER);
    case FILE_GONE:
    case FILE_DIRECTORY:
    case FILE_REGULAR:
        break;
    }
    return false;
}

/* A directory that cannot be listed waits, since nothing else would tell of the files in it. */
static bool is_closed_directory(struct upload *upload, struct closed *closed)
{
    const struct ingest_env *env = upload->env;
    enum file_kind kind;
    int fd = -1;

    if (upload->opened.kind != FILE_DIRECTORY || !env->config->recursive)
        return false;
    kind = beneath_open_dir(env->dir->drop, upload->name, &fd);
    if (fd >= 0)
        close(fd);
    if (kind == FILE_UNREADABLE)
        return close_gate(closed, PENDING_UNREADABLE,
                          "no permission to look into this directory: chmod a+rx", CLOCK_NEVER);
    if (kind == FILE_OTHER)
        return close_gate(closed, PENDING_FILE_TYPE,
                          "a directory too deep or with too long a path to be looked into",
                          CLOCK_NEVER);
    if (kind == FILE_TROUBLE)
        return close_gate(closed, PENDING_TROUBLE, strerror(errno), CLOCK_NEVER);
    return false;
}

/* ---- a regular file ----------------------------------------------------------------------- */

static bool is_being_written(struct upload *upload, struct closed *closed)
{
    const struct config *config = upload->env->config;
    const int64_t quiet_at = upload->file->unchanged_since + clock_seconds(config->settle);
    const int64_t latest = upload->file->last_checked + clock_seconds(config->rescan);

    if (!upload->has_writer || upload->now >= quiet_at || upload->now >= latest)
        return false;
    return close_gate(closed, PENDING_WRITER, "a program has it open for writing",
                      quiet_at < latest ? quiet_at : latest);
}

static bool is_empty(struct upload *upload, struct closed *closed)
{
    return upload->file_id.size == 0 &&
           close_gate(closed, PENDING_EMPTY, "no bytes yet", CLOCK_NEVER);
}

static bool is_partial(struct upload *upload, struct closed *closed)
{
    return upload->file_id.mtime == 0 &&
           close_gate(
               closed, PENDING_PARTIAL,
               "an interrupted rsync --partial left it (modification time 0): run rsync again",
               CLOCK_NEVER);
}

static bool close_for_sidecar(struct upload *upload, struct closed *closed,
                              enum pending_reason reason, enum sidecar_kind sidecar,
                              const char *what)
{
    buffer_printf(&closed->text, "%s%s %s", path_base(upload->name), sidecar_suffix(sidecar), what);
    return close_gate(closed, reason, buffer_text(&closed->text),
                      upload->sidecars.linked ? upload->now + CLOCK_SECOND : CLOCK_NEVER);
}

/* A sidecar that cannot be read closes the gate whatever `confirm` says. */
static bool has_bad_sidecar(struct upload *upload, struct closed *closed)
{
    const struct sidecars *sidecars = &upload->sidecars;
    const enum sidecar_kind last =
        sidecars->each[SIDECAR_DONE].there ? SIDECAR_DONE : SIDECAR_SHA256;

    switch (upload->sidecar_state) {
    case FILE_REGULAR:
        break;
    case FILE_UNREADABLE:
        return close_for_sidecar(upload, closed, PENDING_UNREADABLE, last,
                                 "may not be read: chmod a+r");
    case FILE_TROUBLE:
        return close_for_sidecar(upload, closed, PENDING_TROUBLE, last,
                                 strerror(upload->sidecar_errnum));
    case FILE_GONE:
    case FILE_OTHER:
    case FILE_DIRECTORY:
        return close_for_sidecar(upload, closed, PENDING_FILE_TYPE, last, "is no regular file");
    }
    return sidecars->linked && close_for_sidecar(upload, closed, PENDING_UNCONFIRMED, last,
                                                 "has another name: it counts once that is gone");
}

/* The sidecar that `confirm` asks for is missing. */
static bool is_unconfirmed(struct upload *upload, struct closed *closed)
{
    const enum config_confirm confirm = upload->env->config->confirm;
    const enum sidecar_kind wanted = confirm == CONFIG_CONFIRM_DONE ? SIDECAR_DONE : SIDECAR_SHA256;
    const char *what;

    if (confirm == CONFIG_CONFIRM_NONE || upload->sidecars.each[wanted].there)
        return false;
    if (upload->sidecars.foreign)
        what = "belongs to another user than the file, or has another name: it does not count";
    else if (confirm == CONFIG_CONFIRM_DONE)
        what = "has not come: the file is judged once its sender says so";
    else
        what = "has not come: the file is judged once its checksum is there";
    return close_for_sidecar(upload, closed, PENDING_UNCONFIRMED, wanted, what);
}

/* A hard link may show a file that its maker cannot read. */
static bool is_hard_link(struct upload *upload, struct closed *closed)
{
    const struct training *training = &upload->env->transaction->training;
    const bool young = upload->now < upload->file->unchanged_since + LINK_PATIENCE;

    if (upload->file_id.device == training->device && upload->file_id.inode == training->inode)
        return close_gate(closed, PENDING_FILE_TYPE, "a hard link to training_data.csv: remove it",
                          CLOCK_NEVER);
    return upload->opened.access.linked && upload->opened.access.is_protected &&
           !upload->history.inode_has_name &&
           close_gate(closed, PENDING_FILE_TYPE,
                      "a hard link to a file that not everybody may read: send a copy, remove its "
                      "other name, or chmod a+r",
                      young ? upload->now + CLOCK_SECOND : CLOCK_NEVER);
}

/* ---- all of them -------------------------------------------------------------------------- */

static gate_test *const before_reading[] = {is_being_written, is_empty,       is_partial,
                                            has_bad_sidecar,  is_unconfirmed, NULL};
static gate_test *const opening[] = {is_no_file, is_closed_directory, NULL};
static gate_test *const known_history[] = {is_hard_link, NULL};

/* Return true if a gate is closed, and make the file wait. */
static bool is_closed(struct upload *upload, gate_test *const *gates)
{
    struct closed closed = {.when = CLOCK_NEVER};

    while (*gates != NULL && !(*gates)(upload, &closed))
        gates++;
    if (*gates != NULL)
        dropdir_wait(upload->env->dropdir, upload->file, closed.reason, closed.detail, closed.when);
    buffer_free(&closed.text);
    return *gates != NULL;
}

/* Return true if the cache has the file as it was when its last ledger line was written, fresh
 * timestamps or not. */
static bool is_as_recorded(const struct upload *upload)
{
    return file_cache_holds(&upload->env->dropdir->file_cache, upload->name, &upload->file_id,
                            ledger_last_at(&upload->env->transaction->ledger, upload->name));
}

/* Find out whether a program writes to the file. */
static void note_writer(struct upload *upload)
{
    const struct config *config = upload->env->config;
    const enum lease_state writer = upload->opened.writer;
    const bool quiet = upload->now - upload->file->unchanged_since >= clock_seconds(config->settle);

    if (writer == LEASE_UNKNOWN && !upload->env->logged_unknown_writer) {
        upload->env->logged_unknown_writer = true;
        log_notice("the kernel does not tell who writes to %s (it takes the file's owner or "
                   "CAP_LEASE): closing, moving "
                   "and %u seconds of quiet decide",
                   upload->name, config->settle);
    }
    /* A file that is as it was when it was recorded is at rest, and only read once more. */
    upload->has_writer =
        writer == LEASE_WRITER || (writer == LEASE_UNKNOWN && !upload->file->writer_closed &&
                                   !quiet && !is_as_recorded(upload));
    upload->may_reject = quiet && !upload->has_writer;
    /* A checksum is that of the whole file. */
    upload->complete_only = upload->has_writer && !upload->sidecars.each[SIDECAR_SHA256].there;
}

/* Look at a regular file and at what its sender put beside it. */
static void observe(struct upload *upload)
{
    const struct ingest_env *env = upload->env;

    dropdir_count_in(env->dropdir, upload->file);
    upload->sidecars = (struct sidecars){0};
    upload->sidecar_state = FILE_REGULAR;
    if (env->dropdir->sidecars || env->config->confirm != CONFIG_CONFIRM_NONE) {
        upload->sidecar_state = sidecar_read(env->dir->drop, upload->name,
                                             upload->opened.access.owner, &upload->sidecars);
        upload->sidecar_errnum = errno;
    }
    if (upload->sidecars.foreign)
        log_debug("%s: what somebody else put beside it does not count", upload->name);
    pending_observe(upload->file, &upload->file_id, sidecar_hash(&upload->sidecars), upload->now);
    note_writer(upload);
    upload->resumed =
        upload->file->truncated_size > 0 && upload->file_id.size > upload->file->truncated_size;
}

/* Return true if the file is what it was when it was checked, beyond doubt (file_cache.h), and no
 * checksum came since that contradicts it. */
static bool is_as_checked(const struct upload *upload)
{
    const struct history *history = &upload->history;
    const bool agrees = history->has_last && upload->sidecars.has_sum &&
                        memcmp(upload->sidecars.sha256, history->last.sha256, DIGEST_SIZE) == 0;

    return is_as_recorded(upload) &&
           !file_cache_is_racy(&upload->env->dropdir->file_cache, upload->name) &&
           (!upload->sidecars.each[SIDECAR_SHA256].there || agrees);
}

enum gate_result gate_pass(struct upload *upload, struct pending_file *file, struct cause *cause)
{
    const struct ingest_env *env = upload->env;

    if (upload_begin(upload, file, cause) < 0)
        return GATE_FAILED;
    if (is_closed(upload, opening))
        return GATE_CLOSED;
    if (upload->opened.kind != FILE_REGULAR) {
        dropdir_count_out(env->dropdir, upload->name);
        env->dropdir->changed = true; /* the number of waiting files */
        pending_done(file);
        return GATE_CLOSED;
    }
    observe(upload);
    if (is_closed(upload, before_reading))
        return GATE_CLOSED;
    if (history_load(&upload->history, &env->transaction->ledger, &env->dropdir->file_cache,
                     upload->name, &upload->file_id, cause) < 0)
        return GATE_FAILED;
    if (is_closed(upload, known_history))
        return GATE_CLOSED;
    upload->unchanged = is_as_checked(upload);
    if (upload->unchanged)
        return GATE_UNCHANGED;
    /* A file that was cut in a row goes on from nothing that was merged. */
    upload->resumed &= !upload->history.has_own && !upload->history.has_inode;
    return GATE_READ;
}

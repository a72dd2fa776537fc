#include "ops/status.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "drop/drop_scan.h"
#include "drop/pending_file.h"
#include "drop/sidecar.h"
#include "fs/beneath.h"
#include "fs/durable.h"
#include "fs/fs_type.h"
#include "ops/json.h"
#include "store/ledger.h"

/* ---- reading ------------------------------------------------------------------------------ */

struct status_reading {
    struct status *status;
    const struct session *session;
    struct ledger ledger;
    bool out_of_memory;
};

/* The daemon holds state/daemon.lock for life. */
static int read_daemon(struct status *status, int state_fd, struct cause *cause)
{
    int fd = openat(state_fd, "daemon.lock", O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return 0;
    status->daemon_up = flock(fd, LOCK_SH | LOCK_NB) < 0;
    close(fd);
    if (!status->daemon_up)
        return 0;
    if (durable_read_file(state_fd, "daemon.lock", &status->holder, cause) < 0)
        return -1;
    if (status->holder.len > 0)
        status->holder.len--; /* the newline */
    return 0;
}

/* List a file as waiting unless the last run did not and its last verdict accepted it. */
static void found_in_drop(void *context, const char *name, enum file_kind kind,
                          const struct file_id *file_id)
{
    struct status_reading *reading = context;
    struct pending *pending = &reading->status->pending;
    enum pending_reason if_new = PENDING_NEW;
    struct ledger_known known;

    (void)file_id;
    if (pending_find(pending, name) == NULL && ledger_name(&reading->ledger, name, &known) &&
        known.last != VERDICT_QUARANTINED)
        return;
    if (kind == FILE_OTHER)
        if_new = PENDING_FILE_TYPE;
    else if (kind == FILE_UNREADABLE)
        if_new = PENDING_UNREADABLE;
    reading->out_of_memory |= pending_note_present(pending, name, if_new) < 0;
}

/* List a sidecar whose file is not there: it came after the file had left, or the file never came. */
static void found_sidecar(void *context, const char *name)
{
    struct status_reading *reading = context;
    struct status *status = reading->status;
    char *file = strndup(name, sidecar_target_length(name));
    struct file_id ignored;

    reading->out_of_memory |= file == NULL;
    if (file != NULL && beneath_stat(reading->session->dir.drop, file, &ignored) == FILE_GONE) {
        status->orphan_count++;
        buffer_append(&status->orphans, name, strlen(name) + 1);
    }
    free(file);
}

static void note_polled_directory(void *context, const char *directory, int fd)
{
    struct status_reading *reading = context;
    const struct config *config = &reading->session->config;
    const char *system = fs_type_name(fd);

    if (system != NULL && reading->status->polled.len == 0)
        buffer_printf(
            &reading->status->polled,
            "every %u seconds: " DATADIR_DROP "/%s is on %s, of which the kernel does not "
            "tell all that happens",
            config->poll < config->rescan ? config->poll : config->rescan, directory, system);
}

static int scan_drop(struct status_reading *reading, struct session *session, struct cause *cause)
{
    const struct drop_scan_request request = {.recursive = session->config.recursive,
                                              .enter = note_polled_directory,
                                              .names_only = true,
                                              .sidecar = found_sidecar,
                                              .found = found_in_drop,
                                              .context = reading};
    struct status *status = reading->status;
    int result;

    if (datadir_open_drop(&session->dir, cause) < 0) {
        if (status->trouble.len == 0)
            buffer_string(&status->trouble, cause->text);
        return 0;
    }
    result = drop_scan(session->dir.drop, &request, &status->ignored, cause);
    datadir_close_drop(&session->dir);
    status->ignored += status->orphan_count;
    return result;
}

static int read_state(struct status_reading *reading, int state_fd, struct cause *cause)
{
    if (state_fd < 0)
        return 0; /* no run has created the directories yet */
    if (read_daemon(reading->status, state_fd, cause) < 0 ||
        durable_read_file(state_fd, "trouble", &reading->status->trouble, cause) < 0 ||
        ledger_open(&reading->ledger, state_fd, cause) < 0 ||
        ledger_refresh(&reading->ledger, false, cause) < 0)
        return -1;
    return pending_load(&reading->status->pending, state_fd, cause);
}

static int read_everything(struct status_reading *reading, struct session *session,
                           struct cause *cause)
{
    struct status *status = reading->status;

    if (read_state(reading, session->dir.state, cause) < 0 ||
        scan_drop(reading, session, cause) < 0)
        return -1;
    if (reading->out_of_memory || buffer_failed(&status->trouble) ||
        buffer_failed(&status->polled) || buffer_failed(&status->orphans))
        return cause_memory(cause);
    pending_keep_present(&status->pending);
    status->last_merge = reading->ledger.last_merge;
    return quarantine_scan(&session->dir, &reading->ledger, &status->quarantine, cause);
}

int status_read(struct status *status, struct session *session, struct cause *cause)
{
    struct status_reading reading = {.status = status, .session = session, .ledger = {.fd = -1}};
    int result;

    *status = (struct status){.data_dir = session->dir.path};
    result = read_everything(&reading, session, cause);
    ledger_close(&reading.ledger);
    return result;
}

void status_free(struct status *status)
{
    pending_free(&status->pending);
    buffer_free(&status->holder);
    buffer_free(&status->orphans);
    buffer_free(&status->trouble);
    buffer_free(&status->polled);
    *status = (struct status){0};
}

/* ---- telling ------------------------------------------------------------------------------ */

const char *status_next(const struct status *status)
{
    if (!status->daemon_up && pending_has_reason(&status->pending, PENDING_NEW))
        return "phasesentinel merge";
    if (status->quarantine.files > 0)
        return "read quarantine/NAME.errors.csv, mend the file, try it with: phasesentinel check "
               "FILE, and drop it again";
    if (pending_waiting_count(&status->pending) > 0)
        return status->daemon_up ? "" : "phasesentinel merge";
    return "";
}

static json_t *json_buffer(const struct buffer *buffer)
{
    return json_bytes(buffer->data == NULL ? "" : buffer->data, buffer->len);
}

int status_json(const struct status *status, struct buffer *out, struct cause *cause)
{
    json_t *json = json_object(), *waiting = json_array();
    struct pending_view file;
    size_t cursor = 0;

    while (pending_next_waiting(&status->pending, &cursor, &file))
        json_array_append_new(waiting, json_pack("{s:o, s:s, s:o}", "name", json_text(file.name),
                                                 "reason", pending_reason_name(file.reason),
                                                 "detail", json_text(file.detail)));
    json_object_set_new(json, "daemon", json_boolean(status->daemon_up));
    json_object_set_new(json, "holder", json_buffer(&status->holder));
    json_object_set_new(json, "data_dir", json_text(status->data_dir));
    json_object_set_new(json, "waiting", waiting);
    json_object_set_new(json, "ignored", json_count(status->ignored));
    json_object_set_new(json, "last_merge", json_time(status->last_merge));
    json_object_set_new(json, "quarantined", json_count(status->quarantine.files));
    json_object_set_new(json, "trouble", json_buffer(&status->trouble));
    json_object_set_new(json, "polled", json_buffer(&status->polled));
    json_object_set_new(json, "next", json_text(status_next(status)));
    return json_print(json, out, cause);
}

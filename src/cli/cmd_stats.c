/* stats: the statistics as the last batch left them. status: what is going on now. Both only read.
 */
#include "base/clock.h"
#include "cli/command.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/fs_type.h"
#include "fs/durable.h"
#include "store/ledger.h"
#include "ops/report.h"
#include "base/csv_name.h"
#include "drop/drop_scan.h"
#include "drop/sidecar.h"
#include "fs/beneath.h"
#include "ingest/quarantine_scan.h"
#include "base/escape.h"
#include "drop/pending_file.h"

/* A small file as a string; "" where there is none. */
static int read_text(int dir_fd, const char *name, struct buffer *out, struct cause *cause)
{
    int fd = dir_fd < 0 ? -1 : openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;
    ssize_t n;

    if (fd < 0)
        return dir_fd < 0 || errno == ENOENT
                   ? 0
                   : cause_errno(cause, CAUSE_RETRY, "cannot open %s", name);
    if (fstat(fd, &st) < 0 || buffer_reserve(out, (size_t)st.st_size + 1) < 0) {
        close(fd);
        return cause_memory(cause);
    }
    n = durable_read(fd, out->data, (size_t)st.st_size, 0, name, cause);
    close(fd);
    if (n < 0)
        return -1;
    out->len = (size_t)n;
    return 0;
}

static int parse_json_option(const struct command *command, struct session *session, int argc,
                             char **argv, bool *ret_json, int *ret_code, struct cause *cause)
{
    static const struct option own[] = {{"json", no_argument, NULL, 'J'}, {NULL, 0, NULL, 0}};
    int option;

    *ret_json = false;
    while ((option = command_option(command, session, argc, argv, "", own, ret_code)) != -1) {
        if (option == COMMAND_HELP)
            return COMMAND_HELP;
        *ret_json = true;
    }
    if (optind < argc)
        return cause_set(cause, CAUSE_USAGE, "%s takes no arguments", command->name);
    return 0;
}

int command_stats(const struct command *command, struct session *session, int argc, char **argv,
                  struct cause *cause)
{
    struct buffer text = {0};
    int code, result;
    bool json;

    result = parse_json_option(command, session, argc, argv, &json, &code, cause);
    if (result != 0)
        return result == COMMAND_HELP ? code : -1;
    if (session_load(session, cause) < 0 ||
        session_open_dirs(session, SESSION_LOOK_ONLY, cause) < 0)
        return -1;
    result = read_text(session->dir.stats, json ? "stats.json" : "summary.txt", &text, cause);
    if (result == 0 && text.len == 0)
        result = cause_set(
            cause, CAUSE_NO_INPUT,
            "there are no statistics in %s yet: run phasesentinel merge, or start the daemon",
            session->dir.path);
    if (result == 0)
        fwrite(text.data, 1, text.len, stdout);
    buffer_free(&text);
    return result;
}

/* ---- status ------------------------------------------------------------------------------- */

struct view {
    struct session *session;
    struct ledger ledger;
    struct pending pending;
    struct quarantine_summary quarantine;
    struct buffer trouble, holder, polled;
    struct buffer orphans; /* a line for each sidecar without a file */
    uint64_t ignored;      /* names, orphans among them */
    uint64_t orphan_count;
    bool daemon_up;
    bool failed;
};

/* The daemon holds its lock as long as it lives. */
static int look_for_daemon(struct view *view, struct cause *cause)
{
    int state = view->session->dir.state,
        fd = state < 0 ? -1 : openat(state, "daemon.lock", O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return 0;
    view->daemon_up = flock(fd, LOCK_SH | LOCK_NB) < 0;
    close(fd);
    return view->daemon_up ? read_text(state, "daemon.lock", &view->holder, cause) : 0;
}

/* A file that is neither accepted nor on the list has not been looked at. What the list has and is
 * gone stays out. */
static void found(void *context, const char *name, enum file_kind kind,
                  const struct file_id *file_id)
{
    struct view *view = context;
    enum pending_reason reason = kind == FILE_OTHER        ? PENDING_FILE_TYPE
                                 : kind == FILE_UNREADABLE ? PENDING_UNREADABLE
                                                           : PENDING_NEW;
    struct ledger_known known;

    (void)file_id;
    if (pending_find(&view->pending, name) == NULL && ledger_name(&view->ledger, name, &known) &&
        known.last != VERDICT_QUARANTINED)
        return;
    view->failed |= pending_note_present(&view->pending, name, reason) < 0;
}

/* Note a sidecar whose file is not there: it came after the file had left, or the file never came. */
static void found_sidecar(void *context, const char *name)
{
    struct view *view = context;
    char *file = strndup(name, sidecar_target_length(name));
    struct file_id ignored;

    view->failed |= file == NULL;
    if (file != NULL && beneath_stat(view->session->dir.drop, file, &ignored) == FILE_GONE) {
        view->orphan_count++;
        buffer_string(&view->orphans, "  ");
        escape_printable(&view->orphans, name, strlen(name));
        buffer_string(&view->orphans, ": its file is not here\n");
    }
    free(file);
}

static void enter(void *context, const char *directory, int fd)
{
    struct view *view = context;
    const struct config *config = &view->session->config;
    const char *system = fs_type_name(fd);

    if (system != NULL && view->polled.len == 0)
        buffer_printf(
            &view->polled,
            "every %u seconds: " DATADIR_DROP "/%s is on %s, of which the kernel does not "
            "tell all that happens",
            config->poll < config->rescan ? config->poll : config->rescan, directory, system);
}

static int upload(struct view *view, struct cause *cause)
{
    struct session *session = view->session;
    const struct drop_scan_request order = {.recursive = session->config.recursive,
                                            .enter = enter,
                                            .names_only = true,
                                            .sidecar = found_sidecar,
                                            .found = found,
                                            .context = view};

    if (look_for_daemon(view, cause) < 0 ||
        read_text(session->dir.state, "trouble", &view->trouble, cause) < 0)
        return -1;
    if (session->dir.state >= 0 && (ledger_open(&view->ledger, session->dir.state, cause) < 0 ||
                                    ledger_refresh(&view->ledger, false, cause) < 0))
        return -1;
    if (pending_load(&view->pending, session->dir.state, cause) < 0)
        return -1;
    if (datadir_open_drop(&session->dir, cause) == 0) {
        if (drop_scan(session->dir.drop, &order, &view->ignored, cause) < 0)
            return -1;
        datadir_close_drop(&session->dir);
        view->ignored += view->orphan_count;
    } else if (view->trouble.len == 0) {
        buffer_string(&view->trouble, cause->text);
    }
    if (view->failed || buffer_failed(&view->orphans))
        return cause_memory(cause);
    pending_keep_present(&view->pending);
    return quarantine_scan(&session->dir, &view->ledger, &view->quarantine, cause);
}

/* The one thing that helps most. */
static const char *advise(const struct view *view)
{
    if (!view->daemon_up && pending_has_reason(&view->pending, PENDING_NEW))
        return "phasesentinel merge";
    if (view->quarantine.files > 0)
        return "read quarantine/NAME.errors.csv, mend the file, try it with: phasesentinel check "
               "FILE, and drop it again";
    if (pending_waiting_count(&view->pending) > 0)
        return view->daemon_up ? "" : "phasesentinel merge";
    return "";
}

static void print_status(const struct view *view, const char *next)
{
    const bool recursive = view->session->config.recursive;
    char when[CLOCK_TEXT_SIZE];
    struct buffer out = {0};
    struct pending_view file;
    size_t cursor = 0;

    buffer_printf(&out, "daemon       %s", view->daemon_up ? "up: " : "down");
    escape_printable(&out, view->holder.data, view->holder.len > 0 ? view->holder.len - 1 : 0);
    buffer_string(&out, "\ndata         ");
    escape_printable(&out, view->session->dir.path, strlen(view->session->dir.path));
    buffer_printf(&out, "\nlast merge   %s\n",
                  view->ledger.last_merge > 0 ? clock_print(when, view->ledger.last_merge)
                                              : "never");
    if (view->trouble.len > 0) {
        buffer_string(&out, "trouble      ");
        escape_printable(&out, view->trouble.data, view->trouble.len);
        buffer_byte(&out, '\n');
    }
    if (view->polled.len > 0) {
        buffer_string(&out, "polled       ");
        escape_printable(&out, view->polled.data, view->polled.len);
        buffer_byte(&out, '\n');
    }
    buffer_printf(&out, "waiting      %zu\n", pending_waiting_count(&view->pending));
    while (pending_next_waiting(&view->pending, &cursor, &file)) {
        buffer_string(&out, "  ");
        escape_printable(&out, file.name, strlen(file.name));
        buffer_printf(&out, ": %s", pending_reason_name(file.reason));
        if (file.detail[0] != '\0') {
            buffer_string(&out, ": ");
            escape_printable(&out, file.detail, strlen(file.detail));
        }
        buffer_byte(&out, '\n');
    }
    buffer_printf(&out,
                  "ignored      %" PRIu64
                  " names that do not end in .csv, .csv.gz or .csv.zst%s begin with a dot%s\n",
                  view->ignored, recursive ? ", or" : ",", recursive ? "" : " or are directories");
    buffer_append(&out, view->orphans.data, view->orphans.len);
    buffer_printf(&out, "quarantine   %" PRIu64 " files to look at, %" PRIu64 " resolved\n",
                  view->quarantine.files, view->quarantine.resolved);
    if (next[0] != '\0')
        buffer_printf(&out, "next         %s\n", next);
    fwrite(out.data, 1, out.len, stdout);
    buffer_free(&out);
}

static int print_json(struct view *view, const char *next, struct cause *cause)
{
    struct status status = {.daemon_up = view->daemon_up,
                            .data_dir = view->session->dir.path,
                            .waiting_count = pending_waiting_count(&view->pending),
                            .ignored = view->ignored,
                            .last_merge = view->ledger.last_merge,
                            .quarantined = view->quarantine.files,
                            .next = next};
    struct status_file *files = calloc(view->pending.count + 1, sizeof *files);
    struct pending_view file;
    struct buffer out = {0};
    size_t cursor = 0, count = 0;
    int result;

    if (files == NULL)
        return cause_memory(cause);
    while (pending_next_waiting(&view->pending, &cursor, &file))
        files[count++] =
            (struct status_file){file.name, pending_reason_name(file.reason), file.detail};
    status.pending = files;
    if (view->holder.len > 0)
        view->holder.len--;
    status.daemon = buffer_text(&view->holder);
    status.trouble = buffer_text(&view->trouble);
    status.polled = buffer_text(&view->polled);
    result = report_status_json(&status, &out, cause);
    if (result == 0)
        fwrite(out.data, 1, out.len, stdout);
    buffer_free(&out);
    free(files);
    return result;
}

int command_status(const struct command *command, struct session *session, int argc, char **argv,
                   struct cause *cause)
{
    struct view view = {.session = session, .ledger = {.fd = -1}};
    int code, result;
    bool json;

    result = parse_json_option(command, session, argc, argv, &json, &code, cause);
    if (result != 0)
        return result == COMMAND_HELP ? code : -1;
    if (session_load(session, cause) < 0 ||
        session_open_dirs(session, SESSION_LOOK_ONLY, cause) < 0)
        return -1;
    result = upload(&view, cause);
    if (result == 0 && json)
        result = print_json(&view, advise(&view), cause);
    else if (result == 0)
        print_status(&view, advise(&view));
    ledger_close(&view.ledger);
    pending_free(&view.pending);
    buffer_free(&view.trouble);
    buffer_free(&view.orphans);
    buffer_free(&view.polled);
    buffer_free(&view.holder);
    return result;
}

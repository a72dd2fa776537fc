/* status: print what goes on now. */
#include "cli/command.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/escape.h"
#include "ops/status.h"

static void append_text(struct buffer *out, const char *text)
{
    escape_printable(out, text, strlen(text));
}

/* Append a line, if the text is not empty. */
static void append_line(struct buffer *out, const char *title, const struct buffer *text)
{
    if (text->len == 0)
        return;
    buffer_string(out, title);
    escape_printable(out, text->data, text->len);
    buffer_byte(out, '\n');
}

static void append_files(struct buffer *out, const struct status *status)
{
    struct pending_view file;
    size_t cursor = 0;

    buffer_printf(out, "waiting      %zu\n", pending_waiting_count(&status->pending));
    while (pending_next_waiting(&status->pending, &cursor, &file)) {
        buffer_string(out, "  ");
        append_text(out, file.name);
        buffer_printf(out, ": %s", pending_reason_name(file.reason));
        if (file.detail[0] != '\0') {
            buffer_string(out, ": ");
            append_text(out, file.detail);
        }
        buffer_byte(out, '\n');
    }
}

static void append_orphans(struct buffer *out, const struct buffer *names)
{
    size_t at;

    for (at = 0; at < names->len; at += strlen(names->data + at) + 1) {
        buffer_string(out, "  ");
        append_text(out, names->data + at);
        buffer_string(out, ": its file is not here\n");
    }
}

static void append_status(struct buffer *out, const struct status *status, bool recursive)
{
    const char *next = status_next(status);
    char when[CLOCK_TEXT_SIZE];

    buffer_printf(out, "daemon       %s", status->daemon_up ? "up: " : "down");
    escape_printable(out, status->holder.data, status->holder.len);
    buffer_string(out, "\ndata         ");
    append_text(out, status->data_dir);
    buffer_printf(out, "\nlast merge   %s\n",
                  status->last_merge > 0 ? clock_print(when, status->last_merge) : "never");
    append_line(out, "trouble      ", &status->trouble);
    append_line(out, "polled       ", &status->polled);
    append_files(out, status);
    buffer_printf(out,
                  "ignored      %" PRIu64
                  " names that do not end in .csv, .csv.gz or .csv.zst%s begin with a dot%s\n",
                  status->ignored, recursive ? ", or" : ",",
                  recursive ? "" : " or are directories");
    append_orphans(out, &status->orphans);
    buffer_printf(out, "quarantine   %" PRIu64 " files to look at, %" PRIu64 " resolved\n",
                  status->quarantine.files, status->quarantine.resolved);
    if (next[0] != '\0')
        buffer_printf(out, "next         %s\n", next);
}

int command_status(const struct command *command, struct session *session, struct args args,
                   struct cause *cause)
{
    struct status status;
    struct buffer out = {0};
    int code, result;
    bool json;

    result = command_begin_reading(command, session, args, &json, &code, cause);
    if (result != 0)
        return result == COMMAND_HELP ? code : -1;
    result = status_read(&status, session, cause);
    if (result == 0 && json)
        result = status_json(&status, &out, cause);
    else if (result == 0)
        append_status(&out, &status, session->config.recursive);
    if (result == 0)
        fwrite(buffer_text(&out), 1, out.len, stdout);
    buffer_free(&out);
    status_free(&status);
    return result;
}

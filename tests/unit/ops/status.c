#include "ops/status.h"

#include "lib/place.h"
#include "lib/unit.h"
#include "drop/pending_file.h"
#include "ops/json.h"

static struct cause cause;

static void put_pending(struct pending *pending, const char *name, enum pending_reason reason,
                        const char *detail)
{
    pending_requeue(pending, pending_add(pending, name), 0, reason, detail);
}

static json_t *parse_status(const struct status *status)
{
    struct buffer out = {0};
    json_error_t error;
    json_t *json;

    check(status_json(status, &out, &cause) == 0, "the status as JSON");
    json = json_loadb(out.data, out.len, JSON_REJECT_DUPLICATES, &error);
    if (json == NULL) {
        printf("Bail out! %s: %s\n", error.text, buffer_text(&out));
        exit(1);
    }
    buffer_free(&out);
    return json;
}

static const char *text_at(const json_t *json, const char *key)
{
    const char *text = json_string_value(json_object_get(json, key));

    return text == NULL ? "(no string)" : text;
}

static json_int_t number_at(const json_t *json, const char *key)
{
    return json_integer_value(json_object_get(json, key));
}

static void test_json(void)
{
    static const char detail[] = "line 3: \"x\" is\nno number";
    struct status status = {
        .daemon_up = true, .data_dir = "/data", .ignored = 3, .quarantine = {.files = 4}};
    const json_t *first, *second;
    json_t *json;

    put_pending(&status.pending, "a.csv", PENDING_FAILING, detail);
    put_pending(&status.pending, "\xFF\n.csv", PENDING_EMPTY, NULL);
    buffer_string(&status.holder, "phasesentineld, process 7");
    buffer_string(&status.polled, "every 5 seconds");
    json = parse_status(&status);
    check(json_array_size(json_object_get(json, "waiting")) == 2, "both waiting files are listed");
    first = json_array_get(json_object_get(json, "waiting"), 0);
    check_text(text_at(first, "name"), "a.csv", "name of the first");
    check_text(text_at(first, "reason"), "failing", "reason of the first");
    check_text(text_at(first, "detail"), detail, "detail of the first");
    second = json_array_get(json_object_get(json, "waiting"), 1);
    check_text(text_at(second, "name"), "\xEF\xBF\xBD\n.csv", "name with an invalid byte");
    check(json_is_true(json_object_get(json, "daemon")), "the daemon is up");
    check_text(text_at(json, "holder"), "phasesentineld, process 7", "its process");
    check(number_at(json, "ignored") == 3 && number_at(json, "quarantined") == 4, "the counts");
    check_text(text_at(json, "polled"), "every 5 seconds", "what is polled");
    check(json_is_null(json_object_get(json, "last_merge")), "never merged: null");
    check_text(text_at(json, "trouble"), "", "no trouble");
    check(strncmp(text_at(json, "next"), "read quarantine/", 16) == 0, "the next command");
    json_decref(json);
    status_free(&status);
}

static bool waits(const struct status *status, const char *name, enum pending_reason reason)
{
    struct pending_view file;
    size_t cursor = 0;

    while (pending_next_waiting(&status->pending, &cursor, &file))
        if (strcmp(file.name, name) == 0)
            return file.reason == reason;
    return false;
}

static void save_pending(int state_fd)
{
    struct pending pending = {0};

    put_pending(&pending, "short.csv", PENDING_INCOMPLETE, "line 9");
    put_pending(&pending, "gone.csv", PENDING_EMPTY, NULL);
    put_pending(&pending, "kept.csv", PENDING_ACCEPTED, NULL);
    if (pending_save(&pending, state_fd, &cause) < 0)
        abort();
    pending_free(&pending);
}

static void test_waiting_files(void)
{
    struct session session = {0};
    struct status status;
    char path[64];

    snprintf(path, sizeof path, "%s/data", place);
    if (datadir_open(&session.dir, path, &cause) < 0 || datadir_open_drop(&session.dir, &cause) < 0)
        abort();
    place_put_text(session.dir.drop, "short.csv", "a,b\n1");
    place_put_text(session.dir.drop, "kept.csv", "a,b\n1,2\n");
    place_put_text(session.dir.drop, "new.csv", "a,b\n1,2\n");
    place_put_text(session.dir.drop, "note.txt", "");
    if (symlinkat("new.csv", session.dir.drop, "link.csv") < 0)
        abort();
    datadir_close_drop(&session.dir);
    save_pending(session.dir.state);
    place_put_text(session.dir.state, "trouble", "the disk is full");

    check(status_read(&status, &session, &cause) == 0, "a status is read");
    check(waits(&status, "short.csv", PENDING_INCOMPLETE), "a saved file waits for its reason");
    check(waits(&status, "new.csv", PENDING_NEW), "a file that no run has seen is new");
    check(waits(&status, "link.csv", PENDING_FILE_TYPE), "a link waits as file-type");
    check(pending_waiting_count(&status.pending) == 3, "neither gone nor accepted files wait");
    check(status.ignored == 1, "the other name is ignored");
    check(!status.daemon_up && status.holder.len == 0, "no daemon");
    check_text(buffer_text(&status.trouble), "the disk is full", "the trouble");
    check_text(status_next(&status), "phasesentinel merge", "the next command");
    status_free(&status);
    datadir_close(&session.dir);
}

static void test_nothing_there(void)
{
    struct session session = {0};
    struct status status;

    if (datadir_open_existing(&session.dir, place, &cause) < 0)
        abort();
    check(status_read(&status, &session, &cause) == 0, "no run was ever made here");
    check(pending_waiting_count(&status.pending) == 0 && status.last_merge == 0,
          "nothing waits, nothing was merged");
    check(status.trouble.len > 0, "no drop directory is trouble: %s", buffer_text(&status.trouble));
    status_free(&status);
    datadir_close(&session.dir);
}

int main(void)
{
    int fd = place_enter();

    test_json();
    test_nothing_there();
    test_waiting_files();
    close(fd);
    return unit_done();
}

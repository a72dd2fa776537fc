#include "drop/pending.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/place.h"
#include "lib/unit.h"

static struct pending pending;

static const struct file_id first = {1, 2, 3, 4, 5};

static struct pending_file *add(const char *name)
{
    struct pending_file *file = pending_add(&pending, name);

    if (file == NULL)
        abort();
    return file;
}

static void test_list(void)
{
    struct pending_file *a, *b;
    int64_t now = clock_monotonic();

    check(pending_find(&pending, "a.csv") == NULL && pending_due(&pending) == CLOCK_NEVER &&
              pending_waiting_count(&pending) == 0,
          "an empty list");
    pending_sweep(&pending);
    a = add("a.csv");
    check(a->reason == PENDING_NEW && a->due == CLOCK_NEVER && !a->has_file_id &&
              a->detail == NULL && a->unchanged_since >= now &&
              a->last_checked == a->unchanged_since && a->first_seen > 0 && pending.changed,
          "a new entry");
    check(add("a.csv") == a && pending.count == 1, "a name is added once");
    b = add("\xFF\n,\".csv");
    check(b->arrival_no > pending_find(&pending, "a.csv")->arrival_no,
          "entries are numbered as they arrive");
    check(pending_find(&pending, "\xFF\n,\".csv") == b && pending_find(&pending, "A.CSV") == NULL,
          "names are compared byte by byte");
    pending_done(pending_find(&pending, "a.csv"));
    pending_sweep(&pending);
    check(pending.count == 1 && pending_find(&pending, "a.csv") == NULL &&
              pending_find(&pending, "\xFF\n,\".csv") == &pending.files[0],
          "a file that is done is removed");
    pending_free(&pending);
}

static void test_requeue(void)
{
    struct pending_file *file = add("b.csv");

    pending.changed = false;
    check(pending_requeue(&pending, file, 500, PENDING_FAILING, "why") && pending.changed,
          "another reason changes the list");
    check(!pending_requeue(&pending, file, 400, PENDING_FAILING, "why, again") &&
              strcmp(file->detail, "why, again") == 0 && file->due == 400,
          "another detail is no other reason");
    pending.changed = false;
    check(!pending_requeue(&pending, file, 300, PENDING_FAILING, "why, again") && !pending.changed,
          "another time does not change the list");
    check(!pending_requeue(&pending, file, 300, PENDING_FAILING, file->detail) &&
              strcmp(file->detail, "why, again") == 0,
          "a file may keep its detail");
    check(!pending_requeue(&pending, file, 300, PENDING_FAILING, NULL) && file->detail == NULL &&
              pending.changed,
          "a detail is removed");
    pending_free(&pending);
}

static void test_due(void)
{
    struct pending_file *a, *b, **due;
    size_t count = 0;

    a = pending_arrive(&pending, "a.csv", false, 200);
    pending_arrive(&pending, "a.csv", true, 300);
    check(a->due == 200 && a->writer_closed && !a->done, "a second event does not postpone a file");
    pending_wake(a, 100);
    check(a->due == 100, "but may make it due earlier");
    b = pending_arrive(&pending, "b.csv", false, 50);
    a = pending_find(&pending, "a.csv");
    check(pending_due(&pending) == 50, "the earliest time is that of the list");
    due = pending_list_due(&pending, 99, &count);
    check(due != NULL && count == 1 && due[0] == b, "the files that are due");
    free(due);
    due = pending_list_due(&pending, 100, &count);
    check(due != NULL && count == 2 && due[0] == a && due[1] == b, "in the order of arrival");
    free(due);
    pending_done(b);
    check(pending_due(&pending) == 100, "a file that is done is not due");
    pending_arrive(&pending, "b.csv", false, 400);
    check(!b->done && b->due == 400, "unless something happens to it");
    pending_requeue(&pending, b, 400, PENDING_FAILING, NULL);
    pending_requeue(&pending, a, CLOCK_NEVER, PENDING_NEW, NULL);
    pending_wake_new(&pending, 150);
    check(a->due == 150 && b->due == 400, "merge now: files without a verdict are due");
    pending_free(&pending);
}

static void test_hold(void)
{
    struct pending_file *a = pending_arrive(&pending, "a.csv", false, 1), *b;

    b = pending_arrive(&pending, "b.csv", false, 1);
    a = pending_find(&pending, "a.csv");
    pending_hold(a, false, 10);
    pending_hold(b, true, 10);
    check(pending_due(&pending) == CLOCK_NEVER && a->last_checked == 10, "held files are not due");
    pending_release_queued(&pending, 20);
    check(a->due == CLOCK_NEVER && b->due == 20 && !b->queued_behind_large,
          "a file queued behind a large one is due after it");
    pending_requeue(&pending, b, CLOCK_NEVER, PENDING_FAILING, NULL);
    pending_release_queued(&pending, 30);
    check(b->due == CLOCK_NEVER, "once");
    pending_free(&pending);
}

static void test_rollback(void)
{
    struct pending_file *a, *b, *c;

    pending_arrive(&pending, "a.csv", false, 1);
    pending_arrive(&pending, "b.csv", false, 1);
    c = pending_arrive(&pending, "c.csv", false, 1);
    a = pending_find(&pending, "a.csv");
    b = pending_find(&pending, "b.csv");
    a->last_checked = b->last_checked = c->last_checked = 5;
    pending_done(a);
    pending_checked(b, 100);
    pending_requeue(&pending, b, 900, PENDING_FAILING, NULL);
    pending_requeue(&pending, c, 800, PENDING_EMPTY, NULL);
    pending_rollback(&pending, 100);
    check(a->due == 100 && !a->done && b->due == 100 && c->due == 800,
          "a batch that failed: what it checked is due again");
    pending_free(&pending);
}

/* Accepted files that are read once more. */
static void test_racy(void)
{
    struct pending_file *file, **due;
    struct pending_view view;
    size_t count = 0, cursor = 0, i;
    char name[32];

    file = pending_arrive(&pending, "a.csv", true, 10);
    pending_observe(file, &first, 0, 10);
    pending_requeue(&pending, file, 10, PENDING_FAILING, "why");
    check(pending_recheck(&pending, "a.csv", 20, 7) == file && file->reason == PENDING_FAILING &&
              file->due == 10,
          "a file that waits for a verdict is read in any case");
    pending_done(file);
    file = pending_recheck(&pending, "a.csv", 20, 7);
    check(!file->done && file->due == 20 && file->ledger_at == 7 && file->detail == NULL &&
              !file->writer_closed && !file->has_file_id && pending.racy_count == 1,
          "an accepted file is due once more");
    check(pending_waiting_count(&pending) == 0 && !pending_next_waiting(&pending, &cursor, &view),
          "without waiting for a verdict");
    pending.changed = false;
    file = pending_recheck(&pending, "b.csv", 20, 8);
    pending_done(file);
    pending_sweep(&pending);
    check(pending.count == 1 && pending.racy_count == 1 && !pending.changed,
          "and without a change of the list that is saved");
    file = pending_arrive(&pending, "a.csv", false, 30);
    check(file->reason == PENDING_NEW && file->due == 30 && pending.racy_count == 0 &&
              pending_waiting_count(&pending) == 1 && pending.changed,
          "an event makes it wait for a verdict");
    for (i = 0; i < PENDING_RACY_MOST; i++) {
        snprintf(name, sizeof name, "%zu.csv", i);
        if (pending_recheck(&pending, name, 5, i) == NULL)
            abort();
    }
    check(pending_recheck(&pending, "last.csv", 5, 1) == NULL, "there is room for so many");
    due = pending_list_due(&pending, 30, &count);
    check(due != NULL && count == 1 + PENDING_RACY_BATCH && strcmp(due[0]->name, "a.csv") == 0 &&
              strcmp(due[1]->name, "0.csv") == 0,
          "some are due at a time, after all others");
    free(due);
    pending_free(&pending);
}

static void test_observe(void)
{
    struct pending_file *file = add("a.csv");
    struct file_id now = first;
    int i;

    pending_observe(file, &first, 0, 100);
    check(file->has_file_id && file->unchanged_since == 100, "the first check");
    pending_observe(file, &first, 0, 200);
    check(file->unchanged_since == 100, "an unchanged file");
    for (i = 0; i < 5; i++) {
        now = first;
        *(i == 0 ? &now.device : i == 1 ? &now.inode : &now.size) += i < 3;
        now.mtime += i == 3;
        now.ctime += i == 4;
        pending_observe(file, &now, 0, 300 + i);
        check(file->unchanged_since == 300 + i && file_id_equal(&file->file_id, &now),
              "a change of field %d of file_id", i);
    }
    pending_observe(file, &now, 7, 400);
    pending_observe(file, &now, 7, 500);
    check(file->unchanged_since == 400, "a sidecar that appears is a change, once");
    pending_observe(file, &now, 0, 600);
    check(file->unchanged_since == 600, "and so is one that disappears");
    pending_free(&pending);
}

static void test_many(void)
{
    static bool there[1000];
    size_t i, k, wrong = 0, count = 0;
    char name[32];

    for (i = 0; i < place_rounds(100000); i++) {
        k = place_below(1000);
        snprintf(name, sizeof name, "%zu.csv", k);
        if (place_below(2) == 0) {
            pending_arrive(&pending, name, false, 1);
            there[k] = true;
        } else if (there[k]) {
            pending_done(pending_find(&pending, name));
            there[k] = false;
        }
        if (i % 50 == 0)
            pending_sweep(&pending);
    }
    pending_sweep(&pending);
    for (k = 0; k < 1000; k++) {
        struct pending_file *file;

        snprintf(name, sizeof name, "%zu.csv", k);
        file = pending_find(&pending, name);
        wrong += (file != NULL) != there[k] || (file != NULL && strcmp(file->name, name) != 0);
        count += there[k];
    }
    check(wrong == 0 && pending.count == count, "random arrivals and ends: %zu left, %zu wrong",
          count, wrong);
    pending_free(&pending);
}

static void test_views(void)
{
    struct pending_view view = {0};
    size_t cursor = 0;

    pending_requeue(&pending, pending_arrive(&pending, "a.csv", false, 1), CLOCK_NEVER,
                    PENDING_ACCEPTED, NULL);
    pending_requeue(&pending, pending_arrive(&pending, "b.csv", false, 1), 7, PENDING_FAILING,
                    "why");
    check(pending_waiting_count(&pending) == 1 && pending_next_waiting(&pending, &cursor, &view) &&
              strcmp(view.name, "b.csv") == 0 && view.reason == PENDING_FAILING &&
              strcmp(view.detail, "why") == 0 && !pending_next_waiting(&pending, &cursor, &view),
          "an accepted file does not wait for a verdict");
    check(pending_has_reason(&pending, PENDING_FAILING) &&
              !pending_has_reason(&pending, PENDING_EMPTY),
          "the reasons in the list");
    check(!pending_all_checked(&pending, 7) && pending_all_checked(&pending, 6),
          "a file that is due and was not checked");
    pending_observe(pending_find(&pending, "b.csv"), &first, 0, 5);
    check(pending_all_checked(&pending, 7), "all files were checked");
    pending_note_present(&pending, "b.csv", PENDING_UNREADABLE);
    pending_note_present(&pending, "c.csv", PENDING_FILE_TYPE);
    pending_keep_present(&pending);
    check(pending.count == 2 && pending_find(&pending, "b.csv")->reason == PENDING_FAILING &&
              pending_find(&pending, "c.csv")->reason == PENDING_FILE_TYPE,
          "compared with the directory: files that are gone are removed, new ones added");
    pending_free(&pending);
}

int main(void)
{
    enum pending_reason reason;

    alarm(300);
    for (reason = 0; reason < PENDING_REASONS; reason++)
        if (pending_reason_name(reason) == NULL)
            check(false, "reason %d has a name", (int)reason);
    test_list();
    test_requeue();
    test_due();
    test_hold();
    test_rollback();
    test_racy();
    test_observe();
    test_many();
    test_views();
    return unit_done();
}

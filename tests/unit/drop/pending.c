#include "drop/pending.h"

#include <inttypes.h>

#include "lib/place.h"
#include "lib/unit.h"

#define HEADER "name,reason,noticed,boot,since,signature,detail\n"

static int dir;
static struct cause cause;
static struct pending pending;

static const struct file_id first = {1, 2, 3, 4, 5};

static struct pending_file *add(const char *name)
{
    struct pending_file *file = pending_add(&pending, name);

    if (file == NULL)
        abort();
    return file;
}

static void reload(void)
{
    if (pending_save(&pending, dir, &cause) < 0)
        abort();
    pending_free(&pending);
    if (pending_load(&pending, dir, &cause) < 0)
        abort();
}

static void clear(void)
{
    pending_free(&pending);
    unlinkat(dir, "waiting.csv", 0);
}

static void test_list(void)
{
    struct pending_file *a, *b;
    int64_t now = clock_monotonic();

    check(pending_find(&pending, "a.csv") == NULL && pending_due(&pending) == CLOCK_NEVER &&
              pending_unjudged(&pending) == 0,
          "nothing waits");
    pending_sweep(&pending);
    a = add("a.csv");
    check(a->reason == PENDING_NEW && a->due == CLOCK_NEVER && !a->looked && a->detail == NULL &&
              a->since >= now && a->judged == a->since && a->noticed > 0 && pending.changed,
          "a file comes");
    check(add("a.csv") == a && pending.count == 1, "it is there once");
    b = add("\xFF\n,\".csv");
    check(b->order > pending_find(&pending, "a.csv")->order, "files have an order");
    check(pending_find(&pending, "\xFF\n,\".csv") == b && pending_find(&pending, "A.CSV") == NULL,
          "names are bytes");
    pending.changed = false;
    b = pending_find(&pending, "\xFF\n,\".csv");
    check(pending_set(&pending, b, PENDING_FAILING, "why", 500) && pending.changed,
          "another reason is news");
    check(!pending_set(&pending, b, PENDING_FAILING, "why, again", 400) &&
              strcmp(b->detail, "why, again") == 0 && b->due == 400,
          "another detail is none");
    pending.changed = false;
    check(!pending_set(&pending, b, PENDING_FAILING, "why, again", 300) && !pending.changed,
          "nor is another time");
    check(!pending_set(&pending, b, PENDING_FAILING, NULL, 300) && b->detail == NULL &&
              pending.changed,
          "a detail goes");
    a = pending_find(&pending, "a.csv");
    a->due = 200;
    check(pending_due(&pending) == 200, "the earliest is due first");
    pending_set(&pending, a, PENDING_DISPOSAL, NULL, CLOCK_NEVER);
    check(pending_due(&pending) == 300 && pending_unjudged(&pending) == 1,
          "one that is accepted is judged");
    a->done = true;
    pending_sweep(&pending);
    check(pending.count == 1 && pending_find(&pending, "a.csv") == NULL &&
              pending_find(&pending, "\xFF\n,\".csv") == &pending.files[0],
          "what is done goes");
    clear();
}

static void test_quiet(void)
{
    struct pending_file *file = add("a.csv");
    struct file_id now = first;
    int i;

    pending_look(file, &first, 0, 100);
    check(file->looked && file->since == 100, "the first look");
    pending_look(file, &first, 0, 200);
    check(file->since == 100, "unchanged it is quiet since then");
    for (i = 0; i < 5; i++) {
        now = first;
        *(i == 0 ? &now.device : i == 1 ? &now.inode : &now.size) += i < 3;
        now.mtime += i == 3;
        now.ctime += i == 4;
        pending_look(file, &now, 0, 300 + i);
        check(file->since == 300 + i && file_id_equal(&file->file_id, &now),
              "changed in part %d it is quiet from now on", i);
    }
    pending_look(file, &now, 7, 400);
    pending_look(file, &now, 7, 500);
    check(file->since == 400, "what comes beside it begins its quiet anew, once");
    pending_look(file, &now, 0, 600);
    check(file->since == 600, "and what goes");
    clear();
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
            add(name)->done = false;
            there[k] = true;
        } else if (there[k]) {
            pending_find(&pending, name)->done = true;
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
    check(wrong == 0 && pending.count == count, "files come and go: %zu left, %zu wrong", count,
          wrong);
    clear();
}

/* ---- state/waiting.csv -------------------------------------------------------------------- */

static void test_save(void)
{
    static const char *const names[] = {"a.csv",   "a b,c.csv", "\xFF\xFE.csv", "\n.csv",
                                        "%41.csv", "u/a.csv",   "\".csv",       "=1+1.csv"};
    static const char *const details[] = {
        NULL,         "plain",      "a, b",
        "\"quoted\"", "two\nlines", "line 3: cpu_percent: 105.2 is above maximum 100"};
    struct pending_file *file;
    size_t i, wrong = 0;

    check(pending_load(&pending, dir, &cause) == 0 && pending.count == 0, "there is no list");
    check(pending_load(&pending, -1, &cause) == 0 && pending.count == 0, "nor a directory for it");
    check(pending_save(&pending, dir, &cause) == 0 && place_holds(dir, "waiting.csv", NULL),
          "nothing has changed: nothing is written");
    for (i = 0; i < 8 * PENDING_REASONS; i++) {
        char name[64];

        snprintf(name, sizeof name, "%zu%s", i / 8, names[i % 8]);
        pending_set(&pending, add(name), (enum pending_reason)(i / 8), details[i % 6], (int64_t)i);
    }
    check(pending_save(&pending, dir, &cause) == 0 && !pending.changed, "it is saved");
    reload();
    for (i = 0; i < 8 * PENDING_REASONS; i++) {
        char name[64];

        snprintf(name, sizeof name, "%zu%s", i / 8, names[i % 8]);
        file = pending_find(&pending, name);
        if (file == NULL || file->reason != (enum pending_reason)(i / 8) || file->looked ||
            file->due > clock_monotonic() ||
            (details[i % 6] == NULL ? file->detail != NULL
                                    : strcmp(file->detail, details[i % 6]) != 0))
            wrong++;
    }
    check(wrong == 0 && pending.count == 8 * PENDING_REASONS,
          "all reasons, odd names and details come back and are due: %zu wrong", wrong);
    clear();
    pending_set(&pending, add("J\xFCrgen\r.csv"), PENDING_TROUBLE, "cannot read J\xFCrgen\r.csv",
                0);
    reload();
    file = pending_find(&pending, "J\xFCrgen\r.csv");
    check(file != NULL && strcmp(file->detail, "cannot read J\xEF\xBF\xBDrgen .csv") == 0,
          "so does a file whose name stands raw in its detail");
    clear();
}

/* A run from cron knows how long a file has been quiet. */
static void test_recall(void)
{
    int64_t since = clock_monotonic() - 100 * CLOCK_SECOND, noticed;
    struct file_id other = first;
    struct buffer bytes = {0};
    struct pending_file *file = add("a.csv");
    char *boot;

    pending_look(file, &first, 0, since);
    noticed = file->noticed -= 1000 * CLOCK_SECOND;
    pending.changed = true;
    reload();
    file = pending_find(&pending, "a.csv");
    check(file != NULL && file->noticed / 1000000 == noticed / 1000000,
          "when it came to our notice is remembered");
    reload();
    file = pending_find(&pending, "a.csv");
    pending_look(file, &first, 0, clock_monotonic());
    check(file->since / 1000000 == since / 1000000, "also through a run that does not look");
    reload();
    other.mtime++;
    file = pending_find(&pending, "a.csv");
    pending_look(file, &other, 0, since + 200 * CLOCK_SECOND);
    check(file->since == since + 200 * CLOCK_SECOND, "changed meanwhile it is quiet from now on");
    file->since = since;
    file->file_id = first;
    pending.changed = true;
    pending_save(&pending, dir, &cause);
    pending_free(&pending);
    place_get(dir, "waiting.csv", &bytes);
    boot = strstr(buffer_text(&bytes), "Z,");
    boot[3] = boot[3] == '0' ? '1' : '0';
    place_put(dir, "waiting.csv", bytes.data, bytes.len);
    pending_load(&pending, dir, &cause);
    file = pending_find(&pending, "a.csv");
    check(file != NULL && file->since > since + 90 * CLOCK_SECOND,
          "times of another boot do not count");
    if (file != NULL)
        pending_look(file, &first, 0, since + 300 * CLOCK_SECOND);
    check(file != NULL && file->since == since + 300 * CLOCK_SECOND, "nor its signature");
    buffer_free(&bytes);
    clear();
    pending_look(add("b.csv"), &first, 0, clock_monotonic() + 3600 * CLOCK_SECOND);
    reload();
    file = pending_find(&pending, "b.csv");
    check(file != NULL && file->since <= clock_monotonic(), "nor does a time that is yet to come");
    clear();
}

static void test_damaged(void)
{
    struct buffer bytes = {0}, text = {0};
    size_t i, wrong = 0;

    pending_set(&pending, add("a.csv"), PENDING_EMPTY, "one, two", 0);
    pending_set(&pending, add("b.csv"), PENDING_FAILING, "x", 0);
    pending_save(&pending, dir, &cause);
    pending_free(&pending);
    place_get(dir, "waiting.csv", &bytes);
    for (i = 0; i < bytes.len; i++) {
        place_put(dir, "waiting.csv", bytes.data, i);
        wrong += pending_load(&pending, dir, &cause) < 0 || pending.count > 2;
        pending_free(&pending);
        bytes.data[i] ^= 1;
        place_put(dir, "waiting.csv", bytes.data, bytes.len);
        bytes.data[i] ^= 1;
        wrong += pending_load(&pending, dir, &cause) < 0 || pending.count > 3;
        pending_free(&pending);
    }
    check(wrong == 0, "cut or altered at any byte it is read as far as it goes: %zu wrong", wrong);
    place_put_text(
        dir, "waiting.csv",
        HEADER "a.csv,empty\n,empty,,,,,\na.csv,no-reason,,,,,\n%zz,empty,,,,,\n%00,empty,,,,,\n"
               "x.csv,\"empty\n");
    check(pending_load(&pending, dir, &cause) == 0 && pending.count == 0, "lines that are none");
    pending_free(&pending);
    buffer_string(&text, HEADER);
    for (i = 0; text.len < 262144 - 200; i++)
        buffer_printf(&text, "%zu.csv,empty,,,,,\n", i);
    buffer_printf(&text, "last.csv,empty,,,,,%*s\n", (int)(262144 - text.len - 20), "x");
    place_put(dir, "waiting.csv", text.data, text.len);
    check(text.len == 262144 && pending_load(&pending, dir, &cause) == 0 &&
              pending.count == i + 1 && pending_find(&pending, "last.csv") != NULL,
          "as long as what is read at once: %zu bytes, %zu files", text.len, pending.count);
    buffer_free(&bytes);
    buffer_free(&text);
    clear();
}

int main(void)
{
    enum pending_reason reason;

    alarm(300);
    dir = place_enter();
    for (reason = 0; reason < PENDING_REASONS; reason++)
        if (pending_reason_name(reason) == NULL)
            check(false, "reason %d has a name", (int)reason);
    test_list();
    test_quiet();
    test_many();
    test_save();
    test_recall();
    test_damaged();
    pending_free(&pending);
    close(dir);
    return unit_done();
}

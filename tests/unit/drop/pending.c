#include "drop/pending.h"

#include <inttypes.h>

#include "lib/place.h"
#include "lib/unit.h"

#define HEADER "name,reason,noticed,boot,since,signature,detail\n"

static int dir;
static struct cause cause;
static struct waiting waiting;

static const struct signature first = {1, 2, 3, 4, 5};

static struct waiting_file *add(const char *name)
{
    struct waiting_file *file = waiting_add(&waiting, name);

    if (file == NULL)
        abort();
    return file;
}

static void reload(void)
{
    if (waiting_save(&waiting, dir, &cause) < 0)
        abort();
    waiting_free(&waiting);
    if (waiting_load(&waiting, dir, &cause) < 0)
        abort();
}

static void clear(void)
{
    waiting_free(&waiting);
    unlinkat(dir, "waiting.csv", 0);
}

static void test_list(void)
{
    struct waiting_file *a, *b;
    int64_t now = waiting_now();

    check(waiting_find(&waiting, "a.csv") == NULL && waiting_due(&waiting) == WAITING_NEVER &&
              waiting_unjudged(&waiting) == 0,
          "nothing waits");
    waiting_sweep(&waiting);
    a = add("a.csv");
    check(a->reason == WAIT_NEW && a->due == WAITING_NEVER && !a->looked && a->detail == NULL &&
              a->since >= now && a->judged == a->since && a->noticed > 0 && waiting.changed,
          "a file comes");
    check(add("a.csv") == a && waiting.count == 1, "it is there once");
    b = add("\xFF\n,\".csv");
    check(b->order > waiting_find(&waiting, "a.csv")->order, "files have an order");
    check(waiting_find(&waiting, "\xFF\n,\".csv") == b && waiting_find(&waiting, "A.CSV") == NULL,
          "names are bytes");
    waiting.changed = false;
    b = waiting_find(&waiting, "\xFF\n,\".csv");
    check(waiting_set(&waiting, b, WAIT_FAILING, "why", 500) && waiting.changed,
          "another reason is news");
    check(!waiting_set(&waiting, b, WAIT_FAILING, "why, again", 400) &&
              strcmp(b->detail, "why, again") == 0 && b->due == 400,
          "another detail is none");
    waiting.changed = false;
    check(!waiting_set(&waiting, b, WAIT_FAILING, "why, again", 300) && !waiting.changed,
          "nor is another time");
    check(!waiting_set(&waiting, b, WAIT_FAILING, NULL, 300) && b->detail == NULL &&
              waiting.changed,
          "a detail goes");
    a = waiting_find(&waiting, "a.csv");
    a->due = 200;
    check(waiting_due(&waiting) == 200, "the earliest is due first");
    waiting_set(&waiting, a, WAIT_DISPOSAL, NULL, WAITING_NEVER);
    check(waiting_due(&waiting) == 300 && waiting_unjudged(&waiting) == 1,
          "one that is accepted is judged");
    a->done = true;
    waiting_sweep(&waiting);
    check(waiting.count == 1 && waiting_find(&waiting, "a.csv") == NULL &&
              waiting_find(&waiting, "\xFF\n,\".csv") == &waiting.files[0],
          "what is done goes");
    clear();
}

static void test_quiet(void)
{
    struct waiting_file *file = add("a.csv");
    struct signature now = first;
    int i;

    waiting_look(file, &first, 0, 100);
    check(file->looked && file->since == 100, "the first look");
    waiting_look(file, &first, 0, 200);
    check(file->since == 100, "unchanged it is quiet since then");
    for (i = 0; i < 5; i++) {
        now = first;
        *(i == 0 ? &now.device : i == 1 ? &now.inode : &now.size) += i < 3;
        now.mtime += i == 3;
        now.ctime += i == 4;
        waiting_look(file, &now, 0, 300 + i);
        check(file->since == 300 + i && signature_equal(&file->signature, &now),
              "changed in part %d it is quiet from now on", i);
    }
    waiting_look(file, &now, 7, 400);
    waiting_look(file, &now, 7, 500);
    check(file->since == 400, "what comes beside it begins its quiet anew, once");
    waiting_look(file, &now, 0, 600);
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
            waiting_find(&waiting, name)->done = true;
            there[k] = false;
        }
        if (i % 50 == 0)
            waiting_sweep(&waiting);
    }
    waiting_sweep(&waiting);
    for (k = 0; k < 1000; k++) {
        struct waiting_file *file;

        snprintf(name, sizeof name, "%zu.csv", k);
        file = waiting_find(&waiting, name);
        wrong += (file != NULL) != there[k] || (file != NULL && strcmp(file->name, name) != 0);
        count += there[k];
    }
    check(wrong == 0 && waiting.count == count, "files come and go: %zu left, %zu wrong", count,
          wrong);
    clear();
}

/* ---- state/waiting.csv ------------------------------------------------------------------------
 */

static void test_save(void)
{
    static const char *const names[] = {"a.csv",   "a b,c.csv", "\xFF\xFE.csv", "\n.csv",
                                        "%41.csv", "u/a.csv",   "\".csv",       "=1+1.csv"};
    static const char *const details[] = {
        NULL,         "plain",      "a, b",
        "\"quoted\"", "two\nlines", "line 3: cpu_percent: 105.2 is above maximum 100"};
    struct waiting_file *file;
    size_t i, wrong = 0;

    check(waiting_load(&waiting, dir, &cause) == 0 && waiting.count == 0, "there is no list");
    check(waiting_load(&waiting, -1, &cause) == 0 && waiting.count == 0, "nor a directory for it");
    check(waiting_save(&waiting, dir, &cause) == 0 && place_holds(dir, "waiting.csv", NULL),
          "nothing has changed: nothing is written");
    for (i = 0; i < 8 * WAIT_REASONS; i++) {
        char name[64];

        snprintf(name, sizeof name, "%zu%s", i / 8, names[i % 8]);
        waiting_set(&waiting, add(name), (enum reason)(i / 8), details[i % 6], (int64_t)i);
    }
    check(waiting_save(&waiting, dir, &cause) == 0 && !waiting.changed, "it is saved");
    reload();
    for (i = 0; i < 8 * WAIT_REASONS; i++) {
        char name[64];

        snprintf(name, sizeof name, "%zu%s", i / 8, names[i % 8]);
        file = waiting_find(&waiting, name);
        if (file == NULL || file->reason != (enum reason)(i / 8) || file->looked ||
            file->due > waiting_now() ||
            (details[i % 6] == NULL ? file->detail != NULL
                                    : strcmp(file->detail, details[i % 6]) != 0))
            wrong++;
    }
    check(wrong == 0 && waiting.count == 8 * WAIT_REASONS,
          "all reasons, odd names and details come back and are due: %zu wrong", wrong);
    clear();
    waiting_set(&waiting, add("J\xFCrgen\r.csv"), WAIT_TROUBLE, "cannot read J\xFCrgen\r.csv", 0);
    reload();
    file = waiting_find(&waiting, "J\xFCrgen\r.csv");
    check(file != NULL && strcmp(file->detail, "cannot read J\xEF\xBF\xBDrgen .csv") == 0,
          "so does a file whose name stands raw in its detail");
    clear();
}

/* A run from cron knows how long a file has been quiet. */
static void test_recall(void)
{
    int64_t since = waiting_now() - 100 * WAITING_SECOND, noticed;
    struct signature other = first;
    struct buffer bytes = {0};
    struct waiting_file *file = add("a.csv");
    char *boot;

    waiting_look(file, &first, 0, since);
    noticed = file->noticed -= 1000 * WAITING_SECOND;
    waiting.changed = true;
    reload();
    file = waiting_find(&waiting, "a.csv");
    check(file != NULL && file->noticed / 1000000 == noticed / 1000000,
          "when it came to our notice is remembered");
    reload();
    file = waiting_find(&waiting, "a.csv");
    waiting_look(file, &first, 0, waiting_now());
    check(file->since / 1000000 == since / 1000000, "also through a run that does not look");
    reload();
    other.mtime++;
    file = waiting_find(&waiting, "a.csv");
    waiting_look(file, &other, 0, since + 200 * WAITING_SECOND);
    check(file->since == since + 200 * WAITING_SECOND, "changed meanwhile it is quiet from now on");
    file->since = since;
    file->signature = first;
    waiting.changed = true;
    waiting_save(&waiting, dir, &cause);
    waiting_free(&waiting);
    place_get(dir, "waiting.csv", &bytes);
    boot = strstr(buffer_text(&bytes), "Z,");
    boot[3] = boot[3] == '0' ? '1' : '0';
    place_put(dir, "waiting.csv", bytes.data, bytes.len);
    waiting_load(&waiting, dir, &cause);
    file = waiting_find(&waiting, "a.csv");
    check(file != NULL && file->since > since + 90 * WAITING_SECOND,
          "times of another boot do not count");
    if (file != NULL)
        waiting_look(file, &first, 0, since + 300 * WAITING_SECOND);
    check(file != NULL && file->since == since + 300 * WAITING_SECOND, "nor its signature");
    buffer_free(&bytes);
    clear();
    waiting_look(add("b.csv"), &first, 0, waiting_now() + 3600 * WAITING_SECOND);
    reload();
    file = waiting_find(&waiting, "b.csv");
    check(file != NULL && file->since <= waiting_now(), "nor does a time that is yet to come");
    clear();
}

static void test_damaged(void)
{
    struct buffer bytes = {0}, text = {0};
    size_t i, wrong = 0;

    waiting_set(&waiting, add("a.csv"), WAIT_EMPTY, "one, two", 0);
    waiting_set(&waiting, add("b.csv"), WAIT_FAILING, "x", 0);
    waiting_save(&waiting, dir, &cause);
    waiting_free(&waiting);
    place_get(dir, "waiting.csv", &bytes);
    for (i = 0; i < bytes.len; i++) {
        place_put(dir, "waiting.csv", bytes.data, i);
        wrong += waiting_load(&waiting, dir, &cause) < 0 || waiting.count > 2;
        waiting_free(&waiting);
        bytes.data[i] ^= 1;
        place_put(dir, "waiting.csv", bytes.data, bytes.len);
        bytes.data[i] ^= 1;
        wrong += waiting_load(&waiting, dir, &cause) < 0 || waiting.count > 3;
        waiting_free(&waiting);
    }
    check(wrong == 0, "cut or altered at any byte it is read as far as it goes: %zu wrong", wrong);
    place_put_text(
        dir, "waiting.csv",
        HEADER "a.csv,empty\n,empty,,,,,\na.csv,no-reason,,,,,\n%zz,empty,,,,,\n%00,empty,,,,,\n"
               "x.csv,\"empty\n");
    check(waiting_load(&waiting, dir, &cause) == 0 && waiting.count == 0, "lines that are none");
    waiting_free(&waiting);
    buffer_string(&text, HEADER);
    for (i = 0; text.len < 262144 - 200; i++)
        buffer_printf(&text, "%zu.csv,empty,,,,,\n", i);
    buffer_printf(&text, "last.csv,empty,,,,,%*s\n", (int)(262144 - text.len - 20), "x");
    place_put(dir, "waiting.csv", text.data, text.len);
    check(text.len == 262144 && waiting_load(&waiting, dir, &cause) == 0 &&
              waiting.count == i + 1 && waiting_find(&waiting, "last.csv") != NULL,
          "as long as what is read at once: %zu bytes, %zu files", text.len, waiting.count);
    buffer_free(&bytes);
    buffer_free(&text);
    clear();
}

int main(void)
{
    enum reason reason;

    alarm(300);
    dir = place_enter();
    for (reason = 0; reason < WAIT_REASONS; reason++)
        if (reason_name(reason) == NULL)
            check(false, "reason %d has a name", (int)reason);
    test_list();
    test_quiet();
    test_many();
    test_save();
    test_recall();
    test_damaged();
    waiting_free(&waiting);
    close(dir);
    return unit_done();
}

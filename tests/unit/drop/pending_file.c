#include "drop/pending_file.h"

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

static void clear_all(void)
{
    pending_free(&pending);
    unlinkat(dir, "waiting.csv", 0);
}

static void test_save(void)
{
    enum { SAVED = 8 * PENDING_RACY }; /* files with each of the reasons before PENDING_RACY */
    static const char *const names[] = {"a.csv",   "a b,c.csv", "\xFF\xFE.csv", "\n.csv",
                                        "%41.csv", "u/a.csv",   "\".csv",       "=1+1.csv"};
    static const char *const details[] = {
        NULL,         "plain",      "a, b",
        "\"quoted\"", "two\nlines", "line 3: cpu_percent: 105.2 is above maximum 100"};
    struct pending_file *file;
    size_t i, wrong = 0;

    check(pending_load(&pending, dir, &cause) == 0 && pending.count == 0, "no file: an empty list");
    check(pending_load(&pending, -1, &cause) == 0 && pending.count == 0,
          "no state directory: an empty list");
    check(pending_save(&pending, dir, &cause) == 0 && place_holds(dir, "waiting.csv", NULL),
          "an unchanged list is not written");
    for (i = 0; i < SAVED; i++) {
        char name[64];

        snprintf(name, sizeof name, "%zu%s", i / 8, names[i % 8]);
        pending_requeue(&pending, add(name), (int64_t)i, (enum pending_reason)(i / 8),
                        details[i % 6]);
    }
    check(pending_save(&pending, dir, &cause) == 0 && !pending.changed, "a changed list is");
    reload();
    for (i = 0; i < SAVED; i++) {
        char name[64];

        snprintf(name, sizeof name, "%zu%s", i / 8, names[i % 8]);
        file = pending_find(&pending, name);
        if (file == NULL || file->reason != (enum pending_reason)(i / 8) || file->has_file_id ||
            file->due > clock_monotonic() ||
            (details[i % 6] == NULL ? file->detail != NULL
                                    : strcmp(file->detail, details[i % 6]) != 0))
            wrong++;
    }
    check(wrong == 0 && pending.count == SAVED,
          "all reasons, odd names and details are restored, and the files are due: %zu wrong",
          wrong);
    clear_all();
    pending_arrive(&pending, "a.csv", false, 1);
    pending_recheck(&pending, "b.csv", 1, 7);
    reload();
    check(pending.count == 1 && pending_find(&pending, "b.csv") == NULL,
          "a racy file is not saved");
    place_put_text(dir, "waiting.csv", HEADER "b.csv,racy,,,,,\n");
    pending_free(&pending);
    check(pending_load(&pending, dir, &cause) == 0 && pending.count == 0, "nor loaded");
    clear_all();
    pending_requeue(&pending, add("J\xFCrgen\r.csv"), 0, PENDING_TROUBLE,
                    "cannot read J\xFCrgen\r.csv");
    reload();
    file = pending_find(&pending, "J\xFCrgen\r.csv");
    check(file != NULL && strcmp(file->detail, "cannot read J\xEF\xBF\xBDrgen .csv") == 0,
          "a detail with bytes that are no UTF-8");
    clear_all();
}

static void test_unchanged_since(void)
{
    int64_t since = clock_monotonic() - 100 * CLOCK_SECOND, noticed;
    struct file_id other = first;
    struct buffer bytes = {0};
    struct pending_file *file = add("a.csv");
    char *boot;

    pending_observe(file, &first, 0, since);
    noticed = file->first_seen -= 1000 * CLOCK_SECOND;
    pending.changed = true;
    reload();
    file = pending_find(&pending, "a.csv");
    check(file != NULL && file->first_seen / 1000000 == noticed / 1000000,
          "first_seen is restored");
    reload();
    file = pending_find(&pending, "a.csv");
    pending_observe(file, &first, 0, clock_monotonic());
    check(file->unchanged_since / 1000000 == since / 1000000,
          "unchanged_since is restored, also through a run that checks nothing");
    reload();
    other.mtime++;
    file = pending_find(&pending, "a.csv");
    pending_observe(file, &other, 0, since + 200 * CLOCK_SECOND);
    check(file->unchanged_since == since + 200 * CLOCK_SECOND,
          "a file that changed between two runs");
    file->unchanged_since = since;
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
    check(file != NULL && file->unchanged_since > since + 90 * CLOCK_SECOND,
          "times of another boot are ignored");
    if (file != NULL)
        pending_observe(file, &first, 0, since + 300 * CLOCK_SECOND);
    check(file != NULL && file->unchanged_since == since + 300 * CLOCK_SECOND,
          "and so is its signature");
    buffer_free(&bytes);
    clear_all();
    pending_observe(add("b.csv"), &first, 0, clock_monotonic() + 3600 * CLOCK_SECOND);
    reload();
    file = pending_find(&pending, "b.csv");
    check(file != NULL && file->unchanged_since <= clock_monotonic(),
          "and so is a time in the future");
    clear_all();
}

static void test_damaged(void)
{
    struct buffer bytes = {0}, text = {0};
    size_t i, wrong = 0;

    pending_requeue(&pending, add("a.csv"), 0, PENDING_EMPTY, "one, two");
    pending_requeue(&pending, add("b.csv"), 0, PENDING_FAILING, "x");
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
    check(wrong == 0, "a list cut or altered at any byte is read as far as it is sound: %zu wrong",
          wrong);
    place_put_text(
        dir, "waiting.csv",
        HEADER "a.csv,empty\n,empty,,,,,\na.csv,no-reason,,,,,\n%zz,empty,,,,,\n%00,empty,,,,,\n"
               "x.csv,\"empty\n");
    check(pending_load(&pending, dir, &cause) == 0 && pending.count == 0,
          "damaged lines are skipped");
    pending_free(&pending);
    buffer_string(&text, HEADER);
    for (i = 0; text.len < 262144 - 200; i++)
        buffer_printf(&text, "%zu.csv,empty,,,,,\n", i);
    buffer_printf(&text, "last.csv,empty,,,,,%*s\n", (int)(262144 - text.len - 20), "x");
    place_put(dir, "waiting.csv", text.data, text.len);
    check(text.len == 262144 && pending_load(&pending, dir, &cause) == 0 &&
              pending.count == i + 1 && pending_find(&pending, "last.csv") != NULL,
          "a list of as many bytes as one read takes: %zu bytes, %zu files", text.len, i + 1);
    buffer_free(&bytes);
    buffer_free(&text);
    clear_all();
}

int main(void)
{
    alarm(300);
    dir = place_enter();
    test_save();
    test_unchanged_since();
    test_damaged();
    pending_free(&pending);
    close(dir);
    return unit_done();
}

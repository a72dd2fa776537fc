#include "ingest/prefetch.h"

#include <dirent.h>
#include <unistd.h>

#include "lib/place.h"
#include "lib/unit.h"

#define FILES 200

static int dir;
static struct pending pending;
static struct pending_file *files[FILES];

static size_t open_files(void)
{
    DIR *list = opendir("/proc/self/fd");
    size_t count = 0;

    while (readdir(list) != NULL)
        count++;
    closedir(list);
    return count;
}

/* Every tenth name has no file; each file holds its number. */
static void put_files(void)
{
    char name[32];
    size_t i;

    for (i = 0; i < FILES; i++) {
        snprintf(name, sizeof name, "%zu.csv", i);
        if (i % 10 != 3)
            place_put_text(dir, name, name);
        pending_add(&pending, name);
    }
    for (i = 0; i < FILES; i++)
        files[i] = &pending.files[i];
}

static bool is_file(const struct opened_file *taken, size_t number)
{
    char name[32], text[32] = "";

    if (number % 10 == 3)
        return taken->kind == FILE_GONE && taken->fd < 0;
    snprintf(name, sizeof name, "%zu.csv", number);
    return taken->kind == FILE_REGULAR && taken->writer != LEASE_WRITER &&
           taken->file_id.size == strlen(name) && read(taken->fd, text, sizeof text - 1) > 0 &&
           strcmp(text, name) == 0;
}

static void test_order(struct thread_pool *pool, size_t count, size_t asked, const char *how)
{
    struct prefetch prefetch = {0};
    struct opened_file taken;
    size_t before = open_files(), i, good = 0;

    prefetch_begin(&prefetch, pool, dir, files, count);
    for (i = 0; i < asked; i++) {
        prefetch_next(&prefetch, &taken);
        good += is_file(&taken, i);
        if (taken.fd >= 0)
            close(taken.fd);
    }
    check(good == asked, "%s: %zu of %zu files come in their order, %zu of them right", how, asked,
          count, good);
    prefetch_end(&prefetch);
    check(open_files() == before, "%s: what was not asked for is closed", how);
    prefetch_end(&prefetch);
    check(open_files() == before, "%s: once", how);
}

int main(void)
{
    struct prefetch none = {0};
    struct thread_pool *pool = thread_pool_open();

    dir = place_enter();
    put_files();
    test_order(NULL, FILES, FILES, "without a pool");
    test_order(pool, FILES, FILES, "with a pool");
    test_order(pool, FILES, PREFETCH_GROUP + 1, "a batch that ends early");
    test_order(pool, FILES, 0, "one that nothing is asked of");
    test_order(pool, PREFETCH_GROUP - 1, PREFETCH_GROUP - 1, "less than a group");
    test_order(pool, PREFETCH_GROUP * PREFETCH_GROUPS, PREFETCH_GROUP * PREFETCH_GROUPS,
               "as many as there are");
    prefetch_end(&none);
    thread_pool_close(pool);
    pending_free(&pending);
    close(dir);
    return unit_done();
}

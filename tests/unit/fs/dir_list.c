#include "fs/dir_list.h"

#include <dirent.h>
#include <errno.h>

#include "lib/place.h"
#include "lib/unit.h"

static int dir;
static unsigned char *met;

static bool wants_all(const char *name, unsigned char type)
{
    (void)type;
    return name[0] != '.';
}

static bool wants_none(const char *name, unsigned char type)
{
    (void)name;
    return type == DT_UNKNOWN;
}

/* Goes through the files 0 to count - 1, of which number n has n % 1000 bytes; the names that are
 * wrong, or met other than once. */
static size_t go_through(size_t count, dir_list_wants_stat *wants_stat, size_t stop)
{
    int fd = openat(dir, "many", O_RDONLY | O_DIRECTORY | O_CLOEXEC), next = 0;
    struct dir_list *listing = dir_list_open(fd, wants_stat);
    const struct dir_list_entry *entry;
    size_t number, wrong = 0, file_cache = 0;

    memset(met, 0, count + 1);
    while (file_cache < stop && (next = dir_list_next(listing, &entry)) > 0) {
        number = strtoul(entry->name, NULL, 10);
        wrong += number >= count || met[number < count ? number : count]++ != 0 ||
                 entry->has_stat != wants_stat(entry->name, entry->type) || entry->errnum != 0 ||
                 (entry->has_stat && (size_t)entry->st.st_size != number % 1000) ||
                 (entry->type != DT_REG && entry->type != DT_UNKNOWN);
        file_cache++;
    }
    dir_list_close(listing);
    close(fd);
    return wrong + (next < 0) + (file_cache != (count < stop ? count : stop));
}

static void test_sizes(void)
{
    /* Around the ends of batches, each way with and without a second thread. */
    const size_t most = place_rounds(20000);
    size_t count = 0, wrong = 0, step = 1;
    char name[32];
    int many = place_directory(dir, "many");
    static const char bytes[1000];

    met = calloc(most + 2, 1);
    if (met == NULL)
        abort();
    while (count < most) {
        wrong += go_through(count, wants_all, SIZE_MAX) + go_through(count, wants_none, SIZE_MAX) +
                 go_through(count, wants_all, count / 2);
        step = count < 10 ? 1 : count < 3000 ? count / 3 : 1700;
        for (step += count; count < step && count < most; count++) {
            snprintf(name, sizeof name, "%zu", count);
            place_put(many, name, bytes, count % 1000);
        }
    }
    wrong += go_through(count, wants_all, SIZE_MAX);
    check(wrong == 0, "directories of up to %zu names: %zu wrong", count, wrong);
    close(many);
}

static void test_kinds(void)
{
    struct dir_list *listing;
    const struct dir_list_entry *entry;
    int kinds = place_directory(dir, "kinds"), next;
    size_t files = 0, links = 0, directories = 0, hidden = 0, others = 0;

    place_put_text(kinds, "file", "123");
    place_put_text(kinds, ".hidden", "1");
    if (symlinkat("file", kinds, "link") < 0 || symlinkat("nowhere", kinds, "broken") < 0 ||
        mkdirat(kinds, "directory", 0777) < 0 || mkfifoat(kinds, "fifo", 0666) < 0)
        abort();
    listing = dir_list_open(kinds, wants_all);
    while ((next = dir_list_next(listing, &entry)) > 0) {
        files += entry->has_stat && S_ISREG(entry->st.st_mode) && entry->st.st_size == 3;
        links += entry->has_stat && S_ISLNK(entry->st.st_mode);
        directories += entry->has_stat && S_ISDIR(entry->st.st_mode);
        others += entry->has_stat && S_ISFIFO(entry->st.st_mode);
        hidden += !entry->has_stat && strcmp(entry->name, ".hidden") == 0;
    }
    check(next == 0 && files == 1 && links == 2 && directories == 1 && others == 1 && hidden == 1,
          "what stands behind names, never behind links");
    check(dir_list_next(listing, &entry) == 0, "the end stays the end");
    dir_list_close(listing);
    close(kinds);
}

static void test_trouble(void)
{
    struct dir_list *listing = dir_list_open(-1, wants_all);
    const struct dir_list_entry *entry;
    int file;

    errno = 0;
    check(dir_list_next(listing, &entry) < 0 && errno == EBADF, "no descriptor");
    dir_list_close(listing);
    place_put_text(dir, "file", "x");
    file = openat(dir, "file", O_RDONLY | O_CLOEXEC);
    listing = dir_list_open(file, wants_all);
    check(dir_list_next(listing, &entry) < 0 && errno == ENOTDIR, "no directory");
    dir_list_close(listing);
    dir_list_close(NULL);
    close(file);
}

/* Names that go while they are listed: no stat, and why. */
static bool unlinks(const char *name, unsigned char type)
{
    (void)type;
    return strcmp(name, "gone") == 0 && unlinkat(dir, "going/gone", 0) == 0;
}

static void test_gone(void)
{
    int going = place_directory(dir, "going"), next;
    struct dir_list *listing;
    const struct dir_list_entry *entry;
    bool met_it = false;

    place_put_text(going, "gone", "x");
    place_put_text(going, "there", "x");
    listing = dir_list_open(going, unlinks);
    while ((next = dir_list_next(listing, &entry)) > 0)
        met_it |= entry->has_stat && entry->errnum == ENOENT && strcmp(entry->name, "gone") == 0;
    check(next == 0 && met_it, "what is gone when it is has_stat at is said to be");
    dir_list_close(listing);
    close(going);
}

int main(void)
{
    dir = place_enter();
    test_kinds();
    test_trouble();
    test_gone();
    test_sizes();
    free(met);
    close(dir);
    return unit_done();
}

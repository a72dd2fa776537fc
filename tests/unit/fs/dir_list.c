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

/* List the files 0 to count - 1, of which file n has n % 1000 bytes, and stop after `stop`. Return
 * how many entries were wrong, missing or returned twice. */
static size_t list_numbered(size_t count, dir_list_wants_stat *wants_stat, size_t stop)
{
    int fd = openat(dir, "many", O_RDONLY | O_DIRECTORY | O_CLOEXEC), next = 0;
    struct dir_list *list = dir_list_open(fd, wants_stat);
    const struct dir_list_entry *entry;
    size_t number, wrong = 0, listed = 0;

    memset(met, 0, count + 1);
    while (listed < stop && (next = dir_list_next(list, &entry)) > 0) {
        number = strtoul(entry->name, NULL, 10);
        wrong += number >= count || met[number < count ? number : count]++ != 0 ||
                 entry->has_stat != wants_stat(entry->name, entry->type) || entry->errnum != 0 ||
                 (entry->has_stat && (size_t)entry->st.st_size != number % 1000) ||
                 (entry->type != DT_REG && entry->type != DT_UNKNOWN);
        listed++;
    }
    dir_list_close(list);
    close(fd);
    return wrong + (next < 0) + (listed != (count < stop ? count : stop));
}

static void test_sizes(void)
{
    /* Counts around the ends of batches, so with and without a second thread. */
    const size_t most = place_rounds(20000);
    size_t count = 0, wrong = 0, step = 1;
    char name[32];
    int many = place_directory(dir, "many");
    static const char bytes[1000];

    met = calloc(most + 2, 1);
    if (met == NULL)
        abort();
    while (count < most) {
        wrong += list_numbered(count, wants_all, SIZE_MAX) +
                 list_numbered(count, wants_none, SIZE_MAX) +
                 list_numbered(count, wants_all, count / 2);
        step = count < 10 ? 1 : count < 3000 ? count / 3 : 1700;
        for (step += count; count < step && count < most; count++) {
            snprintf(name, sizeof name, "%zu", count);
            place_put(many, name, bytes, count % 1000);
        }
    }
    wrong += list_numbered(count, wants_all, SIZE_MAX);
    check(wrong == 0, "directories of up to %zu names: %zu wrong", count, wrong);
    close(many);
}

static void test_kinds(void)
{
    struct dir_list *list;
    const struct dir_list_entry *entry;
    int kinds = place_directory(dir, "kinds"), next;
    size_t files = 0, links = 0, directories = 0, hidden = 0, others = 0;

    place_put_text(kinds, "file", "123");
    place_put_text(kinds, ".hidden", "1");
    if (symlinkat("file", kinds, "link") < 0 || symlinkat("nowhere", kinds, "broken") < 0 ||
        mkdirat(kinds, "directory", 0777) < 0 || mkfifoat(kinds, "fifo", 0666) < 0)
        abort();
    list = dir_list_open(kinds, wants_all);
    while ((next = dir_list_next(list, &entry)) > 0) {
        files += entry->has_stat && S_ISREG(entry->st.st_mode) && entry->st.st_size == 3;
        links += entry->has_stat && S_ISLNK(entry->st.st_mode);
        directories += entry->has_stat && S_ISDIR(entry->st.st_mode);
        others += entry->has_stat && S_ISFIFO(entry->st.st_mode);
        hidden += !entry->has_stat && strcmp(entry->name, ".hidden") == 0;
    }
    check(next == 0 && files == 1 && links == 2 && directories == 1 && others == 1 && hidden == 1,
          "each kind of file has its stat, and links are not followed");
    check(dir_list_next(list, &entry) == 0, "the end is returned again");
    dir_list_close(list);
    close(kinds);
}

static void test_trouble(void)
{
    struct dir_list *list = dir_list_open(-1, wants_all);
    const struct dir_list_entry *entry;
    int file;

    errno = 0;
    check(dir_list_next(list, &entry) < 0 && errno == EBADF,
          "a closed descriptor fails with EBADF");
    dir_list_close(list);
    place_put_text(dir, "file", "x");
    file = openat(dir, "file", O_RDONLY | O_CLOEXEC);
    list = dir_list_open(file, wants_all);
    check(dir_list_next(list, &entry) < 0 && errno == ENOTDIR, "a file fails with ENOTDIR");
    dir_list_close(list);
    dir_list_close(NULL);
    close(file);
}

/* Remove a name between getdents64 and its stat. */
static bool unlinks(const char *name, unsigned char type)
{
    (void)type;
    return strcmp(name, "gone") == 0 && unlinkat(dir, "going/gone", 0) == 0;
}

static void test_gone(void)
{
    int going = place_directory(dir, "going"), next;
    struct dir_list *list;
    const struct dir_list_entry *entry;
    bool found = false;

    place_put_text(going, "gone", "x");
    place_put_text(going, "there", "x");
    list = dir_list_open(going, unlinks);
    while ((next = dir_list_next(list, &entry)) > 0)
        found |= entry->has_stat && entry->errnum == ENOENT && strcmp(entry->name, "gone") == 0;
    check(next == 0 && found, "a name that is gone before its stat has errnum ENOENT");
    dir_list_close(list);
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

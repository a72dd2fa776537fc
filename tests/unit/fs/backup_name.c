#include "fs/backup_name.h"

#include <errno.h>

#include "lib/place.h"
#include "lib/unit.h"

static void test_format(void)
{
    char name[BACKUP_NAME_SIZE], other[BACKUP_NAME_SIZE], longest[256];

    backup_name_format(name, "eva/a.csv", 1, "");
    check_text(name, "a.csv", "the first place");
    backup_name_format(name, "eva/a.csv", 1, ".errors.csv");
    check_text(name, "a.csv.errors.csv", "a companion of the first place");
    backup_name_format(name, "a.csv", 12, ".errors.csv");
    check_text(name, "a.csv.~12~.errors.csv", "a companion of the twelfth place");
    memset(longest, 'x', 255);
    memcpy(longest + 251, ".csv", 5);
    backup_name_format(name, longest, 9999999, ".rejects.csv");
    longest[250] = 'y';
    backup_name_format(other, longest, 9999999, ".rejects.csv");
    check(strlen(name) <= NAME_MAX && strstr(name, ".csv.~9999999~.rejects.csv") != NULL,
          "a name of 255 bytes is shortened: %s", name);
    check(strcmp(name, other) != 0, "two names that differ at their end differ when shortened");
    longest[BACKUP_NAME_LONGEST - 4] = '\0';
    strcat(longest, ".csv");
    backup_name_format(name, longest, 1, "");
    check_text(name, longest, "a name of the greatest length that fits");
}

static void test_strip(void)
{
    static const char *const paths[][2] = {
        {"a.csv", "a.csv"},
        {"eva/a.csv.~2~", "eva/a.csv"},
        {"a.csv.~10~", "a.csv"},
        {"a.csv.~~", "a.csv.~~"},
        {"a.csv.~x~", "a.csv.~x~"},
        {"a.csv~2~", "a.csv~2~"},
        {"a.csv.~2~.gz", "a.csv.~2~.gz"},
        {".~2~", ".~2~"},
        {"~", "~"},
        {"", ""},
    };
    char path[64];
    size_t i;

    for (i = 0; i < sizeof paths / sizeof *paths; i++) {
        snprintf(path, sizeof path, "%s", paths[i][0]);
        backup_name_strip(path);
        check_text(path, paths[i][1], paths[i][0]);
    }
}

/* Return true if the directory of this name's places is this one below the root. */
static bool opens(int root, const char *name, const char *directory)
{
    struct cause cause;
    struct stat opened, wanted;
    int fd = backup_name_open(root, name, true, &cause);
    bool same = fd >= 0 && fstat(fd, &opened) == 0 && fstatat(root, directory, &wanted, 0) == 0 &&
                opened.st_ino == wanted.st_ino;

    close(fd);
    return same;
}

static void test_open(int place_fd)
{
    struct cause cause = {0};
    int root = place_directory(place_fd, "root");

    check(backup_name_open(root, "eva/a.csv", false, &cause) < 0 && cause.errnum == ENOENT,
          "a directory that is not there: %s", cause.text);
    check(opens(root, "a.csv", "."), "a name without directories");
    check(opens(root, "eva/2024/a.csv", "eva/2024"), "directories are made");
    place_put_text(root, "udo.csv", "file");
    check(opens(root, "udo.csv/a.csv", "udo.csv.d"), "a file has the name of the directory");
    place_put_text(root, "kim", "file");
    symlinkat("/tmp", root, "kim.d");
    check(opens(root, "kim/a.csv", "kim.d.d"), "links are not followed");
    close(root);
}

int main(void)
{
    int fd = place_enter();

    test_format();
    test_strip();
    test_open(fd);
    close(fd);
    return unit_done();
}

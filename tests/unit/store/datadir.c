#include "store/datadir.h"

#include "lib/place.h"
#include "lib/unit.h"

static int dir;
static struct cause cause;

static bool is_directory(const char *path)
{
    struct stat st;

    return fstatat(dir, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

static void test_open(const char *path)
{
    static const char *const below[] = {"data/user_data", "data/quarantine", "data/archive",
                                        "data/stats",     "data/state",      "data/state/moving",
                                        "data/state/cut"};
    struct datadir data;
    size_t i;

    check(datadir_open_existing(&data, path, &cause) < 0 && cause.kind == CAUSE_NO_INPUT &&
              !is_directory("data") && data.path == NULL,
          "datadir_open_existing creates nothing");
    datadir_close(&data);
    check(datadir_open(&data, path, &cause) == 0 && data.root >= 0 && data.quarantine >= 0 &&
              data.archive >= 0 && data.stats >= 0 && data.state >= 0 && data.moving >= 0 &&
              data.cut >= 0,
          "datadir_open creates the directories");
    for (i = 0; i < sizeof below / sizeof *below; i++)
        check(is_directory(below[i]), "%s", below[i]);
    check_text(data.path, path, "path");
    check(fcntl(data.state, F_GETFD) == FD_CLOEXEC && fcntl(data.cut, F_GETFD) == FD_CLOEXEC,
          "descriptors are closed on exec");
    check(data.drop < 0, "the drop directory is not open at first");
    check(datadir_open_drop(&data, &cause) == 0 && data.drop >= 0 &&
              datadir_open_drop(&data, &cause) == 0,
          "datadir_open_drop opens it");
    place_put_text(data.drop, "a.csv", "x");
    check(place_holds(dir, "data/user_data/a.csv", "x"), "it is user_data/");
    datadir_close_drop(&data);
    datadir_close_drop(&data);
    check(data.drop < 0, "datadir_close_drop closes it");
    renameat(dir, "data/user_data", dir, "data/old");
    cause = (struct cause){0};
    check(datadir_open_drop(&data, &cause) < 0 && cause.kind == CAUSE_RETRY && data.drop < 0,
          "a missing drop directory is an error: %s", cause.text);
    mkdirat(dir, "data/user_data", 0777);
    check(datadir_open_drop(&data, &cause) == 0 && place_holds(data.drop, "a.csv", NULL),
          "a new one is opened");
    datadir_close(&data);
    datadir_close(&data);
    check(data.root < 0 && data.drop < 0 && data.path == NULL, "datadir_close closes all");
}

static void test_look(const char *path)
{
    struct datadir data;

    unlinkat(dir, "data/archive", AT_REMOVEDIR);
    unlinkat(dir, "data/state/moving", AT_REMOVEDIR);
    unlinkat(dir, "data/state/cut", AT_REMOVEDIR);
    unlinkat(dir, "data/state", AT_REMOVEDIR);
    check(datadir_open_existing(&data, path, &cause) == 0 && data.root >= 0 && data.archive < 0 &&
              data.state < 0 && data.moving < 0 && data.cut < 0 && data.quarantine >= 0,
          "datadir_open_existing opens what is there");
    check(!is_directory("data/archive") && !is_directory("data/state"), "and creates nothing else");
    datadir_close(&data);
    place_put_text(dir, "data/state", "a file");
    check(datadir_open(&data, path, &cause) < 0 && cause.kind == CAUSE_RETRY && data.path == NULL,
          "a file instead of a directory is an error: %s", cause.text);
    check(datadir_open_existing(&data, path, &cause) < 0, "for datadir_open_existing, too");
    unlinkat(dir, "data/state", 0);
    check(datadir_open(&data, path, &cause) == 0 && is_directory("data/state/cut"),
          "datadir_open creates what is missing");
    datadir_close(&data);
    datadir_close(&data);
}

int main(void)
{
    char path[64];

    dir = place_enter();
    snprintf(path, sizeof path, "%s/data", place);
    test_open(path);
    test_look(path);
    close(dir);
    return unit_done();
}

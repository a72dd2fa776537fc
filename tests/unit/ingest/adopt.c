#include "ingest/adopt.h"

#include "lib/place.h"
#include "lib/unit.h"

int main(void)
{
    struct cause cause;
    struct datadir dir;
    char path[64];
    int fd = place_enter();

    snprintf(path, sizeof path, "%s/data", place);
    if (fd < 0 || datadir_open(&dir, path, &cause) < 0 || datadir_open_drop(&dir, &cause) < 0)
        abort();
    check(adopt_has_drops(&dir, &cause) == 0, "empty directories have no CSV files");
    place_put_text(dir.drop, ".hidden.csv", "x");
    place_put_text(dir.drop, "other.txt", "x");
    mkdirat(dir.drop, "directory.csv", 0777);
    check(adopt_has_drops(&dir, &cause) == 0, "hidden files, other names and directories are none");
    place_put_text(dir.drop, "directory.csv/a.csv.gz", "x");
    check(adopt_has_drops(&dir, &cause) == 1, "a file in a directory below user_data/ is one");
    unlinkat(dir.drop, "directory.csv/a.csv.gz", 0);
    place_put_text(dir.archive, "A.CSV", "x");
    check(adopt_has_drops(&dir, &cause) == 1, "a file in archive/ is one");
    datadir_close(&dir);
    close(fd);
    return unit_done();
}

#include "ingest/placement.h"

#include <signal.h>

#include "base/log.h"
#include "lib/data_dir.h"
#include "lib/unit.h"

static void test_quarantine(void)
{
    data_dir_open();
    check(quarantine("a.csv", "first", 1) == 0 && holds(dir.quarantine, "a.csv", "", "first") &&
              holds(dir.quarantine, "a.csv", ".errors.csv", REASONS("1")),
          "a bad file and its reasons go to quarantine");
    check(count_in(dir.drop) == 0 && count_in(dir.moving) == 0, "nothing is left behind");
    check(quarantine("a.csv", "second", 2) == 0 &&
              holds(dir.quarantine, "a.csv.~2~", "", "second") &&
              holds(dir.quarantine, "a.csv.~2~", ".errors.csv", REASONS("2")) &&
              holds(dir.quarantine, "a.csv", "", "first") &&
              holds(dir.quarantine, "a.csv", ".errors.csv", REASONS("1")),
          "a second file of the name stands beside the first");
    check(quarantine("a.csv", "third", 3) == 0 && holds(dir.quarantine, "a.csv.~3~", "", "third") &&
              holds(dir.quarantine, "a.csv.~3~", ".errors.csv", REASONS("3")),
          "a third file of the name likewise");
    check(quarantine("a.csv", "first", 4) == 0 && quarantine("a.csv", "second", 5) == 0 &&
              quarantine("a.csv", "third", 6) == 0 && count_in(dir.quarantine) == 6 &&
              count_in(dir.drop) == 0 && count_in(dir.moving) == 0 &&
              holds(dir.quarantine, "a.csv", ".errors.csv", REASONS("1")),
          "files equal to a copy there are deleted");
    check(quarantine("b.csv", "first", 7) == 0 && count_in(dir.quarantine) == 8,
          "a copy under another name does not count");
    check(quarantine("a.csv", "firs", 8) == 0 && holds(dir.quarantine, "a.csv.~4~", "", "firs"),
          "a shorter copy does not count");
    unlinkat(dir.quarantine, "a.csv.~2~", 0);
    unlinkat(dir.quarantine, "a.csv.~2~.errors.csv", 0);
    check(quarantine("a.csv", "fifth", 9) == 0 && holds(dir.quarantine, "a.csv.~2~", "", "fifth"),
          "a place that was emptied is used again");
    check(quarantine("c.csv.errors.csv", "data", 1) == 0 && quarantine("c.csv", "c", 2) == 0 &&
              holds(dir.quarantine, "c.csv.errors.csv", "", "data") &&
              holds(dir.quarantine, "c.csv.~2~", "", "c") &&
              holds(dir.quarantine, "c.csv.~2~", ".errors.csv", REASONS("2")),
          "a file named like another's reasons is not overwritten");
    data_dir_close();
}

static void test_accepted(void)
{
    uint64_t seq;

    data_dir_open();
    check(accept_as(PLACE_ARCHIVE, "a.csv", "first") == 0 &&
              holds(dir.archive, "a.csv", "", "first"),
          "an accepted file is archived");
    check(accept_as(PLACE_ARCHIVE, "a.csv", "second") == 0 &&
              accept_as(PLACE_ARCHIVE, "a.csv", "third") == 0 &&
              holds(dir.archive, "a.csv", "", "first") &&
              holds(dir.archive, "a.csv.~2~", "", "second") &&
              holds(dir.archive, "a.csv.~3~", "", "third"),
          "a second and a third file of the name stand beside the first");
    check(accept_as(PLACE_ARCHIVE, "a.csv", "second") == 0 && count_in(dir.archive) == 3,
          "a file equal to a copy there is deleted");
    check(accept_as(PLACE_DELETE, "b.csv", "data") == 0 && count_in(dir.archive) == 3,
          "an accepted file is deleted");
    check(count_in(dir.drop) == 0 && count_in(dir.moving) == 0 && count_in(dir.quarantine) == 0,
          "nothing is left behind");
    drop("k.csv", "good\nbad\n");
    seq = ledger.next_seq;
    write_reasons(seq, 2);
    write_rejects(seq, "header\nwrong and longer\n");
    write_rejects(seq, "header\nbad\n");
    book(VERDICT_MERGED, "k.csv", "good\nbad\n");
    check(placement_finish(&dir, "k.csv", seq, PLACE_KEEP, &cause) == 0 &&
              holds(dir.drop, "k.csv", "", "good\nbad\n") &&
              holds(dir.quarantine, "k.csv", ".errors.csv", REASONS("2")) &&
              holds(dir.quarantine, "k.csv", ".rejects.csv", "header\nbad\n") &&
              count_in(dir.quarantine) == 2 && count_in(dir.moving) == 0,
          "the bad rows of a kept file and their reasons go to quarantine");
    check(quarantine("k.csv", "bad", 5) == 0 && holds(dir.quarantine, "k.csv.~2~", "", "bad") &&
              holds(dir.quarantine, "k.csv", ".rejects.csv", "header\nbad\n"),
          "a file of that name does not take their place");
    config.source = CONFIG_SOURCE_KEEP;
    check(placement_of_accepted(&config) == PLACE_KEEP, "source = keep");
    config.source = CONFIG_SOURCE_ARCHIVE;
    check(placement_of_accepted(&config) == PLACE_ARCHIVE, "source = archive");
    config.source = CONFIG_SOURCE_DELETE;
    check(placement_of_accepted(&config) == PLACE_DELETE, "source = delete");
    write_reasons(77, 1);
    write_rejects(77, "x");
    placement_drop_reasons(&dir, 77);
    placement_drop_reasons(&dir, 78);
    check(count_in(dir.moving) == 0, "reasons are deleted where no verdict was committed");
    data_dir_close();
}

static void test_sidecars(void)
{
    uint64_t seq;

    data_dir_open();
    config.source = CONFIG_SOURCE_ARCHIVE;
    seq = take_with_sidecars(VERDICT_MERGED, "a.csv", "one", "1");
    check(count_in(dir.drop) == 0 && count_in(dir.moving) == 3, "sidecars go with their file");
    check(placement_finish(&dir, "a.csv", seq, PLACE_ARCHIVE, &cause) == 0 &&
              holds(dir.archive, "a.csv", ".sha256", "1") &&
              holds(dir.archive, "a.csv", ".done", "") && count_in(dir.moving) == 0,
          "sidecars are archived with their file");
    seq = take_with_sidecars(VERDICT_MERGED, "a.csv", "one", "1");
    check(placement_finish(&dir, "a.csv", seq, PLACE_ARCHIVE, &cause) == 0 &&
              count_in(dir.archive) == 3 && count_in(dir.moving) == 0,
          "all of them are deleted where all are equal to copies there");
    seq = take_with_sidecars(VERDICT_MERGED, "a.csv", "one", "2");
    check(placement_finish(&dir, "a.csv", seq, PLACE_ARCHIVE, &cause) == 0 &&
              holds(dir.archive, "a.csv", ".~2~", "one") &&
              holds(dir.archive, "a.csv", ".~2~.sha256", "2") && count_in(dir.archive) == 6,
          "a file with another checksum is no copy");
    unlinkat(dir.archive, "a.csv", 0);
    seq = take_with_sidecars(VERDICT_MERGED, "a.csv", "two", "3");
    check(placement_finish(&dir, "a.csv", seq, PLACE_ARCHIVE, &cause) == 0 &&
              holds(dir.archive, "a.csv", ".~3~.sha256", "3") &&
              holds(dir.archive, "a.csv", ".sha256", "1"),
          "a checksum whose file is gone is not overwritten");
    seq = take_with_sidecars(VERDICT_MERGED, "d.csv", "one", "1");
    check(placement_finish(&dir, "d.csv", seq, PLACE_DELETE, &cause) == 0 &&
              count_in(dir.moving) == 0,
          "sidecars are deleted with their file");
    seq = take_with_sidecars(VERDICT_MERGED, "k.csv", "one", "1");
    check(placement_finish(&dir, "k.csv", seq, PLACE_KEEP, &cause) == 0 &&
              count_in(dir.moving) == 0 && count_in(dir.drop) == 3,
          "sidecars are moved back with their file");
    data_dir_close();
}

static void test_sidecars_changed(void)
{
    struct sidecars sidecars;

    data_dir_open();
    drop("r.csv", "data");
    place_put_text(dir.drop, "r.csv.sha256", "1");
    place_put_text(dir.drop, "r.csv.done", "");
    sidecar_read(dir.drop, "r.csv", geteuid(), &sidecars);
    place_put_text(dir.drop, "r.csv.done", "changed");
    check(placement_take_sidecars(&dir, "r.csv", &sidecars, 90, &cause) < 0 &&
              cause.kind == CAUSE_CHANGED && holds(dir.drop, "r.csv", ".done", "changed"),
          "a sidecar that has changed stays where it is, and so must its file");
    check(placement_return_sidecars(&dir, "r.csv", 90, &cause) == 0 && count_in(dir.moving) == 0,
          "the other sidecar goes back");
    sidecar_read(dir.drop, "r.csv", geteuid(), &sidecars);
    unlinkat(dir.drop, "r.csv.sha256", 0);
    check(placement_take_sidecars(&dir, "r.csv", &sidecars, 90, &cause) == 0 &&
              count_in(dir.moving) == 1,
          "a sidecar that is gone has nothing to move");
    place_put_text(dir.drop, "r.csv.done", "newer");
    check(placement_return_sidecars(&dir, "r.csv", 90, &cause) == 0 && count_in(dir.moving) == 0 &&
              holds(dir.drop, "r.csv", ".done", "newer"),
          "a sidecar that is moved back overwrites nothing");
    data_dir_close();
}

/* Only ENOENT means that a name is free: another error must not lead to a place. */
static void test_lookup_fails(void)
{
    struct datadir real;
    uint64_t seq;

    data_dir_open();
    real = dir;
    seq = book(VERDICT_MERGED, "a.csv", "data");
    dir.moving = real.state + 1000;
    check(placement_finish(&dir, "a.csv", seq, PLACE_ARCHIVE, &cause) < 0 &&
              cause.kind == CAUSE_RETRY,
          "a directory that cannot be looked into: %s", cause.text);
    dir = real;
    data_dir_close();
}

static void test_long_names(void)
{
    char eva[256], udo[256];

    data_dir_open();
    memset(eva, 'x', 255);
    memcpy(eva + 251, ".csv", 5);
    memcpy(udo, eva, 256);
    udo[248] = 'y';
    check(quarantine(eva, "eva", 1) == 0 && quarantine(udo, "udo", 2) == 0 &&
              count_in(dir.quarantine) == 4 && count_in(dir.drop) == 0 && count_in(dir.moving) == 0,
          "two names of 255 bytes that differ at their end: %s", cause.text);
    check(quarantine(eva, "more", 3) == 0 && count_in(dir.quarantine) == 6,
          "a second file of such a name");
    check(quarantine(eva, "eva", 4) == 0 && count_in(dir.quarantine) == 6,
          "a file equal to a copy there is deleted");
    check(accept_as(PLACE_ARCHIVE, eva, "eva") == 0 && count_in(dir.archive) == 1 &&
              accept_as(PLACE_ARCHIVE, eva, "udo") == 0 && count_in(dir.archive) == 2,
          "names of 255 bytes in the archive");
    eva[0] = '\xFF';
    eva[1] = '\n';
    check(quarantine(eva, "odd", 1) == 0 && count_in(dir.quarantine) == 8,
          "a name of 255 bytes with odd ones among them");
    data_dir_close();
}

static void test_directories(void)
{
    data_dir_open();
    mkdirat(dir.drop, "eva", 0777);
    mkdirat(dir.drop, "eva/2024", 0777);
    mkdirat(dir.drop, "udo", 0777);
    check(quarantine("eva/a.csv", "same", 1) == 0 && quarantine("udo/a.csv", "same", 2) == 0 &&
              quarantine("eva_a.csv", "same", 3) == 0 && quarantine("a.csv", "same", 4) == 0 &&
              quarantine("eva/2024/a.csv", "same", 5) == 0,
          "five files of one content in several directories");
    check(holds(dir.quarantine, "eva/a.csv", "", "same") &&
              holds(dir.quarantine, "eva/a.csv", ".errors.csv", REASONS("1")) &&
              holds(dir.quarantine, "udo/a.csv", ".errors.csv", REASONS("2")) &&
              holds(dir.quarantine, "eva_a.csv", ".errors.csv", REASONS("3")) &&
              holds(dir.quarantine, "a.csv", ".errors.csv", REASONS("4")) &&
              holds(dir.quarantine, "eva/2024/a.csv", ".errors.csv", REASONS("5")),
          "five files in quarantine, in the same directories");
    check(quarantine("eva/a.csv", "other", 6) == 0 &&
              holds(dir.quarantine, "eva/a.csv.~2~", "", "other") &&
              holds(dir.quarantine, "eva/a.csv.~2~", ".errors.csv", REASONS("6")) &&
              quarantine("eva/a.csv", "other", 7) == 0 && count_in(dir.moving) == 0,
          "each directory counts its own places");
    check(accept_as(PLACE_ARCHIVE, "eva/a.csv", "one") == 0 &&
              accept_as(PLACE_ARCHIVE, "eva/a.csv", "two") == 0 &&
              accept_as(PLACE_ARCHIVE, "udo/a.csv", "one") == 0 &&
              holds(dir.archive, "eva/a.csv", "", "one") &&
              holds(dir.archive, "eva/a.csv.~2~", "", "two") &&
              holds(dir.archive, "udo/a.csv", "", "one"),
          "the archive has the same directories");
    mkdirat(dir.drop, "d.csv", 0777);
    check(quarantine("f.csv", "file", 1) == 0 && quarantine("d.csv/a.csv", "in", 2) == 0,
          "a directory that is named like a file");
    mkdirat(dir.drop, "f.csv", 0777);
    check(quarantine("f.csv/a.csv", "in", 3) == 0 &&
              holds(dir.quarantine, "f.csv.d/a.csv", "", "in") &&
              holds(dir.quarantine, "f.csv.d/a.csv", ".errors.csv", REASONS("3")),
          "a directory whose name a file has becomes f.csv.d");
    unlinkat(dir.drop, "d.csv", AT_REMOVEDIR);
    check(quarantine("d.csv", "file", 4) == 0 && holds(dir.quarantine, "d.csv.~2~", "", "file") &&
              holds(dir.quarantine, "d.csv/a.csv", "", "in"),
          "a file whose name a directory has becomes d.csv.~2~");
    symlinkat("/tmp", dir.quarantine, "kim");
    mkdirat(dir.drop, "kim", 0777);
    check(quarantine("kim/a.csv", "in", 5) == 0 && holds(dir.quarantine, "kim.d/a.csv", "", "in"),
          "a link is not followed: the directory becomes kim.d");
    data_dir_close();
}

/* Accept a file that may supersede copies in quarantine. */
static void resolve(const char *name, const char *text)
{
    int fd;

    drop(name, text);
    fd = openat(dir.drop, name, O_RDONLY | O_CLOEXEC);
    if (placement_resolve(&dir, name, fd, strlen(text), &cause) < 0)
        abort();
    close(fd);
}

static void test_resolve(void)
{
    data_dir_open();
    quarantine("a.csv", "t,v\n1,", 2);
    place_put_text(dir.quarantine, "a.csv.rejects.csv", "t,v\n1,\n");
    quarantine("a.csv", "t,v\nx,2\n", 2);
    quarantine("a.csv", "t,v\n1,2\n3", 3);
    quarantine("a.csv", "t,v\n1,2\n3,4\n", 4);
    quarantine("a.csv", "t,v\n1,2\n3,4\n5", 5);
    quarantine("b.csv", "t,v\n1,", 6);
    resolve("a.csv", "t,v\n1,2\n3,4\n");
    check(holds(dir.quarantine, "a.csv", "", NULL) &&
              holds(dir.quarantine, "a.csv", ".errors.csv", NULL) &&
              holds(dir.quarantine, "a.csv", ".rejects.csv", NULL),
          "a cut copy is deleted with its companions");
    check(holds(dir.quarantine, "a.csv.~2~", "", "t,v\nx,2\n") &&
              holds(dir.quarantine, "a.csv.~2~", ".errors.csv", REASONS("2")),
          "a copy that is no prefix stays");
    check(holds(dir.quarantine, "a.csv.~3~", "", NULL) &&
              holds(dir.quarantine, "a.csv.~3~", ".errors.csv", NULL),
          "a second cut copy is deleted");
    check(holds(dir.quarantine, "a.csv.~4~", "", NULL), "an equal copy is deleted");
    check(holds(dir.quarantine, "a.csv.~5~", "", "t,v\n1,2\n3,4\n5"), "a longer copy stays");
    check(holds(dir.quarantine, "b.csv", "", "t,v\n1,"), "a copy of another name stays");
    resolve("c.csv", "x");
    check(count_in(dir.quarantine) == 6, "a name without copies changes nothing");
    mkdirat(dir.drop, "eva", 0777);
    resolve("eva/b.csv", "t,v\n1,2\n");
    check(holds(dir.quarantine, "b.csv", "", "t,v\n1,") && count_in(dir.quarantine) == 6,
          "a copy of the same name in another directory stays");
    quarantine("eva/b.csv", "t,v\n1,", 6);
    resolve("eva/b.csv", "t,v\n1,2\n");
    check(holds(dir.quarantine, "eva/b.csv", "", NULL) &&
              holds(dir.quarantine, "eva/b.csv", ".errors.csv", NULL) &&
              holds(dir.quarantine, "b.csv", "", "t,v\n1,"),
          "a cut copy in that directory is deleted");
    data_dir_close();
}

int main(void)
{
    int fd;

    alarm(300);
    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGIO, SIG_IGN);
    log_set_level(LOG_LEVEL_ERROR);
    fd = place_enter();
    test_quarantine();
    test_accepted();
    test_sidecars();
    test_sidecars_changed();
    test_lookup_fails();
    test_long_names();
    test_directories();
    test_resolve();
    close(fd);
    return unit_done();
}

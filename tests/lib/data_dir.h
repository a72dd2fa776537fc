/*
 * data_dir: a data directory with a ledger for the unit tests of src/ingest/, and the steps by
 * which a dropped file gets its verdict and its place. One data directory is open at a time. A step
 * that cannot fail in a test aborts the program.
 */
#ifndef PHASESENTINEL_DATA_DIR_H
#define PHASESENTINEL_DATA_DIR_H

#include <dirent.h>
#include <inttypes.h>

#include "fs/beneath.h"
#include "store/ledger.h"
#include "ingest/placement.h"
#include "lib/place.h"

/* The errors.csv that data_dir_write_reasons writes for this line. */
#define REASONS(line)                                                                              \
    "line,column,field,code,value,message\n" line ",,,blank-row,,a line too many\n"

static struct datadir dir;
static struct ledger ledger;
static struct config config;
static struct cause cause;

UNUSED static void data_dir_open(void)
{
    static unsigned count;
    struct ledger_line line = {.verdict = VERDICT_STARTED, .length = 10, .name = "x"};
    char path[64];

    snprintf(path, sizeof path, "%s/%u", place, ++count);
    config = (struct config){0};
    if (datadir_open(&dir, path, &cause) < 0 || datadir_open_drop(&dir, &cause) < 0 ||
        ledger_open(&ledger, dir.state, &cause) < 0 || ledger_create(&ledger, &cause) < 0 ||
        ledger_add(&ledger, &line, &cause) < 0) {
        printf("Bail out! %s\n", cause.text);
        exit(1);
    }
}

UNUSED static void data_dir_close(void)
{
    ledger_close(&ledger);
    datadir_close(&dir);
}

static char other_place[] = "/dev/shm/phasesentinel-unit.XXXXXX";

/* Open a data directory whose drop directory, with a directory eva in it, is on another file
 * system. Return false if there is no other one here. data_dir_close_across is always called. */
UNUSED static bool data_dir_open_across(void)
{
    struct stat here, there;

    data_dir_open();
    memcpy(other_place + sizeof other_place - 7, "XXXXXX", 6);
    if (mkdtemp(other_place) == NULL)
        return false;
    close(dir.drop);
    dir.drop = open(other_place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    mkdirat(dir.drop, "eva", 0777);
    return fstat(dir.drop, &there) == 0 && fstat(dir.root, &here) == 0 &&
           here.st_dev != there.st_dev;
}

UNUSED static void data_dir_close_across(void)
{
    data_dir_close();
    nftw(other_place, place_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---- looking ------------------------------------------------------------------------------ */

/* Return the number of names in a directory. */
UNUSED static size_t count_in(int fd)
{
    DIR *list = fdopendir(openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    const struct dirent *entry;
    size_t count = 0;

    while ((entry = readdir(list)) != NULL)
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(list);
    return count;
}

/* Return true if NAME with this suffix holds the text; with NULL if it does not exist. */
UNUSED static bool holds(int fd, const char *name, const char *suffix, const char *text)
{
    char full[512];

    snprintf(full, sizeof full, "%s%s", name, suffix);
    return place_holds(fd, full, text);
}

/* ---- steps -------------------------------------------------------------------------------- */

UNUSED static struct file_id drop(const char *name, const char *text)
{
    struct file_id file_id;

    place_put_text(dir.drop, name, text);
    if (beneath_stat(dir.drop, name, &file_id) != FILE_REGULAR)
        abort();
    return file_id;
}

/* Commit a ledger line with a verdict on this content. Return its number. */
UNUSED static uint64_t book(enum verdict verdict, const char *name, const char *text)
{
    struct ledger_line line = {.verdict = verdict, .bytes = strlen(text), .name = name};
    struct digest digest;

    digest_init(&digest);
    digest_update(&digest, text, strlen(text));
    digest_final(&digest, line.sha256);
    if (ledger_add(&ledger, &line, &cause) < 0 || ledger_commit(&ledger, &cause) < 0)
        abort();
    return line.seq;
}

UNUSED static void write_reasons(uint64_t seq, uint64_t line)
{
    struct violations violations;
    struct buffer *message;

    violations_init(&violations, 10);
    message = violations_add(&violations, VIOLATION_BLANK_ROW, (struct violation_at){.line = line});
    buffer_string(message, "a line too many");
    violations_added(&violations);
    if (placement_write_reasons(&dir, seq, &violations, NULL, NULL, &cause) < 0)
        abort();
    violations_free(&violations);
}

UNUSED static void write_rejects(uint64_t seq, const char *text)
{
    char name[MOVING_NAME_SIZE];

    moving_name(name, seq, MOVING_REJECTS);
    place_put_text(dir.moving, name, text);
}

/* Do the same as placement_take, which must succeed. */
UNUSED static void take_file(const char *name, const struct file_id *read, uint64_t seq)
{
    if (placement_take(&dir, name, read, seq, &cause) < 0)
        abort();
}

/* Drop a file, commit its verdict and move it to quarantine/, with a violation in this line. */
UNUSED static int quarantine(const char *name, const char *text, uint64_t line)
{
    struct file_id file_id = drop(name, text);
    uint64_t seq = ledger.next_seq;

    write_reasons(seq, line);
    book(VERDICT_QUARANTINED, name, text);
    if (placement_take(&dir, name, &file_id, seq, &cause) < 0)
        return -1;
    return placement_finish(&dir, name, seq, PLACE_QUARANTINE, &cause);
}

/* Drop a file, commit its verdict and move it to its place. */
UNUSED static int accept_as(enum placement placement, const char *name, const char *text)
{
    struct file_id file_id = drop(name, text);
    uint64_t seq = book(VERDICT_MERGED, name, text);

    if (placement_take(&dir, name, &file_id, seq, &cause) < 0)
        return -1;
    return placement_finish(&dir, name, seq, placement, &cause);
}

/* Drop a file with both sidecars, commit its verdict and move all to state/moving/. Return the
 * number of its line. */
UNUSED static uint64_t take_with_sidecars(enum verdict verdict, const char *name, const char *text,
                                          const char *sum)
{
    struct file_id file_id = drop(name, text);
    struct sidecars sidecars;
    char path[64];
    uint64_t seq;

    snprintf(path, sizeof path, "%s.sha256", name);
    place_put_text(dir.drop, path, sum);
    snprintf(path, sizeof path, "%s.done", name);
    place_put_text(dir.drop, path, "");
    if (sidecar_read(dir.drop, name, geteuid(), &sidecars) != FILE_REGULAR)
        abort();
    if (verdict == VERDICT_QUARANTINED)
        write_reasons(ledger.next_seq, 1);
    seq = book(verdict, name, text);
    if (placement_take_sidecars(&dir, name, &sidecars, seq, &cause) < 0)
        abort();
    take_file(name, &file_id, seq);
    return seq;
}

#endif

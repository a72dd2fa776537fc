/*
 * place: a private directory for a unit test.
 *
 * place_enter creates it below /tmp; it is removed at exit. Other functions write files there, read
 * them back whole, and return random numbers that are the same in each run.
 */
#ifndef PHASESENTINEL_PLACE_H
#define PHASESENTINEL_PLACE_H

#include <fcntl.h>
#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/cause.h"

#define UNUSED __attribute__((unused))

static char place[40] = "/tmp/phasesentinel-unit.XXXXXX";

UNUSED static int place_remove_one(const char *path, const struct stat *st, int type,
                                   struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

UNUSED static void place_leave(void)
{
    nftw(place, place_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

UNUSED static int place_enter(void)
{
    if (mkdtemp(place) == NULL)
        abort();
    atexit(place_leave);
    return open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* Create an empty directory in the place. Return its descriptor. */
UNUSED static int place_directory(int place_fd, const char *name)
{
    int fd;

    if (mkdirat(place_fd, name, 0777) < 0)
        abort();
    fd = openat(place_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        abort();
    return fd;
}

UNUSED static void place_put(int dir_fd, const char *name, const char *bytes, size_t len)
{
    int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);

    if (fd < 0 || write(fd, bytes, len) != (ssize_t)len || close(fd) < 0)
        abort();
}

UNUSED static void place_put_text(int dir_fd, const char *name, const char *text)
{
    place_put(dir_fd, name, text, strlen(text));
}

UNUSED static void place_append(int dir_fd, const char *name, const char *text)
{
    int fd = openat(dir_fd, name, O_WRONLY | O_APPEND | O_CLOEXEC);

    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text) || close(fd) < 0)
        abort();
}

/* Read the whole file. Return false if it does not exist. */
UNUSED static bool place_get(int dir_fd, const char *name, struct buffer *out)
{
    int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
    char chunk[65536];
    ssize_t n;

    buffer_clear(out);
    if (fd < 0)
        return false;
    while ((n = read(fd, chunk, sizeof chunk)) > 0)
        buffer_append(out, chunk, (size_t)n);
    close(fd);
    return n == 0;
}

/* Return true if the file has exactly this text; NULL: if it does not exist. */
UNUSED static bool place_holds(int dir_fd, const char *name, const char *text)
{
    struct buffer bytes = {0};
    bool there = place_get(dir_fd, name, &bytes);
    bool same = there ? text != NULL && bytes.len == strlen(text) &&
                            memcmp(buffer_text(&bytes), text, bytes.len) == 0
                      : text == NULL;

    if (!same)
        printf("# %s holds: %s\n", name, there ? buffer_text(&bytes) : "nothing: it is not there");
    buffer_free(&bytes);
    return same;
}

static uint64_t place_seed = 88172645463325252U;

UNUSED static uint64_t place_random(void)
{
    place_seed ^= place_seed << 13;
    place_seed ^= place_seed >> 7;
    place_seed ^= place_seed << 17;
    return place_seed;
}

/* Start another sequence of random numbers for each seed. */
UNUSED static void place_start(uint64_t seed)
{
    place_seed ^= seed * 0x9E3779B97F4A7C15U;
    place_seed += place_seed == 0;
}

UNUSED static size_t place_below(size_t limit)
{
    return (size_t)((place_random() >> 11) % limit);
}

/* Return the rounds of a long test: fewer under valgrind. */
UNUSED static size_t place_rounds(size_t rounds)
{
    return getenv("UNIT_SHORT") != NULL ? rounds / 100 + 1 : rounds;
}

#endif

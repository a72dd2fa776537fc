/*
 * state/seen: 8 bytes of magic and the seed; then blocks, each the number of its entries (at most
 * 4096), the entries (four 64-bit words each) and the XXH3-64 of both with that seed; in the
 * machine's byte order. Later entries replace earlier ones of the same name. Blocks count up to the
 * first that is not exactly this. The file is made anew when more than half of it is replaced.
 */
#include "drop/cache_file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/digest.h"
#include "fs/durable.h"

#define FILE_NAME      "seen"
#define TEMPORARY_NAME ".seen.tmp" /* durable_sweep knows its form */
#define BLOCK_ENTRIES  4096
#define BLOCK_MAX      (sizeof(uint64_t) * 2 + BLOCK_ENTRIES * sizeof(struct file_cache_entry))
#define AHEAD          16 /* entries that are announced before they are given */

static const char magic[8] = "PSSEEN2\n";

struct head {
    char magic[8];
    uint64_t seed;
};

int cache_file_open(struct cache_file *file, int dir_fd, struct cause *cause)
{
    *file = (struct cache_file){.dir_fd = dir_fd};
    /* Of our own: nobody can choose names or inodes that collide. */
    if (getrandom(&file->seed, sizeof file->seed, 0) != (ssize_t)sizeof file->seed)
        return cause_errno(cause, CAUSE_RETRY, "cannot get a random seed");
    return 0;
}

/* ---- reading ------------------------------------------------------------------------------ */

/* Takes the block that the bytes begin with; returns its length, or 0: there is no whole one. */
static size_t take_block(struct cache_file *file, const char *bytes, size_t len,
                         const struct cache_file_request *order)
{
    struct file_cache_entry entry;
    uint64_t count, check;
    size_t size, i;

    if (len < sizeof count)
        return 0;
    memcpy(&count, bytes, sizeof count);
    if (count == 0 || count > BLOCK_ENTRIES)
        return 0;
    size = sizeof count + count * sizeof entry;
    if (len < size + sizeof check)
        return 0;
    memcpy(&check, bytes + size, sizeof check);
    if (check != digest_seeded(bytes, size, file->seed))
        return 0;
    for (i = 0; i < count + AHEAD; i++) {
        if (i < count) {
            memcpy(&entry, bytes + sizeof count + i * sizeof entry, sizeof entry);
            order->soon(order->context, &entry);
        }
        if (i >= AHEAD) {
            memcpy(&entry, bytes + sizeof count + (i - AHEAD) * sizeof entry, sizeof entry);
            order->take(order->context, &entry);
        }
    }
    file->entries += count;
    return size + sizeof check;
}

static void read_blocks(struct cache_file *file, int fd, const struct cache_file_request *order)
{
    char *chunk = malloc(2 * BLOCK_MAX);
    size_t from = 0, size;
    struct cause ignored;
    ssize_t n;

    if (chunk == NULL)
        return;
    do {
        n = durable_read(fd, chunk, 2 * BLOCK_MAX, file->end, "state/" FILE_NAME, &ignored);
        for (from = 0;
             n > 0 && (size = take_block(file, chunk + from, (size_t)n - from, order)) > 0;)
            from += size;
        file->end += from;
    } while (from > 0);
    free(chunk);
}

bool cache_file_catch_up(struct cache_file *file, bool fresh,
                         const struct cache_file_request *order)
{
    struct cause ignored;
    struct head head;
    struct stat st;
    int fd = openat(file->dir_fd, FILE_NAME, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    bool ours = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
                durable_read(fd, &head, sizeof head, 0, "state/" FILE_NAME, &ignored) ==
                    (ssize_t)sizeof head &&
                memcmp(head.magic, magic, sizeof magic) == 0;

    if (ours && fresh)
        file->seed = head.seed;
    ours = ours && head.seed == file->seed;
    if (ours && (file->end == 0 || st.st_dev != file->device || st.st_ino != file->inode)) {
        file->device = st.st_dev;
        file->inode = st.st_ino;
        file->end = sizeof head;
        file->entries = 0;
    }
    ours = ours && (uint64_t)st.st_size >= file->end;
    if (ours && fresh)
        order->room(order->context, (size_t)st.st_size / sizeof(struct file_cache_entry));
    if (ours)
        read_blocks(file, fd, order);
    if (fd >= 0)
        close(fd);
    return ours;
}

/* ---- writing ------------------------------------------------------------------------------ */

static int write_blocks(struct cache_file *file, int fd, cache_file_next *next, void *context,
                        struct cause *cause)
{
    char *block = malloc(BLOCK_MAX);
    struct file_cache_entry entry;
    uint64_t count, check;
    size_t size;
    bool more = true;
    int result = 0;

    if (block == NULL)
        return cause_memory(cause);
    while (result == 0 && more) {
        size = sizeof count;
        for (count = 0; count < BLOCK_ENTRIES && (more = next(context, &entry)); count++) {
            memcpy(block + size, &entry, sizeof entry);
            size += sizeof entry;
        }
        if (count == 0)
            break;
        memcpy(block, &count, sizeof count);
        check = digest_seeded(block, size, file->seed);
        memcpy(block + size, &check, sizeof check);
        size += sizeof check;
        result = durable_write(fd, block, size, file->end, "state/" FILE_NAME, cause);
        file->end += size;
        file->entries += count;
    }
    free(block);
    return result;
}

static int append(struct cache_file *file, cache_file_next *next, void *context,
                  struct cause *cause)
{
    int fd = openat(file->dir_fd, FILE_NAME, O_WRONLY | O_NOFOLLOW | O_CLOEXEC), result;

    if (fd < 0)
        return cause_errno(cause, CAUSE_RETRY, "cannot open state/" FILE_NAME);
    result = write_blocks(file, fd, next, context, cause);
    close(fd);
    return result;
}

static int make_anew(struct cache_file *file, cache_file_next *next, void *context,
                     struct cause *cause)
{
    struct head head = {.seed = file->seed};
    struct stat st;
    int fd = openat(file->dir_fd, TEMPORARY_NAME,
                    O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
    int result = -1;

    if (fd < 0)
        return cause_errno(cause, CAUSE_RETRY, "cannot create state/" TEMPORARY_NAME);
    memcpy(head.magic, magic, sizeof magic);
    file->end = sizeof head;
    file->entries = 0;
    if (durable_write(fd, &head, sizeof head, 0, "state/" TEMPORARY_NAME, cause) < 0 ||
        write_blocks(file, fd, next, context, cause) < 0)
        goto out;
    if (fstat(fd, &st) < 0) {
        cause_errno(cause, CAUSE_RETRY, "cannot look at state/" TEMPORARY_NAME);
        goto out;
    }
    file->device = st.st_dev;
    file->inode = st.st_ino;
    result = durable_rename(file->dir_fd, TEMPORARY_NAME, FILE_NAME, cause);
out:
    close(fd);
    if (result < 0)
        unlinkat(file->dir_fd, TEMPORARY_NAME, 0);
    return result;
}

int cache_file_write(struct cache_file *file, bool anew, cache_file_next *next, void *context,
                     struct cause *cause)
{
    return anew ? make_anew(file, next, context, cause) : append(file, next, context, cause);
}

#include "fs/dir_list.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/thread_pool.h"
#include "base/vector.h"

#define NAMES_SIZE (64 * 1024) /* bytes of one call of getdents64 */
#define SHARE      32          /* names that a thread takes at once */
#define BATCHES    3

/* What getdents64 writes. */
struct record {
    uint64_t inode;
    int64_t offset;
    unsigned short size;
    unsigned char type;
    char name[];
};

/* As many names as one call gives. */
struct batch {
    char *names;
    struct dir_list_entry *entries;
    size_t count, cap;
    atomic_size_t taken; /* those before it are looked at, or are going to be */
};

/*
 * While a batch is gone through, the next one is looked at, and the one after that is filled:
 *
 *     the caller's thread    goes through batch n, fills n + 2, helps with n + 1, waits until it is
 *                            done
 *     a second thread        looks at n + 1
 */
struct dir_list {
    int fd;
    dir_list_wants *wants;
    struct batch batches[BATCHES];
    size_t turn; /* the batch that is gone through */
    size_t next; /* in it */
    bool at_end;
    int errnum;
    struct thread_pool *pool; /* owned; NULL: there is no second thread */
    struct looking {
        struct job job;
        const struct dir_list *listing;
        struct batch *batch;
    } looking;
};

static struct batch *batch_at(struct dir_list *listing, size_t prefetch)
{
    return &listing->batches[(listing->turn + prefetch) % BATCHES];
}

static void look_at(const struct dir_list *listing, struct batch *batch)
{
    size_t i, end;

    while ((i = atomic_fetch_add(&batch->taken, SHARE)) < batch->count) {
        end = i + SHARE < batch->count ? i + SHARE : batch->count;
        for (; i < end; i++) {
            struct dir_list_entry *entry = &batch->entries[i];

            if (entry->looked && fstatat(listing->fd, entry->name, &entry->st,
                                         AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) < 0)
                entry->errnum = errno;
        }
    }
}

static void upload(struct job *job, unsigned worker)
{
    const struct looking *looking = (const struct looking *)(void *)job;

    (void)worker;
    look_at(looking->listing, looking->batch);
}

static int add_entry(struct dir_list *listing, struct batch *batch, const struct record *record)
{
    struct dir_list_entry *entry;

    if (strcmp(record->name, ".") == 0 || strcmp(record->name, "..") == 0)
        return 0;
    if (vector_grow(&batch->entries, sizeof *batch->entries, batch->count, &batch->cap) < 0)
        return -1;
    entry = &batch->entries[batch->count++];
    entry->name = record->name;
    entry->type = record->type;
    entry->looked = listing->wants(record->name, record->type);
    entry->errnum = 0;
    return 0;
}

/* Reads names into the batch; none are left when it stays empty. */
static void fill(struct dir_list *listing, struct batch *batch)
{
    long n = 0, at;

    batch->count = 0;
    atomic_store(&batch->taken, 0);
    if (batch->names == NULL)
        batch->names = malloc(NAMES_SIZE);
    if (batch->names == NULL)
        listing->errnum = ENOMEM;
    while (!listing->at_end && listing->errnum == 0 && batch->count == 0) {
        n = syscall(SYS_getdents64, listing->fd, batch->names, NAMES_SIZE);
        if (n < 0)
            listing->errnum = errno;
        listing->at_end = n <= 0;
        for (at = 0; at < n;) {
            const struct record *record = (const struct record *)(void *)(batch->names + at);

            if (add_entry(listing, batch, record) < 0)
                listing->errnum = ENOMEM;
            at += record->size;
        }
    }
}

struct dir_list *dir_list_open(int fd, dir_list_wants *wants)
{
    struct dir_list *listing = calloc(1, sizeof *listing);

    if (listing == NULL)
        return NULL;
    listing->fd = fd;
    listing->wants = wants;
    fill(listing, batch_at(listing, 1));
    return listing;
}

/* The batch that was gone through becomes the last, the next one the first. */
static void turn_over(struct dir_list *listing)
{
    struct batch *first = batch_at(listing, 1), *second = batch_at(listing, 2);

    fill(listing, second);
    look_at(listing, first);
    if (listing->pool != NULL)
        thread_pool_wait(listing->pool, &listing->looking.job, 0);
    listing->turn++;
    listing->next = 0;
    if (second->count == 0)
        return;
    /* Without a second thread it takes longer. */
    if (listing->pool == NULL)
        listing->pool = thread_pool_open();
    if (listing->pool == NULL)
        return;
    listing->looking =
        (struct looking){.job = {.run = upload}, .listing = listing, .batch = second};
    thread_pool_submit(listing->pool, &listing->looking.job, false);
}

int dir_list_next(struct dir_list *listing, const struct dir_list_entry **ret_entry)
{
    struct batch *current = batch_at(listing, 0);

    if (listing->next == current->count) {
        turn_over(listing);
        current = batch_at(listing, 0);
    }
    if (listing->next < current->count) {
        *ret_entry = &current->entries[listing->next++];
        return 1;
    }
    errno = listing->errnum;
    return listing->errnum == 0 ? 0 : -1;
}

void dir_list_close(struct dir_list *listing)
{
    size_t i;

    if (listing == NULL)
        return;
    if (listing->pool != NULL)
        thread_pool_wait(listing->pool, &listing->looking.job, 0);
    thread_pool_close(listing->pool);
    for (i = 0; i < BATCHES; i++) {
        free(listing->batches[i].names);
        free(listing->batches[i].entries);
    }
    free(listing);
}

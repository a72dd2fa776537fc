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
#define SHARE      32          /* names that a thread takes at a time */
#define BATCHES    3

/* The records that getdents64 writes. */
struct record {
    uint64_t inode;
    int64_t offset;
    unsigned short size;
    unsigned char type;
    char name[];
};

/* The names of one call of getdents64. */
struct batch {
    char *names;
    struct dir_list_entry *entries;
    size_t count, cap;
    atomic_size_t taken; /* entries whose stat is done or under way */
};

/*
 * Three batches are in use at a time:
 *
 *     the caller's thread    returns the entries of batch n, then reads the names of n + 2, helps
 *                            with n + 1 and waits for the second thread
 *     the second thread      calls stat for n + 1
 */
struct dir_list {
    int fd;
    dir_list_wants_stat *wants_stat;
    struct batch batches[BATCHES];
    size_t current; /* number of the batch whose entries are returned */
    size_t next;    /* index of the next entry in that batch */
    bool at_end;
    int errnum;
    struct thread_pool *pool; /* owned; NULL: no second thread */
    struct stat_job {
        struct job job;
        const struct dir_list *list;
        struct batch *batch;
    } stat_job;
};

static struct batch *batch_at(struct dir_list *list, size_t ahead)
{
    return &list->batches[(list->current + ahead) % BATCHES];
}

static void stat_entries(const struct dir_list *list, struct batch *batch)
{
    size_t i, end;

    while ((i = atomic_fetch_add(&batch->taken, SHARE)) < batch->count) {
        end = i + SHARE < batch->count ? i + SHARE : batch->count;
        for (; i < end; i++) {
            struct dir_list_entry *entry = &batch->entries[i];

            if (entry->has_stat && fstatat(list->fd, entry->name, &entry->st,
                                           AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) < 0)
                entry->errnum = errno;
        }
    }
}

static void run_stat_job(struct job *job, unsigned worker)
{
    const struct stat_job *stat_job = (const struct stat_job *)(void *)job;

    (void)worker;
    stat_entries(stat_job->list, stat_job->batch);
}

static int append_entry(struct dir_list *list, struct batch *batch, const struct record *record)
{
    struct dir_list_entry *entry;

    if (strcmp(record->name, ".") == 0 || strcmp(record->name, "..") == 0)
        return 0;
    if (vector_grow(&batch->entries, sizeof *batch->entries, batch->count, &batch->cap) < 0)
        return -1;
    entry = &batch->entries[batch->count++];
    entry->name = record->name;
    entry->type = record->type;
    entry->has_stat = list->wants_stat(record->name, record->type);
    entry->errnum = 0;
    return 0;
}

/* Read names into the batch. An empty batch means the end, or an error in list->errnum. */
static void read_batch(struct dir_list *list, struct batch *batch)
{
    long n = 0, at;

    batch->count = 0;
    atomic_store(&batch->taken, 0);
    if (batch->names == NULL)
        batch->names = malloc(NAMES_SIZE);
    if (batch->names == NULL)
        list->errnum = ENOMEM;
    while (!list->at_end && list->errnum == 0 && batch->count == 0) {
        n = syscall(SYS_getdents64, list->fd, batch->names, NAMES_SIZE);
        if (n < 0)
            list->errnum = errno;
        list->at_end = n <= 0;
        for (at = 0; at < n;) {
            const struct record *record = (const struct record *)(void *)(batch->names + at);

            if (append_entry(list, batch, record) < 0)
                list->errnum = ENOMEM;
            at += record->size;
        }
    }
}

struct dir_list *dir_list_open(int fd, dir_list_wants_stat *wants_stat)
{
    struct dir_list *list = calloc(1, sizeof *list);

    if (list == NULL)
        return NULL;
    list->fd = fd;
    list->wants_stat = wants_stat;
    read_batch(list, batch_at(list, 1));
    return list;
}

/* Make the next batch the current one, and start the stat job for the batch after it. */
static void advance(struct dir_list *list)
{
    struct batch *first = batch_at(list, 1), *second = batch_at(list, 2);

    read_batch(list, second);
    stat_entries(list, first);
    if (list->pool != NULL)
        thread_pool_wait(list->pool, &list->stat_job.job, 0);
    list->current++;
    list->next = 0;
    if (second->count == 0)
        return;
    /* Without a second thread, the loop in stat_entries does all the work. */
    if (list->pool == NULL)
        list->pool = thread_pool_open();
    if (list->pool == NULL)
        return;
    list->stat_job = (struct stat_job){.job = {.run = run_stat_job}, .list = list, .batch = second};
    thread_pool_submit(list->pool, &list->stat_job.job, false);
}

int dir_list_next(struct dir_list *list, const struct dir_list_entry **ret_entry)
{
    struct batch *batch = batch_at(list, 0);

    if (list->next == batch->count) {
        advance(list);
        batch = batch_at(list, 0);
    }
    if (list->next < batch->count) {
        *ret_entry = &batch->entries[list->next++];
        return 1;
    }
    errno = list->errnum;
    return list->errnum == 0 ? 0 : -1;
}

void dir_list_close(struct dir_list *list)
{
    size_t i;

    if (list == NULL)
        return;
    if (list->pool != NULL)
        thread_pool_wait(list->pool, &list->stat_job.job, 0);
    thread_pool_close(list->pool);
    for (i = 0; i < BATCHES; i++) {
        free(list->batches[i].names);
        free(list->batches[i].entries);
    }
    free(list);
}

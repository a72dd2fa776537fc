#include "ingest/prefetch.h"

#include <unistd.h>

static void open_group(struct job *job, unsigned worker)
{
    struct prefetch_group *group = (struct prefetch_group *)(void *)job;
    const struct prefetch *prefetch = group->prefetch;
    size_t i;

    (void)worker;
    for (i = 0; i < group->count; i++)
        opened_file_open(prefetch->dir_fd, prefetch->files[group->first + i]->name,
                         &group->taken[i]);
}

static struct prefetch_group *group_of(struct prefetch *prefetch, size_t file)
{
    return &prefetch->groups[file / PREFETCH_GROUP % PREFETCH_GROUPS];
}

void prefetch_begin(struct prefetch *prefetch, struct thread_pool *pool, int dir_fd,
                    struct pending_file *const *files, size_t count)
{
    *prefetch = (struct prefetch){.pool = pool, .dir_fd = dir_fd, .files = files, .count = count};
}

/* All groups but the one that is being gone through are in the hands of threads. */
static void give_groups(struct prefetch *prefetch)
{
    while (prefetch->given < prefetch->count &&
           prefetch->given < prefetch->next + (PREFETCH_GROUPS - 1) * PREFETCH_GROUP) {
        struct prefetch_group *group = group_of(prefetch, prefetch->given);
        size_t left = prefetch->count - prefetch->given;

        group->job.run = open_group;
        group->prefetch = prefetch;
        group->first = prefetch->given;
        group->count = left < PREFETCH_GROUP ? left : PREFETCH_GROUP;
        prefetch->given += group->count;
        thread_pool_submit(prefetch->pool, &group->job, false);
    }
}

void prefetch_next(struct prefetch *prefetch, struct opened_file *ret_taken)
{
    struct prefetch_group *group = group_of(prefetch, prefetch->next);

    if (prefetch->pool == NULL) {
        opened_file_open(prefetch->dir_fd, prefetch->files[prefetch->next++]->name, ret_taken);
        return;
    }
    if (prefetch->next % PREFETCH_GROUP == 0) {
        give_groups(prefetch);
        thread_pool_wait(prefetch->pool, &group->job, 0);
    }
    *ret_taken = group->taken[prefetch->next++ % PREFETCH_GROUP];
}

void prefetch_end(struct prefetch *prefetch)
{
    for (; prefetch->next < prefetch->given; prefetch->next++) {
        struct prefetch_group *group = group_of(prefetch, prefetch->next);
        int fd;

        if (prefetch->next == group->first)
            thread_pool_wait(prefetch->pool, &group->job, 0);
        fd = group->taken[prefetch->next % PREFETCH_GROUP].fd;
        if (fd >= 0)
            close(fd);
    }
    prefetch->count = 0;
}

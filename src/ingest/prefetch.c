#include "ingest/prefetch.h"

#include <unistd.h>

static void open_group(struct job *job, unsigned worker)
{
    struct ahead_group *group = (struct ahead_group *)(void *)job;
    const struct ahead *ahead = group->ahead;
    size_t i;

    (void)worker;
    for (i = 0; i < group->count; i++)
        spool_take(ahead->dir_fd, ahead->files[group->first + i]->name, &group->taken[i]);
}

static struct ahead_group *group_of(struct ahead *ahead, size_t file)
{
    return &ahead->groups[file / AHEAD_GROUP % AHEAD_GROUPS];
}

void ahead_begin(struct ahead *ahead, struct pool *pool, int dir_fd,
                 struct waiting_file *const *files, size_t count)
{
    *ahead = (struct ahead){.pool = pool, .dir_fd = dir_fd, .files = files, .count = count};
}

/* All groups but the one that is being gone through are in the hands of threads. */
static void give_groups(struct ahead *ahead)
{
    while (ahead->given < ahead->count &&
           ahead->given < ahead->next + (AHEAD_GROUPS - 1) * AHEAD_GROUP) {
        struct ahead_group *group = group_of(ahead, ahead->given);
        size_t left = ahead->count - ahead->given;

        group->job.run = open_group;
        group->ahead = ahead;
        group->first = ahead->given;
        group->count = left < AHEAD_GROUP ? left : AHEAD_GROUP;
        ahead->given += group->count;
        pool_submit(ahead->pool, &group->job, false);
    }
}

void ahead_next(struct ahead *ahead, struct spool_taken *ret_taken)
{
    struct ahead_group *group = group_of(ahead, ahead->next);

    if (ahead->pool == NULL) {
        spool_take(ahead->dir_fd, ahead->files[ahead->next++]->name, ret_taken);
        return;
    }
    if (ahead->next % AHEAD_GROUP == 0) {
        give_groups(ahead);
        pool_wait(ahead->pool, &group->job, 0);
    }
    *ret_taken = group->taken[ahead->next++ % AHEAD_GROUP];
}

void ahead_end(struct ahead *ahead)
{
    for (; ahead->next < ahead->given; ahead->next++) {
        struct ahead_group *group = group_of(ahead, ahead->next);
        int fd;

        if (ahead->next == group->first)
            pool_wait(ahead->pool, &group->job, 0);
        fd = group->taken[ahead->next % AHEAD_GROUP].fd;
        if (fd >= 0)
            close(fd);
    }
    ahead->count = 0;
}

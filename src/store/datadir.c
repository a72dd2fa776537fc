#include "store/datadir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/durable.h"

#define DIRECTORY (O_RDONLY | O_DIRECTORY | O_CLOEXEC)

/* Open a directory in `parent`, unless that is -1. */
static int open_child(int parent, const char *name, bool create, int *ret_fd, struct cause *cause)
{
    if (parent < 0)
        return 0;
    if (create && durable_mkdir(parent, name, 0777, cause) < 0)
        return -1;
    *ret_fd = openat(parent, name, DIRECTORY);
    if (*ret_fd < 0 && (create || errno != ENOENT))
        return cause_errno(cause, CAUSE_RETRY, "cannot open the directory %s", name);
    return 0;
}

static int open_directories(struct datadir *dir, const char *path, bool create, struct cause *cause)
{
    *dir = (struct datadir){.root = -1,
                            .drop = -1,
                            .quarantine = -1,
                            .archive = -1,
                            .stats = -1,
                            .state = -1,
                            .moving = -1,
                            .cut = -1};
    dir->path = strdup(path);
    if (dir->path == NULL)
        return cause_memory(cause);
    if (create && mkdir(path, 0777) < 0 && errno != EEXIST) {
        cause_errno(cause, CAUSE_RETRY, "cannot create the data directory %s", path);
        goto fail;
    }
    dir->root = open(path, DIRECTORY);
    if (dir->root < 0) {
        cause_errno(cause, errno == ENOENT ? CAUSE_NO_INPUT : CAUSE_RETRY,
                    "cannot open the data directory %s", path);
        goto fail;
    }
    if (open_child(dir->root, DATADIR_DROP, create, &dir->drop, cause) < 0 ||
        open_child(dir->root, "quarantine", create, &dir->quarantine, cause) < 0 ||
        open_child(dir->root, "archive", create, &dir->archive, cause) < 0 ||
        open_child(dir->root, "stats", create, &dir->stats, cause) < 0 ||
        open_child(dir->root, "state", create, &dir->state, cause) < 0 ||
        open_child(dir->state, "moving", create, &dir->moving, cause) < 0 ||
        open_child(dir->state, "cut", create, &dir->cut, cause) < 0)
        goto fail;
    datadir_close_drop(dir);
    return 0;
fail:
    datadir_close(dir);
    return -1;
}

int datadir_open(struct datadir *dir, const char *path, struct cause *cause)
{
    return open_directories(dir, path, true, cause);
}

int datadir_open_existing(struct datadir *dir, const char *path, struct cause *cause)
{
    return open_directories(dir, path, false, cause);
}

int datadir_open_drop(struct datadir *dir, struct cause *cause)
{
    datadir_close_drop(dir);
    dir->drop = openat(dir->root, DATADIR_DROP, DIRECTORY);
    if (dir->drop < 0)
        return cause_errno(cause, CAUSE_RETRY, "cannot open the drop directory %s/" DATADIR_DROP,
                           dir->path);
    return 0;
}

void datadir_close_drop(struct datadir *dir)
{
    if (dir->drop >= 0)
        close(dir->drop);
    dir->drop = -1;
}

void datadir_close(struct datadir *dir)
{
    int *const fds[] = {&dir->root,  &dir->drop,  &dir->quarantine, &dir->archive,
                        &dir->stats, &dir->state, &dir->moving,     &dir->cut};
    size_t i;

    if (dir->path == NULL)
        return;
    for (i = 0; i < sizeof fds / sizeof *fds; i++) {
        if (*fds[i] >= 0)
            close(*fds[i]);
        *fds[i] = -1;
    }
    free(dir->path);
    dir->path = NULL;
}

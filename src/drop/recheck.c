#include "drop/recheck.h"

#include <stdlib.h>
#include <string.h>

void recheck_free(struct recheck *recheck)
{
    while (recheck->count > 0)
        recheck_drop(recheck);
    free(recheck->files);
    *recheck = (struct recheck){0};
}

void recheck_add(struct recheck *recheck, const char *name, uint64_t at, int64_t due)
{
    struct recheck_file *file;

    if (recheck->files == NULL)
        recheck->files = calloc(RECHECK_MOST, sizeof *recheck->files);
    if (recheck->files == NULL || recheck->count == RECHECK_MOST)
        return;
    file = &recheck->files[(recheck->first + recheck->count) % RECHECK_MOST];
    *file = (struct recheck_file){strdup(name), at, due};
    recheck->count += file->name != NULL;
}

const struct recheck_file *recheck_first(const struct recheck *recheck)
{
    return recheck->count == 0 ? NULL : &recheck->files[recheck->first];
}

void recheck_drop(struct recheck *recheck)
{
    if (recheck->count == 0)
        return;
    free(recheck->files[recheck->first].name);
    recheck->first = (recheck->first + 1) % RECHECK_MOST;
    recheck->count--;
}

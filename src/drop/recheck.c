#include "drop/recheck.h"

#include <stdlib.h>
#include <string.h>

void racy_queue_free(struct racy_queue *racy_queue)
{
    while (racy_queue->count > 0)
        racy_queue_drop(racy_queue);
    free(racy_queue->files);
    *racy_queue = (struct racy_queue){0};
}

void racy_queue_add(struct racy_queue *racy_queue, const char *name, uint64_t at, int64_t due)
{
    struct racy_queue_file *file;

    if (racy_queue->files == NULL)
        racy_queue->files = calloc(RACY_MOST, sizeof *racy_queue->files);
    if (racy_queue->files == NULL || racy_queue->count == RACY_MOST)
        return;
    file = &racy_queue->files[(racy_queue->first + racy_queue->count) % RACY_MOST];
    *file = (struct racy_queue_file){strdup(name), at, due};
    racy_queue->count += file->name != NULL;
}

const struct racy_queue_file *racy_queue_first(const struct racy_queue *racy_queue)
{
    return racy_queue->count == 0 ? NULL : &racy_queue->files[racy_queue->first];
}

void racy_queue_drop(struct racy_queue *racy_queue)
{
    if (racy_queue->count == 0)
        return;
    free(racy_queue->files[racy_queue->first].name);
    racy_queue->first = (racy_queue->first + 1) % RACY_MOST;
    racy_queue->count--;
}

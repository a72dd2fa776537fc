#include "csv/csv_file.h"

#include <string.h>

#include "fs/durable.h"

#define BOM "\xEF\xBB\xBF"

int csv_file_open(struct csv_file *file, const struct csv_file_request *request,
                  struct cause *cause)
{
    *file =
        (struct csv_file){.source = *request,
                          .reader = csv_reader_open(request->max_row_bytes, request->max_columns)};
    return file->reader == NULL ? cause_memory(cause) : 0;
}

/* Read up to `len` bytes of the source. Return how many: fewer at its end; or -1. */
static ssize_t read_source(const struct csv_file_request *source, char *to, size_t len,
                           struct cause *cause)
{
    if (source->bytes == NULL)
        return durable_read(source->fd, to, len, source->offset, source->name, cause);
    memcpy(to, source->bytes + source->offset, len);
    return (ssize_t)len;
}

static int feed_reader(struct csv_file *file, struct cause *cause)
{
    struct csv_file_request *source = &file->source;
    uint64_t left = source->end - source->offset;
    size_t room, want;
    char *space = csv_reader_space(file->reader, &room);
    ssize_t n;

    if (space == NULL)
        return cause_memory(cause);
    want = room < left ? room : (size_t)left;
    n = read_source(source, space, want, cause);
    if (n < 0)
        return -1;
    csv_reader_filled(file->reader, (size_t)n);
    if (source->offset == 0 && (size_t)n >= strlen(BOM) && memcmp(space, BOM, strlen(BOM)) == 0)
        csv_reader_skip(file->reader, strlen(BOM));
    source->offset += (uint64_t)n;
    if (source->offset == source->end || (size_t)n < want)
        csv_reader_finish(file->reader);
    return 0;
}

int csv_file_next(struct csv_file *file, struct row *ret_row, struct cause *cause)
{
    int next;

    while ((next = csv_reader_next(file->reader, ret_row, cause)) == CSV_READER_MORE)
        if (feed_reader(file, cause) < 0)
            return -1;
    return next;
}

void csv_file_close(struct csv_file *file)
{
    csv_reader_close(file->reader);
    *file = (struct csv_file){0};
}

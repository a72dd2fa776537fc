#include "store/training_header.h"

#include <stdlib.h>
#include <string.h>

#include "base/escape.h"
#include "csv/csv_file.h"
#include "fs/durable.h"
#include "store/datadir.h"

void training_header_free(struct training_header *header)
{
    training_columns_free(&header->columns);
}

int training_header_print(const struct schema *schema, struct buffer *out, struct cause *cause)
{
    size_t i;

    for (i = 0; i < schema->count; i++) {
        if (i > 0)
            buffer_byte(out, ',');
        escape_csv_cell(out, schema->fields[i].name, strlen(schema->fields[i].name));
    }
    buffer_byte(out, '\n');
    return buffer_failed(out) ? cause_memory(cause) : 0;
}

/* Return the column of a field, or the number of columns if the field has none. */
static size_t column_of_field(const struct training_columns *columns, int field)
{
    size_t column;

    for (column = 0; column < columns->count; column++)
        if (columns->fields[column] == field)
            break;
    return column;
}

static void find_tally_columns(struct training_header *header, const struct schema *schema)
{
    enum tally_by by;

    for (by = 0; by < TALLY_COUNT; by++) {
        const int field = schema_find(schema, tally_field(by), strlen(tally_field(by)));

        header->tally_column[by] =
            field < 0 ? header->columns.count : column_of_field(&header->columns, field);
    }
}

static int bind_columns(struct training_header *header, const struct row *row,
                        const struct schema *schema, const char *data_dir, struct cause *cause)
{
    struct training_columns *columns = &header->columns;
    size_t i;

    training_columns_free(columns);
    columns->fields = calloc(row->count + 1, sizeof *columns->fields);
    if (columns->fields == NULL)
        return cause_memory(cause);
    columns->count = row->count;
    for (i = 0; i < row->count; i++)
        columns->fields[i] = schema_find(schema, row->cells[i].text, row->cells[i].len);
    find_tally_columns(header, schema);
    for (i = 0; i < schema->count; i++)
        if (schema->fields[i].required && column_of_field(columns, (int)i) == columns->count)
            return cause_set(
                cause, CAUSE_CONFIG,
                "%s/" DATADIR_TRAINING
                " has no column '%s', which the schema requires: its header rules what "
                "is written. Move the file away to start a new one, or change the schema",
                data_dir, schema->fields[i].name);
    return 0;
}

int training_header_read(struct training_header *header, int fd, const struct schema *schema,
                         const char *data_dir, struct cause *cause)
{
    const struct csv_file_request request = {.fd = fd,
                                             .name = DATADIR_TRAINING,
                                             .end = UINT64_MAX,
                                             .max_row_bytes = TRAINING_MAX_ROW_BYTES,
                                             .max_columns = TRAINING_MAX_COLUMNS};
    struct csv_file rows;
    struct row row;
    int next, result = -1;

    if (csv_file_open(&rows, &request, cause) < 0)
        return -1;
    next = csv_file_next(&rows, &row, cause);
    if (next == CSV_READER_ROW && row.fault == ROW_SOUND)
        result = bind_columns(header, &row, schema, data_dir, cause);
    else if (next >= 0)
        cause_set(cause, CAUSE_CORRUPT,
                  "%s/" DATADIR_TRAINING " does not begin with a CSV header: nothing was touched",
                  data_dir);
    csv_file_close(&rows);
    return result;
}

int training_header_is_torn(int fd, uint64_t size, const struct schema *schema, struct cause *cause)
{
    struct buffer header = {0}, present = {0};
    int result = -1;
    size_t i;

    if (training_header_print(schema, &header, cause) < 0)
        goto out;
    if (size > header.len) {
        result = 0;
        goto out;
    }
    if (buffer_reserve(&present, (size_t)size + 1) < 0) {
        cause_memory(cause);
        goto out;
    }
    if (durable_read(fd, present.data, (size_t)size, 0, DATADIR_TRAINING, cause) < 0)
        goto out;
    result = size < header.len;
    for (i = 0; i < size; i++) {
        if (present.data[i] == '\0') {
            result = 1;
        } else if (present.data[i] != header.data[i]) {
            result = 0;
            break;
        }
    }
out:
    buffer_free(&header);
    buffer_free(&present);
    return result;
}

#include "csv/csv_file.h"

#include <inttypes.h>

#include "base/escape.h"
#include "lib/place.h"
#include "lib/unit.h"

/* Read all rows of `request` as LINE[CELL][CELL], a blank between two rows. */
static void check_rows(struct csv_file_request request, const char *want, const char *what)
{
    struct buffer rows = {0};
    struct csv_file file;
    struct cause cause;
    struct row row;
    size_t i;
    int next;

    request.max_row_bytes = 1 << 20;
    request.max_columns = 16;
    if (csv_file_open(&file, &request, &cause) < 0)
        abort();
    while ((next = csv_file_next(&file, &row, &cause)) == CSV_READER_ROW) {
        buffer_printf(&rows, "%s%" PRIu64, rows.len > 0 ? " " : "", row.line);
        for (i = 0; i < row.count; i++) {
            buffer_byte(&rows, '[');
            escape_printable(&rows, row.cells[i].text, row.cells[i].len);
            buffer_byte(&rows, ']');
        }
        if (row.fault != ROW_SOUND)
            buffer_printf(&rows, "!%" PRIu64, row.fault_offset);
    }
    check_text(buffer_text(&rows), want, what);
    check(next == CSV_READER_END && csv_file_next(&file, &row, &cause) == CSV_READER_END,
          "%s: the end, again and again", what);
    csv_file_close(&file);
    buffer_free(&rows);
}

static void test_ranges(int dir_fd)
{
    static const char text[] = "\xEF\xBB\xBF"
                               "a,b\n1,\"2\n3\"\n4,5\n6,7";
    static const struct {
        uint64_t offset, end;
        const char *rows, *what;
    } ranges[] = {
        {0, UINT64_MAX, "1[a][b] 2[1][2\\x0A3] 4[4][5] 5[6][7]", "a whole file without its BOM"},
        {0, 7, "1[a][b]", "the header alone"},
        {7, UINT64_MAX, "1[1][2\\x0A3] 3[4][5] 4[6][7]", "from a row on"},
        {15, 19, "1[4][5]", "one row"},
        {15, 18, "1[4][5]", "one row without its line end"},
        {15, 15, "", "an empty range"},
        {19, 1000, "1[6][7]", "a range beyond the end of the file"},
        {0, 2, "1!0", "a range inside the BOM"},
    };
    size_t i;
    int fd;

    place_put_text(dir_fd, "file.csv", text);
    fd = openat(dir_fd, "file.csv", O_RDONLY | O_CLOEXEC);
    for (i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        struct csv_file_request request = {
            .fd = fd, .name = "file.csv", .offset = ranges[i].offset, .end = ranges[i].end};

        check_rows(request, ranges[i].rows, ranges[i].what);
        request.fd = -1;
        request.bytes = text;
        if (request.end > strlen(text))
            request.end = strlen(text);
        check_rows(request, ranges[i].rows, "the same from memory");
    }
    check(lseek(fd, 0, SEEK_CUR) == 0, "the descriptor's position stays");
    close(fd);
}

/* A row that reaches over many reads, and rows behind it. */
static void test_large(int dir_fd)
{
    const size_t columns = 3, size = 900000;
    char *text = malloc(size);
    struct csv_file_request request = {
        .name = "large.csv", .end = UINT64_MAX, .max_row_bytes = size, .max_columns = columns};
    struct csv_file file;
    struct cause cause;
    struct row row;
    uint64_t rows = 0;
    int next;

    if (text == NULL)
        abort();
    memset(text, 'x', size);
    text[0] = '"';
    text[599998] = '"';
    for (size_t i = 599999; i < size; i += 10)
        text[i] = '\n';
    text[size - 1] = '\n';
    place_put(dir_fd, "large.csv", text, size);
    request.fd = openat(dir_fd, "large.csv", O_RDONLY | O_CLOEXEC);
    if (csv_file_open(&file, &request, &cause) < 0)
        abort();
    while ((next = csv_file_next(&file, &row, &cause)) == CSV_READER_ROW) {
        if (rows++ == 0)
            check(row.count == 1 && row.cells[0].len == 599997, "a row larger than one read");
        else if (row.fault != ROW_SOUND || row.cells[0].len > 9)
            next = -1;
    }
    check(next == CSV_READER_END && rows == 30001, "%" PRIu64 " rows, larger than one read", rows);
    csv_file_close(&file);
    close(request.fd);
    free(text);
}

static void test_errors(int dir_fd)
{
    struct csv_file_request request = {
        .fd = dir_fd, .name = "the directory", .end = UINT64_MAX, .max_row_bytes = 1000};
    struct csv_file file;
    struct cause cause = {0};
    struct row row;

    check(csv_file_open(&file, &request, &cause) == 0 && csv_file_next(&file, &row, &cause) == -1 &&
              cause.kind == CAUSE_RETRY && strstr(cause.text, "cannot read the directory") != NULL,
          "a failed read is a cause that names the source: %s", cause.text);
    csv_file_close(&file);
    csv_file_close(&file);
    check(file.reader == NULL, "closed twice");
}

int main(void)
{
    int dir_fd = place_enter();

    test_ranges(dir_fd);
    test_large(dir_fd);
    test_errors(dir_fd);
    close(dir_fd);
    return unit_done();
}

#include "csv/content_hash.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/place.h"
#include "lib/unit.h"

static const struct content_meta none = {false, 0}, other = {true, 7};
static struct sorted_set set;
static struct buffer file;
static int dir;

static void sha256_of(size_t len, unsigned char out[DIGEST_SIZE])
{
    struct digest digest;

    digest_init(&digest);
    digest_update(&digest, file.data, len);
    digest_final(&digest, out);
}

/* Make the first `len` bytes of the file known content. */
static void know(size_t len, struct content_meta meta)
{
    unsigned char sha256[DIGEST_SIZE];

    sha256_of(len, sha256);
    if (sorted_set_add(&set, content_hash_entry(len, content_hash_key(sha256, meta))) < 0)
        abort();
}

/* Make other content of this length known, whose short key is another one. */
static void know_other(size_t len)
{
    unsigned char sha256[DIGEST_SIZE];
    uint64_t entry, mine, others;

    sha256_of(len, sha256);
    mine = content_hash_entry(len, content_hash_key(sha256, none));
    others = content_hash_entry(len, content_hash_key(sha256, other));
    do
        entry = content_hash_entry(len, (uint64_t)random());
    while (entry == mine || entry == others);
    if (sorted_set_add(&set, entry) < 0)
        abort();
}

/* Hash the file in chunks that end with rows, of `rows` rows each, and return what was found. */
static struct content_prefix search_in_rows(size_t rows, uint64_t longer_than,
                                            uint64_t shorter_than, struct content_meta meta)
{
    struct sorted_snapshot known;
    struct content_hash hash;
    unsigned char sha256[DIGEST_SIZE], want[DIGEST_SIZE];
    size_t from = 0, to = 0, i;

    if (sorted_set_take(&set, &known) < 0)
        abort();
    content_hash_begin(&hash);
    content_hash_search(&hash, &(struct content_search){&known, longer_than, shorter_than}, meta);
    for (; from < file.len; from = to) {
        for (i = 0; i < rows && to < file.len; i++)
            to = (size_t)((char *)memchr(file.data + to, '\n', file.len - to) + 1 - file.data);
        content_hash_add(&hash, file.data + from, to - from, NULL);
    }
    content_hash_finish(&hash);
    digest_final(&hash.digest, sha256);
    sha256_of(file.len, want);
    check(hash.given == file.len && memcmp(sha256, want, DIGEST_SIZE) == 0,
          "the hash is that of all bytes, in chunks of %zu rows", rows);
    sorted_snapshot_release(&known);
    return hash.found.bytes == file.len ? hash.before : hash.found;
}

static bool finds(size_t rows, uint64_t want)
{
    struct content_prefix found = search_in_rows(rows, 0, 0, none);
    unsigned char sha256[DIGEST_SIZE];

    sha256_of((size_t)want, sha256);
    return found.bytes == want && (want == 0 || memcmp(found.sha256, sha256, DIGEST_SIZE) == 0);
}

static void make_file(unsigned rows, const char *line_end)
{
    unsigned i;

    buffer_clear(&file);
    sorted_set_free(&set);
    buffer_printf(&file, "t,v%s", line_end);
    for (i = 0; i < rows; i++)
        buffer_printf(&file, "%u,%u%s", i, i * i, line_end);
}

/* Return the length of the first `lines` lines. */
static size_t lines(unsigned count)
{
    const char *at = file.data;

    for (; count > 0; count--)
        at = (const char *)memchr(at, '\n', file.len) + 1;
    return (size_t)(at - file.data);
}

static void test_rows(const char *line_end, size_t noise, const char *what)
{
    const size_t end = strlen(line_end);
    size_t rows, i;

    for (rows = 1; rows <= 64; rows *= 4) {
        make_file(50, line_end);
        for (i = 0; i < noise; i++)
            know_other((size_t)random() % file.len);
        check(finds(rows, 0), "%s: nothing is known", what);
        know(lines(10), none);
        check(finds(rows, lines(10)), "%s: ten lines are found", what);
        know(lines(20) - end, none);
        check(finds(rows, lines(20) - end), "%s: content without its last line end", what);
        know(lines(30), none);
        know(lines(12), none);
        check(finds(rows, lines(30)), "%s: the longest is found", what);
        know(lines(40), other);
        check(finds(rows, lines(30)), "%s: not with other metadata", what);
        know(lines(45) + 1, none);
        check(finds(rows, lines(30)), "%s: not in the middle of a row", what);
        know(file.len, none);
        check(finds(rows, lines(30)), "%s: the whole file is no beginning", what);
        check(search_in_rows(rows, 0, lines(30), none).bytes == lines(20) - end,
              "%s: shorter than that", what);
        check(search_in_rows(rows, lines(30), 0, none).bytes == 0, "%s: longer than that", what);
    }
}

static void test_find(void)
{
    struct sorted_snapshot known;
    struct content_prefix found;
    struct cause cause;
    int fd;

    make_file(100000, "\n");
    know(lines(5), none);
    know(lines(90000), none);
    know(lines(95000), none);
    place_put(dir, "x.csv", file.data, file.len);
    fd = openat(dir, "x.csv", O_RDONLY | O_CLOEXEC);
    if (fd < 0 || sorted_set_take(&set, &known) < 0)
        abort();
    check(content_hash_find(&(struct content_file){fd, "x.csv", file.len},
                            &(struct content_search){&known, 0, 0}, none, &found, &cause) == 0 &&
              found.bytes == lines(95000),
          "content is found in a file that was read before");
    check(content_hash_find(&(struct content_file){fd, "x.csv", file.len},
                            &(struct content_search){&known, lines(5), lines(95000)}, none, &found,
                            &cause) == 0 &&
              found.bytes == lines(90000),
          "and shorter content");
    check(content_hash_find(&(struct content_file){fd, "x.csv", file.len},
                            &(struct content_search){&known, lines(5), lines(90000)}, none, &found,
                            &cause) == 0 &&
              found.bytes == 0,
          "or none");
    check(content_hash_find(&(struct content_file){fd, "x.csv", file.len + 1},
                            &(struct content_search){&known, 0, 0}, none, &found, &cause) < 0 &&
              cause.kind == CAUSE_CHANGED,
          "a file that is shorter now has changed");
    sorted_snapshot_release(&known);
    close(fd);
}

/* Rows that are longer than what is read at once. */
static void test_find_long_rows(void)
{
    struct sorted_snapshot known;
    struct content_prefix found;
    struct cause cause;
    size_t ends[3], i;
    int fd;

    buffer_clear(&file);
    sorted_set_free(&set);
    buffer_string(&file, "t,v\n");
    for (i = 0; i < 3; i++) {
        buffer_printf(&file, "%zu,%01000000d\n", i, 7);
        ends[i] = file.len;
    }
    know(ends[1], none);
    place_put(dir, "x.csv", file.data, file.len);
    fd = openat(dir, "x.csv", O_RDONLY | O_CLOEXEC);
    if (fd < 0 || sorted_set_take(&set, &known) < 0)
        abort();
    check(content_hash_find(&(struct content_file){fd, "x.csv", file.len},
                            &(struct content_search){&known, 0, 0}, none, &found, &cause) == 0 &&
              found.bytes == ends[1],
          "content of long rows is found");
    sorted_snapshot_release(&known);
    close(fd);
}

int main(void)
{
    dir = place_enter();
    check(content_hash_entry(UINT64_MAX, 1) == UINT64_MAX,
          "a length that is too large has no entry");
    test_rows("\n", 0, "few lengths");
    test_rows("\n", 2000, "many lengths");
    test_rows("\r\n", 0, "CRLF, few lengths");
    test_rows("\r\n", 2000, "CRLF, many lengths");
    test_find();
    test_find_long_rows();
    sorted_set_free(&set);
    buffer_free(&file);
    close(dir);
    return unit_done();
}

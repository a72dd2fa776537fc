/*
 * A packed file of any bytes: read in steps of any size it is the same, and judged it is what the
 * CSV inside is, or nothing of it counts.
 *
 * The input: four bytes of choices in their low bits, then the file, or the CSV to compress.
 * Text serves as well:
 *
 *     0  1: zstd, else gzip; 2: what follows is CSV: it is packed first, in two pieces; 4: and one
 *        bit of that is flipped, or 8: its end is cut off
 *     1  1: an incomplete last row is left out; 2: bad rows are rejected, not the file
 *     2  low four bits: how many lines were merged before; next bit: but the last line end
 *     3  the step and the window, and where it is flipped and cut
 */
#include <string.h>

#include "lib/packing.h"
#include "fuzz.h"
#include "judged.h"

enum { ZSTD_FILE = 1, PACK = 2, FLIP = 4, CUT = 8 };
enum { COMPLETE_ONLY = 1, REJECT_ROWS = 2 };

static struct schema schema;
static struct training_columns layout;
static struct config configs[2];
static struct outcome plain[2], packed[2];
static struct decompress one, other;
static int file, inside;

/* Limit the reader's window to `window` bytes: linked with --wrap=csv_reader_space. */
static size_t window; /* 0: no limit */
char *__real_csv_reader_space(struct csv_reader *rows, size_t *ret_len);
char *__wrap_csv_reader_space(struct csv_reader *rows, size_t *ret_len);

char *__wrap_csv_reader_space(struct csv_reader *rows, size_t *ret_len)
{
    char *space = __real_csv_reader_space(rows, ret_len);

    if (window > 0 && window < *ret_len)
        *ret_len = window;
    return space;
}

static void start(void)
{
    struct cause cause;
    size_t i;

    file = fuzz_file();
    inside = fuzz_file();
    if (schema_load(&schema, SHIPPED_SCHEMA, &cause) < 0 ||
        training_columns_of_schema(&layout, &schema, &cause) < 0) {
        fprintf(stderr, "%s\n", cause.text);
        abort();
    }
    for (i = 0; i < 2; i++) {
        configs[i] = (struct config){
            .bad_rows = i == 1 ? CONFIG_REJECT_ROWS : CONFIG_REJECT_FILE,
            .max_bad_percent = i == 1 ? 60 : 100,
            .max_row_bytes = 4096,
            .max_columns = 64,
            .max_reported_errors = 100,
            .max_expand_ratio = 200,
        };
        twice_init(&plain[i], &schema, &configs[i]);
        twice_init(&packed[i], &schema, &configs[i]);
    }
}

static void make_file(struct buffer *out, const uint8_t choice[4], const char *bytes, size_t size)
{
    const enum decompress_format format = choice[0] & ZSTD_FILE ? DECOMPRESS_ZSTD : DECOMPRESS_GZIP;
    size_t first = choice[3] < size ? choice[3] : size;

    if ((choice[0] & PACK) == 0) {
        buffer_append(out, bytes, size);
        return;
    }
    pack(out, format, bytes, first);
    pack(out, format, bytes + first, size - first);
    if (choice[0] & FLIP)
        out->data[(choice[3] * 7U) % out->len] ^= (char)(1 << (choice[2] & 7));
    if (choice[0] & CUT)
        out->len -= 1 + choice[3] % out->len;
}

/* Decompress all of a file. */
static void read_all(struct decompress *unpack, const struct decompress_request *order, size_t step,
                     struct buffer *out)
{
    struct cause cause;
    ssize_t n;

    decompress_begin(unpack, order);
    while (!unpack->ended) {
        if (buffer_reserve(out, step) < 0)
            abort();
        n = decompress_read(unpack, out->data + out->len, step, &cause);
        fuzz_require(n >= 0, "a file can be read");
        fuzz_require((size_t)n <= step, "no more than there is room for");
        out->len += (size_t)n;
    }
    fuzz_require(unpack->given == out->len, "it knows how much came out");
    while (decompress_rest(unpack, &cause) > 0)
        ;
    fuzz_require(unpack->taken == order->size, "all of the file has been read");
}

static void check_own(const struct decompress *unpack, const struct buffer *bytes)
{
    unsigned char own[DIGEST_SIZE], want[DIGEST_SIZE];
    struct digest digest;

    digest_init(&digest);
    digest_update(&digest, bytes->data, bytes->len);
    digest_final(&digest, want);
    decompress_own(unpack, own);
    fuzz_require(memcmp(own, want, DIGEST_SIZE) == 0, "the file's own hash");
}

/* Choose the first lines of the CSV as merged content. */
static void choose_prefix(struct file_check_request *order, const struct buffer *csv,
                          uint8_t choice)
{
    const char *at = csv->data, *end = at + csv->len;
    struct digest digest;
    int lines;

    for (lines = choice & 15; lines > 0 && at < end; lines--) {
        at = memchr(at, '\n', (size_t)(end - at));
        if (at == NULL)
            return;
        at++;
    }
    order->prefix.bytes = (uint64_t)(at - csv->data);
    order->prefix.bytes -= order->prefix.bytes > 0 && (choice & 16) != 0;
    digest_init(&digest);
    digest_update(&digest, csv->data, order->prefix.bytes);
    digest_final(&digest, order->prefix.sha256);
}

static void file_check(enum decompress_format format, const struct buffer *bytes,
                       const struct buffer *csv, const uint8_t choice[4])
{
    static const size_t windows[4] = {0, 64, 67, 200};
    const size_t config = choice[1] & REJECT_ROWS ? 1 : 0;
    struct file_check_request order = {.fd = inside,
                                       .name = "a.csv",
                                       .layout = &layout,
                                       .size = csv->len,
                                       .complete_only = choice[1] & COMPLETE_ONLY};
    const struct check_result *result = &packed[config].check_result;
    const char *what;
    bool utf16;

    if (csv->len > 0)
        choose_prefix(&order, csv, choice[2]);
    fuzz_put(inside, csv->len == 0 ? "" : csv->data, csv->len);
    window = windows[choice[3] % 4];
    judged_forget(&plain[config].file_check);
    twice_read(&plain[config], &order);
    judged_check_counts(&plain[config], &order);
    order.fd = file;
    order.name = format == DECOMPRESS_ZSTD ? "a.csv.zst" : "a.csv.gz";
    order.size = bytes->len;
    judged_forget(&packed[config].file_check);
    twice_read(&packed[config], &order);
    window = 0;
    fuzz_require(!packed[config].failed, "a packed file can be judged");
    fuzz_require(result->broken == (packed[config].file_check.decompress.fault != DECOMPRESS_SOUND),
                 "broken where it is not sound");
    if (result->broken) {
        fuzz_require(check_result_rejects(result, &configs[config]), "and then rejected");
        fuzz_require(result->violations.total == 1 && result->rows == 0 && !result->no_rows &&
                         !result->prefix_found && result->bytes == bytes->len,
                     "for this alone, and nothing of it counts");
        return;
    }
    /* Magic bytes inside a compressed file have another message. */
    if (decompress_not_csv(csv->data, csv->len, &utf16) != NULL)
        return;
    what = twice_difference(&packed[config], &plain[config]);
    fuzz_require(what == NULL, "it is what the CSV inside is: %s", what);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buffer bytes = {0}, left = {0}, right = {0};
    struct decompress_request order = {.name = "fuzz", .max_ratio = 200};

    if (size < 4)
        return 0;
    if (schema.count == 0)
        start();
    make_file(&bytes, data, (const char *)data + 4, size - 4);
    fuzz_put(file, bytes.len == 0 ? "" : bytes.data, bytes.len);
    order.fd = file;
    order.size = bytes.len;
    order.format = data[0] & ZSTD_FILE ? DECOMPRESS_ZSTD : DECOMPRESS_GZIP;
    read_all(&one, &order, 1 + data[3], &left);
    read_all(&other, &order, 65536, &right);
    /* libzstd takes a frame for which there is room at once another way, and there looks harder at
     * what its header says of its size, but not at its window. */
    fuzz_require(one.fault == other.fault || order.format == DECOMPRESS_ZSTD,
                 "the fault does not depend on the steps");
    check_own(&one, &bytes);
    if (one.fault == DECOMPRESS_SOUND && other.fault == DECOMPRESS_SOUND)
        fuzz_require(twice_same_bytes(&left, &right), "nor does what comes out");
    if ((data[0] & (PACK | FLIP | CUT)) == PACK)
        fuzz_require(one.fault == DECOMPRESS_SOUND || one.fault == DECOMPRESS_TOO_DENSE,
                     "what was packed well is sound");
    if ((data[0] & PACK) != 0 && one.fault == DECOMPRESS_SOUND && (data[0] & (CUT)) == 0)
        fuzz_require(left.len == size - 4 &&
                         (size == 4 || memcmp(left.data, data + 4, size - 4) == 0),
                     "and what was packed comes out, or nothing does");
    file_check(order.format, &bytes, one.fault == DECOMPRESS_SOUND ? &left : &right, data);
    buffer_free(&bytes);
    buffer_free(&left);
    buffer_free(&right);
    return 0;
}

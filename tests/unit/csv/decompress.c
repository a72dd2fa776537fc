#include "csv/decompress.h"

#include <sys/mman.h>

#include "lib/packing.h"
#include "lib/place.h"
#include "lib/unit.h"

#define MANY (4 << 20)
#define TEXT "timestamp,phase\n1,idle\n2,idle\n3,cpu_bound\n"

static const char *const fault_names[] = {"sound",      "other",     "cut",
                                          "damaged",    "trailing",  "window",
                                          "dictionary", "too large", "too dense"};
static const char *const format_names[] = {"plain", "gzip", "zstd"};

static int file;
static struct decompress unpack; /* reused by all tests */
static struct buffer content, packed;
static struct cause cause;

/* Read the bytes into `content` in steps of this size. Return the name of the fault. */
static const char *read_bytes(const struct buffer *bytes, struct decompress_request order,
                              size_t step)
{
    ssize_t n = 0;

    if (ftruncate(file, 0) < 0 ||
        pwrite(file, bytes->len == 0 ? "" : bytes->data, bytes->len, 0) != (ssize_t)bytes->len)
        abort();
    order.fd = file;
    order.name = "test";
    if (order.size == 0)
        order.size = bytes->len;
    buffer_clear(&content);
    decompress_begin(&unpack, &order);
    while (!unpack.ended) {
        if (buffer_reserve(&content, step) < 0)
            abort();
        n = decompress_read(&unpack, content.data + content.len, step, &cause);
        if (n < 0)
            return cause.text;
        content.len += (size_t)n;
    }
    return fault_names[unpack.fault];
}

static const char *read_packed(enum decompress_format format, size_t step)
{
    return read_bytes(&packed, (struct decompress_request){.format = format}, step);
}

static void put(enum decompress_format format, const char *text)
{
    buffer_clear(&packed);
    pack(&packed, format, text, strlen(text));
}

static bool came_out(const void *bytes, size_t len)
{
    return content.len == len && (len == 0 || memcmp(content.data, bytes, len) == 0);
}

static void test_names(void)
{
    check(decompress_format_of("a.csv") == DECOMPRESS_PLAIN &&
              decompress_format_of("a") == DECOMPRESS_PLAIN &&
              decompress_format_of("a.gz") == DECOMPRESS_PLAIN,
          "names of plain files");
    check(decompress_format_of("a/b.csv.gz") == DECOMPRESS_GZIP &&
              decompress_format_of("A.CSV.GZ") == DECOMPRESS_GZIP,
          "names of gzip files");
    check(decompress_format_of("a.csv.zst") == DECOMPRESS_ZSTD &&
              decompress_format_of("a.csv.Zst") == DECOMPRESS_ZSTD,
          "names of zstd files");
    check_text(decompress_suffix(DECOMPRESS_PLAIN), "", "a plain file's name ends with .csv");
    check_text(decompress_suffix(DECOMPRESS_GZIP), ".gz", "a gzip file's name goes on");
    check_text(decompress_suffix(DECOMPRESS_ZSTD), ".zst", "and a zstd file's");
    check(decompress_format_seen("\x1F\x8B\x08", 3) == DECOMPRESS_GZIP &&
              decompress_format_seen("\x28\xB5\x2F\xFD", 4) == DECOMPRESS_ZSTD &&
              decompress_format_seen("\x5A\x2A\x4D\x18", 4) == DECOMPRESS_ZSTD &&
              decompress_format_seen("\x1F", 1) == DECOMPRESS_PLAIN &&
              decompress_format_seen("\x28\xB5\x2F", 3) == DECOMPRESS_PLAIN &&
              decompress_format_seen("", 0) == DECOMPRESS_PLAIN,
          "formats by their first bytes");
    check_text(decompress_advice("\x1F\x8B", 2), ", or name it NAME.csv.gz", "advice for gzip");
    check_text(decompress_advice("a,b", 3), "", "none for CSV");
}

static void test_whole(enum decompress_format format)
{
    static const size_t steps[] = {1, 2, 7, 64, 4096};
    const char *name = format_names[format];
    unsigned char own[DIGEST_SIZE], want[DIGEST_SIZE];
    struct digest digest;
    size_t i;

    put(format, TEXT);
    for (i = 0; i < sizeof steps / sizeof *steps; i++)
        check(strcmp(read_packed(format, steps[i]), "sound") == 0 && came_out(TEXT, strlen(TEXT)) &&
                  unpack.given == strlen(TEXT) && unpack.taken == packed.len,
              "%s in steps of %zu", name, steps[i]);
    put(format, "");
    check(strcmp(read_packed(format, 64), "sound") == 0 && content.len == 0, "%s of nothing", name);
    if (format == DECOMPRESS_PLAIN)
        return;
    put(format, "one,");
    pack(&packed, format, "", 0);
    pack(&packed, format, "two\n", 4);
    for (i = 0; i < sizeof steps / sizeof *steps; i++)
        check(strcmp(read_packed(format, steps[i]), "sound") == 0 && came_out("one,two\n", 8),
              "%s, three in a row in steps of %zu", name, steps[i]);
    digest_init(&digest);
    digest_update(&digest, packed.data, packed.len);
    digest_final(&digest, want);
    decompress_own(&unpack, own);
    check(memcmp(own, want, DIGEST_SIZE) == 0, "%s: the file's own hash", name);
    buffer_clear(&packed);
    check_text(read_packed(format, 64), "cut", "a file without a byte");
}

/* Cut a file at each byte and flip each of its bits, in steps of several sizes. */
static void test_faulty(enum decompress_format format)
{
    const char *name = format_names[format];
    struct buffer whole = {0};
    size_t i, border, cut = 0, wrong = 0, sound = 0, bit;

    pack(&whole, format, TEXT, strlen(TEXT));
    border = whole.len;
    pack(&whole, format, TEXT, strlen(TEXT));
    for (i = 1; i < whole.len; i++) {
        buffer_clear(&packed);
        buffer_append(&packed, whole.data, i);
        cut += strcmp(read_packed(format, i % 3 == 0 ? 1 : 64), i == border ? "sound" : "cut") == 0;
    }
    check(cut == whole.len - 1, "%s: %zu of %zu cuts are found", name, cut, whole.len - 1);
    for (i = 0; i < whole.len * 8; i++) {
        buffer_clear(&packed);
        buffer_append(&packed, whole.data, whole.len);
        bit = 1U << (i % 8);
        packed.data[i / 8] = (char)(packed.data[i / 8] ^ (int)bit);
        if (strcmp(read_packed(format, i % 5 == 0 ? 3 : 64), "sound") != 0)
            continue;
        sound++; /* bits that may flip: a flag, a time in a header, a skippable frame */
        wrong += !came_out(TEXT TEXT, 2 * strlen(TEXT));
    }
    check(wrong == 0, "%s: no flipped bit gives other content", name);
    check(sound < whole.len, "%s: %zu of %zu flipped bits do no harm", name, sound, whole.len * 8);
    buffer_clear(&packed);
    buffer_append(&packed, whole.data, whole.len);
    buffer_append(&packed, "\0\0\0\0", 4);
    check_text(read_packed(format, 64), "trailing", "zeros behind it");
    packed.len -= 3;
    check_text(read_packed(format, 64), "trailing", "a byte behind it");
    packed.data[packed.len - 1] = whole.data[0];
    check_text(read_packed(format, 64), "cut", "the first byte of another one behind it");
    buffer_free(&whole);
}

static void test_other(void)
{
    struct buffer text = {0};

    put(DECOMPRESS_ZSTD, TEXT);
    check_text(read_packed(DECOMPRESS_GZIP, 64), "other", "zstd named gzip");
    decompress_explain(&unpack, &text);
    check_text(buffer_text(&text),
               "named .gz, but the file is no gzip but zstd: name it NAME.csv.zst", "explained");
    put(DECOMPRESS_GZIP, TEXT);
    check_text(read_packed(DECOMPRESS_ZSTD, 64), "other", "gzip named zstd");
    put(DECOMPRESS_PLAIN, TEXT);
    check_text(read_packed(DECOMPRESS_ZSTD, 64), "other", "CSV named zstd");
    buffer_clear(&text);
    decompress_explain(&unpack, &text);
    check_text(buffer_text(&text),
               "named .zst, but the file is no zstd: if it is CSV and not compressed, name it "
               "NAME.csv",
               "explained");
    put(DECOMPRESS_PLAIN, "PK\x03\x04zip");
    check_text(read_packed(DECOMPRESS_GZIP, 64), "other", "zip named gzip");
    buffer_clear(&text);
    decompress_explain(&unpack, &text);
    check(strstr(buffer_text(&text), "no gzip but zip, or a spreadsheet") != NULL, "explained: %s",
          buffer_text(&text));
    put(DECOMPRESS_PLAIN, "\x01\x02\x03\x04");
    check_text(read_packed(DECOMPRESS_GZIP, 64), "other", "anything named gzip");
    check_text(read_packed(DECOMPRESS_PLAIN, 64), "sound", "a plain file is what it is");
    check(came_out("\x01\x02\x03\x04", 4), "and comes out so");
    buffer_free(&text);
}

/* Read skippable frames, as pzstd writes them. */
static void test_skipped(void)
{
    buffer_clear(&packed);
    buffer_append(&packed, "\x50\x2A\x4D\x18\x03\0\0\0abc", 11);
    pack(&packed, DECOMPRESS_ZSTD, TEXT, strlen(TEXT));
    buffer_append(&packed, "\x5F\x2A\x4D\x18\0\0\0\0", 8);
    check_text(read_packed(DECOMPRESS_ZSTD, 1), "sound", "skippable frames");
    check(came_out(TEXT, strlen(TEXT)), "are skipped");
}

static void test_limits(void)
{
    static char zeros[20 << 20];
    struct decompress_request order = {.format = DECOMPRESS_GZIP, .max_ratio = 200};
    struct buffer text = {0};
    ZSTD_CCtx *context = ZSTD_createCCtx();
    ZSTD_CDict *dictionary;
    size_t n;

    buffer_clear(&packed);
    pack_gzip(&packed, zeros, MANY);
    check_text(read_bytes(&packed, order, 4096), "too dense", "4 MiB of zeros");
    check(unpack.given <= (1 << 20) + 4096, "no more came out than had to");
    decompress_explain(&unpack, &text);
    check(strstr(buffer_text(&text), "max_expand_ratio = 200 times") != NULL, "explained: %s",
          buffer_text(&text));
    order.max_ratio = 2000;
    check_text(read_bytes(&packed, order, 4096), "sound", "a larger ratio");
    check(came_out(zeros, MANY), "lets it pass");
    order.max_bytes = 3 << 20;
    check_text(read_bytes(&packed, order, 4096), "too large", "more than max_bytes");
    order.max_bytes = MANY;
    check_text(read_bytes(&packed, order, 4096), "sound", "just max_bytes");
    buffer_clear(&packed);
    pack_gzip(&packed, zeros, 1 << 20);
    order = (struct decompress_request){.format = DECOMPRESS_GZIP, .max_ratio = 1};
    check_text(read_bytes(&packed, order, 4096), "sound", "1 MiB may come of anything");

    buffer_clear(&packed);
    pack_zstd(&packed, zeros, sizeof zeros, 23);
    check_text(read_packed(DECOMPRESS_ZSTD, 4096), "sound", "a window of 8 MiB");
    buffer_clear(&packed);
    pack_zstd(&packed, zeros, sizeof zeros, 24);
    check_text(read_packed(DECOMPRESS_ZSTD, 4096), "window", "a window of 16 MiB");
    put(DECOMPRESS_ZSTD, TEXT);
    check_text(read_packed(DECOMPRESS_ZSTD, 64), "sound", "after which all goes on");

    dictionary = ZSTD_createCDict(TEXT, strlen(TEXT), 3);
    buffer_clear(&packed);
    if (context == NULL || dictionary == NULL || buffer_reserve(&packed, 1024) < 0)
        abort();
    n = ZSTD_compress_usingCDict(context, packed.data, 1024, TEXT, strlen(TEXT), dictionary);
    packed.len = ZSTD_isError(n) ? 0 : n;
    check(strcmp(read_packed(DECOMPRESS_ZSTD, 64), "sound") != 0, "a dictionary is needed");
    ZSTD_freeCDict(dictionary);
    ZSTD_freeCCtx(context);
    /* Read a frame that needs the dictionary with number 7. */
    put(DECOMPRESS_PLAIN, "");
    buffer_append(&packed, "\x28\xB5\x2F\xFD\x21\x07\x01\x09\x00\x00\x61", 11);
    check_text(read_packed(DECOMPRESS_ZSTD, 64), "dictionary", "a dictionary by its number");
    buffer_free(&text);
}

/* Check that the file's own hash is that of all its bytes, wherever the reading ended. */
static void test_own(void)
{
    unsigned char own[DIGEST_SIZE], want[DIGEST_SIZE];
    struct digest digest;
    int more;

    put(DECOMPRESS_PLAIN, "none of these");
    while (packed.len < 300000)
        buffer_string(&packed, "0123456789");
    check_text(read_packed(DECOMPRESS_GZIP, 64), "other", "a large file of another kind");
    check(unpack.taken < packed.len, "is not read whole");
    while ((more = decompress_rest(&unpack, &cause)) > 0)
        ;
    decompress_own(&unpack, own);
    digest_init(&digest);
    digest_update(&digest, packed.data, packed.len);
    digest_final(&digest, want);
    check(more == 0 && memcmp(own, want, DIGEST_SIZE) == 0, "but for its hash");
    put(DECOMPRESS_GZIP, TEXT);
    check_text(
        read_bytes(&packed,
                   (struct decompress_request){.format = DECOMPRESS_GZIP, .size = packed.len + 1},
                   64),
        "test became shorter while it was read", "a file that lost a byte");
    check(cause.kind == CAUSE_CHANGED, "is to be read again");
    put(DECOMPRESS_PLAIN, TEXT);
    check_text(read_bytes(&packed, (struct decompress_request){.size = packed.len + 1}, 4096),
               "test became shorter while it was read", "a plain one, too");
}

/* Read random content in random pieces, members and steps. */
static void test_random(void)
{
    struct buffer text = {0};
    size_t round, rounds = place_rounds(200), same = 0, from, len;

    for (round = 0; round < rounds; round++) {
        enum decompress_format format = round % 2 == 0 ? DECOMPRESS_GZIP : DECOMPRESS_ZSTD;
        size_t size = place_below(400000);

        buffer_clear(&text);
        while (text.len < size)
            buffer_printf(&text, "%zu,%zu\n", place_below(1000), place_below(3));
        buffer_clear(&packed);
        for (from = 0; from < text.len; from += len) {
            len = 1 + place_below(text.len);
            len = len < text.len - from ? len : text.len - from;
            pack(&packed, format, text.data + from, len);
        }
        if (text.len == 0)
            pack(&packed, format, "", 0);
        same += strcmp(read_packed(format, 1 + place_below(300000)), "sound") == 0 &&
                came_out(text.data, text.len);
    }
    check(same == rounds, "%zu of %zu random files come out as they went in", same, rounds);
    buffer_free(&text);
}

int main(void)
{
    enum decompress_format format;

    file = memfd_create("unpack", MFD_CLOEXEC);
    if (file < 0)
        abort();
    test_names();
    for (format = DECOMPRESS_PLAIN; format <= DECOMPRESS_ZSTD; format++)
        test_whole(format);
    test_faulty(DECOMPRESS_GZIP);
    test_faulty(DECOMPRESS_ZSTD);
    test_other();
    test_skipped();
    test_limits();
    test_own();
    test_random();
    decompress_free(&unpack);
    decompress_free(&unpack);
    buffer_free(&content);
    buffer_free(&packed);
    close(file);
    return unit_done();
}

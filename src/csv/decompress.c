#include "csv/decompress.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "fs/durable.h"
#include "fs/csv_name.h"

#define BUFFER_SIZE     (64 * 1024)
#define MOST_AT_ONCE    (1024 * 1024) /* bytes of the file read in one call, whatever comes out */
#define ALWAYS_ALLOWED  (1024 * 1024) /* bytes that even the smallest file may expand to */
#define ZSTD_WINDOW_LOG 23            /* 8 MiB: as zstd -19 without --ultra and --long */
#define KEPT_SIZE       (1024 * 1024) /* free a zstd context with more memory */
#define GZIP_WINDOW     (15 + 16)     /* the largest window, in gzip's format */
#define MAGIC_SIZE      4

struct decompress_tools {
    z_stream gzip;
    bool gzip_ready;
    ZSTD_DCtx *zstd;
    bool inside; /* inside a member or frame */
    bool begun;  /* the first member or frame has begun */
    size_t pos, end;
    unsigned char bytes[BUFFER_SIZE]; /* [pos, end) is to be decompressed */
};

enum decompress_format decompress_format_of(const char *name)
{
    const char *packing = name + csv_name_length(name);

    if (*packing == '\0')
        return DECOMPRESS_PLAIN;
    return packing[1] == 'g' || packing[1] == 'G' ? DECOMPRESS_GZIP : DECOMPRESS_ZSTD;
}

const char *decompress_suffix(enum decompress_format format)
{
    static const char *const suffixes[DECOMPRESS_FORMATS] = {
        [DECOMPRESS_PLAIN] = "", [DECOMPRESS_GZIP] = ".gz", [DECOMPRESS_ZSTD] = ".zst"};

    return suffixes[format];
}

/* Return how many of the bytes match the magic number of a member or frame, or 0 if one differs. */
static size_t match_magic(enum decompress_format format, const unsigned char *bytes, size_t len)
{
    static const unsigned char gzip[] = {0x1F, 0x8B};
    static const unsigned char zstd[] = {0x28, 0xB5, 0x2F, 0xFD};
    static const unsigned char skipped[] = {0x50, 0x2A, 0x4D, 0x18}; /* the first low bits vary */
    unsigned char start[MAGIC_SIZE];
    size_t count = format == DECOMPRESS_GZIP ? sizeof gzip : sizeof zstd;

    count = count < len ? count : len;
    if (count == 0)
        return 0;
    if (memcmp(bytes, format == DECOMPRESS_GZIP ? gzip : zstd, count) == 0)
        return count;
    memcpy(start, bytes, count);
    start[0] &= 0xF0;
    return format == DECOMPRESS_ZSTD && memcmp(start, skipped, count) == 0 ? count : 0;
}

enum decompress_format decompress_format_seen(const void *bytes, size_t len)
{
    if (match_magic(DECOMPRESS_GZIP, bytes, len) == 2)
        return DECOMPRESS_GZIP;
    return match_magic(DECOMPRESS_ZSTD, bytes, len) == MAGIC_SIZE ? DECOMPRESS_ZSTD
                                                                  : DECOMPRESS_PLAIN;
}

const char *decompress_advice(const void *bytes, size_t len)
{
    static const char *const advice[] = {"", ", or name it NAME.csv.gz",
                                         ", or name it NAME.csv.zst"};

    return advice[decompress_format_seen(bytes, len)];
}

static const struct magic {
    const char *bytes;
    size_t len;
    const char *kind;
    bool utf16;
} magics[] = {
    {"\x1F\x8B", 2, "gzip: unpack it first (gunzip)", false},
    {"PK\x03\x04", 4, "zip, or a spreadsheet (.xlsx, .ods): unpack it, or export it as CSV", false},
    {"PK\x05\x06", 4, "an empty zip archive", false},
    {"PAR1", 4, "Parquet: export it as CSV", false},
    {"\x28\xB5\x2F\xFD", 4, "zstd: unpack it first (unzstd)", false},
    {"\xFD"
     "7zXZ\0",
     6, "xz: unpack it first (unxz)", false},
    {"BZh", 3, "bzip2: unpack it first (bunzip2)", false},
    {"7z\xBC\xAF\x27\x1C", 6, "a 7z archive: unpack it first", false},
    {"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", 8, "an old spreadsheet (.xls): export it as CSV", false},
    {"%PDF-", 5, "PDF", false},
    {"SQLite format 3", 16, "an SQLite database: export the table as CSV", false},
    {"ARROW1", 6, "Arrow or Feather: export it as CSV", false},
    {"\x89HDF", 4, "HDF5: export it as CSV", false},
    {"\xFF\xFE", 2, "UTF-16: save it as UTF-8", true},
    {"\xFE\xFF", 2, "UTF-16: save it as UTF-8", true},
};

const char *decompress_not_csv(const void *bytes, size_t len, bool *ret_utf16)
{
    size_t i;

    for (i = 0; i < sizeof magics / sizeof *magics; i++) {
        if (len < magics[i].len || memcmp(bytes, magics[i].bytes, magics[i].len) != 0)
            continue;
        *ret_utf16 = magics[i].utf16;
        return magics[i].kind;
    }
    return NULL;
}

void decompress_begin(struct decompress *decompress, const struct decompress_request *request)
{
    struct decompress_tools *tools = decompress->tools;
    uint64_t dense = UINT64_MAX;

    *decompress = (struct decompress){.request = *request, .tools = tools, .most = UINT64_MAX};
    if (request->format == DECOMPRESS_PLAIN)
        return;
    digest_init(&decompress->own);
    if (request->max_ratio > 0 && request->size < UINT64_MAX / request->max_ratio)
        dense = request->size * request->max_ratio;
    decompress->most = dense > ALWAYS_ALLOWED ? dense : ALWAYS_ALLOWED;
    if (request->max_bytes > 0 && request->max_bytes < decompress->most)
        decompress->most = request->max_bytes;
    if (tools != NULL) {
        tools->pos = tools->end = 0;
        tools->inside = tools->begun = false;
    }
}

static void close_zstd(struct decompress_tools *tools)
{
    ZSTD_freeDCtx(tools->zstd);
    tools->zstd = NULL;
}

static void end_reading(struct decompress *decompress, enum decompress_fault fault)
{
    struct decompress_tools *tools = decompress->tools;

    decompress->ended = true;
    decompress->fault = fault;
    if (tools->zstd != NULL && ZSTD_sizeof_DCtx(tools->zstd) > KEPT_SIZE)
        close_zstd(tools);
}

static ssize_t read_plain(struct decompress *decompress, char *out, size_t len, struct cause *cause)
{
    const struct decompress_request *request = &decompress->request;
    ssize_t n;

    if (len > request->size - decompress->taken)
        len = (size_t)(request->size - decompress->taken);
    n = durable_read(request->fd, out, len, decompress->taken, request->name, cause);
    if (n < 0)
        return -1;
    if ((size_t)n < len)
        return cause_set(cause, CAUSE_CHANGED, "%s became shorter while it was read",
                         request->name);
    decompress->taken += len;
    decompress->given = decompress->taken;
    decompress->ended = decompress->taken == request->size;
    return n;
}

/* Read bytes of the file behind those in the buffer. */
static int fill_buffer(struct decompress *decompress, struct cause *cause)
{
    const struct decompress_request *request = &decompress->request;
    struct decompress_tools *tools = decompress->tools;
    size_t rest = tools->end - tools->pos, len = BUFFER_SIZE - rest, more;
    unsigned char *at = tools->bytes + rest;
    ssize_t n;

    memmove(tools->bytes, tools->bytes + tools->pos, rest);
    tools->pos = 0;
    tools->end = rest;
    if (len > request->size - decompress->taken)
        len = (size_t)(request->size - decompress->taken);
    n = durable_read(request->fd, at, len, decompress->taken, request->name, cause);
    if (n < 0)
        return -1;
    if ((size_t)n < len)
        return cause_set(cause, CAUSE_CHANGED, "%s became shorter while it was read",
                         request->name);
    digest_update(&decompress->own, at, len);
    more = DECOMPRESS_FIRST_BYTES - decompress->first_count;
    more = more < len ? more : len;
    memcpy(decompress->first + decompress->first_count, at, more);
    decompress->first_count += more;
    decompress->taken += len;
    tools->end += len;
    return 0;
}

static int make_tools(struct decompress *decompress, struct cause *cause)
{
    struct decompress_tools *tools = decompress->tools;

    if (tools == NULL)
        tools = decompress->tools = calloc(1, sizeof *tools);
    if (tools == NULL)
        return cause_memory(cause);
    if (decompress->request.format == DECOMPRESS_GZIP && !tools->gzip_ready) {
        if (inflateInit2(&tools->gzip, GZIP_WINDOW) != Z_OK)
            return cause_memory(cause);
        tools->gzip_ready = true;
    }
    if (decompress->request.format == DECOMPRESS_ZSTD && tools->zstd == NULL) {
        tools->zstd = ZSTD_createDCtx();
        if (tools->zstd == NULL)
            return cause_memory(cause);
        ZSTD_DCtx_setParameter(tools->zstd, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG);
    }
    return 0;
}

/* Begin the next member or frame, or end the reading. */
static int enter_frame(struct decompress *decompress, struct cause *cause)
{
    struct decompress_tools *tools = decompress->tools;
    const size_t whole = decompress->request.format == DECOMPRESS_GZIP ? 2 : MAGIC_SIZE;
    size_t there;

    if (tools->end - tools->pos < whole && fill_buffer(decompress, cause) < 0)
        return -1;
    there = tools->end - tools->pos;
    if (there == 0) {
        end_reading(decompress, tools->begun ? DECOMPRESS_SOUND : DECOMPRESS_CUT);
    } else if (match_magic(decompress->request.format, tools->bytes + tools->pos, there) == 0) {
        end_reading(decompress, tools->begun ? DECOMPRESS_TRAILING : DECOMPRESS_OTHER);
    } else if (there < whole) {
        end_reading(decompress, DECOMPRESS_CUT);
    } else {
        tools->inside = tools->begun = true;
        if (decompress->request.format == DECOMPRESS_GZIP)
            inflateReset(&tools->gzip);
        else
            ZSTD_DCtx_reset(tools->zstd, ZSTD_reset_session_only);
    }
    return 0;
}

/* Decompress what is in the buffer, as far as there is room. *ret_given: the number of bytes. */
static int inflate_some(struct decompress *decompress, char *out, size_t len, size_t *ret_given,
                        struct cause *cause)
{
    struct decompress_tools *tools = decompress->tools;
    z_stream *gzip = &tools->gzip;
    int result;

    gzip->next_in = tools->bytes + tools->pos;
    gzip->avail_in = (uInt)(tools->end - tools->pos);
    gzip->next_out = (unsigned char *)out;
    gzip->avail_out = (uInt)len;
    result = inflate(gzip, Z_NO_FLUSH);
    tools->pos = tools->end - gzip->avail_in;
    *ret_given = len - gzip->avail_out;
    if (result == Z_MEM_ERROR)
        return cause_memory(cause);
    if (result == Z_STREAM_END)
        tools->inside = false;
    else if (result != Z_OK && result != Z_BUF_ERROR)
        end_reading(decompress, DECOMPRESS_DAMAGED);
    return 0;
}

/* Do the same as inflate_some. */
static int unzstd_some(struct decompress *decompress, char *out, size_t len, size_t *ret_given,
                       struct cause *cause)
{
    struct decompress_tools *tools = decompress->tools;
    ZSTD_inBuffer from = {tools->bytes, tools->end, tools->pos};
    ZSTD_outBuffer to = {out, len, 0};
    size_t result = ZSTD_decompressStream(tools->zstd, &to, &from);

    tools->pos = from.pos;
    *ret_given = to.pos;
    if (result == 0)
        tools->inside = false;
    if (!ZSTD_isError(result))
        return 0;
    switch (ZSTD_getErrorCode(result)) {
    case ZSTD_error_memory_allocation:
        return cause_memory(cause);
    case ZSTD_error_frameParameter_windowTooLarge:
        end_reading(decompress, DECOMPRESS_WINDOW);
        break;
    case ZSTD_error_dictionary_wrong:
        end_reading(decompress, DECOMPRESS_DICTIONARY);
        break;
    default:
        end_reading(decompress, DECOMPRESS_DAMAGED);
    }
    return 0;
}

/* Decompress some bytes of the member or frame. */
static int decompress_step(struct decompress *decompress, char *out, size_t len, size_t *ret_given,
                           struct cause *cause)
{
    struct decompress_tools *tools = decompress->tools;
    size_t before;
    int result;

    if (tools->pos == tools->end && fill_buffer(decompress, cause) < 0)
        return -1;
    before = tools->pos;
    result = decompress->request.format == DECOMPRESS_GZIP
                 ? inflate_some(decompress, out, len, ret_given, cause)
                 : unzstd_some(decompress, out, len, ret_given, cause);
    if (result < 0)
        return -1;
    decompress->given += *ret_given;
    /* Too many bytes come first, so that the fault does not depend on the size of the steps. */
    if (decompress->given > decompress->most)
        end_reading(decompress, decompress->most == decompress->request.max_bytes
                                    ? DECOMPRESS_TOO_LARGE
                                    : DECOMPRESS_TOO_DENSE);
    /* A step without progress at the end of the file: the member or frame is not complete. */
    if (!decompress->ended && tools->inside && *ret_given == 0 && tools->pos == before &&
        decompress->taken == decompress->request.size)
        end_reading(decompress, DECOMPRESS_CUT);
    return 0;
}

ssize_t decompress_read(struct decompress *decompress, char *out, size_t len, struct cause *cause)
{
    const uint64_t until = decompress->taken + MOST_AT_ONCE;
    size_t done = 0, given;

    if (decompress->request.format == DECOMPRESS_PLAIN)
        return read_plain(decompress, out, len, cause);
    if (make_tools(decompress, cause) < 0)
        return -1;
    while (!decompress->ended && done < len && decompress->taken <= until) {
        if (!decompress->tools->inside) {
            if (enter_frame(decompress, cause) < 0)
                return -1;
            continue;
        }
        if (decompress_step(decompress, out + done, len - done, &given, cause) < 0)
            return -1;
        done += given;
    }
    return (ssize_t)done;
}

/* Append what the file is instead of gzip or zstd. */
static void explain_other(const struct decompress *decompress, struct buffer *out)
{
    const bool gzip = decompress->request.format == DECOMPRESS_GZIP;
    enum decompress_format seen =
        decompress_format_seen(decompress->first, decompress->first_count);
    bool utf16;
    const char *kind = decompress_not_csv(decompress->first, decompress->first_count, &utf16);
    size_t i = 0;

    buffer_printf(out, "named %s, but the file is no %s", gzip ? ".gz" : ".zst",
                  gzip ? "gzip" : "zstd");
    while (i < decompress->first_count &&
           (decompress->first[i] >= ' ' || decompress->first[i] == '\t' ||
            decompress->first[i] == '\r' || decompress->first[i] == '\n'))
        i++;
    if (seen != DECOMPRESS_PLAIN)
        buffer_string(out,
                      gzip ? " but zstd: name it NAME.csv.zst" : " but gzip: name it NAME.csv.gz");
    else if (kind != NULL)
        buffer_printf(out, " but %s", kind);
    else if (i == decompress->first_count)
        buffer_string(out, ": if it is CSV and not compressed, name it NAME.csv");
}

void decompress_explain(const struct decompress *decompress, struct buffer *out)
{
    const struct decompress_request *request = &decompress->request;
    const char *kind = request->format == DECOMPRESS_GZIP ? "gzip" : "zstd";

    switch (decompress->fault) {
    case DECOMPRESS_SOUND:
        break;
    case DECOMPRESS_OTHER:
        explain_other(decompress, out);
        break;
    case DECOMPRESS_CUT:
        buffer_printf(out, "the %s data ends in the middle: the file was cut off; send it again",
                      kind);
        break;
    case DECOMPRESS_DAMAGED:
        buffer_printf(out, "the %s data is damaged (%s -t FILE says so, too): send it again", kind,
                      kind);
        break;
    case DECOMPRESS_TRAILING:
        buffer_printf(out, "something else follows the %s data: compress the CSV into a new file",
                      kind);
        break;
    case DECOMPRESS_WINDOW:
        buffer_string(out, "to unpack it takes a window of more than 8 MiB: compress it without "
                           "--ultra and --long");
        break;
    case DECOMPRESS_DICTIONARY:
        buffer_string(out, "to unpack it takes a dictionary: compress it without one");
        break;
    case DECOMPRESS_TOO_LARGE:
        buffer_printf(out, "the CSV inside has more bytes than max_file_mib = %" PRIu64 " allows",
                      request->max_bytes >> 20);
        break;
    case DECOMPRESS_TOO_DENSE:
        buffer_printf(out,
                      "the CSV inside has more than max_expand_ratio = %u times the %" PRIu64
                      " bytes of the file: send it uncompressed",
                      request->max_ratio, request->size);
        break;
    }
}

enum violation_code decompress_violation(const struct decompress *decompress)
{
    switch (decompress->fault) {
    case DECOMPRESS_CUT:
        return VIOLATION_TRUNCATED_FILE;
    case DECOMPRESS_TOO_LARGE:
    case DECOMPRESS_TOO_DENSE:
        return VIOLATION_FILE_TOO_LARGE;
    case DECOMPRESS_SOUND:
    case DECOMPRESS_OTHER:
    case DECOMPRESS_DAMAGED:
    case DECOMPRESS_TRAILING:
    case DECOMPRESS_WINDOW:
    case DECOMPRESS_DICTIONARY:
        break;
    }
    return VIOLATION_FORMAT_ERROR;
}

int decompress_rest(struct decompress *decompress, struct cause *cause)
{
    struct decompress_tools *tools = decompress->tools;

    if (decompress->request.format == DECOMPRESS_PLAIN ||
        decompress->taken == decompress->request.size)
        return 0;
    tools->pos = tools->end;
    return fill_buffer(decompress, cause) < 0 ? -1 : 1;
}

void decompress_own(const struct decompress *decompress, unsigned char out[DIGEST_SIZE])
{
    digest_final(&decompress->own, out);
}

void decompress_free(struct decompress *decompress)
{
    if (decompress->tools != NULL) {
        if (decompress->tools->gzip_ready)
            inflateEnd(&decompress->tools->gzip);
        close_zstd(decompress->tools);
        free(decompress->tools);
    }
    *decompress = (struct decompress){0};
}

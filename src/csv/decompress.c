#include "csv/decompress.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "fs/durable.h"
#include "csv/file_type.h"
#include "base/csv_name.h"

#define BUFFER_SIZE     (64 * 1024)
#define MOST_AT_ONCE    (1024 * 1024) /* of the file in one call, however little comes out of it */
#define ALWAYS_ALLOWED  (1024 * 1024) /* may come out, however small the file is */
#define ZSTD_WINDOW_LOG 23            /* 8 MiB: what zstd -19 makes, without --ultra and --long */
#define KEPT_SIZE       (1024 * 1024) /* a zstd context with more memory than this is not kept */
#define GZIP_WINDOW     (15 + 16)     /* the largest one, and gzip's frame alone */
#define MAGIC_SIZE      4

struct decompress_tools {
    z_stream gzip;
    bool gzip_ready;
    ZSTD_DCtx *zstd;
    bool inside; /* a member or frame */
    bool begun;  /* there has been one */
    size_t pos, end;
    unsigned char bytes[BUFFER_SIZE]; /* [pos, end) is not unpacked yet */
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

/* How many of the bytes belong to the magic of a member or frame: those of all it has, or of all
 * that are there. Else 0. */
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

void decompress_begin(struct decompress *unpack, const struct decompress_request *order)
{
    struct decompress_tools *tools = unpack->tools;
    uint64_t dense = UINT64_MAX;

    *unpack = (struct decompress){.order = *order, .tools = tools, .most = UINT64_MAX};
    if (order->format == DECOMPRESS_PLAIN)
        return;
    digest_init(&unpack->own);
    if (order->max_ratio > 0 && order->size < UINT64_MAX / order->max_ratio)
        dense = order->size * order->max_ratio;
    unpack->most = dense > ALWAYS_ALLOWED ? dense : ALWAYS_ALLOWED;
    if (order->max_bytes > 0 && order->max_bytes < unpack->most)
        unpack->most = order->max_bytes;
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

static void end(struct decompress *unpack, enum decompress_fault fault)
{
    struct decompress_tools *tools = unpack->tools;

    unpack->ended = true;
    unpack->fault = fault;
    if (tools->zstd != NULL && ZSTD_sizeof_DCtx(tools->zstd) > KEPT_SIZE)
        close_zstd(tools);
}

static ssize_t read_plain(struct decompress *unpack, char *out, size_t len, struct cause *cause)
{
    const struct decompress_request *order = &unpack->order;
    ssize_t n;

    if (len > order->size - unpack->taken)
        len = (size_t)(order->size - unpack->taken);
    n = durable_read(order->fd, out, len, unpack->taken, order->name, cause);
    if (n < 0)
        return -1;
    if ((size_t)n < len)
        return cause_set(cause, CAUSE_CHANGED, "%s became shorter while it was read", order->name);
    unpack->taken += len;
    unpack->given = unpack->taken;
    unpack->ended = unpack->taken == order->size;
    return n;
}

/* More bytes of the file behind those in the buffer, if it has any. */
static int fill(struct decompress *unpack, struct cause *cause)
{
    const struct decompress_request *order = &unpack->order;
    struct decompress_tools *tools = unpack->tools;
    size_t rest = tools->end - tools->pos, len = BUFFER_SIZE - rest, more;
    unsigned char *at = tools->bytes + rest;
    ssize_t n;

    memmove(tools->bytes, tools->bytes + tools->pos, rest);
    tools->pos = 0;
    tools->end = rest;
    if (len > order->size - unpack->taken)
        len = (size_t)(order->size - unpack->taken);
    n = durable_read(order->fd, at, len, unpack->taken, order->name, cause);
    if (n < 0)
        return -1;
    if ((size_t)n < len)
        return cause_set(cause, CAUSE_CHANGED, "%s became shorter while it was read", order->name);
    digest_update(&unpack->own, at, len);
    more = DECOMPRESS_FIRST_BYTES - unpack->first_count;
    more = more < len ? more : len;
    memcpy(unpack->first + unpack->first_count, at, more);
    unpack->first_count += more;
    unpack->taken += len;
    tools->end += len;
    return 0;
}

static int make_tools(struct decompress *unpack, struct cause *cause)
{
    struct decompress_tools *tools = unpack->tools;

    if (tools == NULL)
        tools = unpack->tools = calloc(1, sizeof *tools);
    if (tools == NULL)
        return cause_memory(cause);
    if (unpack->order.format == DECOMPRESS_GZIP && !tools->gzip_ready) {
        if (inflateInit2(&tools->gzip, GZIP_WINDOW) != Z_OK)
            return cause_memory(cause);
        tools->gzip_ready = true;
    }
    if (unpack->order.format == DECOMPRESS_ZSTD && tools->zstd == NULL) {
        tools->zstd = ZSTD_createDCtx();
        if (tools->zstd == NULL)
            return cause_memory(cause);
        ZSTD_DCtx_setParameter(tools->zstd, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG);
    }
    return 0;
}

/* Between members or frames: does another one begin? */
static int enter(struct decompress *unpack, struct cause *cause)
{
    struct decompress_tools *tools = unpack->tools;
    const size_t whole = unpack->order.format == DECOMPRESS_GZIP ? 2 : MAGIC_SIZE;
    size_t there;

    if (tools->end - tools->pos < whole && fill(unpack, cause) < 0)
        return -1;
    there = tools->end - tools->pos;
    if (there == 0) {
        end(unpack, tools->begun ? DECOMPRESS_SOUND : DECOMPRESS_CUT);
    } else if (match_magic(unpack->order.format, tools->bytes + tools->pos, there) == 0) {
        end(unpack, tools->begun ? DECOMPRESS_TRAILING : DECOMPRESS_OTHER);
    } else if (there < whole) {
        end(unpack, DECOMPRESS_CUT);
    } else {
        tools->inside = tools->begun = true;
        if (unpack->order.format == DECOMPRESS_GZIP)
            inflateReset(&tools->gzip);
        else
            ZSTD_DCtx_reset(tools->zstd, ZSTD_reset_session_only);
    }
    return 0;
}

/* Both: what is in the buffer, as far as there is room. *ret_given: bytes that came out. */
static int inflate_some(struct decompress *unpack, char *out, size_t len, size_t *ret_given,
                        struct cause *cause)
{
    struct decompress_tools *tools = unpack->tools;
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
        end(unpack, DECOMPRESS_DAMAGED);
    return 0;
}

static int decompress_some(struct decompress *unpack, char *out, size_t len, size_t *ret_given,
                           struct cause *cause)
{
    struct decompress_tools *tools = unpack->tools;
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
        end(unpack, DECOMPRESS_WINDOW);
        break;
    case ZSTD_error_dictionary_wrong:
        end(unpack, DECOMPRESS_DICTIONARY);
        break;
    default:
        end(unpack, DECOMPRESS_DAMAGED);
    }
    return 0;
}

/* Inside a member or frame: some of what is in it. */
static int unpack_some(struct decompress *unpack, char *out, size_t len, size_t *ret_given,
                       struct cause *cause)
{
    struct decompress_tools *tools = unpack->tools;
    size_t before;
    int result;

    if (tools->pos == tools->end && fill(unpack, cause) < 0)
        return -1;
    before = tools->pos;
    result = unpack->order.format == DECOMPRESS_GZIP
                 ? inflate_some(unpack, out, len, ret_given, cause)
                 : decompress_some(unpack, out, len, ret_given, cause);
    if (result < 0)
        return -1;
    unpack->given += *ret_given;
    /* Whatever else is found in the same step: the fault does not depend on steps. */
    if (unpack->given > unpack->most)
        end(unpack,
            unpack->most == unpack->order.max_bytes ? DECOMPRESS_TOO_LARGE : DECOMPRESS_TOO_DENSE);
    /* Nothing goes in, nothing comes out, nothing follows. */
    if (!unpack->ended && tools->inside && *ret_given == 0 && tools->pos == before &&
        unpack->taken == unpack->order.size)
        end(unpack, DECOMPRESS_CUT);
    return 0;
}

ssize_t decompress_read(struct decompress *unpack, char *out, size_t len, struct cause *cause)
{
    const uint64_t until = unpack->taken + MOST_AT_ONCE;
    size_t done = 0, given;

    if (unpack->order.format == DECOMPRESS_PLAIN)
        return read_plain(unpack, out, len, cause);
    if (make_tools(unpack, cause) < 0)
        return -1;
    while (!unpack->ended && done < len && unpack->taken <= until) {
        if (!unpack->tools->inside) {
            if (enter(unpack, cause) < 0)
                return -1;
            continue;
        }
        if (unpack_some(unpack, out + done, len - done, &given, cause) < 0)
            return -1;
        done += given;
    }
    return (ssize_t)done;
}

/* What the bytes are that stand where gzip or zstd should. */
static void explain_other(const struct decompress *unpack, struct buffer *out)
{
    const bool gzip = unpack->order.format == DECOMPRESS_GZIP;
    enum decompress_format file_cache = decompress_format_seen(unpack->first, unpack->first_count);
    bool utf16;
    const char *kind = file_type_detect(unpack->first, unpack->first_count, &utf16);
    size_t i = 0;

    buffer_printf(out, "named %s, but the file is no %s", gzip ? ".gz" : ".zst",
                  gzip ? "gzip" : "zstd");
    while (i < unpack->first_count && (unpack->first[i] >= ' ' || unpack->first[i] == '\t' ||
                                       unpack->first[i] == '\r' || unpack->first[i] == '\n'))
        i++;
    if (file_cache != DECOMPRESS_PLAIN)
        buffer_string(out,
                      gzip ? " but zstd: name it NAME.csv.zst" : " but gzip: name it NAME.csv.gz");
    else if (kind != NULL)
        buffer_printf(out, " but %s", kind);
    else if (i == unpack->first_count)
        buffer_string(out, ": if it is CSV and not compressed, name it NAME.csv");
}

void decompress_explain(const struct decompress *unpack, struct buffer *out)
{
    const struct decompress_request *order = &unpack->order;
    const char *kind = order->format == DECOMPRESS_GZIP ? "gzip" : "zstd";

    switch (unpack->fault) {
    case DECOMPRESS_SOUND:
        break;
    case DECOMPRESS_OTHER:
        explain_other(unpack, out);
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
                      order->max_bytes >> 20);
        break;
    case DECOMPRESS_TOO_DENSE:
        buffer_printf(out,
                      "the CSV inside has more than max_expand_ratio = %u times the %" PRIu64
                      " bytes of the file: send it uncompressed",
                      order->max_ratio, order->size);
        break;
    }
}

int decompress_rest(struct decompress *unpack, struct cause *cause)
{
    struct decompress_tools *tools = unpack->tools;

    if (unpack->order.format == DECOMPRESS_PLAIN || unpack->taken == unpack->order.size)
        return 0;
    tools->pos = tools->end;
    return fill(unpack, cause) < 0 ? -1 : 1;
}

void decompress_own(const struct decompress *unpack, unsigned char out[DIGEST_SIZE])
{
    digest_final(&unpack->own, out);
}

void decompress_free(struct decompress *unpack)
{
    if (unpack->tools != NULL) {
        if (unpack->tools->gzip_ready)
            inflateEnd(&unpack->tools->gzip);
        close_zstd(unpack->tools);
        free(unpack->tools);
    }
    *unpack = (struct decompress){0};
}

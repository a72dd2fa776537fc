/*
 * packing: compress bytes with gzip and zstd, for tests.
 */
#ifndef PHASESENTINEL_PACKING_H
#define PHASESENTINEL_PACKING_H

#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

#include "base/buffer.h"
#include "csv/decompress.h"

#define UNUSED __attribute__((unused))

UNUSED static void pack_gzip(struct buffer *out, const void *bytes, size_t len)
{
    unsigned char chunk[4096];
    z_stream stream = {0};
    int result;

    if (deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        abort();
    stream.next_in = (unsigned char *)(uintptr_t)bytes;
    stream.avail_in = (uInt)len;
    do {
        stream.next_out = chunk;
        stream.avail_out = sizeof chunk;
        result = deflate(&stream, Z_FINISH);
        buffer_append(out, chunk, sizeof chunk - stream.avail_out);
    } while (result == Z_OK || result == Z_BUF_ERROR);
    if (result != Z_STREAM_END)
        abort();
    deflateEnd(&stream);
}

/* Compress with a checksum, as the program zstd does. */
UNUSED static void pack_zstd(struct buffer *out, const void *bytes, size_t len, int window_log)
{
    ZSTD_CCtx *context = ZSTD_createCCtx();
    size_t n;

    if (context == NULL || buffer_reserve(out, ZSTD_compressBound(len)) < 0)
        abort();
    ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
    if (window_log > 0) {
        ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, window_log);
        ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 0);
    }
    n = ZSTD_compress2(context, out->data + out->len, out->cap - out->len, bytes, len);
    if (ZSTD_isError(n))
        abort();
    out->len += n;
    ZSTD_freeCCtx(context);
}

UNUSED static void pack(struct buffer *out, enum decompress_format format, const void *bytes,
                        size_t len)
{
    if (format == DECOMPRESS_GZIP)
        pack_gzip(out, bytes, len);
    else if (format == DECOMPRESS_ZSTD)
        pack_zstd(out, bytes, len, 0);
    else
        buffer_append(out, bytes, len);
}

#endif

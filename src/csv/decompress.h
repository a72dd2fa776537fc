/*
 * decompress: the bytes of a dropped file as they are checked. NAME.csv is read as it is, NAME.csv.gz
 * and NAME.csv.zst are decompressed. Also what a file is that is no CSV, by its first bytes.
 *
 *     decompress_begin
 *     decompress_read      into the caller's memory, until `ended`
 *     decompress_rest      to the end of the file, if the hash of a compressed file is wanted
 *     decompress_own
 *     decompress_free      once, after many files
 *
 * No other module includes zlib and zstd. Bad compressed data is no error but sets `fault` and ends
 * the reading; bytes returned before must then be discarded. The members of a gzip file, or the
 * frames of a zstd file, are one content. Memory is bounded: a buffer and what each library needs,
 * at most 8 MiB for the window of zstd, allocated when first needed.
 */
#ifndef PHASESENTINEL_DECOMPRESS_H
#define PHASESENTINEL_DECOMPRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buffer.h"
#include "base/cause.h"
#include "base/digest.h"
#include "csv/violations.h"

enum decompress_format { DECOMPRESS_PLAIN, DECOMPRESS_GZIP, DECOMPRESS_ZSTD, DECOMPRESS_FORMATS };

enum decompress_fault {
    DECOMPRESS_SOUND,
    DECOMPRESS_OTHER,      /* the first bytes are not of the format that the name says */
    DECOMPRESS_CUT,        /* the file ends inside a member or frame */
    DECOMPRESS_DAMAGED,    /* the library reports a bad block or checksum */
    DECOMPRESS_TRAILING,   /* the last member or frame is followed by other bytes */
    DECOMPRESS_WINDOW,     /* zstd: a window of more than 8 MiB is needed */
    DECOMPRESS_DICTIONARY, /* zstd: a dictionary is needed */
    DECOMPRESS_TOO_LARGE,  /* more than request->max_bytes */
    DECOMPRESS_TOO_DENSE,  /* more than request->max_ratio times its size, and more than 1 MiB */
};

struct decompress_request {
    int fd;
    const char *name; /* borrowed; for messages */
    enum decompress_format format;
    uint64_t size;      /* how many bytes of the file to read */
    uint64_t max_bytes; /* limit on decompressed bytes; 0: none */
    unsigned max_ratio; /* limit on decompressed bytes for each byte of the file; 0: none */
};

#define DECOMPRESS_FIRST_BYTES 16

struct decompress_tools; /* the buffer, and the states of the libraries */

/* A zeroed struct is ready for use. */
struct decompress {
    struct decompress_request request;
    enum decompress_fault fault;
    bool ended;
    uint64_t taken;                              /* bytes read from the file */
    uint64_t given;                              /* bytes returned */
    uint64_t most;                               /* limit on given */
    unsigned char first[DECOMPRESS_FIRST_BYTES]; /* first bytes of a compressed file */
    size_t first_count;
    struct digest own;              /* SHA-256 of the compressed bytes read so far */
    struct decompress_tools *tools; /* owned; NULL until needed */
};

/* Return the format that a file name stands for. */
enum decompress_format decompress_format_of(const char *name);

/* Return the suffix after NAME.csv: "", ".gz" or ".zst". */
const char *decompress_suffix(enum decompress_format format);

/* Return the format that the first bytes of a file have. */
enum decompress_format decompress_format_seen(const void *bytes, size_t len);

/* Return what a file is that begins so, and what to do with it: "zip: unpack it first". Return NULL
 * if it may be CSV. */
const char *decompress_not_csv(const void *bytes, size_t len, bool *ret_utf16);

/* Return the name to give to a file NAME.csv that begins so, as the end of a message, or "". */
const char *decompress_advice(const void *bytes, size_t len);

void decompress_begin(struct decompress *decompress, const struct decompress_request *request);

/*
 * Read up to `len` bytes. Fewer do not mean the end, which sets `ended`. Return -1 with
 * CAUSE_CHANGED if the file is shorter than it was, or CAUSE_RETRY.
 */
ssize_t decompress_read(struct decompress *decompress, char *out, size_t len, struct cause *cause);

static inline bool decompress_is_packed(const struct decompress *decompress)
{
    return decompress->request.format != DECOMPRESS_PLAIN;
}

/* Return the code of the fault. */
enum violation_code decompress_violation(const struct decompress *decompress);

/* Append what is wrong with the file, and what its sender can do. */
void decompress_explain(const struct decompress *decompress, struct buffer *out);

/* Read on after the end, for the hash of the file's own bytes. Return 1 if there is more to read,
 * 0, or -1 as decompress_read. */
int decompress_rest(struct decompress *decompress, struct cause *cause);

/* Return the hash of a compressed file's own bytes, as far as they were read. */
void decompress_own(const struct decompress *decompress, unsigned char out[DIGEST_SIZE]);

void decompress_free(struct decompress *decompress); /* leaves it zeroed */

#endif

/*
 * unpack: the bytes of a dropped file as they are checked: those of NAME.csv as they stand there,
 * those inside NAME.csv.gz and NAME.csv.zst.
 *
 *     decompress_begin
 *     until unpack->ended: decompress_read      into the caller's memory
 *     decompress_rest                           if a packed file's own hash is wanted
 *     decompress_own
 *     decompress_free                           once, after many files
 *
 * The only module that includes zlib and zstd. What is wrong with a packed file is no error but
 * unpack->fault, and ends the reading: bytes that were given before are not to be believed then.
 * Members of gzip and frames of zstd may follow one another; they are one file. Memory is bounded:
 * a buffer and what each library needs, the window of zstd being at most 8 MiB, all of it made when
 * it is first needed. A file that is not packed is read right into the caller's memory.
 */
#ifndef PHASESENTINEL_DECOMPRESS_H
#define PHASESENTINEL_DECOMPRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buffer.h"
#include "base/cause.h"
#include "base/digest.h"

enum decompress_format { DECOMPRESS_PLAIN, DECOMPRESS_GZIP, DECOMPRESS_ZSTD, DECOMPRESS_FORMATS };

enum decompress_fault {
    DECOMPRESS_SOUND,
    DECOMPRESS_OTHER,      /* it does not begin as its name says */
    DECOMPRESS_CUT,        /* it ends in the middle */
    DECOMPRESS_DAMAGED,    /* the library says so: a bad block, a wrong checksum */
    DECOMPRESS_TRAILING,   /* something else follows the last member or frame */
    DECOMPRESS_WINDOW,     /* zstd: takes more memory than we give */
    DECOMPRESS_DICTIONARY, /* zstd: takes a dictionary */
    DECOMPRESS_TOO_LARGE,  /* more than order->max_bytes */
    DECOMPRESS_TOO_DENSE,  /* more than order->max_ratio times its size, and more than 1 MiB */
};

struct decompress_request {
    int fd;
    const char *name; /* in messages; borrowed */
    enum decompress_format format;
    uint64_t size;      /* so many bytes of the file are read */
    uint64_t max_bytes; /* may come out of a packed one; 0: any number */
    unsigned max_ratio; /* 0: any */
};

#define DECOMPRESS_FIRST_BYTES 16

struct decompress_tools; /* buffer and libraries */

/* A zeroed struct is ready for use. */
struct decompress {
    struct decompress_request order;
    enum decompress_fault fault;
    bool ended;
    uint64_t taken;                              /* bytes of the file that have been read */
    uint64_t given;                              /* bytes that came out */
    uint64_t most;                               /* so many may */
    unsigned char first[DECOMPRESS_FIRST_BYTES]; /* of a packed file as it stands there ... */
    size_t first_count;                          /* ... so many */
    struct digest own;              /* of the bytes of a packed file as they stand there */
    struct decompress_tools *tools; /* owned; NULL: not needed yet */
};

/* What a file of this name is. */
enum decompress_format decompress_format_of(const char *name);

/* What its name has behind NAME.csv: nothing, .gz or .zst. */
const char *decompress_suffix(enum decompress_format format);

/* What these first bytes of a file are. */
enum decompress_format decompress_format_seen(const void *bytes, size_t len);

/* And what else may be done with a file that is called NAME.csv and begins so: to be added to a
 * message. */
const char *decompress_advice(const void *bytes, size_t len);

void decompress_begin(struct decompress *unpack, const struct decompress_request *order);

/*
 * Gives up to `len` bytes; fewer are not yet the end: that is when unpack->ended. -1:
 * CAUSE_CHANGED, the file is shorter than it was; CAUSE_RETRY.
 */
ssize_t decompress_read(struct decompress *unpack, char *out, size_t len, struct cause *cause);

/* What is wrong with it, and what its sender can do. */
void decompress_explain(const struct decompress *unpack, struct buffer *out);

/* After the end: reads on for the file's own hash. 1: not done yet; 0; -1 as above. */
int decompress_rest(struct decompress *unpack, struct cause *cause);

/* The hash of a packed file's own bytes, as far as they have been read. */
void decompress_own(const struct decompress *unpack, unsigned char out[DIGEST_SIZE]);

void decompress_free(struct decompress *unpack); /* leaves it zeroed */

#endif

/*
 * unpack: the bytes of a dropped file as they are checked: those of NAME.csv as they stand there,
 * those inside NAME.csv.gz and NAME.csv.zst.
 *
 *     unpack_begin
 *     until unpack->ended: unpack_read      into the caller's memory
 *     unpack_rest                           if a packed file's own hash is wanted
 *     unpack_own
 *     unpack_free                           once, after many files
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

enum unpack_format { UNPACK_PLAIN, UNPACK_GZIP, UNPACK_ZSTD, UNPACK_FORMATS };

enum unpack_fault {
    UNPACK_SOUND,
    UNPACK_OTHER,      /* it does not begin as its name says */
    UNPACK_CUT,        /* it ends in the middle */
    UNPACK_DAMAGED,    /* the library says so: a bad block, a wrong checksum */
    UNPACK_TRAILING,   /* something else follows the last member or frame */
    UNPACK_WINDOW,     /* zstd: takes more memory than we give */
    UNPACK_DICTIONARY, /* zstd: takes a dictionary */
    UNPACK_TOO_LARGE,  /* more than order->max_bytes */
    UNPACK_TOO_DENSE,  /* more than order->max_ratio times its size, and more than 1 MiB */
};

struct unpack_order {
    int fd;
    const char *name; /* in messages; borrowed */
    enum unpack_format format;
    uint64_t size;      /* so many bytes of the file are read */
    uint64_t max_bytes; /* may come out of a packed one; 0: any number */
    unsigned max_ratio; /* 0: any */
};

#define UNPACK_FIRST_BYTES 16

struct unpack_tools; /* buffer and libraries */

/* A zeroed struct is ready for use. */
struct unpack {
    struct unpack_order order;
    enum unpack_fault fault;
    bool ended;
    uint64_t taken;                          /* bytes of the file that have been read */
    uint64_t given;                          /* bytes that came out */
    uint64_t most;                           /* so many may */
    unsigned char first[UNPACK_FIRST_BYTES]; /* of a packed file as it stands there ... */
    size_t first_count;                      /* ... so many */
    struct digest own;                       /* of the bytes of a packed file as they stand there */
    struct unpack_tools *tools;              /* owned; NULL: not needed yet */
};

/* What a file of this name is. */
enum unpack_format unpack_format_of(const char *name);

/* What its name has behind NAME.csv: nothing, .gz or .zst. */
const char *unpack_suffix(enum unpack_format format);

/* What these first bytes of a file are. */
enum unpack_format unpack_format_seen(const void *bytes, size_t len);

/* And what else may be done with a file that is called NAME.csv and begins so: to be added to a
 * message. */
const char *unpack_advice(const void *bytes, size_t len);

void unpack_begin(struct unpack *unpack, const struct unpack_order *order);

/*
 * Gives up to `len` bytes; fewer are not yet the end: that is when unpack->ended. -1: CAUSE_AGAIN,
 * the file is shorter than it was; CAUSE_TROUBLE.
 */
ssize_t unpack_read(struct unpack *unpack, char *out, size_t len, struct cause *cause);

/* What is wrong with it, and what its sender can do. */
void unpack_explain(const struct unpack *unpack, struct buffer *out);

/* After the end: reads on for the file's own hash. 1: not done yet; 0; -1 as above. */
int unpack_rest(struct unpack *unpack, struct cause *cause);

/* The hash of a packed file's own bytes, as far as they have been read. */
void unpack_own(const struct unpack *unpack, unsigned char out[DIGEST_SIZE]);

void unpack_free(struct unpack *unpack); /* leaves it zeroed */

#endif

/*
 * content_hash: the SHA-256 of a file while it is read, and the known content that it begins with.
 *
 * A dropped file may begin with content that was merged before, under its own name or another: it
 * has grown, or was renamed, rotated or copied and has grown since. While the file is hashed, the
 * hash so far is compared with the known content of that length, wherever a row ends.
 *
 *     content_hash_begin       nothing was read yet
 *     content_hash_search      the header was read: compare from now on
 *     content_hash_add         the next bytes, up to the end of a row
 *     content_hash_finish      wait for the thread that hashes; then `digest` and `found` are valid
 *
 * Known content is a set of content_hash_entry() numbers: length and 20 bits of a key. A match is
 * therefore likely but not certain: look the SHA-256 up in the ledger.
 */
#ifndef PHASESENTINEL_CONTENT_HASH_H
#define PHASESENTINEL_CONTENT_HASH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cause.h"
#include "base/digest.h"
#include "base/sorted_set.h"
#include "base/thread_pool.h"

/* The content of a file's first bytes. */
struct content_prefix {
    uint64_t bytes; /* 0: there is none */
    unsigned char sha256[DIGEST_SIZE];
};

/* The values that a file name gave for the rows of its content; two contents with different ones
 * differ. */
struct content_meta {
    bool has_meta;
    uint64_t meta;
};

struct content_search {
    const struct sorted_snapshot *known; /* borrowed; NULL: do not search */
    uint64_t longer_than, shorter_than;  /* lengths to be found; shorter_than 0: any */
};

struct content_hash {
    struct job job;
    struct thread_pool *pool; /* borrowed; NULL: the caller hashes */
    struct digest digest;
    const char *bytes; /* being hashed by the job */
    size_t len;
    uint64_t given;  /* bytes given to content_hash_add */
    uint64_t hashed; /* bytes in `digest`; the job writes it */
    struct content_search search;
    struct content_meta meta;
    struct content_prefix found;  /* the longest known content so far */
    struct content_prefix before; /* the longest but one */
};

/* Return the key of known content for an index in memory. */
uint64_t content_hash_key(const unsigned char sha256[DIGEST_SIZE], struct content_meta meta);

/* Return the number that stands for known content in a content_search. Lengths of 16 TiB and more
 * are never found. */
uint64_t content_hash_entry(uint64_t bytes, uint64_t key);

/* Return a key of the header and the first row, or 0 if the bytes do not reach to their end. Content
 * that begins with other content has the same key. `is_all`: the file ends with these bytes. */
uint64_t content_hash_head(const char *bytes, size_t len, bool is_all);

void content_hash_begin(struct content_hash *hash);

/* Search from the present position on, for content of this meta. */
void content_hash_search(struct content_hash *hash, const struct content_search *search,
                         struct content_meta meta);

/* Hash the next bytes. With a pool they must stay in place until the next call. */
void content_hash_add(struct content_hash *hash, const char *bytes, size_t len,
                      struct thread_pool *pool);

void content_hash_finish(struct content_hash *hash);

/* Wait for the thread that hashes. Return true if the bytes so far are this content. */
bool content_hash_is(struct content_hash *hash, const struct content_prefix *prefix);

/*
 * Hash a file, packed or not, as far as known content of the search reaches, and fill *ret_found
 * (bytes 0: none). For a file that was read before, when more content is known. CAUSE_CHANGED: the
 * file is shorter than `size`, or cannot be unpacked any more.
 */
struct content_file {
    int fd;
    const char *name; /* the suffix tells how the file is packed */
    uint64_t size;
};

int content_hash_find(const struct content_file *file, const struct content_search *search,
                      struct content_meta meta, struct content_prefix *ret_found,
                      struct cause *cause);

/* Walk the entries of known content of at least, then of at most, some length. */
struct sorted_cursor content_hash_walk(const struct sorted_snapshot *known, uint64_t from);
bool content_hash_walk_next(struct sorted_cursor *cursor, uint64_t to, uint64_t *ret_entry,
                            uint64_t *ret_length);

#endif

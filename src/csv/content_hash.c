#include "csv/content_hash.h"

#include <stdlib.h>
#include <string.h>

#include "csv/decompress.h"

#define KEY_BITS   20
#define KEY_MASK   ((UINT64_C(1) << KEY_BITS) - 1)
#define MAX_LENGTH (UINT64_MAX >> KEY_BITS)
#define HEAD_MAX   (64 * 1024)

/* With fewer known lengths in a chunk, testing each length is faster than finding each row. */
#define BYTES_PER_LENGTH 1024

uint64_t content_hash_key(const unsigned char sha256[DIGEST_SIZE], struct content_meta meta)
{
    unsigned char identity[DIGEST_SIZE + sizeof meta.meta + 1];

    memcpy(identity, sha256, DIGEST_SIZE);
    memcpy(identity + DIGEST_SIZE, &meta.meta, sizeof meta.meta);
    identity[sizeof identity - 1] = meta.has_meta;
    return digest_key(identity, sizeof identity);
}

uint64_t content_hash_entry(uint64_t bytes, uint64_t key)
{
    return bytes >= MAX_LENGTH ? UINT64_MAX : bytes << KEY_BITS | (key & KEY_MASK);
}

uint64_t content_hash_head(const char *bytes, size_t len, bool is_all)
{
    const size_t limit = len < HEAD_MAX ? len : HEAD_MAX;
    const char *end = memchr(bytes, '\n', limit);

    if (end != NULL)
        end = memchr(end + 1, '\n', limit - (size_t)(end + 1 - bytes));
    if (end == NULL && !is_all && len < HEAD_MAX)
        return 0;
    len = end == NULL ? limit : (size_t)(end - bytes);
    if (len > 0 && bytes[len - 1] == '\r')
        len--;
    return digest_key(bytes, len) | 1;
}

void content_hash_begin(struct content_hash *hash)
{
    *hash = (struct content_hash){0};
    digest_init(&hash->digest);
}

void content_hash_search(struct content_hash *hash, const struct content_search *search,
                         struct content_meta meta)
{
    content_hash_finish(hash); /* a thread may be hashing lines before the header */
    hash->search = *search;
    hash->meta = meta;
}

/* Hash the bytes up to the file's offset `end`. */
static void hash_up_to(struct content_hash *hash, uint64_t end)
{
    const size_t len = (size_t)(end - hash->hashed);

    digest_update(&hash->digest, hash->bytes, len);
    hash->bytes += len;
    hash->len -= len;
    hash->hashed = end;
}

/* Compare the content up to the file's offset `end` with the known content of that length. */
static void compare_content(struct content_hash *hash, uint64_t end)
{
    struct content_prefix prefix = {.bytes = end};
    uint64_t entry;

    hash_up_to(hash, end);
    digest_final(&hash->digest, prefix.sha256);
    entry = content_hash_entry(end, content_hash_key(prefix.sha256, hash->meta));
    if (sorted_snapshot_count(hash->search.known, entry, entry) == 0)
        return;
    hash->before = hash->found;
    hash->found = prefix;
}

/* Return true if content that ends before byte `at` of the chunk ends with a row: behind a line
 * end, or in front of one, if it was merged without its last line end. */
static bool ends_row(const struct content_hash *hash, size_t at)
{
    const char *bytes = hash->bytes;

    return (at > 0 && bytes[at - 1] == '\n') || (at < hash->len && bytes[at] == '\n') ||
           (at + 1 < hash->len && bytes[at] == '\r' && bytes[at + 1] == '\n');
}

struct sorted_cursor content_hash_walk(const struct sorted_snapshot *known, uint64_t from)
{
    return sorted_cursor_begin(known, from << KEY_BITS);
}

bool content_hash_walk_next(struct sorted_cursor *cursor, uint64_t to, uint64_t *ret_entry,
                            uint64_t *ret_length)
{
    if (!sorted_cursor_next(cursor, to << KEY_BITS | KEY_MASK, ret_entry))
        return false;
    *ret_length = *ret_entry >> KEY_BITS;
    return true;
}

/* Test each known length in the chunk. */
static void try_lengths(struct content_hash *hash, uint64_t from, uint64_t to)
{
    struct sorted_cursor cursor = content_hash_walk(hash->search.known, from);
    uint64_t entry, length, last = 0;

    while (content_hash_walk_next(&cursor, to, &entry, &length)) {
        if (length != last && ends_row(hash, (size_t)(length - hash->hashed)))
            compare_content(hash, length);
        last = length;
    }
}

static void try_length(struct content_hash *hash, uint64_t length, uint64_t from, uint64_t to)
{
    if (length >= from && length <= to &&
        sorted_snapshot_count(hash->search.known, length << KEY_BITS,
                              length << KEY_BITS | KEY_MASK) > 0)
        compare_content(hash, length);
}

/* Look for each end of a row in the chunk among the known lengths. */
static void try_rows(struct content_hash *hash, uint64_t from, uint64_t to)
{
    const uint64_t begin = hash->hashed;
    const char *bytes = hash->bytes, *end = bytes + hash->len, *at = bytes, *newline;

    while ((newline = memchr(at, '\n', (size_t)(end - at))) != NULL) {
        const uint64_t offset = begin + (uint64_t)(newline - bytes);

        if (newline > bytes && newline[-1] == '\r')
            try_length(hash, offset - 1, from, to);
        try_length(hash, offset, from, to);
        try_length(hash, offset + 1, from, to);
        at = newline + 1;
    }
}

/* Hash the chunk, and search in it. */
static void hash_chunk(struct content_hash *hash)
{
    const struct content_search *search = &hash->search;
    const uint64_t end = hash->hashed + hash->len;
    const uint64_t from =
        hash->hashed > search->longer_than ? hash->hashed + 1 : search->longer_than + 1;
    uint64_t to = end;
    size_t count = 0;

    if (search->shorter_than > 0 && to >= search->shorter_than)
        to = search->shorter_than - 1;
    if (search->known != NULL && from <= to && to < MAX_LENGTH)
        count = sorted_snapshot_count(search->known, from << KEY_BITS, to << KEY_BITS | KEY_MASK);
    if (count > hash->len / BYTES_PER_LENGTH)
        try_rows(hash, from, to);
    else if (count > 0)
        try_lengths(hash, from, to);
    hash_up_to(hash, end);
}

static void run_hash_chunk(struct job *job, unsigned worker)
{
    (void)worker;
    hash_chunk((struct content_hash *)(void *)job);
}

void content_hash_finish(struct content_hash *hash)
{
    if (hash->pool != NULL)
        thread_pool_wait(hash->pool, &hash->job, 0);
    hash->pool = NULL;
}

bool content_hash_is(struct content_hash *hash, const struct content_prefix *prefix)
{
    unsigned char sha256[DIGEST_SIZE];

    content_hash_finish(hash);
    digest_final(&hash->digest, sha256);
    return hash->hashed == prefix->bytes && memcmp(sha256, prefix->sha256, DIGEST_SIZE) == 0;
}

void content_hash_add(struct content_hash *hash, const char *bytes, size_t len,
                      struct thread_pool *pool)
{
    content_hash_finish(hash);
    hash->given += len;
    hash->bytes = bytes;
    hash->len = len;
    if (pool == NULL) {
        hash_chunk(hash);
        return;
    }
    hash->pool = pool;
    hash->job.run = run_hash_chunk;
    thread_pool_submit(pool, &hash->job, false);
}

/* ---- a file that was read before ---------------------------------------------------------- */

#define FIND_CHUNK (256 * 1024)

/* Hash rows until `enough` bytes were hashed or the file ends. `bytes` holds what follows. */
static int hash_rows(struct content_hash *hash, struct decompress *decompress, uint64_t enough,
                     struct buffer *bytes, struct cause *cause)
{
    const char *newline;
    size_t rows;
    ssize_t n;

    while (!decompress->ended && hash->hashed < enough) {
        if (buffer_reserve(bytes, FIND_CHUNK) < 0)
            return cause_memory(cause);
        n = decompress_read(decompress, bytes->data + bytes->len, FIND_CHUNK, cause);
        if (n < 0)
            return -1;
        if (decompress->fault != DECOMPRESS_SOUND)
            return cause_set(cause, CAUSE_CHANGED, "it changed after it was read");
        bytes->len += (size_t)n;
        newline = memrchr(bytes->data, '\n', bytes->len);
        /* A row that is longer than the buffer is hashed in parts. Neither of the two bytes that are
         * left is a line end, so that no row ends where the part does. */
        if (newline == NULL)
            rows = bytes->len > 2 ? bytes->len - 2 : 0;
        else
            rows = (size_t)(newline + 1 - bytes->data);
        content_hash_add(hash, bytes->data, rows, NULL);
        memmove(bytes->data, bytes->data + rows, bytes->len - rows);
        bytes->len -= rows;
    }
    return 0;
}

int content_hash_find(const struct content_file *file, const struct content_search *search,
                      struct content_meta meta, struct content_prefix *ret_found,
                      struct cause *cause)
{
    const struct decompress_request request = {.fd = file->fd,
                                               .name = file->name,
                                               .format = decompress_format_of(file->name),
                                               .size = file->size};
    struct decompress decompress = {0};
    struct content_hash hash;
    struct buffer bytes = {0};
    int result;

    decompress_begin(&decompress, &request);
    content_hash_begin(&hash);
    content_hash_search(&hash, search, meta);
    result = hash_rows(&hash, &decompress,
                       search->shorter_than > 0 ? search->shorter_than : UINT64_MAX, &bytes, cause);
    *ret_found = hash.found;
    buffer_free(&bytes);
    decompress_free(&decompress);
    return result;
}

/*
 * state/seen: a struct file_cache_image with as many entries as fit into the file, in the machine's
 * byte order. `check` is the XXH3-64 of the entries with the seed. The order of the entries says
 * nothing.
 */
#include "drop/file_cache.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/digest.h"
#include "fs/durable.h"

#define FILE_NAME "seen"
#define AHEAD     16 /* entries whose place in the indices is fetched in advance */

/* Flags in file_cache_entry.at */
#define ENTRY_RACY  (UINT64_C(1) << 63)
#define ENTRY_GONE  (UINT64_C(1) << 62) /* no longer in the drop directory */
#define ENTRY_FOUND (UINT64_C(1) << 61) /* by the current scan; means nothing in the file */
#define ENTRY_FLAGS (ENTRY_RACY | ENTRY_GONE | ENTRY_FOUND)

struct file_cache_image {
    char magic[8];
    uint64_t seed; /* random, so that nobody can choose names or inodes that collide */
    uint64_t check;
    struct file_cache_entry entries[];
};

static const char image_magic[8] = "PSSEEN3\n";

/* ---- lookup ---- */

static uint64_t hash_name(const struct file_cache *cache, const char *name)
{
    return digest_seeded(name, strlen(name), cache->image->seed);
}

static uint64_t hash_inode(const struct file_cache *cache, const struct file_id *file_id)
{
    uint64_t words[2] = {file_id->device, file_id->inode};

    return digest_seeded(words, sizeof words, cache->image->seed);
}

static struct hash_index_slot *name_slot(const struct file_cache *cache, uint64_t hash)
{
    struct hash_index_slot *slot;
    size_t cursor = 0;

    while ((slot = hash_index_find(&cache->by_name, hash, &cursor)) != NULL)
        if (cache->image->entries[slot->value - 1].name == hash)
            return slot;
    return NULL;
}

static struct hash_index_slot *inode_slot(const struct file_cache *cache, uint64_t hash)
{
    struct hash_index_slot *slot;
    size_t cursor = 0;

    while ((slot = hash_index_find(&cache->by_inode, hash, &cursor)) != NULL)
        if (cache->image->entries[slot->value - 1].inode == hash)
            return slot;
    return NULL;
}

static struct file_cache_entry *find_cached_hash(const struct file_cache *cache, uint64_t name)
{
    struct hash_index_slot *slot = name_slot(cache, name);

    return slot == NULL ? NULL : &cache->image->entries[slot->value - 1];
}

static struct file_cache_entry *find_cached(const struct file_cache *cache, const char *name)
{
    return find_cached_hash(cache, hash_name(cache, name));
}

static uint64_t cached_line(const struct file_cache_entry *entry)
{
    return entry->at & ~ENTRY_FLAGS;
}

/* ---- entries ---- */

static int grow_image(struct file_cache *cache, size_t cap)
{
    struct file_cache_image *image =
        realloc(cache->image, sizeof *image + cap * sizeof *image->entries);

    if (image == NULL)
        return -1;
    cache->image = image;
    cache->cap = cap;
    hash_index_use_large_pages(image->entries + cache->count,
                               (cap - cache->count) * sizeof *image->entries);
    return 0;
}

/* Let entry i speak for its inode. */
static int index_inode(struct file_cache *cache, size_t i)
{
    const uint64_t inode = cache->image->entries[i].inode;
    struct hash_index_slot *slot = inode_slot(cache, inode);

    if (slot == NULL)
        return hash_index_put(&cache->by_inode, inode, i + 1);
    slot->value = (uint32_t)(i + 1);
    return 0;
}

static int append_cached(struct file_cache *cache, const struct file_cache_entry *entry)
{
    const size_t larger = cache->cap < 64 ? 64 : cache->cap + cache->cap / 2;

    if (cache->count == cache->cap && grow_image(cache, larger) < 0)
        return -1;
    cache->image->entries[cache->count] = *entry;
    if (hash_index_put(&cache->by_name, entry->name, cache->count + 1) < 0)
        return -1;
    cache->count++;
    return index_inode(cache, cache->count - 1);
}

/* Overwrite the entry of a name. Its former inode is forgotten, unless another entry speaks for
 * that. */
static int set_cached(struct file_cache *cache, struct file_cache_entry *known,
                      const struct file_cache_entry *entry)
{
    const size_t i = (size_t)(known - cache->image->entries);
    const uint64_t found = known->at & ENTRY_FOUND;
    struct hash_index_slot *slot = inode_slot(cache, known->inode);

    if (slot != NULL && slot->value == i + 1 && known->inode != entry->inode)
        hash_index_remove(&cache->by_inode, slot);
    *known = *entry;
    known->at |= found;
    return index_inode(cache, i);
}

static int put_cached(struct file_cache *cache, const struct file_cache_entry *entry)
{
    struct file_cache_entry *known = find_cached_hash(cache, entry->name);

    cache->changed = true;
    return known == NULL ? append_cached(cache, entry) : set_cached(cache, known, entry);
}

/* Remove entry i; the last entry takes its place. */
static void drop_cached(struct file_cache *cache, size_t i)
{
    struct file_cache_entry *gap = &cache->image->entries[i];
    struct hash_index_slot *slot = name_slot(cache, gap->name);

    if (slot != NULL)
        hash_index_remove(&cache->by_name, slot);
    slot = inode_slot(cache, gap->inode);
    if (slot != NULL && slot->value == i + 1)
        hash_index_remove(&cache->by_inode, slot);
    cache->changed = true;
    if (i < cache->count - 1) {
        *gap = cache->image->entries[cache->count - 1];
        slot = inode_slot(cache, gap->inode);
        if (slot != NULL && slot->value == cache->count)
            slot->value = (uint32_t)(i + 1);
        slot = name_slot(cache, gap->name);
        if (slot != NULL)
            slot->value = (uint32_t)(i + 1);
    }
    cache->count--;
}

/* ---- the file ---- */

static bool read_bytes(int fd, void *bytes, size_t len, uint64_t offset)
{
    struct cause ignored;

    return durable_read(fd, bytes, len, offset, "state/" FILE_NAME, &ignored) == (ssize_t)len;
}

/* Read the file into the image. Return the number of its entries, or 0 if the file is not sound. */
static size_t read_image(struct file_cache *cache, int fd)
{
    const size_t head = sizeof *cache->image;
    struct stat st;
    size_t size, count;

    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || (size_t)st.st_size < head ||
        !read_bytes(fd, cache->image, head, 0) ||
        memcmp(cache->image->magic, image_magic, sizeof image_magic) != 0)
        return 0;
    size = (size_t)st.st_size - head;
    count = size / sizeof *cache->image->entries;
    if (grow_image(cache, count) < 0 || size % sizeof *cache->image->entries != 0 ||
        !read_bytes(fd, cache->image->entries, size, head) ||
        cache->image->check != digest_seeded(cache->image->entries, size, cache->image->seed))
        return 0;
    return count;
}

/* Index the entries that were read. Of two entries of one inode the later line speaks for it. */
static int index_entries(struct file_cache *cache, size_t count)
{
    const struct file_cache_entry *entries = cache->image->entries;
    const struct hash_index_slot *slot;
    size_t i, owner;

    if (hash_index_reserve(&cache->by_name, count) < 0 ||
        hash_index_reserve(&cache->by_inode, count) < 0)
        return -1;
    for (i = 0; i < count; i++) {
        if (i + AHEAD < count) {
            hash_index_prefetch(&cache->by_name, entries[i + AHEAD].name);
            hash_index_prefetch(&cache->by_inode, entries[i + AHEAD].inode);
        }
        if (find_cached_hash(cache, entries[i].name) != NULL)
            continue;
        slot = inode_slot(cache, entries[i].inode);
        owner = slot == NULL ? i : slot->value - 1;
        if (append_cached(cache, &entries[i]) < 0 ||
            (cached_line(&entries[owner]) > cached_line(&entries[cache->count - 1]) &&
             index_inode(cache, owner) < 0))
            return -1;
    }
    return 0;
}

static void clear_cache(struct file_cache *cache)
{
    hash_index_free(&cache->by_name);
    hash_index_free(&cache->by_inode);
    cache->count = 0;
}

int file_cache_open(struct file_cache *cache, int dir_fd, struct cause *cause)
{
    size_t count = 0;
    int fd;

    *cache = (struct file_cache){.dir_fd = dir_fd};
    if (grow_image(cache, 0) < 0)
        return cause_memory(cause);
    fd = openat(dir_fd, FILE_NAME, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0) {
        count = read_image(cache, fd);
        close(fd);
    }
    if (count > 0 && index_entries(cache, count) == 0)
        return 0;
    clear_cache(cache);
    memcpy(cache->image->magic, image_magic, sizeof image_magic);
    if (getrandom(&cache->image->seed, sizeof cache->image->seed, 0) !=
        (ssize_t)sizeof cache->image->seed)
        return cause_errno(cause, CAUSE_RETRY, "cannot get a random seed");
    return 0;
}

int file_cache_save(struct file_cache *cache, struct cause *cause)
{
    const size_t size = cache->count * sizeof *cache->image->entries;

    if (!cache->changed)
        return 0;
    cache->image->check = digest_seeded(cache->image->entries, size, cache->image->seed);
    if (durable_replace(cache->dir_fd, FILE_NAME, cache->image, sizeof *cache->image + size, false,
                        cause) < 0)
        return -1;
    cache->changed = false;
    return 0;
}

void file_cache_close(struct file_cache *cache)
{
    clear_cache(cache);
    free(cache->image);
    *cache = (struct file_cache){0};
}

/* ---- questions and answers ---- */

static bool entry_holds(const struct file_cache *cache, const struct file_cache_entry *entry,
                        const struct file_id *file_id, uint64_t at)
{
    return entry != NULL && at != 0 && cached_line(entry) == at &&
           entry->file_id == file_id_hash(file_id, cache->image->seed);
}

bool file_cache_holds(const struct file_cache *cache, const char *name,
                      const struct file_id *file_id, uint64_t at)
{
    return entry_holds(cache, find_cached(cache, name), file_id, at);
}

bool file_cache_is_racy(const struct file_cache *cache, const char *name)
{
    const struct file_cache_entry *entry = find_cached(cache, name);

    return entry != NULL && (entry->at & ENTRY_RACY) != 0;
}

bool file_cache_has(const struct file_cache *cache, const char *name)
{
    const struct file_cache_entry *entry = find_cached(cache, name);

    return entry != NULL && (entry->at & ENTRY_GONE) == 0;
}

uint64_t file_cache_inode(const struct file_cache *cache, const struct file_id *file_id)
{
    const struct hash_index_slot *slot = inode_slot(cache, hash_inode(cache, file_id));

    return slot == NULL ? 0 : cached_line(&cache->image->entries[slot->value - 1]);
}

int file_cache_put(struct file_cache *cache, const char *name, const struct file_id *file_id,
                   uint64_t at, bool racy, struct cause *cause)
{
    struct file_cache_entry entry = {hash_name(cache, name), hash_inode(cache, file_id),
                                     file_id_hash(file_id, cache->image->seed),
                                     at | (racy ? ENTRY_RACY : 0)};
    const struct file_cache_entry *known = find_cached(cache, name);
    const struct hash_index_slot *slot = known == NULL ? NULL : inode_slot(cache, known->inode);
    struct file_cache_entry former;

    /* The name has another inode now. Keep what the former inode held for one scan, under a name
     * that no file has, unless another entry speaks for that inode. */
    if (slot != NULL && known->inode != entry.inode &&
        slot->value == (uint64_t)(known - cache->image->entries) + 1) {
        former = *known;
        former.name = former.inode;
        former.at = (former.at & ~ENTRY_FOUND) | ENTRY_GONE;
        if (put_cached(cache, &former) < 0)
            return cause_memory(cause);
    }
    return put_cached(cache, &entry) < 0 ? cause_memory(cause) : 0;
}

void file_cache_mark_gone(struct file_cache *cache, const char *name)
{
    struct file_cache_entry *entry = find_cached(cache, name);

    if (entry == NULL || (entry->at & ENTRY_GONE) != 0)
        return;
    entry->at |= ENTRY_GONE;
    cache->changed = true;
}

void file_cache_scan_begin(struct file_cache *cache)
{
    size_t i;

    for (i = 0; i < cache->count; i++)
        cache->image->entries[i].at &= ~ENTRY_FOUND;
}

enum file_cache_state file_cache_scan_found(struct file_cache *cache, const char *name,
                                            const struct file_id *file_id, uint64_t at)
{
    struct file_cache_entry *entry = find_cached(cache, name);

    if (entry == NULL)
        return FILE_CACHE_MISS;
    entry->at |= ENTRY_FOUND;
    if (file_id == NULL || !entry_holds(cache, entry, file_id, at))
        return FILE_CACHE_MISS;
    return (entry->at & ENTRY_RACY) != 0 ? FILE_CACHE_RACY : FILE_CACHE_HIT;
}

void file_cache_scan_end(struct file_cache *cache)
{
    size_t i = 0;

    while (i < cache->count) {
        struct file_cache_entry *entry = &cache->image->entries[i];
        bool found = (entry->at & ENTRY_FOUND) != 0, gone = (entry->at & ENTRY_GONE) != 0;

        if (!found && gone) {
            drop_cached(cache, i);
            continue;
        }
        if (found == gone) {
            entry->at ^= ENTRY_GONE;
            cache->changed = true;
        }
        i++;
    }
}

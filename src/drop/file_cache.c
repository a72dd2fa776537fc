#include "drop/file_cache.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/vector.h"

/* With the place of a ledger line. */
#define YOUNG   (UINT64_C(1) << 63) /* read too soon after the last change */
#define LEFT    (UINT64_C(1) << 62) /* no longer in the drop directory */
#define MET     (UINT64_C(1) << 61) /* by the scan that is going on; in memory only, as the next */
#define UNSAVED (UINT64_C(1) << 60) /* not in the file as it is */
#define FLAGS   (YOUNG | LEFT | MET | UNSAVED)

#define SLACK 4096 /* replaced entries that are not worth a new file */

/* ---- in memory ---------------------------------------------------------------------------- */

static uint64_t hash_name(const struct file_cache *file_cache, const char *name)
{
    return digest_seeded(name, strlen(name), file_cache->file.seed);
}

static uint64_t hash_inode(const struct file_cache *file_cache, const struct file_id *file_id)
{
    uint64_t words[2] = {file_id->device, file_id->inode};

    return digest_seeded(words, sizeof words, file_cache->file.seed);
}

static uint64_t hash_signature(const struct file_cache *file_cache, const struct file_id *file_id)
{
    uint64_t words[5] = {file_id->device, file_id->inode, file_id->size, (uint64_t)file_id->mtime,
                         (uint64_t)file_id->ctime};

    return digest_seeded(words, sizeof words, file_cache->file.seed);
}

static struct hash_index_slot *name_slot(const struct file_cache *file_cache, uint64_t hash)
{
    struct hash_index_slot *slot;
    size_t cursor = 0;

    while ((slot = hash_index_find(&file_cache->by_name, hash, &cursor)) != NULL)
        if (file_cache->entries[slot->value - 1].name == hash)
            return slot;
    return NULL;
}

/* An inode's slot is that of the name under which it was put last. */
static struct hash_index_slot *inode_slot(const struct file_cache *file_cache, uint64_t hash)
{
    struct hash_index_slot *slot;
    size_t cursor = 0;

    while ((slot = hash_index_find(&file_cache->by_inode, hash, &cursor)) != NULL)
        if (file_cache->entries[slot->value - 1].inode == hash)
            return slot;
    return NULL;
}

static struct file_cache_entry *by_hash(const struct file_cache *file_cache, uint64_t name)
{
    struct hash_index_slot *slot = name_slot(file_cache, name);

    return slot == NULL ? NULL : &file_cache->entries[slot->value - 1];
}

static struct file_cache_entry *find(const struct file_cache *file_cache, const char *name)
{
    return by_hash(file_cache, hash_name(file_cache, name));
}

/* Where there is no memory for the list, or hardly a gain by it, everything will be saved. */
static void note_change(struct file_cache *file_cache, struct file_cache_entry *entry)
{
    file_cache->changed = true;
    file_cache->rewrite |= file_cache->unsaved_count > SLACK + file_cache->count / 2;
    if (file_cache->rewrite || (entry->at & UNSAVED) != 0)
        return;
    if (vector_grow(&file_cache->unsaved, sizeof *file_cache->unsaved, file_cache->unsaved_count,
                    &file_cache->unsaved_cap) < 0) {
        file_cache->rewrite = true;
        return;
    }
    file_cache->unsaved[file_cache->unsaved_count++] = (uint32_t)(entry - file_cache->entries);
    entry->at |= UNSAVED;
}

static int index_inode(struct file_cache *file_cache, size_t i)
{
    struct hash_index_slot *slot = inode_slot(file_cache, file_cache->entries[i].inode);

    if (slot == NULL)
        return hash_index_put(&file_cache->by_inode, file_cache->entries[i].inode, i + 1);
    slot->value = (uint32_t)(i + 1);
    return 0;
}

static int grow(struct file_cache *file_cache, size_t cap)
{
    struct file_cache_entry *entries = realloc(file_cache->entries, cap * sizeof *entries);

    if (entries == NULL)
        return -1;
    file_cache->entries = entries;
    file_cache->cap = cap;
    hash_index_use_large_pages(entries + file_cache->count,
                               (cap - file_cache->count) * sizeof *entries);
    return 0;
}

static int add(struct file_cache *file_cache, const struct file_cache_entry *entry)
{
    if ((file_cache->entries == NULL || file_cache->count == file_cache->cap) &&
        grow(file_cache, file_cache->cap < 64 ? 64 : file_cache->cap + file_cache->cap / 2) < 0)
        return -1;
    file_cache->entries[file_cache->count] = *entry;
    if (hash_index_put(&file_cache->by_name, entry->name, file_cache->count + 1) < 0)
        return -1;
    file_cache->count++;
    return index_inode(file_cache, file_cache->count - 1);
}

/* A known name's entry is this one from now on. Its former inode is known no more, unless another
 * entry speaks of it. */
static int set(struct file_cache *file_cache, struct file_cache_entry *known,
               const struct file_cache_entry *entry)
{
    const size_t i = (size_t)(known - file_cache->entries);
    struct hash_index_slot *slot = inode_slot(file_cache, known->inode);
    uint64_t flags = known->at & (MET | UNSAVED);

    if (slot != NULL && slot->value == i + 1 && known->inode != entry->inode)
        hash_index_remove(&file_cache->by_inode, slot);
    *known = *entry;
    known->at |= flags;
    return index_inode(file_cache, i);
}

/* -1 when memory is out. */
static int put(struct file_cache *file_cache, const struct file_cache_entry *entry)
{
    struct file_cache_entry *known = by_hash(file_cache, entry->name);
    int result = known == NULL ? add(file_cache, entry) : set(file_cache, known, entry);

    known = by_hash(file_cache, entry->name);
    if (known != NULL)
        note_change(file_cache, known);
    return result;
}

/* The last entry moves into the gap. */
static void drop_entry(struct file_cache *file_cache, size_t i)
{
    struct file_cache_entry *gap = &file_cache->entries[i];
    struct hash_index_slot *slot = name_slot(file_cache, gap->name);

    if (slot != NULL)
        hash_index_remove(&file_cache->by_name, slot);
    slot = inode_slot(file_cache, gap->inode);
    if (slot != NULL && slot->value == i + 1)
        hash_index_remove(&file_cache->by_inode, slot);
    file_cache->changed = true;
    if (i == file_cache->count - 1) {
        file_cache->count--;
        return;
    }
    *gap = file_cache->entries[file_cache->count - 1];
    slot = inode_slot(file_cache, gap->inode);
    if (slot != NULL && slot->value == file_cache->count)
        slot->value = (uint32_t)(i + 1);
    slot = name_slot(file_cache, gap->name);
    if (slot != NULL)
        slot->value = (uint32_t)(i + 1);
    file_cache->count--;
    if ((gap->at & UNSAVED) != 0) { /* its place in the list is another one */
        gap->at &= ~UNSAVED;
        note_change(file_cache, gap);
    }
}

/* ---- on disk ------------------------------------------------------------------------------ */

/* An entry of the file; what is known here and is not there yet is newer. Without memory for it, it
 * is not known. */
static void take_entry(struct file_cache *file_cache, struct file_cache_entry entry)
{
    const struct hash_index_slot *slot = inode_slot(file_cache, entry.inode);
    size_t owner = slot == NULL ? SIZE_MAX : slot->value - 1;
    struct file_cache_entry *known;

    entry.at &= ~(MET | UNSAVED);
    known = by_hash(file_cache, entry.name);
    if (known == NULL)
        (void)!add(file_cache, &entry);
    else if ((known->at & UNSAVED) == 0)
        (void)!set(file_cache, known, &entry);
    /* Of two names of one inode the later line speaks for it. */
    if (owner != SIZE_MAX && file_cache->entries[owner].inode == entry.inode &&
        (file_cache->entries[owner].at & ~FLAGS) > (entry.at & ~FLAGS))
        (void)!index_inode(file_cache, owner);
}

static void take(void *context, const struct file_cache_entry *entry)
{
    take_entry(context, *entry);
}

static void soon(void *context, const struct file_cache_entry *entry)
{
    const struct file_cache *file_cache = context;

    hash_index_prefetch(&file_cache->by_name, entry->name);
    hash_index_prefetch(&file_cache->by_inode, entry->inode);
}

static void make_room(void *context, size_t entries)
{
    struct file_cache *file_cache = context;

    if (entries > file_cache->cap)
        (void)!grow(file_cache, entries);
}

/* Reads what has been added to the file. If it is none of ours, it will be written anew. */
static void catch_up(struct file_cache *file_cache)
{
    const struct cache_file_request order = {take, soon, make_room, file_cache};

    if (!cache_file_catch_up(&file_cache->file, file_cache->count == 0 && !file_cache->changed,
                             &order))
        file_cache->rewrite = true;
}

struct saving {
    struct file_cache *file_cache;
    size_t next;
};

static void save(struct file_cache_entry *entry, struct file_cache_entry *ret_entry)
{
    entry->at &= ~UNSAVED;
    *ret_entry = *entry;
    ret_entry->at &= ~MET;
}

static bool next_entry(void *context, struct file_cache_entry *ret_entry)
{
    struct saving *saving = context;
    struct file_cache *file_cache = saving->file_cache;

    if (saving->next == file_cache->count)
        return false;
    save(&file_cache->entries[saving->next++], ret_entry);
    return true;
}

static bool next_unsaved(void *context, struct file_cache_entry *ret_entry)
{
    struct saving *saving = context;
    struct file_cache *file_cache = saving->file_cache;
    size_t i;

    while (saving->next < file_cache->unsaved_count) {
        i = file_cache->unsaved[saving->next++];
        /* What has left its place since stands in the list once more. */
        if (i >= file_cache->count || (file_cache->entries[i].at & UNSAVED) == 0)
            continue;
        save(&file_cache->entries[i], ret_entry);
        return true;
    }
    return false;
}

int file_cache_save(struct file_cache *file_cache, struct cause *cause)
{
    struct saving saving = {.file_cache = file_cache};
    int result;

    if (!file_cache->changed)
        return 0;
    catch_up(file_cache);
    file_cache->rewrite |=
        file_cache->file.entries + file_cache->unsaved_count > 2 * file_cache->count + SLACK;
    result = cache_file_write(&file_cache->file, file_cache->rewrite,
                              file_cache->rewrite ? next_entry : next_unsaved, &saving, cause);
    file_cache->unsaved_count = 0;
    file_cache->changed = file_cache->rewrite = result < 0;
    return result;
}

int file_cache_open(struct file_cache *file_cache, int dir_fd, struct cause *cause)
{
    *file_cache = (struct file_cache){0};
    if (cache_file_open(&file_cache->file, dir_fd, cause) < 0)
        return -1;
    catch_up(file_cache);
    return 0;
}

void file_cache_close(struct file_cache *file_cache)
{
    free(file_cache->entries);
    free(file_cache->unsaved);
    hash_index_free(&file_cache->by_name);
    hash_index_free(&file_cache->by_inode);
    *file_cache = (struct file_cache){0};
}

/* ---- asking and telling ------------------------------------------------------------------- */

static bool stands_for(const struct file_cache *file_cache, const struct file_cache_entry *entry,
                       const struct file_id *file_id, uint64_t at)
{
    return entry != NULL && at != 0 && (entry->at & ~FLAGS) == at &&
           entry->file_id == hash_signature(file_cache, file_id);
}

bool file_cache_holds(const struct file_cache *file_cache, const char *name,
                      const struct file_id *file_id, uint64_t at)
{
    return stands_for(file_cache, find(file_cache, name), file_id, at);
}

bool file_cache_is_racy(const struct file_cache *file_cache, const char *name)
{
    const struct file_cache_entry *entry = find(file_cache, name);

    return entry != NULL && (entry->at & YOUNG) != 0;
}

bool file_cache_has(const struct file_cache *file_cache, const char *name)
{
    const struct file_cache_entry *entry = find(file_cache, name);

    return entry != NULL && (entry->at & LEFT) == 0;
}

uint64_t file_cache_inode(const struct file_cache *file_cache, const struct file_id *file_id)
{
    const struct hash_index_slot *slot = inode_slot(file_cache, hash_inode(file_cache, file_id));

    return slot == NULL ? 0 : file_cache->entries[slot->value - 1].at & ~FLAGS;
}

int file_cache_put(struct file_cache *file_cache, const char *name, const struct file_id *file_id,
                   uint64_t at, bool racy, struct cause *cause)
{
    struct file_cache_entry entry = {hash_name(file_cache, name), hash_inode(file_cache, file_id),
                                     hash_signature(file_cache, file_id), at | (racy ? YOUNG : 0)};
    const struct file_cache_entry *known = find(file_cache, name);
    const struct hash_index_slot *slot =
        known == NULL ? NULL : inode_slot(file_cache, known->inode);
    struct file_cache_entry former;

    /* The name has another inode now. What the former held, unless something else is known of it by
     * now, is remembered for one scan, under a name that nobody has. */
    if (slot != NULL && known->inode != entry.inode &&
        slot->value == (uint64_t)(known - file_cache->entries) + 1) {
        former = *known;
        former.name = former.inode;
        former.at = (former.at & ~(MET | UNSAVED)) | LEFT;
        if (put(file_cache, &former) < 0)
            return cause_memory(cause);
    }
    return put(file_cache, &entry) < 0 ? cause_memory(cause) : 0;
}

void file_cache_leave(struct file_cache *file_cache, const char *name)
{
    struct file_cache_entry *entry = find(file_cache, name);

    if (entry == NULL || (entry->at & LEFT) != 0)
        return;
    entry->at |= LEFT;
    note_change(file_cache, entry);
}

void file_cache_scan_begin(struct file_cache *file_cache)
{
    size_t i;

    catch_up(file_cache);
    for (i = 0; i < file_cache->count; i++)
        file_cache->entries[i].at &= ~MET;
}

enum file_cache_state file_cache_scan_meet(struct file_cache *file_cache, const char *name,
                                           const struct file_id *file_id, uint64_t at)
{
    struct file_cache_entry *entry = find(file_cache, name);

    if (entry == NULL)
        return FILE_CACHE_MISS;
    entry->at |= MET;
    if (file_id == NULL || !stands_for(file_cache, entry, file_id, at))
        return FILE_CACHE_MISS;
    return (entry->at & YOUNG) != 0 ? FILE_CACHE_RACY : FILE_CACHE_HIT;
}

void file_cache_scan_end(struct file_cache *file_cache)
{
    size_t i = 0;

    while (i < file_cache->count) {
        struct file_cache_entry *entry = &file_cache->entries[i];
        bool met = (entry->at & MET) != 0, left = (entry->at & LEFT) != 0;

        if (!met && left) {
            drop_entry(file_cache, i);
            continue;
        }
        if (met == left) {
            entry->at ^= LEFT;
            note_change(file_cache, entry);
        }
        i++;
    }
}

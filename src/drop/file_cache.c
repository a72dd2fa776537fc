#include "drop/file_cache.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"

/* With the place of a ledger line. */
#define YOUNG   (UINT64_C(1) << 63) /* read too soon after the last change */
#define LEFT    (UINT64_C(1) << 62) /* no longer in the drop directory */
#define MET     (UINT64_C(1) << 61) /* by the scan that is going on; in memory only, as the next */
#define UNSAVED (UINT64_C(1) << 60) /* not in the file as it is */
#define FLAGS   (YOUNG | LEFT | MET | UNSAVED)

#define SLACK 4096 /* replaced entries that are not worth a new file */

/* ---- in memory
 * ----------------------------------------------------------------------------------- */

static uint64_t hash_name(const struct seen *seen, const char *name)
{
    return digest_seeded(name, strlen(name), seen->file.seed);
}

static uint64_t hash_inode(const struct seen *seen, const struct signature *signature)
{
    uint64_t words[2] = {signature->device, signature->inode};

    return digest_seeded(words, sizeof words, seen->file.seed);
}

static uint64_t hash_signature(const struct seen *seen, const struct signature *signature)
{
    uint64_t words[5] = {signature->device, signature->inode, signature->size,
                         (uint64_t)signature->mtime, (uint64_t)signature->ctime};

    return digest_seeded(words, sizeof words, seen->file.seed);
}

static struct map_slot *name_slot(const struct seen *seen, uint64_t hash)
{
    struct map_slot *slot;
    size_t cursor = 0;

    while ((slot = map_find(&seen->by_name, hash, &cursor)) != NULL)
        if (seen->entries[slot->value - 1].name == hash)
            return slot;
    return NULL;
}

/* An inode's slot is that of the name under which it was put last. */
static struct map_slot *inode_slot(const struct seen *seen, uint64_t hash)
{
    struct map_slot *slot;
    size_t cursor = 0;

    while ((slot = map_find(&seen->by_inode, hash, &cursor)) != NULL)
        if (seen->entries[slot->value - 1].inode == hash)
            return slot;
    return NULL;
}

static struct seen_entry *by_hash(const struct seen *seen, uint64_t name)
{
    struct map_slot *slot = name_slot(seen, name);

    return slot == NULL ? NULL : &seen->entries[slot->value - 1];
}

static struct seen_entry *find(const struct seen *seen, const char *name)
{
    return by_hash(seen, hash_name(seen, name));
}

/* Where there is no memory for the list, or hardly a gain by it, everything will be saved. */
static void note_change(struct seen *seen, struct seen_entry *entry)
{
    size_t cap = seen->unsaved_cap < 64 ? 64 : seen->unsaved_cap * 2;
    uint32_t *unsaved;

    seen->changed = true;
    seen->rewrite |= seen->unsaved_count > SLACK + seen->count / 2;
    if (seen->rewrite || (entry->at & UNSAVED) != 0)
        return;
    if (seen->unsaved == NULL || seen->unsaved_count == seen->unsaved_cap) {
        unsaved = realloc(seen->unsaved, cap * sizeof *unsaved);
        seen->rewrite = unsaved == NULL;
        if (unsaved == NULL)
            return;
        seen->unsaved = unsaved;
        seen->unsaved_cap = cap;
    }
    seen->unsaved[seen->unsaved_count++] = (uint32_t)(entry - seen->entries);
    entry->at |= UNSAVED;
}

static int index_inode(struct seen *seen, size_t i)
{
    struct map_slot *slot = inode_slot(seen, seen->entries[i].inode);

    if (slot == NULL)
        return map_put(&seen->by_inode, seen->entries[i].inode, i + 1);
    slot->value = (uint32_t)(i + 1);
    return 0;
}

static int grow(struct seen *seen, size_t cap)
{
    struct seen_entry *entries = realloc(seen->entries, cap * sizeof *entries);

    if (entries == NULL)
        return -1;
    seen->entries = entries;
    seen->cap = cap;
    map_use_large_pages(entries + seen->count, (cap - seen->count) * sizeof *entries);
    return 0;
}

static int add(struct seen *seen, const struct seen_entry *entry)
{
    if ((seen->entries == NULL || seen->count == seen->cap) &&
        grow(seen, seen->cap < 64 ? 64 : seen->cap + seen->cap / 2) < 0)
        return -1;
    seen->entries[seen->count] = *entry;
    if (map_put(&seen->by_name, entry->name, seen->count + 1) < 0)
        return -1;
    seen->count++;
    return index_inode(seen, seen->count - 1);
}

/* A known name's entry is this one from now on. Its former inode is known no more, unless another
 * entry speaks of it. */
static int set(struct seen *seen, struct seen_entry *known, const struct seen_entry *entry)
{
    const size_t i = (size_t)(known - seen->entries);
    struct map_slot *slot = inode_slot(seen, known->inode);
    uint64_t flags = known->at & (MET | UNSAVED);

    if (slot != NULL && slot->value == i + 1 && known->inode != entry->inode)
        map_remove(&seen->by_inode, slot);
    *known = *entry;
    known->at |= flags;
    return index_inode(seen, i);
}

/* -1 when memory is out. */
static int put(struct seen *seen, const struct seen_entry *entry)
{
    struct seen_entry *known = by_hash(seen, entry->name);
    int result = known == NULL ? add(seen, entry) : set(seen, known, entry);

    known = by_hash(seen, entry->name);
    if (known != NULL)
        note_change(seen, known);
    return result;
}

/* The last entry moves into the gap. */
static void drop_entry(struct seen *seen, size_t i)
{
    struct seen_entry *gap = &seen->entries[i];
    struct map_slot *slot = name_slot(seen, gap->name);

    if (slot != NULL)
        map_remove(&seen->by_name, slot);
    slot = inode_slot(seen, gap->inode);
    if (slot != NULL && slot->value == i + 1)
        map_remove(&seen->by_inode, slot);
    seen->changed = true;
    if (i == seen->count - 1) {
        seen->count--;
        return;
    }
    *gap = seen->entries[seen->count - 1];
    slot = inode_slot(seen, gap->inode);
    if (slot != NULL && slot->value == seen->count)
        slot->value = (uint32_t)(i + 1);
    slot = name_slot(seen, gap->name);
    if (slot != NULL)
        slot->value = (uint32_t)(i + 1);
    seen->count--;
    if ((gap->at & UNSAVED) != 0) { /* its place in the list is another one */
        gap->at &= ~UNSAVED;
        note_change(seen, gap);
    }
}

/* ---- on disk
 * ------------------------------------------------------------------------------------- */

/* An entry of the file; what is known here and is not there yet is newer. Without memory for it, it
 * is not known. */
static void take_entry(struct seen *seen, struct seen_entry entry)
{
    const struct map_slot *slot = inode_slot(seen, entry.inode);
    size_t owner = slot == NULL ? SIZE_MAX : slot->value - 1;
    struct seen_entry *known;

    entry.at &= ~(MET | UNSAVED);
    known = by_hash(seen, entry.name);
    if (known == NULL)
        (void)!add(seen, &entry);
    else if ((known->at & UNSAVED) == 0)
        (void)!set(seen, known, &entry);
    /* Of two names of one inode the later line speaks for it. */
    if (owner != SIZE_MAX && seen->entries[owner].inode == entry.inode &&
        (seen->entries[owner].at & ~FLAGS) > (entry.at & ~FLAGS))
        (void)!index_inode(seen, owner);
}

static void take(void *context, const struct seen_entry *entry)
{
    take_entry(context, *entry);
}

static void soon(void *context, const struct seen_entry *entry)
{
    const struct seen *seen = context;

    map_prefetch(&seen->by_name, entry->name);
    map_prefetch(&seen->by_inode, entry->inode);
}

static void make_room(void *context, size_t entries)
{
    struct seen *seen = context;

    if (entries > seen->cap)
        (void)!grow(seen, entries);
}

/* Reads what has been added to the file. If it is none of ours, it will be written anew. */
static void catch_up(struct seen *seen)
{
    const struct seen_file_order order = {take, soon, make_room, seen};

    if (!seen_file_catch_up(&seen->file, seen->count == 0 && !seen->changed, &order))
        seen->rewrite = true;
}

struct saving {
    struct seen *seen;
    size_t next;
};

static void save(struct seen_entry *entry, struct seen_entry *ret_entry)
{
    entry->at &= ~UNSAVED;
    *ret_entry = *entry;
    ret_entry->at &= ~MET;
}

static bool next_entry(void *context, struct seen_entry *ret_entry)
{
    struct saving *saving = context;
    struct seen *seen = saving->seen;

    if (saving->next == seen->count)
        return false;
    save(&seen->entries[saving->next++], ret_entry);
    return true;
}

static bool next_unsaved(void *context, struct seen_entry *ret_entry)
{
    struct saving *saving = context;
    struct seen *seen = saving->seen;
    size_t i;

    while (saving->next < seen->unsaved_count) {
        i = seen->unsaved[saving->next++];
        /* What has left its place since stands in the list once more. */
        if (i >= seen->count || (seen->entries[i].at & UNSAVED) == 0)
            continue;
        save(&seen->entries[i], ret_entry);
        return true;
    }
    return false;
}

int seen_save(struct seen *seen, struct cause *cause)
{
    struct saving saving = {.seen = seen};
    int result;

    if (!seen->changed)
        return 0;
    catch_up(seen);
    seen->rewrite |= seen->file.entries + seen->unsaved_count > 2 * seen->count + SLACK;
    result = seen_file_write(&seen->file, seen->rewrite, seen->rewrite ? next_entry : next_unsaved,
                             &saving, cause);
    seen->unsaved_count = 0;
    seen->changed = seen->rewrite = result < 0;
    return result;
}

int seen_open(struct seen *seen, int dir_fd, struct cause *cause)
{
    *seen = (struct seen){0};
    if (seen_file_open(&seen->file, dir_fd, cause) < 0)
        return -1;
    catch_up(seen);
    return 0;
}

void seen_close(struct seen *seen)
{
    free(seen->entries);
    free(seen->unsaved);
    map_free(&seen->by_name);
    map_free(&seen->by_inode);
    *seen = (struct seen){0};
}

/* ---- asking and telling
 * -------------------------------------------------------------------------- */

static bool stands_for(const struct seen *seen, const struct seen_entry *entry,
                       const struct signature *signature, uint64_t at)
{
    return entry != NULL && at != 0 && (entry->at & ~FLAGS) == at &&
           entry->signature == hash_signature(seen, signature);
}

bool seen_holds(const struct seen *seen, const char *name, const struct signature *signature,
                uint64_t at)
{
    return stands_for(seen, find(seen, name), signature, at);
}

bool seen_is_young(const struct seen *seen, const char *name)
{
    const struct seen_entry *entry = find(seen, name);

    return entry != NULL && (entry->at & YOUNG) != 0;
}

bool seen_has(const struct seen *seen, const char *name)
{
    const struct seen_entry *entry = find(seen, name);

    return entry != NULL && (entry->at & LEFT) == 0;
}

uint64_t seen_inode(const struct seen *seen, const struct signature *signature)
{
    const struct map_slot *slot = inode_slot(seen, hash_inode(seen, signature));

    return slot == NULL ? 0 : seen->entries[slot->value - 1].at & ~FLAGS;
}

int seen_put(struct seen *seen, const char *name, const struct signature *signature, uint64_t at,
             bool young, struct cause *cause)
{
    struct seen_entry entry = {hash_name(seen, name), hash_inode(seen, signature),
                               hash_signature(seen, signature), at | (young ? YOUNG : 0)};
    const struct seen_entry *known = find(seen, name);
    const struct map_slot *slot = known == NULL ? NULL : inode_slot(seen, known->inode);
    struct seen_entry former;

    /* The name has another inode now. What the former held, unless something else is known of it by
     * now, is remembered for one scan, under a name that nobody has. */
    if (slot != NULL && known->inode != entry.inode &&
        slot->value == (uint64_t)(known - seen->entries) + 1) {
        former = *known;
        former.name = former.inode;
        former.at = (former.at & ~(MET | UNSAVED)) | LEFT;
        if (put(seen, &former) < 0)
            return cause_memory(cause);
    }
    return put(seen, &entry) < 0 ? cause_memory(cause) : 0;
}

void seen_leave(struct seen *seen, const char *name)
{
    struct seen_entry *entry = find(seen, name);

    if (entry == NULL || (entry->at & LEFT) != 0)
        return;
    entry->at |= LEFT;
    note_change(seen, entry);
}

void seen_scan_begin(struct seen *seen)
{
    size_t i;

    catch_up(seen);
    for (i = 0; i < seen->count; i++)
        seen->entries[i].at &= ~MET;
}

enum seen_state seen_scan_meet(struct seen *seen, const char *name,
                               const struct signature *signature, uint64_t at)
{
    struct seen_entry *entry = find(seen, name);

    if (entry == NULL)
        return SEEN_OTHER;
    entry->at |= MET;
    if (signature == NULL || !stands_for(seen, entry, signature, at))
        return SEEN_OTHER;
    return (entry->at & YOUNG) != 0 ? SEEN_YOUNG : SEEN_KNOWN;
}

void seen_scan_end(struct seen *seen)
{
    size_t i = 0;

    while (i < seen->count) {
        struct seen_entry *entry = &seen->entries[i];
        bool met = (entry->at & MET) != 0, left = (entry->at & LEFT) != 0;

        if (!met && left) {
            drop_entry(seen, i);
            continue;
        }
        if (met == left) {
            entry->at ^= LEFT;
            note_change(seen, entry);
        }
        i++;
    }
}

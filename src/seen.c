/*
 * state/seen: 8 bytes of magic and the seed; then blocks, each the number of its entries (at most
 * 4096), the entries (four 64-bit words each) and the XXH3-64 of both with that seed; in the
 * machine's byte order. Later entries replace earlier ones of the same name. Blocks count up to the
 * first that is not exactly this. The file is made anew when more than half of it is replaced.
 */
#include "seen.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "digest.h"
#include "durable.h"

#define FILE_NAME      "seen"
#define TEMPORARY_NAME ".seen.tmp" /* durable_sweep knows its form */

/* With the place of a ledger line. */
#define YOUNG   (UINT64_C(1) << 63) /* read too soon after the last change */
#define LEFT    (UINT64_C(1) << 62) /* no longer in the drop directory */
#define MET     (UINT64_C(1) << 61) /* by the scan that is going on; in memory only, as the next */
#define UNSAVED (UINT64_C(1) << 60) /* not in the file as it is */
#define FLAGS   (YOUNG | LEFT | MET | UNSAVED)

#define BLOCK_ENTRIES 4096
#define BLOCK_MAX     (sizeof(uint64_t) * 2 + BLOCK_ENTRIES * sizeof(struct seen_entry))
#define AHEAD         16   /* entries whose place in the maps is asked for in advance */
#define SLACK         4096 /* replaced entries that are not worth a new file */

static const char magic[8] = "PSSEEN2\n";

struct head {
    char magic[8];
    uint64_t seed;
};

/* ---- in memory
 * ----------------------------------------------------------------------------------- */

static uint64_t hash_name(const struct seen *seen, const char *name)
{
    return digest_seeded(name, strlen(name), seen->seed);
}

static uint64_t hash_inode(const struct seen *seen, const struct signature *signature)
{
    uint64_t words[2] = {signature->device, signature->inode};

    return digest_seeded(words, sizeof words, seen->seed);
}

static uint64_t hash_signature(const struct seen *seen, const struct signature *signature)
{
    uint64_t words[5] = {signature->device, signature->inode, signature->size,
                         (uint64_t)signature->mtime, (uint64_t)signature->ctime};

    return digest_seeded(words, sizeof words, seen->seed);
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

static struct seen_entry *find(const struct seen *seen, const char *name)
{
    struct map_slot *slot = name_slot(seen, hash_name(seen, name));

    return slot == NULL ? NULL : &seen->entries[slot->value - 1];
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
    if (seen->count == seen->cap && grow(seen, seen->cap < 64 ? 64 : seen->cap + seen->cap / 2) < 0)
        return -1;
    seen->entries[seen->count] = *entry;
    if (map_put(&seen->by_name, entry->name, seen->count + 1) < 0)
        return -1;
    seen->count++;
    return index_inode(seen, seen->count - 1);
}

/* The entry of this name is this one from now on. Its former inode is known no more, unless another
 * entry speaks of it. */
static int set(struct seen *seen, size_t i, const struct seen_entry *entry)
{
    struct seen_entry *known = &seen->entries[i];
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
    const struct map_slot *slot = name_slot(seen, entry->name);
    size_t i = slot == NULL ? seen->count : slot->value - 1;
    int result = slot == NULL ? add(seen, entry) : set(seen, i, entry);

    if (i < seen->count)
        note_change(seen, &seen->entries[i]);
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

static void forget(struct seen *seen)
{
    struct seen empty = {.dir_fd = seen->dir_fd, .seed = seen->seed};

    free(seen->entries);
    free(seen->unsaved);
    map_free(&seen->by_name);
    map_free(&seen->by_inode);
    *seen = empty;
}

/* ---- on disk
 * ------------------------------------------------------------------------------------- */

/* An entry of the file; what is known here and is not there yet is newer. Without memory for it, it
 * is not known. */
static void take_entry(struct seen *seen, struct seen_entry entry)
{
    const struct map_slot *slot = inode_slot(seen, entry.inode);
    size_t owner = slot == NULL ? SIZE_MAX : slot->value - 1;

    entry.at &= ~(MET | UNSAVED);
    slot = name_slot(seen, entry.name);
    if (slot == NULL)
        (void)!add(seen, &entry);
    else if ((seen->entries[slot->value - 1].at & UNSAVED) == 0)
        (void)!set(seen, slot->value - 1, &entry);
    /* Of two names of one inode the later line speaks for it. */
    if (owner != SIZE_MAX && seen->entries[owner].inode == entry.inode &&
        (seen->entries[owner].at & ~FLAGS) > (entry.at & ~FLAGS))
        (void)!index_inode(seen, owner);
}

/* Takes the block that the bytes begin with; returns its length, or 0: there is no whole one. */
static size_t take_block(struct seen *seen, const char *bytes, size_t len)
{
    struct seen_entry entry;
    uint64_t count, check;
    size_t size, i;

    if (len < sizeof count)
        return 0;
    memcpy(&count, bytes, sizeof count);
    if (count == 0 || count > BLOCK_ENTRIES)
        return 0;
    size = sizeof count + count * sizeof entry;
    if (len < size + sizeof check)
        return 0;
    memcpy(&check, bytes + size, sizeof check);
    if (check != digest_seeded(bytes, size, seen->seed))
        return 0;
    for (i = 0; i < count; i++) {
        if (i + AHEAD < count) {
            memcpy(&entry, bytes + sizeof count + (i + AHEAD) * sizeof entry, sizeof entry);
            map_prefetch(&seen->by_name, entry.name);
            map_prefetch(&seen->by_inode, entry.inode);
        }
        memcpy(&entry, bytes + sizeof count + i * sizeof entry, sizeof entry);
        take_entry(seen, entry);
    }
    seen->on_disk += count;
    return size + sizeof check;
}

static void read_blocks(struct seen *seen, int fd)
{
    char *chunk = malloc(2 * BLOCK_MAX);
    size_t from = 0, size;
    struct cause ignored;
    ssize_t n;

    if (chunk == NULL)
        return;
    do {
        n = durable_read(fd, chunk, 2 * BLOCK_MAX, seen->end, "state/" FILE_NAME, &ignored);
        for (from = 0; n > 0 && (size = take_block(seen, chunk + from, (size_t)n - from)) > 0;)
            from += size;
        seen->end += from;
    } while (from > 0);
    free(chunk);
}

/* Reads what has been added to the file. If it is none of ours, it will be written anew. */
static void catch_up(struct seen *seen)
{
    struct cause ignored;
    struct head head;
    struct stat st;
    int fd = openat(seen->dir_fd, FILE_NAME, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    bool ours = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
                durable_read(fd, &head, sizeof head, 0, "state/" FILE_NAME, &ignored) ==
                    (ssize_t)sizeof head &&
                memcmp(head.magic, magic, sizeof magic) == 0;

    if (ours && seen->count == 0 && !seen->changed)
        seen->seed = head.seed;
    ours = ours && head.seed == seen->seed;
    if (ours && (st.st_dev != seen->device || st.st_ino != seen->inode)) {
        seen->device = st.st_dev;
        seen->inode = st.st_ino;
        seen->end = sizeof head;
        seen->on_disk = 0;
    }
    if (ours && seen->count == 0 && (size_t)st.st_size / sizeof *seen->entries > seen->cap)
        (void)!grow(seen, (size_t)st.st_size / sizeof *seen->entries);
    if (ours && (uint64_t)st.st_size >= seen->end)
        read_blocks(seen, fd);
    else
        seen->rewrite = true;
    if (fd >= 0)
        close(fd);
}

/* Writes `count` entries as blocks: those of the list, or where it is NULL all of them. */
static int write_blocks(struct seen *seen, int fd, const uint32_t *list, size_t count,
                        struct cause *cause)
{
    char *block = malloc(BLOCK_MAX);
    uint64_t taken = 0, check;
    size_t size = sizeof taken, i;
    int result = block == NULL ? cause_memory(cause) : 0;

    for (i = 0; i < count && result == 0; i++) {
        struct seen_entry entry = {0};
        size_t place = list == NULL ? i : list[i];

        /* What has left its place since stands in the list once more. */
        if (list == NULL || (place < seen->count && (seen->entries[place].at & UNSAVED) != 0)) {
            seen->entries[place].at &= ~UNSAVED;
            entry = seen->entries[place];
            entry.at &= ~MET;
            memcpy(block + size, &entry, sizeof entry);
            size += sizeof entry;
            taken++;
        }
        if (taken == 0 || (taken < BLOCK_ENTRIES && i + 1 < count))
            continue;
        memcpy(block, &taken, sizeof taken);
        check = digest_seeded(block, size, seen->seed);
        memcpy(block + size, &check, sizeof check);
        size += sizeof check;
        result = durable_write(fd, block, size, seen->end, "state/" FILE_NAME, cause);
        seen->end += size;
        seen->on_disk += taken;
        size = sizeof taken;
        taken = 0;
    }
    free(block);
    return result;
}

static int append(struct seen *seen, struct cause *cause)
{
    int fd = openat(seen->dir_fd, FILE_NAME, O_WRONLY | O_NOFOLLOW | O_CLOEXEC), result;

    if (fd < 0)
        return cause_errno(cause, CAUSE_TROUBLE, "cannot open state/" FILE_NAME);
    result = write_blocks(seen, fd, seen->unsaved, seen->unsaved_count, cause);
    close(fd);
    return result;
}

static int rewrite(struct seen *seen, struct cause *cause)
{
    struct head head = {.seed = seen->seed};
    struct stat st;
    int fd = openat(seen->dir_fd, TEMPORARY_NAME,
                    O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
    int result = -1;

    if (fd < 0)
        return cause_errno(cause, CAUSE_TROUBLE, "cannot create state/" TEMPORARY_NAME);
    memcpy(head.magic, magic, sizeof magic);
    seen->end = sizeof head;
    seen->on_disk = 0;
    if (durable_write(fd, &head, sizeof head, 0, "state/" TEMPORARY_NAME, cause) < 0 ||
        write_blocks(seen, fd, NULL, seen->count, cause) < 0)
        goto out;
    if (fstat(fd, &st) < 0) {
        cause_errno(cause, CAUSE_TROUBLE, "cannot look at state/" TEMPORARY_NAME);
        goto out;
    }
    result = durable_rename(seen->dir_fd, TEMPORARY_NAME, FILE_NAME, cause);
    seen->device = st.st_dev;
    seen->inode = st.st_ino;
out:
    close(fd);
    if (result < 0)
        unlinkat(seen->dir_fd, TEMPORARY_NAME, 0);
    return result;
}

int seen_save(struct seen *seen, struct cause *cause)
{
    int result;

    if (!seen->changed)
        return 0;
    catch_up(seen);
    seen->rewrite |= seen->on_disk + seen->unsaved_count > 2 * seen->count + SLACK;
    result = seen->rewrite ? rewrite(seen, cause) : append(seen, cause);
    seen->unsaved_count = 0;
    seen->rewrite = result < 0;
    seen->changed = result < 0;
    return result;
}

int seen_open(struct seen *seen, int dir_fd, struct cause *cause)
{
    *seen = (struct seen){.dir_fd = dir_fd};
    if (getrandom(&seen->seed, sizeof seen->seed, 0) != (ssize_t)sizeof seen->seed)
        return cause_errno(cause, CAUSE_TROUBLE, "cannot get a random seed");
    catch_up(seen);
    return 0;
}

void seen_close(struct seen *seen)
{
    forget(seen);
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

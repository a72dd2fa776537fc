/*
 * state/seen: 8 bytes of magic, the seed, the number of entries, the entries (four 64-bit words
 * each), the XXH3-64 of all that stands before it; in the machine's byte order. Anything else than
 * exactly this is no cache, and is made again.
 */
#include "seen.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buffer.h"
#include "digest.h"
#include "durable.h"

#define FILE_NAME "seen"
#define YOUNG     (UINT64_C(1) << 63) /* read too soon after the last change */
#define LEFT      (UINT64_C(1) << 62) /* no longer in the drop directory */
#define FLAGS     (YOUNG | LEFT)

static const char magic[8] = "PSSEEN1\n";

struct head {
    char magic[8];
    uint64_t seed;
    uint64_t count;
};

static uint64_t hash_name(const struct seen *seen, const char *name)
{
    return digest_seeded(name, strlen(name), seen->seed);
}

static uint64_t hash_inode(const struct seen *seen, const struct signature *signature)
{
    uint64_t words[3] = {seen->seed, signature->device, signature->inode};

    return digest_check(words, sizeof words);
}

static uint64_t hash_signature(const struct seen *seen, const struct signature *signature)
{
    uint64_t words[6] = {seen->seed,      signature->device,          signature->inode,
                         signature->size, (uint64_t)signature->mtime, (uint64_t)signature->ctime};

    return digest_check(words, sizeof words);
}

static struct map_slot *slot_of(const struct map *map, uint64_t key)
{
    size_t cursor = 0;

    return map_find(map, key, &cursor);
}

static struct seen_entry *find(const struct seen *seen, const char *name)
{
    struct map_slot *slot = slot_of(&seen->by_name, hash_name(seen, name));

    return slot == NULL ? NULL : &seen->entries[slot->value - 1];
}

static int index_inode(struct seen *seen, size_t i)
{
    struct map_slot *slot = slot_of(&seen->by_inode, seen->entries[i].inode);

    if (slot == NULL)
        return map_put(&seen->by_inode, seen->entries[i].inode, i + 1);
    slot->value = i + 1;
    return 0;
}

static int add(struct seen *seen, struct seen_entry entry)
{
    if (seen->entries == NULL || seen->count == seen->cap) {
        size_t cap = seen->cap < 64 ? 64 : seen->cap + seen->cap / 2;
        struct seen_entry *entries = realloc(seen->entries, cap * sizeof *entries);

        if (entries == NULL)
            return -1;
        seen->entries = entries;
        seen->cap = cap;
    }
    seen->entries[seen->count] = entry;
    if (map_put(&seen->by_name, entry.name, seen->count + 1) < 0 ||
        index_inode(seen, seen->count) < 0)
        return -1;
    seen->count++;
    return 0;
}

static bool load(struct seen *seen, const char *bytes, size_t len)
{
    const struct map_slot *slot;
    struct seen_entry entry;
    struct head head;
    uint64_t check, former, i;

    if (len < sizeof head + sizeof check)
        return false;
    memcpy(&head, bytes, sizeof head);
    memcpy(&check, bytes + len - sizeof check, sizeof check);
    if (memcmp(head.magic, magic, sizeof magic) != 0 ||
        head.count != (len - sizeof head - sizeof check) / sizeof entry ||
        len != sizeof head + head.count * sizeof entry + sizeof check ||
        check != digest_check(bytes, len - sizeof check))
        return false;
    seen->seed = head.seed;
    for (i = 0; i < head.count; i++) {
        memcpy(&entry, bytes + sizeof head + i * sizeof entry, sizeof entry);
        slot = slot_of(&seen->by_inode, entry.inode);
        former = slot == NULL ? 0 : slot->value;
        if (add(seen, entry) < 0)
            return false;
        /* Of two names of one inode the later line speaks for it. */
        if (former != 0 && (seen->entries[former - 1].at & ~FLAGS) > (entry.at & ~FLAGS) &&
            index_inode(seen, former - 1) < 0)
            return false;
    }
    return true;
}

static void forget(struct seen *seen)
{
    free(seen->entries);
    map_free(&seen->by_name);
    map_free(&seen->by_inode);
    map_free(&seen->met);
    *seen = (struct seen){.dir_fd = seen->dir_fd, .seed = seen->seed};
}

int seen_open(struct seen *seen, int dir_fd, struct cause *cause)
{
    struct stat st;
    char *bytes;
    ssize_t n;
    int fd;

    *seen = (struct seen){.dir_fd = dir_fd};
    /* A seed of our own: nobody can choose names or inodes that collide. */
    if (getrandom(&seen->seed, sizeof seen->seed, 0) != sizeof seen->seed)
        return cause_errno(cause, CAUSE_TROUBLE, "cannot get a random seed");
    fd = openat(dir_fd, FILE_NAME, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return 0;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0) {
        bytes = malloc((size_t)st.st_size);
        if (bytes != NULL) {
            n = durable_read(fd, bytes, (size_t)st.st_size, 0, "state/" FILE_NAME, cause);
            if (n != st.st_size || !load(seen, bytes, (size_t)n))
                forget(seen);
            free(bytes);
        }
    }
    close(fd);
    return 0;
}

void seen_close(struct seen *seen)
{
    forget(seen);
}

bool seen_holds(const struct seen *seen, const char *name, const struct signature *signature,
                uint64_t at)
{
    const struct seen_entry *entry = find(seen, name);

    return entry != NULL && at != 0 && (entry->at & ~FLAGS) == at &&
           entry->signature == hash_signature(seen, signature);
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
    const struct map_slot *slot = slot_of(&seen->by_inode, hash_inode(seen, signature));

    return slot == NULL ? 0 : seen->entries[slot->value - 1].at & ~FLAGS;
}

int seen_put(struct seen *seen, const char *name, const struct signature *signature, uint64_t at,
             bool young, struct cause *cause)
{
    struct seen_entry entry = {hash_name(seen, name), hash_inode(seen, signature),
                               hash_signature(seen, signature), at | (young ? YOUNG : 0)};
    struct seen_entry *known = find(seen, name), former;
    const struct map_slot *slot;
    bool newer; /* something else is known of the former inode by now */

    seen->changed = true;
    if (known == NULL)
        return add(seen, entry) < 0 ? cause_memory(cause) : 0;
    former = *known;
    slot = slot_of(&seen->by_inode, former.inode);
    newer = slot == NULL || slot->value != (uint64_t)(known - seen->entries) + 1;
    *known = entry;
    if (index_inode(seen, (size_t)(known - seen->entries)) < 0)
        return cause_memory(cause);
    if (former.inode == entry.inode || newer)
        return 0;
    /* The name has another inode now; what the former held is remembered for one scan, under a name
     * that nobody has. */
    former.name = former.inode;
    former.at |= LEFT;
    slot = slot_of(&seen->by_name, former.name);
    if (slot == NULL)
        return add(seen, former) < 0 ? cause_memory(cause) : 0;
    seen->entries[slot->value - 1] = former;
    return index_inode(seen, slot->value - 1) < 0 ? cause_memory(cause) : 0;
}

/* The last entry moves into the gap. */
static void drop_entry(struct seen *seen, size_t i)
{
    struct seen_entry entry = seen->entries[i];
    struct map_slot *slot = slot_of(&seen->by_name, entry.name);

    if (slot != NULL)
        map_remove(&seen->by_name, slot);
    slot = slot_of(&seen->by_inode, entry.inode);
    if (slot != NULL && slot->value == i + 1)
        map_remove(&seen->by_inode, slot);
    seen->count--;
    seen->changed = true;
    if (i == seen->count)
        return;
    seen->entries[i] = seen->entries[seen->count];
    slot = slot_of(&seen->by_name, seen->entries[i].name);
    if (slot != NULL)
        slot->value = i + 1;
    slot = slot_of(&seen->by_inode, seen->entries[i].inode);
    if (slot != NULL && slot->value == seen->count + 1)
        slot->value = i + 1;
}

void seen_leave(struct seen *seen, const char *name)
{
    struct seen_entry *entry = find(seen, name);

    if (entry == NULL)
        return;
    entry->at |= LEFT;
    seen->changed = true;
}

void seen_scan_begin(struct seen *seen)
{
    map_free(&seen->met);
}

int seen_scan_meet(struct seen *seen, const char *name, struct cause *cause)
{
    return map_put(&seen->met, hash_name(seen, name), 1) < 0 ? cause_memory(cause) : 0;
}

void seen_scan_end(struct seen *seen)
{
    size_t i = 0;

    while (i < seen->count) {
        bool met = slot_of(&seen->met, seen->entries[i].name) != NULL;

        if (!met && (seen->entries[i].at & LEFT) != 0) {
            drop_entry(seen, i);
            continue;
        }
        if (met == ((seen->entries[i].at & LEFT) != 0)) {
            seen->entries[i].at ^= LEFT;
            seen->changed = true;
        }
        i++;
    }
    map_free(&seen->met);
}

int seen_save(struct seen *seen, struct cause *cause)
{
    struct head head = {.seed = seen->seed, .count = seen->count};
    struct buffer bytes = {0};
    uint64_t check;
    size_t i;
    int result;

    if (!seen->changed)
        return 0;
    memcpy(head.magic, magic, sizeof magic);
    buffer_append(&bytes, &head, sizeof head);
    for (i = 0; i < seen->count; i++)
        buffer_append(&bytes, &seen->entries[i], sizeof *seen->entries);
    if (!buffer_failed(&bytes)) {
        check = digest_check(bytes.data, bytes.len);
        buffer_append(&bytes, &check, sizeof check);
    }
    result = buffer_failed(&bytes)
                 ? cause_memory(cause)
                 : durable_replace(seen->dir_fd, FILE_NAME, bytes.data, bytes.len, false, cause);
    buffer_free(&bytes);
    seen->changed = result < 0;
    return result;
}

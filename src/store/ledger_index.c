#include "store/ledger_index.h"

#include <stdlib.h>
#include <string.h>

#include "base/vector.h"
#include "csv/content_hash.h"

/* Values of ledger_name.longest: where the line with the longest content is. */
#define LONGEST_NONE  0 /* there is none */
#define LONGEST_LAST  1 /* in the last line of the name */
#define LONGEST_MORE  2 /* and above: at this position in `longest`, plus LONGEST_MORE */
#define LONGEST_LIMIT ((UINT64_C(1) << 28) - LONGEST_MORE)

#define ROWS_MAX ((UINT64_C(1) << 36) - 1)

/* Record of a name; kept at 32 bytes, because there may be a million of them. */
struct ledger_name {
    uint64_t hash; /* low half of the name's key; by_name keeps 32 bits of the high half */
    uint64_t last_at : 56;
    uint64_t last : 8; /* enum verdict */
    uint64_t longest_bytes;
    uint64_t rows : 36;
    uint64_t longest : 28;
};

struct ledger_longest {
    uint64_t at;
    uint64_t rows;
};

struct ledger_quarantined {
    uint64_t at; /* offset of the last quarantined line */
    size_t name; /* position in `names` */
};

void ledger_index_free(struct ledger_index *index)
{
    hash_index_free(&index->by_content);
    hash_index_free(&index->by_name);
    sorted_set_free(&index->contents);
    hash_index_free(&index->by_quarantined);
    free(index->quarantined);
    free(index->names);
    free(index->longest);
    *index = (struct ledger_index){0};
}

static int grow_names(struct ledger_index *index, size_t cap)
{
    struct ledger_name *names = realloc(index->names, cap * sizeof *names);

    if (names == NULL)
        return -1;
    index->names = names;
    index->cap = cap;
    hash_index_use_large_pages(names + index->count, (cap - index->count) * sizeof *names);
    return 0;
}

int ledger_index_reserve(struct ledger_index *index, size_t lines)
{
    return hash_index_reserve(&index->by_content, lines) < 0 ||
                   hash_index_reserve(&index->by_name, lines) < 0 ||
                   (index->cap < lines && grow_names(index, lines) < 0)
               ? -1
               : 0;
}

/* ---- names -------------------------------------------------------------------------------- */

static struct digest_wide name_key(const char *name)
{
    return digest_wide_key(name, strlen(name));
}

static struct ledger_name *find_name_record(const struct ledger_index *index,
                                            struct digest_wide hash)
{
    const struct hash_index_slot *slot;
    size_t cursor = 0;

    while ((slot = hash_index_find(&index->by_name, hash.high, &cursor)) != NULL)
        if (index->names[slot->value - 1].hash == hash.low)
            return &index->names[slot->value - 1];
    return NULL;
}

static struct ledger_name *add_name_record(struct ledger_index *index, struct digest_wide hash)
{
    struct ledger_name *known = find_name_record(index, hash);

    if (known != NULL)
        return known;
    if (index->count == index->cap &&
        grow_names(index, index->cap < 64 ? 64 : index->cap + index->cap / 2) < 0)
        return NULL;
    if (hash_index_put(&index->by_name, hash.high, index->count + 1) < 0)
        return NULL;
    index->names[index->count] = (struct ledger_name){.hash = hash.low};
    return &index->names[index->count++];
}

static void describe_name(const struct ledger_index *index, const struct ledger_name *name,
                          struct ledger_known *ret_known)
{
    *ret_known = (struct ledger_known){
        .last_at = name->last_at, .last = (enum verdict)name->last, .rows = name->rows};
    if (name->longest == LONGEST_LAST) {
        ret_known->longest_at = name->last_at;
        ret_known->longest_rows = name->rows;
    } else if (name->longest != LONGEST_NONE) {
        ret_known->longest_at = index->longest[name->longest - LONGEST_MORE].at;
        ret_known->longest_rows = index->longest[name->longest - LONGEST_MORE].rows;
    }
}

bool ledger_index_name(const struct ledger_index *index, const char *name,
                       struct ledger_known *ret_known)
{
    const struct ledger_name *known = find_name_record(index, name_key(name));

    *ret_known = (struct ledger_known){0};
    if (known != NULL)
        describe_name(index, known, ret_known);
    return known != NULL;
}

/* Store the longest content in `longest`, because the last line will be another one. */
static int keep_longest(struct ledger_index *index, struct ledger_name *name)
{
    if (name->longest != LONGEST_LAST)
        return 0;
    if (index->longest_count >= LONGEST_LIMIT ||
        vector_grow(&index->longest, sizeof *index->longest, index->longest_count,
                    &index->longest_cap) < 0)
        return -1;
    index->longest[index->longest_count] = (struct ledger_longest){name->last_at, name->rows};
    name->longest = (index->longest_count++ + LONGEST_MORE) & (LONGEST_LIMIT + LONGEST_MORE - 1);
    return 0;
}

/* Return the rows of the name's present content once the line of this note is its last. */
static uint64_t present_rows(const struct ledger_known *known, const struct ledger_name *name,
                             const struct ledger_note *note)
{
    if (note->verdict == VERDICT_QUARANTINED)
        return 0;
    if (note->verdict == VERDICT_FORGOTTEN)
        return known->rows;
    /* If the file grew from content of another name, the rows of that content are duplicates. */
    if (note->verdict == VERDICT_GROWN && note->duplicate == 0)
        return (note->bytes > name->longest_bytes ? known->longest_rows : known->rows) + note->rows;
    return note->rows + note->duplicate;
}

/* Make `at` the offset of the name's last quarantined line. */
static int set_quarantined(struct ledger_index *index, const struct ledger_name *name, uint64_t at)
{
    const size_t place = (size_t)(name - index->names);
    const struct hash_index_slot *slot;
    size_t cursor = 0;

    while ((slot = hash_index_find(&index->by_quarantined, name->hash, &cursor)) != NULL)
        if (index->quarantined[slot->value - 1].name == place) {
            index->quarantined[slot->value - 1].at = at;
            return 0;
        }
    if (vector_grow(&index->quarantined, sizeof *index->quarantined, index->quarantined_count,
                    &index->quarantined_cap) < 0 ||
        hash_index_put(&index->by_quarantined, name->hash, index->quarantined_count + 1) < 0)
        return -1;
    index->quarantined[index->quarantined_count++] = (struct ledger_quarantined){at, place};
    return 0;
}

uint64_t ledger_index_quarantined(const struct ledger_index *index, size_t *cursor)
{
    return *cursor < index->quarantined_count ? index->quarantined[(*cursor)++].at : 0;
}

static int add_line_to_name(struct ledger_index *index, const struct ledger_note *note)
{
    struct ledger_name *name = add_name_record(index, note->name);
    bool in_training = note->verdict != VERDICT_QUARANTINED && note->verdict != VERDICT_FORGOTTEN;
    struct ledger_known known;
    uint64_t rows;

    if (name == NULL)
        return -1;
    describe_name(index, name, &known);
    rows = present_rows(&known, name, note);
    if (in_training && note->bytes >= name->longest_bytes) {
        name->longest = LONGEST_LAST;
        name->longest_bytes = note->bytes;
    } else if (keep_longest(index, name) < 0) {
        return -1;
    }
    name->last_at = note->at & ((UINT64_C(1) << 56) - 1);
    name->last = (unsigned char)note->verdict;
    name->rows = (rows < ROWS_MAX ? rows : ROWS_MAX) & ROWS_MAX;
    return note->verdict == VERDICT_QUARANTINED ? set_quarantined(index, name, note->at) : 0;
}

/* ---- content ------------------------------------------------------------------------------ */

static bool counts_as_known(enum verdict verdict)
{
    return verdict == VERDICT_MERGED || verdict == VERDICT_GROWN || verdict == VERDICT_DUPLICATE ||
           verdict == VERDICT_FORGOTTEN;
}

bool ledger_index_content(const struct ledger_index *index, const unsigned char sha256[DIGEST_SIZE],
                          struct content_meta meta, size_t *cursor, uint64_t *ret_block)
{
    const struct hash_index_slot *slot =
        hash_index_find(&index->by_content, content_hash_key(sha256, meta), cursor);

    if (slot == NULL)
        return false;
    *ret_block = slot->value - 1;
    return true;
}

void ledger_index_note(const struct ledger_index *index, const struct ledger_line *line,
                       struct ledger_note *ret_note)
{
    *ret_note =
        (struct ledger_note){.at = line->at,
                             .verdict = line->verdict,
                             .name = name_key(line->name),
                             .content = content_hash_key(
                                 line->sha256, (struct content_meta){line->has_meta, line->meta}),
                             .bytes = line->bytes,
                             .rows = line->rows + line->rejected,
                             .duplicate = line->duplicate};
    hash_index_prefetch(&index->by_name, ret_note->name.high);
    hash_index_prefetch(&index->by_content, ret_note->content);
}

int ledger_index_add(struct ledger_index *index, const struct ledger_note *note)
{
    if (add_line_to_name(index, note) < 0)
        return -1;
    if (!counts_as_known(note->verdict))
        return 0;
    /* No two lines begin in one block. Blocks have 32 bits, so a ledger may have 512 GiB. */
    return hash_index_put(&index->by_content, note->content, note->at / LEDGER_LINE_MIN_SIZE + 1) <
                   0
               ? -1
               : sorted_set_add(&index->contents, content_hash_entry(note->bytes, note->content));
}

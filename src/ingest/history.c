#include "ingest/history.h"

#include <stdio.h>
#include <string.h>

#define MILLISECOND INT64_C(1000000) /* of a line's time */

static void add_base(struct recall *recall, const struct ledger_line *line)
{
    size_t i;

    for (i = 0; i < recall->base_count; i++)
        if (recall->bases[i]->bytes == line->bytes &&
            memcmp(recall->bases[i]->sha256, line->sha256, DIGEST_SIZE) == 0)
            return;
    i = recall->base_count++;

    for (; i > 0 && recall->bases[i - 1]->bytes < line->bytes; i--)
        recall->bases[i] = recall->bases[i - 1];
    recall->bases[i] = line;
}

/* The other names that the same CSV has packed, or not packed. */
static void sibling_names(const char *name, char out[RECALL_SIBLINGS][LEDGER_NAME_SIZE])
{
    const enum unpack_format own = unpack_format_of(name);
    enum unpack_format format;
    const int len = (int)spool_csv_length(name);
    size_t count = 0;

    for (format = UNPACK_PLAIN; format < UNPACK_FORMATS; format++)
        if (format != own)
            snprintf(out[count++], LEDGER_NAME_SIZE, "%.*s%s", len, name, unpack_suffix(format));
}

/* Where nothing packed was ever booked, a plain file has none. */
static bool may_have_siblings(const struct ledger *ledger, const char *name)
{
    return ledger->index.packed || unpack_format_of(name) != UNPACK_PLAIN;
}

static int recall_siblings(struct recall *recall, const struct ledger *ledger, const char *name,
                           struct cause *cause)
{
    char names[RECALL_SIBLINGS][LEDGER_NAME_SIZE];
    size_t i;

    for (i = 0; i < RECALL_SIBLINGS; i++)
        recall->siblings[i].at = 0;
    if (!may_have_siblings(ledger, name))
        return 0;
    sibling_names(name, names);
    for (i = 0; i < RECALL_SIBLINGS; i++) {
        int found = ledger_longest(ledger, names[i], &recall->siblings[i], cause);

        if (found < 0)
            return -1;
        if (found > 0)
            add_base(recall, &recall->siblings[i]);
    }
    return 0;
}

int recall_file(struct recall *recall, const struct ledger *ledger, const struct seen *seen,
                const char *name, const struct signature *signature, struct cause *cause)
{
    struct cause stale; /* the cache may point anywhere */
    int last = ledger_last(ledger, name, &recall->last, cause);
    int own = ledger_longest(ledger, name, &recall->own, cause);
    uint64_t at = seen_inode(seen, signature);

    recall->base_count = 0;
    if (last < 0 || own < 0)
        return -1;
    recall->has_last = last > 0;
    recall->has_own = own > 0;
    if (own == 0)
        recall->own.at = 0;
    recall->has_inode = at != 0 && at < ledger->end &&
                        ledger_at(ledger, at, &recall->inode, &stale) > 0 &&
                        recall->inode.verdict != VERDICT_QUARANTINED;
    recall->is_ours = recall->has_inode && strcmp(recall->inode.name, name) == 0;
    recall->has_inode &= !recall->is_ours;
    if (recall->has_own)
        add_base(recall, &recall->own);
    if (recall_siblings(recall, ledger, name, cause) < 0)
        return -1;
    if (recall->has_inode)
        add_base(recall, &recall->inode);
    if (recall->has_last && recall->last.verdict != VERDICT_QUARANTINED &&
        recall->last.verdict != VERDICT_FORGOTTEN && recall->last.at != recall->own.at)
        add_base(recall, &recall->last);
    recall->base = recall->base_count > 0 ? recall->bases[0] : NULL;
    return 0;
}

int recall_again(struct recall *recall, const struct ledger *ledger, const struct seen *seen,
                 const char *name, const struct signature *signature, struct cause *cause)
{
    const uint64_t last = recall->has_last ? recall->last.at : 0;
    const uint64_t own = recall->has_own ? recall->own.at : 0;
    const uint64_t base = recall->base == NULL ? 0 : recall->base->at;
    const bool overtaken = recall_is_overtaken(recall, ledger, name);
    size_t i;

    if (recall_file(recall, ledger, seen, name, signature, cause) < 0)
        return -1;
    for (i = 0; i < recall->base_count && recall->bases[i]->at != base;)
        i++;
    if (overtaken || (base != 0 && i == recall->base_count) ||
        last != (recall->has_last ? recall->last.at : 0) ||
        own != (recall->has_own ? recall->own.at : 0))
        return 0;
    recall->base = base == 0 ? NULL : recall->bases[i];
    return 1;
}

bool recall_last_is(const struct recall *recall, const unsigned char sha256[DIGEST_SIZE],
                    bool has_meta, uint64_t meta)
{
    return recall->has_last && memcmp(recall->last.sha256, sha256, DIGEST_SIZE) == 0 &&
           recall->last.has_meta == has_meta && recall->last.meta == meta;
}

bool recall_is_overtaken(const struct recall *recall, const struct ledger *ledger, const char *name)
{
    char names[RECALL_SIBLINGS][LEDGER_NAME_SIZE];
    struct ledger_known known;
    size_t i;

    if (!may_have_siblings(ledger, name))
        return false;
    sibling_names(name, names);
    for (i = 0; i < RECALL_SIBLINGS; i++) {
        ledger_name(ledger, names[i], &known);
        if (known.longest_at != recall->siblings[i].at)
            return true;
    }
    return false;
}

/* A renamed file is older than its line, which has milliseconds. Where nothing tells how old it is,
 * no row shall be lost. */
bool recall_is_of_another(const struct recall *recall, int fd, bool has_meta, uint64_t meta)
{
    int64_t born;

    if (recall->base != &recall->inode ||
        (recall->inode.has_meta == has_meta && recall->inode.meta == meta))
        return false;
    born = spool_born(fd);
    return born < 0 || born > recall->inode.time + MILLISECOND;
}

uint64_t recall_base_rows(const struct recall *recall, const struct ledger *ledger)
{
    return recall->base == &recall->inode || recall->base == &recall->last
               ? ledger_rows_of(ledger, recall->base->name)
               : ledger_rows_of_longest(ledger, recall->base->name);
}

bool recall_base_is_foreign(const struct recall *recall)
{
    return recall->base != &recall->own && recall->base != &recall->last;
}

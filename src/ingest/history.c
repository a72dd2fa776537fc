#include "ingest/history.h"

#include <stdio.h>
#include <string.h>

#include "base/csv_name.h"

#define MILLISECOND INT64_C(1000000) /* of a line's time */

static void add_base(struct history *history, struct ledger_line *line, uint64_t rows)
{
    size_t i;

    line->name = NULL; /* valid until the next lookup only */
    for (i = 0; i < history->base_count; i++)
        if (history->bases[i]->bytes == line->bytes &&
            memcmp(history->bases[i]->sha256, line->sha256, DIGEST_SIZE) == 0)
            return;
    i = history->base_count++;

    for (; i > 0 && history->bases[i - 1]->bytes < line->bytes; i--) {
        history->bases[i] = history->bases[i - 1];
        history->base_rows[i] = history->base_rows[i - 1];
    }
    history->bases[i] = line;
    history->base_rows[i] = rows;
}

/* The other names that the same CSV has packed, or not packed. */
static void sibling_names(const char *name, char out[HISTORY_SIBLINGS][LEDGER_NAME_SIZE])
{
    const enum decompress_format own = decompress_format_of(name);
    enum decompress_format format;
    const int len = (int)csv_name_length(name);
    size_t count = 0;

    for (format = DECOMPRESS_PLAIN; format < DECOMPRESS_FORMATS; format++)
        if (format != own)
            snprintf(out[count++], LEDGER_NAME_SIZE, "%.*s%s", len, name,
                     decompress_suffix(format));
}

/* Where nothing packed was ever booked, a plain file has none. */
static bool may_have_siblings(const struct ledger *ledger, const char *name)
{
    return ledger->index.packed || decompress_format_of(name) != DECOMPRESS_PLAIN;
}

static int recall_siblings(struct history *history, const struct ledger *ledger, const char *name,
                           struct cause *cause)
{
    char names[HISTORY_SIBLINGS][LEDGER_NAME_SIZE];
    size_t i;

    for (i = 0; i < HISTORY_SIBLINGS; i++)
        history->siblings[i].at = 0;
    if (!may_have_siblings(ledger, name))
        return 0;
    sibling_names(name, names);
    for (i = 0; i < HISTORY_SIBLINGS; i++) {
        int found = ledger_longest(ledger, names[i], &history->siblings[i], cause);

        if (found < 0)
            return -1;
        if (found > 0)
            add_base(history, &history->siblings[i], ledger_rows_of_longest(ledger, names[i]));
    }
    return 0;
}

int history_file(struct history *history, const struct ledger *ledger,
                 const struct file_cache *file_cache, const char *name,
                 const struct file_id *file_id, struct cause *cause)
{
    struct cause stale; /* the cache may point anywhere */
    int last = ledger_last(ledger, name, &history->last, cause);
    int own = ledger_longest(ledger, name, &history->own, cause);
    uint64_t at = file_cache_inode(file_cache, file_id), inode_rows = 0;

    history->base_count = 0;
    if (last < 0 || own < 0)
        return -1;
    history->has_last = last > 0;
    history->has_own = own > 0;
    if (own == 0)
        history->own.at = 0;
    history->has_inode = at != 0 && at < ledger->end &&
                         ledger_at(ledger, at, &history->inode, &stale) > 0 &&
                         history->inode.verdict != VERDICT_QUARANTINED;
    history->is_ours = history->has_inode && strcmp(history->inode.name, name) == 0;
    history->has_inode &= !history->is_ours;
    if (history->has_inode)
        inode_rows = ledger_rows_of(ledger, history->inode.name);
    if (history->has_own)
        add_base(history, &history->own, ledger_rows_of_longest(ledger, name));
    if (recall_siblings(history, ledger, name, cause) < 0)
        return -1;
    if (history->has_inode)
        add_base(history, &history->inode, inode_rows);
    if (history->has_last && history->last.verdict != VERDICT_QUARANTINED &&
        history->last.verdict != VERDICT_FORGOTTEN && history->last.at != history->own.at)
        add_base(history, &history->last, ledger_rows_of(ledger, name));
    history->base = history->base_count > 0 ? history->bases[0] : NULL;
    return 0;
}

int history_recheck(struct history *history, const struct ledger *ledger,
                    const struct file_cache *file_cache, const char *name,
                    const struct file_id *file_id, struct cause *cause)
{
    const uint64_t last = history->has_last ? history->last.at : 0;
    const uint64_t own = history->has_own ? history->own.at : 0;
    const uint64_t base = history->base == NULL ? 0 : history->base->at;
    const bool overtaken = history_is_overtaken(history, ledger, name);
    size_t i;

    if (history_file(history, ledger, file_cache, name, file_id, cause) < 0)
        return -1;
    for (i = 0; i < history->base_count && history->bases[i]->at != base;)
        i++;
    if (overtaken || (base != 0 && i == history->base_count) ||
        last != (history->has_last ? history->last.at : 0) ||
        own != (history->has_own ? history->own.at : 0))
        return 0;
    history->base = base == 0 ? NULL : history->bases[i];
    return 1;
}

bool history_last_is(const struct history *history, const unsigned char sha256[DIGEST_SIZE],
                     bool has_meta, uint64_t meta)
{
    return history->has_last && memcmp(history->last.sha256, sha256, DIGEST_SIZE) == 0 &&
           history->last.has_meta == has_meta && history->last.meta == meta;
}

bool history_is_overtaken(const struct history *history, const struct ledger *ledger,
                          const char *name)
{
    char names[HISTORY_SIBLINGS][LEDGER_NAME_SIZE];
    struct ledger_known known;
    size_t i;

    if (!may_have_siblings(ledger, name))
        return false;
    sibling_names(name, names);
    for (i = 0; i < HISTORY_SIBLINGS; i++) {
        ledger_name(ledger, names[i], &known);
        if (known.longest_at != history->siblings[i].at)
            return true;
    }
    return false;
}

/* A renamed file is older than its line, which has milliseconds. Where nothing tells how old it is,
 * no row shall be lost. */
bool history_is_of_another(const struct history *history, int fd, bool has_meta, uint64_t meta)
{
    int64_t born;

    if (history->base != &history->inode ||
        (history->inode.has_meta == has_meta && history->inode.meta == meta))
        return false;
    born = file_id_birth_time(fd);
    return born < 0 || born > history->inode.time + MILLISECOND;
}

uint64_t history_base_rows(const struct history *history)
{
    size_t i;

    for (i = 0; i < history->base_count; i++)
        if (history->bases[i] == history->base)
            return history->base_rows[i];
    return 0;
}

bool history_base_is_foreign(const struct history *history)
{
    return history->base != &history->own && history->base != &history->last;
}

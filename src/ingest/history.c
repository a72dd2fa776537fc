#include "ingest/history.h"

#include <string.h>

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

/* Add the longest content of each name that the CSV has plain and packed, of `name` itself first. */
static int add_names_of_csv(struct history *history, const struct ledger *ledger, const char *name,
                            struct cause *cause)
{
    struct ledger_known own = {0}, known, others[HISTORY_OTHERS];
    size_t cursor = 0, count = 0, i;
    bool is_own;

    history->others_at = 0;
    while (ledger_csv(ledger, name, &cursor, &known, &is_own)) {
        if (is_own)
            own = known;
        else if (known.longest_at > 0 && count < HISTORY_OTHERS)
            others[count++] = known;
        if (!is_own && known.longest_at > history->others_at)
            history->others_at = known.longest_at;
    }
    history->own.at = 0;
    history->has_own = own.longest_at > 0;
    if (history->has_own) {
        if (ledger_at(ledger, own.longest_at, &history->own, cause) < 0)
            return -1;
        add_base(history, &history->own, own.longest_rows);
    }
    for (i = 0; i < count; i++) {
        if (ledger_at(ledger, others[i].longest_at, &history->others[i], cause) < 0)
            return -1;
        add_base(history, &history->others[i], others[i].longest_rows);
    }
    return 0;
}

int history_file(struct history *history, const struct ledger *ledger,
                 const struct file_cache *file_cache, const char *name,
                 const struct file_id *file_id, struct cause *cause)
{
    struct cause stale; /* the cache may point anywhere */
    uint64_t at = file_cache_inode(file_cache, file_id);
    int last = ledger_last(ledger, name, &history->last, cause);

    history->last.name = NULL;
    history->base_count = 0;
    if (last < 0 || add_names_of_csv(history, ledger, name, cause) < 0)
        return -1;
    history->has_last = last > 0;
    history->has_inode = at != 0 && at < ledger->end &&
                         ledger_at(ledger, at, &history->inode, &stale) > 0 &&
                         history->inode.verdict != VERDICT_QUARANTINED;
    history->is_ours = history->has_inode && strcmp(history->inode.name, name) == 0;
    history->has_inode &= !history->is_ours;
    if (history->has_inode)
        add_base(history, &history->inode, ledger_rows_of(ledger, history->inode.name));
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
    struct ledger_known known;
    size_t cursor = 0;
    bool is_own;

    while (ledger_csv(ledger, name, &cursor, &known, &is_own))
        if (!is_own && known.longest_at > history->others_at)
            return true;
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

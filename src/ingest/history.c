#include "ingest/history.h"

#include <string.h>

#define MILLISECOND INT64_C(1000000) /* the resolution of a line's time */

static bool is_accepted(const struct ledger_line *line)
{
    return line->verdict != VERDICT_QUARANTINED;
}

static void load_inode(struct history *history, const struct ledger *ledger,
                       const struct file_cache *file_cache, const char *name,
                       const struct file_id *file_id)
{
    const uint64_t at = file_cache_inode(file_cache, file_id);
    struct cause ignored; /* a lost or stale cache is no error */

    history->has_inode = history->inode_has_name = false;
    if (at == 0 || at >= ledger->end || ledger_at(ledger, at, &history->inode, &ignored) <= 0 ||
        !is_accepted(&history->inode))
        return;
    history->inode_has_name = strcmp(history->inode.name, name) == 0;
    history->has_inode = !history->inode_has_name;
    history->inode_rows = ledger_rows_of(ledger, history->inode.name);
    history->inode.name = NULL;
}

int history_load(struct history *history, const struct ledger *ledger,
                 const struct file_cache *file_cache, const char *name,
                 const struct file_id *file_id, struct cause *cause)
{
    const int last = ledger_last(ledger, name, &history->last, cause);
    const int own = ledger_longest(ledger, name, &history->own, cause);

    if (last < 0 || own < 0)
        return -1;
    history->has_last = last > 0;
    history->has_own = own > 0;
    history->longest_at = own > 0 ? history->own.at : 0;
    history->own_rows = own > 0 ? ledger_rows_of_longest(ledger, name) : 0;
    if (last > 0 &&
        (history->last.verdict == VERDICT_MERGED || history->last.verdict == VERDICT_GROWN)) {
        history->own = history->last;
        history->own_rows = ledger_rows_of(ledger, name);
    }
    history->last.name = history->own.name = NULL;
    load_inode(history, ledger, file_cache, name, file_id);
    return 0;
}

bool history_is_current(const struct history *history, const struct ledger *ledger,
                        const char *name)
{
    return ledger_last_at(ledger, name) == (history->has_last ? history->last.at : 0);
}

bool history_last_is(const struct history *history, const unsigned char sha256[DIGEST_SIZE],
                     struct content_meta meta)
{
    return history->has_last && memcmp(history->last.sha256, sha256, DIGEST_SIZE) == 0 &&
           history->last.has_meta == meta.has_meta && history->last.meta == meta.meta;
}

bool history_inode_was_reused(const struct history *history, int fd, struct content_meta meta)
{
    int64_t created;

    if (history->inode.has_meta == meta.has_meta && history->inode.meta == meta.meta)
        return false;
    created = file_id_birth_time(fd);
    return created < 0 || created > history->inode.time + MILLISECOND;
}

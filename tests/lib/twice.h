/*
 * twice: one reading of a file with all that came of it, and what differs between two of them. For
 * tests that judge the same bytes in two ways, as the quick pass and the reference.
 */
#ifndef PHASESENTINEL_TWICE_H
#define PHASESENTINEL_TWICE_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "csv/file_check.h"

/* Reusable from reading to reading. */
struct outcome {
    struct file_check file_check;
    struct check_result check_result;
    struct buffer rows, rejected, violations; /* as they would be written */
    bool failed;
};

static inline void twice_init(struct outcome *outcome, const struct schema *schema,
                              const struct config *config)
{
    struct cause cause;

    *outcome = (struct outcome){0};
    if (file_check_init(&outcome->file_check, schema, config, &cause) < 0)
        abort();
    check_result_init(&outcome->check_result, config);
}

static inline void twice_free(struct outcome *outcome)
{
    file_check_free(&outcome->file_check);
    check_result_free(&outcome->check_result);
    buffer_free(&outcome->rows);
    buffer_free(&outcome->rejected);
    buffer_free(&outcome->violations);
}

static inline int twice_take_rows(void *context, struct buffer *rows, struct cause *cause)
{
    (void)cause;
    buffer_append(&((struct outcome *)context)->rows, rows->data, rows->len);
    return 0;
}

static inline int twice_take_rejected(void *context, const char *raw, size_t len,
                                      struct cause *cause)
{
    (void)cause;
    buffer_append(&((struct outcome *)context)->rejected, raw, len);
    return 0;
}

/* The order's sink is not used. */
static inline void twice_read(struct outcome *outcome, const struct file_check_request *order)
{
    struct file_check_request own = *order;
    struct cause cause;

    buffer_clear(&outcome->rows);
    buffer_clear(&outcome->rejected);
    buffer_clear(&outcome->violations);
    own.sink = (struct file_check_sink){twice_take_rows, twice_take_rejected, outcome};
    outcome->failed =
        file_check_run(&outcome->file_check, &own, &outcome->check_result, &cause) < 0;
    violations_write_csv(&outcome->check_result.violations, &outcome->violations);
}

static inline bool twice_same_bytes(const struct buffer *left, const struct buffer *right)
{
    return left->len == right->len &&
           (left->len == 0 || memcmp(left->data, right->data, left->len) == 0);
}

static inline bool twice_same_tally(const struct tally *left, const struct tally *right)
{
    size_t by, i;

    for (by = 0; by < TALLY_COUNT; by++) {
        const struct counter *counter = &left->by[by];

        for (i = 0; i < counter->count; i++)
            if (counter_get(&right->by[by], counter->entries[i].value, counter->entries[i].len) !=
                counter->entries[i].rows)
                return false;
        if (counter->count != right->by[by].count)
            return false;
    }
    return left->rows == right->rows;
}

/* What differs; NULL: nothing. */
static inline const char *twice_difference(const struct outcome *a, const struct outcome *b)
{
    const struct check_result *l = &a->check_result, *r = &b->check_result;

    if (a->failed != b->failed)
        return "failing";
    if (l->rows != r->rows || l->bad_rows != r->bad_rows)
        return "the number of rows";
    if (!twice_same_bytes(&a->violations, &b->violations) ||
        memcmp(l->violations.counts, r->violations.counts, sizeof l->violations.counts) != 0)
        return "the violations";
    if (check_result_rejects(l, a->file_check.config) !=
        check_result_rejects(r, b->file_check.config))
        return "the verdict";
    /* What was written of a file that is bad counts for nothing. */
    if (!check_result_rejects(l, a->file_check.config)) {
        if (!twice_same_bytes(&a->rows, &b->rows))
            return "the rows as written";
        if (!twice_same_bytes(&a->rejected, &b->rejected))
            return "the rejected rows";
        if (!twice_same_tally(&l->tally, &r->tally))
            return "the tally";
    }
    if (l->bytes != r->bytes || memcmp(l->sha256, r->sha256, DIGEST_SIZE) != 0)
        return "bytes and hash";
    if (l->rest != r->rest || l->no_newline != r->no_newline || l->no_rows != r->no_rows ||
        l->no_columns != r->no_columns || l->has_meta != r->has_meta || l->meta != r->meta ||
        l->prefix_found != r->prefix_found || l->continued_line != r->continued_line ||
        l->cut_short != r->cut_short || !twice_same_bytes(&l->header, &r->header))
        return "what else is known";
    return NULL;
}

#endif

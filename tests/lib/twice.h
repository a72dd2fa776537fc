/*
 * twice: check the same bytes in two ways and compare the results, for tests of the fast path
 * against the reference.
 */
#ifndef PHASESENTINEL_TWICE_H
#define PHASESENTINEL_TWICE_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "csv/file_check.h"

/* The results of one check. It may be used for several checks. */
struct outcome {
    struct file_check file_check;
    struct check_result check_result;
    struct buffer rows, rejected, violations; /* the bytes as the collector would write them */
    bool failed;
};

static inline void twice_init(struct outcome *twice, const struct schema *schema,
                              const struct config *config)
{
    struct cause cause;

    *twice = (struct outcome){0};
    if (file_check_init(&twice->file_check, schema, config, &cause) < 0)
        abort();
    check_result_init(&twice->check_result, config);
}

static inline void twice_free(struct outcome *twice)
{
    file_check_free(&twice->file_check);
    check_result_free(&twice->check_result);
    buffer_free(&twice->rows);
    buffer_free(&twice->rejected);
    buffer_free(&twice->violations);
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

/* Check the bytes. The sink of the request is not used. */
static inline void twice_read(struct outcome *twice, const struct file_check_request *request)
{
    struct file_check_request own = *request;
    struct cause cause;

    buffer_clear(&twice->rows);
    buffer_clear(&twice->rejected);
    buffer_clear(&twice->violations);
    own.sink = (struct file_check_sink){twice_take_rows, twice_take_rejected, twice};
    twice->failed = file_check_run(&twice->file_check, &own, &twice->check_result, &cause) < 0;
    violations_write_csv(&twice->check_result.violations, &twice->violations);
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

/* Return the name of the first result that differs, or NULL. */
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
    /* The rows of a rejected file are not used. */
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
        return "other results";
    return NULL;
}

#endif

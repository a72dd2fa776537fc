/*
 * judged: checks that must hold for each reading of a file, whatever its bytes and its schema.
 */
#ifndef PHASESENTINEL_JUDGED_H
#define PHASESENTINEL_JUDGED_H

#include "fuzz.h"
#include "base/escape.h"
#include "lib/twice.h"

/* Empty the caches, so that an input does not depend on the inputs before it. */
UNUSED static void judged_forget(struct file_check *file_check)
{
    memset(file_check->caches, 0, file_check->schema->count * sizeof *file_check->caches);
}

/* Check the counts of a reading. */
UNUSED static void judged_check_counts(const struct outcome *outcome,
                                       const struct file_check_request *order)
{
    const struct check_result *result = &outcome->check_result;
    bool rejects = check_result_rejects(result, outcome->file_check.config);

    fuzz_require(!outcome->failed, "a file can be read");
    fuzz_require(result->bytes + result->rest == order->size, "bytes + rest = size");
    fuzz_require(order->complete_only || result->rest == 0, "a rest only where it is asked for");
    fuzz_require(rejects || result->tally.rows == result->rows, "every accepted row is counted");
    fuzz_require(!rejects || result->violations.total > 0, "a rejected file has a reason");
    fuzz_require(result->bad_rows == 0 || result->violations.total > 0, "a bad row has a reason");
    fuzz_require(!result->no_rows || result->rows == 0, "no rows, but %llu",
                 (unsigned long long)result->rows);
}

/* Check that the rows as they are written are valid, and the same when written again. */
UNUSED static void judged_check_written(const struct outcome *outcome, struct outcome *second,
                                        const struct training_columns *layout, int file)
{
    struct buffer whole = {0};
    struct file_check_request order = {.fd = file, .name = "training.csv", .layout = layout};
    const struct schema *schema = second->file_check.schema;
    size_t i;

    for (i = 0; i < layout->count; i++) {
        buffer_string(&whole, i > 0 ? "," : "");
        escape_csv_cell(&whole, schema->fields[i].name, strlen(schema->fields[i].name));
    }
    buffer_byte(&whole, '\n');
    buffer_append(&whole, outcome->rows.data, outcome->rows.len);
    order.size = whole.len;
    fuzz_put(file, whole.data, whole.len);
    judged_forget(&second->file_check);
    twice_read(second, &order);
    fuzz_require(second->check_result.violations.total == 0, "what was accepted is valid: %s",
                 buffer_text(&second->violations));
    fuzz_require(second->check_result.rows == outcome->check_result.rows,
                 "as many rows are read again");
    fuzz_require(twice_same_bytes(&second->rows, &outcome->rows), "the same cells are read again");
    fuzz_require(twice_same_tally(&second->check_result.tally, &outcome->check_result.tally),
                 "and counted the same");
    buffer_free(&whole);
}

#endif

#include "csv/check_result.h"

void judgement_init(struct judgement *result, const struct config *config)
{
    *result = (struct judgement){0};
    violations_init(&result->violations, config->max_reported_errors);
}

void judgement_free(struct judgement *result)
{
    violations_free(&result->violations);
    tally_free(&result->tally);
    buffer_free(&result->header);
}

void judgement_clear(struct judgement *result)
{
    struct violations violations = result->violations;
    struct buffer header = result->header;
    struct tally tally = result->tally;

    tally_clear(&tally);
    violations_clear(&violations);
    buffer_clear(&header);
    *result = (struct judgement){.violations = violations, .header = header, .tally = tally};
}

void judgement_blame(struct judgement *result, enum code code, const char *text)
{
    struct buffer *message = violations_add(&result->violations, code, 0, 0, NULL, NULL, 0);

    if (message == NULL)
        return;
    buffer_string(message, text);
    violations_added(&result->violations);
}

bool judgement_rejects(const struct judgement *result, const struct config *config)
{
    const uint64_t *counts = result->violations.counts;
    uint64_t rows = result->rows + result->bad_rows;
    enum code code;

    if (result->violations.total == 0)
        return false;
    if (result->broken)
        return true;
    if (config->bad_rows == CONFIG_REJECT_FILE || (result->rows == 0 && !result->prefix_found))
        return true;
    for (code = CODE_BLANK_LABEL; code <= CODE_EXTRA_LABEL; code++)
        if (counts[code] > 0)
            return true;
    /* Faults after which nothing was read, and a header that is no row. */
    if (result->cut_short || counts[CODE_FILE_TOO_LARGE] > 0 || counts[CODE_FORMAT_ERROR] > 0 ||
        result->no_columns)
        return true;
    return (double)result->bad_rows * 100 > (double)config->max_bad_percent * (double)rows;
}

bool judgement_only_truncated(const struct judgement *result)
{
    const struct violations *violations = &result->violations;

    return violations->counts[CODE_TRUNCATED_FILE] == 1 &&
           violations->total == 1 + violations->counts[CODE_CHECKSUM_MISMATCH];
}

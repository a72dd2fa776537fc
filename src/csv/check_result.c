#include "csv/check_result.h"

void check_result_init(struct check_result *result, const struct config *config)
{
    *result = (struct check_result){0};
    violations_init(&result->violations, config->max_reported_errors);
}

void check_result_free(struct check_result *result)
{
    violations_free(&result->violations);
    tally_free(&result->tally);
    buffer_free(&result->header);
}

void check_result_clear(struct check_result *result)
{
    struct violations violations = result->violations;
    struct buffer header = result->header;
    struct tally tally = result->tally;

    tally_clear(&tally);
    violations_clear(&violations);
    buffer_clear(&header);
    *result = (struct check_result){.violations = violations, .header = header, .tally = tally};
}

void check_result_blame(struct check_result *result, enum violation_code code, const char *text)
{
    struct buffer *message = violations_add(&result->violations, code, (struct violation_at){0});

    if (message == NULL)
        return;
    buffer_string(message, text);
    violations_added(&result->violations);
}

void check_result_set_header(struct check_result *result, const struct row *row)
{
    size_t len = row->raw_len;

    while (len > 0 && (row->raw[len - 1] == '\n' || row->raw[len - 1] == '\r'))
        len--;
    buffer_append(&result->header, row->raw, len);
    buffer_byte(&result->header, '\n');
}

int check_result_set_broken(struct check_result *result, const struct decompress *decompress)
{
    struct buffer text = {0};
    bool failed;

    decompress_explain(decompress, &text);
    check_result_clear(result);
    check_result_blame(result, decompress_violation(decompress), buffer_text(&text));
    result->broken = true;
    result->bytes = decompress->request.size;
    failed = buffer_failed(&text) || buffer_failed(&result->violations.texts);
    buffer_free(&text);
    return failed ? -1 : 0;
}

bool check_result_rejects(const struct check_result *result, const struct config *config)
{
    const uint64_t *counts = result->violations.counts;
    uint64_t rows = result->rows + result->bad_rows;
    enum violation_code code;

    if (result->violations.total == 0)
        return false;
    if (result->broken)
        return true;
    if (config->bad_rows == CONFIG_REJECT_FILE || (result->rows == 0 && !result->prefix_found))
        return true;
    for (code = VIOLATION_BLANK_LABEL; code <= VIOLATION_EXTRA_LABEL; code++)
        if (counts[code] > 0)
            return true;
    /* The rest of the file was not read, or the header is no row. */
    if (result->cut_short || counts[VIOLATION_FILE_TOO_LARGE] > 0 ||
        counts[VIOLATION_FORMAT_ERROR] > 0 || result->no_columns)
        return true;
    return (double)result->bad_rows * 100 > (double)config->max_bad_percent * (double)rows;
}

bool check_result_only_truncated(const struct check_result *result)
{
    const struct violations *violations = &result->violations;

    return violations->counts[VIOLATION_TRUNCATED_FILE] == 1 &&
           violations->total == 1 + violations->counts[VIOLATION_CHECKSUM_MISMATCH];
}

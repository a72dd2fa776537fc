#include "csv/violations.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/escape.h"
#include "base/vector.h"

#define VALUE_SHOWN 256

static const char *const code_names[VIOLATION_CODE_COUNT] = {
    [VIOLATION_BLANK_LABEL] = "blank-label",
    [VIOLATION_DUPLICATE_LABEL] = "duplicate-label",
    [VIOLATION_MISSING_LABEL] = "missing-label",
    [VIOLATION_EXTRA_LABEL] = "extra-label",
    [VIOLATION_BLANK_ROW] = "blank-row",
    [VIOLATION_MISSING_CELL] = "missing-cell",
    [VIOLATION_EXTRA_CELL] = "extra-cell",
    [VIOLATION_TYPE_ERROR] = "type-error",
    [VIOLATION_CONSTRAINT_ERROR] = "constraint-error",
    [VIOLATION_ENCODING_ERROR] = "encoding-error",
    [VIOLATION_STRAY_QUOTE] = "stray-quote",
    [VIOLATION_UNTERMINATED_QUOTE] = "unterminated-quote",
    [VIOLATION_TRUNCATED_FILE] = "truncated-file",
    [VIOLATION_ROW_TOO_LONG] = "row-too-long",
    [VIOLATION_TOO_MANY_COLUMNS] = "too-many-columns",
    [VIOLATION_FILE_TOO_LARGE] = "file-too-large",
    [VIOLATION_FORMAT_ERROR] = "format-error",
    [VIOLATION_CHANGED_FILE] = "changed-file",
    [VIOLATION_CHECKSUM_MISMATCH] = "checksum-mismatch",
    [VIOLATION_FILE_TYPE] = "file-type",
    [VIOLATION_FILE_UNREADABLE] = "file-unreadable",
};

const char *violation_code_name(enum violation_code code)
{
    return code_names[code];
}

int violation_code_from_name(const char *name, size_t len)
{
    int i;

    for (i = 0; i < VIOLATION_CODE_COUNT; i++)
        if (strlen(code_names[i]) == len && memcmp(code_names[i], name, len) == 0)
            return i;
    return -1;
}

void violations_init(struct violations *violations, size_t max)
{
    *violations = (struct violations){.max = max};
}

void violations_clear(struct violations *violations)
{
    memset(violations->counts, 0, sizeof violations->counts);
    memset(violations->listed, 0, sizeof violations->listed);
    violations->total = 0;
    violations->count = 0;
    buffer_clear(&violations->texts);
}

void violations_free(struct violations *violations)
{
    free(violations->list);
    buffer_free(&violations->texts);
    *violations = (struct violations){0};
}

/* Append a text of a violation to `texts`. Return its offset there. */
static size_t keep_text(struct buffer *texts, const char *text, size_t len)
{
    const size_t at = texts->len;

    if (text != NULL)
        buffer_append(texts, text, len);
    return at;
}

/* Return the length of a value cut to VALUE_SHOWN bytes, not inside a character. */
static size_t shown_length(const char *value, size_t len)
{
    if (len <= VALUE_SHOWN)
        return len;
    len = VALUE_SHOWN;
    while (len > VALUE_SHOWN - 4 && ((unsigned char)value[len] & 0xC0) == 0x80)
        len--;
    return len;
}

struct buffer *violations_add(struct violations *violations, enum violation_code code,
                              struct violation_at at)
{
    struct violation *violation;

    violations->counts[code]++;
    violations->total++;
    if (violations->count >= violations->max)
        return NULL;
    if (vector_grow(&violations->list, sizeof *violations->list, violations->count,
                    &violations->cap) < 0)
        return NULL;
    violation = &violations->list[violations->count++];
    *violation = (struct violation){.code = code,
                                    .line = at.line,
                                    .column = at.column,
                                    .field_len = at.field == NULL ? 0 : strlen(at.field),
                                    .value_len = shown_length(at.value, at.value_len)};
    violation->field = keep_text(&violations->texts, at.field, violation->field_len);
    violation->value = keep_text(&violations->texts, at.value, violation->value_len);
    violation->message = violations->texts.len;
    violations->listed[code]++;
    return &violations->texts;
}

void violations_added(struct violations *violations)
{
    struct violation *violation = &violations->list[violations->count - 1];

    violation->message_len = violations->texts.len - violation->message;
}

struct buffer *violations_add_first(struct violations *violations, enum violation_code code)
{
    const size_t max = violations->max;
    struct buffer *message;

    violations->max += max > 0 && violations->count == max;
    message = violations_add(violations, code, (struct violation_at){0});
    violations->max = max;
    return message;
}

void violations_added_first(struct violations *violations)
{
    struct violation first;

    violations_added(violations);
    first = violations->list[violations->count - 1];
    memmove(violations->list + 1, violations->list,
            (violations->count - 1) * sizeof *violations->list);
    violations->list[0] = first;
}

static void print_violation(const struct violations *violations, const struct violation *violation,
                            struct buffer *out)
{
    const char *texts = violations->texts.data == NULL ? "" : violations->texts.data;

    buffer_printf(out, "%s: ", code_names[violation->code]);
    if (violation->field_len > 0) {
        escape_printable(out, texts + violation->field, violation->field_len);
        buffer_string(out, ": ");
    }
    escape_printable(out, texts + violation->message, violation->message_len);
}

void violations_print(const struct violations *violations, const char *file, struct buffer *out)
{
    size_t i;

    for (i = 0; i < violations->count; i++) {
        escape_printable(out, file, strlen(file));
        if (violations->list[i].line > 0)
            buffer_printf(out, ":%" PRIu64, violations->list[i].line);
        buffer_string(out, ": ");
        print_violation(violations, &violations->list[i], out);
        buffer_byte(out, '\n');
    }
}

/* Return true if a spreadsheet would compute the cell. A number is harmless. */
static bool is_formula(const char *value, size_t len)
{
    size_t i;

    if (len == 0 || value[0] == '\0' || strchr("=@+-", value[0]) == NULL)
        return false;
    for (i = 1; i < len; i++)
        if (value[i] == '\0' || strchr("0123456789.eE+-", value[i]) == NULL)
            return true;
    return value[0] == '=' || value[0] == '@';
}

/* Append a cell with untrusted bytes, escaped as for a terminal. */
static void write_shown(struct buffer *out, const char *prefix, const char *text, size_t len)
{
    struct buffer shown = {0};

    buffer_string(&shown, prefix);
    escape_printable(&shown, text, len);
    if (buffer_failed(&shown))
        out->failed = true;
    else
        escape_csv_cell(out, shown.data == NULL ? "" : shown.data, shown.len);
    buffer_free(&shown);
}

void violations_write_csv(const struct violations *violations, struct buffer *out)
{
    const char *texts = violations->texts.data == NULL ? "" : violations->texts.data;
    size_t i;

    buffer_string(out, "line,column,field,code,value,message\n");
    for (i = 0; i < violations->count; i++) {
        const struct violation *violation = &violations->list[i];

        if (violation->line > 0)
            buffer_printf(out, "%" PRIu64, violation->line);
        buffer_byte(out, ',');
        if (violation->column > 0)
            buffer_printf(out, "%zu", violation->column);
        buffer_byte(out, ',');
        escape_csv_cell(out, texts + violation->field, violation->field_len);
        buffer_printf(out, ",%s,", code_names[violation->code]);
        write_shown(out, is_formula(texts + violation->value, violation->value_len) ? "'" : "",
                    texts + violation->value, violation->value_len);
        buffer_byte(out, ',');
        write_shown(out, "", texts + violation->message, violation->message_len);
        buffer_byte(out, '\n');
    }
    for (i = 0; i < VIOLATION_CODE_COUNT; i++)
        if (violations->counts[i] > violations->listed[i])
            buffer_printf(out, ",,,%s,,%" PRIu64 " more are not listed\n", code_names[i],
                          violations->counts[i] - violations->listed[i]);
}

void violations_summary(const struct violations *violations, struct buffer *out)
{
    if (violations->count > 0) {
        if (violations->list[0].line > 0)
            buffer_printf(out, "line %" PRIu64 ": ", violations->list[0].line);
        print_violation(violations, &violations->list[0], out);
    } else {
        buffer_printf(out, "%" PRIu64 " violations", violations->total);
    }
    if (violations->count > 0 && violations->total > 1)
        buffer_printf(out, " (and %" PRIu64 " more)", violations->total - 1);
}

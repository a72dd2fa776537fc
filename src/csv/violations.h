/*
 * violations: what is wrong with a file, line by line.
 *
 * Violations are data, not errors. Each one is counted, the first `max` of them are listed. The list
 * becomes the lines of `check` and NAME.errors.csv.
 *
 * NAME.errors.csv: line,column,field,code,value,message. Line and column count from 1 and are empty
 * where no line or column is to blame; the value is cut to 256 bytes. Value and message are made printable
 * (escape_printable), and a value that a spreadsheet would compute has a ' in front. Where the list
 * was capped, a last line for each code without a line number says "N more are not listed", so that
 * the counts add up.
 */
#ifndef PHASESENTINEL_VIOLATIONS_H
#define PHASESENTINEL_VIOLATIONS_H

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

enum violation_code {
    VIOLATION_BLANK_LABEL,
    VIOLATION_DUPLICATE_LABEL,
    VIOLATION_MISSING_LABEL,
    VIOLATION_EXTRA_LABEL,
    VIOLATION_BLANK_ROW,
    VIOLATION_MISSING_CELL,
    VIOLATION_EXTRA_CELL,
    VIOLATION_TYPE_ERROR,
    VIOLATION_CONSTRAINT_ERROR,
    VIOLATION_ENCODING_ERROR,
    VIOLATION_STRAY_QUOTE,
    VIOLATION_UNTERMINATED_QUOTE,
    VIOLATION_TRUNCATED_FILE,
    VIOLATION_ROW_TOO_LONG,
    VIOLATION_TOO_MANY_COLUMNS,
    VIOLATION_FILE_TOO_LARGE,
    VIOLATION_FORMAT_ERROR,
    VIOLATION_CHANGED_FILE,
    VIOLATION_CHECKSUM_MISMATCH,
    VIOLATION_FILE_TYPE,
    VIOLATION_FILE_UNREADABLE,
    VIOLATION_CODE_COUNT,
};

const char *violation_code_name(enum violation_code code);
int violation_code_from_name(const char *name, size_t len); /* -1: no code */

struct violation {
    enum violation_code code;
    uint64_t line;           /* 0: no line is to blame */
    size_t column;           /* 0: none */
    size_t field, field_len; /* offsets and lengths in texts */
    size_t value, value_len;
    size_t message, message_len;
};

/* The place of a violation. A zeroed struct blames the whole file. */
struct violation_at {
    uint64_t line;     /* 0: no line is to blame */
    size_t column;     /* from 1; 0: none */
    const char *field; /* NULL: none */
    const char *value; /* value_len bytes; NULL: none */
    size_t value_len;
};

struct violations {
    uint64_t counts[VIOLATION_CODE_COUNT];
    uint64_t total;
    struct violation *list; /* owned; the first `max` violations */
    size_t count, cap;
    size_t max; /* limit of the list */
    uint64_t listed[VIOLATION_CODE_COUNT];
    struct buffer texts;
};

void violations_init(struct violations *violations, size_t max);
void violations_clear(struct violations *violations);
void violations_free(struct violations *violations); /* accepts a zeroed one */

/*
 * Count a violation. Return the buffer to append its message to, followed by violations_added; or
 * NULL if it is only counted, because the list is full or memory is out. So the cost stays small
 * when every row is bad.
 */
struct buffer *violations_add(struct violations *violations, enum violation_code code,
                              struct violation_at at);

/* End the message of the violation added last. */
void violations_added(struct violations *violations);

/* Do the same for a violation that decides about the whole file: it is listed first, and even if the
 * list is full, unless `max` is 0. */
struct buffer *violations_add_first(struct violations *violations, enum violation_code code);
void violations_added_first(struct violations *violations);

/* Append a line FILE:LINE: CODE: FIELD: message for each violation, made printable. */
void violations_print(const struct violations *violations, const char *file, struct buffer *out);

/* Append the content of NAME.errors.csv. */
void violations_write_csv(const struct violations *violations, struct buffer *out);

/* Append one line for a log: the first violation, and how many more there are. */
void violations_summary(const struct violations *violations, struct buffer *out);

#endif

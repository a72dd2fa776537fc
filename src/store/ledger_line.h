/*
 * ledger_line: one verdict about a file, and how it is written in the ledger.
 *
 * The format stands on top of ledger_line.c. ledger_line_parse accepts a line only if its check is
 * right and each cell has the form that ledger_line_print writes.
 */
#ifndef PHASESENTINEL_LEDGER_LINE_H
#define PHASESENTINEL_LEDGER_LINE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/digest.h"

#define LEDGER_NAME_SIZE     4096 /* with the NUL */
#define LEDGER_LINE_MAX_SIZE (3 * LEDGER_NAME_SIZE + 512)
#define LEDGER_LINE_MIN_SIZE 128 /* every line is longer */

#define LEDGER_HEADER                                                                              \
    "seq,batch,time,verdict,name,bytes,sha256,meta,rows,rejected,duplicate,offset,length,range_"   \
    "hash,check\n"
#define LEDGER_HEADER_SIZE (sizeof LEDGER_HEADER - 1)

enum verdict {
    VERDICT_STARTED,     /* a new training file; its range is the header */
    VERDICT_ADOPTED,     /* a training file taken as it was; its range is all of it */
    VERDICT_MERGED,      /* rows of a new file */
    VERDICT_GROWN,       /* new rows behind content that was merged before */
    VERDICT_DUPLICATE,   /* content that was merged before: no rows */
    VERDICT_QUARANTINED, /* a bad file: no rows */
    VERDICT_FORGOTTEN,   /* rows that were taken out again; reserved, not written yet */
    VERDICT_COUNT,
};

const char *verdict_name(enum verdict verdict);

struct ledger_line {
    uint64_t seq;
    uint64_t batch; /* seq of the first line of the same batch */
    int64_t time;   /* nanoseconds since 1970; the ledger keeps milliseconds */
    enum verdict verdict;
    uint64_t bytes; /* length of the whole content checked, whose hash is sha256 */
    unsigned char sha256[DIGEST_SIZE];
    bool has_meta; /* name or directory gave values of fields, other than times (column_map.h) */
    uint64_t meta; /* their hash, or 0 */
    uint64_t rows, rejected, duplicate; /* numbers of rows recorded by this line */
    uint64_t offset, length;            /* range of the rows in the training file */
    uint64_t range_hash;                /* XXH3-64 of that range */
    uint64_t at;                        /* offset of the line in the ledger; not a cell */
    const char *name;                   /* borrowed: path below the drop directory, unescaped */
};

/* Append the line and an LF. */
void ledger_line_print(struct buffer *out, const struct ledger_line *line);

/*
 * Parse `text`, a line without its LF. Return false if it is no line of a ledger; *line is of no
 * use then. line->name points to `name`, which receives the unescaped name. line->at is not set.
 */
bool ledger_line_parse(const char *text, size_t len, struct ledger_line *line,
                       char name[LEDGER_NAME_SIZE]);

#endif

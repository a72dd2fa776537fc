/*
 * ledger_line: one verdict, and how it is written in the ledger.
 *
 * The format stands on top of ledger_line.c. A line that is parsed is exactly one that was printed
 * here: its check is right, and so is the form of each cell.
 */
#ifndef PHASESENTINEL_LEDGER_LINE_H
#define PHASESENTINEL_LEDGER_LINE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/digest.h"

#define LEDGER_NAME_SIZE     4096
#define LEDGER_LINE_MAX_SIZE (3 * LEDGER_NAME_SIZE + 512)
#define LEDGER_LINE_MIN_SIZE 128 /* no line is as short as that */

#define LEDGER_HEADER                                                                              \
    "seq,batch,time,verdict,name,bytes,sha256,meta,rows,rejected,duplicate,offset,length,range_"   \
    "hash,check\n"
#define LEDGER_HEADER_SIZE (sizeof LEDGER_HEADER - 1)

enum verdict {
    VERDICT_STARTED,
    VERDICT_ADOPTED,
    VERDICT_MERGED,
    VERDICT_GROWN,
    VERDICT_DUPLICATE,
    VERDICT_QUARANTINED,
    VERDICT_FORGOTTEN,
    VERDICT_COUNT,
};

const char *verdict_name(enum verdict verdict);

struct ledger_line {
    uint64_t seq;
    uint64_t batch; /* seq of the first line of its batch */
    int64_t time;   /* nanoseconds since the epoch; milliseconds are kept */
    enum verdict verdict;
    uint64_t bytes; /* of the whole content judged, as its hash */
    unsigned char sha256[DIGEST_SIZE];
    bool has_meta;
    uint64_t meta;
    uint64_t rows, rejected, duplicate; /* booked by this line */
    uint64_t offset, length;            /* its rows in the training file */
    uint64_t range_hash;
    uint64_t at;      /* offset of the line in the ledger; not written in it */
    const char *name; /* as dropped, unescaped; borrowed */
};

/* Appends the line, with its LF. */
void ledger_line_print(struct buffer *out, const struct ledger_line *line);

/*
 * Parse `text`, a line without its LF. Return false if it is no line of a ledger; *line is of no
 * use then. line->name points to `name`, which receives the unescaped name. line->at is not set.
 */
bool ledger_line_parse(const char *text, size_t len, struct ledger_line *line,
                       char name[LEDGER_NAME_SIZE]);

#endif

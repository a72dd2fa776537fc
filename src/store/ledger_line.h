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
    uint64_t at;                 /* where the line stands in the ledger; not written in it */
    char name[LEDGER_NAME_SIZE]; /* as dropped, unescaped; last, so that a copy may end with it */
};

/* Appends the line, with its LF. */
void ledger_line_print(struct buffer *out, const struct ledger_line *line);

/* `text` is a line without its LF. False if it is none: *line holds nothing of use then. Leaves
 * line->at alone. */
bool ledger_line_parse(const char *text, size_t len, struct ledger_line *line);

/* Copies no more of the name than there is. */
void ledger_line_copy(struct ledger_line *to, const struct ledger_line *from);

#endif

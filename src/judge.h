/*
 * judge: one reading of a file. Hashed, parsed, checked and written out in the same pass.
 *
 * What is hashed is what is checked is what is written: the bytes are read once, up to the size of
 * the first look. A judgement knows nothing of ledger or training file; the accepted rows go to a
 * sink in pieces while reading, and whoever gave the sink takes them back when the verdict is
 * another one. `check` gives no sink: same verdict, no trace.
 *
 * Content that is booked already under this name may be a prefix of the file: then only what
 * follows it is parsed and checked, and the rows before it cost no more than their hash.
 */
#ifndef PHASESENTINEL_JUDGE_H
#define PHASESENTINEL_JUDGE_H

#include <stdbool.h>
#include <stdint.h>

#include "cause.h"
#include "config.h"
#include "digest.h"
#include "rows.h"
#include "schema.h"
#include "tally.h"
#include "validate.h"
#include "violation.h"

/* Both return -1 with a cause to end the reading. NULL: the bytes are dropped. */
struct judge_sink {
    int (*accept)(void *context, const char *rows, size_t len, struct cause *cause);
    int (*reject)(void *context, const char *raw, size_t len, struct cause *cause);
    void *context;
};

struct judge_order {
    int fd;
    const char *name;      /* as dropped: metadata may come from it */
    uint64_t size;         /* so many bytes are judged */
    bool complete_only;    /* an incomplete last row is left out: the file may still be growing */
    uint64_t prefix_bytes; /* 0: none; else these first bytes may be booked content ... */
    unsigned char prefix_sha[DIGEST_SIZE]; /* ... with this hash */
    struct judge_sink sink;
};

struct judgement {
    struct violations violations;
    struct tally tally;   /* of the accepted rows */
    struct buffer header; /* the file's header as it came, for NAME.rejects.csv */
    uint64_t bytes;       /* judged: all, or without the incomplete last row */
    unsigned char sha256[DIGEST_SIZE];
    bool has_meta;
    uint64_t meta;
    uint64_t rows; /* accepted: in the sink, unless the file is rejected whole */
    uint64_t bad_rows;
    uint64_t rest;     /* bytes of an incomplete last row that was left out */
    bool no_newline;   /* the last row is valid, but has no line end */
    bool cut_short;    /* a row was too long: what follows it was not read */
    bool no_rows;      /* nothing, or only a header */
    bool prefix_found; /* the prefix is there: rows are those behind it */
    /* The prefix is there, but its last row, on this line, had no line end and goes on: rows are
     * those of the whole file. 0: no such thing. */
    uint64_t continued_line;
};

/* Reusable from file to file: its buffers stay. */
struct judge {
    const struct schema *schema;
    const struct config *config;
    const struct layout *layout;
    struct rows *rows;
    struct sheet sheet;
    struct buffer accepted;
    bool rejecting; /* reject-file and something is wrong: rows are counted, not written */
    struct judgement result;
};

int judge_init(struct judge *judge, const struct schema *schema, const struct config *config,
               const struct layout *layout, struct cause *cause);
void judge_free(struct judge *judge);

/*
 * Fills judge->result, valid until the next run. CAUSE_AGAIN: the file became shorter while it was
 * read. CAUSE_TROUBLE: it could not be read, or the sink failed.
 */
int judge_run(struct judge *judge, const struct judge_order *order, struct cause *cause);

/* Is the file bad? With reject-rows bad rows alone do not make it so, unless they are too many or
 * all. */
bool judge_rejects(const struct judge *judge);

/* An incomplete last row is all that is wrong. */
bool judge_only_truncated(const struct judge *judge);

#endif

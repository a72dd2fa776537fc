/*
 * judgement: what one reading of a file found, and what follows from it.
 *
 *     check_result_init, check_result_clear    nothing was read yet
 *     check_result_blame, and the fields    judge fills them in
 *     check_result_rejects ...              whoever decides asks
 *     check_result_free
 */
#ifndef PHASESENTINEL_CHECK_RESULT_H
#define PHASESENTINEL_CHECK_RESULT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "schema/config.h"
#include "base/digest.h"
#include "csv/content_hash.h"
#include "csv/tally.h"
#include "csv/violations.h"

struct check_result {
    struct violations violations;
    struct tally tally;   /* of the accepted rows */
    struct buffer header; /* the file's header as it came, for NAME.rejects.csv */
    uint64_t bytes;       /* judged: all, or without the incomplete last row */
    unsigned char sha256[DIGEST_SIZE];
    unsigned char raw_sha256[DIGEST_SIZE]; /* of the file's own bytes, if it is packed */
    bool has_meta;
    uint64_t meta;
    uint64_t rows; /* accepted: in the sink, unless the file is rejected whole */
    uint64_t bad_rows;
    uint64_t rest;   /* bytes of an incomplete last row that was left out */
    bool no_newline; /* the last row is valid, but has no line end */
    bool cut_short;  /* a row was too long: what follows it was not read */
    bool no_rows;    /* nothing, or only a header */
    bool no_columns; /* no header, or one that is no row */
    /* A packed file that cannot be unpacked whole: that is its only violation, and bytes and sha256
     * are those of the file itself. */
    bool broken;
    bool prefix_found;            /* the prefix is there: rows are those behind it */
    struct content_prefix longer; /* the longest known content that the file begins with, longer
                                     than the prefix but not the whole file; bytes 0: none */
    uint64_t head; /* a key of header and first row, which content that begins alike shares; 0: not
                      known */
    /* The prefix is there, but its last row, on this line, had no line end and goes on: rows are
     * those of the whole file. 0: no such thing. */
    uint64_t continued_line;
};

/* Reusable from reading to reading: its buffers stay. */
void check_result_init(struct check_result *result, const struct config *config);
void check_result_clear(struct check_result *result);
void check_result_free(struct check_result *result);

/* Something is wrong with the file, and no line is to blame. */
void check_result_blame(struct check_result *result, enum violation_code code, const char *text);

/* Is the file bad? With reject-rows bad rows alone do not make it so, unless they are too many or
 * all. */
bool check_result_rejects(const struct check_result *result, const struct config *config);

/* An incomplete last row is all that is wrong, and that the checksum is none of such a beginning.
 */
bool check_result_only_truncated(const struct check_result *result);

#endif

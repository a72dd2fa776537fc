/*
 * check_result: what one reading of a file found, and what follows from it.
 *
 *     check_result_init, check_result_clear
 *     check_result_blame, check_result_set_broken, and the fields      by file_check
 *     check_result_rejects, check_result_only_truncated                to classify the file
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
#include "csv/csv_reader.h"
#include "csv/decompress.h"
#include "csv/tally.h"
#include "csv/violations.h"

struct check_result {
    struct violations violations;
    struct tally tally;   /* counts of the accepted rows */
    struct buffer header; /* header line of the file, for NAME.rejects.csv */
    uint64_t bytes;       /* bytes checked: all, or all but an incomplete last row */
    unsigned char sha256[DIGEST_SIZE];
    unsigned char raw_sha256[DIGEST_SIZE]; /* hash of the file's own bytes, compressed or not */
    bool has_meta;
    uint64_t meta;
    uint64_t rows; /* valid rows: given to the sink, unless the file is rejected whole */
    uint64_t bad_rows;
    uint64_t rest;   /* bytes of an incomplete last row that was not checked */
    bool no_newline; /* true if the last row is valid but has no line end */
    bool cut_short;  /* true if a row was too long: no row after it was read */
    bool no_rows;    /* true for an empty file, or one with only a header */
    bool no_columns; /* true without a header, or with one that is no row */
    /* true if a compressed file cannot be decompressed whole: its only violation says so, and bytes
     * and sha256 are those of the file itself */
    bool broken;
    bool prefix_found; /* true if the file begins with the prefix: rows are those after it */
    struct content_prefix longer; /* the longest known content that the file begins with, longer
                                     than the prefix but not the whole file; bytes 0: none */
    uint64_t head; /* a key of header and first row, which content that begins alike shares; 0: not
                      known */
    /* line of the prefix's last row if that had no line end and now goes on, else 0; rows are then
     * those of the whole file */
    uint64_t continued_line;
};

/* Reusable for many files: check_result_clear keeps the buffers. */
void check_result_init(struct check_result *result, const struct config *config);
void check_result_clear(struct check_result *result);
void check_result_free(struct check_result *result);

/* Add a violation of the whole file. */
void check_result_blame(struct check_result *result, enum violation_code code, const char *text);

/* Keep the header line, with an LF as its line end. */
void check_result_set_header(struct check_result *result, const struct row *row);

/* Replace the result by the fault of a file that cannot be decompressed whole: nothing that came out
 * of it counts, not even violations. Return -1 when memory is out. */
int check_result_set_broken(struct check_result *result, const struct decompress *decompress);

/* Return true if the file is to be rejected whole. With reject-rows bad rows alone do not reject it,
 * unless too many or all rows are bad. */
bool check_result_rejects(const struct check_result *result, const struct config *config);

/* Return true if an incomplete last row is the only fault, besides a checksum that is therefore
 * wrong. */
bool check_result_only_truncated(const struct check_result *result);

#endif

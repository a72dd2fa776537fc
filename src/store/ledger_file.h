/*
 * ledger_file: the lines of the ledger where they stand in its file. Nothing is remembered here.
 *
 * `end` is where the committed lines end, as far as they have been read.
 */
#ifndef PHASESENTINEL_LEDGER_FILE_H
#define PHASESENTINEL_LEDGER_FILE_H

#include <stdint.h>

#include "base/cause.h"
#include "store/ledger_line.h"

#define LEDGER_FILE "ledger.csv"
#define LEDGER_PATH "state/" LEDGER_FILE

/* CAUSE_CORRUPT unless the file begins as a ledger does. */
int ledger_file_check_header(int fd, struct cause *cause);

/* Read the line at `at` and its name. Return 1 with *ret_next, where it ends, or -1: CAUSE_CORRUPT
 * if no line begins there. */
int ledger_file_line(int fd, uint64_t at, struct ledger_line *ret_line, char name[LEDGER_NAME_SIZE],
                     uint64_t *ret_next, struct cause *cause);

/* The first line that begins at `from` or behind it; `end` if there is none. */
int ledger_file_find(int fd, uint64_t end, uint64_t from, uint64_t *ret_at, struct cause *cause);

/* Read the line of this number and its name. Return 1, 0 if there is none, or -1. */
int ledger_file_by_seq(int fd, uint64_t end, uint64_t seq, struct ledger_line *ret_line,
                       char name[LEDGER_NAME_SIZE], struct cause *cause);

/*
 * Behind `end` stands something that is no next line. Was it all written in the last batch? Then no
 * more than that batch is in doubt, and it may be cut; else CAUSE_CORRUPT. The last batch is the
 * last good line's, or one that begins with the bad line.
 */
int ledger_file_judge_tail(int fd, uint64_t end, uint64_t size, uint64_t batch, uint64_t next_seq,
                           struct cause *cause);

/* CAUSE_CORRUPT: what was a line before is none now. Returns -1. */
int ledger_file_changed(uint64_t at, struct cause *cause);

#endif

/*
 * ledger_file: read the lines of state/ledger.csv from the file. The module keeps no state.
 *
 * `end` is the offset at which the committed lines end, as far as ledger has read them.
 */
#ifndef PHASESENTINEL_LEDGER_FILE_H
#define PHASESENTINEL_LEDGER_FILE_H

#include <stdint.h>

#include "base/cause.h"
#include "store/ledger_line.h"

#define LEDGER_FILE "ledger.csv"
#define LEDGER_PATH "state/" LEDGER_FILE

/* Return -1 with CAUSE_CORRUPT unless the file begins with LEDGER_HEADER. */
int ledger_file_check_header(int fd, struct cause *cause);

/* Read the line at `at` and its name. Return 1 with *ret_next, where it ends, or -1: CAUSE_CORRUPT
 * if no line begins there. */
int ledger_file_line(int fd, uint64_t at, struct ledger_line *ret_line, char name[LEDGER_NAME_SIZE],
                     uint64_t *ret_next, struct cause *cause);

/* Find the first line that begins at `from` or later; *ret_at is `end` if there is none. */
int ledger_file_find(int fd, uint64_t end, uint64_t from, uint64_t *ret_at, struct cause *cause);

/* Read the line with this number and its name. Return 1, 0 if there is none, or -1. */
int ledger_file_by_seq(int fd, uint64_t end, uint64_t seq, struct ledger_line *ret_line,
                       char name[LEDGER_NAME_SIZE], struct cause *cause);

/*
 * Return 0 if the bytes from `end` to `size`, which are no next line, may be cut off, because the
 * last batch wrote them all: the batch of the last good line (`batch`), or one that begins with the
 * bad line (`next_seq`). Return -1 with CAUSE_CORRUPT if a line of another batch stands there.
 */
int ledger_file_check_tail(int fd, uint64_t end, uint64_t size, uint64_t batch, uint64_t next_seq,
                           struct cause *cause);

/* Set CAUSE_CORRUPT: a line that was read before is no longer there. Return -1. */
int ledger_file_changed(uint64_t at, struct cause *cause);

#endif

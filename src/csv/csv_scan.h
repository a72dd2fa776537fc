/*
 * csv_scan: find the ends of cells in rows without a quote.
 *
 * 64 bytes are scanned at a time: with AVX2 where the processor has it, else in plain C.
 */
#ifndef PHASESENTINEL_CSV_SCAN_H
#define PHASESENTINEL_CSV_SCAN_H

#include <stddef.h>
#include <stdint.h>

#define SCAN_SIZE 16384 /* bytes scanned in one call at most */
#define SCAN_ENDS (SCAN_SIZE + 64)

/* Store the offsets of all commas and line feeds in text[0..len), in order. Return how many; `ends`
 * is undefined behind them. */
size_t csv_scan_ends(const char *text, size_t len, uint16_t ends[static SCAN_ENDS]);

/* Do the same in plain C on any processor, for tests. */
size_t csv_scan_ends_plain(const char *text, size_t len, uint16_t ends[static SCAN_ENDS]);

#endif

/*
 * scan: where the cells of rows without a quote end.
 *
 * Looks at 64 bytes at a time: with AVX2 where the processor has it, asked once at run time; in
 * plain C everywhere else.
 */
#ifndef PHASESENTINEL_CSV_SCAN_H
#define PHASESENTINEL_CSV_SCAN_H

#include <stddef.h>
#include <stdint.h>

#define SCAN_SIZE 16384 /* bytes that are scanned at most */
#define SCAN_ENDS (SCAN_SIZE + 64)

/* The offsets of all commas and line feeds in text[0..len), in order. Returns how many; behind them
 * ends may hold anything. */
size_t csv_scan_ends(const char *text, size_t len, uint16_t ends[static SCAN_ENDS]);

/* The same in plain C, whatever the processor: for tests. */
size_t csv_scan_ends_plain(const char *text, size_t len, uint16_t ends[static SCAN_ENDS]);

#endif

/*
 * json: help to build and print JSON, with jansson. The keys are in status.c and report.c.
 *
 * jansson.h is included here alone. Use these functions for the values that jansson cannot write as
 * they are, and json_print for the whole.
 */
#ifndef PHASESENTINEL_JSON_H
#define PHASESENTINEL_JSON_H

#include <jansson.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/cause.h"

json_t *json_count(uint64_t value);

/* Make a string of any bytes; invalid UTF-8 is replaced (escape_repair_utf8). */
json_t *json_bytes(const char *text, size_t len);
json_t *json_text(const char *text);

/* Make a string of a time in nanoseconds since the epoch; null for 0, which means never. */
json_t *json_time(int64_t time);

/* Append the JSON in ASCII, indented, with a final newline, and free it. */
int json_print(json_t *json, struct buffer *out, struct cause *cause);

#endif

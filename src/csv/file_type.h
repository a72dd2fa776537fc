/*
 * magic: what people drop instead of CSV, by its first bytes.
 */
#ifndef PHASESENTINEL_FILE_TYPE_H
#define PHASESENTINEL_FILE_TYPE_H

#include <stdbool.h>
#include <stddef.h>

/* What it is, and what is to be done with it: "zip: unpack it first". NULL: none of these. */
const char *file_type_detect(const void *bytes, size_t len, bool *ret_utf16);

#endif

/*
 * classify: what is a file that was read? A duplicate, a merged file that has grown, a new one, a
 * bad one, or one that has to wait.
 *
 * Identity is content: the SHA-256 of the bytes, together with what the file's name told of its
 * rows. The rules stand in classify.c, in the order in which they are asked.
 */
#ifndef PHASESENTINEL_CLASSIFY_H
#define PHASESENTINEL_CLASSIFY_H

#include <stdbool.h>

#include "base/cause.h"
#include "ingest/upload.h"

enum file_class {
    CLASS_WAITS,     /* no verdict yet: the file has its reason and its next check */
    CLASS_UNCHANGED, /* the last line of its name is about this very content */
    CLASS_DUPLICATE, /* merged before, under this name or another */
    CLASS_GROWN,     /* new rows behind content that was merged before */
    CLASS_NEW,
    CLASS_BAD, /* to be rejected: violations say why */
};

/*
 * Does the prefix that upload_read found count? Known content of another name may be the beginning
 * of two files that have nothing to do with each other. Set *ret_counts, and upload->shorter_than
 * if it does not count: then read the file again.
 */
int classify_prefix(struct upload *upload, bool *ret_counts, struct cause *cause);

int classify(struct upload *upload, enum file_class *ret_class, struct cause *cause);

#endif

/*
 * adopt: book dropped files whose rows are in the training file already.
 */
#ifndef PHASESENTINEL_ADOPT_H
#define PHASESENTINEL_ADOPT_H

#include "base/cause.h"
#include "csv/file_check.h"
#include "ingest/upload.h"

/*
 * Add a line `duplicate` for every file in the drop directory and in archive/, valid or not, so
 * that its content is known. The caller commits the ledger. Return -1 if a file cannot be read: if
 * it were left out, it would be merged later.
 */
int adopt_drops(const struct ingest_env *env, struct file_check *file_check, struct cause *cause);

/*
 * Return 1 if CSV files lie in drop directory or archive, 0 if not, or -1: a training_drops_check.
 */
int adopt_has_drops(const struct datadir *dir, struct cause *cause);

#endif

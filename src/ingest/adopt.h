/*
 * adopt: dropped files whose rows are in the training file already.
 */
#ifndef PHASESENTINEL_ADOPT_H
#define PHASESENTINEL_ADOPT_H

#include "base/cause.h"
#include "csv/file_check.h"
#include "ingest/upload.h"

/*
 * Books the content of all that lies in drop directory and archive as known, valid or not; the
 * caller commits the ledger. What cannot be read fails all of it: later it would merge.
 */
int adopt_drops(const struct ingest_env *env, struct file_check *file_check, struct cause *cause);

#endif

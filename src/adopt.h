/*
 * adopt: dropped files whose rows are in the training file already.
 */
#ifndef PHASESENTINEL_ADOPT_H
#define PHASESENTINEL_ADOPT_H

#include "cause.h"
#include "judge.h"
#include "look.h"

/*
 * Books the content of all that lies in drop directory and archive as known, valid or not; the
 * caller commits the ledger. What cannot be read fails all of it: later it would merge.
 */
int adopt_drops(const struct desk *desk, struct judge *judge, struct cause *cause);

#endif

/*
 * privilege: become the owner of the data directory.
 *
 * A program that is started as root takes the user and groups of that owner before it opens any
 * file in the data directory. If the owner is root, the user must allow that with --allow-root.
 */
#ifndef PHASESENTINEL_PRIVILEGE_H
#define PHASESENTINEL_PRIVILEGE_H

#include <stdbool.h>

#include "base/cause.h"

/* Change the user if this process is root. Fail with CAUSE_CONFIG for a directory of root without
 * `allow_root`. */
int privilege_drop(const char *data_dir, bool allow_root, struct cause *cause);

#endif

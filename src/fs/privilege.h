/*
 * privilege: root reads no stranger's files.
 *
 * Started as root, a program becomes the owner of the data directory before it opens anything in
 * it. Where that is root too, the user must say so (--allow-root).
 */
#ifndef PHASESENTINEL_PRIVILEGE_H
#define PHASESENTINEL_PRIVILEGE_H

#include <stdbool.h>

#include "base/cause.h"

int privilege_drop(const char *data_dir, bool allow_root, struct cause *cause);

#endif

/*
 * placement_recovery: what a crash left in state/moving/ is completed or undone.
 *
 * The table of what is done in which case stands on top of placement_recovery.c.
 */
#ifndef PHASESENTINEL_PLACEMENT_RECOVERY_H
#define PHASESENTINEL_PLACEMENT_RECOVERY_H

#include "base/cause.h"
#include "schema/config.h"
#include "store/datadir.h"
#include "store/ledger.h"

/*
 * Complete or undo every move. Call this under the lock, with the drop directory open, before the
 * first batch and after another process died with the lock. May be interrupted and called again.
 */
int placement_recover(const struct datadir *dir, const struct ledger *ledger,
                      const struct config *config, struct cause *cause);

#endif

/* leftovers.h - files that a process left in the store's directory when it was killed. */
#ifndef CORE_INDEX_SQLITE_LEFTOVERS_H
#define CORE_INDEX_SQLITE_LEFTOVERS_H

#include "core/index/sqlite/store.h"

/* Deletes snapshots that never became whole, and approximate indexes of collections that are no
 * more. For the one process that has the directory, when the collections are known; what cannot
 * be deleted stays. */
void sqlite_leftovers_remove(const struct sqlite_store *store);

#endif

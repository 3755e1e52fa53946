/* snapshot.h - a copy of a SQLite store in one file, and a collection back from it. */
#ifndef CORE_INDEX_SQLITE_SNAPSHOT_H
#define CORE_INDEX_SQLITE_SNAPSHOT_H

#include "core/index/sqlite/store.h"

/* The functions of struct store. The file appears when it is whole; one that is there is replaced.
 * Restoring makes the collection if there is none of that name. */
enum status sqlite_snapshot_write(void *self, const char *path, struct error *err);
enum status sqlite_snapshot_restore(void *self, const char *name, const char *path,
                                    struct error *err);

#endif

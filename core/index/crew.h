/* crew.h - threads that help whoever searches, shared by all collections of a process.
 *
 * A caller does its work itself, unit by unit; helpers that are free claim units of it,
 * too, and may come late or never. So a caller waits for no thread that has not begun,
 * and many callers at once are not slower than without helpers. */
#ifndef CORE_INDEX_CREW_H
#define CORE_INDEX_CREW_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/error.h"

struct crew;

/* `threads` that work on one call of crew_run(), its caller among them; at least 1. */
enum status crew_create(struct crew **out, uint32_t threads, struct error *err);
/* No call may be in flight. NULL is allowed. */
void crew_destroy(struct crew *crew);

typedef void crew_fn(void *context, size_t unit);

/* Calls fn(context, 0..units-1), on any threads and in any order, and returns when all
 * are done. A NULL crew has no helpers. */
void crew_run(struct crew *crew, size_t units, crew_fn *fn, void *context);

#endif

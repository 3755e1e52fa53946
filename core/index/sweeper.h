/* sweeper.h - lets searches that come at the same time share a pass over the memory.
 *
 * The first caller sweeps for itself, with all helpers; who comes meanwhile waits, and one
 * of those then sweeps for all that wait. So one search alone waits for nothing, and many
 * together cost little more memory traffic than one. */
#ifndef CORE_INDEX_SWEEPER_H
#define CORE_INDEX_SWEEPER_H

#include "core/index/sweep.h"

struct sweeper {
    struct chunks *chunks;
    struct crew *crew;
    pthread_mutex_t lock;              /* protects what follows */
    struct sweep_query *first, **last; /* waiting, in the order of their coming */
    bool sweeping;
};

void sweeper_init(struct sweeper *sweeper, struct chunks *chunks, struct crew *crew);
void sweeper_free(struct sweeper *sweeper);

/* As sweep_all() over all there is. Sets each query's view, a hold of its own. */
void sweeper_search(struct sweeper *sweeper, struct sweep_query *queries, size_t count);

#endif

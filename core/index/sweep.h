/* sweep.h - scores rows for several queries in one pass over the memory. */
#ifndef CORE_INDEX_SWEEP_H
#define CORE_INDEX_SWEEP_H

#include "core/index/chunks.h"
#include "core/index/crew.h"
#include "core/index/top.h"

enum { SWEEP_QUERIES_MAX = 16 }; /* of a pass; what more of them would share is in the cache */

struct sweep_query {
    const float *embedding;  /* [dim] */
    struct scan_query query; /* the same, prepared */
    const uint64_t *only;    /* ascending; NULL: all rows */
    size_t only_count;
    struct top top;    /* where the candidates go */
    struct view *view; /* that they point into */
    /* sweeper.c's, while it waits. */
    struct sweep_query *next;
    struct sweep_caller *caller;
};

/* Offers all rows of the view from number `from` on to each of `count` queries, at most
 * SWEEP_QUERIES_MAX, with the scores of the codes. */
void sweep_all(const struct chunks *chunks, const struct view *view, struct crew *crew,
               uint64_t from, struct sweep_query *const *queries, size_t count);

/* Offers the rows that are named in query->only, with scores in fp32. */
void sweep_only(const struct chunks *chunks, const struct view *view, struct crew *crew,
                struct sweep_query *query);

/* Scores in fp32 instead of those of the codes, best first. */
void sweep_rescore(const struct chunks *chunks, struct sweep_query *query);

#endif

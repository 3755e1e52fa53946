/* top.h - the best candidates seen so far, of one query, from any number of threads.
 *
 * Candidates have a total order (score, then the lower row), so what is kept does not
 * depend on who came first. */
#ifndef CORE_INDEX_TOP_H
#define CORE_INDEX_TOP_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/error.h"

struct candidate {
    float score;
    uint64_t row;
    const float *embedding; /* [dim]; lives as long as the view that it was found in */
};

struct top {
    /* What a candidate must reach to be kept; read without the lock as a hint. */
    _Atomic float floor;
    pthread_mutex_t lock;      /* protects what follows */
    struct candidate *entries; /* [limit]; a heap, the worst first */
    size_t limit, count;
};

/* Keeps the best `limit`, at least 1. */
enum status top_init(struct top *top, size_t limit, struct error *err);
void top_free(struct top *top);
/* Empty again. */
void top_clear(struct top *top);

/* A score below cannot get in any more. */
float top_floor(struct top *top);
void top_push(struct top *top, const struct candidate *candidates, size_t count);

/* Sorts the entries, best first; nothing is pushed afterwards. */
void top_sort(struct top *top);

#endif

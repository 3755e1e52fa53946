/* vectors.h - the embeddings of one collection in memory, and the nearest of them.
 *
 * Rows are numbered by the store, each number once: a changed item gets a new row, so a row
 * never changes. Quantised copies (int8 or bf16) are scanned, several queries in one pass and
 * by all threads; the best few are scored again in fp32. From a size on, an approximate
 * index (HNSW) is kept beside them by one background thread; rows that it does not hold yet
 * are scanned, so that a row is found as soon as it is put in.
 *
 * Any number of threads may search while one puts and removes. */
#ifndef CORE_INDEX_VECTORS_H
#define CORE_INDEX_VECTORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/error.h"
#include "core/index/collection.h"
#include "core/index/crew.h"

struct vectors;

struct vectors_options {
    uint32_t dim;
    enum collection_precision precision;
    unsigned features;         /* core/kernels/isa.h */
    struct crew *crew;         /* helps searches; shared by all vectors of a process; or NULL */
    uint64_t approximate_from; /* rows; 0: the default; UINT64_MAX: never */
    /* The file that keeps the approximate index between starts; NULL: none. It is a cache: checked
     * against our own digest, its rows against those put in, and made anew when it does not
     * fit. */
    const char *cache_path;
};

enum status vectors_create(struct vectors **out, const struct vectors_options *options,
                           struct error *err);
/* Writes the cache if it is out of date, then ends. NULL is allowed. */
void vectors_destroy(struct vectors *vectors);
/* From now on the cache is not written any more. */
void vectors_discard(struct vectors *vectors);

/* Adds rows in ascending order of their numbers, each above all before; embeddings is
 * [count, dim], of length 1. STATUS_NO_MEMORY leaves everything as it was. */
enum status vectors_put(struct vectors *vectors, const uint64_t *rows, const float *embeddings,
                        size_t count, struct error *err);
/* Unknown rows are ignored. */
void vectors_remove(struct vectors *vectors, const uint64_t *rows, size_t count);
/* All rows of the store have been put: the cache may be looked at, and the approximate index
 * be built where there is none. */
void vectors_ready(struct vectors *vectors);
/* Drops the approximate index and the cache, and builds them anew in the background. */
void vectors_rebuild(struct vectors *vectors);

struct vectors_query {
    const float *embedding; /* [dim], of length 1 */
    size_t top;             /* hits wanted, at least 1 */
    float score_min;
    const uint64_t *only; /* ascending row numbers, the sole ones that count; NULL: all */
    size_t only_count;
    bool exact;
    uint32_t effort; /* 0: the default */
};

struct vectors_hit {
    uint64_t row;
    float score; /* cosine in fp32 */
};

/* hits[i] has room for queries[i].top; counts[i] says how many there are, best first, ties
 * by row. */
enum status vectors_search(struct vectors *vectors, const struct vectors_query *queries,
                           size_t count, struct vectors_hit *const *hits, size_t *counts,
                           struct error *err);

/* The embedding of a row, [dim]; false if there is none. */
bool vectors_get(struct vectors *vectors, uint64_t row, float *out);

struct vectors_stats {
    uint64_t rows, indexed, bytes;
    bool approximate, building;
};
void vectors_read_stats(struct vectors *vectors, struct vectors_stats *out);

#endif

/* indexer.h - keeps an approximate index beside the rows, in a thread of its own.
 *
 * The thread builds an index when there are enough rows, adds what has been put since, and
 * builds it anew when much of it is gone. Nobody waits for it: rows that the index does not
 * hold yet are scanned. */
#ifndef CORE_INDEX_INDEXER_H
#define CORE_INDEX_INDEXER_H

#include "core/index/sweep.h"

enum { INDEXER_EFFORT = 128 }; /* by default: recall@10 of 0.98 among a million in clusters */

struct indexer;

struct indexer_options {
    struct chunks *chunks;
    enum scan_precision precision; /* of the chunks */
    unsigned features;
    uint64_t from;          /* rows that are worth an index */
    const char *cache_path; /* NULL: none */
};

enum status indexer_create(struct indexer **out, const struct indexer_options *options,
                           struct error *err);
/* Writes the cache if it is out of date. NULL is allowed. */
void indexer_destroy(struct indexer *indexer);
/* From now on the cache is not written any more. */
void indexer_discard(struct indexer *indexer);

/* All rows of the store have been put: the thread may begin. */
void indexer_ready(struct indexer *indexer);
/* Rows are about to be put, from this number on. An index that has come further already was read
 * from the cache of a store that was ahead of this one, and is built anew. */
void indexer_expect(struct indexer *indexer, uint64_t first);
/* They have been put. */
void indexer_wake(struct indexer *indexer);
/* Rows have been removed from the chunks. */
void indexer_forget(struct indexer *indexer, const uint64_t *rows, size_t count);
/* Drops the index and the cache, and begins anew. */
void indexer_rebuild(struct indexer *indexer);

/* Offers the query the nearest among the rows that the index holds. False if there is no
 * index that is worth it; else rows of the view from number *rest on are to be scanned. */
bool indexer_search(struct indexer *indexer, const struct view *view, struct sweep_query *query,
                    size_t effort, uint64_t *rest);

struct indexer_stats {
    uint64_t indexed, bytes;
    bool approximate, building;
};
void indexer_read_stats(struct indexer *indexer, struct indexer_stats *out);

#endif

/* store.h - what the files of the PostgreSQL store share.
 *
 * Every collection has a table of its own, named by its number in the catalogue, which is
 * never used again: "clipd_items_7". So a statement for a collection that was dropped, or
 * dropped and made anew, finds no table, instead of another's items. */
#ifndef CORE_INDEX_POSTGRES_STORE_H
#define CORE_INDEX_POSTGRES_STORE_H

#include "core/index/postgres/pool.h"
#include "core/index/store.h"

struct postgres_catalogue;
struct postgres_builder;

struct postgres_store {
    struct postgres_pool *pool;
    struct postgres_catalogue *catalogue;
    struct postgres_builder *builder;
    uint64_t approximate_from;
    const struct scan_kernel *kernel; /* fp32 */
};

/* The number of the collection's table. STATUS_CONFLICT if it is not what `spec` says. */
enum status postgres_store_find(struct postgres_store *store, const struct collection_spec *spec,
                                uint64_t *number, struct error *err);

/* postgres_pool_run() for one collection: a table that is not there (any more) is told as
 * core/index/store.h says. */
enum status postgres_store_run(struct postgres_store *store, const struct collection_spec *spec,
                               postgres_work_fn *work, void *context, struct error *err);

#endif

/* index.h - the approximate indexes: when and by whom they are built.
 *
 * A collection gets its HNSW index when it has grown to `approximate_from` items: loading is
 * many times faster before. One thread of each replica builds in the background, without
 * holding up anybody (CREATE INDEX CONCURRENTLY); an advisory lock sees to it that only one
 * replica does. From then on PostgreSQL keeps the index itself.
 *
 * A build that finds no room in memory is tried once more by a single process, which needs no
 * shared memory. One that fails is left alone for a minute, and then for twice as long each
 * time, up to an hour: searches go on asking for it every second. */
#ifndef CORE_INDEX_POSTGRES_INDEX_H
#define CORE_INDEX_POSTGRES_INDEX_H

#include "core/index/postgres/store.h"

enum status postgres_builder_create(struct postgres_builder **out, struct postgres_store *store,
                                    struct error *err);
/* Gives up what it builds. NULL is allowed. */
void postgres_builder_destroy(struct postgres_builder *builder);

/* Builds the index of a collection if it is large enough, has none and has not failed lately;
 * `anew`: also if it has one, or has failed. Returns at once. */
void postgres_builder_want(struct postgres_builder *builder, uint64_t number, uint32_t dim,
                           bool anew);

/* The functions of struct store (core/index/store.h); `self` is a struct postgres_store. */
enum status postgres_index_stats(void *self, const struct collection_spec *spec,
                                 struct collection_stats *out, struct error *err);
enum status postgres_index_reindex(void *self, const struct collection_spec *spec,
                                   struct error *err);

#endif

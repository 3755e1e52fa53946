/* search.h - the nearest items.
 *
 * PostgreSQL finds candidates, more than are wanted; their scores are computed here, by the
 * code that the other store uses, and decide. Which candidates are enough is checked
 * with what rounding can do, so that an exact search gives the very hits of the other store.
 * The approximate index filters while it walks (pgvector's iterative scan); if that brings
 * too few hits, the search is done again exactly. */
#ifndef CORE_INDEX_POSTGRES_SEARCH_H
#define CORE_INDEX_POSTGRES_SEARCH_H

#include "core/index/postgres/store.h"

/* The function of struct store (core/index/store.h); `self` is a struct postgres_store. */
enum status postgres_search(void *self, const struct collection_spec *spec,
                            const struct search *searches, size_t count,
                            const struct hit_visitor *visitor, struct error *err);

#endif

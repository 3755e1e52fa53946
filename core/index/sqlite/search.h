/* search.h - search in a SQLite store: the filter and the words from the file, the nearest
 * embeddings from memory. */
#ifndef CORE_INDEX_SQLITE_SEARCH_H
#define CORE_INDEX_SQLITE_SEARCH_H

#include "core/index/sqlite/store.h"

/* The function of struct store. */
enum status sqlite_search(void *self, const struct collection_spec *spec,
                          const struct search *searches, size_t count,
                          const struct hit_visitor *visitor, struct error *err);

#endif

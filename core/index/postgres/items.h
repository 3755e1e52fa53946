/* items.h - items put in, fetched, listed, counted and deleted. */
#ifndef CORE_INDEX_POSTGRES_ITEMS_H
#define CORE_INDEX_POSTGRES_ITEMS_H

#include "core/index/postgres/store.h"

/* The functions of struct store (core/index/store.h); `self` is a struct postgres_store. */
enum status postgres_items_upsert(void *self, const struct collection_spec *spec,
                                  const struct item *items, size_t count,
                                  struct collection_upserted *out, struct error *err);
enum status postgres_items_fetch(void *self, const struct collection_spec *spec,
                                 const struct bytes *ids, size_t count,
                                 const struct item_visitor *visitor, struct error *err);
enum status postgres_items_scroll(void *self, const struct collection_spec *spec,
                                  const struct filter *filter, struct bytes after, size_t limit,
                                  const struct item_visitor *visitor, struct error *err);
enum status postgres_items_count(void *self, const struct collection_spec *spec,
                                 const struct filter *filter, uint64_t *out, struct error *err);
enum status postgres_items_remove(void *self, const struct collection_spec *spec,
                                  const struct bytes *ids, size_t count,
                                  const struct filter *filter, uint64_t *deleted,
                                  struct error *err);

/* One row as an item: adds the columns to a SELECT, from the table named t, and reads them
 * again, the first of them being column `first`. */
struct postgres_item {
    struct item item;
    float *embedding; /* [dim]; NULL: not wanted */
};
enum status postgres_item_init(struct postgres_item *out, const struct collection_spec *spec,
                               unsigned parts, struct error *err);
void postgres_item_free(struct postgres_item *item);
void postgres_item_add_columns(struct postgres_query *query, unsigned parts);
enum status postgres_item_read(struct postgres_item *item, const struct collection_spec *spec,
                               const struct pg_result *row, int first, unsigned parts,
                               struct error *err);

#endif

/* items.h - items in a SQLite store: put in, read, walked over, taken out. */
#ifndef CORE_INDEX_SQLITE_ITEMS_H
#define CORE_INDEX_SQLITE_ITEMS_H

#include "core/index/sqlite/store.h"

/* Adds a new item under a new row, within the caller's transaction. STATUS_INVALID if the
 * metadata is no JSON object. */
enum status sqlite_items_insert(struct sqlite_connection *writer,
                                const struct sqlite_collection *collection, uint64_t row,
                                const struct item *item, struct error *err);

/* What it takes to read items. */
struct sqlite_item_reader {
    struct sqlite_connection *connection;
    const struct sqlite_collection *collection;
    unsigned parts;   /* enum item_part */
    float *embedding; /* [dim], where it goes; may be NULL without ITEM_EMBEDDING */
};
/* Reads the item of a row. What `out` points to is borrowed until the next call. */
enum status sqlite_items_read(struct item *out, bool *found,
                              const struct sqlite_item_reader *reader, uint64_t row,
                              struct error *err);

/* The functions of struct store. */
enum status sqlite_items_upsert(void *self, const struct collection_spec *spec,
                                const struct item *items, size_t count,
                                struct collection_upserted *out, struct error *err);
enum status sqlite_items_fetch(void *self, const struct collection_spec *spec,
                               const struct bytes *ids, size_t count,
                               const struct item_visitor *visitor, struct error *err);
enum status sqlite_items_scroll(void *self, const struct collection_spec *spec,
                                const struct filter *filter, struct bytes after, size_t limit,
                                const struct item_visitor *visitor, struct error *err);
enum status sqlite_items_count(void *self, const struct collection_spec *spec,
                               const struct filter *filter, uint64_t *out, struct error *err);
enum status sqlite_items_remove(void *self, const struct collection_spec *spec,
                                const struct bytes *ids, size_t count, const struct filter *filter,
                                uint64_t *deleted, struct error *err);

#endif

/* collections.h - the collections of a SQLite store: made, read into memory, dropped. */
#ifndef CORE_INDEX_SQLITE_COLLECTIONS_H
#define CORE_INDEX_SQLITE_COLLECTIONS_H

#include "core/index/sqlite/store.h"

/* Reads everything that the file has. */
enum status sqlite_collections_open(struct sqlite_store *store, struct error *err);
void sqlite_collections_close(struct sqlite_store *store);

/* The collection that `spec` describes, kept from being freed until it is released. */
enum status sqlite_collections_acquire(struct sqlite_collection **out, struct sqlite_store *store,
                                       const struct collection_spec *spec, struct error *err);
/* The same with the writer's lock held and a transaction begun. */
enum status sqlite_collections_acquire_writing(struct sqlite_collection **out,
                                               struct sqlite_store *store,
                                               const struct collection_spec *spec,
                                               struct error *err);
/* The same with a connection that looks at the file, see sqlite_store_read(). */
enum status sqlite_collections_acquire_reading(struct sqlite_collection **out,
                                               struct sqlite_connection **reader,
                                               struct sqlite_store *store,
                                               const struct collection_spec *spec,
                                               struct error *err);
void sqlite_collections_release(struct sqlite_store *store, struct sqlite_collection *collection);
/* For one that is not in the file while writers are locked out. */
enum status sqlite_collections_report_missing(const struct sqlite_store *store, const char *name,
                                              struct error *err);

/* For restoring. All with the writer's lock. Makes a collection that is in no list yet. */
enum status sqlite_collections_make(struct sqlite_collection **out, struct sqlite_store *store,
                                    const struct collection_spec *spec, int64_t number,
                                    struct error *err);
/* Lists `added` in the place of `removed`; either may be NULL. The removed one is acquired: to be
 * released when the lock is given back, as others need not wait until it is freed. */
void sqlite_collections_swap(struct sqlite_store *store, struct sqlite_collection *removed,
                             struct sqlite_collection *added);
/* NULL if there is none; not acquired. */
struct sqlite_collection *sqlite_collections_find(struct sqlite_store *store, const char *name);
void sqlite_collections_free(struct sqlite_collection *collection);

/* The number that belongs to an embedding and its row, to tell damage. */
int64_t sqlite_collections_checksum(uint64_t row, struct bytes embedding);

/* The functions of struct store. */
enum status sqlite_collections_create(void *self, const struct collection_spec *spec, bool *created,
                                      struct error *err);
enum status sqlite_collections_describe(void *self, const char *name, struct collection_spec *out,
                                        struct error *err);
enum status sqlite_collections_drop(void *self, const char *name, struct error *err);
enum status sqlite_collections_list(void *self, collection_visit_fn *visit, void *context,
                                    struct error *err);
enum status sqlite_collections_stats(void *self, const struct collection_spec *spec,
                                     struct collection_stats *out, struct error *err);
enum status sqlite_collections_reindex(void *self, const struct collection_spec *spec,
                                       struct error *err);

#endif

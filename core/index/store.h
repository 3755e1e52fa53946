/* store.h - what a store brings to collection.c. Internal.
 *
 * collection.c checks names, ids, sizes and filters once, for every store; a store may
 * trust them. Embeddings arrive of length 1, ids in one upsert differ from each other.
 * Everything else is as collection.h says of the function of the same name.
 *
 * `spec` is what describe() said a moment ago: a store that finds another collection under
 * the name by now gives STATUS_CONFLICT. */
#ifndef CORE_INDEX_STORE_H
#define CORE_INDEX_STORE_H

#include "core/index/collection.h"

struct store {
    const char *name; /* "sqlite" */
    void (*close)(void *self);
    enum status (*ping)(void *self, struct error *err);
    enum status (*create)(void *self, const struct collection_spec *spec, bool *created,
                          struct error *err);
    enum status (*describe)(void *self, const char *name, struct collection_spec *out,
                            struct error *err);
    enum status (*drop)(void *self, const char *name, struct error *err);
    enum status (*list)(void *self, collection_visit_fn *visit, void *context, struct error *err);
    enum status (*upsert)(void *self, const struct collection_spec *spec, const struct item *items,
                          size_t count, struct collection_upserted *out, struct error *err);
    enum status (*fetch)(void *self, const struct collection_spec *spec, const struct bytes *ids,
                         size_t count, const struct item_visitor *visitor, struct error *err);
    enum status (*scroll)(void *self, const struct collection_spec *spec,
                          const struct filter *filter, struct bytes after, size_t limit,
                          const struct item_visitor *visitor, struct error *err);
    enum status (*count)(void *self, const struct collection_spec *spec,
                         const struct filter *filter, uint64_t *out, struct error *err);
    /* By ids, or by the filter when `ids` is NULL. */
    enum status (*remove)(void *self, const struct collection_spec *spec, const struct bytes *ids,
                          size_t count, const struct filter *filter, uint64_t *deleted,
                          struct error *err);
    enum status (*search)(void *self, const struct collection_spec *spec,
                          const struct search *searches, size_t count,
                          const struct hit_visitor *visitor, struct error *err);
    enum status (*stats)(void *self, const struct collection_spec *spec,
                         struct collection_stats *out, struct error *err);
    enum status (*reindex)(void *self, const struct collection_spec *spec, struct error *err);
    /* NULL where the store has its own ways. */
    enum status (*snapshot)(void *self, const char *path, struct error *err);
    enum status (*restore)(void *self, const char *name, const char *path, struct error *err);
};

/* Opens a store; *self is its state, the first argument of the functions in the table. */
enum status sqlite_store_open(const struct store **out, void **self,
                              const struct collections_options *options, struct error *err);
enum status postgres_store_open(const struct store **out, void **self,
                                const struct collections_options *options, struct error *err);

#endif

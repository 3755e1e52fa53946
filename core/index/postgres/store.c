/* store.c - the store in PostgreSQL with pgvector: its parts, put together. */
#include "core/index/postgres/store.h"

#include <stdlib.h>
#include <string.h>

#include "core/index/postgres/catalogue.h"
#include "core/index/postgres/index.h"
#include "core/index/postgres/items.h"
#include "core/index/postgres/schema.h"
#include "core/index/postgres/search.h"
#include "core/kernels/scan.h"

enum {
    CONNECTIONS_DEFAULT = 16,
    /* The exact scan takes some 50 ms for so many of 512 dimensions. */
    APPROXIMATE_FROM_DEFAULT = 20000,
};

static void close_store(void *self) {
    struct postgres_store *store = self;
    postgres_builder_destroy(store->builder);
    postgres_catalogue_close(store->catalogue);
    postgres_pool_destroy(store->pool);
    free(store);
}

static enum status ping(void *self, struct error *err) {
    const struct postgres_store *store = self;
    return postgres_pool_ping(store->pool, err);
}

static const struct store postgres_store = {
    .name = "postgresql",
    .close = close_store,
    .ping = ping,
    .create = postgres_catalogue_create,
    .describe = postgres_catalogue_describe,
    .drop = postgres_catalogue_drop,
    .list = postgres_catalogue_list,
    .upsert = postgres_items_upsert,
    .fetch = postgres_items_fetch,
    .scroll = postgres_items_scroll,
    .count = postgres_items_count,
    .remove = postgres_items_remove,
    .search = postgres_search,
    .stats = postgres_index_stats,
    .reindex = postgres_index_reindex,
};

enum status postgres_store_open(const struct store **out, void **self,
                                const struct collections_options *options, struct error *err) {
    struct postgres_store *store = calloc(1, sizeof(*store));
    if (!store) return error_set(err, STATUS_NO_MEMORY, "out of memory for the store");
    store->approximate_from =
        options->approximate_from ? options->approximate_from : APPROXIMATE_FROM_DEFAULT;
    store->kernel = scan_kernel_find(options->features, SCAN_FP32);
    struct postgres_pool_options pool = {
        .uri = options->store,
        .connections = options->connections ? options->connections : CONNECTIONS_DEFAULT,
        .timeout_ms = options->timeout_ms ? options->timeout_ms : COLLECTION_TIMEOUT_MS};
    enum status status = postgres_pool_create(&store->pool, &pool, err);
    if (!status) status = postgres_schema_migrate(store->pool, err);
    if (!status) status = postgres_catalogue_open(&store->catalogue, err);
    if (!status) status = postgres_builder_create(&store->builder, store, err);
    if (status) {
        close_store(store);
        return status;
    }
    *out = &postgres_store;
    *self = store;
    return STATUS_OK;
}

#include "core/index/sqlite/collections.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/checksum.h"
#include "core/base/file.h"
#include "core/index/collection_check.h"
#include "core/index/sqlite/schema.h"

enum { LOAD_BATCH = 4096 }; /* embeddings that go to memory at once */

int64_t sqlite_collections_checksum(uint64_t row, struct bytes embedding) {
    /* An odd factor gives each row a number of its own: 2^64 over the golden ratio. */
    return (int64_t)(checksum(embedding) ^ (row * 0x9E3779B97F4A7C15U));
}

/* ---- one collection ---- */

void sqlite_collections_free(struct sqlite_collection *collection) {
    if (!collection) return;
    if (collection->dropped) vectors_discard(collection->vectors);
    vectors_destroy(collection->vectors);
    if (collection->dropped) unlink(collection->cache_path);
    free(collection->cache_path);
    free(collection);
}

enum status sqlite_collections_make(struct sqlite_collection **out, struct sqlite_store *store,
                                    const struct collection_spec *spec, int64_t number,
                                    struct error *err) {
    char name[48];
    snprintf(name, sizeof(name), "index-%lld.hnsw", (long long)number);
    struct sqlite_collection *collection = calloc(1, sizeof(*collection));
    if (collection) collection->cache_path = file_join(store->directory, name);
    if (!collection || !collection->cache_path) {
        free(collection);
        error_set(err, STATUS_NO_MEMORY, "out of memory for collection \"%s\"", spec->name);
        return STATUS_NO_MEMORY;
    }
    collection->spec = *spec;
    collection->number = number;
    collection->next_row = 1;
    struct vectors_options options = {.dim = spec->dim,
                                      .precision = spec->precision,
                                      .features = store->features,
                                      .crew = store->crew,
                                      .approximate_from = store->approximate_from,
                                      .cache_path = collection->cache_path};
    enum status status = vectors_create(&collection->vectors, &options, err);
    if (status) {
        sqlite_collections_free(collection);
        return status;
    }
    *out = collection;
    return STATUS_OK;
}

/* Rows on their way from the file into memory. */
struct load {
    uint64_t rows[LOAD_BATCH];
    float *embeddings; /* [LOAD_BATCH, dim] */
    size_t count;
};

static enum status load_row(struct load *load, struct sqlite_collection *collection,
                            struct sqlite_connection *connection, sqlite3_stmt *statement,
                            struct error *err) {
    size_t dim = collection->spec.dim;
    int64_t row = sqlite3_column_int64(statement, 0);
    struct bytes embedding = sqlite_column_bytes(statement, 2);
    if (row < 1 || row == INT64_MAX || embedding.size != dim * sizeof(float) ||
        sqlite3_column_int64(statement, 1) != sqlite_collections_checksum((uint64_t)row, embedding))
        return sqlite_report_damage(connection, err,
                                    "the embedding of row %lld in collection \"%s\"",
                                    (long long)row, collection->spec.name);
    load->rows[load->count] = (uint64_t)row;
    memcpy(load->embeddings + load->count * dim, embedding.data, embedding.size);
    load->count++;
    collection->items++;
    collection->next_row = (uint64_t)row + 1;
    if (load->count < LOAD_BATCH) return STATUS_OK;
    load->count = 0;
    return vectors_put(collection->vectors, load->rows, load->embeddings, LOAD_BATCH, err);
}

static enum status load_embeddings(struct sqlite_collection *collection, uint64_t *sum,
                                   struct sqlite_connection *connection, struct error *err) {
    struct load load = {.embeddings =
                            malloc((size_t)LOAD_BATCH * collection->spec.dim * sizeof(float))};
    sqlite3_stmt *statement;
    bool row = true;
    if (!load.embeddings)
        return error_set(err, STATUS_NO_MEMORY, "out of memory for collection \"%s\"",
                         collection->spec.name);
    enum status status = sqlite_prepare(
        &statement, connection, "SELECT row, checksum, embedding FROM embeddings_@ ORDER BY row",
        collection->number, err);
    while (!status) {
        status = sqlite_step(connection, statement, &row, err);
        if (status || !row) break;
        *sum += (uint64_t)sqlite3_column_int64(statement, 0);
        status = load_row(&load, collection, connection, statement, err);
    }
    if (!status && load.count)
        status = vectors_put(collection->vectors, load.rows, load.embeddings, load.count, err);
    free(load.embeddings);
    return status;
}

/* That every item has its embedding: both tables have as many rows, of the same sum. */
static enum status check_items(struct sqlite_collection *collection, uint64_t sum,
                               struct sqlite_connection *connection, struct error *err) {
    int64_t count = 0, items_sum = 0;
    enum status status = sqlite_read_number(&count, connection, "SELECT count(*) FROM items_@",
                                            collection->number, 0, err);
    if (!status)
        status = sqlite_read_number(&items_sum, connection, "SELECT sum(row) FROM items_@",
                                    collection->number, 0, err);
    if (!status && ((uint64_t)count != collection->items || (uint64_t)items_sum != sum))
        status = sqlite_report_damage(
            connection, err,
            "collection \"%s\" has %lld items and %llu embeddings, or not of the same rows",
            collection->spec.name, (long long)count, (unsigned long long)collection->items);
    return status;
}

static enum status load_collection(struct sqlite_collection *collection,
                                   struct sqlite_connection *connection, struct error *err) {
    int64_t last_row = 0;
    uint64_t sum = 0;
    enum status status = load_embeddings(collection, &sum, connection, err);
    if (!status) status = check_items(collection, sum, connection, err);
    if (!status)
        status = sqlite_read_number(&last_row, connection,
                                    "SELECT seq FROM sqlite_sequence WHERE name = 'items_@'",
                                    collection->number, 0, err);
    if (status) return status;
    if (last_row >= (int64_t)collection->next_row && last_row < INT64_MAX)
        collection->next_row = (uint64_t)last_row + 1;
    vectors_ready(collection->vectors);
    return STATUS_OK;
}

/* ---- the list ---- */

struct sqlite_collection *sqlite_collections_find(struct sqlite_store *store, const char *name) {
    struct sqlite_collection *collection = store->collections;
    while (collection && strcmp(collection->spec.name, name) != 0) collection = collection->next;
    return collection;
}

void sqlite_collections_swap(struct sqlite_store *store, struct sqlite_collection *removed,
                             struct sqlite_collection *added) {
    pthread_mutex_lock(&store->lock);
    struct sqlite_collection **link = &store->collections;
    if (removed) {
        while (*link != removed) link = &(*link)->next;
        *link = removed->next;
        removed->dropped = true;
        removed->references++;
    }
    link = &store->collections;
    while (added && *link && strcmp((*link)->spec.name, added->spec.name) < 0)
        link = &(*link)->next;
    if (added) {
        added->next = *link;
        *link = added;
    }
    pthread_mutex_unlock(&store->lock);
}

static enum status not_found(const char *name, struct error *err) {
    error_set(err, STATUS_NOT_FOUND, "there is no collection \"%s\"", name);
    return STATUS_NOT_FOUND;
}

enum status sqlite_collections_acquire(struct sqlite_collection **out, struct sqlite_store *store,
                                       const struct collection_spec *spec, struct error *err) {
    pthread_mutex_lock(&store->lock);
    struct sqlite_collection *collection = sqlite_collections_find(store, spec->name);
    bool same = collection && collection->spec.dim == spec->dim &&
                strcmp(collection->spec.model_digest, spec->model_digest) == 0;
    if (same) collection->references++;
    pthread_mutex_unlock(&store->lock);
    if (!collection) return not_found(spec->name, err);
    if (!same) {
        error_set(err, STATUS_CONFLICT, "collection \"%s\" was made anew meanwhile", spec->name);
        return STATUS_CONFLICT;
    }
    *out = collection;
    return STATUS_OK;
}

void sqlite_collections_release(struct sqlite_store *store, struct sqlite_collection *collection) {
    pthread_mutex_lock(&store->lock);
    bool unused = --collection->references == 0 && collection->dropped;
    pthread_mutex_unlock(&store->lock);
    if (unused) sqlite_collections_free(collection);
}

enum status sqlite_collections_acquire_writing(struct sqlite_collection **out,
                                               struct sqlite_store *store,
                                               const struct collection_spec *spec,
                                               struct error *err) {
    enum status status = sqlite_store_lock(store, err);
    if (status) return status;
    status = sqlite_collections_acquire(out, store, spec, err);
    if (!status) {
        status = sqlite_execute(store->writer, "BEGIN IMMEDIATE", 0, err);
        if (status) sqlite_collections_release(store, *out);
    }
    if (status) sqlite_store_unlock(store);
    return status;
}

enum status sqlite_collections_report_missing(const struct sqlite_store *store, const char *name,
                                              struct error *err) {
    sqlite_report_damage(store->writer, err, "collection \"%s\" is missing", name);
    return STATUS_IO;
}

enum status sqlite_collections_acquire_reading(struct sqlite_collection **out,
                                               struct sqlite_connection **reader,
                                               struct sqlite_store *store,
                                               const struct collection_spec *spec,
                                               struct error *err) {
    enum status status = STATUS_OK;
    *reader = NULL;
    for (int locked = 0; locked < 2 && !status && !*reader; locked++) {
        if (locked && sqlite_store_lock(store, err)) return STATUS_OVERLOADED;
        status = sqlite_collections_acquire(out, store, spec, err);
        if (!status) {
            status = sqlite_store_read(reader, store, *out, err);
            if (!*reader) sqlite_collections_release(store, *out);
        }
        if (locked) sqlite_store_unlock(store);
    }
    if (status || *reader) return status;
    return sqlite_collections_report_missing(store, spec->name, err);
}

/* ---- opening and closing ---- */

static enum status open_collection(void *context, int64_t number,
                                   const struct collection_spec *spec, struct error *err) {
    struct sqlite_store *store = context;
    struct sqlite_collection *collection;
    enum status status = sqlite_collections_make(&collection, store, spec, number, err);
    if (!status) {
        status = load_collection(collection, store->writer, err);
        if (status)
            sqlite_collections_free(collection);
        else
            sqlite_collections_swap(store, NULL, collection);
    }
    return status;
}

enum status sqlite_collections_open(struct sqlite_store *store, struct error *err) {
    return sqlite_schema_list(store->writer, NULL, open_collection, store, err);
}

void sqlite_collections_close(struct sqlite_store *store) {
    while (store->collections) {
        struct sqlite_collection *next = store->collections->next;
        assert(store->collections->references == 0);
        sqlite_collections_free(store->collections);
        store->collections = next;
    }
}

/* ---- the functions of struct store ---- */

/* With the writer's lock. */
static enum status create(struct sqlite_store *store, const struct collection_spec *spec,
                          struct error *err) {
    struct sqlite_collection *collection;
    struct sqlite_connection *writer = store->writer;
    int64_t number = 0;
    enum status status = sqlite_execute(writer, "BEGIN IMMEDIATE", 0, err);
    if (!status) status = sqlite_schema_add(&number, writer, spec, err);
    if (!status) status = sqlite_collections_make(&collection, store, spec, number, err);
    if (status) return status;
    status = sqlite_execute(writer, "COMMIT", 0, err);
    if (status) {
        sqlite_collections_free(collection);
        return status;
    }
    vectors_ready(collection->vectors);
    sqlite_collections_swap(store, NULL, collection);
    return STATUS_OK;
}

enum status sqlite_collections_create(void *self, const struct collection_spec *spec, bool *created,
                                      struct error *err) {
    struct sqlite_store *store = self;
    *created = false;
    enum status status = sqlite_store_lock(store, err);
    if (status) return status;
    struct sqlite_collection *there = sqlite_collections_find(store, spec->name);
    status = there ? collection_compare(&there->spec, spec, err) : create(store, spec, err);
    sqlite_store_unlock(store);
    *created = !there && !status;
    return status;
}

enum status sqlite_collections_describe(void *self, const char *name, struct collection_spec *out,
                                        struct error *err) {
    struct sqlite_store *store = self;
    pthread_mutex_lock(&store->lock);
    struct sqlite_collection *collection = sqlite_collections_find(store, name);
    if (collection) *out = collection->spec;
    pthread_mutex_unlock(&store->lock);
    return collection ? STATUS_OK : not_found(name, err);
}

enum status sqlite_collections_drop(void *self, const char *name, struct error *err) {
    struct sqlite_store *store = self;
    enum status status = sqlite_store_lock(store, err);
    if (status) return status;
    struct sqlite_collection *collection = sqlite_collections_find(store, name);
    if (!collection) status = not_found(name, err);
    if (!status) status = sqlite_execute(store->writer, "BEGIN IMMEDIATE", 0, err);
    if (!status) status = sqlite_schema_remove(store->writer, collection->number, err);
    if (!status) status = sqlite_execute(store->writer, "COMMIT", 0, err);
    if (!status) sqlite_collections_swap(store, collection, NULL);
    sqlite_store_unlock(store);
    if (!status) sqlite_collections_release(store, collection);
    return status;
}

enum status sqlite_collections_list(void *self, collection_visit_fn *visit, void *context,
                                    struct error *err) {
    struct sqlite_store *store = self;
    pthread_mutex_lock(&store->lock);
    size_t count = 0, i = 0;
    for (struct sqlite_collection *c = store->collections; c; c = c->next) count++;
    struct collection_spec *specs = malloc((count ? count : 1) * sizeof(*specs));
    for (struct sqlite_collection *c = store->collections; c && specs; c = c->next)
        specs[i++] = c->spec;
    pthread_mutex_unlock(&store->lock);
    enum status status = STATUS_OK;
    if (!specs) status = error_set(err, STATUS_NO_MEMORY, "out of memory for %zu names", count);
    for (i = 0; i < count && !status; i++) status = visit(context, &specs[i], err);
    free(specs);
    return status;
}

enum status sqlite_collections_stats(void *self, const struct collection_spec *spec,
                                     struct collection_stats *out, struct error *err) {
    struct sqlite_store *store = self;
    struct sqlite_collection *collection;
    struct sqlite_connection *reader;
    struct vectors_stats vectors;
    int64_t bytes = 0;
    enum status status = sqlite_collections_acquire_reading(&collection, &reader, store, spec, err);
    if (status) return status;
    status = sqlite_read_number(&bytes, reader,
                                "SELECT page_count * page_size FROM pragma_page_count(), "
                                "pragma_page_size()",
                                0, 0, err);
    sqlite_store_give_back(store, reader);
    vectors_read_stats(collection->vectors, &vectors);
    out->items = collection->items;
    out->bytes_stored = (uint64_t)bytes;
    out->bytes_in_memory = vectors.bytes;
    out->index = vectors.approximate ? "hnsw" : "scan";
    out->indexed = vectors.indexed;
    out->building = vectors.building;
    sqlite_collections_release(store, collection);
    return status;
}

enum status sqlite_collections_reindex(void *self, const struct collection_spec *spec,
                                       struct error *err) {
    struct sqlite_store *store = self;
    struct sqlite_collection *collection;
    enum status status = sqlite_collections_acquire(&collection, store, spec, err);
    if (status) return status;
    vectors_rebuild(collection->vectors);
    sqlite_collections_release(store, collection);
    return STATUS_OK;
}

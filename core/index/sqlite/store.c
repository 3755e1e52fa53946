/* store.c - opens and closes the SQLite store, and lends its connections. */
#include "core/index/sqlite/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/cpu.h"
#include "core/base/file.h"
#include "core/index/sqlite/collections.h"
#include "core/index/sqlite/items.h"
#include "core/index/sqlite/leftovers.h"
#include "core/index/sqlite/schema.h"
#include "core/index/sqlite/search.h"
#include "core/index/sqlite/snapshot.h"
#include "core/index/store.h"

enum { IDLE_MAX = 16 }; /* connections that are kept for the next call */

/* ---- connections ---- */

enum status sqlite_store_lock(struct sqlite_store *store, struct error *err) {
    uint64_t until_ns = clock_now_ns() + store->timeout_ns;
    bool next = turn_take(&store->queue, until_ns);
    bool mine = next && turn_take(&store->writing, until_ns);
    if (next) turn_give(&store->queue);
    if (!mine)
        return error_set(err, STATUS_OVERLOADED,
                         "others have written to the store for longer than store.timeout");
    sqlite_connection_wait_until(store->writer, until_ns);
    return STATUS_OK;
}

void sqlite_store_unlock(struct sqlite_store *store) {
    sqlite_connection_reset(store->writer);
    turn_give(&store->writing);
}

enum status sqlite_store_reader(struct sqlite_connection **out, struct sqlite_store *store,
                                struct error *err) {
    pthread_mutex_lock(&store->lock);
    struct sqlite_connection *reader = store->idle;
    if (reader) {
        store->idle = reader->next;
        store->idle_count--;
    }
    pthread_mutex_unlock(&store->lock);
    *out = reader;
    if (reader) return STATUS_OK;
    return sqlite_connection_open(out, store->path, SQLITE_STORE, SQLITE_FOR_READING, err);
}

enum status sqlite_store_read(struct sqlite_connection **out, struct sqlite_store *store,
                              const struct sqlite_collection *collection, struct error *err) {
    int64_t found = 0;
    enum status status = sqlite_store_reader(out, store, err);
    if (status) return status;
    (*out)->until_ns = clock_now_ns() + store->timeout_ns;
    status = sqlite_execute(*out, "BEGIN", 0, err);
    if (!status)
        status = sqlite_read_number(&found, *out, "SELECT 1 FROM collections WHERE number = @",
                                    collection->number, 0, err);
    if (!status && found) return STATUS_OK;
    sqlite_store_give_back(store, *out);
    *out = NULL;
    return status;
}

void sqlite_store_give_back(struct sqlite_store *store, struct sqlite_connection *reader) {
    sqlite_connection_reset(reader);
    pthread_mutex_lock(&store->lock);
    bool keep = store->idle_count < IDLE_MAX;
    if (keep) {
        reader->next = store->idle;
        store->idle = reader;
        store->idle_count++;
    }
    pthread_mutex_unlock(&store->lock);
    if (!keep) sqlite_connection_close(reader);
}

/* ---- opening ---- */

static void store_close(void *self) {
    struct sqlite_store *store = self;
    sqlite_collections_close(store);
    crew_destroy(store->crew);
    while (store->idle) {
        struct sqlite_connection *next = store->idle->next;
        sqlite_connection_close(store->idle);
        store->idle = next;
    }
    sqlite_connection_close(store->writer);
    if (store->lock_file >= 0) close(store->lock_file);
    turn_free(&store->queue);
    turn_free(&store->writing);
    pthread_mutex_destroy(&store->lock);
    free(store->directory);
    free(store->path);
    free(store);
}

static enum status take_directory(struct sqlite_store *store, struct error *err) {
    if (mkdir(store->directory, 0700) && errno != EEXIST)
        return error_set_errno(err, error_errno_status(), "make", store->directory);
    char *path = file_join(store->directory, "lock");
    if (!path) return error_set(err, STATUS_NO_MEMORY, "out of memory for a path");
    enum status status = STATUS_OK;
    store->lock_file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (store->lock_file < 0)
        status = error_set_errno(err, error_errno_status(), "open", path);
    else if (flock(store->lock_file, LOCK_EX | LOCK_NB))
        status =
            error_set(err, STATUS_UNAVAILABLE, "%s is in use by another process", store->directory);
    free(path);
    return status;
}

static enum status open_file(struct sqlite_store *store, struct error *err) {
    /* SQLite would make it readable for all; its other files get the rights of this one. */
    int file = open(store->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0) return error_set_errno(err, error_errno_status(), "open", store->path);
    close(file);
    enum status status =
        sqlite_connection_open(&store->writer, store->path, SQLITE_OPENED, SQLITE_FOR_WRITING, err);
    return status ? status : sqlite_schema_open(store->writer, err);
}

static enum status store_ping(void *self, struct error *err) {
    struct sqlite_store *store = self;
    struct sqlite_connection *reader;
    int64_t number;
    enum status status = sqlite_store_reader(&reader, store, err);
    if (status) return status;
    reader->until_ns = clock_now_ns() + store->timeout_ns;
    status = sqlite_read_number(&number, reader, "SELECT count(*) FROM collections", 0, 0, err);
    sqlite_store_give_back(store, reader);
    return status;
}

static const struct store sqlite_store = {
    .name = "sqlite",
    .close = store_close,
    .ping = store_ping,
    .create = sqlite_collections_create,
    .describe = sqlite_collections_describe,
    .drop = sqlite_collections_drop,
    .list = sqlite_collections_list,
    .upsert = sqlite_items_upsert,
    .fetch = sqlite_items_fetch,
    .scroll = sqlite_items_scroll,
    .count = sqlite_items_count,
    .remove = sqlite_items_remove,
    .search = sqlite_search,
    .stats = sqlite_collections_stats,
    .reindex = sqlite_collections_reindex,
    .snapshot = sqlite_snapshot_write,
    .restore = sqlite_snapshot_restore,
};

enum status sqlite_store_open(const struct store **out, void **self,
                              const struct collections_options *options, struct error *err) {
    struct sqlite_store *store = calloc(1, sizeof(*store));
    if (!store) return error_set(err, STATUS_NO_MEMORY, "out of memory for a store");
    store->features = options->features;
    store->approximate_from = options->approximate_from;
    store->timeout_ns = (options->timeout_ms ? options->timeout_ms : COLLECTION_TIMEOUT_MS) *
                        (uint64_t)CLOCK_NS_PER_MS;
    store->lock_file = -1;
    turn_init(&store->queue);
    turn_init(&store->writing);
    pthread_mutex_init(&store->lock, NULL);
    store->directory = strdup(options->store);
    store->path = file_join(options->store, "collections.db");
    enum status status = STATUS_OK;
    if (!store->directory || !store->path)
        status = error_set(err, STATUS_NO_MEMORY, "out of memory for a store");
    uint32_t threads = options->threads ? options->threads : cpu_usable_cores();
    if (!status) status = crew_create(&store->crew, threads, err);
    if (!status) status = take_directory(store, err);
    if (!status) status = open_file(store, err);
    if (!status) status = sqlite_collections_open(store, err);
    if (status) {
        store_close(store);
        return status;
    }
    sqlite_leftovers_remove(store);
    sqlite_connection_set_role(store->writer, SQLITE_STORE);
    *out = &sqlite_store;
    *self = store;
    return STATUS_OK;
}

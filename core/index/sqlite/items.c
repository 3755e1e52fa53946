#include "core/index/sqlite/items.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/index/sqlite/collections.h"
#include "core/index/sqlite/filter.h"

/* ---- one item, within a transaction ---- */

static struct bytes embedding_bytes(const struct sqlite_collection *collection,
                                    const float *embedding) {
    return (struct bytes){(const uint8_t *)embedding, collection->spec.dim * sizeof(float)};
}

/* The values of a declared field as rows of the index. The same for putting in and taking
 * out, so that both agree. ?1 is the field, ?2 the row, ?3 the metadata, ?4 the path. */
static const char insert_values[] =
    "INSERT OR IGNORE INTO values_@ (field, kind, value, row, whole) "
    "SELECT ?1, CASE type WHEN 'text' THEN 2 WHEN 'integer' THEN 1 WHEN 'real' THEN 1 ELSE 0 END, "
    "value, ?2, json_type(?3, ?4) <> 'array' FROM json_each(?3, ?4) "
    "WHERE type IN ('text', 'integer', 'real', 'true', 'false') AND json_type(?3, ?4) <> 'object'";
static const char delete_values[] =
    "DELETE FROM values_@ WHERE (field, kind, value, row) IN ("
    "SELECT ?1, CASE type WHEN 'text' THEN 2 WHEN 'integer' THEN 1 WHEN 'real' THEN 1 ELSE 0 END, "
    "value, ?2 FROM json_each(?3, ?4) "
    "WHERE type IN ('text', 'integer', 'real', 'true', 'false') AND json_type(?3, ?4) <> 'object')";

static enum status change_values(struct sqlite_connection *writer,
                                 const struct sqlite_collection *collection, const char *sql,
                                 uint64_t row, struct bytes metadata, struct error *err) {
    enum status status = STATUS_OK;
    /* {} has no values. */
    for (size_t i = 0; i < collection->spec.fields_count && metadata.size > 2 && !status; i++) {
        sqlite3_stmt *statement;
        char path[SQLITE_PATH_SIZE];
        sqlite_filter_path(path, collection->spec.fields[i].path);
        status = sqlite_prepare(&statement, writer, sql, collection->number, err);
        if (status) break;
        sqlite_bind_number(statement, 1, (int64_t)i);
        sqlite_bind_number(statement, 2, (int64_t)row);
        sqlite_bind_text(statement, 3, metadata);
        sqlite_bind_text(statement, 4, bytes_of(path));
        status = sqlite_run(writer, statement, err);
    }
    return status;
}

static enum status change_words(struct sqlite_connection *writer,
                                const struct sqlite_collection *collection, const char *sql,
                                uint64_t row, struct bytes text, struct error *err) {
    sqlite3_stmt *statement;
    if (!text.size) return STATUS_OK;
    enum status status = sqlite_prepare(&statement, writer, sql, collection->number, err);
    if (status) return status;
    sqlite_bind_number(statement, 1, (int64_t)row);
    sqlite_bind_text(statement, 2, text);
    return sqlite_run(writer, statement, err);
}

static enum status insert_row(struct sqlite_connection *writer,
                              const struct sqlite_collection *collection, uint64_t row,
                              const struct item *item, struct error *err) {
    sqlite3_stmt *statement;
    enum status status = sqlite_prepare(
        &statement, writer,
        "INSERT INTO items_@ SELECT ?1, ?2, ?3, ?4, ?5 WHERE CASE WHEN json_valid(?3) THEN "
        "json_type(?3) = 'object' ELSE 0 END",
        collection->number, err);
    if (status) return status;
    sqlite_bind_number(statement, 1, (int64_t)row);
    sqlite_bind_text(statement, 2, item->id);
    sqlite_bind_text(statement, 3, item->metadata);
    sqlite_bind_text(statement, 4, item->text);
    if (item->has_digest) sqlite_bind_blob(statement, 5, (struct bytes){item->digest, SHA256_SIZE});
    status = sqlite_run(writer, statement, err);
    if (!status && sqlite3_changes(writer->db) == 0)
        status = error_set(err, STATUS_INVALID, "metadata is not a JSON object");
    return status;
}

static enum status insert_embedding(struct sqlite_connection *writer,
                                    const struct sqlite_collection *collection, uint64_t row,
                                    const float *embedding, struct error *err) {
    sqlite3_stmt *statement;
    struct bytes bytes = embedding_bytes(collection, embedding);
    enum status status =
        sqlite_prepare(&statement, writer, "INSERT INTO embeddings_@ VALUES (?1, ?2, ?3)",
                       collection->number, err);
    if (status) return status;
    sqlite_bind_number(statement, 1, (int64_t)row);
    sqlite_bind_number(statement, 2, sqlite_collections_checksum(row, bytes));
    sqlite_bind_blob(statement, 3, bytes);
    return sqlite_run(writer, statement, err);
}

static enum status insert_thumbnail(struct sqlite_connection *writer,
                                    const struct sqlite_collection *collection, uint64_t row,
                                    struct bytes image, struct error *err) {
    sqlite3_stmt *statement;
    if (!image.size) return STATUS_OK;
    enum status status = sqlite_prepare(
        &statement, writer, "INSERT INTO thumbnails_@ VALUES (?1, ?2)", collection->number, err);
    if (status) return status;
    sqlite_bind_number(statement, 1, (int64_t)row);
    sqlite_bind_blob(statement, 2, image);
    return sqlite_run(writer, statement, err);
}

enum status sqlite_items_insert(struct sqlite_connection *writer,
                                const struct sqlite_collection *collection, uint64_t row,
                                const struct item *item, struct error *err) {
    enum status status = insert_row(writer, collection, row, item, err);
    if (!status) status = insert_embedding(writer, collection, row, item->embedding, err);
    if (!status) status = insert_thumbnail(writer, collection, row, item->thumbnail, err);
    if (!status)
        status = change_values(writer, collection, insert_values, row, item->metadata, err);
    if (!status)
        status =
            change_words(writer, collection, "INSERT INTO words_@ (rowid, text) VALUES (?1, ?2)",
                         row, item->text, err);
    return status;
}

/* Takes a row out of all tables. Its old values and words are what the indexes need to know. */
static enum status erase(struct sqlite_connection *writer,
                         const struct sqlite_collection *collection, uint64_t row,
                         struct error *err) {
    static const char *const deletes[] = {"DELETE FROM items_@ WHERE row = ?1",
                                          "DELETE FROM embeddings_@ WHERE row = ?1",
                                          "DELETE FROM thumbnails_@ WHERE row = ?1"};
    sqlite3_stmt *old, *statement;
    bool there;
    enum status status = sqlite_prepare(
        &old, writer, "SELECT metadata, text FROM items_@ WHERE row = ?1", collection->number, err);
    if (status) return status;
    sqlite_bind_number(old, 1, (int64_t)row);
    status = sqlite_step(writer, old, &there, err);
    if (!status && there) {
        struct bytes metadata = sqlite_column_bytes(old, 0), text = sqlite_column_bytes(old, 1);
        status = change_values(writer, collection, delete_values, row, metadata, err);
        if (!status)
            status =
                change_words(writer, collection,
                             "INSERT INTO words_@ (words_@, rowid, text) VALUES ('delete', ?1, ?2)",
                             row, text, err);
    }
    sqlite3_reset(old);
    for (size_t i = 0; i < sizeof(deletes) / sizeof(*deletes) && !status; i++) {
        status = sqlite_prepare(&statement, writer, deletes[i], collection->number, err);
        if (status) break;
        sqlite_bind_number(statement, 1, (int64_t)row);
        status = sqlite_run(writer, statement, err);
    }
    return status;
}

/* The row of an id, 0 if there is none. */
static enum status find_row(uint64_t *row, struct sqlite_connection *connection,
                            const struct sqlite_collection *collection, struct bytes id,
                            struct error *err) {
    sqlite3_stmt *statement;
    bool there;
    enum status status = sqlite_prepare(
        &statement, connection, "SELECT row FROM items_@ WHERE id = ?1", collection->number, err);
    if (status) return status;
    sqlite_bind_text(statement, 1, id);
    status = sqlite_step(connection, statement, &there, err);
    if (status) return status;
    *row = there ? (uint64_t)sqlite3_column_int64(statement, 0) : 0;
    sqlite3_reset(statement);
    return STATUS_OK;
}

/* ---- upsert and remove ---- */

/* What a transaction does to the rows in memory. */
struct change {
    uint64_t *added, *removed; /* ascending; removed need not be */
    float *embeddings;         /* [added_count, dim] */
    size_t added_count, removed_count;
};

static void change_free(struct change *change) {
    free(change->added);
    free(change->removed);
    free(change->embeddings);
}

/* Commits, with memory brought along: all of it happens or nothing, see store.h. */
static enum status commit(struct sqlite_store *store, struct sqlite_collection *collection,
                          const struct change *change, struct error *err) {
    enum status status = STATUS_OK;
    if (change->added_count)
        status = vectors_put(collection->vectors, change->added, change->embeddings,
                             change->added_count, err);
    if (!status) {
        status = sqlite_execute(store->writer, "COMMIT", 0, err);
        if (!status && change->added_count && change->removed_count)
            atomic_fetch_add(&collection->replaced, 1);
        if (status)
            vectors_remove(collection->vectors, change->added, change->added_count);
        else
            vectors_remove(collection->vectors, change->removed, change->removed_count);
    }
    if (!status) collection->items += change->added_count - change->removed_count;
    /* Also after a failure: memory may have seen these numbers. */
    collection->next_row += change->added_count;
    return status;
}

static enum status upsert_items(struct change *change, struct sqlite_connection *writer,
                                const struct sqlite_collection *collection,
                                const struct item *items, size_t count, struct error *err) {
    size_t dim = collection->spec.dim;
    for (size_t i = 0; i < count; i++) {
        uint64_t old = 0, row = collection->next_row + i;
        enum status status = find_row(&old, writer, collection, items[i].id, err);
        if (!status && old) {
            status = erase(writer, collection, old, err);
            change->removed[change->removed_count++] = old;
        }
        if (!status) status = sqlite_items_insert(writer, collection, row, &items[i], err);
        if (status == STATUS_INVALID && err) err->input = (int)i;
        if (status) return status;
        change->added[i] = row;
        memcpy(change->embeddings + i * dim, items[i].embedding, dim * sizeof(float));
    }
    change->added_count = count;
    return STATUS_OK;
}

enum status sqlite_items_upsert(void *self, const struct collection_spec *spec,
                                const struct item *items, size_t count,
                                struct collection_upserted *out, struct error *err) {
    struct sqlite_store *store = self;
    struct sqlite_collection *collection;
    struct change change = {.added = calloc(count, sizeof(*change.added)),
                            .removed = calloc(count, sizeof(*change.removed)),
                            .embeddings = calloc(count * spec->dim, sizeof(float))};
    enum status status = STATUS_OK;
    if (!change.added || !change.removed || !change.embeddings) {
        error_set(err, STATUS_NO_MEMORY, "out of memory for %zu items", count);
        status = STATUS_NO_MEMORY;
    }
    if (!status) status = sqlite_collections_acquire_writing(&collection, store, spec, err);
    if (!status) {
        status = upsert_items(&change, store->writer, collection, items, count, err);
        if (!status) status = commit(store, collection, &change, err);
        sqlite_store_unlock(store);
        sqlite_collections_release(store, collection);
    }
    if (!status)
        *out = (struct collection_upserted){.inserted = count - change.removed_count,
                                            .updated = change.removed_count};
    change_free(&change);
    return status;
}

static enum status find_rows(struct change *out, struct sqlite_connection *writer,
                             const struct sqlite_collection *collection, const struct bytes *ids,
                             size_t count, struct error *err) {
    out->removed = calloc(count, sizeof(*out->removed));
    if (!out->removed) return error_set(err, STATUS_NO_MEMORY, "out of memory for %zu ids", count);
    for (size_t i = 0; i < count; i++) {
        uint64_t row;
        enum status status = find_row(&row, writer, collection, ids[i], err);
        if (!status && row) {
            /* At once, so that an id that comes twice is found once. */
            status = erase(writer, collection, row, err);
            out->removed[out->removed_count++] = row;
        }
        if (status) return status;
    }
    return STATUS_OK;
}

static enum status find_matches(struct change *out, struct sqlite_connection *writer,
                                const struct sqlite_collection *collection,
                                const struct filter *filter, uint64_t timeout_ns,
                                struct error *err) {
    writer->until_ns = clock_now_ns() + timeout_ns;
    enum status status = sqlite_filter_rows(&out->removed, &out->removed_count, writer,
                                            collection->number, &collection->spec, filter, err);
    writer->until_ns = 0; /* what it found is deleted, however long that takes */
    for (size_t i = 0; i < out->removed_count && !status; i++)
        status = erase(writer, collection, out->removed[i], err);
    return status;
}

enum status sqlite_items_remove(void *self, const struct collection_spec *spec,
                                const struct bytes *ids, size_t count, const struct filter *filter,
                                uint64_t *deleted, struct error *err) {
    struct sqlite_store *store = self;
    struct sqlite_collection *collection;
    struct change change = {0};
    enum status status = sqlite_collections_acquire_writing(&collection, store, spec, err);
    if (status) return status;
    if (ids)
        status = find_rows(&change, store->writer, collection, ids, count, err);
    else
        status = find_matches(&change, store->writer, collection, filter, store->timeout_ns, err);
    if (!status && change.removed_count) status = commit(store, collection, &change, err);
    sqlite_store_unlock(store);
    sqlite_collections_release(store, collection);
    if (!status) *deleted = change.removed_count;
    change_free(&change);
    return status;
}

/* ---- reading ---- */

/* Leaves the statement at the row, if there is one. */
static enum status select_row(sqlite3_stmt **out, bool *there,
                              const struct sqlite_item_reader *reader, const char *sql,
                              uint64_t row, struct error *err) {
    enum status status =
        sqlite_prepare(out, reader->connection, sql, reader->collection->number, err);
    if (status) return status;
    sqlite_bind_number(*out, 1, (int64_t)row);
    return sqlite_step(reader->connection, *out, there, err);
}

static enum status read_embedding(const struct sqlite_item_reader *reader, uint64_t row,
                                  struct error *err) {
    sqlite3_stmt *statement;
    bool there;
    enum status status =
        select_row(&statement, &there, reader,
                   "SELECT embedding, checksum FROM embeddings_@ WHERE row = ?1", row, err);
    if (status) return status;
    struct bytes bytes = there ? sqlite_column_bytes(statement, 0) : (struct bytes){0};
    if (bytes.data && bytes.size == reader->collection->spec.dim * sizeof(float) &&
        sqlite3_column_int64(statement, 1) == sqlite_collections_checksum(row, bytes))
        memcpy(reader->embedding, bytes.data, bytes.size);
    else
        status = sqlite_report_damage(reader->connection, err, "the embedding of row %llu",
                                      (unsigned long long)row);
    sqlite3_reset(statement);
    return status;
}

enum status sqlite_items_read(struct item *out, bool *found,
                              const struct sqlite_item_reader *reader, uint64_t row,
                              struct error *err) {
    sqlite3_stmt *statement;
    bool there;
    unsigned parts = reader->parts;
    *out = (struct item){.dim = reader->collection->spec.dim,
                         .model_digest = reader->collection->spec.model_digest};
    enum status status =
        select_row(&statement, found, reader,
                   "SELECT id, metadata, text, digest FROM items_@ WHERE row = ?1", row, err);
    if (status || !*found) return status;
    out->id = sqlite_column_bytes(statement, 0);
    if (parts & ITEM_METADATA) out->metadata = sqlite_column_bytes(statement, 1);
    if (parts & ITEM_TEXT) out->text = sqlite_column_bytes(statement, 2);
    struct bytes digest = sqlite_column_bytes(statement, 3);
    out->has_digest = (parts & ITEM_DIGEST) && digest.size == SHA256_SIZE;
    if (out->has_digest) memcpy(out->digest, digest.data, SHA256_SIZE);
    if (parts & ITEM_THUMBNAIL) {
        status = select_row(&statement, &there, reader,
                            "SELECT image FROM thumbnails_@ WHERE row = ?1", row, err);
        if (!status && there) out->thumbnail = sqlite_column_bytes(statement, 0);
    }
    if (!status && (parts & ITEM_EMBEDDING)) {
        out->embedding = reader->embedding;
        status = read_embedding(reader, row, err);
    }
    return status;
}

/* What fetch and scroll have in common. */
struct reading {
    struct sqlite_store *store;
    struct sqlite_collection *collection;
    struct sqlite_item_reader reader;
    const struct item_visitor *visitor;
};

static enum status reading_begin(struct reading *reading, const struct collection_spec *spec,
                                 struct error *err) {
    struct sqlite_item_reader *reader = &reading->reader;
    float *embedding = malloc(spec->dim * sizeof(*embedding));
    if (!embedding) {
        error_set(err, STATUS_NO_MEMORY, "out of memory for an embedding");
        return STATUS_NO_MEMORY;
    }
    *reader = (struct sqlite_item_reader){.parts = reading->visitor->parts, .embedding = embedding};
    enum status status = sqlite_collections_acquire_reading(
        &reading->collection, &reader->connection, reading->store, spec, err);
    if (status) free(embedding);
    reader->collection = reading->collection;
    return status;
}

static void reading_end(struct reading *reading) {
    sqlite_store_give_back(reading->store, reading->reader.connection);
    sqlite_collections_release(reading->store, reading->collection);
    free(reading->reader.embedding);
}

static enum status visit_row(struct reading *reading, uint64_t row, struct error *err) {
    struct item item;
    bool found;
    enum status status = sqlite_items_read(&item, &found, &reading->reader, row, err);
    if (status || !found) return status;
    return reading->visitor->visit(reading->visitor->context, &item, err);
}

enum status sqlite_items_fetch(void *self, const struct collection_spec *spec,
                               const struct bytes *ids, size_t count,
                               const struct item_visitor *visitor, struct error *err) {
    struct reading reading = {.store = self, .visitor = visitor};
    enum status status = reading_begin(&reading, spec, err);
    if (status) return status;
    for (size_t i = 0; i < count && !status; i++) {
        uint64_t row;
        status = find_row(&row, reading.reader.connection, reading.collection, ids[i], err);
        if (!status && row) status = visit_row(&reading, row, err);
    }
    reading_end(&reading);
    return status;
}

static enum status scroll(struct reading *reading, const struct sqlite_filter *condition,
                          struct bytes after, size_t limit, struct error *err) {
    struct sqlite_connection *connection = reading->reader.connection;
    struct buffer sql;
    sqlite3_stmt *statement;
    buffer_init(&sql, condition->sql.limit);
    enum status status = buffer_printf(
        &sql, err, "SELECT i.row FROM items_@ i WHERE i.id > ?1 AND %s ORDER BY i.id LIMIT ?2",
        sqlite_filter_text(condition));
    if (!status) status = buffer_append(&sql, "", 1, err);
    if (!status)
        status = sqlite_prepare(&statement, connection, (const char *)sql.data,
                                reading->reader.collection->number, err);
    buffer_free(&sql);
    if (status) return status;
    sqlite_bind_text(statement, 1, after);
    sqlite_bind_number(statement, 2, (int64_t)limit);
    sqlite_filter_bind(condition, statement);
    for (;;) {
        bool row;
        status = sqlite_step(connection, statement, &row, err);
        if (status || !row) return status;
        status = visit_row(reading, (uint64_t)sqlite3_column_int64(statement, 0), err);
        if (status) return status;
    }
}

enum status sqlite_items_scroll(void *self, const struct collection_spec *spec,
                                const struct filter *filter, struct bytes after, size_t limit,
                                const struct item_visitor *visitor, struct error *err) {
    struct reading reading = {.store = self, .visitor = visitor};
    struct sqlite_filter condition;
    enum status status = reading_begin(&reading, spec, err);
    if (status) return status;
    status = sqlite_filter_init(&condition, &reading.collection->spec, filter, 3, err);
    if (!status) status = scroll(&reading, &condition, after, limit, err);
    /* The statement borrows what the condition holds. */
    reading_end(&reading);
    sqlite_filter_free(&condition);
    return status;
}

enum status sqlite_items_count(void *self, const struct collection_spec *spec,
                               const struct filter *filter, uint64_t *out, struct error *err) {
    struct sqlite_store *store = self;
    struct sqlite_collection *collection;
    struct sqlite_connection *reader;
    enum status status =
        filter ? sqlite_collections_acquire_reading(&collection, &reader, store, spec, err)
               : sqlite_collections_acquire(&collection, store, spec, err);
    if (status) return status;
    *out = collection->items;
    if (filter) {
        uint64_t *rows = NULL;
        size_t count = 0;
        status = sqlite_filter_rows(&rows, &count, reader, collection->number, &collection->spec,
                                    filter, err);
        sqlite_store_give_back(store, reader);
        free(rows);
        *out = count;
    }
    sqlite_collections_release(store, collection);
    return status;
}

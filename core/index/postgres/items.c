#include "core/index/postgres/items.h"

#include <stdlib.h>
#include <string.h>

#include "core/index/postgres/catalogue.h"
#include "core/index/postgres/filter.h"
#include "core/index/postgres/index.h"

/* ---- an item of a row ---- */

enum status postgres_item_init(struct postgres_item *out, const struct collection_spec *spec,
                               unsigned parts, struct error *err) {
    *out = (struct postgres_item){0};
    if (!(parts & ITEM_EMBEDDING)) return STATUS_OK;
    out->embedding = calloc(spec->dim, sizeof(*out->embedding));
    if (out->embedding) return STATUS_OK;
    return error_set(err, STATUS_NO_MEMORY, "out of memory for an embedding");
}

void postgres_item_free(struct postgres_item *item) {
    free(item->embedding);
}

void postgres_item_add_columns(struct postgres_query *query, unsigned parts) {
    postgres_query_add(query, "t.id");
    if (parts & ITEM_METADATA) postgres_query_add(query, ", t.metadata_text");
    if (parts & ITEM_TEXT) postgres_query_add(query, ", t.text");
    if (parts & ITEM_THUMBNAIL) postgres_query_add(query, ", t.thumbnail");
    if (parts & ITEM_DIGEST) postgres_query_add(query, ", t.digest");
    if (parts & ITEM_EMBEDDING) postgres_query_add(query, ", t.embedding");
}

enum status postgres_item_read(struct postgres_item *item, const struct collection_spec *spec,
                               const struct pg_result *row, int first, unsigned parts,
                               struct error *err) {
    item->item = (struct item){.id = postgres_row_bytes(row, first++),
                               .dim = spec->dim,
                               .model_digest = spec->model_digest};
    if (parts & ITEM_METADATA) item->item.metadata = postgres_row_bytes(row, first++);
    if (parts & ITEM_TEXT) item->item.text = postgres_row_bytes(row, first++);
    if (parts & ITEM_THUMBNAIL) item->item.thumbnail = postgres_row_bytes(row, first++);
    if (parts & ITEM_DIGEST) {
        struct bytes digest = postgres_row_bytes(row, first++);
        item->item.has_digest = digest.size == SHA256_SIZE;
        if (item->item.has_digest) memcpy(item->item.digest, digest.data, SHA256_SIZE);
    }
    if (!(parts & ITEM_EMBEDDING)) return STATUS_OK;
    item->item.embedding = item->embedding;
    if (postgres_row_vector(item->embedding, row, first, spec->dim)) return STATUS_OK;
    return error_set(err, STATUS_INTERNAL, "a stored embedding has not %u dimensions", spec->dim);
}

/* ---- upsert ---- */

struct upsert {
    struct postgres_store *store;
    const struct collection_spec *spec;
    uint64_t number;
    const struct item *items;
    size_t count;
    struct collection_upserted done;
    int64_t bad; /* number of the item that is at fault, from 1; 0: none */
};

static enum status take_upserted(void *context, const struct pg_result *row, struct error *err) {
    (void)err;
    struct collection_upserted *done = context;
    done->inserted = (uint64_t)postgres_row_int8(row, 0);
    done->updated = (uint64_t)postgres_row_int8(row, 1);
    return STATUS_OK;
}

/* NULL for what is empty: it takes no room, and no place in the index of words. */
static unsigned add_optional(struct postgres_query *query, const struct upsert *upsert,
                             unsigned type, enum item_part part) {
    unsigned number = postgres_query_array(query, type, upsert->count);
    for (size_t i = 0; i < upsert->count; i++) {
        const struct item *item = &upsert->items[i];
        struct bytes value = part == ITEM_TEXT ? item->text : item->thumbnail;
        if (part == ITEM_DIGEST)
            value = (struct bytes){item->digest, item->has_digest ? SHA256_SIZE : 0};
        if (value.size)
            postgres_query_element(query, value);
        else
            postgres_query_element_null(query);
    }
    return number;
}

static unsigned add_metadata(struct postgres_query *query, const struct upsert *upsert) {
    unsigned number = postgres_query_array(query, POSTGRES_TEXT, upsert->count);
    for (size_t i = 0; i < upsert->count; i++)
        postgres_query_element(query, upsert->items[i].metadata);
    return number;
}

/* In the order of ids, whatever the caller's is: two upserts that meet lock rows in the same order,
 * and so wait for each other instead of dying together. */
static void write_upsert(struct postgres_query *query, const struct upsert *upsert,
                         unsigned vector_type) {
    unsigned ids = postgres_query_array(query, POSTGRES_TEXT, upsert->count);
    for (size_t i = 0; i < upsert->count; i++) postgres_query_element(query, upsert->items[i].id);
    unsigned embeddings = postgres_query_array(query, vector_type, upsert->count);
    for (size_t i = 0; i < upsert->count; i++)
        postgres_query_element_vector(query, upsert->items[i].embedding, upsert->spec->dim);
    unsigned metadata = add_metadata(query, upsert);
    unsigned texts = add_optional(query, upsert, POSTGRES_TEXT, ITEM_TEXT);
    unsigned thumbnails = add_optional(query, upsert, POSTGRES_BYTEA, ITEM_THUMBNAIL);
    unsigned digests = add_optional(query, upsert, POSTGRES_BYTEA, ITEM_DIGEST);
    postgres_query_add(
        query,
        "WITH put AS (INSERT INTO clipd_items_%llu AS t "
        "(id, embedding, metadata, metadata_text, text, thumbnail, digest) "
        "SELECT i, e, m::jsonb, m, w, p, d FROM unnest($%u::text[], $%u::vector[], $%u::text[], "
        "$%u::text[], $%u::bytea[], $%u::bytea[]) AS new (i, e, m, w, p, d) "
        "ORDER BY i COLLATE \"C\" "
        "ON CONFLICT (id) DO UPDATE SET embedding = excluded.embedding, "
        "metadata = excluded.metadata, metadata_text = excluded.metadata_text, "
        "text = excluded.text, thumbnail = excluded.thumbnail, digest = excluded.digest, "
        "revision = t.revision + 1 RETURNING revision = 0 AS fresh) "
        "SELECT count(*) FILTER (WHERE fresh), count(*) FILTER (WHERE NOT fresh) FROM put",
        (unsigned long long)upsert->number, ids, embeddings, metadata, texts, thumbnails, digests);
}

static enum status upsert_items(void *context, struct postgres_link *link, uint64_t deadline_ns,
                                struct error *err) {
    struct upsert *upsert = context;
    struct postgres_query query;
    postgres_query_init(&query);
    write_upsert(&query, upsert, link->vector_type);
    query.visit = take_upserted;
    query.context = &upsert->done;
    enum status status = postgres_link_run(link, &query, 1, deadline_ns, err);
    postgres_query_free(&query);
    return status;
}

static enum status take_bad(void *context, const struct pg_result *row, struct error *err) {
    (void)err;
    *(int64_t *)context = postgres_row_int8(row, 0);
    return STATUS_OK;
}

/* Which item it was: a failed statement does not tell. */
static enum status find_bad(void *context, struct postgres_link *link, uint64_t deadline_ns,
                            struct error *err) {
    struct upsert *upsert = context;
    struct postgres_query query;
    postgres_query_init(&query);
    postgres_query_add(&query,
                       "SELECT n FROM unnest($%u::text[]) WITH ORDINALITY AS given (m, n), "
                       "LATERAL (SELECT CASE WHEN pg_input_is_valid(m, 'jsonb') THEN m::jsonb END "
                       "AS metadata) AS parsed WHERE metadata IS NULL "
                       "OR jsonb_typeof(metadata) <> 'object' OR %s ORDER BY n LIMIT 1",
                       add_metadata(&query, upsert), postgres_filter_bad_numbers);
    query.visit = take_bad;
    query.context = &upsert->bad;
    enum status status = postgres_link_run(link, &query, 1, deadline_ns, err);
    postgres_query_free(&query);
    return status;
}

enum status postgres_items_upsert(void *self, const struct collection_spec *spec,
                                  const struct item *items, size_t count,
                                  struct collection_upserted *out, struct error *err) {
    struct postgres_store *store = self;
    struct error own = ERROR_NONE;
    struct upsert upsert = {.store = store, .spec = spec, .items = items, .count = count};
    enum status status = postgres_store_find(store, spec, &upsert.number, err);
    if (status) return status;
    status = postgres_store_run(store, spec, upsert_items, &upsert, &own);
    if (status == STATUS_INVALID && !postgres_store_run(store, spec, find_bad, &upsert, NULL) &&
        upsert.bad) {
        status = error_set(err, STATUS_INVALID,
                           "metadata is not a JSON object, or has a number beyond a double");
        if (err) err->input = (int)upsert.bad - 1;
        return status;
    }
    if (status) return error_pass(err, &own);
    *out = upsert.done;
    if (postgres_catalogue_note_upsert(store, spec, upsert.done.inserted))
        postgres_builder_want(store->builder, upsert.number, spec->dim, false);
    return STATUS_OK;
}

/* ---- fetch and scroll ---- */

struct reading {
    const struct collection_spec *spec;
    uint64_t number;
    const struct bytes *ids;
    size_t count;
    const struct filter *filter;
    struct bytes after;
    size_t limit;
    const struct item_visitor *visitor;
    struct postgres_item item;
    struct postgres_link *link;
};

static enum status take_item(void *context, const struct pg_result *row, struct error *err) {
    struct reading *reading = context;
    enum status status =
        postgres_item_read(&reading->item, reading->spec, row, 0, reading->visitor->parts, err);
    if (status) return status;
    reading->link->delivered = true;
    return reading->visitor->visit(reading->visitor->context, &reading->item.item, err);
}

static void write_fetch(struct postgres_query *query, const struct reading *reading) {
    unsigned ids = postgres_query_array(query, POSTGRES_TEXT, reading->count);
    for (size_t i = 0; i < reading->count; i++) postgres_query_element(query, reading->ids[i]);
    postgres_query_add(query,
                       " FROM unnest($%u::text[]) WITH ORDINALITY AS wanted (id, n) "
                       "JOIN clipd_items_%llu AS t USING (id) ORDER BY n",
                       ids, (unsigned long long)reading->number);
}

static void write_scroll(struct postgres_query *query, const struct reading *reading) {
    postgres_query_add(query, " FROM clipd_items_%llu AS t WHERE id > $%u::text AND ",
                       (unsigned long long)reading->number,
                       postgres_query_bytes(query, reading->after));
    postgres_filter_add(query, reading->spec, reading->filter);
    postgres_query_add(query, " ORDER BY id LIMIT $%u::int8",
                       postgres_query_int8(query, (int64_t)reading->limit));
}

static enum status read_items(void *context, struct postgres_link *link, uint64_t deadline_ns,
                              struct error *err) {
    struct reading *reading = context;
    struct postgres_query query;
    reading->link = link;
    postgres_query_init(&query);
    postgres_query_add(&query, "SELECT ");
    postgres_item_add_columns(&query, reading->visitor->parts);
    if (reading->ids)
        write_fetch(&query, reading);
    else
        write_scroll(&query, reading);
    query.visit = take_item;
    query.context = reading;
    enum status status = postgres_link_run(link, &query, 1, deadline_ns, err);
    postgres_query_free(&query);
    return status;
}

static enum status run_reading(struct postgres_store *store, struct reading *reading,
                               struct error *err) {
    enum status status = postgres_store_find(store, reading->spec, &reading->number, err);
    if (!status)
        status = postgres_item_init(&reading->item, reading->spec, reading->visitor->parts, err);
    if (status) return status;
    status = postgres_store_run(store, reading->spec, read_items, reading, err);
    postgres_item_free(&reading->item);
    return status;
}

enum status postgres_items_fetch(void *self, const struct collection_spec *spec,
                                 const struct bytes *ids, size_t count,
                                 const struct item_visitor *visitor, struct error *err) {
    if (!count) return STATUS_OK;
    struct reading reading = {.spec = spec, .ids = ids, .count = count, .visitor = visitor};
    return run_reading(self, &reading, err);
}

enum status postgres_items_scroll(void *self, const struct collection_spec *spec,
                                  const struct filter *filter, struct bytes after, size_t limit,
                                  const struct item_visitor *visitor, struct error *err) {
    struct reading reading = {
        .spec = spec, .filter = filter, .after = after, .limit = limit, .visitor = visitor};
    return run_reading(self, &reading, err);
}

/* ---- count and remove ---- */

struct counting {
    const struct collection_spec *spec;
    uint64_t number;
    const struct bytes *ids; /* to remove; NULL: those that fit */
    size_t count;
    const struct filter *filter;
    bool remove;
    uint64_t result; /* when removing: of the try that found most */
};

static enum status take_count(void *context, const struct pg_result *row, struct error *err) {
    (void)err;
    *(uint64_t *)context = (uint64_t)postgres_row_int8(row, 0);
    return STATUS_OK;
}

/* How many were deleted is known before the commit: nobody may say afterwards whether it was
 * carried out, and what was deleted is not found again. */
static enum status count_or_remove(void *context, struct postgres_link *link, uint64_t deadline_ns,
                                   struct error *err) {
    struct counting *counting = context;
    struct postgres_query queries[2];
    unsigned long long number = counting->number;
    uint64_t found = 0;
    size_t count = 0;
    if (counting->remove) {
        postgres_query_init(&queries[count]);
        postgres_query_add(&queries[count++], "BEGIN");
    }
    struct postgres_query *query = &queries[count++];
    postgres_query_init(query);
    if (counting->remove)
        postgres_query_add(query, "WITH gone AS (DELETE FROM clipd_items_%llu WHERE ", number);
    else
        postgres_query_add(query, "SELECT count(*) FROM clipd_items_%llu WHERE ", number);
    if (counting->ids) {
        unsigned ids = postgres_query_array(query, POSTGRES_TEXT, counting->count);
        for (size_t i = 0; i < counting->count; i++)
            postgres_query_element(query, counting->ids[i]);
        postgres_query_add(query, "id = ANY ($%u::text[])", ids);
    } else {
        postgres_filter_add(query, counting->spec, counting->filter);
    }
    if (counting->remove) postgres_query_add(query, " RETURNING 1) SELECT count(*) FROM gone");
    query->visit = take_count;
    query->context = &found;
    enum status status = postgres_link_run(link, queries, count, deadline_ns, err);
    for (size_t i = 0; i < count; i++) postgres_query_free(&queries[i]);
    if (status) return status;
    if (found > counting->result || !counting->remove) counting->result = found;
    return counting->remove ? postgres_link_commit(link, deadline_ns, err) : STATUS_OK;
}

enum status postgres_items_count(void *self, const struct collection_spec *spec,
                                 const struct filter *filter, uint64_t *out, struct error *err) {
    struct counting counting = {.spec = spec, .filter = filter};
    enum status status = postgres_store_find(self, spec, &counting.number, err);
    if (!status) status = postgres_store_run(self, spec, count_or_remove, &counting, err);
    if (!status) *out = counting.result;
    return status;
}

enum status postgres_items_remove(void *self, const struct collection_spec *spec,
                                  const struct bytes *ids, size_t count,
                                  const struct filter *filter, uint64_t *deleted,
                                  struct error *err) {
    struct counting counting = {
        .spec = spec, .ids = ids, .count = count, .filter = filter, .remove = true};
    enum status status = postgres_store_find(self, spec, &counting.number, err);
    if (!status) status = postgres_store_run(self, spec, count_or_remove, &counting, err);
    if (!status) *deleted = counting.result;
    return status;
}

#include "core/index/postgres/catalogue.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/index/collection_check.h"
#include "core/index/postgres/index.h"
#include "core/index/postgres/schema.h"

enum {
    KNOWN_MAX = 4096, /* more are forgotten, and read again */
    INDEXED_FOR_MS = 1000,
};

/* What is remembered of a collection. */
struct known {
    char name[COLLECTION_NAME_MAX + 1];
    char model_digest[SHA256_HEX_SIZE];
    uint32_t dim;
    uint64_t number;
    bool indexed;
    uint64_t looked_ns; /* when; 0: never */
    uint64_t inserted;  /* since the index was last thought of */
};

struct postgres_catalogue {
    pthread_mutex_t lock;
    struct known *known; /* [KNOWN_MAX], of which `count` */
    size_t count;
};

enum status postgres_catalogue_open(struct postgres_catalogue **out, struct error *err) {
    struct postgres_catalogue *catalogue = calloc(1, sizeof(*catalogue));
    if (catalogue) catalogue->known = calloc(KNOWN_MAX, sizeof(*catalogue->known));
    if (!catalogue || !catalogue->known) {
        free(catalogue);
        return error_set(err, STATUS_NO_MEMORY, "out of memory for the catalogue");
    }
    pthread_mutex_init(&catalogue->lock, NULL);
    *out = catalogue;
    return STATUS_OK;
}

void postgres_catalogue_close(struct postgres_catalogue *catalogue) {
    if (!catalogue) return;
    pthread_mutex_destroy(&catalogue->lock);
    free(catalogue->known);
    free(catalogue);
}

/* ---- what is remembered ---- */

/* With the lock. */
static struct known *find(struct postgres_catalogue *catalogue, const char *name) {
    for (size_t i = 0; i < catalogue->count; i++) {
        if (strcmp(catalogue->known[i].name, name) == 0) return &catalogue->known[i];
    }
    return NULL;
}

static void remember(struct postgres_catalogue *catalogue, const struct collection_spec *spec,
                     uint64_t number) {
    pthread_mutex_lock(&catalogue->lock);
    struct known *known = find(catalogue, spec->name);
    if (!known && catalogue->count == KNOWN_MAX) catalogue->count = 0;
    if (!known) {
        known = &catalogue->known[catalogue->count++];
        *known = (struct known){0};
    }
    if (known->number != number) {
        *known = (struct known){.dim = spec->dim, .number = number};
        memcpy(known->name, spec->name, sizeof(known->name));
        memcpy(known->model_digest, spec->model_digest, sizeof(known->model_digest));
    }
    pthread_mutex_unlock(&catalogue->lock);
}

static bool recall(struct postgres_catalogue *catalogue, const struct collection_spec *spec,
                   struct known *out) {
    pthread_mutex_lock(&catalogue->lock);
    const struct known *known = find(catalogue, spec->name);
    if (known) *out = *known;
    pthread_mutex_unlock(&catalogue->lock);
    return known;
}

static enum status tell_other(const struct collection_spec *spec, struct error *err) {
    return error_set(err, STATUS_CONFLICT, "collection \"%s\" was made anew meanwhile", spec->name);
}

enum status postgres_store_find(struct postgres_store *store, const struct collection_spec *spec,
                                uint64_t *number, struct error *err) {
    struct known known;
    struct collection_spec again;
    if (!recall(store->catalogue, spec, &known)) {
        enum status status = postgres_catalogue_describe(store, spec->name, &again, err);
        if (status) return status;
        if (!recall(store->catalogue, spec, &known)) return tell_other(spec, err);
    }
    if (known.dim != spec->dim || strcmp(known.model_digest, spec->model_digest) != 0)
        return tell_other(spec, err);
    *number = known.number;
    return STATUS_OK;
}

enum status postgres_store_run(struct postgres_store *store, const struct collection_spec *spec,
                               postgres_work_fn *work, void *context, struct error *err) {
    struct error own = ERROR_NONE;
    struct collection_spec again;
    enum postgres_fault fault;
    enum status status = postgres_pool_run(store->pool, work, context, &fault, &own);
    if (status && fault == POSTGRES_FAULT_MISSING) {
        status = postgres_catalogue_describe(store, spec->name, &again, err);
        return status ? status : tell_other(spec, err);
    }
    return status ? error_pass(err, &own) : STATUS_OK;
}

/* ---- reading ---- */

struct reading {
    struct postgres_store *store;
    const char *name; /* NULL: all */
    collection_visit_fn *visit;
    void *context;
    size_t seen;
    uint64_t number; /* of the last */
    struct postgres_link *link;
};

static void take_string(char *out, size_t room, struct bytes text) {
    snprintf(out, room, "%.*s", (int)text.size, (const char *)text.data);
}

static const char *const kinds[] = {"text", "number", "bool"};

static enum status take_collection(void *context, const struct pg_result *row, struct error *err) {
    struct reading *reading = context;
    struct collection_spec spec = {.dim = (uint32_t)postgres_row_int8(row, 4),
                                   .precision =
                                       (enum collection_precision)postgres_row_int8(row, 5)};
    take_string(spec.name, sizeof(spec.name), postgres_row_bytes(row, 1));
    take_string(spec.model, sizeof(spec.model), postgres_row_bytes(row, 2));
    take_string(spec.model_digest, sizeof(spec.model_digest), postgres_row_bytes(row, 3));
    struct postgres_array paths = postgres_row_array(row, 6), names = postgres_row_array(row, 7);
    struct bytes path, name;
    while (spec.fields_count < COLLECTION_FIELDS_MAX && postgres_array_next(&paths, &path) &&
           postgres_array_next(&names, &name)) {
        struct collection_field *field = &spec.fields[spec.fields_count++];
        take_string(field->path, sizeof(field->path), path);
        for (unsigned i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
            if (strlen(kinds[i]) == name.size && memcmp(kinds[i], name.data, name.size) == 0)
                field->kind = (enum collection_field_kind)i;
        }
    }
    reading->number = (uint64_t)postgres_row_int8(row, 0);
    remember(reading->store->catalogue, &spec, reading->number);
    reading->seen++;
    if (!reading->name) reading->link->delivered = true;
    return reading->visit(reading->context, &spec, err);
}

static enum status read_collections(void *context, struct postgres_link *link, uint64_t deadline_ns,
                                    struct error *err) {
    struct reading *reading = context;
    struct postgres_query query;
    postgres_query_init(&query);
    postgres_query_add(&query, "SELECT number, name, model, model_digest, dim, precision, "
                               "field_paths, field_kinds FROM clipd_collections ");
    if (reading->name)
        postgres_query_add(&query, "WHERE name = $%u::text",
                           postgres_query_bytes(&query, bytes_of(reading->name)));
    else
        postgres_query_add(&query, "ORDER BY name");
    query.visit = take_collection;
    query.context = reading;
    reading->link = link;
    reading->seen = 0;
    enum status status = postgres_link_run(link, &query, 1, deadline_ns, err);
    postgres_query_free(&query);
    return status;
}

static enum status keep_spec(void *context, const struct collection_spec *spec, struct error *err) {
    (void)err;
    *(struct collection_spec *)context = *spec;
    return STATUS_OK;
}

static enum status tell_missing(const char *name, struct error *err) {
    return error_set(err, STATUS_NOT_FOUND, "there is no collection \"%s\"", name);
}

enum status postgres_catalogue_describe(void *self, const char *name, struct collection_spec *out,
                                        struct error *err) {
    struct postgres_store *store = self;
    enum postgres_fault fault;
    struct reading reading = {.store = store, .name = name, .visit = keep_spec, .context = out};
    enum status status = postgres_pool_run(store->pool, read_collections, &reading, &fault, err);
    if (status || reading.seen) return status;
    return tell_missing(name, err);
}

enum status postgres_catalogue_list(void *self, collection_visit_fn *visit, void *context,
                                    struct error *err) {
    struct postgres_store *store = self;
    enum postgres_fault fault;
    struct reading reading = {.store = store, .visit = visit, .context = context};
    return postgres_pool_run(store->pool, read_collections, &reading, &fault, err);
}

/* ---- making ---- */

struct making {
    struct postgres_store *store;
    const struct collection_spec *spec;
    struct collection_spec has;
    uint64_t number; /* of what was put in, by this try or one before; 0: nothing */
    bool created;
};

static enum status take_number(void *context, const struct pg_result *row, struct error *err) {
    (void)err;
    *(uint64_t *)context = (uint64_t)postgres_row_int8(row, 0);
    return STATUS_OK;
}

static enum status insert_row(struct postgres_link *link, const struct collection_spec *spec,
                              uint64_t *number, uint64_t deadline_ns, struct error *err) {
    struct postgres_query query;
    postgres_query_init(&query);
    unsigned name = postgres_query_bytes(&query, bytes_of(spec->name));
    unsigned model = postgres_query_bytes(&query, bytes_of(spec->model));
    unsigned digest = postgres_query_bytes(&query, bytes_of(spec->model_digest));
    unsigned dim = postgres_query_int8(&query, spec->dim);
    unsigned precision = postgres_query_int8(&query, spec->precision);
    unsigned paths = postgres_query_array(&query, POSTGRES_TEXT, spec->fields_count);
    for (size_t i = 0; i < spec->fields_count; i++)
        postgres_query_element(&query, bytes_of(spec->fields[i].path));
    unsigned names = postgres_query_array(&query, POSTGRES_TEXT, spec->fields_count);
    for (size_t i = 0; i < spec->fields_count; i++)
        postgres_query_element(&query, bytes_of(kinds[spec->fields[i].kind]));
    postgres_query_add(&query,
                       "INSERT INTO clipd_collections (name, model, model_digest, dim, precision, "
                       "field_paths, field_kinds) VALUES ($%u::text, $%u::text, $%u::text, "
                       "$%u::int8, $%u::int8, $%u::text[], $%u::text[]) RETURNING number",
                       name, model, digest, dim, precision, paths, names);
    query.visit = take_number;
    query.context = number;
    enum status status = postgres_link_run(link, &query, 1, deadline_ns, err);
    postgres_query_free(&query);
    return status;
}

static enum status make_table(struct postgres_link *link, const struct collection_spec *spec,
                              uint64_t number, uint64_t deadline_ns, struct error *err) {
    struct postgres_query *queries = calloc(POSTGRES_SCHEMA_STATEMENTS_MAX, sizeof(*queries));
    if (!queries) return error_set(err, STATUS_NO_MEMORY, "out of memory for a table");
    size_t count = postgres_schema_make_table(queries, number, spec);
    enum status status = STATUS_OK;
    for (size_t i = 0; i < count; i++) {
        if (!status) status = postgres_link_run(link, &queries[i], 1, deadline_ns, err);
        postgres_query_free(&queries[i]);
    }
    free(queries);
    return status;
}

/* One at a time, whichever replica: a second one of the same name waits, and finds it there. */
static enum status create(void *context, struct postgres_link *link, uint64_t deadline_ns,
                          struct error *err) {
    struct making *making = context;
    struct reading reading = {.store = making->store,
                              .name = making->spec->name,
                              .visit = keep_spec,
                              .context = &making->has};
    enum status status = postgres_link_do(link, "BEGIN", deadline_ns, err);
    if (!status) status = postgres_link_do(link, postgres_schema_lock, deadline_ns, err);
    if (!status) status = read_collections(&reading, link, deadline_ns, err);
    if (!status && !reading.seen) {
        status = insert_row(link, making->spec, &making->number, deadline_ns, err);
        if (!status) status = make_table(link, making->spec, making->number, deadline_ns, err);
    }
    making->created = !reading.seen || reading.number == making->number;
    return status ? status : postgres_link_commit(link, deadline_ns, err);
}

enum status postgres_catalogue_create(void *self, const struct collection_spec *spec, bool *created,
                                      struct error *err) {
    struct postgres_store *store = self;
    enum postgres_fault fault;
    struct making making = {.store = store, .spec = spec};
    *created = false;
    enum status status = postgres_pool_run(store->pool, create, &making, &fault, err);
    if (status) return status;
    *created = making.created;
    return making.created ? STATUS_OK : collection_compare(&making.has, spec, err);
}

/* ---- dropping ---- */

struct dropping {
    const char *name;
    uint64_t number; /* of what was dropped, by this try or one before; 0: nothing */
};

static enum status drop(void *context, struct postgres_link *link, uint64_t deadline_ns,
                        struct error *err) {
    struct dropping *dropping = context;
    char sql[256];
    uint64_t number = 0;
    struct postgres_query query;
    postgres_query_init(&query);
    postgres_query_add(&query,
                       "DELETE FROM clipd_collections WHERE name = $%u::text "
                       "RETURNING number",
                       postgres_query_bytes(&query, bytes_of(dropping->name)));
    query.visit = take_number;
    query.context = &number;
    enum status status = postgres_link_do(link, "BEGIN", deadline_ns, err);
    if (!status) status = postgres_link_do(link, postgres_schema_lock, deadline_ns, err);
    if (!status) status = postgres_link_run(link, &query, 1, deadline_ns, err);
    postgres_query_free(&query);
    if (!status && number) {
        /* Who builds its index holds the table for long. */
        snprintf(sql, sizeof(sql),
                 "SELECT pg_cancel_backend(pid) FROM pg_stat_progress_create_index "
                 "WHERE relid = to_regclass('clipd_items_%llu') AND datname = current_database()",
                 (unsigned long long)number);
        status = postgres_link_do(link, sql, deadline_ns, err);
        snprintf(sql, sizeof(sql), "DROP TABLE clipd_items_%llu", (unsigned long long)number);
        if (!status) status = postgres_link_do(link, sql, deadline_ns, err);
        if (!status) dropping->number = number;
    }
    return status ? status : postgres_link_commit(link, deadline_ns, err);
}

enum status postgres_catalogue_drop(void *self, const char *name, struct error *err) {
    struct postgres_store *store = self;
    enum postgres_fault fault;
    struct dropping dropping = {.name = name};
    enum status status = postgres_pool_run(store->pool, drop, &dropping, &fault, err);
    if (status || dropping.number) return status;
    return tell_missing(name, err);
}

/* ---- the approximate index ---- */

struct look {
    uint64_t number, from;
    bool indexed, due; /* due: it is large enough for one */
};

static enum status take_indexed(void *context, const struct pg_result *row, struct error *err) {
    (void)err;
    struct look *look = context;
    look->indexed = postgres_row_bool(row, 0);
    look->due = !look->indexed && postgres_row_bool(row, 1);
    return STATUS_OK;
}

static enum status look(void *context, struct postgres_link *link, uint64_t deadline_ns,
                        struct error *err) {
    struct look *look = context;
    struct postgres_query query;
    postgres_query_init(&query);
    unsigned number = postgres_query_int8(&query, (int64_t)look->number);
    unsigned from = postgres_query_float8(&query, (double)look->from);
    postgres_query_add(&query,
                       "SELECT EXISTS (SELECT FROM pg_index WHERE indisvalid AND indexrelid = "
                       "to_regclass('clipd_items_' || $%u::int8 || '_hnsw')), "
                       "EXISTS (SELECT FROM pg_class WHERE reltuples >= $%u::float8 AND oid = "
                       "to_regclass('clipd_items_' || $%u::int8))",
                       number, from, number);
    query.visit = take_indexed;
    query.context = look;
    enum status status = postgres_link_run(link, &query, 1, deadline_ns, err);
    postgres_query_free(&query);
    return status;
}

enum status postgres_catalogue_is_indexed(struct postgres_store *store,
                                          const struct collection_spec *spec, uint64_t number,
                                          bool *out, struct error *err) {
    struct postgres_catalogue *catalogue = store->catalogue;
    struct known known;
    uint64_t now = clock_now_ns();
    if (recall(catalogue, spec, &known) && known.number == number && known.looked_ns &&
        now - known.looked_ns < (uint64_t)INDEXED_FOR_MS * CLOCK_NS_PER_MS) {
        *out = known.indexed;
        return STATUS_OK;
    }
    struct look context = {.number = number, .from = store->approximate_from};
    enum postgres_fault fault;
    enum status status = postgres_pool_run(store->pool, look, &context, &fault, err);
    if (status) return status;
    pthread_mutex_lock(&catalogue->lock);
    struct known *entry = find(catalogue, spec->name);
    if (entry && entry->number == number) {
        entry->indexed = context.indexed;
        entry->looked_ns = now;
    }
    pthread_mutex_unlock(&catalogue->lock);
    *out = context.indexed;
    /* Whoever should have built it may have died over it. */
    if (context.due) postgres_builder_want(store->builder, number, spec->dim, false);
    return STATUS_OK;
}

bool postgres_catalogue_note_upsert(struct postgres_store *store,
                                    const struct collection_spec *spec, uint64_t inserted) {
    struct postgres_catalogue *catalogue = store->catalogue;
    if (store->approximate_from == UINT64_MAX || !inserted) return false;
    pthread_mutex_lock(&catalogue->lock);
    struct known *known = find(catalogue, spec->name);
    /* Now and then: counting the items takes time. */
    bool due = known && (known->inserted += inserted) > store->approximate_from / 10;
    if (due) known->inserted = 0;
    pthread_mutex_unlock(&catalogue->lock);
    return due;
}

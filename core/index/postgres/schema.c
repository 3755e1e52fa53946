#include "core/index/postgres/schema.h"

#include <stdio.h>
#include <string.h>

#include "core/base/log.h"
#include "core/index/postgres/filter.h"

enum {
    SERVER_MIN = 160000, /* pg_input_is_valid() */
    /* Up to here two embeddings fit on a page of 8 KiB, and the exact scan is faster when they
     * are there; larger ones are moved out of line by PostgreSQL. */
    INLINE_DIM_MAX = 900,
};

/* Its number is "clipd" in ASCII. */
const char postgres_schema_lock[] = "SELECT pg_advisory_xact_lock(427020611684)";

/* What version 1 has. A later one adds its own list; the version is the number of lists. */
static const char *const version_1[] = {
    "CREATE TABLE clipd_collections ("
    "number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "
    "name text COLLATE \"C\" NOT NULL UNIQUE, "
    "model text NOT NULL, model_digest text NOT NULL, "
    "dim int NOT NULL, precision int NOT NULL, "
    "field_paths text[] NOT NULL, field_kinds text[] NOT NULL, "
    "created timestamptz NOT NULL DEFAULT now())",
};

/* ---- migration ---- */

struct server {
    int64_t version, schema_version;
    char encoding[16];
    int extension[3]; /* of pgvector; -1: not there */
    bool visible;     /* its type is found by its bare name */
};

static enum status take_server(void *context, const struct pg_result *row, struct error *err) {
    (void)err;
    struct server *server = context;
    struct bytes encoding = postgres_row_bytes(row, 1), extension = postgres_row_bytes(row, 2);
    char text[32];
    server->version = postgres_row_int8(row, 0);
    snprintf(server->encoding, sizeof(server->encoding), "%.*s", (int)encoding.size,
             (const char *)encoding.data);
    snprintf(text, sizeof(text), "%.*s", (int)extension.size, (const char *)extension.data);
    int *part = server->extension;
    if (sscanf(text, "%d.%d.%d", &part[0], &part[1], &part[2]) < 2) part[0] = -1;
    server->visible = postgres_row_bool(row, 3);
    return STATUS_OK;
}

static enum status take_bool(void *context, const struct pg_result *row, struct error *err) {
    (void)err;
    *(bool *)context = postgres_row_bool(row, 0);
    return STATUS_OK;
}

static enum status take_version(void *context, const struct pg_result *row, struct error *err) {
    (void)err;
    *(int64_t *)context = postgres_row_int8(row, 0);
    return STATUS_OK;
}

/* Runs one statement and hands its rows to `visit`. */
static enum status ask(struct postgres_link *link, const char *sql, postgres_row_fn *visit,
                       void *context, uint64_t deadline_ns, struct error *err) {
    struct postgres_query query;
    postgres_query_init(&query);
    postgres_query_add(&query, "%s", sql);
    query.once = true;
    query.visit = visit;
    query.context = context;
    enum status status = postgres_link_run(link, &query, 1, deadline_ns, err);
    postgres_query_free(&query);
    return status;
}

static bool is_before(const int version[3], int major, int minor, int patch) {
    if (version[0] != major) return version[0] < major;
    return version[1] != minor ? version[1] < minor : version[2] < patch;
}

static enum status look_at_server(struct postgres_link *link, struct server *server,
                                  uint64_t deadline_ns, struct error *err) {
    *server = (struct server){.extension = {-1, 0, 0}};
    return ask(link,
               "SELECT current_setting('server_version_num')::int8, "
               "current_setting('server_encoding'), coalesce((SELECT extversion "
               "FROM pg_extension WHERE extname = 'vector'), ''), to_regtype('vector') IS NOT NULL",
               take_server, server, deadline_ns, err);
}

static enum status check_server(struct postgres_link *link, struct server *server,
                                uint64_t deadline_ns, struct error *err) {
    enum status status = look_at_server(link, server, deadline_ns, err);
    if (status) return status;
    if (server->version < SERVER_MIN)
        return error_set(err, STATUS_UNSUPPORTED, "PostgreSQL has version %d, expected 16 or later",
                         (int)(server->version / 10000));
    if (strcmp(server->encoding, "UTF8") != 0)
        return error_set(err, STATUS_UNSUPPORTED, "the database's encoding is %s, expected UTF8",
                         server->encoding);
    if (server->extension[0] < 0) {
        status = postgres_link_do(link, "CREATE EXTENSION IF NOT EXISTS vector", deadline_ns, err);
        if (!status) status = look_at_server(link, server, deadline_ns, err);
        if (status) return status;
    }
    if (is_before(server->extension, 0, 8, 0))
        return error_set(err, STATUS_UNSUPPORTED, "pgvector has version %d.%d.%d, expected 0.8.0",
                         server->extension[0], server->extension[1], server->extension[2]);
    if (!server->visible)
        return error_set(err, STATUS_UNSUPPORTED,
                         "pgvector is in a schema that search_path does not name, expected such as "
                         "options=-csearch_path%%3Dclips,public");
    return STATUS_OK;
}

/* "IF NOT EXISTS" would fail on a read-only replica, for which there is nothing to do. */
static enum status bring_up_to_date(struct postgres_link *link, uint64_t deadline_ns,
                                    struct error *err) {
    int64_t version = 0;
    bool there = false;
    enum status status = ask(link,
                             "SELECT EXISTS (SELECT FROM pg_tables WHERE schemaname = "
                             "current_schema() AND tablename = 'clipd_schema')",
                             take_bool, &there, deadline_ns, err);
    if (!status && !there)
        status = postgres_link_do(link, "CREATE TABLE clipd_schema (version bigint NOT NULL)",
                                  deadline_ns, err);
    if (!status)
        status = ask(link, "SELECT coalesce(max(version), 0) FROM clipd_schema", take_version,
                     &version, deadline_ns, err);
    if (status || version == POSTGRES_SCHEMA_VERSION) return status;
    if (version > POSTGRES_SCHEMA_VERSION)
        return error_set(err, STATUS_UNSUPPORTED,
                         "the database's schema has version %d, this program knows %d",
                         (int)version, POSTGRES_SCHEMA_VERSION);
    for (size_t i = 0; i < sizeof(version_1) / sizeof(*version_1) && !status; i++)
        status = postgres_link_do(link, version_1[i], deadline_ns, err);
    if (status) return status;
    char insert[64];
    snprintf(insert, sizeof(insert), "INSERT INTO clipd_schema VALUES (%d)",
             POSTGRES_SCHEMA_VERSION);
    return postgres_link_do(link, insert, deadline_ns, err);
}

static enum status migrate(void *context, struct postgres_link *link, uint64_t deadline_ns,
                           struct error *err) {
    enum status status = postgres_link_do(link, "BEGIN", deadline_ns, err);
    if (!status) status = postgres_link_do(link, postgres_schema_lock, deadline_ns, err);
    if (!status) status = check_server(link, context, deadline_ns, err);
    if (!status) status = bring_up_to_date(link, deadline_ns, err);
    return status ? status : postgres_link_commit(link, deadline_ns, err);
}

enum status postgres_schema_migrate(struct postgres_pool *pool, struct error *err) {
    struct server server;
    enum postgres_fault fault;
    enum status status = postgres_pool_run(pool, migrate, &server, &fault, err);
    if (status) return status;
    /* Connections of before do not know the extension's type. */
    postgres_pool_renew(pool);
    if (is_before(server.extension, 0, 8, 4))
        log_message(LOG_WARNING,
                    "pgvector %d.%d.%d has faults in parallel index builds and in vacuuming "
                    "that 0.8.4 mends: update it",
                    server.extension[0], server.extension[1], server.extension[2]);
    return STATUS_OK;
}

/* ---- a collection's table ---- */

static struct postgres_query *next(struct postgres_query *queries, size_t *count) {
    struct postgres_query *query = &queries[(*count)++];
    postgres_query_init(query);
    query->once = true;
    return query;
}

/* What filter.c asks for a field of that kind. */
static void make_field_indexes(struct postgres_query *queries, size_t *count, uint64_t number,
                               const struct collection_field *field) {
    const char *create = "CREATE INDEX ON clipd_items_%llu USING ";
    unsigned long long table = number;
    struct postgres_query *query = next(queries, count);
    postgres_query_add(query, create, table);
    if (field->kind == COLLECTION_NUMBER) {
        postgres_query_add(query, "btree ((");
        postgres_filter_add_number(query, field->path);
        postgres_query_add(query, "))");
        query = next(queries, count);
        postgres_query_add(query, create, table);
        postgres_query_add(query, "btree (id) WHERE ");
        postgres_filter_add_is_array(query, field->path);
        return;
    }
    postgres_query_add(query, "gin ((");
    postgres_filter_add_field(query, field->path);
    postgres_query_add(query, "))");
    if (field->kind != COLLECTION_TEXT) return;
    query = next(queries, count);
    postgres_query_add(query, create, table);
    postgres_query_add(query, "btree ((");
    postgres_filter_add_prefix(query, field->path);
    postgres_query_add(query, ") COLLATE \"C\")");
}

/* Embeddings, ids and what filters look at stay in the row, where the exact scan reads them;
 * the rest moves out of line as soon as the row is long. Numbers that no double can hold would
 * make every filter fail that meets them. */
size_t postgres_schema_make_table(struct postgres_query *queries, uint64_t number,
                                  const struct collection_spec *spec) {
    size_t count = 0;
    unsigned long long table = number;
    postgres_query_add(next(queries, &count),
                       "CREATE TABLE clipd_items_%llu ("
                       "id text COLLATE \"C\" PRIMARY KEY, "
                       "embedding vector(%u) STORAGE %s NOT NULL, "
                       "metadata jsonb STORAGE MAIN NOT NULL "
                       "CHECK (jsonb_typeof(metadata) = 'object' AND NOT %s), "
                       "metadata_text text NOT NULL, " /* as it was put in */
                       "text text, thumbnail bytea STORAGE EXTERNAL, digest bytea, "
                       "revision bigint NOT NULL DEFAULT 0)", /* how often it was put in again */
                       table, spec->dim, spec->dim <= INLINE_DIM_MAX ? "PLAIN" : "EXTERNAL",
                       postgres_filter_bad_numbers);
    postgres_query_add(next(queries, &count),
                       "CREATE INDEX ON clipd_items_%llu USING gin (to_tsvector('simple', text)) "
                       "WHERE text IS NOT NULL",
                       table);
    for (size_t i = 0; i < spec->fields_count; i++)
        make_field_indexes(queries, &count, number, &spec->fields[i]);
    return count;
}

void postgres_schema_add_index(struct postgres_query *query, uint64_t number, uint32_t dim) {
    unsigned long long table = number;
    query->once = true;
    postgres_query_add(query,
                       "CREATE INDEX CONCURRENTLY clipd_items_%llu_hnsw ON clipd_items_%llu USING "
                       "hnsw ((embedding::halfvec(%u)) halfvec_cosine_ops) "
                       "WITH (m = 16, ef_construction = 64)",
                       table, table, dim);
}

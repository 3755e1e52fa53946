#include "core/index/postgres/index.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/index/postgres/schema.h"

enum {
    WANTS_MAX = 64, /* more are dropped; the next upsert asks again */
    EXACT_COUNT_MAX = 1000000,
    LOCK_CLASS = 0x636C6970, /* "clip" */
    MEMORY_MAX_KB = 1 << 20,
    FAILURES_MAX = 64,
    PAUSE_S = 60, /* after the first failure; then twice that, and so on */
    PAUSE_DOUBLINGS_MAX = 6,
};

struct want {
    uint64_t number;
    uint32_t dim;
    bool anew;
};

/* Builds of one collection that have failed, one after the other. */
struct failure {
    uint64_t number;
    uint32_t doublings;
    uint64_t until_ns; /* not before; 0: none has failed */
};

struct postgres_builder {
    struct postgres_store *store;
    pthread_t thread;
    pthread_mutex_t lock; /* protects what follows */
    pthread_cond_t changed;
    struct want wants[WANTS_MAX];
    size_t count;
    struct want now; /* being built; number 0: none */
    struct failure failures[FAILURES_MAX];
    bool stop;
};

/* ---- building ---- */

/* What there is of an index. */
struct state {
    bool locked, exists, valid;
    bool whole; /* not split into partitions, whose index cannot be built like this */
    int64_t items;
};

static enum status take_state(void *context, const struct pg_result *row, struct error *err) {
    (void)err;
    struct state *state = context;
    state->locked = postgres_row_bool(row, 0);
    state->exists = postgres_row_bool(row, 1);
    state->valid = postgres_row_bool(row, 2);
    state->whole = postgres_row_bool(row, 3);
    return STATUS_OK;
}

static enum status take_items(void *context, const struct pg_result *row, struct error *err) {
    (void)err;
    *(int64_t *)context = postgres_row_int8(row, 0);
    return STATUS_OK;
}

/* A statement of the builder, which takes as long as it takes. */
static enum status run_one(struct postgres_link *link, struct postgres_query *query,
                           struct error *err) {
    query->once = true;
    enum status status = postgres_link_run(link, query, 1, CLOCK_NEVER, err);
    postgres_query_free(query);
    return status;
}

/* Takes the collection's lock if nobody has it, for as long as the connection lives. */
static enum status read_state(struct postgres_link *link, uint64_t number, struct state *state,
                              struct error *err) {
    struct postgres_query query;
    unsigned long long table = number;
    postgres_query_init(&query);
    postgres_query_add(&query,
                       "SELECT pg_try_advisory_lock(%d, %d), count(*) > 0, "
                       "coalesce(bool_and(indisvalid), false), "
                       "EXISTS (SELECT FROM pg_class WHERE relkind = 'r' AND "
                       "oid = to_regclass('clipd_items_%llu')) FROM pg_index "
                       "WHERE indexrelid = to_regclass('clipd_items_%llu_hnsw')",
                       LOCK_CLASS, (int)(number % INT32_MAX), table, table);
    query.visit = take_state;
    query.context = state;
    return run_one(link, &query, err);
}

static enum status count_items(struct postgres_link *link, uint64_t number, int64_t *out,
                               struct error *err) {
    struct postgres_query query;
    postgres_query_init(&query);
    postgres_query_add(&query, "SELECT count(*) FROM clipd_items_%llu", (unsigned long long)number);
    query.visit = take_items;
    query.context = out;
    return run_one(link, &query, err);
}

/* A graph that does not fit into this memory is built many times more slowly: what it needs by
 * measurement, up to a limit, unless the database allows more anyway. */
static enum status allow_memory(struct postgres_link *link, int64_t items, uint32_t dim,
                                struct error *err) {
    struct postgres_query query;
    int64_t kilobytes = items * (2 * (int64_t)dim + 512) / 1024 * 5 / 4;
    postgres_query_init(&query);
    postgres_query_add(&query,
                       "SELECT set_config('maintenance_work_mem', greatest(%lld, "
                       "pg_size_bytes(current_setting('maintenance_work_mem')) / 1024)::text, "
                       "false)",
                       (long long)(kilobytes < MEMORY_MAX_KB ? kilobytes : MEMORY_MAX_KB));
    return run_one(link, &query, err);
}

/* "CONCURRENTLY": else it waits for whoever reads the table, and all others wait for it. */
static enum status drop_index(struct postgres_link *link, uint64_t number, const char *suffix,
                              struct error *err) {
    struct postgres_query query;
    postgres_query_init(&query);
    postgres_query_add(&query, "DROP INDEX CONCURRENTLY IF EXISTS clipd_items_%llu_hnsw%s",
                       (unsigned long long)number, suffix);
    return run_one(link, &query, err);
}

/* Clears away what was left by somebody who died over it, and makes the index. */
static enum status make_index(struct postgres_link *link, const struct want *want,
                              const struct state *state, struct error *err) {
    struct postgres_query query;
    enum status status = drop_index(link, want->number, "_ccnew", err);
    if (!status) status = drop_index(link, want->number, "_ccold", err);
    if (!status && state->exists && !state->valid) status = drop_index(link, want->number, "", err);
    if (status) return status;
    postgres_query_init(&query);
    if (state->valid)
        postgres_query_add(&query, "REINDEX INDEX CONCURRENTLY clipd_items_%llu_hnsw",
                           (unsigned long long)want->number);
    else
        postgres_schema_add_index(&query, want->number, want->dim);
    return run_one(link, &query, err);
}

/* Several processes build in shared memory, of which a container may have little. */
static enum status make_index_alone(struct postgres_link *link, const struct want *want,
                                    struct state *state, struct error *err) {
    enum status status =
        postgres_link_do(link, "SET max_parallel_maintenance_workers = 0", CLOCK_NEVER, err);
    if (!status) status = read_state(link, want->number, state, err);
    return status ? status : make_index(link, want, state, err);
}

/* state->valid is whether there is an index, if it is known. */
static enum status build(const struct postgres_builder *builder, struct postgres_link *link,
                         const struct want *want, struct state *state, struct error *err) {
    struct error own = ERROR_NONE;
    enum status status = postgres_link_do(link, "SET statement_timeout = 0", CLOCK_NEVER, err);
    if (!status) status = read_state(link, want->number, state, err);
    if (status || !state->locked || (state->valid && !want->anew)) return status;
    if (!state->valid && !state->whole) return STATUS_OK;
    status = count_items(link, want->number, &state->items, err);
    if (!status && !state->valid && (uint64_t)state->items < builder->store->approximate_from)
        return STATUS_OK;
    if (!status) status = allow_memory(link, state->items, want->dim, err);
    if (status) return status;
    status = make_index(link, want, state, &own);
    if (status && link->fault == POSTGRES_FAULT_SPACE) {
        log_message(LOG_WARNING,
                    "collections: one process builds the index of clipd_items_%llu: %s",
                    (unsigned long long)want->number, own.message);
        own = ERROR_NONE;
        status = make_index_alone(link, want, state, &own);
    }
    if (status) return error_pass(err, &own);
    state->valid = true;
    return STATUS_OK;
}

/* ---- what is wanted, and what has failed ---- */

/* Of that collection, or else the one that can best be forgotten. With the lock. */
static struct failure *find_failure(struct postgres_builder *builder, uint64_t number) {
    struct failure *found = &builder->failures[0];
    for (size_t i = 0; i < FAILURES_MAX; i++) {
        struct failure *failure = &builder->failures[i];
        if (failure->number == number) return failure;
        if (failure->until_ns < found->until_ns) found = failure;
    }
    return found;
}

static void forget_failures(struct postgres_builder *builder, uint64_t number) {
    pthread_mutex_lock(&builder->lock);
    struct failure *failure = find_failure(builder, number);
    if (failure->number == number) *failure = (struct failure){0};
    pthread_mutex_unlock(&builder->lock);
}

/* Its place among what is wanted; builder->count if it is not. With the lock. */
static size_t find_want(const struct postgres_builder *builder, uint64_t number) {
    size_t i = 0;
    while (i < builder->count && builder->wants[i].number != number) i++;
    return i;
}

/* For how many seconds. What searches have asked for during the build is put off, too. */
static uint32_t put_off(struct postgres_builder *builder, uint64_t number) {
    pthread_mutex_lock(&builder->lock);
    struct failure *failure = find_failure(builder, number);
    if (failure->number != number)
        *failure = (struct failure){.number = number};
    else if (failure->doublings < PAUSE_DOUBLINGS_MAX)
        failure->doublings++;
    uint32_t pause_s = (uint32_t)PAUSE_S << failure->doublings;
    failure->until_ns = clock_deadline(pause_s * 1000);
    size_t i = find_want(builder, number);
    if (i < builder->count && !builder->wants[i].anew)
        builder->wants[i] = builder->wants[--builder->count];
    pthread_mutex_unlock(&builder->lock);
    return pause_s;
}

/* With the lock. */
static bool is_put_off(struct postgres_builder *builder, uint64_t number) {
    const struct failure *failure = find_failure(builder, number);
    return failure->number == number && clock_now_ns() < failure->until_ns;
}

/* ---- the thread ---- */

static bool is_stopped(struct postgres_builder *builder) {
    pthread_mutex_lock(&builder->lock);
    bool stop = builder->stop;
    pthread_mutex_unlock(&builder->lock);
    return stop;
}

static void work_off(struct postgres_builder *builder, const struct want *want) {
    struct error err = ERROR_NONE;
    struct state state = {0};
    struct postgres_link *link = NULL;
    enum status status = postgres_pool_open_link(builder->store->pool, &link, &err);
    /* Only a connection that was there when destroy() came is given up by it. */
    if (!status && !is_stopped(builder)) {
        status = build(builder, link, want, &state, &err);
        /* A collection may be dropped at any time. */
        if (link->fault == POSTGRES_FAULT_MISSING) status = STATUS_OK;
    }
    postgres_link_close(link);
    if (!status && state.valid) forget_failures(builder, want->number);
    if (status && !is_stopped(builder))
        log_message(LOG_WARNING,
                    "collections: no index of clipd_items_%llu: %s; not tried again for %u s",
                    (unsigned long long)want->number, err.message, put_off(builder, want->number));
}

static void *run_builder(void *context) {
    struct postgres_builder *builder = context;
    pthread_mutex_lock(&builder->lock);
    for (;;) {
        while (!builder->stop && !builder->count)
            pthread_cond_wait(&builder->changed, &builder->lock);
        if (builder->stop) break;
        struct want want = builder->now = builder->wants[--builder->count];
        pthread_mutex_unlock(&builder->lock);
        work_off(builder, &want);
        pthread_mutex_lock(&builder->lock);
        builder->now = (struct want){0};
    }
    pthread_mutex_unlock(&builder->lock);
    return NULL;
}

void postgres_builder_want(struct postgres_builder *builder, uint64_t number, uint32_t dim,
                           bool anew) {
    if (dim > POSTGRES_INDEXED_DIM_MAX) return;
    pthread_mutex_lock(&builder->lock);
    size_t i = find_want(builder, number);
    if (i < WANTS_MAX && (anew || !is_put_off(builder, number))) {
        bool before = i < builder->count && builder->wants[i].anew;
        builder->wants[i] = (struct want){.number = number, .dim = dim, .anew = anew || before};
        if (i == builder->count) builder->count++;
        pthread_cond_signal(&builder->changed);
    }
    pthread_mutex_unlock(&builder->lock);
}

enum status postgres_builder_create(struct postgres_builder **out, struct postgres_store *store,
                                    struct error *err) {
    struct postgres_builder *builder = calloc(1, sizeof(*builder));
    if (!builder) return error_set(err, STATUS_NO_MEMORY, "out of memory for a thread");
    builder->store = store;
    pthread_mutex_init(&builder->lock, NULL);
    pthread_cond_init(&builder->changed, NULL);
    if (pthread_create(&builder->thread, NULL, run_builder, builder) == 0) {
        *out = builder;
        return STATUS_OK;
    }
    pthread_cond_destroy(&builder->changed);
    pthread_mutex_destroy(&builder->lock);
    free(builder);
    return error_set(err, STATUS_NO_MEMORY, "cannot start a thread");
}

void postgres_builder_destroy(struct postgres_builder *builder) {
    if (!builder) return;
    pthread_mutex_lock(&builder->lock);
    builder->stop = true;
    pthread_cond_signal(&builder->changed);
    pthread_mutex_unlock(&builder->lock);
    postgres_pool_renew(builder->store->pool);
    pthread_join(builder->thread, NULL);
    pthread_cond_destroy(&builder->changed);
    pthread_mutex_destroy(&builder->lock);
    free(builder);
}

/* ---- stats ---- */

struct reading {
    uint64_t number;
    struct collection_stats *out;
};

static enum status take_stats(void *context, const struct pg_result *row, struct error *err) {
    (void)err;
    struct collection_stats *out = context;
    bool indexed = postgres_row_bool(row, 2);
    out->items = (uint64_t)postgres_row_int8(row, 0);
    out->bytes_stored = (uint64_t)postgres_row_int8(row, 1);
    out->index = indexed ? "hnsw" : "scan";
    out->indexed = indexed ? out->items : 0;
    out->building = postgres_row_bool(row, 3);
    return STATUS_OK;
}

static enum status read_stats(void *context, struct postgres_link *link, uint64_t deadline_ns,
                              struct error *err) {
    struct reading *reading = context;
    struct postgres_query query;
    unsigned long long table = reading->number;
    postgres_query_init(&query);
    /* Counting a billion items takes minutes; PostgreSQL's own estimate will do for many. */
    postgres_query_add(
        &query,
        "SELECT CASE WHEN reltuples > %d THEN reltuples::int8 "
        "ELSE (SELECT count(*) FROM clipd_items_%llu) END, "
        "pg_total_relation_size(oid) + coalesce((SELECT sum(pg_total_relation_size(inhrelid)) "
        "FROM pg_inherits WHERE inhparent = pg_class.oid), 0)::int8, "
        "EXISTS (SELECT FROM pg_index WHERE indisvalid AND indexrelid = "
        "to_regclass('clipd_items_%llu_hnsw')), "
        "EXISTS (SELECT FROM pg_stat_progress_create_index WHERE relid = pg_class.oid "
        "AND datname = current_database()) "
        "FROM pg_class WHERE oid = 'clipd_items_%llu'::regclass",
        EXACT_COUNT_MAX, table, table, table);
    query.visit = take_stats;
    query.context = reading->out;
    enum status status = postgres_link_run(link, &query, 1, deadline_ns, err);
    postgres_query_free(&query);
    return status;
}

enum status postgres_index_stats(void *self, const struct collection_spec *spec,
                                 struct collection_stats *out, struct error *err) {
    struct postgres_store *store = self;
    struct reading reading = {.out = out};
    enum status status = postgres_store_find(store, spec, &reading.number, err);
    if (!status) status = postgres_store_run(store, spec, read_stats, &reading, err);
    if (status) return status;
    pthread_mutex_lock(&store->builder->lock);
    if (store->builder->now.number == reading.number) out->building = true;
    if (find_want(store->builder, reading.number) < store->builder->count) out->building = true;
    pthread_mutex_unlock(&store->builder->lock);
    return STATUS_OK;
}

enum status postgres_index_reindex(void *self, const struct collection_spec *spec,
                                   struct error *err) {
    struct postgres_store *store = self;
    uint64_t number;
    enum status status = postgres_store_find(store, spec, &number, err);
    if (!status) postgres_builder_want(store->builder, number, spec->dim, true);
    return status;
}

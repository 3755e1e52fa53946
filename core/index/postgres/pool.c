#include "core/index/postgres/pool.h"

#include <libpq-fe.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/log.h"

enum {
    LOOK_EVERY_MS = 200,
    LOOK_TIMEOUT_MS = 600, /* with LOOK_EVERY_MS less than GIVE_UP_MS */
    GIVE_UP_MS = 900,      /* for a connection; also, how long callers hope for a new primary */
    RETRY_MS = 150,        /* for the keeper's own connection, before all are given up */
    CONNECT_PAUSE_MS = 100,
    ANSWER_MARGIN_MS = 500, /* statement_timeout strikes first, with the better message */
    CONFLICTS_MAX = 6,
    LOSSES_MAX = 1,
    HOSTS_MAX = 16,
};

struct host {
    char *host, *hostaddr, *port; /* NULL: as the URI says */
};

struct postgres_pool {
    struct postgres_pool_options options;
    char *uri; /* our copy of the options' */
    struct host hosts[HOSTS_MAX];
    size_t hosts_count;
    bool writable; /* only a primary will do */
    pthread_t keeper;
    bool keeping;
    struct postgres_link *watch; /* the keeper's */
    _Atomic uint64_t generation; /* raised when connections of before are of no use */

    pthread_mutex_t lock;          /* protects what follows */
    pthread_cond_t changed, look;  /* for callers; for the keeper */
    struct postgres_link **idle;   /* [options.connections] */
    size_t idle_count, open_count; /* open: idle and in use */
    size_t host;                   /* the one in use */
    bool up, stop, suspect;
    uint64_t good_ns;    /* when the database last answered the keeper */
    struct error reason; /* for being down */
};

static uint64_t ms(uint64_t milliseconds) {
    return milliseconds * CLOCK_NS_PER_MS;
}

/* ---- hosts ---- */

/* Takes the next part of a list with commas; NULL when it is empty or over. */
static char *take_part(const char **list) {
    if (!*list) return NULL;
    size_t size = strcspn(*list, ",");
    char *part = size ? strndup(*list, size) : NULL;
    *list = (*list)[size] ? *list + size + 1 : NULL;
    return part;
}

static size_t count_parts(const char *list) {
    size_t count = 1;
    for (; list && *list; list++) count += *list == ',';
    return count;
}

static const char *find_option(const PQconninfoOption *options, const char *key) {
    for (; options->keyword; options++) {
        if (strcmp(options->keyword, key) == 0) return options->val;
    }
    return NULL;
}

/* Splits the URI's hosts: libpq would wait for one that is silent as long as for all, and our
 * deadlines are per host. Keywords from the environment (PGHOST) are left to libpq. */
static enum status read_hosts(struct postgres_pool *pool, struct error *err) {
    char *message = NULL;
    PQconninfoOption *options = PQconninfoParse(pool->options.uri, &message);
    if (!options) {
        /* It might show a password: libpq's message quotes parts of the URI. */
        PQfreemem(message);
        return error_set(err, STATUS_INVALID, "the address of the PostgreSQL is malformed");
    }
    const char *host = find_option(options, "host"), *port = find_option(options, "port");
    const char *hostaddr = find_option(options, "hostaddr");
    const char *session = find_option(options, "target_session_attrs");
    pool->writable =
        !session || strcmp(session, "read-write") == 0 || strcmp(session, "primary") == 0;
    bool one_port = port && !strchr(port, ',');
    size_t count = count_parts(hostaddr ? hostaddr : host);
    enum status status = STATUS_OK;
    if (count > HOSTS_MAX)
        status = error_set(err, STATUS_INVALID, "%zu hosts, the limit is %d", count, HOSTS_MAX);
    for (size_t i = 0; i < count && !status; i++) {
        struct host *to = &pool->hosts[pool->hosts_count++];
        to->host = take_part(&host);
        to->hostaddr = take_part(&hostaddr);
        to->port = one_port ? strdup(port) : take_part(&port);
    }
    PQconninfoFree(options);
    return status;
}

/* `generation` is the one in which `host` was the right one. */
static enum status open_link(struct postgres_pool *pool, struct postgres_link **out, size_t host,
                             uint64_t generation, uint64_t deadline_ns, struct error *err) {
    const struct host *to = &pool->hosts[host];
    struct postgres_address address = {.uri = pool->options.uri,
                                       .host = to->host,
                                       .hostaddr = to->hostaddr,
                                       .port = to->port,
                                       .session = pool->writable ? "read-write" : NULL,
                                       .current = &pool->generation,
                                       .generation = generation};
    return postgres_link_open(out, &address, pool->options.timeout_ms, deadline_ns, err);
}

/* ---- the keeper ---- */

static void close_idle(struct postgres_pool *pool) {
    while (pool->idle_count) {
        postgres_link_close(pool->idle[--pool->idle_count]);
        pool->open_count--;
    }
}

static void set_down(struct postgres_pool *pool, const struct error *reason) {
    pthread_mutex_lock(&pool->lock);
    if (pool->up) log_message(LOG_WARNING, "collections: %s", reason->message);
    pool->up = false;
    pool->reason = *reason;
    atomic_fetch_add(&pool->generation, 1);
    close_idle(pool);
    pthread_cond_broadcast(&pool->changed);
    pthread_mutex_unlock(&pool->lock);
}

static void set_up(struct postgres_pool *pool, size_t host) {
    pthread_mutex_lock(&pool->lock);
    if (!pool->up && pool->reason.status)
        log_message(LOG_INFO, "collections: PostgreSQL answers again");
    pool->up = true;
    pool->host = host;
    pool->suspect = false;
    pool->good_ns = clock_now_ns();
    pthread_cond_broadcast(&pool->changed);
    pthread_mutex_unlock(&pool->lock);
}

static enum status take_read_only(void *context, const struct pg_result *row, struct error *err) {
    (void)context;
    if (!postgres_row_bool(row, 0)) return STATUS_OK;
    return error_set(err, STATUS_UNAVAILABLE, "PostgreSQL: the server takes no writes any more");
}

static enum status ask(struct postgres_pool *pool, struct error *err) {
    struct postgres_query query;
    postgres_query_init(&query);
    postgres_query_add(&query, "SELECT current_setting('transaction_read_only') = 'on'");
    query.visit = pool->writable ? take_read_only : NULL;
    enum status status =
        postgres_link_run(pool->watch, &query, 1, clock_now_ns() + ms(LOOK_TIMEOUT_MS), err);
    postgres_query_free(&query);
    return status;
}

static enum status try_host(struct postgres_pool *pool, size_t host, uint32_t timeout_ms,
                            struct error *err) {
    enum status status = open_link(pool, &pool->watch, host, atomic_load(&pool->generation),
                                   clock_now_ns() + ms(timeout_ms), err);
    if (status) return status;
    pool->watch->current = NULL; /* the keeper decides itself */
    set_up(pool, host);
    return STATUS_OK;
}

/* One look: asks, or tries each host once. */
static enum status look(struct postgres_pool *pool, struct error *err) {
    size_t host = pool->host;
    if (pool->watch) {
        uint64_t start = clock_now_ns();
        enum status status = ask(pool, err);
        if (!status) set_up(pool, host);
        if (!status) return status;
        postgres_link_close(pool->watch);
        pool->watch = NULL;
        /* One connection may break alone; silence is for all. */
        if (clock_now_ns() - start < ms(RETRY_MS) && !try_host(pool, host, RETRY_MS, NULL))
            return STATUS_OK;
        set_down(pool, err);
    }
    struct error last = ERROR_NONE;
    for (size_t i = 0; i < pool->hosts_count; i++) {
        last = ERROR_NONE;
        size_t candidate = (host + i) % pool->hosts_count;
        if (!try_host(pool, candidate, GIVE_UP_MS, &last)) return STATUS_OK;
    }
    return error_pass(err, &last);
}

static void *keep(void *context) {
    struct postgres_pool *pool = context;
    pthread_mutex_lock(&pool->lock);
    while (!pool->stop) {
        uint64_t until = clock_now_ns() + ms(pool->watch ? LOOK_EVERY_MS : CONNECT_PAUSE_MS);
        struct timespec at = clock_timespec(until);
        while (!pool->stop && !pool->suspect && clock_now_ns() < until)
            pthread_cond_clockwait(&pool->look, &pool->lock, CLOCK_MONOTONIC, &at);
        pool->suspect = false;
        if (pool->stop) break;
        pthread_mutex_unlock(&pool->lock);
        struct error err = ERROR_NONE;
        if (look(pool, &err)) set_down(pool, &err);
        pthread_mutex_lock(&pool->lock);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

/* ---- connections ---- */

static void drop_idle(struct postgres_pool *pool) {
    pthread_mutex_lock(&pool->lock);
    close_idle(pool);
    pool->suspect = true;
    pthread_cond_signal(&pool->look);
    pthread_mutex_unlock(&pool->lock);
}

/* Opens one that has been counted already. The lock is free meanwhile. */
static enum status open_counted(struct postgres_pool *pool, struct postgres_link **out,
                                uint64_t deadline_ns, struct error *err) {
    size_t host = pool->host;
    uint64_t generation = atomic_load(&pool->generation);
    pthread_mutex_unlock(&pool->lock);
    enum status status = open_link(pool, out, host, generation, deadline_ns, err);
    pthread_mutex_lock(&pool->lock);
    if (!status) return status;
    pool->open_count--;
    pool->suspect = true;
    pthread_cond_signal(&pool->look);
    return status;
}

/* Waits for a connection. While the database is down, that is until GIVE_UP_MS after it last
 * answered: a fail-over that is fast enough passes unnoticed, and later callers are told
 * at once. */
static enum status acquire(struct postgres_pool *pool, struct postgres_link **out,
                           struct error *err) {
    uint64_t start = clock_now_ns(), give_up = start + ms(GIVE_UP_MS); /* of opening */
    enum status status = STATUS_OK;
    *out = NULL;
    pthread_mutex_lock(&pool->lock);
    while (!*out && !status) {
        uint64_t until = start + ms(pool->options.timeout_ms);
        if (!pool->up) until = (pool->good_ns < start ? pool->good_ns : start) + ms(GIVE_UP_MS);
        if (pool->up && pool->idle_count) {
            *out = pool->idle[--pool->idle_count];
        } else if (pool->up && pool->open_count < pool->options.connections &&
                   clock_now_ns() < give_up) {
            struct error reason = ERROR_NONE;
            pool->open_count++;
            if (!open_counted(pool, out, give_up, &reason)) break;
            struct timespec at = clock_timespec(clock_now_ns() + ms(LOOK_EVERY_MS) / 4);
            pthread_cond_clockwait(&pool->changed, &pool->lock, CLOCK_MONOTONIC, &at);
            if (clock_now_ns() >= give_up) status = error_pass(err, &reason);
        } else if (clock_now_ns() >= until) {
            status = pool->up ? error_set(err, STATUS_OVERLOADED,
                                          "all %u connections to PostgreSQL are busy",
                                          pool->options.connections)
                              : error_pass(err, &pool->reason);
        } else {
            struct timespec at = clock_timespec(until);
            bool busy = pool->up;
            pthread_cond_clockwait(&pool->changed, &pool->lock, CLOCK_MONOTONIC, &at);
            if (!busy) continue;
            /* Who has waited for others has not tried yet. */
            give_up = clock_now_ns() + ms(GIVE_UP_MS);
            if (give_up > until) give_up = until;
        }
    }
    pthread_mutex_unlock(&pool->lock);
    return status;
}

static void release(struct postgres_pool *pool, struct postgres_link *link) {
    pthread_mutex_lock(&pool->lock);
    bool keep_it = postgres_link_is_idle(link) && !pool->stop &&
                   link->generation == atomic_load(&pool->generation);
    if (keep_it)
        pool->idle[pool->idle_count++] = link;
    else
        pool->open_count--;
    pthread_cond_signal(&pool->changed);
    pthread_mutex_unlock(&pool->lock);
    if (!keep_it) postgres_link_close(link);
}

/* So that those who met each other do not meet again. */
static void pause_after_conflict(unsigned conflicts) {
    uint64_t pause = ms(2ULL << conflicts);
    uint64_t jitter = clock_now_ns() * 0x9E3779B97F4A7C15ULL >> 32;
    struct timespec at = clock_timespec(pause / 2 + jitter % pause);
    nanosleep(&at, NULL);
}

/* Whether a failure is worth another try, which it prepares. */
static bool try_again(struct postgres_pool *pool, enum postgres_fault fault, unsigned *conflicts,
                      unsigned *losses) {
    if (fault == POSTGRES_FAULT_CONFLICT && *conflicts < CONFLICTS_MAX) {
        pause_after_conflict((*conflicts)++);
        return true;
    }
    if (fault != POSTGRES_FAULT_LOST || *losses >= LOSSES_MAX) return false;
    ++*losses;
    drop_idle(pool);
    return true;
}

enum status postgres_pool_run(struct postgres_pool *pool, postgres_work_fn *work, void *context,
                              enum postgres_fault *fault, struct error *err) {
    unsigned conflicts = 0, losses = 0;
    uint64_t start = clock_now_ns(), patience = ms(pool->options.timeout_ms);
    for (;;) {
        struct error own = ERROR_NONE;
        struct postgres_link *link;
        *fault = POSTGRES_FAULT_LOST;
        enum status status = acquire(pool, &link, err);
        if (status) return status;
        link->fault = POSTGRES_FAULT_NONE;
        link->delivered = link->unconfirmed = false;
        link->repeated = losses > 0;
        status = work(context, link, clock_now_ns() + patience + ms(ANSWER_MARGIN_MS), &own);
        if (!status && link->unconfirmed) {
            link->fault = POSTGRES_FAULT_LOST;
            status = error_set(&own, STATUS_UNAVAILABLE,
                               "PostgreSQL: the synchronous standby has not confirmed");
        }
        *fault = status ? link->fault : POSTGRES_FAULT_NONE;
        bool final = !status || link->delivered || clock_now_ns() - start > patience;
        release(pool, link);
        if (!status) return STATUS_OK;
        if (final || !try_again(pool, *fault, &conflicts, &losses)) return error_pass(err, &own);
    }
}

enum status postgres_pool_open_link(struct postgres_pool *pool, struct postgres_link **out,
                                    struct error *err) {
    pthread_mutex_lock(&pool->lock);
    size_t host = pool->host;
    uint64_t generation = atomic_load(&pool->generation);
    pthread_mutex_unlock(&pool->lock);
    return open_link(pool, out, host, generation, clock_now_ns() + ms(GIVE_UP_MS), err);
}

/* ---- the pool ---- */

enum status postgres_pool_ping(struct postgres_pool *pool, struct error *err) {
    pthread_mutex_lock(&pool->lock);
    enum status status = pool->up ? STATUS_OK : error_pass(err, &pool->reason);
    pthread_mutex_unlock(&pool->lock);
    return status;
}

uint32_t postgres_pool_timeout_ms(const struct postgres_pool *pool) {
    return pool->options.timeout_ms;
}

void postgres_pool_renew(struct postgres_pool *pool) {
    pthread_mutex_lock(&pool->lock);
    atomic_fetch_add(&pool->generation, 1);
    close_idle(pool);
    pthread_mutex_unlock(&pool->lock);
}

enum status postgres_pool_create(struct postgres_pool **out,
                                 const struct postgres_pool_options *options, struct error *err) {
    struct postgres_pool *pool = calloc(1, sizeof(*pool));
    if (!pool) return error_set(err, STATUS_NO_MEMORY, "out of memory for connections");
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->changed, NULL);
    pthread_cond_init(&pool->look, NULL);
    pool->options = *options;
    pool->options.uri = pool->uri = strdup(options->uri);
    pool->idle = calloc(options->connections, sizeof(struct postgres_link *));
    enum status status = STATUS_OK;
    if (!pool->uri || !pool->idle)
        status = error_set(err, STATUS_NO_MEMORY, "out of memory for connections");
    if (!status) status = read_hosts(pool, err);
    if (!status) status = look(pool, err);
    if (!status) {
        pool->keeping = pthread_create(&pool->keeper, NULL, keep, pool) == 0;
        if (!pool->keeping) status = error_set(err, STATUS_NO_MEMORY, "cannot start a thread");
    }
    if (status)
        postgres_pool_destroy(pool);
    else
        *out = pool;
    return status;
}

void postgres_pool_destroy(struct postgres_pool *pool) {
    if (!pool) return;
    pthread_mutex_lock(&pool->lock);
    pool->stop = true;
    atomic_fetch_add(&pool->generation, 1);
    pthread_cond_signal(&pool->look);
    close_idle(pool);
    pthread_mutex_unlock(&pool->lock);
    if (pool->keeping) pthread_join(pool->keeper, NULL);
    postgres_link_close(pool->watch);
    for (size_t i = 0; i < pool->hosts_count; i++) {
        free(pool->hosts[i].host);
        free(pool->hosts[i].hostaddr);
        free(pool->hosts[i].port);
    }
    pthread_cond_destroy(&pool->look);
    pthread_cond_destroy(&pool->changed);
    pthread_mutex_destroy(&pool->lock);
    free(pool->idle);
    free(pool->uri);
    free(pool);
}

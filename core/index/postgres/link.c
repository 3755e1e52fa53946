#include "core/index/postgres/link.h"

#include <errno.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"

enum { LOOK_UP_MS = 20 }; /* how often a waiting thread looks whether to go on waiting */

/* ---- waiting ---- */

static enum status lose(struct postgres_link *link, struct error *err, const char *why) {
    link->fault = POSTGRES_FAULT_LOST;
    const char *message = why ? why : PQerrorMessage(link->connection);
    int size = (int)strcspn(message, "\n");
    return error_set(err, STATUS_UNAVAILABLE, "PostgreSQL: %.*s", size, message);
}

static bool is_given_up(const struct postgres_link *link) {
    return link->current && atomic_load(link->current) != link->generation;
}

/* Waits until the socket can do one of `events`. */
static enum status wait_for(struct postgres_link *link, short events, uint64_t deadline_ns,
                            struct error *err) {
    struct pollfd fd = {.fd = PQsocket(link->connection), .events = events};
    for (;;) {
        int ready = poll(&fd, 1, LOOK_UP_MS);
        if (ready > 0) return STATUS_OK;
        if (ready < 0 && errno != EINTR) return lose(link, err, "cannot wait for an answer");
        if (is_given_up(link)) return lose(link, err, "the database does not answer");
        if (clock_now_ns() >= deadline_ns) return lose(link, err, "no answer in time");
    }
}

/* ---- failures ---- */

static bool is_one_of(const char *state, const char *states) {
    return *state && strstr(states, state);
}

/* By SQLSTATE, PostgreSQL's appendix A. */
static enum status report(struct postgres_link *link, const struct pg_result *result,
                          struct error *err) {
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    if (!state || !message) return lose(link, err, NULL);
    enum status status = STATUS_INTERNAL;
    link->fault = POSTGRES_FAULT_STATEMENT;
    if (is_one_of(state, "40001 40P01 55P03")) { /* serialisation, deadlock, lock timeout */
        link->fault = POSTGRES_FAULT_CONFLICT;
        status = STATUS_UNAVAILABLE;
    } else if (strcmp(state, "42P01") == 0) {
        link->fault = POSTGRES_FAULT_MISSING;
        status = STATUS_NOT_FOUND;
    } else if (is_one_of(state, "57P01 57P02 57P03 57P05 25006 53300 25P03") ||
               strncmp(state, "08", 2) == 0) {
        /* Shutting down, starting, turned into a standby, out of connections. */
        link->fault = POSTGRES_FAULT_LOST;
        status = STATUS_UNAVAILABLE;
    } else if (strcmp(state, "57014") == 0) {
        status = STATUS_TIMEOUT;
    } else if (strncmp(state, "22", 2) == 0 || strcmp(state, "23514") == 0 ||
               strcmp(state, "54000") == 0) {
        status = STATUS_INVALID;
    } else if (is_one_of(state, "53100 53200")) { /* disk full, out of memory */
        link->fault = POSTGRES_FAULT_SPACE;
        status = STATUS_IO;
    } else if (strncmp(state, "53", 2) == 0 || strncmp(state, "58", 2) == 0) {
        status = STATUS_IO;
    }
    return error_set(err, status, "PostgreSQL: %s (%s)", message, state);
}

/* A wait for the synchronous standby that was cut short ends with success and a warning, but
 * what it has written may be lost with the primary: not what is promised to our callers. Other
 * warnings (of triggers, of transaction ids that run out) say nothing about that. Texts are
 * translated, names of functions are not; without one it may be any. */
static void note(void *context, const struct pg_result *result) {
    bool *unconfirmed = context;
    const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
    const char *function = PQresultErrorField(result, PG_DIAG_SOURCE_FUNCTION);
    if (!severity || strcmp(severity, "WARNING") != 0) return;
    if (!function || strcmp(function, "SyncRepWaitForLSN") == 0) *unconfirmed = true;
}

/* ---- running ---- */

/* One run on its way. */
struct run {
    struct postgres_link *link;
    uint64_t deadline_ns;
    enum status status; /* of the first failure; what follows it is only read */
    struct error *err;
};

/* Reads until there is a result, or the NULL that ends a statement's. */
static enum status next_result(struct run *run, struct pg_result **out) {
    PGconn *connection = run->link->connection;
    *out = NULL;
    for (;;) {
        int unsent = PQflush(connection);
        if (unsent < 0) return lose(run->link, run->err, NULL);
        if (!PQisBusy(connection)) break;
        short events = unsent ? POLLIN | POLLOUT : POLLIN;
        enum status status = wait_for(run->link, events, run->deadline_ns, run->err);
        if (status) return status;
        if (!PQconsumeInput(connection)) return lose(run->link, run->err, NULL);
    }
    *out = PQgetResult(connection);
    return STATUS_OK;
}

static void take_result(struct run *run, struct postgres_query *query,
                        const struct pg_result *result) {
    switch (PQresultStatus(result)) {
    case PGRES_SINGLE_TUPLE:
        if (!run->status && query && query->visit)
            run->status = query->visit(query->context, result, run->err);
        break;
    case PGRES_TUPLES_OK:
    case PGRES_COMMAND_OK:
    case PGRES_PIPELINE_ABORTED:
    case PGRES_PIPELINE_SYNC: break;
    default:
        if (!run->status) run->status = report(run->link, result, run->err);
    }
}

/* Reads all results of one message sent. False when the connection is lost; *done is whether
 * it was carried out. */
static bool read_results(struct run *run, struct postgres_query *query, bool *done) {
    struct pg_result *result;
    *done = false;
    if (query && query->visit) PQsetSingleRowMode(run->link->connection);
    for (;;) {
        enum status status = next_result(run, &result);
        if (status) run->status = status;
        if (status) return false;
        if (!result) return true;
        ExecStatusType kind = PQresultStatus(result);
        *done = kind == PGRES_COMMAND_OK || kind == PGRES_TUPLES_OK || kind == PGRES_PIPELINE_SYNC;
        take_result(run, query, result);
        PQclear(result);
        /* Of the mark that ends the pipeline there is one result and no NULL behind it. */
        if (kind == PGRES_PIPELINE_SYNC) return true;
    }
}

/* The number of a statement that this connection has prepared; 0 if it has not. */
static unsigned find_prepared(const struct postgres_link *link, const char *sql) {
    for (size_t i = 0; i < link->prepared_count; i++) {
        if (strcmp(link->prepared[i].sql, sql) == 0) return link->prepared[i].number;
    }
    return 0;
}

/* Sends it under its prepared number, or as it stands if that is 0. */
static bool send_query(struct postgres_link *link, const struct postgres_query *query,
                       unsigned prepared) {
    size_t room = query->count ? query->count : 1;
    const char **values = calloc(room, sizeof(*values));
    int *sizes = calloc(room * 2, sizeof(*sizes));
    int sent = 0;
    if (values && sizes) {
        const size_t *offsets = (const size_t *)(const void *)query->offsets.data;
        int count = (int)query->count, *formats = sizes + room;
        for (size_t i = 0; i < query->count; i++) {
            size_t end = i + 1 < query->count ? offsets[i + 1] : query->values.size;
            /* NULL would be SQL's. */
            values[i] = query->values.data ? (const char *)query->values.data + offsets[i] : "";
            sizes[i] = (int)(end - offsets[i]);
            formats[i] = 1;
        }
        char name[16];
        snprintf(name, sizeof(name), "c%u", prepared);
        const char *sql = (const char *)query->sql.data;
        sent =
            prepared
                ? PQsendQueryPrepared(link->connection, name, count, values, sizes, formats, 1)
                : PQsendQueryParams(link->connection, sql, count, NULL, values, sizes, formats, 1);
    }
    free(values);
    free(sizes);
    return sent == 1;
}

/* What a query's messages are: prepared first, or not. */
struct sent {
    char *prepared;  /* the text that is being prepared, ours; NULL */
    unsigned number; /* under which */
};

static bool send_all(struct postgres_link *link, struct postgres_query *queries, size_t count,
                     struct sent *sent) {
    for (size_t i = 0; i < count; i++) {
        const char *sql = (const char *)queries[i].sql.data;
        unsigned number = queries[i].once ? 0 : find_prepared(link, sql);
        if (!number && !queries[i].once && link->prepared_count + i < POSTGRES_PREPARED_MAX) {
            sent[i] = (struct sent){.prepared = strdup(sql), .number = ++link->numbered};
            char name[16];
            snprintf(name, sizeof(name), "c%u", sent[i].number);
            if (!sent[i].prepared || !PQsendPrepare(link->connection, name, sql, 0, NULL))
                return false;
            number = sent[i].number;
        }
        if (!send_query(link, &queries[i], number)) return false;
    }
    return PQpipelineSync(link->connection) == 1;
}

static void read_all(struct run *run, struct postgres_query *queries, size_t count,
                     struct sent *sent) {
    struct postgres_link *link = run->link;
    bool done;
    for (size_t i = 0; i < count; i++) {
        if (sent[i].prepared) {
            if (!read_results(run, NULL, &done)) return;
            if (done) {
                link->prepared[link->prepared_count].sql = sent[i].prepared;
                link->prepared[link->prepared_count++].number = sent[i].number;
                sent[i].prepared = NULL;
            }
        }
        if (!read_results(run, &queries[i], &done)) return;
    }
    read_results(run, NULL, &done);
}

enum status postgres_link_run(struct postgres_link *link, struct postgres_query *queries,
                              size_t count, uint64_t deadline_ns, struct error *err) {
    struct sent sent[POSTGRES_RUN_MAX] = {0};
    struct error local = ERROR_NONE;
    link->fault = POSTGRES_FAULT_STATEMENT;
    for (size_t i = 0; i < count; i++) {
        /* The text needs its end. */
        postgres_query_add(&queries[i], "%s", "");
        if (queries[i].failure.status) return error_pass(err, &queries[i].failure);
    }
    link->fault = POSTGRES_FAULT_NONE;
    struct run run = {.link = link, .deadline_ns = deadline_ns, .err = err ? err : &local};
    if (PQpipelineStatus(link->connection) == PQ_PIPELINE_OFF &&
        !PQenterPipelineMode(link->connection))
        return lose(link, err, NULL);
    if (send_all(link, queries, count, sent))
        read_all(&run, queries, count, sent);
    else
        run.status = lose(link, run.err, NULL);
    for (size_t i = 0; i < count; i++) free(sent[i].prepared);
    return run.status;
}

enum status postgres_link_do(struct postgres_link *link, const char *sql, uint64_t deadline_ns,
                             struct error *err) {
    struct postgres_query query;
    postgres_query_init(&query);
    postgres_query_add(&query, "%s", sql);
    query.once = true;
    enum status status = postgres_link_run(link, &query, 1, deadline_ns, err);
    postgres_query_free(&query);
    return status;
}

/* What was carried out before is not written again, and a commit that has nothing to write
 * does not wait for the synchronous standby. With this message of no meaning it does, and so
 * for all that was written before it. */
enum status postgres_link_commit(struct postgres_link *link, uint64_t deadline_ns,
                                 struct error *err) {
    enum status status = STATUS_OK;
    if (link->repeated)
        status = postgres_link_do(link, "SELECT pg_logical_emit_message(true, 'clipd', '')",
                                  deadline_ns, err);
    return status ? status : postgres_link_do(link, "COMMIT", deadline_ns, err);
}

bool postgres_link_is_idle(const struct postgres_link *link) {
    return link->fault != POSTGRES_FAULT_LOST &&
           PQtransactionStatus(link->connection) == PQTRANS_IDLE;
}

/* ---- opening ---- */

static enum status connect_to(struct postgres_link *link, const struct postgres_address *address,
                              uint64_t deadline_ns, struct error *err) {
    /* What follows the URI replaces what it says; keys without a value are passed over. */
    const char *keys[] = {"dbname",
                          "host",
                          "hostaddr",
                          "port",
                          "target_session_attrs",
                          "client_encoding",
                          "fallback_application_name",
                          NULL};
    const char *values[] = {address->uri,     address->host, address->hostaddr, address->port,
                            address->session, "UTF8",        "clipd",           NULL};
    link->connection = PQconnectStartParams(keys, values, 1);
    if (!link->connection) return error_set(err, STATUS_NO_MEMORY, "out of memory");
    if (PQstatus(link->connection) == CONNECTION_BAD) return lose(link, err, NULL);
    PostgresPollingStatusType state = PGRES_POLLING_WRITING;
    while (state != PGRES_POLLING_OK) {
        short events = state == PGRES_POLLING_READING ? POLLIN : POLLOUT;
        enum status status = wait_for(link, events, deadline_ns, err);
        if (status) return status;
        state = PQconnectPoll(link->connection);
        if (state == PGRES_POLLING_FAILED) return lose(link, err, NULL);
    }
    PQsetNoticeReceiver(link->connection, note, &link->unconfirmed);
    return PQsetnonblocking(link->connection, 1) ? lose(link, err, NULL) : STATUS_OK;
}

static enum status take_session(void *context, const struct pg_result *row, struct error *err) {
    (void)err;
    struct postgres_link *link = context;
    link->vector_type = (unsigned)postgres_row_int8(row, 0);
    return STATUS_OK;
}

/* What an answer promises must not depend on the database's configuration: commits are
 * written before they are acknowledged, warnings of those that may not last are heard (note()),
 * and who has waited for a lock sees what was done meanwhile. A statement whose client is gone
 * is ended. */
static enum status set_up(struct postgres_link *link, uint32_t timeout_ms, uint64_t deadline_ns,
                          struct error *err) {
    struct postgres_query query;
    postgres_query_init(&query);
    postgres_query_add(
        &query,
        "SELECT coalesce(to_regtype('vector')::oid::int8, 0), "
        "set_config('statement_timeout', '%u', false), "
        "set_config('idle_in_transaction_session_timeout', '10000', false), "
        "set_config('client_connection_check_interval', '1000', false), "
        "set_config('jit', 'off', false), "
        "set_config('client_min_messages', 'warning', false), "
        "set_config('default_transaction_isolation', 'read committed', false), "
        "set_config('synchronous_commit', CASE current_setting('synchronous_commit') "
        "WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, false)",
        timeout_ms);
    query.once = true;
    query.visit = take_session;
    query.context = link;
    enum status status = postgres_link_run(link, &query, 1, deadline_ns, err);
    postgres_query_free(&query);
    return status;
}

enum status postgres_link_open(struct postgres_link **out, const struct postgres_address *address,
                               uint32_t timeout_ms, uint64_t deadline_ns, struct error *err) {
    struct postgres_link *link = calloc(1, sizeof(*link));
    if (!link) return error_set(err, STATUS_NO_MEMORY, "out of memory for a connection");
    link->current = address->current;
    link->generation = address->generation;
    enum status status = connect_to(link, address, deadline_ns, err);
    if (!status) status = set_up(link, timeout_ms, deadline_ns, err);
    if (status)
        postgres_link_close(link);
    else
        *out = link;
    return status;
}

void postgres_link_close(struct postgres_link *link) {
    if (!link) return;
    for (size_t i = 0; i < link->prepared_count; i++) free(link->prepared[i].sql);
    PQfinish(link->connection);
    free(link);
}

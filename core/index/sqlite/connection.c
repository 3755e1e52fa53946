#include "core/index/sqlite/connection.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/log.h"

enum {
    LENGTH_MAX = 16 << 20, /* bytes of a row; the largest that we write has 2 MiB */
    TEXT_MAX = 1 << 20,    /* bytes of a statement: a filter with all its values has less */
    WRITER_CACHE_KIB = 64 << 10,
    READER_CACHE_KIB = 8 << 10,
    LATE_STEPS = 1000, /* of SQLite's machine, between two looks at the clock: some 50 us */
    BUSY_MS = 5000,    /* for others who look into the file, sqlite3(1) for one */
};

/* ---- errors ---- */

static const struct {
    const char *name; /* NULL: the path */
    enum status damaged;
} roles[] = {
    [SQLITE_OPENED] = {NULL, STATUS_UNPROCESSABLE},
    [SQLITE_STORE] = {"the store", STATUS_IO},
    [SQLITE_NEW_SNAPSHOT] = {"the snapshot", STATUS_IO},
    [SQLITE_SNAPSHOT] = {"the snapshot", STATUS_UNPROCESSABLE},
};

static enum status status_of(int code, enum status damaged) {
    switch (code & 0xFF) {
    case SQLITE_NOMEM: return STATUS_NO_MEMORY;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return damaged;
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return STATUS_OVERLOADED;
    case SQLITE_TOOBIG: return STATUS_TOO_LARGE;
    case SQLITE_INTERRUPT: return STATUS_TIMEOUT;
    case SQLITE_IOERR:
    case SQLITE_FULL:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_READONLY: return STATUS_IO;
    /* What we say is right, so it must be the schema that is not as we made it. */
    case SQLITE_ERROR:
    case SQLITE_MISMATCH:
    case SQLITE_CONSTRAINT:
    case SQLITE_SCHEMA: return damaged;
    default: return STATUS_INTERNAL;
    }
}

/* Who has to mend it is not who reads the answer. */
static void log_failure(const struct sqlite_connection *connection, enum status status,
                        const char *message) {
    if (connection->name != connection->path && status == STATUS_IO)
        log_message(LOG_ERROR, "%s: %s", connection->path, message);
}

enum status sqlite_report(struct sqlite_connection *connection, const char *action,
                          struct error *err) {
    int code = sqlite3_extended_errcode(connection->db);
    if (code == SQLITE_INTERRUPT)
        return error_set(err, STATUS_TIMEOUT, "%s did not answer within store.timeout",
                         connection->name);
    enum status status = status_of(code, roles[connection->role].damaged);
    log_failure(connection, status, sqlite3_errmsg(connection->db));
    return error_set(err, status, "cannot %s %s: %s", action, connection->name,
                     sqlite3_errmsg(connection->db));
}

enum status sqlite_report_damage(const struct sqlite_connection *connection, struct error *err,
                                 const char *format, ...) {
    char what[256];
    enum status status = roles[connection->role].damaged;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof(what), format, arguments);
    va_end(arguments);
    log_failure(connection, status, what);
    return error_set(err, status, "%s is damaged: %s", connection->name, what);
}

/* ---- connections ---- */

static int is_late(void *context) {
    const struct sqlite_connection *connection = context;
    return connection->until_ns && clock_now_ns() > connection->until_ns;
}

static enum status configure(struct sqlite_connection *connection, enum sqlite_access access,
                             struct error *err) {
    sqlite3 *db = connection->db;
    sqlite3_extended_result_codes(db, 1);
    sqlite3_busy_timeout(db, BUSY_MS);
    sqlite3_progress_handler(db, LATE_STEPS, is_late, connection);
    sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
    sqlite3_limit(db, SQLITE_LIMIT_LENGTH, LENGTH_MAX);
    sqlite3_limit(db, SQLITE_LIMIT_SQL_LENGTH, TEXT_MAX);
    sqlite3_limit(db, SQLITE_LIMIT_ATTACHED, 0);
    char sql[160];
    snprintf(sql, sizeof(sql),
             "PRAGMA cell_size_check = ON; PRAGMA temp_store = MEMORY; PRAGMA mmap_size = 0;"
             "PRAGMA cache_size = -%d",
             access == SQLITE_FOR_WRITING ? WRITER_CACHE_KIB : READER_CACHE_KIB);
    if (sqlite3_exec(db, sql, NULL, NULL, NULL)) return sqlite_report(connection, "open", err);
    return STATUS_OK;
}

enum status sqlite_connection_open(struct sqlite_connection **out, const char *path,
                                   enum sqlite_role role, enum sqlite_access access,
                                   struct error *err) {
    struct sqlite_connection *connection = calloc(1, sizeof(*connection));
    char *copy = strdup(path);
    if (!connection || !copy) {
        free(connection);
        free(copy);
        return error_set(err, STATUS_NO_MEMORY, "out of memory for a connection");
    }
    connection->path = copy;
    sqlite_connection_set_role(connection, role);
    int flags = access == SQLITE_FOR_WRITING ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY;
    int code = sqlite3_open_v2(path, &connection->db, flags | SQLITE_OPEN_NOMUTEX, NULL);
    enum status status = STATUS_OK;
    if (!connection->db)
        status = error_set(err, STATUS_NO_MEMORY, "out of memory for a connection");
    else if (code)
        status = sqlite_report(connection, "open", err);
    if (!status) status = configure(connection, access, err);
    if (status) {
        sqlite_connection_close(connection);
        return status;
    }
    *out = connection;
    return STATUS_OK;
}

void sqlite_connection_set_role(struct sqlite_connection *connection, enum sqlite_role role) {
    connection->role = role;
    connection->name = roles[role].name ? roles[role].name : connection->path;
}

void sqlite_connection_close(struct sqlite_connection *connection) {
    if (!connection) return;
    for (size_t i = 0; i < SQLITE_KEPT; i++) sqlite3_finalize(connection->kept[i].statement);
    sqlite3_close(connection->db);
    free(connection->path);
    free(connection);
}

void sqlite_connection_wait_until(struct sqlite_connection *connection, uint64_t until_ns) {
    uint64_t now = clock_now_ns(),
             left_ms = until_ns > now ? (until_ns - now) / CLOCK_NS_PER_MS : 0;
    sqlite3_busy_timeout(connection->db, left_ms < BUSY_MS ? (int)left_ms : BUSY_MS);
}

void sqlite_connection_reset(struct sqlite_connection *connection) {
    connection->until_ns = 0;
    for (size_t i = 0; i < SQLITE_KEPT; i++) sqlite3_reset(connection->kept[i].statement);
    if (!sqlite3_get_autocommit(connection->db))
        sqlite3_exec(connection->db, "ROLLBACK", NULL, NULL, NULL);
}

/* ---- statements ---- */

/* Puts the number in the place of every "@"; the caller frees the text. */
static char *expand(const char *sql, int64_t number) {
    char digits[24];
    size_t count = 0, length = (size_t)snprintf(digits, sizeof(digits), "%lld", (long long)number);
    for (const char *at = sql; *at; at++) count += *at == '@';
    char *text = malloc(strlen(sql) + count * length + 1), *end = text;
    if (!text) return NULL;
    for (const char *at = sql; *at; at++) {
        if (*at != '@') {
            *end++ = *at;
            continue;
        }
        memcpy(end, digits, length);
        end += length;
    }
    *end = '\0';
    return text;
}

static sqlite3_stmt *find_kept(struct sqlite_connection *connection, const char *sql) {
    for (size_t i = 0; i < SQLITE_KEPT; i++) {
        sqlite3_stmt *statement = connection->kept[i].statement;
        if (!statement || strcmp(sqlite3_sql(statement), sql) != 0) continue;
        connection->kept[i].used = ++connection->uses;
        sqlite3_reset(statement);
        sqlite3_clear_bindings(statement);
        return statement;
    }
    return NULL;
}

/* In the place of the one that was used longest ago, but for those that stand at a row: their
 * callers go on with them, however much they prepare for each. Calls are a few deep, so that
 * there always is one that is not. */
static void keep(struct sqlite_connection *connection, sqlite3_stmt *statement) {
    size_t oldest = SQLITE_KEPT;
    for (size_t i = 0; i < SQLITE_KEPT; i++) {
        if (sqlite3_stmt_busy(connection->kept[i].statement)) continue;
        if (oldest == SQLITE_KEPT || connection->kept[i].used < connection->kept[oldest].used)
            oldest = i;
    }
    assert(oldest < SQLITE_KEPT);
    sqlite3_finalize(connection->kept[oldest].statement);
    connection->kept[oldest].statement = statement;
    connection->kept[oldest].used = ++connection->uses;
}

enum status sqlite_prepare(sqlite3_stmt **out, struct sqlite_connection *connection,
                           const char *sql, int64_t number, struct error *err) {
    char *text = expand(sql, number);
    if (!text) {
        error_set(err, STATUS_NO_MEMORY, "out of memory for a query");
        return STATUS_NO_MEMORY;
    }
    enum status status = STATUS_OK;
    *out = find_kept(connection, text);
    if (!*out) {
        if (sqlite3_prepare_v3(connection->db, text, -1, SQLITE_PREPARE_PERSISTENT, out, NULL))
            status = sqlite_report(connection, "use", err);
        else
            keep(connection, *out);
    }
    free(text);
    return status;
}

enum status sqlite_step(struct sqlite_connection *connection, sqlite3_stmt *statement, bool *row,
                        struct error *err) {
    int code = sqlite3_step(statement);
    *row = code == SQLITE_ROW;
    if (code == SQLITE_ROW) return STATUS_OK;
    enum status status = STATUS_OK;
    if (code != SQLITE_DONE) status = sqlite_report(connection, "use", err);
    sqlite3_reset(statement);
    return status;
}

enum status sqlite_run(struct sqlite_connection *connection, sqlite3_stmt *statement,
                       struct error *err) {
    bool row;
    enum status status = sqlite_step(connection, statement, &row, err);
    sqlite3_reset(statement);
    return status;
}

enum status sqlite_execute(struct sqlite_connection *connection, const char *sql, int64_t number,
                           struct error *err) {
    sqlite3_stmt *statement;
    enum status status = sqlite_prepare(&statement, connection, sql, number, err);
    return status ? status : sqlite_run(connection, statement, err);
}

enum status sqlite_read_number(int64_t *out, struct sqlite_connection *connection, const char *sql,
                               int64_t number, int64_t missing, struct error *err) {
    sqlite3_stmt *statement;
    bool row;
    enum status status = sqlite_prepare(&statement, connection, sql, number, err);
    if (!status) status = sqlite_step(connection, statement, &row, err);
    if (status) return status;
    *out = row ? sqlite3_column_int64(statement, 0) : missing;
    sqlite3_reset(statement);
    return STATUS_OK;
}

/* ---- values ---- */

/* Borrowed values take no memory, and their sizes were checked: binding cannot fail. */
void sqlite_bind_text(sqlite3_stmt *statement, int parameter, struct bytes text) {
    const char *data = text.size ? (const char *)text.data : "";
    int code = sqlite3_bind_text(statement, parameter, data, (int)text.size, SQLITE_STATIC);
    assert(code == SQLITE_OK);
    (void)code;
}

void sqlite_bind_blob(sqlite3_stmt *statement, int parameter, struct bytes blob) {
    const void *data = blob.size ? (const void *)blob.data : "";
    int code = sqlite3_bind_blob(statement, parameter, data, (int)blob.size, SQLITE_STATIC);
    assert(code == SQLITE_OK);
    (void)code;
}

void sqlite_bind_number(sqlite3_stmt *statement, int parameter, int64_t number) {
    int code = sqlite3_bind_int64(statement, parameter, number);
    assert(code == SQLITE_OK);
    (void)code;
}

struct bytes sqlite_column_bytes(sqlite3_stmt *statement, int column) {
    const void *data = sqlite3_column_blob(statement, column);
    return (struct bytes){data, data ? (size_t)sqlite3_column_bytes(statement, column) : 0};
}

/* connection.h - one connection to a database file: settings, statements, errors.
 *
 * Nothing that a file says is trusted: no schema of it may call functions of ours, nothing
 * larger than we write is read, and damage is an error. A connection is used by one thread at a
 * time. */
#ifndef CORE_INDEX_SQLITE_CONNECTION_H
#define CORE_INDEX_SQLITE_CONNECTION_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/base/bytes.h"

enum { SQLITE_KEPT = 32 };

/* What a file is to us: messages about it differ in what they call it, and damage in its status. */
enum sqlite_role {
    SQLITE_OPENED, /* being opened as the store: its path, STATUS_UNPROCESSABLE */
    SQLITE_STORE,  /* in use: "the store", STATUS_IO; the path goes to the log, not to clients */
    SQLITE_NEW_SNAPSHOT, /* a snapshot of it that is being written: "the snapshot", as the store */
    SQLITE_SNAPSHOT,     /* one that is to be restored: "the snapshot", STATUS_UNPROCESSABLE */
};

struct sqlite_connection {
    sqlite3 *db;
    enum sqlite_role role;
    char *path;
    const char *name; /* for messages */
    /* Statements stay prepared; the least recently used that stands at no row makes room. */
    struct {
        sqlite3_stmt *statement;
        uint64_t used;
    } kept[SQLITE_KEPT];
    uint64_t uses;
    uint64_t until_ns;              /* a query that goes on for longer is given up; 0: none */
    struct sqlite_connection *next; /* in the store's list of idle ones */
};

enum sqlite_access { SQLITE_FOR_READING, SQLITE_FOR_WRITING };

/* The file must be there; it may be empty. */
enum status sqlite_connection_open(struct sqlite_connection **out, const char *path,
                                   enum sqlite_role role, enum sqlite_access access,
                                   struct error *err);
void sqlite_connection_set_role(struct sqlite_connection *connection, enum sqlite_role role);
void sqlite_connection_close(struct sqlite_connection *connection);
/* Until when others may keep the file locked, but no longer than 5 s; so do they from the start. */
void sqlite_connection_wait_until(struct sqlite_connection *connection, uint64_t until_ns);
/* Ends what is under way: statements are reset, a transaction is rolled back. */
void sqlite_connection_reset(struct sqlite_connection *connection);

/* Reports the last failure of the connection: "cannot read the store: ...". */
enum status sqlite_report(struct sqlite_connection *connection, const char *action,
                          struct error *err);
/* Reports what SQLite does not see: "the store is damaged: ...". */
enum status sqlite_report_damage(const struct sqlite_connection *connection, struct error *err,
                                 const char *format, ...) __attribute__((format(printf, 3, 4)));

/* A statement that the connection keeps, without bindings. Every "@" in the text stands for
 * `number`, that of a collection; no other part of a text ever comes from outside. */
enum status sqlite_prepare(sqlite3_stmt **out, struct sqlite_connection *connection,
                           const char *sql, int64_t number, struct error *err);
/* *row tells if there is a row; after the last one the statement is reset. */
enum status sqlite_step(struct sqlite_connection *connection, sqlite3_stmt *statement, bool *row,
                        struct error *err);
/* Runs a statement that returns no rows, and resets it. */
enum status sqlite_run(struct sqlite_connection *connection, sqlite3_stmt *statement,
                       struct error *err);
/* Both at once, for a text without parameters. */
enum status sqlite_execute(struct sqlite_connection *connection, const char *sql, int64_t number,
                           struct error *err);
/* The first column of the first row as a number; `missing` without a row. */
enum status sqlite_read_number(int64_t *out, struct sqlite_connection *connection, const char *sql,
                               int64_t number, int64_t missing, struct error *err);

/* Bound bytes are borrowed until the statement is reset or prepared again. */
void sqlite_bind_text(sqlite3_stmt *statement, int parameter, struct bytes text);
void sqlite_bind_blob(sqlite3_stmt *statement, int parameter, struct bytes blob);
void sqlite_bind_number(sqlite3_stmt *statement, int parameter, int64_t number);
/* Borrowed until the next step. */
struct bytes sqlite_column_bytes(sqlite3_stmt *statement, int column);

#endif

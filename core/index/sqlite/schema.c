#include "core/index/sqlite/schema.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/index/collection_check.h"

enum { APPLICATION_ID = 0x636C7064 /* "clpd" */ };

/* Text n leads from version n to n + 1. */
static const char *const migrations[] = {
    "CREATE TABLE collections (number INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL "
    "UNIQUE, "
    "model TEXT NOT NULL, model_digest TEXT NOT NULL, dim INTEGER NOT NULL, "
    "precision INTEGER NOT NULL) STRICT;"
    "CREATE TABLE fields (collection INTEGER NOT NULL, number INTEGER NOT NULL, path TEXT NOT "
    "NULL, "
    "kind INTEGER NOT NULL, PRIMARY KEY (collection, number)) STRICT, WITHOUT ROWID;",
};
enum { VERSION = sizeof(migrations) / sizeof(*migrations) };

static const char *const tables[] = {
    "CREATE TABLE items_@ (row INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, "
    "metadata TEXT NOT NULL, text TEXT NOT NULL, digest BLOB) STRICT",
    "CREATE TABLE embeddings_@ (row INTEGER PRIMARY KEY, checksum INTEGER NOT NULL, "
    "embedding BLOB NOT NULL) STRICT",
    "CREATE TABLE thumbnails_@ (row INTEGER PRIMARY KEY, image BLOB NOT NULL) STRICT",
    "CREATE TABLE values_@ (field INTEGER NOT NULL, kind INTEGER NOT NULL, value ANY NOT NULL, "
    "row INTEGER NOT NULL, whole INTEGER NOT NULL, PRIMARY KEY (field, kind, value, row)) "
    "STRICT, WITHOUT ROWID",
    "CREATE VIRTUAL TABLE words_@ USING fts5(text, content='', "
    "tokenize='unicode61 remove_diacritics 2')",
};
static const char *const drops[] = {
    "DROP TABLE items_@",  "DROP TABLE embeddings_@", "DROP TABLE thumbnails_@",
    "DROP TABLE values_@", "DROP TABLE words_@",
};
enum { TABLES = sizeof(tables) / sizeof(*tables) };

/* ---- versions ---- */

/* Whether the file is new; else that it is ours, and its version. */
static enum status identify(int64_t *version, bool *is_new, struct sqlite_connection *connection,
                            struct error *err) {
    int64_t id = 0, tables_count = 0;
    enum status status = sqlite_read_number(&id, connection, "PRAGMA application_id", 0, 0, err);
    if (!status) status = sqlite_read_number(version, connection, "PRAGMA user_version", 0, 0, err);
    if (!status)
        status = sqlite_read_number(&tables_count, connection, "SELECT count(*) FROM sqlite_schema",
                                    0, 0, err);
    if (status) return status;
    *is_new = id == 0 && *version == 0 && tables_count == 0;
    if (*is_new) return STATUS_OK;
    if (id != APPLICATION_ID)
        return error_set(err, STATUS_UNPROCESSABLE, "%s is a database, but no store of clipd",
                         connection->name);
    if (*version < 0 || *version > VERSION)
        return error_set(err, STATUS_UNSUPPORTED,
                         "%s has version %lld, this program knows versions up to %d",
                         connection->name, (long long)*version, VERSION);
    return STATUS_OK;
}

static enum status execute_all(struct sqlite_connection *connection, const char *sql,
                               struct error *err) {
    if (sqlite3_exec(connection->db, sql, NULL, NULL, NULL) == SQLITE_OK) return STATUS_OK;
    return sqlite_report(connection, "change", err);
}

static enum status migrate(struct sqlite_connection *writer, int64_t version, struct error *err) {
    for (int64_t i = version; i < VERSION; i++) {
        char marks[96];
        snprintf(marks, sizeof(marks), "PRAGMA application_id = %d; PRAGMA user_version = %lld",
                 APPLICATION_ID, (long long)i + 1);
        enum status status = execute_all(writer, "BEGIN IMMEDIATE", err);
        if (!status) status = execute_all(writer, migrations[i], err);
        if (!status) status = execute_all(writer, marks, err);
        if (!status) status = execute_all(writer, "COMMIT", err);
        if (status) return status;
    }
    return STATUS_OK;
}

/* A file of ours has no triggers and views, which would run with our rights. */
static enum status check_no_code(struct sqlite_connection *connection, struct error *err) {
    int64_t count = 0;
    enum status status = sqlite_read_number(
        &count, connection, "SELECT count(*) FROM sqlite_schema WHERE type IN ('trigger', 'view')",
        0, 0, err);
    if (!status && count)
        status = error_set(err, STATUS_UNPROCESSABLE,
                           "%s has %lld triggers or views, a store of clipd has none",
                           connection->name, (long long)count);
    return status;
}

enum status sqlite_schema_open(struct sqlite_connection *writer, struct error *err) {
    int64_t version = 0;
    bool is_new = false;
    /* Pages of 8 KiB hold three embeddings of 512 dimensions; of 4 KiB, one. */
    enum status status = execute_all(writer, "PRAGMA page_size = 8192", err);
    if (!status) status = identify(&version, &is_new, writer, err);
    if (!status)
        status =
            execute_all(writer,
                        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                        "PRAGMA wal_autocheckpoint = 2000; PRAGMA journal_size_limit = 67108864",
                        err);
    if (!status && is_new) version = 0;
    if (!status) status = migrate(writer, version, err);
    return status ? status : check_no_code(writer, err);
}

enum status sqlite_schema_check(struct sqlite_connection *connection, struct error *err) {
    int64_t version;
    bool is_new, row;
    sqlite3_stmt *statement;
    enum status status = identify(&version, &is_new, connection, err);
    if (!status && version != VERSION)
        status = error_set(err, STATUS_UNSUPPORTED, "%s has version %lld, expected %d",
                           connection->name, (long long)version, VERSION);
    if (!status) status = check_no_code(connection, err);
    if (!status) status = sqlite_prepare(&statement, connection, "PRAGMA quick_check(1)", 0, err);
    if (!status) status = sqlite_step(connection, statement, &row, err);
    if (status) return status;
    struct bytes found = sqlite_column_bytes(statement, 0);
    if (!row || found.size != 2 || memcmp(found.data, "ok", 2) != 0)
        status = sqlite_report_damage(connection, err, "%.*s", (int)found.size,
                                      (const char *)found.data);
    sqlite3_reset(statement);
    return status;
}

/* ---- collections ---- */

/* Copies a text of limited length; false if it is longer or holds a NUL. */
static bool copy_text(char *out, size_t size, sqlite3_stmt *statement, int column) {
    struct bytes text = sqlite_column_bytes(statement, column);
    if (text.size >= size || (text.size && memchr(text.data, 0, text.size))) return false;
    if (text.size) memcpy(out, text.data, text.size);
    out[text.size] = '\0';
    return true;
}

static enum status read_fields(struct collection_spec *out, struct sqlite_connection *connection,
                               int64_t number, struct error *err) {
    sqlite3_stmt *statement;
    bool row;
    enum status status = sqlite_prepare(
        &statement, connection,
        "SELECT path, kind FROM fields WHERE collection = @ ORDER BY number", number, err);
    while (!status) {
        status = sqlite_step(connection, statement, &row, err);
        if (status || !row) break;
        struct collection_field *field = &out->fields[out->fields_count];
        if (out->fields_count == COLLECTION_FIELDS_MAX ||
            !copy_text(field->path, sizeof(field->path), statement, 0)) {
            status = sqlite_report_damage(connection, err, "the fields of \"%s\"", out->name);
            break;
        }
        field->kind = (enum collection_field_kind)sqlite3_column_int(statement, 1);
        out->fields_count++;
    }
    return status;
}

/* The description, held to the same rules as a caller's. */
static enum status read_spec(struct collection_spec *out, struct sqlite_connection *connection,
                             sqlite3_stmt *statement, struct error *err) {
    struct error reason = ERROR_NONE;
    int64_t number = sqlite3_column_int64(statement, 0);
    int64_t dim = sqlite3_column_int64(statement, 4);
    int64_t precision = sqlite3_column_int64(statement, 5);
    *out =
        (struct collection_spec){.dim = dim > 0 && dim <= COLLECTION_DIM_MAX ? (uint32_t)dim : 0};
    bool whole = copy_text(out->name, sizeof(out->name), statement, 1) &&
                 copy_text(out->model, sizeof(out->model), statement, 2) &&
                 copy_text(out->model_digest, sizeof(out->model_digest), statement, 3) &&
                 precision >= 0 && precision <= COLLECTION_FP32;
    if (!whole)
        return sqlite_report_damage(connection, err, "the description of collection %" PRId64,
                                    number);
    out->precision = (enum collection_precision)precision;
    enum status status = read_fields(out, connection, number, err);
    if (!status && collection_check_spec(out, &reason))
        status = sqlite_report_damage(connection, err, "%s", reason.message);
    return status;
}

/* That the tables are those which we made: their texts are kept in the file. (char(64) is the
 * "@" that stands for the number.) */
static enum status check_tables(struct sqlite_connection *connection, int64_t number,
                                struct error *err) {
    for (size_t i = 0; i < TABLES; i++) {
        sqlite3_stmt *made;
        int64_t count = 0;
        bool row;
        enum status status =
            sqlite_prepare(&made, connection,
                           "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND "
                           "sql = replace(?1, char(64), '@')",
                           number, err);
        if (status) return status;
        sqlite_bind_text(made, 1, bytes_of(tables[i]));
        status = sqlite_step(connection, made, &row, err);
        if (status) return status;
        count = sqlite3_column_int64(made, 0);
        sqlite3_reset(made);
        if (count != 1)
            return sqlite_report_damage(
                connection, err,
                "a table of collection %" PRId64 " is missing or not as we make it", number);
    }
    return STATUS_OK;
}

enum status sqlite_schema_list(struct sqlite_connection *connection, const char *name,
                               sqlite_schema_visit_fn *visit, void *context, struct error *err) {
    sqlite3_stmt *statement;
    bool row;
    enum status status =
        sqlite_prepare(&statement, connection,
                       "SELECT number, name, model, model_digest, dim, precision FROM "
                       "collections WHERE ?1 IS NULL OR name = ?1 ORDER BY name",
                       0, err);
    if (!status && name) sqlite_bind_text(statement, 1, bytes_of(name));
    while (!status) {
        struct collection_spec spec;
        status = sqlite_step(connection, statement, &row, err);
        if (status || !row) break;
        int64_t number = sqlite3_column_int64(statement, 0);
        status = read_spec(&spec, connection, statement, err);
        if (!status) status = check_tables(connection, number, err);
        if (!status) status = visit(context, number, &spec, err);
    }
    return status;
}

static enum status add_field(struct sqlite_connection *writer, int64_t number, size_t index,
                             const struct collection_field *field, struct error *err) {
    sqlite3_stmt *statement;
    enum status status = sqlite_prepare(&statement, writer,
                                        "INSERT INTO fields VALUES (@, ?1, ?2, ?3)", number, err);
    if (status) return status;
    sqlite_bind_number(statement, 1, (int64_t)index);
    sqlite_bind_text(statement, 2, bytes_of(field->path));
    sqlite_bind_number(statement, 3, field->kind);
    return sqlite_run(writer, statement, err);
}

enum status sqlite_schema_add(int64_t *number, struct sqlite_connection *writer,
                              const struct collection_spec *spec, struct error *err) {
    sqlite3_stmt *statement;
    enum status status =
        sqlite_prepare(&statement, writer,
                       "INSERT INTO collections (name, model, model_digest, dim, precision) VALUES "
                       "(?1, ?2, ?3, ?4, ?5)",
                       0, err);
    if (status) return status;
    sqlite_bind_text(statement, 1, bytes_of(spec->name));
    sqlite_bind_text(statement, 2, bytes_of(spec->model));
    sqlite_bind_text(statement, 3, bytes_of(spec->model_digest));
    sqlite_bind_number(statement, 4, spec->dim);
    sqlite_bind_number(statement, 5, spec->precision);
    status = sqlite_run(writer, statement, err);
    *number = sqlite3_last_insert_rowid(writer->db);
    for (size_t i = 0; i < spec->fields_count && !status; i++)
        status = add_field(writer, *number, i, &spec->fields[i], err);
    for (size_t i = 0; i < TABLES && !status; i++)
        status = sqlite_execute(writer, tables[i], *number, err);
    return status;
}

enum status sqlite_schema_remove(struct sqlite_connection *writer, int64_t number,
                                 struct error *err) {
    enum status status =
        sqlite_execute(writer, "DELETE FROM collections WHERE number = @", number, err);
    if (!status)
        status = sqlite_execute(writer, "DELETE FROM fields WHERE collection = @", number, err);
    for (size_t i = 0; i < TABLES && !status; i++)
        status = sqlite_execute(writer, drops[i], number, err);
    return status;
}

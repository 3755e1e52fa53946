#include "tests/support/postgres_database.h"

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

char *postgres_database_run(const char *address, const char *sql) {
    PGconn *connection = PQconnectdb(address);
    PGresult *result = PQexec(connection, sql);
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
        fprintf(stderr, "%s: %s\n", sql, PQerrorMessage(connection));
        abort();
    }
    char *value = strdup(PQntuples(result) ? PQgetvalue(result, 0, 0) : "");
    PQclear(result);
    PQfinish(connection);
    if (!value) abort();
    return value;
}

static const char *name_of(const char *address) {
    return strstr(address, "dbname=") + strlen("dbname=");
}

char *postgres_database_ask_server(const char *address, const char *format) {
    char sql[512];
    snprintf(sql, sizeof(sql), format, name_of(address));
    return postgres_database_run(getenv("CLIPD_POSTGRES"), sql);
}

void postgres_database_wait_until(const char *address, const char *format) {
    for (int i = 0; i < 600; i++) {
        char *answer = postgres_database_ask_server(address, format);
        bool holds = strcmp(answer, "t") == 0;
        free(answer);
        if (holds) return;
        usleep(50000);
    }
    fprintf(stderr, "in vain: %s\n", format);
    abort();
}

void postgres_database_configure(const char *address, const char *key, const char *value) {
    char sql[256];
    if (key)
        snprintf(sql, sizeof(sql), "ALTER DATABASE %s SET %s = '%s'", name_of(address), key, value);
    else
        snprintf(sql, sizeof(sql), "ALTER DATABASE %s RESET ALL", name_of(address));
    free(postgres_database_run(address, sql));
}

static void run_on_server(const char *format, const char *name) {
    char sql[256];
    snprintf(sql, sizeof(sql), format, name);
    free(postgres_database_run(getenv("CLIPD_POSTGRES"), sql));
}

char *postgres_database_create(void) {
    const char *server = getenv("CLIPD_POSTGRES");
    if (!server || !*server) {
        printf("skipped: no PostgreSQL\n");
        return NULL;
    }
    char name[64], *address = NULL;
    snprintf(name, sizeof(name), "clipd_test_%d", (int)getpid());
    run_on_server("DROP DATABASE IF EXISTS %s WITH (FORCE)", name);
    /* The test's collation is not "C" where it can be helped: our own order must not depend on
     * the database's. */
    run_on_server("CREATE DATABASE %s TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en'",
                  name);
    if (asprintf(&address, "%s%cdbname=%s", server, strchr(server, '?') ? '&' : '?', name) < 0)
        abort();
    return address;
}

void postgres_database_drop(char *address) {
    run_on_server("DROP DATABASE %s WITH (FORCE)", name_of(address));
    free(address);
}

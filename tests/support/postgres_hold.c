#include "tests/support/postgres_hold.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/support/postgres_database.h"

struct held {
    const char *address;
    char sql[512];
};

static void *run(void *context) {
    const struct held *held = context;
    free(postgres_database_run(held->address, held->sql));
    return NULL;
}

pthread_t postgres_hold(const char *address, const char *statement) {
    static struct held held;
    pthread_t thread;
    free(postgres_database_run(address, "CREATE TABLE hold AS SELECT true AS held"));
    held.address = address;
    snprintf(held.sql, sizeof(held.sql),
             "BEGIN ISOLATION LEVEL READ COMMITTED; DO $$ BEGIN %s; " POSTGRES_HOLD
             "; END $$; COMMIT",
             statement);
    if (pthread_create(&thread, NULL, run, &held)) abort();
    postgres_database_wait_until(
        address, "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = '%s' AND "
                 "query LIKE '%%DO $$%%' AND wait_event = 'PgSleep')");
    return thread;
}

pthread_t postgres_hold_table(const char *address, const char *name, const char *mode) {
    char statement[256];
    snprintf(statement, sizeof(statement),
             "EXECUTE (SELECT 'LOCK TABLE clipd_items_' || number || ' IN %s MODE' "
             "FROM clipd_collections WHERE name = '%s')",
             mode, name);
    return postgres_hold(address, statement);
}

void postgres_hold_end(const char *address, pthread_t thread) {
    free(postgres_database_run(address, "UPDATE hold SET held = false"));
    pthread_join(thread, NULL);
    free(postgres_database_run(address, "DROP TABLE hold"));
}

/* The store in PostgreSQL when its connections break and its statements hang, as a real server
 * can be made to do by SQL alone. What happens when servers die is in tests/chaos/. */
#include <check.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/log.h"
#include "core/index/collection.h"
#include "tests/support/postgres_database.h"
#include "tests/support/store_steps.h"

static char *address;
static const char *database; /* its name, in the address */

/* Runs SQL in the test's database; frees the answer. */
static void run(const char *sql) {
    free(postgres_database_run(address, sql));
}

/* In the server's own, where `%s` is the name of the test's. */
static char *ask_server(const char *format) {
    char sql[512];
    snprintf(sql, sizeof(sql), format, database);
    return postgres_database_run(getenv("CLIPD_POSTGRES"), sql);
}

/* Waits until the answer is true. */
static void wait_until(const char *format) {
    for (int i = 0; i < 600; i++) {
        char *answer = ask_server(format);
        bool holds = strcmp(answer, "t") == 0;
        free(answer);
        if (holds) return;
        usleep(50000);
    }
    ck_abort_msg("in vain: %s", format);
}

/* ---- what holds others up ---- */

/* A loop that goes on until let_go(). */
#define HOLD "WHILE (SELECT held FROM hold) LOOP PERFORM pg_sleep(0.01); END LOOP"

static void *run_hold(void *context) {
    run(context);
    return NULL;
}

/* Somebody does something and does not come to an end. */
static pthread_t hold(const char *statement) {
    static char sql[512];
    pthread_t thread;
    run("CREATE TABLE hold AS SELECT true AS held");
    snprintf(sql, sizeof(sql),
             "BEGIN ISOLATION LEVEL READ COMMITTED; DO $$ BEGIN %s; " HOLD "; END $$; COMMIT",
             statement);
    pthread_create(&thread, NULL, run_hold, sql);
    wait_until("SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = '%s' AND "
               "query LIKE '%%DO $$%%' AND wait_event = 'PgSleep')");
    return thread;
}

/* Writes to the collection's table. */
static pthread_t hold_table(const char *name) {
    char statement[256];
    snprintf(statement, sizeof(statement),
             "EXECUTE (SELECT 'LOCK TABLE clipd_items_' || number || ' IN ROW EXCLUSIVE MODE' "
             "FROM clipd_collections WHERE name = '%s')",
             name);
    return hold(statement);
}

static void let_go(pthread_t thread) {
    run("UPDATE hold SET held = false");
    pthread_join(thread, NULL);
    run("DROP TABLE hold");
}

/* ---- the builder ---- */

static struct collections *open_to_build(void) {
    struct collections_options options = {.store = address, .approximate_from = 2};
    struct collections *c = NULL;
    struct error err = ERROR_NONE;
    step_must_be(collections_open(&c, &options, &err), STATUS_OK, &err, "open");
    return c;
}

static void make(struct collections *c, const char *name) {
    struct collection_spec spec = step_spec_of(name);
    step_make(c, &spec);
}

/* In one upsert: an index is wanted once. */
static void put_some(struct collections *c, const char *name) {
    static const char *const ids[] = {"a", "b", "c"};
    float embeddings[3][STEP_DIM];
    struct item items[3];
    struct error err = ERROR_NONE;
    for (size_t i = 0; i < 3; i++) items[i] = step_item_at(ids[i], 0.1 * (double)i, embeddings[i]);
    step_must_be(step_put(c, name, items, 3, &err), STATUS_OK, &err, "put");
}

static void wait_until_building(void) {
    wait_until("SELECT EXISTS (SELECT FROM pg_stat_progress_create_index WHERE datname = '%s' "
               "AND phase LIKE 'waiting for writers%%')");
}

static void must_be_built(struct collections *c, const char *name) {
    struct collection_stats stats = {0};
    struct error err = ERROR_NONE;
    for (int i = 0; i < 600; i++) {
        step_must_be(collection_stats(c, name, &stats, &err), STATUS_OK, &err, "stats");
        if (!stats.building) break;
        usleep(50000);
    }
    ck_assert_str_eq(stats.index, "hnsw");
}

/* A build that hangs on a database which is down ends, and the next one is begun. */
START_TEST(a_build_is_given_up_with_its_database) {
    struct collections *c = open_to_build();
    struct error err = ERROR_NONE;
    make(c, "given-up");
    pthread_t writer = hold_table("given-up");
    put_some(c, "given-up");
    wait_until_building();
    free(ask_server("ALTER DATABASE %s ALLOW_CONNECTIONS false"));
    free(ask_server("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE "
                    "datname = '%s' AND application_name = 'clipd' AND "
                    "query NOT LIKE 'CREATE INDEX%%'"));
    wait_until("SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = '%s' AND "
               "application_name = 'clipd')");
    ck_assert_int_eq(collections_ping(c, NULL), STATUS_UNAVAILABLE);
    free(ask_server("ALTER DATABASE %s ALLOW_CONNECTIONS true"));
    let_go(writer);
    for (int i = 0; i < 600 && collections_ping(c, NULL); i++) usleep(50000);
    step_must_be(collection_reindex(c, "given-up", &err), STATUS_OK, &err, "reindex");
    must_be_built(c, "given-up");
    step_drop(c, "given-up");
    collections_close(c);
}
END_TEST

START_TEST(closing_ends_a_build) {
    struct collections *c = open_to_build();
    make(c, "closing");
    pthread_t writer = hold_table("closing");
    put_some(c, "closing");
    wait_until_building();
    collections_close(c);
    wait_until("SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = '%s' AND "
               "application_name = 'clipd')");
    let_go(writer);
    c = step_open_store(address);
    step_drop(c, "closing");
    collections_close(c);
}
END_TEST

/* REINDEX CONCURRENTLY that dies leaves the new index or, when it came further, the old one. */
START_TEST(what_a_dead_build_left_is_cleared_away) {
    struct collections *c = open_to_build();
    struct error err = ERROR_NONE;
    make(c, "left");
    put_some(c, "left");
    must_be_built(c, "left");
    run("DO $$ DECLARE n text := 'clipd_items_' || (SELECT number FROM clipd_collections WHERE "
        "name = 'left'); BEGIN EXECUTE format('CREATE INDEX %1$s_hnsw_ccnew ON %1$s (revision); "
        "CREATE INDEX %1$s_hnsw_ccold ON %1$s (revision)', n); END $$");
    step_must_be(collection_reindex(c, "left", &err), STATUS_OK, &err, "reindex");
    must_be_built(c, "left");
    char *left = postgres_database_run(
        address, "SELECT count(*) FROM pg_class WHERE relname ~ 'hnsw_cc(new|old)'");
    ck_assert_str_eq(left, "0");
    free(left);
    step_drop(c, "left");
    collections_close(c);
}
END_TEST

/* In a copy of a database tables have the same numbers, and builds of the other are seen. */
START_TEST(another_database_is_left_alone) {
    struct collections *c = open_to_build(), *copy = NULL;
    struct collection_stats stats;
    struct error err = ERROR_NONE;
    char of_copy[512];
    make(c, "copied");
    collections_close(c);
    free(ask_server("CREATE DATABASE %1$s_copy TEMPLATE %1$s"));
    snprintf(of_copy, sizeof(of_copy), "%s_copy", address);
    c = open_to_build();
    pthread_t writer = hold_table("copied");
    put_some(c, "copied");
    wait_until_building();
    copy = step_open_store(of_copy);
    step_must_be(collection_stats(copy, "copied", &stats, &err), STATUS_OK, &err, "stats");
    ck_assert(!stats.building);
    step_drop(copy, "copied");
    collections_close(copy);
    let_go(writer);
    must_be_built(c, "copied");
    step_drop(c, "copied");
    collections_close(c);
    free(ask_server("DROP DATABASE %s_copy WITH (FORCE)"));
}
END_TEST

/* ---- callers ---- */

struct call {
    pthread_t thread;
    struct collections *c;
    enum status status;
    struct error err;
};

static void *put_one(void *context) {
    struct call *call = context;
    float embedding[STEP_DIM];
    struct item item = step_item_at("a", 0.1, embedding);
    call->status = step_put(call->c, "busy", &item, 1, &call->err);
    return NULL;
}

static void *count_all(void *context) {
    struct call *call = context;
    uint64_t count;
    call->status = collection_count(call->c, "busy", NULL, &count, &call->err);
    return NULL;
}

/* When the only connection breaks under somebody else, who has waited for it opens another. */
START_TEST(who_has_waited_long_may_open) {
    struct collections_options options = {.store = address, .connections = 1};
    struct collections *c = NULL;
    struct collection_spec spec = step_spec_of("busy");
    struct error err = ERROR_NONE;
    step_must_be(collections_open(&c, &options, &err), STATUS_OK, &err, "open");
    step_make(c, &spec);
    run("CREATE TABLE hold AS SELECT true AS held; "
        "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN " HOLD
        "; RETURN NEW; END $$; "
        "DO $$ BEGIN EXECUTE (SELECT 'CREATE TRIGGER wait BEFORE INSERT ON clipd_items_' || number "
        "|| ' FOR EACH ROW EXECUTE FUNCTION wait()' FROM clipd_collections WHERE name = 'busy'); "
        "END $$");
    struct call held = {.c = c}, waiting = {.c = c};
    pthread_create(&held.thread, NULL, put_one, &held);
    wait_until("SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = '%s' AND "
               "query LIKE 'WITH put%%' AND state = 'active')");
    pthread_create(&waiting.thread, NULL, count_all, &waiting);
    usleep(1000000); /* more than GIVE_UP_MS of postgres_pool.c */
    for (int i = 0; i < 2; i++)
        wait_until("SELECT coalesce(bool_or(pg_terminate_backend(pid, 10000)), false) FROM "
                   "pg_stat_activity WHERE datname = '%s' AND query LIKE 'WITH put%%' AND "
                   "state = 'active'");
    pthread_join(held.thread, NULL);
    pthread_join(waiting.thread, NULL);
    ck_assert_int_eq(held.status, STATUS_UNAVAILABLE);
    step_must_be(waiting.status, STATUS_OK, &waiting.err, "count");
    step_drop(c, "busy");
    run("DROP FUNCTION wait; DROP TABLE hold");
    collections_close(c);
}
END_TEST

/* ---- writes that nobody has confirmed ---- */

/* A warning is how PostgreSQL says that the synchronous standby may not have what was written;
 * here it comes whenever something is written. */
static void warn_of(const char *table, const char *each) {
    char sql[512];
    snprintf(sql, sizeof(sql),
             "CREATE OR REPLACE FUNCTION warn() RETURNS trigger LANGUAGE plpgsql AS $$ "
             "BEGIN RAISE WARNING 'not confirmed'; RETURN NULL; END $$; "
             "DO $$ BEGIN EXECUTE format('CREATE TRIGGER warn AFTER INSERT OR DELETE ON %%s "
             "FOR EACH %s EXECUTE FUNCTION warn()', (%s)); END $$",
             each, table);
    run(sql);
}

/* What connections find from now on; NULL: as it was. */
static void configure(const char *key, const char *value) {
    char sql[256];
    if (key)
        snprintf(sql, sizeof(sql), "ALTER DATABASE %s SET %s = '%s'", database, key, value);
    else
        snprintf(sql, sizeof(sql), "ALTER DATABASE %s RESET ALL", database);
    run(sql);
}

static const char items_table[] =
    "SELECT 'clipd_items_' || number FROM clipd_collections WHERE name = 'unsure'";

/* The second try finds it done: the caller hears of what the first has found. */
START_TEST(what_was_carried_out_is_told) {
    struct collections *c = step_open_store(address);
    struct collection_spec spec = step_spec_of("unsure");
    struct bytes ids[] = {bytes_of("a"), bytes_of("b"), bytes_of("nobody")};
    struct error err = ERROR_NONE;
    bool created;
    uint64_t deleted;
    warn_of("'clipd_collections'", "ROW");
    step_must_be(collection_create(c, &spec, &created, &err), STATUS_OK, &err, "create");
    ck_assert(created);
    step_must_be(collection_create(c, &spec, &created, &err), STATUS_OK, &err, "create again");
    ck_assert(!created);
    put_some(c, "unsure");
    warn_of(items_table, "ROW");
    step_must_be(collection_delete(c, "unsure", ids, 3, &deleted, &err), STATUS_OK, &err, "delete");
    ck_assert_uint_eq(deleted, 2);
    step_must_be(collection_delete_where(c, "unsure", NULL, &deleted, &err), STATUS_OK, &err,
                 "delete the rest");
    ck_assert_uint_eq(deleted, 1);
    step_must_be(collection_delete(c, "unsure", ids, 3, &deleted, &err), STATUS_OK, &err,
                 "delete again");
    ck_assert_uint_eq(deleted, 0);
    step_must_be(collection_drop(c, "unsure", &err), STATUS_OK, &err, "drop");
    step_must_be(collection_drop(c, "unsure", &err), STATUS_NOT_FOUND, &err, "drop again");
    run("DROP FUNCTION warn CASCADE");
    collections_close(c);
}
END_TEST

START_TEST(what_stays_unconfirmed_is_not_acknowledged) {
    configure("client_min_messages", "error");
    struct collections *c = step_open_store(address);
    struct collection_spec spec = step_spec_of("unsure");
    struct bytes id = bytes_of("a");
    struct error err = ERROR_NONE;
    uint64_t deleted;
    step_make(c, &spec);
    put_some(c, "unsure");
    warn_of(items_table, "STATEMENT");
    step_must_be(collection_delete(c, "unsure", &id, 1, &deleted, &err), STATUS_UNAVAILABLE, &err,
                 "delete");
    step_drop(c, "unsure");
    run("DROP FUNCTION warn CASCADE");
    collections_close(c);
    configure(NULL, NULL);
}
END_TEST

struct making {
    pthread_t thread;
    struct collections *c;
    enum status status;
    bool created;
    struct error err;
};

static void *make_twice(void *context) {
    struct making *making = context;
    struct collection_spec spec = step_spec_of("twice");
    making->status = collection_create(making->c, &spec, &making->created, &making->err);
    return NULL;
}

/* Both have waited for somebody else who changes tables, and one for the other. */
START_TEST(who_makes_the_same_finds_it) {
    configure("default_transaction_isolation", "repeatable read");
    struct collections *c = step_open_store(address);
    struct making makings[2] = {{.c = c}, {.c = c}};
    pthread_t other = hold("PERFORM pg_advisory_xact_lock(427020611684)");
    for (size_t i = 0; i < 2; i++)
        pthread_create(&makings[i].thread, NULL, make_twice, &makings[i]);
    wait_until("SELECT count(*) = 2 FROM pg_stat_activity WHERE datname = '%s' AND "
               "application_name = 'clipd' AND wait_event = 'advisory'");
    let_go(other);
    for (size_t i = 0; i < 2; i++) pthread_join(makings[i].thread, NULL);
    for (size_t i = 0; i < 2; i++)
        step_must_be(makings[i].status, STATUS_OK, &makings[i].err, "create");
    ck_assert_int_ne(makings[0].created, makings[1].created);
    step_drop(c, "twice");
    collections_close(c);
    configure(NULL, NULL);
}
END_TEST

int main(void) {
    address = postgres_database_create();
    if (!address) return 0;
    database = strstr(address, "dbname=") + strlen("dbname=");
    log_init(LOG_OFF, LOG_TEXT);
    Suite *suite = suite_create("postgres_pool");
    TCase *tcase = tcase_create("postgres_pool");
    tcase_add_test(tcase, a_build_is_given_up_with_its_database);
    tcase_add_test(tcase, closing_ends_a_build);
    tcase_add_test(tcase, what_a_dead_build_left_is_cleared_away);
    tcase_add_test(tcase, another_database_is_left_alone);
    tcase_add_test(tcase, who_has_waited_long_may_open);
    tcase_add_test(tcase, what_was_carried_out_is_told);
    tcase_add_test(tcase, what_stays_unconfirmed_is_not_acknowledged);
    tcase_add_test(tcase, who_makes_the_same_finds_it);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    postgres_database_drop(address);
    return failed != 0;
}

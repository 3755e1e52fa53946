/* Builds of approximate indexes in a real PostgreSQL, with others in their way. */
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/log.h"
#include "core/index/collection.h"
#include "tests/support/postgres_database.h"
#include "tests/support/postgres_hold.h"
#include "tests/support/program.h"
#include "tests/support/store_steps.h"

static char *address;

/* Runs SQL in the test's database; frees the answer. */
static void run(const char *sql) {
    free(postgres_database_run(address, sql));
}

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
    postgres_database_wait_until(
        address, "SELECT EXISTS (SELECT FROM pg_stat_progress_create_index WHERE datname = '%s' "
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
    pthread_t writer = postgres_hold_table(address, "given-up", "ROW EXCLUSIVE");
    put_some(c, "given-up");
    wait_until_building();
    free(postgres_database_ask_server(address, "ALTER DATABASE %s ALLOW_CONNECTIONS false"));
    free(postgres_database_ask_server(
        address, "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE "
                 "datname = '%s' AND application_name = 'clipd' AND "
                 "query NOT LIKE 'CREATE INDEX%%'"));
    postgres_database_wait_until(
        address, "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = '%s' AND "
                 "application_name = 'clipd')");
    ck_assert_int_eq(collections_ping(c, NULL), STATUS_UNAVAILABLE);
    free(postgres_database_ask_server(address, "ALTER DATABASE %s ALLOW_CONNECTIONS true"));
    postgres_hold_end(address, writer);
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
    pthread_t writer = postgres_hold_table(address, "closing", "ROW EXCLUSIVE");
    put_some(c, "closing");
    wait_until_building();
    collections_close(c);
    postgres_database_wait_until(
        address, "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = '%s' AND "
                 "application_name = 'clipd')");
    postgres_hold_end(address, writer);
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

/* Who reads for long does not keep others from reading while what was left is cleared away. */
START_TEST(clearing_away_holds_up_nobody) {
    struct collections *c = open_to_build();
    float embedding[STEP_DIM];
    struct search search = step_search_at(embedding, 2);
    struct error err = ERROR_NONE;
    make(c, "read");
    put_some(c, "read");
    must_be_built(c, "read");
    run("DO $$ DECLARE n text := 'clipd_items_' || (SELECT number FROM clipd_collections WHERE "
        "name = 'read'); BEGIN EXECUTE format('CREATE INDEX %1$s_hnsw_ccnew ON %1$s (revision)', "
        "n); END $$");
    pthread_t reader = postgres_hold_table(address, "read", "ACCESS SHARE");
    step_must_be(collection_reindex(c, "read", &err), STATUS_OK, &err, "reindex");
    postgres_database_wait_until(
        address, "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = '%s' AND "
                 "query LIKE 'DROP INDEX%%' AND wait_event_type = 'Lock')");
    step_search_sees(c, "read", &search, 1, " a b", "during a build that waits");
    postgres_hold_end(address, reader);
    must_be_built(c, "read");
    step_drop(c, "read");
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
    free(postgres_database_ask_server(address, "CREATE DATABASE %1$s_copy TEMPLATE %1$s"));
    snprintf(of_copy, sizeof(of_copy), "%s_copy", address);
    c = open_to_build();
    pthread_t writer = postgres_hold_table(address, "copied", "ROW EXCLUSIVE");
    put_some(c, "copied");
    wait_until_building();
    copy = step_open_store(of_copy);
    step_must_be(collection_stats(copy, "copied", &stats, &err), STATUS_OK, &err, "stats");
    ck_assert(!stats.building);
    step_drop(copy, "copied");
    collections_close(copy);
    postgres_hold_end(address, writer);
    must_be_built(c, "copied");
    step_drop(c, "copied");
    collections_close(c);
    free(postgres_database_ask_server(address, "DROP DATABASE %s_copy WITH (FORCE)"));
}
END_TEST

/* ---- builds that fail ---- */

/* Builds fail at their very end if the condition holds, and leave an index that is not valid. */
static void refuse_builds(const char *condition, const char *state) {
    char sql[512];
    snprintf(sql, sizeof(sql),
             "CREATE SEQUENCE builds; CREATE FUNCTION refuse() RETURNS event_trigger "
             "LANGUAGE plpgsql AS $$ BEGIN PERFORM nextval('builds'); IF %s THEN "
             "RAISE 'no' USING ERRCODE = '%s'; END IF; END $$; "
             "CREATE EVENT TRIGGER refuse ON ddl_command_end WHEN TAG IN ('CREATE INDEX') "
             "EXECUTE FUNCTION refuse()",
             condition, state);
    run(sql);
}

static void allow_builds(void) {
    run("DROP EVENT TRIGGER refuse; DROP FUNCTION refuse; DROP SEQUENCE builds");
}

static int count_builds(void) {
    char *count = postgres_database_run(
        address, "SELECT CASE WHEN is_called THEN last_value END FROM builds");
    int builds = atoi(count);
    free(count);
    return builds;
}

static void wait_for_failure(struct collections *c, const char *name) {
    struct collection_stats stats = {.building = true};
    struct error err = ERROR_NONE;
    for (int i = 0; i < 600 && stats.building; i++) {
        step_must_be(collection_stats(c, name, &stats, &err), STATUS_OK, &err, "stats");
        usleep(50000);
    }
    ck_assert_str_eq(stats.index, "scan");
}

/* Searches and upserts go on asking for the index. */
START_TEST(what_has_failed_is_left_alone) {
    struct collections *c = open_to_build();
    float embedding[STEP_DIM];
    struct search search = step_search_at(embedding, 2);
    struct error err = ERROR_NONE;
    make(c, "failing");
    refuse_builds("true", "XX000");
    put_some(c, "failing");
    wait_for_failure(c, "failing");
    ck_assert_int_eq(count_builds(), 1);
    run("ANALYZE");
    for (int i = 0; i < 3; i++) {
        char id[4];
        snprintf(id, sizeof(id), "n%d", i);
        step_put_at(c, "failing", id, 1);
        step_search_sees(c, "failing", &search, 1, " a b", "without an index");
        usleep(1100000); /* a store may believe for a second that there is none */
    }
    ck_assert_int_eq(count_builds(), 1);
    step_must_be(collection_reindex(c, "failing", &err), STATUS_OK, &err, "reindex");
    wait_for_failure(c, "failing");
    ck_assert_int_eq(count_builds(), 2);
    allow_builds();
    step_must_be(collection_reindex(c, "failing", &err), STATUS_OK, &err, "reindex");
    must_be_built(c, "failing");
    step_drop(c, "failing");
    collections_close(c);
}
END_TEST

/* Containers have 64 MB of shared memory, in which several processes build. */
START_TEST(one_process_builds_where_several_find_no_room) {
    postgres_database_configure(address, "max_parallel_maintenance_workers", "2");
    struct collections *c = open_to_build();
    make(c, "small");
    refuse_builds("current_setting('max_parallel_maintenance_workers') <> '0'", "53100");
    put_some(c, "small");
    must_be_built(c, "small");
    ck_assert_int_eq(count_builds(), 2);
    allow_builds();
    step_drop(c, "small");
    collections_close(c);
    postgres_database_configure(address, NULL, NULL);
}
END_TEST

int main(void) {
    address = postgres_database_create();
    if (!address) return 0;
    log_init(LOG_OFF, LOG_TEXT);
    TCase *tcase = tcase_create("postgres_index");
    tcase_add_test(tcase, a_build_is_given_up_with_its_database);
    tcase_add_test(tcase, closing_ends_a_build);
    tcase_add_test(tcase, what_a_dead_build_left_is_cleared_away);
    tcase_add_test(tcase, clearing_away_holds_up_nobody);
    tcase_add_test(tcase, another_database_is_left_alone);
    tcase_add_test(tcase, what_has_failed_is_left_alone);
    tcase_add_test(tcase, one_process_builds_where_several_find_no_room);
    int failed = program_run("postgres_index", tcase, CK_NOFORK);
    postgres_database_drop(address);
    return failed;
}

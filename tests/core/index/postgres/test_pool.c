/* The store in PostgreSQL when its connections break and its statements hang, as a real server
 * can be made to do by SQL alone. What happens when servers die is in tests/chaos/. */
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
        "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN " POSTGRES_HOLD
        "; RETURN NEW; END $$; "
        "DO $$ BEGIN EXECUTE (SELECT 'CREATE TRIGGER wait BEFORE INSERT ON clipd_items_' || number "
        "|| ' FOR EACH ROW EXECUTE FUNCTION wait()' FROM clipd_collections WHERE name = 'busy'); "
        "END $$");
    struct call held = {.c = c}, waiting = {.c = c};
    pthread_create(&held.thread, NULL, put_one, &held);
    postgres_database_wait_until(
        address, "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = '%s' AND "
                 "query LIKE 'WITH put%%' AND state = 'active')");
    pthread_create(&waiting.thread, NULL, count_all, &waiting);
    usleep(1000000); /* more than GIVE_UP_MS of pool.c */
    for (int i = 0; i < 2; i++)
        postgres_database_wait_until(
            address, "SELECT coalesce(bool_or(pg_terminate_backend(pid, 10000)), false) FROM "
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
    postgres_database_configure(address, "default_transaction_isolation", "repeatable read");
    struct collections *c = step_open_store(address);
    struct making makings[2] = {{.c = c}, {.c = c}};
    pthread_t other = postgres_hold(address, "PERFORM pg_advisory_xact_lock(427020611684)");
    for (size_t i = 0; i < 2; i++)
        pthread_create(&makings[i].thread, NULL, make_twice, &makings[i]);
    postgres_database_wait_until(
        address, "SELECT count(*) = 2 FROM pg_stat_activity WHERE datname = '%s' AND "
                 "application_name = 'clipd' AND wait_event = 'advisory'");
    postgres_hold_end(address, other);
    for (size_t i = 0; i < 2; i++) pthread_join(makings[i].thread, NULL);
    for (size_t i = 0; i < 2; i++)
        step_must_be(makings[i].status, STATUS_OK, &makings[i].err, "create");
    ck_assert_int_ne(makings[0].created, makings[1].created);
    step_drop(c, "twice");
    collections_close(c);
    postgres_database_configure(address, NULL, NULL);
}
END_TEST

int main(void) {
    address = postgres_database_create();
    if (!address) return 0;
    log_init(LOG_OFF, LOG_TEXT);
    TCase *tcase = tcase_create("postgres_pool");
    tcase_add_test(tcase, who_has_waited_long_may_open);
    tcase_add_test(tcase, who_makes_the_same_finds_it);
    int failed = program_run("postgres_pool", tcase, CK_NOFORK);
    postgres_database_drop(address);
    return failed;
}

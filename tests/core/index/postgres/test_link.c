/* Writes that a real PostgreSQL has carried out, but warns of: those whose wait for a synchronous
 * standby was cut short, and those that have nothing to fear. */
#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/log.h"
#include "core/index/collection.h"
#include "tests/support/postgres_database.h"
#include "tests/support/store_steps.h"

static char *address;
static char *waiting; /* the same, whose sessions wait for a standby when there is to be one */

static void ask_server(const char *sql) {
    free(postgres_database_ask_server(address, sql));
}

static void put_some(struct collections *c, const char *name) {
    static const char *const ids[] = {"a", "b", "c"};
    float embeddings[3][STEP_DIM];
    struct item items[3];
    struct collection_upserted done;
    struct error err = ERROR_NONE;
    for (size_t i = 0; i < 3; i++) items[i] = step_item_at(ids[i], 0.1 * (double)i, embeddings[i]);
    step_must_be(collection_upsert(c, name, step_digest_a, items, 3, &done, &err), STATUS_OK, &err,
                 "put");
    ck_assert_uint_eq(done.inserted, 3);
}

/* ---- a standby that is not there ---- */

static const char is_waited_for[] =
    "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = '%s' AND wait_event = 'SyncRep')";

/* Other tests on this server do not wait. */
static void set_up_server(void) {
    ask_server("ALTER SYSTEM SET synchronous_commit = local");
    ask_server("SELECT pg_reload_conf()");
}

static void tear_down_server(void) {
    ask_server("ALTER SYSTEM RESET synchronous_standby_names");
    ask_server("ALTER SYSTEM RESET synchronous_commit");
    ask_server("SELECT pg_reload_conf()");
}

static void *write_until_told(void *context) {
    while (!atomic_load((atomic_bool *)context))
        free(postgres_database_run(waiting, "SELECT pg_logical_emit_message(true, 'test', '')"));
    return NULL;
}

/* From when it returns, who writes waits. Servers take over a configuration some time after they
 * are told to: one that writes all the time shows when. */
static void lose_standby(void) {
    pthread_t thread;
    atomic_bool told = false;
    pthread_create(&thread, NULL, write_until_told, &told);
    ask_server("ALTER SYSTEM SET synchronous_standby_names = nobody");
    ask_server("SELECT pg_reload_conf()");
    postgres_database_wait_until(address, is_waited_for);
    atomic_store(&told, true);
    ask_server("SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE datname = '%s' "
               "AND wait_event = 'SyncRep'");
    pthread_join(thread, NULL);
}

/* Who waits from then on has waited enough. */
static void find_standby(void) {
    ask_server("ALTER SYSTEM RESET synchronous_standby_names");
    ask_server("SELECT pg_reload_conf()");
}

/* The process of one who writes and waits, and is not `other`. */
static int wait_for_waiting(int other) {
    char sql[256];
    snprintf(sql, sizeof(sql),
             "SELECT pid FROM pg_stat_activity WHERE datname = '%%s' AND wait_event = 'SyncRep' "
             "AND pid <> %d",
             other);
    for (int i = 0; i < 600; i++) {
        char *pid = postgres_database_ask_server(address, sql);
        int found = atoi(pid);
        free(pid);
        if (found) return found;
        usleep(50000);
    }
    fprintf(stderr, "in vain: nobody waits for the standby\n");
    abort();
}

struct cutting {
    pthread_t thread;
    int cuts;
};

/* Who writes tries twice. So many of its waits are cut short, what is left is confirmed. */
static void *cut_waits(void *context) {
    const struct cutting *cutting = context;
    for (int i = 0, pid = 0; i < 2; i++) {
        char sql[64];
        pid = wait_for_waiting(pid);
        snprintf(sql, sizeof(sql), "SELECT pg_cancel_backend(%d)", pid);
        if (i < cutting->cuts) ask_server(sql);
    }
    find_standby();
    return NULL;
}

static void begin_cutting(struct cutting *cutting, int cuts) {
    lose_standby();
    cutting->cuts = cuts;
    pthread_create(&cutting->thread, NULL, cut_waits, cutting);
}

/* The second try finds it done, and waits all the same: the caller hears of what the first has
 * found. */
START_TEST(what_was_carried_out_is_told) {
    struct collections *c = step_open_store(waiting);
    struct collection_spec spec = step_spec_of("unsure");
    struct bytes ids[] = {bytes_of("a"), bytes_of("b"), bytes_of("nobody")};
    struct error err = ERROR_NONE;
    struct cutting cutting;
    bool created;
    uint64_t deleted;
    begin_cutting(&cutting, 1);
    step_must_be(collection_create(c, &spec, &created, &err), STATUS_OK, &err, "create");
    pthread_join(cutting.thread, NULL);
    ck_assert(created);
    step_must_be(collection_create(c, &spec, &created, &err), STATUS_OK, &err, "create again");
    ck_assert(!created);
    put_some(c, "unsure");
    begin_cutting(&cutting, 1);
    step_must_be(collection_delete(c, "unsure", ids, 3, &deleted, &err), STATUS_OK, &err, "delete");
    pthread_join(cutting.thread, NULL);
    ck_assert_uint_eq(deleted, 2);
    begin_cutting(&cutting, 1);
    step_must_be(collection_delete_where(c, "unsure", NULL, &deleted, &err), STATUS_OK, &err,
                 "delete the rest");
    pthread_join(cutting.thread, NULL);
    ck_assert_uint_eq(deleted, 1);
    step_must_be(collection_delete(c, "unsure", ids, 3, &deleted, &err), STATUS_OK, &err,
                 "delete again");
    ck_assert_uint_eq(deleted, 0);
    begin_cutting(&cutting, 1);
    step_must_be(collection_drop(c, "unsure", &err), STATUS_OK, &err, "drop");
    pthread_join(cutting.thread, NULL);
    step_must_be(collection_drop(c, "unsure", &err), STATUS_NOT_FOUND, &err, "drop again");
    collections_close(c);
}
END_TEST

START_TEST(what_stays_unconfirmed_is_not_acknowledged) {
    postgres_database_configure(address, "client_min_messages", "error");
    struct collections *c = step_open_store(waiting);
    struct collection_spec spec = step_spec_of("unsure");
    struct bytes id = bytes_of("a");
    struct error err = ERROR_NONE;
    struct cutting cutting;
    uint64_t deleted;
    step_make(c, &spec);
    put_some(c, "unsure");
    begin_cutting(&cutting, 2);
    step_must_be(collection_delete(c, "unsure", &id, 1, &deleted, &err), STATUS_UNAVAILABLE, &err,
                 "delete");
    pthread_join(cutting.thread, NULL);
    step_drop(c, "unsure");
    collections_close(c);
    postgres_database_configure(address, NULL, NULL);
}
END_TEST

/* ---- warnings of something else ---- */

/* PostgreSQL warns of transaction ids that run out in every transaction that writes. */
START_TEST(another_warning_is_no_failure) {
    struct collections *c = step_open_store(address);
    struct collection_spec spec = step_spec_of("warned");
    struct bytes id = bytes_of("a");
    struct error err = ERROR_NONE;
    uint64_t deleted;
    step_make(c, &spec);
    free(postgres_database_run(
        address,
        "CREATE FUNCTION warn() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "RAISE WARNING 'database must be vacuumed'; RETURN NULL; END $$; "
        "DO $$ BEGIN EXECUTE (SELECT 'CREATE TRIGGER warn AFTER INSERT OR DELETE ON clipd_items_' "
        "|| number || ' EXECUTE FUNCTION warn()' FROM clipd_collections WHERE name = 'warned'); "
        "END $$"));
    put_some(c, "warned");
    step_must_be(collection_delete(c, "warned", &id, 1, &deleted, &err), STATUS_OK, &err, "delete");
    ck_assert_uint_eq(deleted, 1);
    step_drop(c, "warned");
    free(postgres_database_run(address, "DROP FUNCTION warn"));
    collections_close(c);
}
END_TEST

int main(void) {
    address = postgres_database_create();
    if (!address) return 0;
    if (asprintf(&waiting, "%s&options=-csynchronous_commit%%3Don", address) < 0) abort();
    log_init(LOG_OFF, LOG_TEXT);
    Suite *suite = suite_create("postgres_link");
    TCase *tcase = tcase_create("standby");
    tcase_add_checked_fixture(tcase, set_up_server, tear_down_server);
    tcase_add_test(tcase, what_was_carried_out_is_told);
    tcase_add_test(tcase, what_stays_unconfirmed_is_not_acknowledged);
    suite_add_tcase(suite, tcase);
    tcase = tcase_create("warnings");
    tcase_add_test(tcase, another_warning_is_no_failure);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    postgres_database_drop(address);
    free(waiting);
    return failed != 0;
}

#include <check.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/index/sqlite/store.h"
#include "core/index/store.h"
#include "tests/support/folder.h"
#include "tests/support/program.h"
#include "tests/support/store_steps.h"
#include "tests/support/store_suite.h"

START_TEST(test_suite) {
    char *folder = folder_make();
    store_suite_run((size_t)_i, folder);
    folder_remove(folder);
}
END_TEST

/* ---- waiting for the writer ---- */

enum { TIMEOUT_MS = 50, ENOUGH_MS = 60000 };

/* Of each test: a store with the collection "a". */
static const struct store *door;
static struct sqlite_store *store;
static char *folder;
static struct collection_spec spec;

static void open_store(void) {
    void *self;
    struct error err = ERROR_NONE;
    bool created;
    folder = folder_make();
    struct collections_options options = {.store = folder, .timeout_ms = TIMEOUT_MS, .threads = 1};
    ck_assert_msg(!sqlite_store_open(&door, &self, &options, &err), "%s", err.message);
    store = self;
    spec = step_spec_of("a");
    ck_assert_int_eq(door->create(store, &spec, &created, NULL), STATUS_OK);
}

static void close_store(void) {
    door->close(store);
    folder_remove(folder);
}

static enum status put(struct error *err) {
    float embedding[STEP_DIM];
    struct item item = step_item_at("x", 0, embedding);
    struct collection_upserted done;
    item.metadata = bytes_of("{}");
    return door->upsert(store, &spec, &item, 1, &done, err);
}

/* Whatever writes gives up in time, whatever reads goes on, and all is well afterwards. */
START_TEST(nobody_waits_for_a_writer_for_ever) {
    struct error err = ERROR_NONE;
    struct collection_spec other = step_spec_of("b");
    struct bytes id = bytes_of("x");
    bool created = true;
    uint64_t count;
    open_store();
    ck_assert_int_eq(sqlite_store_lock(store, &err), STATUS_OK);
    ck_assert_int_eq(put(&err), STATUS_OVERLOADED);
    ck_assert_ptr_nonnull(strstr(err.message, "store.timeout"));
    ck_assert_int_eq(door->create(store, &other, &created, NULL), STATUS_OVERLOADED);
    ck_assert(!created);
    ck_assert_int_eq(door->remove(store, &spec, &id, 1, NULL, &count, NULL), STATUS_OVERLOADED);
    ck_assert_int_eq(door->drop(store, "a", NULL), STATUS_OVERLOADED);
    store->timeout_ns = (uint64_t)ENOUGH_MS * CLOCK_NS_PER_MS;
    ck_assert_int_eq(door->count(store, &spec, &(struct filter){.kind = FILTER_AND}, &count, NULL),
                     STATUS_OK);
    sqlite_store_unlock(store);
    ck_assert_int_eq(put(NULL), STATUS_OK);
    close_store();
}
END_TEST

static void *put_once(void *context) {
    *(enum status *)context = put(NULL);
    return NULL;
}

/* Nor do those who wait in a row add up: who is second gives up where the first does. */
START_TEST(a_row_of_writers_gives_up_together) {
    enum status got[4];
    pthread_t threads[4];
    open_store();
    ck_assert_int_eq(sqlite_store_lock(store, NULL), STATUS_OK);
    for (size_t i = 0; i < 4; i++) pthread_create(&threads[i], NULL, put_once, &got[i]);
    for (size_t i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    for (size_t i = 0; i < 4; i++) ck_assert_int_eq(got[i], STATUS_OVERLOADED);
    sqlite_store_unlock(store);
    close_store();
}
END_TEST

/* Another program that has the file is waited for no longer than the rest of the time. */
START_TEST(others_with_the_file_are_waited_for_in_time) {
    sqlite3 *other;
    struct error err = ERROR_NONE;
    int64_t patience = -1;
    open_store();
    ck_assert_int_eq(sqlite_store_lock(store, &err), STATUS_OK);
    sqlite_read_number(&patience, store->writer, "PRAGMA busy_timeout", 0, -1, &err);
    ck_assert_int_ge(patience, 0);
    ck_assert_int_le(patience, TIMEOUT_MS);
    sqlite_store_unlock(store);
    ck_assert_int_eq(sqlite3_open(store->path, &other), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    ck_assert_int_eq(put(&err), STATUS_OVERLOADED);
    sqlite3_close(other);
    ck_assert_int_eq(put(NULL), STATUS_OK);
    close_store();
}
END_TEST

int main(void) {
    TCase *tcase = tcase_create("suite");
    tcase_set_timeout(tcase, 120); /* each commit waits for the disk */
    tcase_add_loop_test(tcase, test_suite, 0, (int)store_suite_count());
    tcase_add_test(tcase, nobody_waits_for_a_writer_for_ever);
    tcase_add_test(tcase, a_row_of_writers_gives_up_together);
    tcase_add_test(tcase, others_with_the_file_are_waited_for_in_time);
    return program_run("sqlite", tcase, CK_FORK_GETENV);
}

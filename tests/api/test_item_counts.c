/* How many items collections have, as metrics tell it. */
#include "api/item_counts.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/postgres_database.h"
#include "tests/support/program.h"

static struct item_counts *counts;

static const char *text(void) {
    static char copy[65536];
    struct buffer buffer;
    buffer_init(&buffer, sizeof(copy) - 1);
    struct exposition out = {.out = &buffer, .error = ERROR_NONE};
    item_counts_write(&out, counts);
    memcpy(copy, buffer.data, buffer.size);
    copy[buffer.size] = '\0';
    buffer_free(&buffer);
    return copy;
}

START_TEST(they_move) {
    ck_assert_int_eq(item_counts_create(&counts, NULL), STATUS_OK);
    item_counts_add(counts, "unknown", 3);
    ck_assert_ptr_null(strstr(text(), "unknown"));
    item_counts_set(counts, "a", 5);
    item_counts_set(counts, "b", 1);
    item_counts_add(counts, "a", 2);
    item_counts_add(counts, "a", -4);
    ck_assert_ptr_nonnull(strstr(text(), "clipd_collection_items{collection=\"a\"} 3\n"));
    item_counts_add(counts, "a", -4); /* another process put one of them in */
    ck_assert_ptr_nonnull(strstr(text(), "clipd_collection_items{collection=\"a\"} 0\n"));
    item_counts_drop(counts, "a");
    item_counts_drop(counts, "a");
    ck_assert_ptr_null(strstr(text(), "\"a\""));
    ck_assert_ptr_nonnull(strstr(text(), "clipd_collection_items{collection=\"b\"} 1\n"));
    item_counts_destroy(counts);
    item_counts_destroy(NULL);
}
END_TEST

START_TEST(they_are_bounded) {
    ck_assert_int_eq(item_counts_create(&counts, NULL), STATUS_OK);
    for (int i = 0; i <= ITEM_COUNTS_MAX; i++) {
        char name[16];
        snprintf(name, sizeof(name), "c%d", i);
        item_counts_set(counts, name, 1);
    }
    ck_assert_ptr_nonnull(strstr(text(), "\"c255\""));
    ck_assert_ptr_null(strstr(text(), "\"c256\""));
    item_counts_destroy(counts);
}
END_TEST

/* PostgreSQL's own estimate will do. */
START_TEST(many_are_not_counted) {
    char *address = postgres_database_create();
    struct collections *collections = NULL;
    struct collection_spec spec = {.name = "large", .model = "m", .dim = 3};
    bool created;
    if (!address) return;
    memset(spec.model_digest, 'a', sizeof(spec.model_digest) - 1);
    struct collections_options options = {.store = address};
    ck_assert_int_eq(collections_open(&collections, &options, NULL), STATUS_OK);
    ck_assert_int_eq(collection_create(collections, &spec, &created, NULL), STATUS_OK);
    free(postgres_database_run(address, "UPDATE pg_class SET reltuples = 5000000 "
                                        "WHERE relname LIKE 'clipd_items_%' AND relkind = 'r'"));
    ck_assert_int_eq(item_counts_create(&counts, NULL), STATUS_OK);
    item_counts_read(counts, collections);
    ck_assert_ptr_nonnull(strstr(text(), "clipd_collection_items{collection=\"large\"} 5000000\n"));
    item_counts_destroy(counts);
    collections_close(collections);
    postgres_database_drop(address);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("item_counts");
    tcase_add_test(tests, they_move);
    tcase_add_test(tests, they_are_bounded);
    tcase_add_test(tests, many_are_not_counted);
    return program_run("item_counts", tests, CK_NOFORK);
}

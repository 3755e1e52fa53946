/* What the door refuses before any store sees it; what stores do is in store_suite.h. */
#include "core/index/collection.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/index/collection_check.h"
#include "tests/support/folder.h"
#include "tests/support/program.h"
#include "tests/support/store_steps.h"

START_TEST(test_names) {
    static const struct {
        const char *name;
        bool good;
    } names[] = {
        {"a", true},    {"Photos-2024_x.y", true},
        {"", false},    {".a", false},
        {"a/b", false}, {"..", false},
        {"a b", false}, {"\xC3\xA9", false},
        {"a;", false},
    };
    struct collection_spec spec = step_spec_of("a");
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        snprintf(spec.name, sizeof(spec.name), "%s", names[i].name);
        ck_assert_msg(collection_check_spec(&spec, NULL) ==
                          (names[i].good ? STATUS_OK : STATUS_INVALID),
                      "\"%s\"", names[i].name);
    }
}
END_TEST

START_TEST(test_spec) {
    struct collection_spec good = step_spec_of("a"), bad[10];
    for (size_t i = 0; i < 10; i++) bad[i] = good;
    bad[0].dim = 0;
    bad[1].dim = COLLECTION_DIM_MAX + 1;
    bad[2].model_digest[0] = 'A';
    bad[3].model_digest[63] = '\0';
    bad[4].model[0] = '\xFF';
    bad[5].precision = (enum collection_precision)3;
    bad[6].fields_count = COLLECTION_FIELDS_MAX + 1;
    step_add_field(&bad[7], "a..b", COLLECTION_TEXT);
    step_add_field(&bad[8], "a", COLLECTION_TEXT);
    step_add_field(&bad[8], "a", COLLECTION_NUMBER);
    step_add_field(&bad[9], "a", (enum collection_field_kind)3);
    ck_assert_int_eq(collection_check_spec(&good, NULL), STATUS_OK);
    good.dim = COLLECTION_DIM_MAX;
    ck_assert_int_eq(collection_check_spec(&good, NULL), STATUS_OK);
    for (size_t i = 0; i < 10; i++) {
        struct error err = ERROR_NONE;
        ck_assert_msg(collection_check_spec(&bad[i], &err) == STATUS_INVALID, "%zu", i);
        ck_assert_uint_gt(strlen(err.message), 0);
    }
}
END_TEST

/* Of any length but 0, down to where squares are 0 in fp32 and up to where they overflow. */
START_TEST(test_lengths) {
    static const float factors[] = {1, 1e-38F, 1e-30F, 1e30F, 3e38F};
    char *folder = folder_make();
    struct collections *c = step_open_store(folder);
    struct collection_spec spec = step_spec_of("a");
    static struct seen first, seen;
    float e[STEP_DIM];
    step_make(c, &spec);
    for (size_t i = 0; i < sizeof(factors) / sizeof(*factors); i++) {
        struct item item = step_item_at("x", 0.5, e);
        e[0] *= factors[i], e[1] *= factors[i];
        step_must_put(c, "a", item);
        seen = step_fetch(c, "a", "x", ITEM_EMBEDDING);
        double length = hypot((double)seen.embedding[0], (double)seen.embedding[1]);
        ck_assert_msg(fabs(length - 1) < 1e-6, "%g: %g", (double)factors[i], length);
    }
    /* What comes out goes in unchanged, however often. */
    first = step_fetch(c, "a", "x", ITEM_EMBEDDING);
    for (size_t i = 0; i < 5; i++) {
        struct item item = {.id = bytes_of("x"), .embedding = first.embedding, .dim = STEP_DIM};
        step_must_put(c, "a", item);
        seen = step_fetch(c, "a", "x", ITEM_EMBEDDING);
        ck_assert_mem_eq(seen.embedding, first.embedding, sizeof(seen.embedding));
    }
    collections_close(c);
    folder_remove(folder);
}
END_TEST

START_TEST(test_limits) {
    char *folder = folder_make();
    struct collections *c = step_open_store(folder);
    struct collection_spec spec = step_spec_of("a");
    struct error err = ERROR_NONE;
    struct seen seen = {0};
    float e[STEP_DIM];
    uint64_t deleted;
    step_make(c, &spec);
    struct item *items = calloc(COLLECTION_BATCH_MAX + 1, sizeof(*items));
    struct bytes *ids = calloc(COLLECTION_HITS_MAX + 1, sizeof(*ids));
    struct search *searches = calloc(COLLECTION_BATCH_MAX + 1, sizeof(*searches));
    for (size_t i = 0; i <= COLLECTION_BATCH_MAX; i++) {
        items[i] = step_item_at("x", 0, e);
        searches[i] = step_search_at(e, 1);
    }
    for (size_t i = 0; i <= COLLECTION_HITS_MAX; i++) ids[i] = bytes_of("x");
    ck_assert_int_eq(step_put(c, "a", items, COLLECTION_BATCH_MAX, &err), STATUS_OK);
    ck_assert_int_eq(step_put(c, "a", items, COLLECTION_BATCH_MAX + 1, NULL), STATUS_TOO_LARGE);
    ck_assert_int_eq(collection_search(c, "a", searches, COLLECTION_BATCH_MAX,
                                       &(struct hit_visitor){0, step_see_hit, &seen}, NULL),
                     STATUS_OK);
    ck_assert_uint_eq(seen.count, COLLECTION_BATCH_MAX);
    ck_assert_int_eq(collection_search(c, "a", searches, COLLECTION_BATCH_MAX + 1,
                                       &(struct hit_visitor){0, step_see_hit, &seen}, NULL),
                     STATUS_TOO_LARGE);
    for (size_t i = 0; i < 11; i++) searches[i].top_k = COLLECTION_HITS_MAX;
    ck_assert_int_eq(collection_search(c, "a", searches, 11,
                                       &(struct hit_visitor){0, step_see_hit, &seen}, NULL),
                     STATUS_TOO_LARGE);
    searches[0].dim = STEP_DIM + 1;
    ck_assert_int_eq(
        collection_search(c, "a", searches, 1, &(struct hit_visitor){0, step_see_hit, &seen}, NULL),
        STATUS_CONFLICT);
    ck_assert_int_eq(collection_fetch(c, "a", ids, COLLECTION_HITS_MAX + 1,
                                      &(struct item_visitor){0, step_see, &seen}, NULL),
                     STATUS_TOO_LARGE);
    ck_assert_int_eq(collection_delete(c, "a", ids, COLLECTION_HITS_MAX, &deleted, NULL),
                     STATUS_OK);
    ck_assert_uint_eq(deleted, 1);
    free(items);
    free(ids);
    free(searches);
    collections_close(c);
    folder_remove(folder);
}
END_TEST

START_TEST(test_address) {
    struct collections *c = NULL;
    struct error err = ERROR_NONE;
    struct collections_options options = {.store = ""};
    ck_assert_int_eq(collections_open(&c, &options, &err), STATUS_INVALID);
    collections_close(NULL);
}
END_TEST

int main(void) {
    TCase *tcase = tcase_create("door");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, test_names);
    tcase_add_test(tcase, test_spec);
    tcase_add_test(tcase, test_lengths);
    tcase_add_test(tcase, test_limits);
    tcase_add_test(tcase, test_address);
    return program_run("collection", tcase, CK_FORK_GETENV);
}

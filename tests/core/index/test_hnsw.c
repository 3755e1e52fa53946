/* What the graph finds, and what it does not find any more. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/log.h"
#include "tests/support/embeddings.h"
#include "tests/support/kernel_sets.h"
#include "tests/support/program.h"
#include "tests/support/rows.h"

static float *embeddings; /* [ROWS_COUNT, ROWS_DIM] */

START_TEST(every_row_finds_itself) {
    for (int precision = COLLECTION_INT8; precision <= COLLECTION_FP32; precision++) {
        struct vectors *vectors =
            rows_make_full(embeddings, (enum collection_precision)precision, NULL);
        rows_wait_for(vectors, ROWS_COUNT);
        for (size_t i = 0; i < ROWS_COUNT; i++) {
            struct vectors_hit hits[ROWS_TOP];
            ck_assert_uint_eq(rows_find(vectors, embeddings + i * ROWS_DIM, false, hits), ROWS_TOP);
            ck_assert_uint_eq(hits[0].row, 2 * i);
        }
        ck_assert(rows_recall(vectors) >= 0.99);
        vectors_destroy(vectors);
    }
}
END_TEST

START_TEST(rows_are_found_before_they_are_indexed) {
    struct vectors *vectors = rows_make(COLLECTION_INT8, NULL);
    rows_put(vectors, embeddings, 0, 1000);
    vectors_ready(vectors);
    for (size_t i = 1000; i < ROWS_COUNT; i++) {
        struct vectors_hit hits[ROWS_TOP];
        rows_put(vectors, embeddings, i, i + 1);
        ck_assert_uint_eq(rows_find(vectors, embeddings + i * ROWS_DIM, false, hits), ROWS_TOP);
        ck_assert_uint_eq(hits[0].row, 2 * i);
    }
    rows_wait_for(vectors, ROWS_COUNT);
    vectors_destroy(vectors);
}
END_TEST

START_TEST(removed_rows_never_come_back) {
    struct vectors *vectors = rows_make_full(embeddings, COLLECTION_INT8, NULL);
    bool gone[ROWS_COUNT] = {false};
    uint32_t state = 3;
    rows_wait_for(vectors, ROWS_COUNT);
    /* Past where the index is built anew. */
    for (size_t left = ROWS_COUNT; left > ROWS_COUNT / 3;) {
        for (size_t i = 0; i < ROWS_COUNT; i++) {
            if (gone[i] || random_unit(&state) > -0.9f) continue;
            uint64_t row = 2 * i;
            vectors_remove(vectors, &row, 1);
            gone[i] = true;
            left--;
        }
        for (size_t i = 0; i < ROWS_COUNT; i += 11) {
            struct vectors_hit hits[ROWS_TOP];
            ck_assert_uint_eq(rows_find(vectors, embeddings + i * ROWS_DIM, false, hits), ROWS_TOP);
            for (size_t k = 0; k < ROWS_TOP; k++) ck_assert(!gone[hits[k].row / 2]);
            ck_assert(gone[i] || hits[0].row == 2 * i);
        }
    }
    ck_assert(rows_recall(vectors) >= 0.99);
    vectors_destroy(vectors);
}
END_TEST

/* A whole neighbourhood goes: what is left must be found through it. */
START_TEST(hits_behind_removed_rows) {
    struct vectors *vectors = rows_make_full(embeddings, COLLECTION_INT8, NULL);
    struct vectors_hit hits[ROWS_TOP];
    rows_wait_for(vectors, ROWS_COUNT);
    for (size_t i = 0; i < ROWS_COUNT; i += 20) { /* the cluster of row 0 */
        uint64_t row = 2 * i;
        vectors_remove(vectors, &row, 1);
    }
    ck_assert_uint_eq(rows_find(vectors, embeddings, false, hits), ROWS_TOP);
    ck_assert(rows_recall(vectors) >= 0.99);
    vectors_destroy(vectors);
}
END_TEST

START_TEST(identical_rows) {
    enum { SAME = 500 };
    struct vectors *vectors = rows_make(COLLECTION_INT8, NULL);
    float *all = embeddings_make(ROWS_COUNT, ROWS_DIM, 1);
    for (size_t i = 0; i < SAME; i++) memcpy(all + i * ROWS_DIM, all, ROWS_DIM * sizeof(*all));
    rows_put(vectors, all, 0, ROWS_COUNT);
    vectors_ready(vectors);
    rows_wait_for(vectors, ROWS_COUNT);
    for (size_t i = 0; i < ROWS_COUNT; i += 7) {
        struct vectors_hit hits[ROWS_TOP];
        ck_assert_uint_eq(rows_find(vectors, all + i * ROWS_DIM, false, hits), ROWS_TOP);
        ck_assert(hits[0].score > 0.9999f);
        ck_assert(i < SAME || hits[0].row == 2 * i);
        for (size_t k = 0; k < ROWS_TOP && i < SAME; k++) ck_assert_uint_eq(hits[k].row, 2 * k);
    }
    for (size_t i = 0; i < SAME - ROWS_TOP; i++) { /* the node's own row and others of it */
        uint64_t row = 2 * i;
        vectors_remove(vectors, &row, 1);
    }
    struct vectors_hit hits[ROWS_TOP];
    rows_find(vectors, all, false, hits);
    for (size_t k = 0; k < ROWS_TOP; k++) ck_assert_uint_eq(hits[k].row, 2 * (SAME - ROWS_TOP + k));
    vectors_destroy(vectors);
    free(all);
}
END_TEST

int main(void) {
    log_init(LOG_OFF, LOG_TEXT);
    embeddings = embeddings_make(ROWS_COUNT, ROWS_DIM, 1);
    TCase *tests = tcase_create("hnsw");
    tcase_set_timeout(tests, 0);
    tcase_add_test(tests, every_row_finds_itself);
    tcase_add_test(tests, rows_are_found_before_they_are_indexed);
    tcase_add_test(tests, removed_rows_never_come_back);
    tcase_add_test(tests, hits_behind_removed_rows);
    tcase_add_test(tests, identical_rows);
    int failed = program_run("hnsw", tests, CK_NOFORK);
    free(embeddings);
    return failed;
}

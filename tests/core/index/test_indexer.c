/* The thread that keeps the graph, while rows come, go and are searched. */
#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/log.h"
#include "tests/support/embeddings.h"
#include "tests/support/program.h"
#include "tests/support/rows.h"

static char directory[] = "/tmp/clipd-indexer-XXXXXX";
static char cache[64];
static float *embeddings; /* [ROWS_COUNT, ROWS_DIM] */

struct busy {
    struct vectors *vectors;
    _Atomic bool over;
};

/* The first 500 rows stay. */
static void *search_busily(void *argument) {
    struct busy *busy = argument;
    for (size_t i = 0; !atomic_load(&busy->over); i = (i + 1) % 500) {
        struct vectors_hit hits[ROWS_TOP];
        struct vectors_stats stats;
        ck_assert_uint_eq(rows_find(busy->vectors, embeddings + i * ROWS_DIM, false, hits),
                          ROWS_TOP);
        ck_assert_uint_eq(hits[0].row, 2 * i);
        vectors_read_stats(busy->vectors, &stats);
    }
    return NULL;
}

START_TEST(searches_while_the_index_changes) {
    unlink(cache);
    struct busy busy = {.vectors = rows_make(COLLECTION_INT8, cache)};
    rows_put(busy.vectors, embeddings, 0, 600);
    vectors_ready(busy.vectors);
    pthread_t threads[3];
    for (size_t i = 0; i < 3; i++) pthread_create(&threads[i], NULL, search_busily, &busy);
    for (size_t i = 600; i < ROWS_COUNT; i += 20) {
        rows_put(busy.vectors, embeddings, i, i + 20);
        uint64_t rows[10];
        for (size_t k = 0; k < 10; k++) rows[k] = 2 * (i - 60 + k);
        if (i >= 700) vectors_remove(busy.vectors, rows, 10);
        if (i == 1500) vectors_rebuild(busy.vectors);
        usleep(1000);
    }
    atomic_store(&busy.over, true);
    for (size_t i = 0; i < 3; i++) pthread_join(threads[i], NULL);
    vectors_destroy(busy.vectors);
}
END_TEST

/* However soon the thread adds what is put: the index stays the one that it is. */
START_TEST(the_index_stays_while_rows_come) {
    struct vectors *vectors = rows_make(COLLECTION_INT8, NULL);
    rows_put(vectors, embeddings, 0, 1000);
    vectors_ready(vectors);
    rows_wait_for(vectors, 1000);
    for (size_t i = 1000; i < 1500; i++) {
        struct vectors_stats stats = {0};
        rows_put(vectors, embeddings, i, i + 1);
        while (stats.indexed <= i) {
            vectors_read_stats(vectors, &stats);
            ck_assert(stats.approximate);
        }
    }
    vectors_destroy(vectors);
}
END_TEST

/* Most of the rows that the thread is about to add are removed, so that the others move, and then
 * some of these. */
START_TEST(removed_rows_that_moved) {
    struct vectors *vectors = rows_make(COLLECTION_INT8, NULL);
    struct vectors_stats stats = {0};
    uint64_t rows[ROWS_COUNT];
    rows_put(vectors, embeddings, 0, 200);
    vectors_ready(vectors);
    rows_wait_for(vectors, 200);
    rows_put(vectors, embeddings, 200, ROWS_COUNT);
    while (stats.indexed < 210) vectors_read_stats(vectors, &stats);
    for (size_t i = 0; i < ROWS_COUNT; i++) rows[i] = rows_number(i);
    vectors_remove(vectors, rows + 1400, ROWS_COUNT - 1400);
    vectors_remove(vectors, rows + 1000, 400);
    rows_wait_for(vectors, 1000);
    vectors_destroy(vectors);
}
END_TEST

/* At any moment of a build; what was done by then is used the next time. */
START_TEST(an_end_amid_the_build) {
    unlink(cache);
    for (useconds_t wait = 0; wait < 60000; wait += 7000) {
        struct vectors *vectors = rows_make_full(embeddings, COLLECTION_INT8, cache);
        usleep(wait);
        if (wait % 2) vectors_rebuild(vectors);
        vectors_destroy(vectors);
    }
    struct vectors *vectors = rows_make_full(embeddings, COLLECTION_INT8, cache);
    rows_wait_for(vectors, ROWS_COUNT);
    ck_assert(rows_recall(vectors) >= 0.99);
    vectors_destroy(vectors);
}
END_TEST

int main(void) {
    if (!mkdtemp(directory)) return 1;
    snprintf(cache, sizeof(cache), "%s/graph", directory);
    log_init(LOG_OFF, LOG_TEXT);
    embeddings = embeddings_make(ROWS_COUNT, ROWS_DIM, 1);
    TCase *tests = tcase_create("indexer");
    tcase_set_timeout(tests, 0);
    tcase_add_test(tests, searches_while_the_index_changes);
    tcase_add_test(tests, the_index_stays_while_rows_come);
    tcase_add_test(tests, removed_rows_that_moved);
    tcase_add_test(tests, an_end_amid_the_build);
    int failed = program_run("indexer", tests, CK_NOFORK);
    free(embeddings);
    unlink(cache);
    rmdir(directory);
    return failed;
}

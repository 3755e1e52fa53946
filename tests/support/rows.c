#include "tests/support/rows.h"

#include <check.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/kernels/isa.h"
#include "tests/support/embeddings.h"

enum { PAIRS = ROWS_TOP * ROWS_TOP };

uint64_t rows_number(size_t index) {
    return 2 * index;
}

struct vectors *rows_make(enum collection_precision precision, const char *path) {
    struct vectors_options options = {.dim = ROWS_DIM,
                                      .precision = precision,
                                      .features = isa_detect(),
                                      .approximate_from = 100,
                                      .cache_path = path};
    struct vectors *vectors = NULL;
    ck_assert_int_eq(vectors_create(&vectors, &options, NULL), STATUS_OK);
    return vectors;
}

void rows_put(struct vectors *vectors, const float *from, size_t begin, size_t end) {
    uint64_t rows[ROWS_COUNT];
    for (size_t i = begin; i < end; i++) rows[i - begin] = 2 * i;
    ck_assert_int_eq(vectors_put(vectors, rows, from + begin * ROWS_DIM, end - begin, NULL),
                     STATUS_OK);
}

void rows_wait_for(struct vectors *vectors, uint64_t indexed) {
    for (int i = 0; i < 60000; i++) {
        struct vectors_stats stats;
        vectors_read_stats(vectors, &stats);
        if (stats.approximate && stats.indexed == indexed && !stats.building) return;
        usleep(1000);
    }
    ck_abort_msg("the index does not get ready");
}

struct vectors *rows_make_full(const float *embeddings, enum collection_precision precision,
                               const char *path) {
    struct vectors *vectors = rows_make(precision, path);
    rows_put(vectors, embeddings, 0, ROWS_COUNT);
    vectors_ready(vectors);
    return vectors;
}

size_t rows_find(struct vectors *vectors, const float *embedding, bool exact,
                 struct vectors_hit hits[ROWS_TOP]) {
    struct vectors_query query = {
        .embedding = embedding, .top = ROWS_TOP, .score_min = -2, .exact = exact};
    size_t count = 0;
    ck_assert_int_eq(vectors_search(vectors, &query, 1, &hits, &count, NULL), STATUS_OK);
    return count;
}

double rows_recall(struct vectors *vectors) {
    float *queries = embeddings_make(100, ROWS_DIM, 9);
    size_t hits = 0;
    for (size_t q = 0; q < 100; q++) {
        struct vectors_hit found[ROWS_TOP], wanted[ROWS_TOP];
        ck_assert_uint_eq(rows_find(vectors, queries + q * ROWS_DIM, false, found), ROWS_TOP);
        ck_assert_uint_eq(rows_find(vectors, queries + q * ROWS_DIM, true, wanted), ROWS_TOP);
        for (size_t i = 0; i < PAIRS; i++) {
            bool same = found[i / ROWS_TOP].row == wanted[i % ROWS_TOP].row;
            /* The same row has the same score whichever way it was found. */
            if (same) ck_assert(found[i / ROWS_TOP].score == wanted[i % ROWS_TOP].score);
            hits += same;
        }
    }
    free(queries);
    return (double)hits / (100 * ROWS_TOP);
}

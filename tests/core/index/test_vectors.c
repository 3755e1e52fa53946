#include <check.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "core/index/vectors.h"
#include "core/kernels/isa.h"
#include "tests/support/embeddings.h"
#include "tests/support/kernel_sets.h"
#include "tests/support/program.h"

enum { ROW_STEP = 3, ROW_FIRST = 5 }; /* numbers have gaps, as those of a store */

static struct crew *crew;

static struct vectors *make(size_t dim, enum collection_precision precision) {
    struct vectors_options options = {.dim = (uint32_t)dim,
                                      .precision = precision,
                                      .features = isa_detect(),
                                      .crew = crew,
                                      .approximate_from = UINT64_MAX};
    struct vectors *vectors = NULL;
    ck_assert_int_eq(vectors_create(&vectors, &options, NULL), STATUS_OK);
    return vectors;
}

static uint64_t number_of(size_t index) {
    return ROW_FIRST + ROW_STEP * index;
}

static void put(struct vectors *vectors, const float *embeddings, size_t dim, size_t begin,
                size_t count) {
    uint64_t *rows = malloc((count + 1) * sizeof(*rows));
    for (size_t i = 0; i < count; i++) rows[i] = number_of(begin + i);
    ck_assert_int_eq(vectors_put(vectors, rows, embeddings + begin * dim, count, NULL), STATUS_OK);
    free(rows);
}

static void take_out(struct vectors *vectors, size_t index) {
    uint64_t row = number_of(index);
    vectors_remove(vectors, &row, 1);
}

static size_t search(struct vectors *vectors, const struct vectors_query *query,
                     struct vectors_hit *hits) {
    size_t count = 0;
    ck_assert_int_eq(vectors_search(vectors, query, 1, &hits, &count, NULL), STATUS_OK);
    for (size_t i = 1; i < count; i++) {
        ck_assert(hits[i - 1].score > hits[i].score ||
                  (hits[i - 1].score == hits[i].score && hits[i - 1].row < hits[i].row));
    }
    return count;
}

/* What there is, and which of it is out. */
struct world {
    const float *embeddings;
    const bool *out; /* NULL: all is in */
    size_t count, dim;
};

static bool is_named(const struct vectors_query *query, uint64_t row) {
    for (size_t i = 0; i < query->only_count; i++) {
        if (query->only[i] == row) return true;
    }
    return query->only == NULL;
}

static int descending(const void *a, const void *b) {
    const double *x = a, *y = b;
    return *x < *y ? 1 : *x > *y ? -1 : 0;
}

/* The hits are those of a search in double precision, up to what fp32 cannot tell apart. */
static void check(struct vectors *vectors, const struct world *world,
                  const struct vectors_query *query) {
    double *scores = malloc((world->count + 1) * sizeof(*scores));
    size_t expected = 0;
    for (size_t i = 0; i < world->count; i++) {
        if ((world->out && world->out[i]) || !is_named(query, number_of(i))) continue;
        double score =
            embeddings_dot(query->embedding, world->embeddings + i * world->dim, world->dim);
        if (score >= (double)query->score_min) scores[expected++] = score;
    }
    qsort(scores, expected, sizeof(*scores), descending);
    if (expected > query->top) expected = query->top;
    struct vectors_hit *hits = malloc((query->top + 1) * sizeof(*hits));
    size_t count = search(vectors, query, hits);
    ck_assert_uint_eq(count, expected);
    for (size_t i = 0; i < count; i++) {
        size_t index = (size_t)(hits[i].row - ROW_FIRST) / ROW_STEP;
        ck_assert_uint_eq(hits[i].row, number_of(index));
        ck_assert(!world->out || !world->out[index]);
        double own =
            embeddings_dot(query->embedding, world->embeddings + index * world->dim, world->dim);
        ck_assert(fabs((double)hits[i].score - own) < 1e-6);
        ck_assert_msg(fabs((double)hits[i].score - scores[i]) < 1e-6, "hit %zu: %.8f, %.8f", i,
                      (double)hits[i].score, scores[i]);
    }
    free(scores);
    free(hits);
}

START_TEST(finds_what_brute_force_finds) {
    static const size_t dims[] = {1, 7, 64, 100, 512};
    for (size_t d = 0; d < sizeof(dims) / sizeof(dims[0]); d++) {
        size_t dim = dims[d], count = 3000;
        float *embeddings = embeddings_make(count, dim, 1), *queries = embeddings_make(8, dim, 2);
        struct world world = {.embeddings = embeddings, .count = count, .dim = dim};
        for (int precision = COLLECTION_INT8; precision <= COLLECTION_FP32; precision++) {
            /* In one dimension every row is the same, and all that counts is the order. */
            if (dim < 64 && precision != COLLECTION_FP32) continue;
            struct vectors *vectors = make(dim, (enum collection_precision)precision);
            for (size_t at = 0, step = 1; at < count; at += step, step = step * 2 + 1) {
                if (step > count - at) step = count - at;
                put(vectors, embeddings, dim, at, step);
            }
            for (size_t q = 0; q < 8; q++) {
                struct vectors_query query = {
                    .embedding = queries + q * dim, .top = q * q + 1, .score_min = -2};
                check(vectors, &world, &query);
                query.score_min = 0.3f;
                check(vectors, &world, &query);
            }
            vectors_destroy(vectors);
        }
        free(embeddings);
        free(queries);
    }
}
END_TEST

START_TEST(empty_and_few) {
    enum { DIM = 64 };
    float *embeddings = embeddings_make(3, DIM, 1);
    struct vectors *vectors = make(DIM, COLLECTION_INT8);
    struct vectors_hit hits[20];
    struct vectors_query query = {.embedding = embeddings, .top = 20, .score_min = -2};
    ck_assert_uint_eq(search(vectors, &query, hits), 0);
    put(vectors, embeddings, DIM, 0, 3);
    ck_assert_uint_eq(search(vectors, &query, hits), 3);
    uint64_t none = 4; /* no such row */
    vectors_remove(vectors, &none, 1);
    query.only = &none;
    query.only_count = 1;
    ck_assert_uint_eq(search(vectors, &query, hits), 0);
    query.only_count = 0;
    ck_assert_uint_eq(search(vectors, &query, hits), 0);
    query.only = NULL;
    for (size_t i = 0; i < 3; i++) take_out(vectors, i);
    ck_assert_uint_eq(search(vectors, &query, hits), 0);
    struct vectors_stats stats;
    vectors_read_stats(vectors, &stats);
    ck_assert_uint_eq(stats.rows, 0);
    ck_assert_uint_eq(stats.bytes, 0); /* compacted away */
    put(vectors, embeddings, DIM, 3, 0);
    vectors_destroy(vectors);
    free(embeddings);
}
END_TEST

START_TEST(named_rows_alone) {
    enum { DIM = 64, COUNT = 5000 };
    float *embeddings = embeddings_make(COUNT, DIM, 1), *queries = embeddings_make(4, DIM, 2);
    struct world world = {.embeddings = embeddings, .count = COUNT, .dim = DIM};
    struct vectors *vectors = make(DIM, COLLECTION_INT8);
    put(vectors, embeddings, DIM, 0, COUNT);
    uint64_t only[COUNT];
    static const size_t shares[] = {1, 2, 7, 9, 100, 2500, COUNT};
    for (size_t s = 0; s < sizeof(shares) / sizeof(shares[0]); s++) {
        size_t count = 0;
        /* Every other name is of no row. */
        for (size_t i = s; i < COUNT; i += shares[s]) {
            only[count] = number_of(i) + count % 2;
            count++;
        }
        for (size_t q = 0; q < 4; q++) {
            struct vectors_query query = {.embedding = queries + q * DIM,
                                          .top = 10,
                                          .score_min = -2,
                                          .only = only,
                                          .only_count = count};
            check(vectors, &world, &query);
        }
    }
    vectors_destroy(vectors);
    free(embeddings);
    free(queries);
}
END_TEST

START_TEST(removed_rows_stay_away) {
    enum { DIM = 64, COUNT = 4000 };
    float *embeddings = embeddings_make(COUNT, DIM, 1);
    bool out[COUNT] = {false};
    struct world world = {.embeddings = embeddings, .out = out, .count = COUNT, .dim = DIM};
    struct vectors *vectors = make(DIM, COLLECTION_INT8);
    struct vectors_stats before, after;
    put(vectors, embeddings, DIM, 0, COUNT);
    vectors_read_stats(vectors, &before);
    uint32_t state = 7;
    size_t left = COUNT;
    while (left > 20) {
        for (size_t i = 0; i < COUNT; i++) {
            if (out[i] || random_unit(&state) > -0.6f) continue;
            out[i] = true;
            left--;
            take_out(vectors, i);
        }
        for (size_t i = 0; i < COUNT; i += 157) {
            float *query = embeddings + i * DIM;
            struct vectors_query asked = {.embedding = query, .top = 10, .score_min = -2};
            check(vectors, &world, &asked);
            float copy[DIM];
            ck_assert(vectors_get(vectors, number_of(i), copy) == !out[i]);
            if (!out[i]) ck_assert(same_bits(copy, query, sizeof(copy)));
        }
    }
    vectors_read_stats(vectors, &after);
    ck_assert_uint_eq(after.rows, left);
    ck_assert_uint_lt(after.bytes, before.bytes / 20); /* memory went with them */
    float copy[DIM];
    ck_assert(!vectors_get(vectors, number_of(0) + 1, copy));
    vectors_destroy(vectors);
    free(embeddings);
}
END_TEST

/* The bits of a score do not depend on who else asks, or where the row lies. */
START_TEST(many_queries_at_once) {
    enum { DIM = 100, COUNT = 3000, QUERIES = 45, TOP = 5 };
    float *embeddings = embeddings_make(COUNT, DIM, 1), *asked = embeddings_make(QUERIES, DIM, 2);
    for (int precision = COLLECTION_INT8; precision <= COLLECTION_FP32; precision++) {
        struct vectors *vectors = make(DIM, (enum collection_precision)precision);
        put(vectors, embeddings, DIM, 0, COUNT);
        struct vectors_query queries[QUERIES];
        struct vectors_hit hits[QUERIES][TOP], alone[TOP], *places[QUERIES];
        size_t counts[QUERIES];
        uint64_t only[2] = {number_of(1), number_of(8)};
        for (size_t i = 0; i < QUERIES; i++) {
            queries[i] =
                (struct vectors_query){.embedding = asked + i * DIM, .top = TOP, .score_min = -2};
            if (i % 7 == 3) queries[i].only = only, queries[i].only_count = 2;
            places[i] = hits[i];
        }
        ck_assert_int_eq(vectors_search(vectors, queries, QUERIES, places, counts, NULL),
                         STATUS_OK);
        for (size_t i = 0; i < QUERIES; i++) {
            memset(alone, 0, sizeof(alone));
            ck_assert_uint_eq(search(vectors, &queries[i], alone), counts[i]);
            for (size_t k = 0; k < counts[i]; k++) {
                ck_assert_uint_eq(alone[k].row, hits[i][k].row);
                ck_assert(alone[k].score == hits[i][k].score);
            }
        }
        vectors_destroy(vectors);
    }
    free(embeddings);
    free(asked);
}
END_TEST

/* ---- searches while rows come and go ---- */

enum {
    BUSY_DIM = 64,
    BUSY_ROWS = 6000,
    BUSY_KEPT = 500,
    BUSY_BEGIN = 2 * BUSY_KEPT, /* rows, from which on some are taken out */
    BUSY_READERS = 4,
};

struct busy {
    struct vectors *vectors;
    const float *embeddings; /* [BUSY_ROWS] */
    _Atomic size_t in;       /* rows before this have been put */
    _Atomic bool over;
    _Atomic uint32_t seed;
};

/* The first BUSY_KEPT rows stay: each must find itself at any time. So must what was put
 * before the search. */
static void *search_busily(void *argument) {
    struct busy *busy = argument;
    uint32_t state = busy->seed++;
    while (!atomic_load(&busy->over)) {
        size_t in = atomic_load(&busy->in);
        size_t index = (size_t)((random_unit(&state) + 1) / 2 * BUSY_KEPT);
        size_t newest = in ? in - 1 : 0;
        if (in < BUSY_KEPT) continue;
        const float *embedding = busy->embeddings + index * BUSY_DIM;
        uint64_t only[2] = {number_of(index), number_of(newest)};
        struct vectors_query query = {.embedding = embedding, .top = 1, .score_min = -2};
        struct vectors_hit hit;
        ck_assert_uint_eq(search(busy->vectors, &query, &hit), 1);
        ck_assert_uint_eq(hit.row, number_of(index));
        query.only = only;
        query.only_count = newest > index ? 2 : 1;
        ck_assert_uint_eq(search(busy->vectors, &query, &hit), 1);
        ck_assert_uint_eq(hit.row, number_of(index));
        struct vectors_stats stats;
        vectors_read_stats(busy->vectors, &stats);
        ck_assert_uint_ge(stats.rows, BUSY_KEPT);
    }
    return NULL;
}

START_TEST(searches_while_rows_come_and_go) {
    float *embeddings = embeddings_make(BUSY_ROWS, BUSY_DIM, 1);
    struct busy busy = {.vectors = make(BUSY_DIM, COLLECTION_INT8), .embeddings = embeddings};
    pthread_t threads[BUSY_READERS];
    for (size_t i = 0; i < BUSY_READERS; i++)
        pthread_create(&threads[i], NULL, search_busily, &busy);
    for (size_t at = 0; at < BUSY_ROWS; at += 50) {
        put(busy.vectors, embeddings, BUSY_DIM, at, 50);
        atomic_store(&busy.in, at + 50);
        if (at < BUSY_BEGIN) continue;
        for (size_t i = at - BUSY_KEPT; i < at - BUSY_KEPT + 49; i++) take_out(busy.vectors, i);
    }
    atomic_store(&busy.over, true);
    for (size_t i = 0; i < BUSY_READERS; i++) pthread_join(threads[i], NULL);
    vectors_destroy(busy.vectors);
    free(embeddings);
}
END_TEST

/* ---- more rows than there were when the search began ---- */

enum { FEW = 300, MORE = 50, FEW_TOP = 1000, FEW_QUERIES = 500, FEW_CALLS = 20 };

/* Puts rows in that are nearer than the few, and takes them out again. */
static void *come_and_go(void *argument) {
    struct busy *busy = argument;
    for (size_t at = FEW; !atomic_load(&busy->over); at += MORE) {
        uint64_t rows[MORE];
        float near[MORE * BUSY_DIM];
        for (size_t i = 0; i < MORE; i++) {
            rows[i] = number_of(at + i);
            memcpy(near + i * BUSY_DIM, busy->embeddings, BUSY_DIM * sizeof(float));
        }
        ck_assert_int_eq(vectors_put(busy->vectors, rows, near, MORE, NULL), STATUS_OK);
        vectors_remove(busy->vectors, rows, MORE);
    }
    return NULL;
}

/* Many queries in a call, so that rows come between its begin and its scans. */
START_TEST(all_are_found_while_others_come) {
    float *embeddings = embeddings_make(FEW, BUSY_DIM, 1);
    struct busy busy = {.vectors = make(BUSY_DIM, COLLECTION_INT8), .embeddings = embeddings};
    struct vectors_query queries[FEW_QUERIES];
    struct vectors_hit *hits[FEW_QUERIES];
    size_t counts[FEW_QUERIES];
    pthread_t thread;
    put(busy.vectors, embeddings, BUSY_DIM, 0, FEW);
    for (size_t i = 0; i < FEW_QUERIES; i++) {
        queries[i] =
            (struct vectors_query){.embedding = embeddings, .top = FEW_TOP, .score_min = -2};
        hits[i] = malloc(FEW_TOP * sizeof(*hits[i]));
    }
    pthread_create(&thread, NULL, come_and_go, &busy);
    for (size_t call = 0; call < FEW_CALLS; call++) {
        ck_assert_int_eq(vectors_search(busy.vectors, queries, FEW_QUERIES, hits, counts, NULL),
                         STATUS_OK);
        for (size_t i = 0; i < FEW_QUERIES; i++) {
            size_t found = 0;
            for (size_t k = 0; k < counts[i]; k++) found += hits[i][k].row < number_of(FEW);
            ck_assert_uint_eq(found, FEW);
        }
    }
    atomic_store(&busy.over, true);
    pthread_join(thread, NULL);
    for (size_t i = 0; i < FEW_QUERIES; i++) free(hits[i]);
    vectors_destroy(busy.vectors);
    free(embeddings);
}
END_TEST

int main(void) {
    if (crew_create(&crew, 3, NULL)) return 1;
    TCase *tests = tcase_create("vectors");
    tcase_set_timeout(tests, 0);
    tcase_add_test(tests, finds_what_brute_force_finds);
    tcase_add_test(tests, empty_and_few);
    tcase_add_test(tests, named_rows_alone);
    tcase_add_test(tests, removed_rows_stay_away);
    tcase_add_test(tests, many_queries_at_once);
    tcase_add_test(tests, searches_while_rows_come_and_go);
    tcase_add_test(tests, all_are_found_while_others_come);
    int failed = program_run("vectors", tests, CK_NOFORK);
    crew_destroy(crew);
    return failed;
}

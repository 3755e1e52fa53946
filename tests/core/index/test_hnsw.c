/* test_hnsw.c - the graph, its file, and the thread that keeps both. */
#include <check.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/bytes.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/index/graph_file.h"
#include "core/index/vectors.h"
#include "core/kernels/isa.h"
#include "tests/support/embeddings.h"
#include "tests/support/kernel_sets.h"

enum { DIM = 64, ROWS = 3000, TOP = 10, PAIRS = TOP * TOP, DAMAGED = 1000, REMOVED = 17 };

static char directory[] = "/tmp/clipd-hnsw-XXXXXX";
static char cache[64];
static float *embeddings; /* [ROWS, DIM] */

static uint64_t number_of(size_t index) {
    return 2 * index;
}

static const float *of_row(size_t index) {
    return embeddings + index * DIM;
}

static struct vectors *make(enum collection_precision precision, const char *path) {
    struct vectors_options options = {.dim = DIM,
                                      .precision = precision,
                                      .features = isa_detect(),
                                      .approximate_from = 100,
                                      .cache_path = path};
    struct vectors *vectors = NULL;
    ck_assert_int_eq(vectors_create(&vectors, &options, NULL), STATUS_OK);
    return vectors;
}

static void put(struct vectors *vectors, const float *from, size_t begin, size_t end) {
    uint64_t rows[ROWS];
    for (size_t i = begin; i < end; i++) rows[i - begin] = 2 * i;
    ck_assert_int_eq(vectors_put(vectors, rows, from + begin * DIM, end - begin, NULL), STATUS_OK);
}

/* Until the index holds all there is. */
static void wait_for(struct vectors *vectors, uint64_t indexed) {
    for (int i = 0; i < 60000; i++) {
        struct vectors_stats stats;
        vectors_read_stats(vectors, &stats);
        if (stats.approximate && stats.indexed == indexed && !stats.building) return;
        usleep(1000);
    }
    ck_abort_msg("the index does not get ready");
}

static struct vectors *make_full(enum collection_precision precision, const char *path) {
    struct vectors *vectors = make(precision, path);
    put(vectors, embeddings, 0, ROWS);
    vectors_ready(vectors);
    return vectors;
}

static size_t find(struct vectors *vectors, const float *embedding, bool exact,
                   struct vectors_hit hits[TOP]) {
    struct vectors_query query = {
        .embedding = embedding, .top = TOP, .score_min = -2, .exact = exact};
    size_t count = 0;
    ck_assert_int_eq(vectors_search(vectors, &query, 1, &hits, &count, NULL), STATUS_OK);
    return count;
}

static double recall(struct vectors *vectors) {
    float *queries = embeddings_make(100, DIM, 9);
    size_t hits = 0;
    for (size_t q = 0; q < 100; q++) {
        struct vectors_hit found[TOP], wanted[TOP];
        ck_assert_uint_eq(find(vectors, queries + q * DIM, false, found), TOP);
        ck_assert_uint_eq(find(vectors, queries + q * DIM, true, wanted), TOP);
        for (size_t i = 0; i < PAIRS; i++) {
            bool same = found[i / TOP].row == wanted[i % TOP].row;
            /* The same row has the same score whichever way it was found. */
            if (same) ck_assert(found[i / TOP].score == wanted[i % TOP].score);
            hits += same;
        }
    }
    free(queries);
    return (double)hits / (100 * TOP);
}

START_TEST(every_row_finds_itself) {
    for (int precision = COLLECTION_INT8; precision <= COLLECTION_FP32; precision++) {
        struct vectors *vectors = make_full((enum collection_precision)precision, NULL);
        wait_for(vectors, ROWS);
        for (size_t i = 0; i < ROWS; i++) {
            struct vectors_hit hits[TOP];
            ck_assert_uint_eq(find(vectors, embeddings + i * DIM, false, hits), TOP);
            ck_assert_uint_eq(hits[0].row, 2 * i);
        }
        ck_assert(recall(vectors) >= 0.99);
        vectors_destroy(vectors);
    }
}
END_TEST

START_TEST(rows_are_found_before_they_are_indexed) {
    struct vectors *vectors = make(COLLECTION_INT8, NULL);
    put(vectors, embeddings, 0, 1000);
    vectors_ready(vectors);
    for (size_t i = 1000; i < ROWS; i++) {
        struct vectors_hit hits[TOP];
        put(vectors, embeddings, i, i + 1);
        ck_assert_uint_eq(find(vectors, embeddings + i * DIM, false, hits), TOP);
        ck_assert_uint_eq(hits[0].row, 2 * i);
    }
    wait_for(vectors, ROWS);
    vectors_destroy(vectors);
}
END_TEST

START_TEST(removed_rows_never_come_back) {
    struct vectors *vectors = make_full(COLLECTION_INT8, NULL);
    bool gone[ROWS] = {false};
    uint32_t state = 3;
    wait_for(vectors, ROWS);
    /* Past where the index is built anew. */
    for (size_t left = ROWS; left > ROWS / 3;) {
        for (size_t i = 0; i < ROWS; i++) {
            if (gone[i] || random_unit(&state) > -0.9f) continue;
            uint64_t row = 2 * i;
            vectors_remove(vectors, &row, 1);
            gone[i] = true;
            left--;
        }
        for (size_t i = 0; i < ROWS; i += 11) {
            struct vectors_hit hits[TOP];
            ck_assert_uint_eq(find(vectors, embeddings + i * DIM, false, hits), TOP);
            for (size_t k = 0; k < TOP; k++) ck_assert(!gone[hits[k].row / 2]);
            ck_assert(gone[i] || hits[0].row == 2 * i);
        }
    }
    ck_assert(recall(vectors) >= 0.99);
    vectors_destroy(vectors);
}
END_TEST

/* A whole neighbourhood goes: what is left must be found through it. */
START_TEST(hits_behind_removed_rows) {
    struct vectors *vectors = make_full(COLLECTION_INT8, NULL);
    struct vectors_hit hits[TOP];
    wait_for(vectors, ROWS);
    for (size_t i = 0; i < ROWS; i += 20) { /* the cluster of row 0 */
        uint64_t row = 2 * i;
        vectors_remove(vectors, &row, 1);
    }
    ck_assert_uint_eq(find(vectors, embeddings, false, hits), TOP);
    ck_assert(recall(vectors) >= 0.99);
    vectors_destroy(vectors);
}
END_TEST

START_TEST(identical_rows) {
    enum { SAME = 500 };
    struct vectors *vectors = make(COLLECTION_INT8, NULL);
    float *all = embeddings_make(ROWS, DIM, 1);
    for (size_t i = 0; i < SAME; i++) memcpy(all + i * DIM, all, DIM * sizeof(*all));
    put(vectors, all, 0, ROWS);
    vectors_ready(vectors);
    wait_for(vectors, ROWS);
    for (size_t i = 0; i < ROWS; i += 7) {
        struct vectors_hit hits[TOP];
        ck_assert_uint_eq(find(vectors, all + i * DIM, false, hits), TOP);
        ck_assert(hits[0].score > 0.9999f);
        ck_assert(i < SAME || hits[0].row == 2 * i);
        for (size_t k = 0; k < TOP && i < SAME; k++) ck_assert_uint_eq(hits[k].row, 2 * k);
    }
    for (size_t i = 0; i < SAME - TOP; i++) { /* the node's own row and others of it */
        uint64_t row = 2 * i;
        vectors_remove(vectors, &row, 1);
    }
    struct vectors_hit hits[TOP];
    find(vectors, all, false, hits);
    for (size_t k = 0; k < TOP; k++) ck_assert_uint_eq(hits[k].row, 2 * (SAME - TOP + k));
    vectors_destroy(vectors);
    free(all);
}
END_TEST

/* ---- the file ---- */

/* When it was written, in nanoseconds: inodes are used again. 0: there is none. */
static uint64_t written_at(const char *path) {
    struct stat info;
    if (stat(path, &info)) return 0;
    return (uint64_t)info.st_mtim.tv_sec * 1000000000 + (uint64_t)info.st_mtim.tv_nsec;
}

START_TEST(a_restart_uses_the_cache) {
    unlink(cache);
    struct vectors *vectors = make_full(COLLECTION_INT8, cache);
    wait_for(vectors, ROWS);
    vectors_destroy(vectors);
    uint64_t written = written_at(cache);
    ck_assert_uint_ne(written, 0);
    /* The same rows: read, and not written again. */
    vectors = make_full(COLLECTION_INT8, cache);
    wait_for(vectors, ROWS);
    ck_assert(recall(vectors) >= 0.99);
    uint64_t row = number_of(REMOVED);
    vectors_remove(vectors, &row, 1);
    vectors_destroy(vectors);
    ck_assert_uint_eq(written_at(cache), written);
    /* A row fewer and some more: the rest is added, and the file is written again. */
    float *more = embeddings_make(100, DIM, 5);
    vectors = make(COLLECTION_INT8, cache);
    put(vectors, embeddings, 0, REMOVED);
    put(vectors, embeddings, REMOVED + 1, ROWS);
    vectors_ready(vectors);
    wait_for(vectors, ROWS - 1);
    uint64_t rows[100];
    for (size_t i = 0; i < 100; i++) rows[i] = number_of(ROWS) + i;
    ck_assert_int_eq(vectors_put(vectors, rows, more, 100, NULL), STATUS_OK);
    wait_for(vectors, ROWS + 99);
    for (size_t i = 0; i < 100; i++) {
        struct vectors_hit hits[TOP];
        find(vectors, more + i * DIM, false, hits);
        ck_assert_uint_eq(hits[0].row, rows[i]);
        find(vectors, of_row(REMOVED), false, hits);
        ck_assert_uint_ne(hits[0].row, row);
    }
    vectors_destroy(vectors);
    ck_assert_uint_ne(written_at(cache), written);
    free(more);
}
END_TEST

START_TEST(a_discarded_cache_is_not_written) {
    unlink(cache);
    struct vectors *vectors = make(COLLECTION_INT8, cache);
    put(vectors, embeddings, 0, 1000);
    vectors_ready(vectors);
    wait_for(vectors, 1000);
    uint64_t written = written_at(cache);
    put(vectors, embeddings, 1000, 1010);
    wait_for(vectors, 1010);
    vectors_discard(vectors);
    vectors_destroy(vectors);
    ck_assert_uint_ne(written, 0);
    ck_assert_uint_eq(written_at(cache), written);
}
END_TEST

/* Files that are whole, but of other rows, another precision or another size. */
START_TEST(a_stale_cache_is_built_anew) {
    unlink(cache);
    float *others = embeddings_make(ROWS, DIM, 77);
    struct vectors *vectors = make(COLLECTION_INT8, cache);
    put(vectors, others, 0, ROWS);
    vectors_ready(vectors);
    wait_for(vectors, ROWS);
    vectors_destroy(vectors);
    for (int precision = COLLECTION_INT8; precision <= COLLECTION_FP32; precision++) {
        uint64_t before = written_at(cache);
        vectors = make_full((enum collection_precision)precision, cache);
        wait_for(vectors, ROWS);
        ck_assert(recall(vectors) >= 0.99);
        vectors_destroy(vectors);
        /* fp32 has a graph of bf16. */
        ck_assert((written_at(cache) == before) == (precision == COLLECTION_FP32));
    }
    /* One row is missing in the file. */
    unlink(cache);
    vectors = make(COLLECTION_INT8, cache);
    put(vectors, embeddings, 0, REMOVED);
    put(vectors, embeddings, REMOVED + 1, ROWS);
    vectors_ready(vectors);
    wait_for(vectors, ROWS - 1);
    vectors_destroy(vectors);
    vectors = make_full(COLLECTION_INT8, cache);
    wait_for(vectors, ROWS);
    struct vectors_hit hits[TOP];
    find(vectors, of_row(REMOVED), false, hits);
    ck_assert_uint_eq(hits[0].row, number_of(REMOVED));
    vectors_destroy(vectors);
    free(others);
}
END_TEST

/* The store went back to an older state and numbers on from there. */
START_TEST(a_cache_that_is_ahead) {
    unlink(cache);
    struct vectors *vectors = make_full(COLLECTION_INT8, cache);
    wait_for(vectors, ROWS);
    vectors_destroy(vectors);
    for (int wait = 0; wait < 2; wait++) {
        vectors = make(COLLECTION_INT8, cache);
        put(vectors, embeddings, 0, ROWS - 500);
        vectors_ready(vectors);
        if (wait) wait_for(vectors, ROWS - 500);
        float *more = embeddings_make(ROWS, DIM, 5);
        put(vectors, more, ROWS - 500, ROWS - 400);
        wait_for(vectors, ROWS - 400);
        for (size_t i = ROWS - 500; i < ROWS - 400; i++) {
            struct vectors_hit hits[TOP];
            find(vectors, more + i * DIM, false, hits);
            ck_assert_uint_eq(hits[0].row, 2 * i);
        }
        free(more);
        vectors_rebuild(vectors);
        wait_for(vectors, ROWS - 400);
        vectors_destroy(vectors);
        unlink(cache);
        vectors = make_full(COLLECTION_INT8, cache);
        wait_for(vectors, ROWS);
        vectors_destroy(vectors);
    }
}
END_TEST

static void write_file(const char *path, const uint8_t *data, size_t size) {
    unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, data, size), (ssize_t)size);
    close(fd);
}

/* A byte or some changed, cut off, grown, or parts swapped. */
static size_t damage(uint8_t *data, size_t size, uint32_t *state) {
    size_t at = (size_t)((double)(random_unit(state) + 1) / 2 * (double)(size - 16));
    switch ((uint32_t)((random_unit(state) + 1) * 4)) {
    case 0: return at;
    case 1: memset(data + at, 0xff, 8); break;
    case 2: memset(data + at, 0, size - at); break;
    case 3: memmove(data + at / 2, data + at, size - at); break;
    case 4: data[at % 64] ^= 1; break;
    case 5: data[size] = 0; return size + 1;
    default: data[at] ^= (uint8_t)(1 << (*state >> 16 & 7)); break;
    }
    return size;
}

/* A file whose checksums are right and whose links are not: as if hnsw_read() were alone. */
struct memory {
    const uint8_t *data;
    size_t size, at;
};

static bool read_memory(void *context, void *data, size_t size) {
    struct memory *memory = context;
    if (size > memory->size - memory->at) return false;
    if (size) memcpy(data, memory->data + memory->at, size);
    memory->at += size;
    return true;
}

static bool append(void *context, const void *data, size_t size) {
    return buffer_append(context, data, size, NULL) == STATUS_OK;
}

static struct hnsw *small_graph(const struct hnsw_options *options, size_t rows) {
    struct hnsw *hnsw = NULL;
    ck_assert_int_eq(hnsw_create(&hnsw, options, 1, NULL), STATUS_OK);
    for (size_t i = 0; i < rows; i++) {
        int8_t code[DIM];
        float scale = scan_encode(options->kernel, code, embeddings + i * DIM, DIM);
        ck_assert_int_eq(hnsw_add(hnsw, i, code, scale, NULL), STATUS_OK);
    }
    return hnsw;
}

START_TEST(damaged_files_are_refused) {
    enum { SMALL = 300 };
    struct hnsw_options options = {.kernel = scan_kernel_find(isa_detect(), SCAN_INT8), .dim = DIM};
    struct hnsw *hnsw = small_graph(&options, SMALL);
    bool found;
    unlink(cache);
    ck_assert_int_eq(graph_file_write(cache, hnsw, &options, SCAN_INT8, NULL), STATUS_OK);
    hnsw_destroy(hnsw);
    struct buffer file;
    buffer_init(&file, 1 << 24);
    ck_assert_int_eq(file_read(&file, cache, NULL), STATUS_OK);
    uint8_t *copy = malloc(file.size + 1);
    uint32_t state = 5;
    for (int i = 0; i < DAMAGED; i++) {
        memcpy(copy, file.data, file.size);
        size_t size = damage(copy, file.size, &state);
        bool changed = size != file.size || memcmp(copy, file.data, size) != 0;
        write_file(cache, copy, size);
        hnsw = graph_file_read(cache, &options, SCAN_INT8, &found);
        ck_assert(found);
        ck_assert((hnsw == NULL) == changed);
        hnsw_destroy(hnsw);
    }
    write_file(cache, file.data, file.size);
    hnsw = graph_file_read(cache, &options, SCAN_INT8, &found);
    ck_assert(hnsw && hnsw_count(hnsw) == SMALL);
    hnsw_destroy(hnsw);
    ck_assert_int_eq(chmod(cache, 0666), 0); /* anybody may have written it */
    ck_assert(!graph_file_read(cache, &options, SCAN_INT8, &found) && found);
    unlink(cache);
    ck_assert(!graph_file_read(cache, &options, SCAN_INT8, &found) && !found);
    buffer_free(&file);
    free(copy);
}
END_TEST

START_TEST(damaged_graphs_are_refused_or_harmless) {
    enum { SMALL = 300 };
    struct hnsw_options options = {.kernel = scan_kernel_find(isa_detect(), SCAN_INT8), .dim = DIM};
    struct hnsw *hnsw = small_graph(&options, SMALL);
    struct buffer whole;
    buffer_init(&whole, 1 << 24);
    ck_assert(hnsw_write(hnsw, append, &whole));
    hnsw_destroy(hnsw);
    uint8_t *copy = malloc(whole.size + 1);
    uint32_t state = 6;
    size_t accepted = 0;
    for (int i = 0; i < DAMAGED; i++) {
        memcpy(copy, whole.data, whole.size);
        struct memory memory = {.data = copy, .size = damage(copy, whole.size, &state)};
        hnsw = hnsw_read(&options, memory.size, read_memory, &memory);
        if (!hnsw) continue;
        accepted++;
        struct hnsw_hit hits[64];
        size_t count;
        int8_t code[DIM];
        float scale = scan_encode(options.kernel, code, embeddings, DIM);
        ck_assert_int_eq(hnsw_search(hnsw, code, scale, 64, hits, &count, NULL), STATUS_OK);
        ck_assert_uint_le(count, 64);
        for (uint64_t row = UINT64_MAX - 10; row < UINT64_MAX; row++)
            hnsw_add(hnsw, row, code, scale, NULL);
        hnsw_destroy(hnsw);
    }
    ck_assert_uint_gt(accepted, 0);
    buffer_free(&whole);
    free(copy);
}
END_TEST

START_TEST(another_process_writes) {
    struct hnsw_options options = {.kernel = scan_kernel_find(isa_detect(), SCAN_INT8), .dim = DIM};
    struct hnsw *hnsw = small_graph(&options, 10);
    char temporary[80];
    unlink(cache);
    snprintf(temporary, sizeof(temporary), "%s.new", cache);
    int fd = open(temporary, O_RDWR | O_CREAT, 0600);
    ck_assert_int_eq(flock(fd, LOCK_EX), 0);
    ck_assert_int_eq(graph_file_write(cache, hnsw, &options, SCAN_INT8, NULL), STATUS_CONFLICT);
    close(fd); /* it died and left its file */
    ck_assert_int_eq(graph_file_write(cache, hnsw, &options, SCAN_INT8, NULL), STATUS_OK);
    ck_assert_int_ne(access(temporary, F_OK), 0);
    ck_assert_int_eq(graph_file_write("/nowhere/graph", hnsw, &options, SCAN_INT8, NULL),
                     STATUS_IO);
    hnsw_destroy(hnsw);
}
END_TEST

/* ---- all at once ---- */

struct busy {
    struct vectors *vectors;
    _Atomic bool over;
};

/* The first 500 rows stay. */
static void *search_busily(void *argument) {
    struct busy *busy = argument;
    for (size_t i = 0; !atomic_load(&busy->over); i = (i + 1) % 500) {
        struct vectors_hit hits[TOP];
        struct vectors_stats stats;
        ck_assert_uint_eq(find(busy->vectors, embeddings + i * DIM, false, hits), TOP);
        ck_assert_uint_eq(hits[0].row, 2 * i);
        vectors_read_stats(busy->vectors, &stats);
    }
    return NULL;
}

START_TEST(searches_while_the_index_changes) {
    unlink(cache);
    struct busy busy = {.vectors = make(COLLECTION_INT8, cache)};
    put(busy.vectors, embeddings, 0, 600);
    vectors_ready(busy.vectors);
    pthread_t threads[3];
    for (size_t i = 0; i < 3; i++) pthread_create(&threads[i], NULL, search_busily, &busy);
    for (size_t i = 600; i < ROWS; i += 20) {
        put(busy.vectors, embeddings, i, i + 20);
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
    struct vectors *vectors = make(COLLECTION_INT8, NULL);
    put(vectors, embeddings, 0, 1000);
    vectors_ready(vectors);
    wait_for(vectors, 1000);
    for (size_t i = 1000; i < 1500; i++) {
        struct vectors_stats stats = {0};
        put(vectors, embeddings, i, i + 1);
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
    struct vectors *vectors = make(COLLECTION_INT8, NULL);
    struct vectors_stats stats = {0};
    uint64_t rows[ROWS];
    put(vectors, embeddings, 0, 200);
    vectors_ready(vectors);
    wait_for(vectors, 200);
    put(vectors, embeddings, 200, ROWS);
    while (stats.indexed < 210) vectors_read_stats(vectors, &stats);
    for (size_t i = 0; i < ROWS; i++) rows[i] = number_of(i);
    vectors_remove(vectors, rows + 1400, ROWS - 1400);
    vectors_remove(vectors, rows + 1000, 400);
    wait_for(vectors, 1000);
    vectors_destroy(vectors);
}
END_TEST

/* At any moment of a build; what was done by then is used the next time. */
START_TEST(an_end_amid_the_build) {
    unlink(cache);
    for (useconds_t wait = 0; wait < 60000; wait += 7000) {
        struct vectors *vectors = make_full(COLLECTION_INT8, cache);
        usleep(wait);
        if (wait % 2) vectors_rebuild(vectors);
        vectors_destroy(vectors);
    }
    struct vectors *vectors = make_full(COLLECTION_INT8, cache);
    wait_for(vectors, ROWS);
    ck_assert(recall(vectors) >= 0.99);
    vectors_destroy(vectors);
}
END_TEST

int main(void) {
    if (!mkdtemp(directory)) return 1;
    snprintf(cache, sizeof(cache), "%s/graph", directory);
    log_init(LOG_OFF, LOG_TEXT);
    embeddings = embeddings_make(ROWS, DIM, 1);
    Suite *suite = suite_create("hnsw");
    TCase *tests = tcase_create("hnsw");
    tcase_set_timeout(tests, 0);
    tcase_add_test(tests, every_row_finds_itself);
    tcase_add_test(tests, rows_are_found_before_they_are_indexed);
    tcase_add_test(tests, removed_rows_never_come_back);
    tcase_add_test(tests, hits_behind_removed_rows);
    tcase_add_test(tests, identical_rows);
    tcase_add_test(tests, a_restart_uses_the_cache);
    tcase_add_test(tests, a_discarded_cache_is_not_written);
    tcase_add_test(tests, a_stale_cache_is_built_anew);
    tcase_add_test(tests, a_cache_that_is_ahead);
    tcase_add_test(tests, damaged_files_are_refused);
    tcase_add_test(tests, damaged_graphs_are_refused_or_harmless);
    tcase_add_test(tests, another_process_writes);
    tcase_add_test(tests, searches_while_the_index_changes);
    tcase_add_test(tests, the_index_stays_while_rows_come);
    tcase_add_test(tests, removed_rows_that_moved);
    tcase_add_test(tests, an_end_amid_the_build);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    free(embeddings);
    unlink(cache);
    rmdir(directory);
    return failed != 0;
}

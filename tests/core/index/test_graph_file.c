/* The graph in its file: what a restart makes of it, and of a damaged one. */
#include "core/index/graph_file.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/bytes.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/kernels/isa.h"
#include "tests/support/embeddings.h"
#include "tests/support/kernel_sets.h"
#include "tests/support/program.h"
#include "tests/support/rows.h"

enum { DAMAGED = 1000, REMOVED = 17 };

static char directory[] = "/tmp/clipd-graph-file-XXXXXX";
static char cache[64];
static float *embeddings; /* [ROWS_COUNT, ROWS_DIM] */

/* When it was written, in nanoseconds: inodes are used again. 0: there is none. */
static uint64_t written_at(const char *path) {
    struct stat info;
    if (stat(path, &info)) return 0;
    return (uint64_t)info.st_mtim.tv_sec * 1000000000 + (uint64_t)info.st_mtim.tv_nsec;
}

START_TEST(a_restart_uses_the_cache) {
    unlink(cache);
    struct vectors *vectors = rows_make_full(embeddings, COLLECTION_INT8, cache);
    rows_wait_for(vectors, ROWS_COUNT);
    vectors_destroy(vectors);
    uint64_t written = written_at(cache);
    ck_assert_uint_ne(written, 0);
    /* The same rows: read, and not written again. */
    vectors = rows_make_full(embeddings, COLLECTION_INT8, cache);
    rows_wait_for(vectors, ROWS_COUNT);
    ck_assert(rows_recall(vectors) >= 0.99);
    uint64_t row = rows_number(REMOVED);
    vectors_remove(vectors, &row, 1);
    vectors_destroy(vectors);
    ck_assert_uint_eq(written_at(cache), written);
    /* A row fewer and some more: the rest is added, and the file is written again. */
    float *more = embeddings_make(100, ROWS_DIM, 5);
    vectors = rows_make(COLLECTION_INT8, cache);
    rows_put(vectors, embeddings, 0, REMOVED);
    rows_put(vectors, embeddings, REMOVED + 1, ROWS_COUNT);
    vectors_ready(vectors);
    rows_wait_for(vectors, ROWS_COUNT - 1);
    uint64_t rows[100];
    for (size_t i = 0; i < 100; i++) rows[i] = rows_number(ROWS_COUNT) + i;
    ck_assert_int_eq(vectors_put(vectors, rows, more, 100, NULL), STATUS_OK);
    rows_wait_for(vectors, ROWS_COUNT + 99);
    for (size_t i = 0; i < 100; i++) {
        struct vectors_hit hits[ROWS_TOP];
        rows_find(vectors, more + i * ROWS_DIM, false, hits);
        ck_assert_uint_eq(hits[0].row, rows[i]);
        rows_find(vectors, embeddings + (size_t)REMOVED * ROWS_DIM, false, hits);
        ck_assert_uint_ne(hits[0].row, row);
    }
    vectors_destroy(vectors);
    ck_assert_uint_ne(written_at(cache), written);
    free(more);
}
END_TEST

START_TEST(a_discarded_cache_is_not_written) {
    unlink(cache);
    struct vectors *vectors = rows_make(COLLECTION_INT8, cache);
    rows_put(vectors, embeddings, 0, 1000);
    vectors_ready(vectors);
    rows_wait_for(vectors, 1000);
    uint64_t written = written_at(cache);
    rows_put(vectors, embeddings, 1000, 1010);
    rows_wait_for(vectors, 1010);
    vectors_discard(vectors);
    vectors_destroy(vectors);
    ck_assert_uint_ne(written, 0);
    ck_assert_uint_eq(written_at(cache), written);
}
END_TEST

/* Files that are whole, but of other rows, another precision or another size. */
START_TEST(a_stale_cache_is_built_anew) {
    unlink(cache);
    float *others = embeddings_make(ROWS_COUNT, ROWS_DIM, 77);
    struct vectors *vectors = rows_make(COLLECTION_INT8, cache);
    rows_put(vectors, others, 0, ROWS_COUNT);
    vectors_ready(vectors);
    rows_wait_for(vectors, ROWS_COUNT);
    vectors_destroy(vectors);
    for (int precision = COLLECTION_INT8; precision <= COLLECTION_FP32; precision++) {
        uint64_t before = written_at(cache);
        vectors = rows_make_full(embeddings, (enum collection_precision)precision, cache);
        rows_wait_for(vectors, ROWS_COUNT);
        ck_assert(rows_recall(vectors) >= 0.99);
        vectors_destroy(vectors);
        /* fp32 has a graph of bf16. */
        ck_assert((written_at(cache) == before) == (precision == COLLECTION_FP32));
    }
    /* One row is missing in the file. */
    unlink(cache);
    vectors = rows_make(COLLECTION_INT8, cache);
    rows_put(vectors, embeddings, 0, REMOVED);
    rows_put(vectors, embeddings, REMOVED + 1, ROWS_COUNT);
    vectors_ready(vectors);
    rows_wait_for(vectors, ROWS_COUNT - 1);
    vectors_destroy(vectors);
    vectors = rows_make_full(embeddings, COLLECTION_INT8, cache);
    rows_wait_for(vectors, ROWS_COUNT);
    struct vectors_hit hits[ROWS_TOP];
    rows_find(vectors, embeddings + (size_t)REMOVED * ROWS_DIM, false, hits);
    ck_assert_uint_eq(hits[0].row, rows_number(REMOVED));
    vectors_destroy(vectors);
    free(others);
}
END_TEST

/* The store went back to an older state and numbers on from there. */
START_TEST(a_cache_that_is_ahead) {
    unlink(cache);
    struct vectors *vectors = rows_make_full(embeddings, COLLECTION_INT8, cache);
    rows_wait_for(vectors, ROWS_COUNT);
    vectors_destroy(vectors);
    for (int wait = 0; wait < 2; wait++) {
        vectors = rows_make(COLLECTION_INT8, cache);
        rows_put(vectors, embeddings, 0, ROWS_COUNT - 500);
        vectors_ready(vectors);
        if (wait) rows_wait_for(vectors, ROWS_COUNT - 500);
        float *more = embeddings_make(ROWS_COUNT, ROWS_DIM, 5);
        rows_put(vectors, more, ROWS_COUNT - 500, ROWS_COUNT - 400);
        rows_wait_for(vectors, ROWS_COUNT - 400);
        for (size_t i = ROWS_COUNT - 500; i < ROWS_COUNT - 400; i++) {
            struct vectors_hit hits[ROWS_TOP];
            rows_find(vectors, more + i * ROWS_DIM, false, hits);
            ck_assert_uint_eq(hits[0].row, 2 * i);
        }
        free(more);
        vectors_rebuild(vectors);
        rows_wait_for(vectors, ROWS_COUNT - 400);
        vectors_destroy(vectors);
        unlink(cache);
        vectors = rows_make_full(embeddings, COLLECTION_INT8, cache);
        rows_wait_for(vectors, ROWS_COUNT);
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
        int8_t code[ROWS_DIM];
        float scale = scan_encode(options->kernel, code, embeddings + i * ROWS_DIM, ROWS_DIM);
        ck_assert_int_eq(hnsw_add(hnsw, i, code, scale, NULL), STATUS_OK);
    }
    return hnsw;
}

START_TEST(damaged_files_are_refused) {
    enum { SMALL = 300 };
    struct hnsw_options options = {.kernel = scan_kernel_find(isa_detect(), SCAN_INT8),
                                   .dim = ROWS_DIM};
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
    struct hnsw_options options = {.kernel = scan_kernel_find(isa_detect(), SCAN_INT8),
                                   .dim = ROWS_DIM};
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
        int8_t code[ROWS_DIM];
        float scale = scan_encode(options.kernel, code, embeddings, ROWS_DIM);
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
    struct hnsw_options options = {.kernel = scan_kernel_find(isa_detect(), SCAN_INT8),
                                   .dim = ROWS_DIM};
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

int main(void) {
    if (!mkdtemp(directory)) return 1;
    snprintf(cache, sizeof(cache), "%s/graph", directory);
    log_init(LOG_OFF, LOG_TEXT);
    embeddings = embeddings_make(ROWS_COUNT, ROWS_DIM, 1);
    TCase *tests = tcase_create("graph-file");
    tcase_set_timeout(tests, 0);
    tcase_add_test(tests, a_restart_uses_the_cache);
    tcase_add_test(tests, a_discarded_cache_is_not_written);
    tcase_add_test(tests, a_stale_cache_is_built_anew);
    tcase_add_test(tests, a_cache_that_is_ahead);
    tcase_add_test(tests, damaged_files_are_refused);
    tcase_add_test(tests, damaged_graphs_are_refused_or_harmless);
    tcase_add_test(tests, another_process_writes);
    int failed = program_run("graph-file", tests, CK_NOFORK);
    free(embeddings);
    unlink(cache);
    rmdir(directory);
    return failed;
}

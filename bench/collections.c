/* collections.c - how fast a store takes items, opens and answers.
 *
 *   build/release/bench/collections STORE [items [dim [batch]]]
 *
 * Fills the collection "bench" of the store up to `items` (100,000 of 512 dimensions in batches of
 * 100), closes and opens the store, then searches: all items, and with filters that leave
 * one item in 2, 100 and 10,000. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/clock.h"
#include "core/index/collection.h"
#include "core/kernels/isa.h"

enum { ROUNDS = 200 };

static void check(enum status status, const struct error *err, const char *what) {
    if (!status) return;
    fprintf(stderr, "collections: %s: %s\n", what, err->message);
    exit(1);
}

static double seconds_since(uint64_t start) {
    return (double)(clock_now_ns() - start) / 1e9;
}

static void fill_random(float *embedding, uint32_t dim, uint64_t seed) {
    uint64_t state = seed * 0x9E3779B97F4A7C15U + 1;
    for (uint32_t i = 0; i < dim; i++) {
        state = state * 6364136223846793005U + 1442695040888963407U;
        embedding[i] = (float)((double)(state >> 40) / (1 << 24) - 0.5);
    }
}

static struct collections *open_store(const char *store) {
    struct error err = ERROR_NONE;
    struct collections *collections;
    struct collections_options options = {.store = store, .features = isa_detect()};
    clock_t cpu_start = clock();
    uint64_t start = clock_now_ns();
    check(collections_open(&collections, &options, &err), &err, "open");
    printf("opened in %.2f s (%.2f s of a core)\n", seconds_since(start),
           (double)(clock() - cpu_start) / CLOCKS_PER_SEC);
    return collections;
}

static void fill(struct collections *collections, const struct collection_spec *spec, uint64_t from,
                 uint64_t items, uint64_t batch) {
    struct error err = ERROR_NONE;
    struct item *list = calloc(batch, sizeof(*list));
    float *embeddings = calloc(batch * spec->dim, sizeof(*embeddings));
    char(*texts)[2][128] = calloc(batch, sizeof(*texts));
    double slowest = 0, spent = 0, cpu = 0;
    for (uint64_t at = from; at < items; at += batch) {
        uint64_t count = items - at < batch ? items - at : batch;
        for (uint64_t i = 0; i < count; i++) {
            uint64_t n = at + i;
            float *embedding = embeddings + i * spec->dim;
            fill_random(embedding, spec->dim, n);
            /* In no order, as file names are. */
            snprintf(texts[i][0], 128, "photos/%016llx.jpg",
                     (unsigned long long)(n * 0x9E3779B97F4A7C15U));
            snprintf(texts[i][1], 128, "{\"n\":%llu,\"half\":%llu,\"name\":\"camera %llu\"}",
                     (unsigned long long)n, (unsigned long long)n % 2, (unsigned long long)n % 100);
            list[i] = (struct item){.id = bytes_of(texts[i][0]),
                                    .embedding = embedding,
                                    .dim = spec->dim,
                                    .metadata = bytes_of(texts[i][1])};
        }
        struct collection_upserted done;
        clock_t cpu_start = clock();
        uint64_t start = clock_now_ns();
        check(collection_upsert(collections, spec->name, spec->model_digest, list, count, &done,
                                &err),
              &err, "upsert");
        double took = seconds_since(start);
        spent += took;
        cpu += (double)(clock() - cpu_start) / CLOCKS_PER_SEC;
        if (took > slowest) slowest = took;
    }
    if (items > from)
        printf("%llu items in %.2f s (%.2f s of a core): %.0f a second, slowest batch %.1f ms\n",
               (unsigned long long)(items - from), spent, cpu, (double)(items - from) / spent,
               slowest * 1e3);
    free(list);
    free(embeddings);
    free(texts);
}

static enum status count_hit(void *context, const struct hit *hit, struct error *err) {
    (void)hit;
    (void)err;
    ++*(uint64_t *)context;
    return STATUS_OK;
}

static int compare_doubles(const void *left, const void *right) {
    const double *a = left, *b = right;
    return (*a > *b) - (*a < *b);
}

static void search(struct collections *collections, const struct collection_spec *spec,
                   const struct filter *filter, const char *what) {
    struct error err = ERROR_NONE;
    float embedding[COLLECTION_DIM_MAX];
    double took[ROUNDS];
    uint64_t hits = 0;
    for (uint64_t i = 0; i < ROUNDS; i++) {
        fill_random(embedding, spec->dim, i + 1000000007);
        struct search query = {.embedding = embedding,
                               .dim = spec->dim,
                               .top_k = 10,
                               .score_min = -1,
                               .filter = filter};
        uint64_t start = clock_now_ns();
        check(collection_search(collections, spec->name, &query, 1,
                                &(struct hit_visitor){ITEM_METADATA, count_hit, &hits}, &err),
              &err, "search");
        took[i] = seconds_since(start) * 1e3;
    }
    qsort(took, ROUNDS, sizeof(*took), compare_doubles);
    printf("search %-24s p50 %7.2f ms, p99 %7.2f ms, %.1f hits\n", what, took[ROUNDS / 2],
           took[ROUNDS * 99 / 100], (double)hits / ROUNDS);
}

int main(int argc, char **argv) {
    uint64_t items = argc > 2 ? strtoull(argv[2], NULL, 10) : 100000;
    uint64_t batch = argc > 4 ? strtoull(argv[4], NULL, 10) : 100, there = 0;
    struct error err = ERROR_NONE;
    struct collection_spec spec = {.name = "bench",
                                   .model = "random",
                                   .dim = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : 512,
                                   .fields = {{"n", COLLECTION_NUMBER},
                                              {"half", COLLECTION_NUMBER},
                                              {"name", COLLECTION_TEXT}},
                                   .fields_count = 3};
    bool created;
    memset(spec.model_digest, '0', SHA256_HEX_SIZE - 1);
    if (argc < 2 || spec.dim > COLLECTION_DIM_MAX || batch == 0) {
        fprintf(stderr, "usage: collections STORE [items [dim [batch]]]\n");
        return 2;
    }
    struct collections *collections = open_store(argv[1]);
    check(collection_create(collections, &spec, &created, &err), &err, "create");
    check(collection_count(collections, "bench", NULL, &there, &err), &err, "count");
    fill(collections, &spec, there, items, batch);
    collections_close(collections);
    collections = open_store(argv[1]);

    struct filter_value one = {.kind = FILTER_NUMBER, .number = 1};
    struct filter_value seven = {.kind = FILTER_TEXT, .text = bytes_of("camera 7")};
    struct filter_value few = {.kind = FILTER_NUMBER, .number = (double)items / 10000};
    struct filter half = {.kind = FILTER_IN, .field = "half", .values = &one, .count = 1};
    struct filter hundredth = {.kind = FILTER_IN, .field = "name", .values = &seven, .count = 1};
    struct filter some = {.kind = FILTER_RANGE, .field = "n", .high = {.set = true, .value = few}};
    search(collections, &spec, NULL, "of all");
    search(collections, &spec, &half, "of one in 2");
    search(collections, &spec, &hundredth, "of one in 100");
    search(collections, &spec, &some, "of one in 10,000");
    collections_close(collections);
    return 0;
}

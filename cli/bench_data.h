/* bench_data.h - made-up embeddings for `clipd bench search`, and what is true of them.
 *
 * Clusters in few dimensions, turned into many with some noise: 500 centres in 64 latent
 * dimensions, which is what embeddings of photographs look like from afar. Real ones are
 * harder for an approximate index. */
#ifndef CLI_BENCH_DATA_H
#define CLI_BENCH_DATA_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/error.h"
#include "core/index/crew.h"
#include "core/kernels/scan.h"

enum { BENCH_TOP = 10 };

struct bench_data {
    size_t dim;
    uint64_t seed;
    float *centres; /* [clusters, latent] */
    float *basis;   /* [latent, dim] */
};

enum status bench_data_init(struct bench_data *data, size_t dim, uint64_t seed, struct error *err);
void bench_data_free(struct bench_data *data);

/* Embeddings begin..begin+count-1 of an endless row, [count, dim]; each depends on its
 * number and the seed only. */
void bench_data_fill(const struct bench_data *data, struct crew *crew, float *out, uint64_t begin,
                     size_t count);

/* The nearest of each query, found by comparing them with everything, in fp32. */
struct bench_truth {
    const struct scan_kernel *kernel;
    size_t dim, queries_count;
    const float *queries; /* [queries_count, dim] */
    char *prepared;       /* [queries_count][scan_query_bytes()] */
    float *scores;        /* [queries_count, BENCH_TOP], best first */
    uint64_t *rows;       /* the same */
};

enum status bench_truth_init(struct bench_truth *truth, unsigned features, const float *queries,
                             size_t count, size_t dim, struct error *err);
void bench_truth_free(struct bench_truth *truth);
/* Rows begin..begin+count-1, of which every `step`th counts. */
void bench_truth_see(struct bench_truth *truth, struct crew *crew, const float *embeddings,
                     uint64_t begin, size_t count, uint64_t step);
/* How many of `count` rows are among the nearest of a query. */
size_t bench_truth_hits(const struct bench_truth *truth, size_t query, const uint64_t *rows,
                        size_t count);

#endif

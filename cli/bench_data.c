#include "cli/bench_data.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { CLUSTERS = 500, LATENT = 64, FILL_ROWS = 256, SEE_ROWS = 256 };

/* Around the centres, whose coordinates have a spread of 1; noise per dimension, where the
 * latent part has about 1.3. */
static const float spread = 0.8f, noise = 0.3f;

/* splitmix64. */
static uint64_t next_random(uint64_t *state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* Nearly normal, mean 0 and spread 1: the sum of eight bytes. */
static float next_normal(uint64_t *state) {
    const float mean = 8 * 127.5f, deviation = 209.02f; /* sqrt(8 * (256^2 - 1) / 12) */
    uint64_t bits = next_random(state);
    float sum = 0;
    for (int i = 0; i < 64; i += 8) sum += (float)(bits >> i & 255);
    return (sum - mean) / deviation;
}

enum status bench_data_init(struct bench_data *data, size_t dim, uint64_t seed, struct error *err) {
    *data = (struct bench_data){.dim = dim, .seed = seed};
    data->centres = malloc(sizeof(float) * CLUSTERS * LATENT);
    data->basis = malloc(sizeof(float) * LATENT * dim);
    if (!data->centres || !data->basis) {
        bench_data_free(data);
        return error_set(err, STATUS_NO_MEMORY, "out of memory for made-up embeddings");
    }
    uint64_t state = seed;
    for (size_t i = 0; i < (size_t)CLUSTERS * LATENT; i++) data->centres[i] = next_normal(&state);
    for (size_t i = 0; i < LATENT * dim; i++) data->basis[i] = next_normal(&state) / sqrtf(LATENT);
    return STATUS_OK;
}

void bench_data_free(struct bench_data *data) {
    free(data->centres);
    free(data->basis);
    *data = (struct bench_data){.centres = NULL};
}

struct filling {
    const struct bench_data *data;
    float *out;
    uint64_t begin;
    size_t count;
};

static void fill_row(const struct bench_data *data, float *out, uint64_t number) {
    uint64_t state = data->seed ^ (number + 1) * 0xd1342543de82ef95u;
    const float *centre = data->centres + next_random(&state) % CLUSTERS * LATENT;
    /* Two bytes of noise are enough, and eight times as fast. */
    const float step = noise / 104.5f; /* sqrt(2 * (256^2 - 1) / 12) */
    for (size_t k = 0; k < data->dim; k += 4) {
        uint64_t bits = next_random(&state);
        for (size_t i = k; i < k + 4 && i < data->dim; i++, bits >>= 16)
            out[i] = ((float)(bits & 255) + (float)(bits >> 8 & 255) - 255) * step;
    }
    for (size_t l = 0; l < LATENT; l++) {
        const float *direction = data->basis + l * data->dim;
        float weight = centre[l] + spread * next_normal(&state);
        for (size_t k = 0; k < data->dim; k++) out[k] += weight * direction[k];
    }
    float sum = 0;
    for (size_t k = 0; k < data->dim; k++) sum += out[k] * out[k];
    float inverse = 1 / sqrtf(sum);
    for (size_t k = 0; k < data->dim; k++) out[k] *= inverse;
}

static void fill_unit(void *context, size_t unit) {
    const struct filling *filling = context;
    size_t begin = unit * FILL_ROWS, left = filling->count - begin;
    size_t end = begin + (left < FILL_ROWS ? left : FILL_ROWS);
    for (size_t i = begin; i < end; i++)
        fill_row(filling->data, filling->out + i * filling->data->dim, filling->begin + i);
}

void bench_data_fill(const struct bench_data *data, struct crew *crew, float *out, uint64_t begin,
                     size_t count) {
    struct filling filling = {.data = data, .out = out, .begin = begin, .count = count};
    crew_run(crew, (count + FILL_ROWS - 1) / FILL_ROWS, fill_unit, &filling);
}

/* ---- what is true ---- */

enum status bench_truth_init(struct bench_truth *truth, unsigned features, const float *queries,
                             size_t count, size_t dim, struct error *err) {
    *truth = (struct bench_truth){.kernel = scan_kernel_find(features, SCAN_FP32),
                                  .dim = dim,
                                  .queries_count = count,
                                  .queries = queries};
    truth->prepared = malloc(count * scan_query_bytes(dim));
    truth->scores = malloc(count * BENCH_TOP * sizeof(*truth->scores));
    truth->rows = calloc(count, BENCH_TOP * sizeof(*truth->rows));
    if (!truth->prepared || !truth->scores || !truth->rows) {
        bench_truth_free(truth);
        return error_set(err, STATUS_NO_MEMORY, "out of memory for %zu queries", count);
    }
    for (size_t i = 0; i < count * BENCH_TOP; i++) truth->scores[i] = -INFINITY;
    for (size_t q = 0; q < count; q++) {
        scan_prepare(truth->kernel, truth->prepared + q * scan_query_bytes(dim), queries + q * dim,
                     dim);
    }
    return STATUS_OK;
}

void bench_truth_free(struct bench_truth *truth) {
    free(truth->prepared);
    free(truth->scores);
    free(truth->rows);
    *truth = (struct bench_truth){.prepared = NULL};
}

struct seeing {
    struct bench_truth *truth;
    const float *embeddings;
    uint64_t begin, step;
    size_t count;
};

static void keep(struct bench_truth *truth, size_t query, float score, uint64_t row) {
    float *scores = truth->scores + query * BENCH_TOP;
    uint64_t *rows = truth->rows + query * BENCH_TOP;
    size_t at = BENCH_TOP - 1;
    for (; at > 0 && scores[at - 1] < score; at--) {
        scores[at] = scores[at - 1];
        rows[at] = rows[at - 1];
    }
    scores[at] = score;
    rows[at] = row;
}

/* scores[q * count + r], by the kernel where it can read the rows as they are, without padding. */
static void score(const struct bench_truth *truth, float *scores, const struct scan_rows *rows,
                  size_t first, size_t queries) {
    const float *embeddings = rows->codes;
    struct scan_query prepared[SCAN_TILE];
    for (size_t q = 0; q < queries; q++) {
        const char *values = truth->prepared + (first + q) * scan_query_bytes(truth->dim);
        prepared[q] = (struct scan_query){.values = values, .scale = 1};
    }
    if (truth->dim == scan_stride(truth->dim)) {
        scan_score(truth->kernel, scores, rows, prepared, queries);
        return;
    }
    for (size_t i = 0; i < queries * rows->count; i++) {
        const float *query = truth->queries + (first + i / rows->count) * truth->dim;
        const float *row = embeddings + i % rows->count * truth->dim;
        scores[i] = scan_dot(truth->kernel, query, row, truth->dim);
    }
}

/* Four queries against all rows: nobody else touches their nearest. */
static void see_queries(void *context, size_t unit) {
    const struct seeing *seeing = context;
    struct bench_truth *truth = seeing->truth;
    size_t first = unit * SCAN_TILE, left = truth->queries_count - first;
    size_t queries = left < SCAN_TILE ? left : SCAN_TILE;
    float scores[SCAN_TILE * SEE_ROWS];
    for (size_t at = 0; at < seeing->count; at += SEE_ROWS) {
        size_t count = seeing->count - at < SEE_ROWS ? seeing->count - at : SEE_ROWS;
        struct scan_rows rows = {
            .codes = seeing->embeddings + at * truth->dim, .count = count, .dim = truth->dim};
        score(truth, scores, &rows, first, queries);
        for (size_t i = 0; i < queries * count; i++) {
            size_t query = first + i / count;
            uint64_t row = seeing->begin + at + i % count;
            bool better = scores[i] > truth->scores[query * BENCH_TOP + BENCH_TOP - 1];
            if (better && row % seeing->step == 0) keep(truth, query, scores[i], row);
        }
    }
}

void bench_truth_see(struct bench_truth *truth, struct crew *crew, const float *embeddings,
                     uint64_t begin, size_t count, uint64_t step) {
    struct seeing seeing = {
        .truth = truth, .embeddings = embeddings, .begin = begin, .step = step, .count = count};
    crew_run(crew, (truth->queries_count + SCAN_TILE - 1) / SCAN_TILE, see_queries, &seeing);
}

size_t bench_truth_hits(const struct bench_truth *truth, size_t query, const uint64_t *rows,
                        size_t count) {
    size_t hits = 0;
    for (size_t i = 0; i < count * BENCH_TOP; i++)
        hits += rows[i / BENCH_TOP] == truth->rows[query * BENCH_TOP + i % BENCH_TOP] &&
                truth->scores[query * BENCH_TOP + i % BENCH_TOP] > -INFINITY;
    return hits;
}

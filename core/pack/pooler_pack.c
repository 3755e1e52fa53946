#include "core/pack/pooler_pack.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What the query's way through its product needs; one allocation. */
struct query {
    size_t width, from, heads;
    float epsilon;
    float *biases; /* [3 * width] */
    float *normed; /* [width]: the query through its LayerNorm */
    float *query;  /* [width]: and through its product, over the root of a head's width */
    float *rows;   /* [width, the wider of width and from] */
    float *scores; /* [heads, from] */
};

static enum status query_create(struct query *out, const struct towers *towers, struct error *err) {
    *out = (struct query){.width = towers->vision.shape.pooled_width,
                          .from = towers->vision.shape.width,
                          .heads = towers->pooler.scores.weight.n,
                          .epsilon = towers->vision.shape.layer_norm_eps};
    size_t widest = out->width > out->from ? out->width : out->from;
    out->biases =
        calloc(5 * out->width + out->width * widest + out->heads * out->from, sizeof(*out->biases));
    if (!out->biases) {
        error_set(err, STATUS_NO_MEMORY, "out of memory for a pooler");
        return STATUS_NO_MEMORY;
    }
    out->normed = out->biases + 3 * out->width;
    out->query = out->normed + out->width;
    out->rows = out->query + out->width;
    out->scores = out->rows + out->width * widest;
    return STATUS_OK;
}

static void normalize(float *row, size_t width, const float *gain, const float *bias,
                      float epsilon) {
    double mean = 0, variance = 0;
    for (size_t i = 0; i < width; i++) mean += (double)row[i] / (double)width;
    for (size_t i = 0; i < width; i++) {
        double apart = (double)row[i] - mean;
        variance += apart * apart / (double)width;
    }
    double scale = 1 / sqrt(variance + (double)epsilon);
    for (size_t i = 0; i < width; i++) {
        row[i] = (float)(((double)row[i] - mean) * scale * (double)gain[i] + (double)bias[i]);
    }
}

/* The learned query as attention multiplies it with keys. */
static void make_query(struct query *query, const struct blueprint_pooler *from) {
    size_t width = query->width, depth = width / query->heads;
    double scale = 1 / sqrt((double)depth);
    source_read(&from->biases[0], 0, 1, query->biases);
    if (from->biases[1].kind) source_read(&from->biases[1], 0, 1, query->biases + width);
    source_read(&from->query, 0, 1, query->normed);
    if (from->ln_q.gain.kind) {
        source_read(&from->ln_q.gain, 0, 1, query->rows);
        source_read(&from->ln_q.bias, 0, 1, query->query);
        normalize(query->normed, width, query->rows, query->query, query->epsilon);
    }
    source_read(&from->q.weight, from->q.first, width, query->rows);
    for (size_t i = 0; i < width; i++) {
        double sum = (double)query->biases[i];
        for (size_t j = 0; j < width; j++)
            sum += (double)query->rows[i * width + j] * (double)query->normed[j];
        query->query[i] = (float)(sum * scale);
    }
}

/* A head's part of the query through its rows of the product that makes keys. */
static void make_scores(struct query *query, const struct blueprint_pooler *from) {
    size_t depth = query->width / query->heads;
    source_read(&from->k.weight, from->k.first, query->width, query->rows);
    for (size_t i = 0; i < query->width; i++) {
        float *scores = query->scores + i / depth * query->from;
        const float *row = query->rows + i * query->from;
        for (size_t j = 0; j < query->from; j++) scores[j] += query->query[i] * row[j];
    }
}

static enum status pack_inputs(const struct pooler *pooler, struct query *query,
                               const struct blueprint_pooler *from, struct error *err) {
    make_query(query, from);
    make_scores(query, from);
    struct blueprint_linear scores = {
        .parts = 1,
        .weights = {{.kind = SOURCE_COMPUTED,
                     .computed = query->scores,
                     .rows = query->heads,
                     .columns = query->from}},
    };
    enum status status = pack_linear(&pooler->scores, &scores, NULL, MODEL_FP32, err);
    if (status) return status;
    source_read(&from->v.weight, from->v.first, query->width, query->rows);
    struct blueprint_linear value = {
        .parts = 1,
        .weights = {{.kind = SOURCE_COMPUTED,
                     .computed = query->rows,
                     .rows = query->width,
                     .columns = query->from}},
        .biases = {{.kind = SOURCE_COMPUTED,
                    .computed = query->biases + 2 * query->width,
                    .rows = 1,
                    .columns = query->width}},
    };
    return pack_linear(&pooler->value, &value, NULL, MODEL_FP32, err);
}

enum status pooler_pack(const struct towers *towers, const struct blueprint *from,
                        struct error *err) {
    const struct pooler *pooler = &towers->pooler;
    const struct blueprint_pooler *parts = &from->pooler;
    struct query query;
    enum status status = query_create(&query, towers, err);
    if (status) return status;
    pack_norm(&pooler->ln_k, &parts->ln_k);
    status = pack_inputs(pooler, &query, parts, err);
    free(query.biases);
    if (!status) status = pack_linear(&pooler->out, &parts->out, NULL, MODEL_FP32, err);
    if (status || !pooler->fc.blob) return status;
    pack_norm(&pooler->ln, &parts->ln);
    status = pack_linear(&pooler->fc, &parts->fc, NULL, MODEL_FP32, err);
    return status ? status : pack_linear(&pooler->proj, &parts->proj, NULL, MODEL_FP32, err);
}

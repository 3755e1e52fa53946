#include "core/pack/fastvit_pack.h"

#include <stdlib.h>

#include "core/pack/conv_fold.h"
#include "core/pack/window_pack.h"

static void free_folded(struct conv_folded *folded) {
    free(folded->rows);
    free(folded->biases);
}

static enum status no_memory(size_t n, size_t k, struct error *err) {
    return error_set(err, STATUS_NO_MEMORY, "out of memory for a weight of %zu x %zu", n, k);
}

static struct source computed(const float *values, size_t rows, size_t columns) {
    return (struct source){
        .kind = SOURCE_COMPUTED, .rows = rows, .columns = columns, .computed = values};
}

/* A weight of these numbers. */
static enum status pack_computed(const struct linear *to, const float *rows, const float *biases,
                                 struct error *err) {
    size_t n = to->weight.n;
    struct blueprint_linear linear = {.weights = {computed(rows, n, to->weight.k)},
                                      .biases = {computed(biases, 1, n)},
                                      .parts = 1};
    return pack_linear(to, &linear, NULL, 0, err);
}

/* Where channel i of n comes once the first results of all come before the second ones. */
static size_t doubled(size_t i, size_t n) {
    return i % 2 * (n / 2) + i / 2;
}

/* ---- convolutions ---- */

/* A product or a larger window; `is_doubled` when channels have doubled before it. */
static enum status pack_conv(const struct conv *to, const struct blueprint_branches *from,
                             bool is_doubled, struct error *err) {
    size_t n = to->product.weight.n, k = to->product.weight.k;
    size_t area = (size_t)to->window * to->window, channels = k / area;
    struct conv_fold_shape shape = {.n = n, .channels = channels, .window = to->window};
    struct conv_folded folded;
    float *turned = malloc(n * k * sizeof(*turned));
    enum status status = conv_fold(&folded, from, &shape, err);
    if (!status && turned) {
        for (size_t i = 0; i < n * k; i++) {
            size_t row = i / k, channel = i % k / area, pixel = i % area;
            if (is_doubled) channel = doubled(channel, channels);
            turned[row * k + pixel * channels + channel] = folded.rows[i];
        }
        status = pack_computed(&to->product, turned, folded.biases, err);
    } else if (!status) {
        status = no_memory(n, k, err);
    }
    free(turned);
    free_folded(&folded);
    return status;
}

/* ---- products ---- */

/* What sees channels that have doubled, or with `gates` what makes them. */
static enum status pack_doubled(const struct linear *to, const struct blueprint_linear *from,
                                bool gates, struct error *err) {
    if (!to->blob) return STATUS_OK;
    size_t n = to->weight.n, k = to->weight.k, count = n * k;
    float *numbers = calloc(2 * count + 2 * n, sizeof(*numbers));
    if (!numbers) return no_memory(n, k, err);
    float *rows = numbers + count, *stored = rows + count, *biases = stored + n;
    source_read(&from->weights[0], 0, n, numbers);
    if (from->biases[0].kind) source_read(&from->biases[0], 0, 1, stored);
    for (size_t i = 0; i < n; i++) {
        size_t row = gates ? doubled(i, n) : i;
        for (size_t j = 0; j < k; j++)
            rows[row * k + (gates ? j : doubled(j, k))] = numbers[i * k + j];
        biases[row] = stored[i];
    }
    enum status status = pack_computed(to, rows, biases, err);
    free(numbers);
    return status;
}

static enum status pack_squeeze(const struct fastvit_squeeze *to,
                                const struct blueprint_squeeze *from, struct error *err) {
    enum status status = pack_doubled(&to->fc, &from->fc, false, err);
    return status ? status : pack_doubled(&to->proj, &from->proj, true, err);
}

/* W * (scale * x + shift) = (W * scale) * x + W * shift. */
static void fold_columns(float *rows, float *biases, size_t n, size_t k, const double *scale,
                         const double *shift) {
    for (size_t i = 0; i < n; i++) {
        double sum = 0;
        for (size_t j = 0; j < k; j++) {
            double weight = (double)rows[i * k + j];
            sum += weight * shift[j];
            rows[i * k + j] = (float)(weight * scale[j]);
        }
        biases[i] = (float)sum;
    }
}

/* Queries, keys and values, without biases of their own, behind a BatchNorm. */
static enum status pack_behind(const struct linear *to, const struct blueprint_linear *from,
                               const struct blueprint_conv *norm, struct error *err) {
    size_t n = to->weight.n, k = to->weight.k;
    float *rows = malloc((n * k + n) * sizeof(*rows));
    double *numbers = malloc(2 * k * sizeof(*numbers));
    enum status status = STATUS_OK;
    if (!rows || !numbers) {
        status = no_memory(n, k, err);
    } else {
        status = conv_fold_norm(numbers, numbers + k, norm, k, err);
        source_read(&from->weights[0], 0, n, rows);
        fold_columns(rows, rows + n * k, n, k, numbers, numbers + k);
    }
    if (!status) status = pack_computed(to, rows, rows + n * k, err);
    free(rows);
    free(numbers);
    return status;
}

/* ---- layers ---- */

static enum status pack_attention(const struct fastvit_layer *to,
                                  const struct blueprint_fastvit_layer *from,
                                  const uint8_t plan[PLAN_PRODUCTS], struct error *err) {
    enum status status;
    if (to->norm.gain) {
        struct blueprint_norm norm = {.gain = from->norm.gain, .bias = from->norm.bias};
        pack_norm(&to->norm, &norm);
        status = pack_linear(&to->qkv.product, &from->qkv, &to->norm, plan[PLAN_QKV], err);
        pack_finish_norm(&to->norm, plan[PLAN_QKV], to->qkv.product.weight.k);
    } else {
        status = pack_behind(&to->qkv.product, &from->qkv, &from->norm, err);
    }
    if (status) return status;
    return pack_linear(&to->out.product, &from->out, NULL, plan[PLAN_OUT], err);
}

static enum status pack_layer(const struct fastvit_layer *to,
                              const struct blueprint_fastvit_layer *from,
                              const uint8_t plan[PLAN_PRODUCTS], struct error *err) {
    enum status status = STATUS_OK;
    if (to->first.side) status = window_pack(&to->first, &from->first, err);
    if (!status && to->kind == FASTVIT_HALVE) {
        status = pack_squeeze(&to->squeeze, &from->squeeze, err);
        if (!status) status = pack_conv(&to->entry, &from->entry, true, err);
        if (!status && to->positions.side)
            status = window_pack(&to->positions, &from->positions, err);
        return status;
    }
    if (!status && to->kind == FASTVIT_ATTEND) status = pack_attention(to, from, plan, err);
    if (!status) status = window_pack(&to->window, &from->window, err);
    if (!status) status = pack_linear(&to->fc.product, &from->fc, NULL, plan[PLAN_FC], err);
    if (!status) status = pack_linear(&to->proj.product, &from->proj, NULL, plan[PLAN_PROJ], err);
    return status;
}

enum status fastvit_pack(const struct towers *towers, const struct blueprint *from,
                         const struct plan *plan, struct error *err) {
    const struct fastvit *to = &towers->fastvit;
    const struct blueprint_fastvit *fastvit = &from->fastvit;
    enum status status = pack_conv(&to->stem, &fastvit->stem, false, err);
    if (!status) status = window_pack(&to->stem_window, &fastvit->stem_window, err);
    if (!status) status = pack_conv(&to->stem_mix, &fastvit->stem_mix, false, err);
    for (uint32_t i = 0; i < to->count && !status; i++) {
        status = pack_layer(&to->layers[i], &fastvit->layers[i], plan->layers[PLAN_VISION][i], err);
    }
    if (!status) status = window_pack(&to->end, &fastvit->end, err);
    if (!status) status = pack_squeeze(&to->end_squeeze, &fastvit->end_squeeze, err);
    return status ? status
                  : pack_doubled(&towers->vision.projection, &from->vision.projection, false, err);
}

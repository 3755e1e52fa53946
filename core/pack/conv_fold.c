#include "core/pack/conv_fold.h"

#include <math.h>
#include <stdlib.h>

static const double epsilon = 1e-5; /* of BatchNorm */

static enum status fold(double *scale, double *shift, const struct blueprint_conv *from, size_t n,
                        float *numbers, struct error *err) {
    float *bias = numbers, *gain = bias + n, *mean = gain + n, *variance = mean + n;
    source_read(&from->bias, 0, 1, bias);
    for (size_t i = 0; i < n; i++) {
        scale[i] = 1;
        shift[i] = (double)bias[i];
    }
    if (!from->gain.kind) return STATUS_OK;
    source_read(&from->gain, 0, 1, gain);
    source_read(&from->mean, 0, 1, mean);
    source_read(&from->variance, 0, 1, variance);
    for (size_t i = 0; i < n; i++) {
        if (!(variance[i] >= 0)) {
            return error_set(err, STATUS_UNPROCESSABLE,
                             "tensor %s has a variance of %g, one of at least 0 is expected",
                             from->variance.tensor ? from->variance.tensor->name : "running_var",
                             (double)variance[i]);
        }
        scale[i] = (double)gain[i] / sqrt((double)variance[i] + epsilon);
        shift[i] -= (double)mean[i] * scale[i];
    }
    return STATUS_OK;
}

enum status conv_fold_norm(double *scale, double *shift, const struct blueprint_conv *from,
                           size_t n, struct error *err) {
    float *numbers = malloc(4 * n * sizeof(*numbers));
    if (!numbers) return error_set(err, STATUS_NO_MEMORY, "out of memory for a BatchNorm");
    enum status status = fold(scale, shift, from, n, numbers, err);
    free(numbers);
    return status;
}

/* ---- branches ---- */

struct sums {
    const struct conv_fold_shape *shape;
    size_t k;
    double *rows, *biases; /* the sums */
    double *scale, *shift; /* [n] of a branch */
    float *row;            /* [k], or [n] */
};

/* Of a window so many pixels wide. */
static size_t lines_of(const struct conv_fold_shape *shape, size_t window) {
    return shape->flat ? 1 : window;
}

/* The weight of result i for what lies under the middle of its window. */
static double *middle(const struct sums *sums, size_t i) {
    size_t area = sums->shape->window * lines_of(sums->shape, sums->shape->window);
    return sums->rows + i * sums->k + i % sums->shape->channels * area + area / 2;
}

/* A smaller window stands in the middle of the whole one. */
static void add_row(const struct sums *sums, const struct blueprint_branch *branch, size_t i,
                    double scale) {
    size_t window = sums->shape->window, side = branch->window, edge = (window - side) / 2;
    size_t lines = lines_of(sums->shape, window), side_lines = lines_of(sums->shape, side),
           top = (lines - side_lines) / 2;
    const float *from = sums->row;
    double *to = sums->rows + i * sums->k;
    source_read(&branch->conv.weight, i, 1, sums->row);
    for (size_t c = 0; c < sums->shape->channels; c++, to += window * lines) {
        for (size_t y = 0; y < side_lines; y++) {
            for (size_t x = 0; x < side; x++)
                to[(y + top) * window + x + edge] += scale * (double)*from++;
        }
    }
}

static enum status add_branch(const struct sums *sums, const struct blueprint_branch *branch,
                              struct error *err) {
    size_t n = sums->shape->n;
    double sign = branch->subtracted ? -1 : 1;
    enum status status = conv_fold_norm(sums->scale, sums->shift, &branch->conv, n, err);
    for (size_t i = 0; i < n && !status; i++) {
        sums->biases[i] += sign * sums->shift[i];
        if (branch->window)
            add_row(sums, branch, i, sign * sums->scale[i]);
        else
            *middle(sums, i) += sign * sums->scale[i];
    }
    if (branch->window) source_release(&branch->conv.weight);
    return status;
}

static enum status add_all(const struct sums *sums, const struct blueprint_branches *from,
                           struct error *err) {
    size_t n = sums->shape->n;
    enum status status = STATUS_OK;
    for (uint32_t i = 0; i < from->count && !status; i++)
        status = add_branch(sums, &from->list[i], err);
    if (from->scale.kind) {
        source_read(&from->scale, 0, 1, sums->row);
        for (size_t i = 0; i < n; i++) {
            for (size_t j = 0; j < sums->k; j++)
                sums->rows[i * sums->k + j] *= (double)sums->row[i];
            sums->biases[i] *= (double)sums->row[i];
        }
    }
    for (size_t i = 0; i < n && from->passes; i++) *middle(sums, i) += 1;
    return status;
}

enum status conv_fold(struct conv_folded *out, const struct blueprint_branches *from,
                      const struct conv_fold_shape *shape, struct error *err) {
    size_t n = shape->n, k = shape->channels * shape->window * lines_of(shape, shape->window);
    double *doubles = calloc(n * k + 3 * n, sizeof(*doubles));
    float *row = malloc((k > n ? k : n) * sizeof(*row));
    *out = (struct conv_folded){.rows = malloc(n * k * sizeof(*out->rows)),
                                .biases = malloc(n * sizeof(*out->biases))};
    enum status status = STATUS_OK;
    if (!doubles || !row || !out->rows || !out->biases) {
        status = error_set(err, STATUS_NO_MEMORY, "out of memory for a weight of %zu x %zu", n, k);
    } else {
        double *biases = doubles + n * k;
        struct sums sums = {shape, k, doubles, biases, biases + n, biases + 2 * n, row};
        status = add_all(&sums, from, err);
        for (size_t i = 0; i < n * k; i++) out->rows[i] = (float)doubles[i];
        for (size_t i = 0; i < n; i++) out->biases[i] = (float)biases[i];
    }
    free(doubles);
    free(row);
    return status;
}

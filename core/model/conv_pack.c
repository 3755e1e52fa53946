#include "core/model/conv_pack.h"

#include <math.h>
#include <stdlib.h>

static const float epsilon = 1e-5f; /* of BatchNorm */

/* What a BatchNorm does to a row: scale * x + shift. All are [n]. */
struct fold {
    float *scale, *shift, *mean, *variance;
};

static enum status read_fold(struct fold *out, const struct blueprint_conv *from, size_t n,
                             struct error *err) {
    source_read(&from->bias, 0, 1, out->shift);
    if (!from->gain.kind) {
        for (size_t i = 0; i < n; i++) out->scale[i] = 1;
        return STATUS_OK;
    }
    source_read(&from->gain, 0, 1, out->scale);
    source_read(&from->mean, 0, 1, out->mean);
    source_read(&from->variance, 0, 1, out->variance);
    for (size_t i = 0; i < n; i++) {
        if (!(out->variance[i] >= 0)) {
            return error_set(err, STATUS_UNPROCESSABLE,
                             "tensor %s has a variance of %g, one of at least 0 is expected",
                             from->variance.tensor ? from->variance.tensor->name : "running_var",
                             (double)out->variance[i]);
        }
        out->scale[i] /= sqrtf(out->variance[i] + epsilon);
        out->shift[i] -= out->mean[i] * out->scale[i];
    }
    return STATUS_OK;
}

/* A row from the order channel, y, x to y, x, channel. */
static void turn_row(float *to, const float *from, size_t channels, size_t area, float scale) {
    for (size_t i = 0; i < area; i++) {
        for (size_t c = 0; c < channels; c++) *to++ = from[c * area + i] * scale;
    }
}

enum status conv_pack(const struct conv *to, const struct blueprint_conv *from, struct error *err) {
    size_t n = to->product.weight.n, k = to->product.weight.k;
    size_t area = (size_t)to->window * to->window;
    float *rows = malloc(n * k * sizeof(*rows)), *numbers = malloc((4 * n + k) * sizeof(*numbers));
    enum status status = STATUS_OK;
    if (!rows || !numbers) {
        status = error_set(err, STATUS_NO_MEMORY, "out of memory for a weight of %zu x %zu", n, k);
    } else {
        struct fold fold = {numbers, numbers + n, numbers + 2 * n, numbers + 3 * n};
        float *row = numbers + 4 * n;
        status = read_fold(&fold, from, n, err);
        for (size_t i = 0; i < n; i++) {
            source_read(&from->weight, i, 1, row);
            turn_row(rows + i * k, row, k / area, area, fold.scale[i]);
        }
        source_release(&from->weight);
        struct blueprint_linear linear = {
            .weights = {{.kind = SOURCE_COMPUTED, .rows = n, .columns = k, .computed = rows}},
            .biases = {{.kind = SOURCE_COMPUTED, .rows = 1, .columns = n, .computed = fold.shift}},
            .parts = 1};
        if (!status) status = pack_linear(&to->product, &linear, NULL, 0, err);
    }
    free(rows);
    free(numbers);
    return status;
}

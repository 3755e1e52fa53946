#include "core/pack/conv_pack.h"

#include <stdlib.h>

#include "core/pack/conv_fold.h"

/* A row from the order channel, y, x to y, x, channel. */
static void turn_row(float *to, const float *from, size_t channels, size_t area, double scale) {
    for (size_t i = 0; i < area; i++) {
        for (size_t c = 0; c < channels; c++) *to++ = (float)((double)from[c * area + i] * scale);
    }
}

enum status conv_pack(const struct conv *to, const struct blueprint_conv *from, struct error *err) {
    size_t n = to->product.weight.n, k = to->product.weight.k;
    size_t area = (size_t)to->window * to->window;
    float *rows = malloc((n * k + n + k) * sizeof(*rows));
    double *scale = malloc(2 * n * sizeof(*scale));
    enum status status = STATUS_OK;
    if (!rows || !scale) {
        status = error_set(err, STATUS_NO_MEMORY, "out of memory for a weight of %zu x %zu", n, k);
    } else {
        float *biases = rows + n * k, *row = biases + n;
        double *shift = scale + n;
        status = conv_fold_norm(scale, shift, from, n, err);
        for (size_t i = 0; i < n && !status; i++) {
            source_read(&from->weight, i, 1, row);
            turn_row(rows + i * k, row, k / area, area, scale[i]);
            biases[i] = (float)shift[i];
        }
        source_release(&from->weight);
        struct blueprint_linear linear = {
            .weights = {{.kind = SOURCE_COMPUTED, .rows = n, .columns = k, .computed = rows}},
            .biases = {{.kind = SOURCE_COMPUTED, .rows = 1, .columns = n, .computed = biases}},
            .parts = 1};
        if (!status) status = pack_linear(&to->product, &linear, NULL, 0, err);
    }
    free(rows);
    free(scale);
    return status;
}

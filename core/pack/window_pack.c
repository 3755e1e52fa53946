#include "core/pack/window_pack.h"

#include <stdlib.h>

#include "core/pack/conv_fold.h"

/* [multiple * channels, area] to [multiple, area, channels]. */
static void turn(const struct window *to, const struct conv_folded *folded, float *weights,
                 float *biases) {
    size_t n = to->multiple * to->channels, area = window_area(to);
    for (size_t i = 0; i < n; i++) {
        size_t part = i % to->multiple, channel = i / to->multiple;
        for (size_t j = 0; j < area; j++)
            weights[(part * area + j) * to->channels + channel] = folded->rows[i * area + j];
        biases[part * to->channels + channel] = folded->biases[i];
    }
}

enum status window_pack(const struct window *to, const struct blueprint_branches *from,
                        struct error *err) {
    size_t n = to->multiple * to->channels, area = window_area(to);
    struct conv_fold_shape shape = {.n = n, .channels = 1, .window = to->side, .flat = to->flat};
    struct conv_folded folded;
    float *turned = malloc((n * area + n) * sizeof(*turned));
    enum status status = conv_fold(&folded, from, &shape, err);
    if (!status && turned) {
        struct source weights = {.kind = SOURCE_COMPUTED, .computed = turned};
        struct source bias = {.kind = SOURCE_COMPUTED, .computed = turned + n * area};
        weights.rows = n;
        weights.columns = area;
        bias.rows = 1;
        bias.columns = n;
        turn(to, &folded, turned, turned + n * area);
        pack_vector(to->weights, &weights);
        pack_vector(to->bias, &bias);
    } else if (!status) {
        status =
            error_set(err, STATUS_NO_MEMORY, "out of memory for a weight of %zu x %zu", n, area);
    }
    free(turned);
    free(folded.rows);
    free(folded.biases);
    return status;
}

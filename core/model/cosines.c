#include "core/model/cosines.h"

#include <math.h>
#include <stdlib.h>

static double cosine(const float *reference, const float *found, const double *mean, size_t dim) {
    double product = 0, a = 0, b = 0;
    for (size_t i = 0; i < dim; i++) {
        double x = (double)reference[i] - mean[i], y = (double)found[i] - mean[i];
        product += x * y;
        a += x * x;
        b += y * y;
    }
    if (a <= 0 && b <= 0) return 1; /* nothing is as near as can be to nothing */
    double cosine = product / sqrt(a * b);
    return isfinite(cosine) ? fmax(-1, fmin(1, cosine)) : -1; /* NaN is as bad as can be */
}

static void summarise(double *min, double *sum, double value) {
    *min = fmin(*min, value);
    *sum += value;
}

enum status cosines_of(struct model_cosines *out, const float *reference, const float *found,
                       size_t count, size_t dim, struct error *err) {
    double *mean = calloc(2 * dim, sizeof(*mean)), *zero = mean + dim;
    if (!mean) return error_set(err, STATUS_NO_MEMORY, "out of memory for a mean");
    *out = (struct model_cosines){.min = 1, .centred_min = 1};
    for (size_t i = 0; i < count * dim; i++) mean[i % dim] += (double)reference[i] / (double)count;
    for (size_t i = 0; i < count; i++) {
        const float *a = reference + i * dim, *b = found + i * dim;
        summarise(&out->min, &out->mean, cosine(a, b, zero, dim));
        summarise(&out->centred_min, &out->centred_mean, cosine(a, b, mean, dim));
    }
    out->mean /= (double)count;
    out->centred_mean /= (double)count;
    free(mean);
    return STATUS_OK;
}

struct model_cosines cosines_worse(struct model_cosines a, struct model_cosines b) {
    return (struct model_cosines){
        .min = fmin(a.min, b.min),
        .mean = fmin(a.mean, b.mean),
        .centred_min = fmin(a.centred_min, b.centred_min),
        .centred_mean = fmin(a.centred_mean, b.centred_mean),
    };
}

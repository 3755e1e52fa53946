#include "tests/support/embeddings.h"

#include <math.h>
#include <stdlib.h>

#include "tests/support/kernel_sets.h"

enum { CLUSTERS = 20 };

void embeddings_normalise(float *x, size_t dim) {
    double length = sqrt(embeddings_dot(x, x, dim));
    for (size_t i = 0; i < dim; i++) x[i] = (float)(x[i] / length);
}

double embeddings_dot(const float *a, const float *b, size_t dim) {
    double sum = 0;
    for (size_t i = 0; i < dim; i++) sum += (double)a[i] * b[i];
    return sum;
}

float *embeddings_make(size_t count, size_t dim, uint32_t seed) {
    uint32_t state = 1; /* of the clusters: those of all seeds are the same */
    float *centres = malloc(CLUSTERS * dim * sizeof(*centres));
    float *out = malloc((count ? count : 1) * dim * sizeof(*out));
    if (!centres || !out) abort();
    for (size_t i = 0; i < CLUSTERS * dim; i++) centres[i] = random_unit(&state);
    state = seed * 2654435761u + 12345;
    for (size_t i = 0; i < count; i++) {
        const float *centre = centres + (i + seed) % CLUSTERS * dim;
        for (size_t k = 0; k < dim; k++) out[i * dim + k] = centre[k] + random_unit(&state);
        embeddings_normalise(out + i * dim, dim);
    }
    free(centres);
    return out;
}

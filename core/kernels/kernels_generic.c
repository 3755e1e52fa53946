/* Portable C. Sums of many terms run in double where that costs nothing that
 * matters, so that this table can judge the others. */
#include "core/kernels/kernels_generic.h"

#include <math.h>

#include "core/kernels/blas.h"

static void layer_norm(float *out, const float *in, const float *gain, const float *bias, size_t n,
                       float eps) {
    double sum = 0, square = 0;
    for (size_t i = 0; i < n; i++) sum += (double)in[i];
    double mean = sum / (double)n;
    for (size_t i = 0; i < n; i++) {
        double centred = (double)in[i] - mean;
        square += centred * centred;
    }
    double scale = 1 / sqrt(square / (double)n + (double)eps);
    for (size_t i = 0; i < n; i++) {
        out[i] = (float)(((double)in[i] - mean) * scale) * gain[i] + bias[i];
    }
}

static void softmax(float *row, size_t n, float scale) {
    float max = -INFINITY;
    for (size_t i = 0; i < n; i++) {
        if (row[i] > max) max = row[i];
    }
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        row[i] = expf((row[i] - max) * scale);
        sum += (double)row[i];
    }
    float share = (float)(1 / sum);
    for (size_t i = 0; i < n; i++) row[i] *= share;
}

static void add(float *row, const float *add, size_t n) {
    for (size_t i = 0; i < n; i++) row[i] += add[i];
}

static void quick_gelu(float *row, size_t n) {
    for (size_t i = 0; i < n; i++) row[i] /= 1 + expf(-1.702f * row[i]);
}

static void gelu_erf(float *row, size_t n) {
    const float sqrt_half = 0.70710678f;
    for (size_t i = 0; i < n; i++) row[i] *= 0.5f * (1 + erff(row[i] * sqrt_half));
}

static void gelu_tanh(float *row, size_t n) {
    const float sqrt_2_over_pi = 0.79788456f;
    for (size_t i = 0; i < n; i++) {
        float x = row[i];
        row[i] = 0.5f * x * (1 + tanhf(sqrt_2_over_pi * (x + 0.044715f * x * x * x)));
    }
}

const struct kernels kernels_generic = {
    .name = "generic",
    .multiply_nt = blas_multiply_nt,
    .multiply_nn = blas_multiply_nn,
    .layer_norm = layer_norm,
    .softmax = softmax,
    .add = add,
    .quick_gelu = quick_gelu,
    .gelu_erf = gelu_erf,
    .gelu_tanh = gelu_tanh,
};

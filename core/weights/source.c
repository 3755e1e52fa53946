#include "core/weights/source.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/base/file.h"

enum { CHUNK = 4096 }; /* numbers, that are looked at while they are in the L1 cache */

/* In blocks, which the compiler makes vectors of. */
static bool all_finite(const float *values, size_t count) {
    enum { BLOCK = 16 };
    const uint32_t exponent = 0x7f800000; /* all ones: infinity or NaN */
    uint32_t found[BLOCK] = {0}, any = 0;
    size_t i = 0;
    for (; i + BLOCK <= count; i += BLOCK) {
        uint32_t bits[BLOCK];
        memcpy(bits, values + i, sizeof(bits));
        for (size_t j = 0; j < BLOCK; j++) found[j] |= (bits[j] & exponent) == exponent;
    }
    for (size_t j = 0; j < BLOCK; j++) any |= found[j];
    for (; i < count; i++) any |= !isfinite(values[i]);
    return !any;
}

static void read_run(struct tensor *tensor, size_t first, size_t count, float *out) {
    for (size_t part; count; first += part, out += part, count -= part) {
        part = count < CHUNK ? count : CHUNK;
        tensor_widen(out, tensor, first, part);
        if (!all_finite(out, part)) tensor->not_finite = true;
    }
}

static void read_tensor(const struct source *source, size_t first, size_t count, float *out) {
    size_t columns = source->columns;
    if (!source->transposed) {
        read_run(source->tensor, (source->first + first) * columns, count * columns, out);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < columns; j++) {
            tensor_widen(out + i * columns + j, source->tensor, j * source->rows + first + i, 1);
        }
    }
    if (!all_finite(out, count * columns)) source->tensor->not_finite = true;
}

/* SplitMix64 (Steele, Lea, Flood 2014). */
static uint64_t mix(uint64_t z) {
    z += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* Uniform in [-1, 1). */
static float uniform(uint64_t seed, uint64_t index) {
    return (float)(mix(seed ^ mix(index)) >> 40) / 8388608.0f - 1.0f;
}

/* Trained LayerNorm gains: lognormal, and one channel in 128 twenty times as large. */
static float gain(uint64_t seed, size_t channel) {
    enum { ONE_IN = 128 };
    if (!seed) return 1;
    float spread = expf(0.5f * (uniform(seed, 2 * channel) + uniform(seed, 2 * channel + 1)));
    return mix(seed + channel) % ONE_IN ? spread : 20 * spread;
}

static void read_random(const struct source *source, size_t first, size_t count, float *out) {
    const float sqrt_3 = 1.7320508f; /* a uniform number in [-1, 1) deviates by one over it */
    for (size_t i = 0; i < count * source->columns; i++) {
        float value = uniform(source->seed, first * source->columns + i) * source->scale * sqrt_3;
        out[i] = value / gain(source->gain_seed, i % source->columns);
    }
}

void source_read(const struct source *source, size_t first, size_t count, float *out) {
    size_t columns = source->columns;
    switch (source->kind) {
    case SOURCE_TENSOR: read_tensor(source, first, count, out); return;
    case SOURCE_COMPUTED:
        memcpy(out, source->computed + first * columns, count * columns * sizeof(*out));
        return;
    case SOURCE_RANDOM: read_random(source, first, count, out); return;
    case SOURCE_GAIN:
        for (size_t j = 0; j < columns; j++) out[j] = gain(source->gain_seed, j);
        return;
    case SOURCE_NONE: assert(!"a weight that comes from nowhere");
    }
}

void source_release(const struct source *source) {
    if (source->kind == SOURCE_TENSOR && source->tensor->mapped) {
        file_map_release(source->tensor->data);
    }
}

/* "[512, 768]", with "any" for 0. */
static void expected_text(const size_t *dims, uint32_t rank, char *text, size_t size) {
    size_t used = (size_t)snprintf(text, size, "[");
    for (uint32_t i = 0; i < rank && used < size; i++) {
        const char *comma = i ? ", " : "";
        int n = dims[i] ? snprintf(text + used, size - used, "%s%zu", comma, dims[i])
                        : snprintf(text + used, size - used, "%sany", comma);
        used += (size_t)n;
    }
    if (used < size) snprintf(text + used, size - used, "]");
}

static bool fits(const struct tensor *tensor, const size_t *dims, uint32_t rank) {
    if (tensor->rank != rank) return false;
    for (uint32_t i = 0; i < rank; i++) {
        if (tensor->shape[i] == 0) return false;
        if (dims[i] != 0 && dims[i] != tensor->shape[i]) return false;
    }
    return true;
}

enum status source_take(struct source *out, struct tensors *tensors, const char *name, size_t *dims,
                        uint32_t rank, struct error *err) {
    struct tensor *tensor = tensors_find(tensors, name);
    char expected[80], found[80];
    expected_text(dims, rank, expected, sizeof(expected));
    if (!tensor) {
        return error_set(err, STATUS_UNPROCESSABLE, "tensor %s is missing, %s is expected", name,
                         expected);
    }
    if (!fits(tensor, dims, rank)) {
        tensor_shape_text(tensor, found, sizeof(found));
        return error_set(err, STATUS_UNPROCESSABLE, "tensor %s has shape %s, %s is expected", name,
                         found, expected);
    }
    if (!tensor_is_floating(tensor)) {
        return error_set(err, STATUS_UNSUPPORTED,
                         "tensor %s has type %s, F32, F16 or BF16 is expected", name,
                         tensor_type_name(tensor->type));
    }
    tensor->used = true;
    *out = (struct source){
        .kind = SOURCE_TENSOR, .tensor = tensor, .rows = rank > 1 ? tensor->shape[0] : 1};
    out->columns = tensor_elements(tensor) / out->rows;
    for (uint32_t i = 0; i < rank; i++) dims[i] = tensor->shape[i];
    return STATUS_OK;
}

struct source source_rows(const struct source *source, size_t first, size_t count) {
    assert(source->kind == SOURCE_TENSOR && !source->transposed);
    struct source rows = *source;
    rows.first += first;
    rows.rows = count;
    return rows;
}

enum status source_take_transposed(struct source *out, struct tensors *tensors, const char *name,
                                   size_t dims[2], struct error *err) {
    size_t stored[2] = {dims[1], dims[0]};
    enum status status = source_take(out, tensors, name, stored, 2, err);
    if (status) return status;
    dims[0] = out->rows = stored[1];
    dims[1] = out->columns = stored[0];
    out->transposed = true;
    return STATUS_OK;
}

#include "core/model/weights.h"

#include <stdio.h>
#include <stdlib.h>

enum { ALIGNMENT = 64 };

void weights_init(struct weights *weights, struct tensors *tensors) {
    *weights = (struct weights){.tensors = tensors};
}

void weights_free(struct weights *weights) {
    for (size_t i = 0; i < weights->owned_count; i++) free(weights->owned[i]);
    free(weights->owned);
    *weights = (struct weights){0};
}

static void *remember(struct weights *weights, void *memory) {
    if (weights->owned_count == weights->owned_capacity) {
        size_t capacity = weights->owned_capacity * 2 + 64;
        void **owned = realloc(weights->owned, capacity * sizeof(*owned));
        if (!owned) {
            free(memory);
            return NULL;
        }
        weights->owned = owned;
        weights->owned_capacity = capacity;
    }
    if (memory) weights->owned[weights->owned_count++] = memory;
    return memory;
}

float *weights_allocate(struct weights *weights, size_t count, struct error *err) {
    size_t bytes;
    void *memory = NULL;
    if (size_multiply(&bytes, count, sizeof(float)) && bytes <= SIZE_MAX - ALIGNMENT) {
        bytes = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
        memory = remember(weights, aligned_alloc(ALIGNMENT, bytes ? bytes : ALIGNMENT));
    }
    if (!memory) error_set(err, STATUS_NO_MEMORY, "out of memory for %zu weights", count);
    return memory;
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

/* NULL with a report unless the tensor is there, fits and is floating point. */
static const struct tensor *find(struct weights *weights, const char *name, size_t *dims,
                                 uint32_t rank, struct error *err) {
    struct tensor *tensor = tensors_find(weights->tensors, name);
    char expected[80], found[80];
    if (!tensor) {
        expected_text(dims, rank, expected, sizeof(expected));
        error_set(err, STATUS_UNPROCESSABLE, "tensor %s is missing, %s is expected", name,
                  expected);
        return NULL;
    }
    bool fits = tensor->rank == rank;
    for (uint32_t i = 0; fits && i < rank; i++) {
        fits = tensor->shape[i] > 0 && (dims[i] == 0 || dims[i] == tensor->shape[i]);
    }
    if (!fits) {
        expected_text(dims, rank, expected, sizeof(expected));
        tensor_shape_text(tensor, found, sizeof(found));
        error_set(err, STATUS_UNPROCESSABLE, "tensor %s has shape %s, %s is expected", name, found,
                  expected);
        return NULL;
    }
    if (tensor->type != TENSOR_F32 && tensor->type != TENSOR_F16 && tensor->type != TENSOR_BF16) {
        error_set(err, STATUS_UNSUPPORTED, "tensor %s has type %s, F32, F16 or BF16 is expected",
                  name, tensor_type_name(tensor->type));
        return NULL;
    }
    for (uint32_t i = 0; i < rank; i++) dims[i] = tensor->shape[i];
    tensor->used = true;
    weights->parameters += tensor_elements(tensor);
    return tensor;
}

enum status weights_take(struct weights *weights, const char *name, size_t *dims, uint32_t rank,
                         const float **out, struct error *err) {
    struct error local = ERROR_NONE;
    if (!err) err = &local;
    const struct tensor *tensor = find(weights, name, dims, rank, err);
    if (!tensor) return err->status;
    const void *data = tensor->data.data;
    if (tensor->type == TENSOR_F32 && (uintptr_t)data % sizeof(float) == 0) {
        weights->mapped = true;
        *out = data;
        return STATUS_OK;
    }
    float *copy = weights_allocate(weights, tensor_elements(tensor), err);
    if (!copy) return err->status;
    tensor_widen(copy, tensor, 0, tensor_elements(tensor));
    *out = copy;
    return STATUS_OK;
}

enum status weights_take_transposed(struct weights *weights, const char *name, size_t dims[2],
                                    const float **out, struct error *err) {
    struct error local = ERROR_NONE;
    if (!err) err = &local;
    size_t stored[2] = {dims[1], dims[0]};
    const struct tensor *tensor = find(weights, name, stored, 2, err);
    if (!tensor) return err->status;
    size_t rows = dims[0] = stored[1], columns = dims[1] = stored[0];
    float *copy = weights_allocate(weights, rows * columns, err);
    if (!copy) return err->status;
    for (size_t i = 0; i < columns; i++) {
        for (size_t j = 0; j < rows; j++) {
            tensor_widen(&copy[j * columns + i], tensor, i * rows + j, 1);
        }
    }
    *out = copy;
    return STATUS_OK;
}

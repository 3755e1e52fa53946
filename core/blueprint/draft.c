#include "core/blueprint/draft.h"

#include <stdio.h>
#include <stdlib.h>

enum status draft_check_stated(const char *what, uint32_t stated, size_t found, struct error *err) {
    if (!stated || stated == found) return STATUS_OK;
    return error_set(err, STATUS_UNPROCESSABLE,
                     "the configuration says %s %u, the weights have %zu", what, stated, found);
}

enum status draft_take_vector(struct draft *draft, const char *name, size_t width,
                              struct source *out, struct error *err) {
    size_t dims[1] = {width};
    enum status status = source_take(out, draft->tensors, name, dims, 1, err);
    draft->info->parameters += dims[0];
    return status;
}

enum status draft_take_matrix(struct draft *draft, const char *name, size_t dims[2],
                              struct source *out, struct error *err) {
    enum status status = source_take(out, draft->tensors, name, dims, 2, err);
    draft->info->parameters += (uint64_t)dims[0] * dims[1];
    return status;
}

enum status draft_take_table(struct draft *draft, const char *name, size_t dims[2],
                             struct source *out, struct error *err) {
    const struct tensor *tensor = tensors_find(draft->tensors, name);
    uint32_t rank =
        tensor && tensor->rank > 2 && tensor->rank <= TENSOR_RANK_MAX ? tensor->rank : 2;
    size_t stored[TENSOR_RANK_MAX];
    for (uint32_t i = 0; i + 2 < rank; i++) stored[i] = 1;
    for (uint32_t i = 0; i < 2; i++) stored[rank - 2 + i] = dims[i];
    enum status status = source_take(out, draft->tensors, name, stored, rank, err);
    if (status) return status;
    dims[0] = out->rows = stored[rank - 2];
    dims[1] = out->columns = stored[rank - 1];
    draft->info->parameters += (uint64_t)dims[0] * dims[1];
    return STATUS_OK;
}

enum status draft_take_norm(struct draft *draft, const char *prefix, const char *layer,
                            size_t width, struct blueprint_norm *out, struct error *err) {
    char name[DRAFT_NAME_SIZE];
    snprintf(name, sizeof(name), "%s%s.weight", prefix, layer);
    enum status status = draft_take_vector(draft, name, width, &out->gain, err);
    if (status) return status;
    snprintf(name, sizeof(name), "%s%s.bias", prefix, layer);
    return draft_take_vector(draft, name, width, &out->bias, err);
}

enum status draft_take_part(struct draft *draft, const char *weight, const char *bias, size_t *n,
                            size_t k, struct blueprint_linear *out, struct error *err) {
    size_t dims[2] = {*n, k}, part = out->parts++;
    enum status status = draft_take_matrix(draft, weight, dims, &out->weights[part], err);
    if (status) return status;
    *n = dims[0];
    return bias ? draft_take_vector(draft, bias, *n, &out->biases[part], err) : STATUS_OK;
}

enum status draft_take_product(struct draft *draft, const char *prefix, const char *layer,
                               size_t *n, size_t k, struct blueprint_linear *out,
                               struct error *err) {
    char weight[DRAFT_NAME_SIZE];
    snprintf(weight, sizeof(weight), "%s%s.weight", prefix, layer);
    return draft_take_part(draft, weight, NULL, n, k, out, err);
}

enum status draft_take_linear(struct draft *draft, const char *prefix, const char *layer, size_t *n,
                              size_t k, struct blueprint_linear *out, struct error *err) {
    char weight[DRAFT_NAME_SIZE], bias[DRAFT_NAME_SIZE];
    snprintf(weight, sizeof(weight), "%s%s.weight", prefix, layer);
    snprintf(bias, sizeof(bias), "%s%s.bias", prefix, layer);
    return draft_take_part(draft, weight, bias, n, k, out, err);
}

uint32_t draft_count(const struct draft *draft, const char *prefix, uint32_t limit) {
    uint32_t count = 0;
    for (; count < limit; count++) {
        char name[DRAFT_NAME_SIZE];
        snprintf(name, sizeof(name), "%s%u.", prefix, count);
        if (!tensors_any_with_prefix(draft->tensors, name)) break;
    }
    return count;
}

float *draft_read_all(const struct source *source, struct error *err) {
    size_t count;
    float *values = NULL;
    if (size_multiply(&count, source->rows, source->columns))
        values = calloc(count, sizeof(*values));
    if (values)
        source_read(source, 0, source->rows, values);
    else
        error_set(err, STATUS_NO_MEMORY, "out of memory for position embeddings");
    return values;
}

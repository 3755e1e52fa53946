#include "core/model/pack.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/model/pooler_pack.h"
#include "core/model/resnet_pack.h"

/* The block is constant for everybody but the packer. */
static void *writable(const void *place) {
    void *same;
    memcpy(&same, &place, sizeof(same));
    return same;
}

void pack_vector(const float *to, const struct source *source) {
    source_read(source, 0, source->rows, writable(to));
    source_release(source);
}

void pack_norm(const struct norm *to, const struct blueprint_norm *from) {
    pack_vector(to->gain, &from->gain);
    pack_vector(to->bias, &from->bias);
}

/* Leaves the plain normalisation: what gain and bias did is now in the weight. */
static void clear_norm(const struct norm *norm, size_t width) {
    float *gain = writable(norm->gain);
    for (size_t i = 0; i < width; i++) gain[i] = 1;
    memset(writable(norm->bias), 0, width * sizeof(*gain));
}

/* W * (gain * x + bias) = (W * gain) * x + W * bias. */
static void fold_norm(const struct norm *norm, float *rows, float *biases, size_t n, size_t k) {
    for (size_t i = 0; i < n; i++) {
        double sum = 0;
        for (size_t j = 0; j < k; j++) {
            sum += (double)rows[i * k + j] * (double)norm->bias[j];
            rows[i * k + j] *= norm->gain[j];
        }
        biases[i] += (float)sum;
    }
}

/* LayerScale after a product is a product with scaled rows. `factors` is [n], scratch. */
static void fold_scale(const struct source *scale, float *factors, float *rows, float *biases,
                       size_t n, size_t k) {
    source_read(scale, 0, 1, factors);
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < k; j++) rows[i * k + j] *= factors[i];
        biases[i] *= factors[i];
    }
}

enum status pack_linear(const struct linear *to, const struct blueprint_linear *from,
                        const struct norm *norm, uint8_t precision, struct error *err) {
    if (!to->blob) return STATUS_OK;
    assert(from->parts);
    size_t n = to->weight.n, k = to->weight.k, done = 0;
    float *rows = malloc(n * k * sizeof(*rows)), *biases = calloc(2 * n, sizeof(*biases));
    if (!rows || !biases) {
        free(rows);
        free(biases);
        return error_set(err, STATUS_NO_MEMORY, "out of memory for a weight of %zu x %zu", n, k);
    }
    for (size_t i = 0; i < from->parts; i++) {
        const struct source *weight = &from->weights[i];
        source_read(weight, 0, weight->rows, rows + done * k);
        source_release(weight);
        if (from->biases[i].kind) source_read(&from->biases[i], 0, 1, biases + done);
        done += weight->rows;
    }
    if (from->scale.kind) fold_scale(&from->scale, biases + n, rows, biases, n, k);
    if (norm && precision == MODEL_INT8) fold_norm(norm, rows, biases, n, k);
    struct gemm_rows whole = {.data = rows, .stride = k, .count = n};
    gemm_pack(writable(to->blob), to->weight.kernel, &whole, 1, k);
    if (to->bias) memcpy(writable(to->bias), biases, n * sizeof(*biases));
    free(rows);
    free(biases);
    return STATUS_OK;
}

static enum status pack_block(const struct block *to, const struct blueprint_block *from,
                              const uint8_t plan[PLAN_PRODUCTS], size_t width, struct error *err) {
    if (to->qkv.blob) pack_norm(&to->ln_1, &from->ln_1);
    if (to->fc.blob) pack_norm(&to->ln_2, &from->ln_2);
    enum status status = pack_linear(&to->qkv, &from->qkv, &to->ln_1, plan[PLAN_QKV], err);
    if (!status) status = pack_linear(&to->out, &from->out, NULL, plan[PLAN_OUT], err);
    if (!status) status = pack_linear(&to->fc, &from->fc, &to->ln_2, plan[PLAN_FC], err);
    if (!status) status = pack_linear(&to->proj, &from->proj, NULL, plan[PLAN_PROJ], err);
    if (to->qkv.blob && plan[PLAN_QKV] == MODEL_INT8) clear_norm(&to->ln_1, width);
    if (to->fc.blob && plan[PLAN_FC] == MODEL_INT8) clear_norm(&to->ln_2, width);
    return status;
}

static enum status pack_tower(const struct tower *to, const struct blueprint_tower *from,
                              const uint8_t plan[][PLAN_PRODUCTS], uint8_t projection,
                              struct error *err) {
    enum status status = STATUS_OK;
    pack_vector(to->positions, &from->positions);
    if (!to->shape.no_ln_end) pack_norm(&to->ln_end, &from->ln_end);
    for (uint32_t i = 0; i < to->shape.layers && !status; i++) {
        status = pack_block(&to->blocks[i], &from->blocks[i], plan[i], to->shape.width, err);
    }
    if (status) return status;
    const struct norm *norm = to->shape.no_ln_end ? NULL : &to->ln_end;
    status = pack_linear(&to->projection, &from->projection, norm, projection, err);
    if (norm && to->projection.blob && projection == MODEL_INT8)
        clear_norm(norm, to->shape.pooled_width);
    return status;
}

static enum status pack_vit(const struct towers *towers, const struct blueprint *from,
                            const struct plan *plan, struct error *err) {
    const struct vit *vit = &towers->vit;
    if (vit->class_embedding) pack_vector(vit->class_embedding, &from->vit.class_embedding);
    if (vit->ln_pre.gain) pack_norm(&vit->ln_pre, &from->vit.ln_pre);
    enum status status = pack_linear(&vit->patch, &from->vit.patch, NULL, plan->patch, err);
    if (!status) {
        status = pack_tower(&towers->vision, &from->vision, plan->layers[PLAN_VISION],
                            plan->projection[PLAN_VISION], err);
    }
    if (status || !towers->pooler.scores.blob) return status;
    return pooler_pack(towers, from, plan, err);
}

static enum status pack_vision(const struct towers *towers, const struct blueprint *from,
                               const struct plan *plan, struct error *err) {
    switch (towers->image_tower) {
    case MODEL_IMAGE_VIT: return pack_vit(towers, from, plan, err);
    case MODEL_IMAGE_RESNET: return resnet_pack(towers, from, plan, err);
    }
    return STATUS_INTERNAL;
}

enum status pack_towers(struct towers *towers, const struct blueprint *from,
                        const struct plan *plan, struct error *err) {
    enum status status = STATUS_OK;
    if (towers->vision.shape.layers) status = pack_vision(towers, from, plan, err);
    if (status || !towers->text.shape.layers) return status;
    pack_vector(towers->embedding, &from->embedding);
    if (towers->class_embedding) pack_vector(towers->class_embedding, &from->class_embedding);
    return pack_tower(&towers->text, &from->text, plan->layers[PLAN_TEXT],
                      plan->projection[PLAN_TEXT], err);
}

#include "core/pack/pack.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/pack/conv_pack.h"
#include "core/pack/convnext_pack.h"
#include "core/pack/fastvit_pack.h"
#include "core/pack/pooler_pack.h"
#include "core/pack/resnet_pack.h"
#include "core/pack/window_pack.h"

/* The block is constant for everybody but the packer. */
static void *writable(const void *place) {
    void *same;
    memcpy(&same, &place, sizeof(same));
    return same;
}

void pack_vector(const float *to, const struct source *from) {
    source_read(from, 0, from->rows, writable(to));
    source_release(from);
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

static void multiply(float factor, float *rows, size_t count, float *biases, size_t n) {
    for (size_t i = 0; i < count; i++) rows[i] *= factor;
    for (size_t i = 0; i < n; i++) biases[i] *= factor;
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
    if (from->factor > 0) multiply(from->factor, rows, n * k, biases, n);
    if (from->scale.kind) fold_scale(&from->scale, biases + n, rows, biases, n, k);
    if (norm && precision == MODEL_INT8) fold_norm(norm, rows, biases, n, k);
    struct gemm_rows whole = {.data = rows, .stride = k, .count = n};
    gemm_pack(writable(to->blob), to->weight.kernel, &whole, 1, k);
    if (to->bias) memcpy(writable(to->bias), biases, n * sizeof(*biases));
    free(rows);
    free(biases);
    return STATUS_OK;
}

void pack_finish_norm(const struct norm *norm, uint8_t precision, size_t width) {
    if (norm && norm->gain && precision == MODEL_INT8) clear_norm(norm, width);
}

static enum status pack_attention(const struct block *to, const struct blueprint_block *from,
                                  const uint8_t plan[PLAN_PRODUCTS],
                                  const struct model_tower *shape, struct error *err) {
    const struct norm *before = shape->norm_order == MODEL_NORM_BEFORE ? &to->ln_1 : NULL;
    const struct norm *inner = shape->inner_norms ? &to->ln_out : NULL;
    pack_norm(&to->ln_1, &from->ln_1);
    if (inner) pack_norm(inner, &from->ln_out);
    enum status status = pack_linear(&to->qkv, &from->qkv, before, plan[PLAN_QKV], err);
    if (!status) status = pack_linear(&to->out, &from->out, inner, plan[PLAN_OUT], err);
    pack_finish_norm(before, plan[PLAN_QKV], shape->width);
    pack_finish_norm(inner, plan[PLAN_OUT], to->out.weight.k);
    return status;
}

/* silu(x) = 1.702 * quick_gelu(x / 1.702), so that SwiGLU needs no activation of its own: the
 * first factor moves to what is multiplied with it. */
static enum status pack_gate(const struct block *to, const struct blueprint_block *from,
                             const struct norm *before, uint8_t precision, struct error *err) {
    const float slope = 1.702f;
    struct blueprint_linear gate = from->gate, fc = from->fc;
    gate.factor = 1 / slope;
    fc.factor = slope;
    enum status status = pack_linear(&to->gate, &gate, before, precision, err);
    return status ? status : pack_linear(&to->fc, &fc, before, precision, err);
}

static enum status pack_mlp(const struct block *to, const struct blueprint_block *from,
                            const uint8_t plan[PLAN_PRODUCTS], const struct model_tower *shape,
                            struct error *err) {
    const struct norm *before = shape->norm_order == MODEL_NORM_BEFORE ? &to->ln_2 : NULL;
    const struct norm *inner = shape->inner_norms ? &to->ln_proj : NULL;
    pack_norm(&to->ln_2, &from->ln_2);
    if (inner) pack_norm(inner, &from->ln_proj);
    enum status status = shape->gated ? pack_gate(to, from, before, plan[PLAN_FC], err)
                                      : pack_linear(&to->fc, &from->fc, before, plan[PLAN_FC], err);
    if (!status) status = pack_linear(&to->proj, &from->proj, inner, plan[PLAN_PROJ], err);
    pack_finish_norm(before, plan[PLAN_FC], shape->width);
    pack_finish_norm(inner, plan[PLAN_PROJ], to->proj.weight.k);
    return status;
}

/* Convolutions leave no norm in the place of ln_2. */
static enum status pack_looking(const struct block *to, const struct blueprint_block *from,
                                const uint8_t plan[PLAN_PRODUCTS], struct error *err) {
    enum status status = window_pack(&to->mix, &from->mix, err);
    if (!status) status = window_pack(&to->look, &from->look, err);
    if (!status) status = pack_linear(&to->fc, &from->fc, NULL, plan[PLAN_FC], err);
    return status ? status : pack_linear(&to->proj, &from->proj, NULL, plan[PLAN_PROJ], err);
}

static enum status pack_block(const struct block *to, const struct blueprint_block *from,
                              const uint8_t plan[PLAN_PRODUCTS], const struct model_tower *shape,
                              struct error *err) {
    enum status status = STATUS_OK;
    if (to->look.side) return pack_looking(to, from, plan, err);
    if (to->qkv.blob) status = pack_attention(to, from, plan, shape, err);
    if (!status && to->fc.blob) status = pack_mlp(to, from, plan, shape, err);
    return status;
}

static enum status pack_tower(const struct tower *to, const struct blueprint_tower *from,
                              const uint8_t plan[][PLAN_PRODUCTS], uint8_t projection,
                              struct error *err) {
    enum status status = STATUS_OK;
    pack_vector(to->positions, &from->positions);
    if (!to->shape.no_ln_end) pack_norm(&to->ln_end, &from->ln_end);
    for (uint32_t i = 0; i < to->shape.layers && !status; i++) {
        status = pack_block(&to->blocks[i], &from->blocks[i], plan[i], &to->shape, err);
    }
    if (status) return status;
    const struct norm *norm = to->shape.no_ln_end ? NULL : &to->ln_end;
    status = pack_linear(&to->hidden, &from->hidden, norm, projection, err);
    if (status) return status;
    status = pack_linear(&to->projection, &from->projection, norm, projection, err);
    if (norm && to->projection.blob && projection == MODEL_INT8)
        clear_norm(norm, to->shape.pooled_width);
    return status;
}

static enum status pack_vit(const struct towers *towers, const struct blueprint *from,
                            const struct plan *plan, struct error *err) {
    const struct vit *vit = &towers->vit;
    if (vit->class_embedding) pack_vector(vit->class_embedding, &from->vit.class_embedding);
    if (towers->vision.rope) pack_vector(towers->vision.rope, &from->vit.rope);
    if (vit->ln_pre.gain) pack_norm(&vit->ln_pre, &from->vit.ln_pre);
    enum status status = pack_linear(&vit->patch, &from->vit.patch, NULL, plan->patch, err);
    for (size_t i = 0; i < MODEL_VIT_STEM && !status; i++) {
        if (vit->stem[i].window) status = conv_pack(&vit->stem[i], &from->vit.stem[i], err);
    }
    if (!status) {
        status = pack_tower(&towers->vision, &from->vision, plan->layers[PLAN_VISION],
                            plan->projection[PLAN_VISION], err);
    }
    if (status || !towers->pooler.scores.blob) return status;
    return pooler_pack(towers, from, err);
}

static enum status pack_vision(const struct towers *towers, const struct blueprint *from,
                               const struct plan *plan, struct error *err) {
    switch (towers->image_tower) {
    case MODEL_IMAGE_VIT: return pack_vit(towers, from, plan, err);
    case MODEL_IMAGE_RESNET: return resnet_pack(towers, from, plan, err);
    case MODEL_IMAGE_CONVNEXT: return convnext_pack(towers, from, plan, err);
    case MODEL_IMAGE_FASTVIT: return fastvit_pack(towers, from, plan, err);
    }
    return STATUS_INTERNAL;
}

static enum status pack_text(const struct towers *towers, const struct blueprint *from,
                             const struct plan *plan, struct error *err) {
    pack_vector(towers->embedding, &from->embedding);
    if (towers->ln_embedding.gain) pack_norm(&towers->ln_embedding, &from->ln_embedding);
    if (towers->class_embedding) pack_vector(towers->class_embedding, &from->class_embedding);
    return pack_tower(&towers->text, &from->text, plan->layers[PLAN_TEXT],
                      plan->projection[PLAN_TEXT], err);
}

enum status pack_towers(struct towers *towers, const struct blueprint *from,
                        const struct plan *plan, struct error *err) {
    enum status status = STATUS_OK;
    if (towers->vision.shape.layers) status = pack_vision(towers, from, plan, err);
    if (!status && towers->text.shape.layers) status = pack_text(towers, from, plan, err);
    return status || !from->tensors ? status : tensors_check_finite(from->tensors, err);
}

#include "core/model/transformer.h"

#include <math.h>
#include <string.h>

/* ---- rows on their way into a product ---- */

struct prepare {
    const struct pass *pass;
    const struct norm *norm;
    float epsilon;
    const struct linear *next;
    const float *from;
    size_t stride;
    void *to;
};

static void prepare_row(const struct prepare *p, const float *from, size_t row, float *scratch) {
    const struct row_kernels *rows = p->pass->rows;
    const struct gemm_weight *weight = &p->next->weight;
    enum gemm_precision precision = gemm_kernel_precision(weight->kernel);
    size_t k = weight->k, at = row * gemm_row_stride(weight->kernel, k);
    float *normed = precision == GEMM_FP32 ? (float *)p->to + at : scratch;
    if (p->norm) {
        rows->layer_norm(normed, from, p->norm->gain, p->norm->bias, k, p->epsilon);
        from = normed;
    }
    switch (precision) {
    case GEMM_FP32:
        if (!p->norm) memcpy(normed, from, k * sizeof(*normed));
        break;
    case GEMM_BF16: rows->to_bf16((uint16_t *)p->to + at, from, k); break;
    case GEMM_INT8:
        p->pass->lane->scales[row] = rows->quantize((uint8_t *)p->to + at, from, k);
        break;
    }
}

static void prepare_rows(void *context, size_t begin, size_t end, uint32_t member) {
    const struct prepare *p = context;
    float *scratch = p->pass->workspace->lanes[member].scratch.row;
    for (size_t i = begin; i < end; i++) prepare_row(p, p->from + i * p->stride, i, scratch);
}

void pass_put_row(const struct pass *pass, const struct linear *next, const float *from,
                  size_t row) {
    struct prepare prepare = {.pass = pass, .next = next, .to = pass->lane->input};
    prepare_row(&prepare, from, row, NULL);
}

void pass_prepare(const struct pass *pass, const struct norm *norm, float epsilon,
                  const struct linear *next, const float *from, size_t stride, size_t count) {
    struct prepare prepare = {.pass = pass,
                              .norm = norm,
                              .epsilon = epsilon,
                              .next = next,
                              .from = from,
                              .stride = stride,
                              .to = pass->lane->input};
    team_run(pass->team, count, prepare_rows, &prepare);
}

/* ---- products ---- */

struct multiply {
    const struct linear *linear;
    struct gemm_call call;
};

static void multiply_panels(void *context, size_t begin, size_t end, uint32_t member) {
    (void)member;
    const struct multiply *m = context;
    gemm_multiply(&m->linear->weight, &m->call, begin, end);
}

static void run_product(const struct pass *pass, struct multiply *m) {
    const struct gemm_weight *weight = &m->linear->weight;
    m->call.a_stride = gemm_row_stride(weight->kernel, weight->k);
    m->call.a_scales = pass->lane->scales;
    m->call.bias = m->linear->bias;
    team_run(pass->team, gemm_panels(weight->kernel, weight->n), multiply_panels, m);
}

void pass_multiply(const struct pass *pass, const struct linear *linear, size_t rows, float *c,
                   size_t stride) {
    struct multiply m = {.linear = linear,
                         .call = {.a = pass->lane->input, .m = rows, .c = c, .c_stride = stride}};
    run_product(pass, &m);
}

/* x += product of `a`. */
static void add_product(const struct pass *pass, const struct linear *linear, const void *a,
                        size_t rows) {
    struct multiply m = {.linear = linear,
                         .call = {.a = a,
                                  .m = rows,
                                  .c = pass->lane->x,
                                  .c_stride = linear->weight.n,
                                  .output = GEMM_ADD_F32}};
    run_product(pass, &m);
}

/* ---- attention ---- */

struct attend {
    const struct pass *pass;
    const struct tower *tower;
    const struct linear *next; /* takes the result */
    bool pooled_only;
};

/* Straight into A of the next product, or to `wide`, when that is to be quantised. */
static void place_output(const struct attend *attend, struct attention_call *call, size_t row,
                         size_t column) {
    const struct lane *lane = attend->pass->lane;
    const struct gemm_weight *next = &attend->next->weight;
    switch (gemm_kernel_precision(next->kernel)) {
    case GEMM_FP32:
        call->out_stride = gemm_row_stride(next->kernel, next->k);
        call->out = (float *)lane->input + row * call->out_stride + column;
        call->output = GEMM_STORE_F32;
        break;
    case GEMM_BF16:
        call->out_stride = gemm_row_stride(next->kernel, next->k);
        call->out = (uint16_t *)lane->input + row * call->out_stride + column;
        call->output = GEMM_STORE_BF16;
        break;
    case GEMM_INT8:
        call->out_stride = workspace_wide_stride(next->k);
        call->out = lane->wide + row * call->out_stride + column;
        call->output = GEMM_STORE_F32;
        break;
    }
}

static void attend_head(const struct attend *attend, size_t sequence, size_t head, void *scratch) {
    const struct tower *tower = attend->tower;
    const struct lane *lane = attend->pass->lane;
    size_t width = tower->shape.width, depth = width / tower->shape.heads;
    size_t first = lane->sequences.start[sequence];
    size_t element = tower->attention_precision == GEMM_BF16 ? sizeof(uint16_t) : sizeof(float);
    struct attention_call call = {.stride = workspace_qkv_stride(&tower->shape),
                                  .tokens = lane->sequences.start[sequence + 1] - first,
                                  .head_dim = depth,
                                  .scale = 1 / sqrtf((float)depth),
                                  .causal = tower->causal};
    const uint8_t *q = (const uint8_t *)lane->qkv + first * call.stride * element;
    call.q = q + head * depth * element;
    call.k = q + (width + head * depth) * element;
    call.v = q + (2 * width + head * depth) * element;
    size_t row = first;
    call.query_end = call.tokens;
    if (attend->pooled_only) {
        /* The pooled rows are to stand one behind the other. */
        call.query_begin = lane->sequences.pooled[sequence] - first;
        call.query_end = call.query_begin + 1;
        row = sequence;
    }
    place_output(attend, &call, row, head * depth);
    attention_run(tower->attention, &call, scratch);
}

static void attend_heads(void *context, size_t begin, size_t end, uint32_t member) {
    const struct attend *attend = context;
    void *scratch = attend->pass->workspace->lanes[member].scratch.attention;
    size_t heads = attend->tower->shape.heads;
    for (size_t i = begin; i < end; i++) attend_head(attend, i / heads, i % heads, scratch);
}

static void project_qkv(const struct tower *tower, const struct linear *linear,
                        const struct pass *pass, size_t rows) {
    bool half = tower->attention_precision == GEMM_BF16;
    struct multiply m = {.linear = linear,
                         .call = {.a = pass->lane->input,
                                  .m = rows,
                                  .c = pass->lane->qkv,
                                  .c_stride = workspace_qkv_stride(&tower->shape),
                                  .output = half ? GEMM_STORE_BF16 : GEMM_STORE_F32}};
    run_product(pass, &m);
}

/* Moves the pooled rows of x to its front; rows only ever move towards it. */
static size_t gather_pooled(const struct pass *pass, size_t width) {
    const struct sequences *sequences = &pass->lane->sequences;
    float *x = pass->lane->x;
    for (size_t i = 0; i < sequences->count; i++) {
        memmove(x + i * width, x + sequences->pooled[i] * width, width * sizeof(*x));
    }
    return sequences->count;
}

/* x += out(attention(qkv(ln_1(x)))); returns the rows that are left of x. */
static size_t attention_part(const struct tower *tower, const struct block *block,
                             const struct pass *pass, size_t rows, bool last) {
    const struct model_tower *shape = &tower->shape;
    struct lane *lane = pass->lane;
    pass_prepare(pass, &block->ln_1, shape->layer_norm_eps, &block->qkv, lane->x, shape->width,
                 rows);
    project_qkv(tower, &block->qkv, pass, rows);
    struct attend attend = {.pass = pass, .tower = tower, .next = &block->out, .pooled_only = last};
    team_run(pass->team, lane->sequences.count * shape->heads, attend_heads, &attend);
    if (last) rows = gather_pooled(pass, shape->width);
    if (gemm_kernel_precision(block->out.weight.kernel) == GEMM_INT8) {
        pass_prepare(pass, NULL, 0, &block->out, lane->wide, workspace_wide_stride(shape->width),
                     rows);
    }
    add_product(pass, &block->out, lane->input, rows);
    return rows;
}

static enum gemm_activation activation_of(const struct model_tower *shape) {
    switch (shape->activation) {
    case MODEL_GELU_ERF: return GEMM_GELU_ERF;
    case MODEL_GELU_TANH: return GEMM_GELU_TANH;
    case MODEL_QUICK_GELU: break;
    }
    return GEMM_QUICK_GELU;
}

/* x += proj(activation(fc(ln_2(x)))). */
static void mlp_part(const struct model_tower *shape, const struct block *block,
                     const struct pass *pass, size_t rows) {
    struct lane *lane = pass->lane;
    const struct gemm_weight *next = &block->proj.weight;
    enum gemm_precision precision = gemm_kernel_precision(next->kernel);
    pass_prepare(pass, &block->ln_2, shape->layer_norm_eps, &block->fc, lane->x, shape->width,
                 rows);
    struct multiply m = {.linear = &block->fc,
                         .call = {.a = lane->input, .m = rows, .activation = activation_of(shape)}};
    m.call.c = precision == GEMM_INT8 ? (void *)lane->wide : lane->hidden;
    m.call.c_stride = precision == GEMM_INT8 ? workspace_wide_stride(next->k)
                                             : gemm_row_stride(next->kernel, next->k);
    m.call.output = precision == GEMM_BF16 ? GEMM_STORE_BF16 : GEMM_STORE_F32;
    run_product(pass, &m);
    if (precision == GEMM_INT8) {
        struct prepare prepare = {.pass = pass,
                                  .next = &block->proj,
                                  .from = lane->wide,
                                  .stride = m.call.c_stride,
                                  .to = lane->hidden};
        team_run(pass->team, rows, prepare_rows, &prepare);
    }
    add_product(pass, &block->proj, lane->hidden, rows);
}

/* For measuring: keeps the row of the first sequence that becomes its embedding. */
static void trace_layer(const struct model_tower *shape, const struct pass *pass, size_t layer,
                        size_t row) {
    size_t width = shape->width;
    memcpy(pass->trace + layer * width, pass->lane->x + row * width, width * sizeof(*pass->trace));
}

/* Leaves the mean of each sequence's rows but its first at the front of x, where none of
 * these rows is any more. */
static void average_rows(const struct pass *pass, size_t width) {
    const struct sequences *sequences = &pass->lane->sequences;
    float *x = pass->lane->x;
    for (size_t i = 0; i < sequences->count; i++) {
        size_t first = sequences->start[i] + 1, end = sequences->start[i + 1];
        float *mean = x + i * width;
        memset(mean, 0, width * sizeof(*mean));
        for (size_t row = first; row < end; row++) {
            for (size_t j = 0; j < width; j++) mean[j] += x[row * width + j];
        }
        for (size_t j = 0; j < width; j++) mean[j] /= (float)(end - first);
    }
}

struct hand_out {
    const struct pass *pass;
    size_t width;
};

/* Units are sequences. */
static void hand_out_rows(void *context, size_t begin, size_t end, uint32_t member) {
    const struct hand_out *out = context;
    const struct tap *tap = out->pass->tap;
    const struct lane *lane = out->pass->lane;
    (void)member;
    for (size_t i = begin; i < end; i++) {
        size_t first = lane->sequences.start[i] + tap->skip;
        size_t rows = lane->sequences.start[i + 1] - first;
        memcpy(tap->states[i], lane->x + first * out->width, rows * out->width * sizeof(*lane->x));
    }
}

void transformer_forward(const struct tower *tower, const struct pass *pass) {
    const struct sequences *sequences = &pass->lane->sequences;
    size_t rows = sequences->start[sequences->count];
    uint32_t layers = pass->tap ? pass->tap->layers : tower->shape.layers;
    for (uint32_t i = 0; i < layers; i++) {
        const struct block *block = &tower->blocks[i];
        bool last =
            i + 1 == tower->shape.layers && tower->pooling == MODEL_IMAGE_CLASS && !pass->tap;
        rows = attention_part(tower, block, pass, rows, last);
        mlp_part(&tower->shape, block, pass, rows);
        if (pass->trace) trace_layer(&tower->shape, pass, i, last ? 0 : sequences->pooled[0]);
    }
    if (pass->tap) {
        struct hand_out out = {.pass = pass, .width = tower->shape.width};
        team_run(pass->team, sequences->count, hand_out_rows, &out);
    } else if (tower->pooling == MODEL_IMAGE_PATCH_MEAN) {
        average_rows(pass, tower->shape.width);
    }
}

void transformer_project(const struct tower *tower, const struct pass *pass,
                         float *const *embeddings) {
    const struct model_tower *shape = &tower->shape;
    struct lane *lane = pass->lane;
    size_t count = lane->sequences.count, width = shape->width;
    if (!shape->projected) {
        for (size_t i = 0; i < count; i++) {
            pass->rows->layer_norm(embeddings[i], lane->x + i * width, tower->ln_end.gain,
                                   tower->ln_end.bias, width, shape->layer_norm_eps);
        }
        return;
    }
    size_t dim = tower->projection.weight.n;
    pass_prepare(pass, &tower->ln_end, shape->layer_norm_eps, &tower->projection, lane->x, width,
                 count);
    pass_multiply(pass, &tower->projection, count, lane->wide, dim);
    for (size_t i = 0; i < count; i++) {
        memcpy(embeddings[i], lane->wide + i * dim, dim * sizeof(*lane->wide));
    }
}

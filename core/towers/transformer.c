#include "core/towers/transformer.h"

#include <math.h>
#include <string.h>

#include "core/towers/mixer.h"
#include "core/towers/pooling.h"
#include "core/towers/rope.h"

struct attend {
    const struct pass *pass;
    const struct tower *tower;
    const struct block *block;
    bool pooled_only;
};

/* True when what attention gives is not A of the next product yet: it is to be normalised, or
 * quantised. */
static bool goes_by_wide(const struct block *block) {
    return block->ln_out.gain || gemm_kernel_precision(block->out.weight.kernel) == GEMM_INT8;
}

/* Straight into A of the next product, or to `wide`. */
static void place_output(const struct attend *attend, struct attention_call *call, size_t row,
                         size_t column) {
    const struct lane *lane = attend->pass->lane;
    const struct gemm_weight *next = &attend->block->out.weight;
    switch (goes_by_wide(attend->block) ? GEMM_INT8 : gemm_kernel_precision(next->kernel)) {
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

/* The row behind a text (CoCa) sees those of its keys that are not masked: `call` has all of
 * them, and they move together, which nobody minds, because it is the last to ask. */
static void attend_class(const struct attend *attend, struct attention_call *call, size_t first,
                         void *scratch) {
    const uint8_t *masked = attend->pass->lane->sequences.masked + first;
    size_t element =
        attend->tower->attention_precision == GEMM_BF16 ? sizeof(uint16_t) : sizeof(float);
    size_t stride = call->stride * element, size = call->head_dim * element, seen = 0;
    uint8_t *base = (uint8_t *)attend->pass->lane->qkv;
    size_t keys = (size_t)((const uint8_t *)call->k - base),
           values = (size_t)((const uint8_t *)call->v - base);
    for (size_t i = 0; i < call->tokens; i++) {
        if (masked[i]) continue;
        if (i > seen) {
            memcpy(base + keys + seen * stride, base + keys + i * stride, size);
            memcpy(base + values + seen * stride, base + values + i * stride, size);
        }
        seen++;
    }
    call->q = (const uint8_t *)call->q + (call->tokens - 1) * stride;
    call->tokens = seen;
    call->causal = false;
    call->query_begin = 0;
    call->query_end = 1;
    attention_run(attend->tower->attention, call, scratch);
}

static void attend_head(const struct attend *attend, size_t sequence, size_t head, void *scratch) {
    const struct tower *tower = attend->tower;
    const struct lane *lane = attend->pass->lane;
    const struct linear *qkv = &attend->block->qkv;
    size_t width = attend->block->out.weight.k, depth = tower->shape.head_width;
    size_t first = lane->sequences.start[sequence];
    size_t element = tower->attention_precision == GEMM_BF16 ? sizeof(uint16_t) : sizeof(float);
    struct attention_call call = {.stride = workspace_qkv_stride(qkv->weight.n),
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
    if (tower->class_last && !attend->pooled_only) {
        call.query_end--;
        place_output(attend, &call, row, head * depth);
        attention_run(tower->attention, &call, scratch);
        row += call.query_end;
    }
    place_output(attend, &call, row, head * depth);
    if (tower->class_last)
        attend_class(attend, &call, first, scratch);
    else
        attention_run(tower->attention, &call, scratch);
}

static void attend_heads(void *context, size_t begin, size_t end, uint32_t member) {
    const struct attend *attend = context;
    void *scratch = attend->pass->workspace->lanes[member].scratch.attention;
    size_t heads = attend->block->out.weight.k / attend->tower->shape.head_width;
    for (size_t i = begin; i < end; i++) attend_head(attend, i / heads, i % heads, scratch);
}

static void project_qkv(const struct tower *tower, const struct linear *linear,
                        const struct pass *pass, size_t rows) {
    bool half = tower->attention_precision == GEMM_BF16;
    struct pass_product m = {.linear = linear,
                             .call = {.a = pass->lane->input,
                                      .m = rows,
                                      .c = pass->lane->qkv,
                                      .c_stride = workspace_qkv_stride(linear->weight.n),
                                      .output = half ? GEMM_STORE_BF16 : GEMM_STORE_F32}};
    pass_run(pass, &m);
}

/* Moves the pooled rows to the front; rows only ever move towards it. */
static size_t gather_pooled(const struct pass *pass, float *rows, size_t width, size_t stride) {
    const struct sequences *sequences = &pass->lane->sequences;
    for (size_t i = 0; i < sequences->count; i++) {
        memmove(rows + i * stride, rows + sequences->pooled[i] * stride, width * sizeof(*rows));
    }
    return sequences->count;
}

/* ---- a half of a block joins the residual stream ---- */

struct join {
    const struct pass *pass;
    const struct norm *norm;
    float epsilon;
    const float *from; /* rows to be normalised and added, or NULL: x itself is normalised */
    size_t width, stride;
};

static void join_rows(void *context, size_t begin, size_t end, uint32_t member) {
    const struct join *join = context;
    const struct norm *norm = join->norm;
    const struct row_kernels *rows = join->pass->rows;
    float *scratch = join->pass->workspace->lanes[member].scratch.row;
    for (size_t i = begin; i < end; i++) {
        float *x = join->pass->lane->x + i * join->width;
        const float *from = join->from ? join->from + i * join->stride : x;
        float *to = join->from ? scratch : x;
        rows->layer_norm(to, from, norm->gain, norm->bias, join->width, join->epsilon);
        for (size_t j = 0; join->from && j < join->width; j++) x[j] += scratch[j];
    }
}

/* x and the product of `a`, in the order that the tower's norms have. */
static void join_half(const struct model_tower *shape, const struct norm *norm,
                      const struct pass *pass, const struct linear *linear, const void *a,
                      size_t rows) {
    struct join join = {.pass = pass,
                        .norm = norm,
                        .epsilon = shape->layer_norm_eps,
                        .width = shape->width,
                        .stride = workspace_wide_stride(shape->width)};
    if (shape->norm_order != MODEL_NORM_RESULT) {
        pass_add(pass, linear, a, rows);
        if (shape->norm_order == MODEL_NORM_BEFORE) return;
    } else {
        struct pass_product product = {
            .linear = linear,
            .call = {.a = a, .m = rows, .c = pass->lane->wide, .c_stride = join.stride}};
        pass_run(pass, &product);
        join.from = pass->lane->wide;
    }
    team_run(pass->team, rows, join_rows, &join);
}

/* Rows of x as a half of a block takes them. */
static struct pass_rows rows_of(const struct model_tower *shape, const struct norm *norm,
                                const struct pass *pass) {
    return (struct pass_rows){.norm = shape->norm_order == MODEL_NORM_BEFORE ? norm : NULL,
                              .epsilon = shape->layer_norm_eps,
                              .from = pass->lane->x,
                              .stride = shape->width};
}

/* ---- attention, the whole of it ---- */

struct turn {
    const struct tower *tower;
    const struct pass *pass;
    size_t columns; /* of q, and of k behind it */
};

/* Units are rows; the class token, the first of each image, has no place in the grid. */
static void turn_rows(void *context, size_t begin, size_t end, uint32_t member) {
    const struct turn *turn = context;
    const struct tower *tower = turn->tower;
    size_t head_width = tower->shape.head_width, heads = 2 * turn->columns / head_width;
    size_t stride = workspace_qkv_stride(3 * turn->columns);
    (void)member;
    for (size_t i = begin; i < end; i++) {
        size_t token = i % tower->tokens_max;
        if (!token) continue;
        const float *angles = tower->rope + (token - 1) * head_width;
        if (tower->attention_precision == GEMM_BF16)
            rope_turn_bf16((uint16_t *)turn->pass->lane->qkv + i * stride, angles, heads,
                           head_width);
        else
            rope_turn((float *)turn->pass->lane->qkv + i * stride, angles, heads, head_width);
    }
}

/* x and out(attention(qkv(x))), with the norms where they belong; returns the rows that are
 * left of x. */
static size_t attention_part(const struct tower *tower, const struct block *block,
                             const struct pass *pass, size_t rows, bool last) {
    const struct model_tower *shape = &tower->shape;
    struct lane *lane = pass->lane;
    size_t columns = block->out.weight.k;
    struct pass_rows from = rows_of(shape, &block->ln_1, pass);
    pass_prepare(pass, &from, &block->qkv, lane->input, rows);
    project_qkv(tower, &block->qkv, pass, rows);
    if (tower->rope) {
        struct turn turn = {.tower = tower, .pass = pass, .columns = columns};
        team_run(pass->team, rows, turn_rows, &turn);
    }
    struct attend attend = {.pass = pass, .tower = tower, .block = block, .pooled_only = last};
    team_run(pass->team, lane->sequences.count * (columns / shape->head_width), attend_heads,
             &attend);
    if (last) rows = gather_pooled(pass, lane->x, shape->width, shape->width);
    if (goes_by_wide(block)) {
        struct pass_rows wide = {.norm = block->ln_out.gain ? &block->ln_out : NULL,
                                 .epsilon = shape->layer_norm_eps,
                                 .from = lane->wide,
                                 .stride = workspace_wide_stride(columns)};
        pass_prepare(pass, &wide, &block->out, lane->input, rows);
    }
    join_half(shape, &block->ln_1, pass, &block->out, lane->input, rows);
    return rows;
}

/* Where there is no attention. Tokens that are looked at instead leave what the MLP takes in
 * lane->wide. */
static size_t other_part(const struct tower *tower, const struct block *block,
                         const struct pass *pass, size_t rows, bool last) {
    struct lane *lane = pass->lane;
    size_t width = tower->shape.width;
    if (block->look.side) mixer_run(tower, block, pass);
    if (!last) return rows;
    if (block->look.side) gather_pooled(pass, lane->wide, width, workspace_wide_stride(width));
    return gather_pooled(pass, lane->x, width, width);
}

/* ---- the MLP ---- */

static enum gemm_activation activation_of(const struct model_tower *shape) {
    switch (shape->activation) {
    case MODEL_GELU_ERF: return GEMM_GELU_ERF;
    case MODEL_GELU_TANH: return GEMM_GELU_TANH;
    case MODEL_QUICK_GELU: break;
    }
    return GEMM_QUICK_GELU;
}

struct gate {
    float *rows; /* each that of `gate` and behind it that of `fc` */
    size_t width, stride;
};

static void gate_rows(void *context, size_t begin, size_t end, uint32_t member) {
    const struct gate *gate = context;
    (void)member;
    for (size_t i = begin; i < end; i++) {
        float *row = gate->rows + i * gate->stride;
        for (size_t j = 0; j < gate->width; j++) row[j] *= row[gate->width + j];
    }
}

/* SwiGLU: hidden = quick_gelu(gate(x)) * fc(x), into lane->wide; see pack.c. */
static size_t run_gated(const struct block *block, const struct pass *pass, size_t rows) {
    struct lane *lane = pass->lane;
    size_t width = block->fc.weight.n, stride = workspace_wide_stride(2 * width);
    struct pass_product gate = {.linear = &block->gate,
                                .call = {.a = lane->input,
                                         .m = rows,
                                         .c = lane->wide,
                                         .c_stride = stride,
                                         .activation = GEMM_QUICK_GELU}};
    struct pass_product fc = {
        .linear = &block->fc,
        .call = {.a = lane->input, .m = rows, .c = lane->wide + width, .c_stride = stride}};
    pass_run(pass, &gate);
    pass_run(pass, &fc);
    struct gate both = {.rows = lane->wide, .width = width, .stride = stride};
    team_run(pass->team, rows, gate_rows, &both);
    return stride;
}

/* hidden = activation(fc(x)), straight to lane->hidden unless it is to be normalised or
 * quantised: then to lane->wide, and the result is the rows' stride there. */
static size_t run_plain(const struct model_tower *shape, const struct block *block,
                        const struct pass *pass, size_t rows) {
    struct lane *lane = pass->lane;
    const struct gemm_weight *next = &block->proj.weight;
    enum gemm_precision precision = gemm_kernel_precision(next->kernel);
    bool wide = precision == GEMM_INT8 || block->ln_proj.gain;
    size_t stride = wide ? workspace_wide_stride(next->k) : gemm_row_stride(next->kernel, next->k);
    struct pass_product product = {
        .linear = &block->fc,
        .call = {.a = lane->input,
                 .m = rows,
                 .c = wide ? (void *)lane->wide : lane->hidden,
                 .c_stride = stride,
                 .activation = activation_of(shape),
                 .output = precision == GEMM_BF16 && !wide ? GEMM_STORE_BF16 : GEMM_STORE_F32}};
    pass_run(pass, &product);
    return wide ? stride : 0;
}

void transformer_mlp(const struct model_tower *shape, const struct block *block,
                     const struct pass *pass, size_t rows) {
    struct lane *lane = pass->lane;
    struct pass_rows from = rows_of(shape, &block->ln_2, pass);
    if (block->look.side) {
        from =
            (struct pass_rows){.from = lane->wide, .stride = workspace_wide_stride(shape->width)};
    }
    pass_prepare(pass, &from, &block->fc, lane->input, rows);
    size_t stride =
        shape->gated ? run_gated(block, pass, rows) : run_plain(shape, block, pass, rows);
    if (stride) {
        struct pass_rows wide = {.norm = block->ln_proj.gain ? &block->ln_proj : NULL,
                                 .epsilon = shape->layer_norm_eps,
                                 .from = lane->wide,
                                 .stride = stride};
        pass_prepare(pass, &wide, &block->proj, lane->hidden, rows);
    }
    join_half(shape, &block->ln_2, pass, &block->proj, lane->hidden, rows);
}

/* For measuring: keeps the row of the first sequence that becomes its embedding. */
static void trace_layer(const struct model_tower *shape, const struct pass *pass, size_t layer,
                        size_t row) {
    size_t width = shape->width;
    memcpy(pass->trace + layer * width, pass->lane->x + row * width, width * sizeof(*pass->trace));
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
        rows = block->qkv.blob ? attention_part(tower, block, pass, rows, last)
                               : other_part(tower, block, pass, rows, last);
        if (block->fc.blob) transformer_mlp(&tower->shape, block, pass, rows);
        if (pass->trace) trace_layer(&tower->shape, pass, i, last ? 0 : sequences->pooled[0]);
    }
    if (pass->tap) {
        struct hand_out out = {.pass = pass, .width = tower->shape.width};
        team_run(pass->team, sequences->count, hand_out_rows, &out);
    } else if (tower->pooling == MODEL_IMAGE_PATCH_MEAN) {
        pooling_average(pass, tower->shape.width, tower->mean_from);
    }
}

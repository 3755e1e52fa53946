#include "core/towers/pass.h"

#include <string.h>

/* ---- rows on their way into a product ---- */

struct prepare {
    const struct pass *pass;
    struct pass_rows rows;
    const struct linear *next;
    void *to;
};

static void prepare_row(const struct prepare *p, const float *from, size_t row, float *scratch) {
    const struct row_kernels *rows = p->pass->rows;
    const struct gemm_weight *weight = &p->next->weight;
    enum gemm_precision precision = gemm_kernel_precision(weight->kernel);
    size_t k = weight->k, at = row * gemm_row_stride(weight->kernel, k);
    float *normed = precision == GEMM_FP32 ? (float *)p->to + at : scratch;
    if (p->rows.norm) {
        rows->layer_norm(normed, from, p->rows.norm->gain, p->rows.norm->bias, k, p->rows.epsilon);
        from = normed;
    }
    switch (precision) {
    case GEMM_FP32:
        if (!p->rows.norm) memcpy(normed, from, k * sizeof(*normed));
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
    for (size_t i = begin; i < end; i++)
        prepare_row(p, p->rows.from + i * p->rows.stride, i, scratch);
}

void pass_put_row(const struct pass *pass, const struct linear *next, const float *from, void *to,
                  size_t row) {
    struct prepare prepare = {.pass = pass, .next = next, .to = to};
    prepare_row(&prepare, from, row, NULL);
}

void pass_prepare(const struct pass *pass, const struct pass_rows *rows, const struct linear *next,
                  void *to, size_t count) {
    struct prepare prepare = {.pass = pass, .rows = *rows, .next = next, .to = to};
    team_run(pass->team, count, prepare_rows, &prepare);
}

/* ---- products ---- */

static void multiply_panels(void *context, size_t begin, size_t end, uint32_t member) {
    (void)member;
    const struct pass_product *m = context;
    gemm_multiply(&m->linear->weight, &m->call, begin, end);
}

/* The padding of rows of A must be finite, and in bf16 what was there before may be no number:
 * rows of other widths and precisions use the same memory. */
static void clear_padding(const struct lane *lane, const struct pass_product *product) {
    const struct gemm_weight *weight = &product->linear->weight;
    size_t padding = gemm_row_size(weight->kernel, weight->k) - weight->k;
    if (!padding || gemm_kernel_precision(weight->kernel) != GEMM_BF16) return;
    uint16_t *row = product->call.a == lane->hidden ? lane->hidden : lane->input;
    for (size_t i = 0; i < product->call.m; i++, row += product->call.a_stride)
        memset(row + weight->k, 0, padding * sizeof(*row));
}

void pass_run(const struct pass *pass, struct pass_product *product) {
    const struct gemm_weight *weight = &product->linear->weight;
    product->call.a_stride = gemm_row_stride(weight->kernel, weight->k);
    product->call.a_scales = pass->lane->scales;
    product->call.bias = product->linear->bias;
    clear_padding(pass->lane, product);
    team_run(pass->team, gemm_panels(weight->kernel, weight->n), multiply_panels, product);
}

void pass_multiply(const struct pass *pass, const struct linear *linear, size_t rows, float *c,
                   size_t stride) {
    struct pass_product m = {
        .linear = linear, .call = {.a = pass->lane->input, .m = rows, .c = c, .c_stride = stride}};
    pass_run(pass, &m);
}

void pass_add(const struct pass *pass, const struct linear *linear, const void *a, size_t rows) {
    struct pass_product m = {.linear = linear,
                             .call = {.a = a,
                                      .m = rows,
                                      .c = pass->lane->x,
                                      .c_stride = linear->weight.n,
                                      .output = GEMM_ADD_F32}};
    pass_run(pass, &m);
}

/* pass.h - one forward pass: who runs what, where, and the steps that all towers are made of.
 *
 * Every step treats its rows alone and can be split among the members of a team, and neither
 * changes a bit. */
#ifndef CORE_TOWERS_PASS_H
#define CORE_TOWERS_PASS_H

#include "core/base/team.h"
#include "core/towers/workspace.h"

/* Hidden states instead of embeddings: the rows of each sequence, but the first `skip` of
 * them, as they are after `layers` blocks. */
struct tap {
    uint32_t layers;
    uint32_t skip;
    float *const *states; /* states[i] is [rows - skip, width] */
};

struct pass {
    const struct row_kernels *rows;
    const struct workspace *workspace;
    struct lane *lane;     /* the leader's */
    struct team *team;     /* NULL: alone */
    float *trace;          /* NULL, or [layers, width]: see model_trace_image() */
    const struct tap *tap; /* NULL: embeddings */
};

/* Rows on their way into a product. */
struct pass_rows {
    const struct norm *norm; /* what they go through, or NULL */
    float epsilon;           /* of it */
    const float *from;
    size_t stride; /* in floats */
};

/* Writes `count` rows to `to`, which is lane->input or lane->hidden, as the product wants
 * them: through the normalisation and to its precision. */
void pass_prepare(const struct pass *pass, const struct pass_rows *rows, const struct linear *next,
                  void *to, size_t count);

/* One row, which has been normalised already, to its place in `to`, which is one of these. */
void pass_put_row(const struct pass *pass, const struct linear *next, const float *from, void *to,
                  size_t row);

/* A product and where its result goes; what follows from the weight is filled in. In bf16 `a` is
 * lane->input or lane->hidden. */
struct pass_product {
    const struct linear *linear;
    struct gemm_call call; /* a, m, c, c_stride, activation, output */
};

void pass_run(const struct pass *pass, struct pass_product *product);

/* c = lane->input * W^T + bias, in f32; `rows` of them, `stride` floats apart. */
void pass_multiply(const struct pass *pass, const struct linear *linear, size_t rows, float *c,
                   size_t stride);

/* lane->x += a * W^T + bias. */
void pass_add(const struct pass *pass, const struct linear *linear, const void *a, size_t rows);

#endif

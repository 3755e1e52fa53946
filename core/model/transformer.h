/* transformer.h - the pre-norm transformer that both towers are made of (SPEC 1.1).
 *
 * Rows of several sequences lie one behind the other without padding; only
 * attention looks at where one ends and the next begins. Every step treats its rows
 * alone and can be split among the members of a team, and neither changes a bit. */
#ifndef CORE_MODEL_TRANSFORMER_H
#define CORE_MODEL_TRANSFORMER_H

#include "core/base/team.h"
#include "core/model/workspace.h"

/* Hidden states instead of embeddings: the rows of each sequence, but the first `skip` of
 * them, as they are after `layers` blocks. */
struct tap {
    uint32_t layers;
    uint32_t skip;
    float *const *states; /* states[i] is [rows - skip, width] */
};

/* One forward pass: who runs what, where. */
struct pass {
    const struct row_kernels *rows;
    const struct workspace *workspace;
    struct lane *lane;     /* the leader's */
    struct team *team;     /* NULL: alone */
    float *trace;          /* NULL, or [layers, width]: see model_trace_image() */
    const struct tap *tap; /* NULL: embeddings */
};

/* Writes `count` rows to lane->input as the product wants them: through the
 * normalisation, which may be NULL, and to its precision. `stride` is in floats. */
void pass_prepare(const struct pass *pass, const struct norm *norm, float epsilon,
                  const struct linear *next, const float *from, size_t stride, size_t count);

/* One row, which has been normalised already, to its place in lane->input. */
void pass_put_row(const struct pass *pass, const struct linear *next, const float *from,
                  size_t row);

/* c = lane->input * W^T + bias, in f32; `rows` of them, `stride` floats apart. */
void pass_multiply(const struct pass *pass, const struct linear *linear, size_t rows, float *c,
                   size_t stride);

/* Runs all blocks over the sequences in lane->x. Of the last layer only the pooled rows
 * are computed: they, or with MODEL_IMAGE_PATCH_MEAN the means, end up as the first
 * sequences->count rows of lane->x. With a tap runs only as many blocks as that wants, all
 * rows of each, and hands them out. */
void transformer_forward(const struct tower *tower, const struct pass *pass);

/* The end of both towers: the pooled rows through the last LayerNorm and the projection.
 * embeddings[i] is [embed_dim]. */
void transformer_project(const struct tower *tower, const struct pass *pass,
                         float *const *embeddings);

#endif

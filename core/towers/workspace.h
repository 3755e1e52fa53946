/* workspace.h - the memory of forward passes: one lane per worker thread.
 *
 * A worker writes activations to its own lane only; a thread that helps it uses the
 * scratch of its own lane. Sized when the model is opened; passes allocate nothing. */
#ifndef CORE_TOWERS_WORKSPACE_H
#define CORE_TOWERS_WORKSPACE_H

#include "core/towers/towers.h"

/* More rows than this in one pass make every product slower, because its input falls out
 * of the cache between panels; larger batches go through in several passes. */
enum { WORKSPACE_ROWS = 768 };

/* Sequence i has the rows start[i] .. start[i + 1] - 1. */
struct sequences {
    size_t count;
    size_t *start;  /* [count + 1], start[0] = 0 */
    size_t *pooled; /* [count]: the row that becomes the embedding */
    /* [rows]: not 0 where the row behind a text does not see this one, see info.text_class */
    uint8_t *masked;
};

struct scratch {
    float *row;      /* the longest row of floats */
    void *attention; /* attention_scratch_size() */
    /* conv_scratch_size() */
    void *strip;
    float *lines;
    struct row_scale *scales;
    /* What `strip` holds: of which lane's step, and which one. */
    const struct lane *strip_lane;
    uint64_t strip_step;
    size_t strip_begin;
};

struct lane {
    struct sequences sequences;
    float *x;                 /* [rows, width]: the residual stream */
    void *input;              /* A of the next product */
    void *hidden;             /* A of the product behind the activation */
    float *wide;              /* f32 results that are not A yet */
    struct row_scale *scales; /* [rows], of A in int8 */
    void *qkv;                /* [rows, of the qkv product], f32 or bf16 */
    struct scratch scratch;
    uint64_t steps; /* convolutions that the leader has begun */
    void *memory;   /* what all of these are parts of */
};

struct workspace {
    uint32_t workers;
    size_t images_max;  /* in one pass */
    struct lane *lanes; /* [workers] */
};

/* For passes of at most `images`; 0: of as many as are good for speed. */
enum status workspace_create(struct workspace **out, const struct towers *towers,
                             const struct model_info *info, uint32_t workers, uint32_t images,
                             struct error *err);
/* How much that is, if every row were used. The towers have been placed. */
size_t workspace_bytes(const struct towers *towers, const struct model_info *info, uint32_t workers,
                       uint32_t images);
/* NULL is allowed. */
void workspace_destroy(struct workspace *workspace);

/* Floats between two rows of qkv, so that rows do not fall on the same cache sets. */
size_t workspace_qkv_stride(size_t columns);
size_t workspace_wide_stride(size_t columns);

#endif

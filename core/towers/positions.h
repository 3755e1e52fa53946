/* positions.h - learned position embeddings for other sizes than they were trained at
 * (SPEC 1.2). Rows are [count, width]; the caller owns `out`. Grids have at most 512 rows
 * and columns. */
#ifndef CORE_TOWERS_POSITIONS_H
#define CORE_TOWERS_POSITIONS_H

#include <stddef.h>
#include <stdint.h>

struct grid {
    uint32_t rows, columns;
};

/* open_clip: bicubic a = -0.5 with antialiasing, taps outside dropped and the weights
 * renormalised, in float, separable. */
void positions_resize_open_clip(float *out, struct grid to, const float *in, struct grid from,
                                size_t width);
/* transformers' interpolate_pos_encoding: bicubic a = -0.75 without antialiasing, taps
 * clamped to the edge. */
void positions_resize_hf(float *out, struct grid to, const float *in, struct grid from,
                         size_t width);
/* Text positions: linear, as torch.nn.functional.interpolate with align_corners=False. */
void positions_resize_linear(float *out, uint32_t to, const float *in, uint32_t from, size_t width);

#endif

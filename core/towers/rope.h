/* rope.h - turns queries and keys by where their patch lies (Su et al. 2021, in two dimensions
 * as timm does it for EVA02; SPEC 4.4): neighbouring pairs of channels are turned by angles
 * that grow with y in the first half of a head and with x in the second. */
#ifndef CORE_TOWERS_ROPE_H
#define CORE_TOWERS_ROPE_H

#include <stddef.h>
#include <stdint.h>

#include "core/towers/positions.h"

/* Cosine and sine of each pair's angle: out is [rows * columns, head_width]. Whatever the
 * grid, it counts as `side` patches a side. head_width is a multiple of 4. */
void rope_fill(float *out, struct grid grid, size_t head_width, uint32_t side);

/* Turns `heads` heads of one patch, which lie one behind the other; `angles` is
 * [head_width]. */
void rope_turn(float *row, const float *angles, size_t heads, size_t head_width);
/* The same in bfloat16. */
void rope_turn_bf16(uint16_t *row, const float *angles, size_t heads, size_t head_width);

#endif

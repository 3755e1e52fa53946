/* pack.h - from a checkpoint's tensors to the block of packed weights. */
#ifndef CORE_PACK_PACK_H
#define CORE_PACK_PACK_H

#include "core/blueprint/blueprint.h"
#include "core/towers/towers.h"

/* Writes every weight to the block that `towers` was placed in, which must be
 * writable. Besides the block, one weight at a time is in memory. STATUS_UNPROCESSABLE for
 * weights with infinity or NaN, of which every answer would be made.
 *
 * Before an int8 product the gain and bias of its LayerNorm move into the weight:
 * trained gains differ by a factor of a hundred between channels, and eight bits per
 * token cannot hold that, while eight bits per column of the weight can. */
enum status pack_towers(struct towers *towers, const struct blueprint *from,
                        const struct plan *plan, struct error *err);

/* ---- for the files of image towers ---- */

/* Where `to` points must be in a block that is writable. */
void pack_vector(const float *to, const struct source *from);
void pack_norm(const struct norm *to, const struct blueprint_norm *from);
/* `norm` is what comes before the product, or NULL. Does nothing when there is no such
 * product. */
enum status pack_linear(const struct linear *to, const struct blueprint_linear *from,
                        const struct norm *norm, uint8_t precision, struct error *err);
/* Where a product follows a normalisation directly, its gain and bias are folded into it; then
 * nothing else may come from there. */
void pack_finish_norm(const struct norm *norm, uint8_t precision, size_t width);

#endif

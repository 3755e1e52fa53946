/* draft_conv.h - the convolutions of image towers, with what stands behind them. */
#ifndef CORE_BLUEPRINT_DRAFT_CONV_H
#define CORE_BLUEPRINT_DRAFT_CONV_H

#include "core/blueprint/draft.h"

/* [n, channels, window, window], dims[0..3], as "<prefix><layer>.weight". Then the BatchNorm
 * "<prefix><norm>", or without one, NULL, "<prefix><layer>.bias". */
enum status draft_take_conv(struct draft *draft, const char *prefix, const char *layer,
                            const char *norm, size_t dims[4], struct blueprint_conv *out,
                            struct error *err);

/* The BatchNorm "<prefix><layer>" of n channels alone. */
enum status draft_take_batch_norm(struct draft *draft, const char *prefix, const char *layer,
                                  size_t n, struct blueprint_conv *out, struct error *err);

#endif

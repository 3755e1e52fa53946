/* convnext.h - the weights of a ConvNeXt (SPEC 4.5): where they lie in the block of a model.
 *
 * A stem of patches of 4 x 4 pixels, then four stages of blocks, each of which looks around
 * with a 7 x 7 convolution of every channel by itself and then mixes the channels of each
 * pixel with an MLP. Before stages the resolution halves. The mean of the pixels that are left
 * goes through one or two products. */
#ifndef CORE_TOWERS_CONVNEXT_H
#define CORE_TOWERS_CONVNEXT_H

#include "core/checkpoint/info.h"
#include "core/kernels/depthwise.h"
#include "core/towers/plan.h"
#include "core/towers/walk.h"

enum { CONVNEXT_PATCH = 4, CONVNEXT_WINDOW = 7, CONVNEXT_EXPANSION = 4 };

/* Those of struct plan that a block has. */
enum { CONVNEXT_HALVE = PLAN_QKV, CONVNEXT_FC = PLAN_FC, CONVNEXT_PROJ = PLAN_PROJ };

struct convnext_block {
    /* Where a stage begins, but for the first; else halve.window is 0. */
    struct norm halve_norm;
    struct conv halve;
    const float *window, *window_bias; /* [49, width] and [width] */
    struct norm norm;
    struct conv fc, proj; /* [4 * width, width] and back, with LayerScale folded in */
};

struct convnext {
    struct conv stem;
    struct norm stem_norm;
    struct convnext_block *blocks; /* [count], owned */
    uint32_t count;
    depthwise_fn *depthwise;
    struct linear head; /* [hidden, width], before the projection; with info.convnext.hidden */
};

/* The stage of a block, and whether it begins it. */
uint32_t convnext_stage_of(const struct model_convnext *shape, uint32_t number, bool *begins);

enum status convnext_create(struct convnext *out, const struct model_info *info, unsigned features,
                            struct error *err);
/* As the functions of towers.h. */
void convnext_place(struct convnext *out, struct walk *walk, const struct model_info *info,
                    const struct plan *plan);
/* `out` is a copy of the int8 one. */
enum status convnext_mix(struct convnext *out, const struct convnext *other,
                         const struct plan *plan, struct error *err);
void convnext_free(struct convnext *convnext);

#endif

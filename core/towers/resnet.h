/* resnet.h - the weights of a ModifiedResNet, CLIP's form of a ResNet (SPEC 2): where they
 * lie in the block of a model, and what memory a pass needs.
 *
 * Three convolutions, then four stages of bottlenecks, then attention of one query over the
 * pixels that are left. Nothing is skipped: where the resolution halves, pixels are
 * averaged, two by two. BatchNorms have become a part of the convolutions before them. */
#ifndef CORE_TOWERS_RESNET_H
#define CORE_TOWERS_RESNET_H

#include "core/checkpoint/info.h"
#include "core/towers/plan.h"
#include "core/towers/walk.h"

/* Those of struct plan, in its order. */
enum resnet_conv { RESNET_REDUCE, RESNET_SPATIAL, RESNET_EXPAND, RESNET_SHORTCUT };

enum { RESNET_STEM = 3, RESNET_CONVS = PLAN_PRODUCTS };

/* 1 x 1, 3 x 3, 1 x 1, and what the input goes through on its way around them, if it does. */
struct bottleneck {
    struct conv convs[RESNET_CONVS];
};

struct resnet {
    struct conv stem[RESNET_STEM];
    struct bottleneck *blocks; /* [count], owned */
    uint32_t count;
    /* The attention that ends it; its keys and values are one product. */
    struct linear query;     /* [width, width] */
    struct linear key_value; /* [2 * width, width] */
};

/* Channels that a convolution takes and makes. */
struct resnet_channels {
    size_t in, out;
};
struct resnet_channels resnet_stem_channels(const struct model_resnet *shape, uint32_t index);

/* One block of all: what precedes it decides on its channels. */
struct resnet_block {
    uint32_t stage, index; /* within the stage */
    size_t in, planes;     /* channels; it makes 4 * planes */
    bool halves;           /* the resolution */
    bool has_shortcut;
};
struct resnet_block resnet_block_at(const struct model_resnet *shape, uint32_t number);
struct resnet_channels resnet_block_channels(const struct resnet_block *block,
                                             enum resnet_conv conv);

enum status resnet_create(struct resnet *out, const struct model_info *info, struct error *err);
/* As the functions of towers.h. */
void resnet_place(struct resnet *out, struct walk *walk, const struct model_info *info,
                  const struct plan *plan);
/* `out` is a copy of the int8 one. */
enum status resnet_mix(struct resnet *out, const struct resnet *other, const struct plan *plan,
                       struct error *err);
void resnet_free(struct resnet *resnet);

#endif

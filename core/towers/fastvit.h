/* fastvit.h - the weights of a FastViT as MobileCLIP has it (SPEC 4.6): where they lie in the
 * block of a model.
 *
 * A stem of three convolutions, then stages of blocks, each of which looks around with windows
 * of every channel by itself, in the last ones with attention, too, and mixes the channels of
 * each pixel with an MLP. Before stages the resolution halves and channels double. What was
 * trained as several convolutions side by side, with BatchNorms, has become one each.
 *
 * Where channels double, two results belong to one channel. Here the first ones of all come
 * before the second ones, so that each half is a convolution of every channel by itself; what
 * follows has its weights in that order. */
#ifndef CORE_TOWERS_FASTVIT_H
#define CORE_TOWERS_FASTVIT_H

#include "core/checkpoint/info.h"
#include "core/kernels/depthwise.h"
#include "core/towers/plan.h"
#include "core/towers/walk.h"
#include "core/towers/window.h"

enum {
    FASTVIT_WINDOW = 3,       /* of the stem, of what mixes and of the end */
    FASTVIT_LARGE_WINDOW = 7, /* of MLPs, positions and where the resolution halves */
    FASTVIT_HEAD = 32,        /* channels of a head */
};

/* Where the resolution halves, it is a layer, too; its product is PLAN_QKV. */
enum fastvit_kind { FASTVIT_HALVE, FASTVIT_MIX, FASTVIT_ATTEND };

struct fastvit_place {
    enum fastvit_kind kind;
    uint32_t stage, index; /* of a block in its stage */
    size_t width;          /* channels of the stage */
};

/* Gates of channels by their means; always in fp32. No `fc`: there are none. */
struct fastvit_squeeze {
    struct linear fc, proj;
};

struct fastvit_layer {
    enum fastvit_kind kind;
    /* FASTVIT_HALVE: 7 x 7; FASTVIT_MIX: 3 x 3, with the way around it; else nothing. */
    struct window first;
    struct fastvit_squeeze squeeze; /* of FASTVIT_HALVE */
    struct conv entry;              /* of FASTVIT_HALVE */
    struct window positions;        /* of FASTVIT_HALVE before attention */
    struct norm norm;               /* of FASTVIT_ATTEND: a LayerNorm, or nothing */
    struct conv qkv, out;           /* of FASTVIT_ATTEND */
    struct window window;           /* of the MLP of blocks */
    struct conv fc, proj;
};

struct fastvit {
    struct conv stem, stem_mix; /* 3 x 3 and 1 x 1 */
    struct window stem_window;
    struct fastvit_layer *layers; /* [count], owned */
    uint32_t count;
    struct window end;
    struct fastvit_squeeze end_squeeze;
    depthwise_fn *depthwise;
};

struct fastvit_place fastvit_place_of(const struct model_fastvit *shape, uint32_t layer);
/* Channels of a stage. */
size_t fastvit_width(const struct model_fastvit *shape, uint32_t stage);

enum status fastvit_create(struct fastvit *out, const struct model_info *info, unsigned features,
                           struct error *err);
/* As the functions of towers.h. */
void fastvit_place(struct fastvit *out, struct walk *walk, const struct model_info *info,
                   const struct plan *plan);
/* `out` is a copy of the int8 one. */
enum status fastvit_mix(struct fastvit *out, const struct fastvit *other, const struct plan *plan,
                        struct error *err);
void fastvit_free(struct fastvit *fastvit);

#endif

/* pooler.h - attention that makes one row of an image's many: SigLIP's head (MAP) and CoCa's
 * attentional pooler (SPEC 4.3, 4.8).
 *
 * There is one query, and it is learned: it is the same for all images. So the product that
 * makes keys is never computed; the query goes through it once, when weights are packed, and
 * what is left is a row of `scores` for each head. Neither are values: a head's mixture of
 * rows goes through their product, not every row. The bias of the keys adds the same to all
 * scores and falls out of the softmax. Of CoCa's 256 queries only the first becomes the
 * embedding.
 *
 * All of it is in fp32, whatever the plan: there are few rows of each image, whose errors
 * nothing behind them dampens. */
#ifndef CORE_TOWERS_POOLER_H
#define CORE_TOWERS_POOLER_H

#include "core/checkpoint/info.h"
#include "core/towers/walk.h"

struct pooler {
    struct norm ln_k;     /* [width of the tower], what all rows go through */
    struct linear scores; /* [heads, width of the tower] */
    struct linear value;  /* [width, width of the tower]: each head owns as many of its rows */
    struct linear out;    /* [width, width] */
    struct norm ln;       /* of an MLP around which its input goes, if there is one */
    struct linear fc;     /* [mlp_width, width] */
    struct linear proj;   /* [width, mlp_width] */
};

/* As the functions of towers.h; does nothing when there is none. */
void pooler_place(struct pooler *out, struct walk *walk, const struct model_info *info);

#endif

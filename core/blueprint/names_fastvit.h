/* names_fastvit.h - how FastViTs call their layers: as timm does, and as Apple did first. */
#ifndef CORE_BLUEPRINT_NAMES_FASTVIT_H
#define CORE_BLUEPRINT_NAMES_FASTVIT_H

#include "core/checkpoint/info.h"

/* Of convolutions side by side, see draft_branches.h. */
struct branch_names {
    const char *window, *scale, *identity;
    const char *merged; /* one convolution in the place of all */
    const char *gamma;  /* behind the name of a LayerScale */
};

struct fastvit_names {
    const char *stem; /* before a number and the layer */
    /* Before the number of a block; what halves the resolution before a stage; and its positions,
     * NULL where it cannot attend. */
    const char *stages[MODEL_FASTVIT_STAGES], *halvings[MODEL_FASTVIT_STAGES],
        *positions[MODEL_FASTVIT_STAGES];
    struct branch_names branches;
    const char *large, *large_merged; /* where the resolution halves */
    const char *position;             /* of positions that are not merged */
    const char *mlp;
    const char *end, *end_squeeze[2];
    const char *head; /* a linear layer, or Apple's bare [width, embed_dim] */
    bool bare_head;
};

extern const struct fastvit_names fastvit_names_timm, fastvit_names_apple;

#endif

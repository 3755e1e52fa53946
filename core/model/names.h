/* names.h - how the three families of checkpoints call the same tensors (SPEC 7.3). */
#ifndef CORE_MODEL_NAMES_H
#define CORE_MODEL_NAMES_H

#include "core/model/tensors.h"

/* Names inside a block follow the block's prefix; ".weight" and ".bias" are appended
 * to the names of layers. */
struct names {
    struct {
        const char *class_embedding, *patch, *positions, *ln_pre, *ln_post, *proj;
        const char *block; /* with %u for the layer */
    } vision;
    struct {
        const char *embedding, *positions, *ln_final, *proj;
        const char *block;
    } text;
    struct {
        const char *ln_1, *ln_2, *out, *fc, *proj;
        const char *ls_1, *ls_2;           /* LayerScale, whole names; or NULL */
        const char *qkv_weight, *qkv_bias; /* fused, rows in the order q, k, v; or NULL */
        const char *q, *k, *v;             /* separate */
    } layer;
    bool proj_transposed; /* the projections are stored as [width, embed_dim], unless they are
                             layers with ".weight" and ".bias" */
};

/* Recognises a checkpoint by its keys. STATUS_UNSUPPORTED names a family that we
 * know and do not have. */
enum status names_recognise(const struct names **out, bool *is_hf, const struct tensors *tensors,
                            struct error *err);

/* True for tensors that no tower needs: position_ids, attn_mask ... */
bool names_ignorable(const char *name);
/* True when the name lies in a tower, so that a model which does not use it would be
 * run wrongly. */
bool names_in_tower(const char *name);

#endif

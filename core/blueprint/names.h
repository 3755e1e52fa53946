/* names.h - how checkpoints call the same tensors (SPEC 7.3).
 *
 * A checkpoint has an image tower and a text tower, each in one of several naming schemes
 * and independent of the other. A new family is a row in one of the two lists of names.c. */
#ifndef CORE_BLUEPRINT_NAMES_H
#define CORE_BLUEPRINT_NAMES_H

#include "core/blueprint/names_fastvit.h"
#include "core/checkpoint/info.h"
#include "core/weights/tensors.h"

/* Names inside a block follow the block's prefix; ".weight" and ".bias" are appended
 * to the names of layers. */
struct layer_names {
    const char *ln_1, *ln_2, *out, *fc, *proj;
    const char *ls_1, *ls_2;           /* LayerScale, whole names; or NULL */
    const char *qkv_weight, *qkv_bias; /* fused, rows in the order q, k, v; or NULL */
    const char *q, *k, *v;             /* separate */
    const char *q_bias, *v_bias;       /* EVA: beside qkv_weight, whole names; or NULL */
    bool no_k_bias;                    /* EVA02 */
    const char *gate;                  /* SwiGLU: what goes through the activation; or NULL */
    const char *ln_out, *ln_proj;      /* inner norms, before out and proj; or NULL */
    const struct branch_names *mixers; /* of layers that have convolutions instead; or NULL */
};

/* Of a pooler, see pooler.h. */
struct pooler_names {
    const char *query;
    const char *ln_q;                /* or NULL */
    const char *in_weight;           /* rows of q, k and v in one tensor; or NULL */
    const char *q, *k, *v;           /* separate; without k and v, */
    const char *kv;                  /* rows of these two in one tensor */
    const char *in_bias, *more_bias; /* of q, k and v in one tensor or two */
    const char *out;
    const char *ln, *fc, *proj; /* of the MLP; or NULL */
};

struct vision_names {
    enum model_image_tower tower; /* which file draws it */
    float layer_norm_eps;         /* when no configuration says so; 0: 1e-5 */
    const char *sign;             /* the beginning of a name that tells this scheme */
    const char *class_embedding, *patch, *positions, *ln_post, *proj;
    const char *ln_pre;                /* NULL: there is none */
    const char *patch_bias;            /* NULL: there is none */
    const char *stem;                  /* before convolutions in the place of `patch`; or NULL */
    const char *stem_conv, *stem_norm; /* behind the number of one */
    const char *block;                 /* with %u for the layer */
    const struct layer_names *layer;
    const struct pooler_names *pooler; /* or NULL; without class_embedding there is no such token */
    const struct fastvit_names *fastvit; /* of a FastViT */
    const char *ln_k;                    /* of the pooler */
    uint32_t rope_side;
    bool variant;         /* not what a file that lacks this half would have had */
    bool bare_class;      /* the class token has no position */
    bool proj_transposed; /* stored as [width, embed_dim], unless it is a layer with ".weight" */
    bool is_hf, is_apple;
};

struct text_names {
    const char *sign;
    const char *embedding, *positions, *ln_final, *proj;
    const char *class_embedding;       /* behind the text; or NULL */
    const char *kinds, *ln_embedding;  /* BERT */
    const char *hidden, *after_hidden; /* BERT: of a projection of two products; or NULL */
    enum model_pooling pooling;        /* BERT, when no configuration says so */
    uint32_t context_length;           /* BERT, when no configuration says so; 0: the positions */
    const char *block;
    const struct layer_names *layer;
    bool variant, is_bert; /* the latter is drawn by blueprint_bert.c */
    bool proj_transposed;
    bool is_hf, is_apple;
};

/* What a checkpoint's keys say it holds. Both schemes are always set, so that a tensor which
 * is missing can be named. */
struct names {
    const struct vision_names *vision;
    const struct text_names *text;
    bool has_vision, has_text; /* the signs were found */
};

/* Recognises a checkpoint by its keys. STATUS_UNSUPPORTED names a family that we
 * know and do not have. */
enum status names_recognise(struct names *out, const struct tensors *tensors, struct error *err);

/* True for tensors that no tower needs: position_ids, attn_mask ... */
bool names_ignorable(const char *name);
/* True when the name lies in a tower, so that a model which does not use it would be
 * run wrongly. */
bool names_in_tower(const char *name);

#endif

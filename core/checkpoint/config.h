/* config.h - what a checkpoint's JSON files say of it (SPEC 6.2, 6.6, 7.4), whoever wrote
 * them: config_open_clip.h, config_hf.h and config_preprocessor.h fill it.
 *
 * Numbers that are stated are checked against the weights later; what the weights
 * alone can tell is not read here. Features that we do not have are refused by
 * name, so that no model is ever run wrongly in silence. */
#ifndef CORE_CHECKPOINT_CONFIG_H
#define CORE_CHECKPOINT_CONFIG_H

#include "core/base/bytes.h"
#include "core/checkpoint/info.h"

/* Zeros: not stated. */
struct config_tower {
    uint32_t width, layers, heads, mlp_width;
    enum model_activation activation;
    float layer_norm_eps;
    bool present; /* the configuration describes such a tower */
    enum model_norm_order norm_order;
    bool layer_scale;
    bool unprojected; /* there is no last projection */
    bool pruned;      /* width and heads are those of the model that it was pruned from */
};

struct model_config {
    bool found;               /* there was a configuration at all */
    enum model_naming naming; /* MODEL_NAMES_HF or MODEL_NAMES_OPEN_CLIP, if found */
    struct config_tower vision, text;
    uint32_t embed_dim, image_size, patch_size, context_length, vocab_size;
    uint32_t head_width; /* said by the user, overrules `heads`; 0: not */
    enum model_image_pooling image_pooling;
    uint32_t resnet[MODEL_STAGES]; /* blocks of a ModifiedResNet */
    uint32_t pooler_heads;         /* of MODEL_IMAGE_ATTENTION; 0: as many as the tower has */
    bool no_ln_pre, bidirectional, text_class;
    enum model_pooling pooling;
    uint32_t end_token, pad_token, unseen_token;
    struct model_preprocess preprocess;
    bool preprocess_found; /* in processor_config.json */
    uint32_t crop_size;    /* what preprocessing says the model sees; 0: not stated */
    struct model_tokenizer tokenizer;
    bool sigmoid; /* SigLIP */
};

/* OpenAI's mean, std, bicubic, shortest; QuickGELU; argmax. */
void config_init(struct model_config *out);

#endif

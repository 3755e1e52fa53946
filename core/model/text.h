/* text.h - the causal text tower (SPEC 3). */
#ifndef CORE_MODEL_TEXT_H
#define CORE_MODEL_TEXT_H

#include "core/model/transformer.h"

struct text {
    struct transformer transformer;
    uint32_t context_length, vocab_size;
    enum model_pooling pooling;
    uint32_t end_token;
    const float *embedding; /* [vocab_size, width] */
    const float *positions; /* [context_length, width] */
    struct layer_norm ln_final;
    struct linear proj; /* [embed_dim, width]; weight NULL: none */
};

/* The position whose row becomes the embedding. Rows behind it never influence it,
 * because of the causal mask: they are not computed at all. */
size_t text_pooled_position(const struct text *text, const struct model_text *input);

/* `sequences` has room for `count` texts; their bounds are written here. */
void text_encode(const struct text *text, const struct kernels *k,
                 const struct activations *activations, struct sequences *sequences,
                 const struct model_text *inputs, size_t count, float *const *embeddings);

#endif

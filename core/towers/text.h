/* text.h - the text tower (SPEC 3). */
#ifndef CORE_TOWERS_TEXT_H
#define CORE_TOWERS_TEXT_H

#include "core/checkpoint/info.h"

struct pass;
struct towers;

struct model_text {
    const uint32_t *ids; /* start and end token included, below vocab_size */
    uint32_t count;      /* 1..context_length */
};

/* Rows that a text takes: up to the one that becomes the embedding. Rows behind it
 * never influence it, because of the causal mask: they are not computed at all. Without
 * that mask all of the context is, with its padding. */
size_t text_rows(const struct model_info *info, const struct model_text *input);

/* Encodes `count` texts, whose rows together are at most as many as the lane has room
 * for; embeddings[i] is [embed_dim]. */
void text_encode(const struct towers *towers, const struct model_info *info,
                 const struct pass *pass, const struct model_text *inputs, size_t count,
                 float *const *embeddings);

#endif

#include "core/model/text.h"

#include <assert.h>

#include "core/kernels/kernels.h"

size_t text_pooled_position(const struct text *text, const struct model_text *input) {
    if (text->pooling == MODEL_POOL_EOS) {
        for (size_t i = 0; i < input->count; i++) {
            if (input->ids[i] == text->end_token) return i;
        }
        return 0;
    }
    size_t best = 0;
    for (size_t i = 1; i < input->count; i++) {
        if (input->ids[i] > input->ids[best]) best = i;
    }
    return best;
}

/* token_embedding[id] + position, for the rows up to the pooled one. */
static void embed_tokens(const struct text *text, float *rows, const uint32_t *ids, size_t count) {
    size_t width = text->transformer.shape.width;
    for (size_t i = 0; i < count; i++) {
        assert(ids[i] < text->vocab_size);
        const float *token = text->embedding + ids[i] * width;
        const float *position = text->positions + i * width;
        for (size_t c = 0; c < width; c++) rows[i * width + c] = token[c] + position[c];
    }
}

void text_encode(const struct text *text, const struct kernels *k, const struct activations *a,
                 struct sequences *sequences, const struct model_text *inputs, size_t count,
                 float *const *embeddings) {
    size_t width = text->transformer.shape.width;
    sequences->count = count;
    sequences->start[0] = 0;
    for (size_t i = 0; i < count; i++) {
        assert(inputs[i].count && inputs[i].count <= text->context_length);
        size_t rows = text_pooled_position(text, &inputs[i]) + 1;
        embed_tokens(text, a->x + sequences->start[i] * width, inputs[i].ids, rows);
        sequences->start[i + 1] = sequences->start[i] + rows;
    }
    transformer_forward(&text->transformer, k, a, sequences);
    for (size_t i = 0; i < count; i++) {
        const float *pooled = a->x + (sequences->start[i + 1] - 1) * width;
        transformer_pool(&text->transformer, k, pooled, &text->ln_final, &text->proj, a->normed,
                         embeddings[i]);
    }
}

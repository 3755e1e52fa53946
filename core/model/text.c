#include "core/model/text.h"

#include <assert.h>

size_t text_rows(const struct model_info *info, const struct model_text *input) {
    if (info->pooling == MODEL_POOL_EOS) {
        for (size_t i = 0; i < input->count; i++) {
            if (input->ids[i] == info->end_token) return i + 1;
        }
        return 1;
    }
    size_t best = 0;
    for (size_t i = 1; i < input->count; i++) {
        if (input->ids[i] > input->ids[best]) best = i;
    }
    return best + 1;
}

/* token_embedding[id] + position. */
static void embed_tokens(const struct towers *towers, const struct model_info *info, float *rows,
                         const uint32_t *ids, size_t count) {
    size_t width = towers->text.shape.width;
    for (size_t i = 0; i < count; i++) {
        assert(ids[i] < info->vocab_size);
        const float *token = towers->embedding + ids[i] * width;
        const float *position = towers->text.positions + i * width;
        for (size_t c = 0; c < width; c++) rows[i * width + c] = token[c] + position[c];
    }
}

void text_encode(const struct towers *towers, const struct model_info *info,
                 const struct pass *pass, const struct model_text *inputs, size_t count,
                 float *const *embeddings) {
    size_t width = towers->text.shape.width;
    struct sequences *sequences = &pass->lane->sequences;
    sequences->count = count;
    sequences->start[0] = 0;
    for (size_t i = 0; i < count; i++) {
        assert(inputs[i].count && inputs[i].count <= info->context_length);
        size_t rows = text_rows(info, &inputs[i]), first = sequences->start[i];
        embed_tokens(towers, info, pass->lane->x + first * width, inputs[i].ids, rows);
        sequences->start[i + 1] = first + rows;
        sequences->pooled[i] = first + rows - 1;
    }
    transformer_forward(&towers->text, pass);
    transformer_project(&towers->text, pass, embeddings);
}

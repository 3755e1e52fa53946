#include "core/model/text.h"

#include <assert.h>

#include "core/model/pooling.h"
#include "core/model/transformer.h"

/* The context as the model was trained on it: the text, then padding. */
static uint32_t id_at(const struct model_info *info, const struct model_text *input, size_t i) {
    return i < input->count ? input->ids[i] : info->pad_token;
}

static size_t pooled_row(const struct model_info *info, const struct model_text *input) {
    size_t best = 0;
    switch (info->pooling) {
    case MODEL_POOL_FIRST: return 0;
    case MODEL_POOL_LAST: return info->context_length - 1;
    case MODEL_POOL_EOS:
        for (size_t i = 0; i < info->context_length; i++) {
            if (id_at(info, input, i) == info->end_token) return i;
        }
        return 0;
    case MODEL_POOL_ARGMAX: break;
    }
    for (size_t i = 1; i < info->context_length; i++) {
        if (id_at(info, input, i) > id_at(info, input, best)) best = i;
    }
    return best;
}

size_t text_rows(const struct model_info *info, const struct model_text *input) {
    return info->bidirectional ? info->context_length : pooled_row(info, input) + 1;
}

/* token_embedding[id] + position. */
static void embed_tokens(const struct towers *towers, const struct model_info *info, float *rows,
                         const struct model_text *input, size_t count) {
    size_t width = towers->text.shape.width;
    for (size_t i = 0; i < count; i++) {
        uint32_t id = id_at(info, input, i);
        assert(id < info->vocab_size);
        const float *token = towers->embedding + id * width;
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
        embed_tokens(towers, info, pass->lane->x + first * width, &inputs[i], rows);
        sequences->start[i + 1] = first + rows;
        sequences->pooled[i] = first + pooled_row(info, &inputs[i]);
    }
    transformer_forward(&towers->text, pass);
    pooling_project(&towers->text, pass, embeddings);
}

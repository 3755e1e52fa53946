#include "core/towers/text.h"

#include <assert.h>

#include "core/towers/pooling.h"
#include "core/towers/transformer.h"

/* The context as the model was trained on it: the text, then padding. */
static uint32_t id_at(const struct model_info *info, const struct model_text *input, size_t i) {
    return i < input->count ? input->ids[i] : info->pad_token;
}

/* Of CoCa: the text, the first row of padding, which it sees by an oversight of those who
 * trained it, and the class row. All of the padding where its id is not the unseen one. */
static size_t class_row(const struct model_info *info, const struct model_text *input) {
    bool whole = info->pad_token != info->unseen_token || input->count == info->context_length;
    return whole ? info->context_length : input->count + 1;
}

static size_t pooled_row(const struct model_info *info, const struct model_text *input) {
    size_t best = 0;
    if (info->text_class) return class_row(info, input);
    if (info->text_tower != MODEL_TEXT_CLIP) return 0; /* or the mean */
    switch (info->pooling) {
    case MODEL_POOL_FIRST:
    case MODEL_POOL_MEAN: return 0;
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

/* BERT's rows are those of the ids that are no padding, but at least one. */
static size_t bert_rows(const struct model_info *info, const struct model_text *input) {
    size_t count = 0;
    for (size_t i = 0; i < input->count; i++) count += input->ids[i] != info->pad_token;
    return count ? count : 1;
}

size_t text_rows(const struct model_info *info, const struct model_text *input) {
    if (info->text_tower != MODEL_TEXT_CLIP) return bert_rows(info, input);
    bool whole = info->bidirectional && !info->text_class;
    return whole ? info->context_length : pooled_row(info, input) + 1;
}

/* The class row, [width]: it has the last position of the context, and sees what stands behind
 * each id that is not the unseen one. `masked` is [class_row + 1]. */
static void embed_class(const struct towers *towers, const struct model_info *info, float *row,
                        uint8_t *masked, const struct model_text *input) {
    size_t width = towers->text.shape.width, last = class_row(info, input);
    const float *position = towers->text.positions + info->context_length * width;
    for (size_t c = 0; c < width; c++) row[c] = towers->class_embedding[c] + position[c];
    masked[0] = 0;
    for (size_t i = 1; i <= last; i++) masked[i] = id_at(info, input, i - 1) == info->unseen_token;
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

/* token_embedding[id] + position, normalised. */
static void embed_bert(const struct towers *towers, const struct model_info *info, float *rows,
                       const struct model_text *input, size_t count) {
    const struct model_tower *shape = &towers->text.shape;
    const struct norm *norm = &towers->ln_embedding;
    size_t width = shape->width, row = 0;
    for (size_t i = 0; row < count; i++) {
        uint32_t id = input->ids[i];
        assert(id < info->vocab_size);
        if (id == info->pad_token && input->count - i > count - row) continue;
        size_t place = info->text_tower == MODEL_TEXT_ROBERTA ? row : i;
        const float *token = towers->embedding + id * width;
        const float *position = towers->text.positions + place * width;
        float *to = rows + row++ * width;
        for (size_t c = 0; c < width; c++) to[c] = token[c] + position[c];
        towers->rows->layer_norm(to, to, norm->gain, norm->bias, width, shape->layer_norm_eps);
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
        assert(inputs[i].count <= info->context_length);
        size_t rows = text_rows(info, &inputs[i]), first = sequences->start[i];
        float *x = pass->lane->x + first * width;
        if (info->text_tower == MODEL_TEXT_CLIP)
            embed_tokens(towers, info, x, &inputs[i], rows - info->text_class);
        else
            embed_bert(towers, info, x, &inputs[i], rows);
        if (info->text_class) {
            embed_class(towers, info, x + (rows - 1) * width, sequences->masked + first,
                        &inputs[i]);
        }
        sequences->start[i + 1] = first + rows;
        sequences->pooled[i] = first + pooled_row(info, &inputs[i]);
    }
    transformer_forward(&towers->text, pass);
    pooling_project(&towers->text, pass, embeddings);
}

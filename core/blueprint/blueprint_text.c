#include "core/blueprint/blueprint_text.h"

#include <stdlib.h>

#include "core/blueprint/draft_blocks.h"
#include "core/towers/positions.h"

/* open_clip resamples text positions when the configured context length differs. */
static enum status take_text_positions(struct draft *draft, size_t width, struct blueprint *out,
                                       struct error *err) {
    size_t dims[2] = {0, width};
    struct source *positions = &out->text.positions;
    enum status status =
        draft_take_table(draft, draft->names.text->positions, dims, positions, err);
    if (status) return status;
    if (draft->info->text_class && dims[0] < 3) {
        return error_set(err, STATUS_UNPROCESSABLE,
                         "tensor %s has %zu rows, at least 3 are expected",
                         draft->names.text->positions, dims[0]);
    }
    uint32_t wanted = draft->config->context_length,
             rows = (uint32_t)dims[0] - draft->info->text_class;
    draft->info->context_length = rows;
    if (draft->config->naming != MODEL_NAMES_OPEN_CLIP || !wanted || wanted == rows ||
        draft->info->text_class) {
        return draft_check_stated("context length", wanted, rows, err);
    }
    float *stored = draft_read_all(positions, err),
          *resized = calloc(wanted, width * sizeof(*resized));
    if (!stored || !resized) {
        free(stored);
        free(resized);
        return error_set(err, STATUS_NO_MEMORY, "out of memory for position embeddings");
    }
    positions_resize_linear(resized, wanted, stored, rows, width);
    free(stored);
    out->computed[BLUEPRINT_TEXT_POSITIONS] = resized;
    *positions = (struct source){
        .kind = SOURCE_COMPUTED, .computed = resized, .rows = wanted, .columns = width};
    draft->info->context_length = wanted;
    return STATUS_OK;
}

enum status blueprint_text_draw(struct draft *draft, struct blueprint *out, struct error *err) {
    const struct text_names *names = draft->names.text;
    const struct model_config *config = draft->config;
    struct model_info *info = draft->info;
    size_t dims[2] = {0, 0};
    if (names->variant && !config->found) {
        return error_set(err, STATUS_UNSUPPORTED,
                         "a text tower with tensors %s* needs a configuration beside the weights",
                         names->sign);
    }
    enum status status = draft_take_matrix(draft, names->embedding, dims, &out->embedding, err);
    if (!status) status = draft_check_stated("vocabulary size", config->vocab_size, dims[0], err);
    if (status) return status;
    size_t width = dims[1];
    info->vocab_size = (uint32_t)dims[0];
    info->pooling = config->pooling;
    info->end_token = config->end_token;
    info->pad_token = config->pad_token;
    info->unseen_token = config->unseen_token;
    info->bidirectional = config->bidirectional;
    info->text_class = names->class_embedding && config->text_class;
    if (info->text_class) {
        status =
            draft_take_vector(draft, names->class_embedding, width, &out->class_embedding, err);
        if (status) return status;
    }
    status = draft_take_blocks(draft, PLAN_TEXT, width, &out->text, err);
    if (!status && info->text.token_window && !info->bidirectional) {
        status = error_set(err, STATUS_UNSUPPORTED,
                           "a text tower that looks at %u tokens around each, but whose attention "
                           "is causal",
                           info->text.token_window);
    }
    if (!status) status = take_text_positions(draft, width, out, err);
    if (!status) {
        status = draft_take_norm(draft, "", names->ln_final, width, &out->text.ln_end, err);
    }
    if (!status) {
        status = draft_take_projection(draft, PLAN_TEXT, &out->text.projection, err);
    }
    return status;
}

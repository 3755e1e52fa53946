#include "core/blueprint/blueprint_bert.h"

#include <stdlib.h>

#include "core/blueprint/draft_blocks.h"
#include "core/kernels/gemm.h"

/* RoBERTa numbers positions from one behind that of its padding on. */
enum { ROBERTA_PAD = 1, ROBERTA_FIRST = ROBERTA_PAD + 1, WIDTH_MAX = GEMM_K_MAX };

/* Positions as far as the context goes, and what the kind of token adds to each: there is but
 * one kind in a text. */
static enum status take_positions(struct draft *draft, size_t width, const struct source *kinds,
                                  struct blueprint *out, struct error *err) {
    const char *name = draft->names.text->positions;
    struct model_info *info = draft->info;
    struct source table;
    size_t dims[2] = {0, width};
    size_t first = info->text_tower == MODEL_TEXT_ROBERTA ? ROBERTA_FIRST : 0;
    enum status status = draft_take_matrix(draft, name, dims, &table, err);
    if (status) return status;
    uint32_t wanted = draft->config->context_length, usual = draft->names.text->context_length;
    if (dims[0] < first + 2 || (wanted && wanted > dims[0] - first)) {
        return error_set(err, STATUS_UNPROCESSABLE,
                         "tensor %s has %zu rows, at least %zu are expected", name, dims[0],
                         first + (wanted > 2 ? wanted : 2));
    }
    info->context_length = wanted ? wanted : (uint32_t)(dims[0] - first);
    if (!wanted && usual && usual < info->context_length) info->context_length = usual;
    size_t count = info->context_length;
    float *sums = calloc(count + 1, width * sizeof(*sums));
    if (!sums) return error_set(err, STATUS_NO_MEMORY, "out of memory for position embeddings");
    float *kind = sums + count * width;
    source_read(&table, first, count, sums);
    source_read(kinds, 0, 1, kind);
    for (size_t i = 0; i < count * width; i++) sums[i] += kind[i % width];
    out->computed[BLUEPRINT_TEXT_POSITIONS] = sums;
    out->text.positions =
        (struct source){.kind = SOURCE_COMPUTED, .computed = sums, .rows = count, .columns = width};
    return STATUS_OK;
}

/* The projection of OpenCLIP's "mlp" kind begins with a product of its own. */
static enum status take_hidden(struct draft *draft, struct blueprint *out, struct error *err) {
    struct model_tower *shape = &draft->info->text;
    const char *name = draft->names.text->hidden;
    size_t n = 0;
    if (!name || !tensors_find(draft->tensors, name)) return STATUS_OK;
    enum status status =
        draft_take_part(draft, name, NULL, &n, shape->width, &out->text.hidden, err);
    if (!status && n > WIDTH_MAX) {
        status = error_set(err, STATUS_UNSUPPORTED,
                           "tensor %s has %zu rows, up to %d are supported", name, n, WIDTH_MAX);
    }
    shape->projection_hidden = shape->pooled_width = (uint32_t)n;
    return status;
}

enum status blueprint_bert_draw(struct draft *draft, struct blueprint *out, struct error *err) {
    const struct text_names *names = draft->names.text;
    const struct model_config *config = draft->config;
    struct model_info *info = draft->info;
    struct source kinds;
    size_t dims[2] = {0, 0};
    enum status status = draft_take_matrix(draft, names->embedding, dims, &out->embedding, err);
    if (!status) status = draft_check_stated("vocabulary size", config->vocab_size, dims[0], err);
    if (status) return status;
    size_t width = dims[1], kind[2] = {0, width};
    info->vocab_size = (uint32_t)dims[0];
    status = draft_take_matrix(draft, names->kinds, kind, &kinds, err);
    if (status) return status;
    info->text_tower = kind[0] == 1 ? MODEL_TEXT_ROBERTA : MODEL_TEXT_BERT;
    info->pad_token = info->text_tower == MODEL_TEXT_ROBERTA ? ROBERTA_PAD : 0;
    info->pooling = config->found ? config->pooling : names->pooling;
    info->bidirectional = true;
    info->text.no_ln_end = true;
    status = draft_take_norm(draft, "", names->ln_embedding, width, &out->ln_embedding, err);
    if (!status) status = draft_take_blocks(draft, PLAN_TEXT, width, &out->text, err);
    if (!status) status = take_positions(draft, width, &kinds, out, err);
    if (!status) status = take_hidden(draft, out, err);
    return status ? status : draft_take_projection(draft, PLAN_TEXT, &out->text.projection, err);
}

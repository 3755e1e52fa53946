#include "core/checkpoint/config_open_clip_text.h"

#include <stdio.h>
#include <string.h>

#include "core/checkpoint/config_tower.h"
#include "core/checkpoint/families.h"

static enum status refuse_text(const struct json_place *text, struct error *err) {
    static const struct config_refusal refusals[] = {
        {"attention_mode", "another form of attention"},
        {"qk_norm", "normalised queries and keys"},
    };
    const char *architecture = "";
    char where[128], what[64];
    enum status status = json_read_string(text, "text_arch", &architecture, err);
    snprintf(where, sizeof(where), "%s.text_arch", text->path);
    snprintf(what, sizeof(what), "the text architecture \"%.32s\"", architecture);
    if (!status && *architecture) return families_refuse(err, where, what);
    if (status) return status;
    return config_tower_refuse(text, refusals, sizeof(refusals) / sizeof(refusals[0]), err);
}

/* What fills the context is the tokenizer's, 0 for OpenCLIP's own; pad_id is for CoCa alone. */
static enum status read_text_pooling(struct model_config *out, const struct json_place *text,
                                     struct error *err) {
    static const char *const names[] = {"argmax", "eos", "first", "last"};
    const char *pool = names[MODEL_POOL_ARGMAX];
    enum status status = json_read_string(text, "pool_type", &pool, err);
    if (!status) status = json_read_bool(text, "no_causal_mask", &out->bidirectional, err);
    if (!status) {
        status = json_read_u32(text, "pad_id", 0, out->vocab_size - 1, &out->unseen_token, err);
    }
    if (status) return status;
    size_t i = 0, count = sizeof(names) / sizeof(names[0]);
    while (i < count && strcmp(names[i], pool) != 0) i++;
    if (i == count) {
        return error_set(err, STATUS_UNSUPPORTED,
                         "%s.pool_type is \"%.16s\", supported are \"argmax\", \"eos\", \"first\" "
                         "and \"last\"",
                         text->path, pool);
    }
    out->pooling = (enum model_pooling)i;
    if (out->pooling != MODEL_POOL_EOS) return STATUS_OK;
    out->end_token = 2; /* open_clip's own default */
    return json_read_u32(text, "eos_id", 0, out->vocab_size - 1, &out->end_token, err);
}

/* Vocabularies from Hugging Face mind case themselves, if they do not want it. */
static enum status read_tokenizer(struct model_config *out, const struct json_place *text,
                                  struct error *err) {
    static const struct config_refusal refusals[] = {{"tokenizer_mode", "another order of ids"}};
    struct json_place kwargs;
    const char *clean = json_is_set(text, "hf_tokenizer_name") ? "whitespace" : "lower";
    enum status status = config_tower_refuse(text, refusals, 1, err);
    if (!status) status = json_enter(&kwargs, text, "tokenizer_kwargs", err);
    if (!status) status = json_read_string(&kwargs, "clean", &clean, err);
    if (!status) status = json_read_bool(&kwargs, "strip_sep_token", &out->tokenizer.drop_end, err);
    if (status) return status;
    out->tokenizer.canonicalize = !strcmp(clean, "canonicalize");
    out->tokenizer.keep_case = !strcmp(clean, "whitespace");
    if (out->tokenizer.canonicalize || out->tokenizer.keep_case || !strcmp(clean, "lower")) {
        return STATUS_OK;
    }
    return error_set(err, STATUS_UNSUPPORTED,
                     "%s.clean is \"%.24s\", supported are \"lower\", "
                     "\"whitespace\" and \"canonicalize\"",
                     kwargs.path, clean);
}

/* BERT and those like it, RoBERTa above all; not what has the name and another architecture. */
static bool is_bert(const char *name) {
    static const char *const others[] = {"modernbert", "deberta", "distilbert", "albert"};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        if (strstr(name, others[i])) return false;
    }
    return strstr(name, "bert") != NULL;
}

/* A text tower of transformers, of which the weights say the rest. */
static enum status read_hf_tower(struct model_config *out, const struct json_place *text,
                                 const char *name, struct error *err) {
    static const struct {
        const char *name;
        enum model_pooling pooling;
    } poolers[] = {
        {"mean_pooler", MODEL_POOL_MEAN},
        {"cls_last_hidden_state_pooler", MODEL_POOL_FIRST},
    };
    const char *pooler = poolers[0].name;
    char where[128], what[64];
    snprintf(where, sizeof(where), "%s.hf_model_name", text->path);
    snprintf(what, sizeof(what), "the text tower \"%.32s\"", name);
    if (!is_bert(name)) return families_refuse(err, where, what);
    out->context_length = 77;
    enum status status = json_read_string(text, "hf_pooler_type", &pooler, err);
    if (!status) {
        status =
            json_read_u32(text, "context_length", 2, CONFIG_SIZE_MAX, &out->context_length, err);
    }
    if (status) return status;
    for (size_t i = 0; i < sizeof(poolers) / sizeof(poolers[0]); i++) {
        if (strcmp(poolers[i].name, pooler) != 0) continue;
        out->pooling = poolers[i].pooling;
        return STATUS_OK;
    }
    return error_set(err, STATUS_UNSUPPORTED,
                     "%s.hf_pooler_type is \"%.32s\", supported are \"mean_pooler\" and "
                     "\"cls_last_hidden_state_pooler\"",
                     text->path, pooler);
}

enum status config_open_clip_text_read(struct model_config *out, const struct json_place *model,
                                       struct error *err) {
    struct json_place text;
    struct config_tower *tower = &out->text;
    const char *hf_name = "";
    tower->present = true;
    enum status status = json_enter(&text, model, "text_cfg", err);
    if (!status) status = json_read_string(&text, "hf_model_name", &hf_name, err);
    if (!status && *hf_name) {
        tower->layer_norm_eps = 0;
        status = read_hf_tower(out, &text, hf_name, err);
        return status ? status : read_tokenizer(out, &text, err);
    }
    tower->width = 512;
    tower->layers = 12;
    tower->heads = 8;
    out->context_length = 77;
    out->vocab_size = 49408;
    if (!status) status = refuse_text(&text, err);
    if (!status) status = json_read_u32(&text, "width", 1, CONFIG_SIZE_MAX, &tower->width, err);
    if (!status) status = json_read_u32(&text, "heads", 1, CONFIG_SIZE_MAX, &tower->heads, err);
    if (!status) status = json_read_u32(&text, "layers", 1, CONFIG_LAYERS_MAX, &tower->layers, err);
    if (!status) {
        status =
            json_read_u32(&text, "context_length", 2, CONFIG_SIZE_MAX, &out->context_length, err);
    }
    if (!status) {
        status = json_read_u32(&text, "vocab_size", 2, CONFIG_VOCAB_MAX, &out->vocab_size, err);
    }
    if (!status) status = config_tower_read_kwargs(tower, &text, err);
    if (!status) status = json_read_bool(model, "mask_text", &tower->pruned, err);
    const char *projection = "linear";
    if (!status) status = json_read_string(&text, "proj_type", &projection, err);
    tower->unprojected = !strcmp(projection, "none");
    if (!status) status = json_read_bool(&text, "embed_cls", &out->text_class, err);
    if (!status) status = read_text_pooling(out, &text, err);
    return status ? status : read_tokenizer(out, &text, err);
}

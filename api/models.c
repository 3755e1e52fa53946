/* GET /models: what there is, and of what is loaded everything a client needs in order to
 * compare embeddings with those of other servers. */
#include "api/models.h"

#include "api/context.h"
#include "api/response.h"

static void write_number(struct writer *writer, const char *name, uint64_t number) {
    writer_key(writer, name);
    writer_uint(writer, number);
}

static void write_word(struct writer *writer, const char *name, const char *text) {
    writer_key(writer, name);
    writer_text(writer, text);
}

static void write_tower(struct writer *writer, const char *name,
                        const struct engine_tower_info *tower) {
    writer_key(writer, name);
    if (!tower->layers) {
        writer_null(writer);
        return;
    }
    writer_begin_object(writer);
    write_number(writer, "width", tower->width);
    write_number(writer, "layers", tower->layers);
    write_number(writer, "heads", tower->heads);
    write_number(writer, "mlp_width", tower->mlp_width);
    write_word(writer, "activation", tower->activation);
    writer_end_object(writer);
}

static void write_cosine(struct writer *writer, const char *name, bool measured, double cosine) {
    writer_key(writer, name);
    if (measured)
        writer_float(writer, (float)cosine);
    else
        writer_null(writer);
}

static void write_quantization(struct writer *writer, const struct engine_info *info) {
    const struct engine_quantization *quantization = &info->quantization;
    writer_key(writer, "quantization");
    if (!info->quantized) {
        writer_null(writer);
        return;
    }
    writer_begin_object(writer);
    writer_key(writer, "profile");
    if (quantization->profile)
        writer_text(writer, quantization->profile);
    else
        writer_null(writer);
    write_number(writer, "exceptions", quantization->exceptions);
    write_cosine(writer, "cosine", quantization->measured, quantization->cosine);
    write_cosine(writer, "centred_cosine", quantization->measured, quantization->centred_cosine);
    writer_end_object(writer);
}

static void write_preprocess(struct writer *writer, const struct engine_info *info) {
    writer_key(writer, "preprocess");
    writer_begin_object(writer);
    write_word(writer, "resize", info->preprocess.resize);
    write_number(writer, "resize_to", info->preprocess.resize_to);
    write_word(writer, "order", info->preprocess.order);
    write_word(writer, "interpolation", info->preprocess.interpolation);
    writer_key(writer, "mean");
    writer_floats(writer, info->preprocess.mean, 3);
    writer_key(writer, "std");
    writer_floats(writer, info->preprocess.std, 3);
    writer_key(writer, "exif_orientation");
    writer_bool(writer, info->preprocess.exif_orientation);
    write_word(writer, "mode", info->preprocess.fast ? "fast" : "exact");
    writer_end_object(writer);
}

static void write_info(struct writer *writer, const struct engine_info *info) {
    write_word(writer, "architecture", info->architecture);
    write_number(writer, "embed_dim", info->embed_dim);
    write_number(writer, "image_size", info->image_size);
    write_number(writer, "patch_size", info->patch_size);
    write_number(writer, "context_length", info->context_length);
    write_number(writer, "vocab_size", info->vocab_size);
    writer_key(writer, "towers");
    writer_begin_object(writer);
    write_tower(writer, "vision", &info->vision);
    write_tower(writer, "text", &info->text);
    writer_end_object(writer);
    write_word(writer, "precision", info->precision);
    write_quantization(writer, info);
    write_word(writer, "sha256", info->sha256);
    write_word(writer, "tokenizer", info->tokenizer);
    writer_key(writer, "logit_scale");
    writer_float(writer, info->logit_scale);
    writer_key(writer, "logit_bias");
    writer_float(writer, info->logit_bias);
    write_word(writer, "scoring", info->sigmoid ? "sigmoid" : "softmax");
    write_number(writer, "parameters", info->parameters);
    write_preprocess(writer, info);
}

static void write_model(void *context, const struct registry_view *view) {
    struct writer *writer = context;
    writer_begin_object(writer);
    write_word(writer, "name", view->name);
    models_write_aliases(writer, view);
    writer_key(writer, "default");
    writer_bool(writer, view->is_default);
    write_word(writer, "load", view->load == REGISTRY_LAZY ? "lazy" : "eager");
    write_word(writer, "state", registry_state_name(view->state));
    write_number(writer, "bytes", view->bytes);
    if (view->failure[0]) write_word(writer, "failure", view->failure);
    if (view->engine) write_info(writer, engine_info(view->engine));
    writer_end_object(writer);
}

void models_write_aliases(struct writer *writer, const struct registry_view *view) {
    writer_key(writer, "aliases");
    writer_begin_array(writer);
    for (size_t i = 0; i < view->aliases_count; i++) writer_text(writer, view->aliases[i]);
    writer_end_array(writer);
}

void models_write(struct writer *writer, struct registry *registry) {
    writer_begin_object(writer);
    writer_key(writer, "models");
    writer_begin_array(writer);
    registry_each(registry, write_model, writer);
    writer_end_array(writer);
    writer_end_object(writer);
}

enum status models_get(struct api *api, struct http_request *request,
                       struct http_response *response, struct error *err) {
    struct writer writer;
    (void)request;
    response_init(response, 200, "application/json");
    writer_init(&writer, &response->body);
    models_write(&writer, api->registry);
    return writer_finish(&writer, err);
}

/* POST /v1/embeddings, GET /v1/models and GET /v1/models/{id}, as OpenAI's clients know them.
 *
 * Most of these clients ask for base64, the little-endian floats, and read nothing
 * else then; so both encodings are exact. `usage` counts the tokens of texts, start
 * and end token included; images have none. */
#include <stdio.h>

#include "api/encode.h"
#include "api/models.h"
#include "api/openai_body.h"
#include "api/response.h"

/* Of one index in a header, and of the dots behind the last one. */
enum { INDEX_ROOM = 32 };

struct embedding_request {
    struct openai_body body;
    struct encode encode;
    struct encoded images, texts;
};

/* Inputs of both kinds stand in one list, and reports count within their kind. */
static enum status renumber(const struct openai_body *body, bool image, struct error *error,
                            struct error *err) {
    size_t count = body->images.count + body->texts.count;
    int of_kind = error->input;
    for (size_t i = 0; i < count && of_kind >= 0; i++) {
        if (body->is_image[i] != image || of_kind-- > 0) continue;
        error->input = (int)i;
        if (body->images.is_list) {
            snprintf(error->where, sizeof(error->where), "%s/%zu", body->images.pointer, i);
        }
    }
    return error_pass(err, error);
}

static enum status run(struct embedding_request *r, struct error *err) {
    struct error error = ERROR_NONE;
    const struct openai_body *body = &r->body;
    const struct engine_info *model = engine_info(r->encode.engine);
    if (body->dimensions && body->dimensions != model->embed_dim) {
        return error_set_at(err, STATUS_INVALID, "/dimensions",
                            "model \"%.64s\" has %u dimensions and cannot give %u", model->name,
                            model->embed_dim, body->dimensions);
    }
    r->encode.raw = !body->normalize;
    r->encode.truncate = body->truncate;
    if (body->images.count && encode_images(&r->images, &r->encode, &body->images, &error)) {
        return renumber(body, true, &error, err);
    }
    if (body->texts.count && encode_texts(&r->texts, &r->encode, &body->texts, &error)) {
        return renumber(body, false, &error, err);
    }
    return STATUS_OK;
}

static void write_data(struct writer *writer, const struct embedding_request *r, size_t dim) {
    size_t images = 0, texts = 0;
    writer_key(writer, "data");
    writer_begin_array(writer);
    for (size_t i = 0; i < r->images.count + r->texts.count; i++) {
        writer_begin_object(writer);
        writer_key(writer, "object");
        writer_text(writer, "embedding");
        writer_key(writer, "index");
        writer_uint(writer, i);
        writer_key(writer, "embedding");
        if (r->body.is_image[i])
            encode_write(writer, &r->images, images++, dim, r->body.base64);
        else
            encode_write(writer, &r->texts, texts++, dim, r->body.base64);
        writer_end_object(writer);
    }
    writer_end_array(writer);
}

/* OpenAI's answer has no place for which inputs were cut, and its clients may take no other: a
 * header says it. */
static void add_truncated_header(struct http_response *response,
                                 const struct embedding_request *r) {
    char list[sizeof(((struct http_header *)0)->value)] = "";
    size_t count = r->images.count + r->texts.count, text = 0, size = 0;
    for (size_t i = 0; i < count; i++) {
        if (r->body.is_image[i] || !r->texts.infos[text++].truncated) continue;
        if (size > sizeof(list) - INDEX_ROOM) {
            snprintf(list + size, sizeof(list) - size, ", ...");
            break;
        }
        size += (size_t)snprintf(list + size, sizeof(list) - size, "%s%zu", size ? ", " : "", i);
    }
    if (size) response_header(response, "X-Truncated", "%s", list);
}

static enum status answer(struct http_response *response, const struct embedding_request *r,
                          struct error *err) {
    const struct engine_info *model = engine_info(r->encode.engine);
    struct writer writer;
    size_t tokens = 0;
    for (size_t i = 0; i < r->texts.count; i++) tokens += r->texts.infos[i].tokens;
    response_init(response, 200, "application/json");
    add_truncated_header(response, r);
    writer_init(&writer, &response->body);
    writer_begin_object(&writer);
    writer_key(&writer, "object");
    writer_text(&writer, "list");
    write_data(&writer, r, model->embed_dim);
    writer_key(&writer, "model");
    writer_text(&writer, model->name);
    if (r->images.count) encode_write_preprocess(&writer, model);
    writer_key(&writer, "usage");
    writer_begin_object(&writer);
    writer_key(&writer, "prompt_tokens");
    writer_uint(&writer, tokens);
    writer_key(&writer, "total_tokens");
    writer_uint(&writer, tokens);
    writer_end_object(&writer);
    writer_end_object(&writer);
    return writer_finish(&writer, err);
}

enum status openai_embeddings(struct api *api, struct http_request *request,
                              struct http_response *response, struct error *err) {
    struct embedding_request r = {0};
    enum status status = openai_body_read(&r.body, request, &api->options, err);
    if (!status) status = encode_init(&r.encode, api, request, r.body.model, err);
    if (!status) status = run(&r, err);
    if (!status) status = answer(response, &r, err);
    encoded_free(&r.images);
    encoded_free(&r.texts);
    encode_free(&r.encode);
    openai_body_free(&r.body);
    return status;
}

/* Clients want to know when a model was made; all we know is that it is here. */
static void write_model(void *context, const struct registry_view *view) {
    struct writer *writer = context;
    writer_begin_object(writer);
    writer_key(writer, "id");
    writer_text(writer, view->name);
    writer_key(writer, "object");
    writer_text(writer, "model");
    writer_key(writer, "created");
    writer_uint(writer, 0);
    writer_key(writer, "owned_by");
    writer_text(writer, "clipd");
    models_write_aliases(writer, view);
    writer_end_object(writer);
}

enum status openai_models(struct api *api, struct http_request *request,
                          struct http_response *response, struct error *err) {
    struct writer writer;
    (void)request;
    response_init(response, 200, "application/json");
    writer_init(&writer, &response->body);
    writer_begin_object(&writer);
    writer_key(&writer, "object");
    writer_text(&writer, "list");
    writer_key(&writer, "data");
    writer_begin_array(&writer);
    registry_each(api->registry, write_model, &writer);
    writer_end_array(&writer);
    writer_end_object(&writer);
    return writer_finish(&writer, err);
}

/* One model, sought by any of its names. */
struct model_search {
    const char *name;
    struct writer writer;
    bool found;
};

static void write_if_called(void *context, const struct registry_view *view) {
    struct model_search *search = context;
    if (search->found || !registry_view_is_called(view, search->name)) return;
    search->found = true;
    write_model(&search->writer, view);
}

enum status openai_model(struct api *api, struct http_request *request,
                         struct http_response *response, struct error *err) {
    struct model_search search = {.name = request->params[0]};
    response_init(response, 200, "application/json");
    writer_init(&search.writer, &response->body);
    registry_each(api->registry, write_if_called, &search);
    if (search.found) return writer_finish(&search.writer, err);
    return error_set_at(err, STATUS_NOT_FOUND, "/model",
                        "no model is called \"%.64s\": see /v1/models", search.name);
}

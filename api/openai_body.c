#include "api/openai_body.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { POINTER_SIZE = 96 };

/* What a string is. */
enum kind { KIND_BY_LOOK, KIND_TEXT, KIND_IMAGE };

static bool is_word(const json_t *value, const char *word) {
    return json_is_string(value) && strcmp(json_string_value(value), word) == 0;
}

/* ---- inputs ---- */

static enum status add(struct openai_body *body, enum kind kind, const json_t *value,
                       const char *pointer, struct error *err) {
    struct bytes text;
    enum status status = json_body_string(&text, &body->json, value, pointer, err);
    if (status) return status;
    bool image = kind == KIND_IMAGE || (kind == KIND_BY_LOOK && inputs_is_image_uri(text));
    size_t index = body->images.count + body->texts.count;
    if (image)
        status = inputs_add_image_text(&body->images, text, pointer, err);
    else
        status = inputs_add(&body->texts, text, err);
    if (!status) body->is_image[index] = image;
    /* The list of images counted images only. */
    if (status && err && err->input >= 0) err->input = (int)index;
    return status;
}

/* An image_url is a string or {"url": string}. */
static enum status add_image_url(struct openai_body *body, const json_t *value, const char *pointer,
                                 struct error *err) {
    char url[POINTER_SIZE];
    if (!json_is_object(value)) return add(body, KIND_IMAGE, value, pointer, err);
    snprintf(url, sizeof(url), "%.64s/url", pointer);
    const json_t *inner = json_object_get(value, "url");
    if (inner) return add(body, KIND_IMAGE, inner, url, err);
    return error_set_at(err, STATUS_INVALID, pointer, "an image_url without url");
}

static enum status add_object(struct openai_body *body, const json_t *object, const char *pointer,
                              struct error *err) {
    static const char *const members[] = {"text", "image", "image_url", "image_base64"};
    const json_t *type = json_object_get(object, "type");
    const json_t *found = NULL;
    const char *name = NULL;
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        const json_t *value = json_object_get(object, members[i]);
        if (!value || json_is_null(value)) continue;
        if (found) {
            return error_set_at(err, STATUS_INVALID, pointer,
                                "an input has both %s and %s, one is expected", name, members[i]);
        }
        found = value;
        name = members[i];
    }
    if (!found) {
        return error_set_at(err, STATUS_INVALID, pointer,
                            "an input is a string, {\"text\"} or {\"image\"}, this object is none");
    }
    /* "type" repeats what the member says; {"type": "image", "image_url"} is known, too. */
    bool image = found != json_object_get(object, "text");
    bool fits = !type || is_word(type, name) || (image && is_word(type, "image"));
    if (!fits) return error_set_at(err, STATUS_INVALID, pointer, "type does not fit %s", name);
    char member[POINTER_SIZE];
    snprintf(member, sizeof(member), "%.64s/%s", pointer, name);
    if (image) return add_image_url(body, found, member, err);
    return add(body, KIND_TEXT, found, member, err);
}

static enum status add_item(struct openai_body *body, enum kind kind, const json_t *item,
                            const char *pointer, struct error *err) {
    if (json_is_object(item)) return add_object(body, item, pointer, err);
    if (json_is_string(item)) return add(body, kind, item, pointer, err);
    if (json_is_integer(item) || json_is_array(item)) {
        return error_set_at(err, STATUS_INVALID, pointer,
                            "token ids are not accepted, strings and objects are: have the client "
                            "send texts (check_embedding_ctx_length=False in LangChain)");
    }
    return error_set_at(err, STATUS_INVALID, pointer,
                        "an input is %s, a string or an object is expected", json_body_kind(item));
}

static enum status check_count(struct openai_body *body, const json_t *list, const char *pointer,
                               struct error *err) {
    size_t count = json_array_size(list);
    if (count == 0) {
        return error_set_at(err, STATUS_INVALID, pointer, "no inputs, at least one is expected");
    }
    /* Images are counted on their own while they are added. */
    size_t limit = body->texts.limit > body->images.limit ? body->texts.limit : body->images.limit;
    if (count <= limit) return STATUS_OK;
    return error_set_at(err, STATUS_TOO_LARGE, pointer, "%zu inputs, the limit is %zu", count,
                        limit);
}

static void set_pointer(struct inputs *inputs, const char *pointer, bool is_list) {
    snprintf(inputs->pointer, sizeof(inputs->pointer), "%s", pointer);
    inputs->is_list = is_list;
}

static enum status read_list(struct openai_body *body, enum kind kind, const json_t *value,
                             const char *pointer, struct error *err) {
    bool is_list = json_is_array(value);
    size_t count = is_list ? json_array_size(value) : 1;
    enum status status = is_list ? check_count(body, value, pointer, err) : STATUS_OK;
    if (status) return status;
    set_pointer(&body->images, pointer, is_list);
    set_pointer(&body->texts, pointer, is_list);
    body->is_image = calloc(count, sizeof(*body->is_image));
    if (!body->is_image) return error_set(err, STATUS_NO_MEMORY, "out of memory");
    if (!is_list) return add_item(body, kind, value, pointer, err);
    for (size_t i = 0; i < count && !status; i++) {
        char item[POINTER_SIZE];
        snprintf(item, sizeof(item), "%.64s/%zu", pointer, i);
        status = add_item(body, kind, json_array_get(value, i), item, err);
    }
    return status;
}

/* One conversation is one embedding, and CLIP embeds one text or one image. */
static enum status read_messages(struct openai_body *body, const json_t *messages,
                                 struct error *err) {
    const json_t *content = json_object_get(json_array_get(messages, 0), "content");
    bool one = json_array_size(messages) == 1 && content;
    if (one && json_is_array(content)) one = json_array_size(content) == 1;
    if (one) return read_list(body, KIND_BY_LOOK, content, "/messages/0/content", err);
    return error_set_at(err, STATUS_INVALID, "/messages",
                        "one message with one text or image is expected");
}

static enum status read_inputs(struct openai_body *body, struct error *err) {
    const json_t *input = json_object_get(body->json.root, "input");
    const json_t *messages = json_object_get(body->json.root, "messages");
    const json_t *modality = json_object_get(body->json.root, "modality");
    bool image = modality && is_word(modality, "image");
    bool text = modality && is_word(modality, "text");
    if (modality && !image && !text) {
        return error_set_at(err, STATUS_INVALID, "/modality", "modality must be text or image");
    }
    if (input && messages) {
        return error_set_at(err, STATUS_INVALID, "/messages", "give either input or messages");
    }
    if (messages) return read_messages(body, messages, err);
    enum kind kind = image ? KIND_IMAGE : text ? KIND_TEXT : KIND_BY_LOOK;
    if (input) return read_list(body, kind, input, "/input", err);
    return error_set_at(err, STATUS_INVALID, "/input", "input is missing");
}

/* ---- options ---- */

static enum status read_encoding(struct openai_body *body, const json_t *value, const char *pointer,
                                 struct error *err) {
    struct bytes name;
    enum status status = json_body_string(&name, &body->json, value, pointer, err);
    return status ? status : body_parse_encoding(&body->base64, name, pointer, err);
}

static enum status read_option(struct openai_body *body, const char *name, const json_t *value,
                               struct error *err) {
    /* Read elsewhere, or, as OpenAI's "user", nothing that changes an embedding: to
     * CLIP queries and documents are texts alike. */
    static const char *const others[] = {"input", "messages", "modality",  "user",
                                         "task",  "id",       "input_type"};
    char pointer[POINTER_SIZE];
    struct bytes text;
    snprintf(pointer, sizeof(pointer), "/%.64s", name);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        if (strcmp(name, others[i]) == 0) return STATUS_OK;
    }
    if (strcmp(name, "model") == 0) {
        enum status status = json_body_string(&text, &body->json, value, pointer, err);
        if (!status) body_copy_model(body->model, text);
        return status;
    }
    if (strcmp(name, "encoding_format") == 0 || strcmp(name, "embedding_type") == 0) {
        return read_encoding(body, value, pointer, err);
    }
    if (strcmp(name, "dimensions") == 0) {
        return json_body_uint(&body->dimensions, value, 1, pointer, err);
    }
    if (strcmp(name, "normalized") == 0) {
        return json_body_bool(&body->normalize, value, pointer, err);
    }
    if (strcmp(name, "truncate") == 0) {
        return json_body_bool(&body->truncate, value, pointer, err);
    }
    return error_set_at(err, STATUS_INVALID, pointer, "unrecognized request argument: %.64s", name);
}

static enum status read_all(struct openai_body *body, struct error *err) {
    const char *name;
    json_t *value;
    json_object_foreach(body->json.root, name, value) {
        enum status status = json_is_null(value) ? STATUS_OK : read_option(body, name, value, err);
        if (status) return status;
    }
    return read_inputs(body, err);
}

enum status openai_body_read(struct openai_body *out, const struct http_request *request,
                             const struct api_options *options, struct error *err) {
    *out = (struct openai_body){.normalize = true, .truncate = true};
    inputs_init(&out->images, "images", options->images_max);
    inputs_init(&out->texts, "texts", options->texts_max);
    enum status status = json_body_parse(&out->json, request->body, body_json_values_max(options),
                                         request->memory, err);
    return status ? status : read_all(out, err);
}

void openai_body_free(struct openai_body *body) {
    inputs_free(&body->images);
    inputs_free(&body->texts);
    free(body->is_image);
    json_body_free(&body->json);
}

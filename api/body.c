#include "api/body.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "api/body_row.h"

enum { INPUTS = BODY_IMAGES | BODY_TEXTS | BODY_LABELS | BODY_TEMPLATES };

/* ---- JSON ---- */

static enum status read_image(struct body *body, const json_t *value, const char *pointer,
                              struct error *err) {
    struct bytes text;
    const json_t *base64 = json_object_get(value, "base64"); /* NULL when it is no object */
    if (json_is_object(value) && (!json_is_string(base64) || json_object_size(value) != 1)) {
        return error_set_at(err, STATUS_INVALID, pointer,
                            "an image is {\"base64\": \"...\"} or a string, this object is not");
    }
    enum status status =
        json_body_string(&text, &body->json, base64 ? base64 : value, pointer, err);
    return status ? status : inputs_add_image_text(&body->images, text, pointer, err);
}

static enum status read_item(struct body *body, const struct body_row *field, const json_t *value,
                             const char *pointer, struct error *err) {
    struct bytes text;
    if (field->kind == BODY_KIND_IMAGES) return read_image(body, value, pointer, err);
    enum status status = json_body_string(&text, &body->json, value, pointer, err);
    return status ? status : inputs_add(body_row_inputs(body, field->bit), text, err);
}

static enum status read_items(struct body *body, const struct body_row *field, const json_t *value,
                              const char *pointer, struct error *err) {
    struct inputs *inputs = body_row_inputs(body, field->bit);
    enum status status = body_row_list(inputs, field, pointer, err);
    if (status) return status;
    inputs->is_list = field->is_list;
    if (!field->is_list) return read_item(body, field, value, pointer, err);
    if (!json_is_array(value)) {
        return error_set_at(err, STATUS_INVALID, pointer, "%s is %s, an array is expected",
                            field->name, json_body_kind(value));
    }
    status = inputs_check_count(inputs, json_array_size(value), pointer, err);
    for (size_t i = 0; i < json_array_size(value) && !status; i++) {
        char item[BODY_POINTER_SIZE + 24];
        snprintf(item, sizeof(item), "%s/%zu", pointer, i);
        status = read_item(body, field, json_array_get(value, i), item, err);
    }
    return status;
}

static enum status read_layer(int32_t *out, const json_t *value, const char *pointer,
                              struct error *err) {
    json_int_t number = json_integer_value(value); /* 0 when it is none */
    if (!json_is_integer(value) || number < -BODY_LAYER_MAX || number > BODY_LAYER_MAX) {
        return error_set_at(err, STATUS_INVALID, pointer,
                            "%s must be a whole number from -%d to %d", pointer + 1, BODY_LAYER_MAX,
                            BODY_LAYER_MAX);
    }
    *out = (int32_t)number;
    return STATUS_OK;
}

static enum status read_member(struct body *body, const struct body_row *field, const json_t *value,
                               struct error *err) {
    char pointer[BODY_POINTER_SIZE];
    struct bytes text;
    snprintf(pointer, sizeof(pointer), "/%s", field->name);
    switch (field->kind) {
    case BODY_KIND_FLAG:
        return json_body_bool(body_row_flag(body, field->bit), value, pointer, err);
    case BODY_KIND_COUNT: return json_body_uint(&body->top_k, value, 1, pointer, err);
    case BODY_KIND_IMAGES:
    case BODY_KIND_STRINGS: return read_items(body, field, value, pointer, err);
    case BODY_KIND_LAYER: return read_layer(&body->layer, value, pointer, err);
    case BODY_KIND_MODEL:
    case BODY_KIND_WORD: break;
    }
    enum status status = json_body_string(&text, &body->json, value, pointer, err);
    if (status) return status;
    if (field->kind == BODY_KIND_WORD) return body_row_word(body, field, text, pointer, err);
    body_copy_model(body->model, text);
    return STATUS_OK;
}

size_t body_json_values_max(const struct api_options *options) {
    /* An input is at most an object in an object in an array, with a few members. */
    return 64 + 16 * ((size_t)options->images_max + options->texts_max);
}

/* A null member is an absent one. Options come first, because they may say how to
 * read the inputs. */
static enum status read_members(struct body *body, unsigned allowed, bool inputs,
                                struct error *err) {
    const char *name;
    json_t *value;
    json_object_foreach(body->json.root, name, value) {
        const struct body_row *field = body_row_find(name, allowed, err);
        if (!field) return STATUS_INVALID;
        if (body_row_is_input(field) != inputs || json_is_null(value)) continue;
        enum status status = read_member(body, field, value, err);
        if (status) return status;
    }
    return STATUS_OK;
}

/* ---- multipart parts and query parameters ---- */

static enum status read_parts(struct body *body, const struct http_request *request,
                              unsigned allowed, bool inputs, struct error *err) {
    for (size_t i = 0; i < request->parts_count; i++) {
        const struct http_part *part = &request->parts[i];
        const struct body_row *field = body_row_find(part->name, allowed, err);
        if (!field) return STATUS_INVALID;
        if (body_row_is_input(field) != inputs) continue;
        enum status status = body_row_text(body, field, part->data, err);
        if (status) return status;
    }
    return STATUS_OK;
}

/* What is sought in a query. */
struct query_fields {
    struct body *body;
    unsigned bits; /* enum body_field */
};

/* Which names there may be is for the table of routes to say; one without a value says nothing. */
static enum status read_parameter(void *context, const char *name, struct bytes value,
                                  struct error *err) {
    const struct query_fields *fields = context;
    const struct body_row *row = value.data ? body_row_find(name, fields->bits, NULL) : NULL;
    return row ? body_row_text(fields->body, row, value, err) : STATUS_OK;
}

static enum status read_options_of_query(struct body *body, const struct http_request *request,
                                         unsigned allowed, struct error *err) {
    struct query_fields fields = {body, allowed & ~(unsigned)INPUTS};
    return request->each_query(request, read_parameter, &fields, err);
}

/* Labels and templates, which a raw image has no other place for. Beside others they stand for
 * what the body does not say. */
static enum status read_lists_of_query(struct body *body, const struct http_request *request,
                                       unsigned allowed, struct error *err) {
    struct query_fields fields = {body, 0};
    if (!body->labels.pointer[0]) fields.bits |= allowed & BODY_LABELS;
    if (!body->templates.pointer[0]) fields.bits |= allowed & BODY_TEMPLATES;
    return request->each_query(request, read_parameter, &fields, err);
}

static bool is_space(uint8_t byte) {
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

static struct bytes trim(struct bytes text) {
    while (text.size && is_space(text.data[0])) {
        text.data++;
        text.size--;
    }
    while (text.size && is_space(text.data[text.size - 1])) text.size--;
    return text;
}

/* Outside of JSON a single `labels` is a list with commas. */
static enum status split_labels(struct inputs *labels, struct error *err) {
    if (labels->count != 1 || labels->is_list) return STATUS_OK;
    struct bytes rest = labels->items[0];
    labels->count = 0;
    for (;;) {
        const uint8_t *comma = rest.size ? memchr(rest.data, ',', rest.size) : NULL;
        size_t size = comma ? (size_t)(comma - rest.data) : rest.size;
        struct bytes label = trim((struct bytes){.data = rest.data, .size = size});
        enum status status = inputs_add(labels, label, err);
        if (status || !comma) return status;
        labels->is_list = true;
        rest.data += size + 1;
        rest.size -= size + 1;
    }
}

/* ---- the whole ---- */

static bool is_type(const char *content_type, const char *expected) {
    size_t size = strcspn(content_type, "; \t");
    return size == strlen(expected) && strncasecmp(content_type, expected, size) == 0;
}

void body_content_names(char out[BODY_CONTENTS_SIZE], unsigned contents) {
    static const struct {
        enum body_content content;
        const char *name;
    } names[] = {{BODY_IMAGE, "image/*"},
                 {BODY_MULTIPART, "multipart/form-data"},
                 {BODY_JSON, "application/json"},
                 {BODY_NDJSON, "application/x-ndjson"},
                 {BODY_NPY, "application/x-npy"}};
    size_t size = 0;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (!(contents & names[i].content)) continue;
        contents &= ~(unsigned)names[i].content;
        const char *between = !size ? "" : contents ? ", " : " or ";
        size +=
            (size_t)snprintf(out + size, BODY_CONTENTS_SIZE - size, "%s%s", between, names[i].name);
    }
}

enum body_content body_content(const char *content_type) {
    if (!content_type) return BODY_UNDECLARED;
    if (is_type(content_type, "application/json")) return BODY_JSON;
    if (is_type(content_type, "multipart/form-data")) return BODY_MULTIPART;
    if (is_type(content_type, "application/x-ndjson")) return BODY_NDJSON;
    if (is_type(content_type, "application/x-npy")) return BODY_NPY;
    if (is_type(content_type, "application/octet-stream")) return BODY_IMAGE;
    if (strncasecmp(content_type, "image/", 6) == 0) return BODY_IMAGE;
    return BODY_UNKNOWN;
}

/* An undeclared body is JSON when it looks like it; whether the rest is an image is
 * for the decoder to say. */
static enum body_content content_of(const struct http_request *request, unsigned allowed) {
    enum body_content content = body_content(request->header(request, "Content-Type"));
    if (content != BODY_UNDECLARED) return content;
    struct bytes text = trim(request->body);
    bool image = allowed & BODY_IMAGES && text.size && text.data[0] != '{';
    return image ? BODY_IMAGE : BODY_JSON;
}

static enum status read_raw_image(struct body *body, const struct http_request *request,
                                  struct error *err) {
    if (request->body.size == 0) {
        return error_set(err, STATUS_INVALID, "the body is empty, an image is expected");
    }
    return inputs_add(&body->images, request->body, err);
}

static enum status read_content(struct body *body, const struct http_request *request,
                                const struct api_options *options, unsigned allowed,
                                struct error *err) {
    enum body_content content = content_of(request, allowed);
    enum status status = read_options_of_query(body, request, allowed, err);
    if (status) return status;
    switch (content) {
    case BODY_JSON:
        status = json_body_parse(&body->json, request->body, body_json_values_max(options),
                                 request->memory, err);
        if (!status) status = read_members(body, allowed, false, err);
        body->images.tolerant = body->partial;
        if (!status) status = read_members(body, allowed, true, err);
        break;
    case BODY_MULTIPART:
        status = read_parts(body, request, allowed, false, err);
        if (!status) status = read_parts(body, request, allowed, true, err);
        break;
    default: status = read_raw_image(body, request, err); break;
    }
    return status ? status : read_lists_of_query(body, request, allowed, err);
}

enum status body_read(struct body *out, const struct http_request *request,
                      const struct api_options *options, unsigned allowed, struct error *err) {
    *out = (struct body){.normalize = true, .truncate = true, .layer = BODY_LAYER_DEFAULT};
    inputs_init(&out->images, "images", options->images_max);
    inputs_init(&out->texts, "texts", options->texts_max);
    inputs_init(&out->labels, "labels", options->texts_max);
    inputs_init(&out->templates, "templates", options->texts_max);
    enum status status = read_content(out, request, options, allowed, err);
    if (!status) status = split_labels(&out->labels, err);
    const struct inputs *required[] = {&out->images, &out->texts, &out->labels};
    static const unsigned bits[] = {BODY_IMAGES, BODY_TEXTS, BODY_LABELS};
    for (size_t i = 0; i < 3 && !status; i++) {
        char pointer[BODY_POINTER_SIZE];
        if (!(allowed & bits[i]) || required[i]->count) continue;
        snprintf(pointer, sizeof(pointer), "/%s", required[i]->noun);
        status = error_set_at(err, STATUS_INVALID, pointer, "no %s, at least one is expected",
                              required[i]->noun);
    }
    return status;
}

void body_free(struct body *body) {
    inputs_free(&body->images);
    inputs_free(&body->texts);
    inputs_free(&body->labels);
    inputs_free(&body->templates);
    json_body_free(&body->json);
}

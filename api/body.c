#include "api/body.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "api/utf8.h"

enum { POINTER_SIZE = 64 };

enum kind { KIND_MODEL, KIND_FLAG, KIND_ENCODING, KIND_COUNT, KIND_IMAGES, KIND_STRINGS };

struct field {
    const char *name;
    enum body_field bit;
    enum kind kind;
    bool is_list; /* of JSON: an array */
};

/* A list has a singular and a plural, for one item and for many. */
static const struct field fields[] = {
    {"model", BODY_MODEL, KIND_MODEL, false},
    {"normalize", BODY_NORMALIZE, KIND_FLAG, false},
    {"encoding", BODY_ENCODING, KIND_ENCODING, false},
    {"partial", BODY_PARTIAL, KIND_FLAG, false},
    {"truncate", BODY_TRUNCATE, KIND_FLAG, false},
    {"top_k", BODY_TOP_K, KIND_COUNT, false},
    {"image", BODY_IMAGES, KIND_IMAGES, false},
    {"images", BODY_IMAGES, KIND_IMAGES, true},
    {"text", BODY_TEXTS, KIND_STRINGS, false},
    {"texts", BODY_TEXTS, KIND_STRINGS, true},
    {"labels", BODY_LABELS, KIND_STRINGS, true},
    {"template", BODY_TEMPLATES, KIND_STRINGS, false},
    {"templates", BODY_TEMPLATES, KIND_STRINGS, true},
};
enum { FIELDS_COUNT = sizeof(fields) / sizeof(fields[0]) };

static bool is_input(const struct field *field) {
    return field->kind == KIND_IMAGES || field->kind == KIND_STRINGS;
}

static bool *flag_of(struct body *body, enum body_field bit) {
    switch (bit) {
    case BODY_NORMALIZE: return &body->normalize;
    case BODY_PARTIAL: return &body->partial;
    default: return &body->truncate;
    }
}

static struct inputs *inputs_of(struct body *body, enum body_field bit) {
    switch (bit) {
    case BODY_IMAGES: return &body->images;
    case BODY_TEXTS: return &body->texts;
    case BODY_LABELS: return &body->labels;
    default: return &body->templates;
    }
}

/* "/name" as a JSON pointer: RFC 6901 escapes two characters. */
static void point_to(char pointer[POINTER_SIZE], const char *name) {
    size_t size = 0;
    pointer[size++] = '/';
    for (; *name && size + 3 < POINTER_SIZE; name++) {
        if (*name == '~' || *name == '/') pointer[size++] = '~';
        pointer[size++] = (char)(*name == '~' ? '0' : *name == '/' ? '1' : *name);
    }
    pointer[size] = '\0';
}

/* The row of an allowed field of that name. */
static const struct field *find_field(const char *name, unsigned allowed, struct error *err) {
    char pointer[POINTER_SIZE], names[160] = "";
    size_t size = 0;
    for (size_t i = 0; i < FIELDS_COUNT; i++) {
        if (!(fields[i].bit & allowed)) continue;
        if (strcmp(fields[i].name, name) == 0) return &fields[i];
        size += (size_t)snprintf(names + size, sizeof(names) - size, "%s%s", size ? ", " : "",
                                 fields[i].name);
    }
    point_to(pointer, name);
    error_set_at(err, STATUS_INVALID, pointer, "\"%.64s\" is not a field of this request: %s", name,
                 names);
    return NULL;
}

/* ---- values that both forms have ---- */

void body_copy_model(char out[BODY_MODEL_MAX], struct bytes name) {
    bool fits = name.size < BODY_MODEL_MAX && !memchr(name.data, 0, name.size);
    /* Nothing is called "?": such a name ends in "no such model", not in the default. */
    snprintf(out, BODY_MODEL_MAX, "%.*s", fits ? (int)name.size : 1,
             fits ? (const char *)name.data : "?");
}

enum status body_parse_encoding(bool *base64, struct bytes name, const char *pointer,
                                struct error *err) {
    *base64 = name.size == 6 && memcmp(name.data, "base64", 6) == 0;
    if (*base64 || (name.size == 5 && memcmp(name.data, "float", 5) == 0)) return STATUS_OK;
    return error_set_at(err, STATUS_INVALID, pointer, "%s is \"%.*s\", float or base64 is expected",
                        pointer + 1, name.size < 32 ? (int)name.size : 32, (const char *)name.data);
}

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

static enum status read_item(struct body *body, const struct field *field, const json_t *value,
                             const char *pointer, struct error *err) {
    struct bytes text;
    if (field->kind == KIND_IMAGES) return read_image(body, value, pointer, err);
    enum status status = json_body_string(&text, &body->json, value, pointer, err);
    return status ? status : inputs_add(inputs_of(body, field->bit), text, err);
}

static enum status read_items(struct body *body, const struct field *field, const json_t *value,
                              const char *pointer, struct error *err) {
    struct inputs *inputs = inputs_of(body, field->bit);
    if (inputs->pointer[0]) {
        return error_set_at(err, STATUS_INVALID, pointer, "give either %s or %s",
                            inputs->pointer + 1, field->name);
    }
    inputs->is_list = field->is_list;
    snprintf(inputs->pointer, sizeof(inputs->pointer), "%s", pointer);
    if (!field->is_list) return read_item(body, field, value, pointer, err);
    if (!json_is_array(value)) {
        return error_set_at(err, STATUS_INVALID, pointer, "%s is %s, an array is expected",
                            field->name, json_body_kind(value));
    }
    enum status status = inputs_check_count(inputs, json_array_size(value), pointer, err);
    for (size_t i = 0; i < json_array_size(value) && !status; i++) {
        char item[POINTER_SIZE + 24];
        snprintf(item, sizeof(item), "%s/%zu", pointer, i);
        status = read_item(body, field, json_array_get(value, i), item, err);
    }
    return status;
}

static enum status read_member(struct body *body, const struct field *field, const json_t *value,
                               struct error *err) {
    char pointer[POINTER_SIZE];
    struct bytes text;
    snprintf(pointer, sizeof(pointer), "/%s", field->name);
    switch (field->kind) {
    case KIND_FLAG: return json_body_bool(flag_of(body, field->bit), value, pointer, err);
    case KIND_COUNT: return json_body_uint(&body->top_k, value, 1, pointer, err);
    case KIND_IMAGES:
    case KIND_STRINGS: return read_items(body, field, value, pointer, err);
    case KIND_MODEL:
    case KIND_ENCODING: break;
    }
    enum status status = json_body_string(&text, &body->json, value, pointer, err);
    if (status) return status;
    if (field->kind == KIND_ENCODING) {
        return body_parse_encoding(&body->base64, text, pointer, err);
    }
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
        const struct field *field = find_field(name, allowed, err);
        if (!field) return STATUS_INVALID;
        if (is_input(field) != inputs || json_is_null(value)) continue;
        enum status status = read_member(body, field, value, err);
        if (status) return status;
    }
    return STATUS_OK;
}

/* ---- multipart parts and query parameters ---- */

static enum status read_flag_text(bool *out, struct bytes text, const char *pointer,
                                  struct error *err) {
    static const char *const words[] = {"false", "true", "0", "1"};
    for (int i = 0; i < 4; i++) {
        if (text.size != strlen(words[i])) continue;
        if (memcmp(words[i], text.data, text.size) != 0) continue;
        *out = i & 1;
        return STATUS_OK;
    }
    return error_set_at(err, STATUS_INVALID, pointer, "%s must be true or false", pointer + 1);
}

static enum status read_count_text(uint32_t *out, struct bytes text, const char *pointer,
                                   struct error *err) {
    uint64_t number = 0;
    size_t digits = 0;
    while (digits < text.size && digits < 10 && text.data[digits] >= '0' &&
           text.data[digits] <= '9') {
        number = number * 10 + (uint64_t)(text.data[digits++] - '0');
    }
    if (digits < text.size || number < 1 || number > UINT32_MAX) {
        return error_set_at(err, STATUS_INVALID, pointer, "%s must be a whole number from 1",
                            pointer + 1);
    }
    *out = (uint32_t)number;
    return STATUS_OK;
}

static enum status read_text(struct body *body, const struct field *field, struct bytes text,
                             struct error *err) {
    char pointer[POINTER_SIZE];
    snprintf(pointer, sizeof(pointer), "/%s", field->name);
    if (field->kind == KIND_IMAGES) return inputs_add(&body->images, text, err);
    if (!utf8_valid(text)) {
        return error_set_at(err, STATUS_INVALID, pointer, "%s is not UTF-8", field->name);
    }
    switch (field->kind) {
    case KIND_FLAG: return read_flag_text(flag_of(body, field->bit), text, pointer, err);
    case KIND_COUNT: return read_count_text(&body->top_k, text, pointer, err);
    case KIND_ENCODING: return body_parse_encoding(&body->base64, text, pointer, err);
    case KIND_MODEL: body_copy_model(body->model, text); return STATUS_OK;
    default: return inputs_add(inputs_of(body, field->bit), text, err);
    }
}

static enum status read_parts(struct body *body, const struct http_request *request,
                              unsigned allowed, bool inputs, struct error *err) {
    for (size_t i = 0; i < request->parts_count; i++) {
        const struct http_part *part = &request->parts[i];
        const struct field *field = find_field(part->name, allowed, err);
        if (!field) return STATUS_INVALID;
        if (is_input(field) != inputs) continue;
        enum status status = read_text(body, field, part->data, err);
        if (status) return status;
    }
    return STATUS_OK;
}

/* Options may stand in the query of any request, labels and templates only beside a
 * raw image, which has no other place for them. */
static enum status read_query(struct body *body, const struct http_request *request,
                              unsigned allowed, bool inputs, struct error *err) {
    for (size_t i = 0; i < FIELDS_COUNT; i++) {
        const struct field *field = &fields[i];
        if (!(field->bit & allowed) || field->kind == KIND_IMAGES) continue;
        const char *text = is_input(field) == inputs ? request->query(request, field->name) : NULL;
        if (!text) continue;
        enum status status = read_text(body, field, bytes_of(text), err);
        if (status) return status;
    }
    return STATUS_OK;
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
    if (labels->count != 1 || labels->pointer[0]) return STATUS_OK;
    struct bytes rest = labels->items[0];
    labels->count = 0;
    for (;;) {
        const uint8_t *comma = rest.size ? memchr(rest.data, ',', rest.size) : NULL;
        size_t size = comma ? (size_t)(comma - rest.data) : rest.size;
        struct bytes label = trim((struct bytes){.data = rest.data, .size = size});
        enum status status = inputs_add(labels, label, err);
        if (status || !comma) return status;
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

static enum status read_content(struct body *body, const struct http_request *request,
                                const struct api_options *options, unsigned allowed,
                                struct error *err) {
    enum body_content content = content_of(request, allowed);
    enum status status = read_query(body, request, allowed, false, err);
    if (status) return status;
    switch (content) {
    case BODY_JSON:
        status = json_body_parse(&body->json, request->body, body_json_values_max(options), err);
        if (!status) status = read_members(body, allowed, false, err);
        body->images.tolerant = body->partial;
        return status ? status : read_members(body, allowed, true, err);
    case BODY_MULTIPART:
        status = read_parts(body, request, allowed, false, err);
        return status ? status : read_parts(body, request, allowed, true, err);
    default: break;
    }
    if (request->body.size == 0) {
        return error_set(err, STATUS_INVALID, "the body is empty, an image is expected");
    }
    status = inputs_add(&body->images, request->body, err);
    return status ? status : read_query(body, request, allowed, true, err);
}

enum status body_read(struct body *out, const struct http_request *request,
                      const struct api_options *options, unsigned allowed, struct error *err) {
    *out = (struct body){.normalize = true, .truncate = true};
    inputs_init(&out->images, "images", options->images_max);
    inputs_init(&out->texts, "texts", options->texts_max);
    inputs_init(&out->labels, "labels", options->texts_max);
    inputs_init(&out->templates, "templates", options->texts_max);
    enum status status = read_content(out, request, options, allowed, err);
    if (!status) status = split_labels(&out->labels, err);
    const struct inputs *required[] = {&out->images, &out->texts, &out->labels};
    static const unsigned bits[] = {BODY_IMAGES, BODY_TEXTS, BODY_LABELS};
    for (size_t i = 0; i < 3 && !status; i++) {
        char pointer[POINTER_SIZE];
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

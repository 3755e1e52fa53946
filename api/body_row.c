#include "api/body_row.h"

#include <stdio.h>
#include <string.h>

#include "api/utf8.h"

const struct body_row body_rows[BODY_FIELDS_COUNT] = {
    {"model", BODY_MODEL, BODY_KIND_MODEL, false, {NULL}},
    {"normalize", BODY_NORMALIZE, BODY_KIND_FLAG, false, {NULL}},
    {"encoding", BODY_ENCODING, BODY_KIND_WORD, false, {"float", "base64"}},
    {"partial", BODY_PARTIAL, BODY_KIND_FLAG, false, {NULL}},
    {"truncate", BODY_TRUNCATE, BODY_KIND_FLAG, false, {NULL}},
    {"top_k", BODY_TOP_K, BODY_KIND_COUNT, false, {NULL}},
    {"layer", BODY_LAYER, BODY_KIND_LAYER, false, {NULL}},
    {"class_token", BODY_CLASS_TOKEN, BODY_KIND_FLAG, false, {NULL}},
    {"format", BODY_FORMAT, BODY_KIND_WORD, false, {"npy", "raw"}},
    {"dtype", BODY_DTYPE, BODY_KIND_WORD, false, {"float32", "float16"}},
    {"image", BODY_IMAGES, BODY_KIND_IMAGES, false, {NULL}},
    {"images", BODY_IMAGES, BODY_KIND_IMAGES, true, {NULL}},
    {"text", BODY_TEXTS, BODY_KIND_STRINGS, false, {NULL}},
    {"texts", BODY_TEXTS, BODY_KIND_STRINGS, true, {NULL}},
    {"labels", BODY_LABELS, BODY_KIND_STRINGS, true, {NULL}},
    {"template", BODY_TEMPLATES, BODY_KIND_STRINGS, false, {NULL}},
    {"templates", BODY_TEMPLATES, BODY_KIND_STRINGS, true, {NULL}},
};

bool body_row_is_input(const struct body_row *row) {
    return row->kind == BODY_KIND_IMAGES || row->kind == BODY_KIND_STRINGS;
}

bool *body_row_flag(struct body *body, enum body_field bit) {
    switch (bit) {
    case BODY_NORMALIZE: return &body->normalize;
    case BODY_ENCODING: return &body->base64;
    case BODY_PARTIAL: return &body->partial;
    case BODY_CLASS_TOKEN: return &body->class_token;
    case BODY_FORMAT: return &body->bare;
    case BODY_DTYPE: return &body->half;
    default: return &body->truncate;
    }
}

struct inputs *body_row_inputs(struct body *body, enum body_field bit) {
    switch (bit) {
    case BODY_IMAGES: return &body->images;
    case BODY_TEXTS: return &body->texts;
    case BODY_LABELS: return &body->labels;
    default: return &body->templates;
    }
}

enum status body_row_list(struct inputs *inputs, const struct body_row *row, const char *pointer,
                          struct error *err) {
    if (inputs->pointer[0] && strcmp(inputs->pointer, pointer) != 0) {
        return error_set_at(err, STATUS_INVALID, pointer, "give either %s or %s",
                            inputs->pointer + 1, row->name);
    }
    snprintf(inputs->pointer, sizeof(inputs->pointer), "%s", pointer);
    return STATUS_OK;
}

/* "/name" as a JSON pointer: RFC 6901 escapes two characters. */
static void point_to(char pointer[BODY_POINTER_SIZE], const char *name) {
    size_t size = 0;
    pointer[size++] = '/';
    for (; *name && size + 3 < BODY_POINTER_SIZE; name++) {
        if (*name == '~' || *name == '/') pointer[size++] = '~';
        pointer[size++] = (char)(*name == '~' ? '0' : *name == '/' ? '1' : *name);
    }
    pointer[size] = '\0';
}

const struct body_row *body_row_find(const char *name, unsigned allowed, struct error *err) {
    char pointer[BODY_POINTER_SIZE], names[160] = "";
    size_t size = 0;
    for (size_t i = 0; i < BODY_FIELDS_COUNT; i++) {
        if (!(body_rows[i].bit & allowed)) continue;
        if (strcmp(body_rows[i].name, name) == 0) return &body_rows[i];
        size += (size_t)snprintf(names + size, sizeof(names) - size, "%s%s", size ? ", " : "",
                                 body_rows[i].name);
    }
    point_to(pointer, name);
    error_set_at(err, STATUS_INVALID, pointer, "\"%.64s\" is not a field of this request: %s", name,
                 names);
    return NULL;
}

/* ---- values ---- */

static bool is_word(struct bytes text, const char *word) {
    return text.size == strlen(word) && memcmp(text.data, word, text.size) == 0;
}

static enum status parse_word(bool *out, const char *const words[2], struct bytes word,
                              const char *pointer, struct error *err) {
    *out = is_word(word, words[1]);
    if (*out || is_word(word, words[0])) return STATUS_OK;
    return error_set_at(err, STATUS_INVALID, pointer, "%s is \"%.*s\", %s or %s is expected",
                        pointer + 1, word.size < 32 ? (int)word.size : 32, (const char *)word.data,
                        words[0], words[1]);
}

enum status body_row_word(struct body *body, const struct body_row *row, struct bytes word,
                          const char *pointer, struct error *err) {
    return parse_word(body_row_flag(body, row->bit), row->words, word, pointer, err);
}

enum status body_parse_encoding(bool *base64, struct bytes name, const char *pointer,
                                struct error *err) {
    static const char *const words[2] = {"float", "base64"};
    return parse_word(base64, words, name, pointer, err);
}

void body_copy_model(char out[BODY_MODEL_MAX], struct bytes name) {
    bool fits = name.size < BODY_MODEL_MAX && !memchr(name.data, 0, name.size);
    /* Nothing is called "?": such a name ends in "no such model", not in the default. */
    snprintf(out, BODY_MODEL_MAX, "%.*s", fits ? (int)name.size : 1,
             fits ? (const char *)name.data : "?");
}

static enum status read_flag(bool *out, struct bytes text, const char *pointer, struct error *err) {
    static const char *const words[] = {"false", "true", "0", "1"};
    for (int i = 0; i < 4; i++) {
        if (!is_word(text, words[i])) continue;
        *out = i & 1;
        return STATUS_OK;
    }
    return error_set_at(err, STATUS_INVALID, pointer, "%s must be true or false", pointer + 1);
}

/* At most ten digits, and nothing else. */
static bool read_digits(uint64_t *out, struct bytes text) {
    if (text.size == 0 || text.size > 10) return false;
    *out = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') return false;
        *out = *out * 10 + (uint64_t)(text.data[i] - '0');
    }
    return true;
}

static enum status read_count(uint32_t *out, struct bytes text, const char *pointer,
                              struct error *err) {
    uint64_t number = 0;
    if (!read_digits(&number, text) || number < 1 || number > UINT32_MAX) {
        return error_set_at(err, STATUS_INVALID, pointer, "%s must be a whole number from 1",
                            pointer + 1);
    }
    *out = (uint32_t)number;
    return STATUS_OK;
}

static enum status read_layer(int32_t *out, struct bytes text, const char *pointer,
                              struct error *err) {
    uint64_t number = 0;
    bool negative = text.size && text.data[0] == '-';
    struct bytes digits = {text.data + negative, text.size - negative};
    if (!read_digits(&number, digits) || number > BODY_LAYER_MAX) {
        return error_set_at(err, STATUS_INVALID, pointer,
                            "%s must be a whole number from -%d to %d", pointer + 1, BODY_LAYER_MAX,
                            BODY_LAYER_MAX);
    }
    *out = negative ? -(int32_t)number : (int32_t)number;
    return STATUS_OK;
}

/* A name that comes again makes a list. */
static enum status add_string(struct inputs *inputs, const struct body_row *row, struct bytes text,
                              const char *pointer, struct error *err) {
    enum status status = body_row_list(inputs, row, pointer, err);
    if (status) return status;
    inputs->is_list = inputs->count > 0;
    return inputs_add(inputs, text, err);
}

enum status body_row_text(struct body *body, const struct body_row *row, struct bytes text,
                          struct error *err) {
    char pointer[BODY_POINTER_SIZE];
    snprintf(pointer, sizeof(pointer), "/%s", row->name);
    if (row->kind == BODY_KIND_IMAGES) return inputs_add(&body->images, text, err);
    if (!utf8_valid(text)) {
        return error_set_at(err, STATUS_INVALID, pointer, "%s is not UTF-8", row->name);
    }
    switch (row->kind) {
    case BODY_KIND_FLAG: return read_flag(body_row_flag(body, row->bit), text, pointer, err);
    case BODY_KIND_WORD: return body_row_word(body, row, text, pointer, err);
    case BODY_KIND_COUNT: return read_count(&body->top_k, text, pointer, err);
    case BODY_KIND_LAYER: return read_layer(&body->layer, text, pointer, err);
    case BODY_KIND_MODEL: body_copy_model(body->model, text); return STATUS_OK;
    default: return add_string(body_row_inputs(body, row->bit), row, text, pointer, err);
    }
}

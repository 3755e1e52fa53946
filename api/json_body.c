#include "api/json_body.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* Strings from STAND_IN_MIN bytes are worth a stand-in: NUL, offset, ":", size. */
enum { DEPTH_MAX = 48, STAND_IN_MIN = 1024, STAND_IN_SIZE = 48 };

/* What jansson allocates: a number and its place in an array; besides that, an object, a string
 * (or a name), and a member's place in a table that grows to twice its size meanwhile. */
enum {
    BYTES_OF_VALUE = 48,
    BYTES_OF_CONTAINER = 176,
    BYTES_OF_STRING = 48,
    BYTES_OF_MEMBER = 64,
};

/* What was learnt about a text before it is parsed. */
struct scan {
    size_t values, containers, strings, members, depth;
    size_t long_strings;
    bool has_nul; /* a string with an escaped NUL: it could be taken for a stand-in */
};

/* A string without quotes, and whether it means what it says, being ASCII without
 * escapes. */
struct string {
    size_t start, end;
    bool plain, has_nul;
};

/* The string behind the quote at `from`; it ends with the text if nothing else does. */
static struct string read_string(struct bytes text, size_t from) {
    struct string string = {.start = from + 1, .end = from + 1, .plain = true};
    while (string.end < text.size && text.data[string.end] != '"') {
        uint8_t byte = text.data[string.end];
        if (byte < 0x20 || byte >= 0x7f || byte == '\\') string.plain = false;
        if (byte == '\\') {
            size_t left = text.size - string.end;
            if (left >= 6 && memcmp(text.data + string.end, "\\u0000", 6) == 0) {
                string.has_nul = true;
            }
            string.end++;
        }
        string.end++;
    }
    if (string.end > text.size) string.end = text.size;
    return string;
}

static bool is_space(uint8_t byte) {
    return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
}

/* Long, plain, complete, and a value, no name. */
static bool deserves_stand_in(struct bytes text, const struct string *string) {
    size_t next = string->end + 1;
    if (!string->plain || string->end - string->start < STAND_IN_MIN) return false;
    while (next < text.size && is_space(text.data[next])) next++;
    return next < text.size && text.data[next] != ':';
}

/* Counts what will cost memory, and nothing else: whether it is JSON is for the
 * parser to say. Every value but the first of a container follows a comma, the first
 * ones are counted with their container. Bytes that JSON allows only in strings are
 * refused here because jansson takes a NUL for the end. */
static enum status scan_byte(struct scan *scan, struct bytes text, size_t *at, struct error *err) {
    struct string string;
    uint8_t byte = text.data[*at];
    switch (byte) {
    case '"':
        string = read_string(text, *at);
        scan->strings++;
        if (deserves_stand_in(text, &string)) scan->long_strings++;
        if (string.has_nul) scan->has_nul = true;
        *at = string.end;
        break;
    case '[':
    case '{':
        scan->depth++;
        scan->containers++;
        scan->values++;
        break;
    case ']':
    case '}': scan->depth -= scan->depth > 0; break;
    case ',': scan->values++; break;
    case ':': scan->members++; break;
    default:
        if (byte >= 0x20 || is_space(byte)) break;
        return error_set(err, STATUS_INVALID, "not valid JSON: byte 0x%02x at offset %zu", byte,
                         *at);
    }
    return STATUS_OK;
}

static enum status scan_text(struct scan *scan, struct bytes text, size_t values_max,
                             struct error *err) {
    *scan = (struct scan){.values = 1};
    for (size_t i = 0; i < text.size; i++) {
        enum status status = scan_byte(scan, text, &i, err);
        if (status) return status;
        if (scan->depth > DEPTH_MAX) {
            return error_set(err, STATUS_INVALID, "the JSON nests deeper than %d levels",
                             DEPTH_MAX);
        }
        if (scan->values > values_max) {
            return error_set(err, STATUS_TOO_LARGE, "the JSON has more than %zu values",
                             values_max);
        }
    }
    return STATUS_OK;
}

/* The text with stand-ins for its long strings. */
static enum status shorten(struct buffer *out, struct bytes text, struct error *err) {
    enum status status = STATUS_OK;
    size_t copied = 0;
    buffer_init(out, text.size);
    for (size_t i = 0; i < text.size && !status; i++) {
        if (text.data[i] != '"') continue;
        struct string string = read_string(text, i);
        i = string.end;
        if (!deserves_stand_in(text, &string)) continue;
        status = buffer_append(out, text.data + copied, string.start - copied, err);
        if (!status) {
            status =
                buffer_printf(out, err, "\\u0000%zx:%zx", string.start, string.end - string.start);
        }
        copied = string.end;
    }
    return status ? status : buffer_append(out, text.data + copied, text.size - copied, err);
}

/* What a stand-in stands for. */
static struct bytes find_original(const struct json_body *json, struct bytes stand_in) {
    char text[STAND_IN_SIZE];
    size_t start = 0, size = 0;
    snprintf(text, sizeof(text), "%.*s", (int)stand_in.size - 1, (const char *)stand_in.data + 1);
    int found = sscanf(text, "%zx:%zx", &start, &size);
    assert(found == 2 && start <= json->text.size && size <= json->text.size - start);
    return (struct bytes){.data = json->text.data + start, .size = size};
}

static enum status report(const json_error_t *error, struct error *err) {
    switch (json_error_code(error)) {
    case json_error_duplicate_key:
        return error_set(err, STATUS_INVALID, "the JSON has a member twice: line %d, column %d",
                         error->line, error->column);
    case json_error_null_byte_in_key:
        return error_set(err, STATUS_INVALID,
                         "the JSON has a member whose name contains NUL: line %d, column %d",
                         error->line, error->column);
    case json_error_out_of_memory:
        return error_set(err, STATUS_NO_MEMORY, "out of memory for a JSON body");
    default:
        return error_set(err, STATUS_INVALID, "not valid JSON: line %d, column %d: %s", error->line,
                         error->column, error->text);
    }
}

static enum status load(json_t **out, struct bytes text, struct error *err) {
    json_error_t error;
    json_t *root = json_loadb((const char *)text.data, text.size,
                              JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    if (!root) return report(&error, err);
    if (json_is_object(root)) {
        *out = root;
        return STATUS_OK;
    }
    error_set(err, STATUS_INVALID, "the body is %s, an object is expected", json_body_kind(root));
    json_decref(root);
    return STATUS_INVALID;
}

/* Takes what jansson's tree will need, about. */
static enum status charge(struct json_body *out, const struct scan *scan, struct bytes text,
                          struct error *err) {
    size_t bytes = scan->values * BYTES_OF_VALUE + scan->containers * BYTES_OF_CONTAINER +
                   scan->strings * BYTES_OF_STRING + scan->members * BYTES_OF_MEMBER + text.size;
    if (!out->memory) return STATUS_OK;
    if (!budget_take(out->memory, bytes)) {
        return error_set(err, STATUS_OVERLOADED,
                         "no memory for a body of %zu values, %zu bytes are in use", scan->values,
                         budget_used(out->memory));
    }
    out->charged = bytes;
    return STATUS_OK;
}

enum status json_body_parse(struct json_body *out, struct bytes text, size_t values_max,
                            struct budget *memory, struct error *err) {
    struct scan scan;
    struct buffer shortened = {0};
    *out = (struct json_body){.text = text, .memory = memory};
    if (text.size == 0) {
        return error_set(err, STATUS_INVALID, "the body is empty, a JSON object is expected");
    }
    enum status status = scan_text(&scan, text, values_max, err);
    out->has_stand_ins = scan.long_strings && !scan.has_nul;
    if (!status && out->has_stand_ins) status = shorten(&shortened, text, err);
    struct bytes parsed = out->has_stand_ins ? buffer_view(&shortened) : text;
    if (!status) status = charge(out, &scan, parsed, err);
    if (!status) status = load(&out->root, parsed, err);
    buffer_free(&shortened);
    if (status) json_body_free(out);
    return status;
}

void json_body_free(struct json_body *json) {
    json_decref(json->root);
    if (json->memory) budget_give(json->memory, json->charged);
    *json = (struct json_body){0};
}

const char *json_body_kind(const json_t *value) {
    if (!value) return "missing";
    switch (json_typeof(value)) {
    case JSON_OBJECT: return "an object";
    case JSON_ARRAY: return "an array";
    case JSON_STRING: return "a string";
    case JSON_INTEGER:
    case JSON_REAL: return "a number";
    case JSON_TRUE:
    case JSON_FALSE: return "a boolean";
    case JSON_NULL: return "null";
    }
    return "unknown";
}

enum status json_body_bool(bool *out, const json_t *value, const char *pointer, struct error *err) {
    if (!json_is_boolean(value)) {
        return error_set_at(err, STATUS_INVALID, pointer, "%s is %s, true or false is expected",
                            pointer + 1, json_body_kind(value));
    }
    *out = json_is_true(value);
    return STATUS_OK;
}

enum status json_body_uint(uint32_t *out, const json_t *value, uint32_t min, const char *pointer,
                           struct error *err) {
    json_int_t number = json_integer_value(value); /* 0 when it is none */
    if (!json_is_integer(value) || number < (json_int_t)min || number > (json_int_t)UINT32_MAX) {
        return error_set_at(err, STATUS_INVALID, pointer, "%s must be a whole number from %u",
                            pointer + 1, min);
    }
    *out = (uint32_t)number;
    return STATUS_OK;
}

enum status json_body_string(struct bytes *out, const struct json_body *json, const json_t *value,
                             const char *pointer, struct error *err) {
    if (!json_is_string(value)) {
        return error_set_at(err, STATUS_INVALID, pointer, "%s is %s, a string is expected",
                            pointer + 1, json_body_kind(value));
    }
    *out = (struct bytes){.data = (const uint8_t *)json_string_value(value),
                          .size = json_string_length(value)};
    if (json->has_stand_ins && out->size && out->data[0] == 0) *out = find_original(json, *out);
    return STATUS_OK;
}

json_t *json_body_iterable(const json_t *value) {
    union {
        const json_t *constant;
        json_t *iterable;
    } same = {.constant = value};
    return same.iterable;
}

/* RFC 6901 escapes two characters. */
void json_body_point(char out[JSON_POINTER_SIZE], const char *pointer, const char *name) {
    int written = snprintf(out, JSON_POINTER_SIZE, "%s/", pointer);
    size_t size = written < JSON_POINTER_SIZE ? (size_t)written : JSON_POINTER_SIZE - 1;
    for (; *name && size + 3 < JSON_POINTER_SIZE; name++) {
        if (*name == '~' || *name == '/') out[size++] = '~';
        out[size++] = (char)(*name == '~' ? '0' : *name == '/' ? '1' : *name);
        out[size] = '\0';
    }
}

void json_body_point_at(char out[JSON_POINTER_SIZE], const char *pointer, size_t index) {
    snprintf(out, JSON_POINTER_SIZE, "%s/%zu", pointer, index);
}

enum status json_body_double(double *out, const json_t *value, const char *pointer,
                             struct error *err) {
    if (!json_is_number(value)) {
        return error_set_at(err, STATUS_INVALID, pointer, "%s is %s, a number is expected",
                            pointer + 1, json_body_kind(value));
    }
    *out = json_number_value(value);
    return STATUS_OK;
}

/* The table as a sentence: "a, b, c". */
static void list_words(char out[200], const char *const *words, size_t count) {
    size_t size = 0;
    out[0] = '\0';
    for (size_t i = 0; i < count && size < 200; i++) {
        size += (size_t)snprintf(out + size, 200 - size, "%s%s", i ? ", " : "", words[i]);
    }
}

enum status json_body_word(size_t *out, const struct json_body *json, const json_t *value,
                           const char *pointer, const char *const *words, size_t count,
                           struct error *err) {
    struct bytes text = bytes_of("");
    char all[200];
    enum status status = json_body_string(&text, json, value, pointer, err);
    for (size_t i = 0; i < count && !status; i++) {
        *out = i;
        if (text.size == strlen(words[i]) && !memcmp(text.data, words[i], text.size)) {
            return STATUS_OK;
        }
    }
    if (status) return status;
    list_words(all, words, count);
    return error_set_at(err, STATUS_INVALID, pointer, "%s is \"%.*s\", expected one of %s",
                        pointer + 1, text.size < 32 ? (int)text.size : 32, (const char *)text.data,
                        all);
}

enum status json_body_members(const json_t *value, const char *pointer, const char *noun,
                              const char *const *names, size_t count, struct error *err) {
    char member[JSON_POINTER_SIZE], all[200];
    if (!json_is_object(value)) {
        return error_set_at(err, STATUS_INVALID, pointer, "%s is an object, this is %s", noun,
                            json_body_kind(value));
    }
    json_t *object = json_body_iterable(value);
    for (void *at = json_object_iter(object); at; at = json_object_iter_next(object, at)) {
        const char *name = json_object_iter_key(at);
        size_t i = 0;
        while (i < count && strcmp(names[i], name) != 0) i++;
        if (i < count) continue;
        list_words(all, names, count);
        json_body_point(member, pointer, name);
        return error_set_at(err, STATUS_INVALID, member, "\"%.64s\" is no member of %s: %s", name,
                            noun, all);
    }
    return STATUS_OK;
}

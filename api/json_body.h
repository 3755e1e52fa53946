/* json_body.h - a request's JSON: checked, bounded, and errors that say where.
 *
 * A tree costs far more than its text: 3 bytes of "{}," become 224. So the text is
 * scanned once before, and refused when it holds more values than the request could
 * need, nests deeper, or would take more memory than there is for all requests. Failures name the
 * value at fault by JSON pointer.
 *
 * jansson takes 30 ns for each byte of a string, which for an image in base64 is more
 * than decoding it. So long strings stay out of the tree: it holds stand-ins, which
 * json_body_string() knows. Strings must be read by it alone. */
#ifndef API_JSON_BODY_H
#define API_JSON_BODY_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/base/budget.h"
#include "core/base/bytes.h"

struct json_body {
    json_t *root;      /* an object */
    struct bytes text; /* borrowed: what stand-ins point into */
    bool has_stand_ins;
    struct budget *memory; /* borrowed; NULL: unlimited */
    size_t charged;        /* of it */
};

/* STATUS_INVALID for what is not JSON, has a member twice or is no object;
 * STATUS_TOO_LARGE for more than `values_max` values; STATUS_OVERLOADED when `memory` (may be
 * NULL) has not so much left as the tree takes until it is freed. On failure there is nothing
 * to free; freeing zeroed memory does nothing. */
enum status json_body_parse(struct json_body *out, struct bytes text, size_t values_max,
                            struct budget *memory, struct error *err);
void json_body_free(struct json_body *json);

/* The pointer to a member or item of what `pointer` points to, cut when it is too long. */
enum { JSON_POINTER_SIZE = 96 };
void json_body_point(char out[JSON_POINTER_SIZE], const char *pointer, const char *name);
void json_body_point_at(char out[JSON_POINTER_SIZE], const char *pointer, size_t index);

/* The same value for jansson's iterators, which change nothing but do not say so. */
json_t *json_body_iterable(const json_t *value);

/* "a string", "an array" ...: for messages; "missing" for NULL. */
const char *json_body_kind(const json_t *value);

/* `pointer` names the value in messages. */
enum status json_body_bool(bool *out, const json_t *value, const char *pointer, struct error *err);
/* A whole number from `min` to UINT32_MAX. */
enum status json_body_uint(uint32_t *out, const json_t *value, uint32_t min, const char *pointer,
                           struct error *err);
/* Any finite number. */
enum status json_body_double(double *out, const json_t *value, const char *pointer,
                             struct error *err);
/* One of the words in a table, [count]; *out is its place there. */
enum status json_body_word(size_t *out, const struct json_body *json, const json_t *value,
                           const char *pointer, const char *const *words, size_t count,
                           struct error *err);
/* An object whose members all stand in a table. `noun` is "an item": for messages. */
enum status json_body_members(const json_t *value, const char *pointer, const char *noun,
                              const char *const *names, size_t count, struct error *err);
/* A view into the tree or the text. */
enum status json_body_string(struct bytes *out, const struct json_body *json, const json_t *value,
                             const char *pointer, struct error *err);

#endif

/* embedding_json.h - ready embeddings in requests: arrays of numbers, or the base64 of
 * little-endian 32-bit floats, as our answers have them. */
#ifndef API_EMBEDDING_JSON_H
#define API_EMBEDDING_JSON_H

#include "api/json_body.h"

/* `out` is [dim]. STATUS_CONFLICT for another number of dimensions. */
enum status embedding_json_read(float *out, size_t dim, const struct json_body *json,
                                const json_t *value, const char *pointer, struct error *err);

/* `count` floats from bytes as they lie in files. */
void embedding_json_unpack(float *out, const uint8_t *data, size_t count);

#endif

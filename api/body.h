/* body.h - reads the body of a native route, in whichever form it came.
 *
 * The same fields may arrive as members of a JSON object, as parts of a
 * multipart/form-data body, or beside a raw image as query parameters. One table
 * knows them all; each route says which it wants, and everything else is an error, so
 * that a misspelt option is not silently ignored. */
#ifndef API_BODY_H
#define API_BODY_H

#include "api/api.h"
#include "api/inputs.h"
#include "api/json_body.h"

/* What a body is declared to be; as bits for the table of routes. */
enum body_content {
    BODY_UNDECLARED = 0,
    BODY_JSON = 1,
    BODY_MULTIPART = 2,
    BODY_IMAGE = 4, /* image/..., application/octet-stream */
    BODY_NDJSON = 8,
    BODY_NPY = 16,
    BODY_UNKNOWN = 32,
};

/* By a Content-Type header; NULL when there is none. */
enum body_content body_content(const char *content_type);

/* The types in `contents`, as a sentence: "multipart/form-data or application/json". */
enum { BODY_CONTENTS_SIZE = 128 };
void body_content_names(char out[BODY_CONTENTS_SIZE], unsigned contents);

/* The fields, as bits. */
enum body_field {
    BODY_MODEL = 1,
    BODY_NORMALIZE = 2,
    BODY_ENCODING = 4,
    BODY_PARTIAL = 8,
    BODY_TRUNCATE = 16,
    BODY_TOP_K = 32,
    BODY_IMAGES = 64,
    BODY_TEXTS = 128,
    BODY_LABELS = 256,
    BODY_TEMPLATES = 512,
    BODY_LAYER = 1024, /* the layer of hidden states */
    BODY_CLASS_TOKEN = 2048,
    BODY_FORMAT = 4096,
    BODY_DTYPE = 8192,
};

enum { BODY_MODEL_MAX = 128, BODY_LAYER_MAX = 1000, BODY_LAYER_DEFAULT = -2 };

struct body {
    char model[BODY_MODEL_MAX]; /* "": the default one */
    bool normalize, base64, partial, truncate;
    uint32_t top_k;               /* 0: all */
    int32_t layer;                /* of hidden states; negative: from the end */
    bool class_token, bare, half; /* bare: numbers without a header; half: 16 bits each */
    struct inputs images, texts, labels, templates;
    struct json_body json; /* what views point into, if it was JSON */
};

/* Reads the fields in `allowed` (enum body_field). What was read borrows from the
 * request. Release it with body_free(), on failure as well. */
enum status body_read(struct body *out, const struct http_request *request,
                      const struct api_options *options, unsigned allowed, struct error *err);
void body_free(struct body *body);

/* How many values a JSON body may have. */
size_t body_json_values_max(const struct api_options *options);

/* Copies the name of a model, "" for one that no model can have. */
void body_copy_model(char out[BODY_MODEL_MAX], struct bytes name);

/* "float" or "base64". */
enum status body_parse_encoding(bool *base64, struct bytes name, const char *pointer,
                                struct error *err);

#endif

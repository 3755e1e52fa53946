/* openai_body.h - reads the body of POST /v1/embeddings in the dialects of its clients.
 *
 * `input` is a string, an array of strings (OpenAI), or an array of objects: {"text"} or
 * {"image"} (Jina), {"type": "text" | "image_url" | "image", ...} (llama.cpp, Voyage).
 * With "modality": "image" strings are images, with "text" texts (Infinity); without, data: URIs
 * of images are images and all others texts. Instead of `input` there may be `messages`, one
 * message with one part (vLLM). */
#ifndef API_OPENAI_BODY_H
#define API_OPENAI_BODY_H

#include "api/body.h"

struct openai_body {
    char model[BODY_MODEL_MAX]; /* "": the default one */
    bool normalize, base64, truncate;
    uint32_t dimensions; /* 0: not asked for */
    struct inputs images, texts;
    bool *is_image; /* [images.count + texts.count]: which list the next input is from */
    struct json_body json;
};

/* Views borrow from the request's body. Release `out` with openai_body_free(), on failure as well.
 */
enum status openai_body_read(struct openai_body *out, const struct http_request *request,
                             const struct api_options *options, struct error *err);
void openai_body_free(struct openai_body *body);

#endif

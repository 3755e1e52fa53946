/* encode.h - inputs through a model, as all embedding routes need it. */
#ifndef API_ENCODE_H
#define API_ENCODE_H

#include "api/context.h"
#include "api/inputs.h"
#include "api/writer.h"

/* One request's use of one model. */
struct encode {
    struct api *api;
    struct http_request *request; /* its timings and count of inputs are added to */
    struct engine *engine;        /* held until encode_free() */
    bool raw, truncate, partial;
};

/* What came out; zeroed memory is empty. */
struct encoded {
    size_t count;
    float *embeddings;              /* [count, embed_dim] */
    struct error *errors;           /* [count] when partial, else NULL */
    struct engine_text_info *infos; /* [count], texts only */
};

/* Takes hold of the model; "" is the default one. On failure nothing is held. */
enum status encode_init(struct encode *out, struct api *api, struct http_request *request,
                        const char *model, struct error *err);
void encode_free(struct encode *encode);

/* For calls of core other than the two below. */
uint64_t encode_deadline(const struct api *api, const struct http_request *request);
void encode_add_timings(struct encode *encode, const struct engine_timings *timings);

/* `out` is to be freed, on failure as well. A report on one input says which and
 * where it lies. */
enum status encode_images(struct encoded *out, struct encode *encode, const struct inputs *images,
                          struct error *err);
enum status encode_texts(struct encoded *out, struct encode *encode, const struct inputs *texts,
                         struct error *err);
void encoded_free(struct encoded *encoded);
/* Hidden states, [count, rows, width] as `what` says. */
enum status encode_states(float *states, struct encode *encode, const struct inputs *images,
                          const struct engine_states *what, struct error *err);

/* Embedding `index` as an array or base64; null when that input failed. */
void encode_write(struct writer *writer, const struct encoded *encoded, size_t index, size_t dim,
                  bool base64);

/* The member "truncated": for each of `count`, whether a text of it was longer than the model's
 * context, and was cut. Nothing when all are whole. */
void encode_write_truncated(struct writer *writer, const bool *truncated, size_t count);

/* The member that every answer about images has, unless they were preprocessed exactly. */
void encode_write_preprocess(struct writer *writer, const struct engine_info *model);

#endif

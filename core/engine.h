/* engine.h - the whole of CLIP behind one door: bytes in, floats out.
 *
 * Code outside of core/ includes this header, runtime.h, registry.h,
 * classify/classify.h and base/, nothing else of core/. Callers know nothing of
 * tensors, decoders, batches or threads: every function here may be called from
 * any thread and blocks until its answer is ready.
 */
#ifndef CORE_ENGINE_H
#define CORE_ENGINE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/bytes.h"
#include "core/runtime.h"

struct engine;

struct engine_image_limits {
    uint32_t side_max; /* pixels */
    uint64_t pixels_max;
};

struct engine_options {
    const char *name;       /* what requests call it */
    const char *path;       /* a directory, or a bare weight file */
    const char *vocab;      /* tokenizer file or directory; NULL: beside the weights */
    const char *tokenizer;  /* "openai", "open_clip", "hf-fast"; NULL: as the checkpoint was made */
    const char *activation; /* "quick_gelu", "gelu", "gelu_tanh"; NULL: as configured */
    const char *precision;  /* "fp32", "bf16", "int8"; NULL: bf16 where the CPU has it */
    const char *cache;      /* directory of packed weights; NULL: they are not kept */
    const char *preprocess; /* "exact", or "fast": JPEGs are decoded smaller; NULL: exact */
    const char *profile;    /* for int8: a file of clipd quantize; NULL: none */
    /* In millionths: int8 with a smaller cosine to fp32 is refused. 0: it need not be known. */
    uint32_t cosine_min_ppm;
    uint32_t image_size;                     /* 0: the checkpoint's own */
    uint32_t head_width;                     /* for a bare file with unusual heads; 0: inferred */
    bool exif_orientation;                   /* turn photographs upright; off in all references */
    uint32_t batch_max, queue_limit;         /* 0: the runtime's */
    struct engine_image_limits image_limits; /* zeros: the defaults */
};

struct engine_tower_info {
    uint32_t width, layers, heads, mlp_width;
    const char *activation;
};

/* How near int8 comes to fp32: the smallest cosine of any input, as it is and after what
 * the inputs have in common is taken off. */
struct engine_quantization {
    const char *profile; /* name of the file; NULL: none */
    uint32_t exceptions; /* products that are not int8 */
    bool measured;       /* else the cosines are 0 */
    double cosine, centred_cosine;
};

/* Strings live as long as the engine. */
struct engine_info {
    const char *name, *architecture, *precision, *sha256, *tokenizer;
    const char *identity; /* of all that the embedding of a text depends on: weights, configuration,
                             options, vocabulary */
    uint32_t embed_dim, image_size, patch_size, context_length, vocab_size;
    struct engine_tower_info vision, text; /* layers 0: no such tower */
    bool quantized;                        /* precision is int8 */
    struct engine_quantization quantization;
    float logit_scale; /* the factor: exp() already taken */
    float logit_bias;
    bool sigmoid; /* each pair of image and text has a probability of its own; else softmax */
    uint64_t parameters;
    struct {
        const char *resize, *order, *interpolation; /* "shortest", "openai", "bicubic" */
        uint32_t resize_to;
        float mean[3], std[3];
        bool exif_orientation;
        bool fast; /* not exact: answers that depend on it must say so */
    } preprocess;
};

/* Where the time of one call went; of several inputs the slowest counts. */
struct engine_timings {
    uint64_t decode_ns; /* decoding and resizing, or tokenizing */
    uint64_t queue_ns;
    uint64_t encode_ns;
};

struct engine_text_info {
    size_t tokens; /* ids used, start and end token included */
    bool truncated;
};

/* How one call is to be run, and what came of it. */
struct engine_call {
    uint64_t deadline_ns; /* CLOCK_NEVER for none */
    /* Set when nobody wants the answer any more: STATUS_CANCELLED, as soon as what works for it
     * looks. NULL: that cannot be. */
    const _Atomic bool *gone;
    bool raw;         /* leave embeddings as the tower gives them, not of length 1 */
    bool refuse_long; /* a text longer than context_length is STATUS_UNPROCESSABLE, not cut */
    /* [count] or NULL. With it a bad input fails alone: its error is recorded here
     * and its embedding is zeros. Without, the first bad input fails the call, and
     * err->input says which. */
    struct error *errors;
    struct engine_text_info *texts; /* [count] or NULL; texts only */
    struct engine_timings timings;  /* added to */
    /* Filled in, without `errors`: so many embeddings, from the first on, are there, even when the
     * call fails because the deadline passed, or nobody wants the others any more. */
    size_t done;
};

/* What engine_open() will take, without reading weights; `identity` is another one when
 * the files or the options are others. */
struct engine_needs {
    size_t bytes;
    char identity[65];
};
enum status engine_measure(struct engine_needs *out, struct runtime *runtime,
                           const struct engine_options *options, struct error *err);

enum status engine_open(struct engine **out, struct runtime *runtime,
                        const struct engine_options *options, struct error *err);
/* No call may be in flight. NULL is allowed. */
void engine_close(struct engine *engine);
const struct engine_info *engine_info(const struct engine *engine);

/* `embeddings` is [count, embed_dim] and belongs to the caller. */
enum status engine_embed_images(struct engine *engine, const struct bytes *files, size_t count,
                                float *embeddings, struct engine_call *how, struct error *err);
enum status engine_embed_texts(struct engine *engine, const struct bytes *texts, size_t count,
                               float *embeddings, struct engine_call *how, struct error *err);

/* Hidden states of the image tower, which systems such as LLaVA take from CLIP. */
struct engine_states {
    uint32_t layers; /* run before */
    bool class_token;
    uint32_t rows, width; /* of one image: its patches, and the class token if it is wanted */
};

/* What a client wants, as this model can give it: `layer` counts from the end when it is
 * negative, -1 being the last, and 0 is what enters the first. STATUS_UNPROCESSABLE for a model
 * without such states, or with fewer layers. */
enum status engine_states_of(struct engine_states *out, const struct engine *engine, int32_t layer,
                             bool class_token, struct error *err);

/* `states` is [count, rows, width]. The first bad input fails the call: how->errors is NULL. */
enum status engine_image_states(struct engine *engine, const struct bytes *files, size_t count,
                                const struct engine_states *what, float *states,
                                struct engine_call *how, struct error *err);

/* What metrics read. */
struct batch_queue_stats;
struct engine_stats {
    const struct batch_queue_stats *images, *texts; /* NULL: no such tower */
    const struct batch_queue_stats *states;         /* NULL: no such states */
    const struct histogram *decode_ns;              /* per image */
};
void engine_read_stats(struct engine *engine, struct engine_stats *out);

#endif

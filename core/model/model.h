/* model.h - a checkpoint on disk as two towers ready to run.
 *
 * model_open() reads the configuration, finds the weights, maps them, translates
 * the checkpoint's names (Hugging Face, OpenAI, OpenCLIP) to one internal layout
 * and checks every shape, once, so that the forward passes cannot fail. Immutable
 * afterwards. f32 tensors stay in the mapping; f16 and bf16 are widened.
 */
#ifndef CORE_MODEL_MODEL_H
#define CORE_MODEL_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/error.h"
#include "core/base/sha256.h"

struct kernels;
struct model;
struct workspace;

enum model_activation { MODEL_QUICK_GELU, MODEL_GELU_ERF, MODEL_GELU_TANH };
enum model_naming { MODEL_NAMES_OPENAI, MODEL_NAMES_OPEN_CLIP, MODEL_NAMES_HF };
/* Which row of a text becomes its embedding: that of the largest id, or the first that
 * is `end_token`. */
enum model_pooling { MODEL_POOL_ARGMAX, MODEL_POOL_EOS };

struct model_tower {
    uint32_t width, layers, heads, mlp_width; /* layers 0: the checkpoint has no such tower */
    enum model_activation activation;
    float layer_norm_eps;
};

/* What the checkpoint says of its preprocessing (SPEC 6.2, 6.6, 7.4), as plain
 * values: core/image does not depend on this module, nor this on core/image. */
struct model_preprocess {
    uint32_t resize_to; /* the side before the crop; 0: image_size */
    enum {
        MODEL_RESIZE_SHORTEST,
        MODEL_RESIZE_SQUASH,
        MODEL_RESIZE_LONGEST,
        MODEL_RESIZE_NONE
    } resize;
    bool convert_first; /* HF order: RGB before the resize, floor crop */
    uint32_t filter;    /* Pillow's number: 2 bilinear, 3 bicubic ... */
    float mean[3], std[3];
    float rescale; /* 1/255 */
    uint8_t fill[3];
};

/* What the checkpoint says of its tokenizer. */
struct model_tokenizer {
    bool canonicalize, keep_case; /* open_clip's `clean`: canonicalize, whitespace */
};

struct model_info {
    char architecture[64]; /* "ViT-B-32" when the dimensions are known, else "CLIP" */
    enum model_naming naming;
    uint32_t embed_dim;
    uint32_t image_size, patch_size;
    uint32_t context_length, vocab_size;
    struct model_tower vision, text;
    enum model_pooling pooling;
    uint32_t end_token; /* for MODEL_POOL_EOS */
    float logit_scale;  /* exp() already taken */
    float logit_bias;   /* 0 but for SigLIP */
    uint64_t parameters;
    char sha256[SHA256_HEX_SIZE]; /* of the weight file */
    struct model_preprocess preprocess;
    struct model_tokenizer tokenizer;
};

struct model_options {
    const char *path;    /* a directory, or a bare weight file */
    uint32_t image_size; /* 0: the checkpoint's; else positions are interpolated */
    /* By its name; overrules the configuration. NULL: as configured, or quick_gelu for a
     * bare file (SPEC 1.1). */
    const char *activation;
    /* For a bare file whose heads are not 64 wide (nor SPEC 1.3's). 0: infer. */
    uint32_t head_width;
    const struct kernels *kernels;
};

enum status model_open(struct model **out, const struct model_options *options, struct error *err);
void model_close(struct model *model);
const struct model_info *model_info(const struct model *model);
/* "quick_gelu", "gelu", "gelu_tanh". */
const char *model_activation_name(enum model_activation activation);

/* All memory that one worker's forward passes need, for batches of at most
 * `images_max` images or `texts_max` texts. */
enum status workspace_create(struct workspace **out, const struct model *model, uint32_t images_max,
                             uint32_t texts_max, struct error *err);
void workspace_destroy(struct workspace *workspace);

/* pixels[i] is [image_size, image_size, 3] 8-bit RGB; embeddings[i] is [embed_dim],
 * not normalised. The result for an image does not depend on its batch, bit for bit. */
void model_encode_images(const struct model *model, struct workspace *workspace,
                         const uint8_t *const *pixels, uint32_t count, float *const *embeddings);

/* The same from patches that are cut and normalised already: patches[i] is
 * [(image_size / patch_size)^2, 3 * patch_size^2], in the order channel, y, x. */
void model_encode_patches(const struct model *model, struct workspace *workspace,
                          const float *const *patches, uint32_t count, float *const *embeddings);

struct model_text {
    const uint32_t *ids; /* start and end token included, below vocab_size */
    uint32_t count;      /* 1..context_length */
};

void model_encode_texts(const struct model *model, struct workspace *workspace,
                        const struct model_text *texts, uint32_t count, float *const *embeddings);

#endif

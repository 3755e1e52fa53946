/* model.h - a checkpoint on disk as two towers ready to run.
 *
 * model_open() reads the configuration, finds the weights, translates the
 * checkpoint's names (Hugging Face, OpenAI, OpenCLIP) to one internal layout, checks
 * every shape, once, so that the forward passes cannot fail, and packs the weights for
 * the instruction sets of this CPU. The packed form is kept in a file that later
 * starts, and other processes, map. Immutable afterwards, but for each worker's own
 * lane of memory.
 */
#ifndef CORE_MODEL_MODEL_H
#define CORE_MODEL_MODEL_H

#include "core/base/error.h"
#include "core/towers/plan.h"
#include "core/towers/text.h"

struct model;
struct team;
struct vision_input;

struct model_options {
    /* Instead of a path: random weights of that architecture ("ViT-B-32"), to measure with;
     * with `outliers` such as trained LayerNorms have (invent.h). */
    const char *architecture;
    bool outliers;
    const char *path;     /* a directory, or a bare weight file */
    uint32_t image_size;  /* 0: the checkpoint's; else positions are interpolated */
    uint32_t image_width; /* 0: images are square; image_size is then the height */
    /* By its name; overrules the configuration. NULL: as configured, or quick_gelu for a
     * bare file (SPEC 1.1). */
    const char *activation;
    /* For a bare file whose heads are not 64 wide (nor SPEC 1.3's). 0: infer. */
    uint32_t head_width;
    const char *precision;   /* NULL: bf16 where the CPU has it, else fp32 */
    unsigned features;       /* instruction sets, core/kernels/isa.h */
    uint32_t workers;        /* threads that will call the encode functions */
    uint32_t batch_max;      /* images in the batches that will come: memory for larger ones is
                                not needed; 0: not known */
    const char *cache;       /* directory of packed files; NULL: none */
    const char *profile;     /* for int8: what clipd quantize found out (profile.h), or NULL */
    const struct plan *plan; /* for comparing arithmetics, else NULL: overrules all of these;
                                not with a cache */
    /* A model of int8 whose smallest cosine to fp32 is below is refused. It is the
     * profile's, or else measured when the weights are packed. 0: it need not be known. */
    double cosine_min;
};

/* What a checkpoint is and wants, without its weights: `sha256` stays empty. */
enum status model_describe(struct model_info *out, const char *path, struct error *err);

/* What model_open() would make of a checkpoint, known without reading a weight. */
struct model_needs {
    size_t bytes;                   /* of packed weights and of the workers' memory, in full use */
    char identity[SHA256_HEX_SIZE]; /* of files and options: others have another */
};
enum status model_measure(struct model_needs *out, const struct model_options *options,
                          struct error *err);

enum status model_open(struct model **out, const struct model_options *options, struct error *err);
/* NULL is allowed. */
void model_close(struct model *model);
const struct model_info *model_info(const struct model *model);
/* As model_measure() found it; "" for random weights. */
const char *model_identity(const struct model *model);

/* The encode functions may be called from several threads at a time, each with a
 * `worker` of its own, below options.workers. The members of `team` help; their numbers
 * are workers, too. Worker 0 needs no team: NULL. A result does not depend on batch,
 * position or helpers, bit for bit. Batches of any size are taken. */

/* pixels[i] is [image_size, image_size, 3] 8-bit RGB; embeddings[i] is [embed_dim],
 * not normalised. */
void model_encode_images(const struct model *model, uint32_t worker, struct team *team,
                         const uint8_t *const *pixels, uint32_t count, float *const *embeddings);

/* The same from patches that are cut and normalised already: patches[i] is
 * [(image_size / patch_size)^2, 3 * patch_size^2], in the order channel, y, x. */
void model_encode_patches(const struct model *model, uint32_t worker, struct team *team,
                          const float *const *patches, uint32_t count, float *const *embeddings);

/* Hidden states of an image, for systems that see through CLIP's eyes (LLaVA and its like). */
struct model_states {
    uint32_t layers; /* that have been run: 0 is what enters the first block */
    uint32_t skip;   /* rows that are left out: those before the patches */
};
/* How many rows of an image have such states, those before the patches included; 0 when the
 * image tower has none. */
size_t model_states_rows(const struct model_info *info);
/* Of images as vision.h describes them. states[i] is [model_states_rows() - skip, vision.width]. */
void model_encode_states(const struct model *model, uint32_t worker, struct team *team,
                         const struct vision_input *images, uint32_t count,
                         const struct model_states *what, float *const *states);

void model_encode_texts(const struct model *model, uint32_t worker, struct team *team,
                        const struct model_text *texts, uint32_t count, float *const *embeddings);

/* ---- for comparing arithmetics ---- */

/* Encodes one input and, unless `trace` is NULL, also hands out the row of the residual
 * stream that becomes the embedding as it is after each layer: [layers, width]. */
void model_trace_image(const struct model *model, uint32_t worker, const uint8_t *pixels,
                       float *embedding, float *trace);
void model_trace_text(const struct model *model, uint32_t worker, const struct model_text *text,
                      float *embedding, float *trace);

/* A model that runs each product as `int8` does where the plan says int8, else as `other`,
 * which is opened from the same weights; both must outlive it. */
enum status model_mix(struct model **out, const struct model *int8, const struct model *other,
                      const struct plan *plan, uint32_t workers, struct error *err);

#endif

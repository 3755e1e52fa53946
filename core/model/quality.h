/* quality.h - how near a model comes to itself in fp32: cosines over sample inputs.
 *
 * The samples are the caller's, or smooth pictures and texts made up here, which are
 * enough to tell an arithmetic that works from one that does not. */
#ifndef CORE_MODEL_QUALITY_H
#define CORE_MODEL_QUALITY_H

#include "core/model/model.h"

struct thread_pool;

struct samples {
    const uint8_t **pixels;   /* [counts[PLAN_VISION]], each as model_encode_images() wants it */
    struct model_text *texts; /* [counts[PLAN_TEXT]] */
    size_t counts[PLAN_TOWERS];
};

/* What came out of one tower for its samples. */
struct outputs {
    size_t count, dim, layers, width;
    float *embeddings; /* [count, dim] */
    float *traces;     /* [layers, count, width]: the residual stream, see model.h; or NULL */
};

enum status outputs_create(struct outputs *out, const struct model_info *info,
                           enum plan_tower tower, size_t count, bool traced, struct error *err);
void outputs_free(struct outputs *outputs);

/* Runs the first outputs->count samples of a tower, on `workers` threads of the pool; the
 * model must have as many workers. */
enum status outputs_compute(struct outputs *outputs, const struct model *model,
                            enum plan_tower tower, const struct samples *samples,
                            struct thread_pool *pool, uint32_t workers, struct error *err);

/* Smooth pictures and texts of random ids, the same every time; one allocation. */
enum status samples_invent(struct samples *out, const struct model_info *info, struct error *err);
void samples_free(struct samples *invented);

/* The cosines of a model to one in fp32, over invented samples, the worse tower's of each.
 * Starts `workers` threads for it; both models must have as many. */
enum status quality_measure(struct model_cosines *out, const struct model *model,
                            const struct model *reference, uint32_t workers, struct error *err);

#endif

/* weights.h - takes a model's tensors out of a checkpoint, each with its shape checked.
 *
 * An f32 tensor that is aligned stays where it is, in the mapped file; everything
 * else (f16, bf16, transposed, unaligned) is written to memory that the struct owns. */
#ifndef CORE_MODEL_WEIGHTS_H
#define CORE_MODEL_WEIGHTS_H

#include "core/model/tensors.h"

struct weights {
    struct tensors *tensors; /* borrowed while the model is being opened */
    void **owned;            /* [owned_count] */
    size_t owned_count, owned_capacity;
    bool mapped;         /* some weight points into the file */
    uint64_t parameters; /* elements taken */
};

void weights_init(struct weights *weights, struct tensors *tensors);
void weights_free(struct weights *weights);

/* Floats that live as long as the weights; NULL without memory. */
float *weights_allocate(struct weights *weights, size_t count, struct error *err);

/* Takes the tensor of that name; its shape must be dims[0..rank-1], where 0 accepts
 * any size and is replaced by what was found. STATUS_UNPROCESSABLE names the tensor,
 * what was found and what was expected. */
enum status weights_take(struct weights *weights, const char *name, size_t *dims, uint32_t rank,
                         const float **out, struct error *err);
/* The same for a matrix that the checkpoint stores as [dims[1], dims[0]]. */
enum status weights_take_transposed(struct weights *weights, const char *name, size_t dims[2],
                                    const float **out, struct error *err);

#endif

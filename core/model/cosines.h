/* cosines.h - how near vectors come to those that they should be. */
#ifndef CORE_MODEL_COSINES_H
#define CORE_MODEL_COSINES_H

#include "core/base/error.h"
#include "core/checkpoint/info.h"

/* Of `count` pairs of vectors, [count, dim] each. What is not a number counts as -1. */
enum status cosines_of(struct model_cosines *out, const float *reference, const float *found,
                       size_t count, size_t dim, struct error *err);
/* The worse of each. */
struct model_cosines cosines_worse(struct model_cosines a, struct model_cosines b);

#endif

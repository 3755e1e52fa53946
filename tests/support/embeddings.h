/* embeddings.h - random embeddings of length 1, in clusters as those of images are. */
#ifndef TESTS_SUPPORT_EMBEDDINGS_H
#define TESTS_SUPPORT_EMBEDDINGS_H

#include <stddef.h>
#include <stdint.h>

/* [count, dim], the same for the same seed. The caller frees them. */
float *embeddings_make(size_t count, size_t dim, uint32_t seed);

/* Of length 1 from now on. */
void embeddings_normalise(float *x, size_t dim);

/* In double precision. */
double embeddings_dot(const float *a, const float *b, size_t dim);

#endif

/* pooling.h - from the rows of sequences to embeddings. */
#ifndef CORE_TOWERS_POOLING_H
#define CORE_TOWERS_POOLING_H

#include "core/towers/pass.h"

/* Leaves the mean of each sequence's rows, but for the `from` first ones, at the front of
 * lane->x. */
void pooling_average(const struct pass *pass, size_t width, size_t from);

/* The end of both towers: the pooled rows through the last LayerNorm and the projection.
 * embeddings[i] is [embed_dim]. */
void pooling_project(const struct tower *tower, const struct pass *pass, float *const *embeddings);

#endif

/* source.h - where a weight comes from: a checkpoint's tensor, with its shape checked,
 * numbers computed from one, or chance.
 *
 * Taking a weight reads nothing but its shape. The numbers are widened to f32 row by
 * row when they are packed, so that no copy of a whole checkpoint ever exists. */
#ifndef CORE_WEIGHTS_SOURCE_H
#define CORE_WEIGHTS_SOURCE_H

#include "core/weights/tensors.h"

enum source_kind {
    SOURCE_NONE,
    SOURCE_TENSOR,
    SOURCE_COMPUTED,
    SOURCE_RANDOM, /* uniform with standard deviation `scale`, over the gains of `gain_seed` */
    SOURCE_GAIN,   /* LayerNorm gains: ones, or with outliers when `gain_seed` is not 0 */
};

/* A matrix [rows, columns]; a vector has one row. */
struct source {
    enum source_kind kind;
    size_t rows, columns;
    struct tensor *tensor; /* told if a number of it is not finite */
    bool transposed;       /* the tensor is [columns, rows] */
    size_t first;          /* rows of the tensor before this one's */
    const float *computed; /* [rows, columns] */
    uint64_t seed, gain_seed;
    float scale;
};

/* Writes rows first .. first + count - 1 as f32, [count, columns]. */
void source_read(const struct source *source, size_t first, size_t count, float *out);

/* Gives back the memory that reading it has filled, where that is a file's. */
void source_release(const struct source *source);

/* Takes the tensor of that name as a matrix; what is expected is dims[0..rank-1], where 0
 * accepts any size and is replaced by what was found. Dimensions after the first are
 * the columns. STATUS_UNPROCESSABLE names the tensor, what was found and what was
 * expected. */
enum status source_take(struct source *out, struct tensors *tensors, const char *name, size_t *dims,
                        uint32_t rank, struct error *err);
/* The same for a matrix that the checkpoint stores as [dims[1], dims[0]]. */
enum status source_take_transposed(struct source *out, struct tensors *tensors, const char *name,
                                   size_t dims[2], struct error *err);

/* Some of the rows of what was taken from a tensor. */
struct source source_rows(const struct source *source, size_t first, size_t count);

#endif

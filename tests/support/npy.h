/* npy.h - reads NumPy's .npy files, for golden data.
 *
 * Little-endian, C order: f4, i4, i8 and u1, versions 1 to 3. Integers of any width
 * arrive as int64_t. Golden files are trusted, but a wrong one fails with a message.
 */
#ifndef TESTS_SUPPORT_NPY_H
#define TESTS_SUPPORT_NPY_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/error.h"

enum { NPY_DIMS_MAX = 8 };

struct npy {
    size_t dims;
    size_t shape[NPY_DIMS_MAX];
    size_t count;  /* values: the product of `shape` */
    float *floats; /* f4, else NULL */
    int64_t *ints; /* i4, i8, u1, else NULL */
};

/* On success the caller releases `out` with npy_free(). */
enum status npy_read(struct npy *out, const char *path, struct error *err);
void npy_free(struct npy *npy);

#endif

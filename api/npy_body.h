/* npy_body.h - NumPy's format for arrays, version 1.0: as much of it as embeddings need.
 * https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html */
#ifndef API_NPY_BODY_H
#define API_NPY_BODY_H

#include "core/base/bytes.h"

/* Finds the rows of a [rows, dim] array of little-endian 32-bit floats ("<f4", C order)
 * in a file; *data is a view of them, which need not be aligned. STATUS_INVALID for what is no
 * such file, STATUS_CONFLICT for other rows than of `dim` numbers. */
enum status npy_body_read(struct bytes *data, size_t *rows, struct bytes file, size_t dim,
                          struct error *err);
/* Appends the header of an array of `descr` ("<f4") with that shape, [dims]; the numbers are to
 * follow, aligned as far as the buffer is. */
enum { NPY_BODY_DIMS_MAX = 3 };
enum status npy_body_write_header(struct buffer *out, const char *descr, const size_t *shape,
                                  size_t dims, struct error *err);

#endif

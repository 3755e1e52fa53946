/* hnsw.h - a graph of rows in which the nearest are found by walking (HNSW), behind a C
 * interface: hnsw.cc, with the two headers that are its own, is the only C++ in the program, and
 * all that knows hnswlib.
 *
 * hnswlib inserts; searching, forgetting and files are our own, because its search has one
 * effort for all callers, its marks of deletion can leave an insertion without neighbours,
 * and its loader trusts the file. Rows with the same code share a node: hundreds of one
 * image would link to nothing but each other, and cut off what lies near them. Distances are those
 * of encoded rows, by the kernels of scan.h. Rows come in ascending order.
 *
 * One thread adds, while nobody else is in a call; any number of threads search and forget
 * at once. Nothing throws. */
#ifndef CORE_INDEX_HNSW_H
#define CORE_INDEX_HNSW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/error.h"
#include "core/kernels/scan.h"

struct hnsw;

struct hnsw_options {
    const struct scan_kernel *kernel; /* of the codes */
    size_t dim;
};

enum status hnsw_create(struct hnsw **out, const struct hnsw_options *options, size_t capacity,
                        struct error *err);
void hnsw_destroy(struct hnsw *hnsw);

/* A row above all before; grows as needed. */
enum status hnsw_add(struct hnsw *hnsw, uint64_t row, const void *code, float scale,
                     struct error *err);
/* Searches do not give this row any more; false if it is not there or is forgotten. */
bool hnsw_forget(struct hnsw *hnsw, uint64_t row);

struct hnsw_hit {
    uint64_t row;
    float score; /* of the codes */
};

/* The nearest `effort` or fewer, in no order: hits has room for so many. More effort finds
 * more of those that are really the nearest. */
enum status hnsw_search(const struct hnsw *hnsw, const void *code, float scale, size_t effort,
                        struct hnsw_hit *hits, size_t *count, struct error *err);

/* Rows that it holds, forgotten ones included, and these; bytes of memory. */
size_t hnsw_count(const struct hnsw *hnsw);
size_t hnsw_forgotten(const struct hnsw *hnsw);
size_t hnsw_bytes(const struct hnsw *hnsw);

/* Rows 0..hnsw_count()-1, in no order, and the highest, of at least one. */
uint64_t hnsw_row(const struct hnsw *hnsw, size_t at);
uint64_t hnsw_last(const struct hnsw *hnsw);
/* Whether a row was added with this code and scale. */
bool hnsw_holds(const struct hnsw *hnsw, uint64_t row, const void *code, float scale);

/* The next `size` bytes go to, or come from, somewhere; false ends it. The parts are of the
 * same sizes when read as when written. */
typedef bool hnsw_write_fn(void *context, const void *data, size_t size);
typedef bool hnsw_read_fn(void *context, void *data, size_t size);

/* What is forgotten is written like the rest. */
bool hnsw_write(const struct hnsw *hnsw, hnsw_write_fn *write, void *context);
/* NULL when it cannot be read, or is not such a graph: every link is checked, so that what
 * is returned can be walked and added to, whatever the bytes were. `size` is that of all
 * parts. */
struct hnsw *hnsw_read(const struct hnsw_options *options, size_t size, hnsw_read_fn *read,
                       void *context);

#endif

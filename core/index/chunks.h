/* chunks.h - rows in memory that readers look at while a writer adds and removes.
 *
 * Rows lie in chunks, in the ascending order of their numbers. A chunk never moves or
 * grows: the writer fills it behind what readers may see, marks removed rows as gone and,
 * when most of a chunk is gone, puts a smaller one in its place. Readers take a view, a
 * counted list of chunks, and what they find in it stays until they release it. */
#ifndef CORE_INDEX_CHUNKS_H
#define CORE_INDEX_CHUNKS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/error.h"
#include "core/index/crew.h"
#include "core/kernels/scan.h"

struct chunk {
    _Atomic uint32_t holders; /* views; the last frees it */
    uint32_t capacity;
    _Atomic uint32_t count; /* rows that readers may see */
    uint32_t gone_count;    /* the writer's */
    uint64_t *rows;         /* [capacity], ascending */
    float *embeddings;      /* [capacity, stride], padded with zeros */
    void *codes;            /* [capacity], encoded; the embeddings themselves for fp32 */
    float *scales;          /* [capacity], int8 only, else NULL */
    _Atomic uint8_t *gone;  /* [capacity] */
    void *memory;           /* all of these */
    size_t bytes;
};

struct view {
    _Atomic uint32_t holders;
    size_t count;
    struct chunk *chunks[]; /* [count] */
};

struct chunks {
    size_t dim, stride, row_bytes;    /* elements, elements with padding, bytes of one's codes */
    const struct scan_kernel *kernel; /* of the codes */
    const struct scan_kernel *exact;  /* fp32 */
    struct crew *crew;                /* helps to write many rows; may be NULL */
    pthread_mutex_t writing;          /* one writer at a time */
    pthread_mutex_t lock;             /* protects `view`, the pointer */
    struct view *view;
    _Atomic uint64_t live;  /* rows that are not gone */
    _Atomic uint64_t last;  /* the highest row ever put; UINT64_MAX: none */
    _Atomic uint64_t bytes; /* of the chunks in the view */
};

enum status chunks_init(struct chunks *chunks, size_t dim, enum scan_precision precision,
                        unsigned features, struct crew *crew, struct error *err);
/* No view may be held. Zeroed memory is allowed. */
void chunks_free(struct chunks *chunks);

/* As vectors_put() and vectors_remove(). */
enum status chunks_put(struct chunks *chunks, const uint64_t *rows, const float *embeddings,
                       size_t count, struct error *err);
void chunks_remove(struct chunks *chunks, const uint64_t *rows, size_t count);

struct view *chunks_take_view(struct chunks *chunks);
void chunks_release_view(struct view *view);

/* Where a row is in a view. */
struct place {
    struct chunk *chunk;
    size_t chunk_index;
    size_t at; /* in the chunk */
};

/* False if the row is not there or gone. */
bool view_find(const struct view *view, uint64_t row, struct place *out);
/* The first place at or behind `row`, gone or not; false if there is none. */
bool view_seek(const struct view *view, uint64_t row, struct place *out);

bool chunk_is_gone(const struct chunk *chunk, size_t at);
const float *chunk_embedding(const struct chunks *chunks, const struct chunk *chunk, size_t at);
const void *chunk_code(const struct chunks *chunks, const struct chunk *chunk, size_t at);
float chunk_scale(const struct chunk *chunk, size_t at);

#endif

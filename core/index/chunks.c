#include "core/index/chunks.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/base/bytes.h"

enum {
    ALIGNMENT = 64,
    HUGE_PAGE = 2 << 20,
    CHUNK_ROWS_MIN = 64,
    CHUNK_BYTES = 32 << 20, /* of embeddings, about: what a compaction copies at most */
    FILL_ROWS = 256,        /* that one thread writes at a time */
};

/* ---- chunks ---- */

static void drop_chunk(struct chunk *chunk) {
    if (atomic_fetch_sub(&chunk->holders, 1) > 1) return;
    free(chunk->memory);
    free(chunk);
}

/* Parts of one allocation, each aligned. */
static size_t place_part(size_t *total, size_t bytes) {
    size_t at = *total;
    *total += (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    return at;
}

/* Sizes are small enough not to overflow: a chunk has some 32 MB, or 64 rows of at most
 * SCAN_DIM_MAX elements. */
static struct chunk *make_chunk(const struct chunks *chunks, size_t capacity) {
    bool coded = chunks->row_bytes < chunks->stride * sizeof(float);
    bool scaled = chunks->row_bytes == chunks->stride;
    size_t total = 0, rows = place_part(&total, capacity * sizeof(uint64_t));
    size_t embeddings = place_part(&total, capacity * chunks->stride * sizeof(float));
    size_t codes = coded ? place_part(&total, capacity * chunks->row_bytes) : embeddings;
    size_t scales = scaled ? place_part(&total, capacity * sizeof(float)) : 0;
    size_t gone = place_part(&total, capacity);
    size_t alignment = total >= HUGE_PAGE ? HUGE_PAGE : ALIGNMENT;
    total = (total + alignment - 1) / alignment * alignment;
    struct chunk *chunk = calloc(1, sizeof(*chunk));
    char *memory = chunk ? aligned_alloc(alignment, total) : NULL;
    if (!memory) {
        free(chunk);
        return NULL;
    }
    /* A scan of 4 KB pages waits for the page tables. Advice: it may be refused. */
    if (alignment == HUGE_PAGE) madvise(memory, total, MADV_HUGEPAGE);
    chunk->memory = memory;
    chunk->bytes = total;
    chunk->capacity = (uint32_t)capacity;
    chunk->rows = (uint64_t *)(void *)(memory + rows);
    chunk->embeddings = (float *)(void *)(memory + embeddings);
    chunk->codes = memory + codes;
    chunk->scales = scaled ? (float *)(void *)(memory + scales) : NULL;
    chunk->gone = (_Atomic uint8_t *)(void *)(memory + gone);
    return chunk;
}

/* Who sees that a row is gone sees what its writer did before, too: sqlite/search.c asks whether
 * the row was replaced. */
bool chunk_is_gone(const struct chunk *chunk, size_t at) {
    return atomic_load_explicit(&chunk->gone[at], memory_order_acquire) != 0;
}

const float *chunk_embedding(const struct chunks *chunks, const struct chunk *chunk, size_t at) {
    return chunk->embeddings + at * chunks->stride;
}

const void *chunk_code(const struct chunks *chunks, const struct chunk *chunk, size_t at) {
    return (const char *)chunk->codes + at * chunks->row_bytes;
}

float chunk_scale(const struct chunk *chunk, size_t at) {
    return chunk->scales ? chunk->scales[at] : 1;
}

/* Writes behind what readers see; chunk->count is the caller's to raise. */
static void fill(const struct chunks *chunks, struct chunk *chunk, size_t at, uint64_t row,
                 const float *embedding) {
    float *copy = chunk->embeddings + at * chunks->stride;
    void *code = (char *)chunk->codes + at * chunks->row_bytes;
    chunk->rows[at] = row;
    memcpy(copy, embedding, chunks->dim * sizeof(*embedding));
    memset(copy + chunks->dim, 0, (chunks->stride - chunks->dim) * sizeof(*copy));
    if (code != copy) {
        float scale = scan_encode(chunks->kernel, code, copy, chunks->dim);
        if (chunk->scales) chunk->scales[at] = scale;
    }
    atomic_store_explicit(&chunk->gone[at], 0, memory_order_relaxed);
}

/* Consecutive rows on their way into a chunk. */
struct filling {
    const struct chunks *chunks;
    struct chunk *chunk;
    size_t at, count;
    const uint64_t *rows;    /* [count] */
    const float *embeddings; /* [count, dim] */
};

static void fill_unit(void *context, size_t unit) {
    const struct filling *filling = context;
    size_t end = (unit + 1) * FILL_ROWS < filling->count ? (unit + 1) * FILL_ROWS : filling->count;
    for (size_t i = unit * FILL_ROWS; i < end; i++) {
        fill(filling->chunks, filling->chunk, filling->at + i, filling->rows[i],
             filling->embeddings + i * filling->chunks->dim);
    }
}

/* Many rows by all threads: most of the time is the kernel's, which clears the memory when
 * it is first touched. */
static void fill_rows(struct filling filling) {
    crew_run(filling.chunks->crew, (filling.count + FILL_ROWS - 1) / FILL_ROWS, fill_unit,
             &filling);
}

/* ---- views ---- */

struct view *chunks_take_view(struct chunks *chunks) {
    pthread_mutex_lock(&chunks->lock);
    struct view *view = chunks->view;
    atomic_fetch_add(&view->holders, 1);
    pthread_mutex_unlock(&chunks->lock);
    return view;
}

void chunks_release_view(struct view *view) {
    if (atomic_fetch_sub(&view->holders, 1) > 1) return;
    for (size_t i = 0; i < view->count; i++) drop_chunk(view->chunks[i]);
    free(view);
}

/* With room for `count` chunks, and held once. */
static struct view *make_view(size_t count) {
    struct view *view = malloc(sizeof(*view) + count * sizeof(struct chunk *));
    if (!view) return NULL;
    atomic_init(&view->holders, 1);
    view->count = 0;
    return view;
}

static void append_chunk(struct view *view, struct chunk *chunk) {
    atomic_fetch_add(&chunk->holders, 1);
    view->chunks[view->count++] = chunk;
}

static void publish(struct chunks *chunks, struct view *view) {
    uint64_t bytes = 0;
    for (size_t i = 0; i < view->count; i++) bytes += view->chunks[i]->bytes;
    atomic_store(&chunks->bytes, bytes);
    pthread_mutex_lock(&chunks->lock);
    struct view *old = chunks->view;
    chunks->view = view;
    pthread_mutex_unlock(&chunks->lock);
    if (old) chunks_release_view(old);
}

bool view_seek(const struct view *view, uint64_t row, struct place *out) {
    size_t low = 0, high = view->count;
    while (low < high) { /* the first chunk whose last row is not below */
        size_t middle = (low + high) / 2;
        const struct chunk *chunk = view->chunks[middle];
        size_t count = atomic_load_explicit(&chunk->count, memory_order_acquire);
        if (count == 0 || chunk->rows[count - 1] >= row)
            high = middle;
        else
            low = middle + 1;
    }
    if (low == view->count) return false;
    struct chunk *chunk = view->chunks[low];
    size_t count = atomic_load_explicit(&chunk->count, memory_order_acquire);
    size_t first = 0, last = count;
    while (first < last) {
        size_t middle = (first + last) / 2;
        if (chunk->rows[middle] >= row)
            last = middle;
        else
            first = middle + 1;
    }
    *out = (struct place){.chunk = chunk, .chunk_index = low, .at = first};
    return first < count;
}

bool view_find(const struct view *view, uint64_t row, struct place *out) {
    return view_seek(view, row, out) && out->chunk->rows[out->at] == row &&
           !chunk_is_gone(out->chunk, out->at);
}

/* ---- the writer ---- */

enum status chunks_init(struct chunks *chunks, size_t dim, enum scan_precision precision,
                        unsigned features, struct crew *crew, struct error *err) {
    const struct scan_kernel *kernel = scan_kernel_find(features, precision);
    *chunks = (struct chunks){.dim = dim,
                              .stride = scan_stride(dim),
                              .row_bytes = scan_row_bytes(kernel, dim),
                              .kernel = kernel,
                              .crew = crew,
                              .exact = scan_kernel_find(features, SCAN_FP32)};
    struct view *view = make_view(0);
    if (!view) return error_set(err, STATUS_NO_MEMORY, "out of memory for embeddings");
    atomic_init(&chunks->last, UINT64_MAX);
    pthread_mutex_init(&chunks->writing, NULL);
    pthread_mutex_init(&chunks->lock, NULL);
    publish(chunks, view);
    return STATUS_OK;
}

void chunks_free(struct chunks *chunks) {
    if (!chunks->view) return;
    chunks_release_view(chunks->view);
    pthread_mutex_destroy(&chunks->lock);
    pthread_mutex_destroy(&chunks->writing);
    *chunks = (struct chunks){.view = NULL};
}

static size_t least(size_t a, size_t b) {
    return a < b ? a : b;
}

static size_t capacity_max(const struct chunks *chunks) {
    size_t rows = CHUNK_BYTES / (chunks->stride * sizeof(float));
    return rows < CHUNK_ROWS_MIN ? CHUNK_ROWS_MIN : rows;
}

/* As large as all before: few chunks for many rows, little memory for few. */
static size_t next_capacity(const struct chunks *chunks, size_t needed) {
    size_t wanted = (size_t)atomic_load(&chunks->live);
    if (wanted < needed) wanted = needed;
    if (wanted < CHUNK_ROWS_MIN) wanted = CHUNK_ROWS_MIN;
    return least(wanted, capacity_max(chunks));
}

/* The view with new, filled chunks for rows behind the old one's; NULL without memory. */
static struct view *extend(const struct chunks *chunks, const uint64_t *rows,
                           const float *embeddings, size_t count) {
    const struct view *old = chunks->view;
    struct view *view = make_view(old->count + count / CHUNK_ROWS_MIN + 1);
    if (!view) return NULL;
    for (size_t i = 0; i < old->count; i++) append_chunk(view, old->chunks[i]);
    while (count) {
        struct chunk *chunk = make_chunk(chunks, next_capacity(chunks, count));
        if (!chunk) {
            chunks_release_view(view);
            return NULL;
        }
        append_chunk(view, chunk);
        size_t take = least(count, chunk->capacity);
        fill_rows((struct filling){chunks, chunk, 0, take, rows, embeddings});
        atomic_store_explicit(&chunk->count, (uint32_t)take, memory_order_release);
        rows += take;
        embeddings += take * chunks->dim;
        count -= take;
    }
    return view;
}

enum status chunks_put(struct chunks *chunks, const uint64_t *rows, const float *embeddings,
                       size_t count, struct error *err) {
    if (count == 0) return STATUS_OK;
    pthread_mutex_lock(&chunks->writing);
    const struct view *view = chunks->view;
    struct chunk *last = view->count ? view->chunks[view->count - 1] : NULL;
    size_t used = last ? atomic_load_explicit(&last->count, memory_order_relaxed) : 0;
    size_t room = least(last ? last->capacity - used : 0, count);
    struct view *extended = NULL;
    if (room < count) {
        extended = extend(chunks, rows + room, embeddings + room * chunks->dim, count - room);
        if (!extended) {
            pthread_mutex_unlock(&chunks->writing);
            return error_set(err, STATUS_NO_MEMORY, "out of memory for %zu embeddings", count);
        }
    }
    if (room) fill_rows((struct filling){chunks, last, used, room, rows, embeddings});
    /* In the order of the rows: who sees one sees all before it. */
    if (room) atomic_store_explicit(&last->count, (uint32_t)(used + room), memory_order_release);
    if (extended) publish(chunks, extended);
    atomic_fetch_add(&chunks->live, count);
    atomic_store(&chunks->last, rows[count - 1]);
    pthread_mutex_unlock(&chunks->writing);
    return STATUS_OK;
}

static bool is_poor(const struct chunk *chunk) {
    return chunk->gone_count > atomic_load_explicit(&chunk->count, memory_order_relaxed) / 2;
}

/* Copies what is left of a chunk into *into, a new one of the view if that is full. */
static bool move_rows(const struct chunks *chunks, struct view *view, struct chunk **into,
                      const struct chunk *from, size_t capacity) {
    size_t count = atomic_load_explicit(&from->count, memory_order_relaxed);
    for (size_t i = 0; i < count; i++) {
        if (chunk_is_gone(from, i)) continue;
        if (!*into || (*into)->count == (*into)->capacity) {
            *into = make_chunk(chunks, capacity);
            if (!*into) return false;
            append_chunk(view, *into);
        }
        fill(chunks, *into, (*into)->count, from->rows[i], chunk_embedding(chunks, from, i));
        atomic_fetch_add_explicit(&(*into)->count, 1, memory_order_release);
    }
    return true;
}

/* What is left of neighbouring chunks from `begin` on, as many as fit together. */
static size_t left_of_run(const struct chunks *chunks, const struct view *view, size_t begin) {
    size_t left = 0;
    for (size_t i = begin; i < view->count && is_poor(view->chunks[i]); i++)
        left += view->chunks[i]->count - view->chunks[i]->gone_count;
    return least(left ? left : 1, capacity_max(chunks));
}

/* Chunks of which most is gone are copied together. Without memory all stays. */
static void compact(struct chunks *chunks) {
    const struct view *old = chunks->view;
    bool needed = false;
    for (size_t i = 0; i < old->count && !needed; i++) needed = is_poor(old->chunks[i]);
    struct view *view = needed ? make_view(2 * old->count) : NULL;
    if (!view) return;
    struct chunk *into = NULL;
    bool whole = true;
    for (size_t i = 0; i < old->count && whole; i++) {
        if (is_poor(old->chunks[i])) {
            size_t capacity = into ? into->capacity : left_of_run(chunks, old, i);
            whole = move_rows(chunks, view, &into, old->chunks[i], capacity);
        } else {
            into = NULL;
            append_chunk(view, old->chunks[i]);
        }
    }
    if (whole)
        publish(chunks, view);
    else
        chunks_release_view(view);
}

void chunks_remove(struct chunks *chunks, const uint64_t *rows, size_t count) {
    pthread_mutex_lock(&chunks->writing);
    uint64_t removed = 0;
    for (size_t i = 0; i < count; i++) {
        struct place place;
        if (!view_find(chunks->view, rows[i], &place)) continue;
        atomic_store_explicit(&place.chunk->gone[place.at], 1, memory_order_release);
        place.chunk->gone_count++;
        removed++;
    }
    atomic_fetch_sub(&chunks->live, removed);
    if (removed) compact(chunks);
    pthread_mutex_unlock(&chunks->writing);
}

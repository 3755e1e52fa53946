#include "core/index/sweep.h"

#include <stdlib.h>

enum {
    BLOCK_ROWS = 128,  /* scored at once: 64 KB of int8 codes, which stay in the L2 cache */
    UNIT_ROWS = 1024,  /* claimed at once */
    ONLY_UNIT = 256,   /* named rows, the same */
    ALONE_ROWS = 2048, /* not worth waking anybody */
};

/* ---- all rows ---- */

struct sweep {
    const struct chunks *chunks;
    const struct view *view;
    struct sweep_query *const *queries;
    struct scan_query prepared[SWEEP_QUERIES_MAX];
    size_t queries_count;
    size_t first_chunk, first_at; /* where it begins */
    size_t unit_rows;
    size_t *units; /* [view->count - first_chunk + 1]: of the chunks before */
};

static bool is_named(const struct sweep_query *query, uint64_t row) {
    size_t low = 0, high = query->only_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (query->only[middle] == row) return true;
        if (query->only[middle] < row)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

/* Most scores are below the floor, and the rest of the checks are for the others. */
static void offer(const struct sweep *sweep, struct sweep_query *query, const struct chunk *chunk,
                  size_t begin, const float *scores, size_t count) {
    struct candidate found[BLOCK_ROWS];
    size_t found_count = 0;
    float floor = top_floor(&query->top);
    for (size_t i = 0; i < count; i++) {
        if (scores[i] < floor || chunk_is_gone(chunk, begin + i)) continue;
        uint64_t row = chunk->rows[begin + i];
        if (query->only && !is_named(query, row)) continue;
        const float *embedding = chunk_embedding(sweep->chunks, chunk, begin + i);
        found[found_count++] =
            (struct candidate){.score = scores[i], .row = row, .embedding = embedding};
    }
    if (found_count) top_push(&query->top, found, found_count);
}

static void sweep_rows(const struct sweep *sweep, const struct chunk *chunk, size_t begin,
                       size_t end) {
    float scores[SWEEP_QUERIES_MAX * BLOCK_ROWS];
    const struct chunks *chunks = sweep->chunks;
    for (size_t at = begin; at < end; at += BLOCK_ROWS) {
        size_t count = end - at < BLOCK_ROWS ? end - at : BLOCK_ROWS;
        struct scan_rows rows = {.codes = chunk_code(chunks, chunk, at),
                                 .scales = chunk->scales ? chunk->scales + at : NULL,
                                 .count = count,
                                 .dim = chunks->dim};
        scan_score(chunks->kernel, scores, &rows, sweep->prepared, sweep->queries_count);
        for (size_t q = 0; q < sweep->queries_count; q++)
            offer(sweep, sweep->queries[q], chunk, at, scores + q * count, count);
    }
}

static size_t rows_before(const struct sweep *sweep, size_t chunk) {
    return chunk == sweep->first_chunk ? sweep->first_at : 0;
}

static void sweep_unit(void *context, size_t unit) {
    const struct sweep *sweep = context;
    size_t low = 0, high = sweep->view->count - sweep->first_chunk;
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        if (sweep->units[middle] <= unit)
            low = middle;
        else
            high = middle;
    }
    size_t index = sweep->first_chunk + low;
    const struct chunk *chunk = sweep->view->chunks[index];
    size_t count = atomic_load_explicit(&chunk->count, memory_order_acquire);
    size_t begin = rows_before(sweep, index) + (unit - sweep->units[low]) * sweep->unit_rows;
    size_t end = count - begin < sweep->unit_rows ? count : begin + sweep->unit_rows;
    sweep_rows(sweep, chunk, begin, end);
}

/* How the chunks fall into units; false without memory. Counts may grow meanwhile, so
 * that the last unit of the last chunk may hold rows that were not asked for, but never
 * fewer. */
static bool cut_units(struct sweep *sweep, size_t *rows) {
    size_t chunks = sweep->view->count - sweep->first_chunk, total = 0;
    sweep->unit_rows = UNIT_ROWS;
    sweep->units = malloc((chunks + 1) * sizeof(*sweep->units));
    if (!sweep->units) return false;
    *rows = 0;
    for (size_t i = 0; i < chunks; i++) {
        size_t index = sweep->first_chunk + i;
        size_t count =
            atomic_load_explicit(&sweep->view->chunks[index]->count, memory_order_acquire);
        count -= rows_before(sweep, index);
        sweep->units[i] = total;
        total += (count + sweep->unit_rows - 1) / sweep->unit_rows;
        *rows += count;
    }
    sweep->units[chunks] = total;
    return true;
}

/* Without memory for the units: the same by this thread alone. */
static void sweep_alone(const struct sweep *sweep) {
    for (size_t i = sweep->first_chunk; i < sweep->view->count; i++) {
        const struct chunk *chunk = sweep->view->chunks[i];
        size_t count = atomic_load_explicit(&chunk->count, memory_order_acquire);
        sweep_rows(sweep, chunk, rows_before(sweep, i), count);
    }
}

void sweep_all(const struct chunks *chunks, const struct view *view, struct crew *crew,
               uint64_t from, struct sweep_query *const *queries, size_t count) {
    struct place place;
    if (!view_seek(view, from, &place)) return;
    struct sweep sweep = {.chunks = chunks,
                          .view = view,
                          .queries = queries,
                          .queries_count = count,
                          .first_chunk = place.chunk_index,
                          .first_at = place.at};
    for (size_t i = 0; i < count; i++) sweep.prepared[i] = queries[i]->query;
    size_t rows = 0;
    if (!cut_units(&sweep, &rows)) {
        sweep_alone(&sweep);
        return;
    }
    size_t units = sweep.units[view->count - sweep.first_chunk];
    crew_run(rows < ALONE_ROWS ? NULL : crew, units, sweep_unit, &sweep);
    free(sweep.units);
}

/* ---- named rows ---- */

struct gathering {
    const struct chunks *chunks;
    const struct view *view;
    struct sweep_query *query;
};

static void gather_unit(void *context, size_t unit) {
    const struct gathering *gathering = context;
    struct sweep_query *query = gathering->query;
    struct candidate found[ONLY_UNIT];
    size_t found_count = 0, begin = unit * ONLY_UNIT;
    size_t end = query->only_count - begin < ONLY_UNIT ? query->only_count : begin + ONLY_UNIT;
    for (size_t i = begin; i < end; i++) {
        struct place place;
        if (!view_find(gathering->view, query->only[i], &place)) continue;
        const float *embedding = chunk_embedding(gathering->chunks, place.chunk, place.at);
        found[found_count++] =
            (struct candidate){.score = scan_dot(gathering->chunks->exact, query->embedding,
                                                 embedding, gathering->chunks->dim),
                               .row = query->only[i],
                               .embedding = embedding};
    }
    if (found_count) top_push(&query->top, found, found_count);
}

void sweep_only(const struct chunks *chunks, const struct view *view, struct crew *crew,
                struct sweep_query *query) {
    struct gathering gathering = {.chunks = chunks, .view = view, .query = query};
    size_t units = (query->only_count + ONLY_UNIT - 1) / ONLY_UNIT;
    crew_run(query->only_count < ALONE_ROWS ? NULL : crew, units, gather_unit, &gathering);
}

void sweep_rescore(const struct chunks *chunks, struct sweep_query *query) {
    struct top *top = &query->top;
    for (size_t i = 0; i < top->count; i++) {
        struct candidate *candidate = &top->entries[i];
        candidate->score =
            scan_dot(chunks->exact, query->embedding, candidate->embedding, chunks->dim);
    }
    top_sort(top);
}

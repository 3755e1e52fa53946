#include "core/index/vectors.h"

#include <stdlib.h>
#include <string.h>

#include "core/index/chunks.h"
#include "core/index/indexer.h"
#include "core/index/sweeper.h"

enum {
    /* The scores of codes order the best few wrongly: so many more are scored again. */
    FETCH_FACTOR = 4,
    FETCH_MORE = 32,
    /* Rows per named row, from which on scoring the named ones alone is less work than
     * scanning all: fp32 is 4 bytes where int8 is one, and they lie apart. */
    ONLY_SHARE = 8,
    /* Below, a scan takes some 2 ms and has no error; an index is faster from 5,000 rows on. */
    APPROXIMATE_FROM = 100000,
};

struct vectors {
    struct vectors_options options;
    struct chunks chunks;
    struct sweeper sweeper;
    struct indexer *indexer; /* NULL: every search is exact */
};

static enum scan_precision precision_of(enum collection_precision precision) {
    switch (precision) {
    case COLLECTION_BF16: return SCAN_BF16;
    case COLLECTION_FP32: return SCAN_FP32;
    case COLLECTION_INT8: break;
    }
    return SCAN_INT8;
}

enum status vectors_create(struct vectors **out, const struct vectors_options *options,
                           struct error *err) {
    struct vectors *vectors = calloc(1, sizeof(*vectors));
    if (!vectors) return error_set(err, STATUS_NO_MEMORY, "out of memory for embeddings");
    vectors->options = *options;
    enum status status =
        chunks_init(&vectors->chunks, options->dim, precision_of(options->precision),
                    options->features, options->crew, err);
    if (status) {
        free(vectors);
        return status;
    }
    sweeper_init(&vectors->sweeper, &vectors->chunks, options->crew);
    struct indexer_options indexer = {.chunks = &vectors->chunks,
                                      .precision = precision_of(options->precision),
                                      .features = options->features,
                                      .from = options->approximate_from ? options->approximate_from
                                                                        : APPROXIMATE_FROM,
                                      .cache_path = options->cache_path};
    if (indexer.from != UINT64_MAX) status = indexer_create(&vectors->indexer, &indexer, err);
    if (status)
        vectors_destroy(vectors);
    else
        *out = vectors;
    return status;
}

void vectors_destroy(struct vectors *vectors) {
    if (!vectors) return;
    indexer_destroy(vectors->indexer);
    sweeper_free(&vectors->sweeper);
    chunks_free(&vectors->chunks);
    free(vectors);
}

void vectors_discard(struct vectors *vectors) {
    if (vectors->indexer) indexer_discard(vectors->indexer);
}

enum status vectors_put(struct vectors *vectors, const uint64_t *rows, const float *embeddings,
                        size_t count, struct error *err) {
    if (!count) return STATUS_OK;
    /* Before the rows can be seen: after it the index may have them already. */
    if (vectors->indexer) indexer_expect(vectors->indexer, rows[0]);
    enum status status = chunks_put(&vectors->chunks, rows, embeddings, count, err);
    if (!status && vectors->indexer) indexer_wake(vectors->indexer);
    return status;
}

void vectors_remove(struct vectors *vectors, const uint64_t *rows, size_t count) {
    chunks_remove(&vectors->chunks, rows, count);
    if (vectors->indexer) indexer_forget(vectors->indexer, rows, count);
}

void vectors_ready(struct vectors *vectors) {
    if (vectors->indexer) indexer_ready(vectors->indexer);
}

void vectors_rebuild(struct vectors *vectors) {
    if (vectors->indexer) indexer_rebuild(vectors->indexer);
}

/* ---- search ---- */

/* The queries of a call, and the memory that they need. */
struct call {
    struct sweep_query *queries; /* [count] */
    char *prepared;              /* [count][scan_query_bytes()] */
    size_t count;
};

static void end_call(struct call *call) {
    for (size_t i = 0; call->queries && i < call->count; i++) {
        struct sweep_query *query = &call->queries[i];
        if (query->view) chunks_release_view(query->view);
        top_free(&query->top);
    }
    free(call->queries);
    free(call->prepared);
}

static bool may_approximate(const struct vectors *vectors, const struct vectors_query *query) {
    return vectors->indexer && !query->exact && !query->only;
}

static size_t effort_of(const struct vectors_query *query) {
    return query->effort ? query->effort : INDEXER_EFFORT;
}

/* More than there are would be memory for nothing. But as many as are wanted: by the time of the
 * scan more may have come. */
static size_t fetch_of(const struct vectors *vectors, const struct vectors_query *query) {
    size_t most = query->only ? query->only_count : atomic_load(&vectors->chunks.live);
    size_t fetch = query->top * FETCH_FACTOR;
    if (fetch < query->top + FETCH_MORE) fetch = query->top + FETCH_MORE;
    if (may_approximate(vectors, query) && fetch < effort_of(query)) fetch = effort_of(query);
    if (fetch > most) fetch = most;
    return fetch > query->top ? fetch : query->top;
}

static enum status begin_call(struct call *call, struct vectors *vectors,
                              const struct vectors_query *queries, size_t count,
                              struct error *err) {
    size_t dim = vectors->chunks.dim, bytes, query_bytes = scan_query_bytes(dim);
    bool fits = size_multiply(&bytes, count, query_bytes);
    *call = (struct call){.count = count};
    call->queries = fits ? calloc(count, sizeof(*call->queries)) : NULL;
    call->prepared = fits ? aligned_alloc(SCAN_STEP, bytes) : NULL;
    if (!call->queries || !call->prepared) {
        end_call(call);
        error_set(err, STATUS_NO_MEMORY, "out of memory for %zu searches", count);
        return STATUS_NO_MEMORY;
    }
    enum status status = STATUS_OK;
    for (size_t i = 0; i < count && !status; i++) {
        struct sweep_query *query = &call->queries[i];
        query->embedding = queries[i].embedding;
        query->only = queries[i].only;
        query->only_count = queries[i].only_count;
        query->query = scan_prepare(vectors->chunks.kernel, call->prepared + i * query_bytes,
                                    query->embedding, dim);
        status = top_init(&query->top, fetch_of(vectors, &queries[i]), err);
    }
    if (status) end_call(call);
    return status;
}

static bool is_sparse(const struct vectors *vectors, const struct sweep_query *query) {
    return query->only && query->only_count < atomic_load(&vectors->chunks.live) / ONLY_SHARE + 1;
}

/* By the index, and a scan of what it does not hold yet. False if there is no index, or it
 * found less than there must be: what is near may be cut off from where the walk began. */
static bool find_approximately(struct vectors *vectors, const struct vectors_query *asked,
                               struct sweep_query *query) {
    struct view *view = chunks_take_view(&vectors->chunks);
    size_t effort = query->top.limit > effort_of(asked) ? query->top.limit : effort_of(asked);
    uint64_t rest;
    bool found = indexer_search(vectors->indexer, view, query, effort, &rest);
    if (found) {
        sweep_all(&vectors->chunks, view, vectors->options.crew, rest, &query, 1);
        uint64_t live = atomic_load(&vectors->chunks.live);
        found = query->top.count >= (asked->top < live ? asked->top : live);
    }
    if (found) {
        query->view = view;
    } else {
        top_clear(&query->top);
        chunks_release_view(view);
    }
    return found;
}

/* What need not look at all rows. */
static bool find_early(struct vectors *vectors, const struct vectors_query *asked,
                       struct sweep_query *query) {
    if (may_approximate(vectors, asked)) return find_approximately(vectors, asked, query);
    if (!is_sparse(vectors, query)) return false;
    query->view = chunks_take_view(&vectors->chunks);
    sweep_only(&vectors->chunks, query->view, vectors->options.crew, query);
    return true;
}

/* Neighbours that have to look at all rows do so together. */
static void find_candidates(struct vectors *vectors, const struct vectors_query *asked,
                            struct sweep_query *queries, size_t count) {
    size_t begin = 0;
    for (size_t i = 0; i < count; i++) {
        if (!find_early(vectors, &asked[i], &queries[i])) continue;
        if (begin < i) sweeper_search(&vectors->sweeper, queries + begin, i - begin);
        begin = i + 1;
    }
    if (begin < count) sweeper_search(&vectors->sweeper, queries + begin, count - begin);
}

static size_t give_hits(const struct vectors_query *query, const struct top *top,
                        struct vectors_hit *hits) {
    size_t count = 0;
    for (size_t i = 0; i < top->count && count < query->top; i++) {
        if (top->entries[i].score < query->score_min) break;
        hits[count++] =
            (struct vectors_hit){.row = top->entries[i].row, .score = top->entries[i].score};
    }
    return count;
}

enum status vectors_search(struct vectors *vectors, const struct vectors_query *queries,
                           size_t count, struct vectors_hit *const *hits, size_t *counts,
                           struct error *err) {
    if (count == 0) return STATUS_OK;
    struct call call;
    enum status status = begin_call(&call, vectors, queries, count, err);
    if (status) return status;
    find_candidates(vectors, queries, call.queries, count);
    for (size_t i = 0; i < count; i++) {
        sweep_rescore(&vectors->chunks, &call.queries[i]);
        counts[i] = give_hits(&queries[i], &call.queries[i].top, hits[i]);
    }
    end_call(&call);
    return STATUS_OK;
}

bool vectors_get(struct vectors *vectors, uint64_t row, float *out) {
    struct view *view = chunks_take_view(&vectors->chunks);
    struct place place;
    bool found = view_find(view, row, &place);
    if (found) {
        const float *embedding = chunk_embedding(&vectors->chunks, place.chunk, place.at);
        memcpy(out, embedding, vectors->chunks.dim * sizeof(*out));
    }
    chunks_release_view(view);
    return found;
}

void vectors_read_stats(struct vectors *vectors, struct vectors_stats *out) {
    *out = (struct vectors_stats){.rows = atomic_load(&vectors->chunks.live),
                                  .bytes = atomic_load(&vectors->chunks.bytes)};
    if (!vectors->indexer) return;
    struct indexer_stats stats;
    indexer_read_stats(vectors->indexer, &stats);
    out->indexed = stats.indexed;
    out->bytes += stats.bytes;
    out->approximate = stats.approximate;
    out->building = stats.building;
}

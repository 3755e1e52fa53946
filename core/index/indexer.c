#include "core/index/indexer.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/log.h"
#include "core/index/graph_file.h"

enum {
    GONE_SHARE = 4,     /* more than 1 of so many forgotten: build anew */
    GONE_MIN = 1000,    /* but not for so few */
    TAIL_SHARE = 8,     /* more than 1 of so many not indexed: a scan is as good */
    EFFORT_SHARE = 400, /* an effort of 1 takes as long as scanning so many rows */
    SAVE_SHARE = 10,    /* grown by 1 in so many since the cache was written: write it again */
};

struct indexer {
    struct indexer_options options;
    struct hnsw_options graph;
    /* The codes of the graph: those of the chunks, or bf16 when the chunks have fp32. */
    enum scan_precision precision;
    char *cache_path; /* or NULL */
    pthread_t thread;

    pthread_mutex_t lock; /* protects what follows */
    pthread_cond_t wake;
    bool ready, changed, rebuild;
    uint64_t first_put; /* the lowest row expected when all was ready; UINT64_MAX: none */
    _Atomic bool stopping, interrupted, discarded; /* read without the lock, too */

    /* Shared: searching and forgetting. Exclusive: adding and replacing, by the thread. */
    pthread_rwlock_t index_lock;
    struct hnsw *index; /* NULL: none */
    uint64_t through;   /* it holds all rows up to this number, but for those removed */

    /* The thread's own. */
    bool looked;  /* at the cache */
    size_t saved; /* rows in the cache */
    void *code;   /* of a row, where the chunks' is another */
    _Atomic bool building;
};

/* ---- rows into an index ---- */

static const void *code_of(struct indexer *indexer, const struct chunk *chunk, size_t at,
                           float *scale) {
    const struct chunks *chunks = indexer->options.chunks;
    *scale = chunk_scale(chunk, at);
    if (!indexer->code) return chunk_code(chunks, chunk, at);
    const float *embedding = chunk_embedding(chunks, chunk, at);
    *scale = scan_encode(indexer->graph.kernel, indexer->code, embedding, chunks->dim);
    return indexer->code;
}

static enum status add(struct indexer *indexer, struct hnsw *hnsw, const struct chunk *chunk,
                       size_t at, struct error *err) {
    float scale;
    const void *code = code_of(indexer, chunk, at, &scale);
    return hnsw_add(hnsw, chunk->rows[at], code, scale, err);
}

/* Adds one row to the index that others search. Who removes a row takes it out of the chunks before
 * asking the index to forget it, so that one of both sees that it is gone; in the chunks as they
 * are now, as the row may have moved since the thread took its view. */
static enum status add_published(struct indexer *indexer, const struct chunk *chunk, size_t at,
                                 struct error *err) {
    uint64_t row = chunk->rows[at];
    struct place place;
    pthread_rwlock_wrlock(&indexer->index_lock);
    enum status status = add(indexer, indexer->index, chunk, at, err);
    if (!status) indexer->through = row;
    struct view *view = chunks_take_view(indexer->options.chunks);
    if (!status && !view_find(view, row, &place)) hnsw_forget(indexer->index, row);
    chunks_release_view(view);
    pthread_rwlock_unlock(&indexer->index_lock);
    return status;
}

/* Adds the rows behind *through, as long as nobody interrupts. `next` is an index of the
 * thread's own, or NULL for that of all. */
static enum status catch_up(struct indexer *indexer, struct hnsw *next, uint64_t *through,
                            struct error *err) {
    struct view *view = chunks_take_view(indexer->options.chunks);
    struct place place = {.chunk_index = 0};
    enum status status = STATUS_OK;
    bool more = view_seek(view, *through + 1, &place);
    size_t first = more ? place.at : 0;
    for (size_t i = place.chunk_index; more && i < view->count && !status; i++, first = 0) {
        const struct chunk *chunk = view->chunks[i];
        size_t count = atomic_load_explicit(&chunk->count, memory_order_acquire);
        for (size_t at = first; at < count && !status; at++) {
            if (atomic_load(&indexer->interrupted)) goto out;
            if (!chunk_is_gone(chunk, at)) {
                status = next ? add(indexer, next, chunk, at, err)
                              : add_published(indexer, chunk, at, err);
            }
            if (!status) *through = chunk->rows[at];
        }
    }
out:
    chunks_release_view(view);
    return status;
}

/* Rows that went while an index was built or lay in its file. */
static void forget_the_gone(struct indexer *indexer) {
    struct view *view = chunks_take_view(indexer->options.chunks);
    pthread_rwlock_rdlock(&indexer->index_lock);
    for (size_t i = 0; i < hnsw_count(indexer->index); i++) {
        struct place place;
        uint64_t row = hnsw_row(indexer->index, i);
        if (!view_find(view, row, &place)) hnsw_forget(indexer->index, row);
    }
    pthread_rwlock_unlock(&indexer->index_lock);
    chunks_release_view(view);
}

static void publish(struct indexer *indexer, struct hnsw *index, uint64_t through) {
    pthread_rwlock_wrlock(&indexer->index_lock);
    struct hnsw *old = indexer->index;
    indexer->index = index;
    indexer->through = through;
    pthread_rwlock_unlock(&indexer->index_lock);
    hnsw_destroy(old);
    if (index) forget_the_gone(indexer);
}

/* ---- the cache ---- */

static void save(struct indexer *indexer, const struct hnsw *hnsw) {
    struct error err = ERROR_NONE;
    if (!indexer->cache_path || hnsw_count(hnsw) == indexer->saved) return;
    if (atomic_load(&indexer->discarded)) return;
    if (graph_file_write(indexer->cache_path, hnsw, &indexer->graph, indexer->precision, &err))
        log_message(LOG_WARNING, "the approximate index is not kept: %s", err.message);
    indexer->saved = hnsw_count(hnsw);
}

/* Whether a graph holds every row of the view up to its last, and as it is now. Rows that
 * are gone may be in it. */
static bool fits(struct indexer *indexer, const struct hnsw *hnsw, const struct view *view) {
    uint64_t last = hnsw_last(hnsw);
    for (size_t i = 0; i < view->count; i++) {
        const struct chunk *chunk = view->chunks[i];
        size_t count = atomic_load_explicit(&chunk->count, memory_order_acquire);
        for (size_t at = 0; at < count && chunk->rows[at] <= last; at++) {
            float scale;
            const void *code = code_of(indexer, chunk, at, &scale);
            if (!chunk_is_gone(chunk, at) && !hnsw_holds(hnsw, chunk->rows[at], code, scale))
                return false;
        }
    }
    return true;
}

/* The graph of the cache, or NULL. */
static struct hnsw *load(struct indexer *indexer) {
    if (!indexer->cache_path || indexer->looked) return NULL;
    indexer->looked = true;
    bool found;
    struct hnsw *hnsw =
        graph_file_read(indexer->cache_path, &indexer->graph, indexer->precision, &found);
    struct view *view = chunks_take_view(indexer->options.chunks);
    if (hnsw && !fits(indexer, hnsw, view)) {
        hnsw_destroy(hnsw);
        hnsw = NULL;
    }
    chunks_release_view(view);
    if (hnsw) indexer->saved = hnsw_count(hnsw);
    if (found && !hnsw)
        log_message(LOG_WARNING, "the approximate index in %s is not usable: it is built anew",
                    indexer->cache_path);
    return hnsw;
}

/* ---- the thread ---- */

/* Needs the lock. */
static void signal_thread(struct indexer *indexer) {
    indexer->changed = true;
    if (indexer->ready) atomic_store(&indexer->building, true);
    pthread_cond_signal(&indexer->wake);
}

static void complain(const struct error *err) {
    log_message(LOG_WARNING, "there is no approximate index, all rows are scanned: %s",
                err->message);
}

/* See indexer_expect(): of rows that were put while the cache was read. */
static bool is_ahead(struct indexer *indexer, uint64_t through) {
    pthread_mutex_lock(&indexer->lock);
    bool ahead = indexer->first_put <= through;
    pthread_mutex_unlock(&indexer->lock);
    return ahead;
}

/* From the cache or from nothing, to all rows there are. Interrupted at the end of the
 * process, what there is is kept for the next start. */
static void build(struct indexer *indexer) {
    struct error err = ERROR_NONE;
    uint64_t live = atomic_load(&indexer->options.chunks->live), through = UINT64_MAX;
    struct hnsw *next = load(indexer);
    enum status status = STATUS_OK;
    bool loaded = next != NULL;
    uint64_t loaded_through = loaded ? hnsw_last(next) : 0;
    if (loaded)
        through = loaded_through;
    else
        status = hnsw_create(&next, &indexer->graph, (size_t)(live + live / 8), &err);
    if (!status) status = catch_up(indexer, next, &through, &err);
    if (status) {
        complain(&err);
        hnsw_destroy(next);
        return;
    }
    bool whole = !atomic_load(&indexer->interrupted);
    if ((whole || atomic_load(&indexer->stopping)) && hnsw_count(next)) save(indexer, next);
    if (!whole || !hnsw_count(next)) {
        hnsw_destroy(next);
        return;
    }
    publish(indexer, next, through);
    if (loaded && is_ahead(indexer, loaded_through)) indexer_rebuild(indexer);
}

static void extend(struct indexer *indexer) {
    struct error err = ERROR_NONE;
    uint64_t through = indexer->through;
    if (catch_up(indexer, NULL, &through, &err)) {
        complain(&err);
        publish(indexer, NULL, 0);
        return;
    }
    size_t count = hnsw_count(indexer->index);
    bool grown = count - indexer->saved > indexer->saved / SAVE_SHARE;
    if (grown || atomic_load(&indexer->stopping)) save(indexer, indexer->index);
}

static bool is_worn_out(const struct hnsw *hnsw) {
    size_t gone = hnsw_forgotten(hnsw);
    return gone > GONE_MIN && gone > hnsw_count(hnsw) / GONE_SHARE;
}

static void work(struct indexer *indexer, bool rebuild) {
    if (rebuild) {
        publish(indexer, NULL, 0);
        if (indexer->cache_path) unlink(indexer->cache_path);
        indexer->saved = 0;
        indexer->looked = true;
    }
    uint64_t live = atomic_load(&indexer->options.chunks->live);
    if (indexer->index && !is_worn_out(indexer->index)) {
        extend(indexer);
    } else if (live >= indexer->options.from && live > 0) {
        indexer->saved = indexer->index ? 0 : indexer->saved;
        build(indexer);
    }
}

static void *run(void *argument) {
    struct indexer *indexer = argument;
    pthread_mutex_lock(&indexer->lock);
    while (!atomic_load(&indexer->stopping)) {
        if (!indexer->ready || !(indexer->changed || indexer->rebuild)) {
            pthread_cond_wait(&indexer->wake, &indexer->lock);
            continue;
        }
        bool rebuild = indexer->rebuild;
        indexer->changed = indexer->rebuild = false;
        atomic_store(&indexer->interrupted, false);
        atomic_store(&indexer->building, true);
        pthread_mutex_unlock(&indexer->lock);
        work(indexer, rebuild);
        pthread_mutex_lock(&indexer->lock);
        atomic_store(&indexer->building, indexer->changed || indexer->rebuild);
    }
    pthread_mutex_unlock(&indexer->lock);
    if (indexer->index) save(indexer, indexer->index);
    return NULL;
}

void indexer_rebuild(struct indexer *indexer) {
    pthread_mutex_lock(&indexer->lock);
    indexer->rebuild = true;
    atomic_store(&indexer->interrupted, true);
    signal_thread(indexer);
    pthread_mutex_unlock(&indexer->lock);
}

enum status indexer_create(struct indexer **out, const struct indexer_options *options,
                           struct error *err) {
    struct indexer *indexer = calloc(1, sizeof(*indexer));
    if (!indexer) return error_set(err, STATUS_NO_MEMORY, "out of memory for an index");
    indexer->options = *options;
    indexer->first_put = UINT64_MAX;
    indexer->precision = options->precision == SCAN_FP32 ? SCAN_BF16 : options->precision;
    indexer->graph =
        (struct hnsw_options){.kernel = scan_kernel_find(options->features, indexer->precision),
                              .dim = options->chunks->dim};
    bool own_code = indexer->precision != options->precision;
    if (own_code) indexer->code = malloc(scan_row_bytes(indexer->graph.kernel, indexer->graph.dim));
    indexer->cache_path = options->cache_path ? strdup(options->cache_path) : NULL;
    pthread_mutex_init(&indexer->lock, NULL);
    pthread_cond_init(&indexer->wake, NULL);
    pthread_rwlockattr_t attributes;
    pthread_rwlockattr_init(&attributes);
    /* Else many searches would keep the thread from adding, as long as there are any. */
    pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&indexer->index_lock, &attributes);
    pthread_rwlockattr_destroy(&attributes);
    bool whole = (!own_code || indexer->code) && (!options->cache_path || indexer->cache_path);
    bool started = whole && pthread_create(&indexer->thread, NULL, run, indexer) == 0;
    if (started) {
        pthread_setname_np(indexer->thread, "index");
        *out = indexer;
        return STATUS_OK;
    }
    indexer->stopping = true;
    indexer_destroy(indexer);
    return whole ? error_set(err, STATUS_UNAVAILABLE, "cannot start an index thread")
                 : error_set(err, STATUS_NO_MEMORY, "out of memory for an index");
}

void indexer_destroy(struct indexer *indexer) {
    if (!indexer) return;
    pthread_mutex_lock(&indexer->lock);
    bool started = !atomic_exchange(&indexer->stopping, true);
    atomic_store(&indexer->interrupted, true);
    pthread_cond_signal(&indexer->wake);
    pthread_mutex_unlock(&indexer->lock);
    if (started) pthread_join(indexer->thread, NULL);
    hnsw_destroy(indexer->index);
    pthread_rwlock_destroy(&indexer->index_lock);
    pthread_cond_destroy(&indexer->wake);
    pthread_mutex_destroy(&indexer->lock);
    free(indexer->cache_path);
    free(indexer->code);
    free(indexer);
}

void indexer_discard(struct indexer *indexer) {
    atomic_store(&indexer->discarded, true);
}

/* ---- callers ---- */

void indexer_ready(struct indexer *indexer) {
    pthread_mutex_lock(&indexer->lock);
    indexer->ready = true;
    signal_thread(indexer);
    pthread_mutex_unlock(&indexer->lock);
}

void indexer_expect(struct indexer *indexer, uint64_t first) {
    pthread_mutex_lock(&indexer->lock);
    if (indexer->ready && first < indexer->first_put) indexer->first_put = first;
    pthread_mutex_unlock(&indexer->lock);
    /* The rows in between would be missed. */
    pthread_rwlock_rdlock(&indexer->index_lock);
    bool behind = indexer->index && first <= indexer->through;
    pthread_rwlock_unlock(&indexer->index_lock);
    if (behind) indexer_rebuild(indexer);
}

void indexer_wake(struct indexer *indexer) {
    pthread_mutex_lock(&indexer->lock);
    signal_thread(indexer);
    pthread_mutex_unlock(&indexer->lock);
}

void indexer_forget(struct indexer *indexer, const uint64_t *rows, size_t count) {
    bool worn_out = false;
    pthread_rwlock_rdlock(&indexer->index_lock);
    for (size_t i = 0; indexer->index && i < count; i++) hnsw_forget(indexer->index, rows[i]);
    if (indexer->index) worn_out = is_worn_out(indexer->index);
    pthread_rwlock_unlock(&indexer->index_lock);
    if (worn_out) indexer_wake(indexer);
}

/* Whether the index answers faster than a scan. Needs the lock. */
static bool is_worth_it(const struct indexer *indexer, size_t effort) {
    if (!indexer->index) return false;
    uint64_t live = atomic_load(&indexer->options.chunks->live);
    uint64_t indexed = hnsw_count(indexer->index) - hnsw_forgotten(indexer->index);
    bool cheap = effort <= INDEXER_EFFORT || effort < live / EFFORT_SHARE;
    return cheap && indexed + live / TAIL_SHARE >= live;
}

bool indexer_search(struct indexer *indexer, const struct view *view, struct sweep_query *query,
                    size_t effort, uint64_t *rest) {
    const struct chunks *chunks = indexer->options.chunks;
    struct hnsw_hit *hits = malloc(effort * sizeof(*hits));
    void *code = aligned_alloc(SCAN_STEP, scan_row_bytes(indexer->graph.kernel, chunks->dim));
    size_t count = 0;
    bool found = false;
    if (hits && code) {
        float scale = scan_encode(indexer->graph.kernel, code, query->embedding, chunks->dim);
        pthread_rwlock_rdlock(&indexer->index_lock);
        found = is_worth_it(indexer, effort) &&
                hnsw_search(indexer->index, code, scale, effort, hits, &count, NULL) == STATUS_OK;
        *rest = indexer->through + 1;
        pthread_rwlock_unlock(&indexer->index_lock);
    }
    for (size_t i = 0; i < count; i++) {
        struct place place;
        if (!view_find(view, hits[i].row, &place)) continue;
        struct candidate candidate = {.score = hits[i].score, .row = hits[i].row};
        candidate.embedding = chunk_embedding(chunks, place.chunk, place.at);
        top_push(&query->top, &candidate, 1);
    }
    free(hits);
    free(code);
    return found;
}

void indexer_read_stats(struct indexer *indexer, struct indexer_stats *out) {
    *out = (struct indexer_stats){.building = atomic_load(&indexer->building)};
    pthread_rwlock_rdlock(&indexer->index_lock);
    if (indexer->index) {
        out->approximate = true;
        out->indexed = hnsw_count(indexer->index) - hnsw_forgotten(indexer->index);
        out->bytes = hnsw_bytes(indexer->index);
    }
    pthread_rwlock_unlock(&indexer->index_lock);
}

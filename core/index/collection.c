/* collection.c - what callers bring is checked once and passed on to the store. */
#include "core/index/collection.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/index/collection_check.h"
#include "core/index/store.h"

struct collections {
    const struct store *store;
    void *self; /* the store's */
};

/* ---- the store ---- */

enum status collections_open(struct collections **out, const struct collections_options *options,
                             struct error *err) {
    const char *store = options->store;
    bool postgres =
        strncmp(store, "postgresql://", 13) == 0 || strncmp(store, "postgres://", 11) == 0;
    if (!*store) return error_set(err, STATUS_INVALID, "the store of collections has no address");
    struct collections *collections = calloc(1, sizeof(*collections));
    if (!collections) return error_set(err, STATUS_NO_MEMORY, "out of memory for collections");
    enum status status =
        postgres ? postgres_store_open(&collections->store, &collections->self, options, err)
                 : sqlite_store_open(&collections->store, &collections->self, options, err);
    if (status) {
        free(collections);
        return status;
    }
    *out = collections;
    return STATUS_OK;
}

void collections_close(struct collections *collections) {
    if (!collections) return;
    collections->store->close(collections->self);
    free(collections);
}

enum status collections_ping(struct collections *collections, struct error *err) {
    return collections->store->ping(collections->self, err);
}

/* ---- collections ---- */

enum status collection_create(struct collections *collections, const struct collection_spec *spec,
                              bool *created, struct error *err) {
    enum status status = collection_check_spec(spec, err);
    return status ? status : collections->store->create(collections->self, spec, created, err);
}

enum status collection_describe(struct collections *collections, const char *name,
                                struct collection_spec *out, struct error *err) {
    enum status status = collection_check_name(name, err);
    return status ? status : collections->store->describe(collections->self, name, out, err);
}

enum status collection_drop(struct collections *collections, const char *name, struct error *err) {
    enum status status = collection_check_name(name, err);
    return status ? status : collections->store->drop(collections->self, name, err);
}

enum status collection_list(struct collections *collections, collection_visit_fn *visit,
                            void *context, struct error *err) {
    return collections->store->list(collections->self, visit, context, err);
}

/* ---- items ---- */

/* Writes the embedding of length 1, `sum` being that of its squares. One that is so already, as
 * nearly as fp32 can tell, keeps its bits, so that what was taken out can be put in again
 * unchanged. */
static void scale(float *out, const float *embedding, size_t dim, double sum) {
    double factor = fabs(sum - 1) < 1e-6 ? 1 : 1 / sqrt(sum);
    for (size_t i = 0; i < dim; i++) out[i] = (float)(embedding[i] * factor);
}

/* For qsort: by id, and those with one id in the order of the call. */
static int compare_items(const void *left, const void *right) {
    const struct item *a = *(const struct item *const *)left;
    const struct item *b = *(const struct item *const *)right;
    size_t size = a->id.size < b->id.size ? a->id.size : b->id.size;
    int order = memcmp(a->id.data, b->id.data, size);
    if (order == 0) order = (a->id.size > b->id.size) - (a->id.size < b->id.size);
    return order ? order : (a > b) - (a < b);
}

/* What an upsert passes on: the last of those with one id, with embeddings of length 1. */
struct batch {
    struct item *items;           /* [count] */
    const struct item **sequence; /* [count], by id; then the caller's items, as in `items` */
    float *embeddings;            /* [count, dim] */
    size_t count;
};

static void batch_free(struct batch *batch) {
    free(batch->items);
    free(batch->sequence);
    free(batch->embeddings);
}

static enum status batch_init(struct batch *out, const struct collection_spec *spec,
                              const struct item *items, size_t count, struct error *err) {
    *out = (struct batch){.items = calloc(count, sizeof(*out->items)),
                          .sequence = calloc(count, sizeof(const struct item *)),
                          .embeddings = calloc(count * spec->dim, sizeof(*out->embeddings))};
    if (!out->items || !out->sequence || !out->embeddings)
        return error_set(err, STATUS_NO_MEMORY, "out of memory for %zu items", count);
    for (size_t i = 0; i < count; i++) {
        float *embedding = out->embeddings + i * spec->dim;
        double sum;
        enum status status = collection_check_item_sum(&sum, spec, &items[i], err);
        if (status && err) err->input = (int)i;
        if (status) return status;
        scale(embedding, items[i].embedding, spec->dim, sum);
        out->items[i] = items[i];
        out->items[i].embedding = embedding;
        if (!items[i].metadata.size) out->items[i].metadata = bytes_of("{}");
        out->sequence[i] = &out->items[i];
    }
    qsort(out->sequence, count, sizeof(const struct item *), compare_items);
    for (size_t i = 0; i + 1 < count; i++) {
        struct bytes id = out->sequence[i]->id, next = out->sequence[i + 1]->id;
        if (id.size == next.size && memcmp(id.data, next.data, id.size) == 0)
            out->items[out->sequence[i] - out->items].id.size = 0;
    }
    for (size_t i = 0; i < count; i++) {
        if (!out->items[i].id.size) continue;
        out->sequence[out->count] = &items[i];
        out->items[out->count++] = out->items[i];
    }
    return STATUS_OK;
}

enum status collection_upsert(struct collections *collections, const char *name,
                              const char *model_digest, const struct item *items, size_t count,
                              struct collection_upserted *out, struct error *err) {
    struct collection_spec spec;
    *out = (struct collection_upserted){0};
    enum status status = collection_describe(collections, name, &spec, err);
    if (!status) status = collection_check_model(&spec, model_digest, err);
    if (status || count == 0) return status;
    if (count > COLLECTION_BATCH_MAX)
        return error_set(err, STATUS_TOO_LARGE, "%zu items in one call, the limit is %d", count,
                         COLLECTION_BATCH_MAX);
    struct batch batch;
    status = batch_init(&batch, &spec, items, count, err);
    if (!status)
        status = collections->store->upsert(collections->self, &spec, batch.items, batch.count, out,
                                            err);
    bool counted = status && err && err->input >= 0 && (size_t)err->input < batch.count;
    if (counted) err->input = (int)(batch.sequence[err->input] - items);
    batch_free(&batch);
    return status;
}

enum status collection_fetch(struct collections *collections, const char *name,
                             const struct bytes *ids, size_t count,
                             const struct item_visitor *visitor, struct error *err) {
    struct collection_spec spec;
    enum status status = collection_describe(collections, name, &spec, err);
    if (!status) status = collection_check_ids(ids, count, err);
    if (status) return status;
    return collections->store->fetch(collections->self, &spec, ids, count, visitor, err);
}

enum status collection_scroll(struct collections *collections, const char *name,
                              const struct filter *filter, struct bytes after, size_t limit,
                              const struct item_visitor *visitor, struct error *err) {
    struct collection_spec spec;
    enum status status = collection_describe(collections, name, &spec, err);
    if (!status && after.size) status = collection_check_id(after, err);
    if (!status) status = filter_check(filter, err);
    if (status || limit == 0) return status;
    if (limit > INT32_MAX) limit = INT32_MAX;
    return collections->store->scroll(collections->self, &spec, filter, after, limit, visitor, err);
}

enum status collection_count(struct collections *collections, const char *name,
                             const struct filter *filter, uint64_t *out, struct error *err) {
    struct collection_spec spec;
    enum status status = collection_describe(collections, name, &spec, err);
    if (!status) status = filter_check(filter, err);
    return status ? status : collections->store->count(collections->self, &spec, filter, out, err);
}

enum status collection_delete(struct collections *collections, const char *name,
                              const struct bytes *ids, size_t count, uint64_t *deleted,
                              struct error *err) {
    struct collection_spec spec;
    *deleted = 0;
    enum status status = collection_describe(collections, name, &spec, err);
    if (!status) status = collection_check_ids(ids, count, err);
    if (status || count == 0) return status;
    return collections->store->remove(collections->self, &spec, ids, count, NULL, deleted, err);
}

enum status collection_delete_where(struct collections *collections, const char *name,
                                    const struct filter *filter, uint64_t *deleted,
                                    struct error *err) {
    struct collection_spec spec;
    *deleted = 0;
    enum status status = collection_describe(collections, name, &spec, err);
    if (!status) status = filter_check(filter, err);
    if (status) return status;
    return collections->store->remove(collections->self, &spec, NULL, 0, filter, deleted, err);
}

/* ---- search ---- */

/* Fills out[count] with the searches, their embeddings of length 1 in `embeddings`. */
static enum status prepare_searches(struct search *out, float *embeddings,
                                    const struct collection_spec *spec,
                                    const struct search *searches, size_t count,
                                    struct error *err) {
    size_t together = 0;
    for (size_t i = 0; i < count; i++) {
        float *embedding = embeddings + i * spec->dim;
        double sum = 1;
        enum status status = collection_check_search(spec, &searches[i], err);
        out[i] = searches[i];
        if (!status && searches[i].embedding) {
            out[i].embedding = embedding;
            status = collection_check_embedding(&sum, searches[i].embedding, spec->dim, err);
            if (!status) scale(embedding, searches[i].embedding, spec->dim, sum);
        }
        /* Roundings put cosines below -1, too. */
        if (out[i].score_min <= -1) out[i].score_min = -INFINITY;
        if (status && err) err->input = (int)i;
        if (status) return status;
        together += searches[i].top_k + searches[i].offset;
    }
    if (together > COLLECTION_HITS_TOGETHER_MAX)
        return error_set(err, STATUS_TOO_LARGE,
                         "top_k and offset of all searches are %zu together, the limit is %d",
                         together, COLLECTION_HITS_TOGETHER_MAX);
    return STATUS_OK;
}

enum status collection_search(struct collections *collections, const char *name,
                              const struct search *searches, size_t count,
                              const struct hit_visitor *visitor, struct error *err) {
    struct collection_spec spec;
    enum status status = collection_describe(collections, name, &spec, err);
    if (status || count == 0) return status;
    if (count > COLLECTION_BATCH_MAX)
        return error_set(err, STATUS_TOO_LARGE, "%zu searches in one call, the limit is %d", count,
                         COLLECTION_BATCH_MAX);
    struct search *scaled = calloc(count, sizeof(*scaled));
    float *embeddings = calloc(count * spec.dim, sizeof(*embeddings));
    if (!scaled || !embeddings) {
        error_set(err, STATUS_NO_MEMORY, "out of memory for %zu searches", count);
        status = STATUS_NO_MEMORY;
    }
    if (!status) status = prepare_searches(scaled, embeddings, &spec, searches, count, err);
    if (!status)
        status = collections->store->search(collections->self, &spec, scaled, count, visitor, err);
    free(scaled);
    free(embeddings);
    return status;
}

/* ---- care ---- */

enum status collection_stats(struct collections *collections, const char *name,
                             struct collection_stats *out, struct error *err) {
    struct collection_spec spec;
    enum status status = collection_describe(collections, name, &spec, err);
    if (status) return status;
    *out = (struct collection_stats){.store = collections->store->name};
    return collections->store->stats(collections->self, &spec, out, err);
}

enum status collection_reindex(struct collections *collections, const char *name,
                               struct error *err) {
    struct collection_spec spec;
    enum status status = collection_describe(collections, name, &spec, err);
    return status ? status : collections->store->reindex(collections->self, &spec, err);
}

enum status collections_snapshot(struct collections *collections, const char *path,
                                 struct error *err) {
    if (!collections->store->snapshot)
        return error_set(err, STATUS_UNSUPPORTED, "snapshots of %s are made with its own tools",
                         collections->store->name);
    return collections->store->snapshot(collections->self, path, err);
}

enum status collection_restore(struct collections *collections, const char *name, const char *path,
                               struct error *err) {
    enum status status = collection_check_name(name, err);
    if (status) return status;
    if (!collections->store->restore)
        return error_set(err, STATUS_UNSUPPORTED, "%s is restored with its own tools",
                         collections->store->name);
    return collections->store->restore(collections->self, name, path, err);
}

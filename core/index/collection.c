/* collection.c - checks what callers bring, once, and passes it on to the store. */
#include "core/index/collection.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/index/store.h"
#include "core/text/unicode.h"

struct collections {
    const struct store *store;
    void *self; /* the store's */
};

/* ---- checks ---- */

static enum status check_name(const char *name, struct error *err) {
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789-_.";
    size_t size = strlen(name);
    if (size == 0 || size > COLLECTION_NAME_MAX)
        return error_set(err, STATUS_INVALID,
                         "the name of a collection has %zu bytes, expected 1 to %d", size,
                         COLLECTION_NAME_MAX);
    if (name[0] == '.' || strspn(name, allowed) != size)
        return error_set(err, STATUS_INVALID,
                         "the name of a collection has other characters than letters, digits, "
                         "\"-\", \"_\" and \".\", or \".\" first");
    return STATUS_OK;
}

/* Valid UTF-8 of at most `most` bytes. U+0000 never is: stores cannot hold it. */
static enum status check_text(struct bytes text, size_t most, const char *what, struct error *err) {
    size_t offset;
    if (text.size > most)
        return error_set(err, STATUS_TOO_LARGE, "%s has %zu bytes, the limit is %zu", what,
                         text.size, most);
    if (!unicode_valid(text, &offset))
        return error_set(err, STATUS_INVALID, "%s is not UTF-8 at byte %zu", what, offset);
    if (text.size && memchr(text.data, 0, text.size))
        return error_set(err, STATUS_INVALID, "%s holds U+0000", what);
    return STATUS_OK;
}

static enum status check_id(struct bytes id, struct error *err) {
    if (id.size == 0) return error_set(err, STATUS_INVALID, "an id is empty");
    if (id.size > COLLECTION_ID_MAX)
        return error_set(err, STATUS_INVALID, "an id has %zu bytes, the limit is %d", id.size,
                         COLLECTION_ID_MAX);
    for (size_t i = 0; i < id.size; i++) {
        if (id.data[i] < 0x20 || id.data[i] == 0x7F)
            return error_set(err, STATUS_INVALID, "an id has a control character at byte %zu", i);
    }
    return check_text(id, COLLECTION_ID_MAX, "an id", err);
}

static enum status check_ids(const struct bytes *ids, size_t count, struct error *err) {
    if (count > COLLECTION_HITS_MAX)
        return error_set(err, STATUS_TOO_LARGE, "%zu ids in one call, the limit is %d", count,
                         COLLECTION_HITS_MAX);
    for (size_t i = 0; i < count; i++) {
        enum status status = check_id(ids[i], err);
        if (status && err) err->input = (int)i;
        if (status) return status;
    }
    return STATUS_OK;
}

static enum status check_dim(const struct collection_spec *spec, uint32_t dim, struct error *err) {
    if (dim == spec->dim) return STATUS_OK;
    return error_set(err, STATUS_CONFLICT,
                     "an embedding has %u dimensions, those of collection \"%s\" have %u", dim,
                     spec->name, spec->dim);
}

static enum status check_model(const struct collection_spec *spec, const char *digest,
                               struct error *err) {
    if (strcmp(digest, spec->model_digest) == 0) return STATUS_OK;
    return error_set(err, STATUS_CONFLICT,
                     "collection \"%s\" holds embeddings of the model with digest %s, these are of "
                     "%.64s",
                     spec->name, spec->model_digest, digest);
}

/* The sum of squares, which no float can make overflow in double precision. */
static enum status check_embedding(double *sum, const float *embedding, size_t dim,
                                   struct error *err) {
    *sum = 0;
    for (size_t i = 0; i < dim; i++) {
        if (!isfinite(embedding[i]))
            return error_set(err, STATUS_INVALID, "value %zu of an embedding is not finite", i);
        *sum += (double)embedding[i] * embedding[i];
    }
    if (*sum > 0) return STATUS_OK;
    return error_set(err, STATUS_INVALID, "an embedding is 0 in every dimension");
}

/* JSON can spell U+0000 only as an escape: one backslash, itself not escaped. */
static bool spells_nul(struct bytes json) {
    for (size_t i = 0; i + 1 < json.size; i++) {
        if (json.data[i] != '\\') continue;
        if (json.size - i >= 6 && memcmp(json.data + i, "\\u0000", 6) == 0) return true;
        i++;
    }
    return false;
}

/* *sum: of the embedding's squares. */
static enum status check_item(double *sum, const struct collection_spec *spec,
                              const struct item *item, struct error *err) {
    enum status status = check_id(item->id, err);
    if (!status) status = check_dim(spec, item->dim, err);
    if (!status) status = check_embedding(sum, item->embedding, item->dim, err);
    if (!status) status = check_text(item->metadata, COLLECTION_METADATA_MAX, "metadata", err);
    if (!status) status = check_text(item->text, COLLECTION_TEXT_MAX, "a text", err);
    if (status) return status;
    if (spells_nul(item->metadata)) return error_set(err, STATUS_INVALID, "metadata holds U+0000");
    if (item->thumbnail.size > COLLECTION_THUMBNAIL_MAX)
        return error_set(err, STATUS_TOO_LARGE, "a thumbnail has %zu bytes, the limit is %d",
                         item->thumbnail.size, COLLECTION_THUMBNAIL_MAX);
    return STATUS_OK;
}

enum status collection_check_item(const struct collection_spec *spec, const struct item *item,
                                  struct error *err) {
    double sum;
    return check_item(&sum, spec, item, err);
}

static enum status check_fields(const struct collection_spec *spec, struct error *err) {
    if (spec->fields_count > COLLECTION_FIELDS_MAX)
        return error_set(err, STATUS_INVALID, "%zu fields, the limit is %d", spec->fields_count,
                         COLLECTION_FIELDS_MAX);
    for (size_t i = 0; i < spec->fields_count; i++) {
        const struct collection_field *field = &spec->fields[i];
        enum status status = filter_check_field(field->path, err);
        if (status) return status;
        if (field->kind > COLLECTION_BOOL)
            return error_set(err, STATUS_INVALID, "field \"%s\" is of no known kind", field->path);
        for (size_t j = 0; j < i; j++) {
            if (strcmp(field->path, spec->fields[j].path) == 0)
                return error_set(err, STATUS_INVALID, "field \"%s\" is there twice", field->path);
        }
    }
    return STATUS_OK;
}

enum status collection_check_spec(const struct collection_spec *spec, struct error *err) {
    enum status status = check_name(spec->name, err);
    if (!status)
        status = check_text(bytes_of(spec->model), sizeof(spec->model) - 1, "a model's name", err);
    if (status) return status;
    if (strlen(spec->model_digest) != SHA256_HEX_SIZE - 1 ||
        strspn(spec->model_digest, "0123456789abcdef") != SHA256_HEX_SIZE - 1)
        return error_set(err, STATUS_INVALID, "a model's digest is not 64 digits of 0-9a-f");
    if (spec->dim == 0 || spec->dim > COLLECTION_DIM_MAX)
        return error_set(err, STATUS_INVALID, "%u dimensions, expected 1 to %d", spec->dim,
                         COLLECTION_DIM_MAX);
    if (spec->precision > COLLECTION_FP32)
        return error_set(err, STATUS_INVALID, "a collection of no known precision");
    return check_fields(spec, err);
}

static bool has_field(const struct collection_spec *spec, const struct collection_field *field) {
    for (size_t i = 0; i < spec->fields_count; i++) {
        if (spec->fields[i].kind == field->kind && strcmp(spec->fields[i].path, field->path) == 0)
            return true;
    }
    return false;
}

enum status collection_compare(const struct collection_spec *has,
                               const struct collection_spec *wanted, struct error *err) {
    if (strcmp(has->model_digest, wanted->model_digest) != 0)
        return error_set(err, STATUS_CONFLICT,
                         "collection \"%s\" is of model %s (%.12s), not of %s (%.12s)", has->name,
                         has->model, has->model_digest, wanted->model, wanted->model_digest);
    if (has->dim != wanted->dim)
        return error_set(err, STATUS_CONFLICT, "collection \"%s\" has %u dimensions, not %u",
                         has->name, has->dim, wanted->dim);
    if (has->precision != wanted->precision)
        return error_set(err, STATUS_CONFLICT, "collection \"%s\" has another precision",
                         has->name);
    for (size_t i = 0; i < wanted->fields_count; i++) {
        if (!has_field(has, &wanted->fields[i]))
            return error_set(err, STATUS_CONFLICT,
                             "collection \"%s\" has no field \"%s\" of that kind", has->name,
                             wanted->fields[i].path);
    }
    if (has->fields_count != wanted->fields_count)
        return error_set(err, STATUS_CONFLICT, "collection \"%s\" has %zu fields, not %zu",
                         has->name, has->fields_count, wanted->fields_count);
    return STATUS_OK;
}

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
    enum status status = check_name(name, err);
    return status ? status : collections->store->describe(collections->self, name, out, err);
}

enum status collection_drop(struct collections *collections, const char *name, struct error *err) {
    enum status status = check_name(name, err);
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
        enum status status = check_item(&sum, spec, &items[i], err);
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
    if (!status) status = check_model(&spec, model_digest, err);
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
    if (!status) status = check_ids(ids, count, err);
    if (status) return status;
    return collections->store->fetch(collections->self, &spec, ids, count, visitor, err);
}

enum status collection_scroll(struct collections *collections, const char *name,
                              const struct filter *filter, struct bytes after, size_t limit,
                              const struct item_visitor *visitor, struct error *err) {
    struct collection_spec spec;
    enum status status = collection_describe(collections, name, &spec, err);
    if (!status && after.size) status = check_id(after, err);
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
    if (!status) status = check_ids(ids, count, err);
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

static enum status check_search(const struct collection_spec *spec, const struct search *search,
                                struct error *err) {
    enum status status = check_text(search->words, COLLECTION_WORDS_MAX, "a search by words", err);
    if (!status && search->embedding) status = check_dim(spec, search->dim, err);
    if (!status && search->embedding && search->model_digest)
        status = check_model(spec, search->model_digest, err);
    if (!status) status = filter_check(search->filter, err);
    if (status) return status;
    if (!search->embedding && !search->words.size)
        return error_set(err, STATUS_INVALID, "a search has neither an embedding nor words");
    if (search->top_k == 0 || search->top_k > COLLECTION_HITS_MAX ||
        search->offset > COLLECTION_HITS_MAX - search->top_k)
        return error_set(err, STATUS_INVALID,
                         "top_k is %u and offset %u, expected at least 1 and together at most %d",
                         search->top_k, search->offset, COLLECTION_HITS_MAX);
    if (search->effort > COLLECTION_EFFORT_MAX)
        return error_set(err, STATUS_INVALID, "the effort is %u, expected at most %d",
                         search->effort, COLLECTION_EFFORT_MAX);
    if (!(search->words_weight >= 0 && search->words_weight <= 1))
        return error_set(err, STATUS_INVALID, "the weight of words is %g, expected 0 to 1",
                         (double)search->words_weight);
    if (isnan(search->score_min))
        return error_set(err, STATUS_INVALID, "the least score is not a number");
    return STATUS_OK;
}

/* Fills out[count] with the searches, their embeddings of length 1 in `embeddings`. */
static enum status prepare_searches(struct search *out, float *embeddings,
                                    const struct collection_spec *spec,
                                    const struct search *searches, size_t count,
                                    struct error *err) {
    size_t together = 0;
    for (size_t i = 0; i < count; i++) {
        float *embedding = embeddings + i * spec->dim;
        double sum = 1;
        enum status status = check_search(spec, &searches[i], err);
        out[i] = searches[i];
        if (!status && searches[i].embedding) {
            out[i].embedding = embedding;
            status = check_embedding(&sum, searches[i].embedding, spec->dim, err);
            if (!status) scale(embedding, searches[i].embedding, spec->dim, sum);
        }
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
    enum status status = check_name(name, err);
    if (status) return status;
    if (!collections->store->restore)
        return error_set(err, STATUS_UNSUPPORTED, "%s is restored with its own tools",
                         collections->store->name);
    return collections->store->restore(collections->self, name, path, err);
}

#include "core/index/duplicates.h"

#include <stdlib.h>
#include <string.h>

enum { PAGE_ITEMS = 1024, BATCH_ITEMS = 128, NEIGHBOURS = 32 };

struct file {
    uint8_t digest[SHA256_SIZE];
    uint32_t index;
};

struct finder {
    struct collections *collections;
    const char *name;
    const struct duplicates_options *options;
    const struct duplicates_visitor *visitor;
    struct collection_spec spec; /* as it was at the beginning */

    /* Of all items, in the order of their ids, [count]. */
    struct buffer ids;   /* one behind the other */
    struct buffer ends;  /* of size_t: where each id ends */
    struct buffer files; /* of struct file: those with a digest */
    uint32_t *file_of;   /* items of one file have one number */
    uint32_t *parent;    /* union-find */
    uint32_t *order;     /* items, those of a cluster side by side */
    uint32_t *starts;    /* [count + 1]: where the next of each cluster goes in `order` */
    float *score;        /* best one so far */
    size_t count;

    /* The batch that is being searched for. */
    float *embeddings; /* [BATCH_ITEMS, dim] */
    uint32_t batch[BATCH_ITEMS];
    size_t batch_count, page_count;
    struct buffer last;
};

/* ---- all items ---- */

static struct bytes id_of(const struct finder *finder, size_t index) {
    const size_t *ends = (const size_t *)(const void *)finder->ends.data;
    size_t start = index ? ends[index - 1] : 0;
    return (struct bytes){finder->ids.data + start, ends[index] - start};
}

static int compare_ids(struct bytes a, struct bytes b) {
    size_t size = a.size < b.size ? a.size : b.size;
    int order = size ? memcmp(a.data, b.data, size) : 0;
    return order ? order : (a.size > b.size) - (a.size < b.size);
}

/* False for an item that came after the first look. */
static bool find_item(const struct finder *finder, struct bytes id, uint32_t *index) {
    size_t low = 0, high = finder->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare_ids(id_of(finder, middle), id);
        *index = (uint32_t)middle;
        if (order == 0) return true;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

static enum status note_item(void *context, const struct item *item, struct error *err) {
    struct finder *finder = context;
    struct file file = {.index = (uint32_t)finder->count};
    if (finder->count == DUPLICATES_ITEMS_MAX) {
        return error_set(err, STATUS_TOO_LARGE, "more than %d items to compare: give a filter",
                         DUPLICATES_ITEMS_MAX);
    }
    enum status status = buffer_append(&finder->ids, item->id.data, item->id.size, err);
    size_t end = finder->ids.size;
    if (!status) status = buffer_append(&finder->ends, &end, sizeof(end), err);
    if (!status && item->has_digest) {
        memcpy(file.digest, item->digest, SHA256_SIZE);
        status = buffer_append(&finder->files, &file, sizeof(file), err);
    }
    finder->count++;
    finder->page_count++;
    return status;
}

static enum status note_items(struct finder *finder, struct error *err) {
    enum status status = STATUS_OK;
    do {
        unsigned parts = finder->options->files ? ITEM_DIGEST : 0;
        struct bytes after = {0};
        if (finder->count) {
            finder->last.size = 0;
            struct bytes id = id_of(finder, finder->count - 1);
            status = buffer_append(&finder->last, id.data, id.size, err);
            after = buffer_view(&finder->last);
        }
        finder->page_count = 0;
        if (!status) {
            status = collection_scroll(finder->collections, finder->name, finder->options->filter,
                                       after, PAGE_ITEMS,
                                       &(struct item_visitor){parts, note_item, finder}, err);
        }
        if (!status) status = finder->visitor->pause(finder->visitor->context, err);
    } while (!status && finder->page_count == PAGE_ITEMS);
    return status;
}

static enum status allocate(struct finder *finder, struct error *err) {
    size_t count = finder->count;
    finder->file_of = calloc(count + 1, sizeof(*finder->file_of));
    finder->parent = calloc(count + 1, sizeof(*finder->parent));
    finder->order = calloc(count + 1, sizeof(*finder->order));
    finder->starts = calloc(count + 1, sizeof(*finder->starts));
    finder->score = calloc(count + 1, sizeof(*finder->score));
    finder->embeddings =
        calloc((size_t)BATCH_ITEMS * finder->spec.dim, sizeof(*finder->embeddings));
    if (!finder->file_of || !finder->parent || !finder->order || !finder->starts ||
        !finder->score || !finder->embeddings) {
        return error_set(err, STATUS_NO_MEMORY, "out of memory for %zu items", count);
    }
    for (size_t i = 0; i < count; i++) finder->file_of[i] = finder->parent[i] = (uint32_t)i;
    return STATUS_OK;
}

static enum status report(struct finder *finder, enum duplicates_tier tier, const uint32_t *items,
                          size_t count, struct error *err) {
    struct duplicate *cluster = calloc(count, sizeof(*cluster));
    if (!cluster) return error_set(err, STATUS_NO_MEMORY, "out of memory for %zu items", count);
    for (size_t i = 0; i < count; i++) {
        float score = tier == DUPLICATES_FILES ? 1 : finder->score[items[i]];
        cluster[i] = (struct duplicate){.id = id_of(finder, items[i]), .score = score};
    }
    enum status status =
        finder->visitor->visit(finder->visitor->context, tier, cluster, count, err);
    free(cluster);
    return status;
}

/* ---- the same file ---- */

static int compare_files(const void *left, const void *right) {
    const struct file *a = left, *b = right;
    int order = memcmp(a->digest, b->digest, SHA256_SIZE);
    return order ? order : (a->index > b->index) - (a->index < b->index);
}

static enum status find_files(struct finder *finder, struct error *err) {
    struct file *files = (struct file *)(void *)finder->files.data;
    size_t count = finder->files.size / sizeof(*files), end;
    enum status status = STATUS_OK;
    if (count) qsort(files, count, sizeof(*files), compare_files);
    for (size_t start = 0; start < count && !status; start = end) {
        for (end = start; end < count; end++) {
            if (memcmp(files[end].digest, files[start].digest, SHA256_SIZE) != 0) break;
            finder->file_of[files[end].index] = files[start].index;
            finder->order[end - start] = files[end].index;
        }
        if (end - start > 1)
            status = report(finder, DUPLICATES_FILES, finder->order, end - start, err);
    }
    return status;
}

/* ---- alike ---- */

static uint32_t find_root(uint32_t *parent, uint32_t index) {
    while (parent[index] != index) {
        parent[index] = parent[parent[index]];
        index = parent[index];
    }
    return index;
}

static enum status note_hit(void *context, const struct hit *hit, struct error *err) {
    struct finder *finder = context;
    uint32_t index = finder->batch[hit->query], other;
    (void)err;
    if (!find_item(finder, hit->item.id, &other) || other == index) return STATUS_OK;
    if (hit->score > finder->score[index]) finder->score[index] = hit->score;
    if (hit->score > finder->score[other]) finder->score[other] = hit->score;
    uint32_t a = find_root(finder->parent, index), b = find_root(finder->parent, other);
    /* The lower root wins: it is the cluster's first item. */
    finder->parent[a < b ? b : a] = a < b ? a : b;
    return STATUS_OK;
}

static enum status search_batch(struct finder *finder, struct error *err) {
    struct search searches[BATCH_ITEMS];
    for (size_t i = 0; i < finder->batch_count; i++) {
        searches[i] = (struct search){
            .embedding = finder->embeddings + i * finder->spec.dim,
            .dim = finder->spec.dim,
            .model_digest = finder->spec.model_digest,
            .top_k = NEIGHBOURS,
            .score_min = finder->options->threshold,
            .filter = finder->options->filter,
        };
    }
    enum status status =
        collection_search(finder->collections, finder->name, searches, finder->batch_count,
                          &(struct hit_visitor){0, note_hit, finder}, err);
    finder->batch_count = 0;
    return status ? status : finder->visitor->pause(finder->visitor->context, err);
}

static enum status note_embedding(void *context, const struct item *item, struct error *err) {
    struct finder *finder = context;
    uint32_t index;
    finder->page_count++;
    finder->last.size = 0;
    enum status status = buffer_append(&finder->last, item->id.data, item->id.size, err);
    if (status || !find_item(finder, item->id, &index)) return status;
    if (item->dim != finder->spec.dim)
        return error_set(err, STATUS_CONFLICT, "collection \"%s\" was made anew meanwhile",
                         finder->name);
    memcpy(finder->embeddings + finder->batch_count * finder->spec.dim, item->embedding,
           finder->spec.dim * sizeof(float));
    finder->batch[finder->batch_count++] = index;
    return STATUS_OK;
}

/* Sorts the items by their roots, counting. */
static void sort_clusters(struct finder *finder) {
    uint32_t *starts = finder->starts;
    for (size_t i = 0; i < finder->count; i++) {
        starts[find_root(finder->parent, (uint32_t)i) + 1]++;
    }
    for (size_t i = 0; i < finder->count; i++) starts[i + 1] += starts[i];
    for (size_t i = 0; i < finder->count; i++) {
        finder->order[starts[find_root(finder->parent, (uint32_t)i)]++] = (uint32_t)i;
    }
}

static bool is_one_file(const struct finder *finder, const uint32_t *items, size_t count) {
    for (size_t i = 1; i < count; i++) {
        if (finder->file_of[items[i]] != finder->file_of[items[0]]) return false;
    }
    return finder->options->files;
}

static enum status find_embeddings(struct finder *finder, struct error *err) {
    enum status status = STATUS_OK;
    finder->last.size = 0;
    do {
        finder->page_count = 0;
        status = collection_scroll(
            finder->collections, finder->name, finder->options->filter, buffer_view(&finder->last),
            BATCH_ITEMS, &(struct item_visitor){ITEM_EMBEDDING, note_embedding, finder}, err);
        if (!status && finder->batch_count) status = search_batch(finder, err);
    } while (!status && finder->page_count == BATCH_ITEMS);
    if (status) return status;
    sort_clusters(finder);
    for (size_t at = 0, end; at < finder->count && !status; at = end) {
        uint32_t root = find_root(finder->parent, finder->order[at]);
        for (end = at; end < finder->count; end++) {
            if (find_root(finder->parent, finder->order[end]) != root) break;
        }
        const uint32_t *items = finder->order + at;
        if (end - at > 1 && !is_one_file(finder, items, end - at))
            status = report(finder, DUPLICATES_EMBEDDINGS, items, end - at, err);
    }
    return status;
}

/* ---- the whole ---- */

static void finder_free(struct finder *finder) {
    buffer_free(&finder->ids);
    buffer_free(&finder->ends);
    buffer_free(&finder->files);
    buffer_free(&finder->last);
    free(finder->file_of);
    free(finder->parent);
    free(finder->order);
    free(finder->starts);
    free(finder->score);
    free(finder->embeddings);
}

enum status duplicates_find(struct collections *collections, const char *name,
                            const struct duplicates_options *options,
                            const struct duplicates_visitor *visitor, uint64_t *items,
                            struct error *err) {
    struct finder finder = {
        .collections = collections, .name = name, .options = options, .visitor = visitor};
    enum status status = collection_describe(collections, name, &finder.spec, err);
    if (status) return status;
    buffer_init(&finder.ids, (size_t)DUPLICATES_ITEMS_MAX * COLLECTION_ID_MAX);
    buffer_init(&finder.ends, DUPLICATES_ITEMS_MAX * sizeof(size_t));
    buffer_init(&finder.files, DUPLICATES_ITEMS_MAX * sizeof(struct file));
    buffer_init(&finder.last, COLLECTION_ID_MAX);
    status = note_items(&finder, err);
    *items = finder.count;
    if (!status) status = allocate(&finder, err);
    if (!status && options->files) status = find_files(&finder, err);
    if (!status && options->embeddings) status = find_embeddings(&finder, err);
    finder_free(&finder);
    return status;
}

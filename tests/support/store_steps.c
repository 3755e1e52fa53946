#include "tests/support/store_steps.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/store_suite.h"

const char step_digest_a[SHA256_HEX_SIZE] =
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const char step_digest_b[SHA256_HEX_SIZE] =
    "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

void store_suite_must(bool holds, const char *format, ...) {
    if (holds) return;
    va_list args;
    va_start(args, format);
    fprintf(stderr, "store suite: ");
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n");
    va_end(args);
    abort();
}

void step_must_be(enum status status, enum status expected, const struct error *err,
                  const char *what) {
    store_suite_must(status == expected, "%s: %s (%s), expected %s", what, status_name(status),
                     err->message, status_name(expected));
}

struct collections *step_open_store(const char *store) {
    struct error err = ERROR_NONE;
    struct collections *collections = NULL;
    struct collections_options options = {.store = store, .threads = 2};
    step_must_be(collections_open(&collections, &options, &err), STATUS_OK, &err, "open");
    return collections;
}

struct collection_spec step_spec_of(const char *name) {
    struct collection_spec spec = {.dim = STEP_DIM, .precision = COLLECTION_FP32};
    snprintf(spec.name, sizeof(spec.name), "%s", name);
    snprintf(spec.model, sizeof(spec.model), "model-a");
    memcpy(spec.model_digest, step_digest_a, sizeof(step_digest_a));
    return spec;
}

void step_add_field(struct collection_spec *spec, const char *path,
                    enum collection_field_kind kind) {
    struct collection_field *field = &spec->fields[spec->fields_count++];
    snprintf(field->path, sizeof(field->path), "%s", path);
    field->kind = kind;
}

void step_make(struct collections *c, const struct collection_spec *spec) {
    struct error err = ERROR_NONE;
    bool created = false;
    collection_drop(c, spec->name, NULL);
    step_must_be(collection_create(c, spec, &created, &err), STATUS_OK, &err, "create");
    store_suite_must(created, "create: made \"%s\"", spec->name);
}

void step_drop(struct collections *c, const char *name) {
    struct error err = ERROR_NONE;
    step_must_be(collection_drop(c, name, &err), STATUS_OK, &err, "drop");
}

struct item step_item_at(const char *id, double angle, float embedding[STEP_DIM]) {
    memset(embedding, 0, STEP_DIM * sizeof(float));
    embedding[0] = (float)cos(angle);
    embedding[1] = (float)sin(angle);
    return (struct item){.id = bytes_of(id), .embedding = embedding, .dim = STEP_DIM};
}

enum status step_put(struct collections *c, const char *name, const struct item *items,
                     size_t count, struct error *err) {
    struct collection_upserted upserted;
    return collection_upsert(c, name, step_digest_a, items, count, &upserted, err);
}

void step_must_put(struct collections *c, const char *name, struct item item) {
    struct error err = ERROR_NONE;
    step_must_be(step_put(c, name, &item, 1, &err), STATUS_OK, &err, "upsert");
}

void step_put_at(struct collections *c, const char *name, const char *id, double angle) {
    float embedding[STEP_DIM];
    step_must_put(c, name, step_item_at(id, angle, embedding));
}

/* JSON without the spaces between tokens, which a store may change. */
static void keep_json(char *out, struct bytes json) {
    size_t size = 0;
    bool quoted = false;
    for (size_t i = 0; i < json.size && size < STEP_SEEN_MAX - 1; i++) {
        if (json.data[i] == '"') quoted = !quoted;
        if (quoted || json.data[i] != ' ') out[size++] = (char)json.data[i];
    }
    out[size] = '\0';
}

enum status step_see(void *context, const struct item *item, struct error *err) {
    struct seen *seen = context;
    (void)err;
    seen->size += (size_t)snprintf(seen->ids + seen->size, STEP_SEEN_MAX - seen->size, " %.*s",
                                   (int)item->id.size, (const char *)item->id.data);
    store_suite_must(seen->size < STEP_SEEN_MAX, "too many ids for the test");
    keep_json(seen->metadata, item->metadata);
    snprintf(seen->text, STEP_SEEN_MAX, "%.*s", (int)item->text.size,
             (const char *)item->text.data);
    snprintf(seen->thumbnail, STEP_SEEN_MAX, "%.*s", (int)item->thumbnail.size,
             (const char *)item->thumbnail.data);
    seen->has_digest = item->has_digest;
    memcpy(seen->digest, item->digest, SHA256_SIZE);
    if (item->embedding) memcpy(seen->embedding, item->embedding, sizeof(seen->embedding));
    seen->count++;
    return STATUS_OK;
}

enum status step_see_hit(void *context, const struct hit *hit, struct error *err) {
    struct seen *seen = context;
    if (seen->count < 64) {
        seen->scores[seen->count] = hit->score;
        seen->ranks[seen->count] = hit->rank;
        seen->queries[seen->count] = hit->query;
    }
    return step_see(context, &hit->item, err);
}

void step_must_see(const struct seen *seen, const char *ids, const char *what) {
    store_suite_must(strcmp(seen->ids, ids) == 0, "%s: saw \"%s\", expected \"%s\"", what,
                     seen->ids, ids);
}

struct seen step_scroll(struct collections *c, const char *name, const struct filter *filter,
                        const char *after, size_t limit) {
    struct error err = ERROR_NONE;
    struct seen seen = {0};
    step_must_be(collection_scroll(c, name, filter, bytes_of(after), limit,
                                   &(struct item_visitor){ITEM_METADATA, step_see, &seen}, &err),
                 STATUS_OK, &err, "scroll");
    return seen;
}

struct seen step_fetch(struct collections *c, const char *name, const char *id, unsigned parts) {
    struct error err = ERROR_NONE;
    struct seen seen = {0};
    struct bytes ids = bytes_of(id);
    step_must_be(
        collection_fetch(c, name, &ids, 1, &(struct item_visitor){parts, step_see, &seen}, &err),
        STATUS_OK, &err, "fetch");
    return seen;
}

struct search step_search_at(float embedding[STEP_DIM], uint32_t top_k) {
    step_item_at("", 0, embedding);
    return (struct search){
        .embedding = embedding, .dim = STEP_DIM, .top_k = top_k, .score_min = -1, .exact = true};
}

struct seen step_search(struct collections *c, const char *name, const struct search *searches,
                        size_t count) {
    struct error err = ERROR_NONE;
    struct seen seen = {0};
    step_must_be(collection_search(c, name, searches, count,
                                   &(struct hit_visitor){0, step_see_hit, &seen}, &err),
                 STATUS_OK, &err, "search");
    return seen;
}

void step_scroll_sees(struct collections *c, const char *name, const struct filter *filter,
                      const char *after, size_t limit, const char *ids, const char *what) {
    struct seen seen = step_scroll(c, name, filter, after, limit);
    step_must_see(&seen, ids, what);
}

void step_search_sees(struct collections *c, const char *name, const struct search *searches,
                      size_t count, const char *ids, const char *what) {
    struct seen seen = step_search(c, name, searches, count);
    step_must_see(&seen, ids, what);
}

#include "api/search_body.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "api/body.h"
#include "api/embedding_json.h"

enum { KINDS_COUNT = 4, OPTIONS_COUNT = 12, VALUES_OF_QUERY = 64 };
static const char *const kinds[KINDS_COUNT] = {"text", "image", "id", "embedding"};

/* Members of a query, after those of a term. */
static const char *const query_names[] = {
    "text",   "image",        "id",    "embedding", "mixture",   "words",   "top_k",   "offset",
    "filter", "words_weight", "exact", "effort",    "score_min", "include", "encoding"};
enum { QUERY_NAMES = 13, ALL_NAMES = 15 };

void search_body_point(char out[JSON_POINTER_SIZE], const struct search_body *body,
                       const struct search_term *term) {
    char query[JSON_POINTER_SIZE] = "", mixture[JSON_POINTER_SIZE], at[JSON_POINTER_SIZE];
    if (body->is_list) json_body_point_at(query, "/queries", term->query);
    if (!body->queries[term->query].is_mixture) {
        json_body_point(out, query, kinds[term->kind]);
        return;
    }
    json_body_point(mixture, query, "mixture");
    json_body_point_at(at, mixture, term->index);
    json_body_point(out, at, kinds[term->kind]);
}

/* ---- terms ---- */

/* Scales to length 1, so that weights mean the same for all. */
static enum status scale(float *embedding, size_t dim, const char *pointer, struct error *err) {
    double sum = 0;
    for (size_t i = 0; i < dim; i++) sum += (double)embedding[i] * embedding[i];
    if (!(sum > 0) || !isfinite(sum)) {
        return error_set_at(err, STATUS_INVALID, pointer,
                            "an embedding is 0 in every dimension, or not finite");
    }
    double factor = 1 / sqrt(sum);
    for (size_t i = 0; i < dim; i++) embedding[i] = (float)(embedding[i] * factor);
    return STATUS_OK;
}

static enum status read_term(struct search_body *body, struct search_term *term,
                             const struct collection_spec *spec, const json_t *value,
                             struct error *err) {
    char pointer[JSON_POINTER_SIZE];
    struct bytes text = {0};
    enum status status = STATUS_OK;
    search_body_point(pointer, body, term);
    if (term->kind != SEARCH_EMBEDDING)
        status = json_body_string(&text, &body->json, value, pointer, err);
    if (status) return status;
    switch (term->kind) {
    case SEARCH_TEXT: term->input = body->texts.count; return inputs_add(&body->texts, text, err);
    case SEARCH_IMAGE:
        term->input = body->images.count;
        return inputs_add_image_text(&body->images, text, pointer, err);
    case SEARCH_ID: term->id = text; return STATUS_OK;
    case SEARCH_EMBEDDING:
        status = embedding_json_read(term->embedding, spec->dim, &body->json, value, pointer, err);
        return status ? status : scale(term->embedding, spec->dim, pointer, err);
    }
    return STATUS_OK;
}

/* The one of text, image, id and embedding that an object has; NULL for none or several. */
static const json_t *find_term(enum search_term_kind *kind, const json_t *object) {
    const json_t *found = NULL;
    for (size_t i = 0; i < KINDS_COUNT; i++) {
        const json_t *value = json_object_get(object, kinds[i]);
        if (!value || json_is_null(value)) continue;
        if (found) return NULL;
        found = value;
        *kind = (enum search_term_kind)i;
    }
    return found;
}

/* Adds a term of an object that is a query or a part of a mixture. */
static enum status add_term(struct search_body *body, size_t query, size_t index,
                            const struct collection_spec *spec, const json_t *object,
                            const char *pointer, struct error *err) {
    struct search_term *term = &body->terms[body->terms_count];
    double weight = 1;
    char where[JSON_POINTER_SIZE];
    *term = (struct search_term){.query = query, .index = index};
    term->embedding = body->embeddings + body->terms_count * spec->dim;
    const json_t *value = find_term(&term->kind, object);
    if (!value) {
        return error_set_at(err, STATUS_INVALID, *pointer ? pointer : "/text",
                            "one of text, image, id and embedding is expected");
    }
    const json_t *given =
        body->queries[query].is_mixture ? json_object_get(object, "weight") : NULL;
    json_body_point(where, pointer, "weight");
    enum status status = given ? json_body_double(&weight, given, where, err) : STATUS_OK;
    if (!status && !(fabs(weight) <= 1000)) {
        status = error_set_at(err, STATUS_INVALID, where,
                              "a weight is %g, expected from -1000 to 1000", weight);
    }
    term->weight = (float)weight;
    if (!status) status = read_term(body, term, spec, value, err);
    if (!status) body->terms_count++;
    return status;
}

static enum status read_mixture(struct search_body *body, size_t query,
                                const struct collection_spec *spec, const json_t *mixture,
                                const char *pointer, struct error *err) {
    static const char *const names[] = {"text", "image", "id", "embedding", "weight"};
    size_t count = json_array_size(mixture);
    if (!json_is_array(mixture) || !count || count > SEARCH_TERMS_MAX) {
        return error_set_at(err, STATUS_INVALID, pointer, "a mixture is an array of 1 to %d parts",
                            SEARCH_TERMS_MAX);
    }
    enum status status = STATUS_OK;
    for (size_t i = 0; i < count && !status; i++) {
        char where[JSON_POINTER_SIZE];
        const json_t *part = json_array_get(mixture, i);
        json_body_point_at(where, pointer, i);
        status = json_body_members(part, where, "a part of a mixture", names, 5, err);
        if (!status) status = add_term(body, query, i, spec, part, where, err);
    }
    return status;
}

/* ---- queries ---- */

static enum status read_float(float *out, const json_t *object, const char *pointer,
                              const char *name, struct error *err) {
    const json_t *value = json_object_get(object, name);
    char where[JSON_POINTER_SIZE];
    double number;
    if (!value || json_is_null(value)) return STATUS_OK;
    json_body_point(where, pointer, name);
    enum status status = json_body_double(&number, value, where, err);
    if (!status) *out = (float)number;
    return status;
}

static enum status read_uint(uint32_t *out, const json_t *object, const char *pointer,
                             const char *name, uint32_t min, struct error *err) {
    const json_t *value = json_object_get(object, name);
    char where[JSON_POINTER_SIZE];
    if (!value || json_is_null(value)) return STATUS_OK;
    json_body_point(where, pointer, name);
    return json_body_uint(out, value, min, where, err);
}

static enum status read_options(struct search_query *query, const struct json_body *json,
                                const json_t *object, const char *pointer, struct error *err) {
    struct search *search = &query->search;
    char where[JSON_POINTER_SIZE];
    const json_t *words = json_object_get(object, "words"),
                 *exact = json_object_get(object, "exact");
    *search = (struct search){.top_k = SEARCH_TOP_K_DEFAULT, .score_min = -1, .words_weight = 0.5F};
    enum status status = read_uint(&search->top_k, object, pointer, "top_k", 1, err);
    if (!status) status = read_uint(&search->offset, object, pointer, "offset", 0, err);
    if (!status) status = read_uint(&search->effort, object, pointer, "effort", 1, err);
    if (!status) status = read_float(&search->score_min, object, pointer, "score_min", err);
    if (!status) status = read_float(&search->words_weight, object, pointer, "words_weight", err);
    json_body_point(where, pointer, "effort");
    if (!status && search->effort > COLLECTION_EFFORT_MAX) {
        status = error_set_at(err, STATUS_INVALID, where, "effort is %u, the limit is %d",
                              search->effort, COLLECTION_EFFORT_MAX);
    }
    json_body_point(where, pointer, "words_weight");
    if (!status && !(search->words_weight >= 0 && search->words_weight <= 1)) {
        status = error_set_at(err, STATUS_INVALID, where, "words_weight is %g, expected 0 to 1",
                              (double)search->words_weight);
    }
    json_body_point(where, pointer, "words");
    if (!status && words) status = json_body_string(&search->words, json, words, where, err);
    json_body_point(where, pointer, "exact");
    if (!status && exact) status = json_body_bool(&search->exact, exact, where, err);
    json_body_point(where, pointer, "filter");
    if (!status) {
        status =
            filter_json_read(&query->filter, json, json_object_get(object, "filter"), where, err);
    }
    search->filter = query->filter.root;
    json_body_point(where, pointer, "top_k");
    if (!status && (search->top_k > COLLECTION_HITS_MAX ||
                    search->offset > COLLECTION_HITS_MAX - search->top_k)) {
        status = error_set_at(err, STATUS_INVALID, where,
                              "top_k and offset are %u and %u, together at most %d are expected",
                              search->top_k, search->offset, COLLECTION_HITS_MAX);
    }
    return status;
}

static enum status read_query(struct search_body *body, size_t index,
                              const struct collection_spec *spec, const json_t *object,
                              const char *pointer, struct error *err) {
    struct search_query *query = &body->queries[index];
    const json_t *mixture = json_object_get(object, "mixture");
    enum search_term_kind kind;
    size_t before = body->terms_count;
    enum status status = json_body_members(object, pointer, "a query", query_names,
                                           body->is_list ? QUERY_NAMES : ALL_NAMES, err);
    if (!status) status = read_options(query, &body->json, object, pointer, err);
    if (status) return status;
    query->is_mixture = mixture && !json_is_null(mixture);
    if (query->is_mixture) {
        char where[JSON_POINTER_SIZE];
        json_body_point(where, pointer, "mixture");
        if (find_term(&kind, object)) {
            return error_set_at(err, STATUS_INVALID, where,
                                "give either a mixture or one of text, image, id and embedding");
        }
        status = read_mixture(body, index, spec, mixture, where, err);
    } else if (!query->search.words.size || find_term(&kind, object)) {
        status = add_term(body, index, 0, spec, object, pointer, err);
    }
    query->terms_count = body->terms_count - before;
    return status;
}

static size_t count_terms(const json_t *query) {
    const json_t *mixture = json_object_get(query, "mixture");
    size_t count = json_array_size(mixture);
    return count > SEARCH_TERMS_MAX ? SEARCH_TERMS_MAX : count ? count : 1;
}

/* One query is a list of one. */
static const json_t *query_at(const struct search_body *body, size_t index) {
    return body->is_list ? json_array_get(json_object_get(body->json.root, "queries"), index)
                         : body->json.root;
}

static enum status allocate(struct search_body *body, const struct collection_spec *spec,
                            struct error *err) {
    size_t terms = 1, floats; /* one to spare: never none */
    for (size_t i = 0; i < body->queries_count; i++) terms += count_terms(query_at(body, i));
    body->queries = calloc(body->queries_count + 1, sizeof(*body->queries));
    body->terms = calloc(terms, sizeof(*body->terms));
    if (size_multiply(&floats, terms + body->queries_count, spec->dim))
        body->embeddings = calloc(floats, sizeof(*body->embeddings));
    if (body->queries && body->terms && body->embeddings) return STATUS_OK;
    return error_set(err, STATUS_NO_MEMORY, "out of memory for %zu queries", body->queries_count);
}

/* Tells one query from many, and reads what holds for all. */
static enum status read_whole(struct search_body *body, struct error *err) {
    static const char *const names[] = {"queries", "include", "encoding"};
    const json_t *root = body->json.root;
    const json_t *list = json_object_get(root, "queries");
    const json_t *encoding = json_object_get(root, "encoding");
    struct bytes text;
    enum status status = STATUS_OK;
    body->is_list = list != NULL;
    body->queries_count = list ? json_array_size(list) : 1;
    if (list) status = json_body_members(root, "", "this request", names, 3, err);
    if (!status && (!body->queries_count || (list && !json_is_array(list)))) {
        status = error_set_at(err, STATUS_INVALID, "/queries",
                              "queries is %s, an array of at least one is expected",
                              json_is_array(list) ? "empty" : json_body_kind(list));
    }
    if (!status && body->queries_count > SEARCH_QUERIES_MAX) {
        status = error_set_at(err, STATUS_TOO_LARGE, "/queries", "%zu queries, the limit is %d",
                              body->queries_count, SEARCH_QUERIES_MAX);
    }
    if (!status) {
        status = item_json_read_parts(&body->how, &body->json, json_object_get(root, "include"),
                                      "/include", err);
    }
    if (!status && encoding)
        status = json_body_string(&text, &body->json, encoding, "/encoding", err);
    if (!status && encoding)
        status = body_parse_encoding(&body->how.base64, text, "/encoding", err);
    return status;
}

enum status search_body_read(struct search_body *out, const struct api *api,
                             const struct http_request *request, const struct collection_spec *spec,
                             struct error *err) {
    size_t values_max = (size_t)SEARCH_QUERIES_MAX * VALUES_OF_QUERY + FILTER_VALUES_MAX +
                        (size_t)SEARCH_TERMS_MAX * COLLECTION_DIM_MAX;
    size_t together = 0;
    *out = (struct search_body){.json = {0}};
    inputs_init(&out->texts, "texts", api->options.texts_max);
    inputs_init(&out->images, "images", api->options.images_max);
    enum status status =
        json_body_parse(&out->json, request->body, values_max, request->memory, err);
    if (!status) status = read_whole(out, err);
    if (!status) status = allocate(out, spec, err);
    for (size_t i = 0; i < out->queries_count && !status; i++) {
        char pointer[JSON_POINTER_SIZE] = "";
        if (out->is_list) json_body_point_at(pointer, "/queries", i);
        status = read_query(out, i, spec, query_at(out, i), pointer, err);
        together += out->queries[i].search.top_k;
        if (!status && together > COLLECTION_HITS_MAX) {
            status = error_set_at(err, STATUS_TOO_LARGE, pointer,
                                  "top_k of all queries are %zu together, the limit is %d",
                                  together, COLLECTION_HITS_MAX);
        }
    }
    return status;
}

void search_body_free(struct search_body *body) {
    for (size_t i = 0; body->queries && i < body->queries_count; i++)
        filter_json_free(&body->queries[i].filter);
    free(body->queries);
    free(body->terms);
    free(body->embeddings);
    inputs_free(&body->texts);
    inputs_free(&body->images);
    json_body_free(&body->json);
    *body = (struct search_body){.json = {0}};
}

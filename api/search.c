/* POST /collections/{name}/search: what is sought becomes one embedding for each query, and
 * all queries go to the store together. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "api/metrics.h"
#include "api/response.h"
#include "api/search_body.h"
#include "core/base/clock.h"

/* ---- embeddings ---- */

typedef enum status tower_fn(struct encoded *out, struct encode *encode,
                             const struct inputs *inputs, struct error *err);

static struct search_term *find_term(const struct search_body *body, enum search_term_kind kind,
                                     size_t input) {
    for (size_t i = 0; i < body->terms_count; i++) {
        if (body->terms[i].kind == kind && body->terms[i].input == input) return &body->terms[i];
    }
    return NULL;
}

/* The texts or images of all queries through the model. */
static enum status embed(struct search_body *body, struct encode *encode,
                         enum search_term_kind kind, uint32_t dim, struct error *err) {
    const struct inputs *inputs = kind == SEARCH_TEXT ? &body->texts : &body->images;
    tower_fn *tower = kind == SEARCH_TEXT ? encode_texts : encode_images;
    struct encoded encoded = {0};
    struct error error = ERROR_NONE;
    if (!inputs->count) return STATUS_OK;
    enum status status = tower(&encoded, encode, inputs, &error);
    /* Of one input the encoder does not say which is at fault, there being one. */
    size_t fault = error.input < 0 ? 0 : (size_t)error.input;
    if (status && status != STATUS_OVERLOADED && status != STATUS_TIMEOUT && !error.where[0])
        search_body_point(error.where, body, find_term(body, kind, fault));
    if (body->is_list && error.input >= 0)
        error.input = (int)find_term(body, kind, fault)->query;
    else
        error.input = -1;
    for (size_t i = 0; i < inputs->count && !status; i++) {
        struct search_term *term = find_term(body, kind, i);
        memcpy(term->embedding, encoded.embeddings + i * dim, dim * sizeof(float));
        if (encoded.infos && encoded.infos[i].truncated)
            body->queries[term->query].truncated = true;
    }
    encoded_free(&encoded);
    return error_pass(err, &error);
}

static enum status embed_inputs(struct search_body *body, struct api *api,
                                struct http_request *request, const struct collection_spec *spec,
                                struct error *err) {
    struct encode encode;
    if (!body->texts.count && !body->images.count) return STATUS_OK;
    enum status status = collection_model_acquire(&encode, api, request, spec, err);
    if (status) return status;
    status = embed(body, &encode, SEARCH_TEXT, spec->dim, err);
    if (!status) status = embed(body, &encode, SEARCH_IMAGE, spec->dim, err);
    encode_free(&encode);
    return status;
}

/* A term whose embedding is that of an item. */
struct fetching {
    struct search_term *term;
    const struct collection_spec *spec; /* that the term has room for */
};

static enum status take_embedding(void *context, const struct item *item, struct error *err) {
    const struct fetching *fetching = context;
    const struct collection_spec *spec = fetching->spec;
    if (item->dim != spec->dim)
        return error_set(err, STATUS_CONFLICT, "collection \"%s\" was made anew meanwhile",
                         spec->name);
    memcpy(fetching->term->embedding, item->embedding, item->dim * sizeof(float));
    fetching->term->input = 1;
    return STATUS_OK;
}

static enum status fetch_items(const struct search_body *body, struct collections *collections,
                               const struct collection_spec *spec, struct error *err) {
    enum status status = STATUS_OK;
    for (size_t i = 0; i < body->terms_count && !status; i++) {
        struct search_term *term = &body->terms[i];
        struct fetching fetching = {term, spec};
        char pointer[JSON_POINTER_SIZE];
        if (term->kind != SEARCH_ID) continue;
        status = collection_fetch(collections, spec->name, &term->id, 1,
                                  &(struct item_visitor){ITEM_EMBEDDING, take_embedding, &fetching},
                                  err);
        if (status || term->input) continue;
        search_body_point(pointer, body, term);
        status = error_set_at(
            err, STATUS_NOT_FOUND, pointer, "collection \"%s\" has no item \"%.*s\"", spec->name,
            term->id.size < 100 ? (int)term->id.size : 100, (const char *)term->id.data);
    }
    return status;
}

/* The weighted sum of a query's terms. A single one is taken as it is, so that its bits
 * stay what they are. */
static enum status mix(struct search_body *body, const struct collection_spec *spec,
                       struct error *err) {
    size_t dim = spec->dim, first = 0;
    for (size_t q = 0; q < body->queries_count; q++) {
        struct search_query *query = &body->queries[q];
        float *mixed = body->embeddings + (body->terms_count + q) * dim;
        double length = 0;
        if (!query->terms_count) continue; /* by words alone */
        for (size_t t = first; t < first + query->terms_count; t++) {
            const struct search_term *term = &body->terms[t];
            for (size_t i = 0; i < dim; i++) mixed[i] += term->weight * term->embedding[i];
        }
        first += query->terms_count;
        for (size_t i = 0; i < dim; i++) length += (double)mixed[i] * mixed[i];
        if (length < 1e-12) {
            char pointer[JSON_POINTER_SIZE];
            search_body_point(pointer, body, &body->terms[first - 1]);
            return error_set_at(err, STATUS_INVALID, pointer,
                                "the parts of the mixture cancel each other out");
        }
        query->search.embedding = mixed;
        query->search.dim = spec->dim;
        query->search.model_digest = spec->model_digest;
    }
    return STATUS_OK;
}

/* ---- hits ---- */

struct answer {
    struct http_response *response;
    struct writer writer;
    const struct search_body *body;
    size_t query; /* whose hits are being written */
};

static void begin_query(struct writer *writer) {
    writer_begin_object(writer);
    writer_key(writer, "hits");
    writer_begin_array(writer);
}

static void end_query(struct answer *answer) {
    writer_end_array(&answer->writer);
    if (answer->body->queries[answer->query].truncated) {
        writer_key(&answer->writer, "truncated");
        writer_bool(&answer->writer, true);
    }
    writer_end_object(&answer->writer);
}

static void go_to_query(struct answer *answer, size_t query) {
    for (; answer->query < query; answer->query++) {
        end_query(answer);
        begin_query(&answer->writer);
    }
}

static enum status visit_hit(void *context, const struct hit *hit, struct error *err) {
    struct answer *answer = context;
    struct writer *writer = &answer->writer;
    if (response_is_full(answer->response))
        return error_set(err, STATUS_TOO_LARGE,
                         "answer has more than %zu bytes: ask for fewer hits, or less of them",
                         answer->response->body.size);
    go_to_query(answer, hit->query);
    writer_begin_object(writer);
    writer_key(writer, "rank");
    writer_uint(writer, hit->rank);
    writer_key(writer, "score");
    writer_float(writer, hit->score);
    item_json_write(writer, &hit->item, &answer->body->how);
    writer_end_object(writer);
    enum status status = writer_finish(writer, err);
    return status ? status : response_charge(answer->response, err);
}

static enum status search(struct api *api, struct http_response *response,
                          const struct search_body *body, const struct collection_spec *spec,
                          struct error *err) {
    struct answer answer = {.response = response, .body = body};
    struct error error = ERROR_NONE;
    struct search *searches = calloc(body->queries_count, sizeof(*searches));
    if (!searches) return error_set(err, STATUS_NO_MEMORY, "out of memory");
    for (size_t i = 0; i < body->queries_count; i++) searches[i] = body->queries[i].search;
    response_init(response, 200, "application/json");
    writer_init(&answer.writer, &response->body);
    writer_begin_object(&answer.writer);
    writer_key(&answer.writer, "results");
    writer_begin_array(&answer.writer);
    begin_query(&answer.writer);
    uint64_t started_ns = clock_now_ns();
    enum status status =
        collection_search(api->collections, spec->name, searches, body->queries_count,
                          &(struct hit_visitor){body->how.parts, visit_hit, &answer}, &error);
    metrics_observe_store(api->metrics, METRICS_SEARCH, clock_now_ns() - started_ns);
    free(searches);
    if (!body->is_list) error.input = -1;
    if (status) return error_pass(err, &error);
    go_to_query(&answer, body->queries_count - 1);
    end_query(&answer);
    writer_end_array(&answer.writer);
    writer_end_object(&answer.writer);
    return writer_finish(&answer.writer, err);
}

enum status collection_search_post(struct api *api, struct http_request *request,
                                   struct http_response *response, struct error *err) {
    struct collections *collections;
    struct collection_spec spec;
    struct search_body body = {.json = {0}};
    enum status status = collection_model_store(&collections, api, err);
    if (!status) status = collection_describe(collections, request->params[0], &spec, err);
    if (!status) status = search_body_read(&body, api, request, &spec, err);
    if (!status) status = embed_inputs(&body, api, request, &spec, err);
    if (!status) status = fetch_items(&body, collections, &spec, err);
    if (!status) status = mix(&body, &spec, err);
    if (!status) status = search(api, response, &body, &spec, err);
    search_body_free(&body);
    return status;
}

/* search_body.h - what is searched for.
 *
 * A body is one query, or {"queries": [QUERY, ...]}; beside either stand "include" and
 * "encoding". A query names what is sought, by one of
 *
 *   "text": "a dog", "image": base64, "id": of an item, "embedding": [...] or base64
 *   "mixture": [{"text": "a dog", "weight": 1}, {"image": ..., "weight": -0.5}, ...]
 *
 * and says how: "words" and "words_weight" for the items' texts, "top_k", "offset",
 * "score_min", "filter", "exact", "effort". Every part of a mixture is scaled to length 1
 * before it is weighed; what has a negative weight is moved away from. */
#ifndef API_SEARCH_BODY_H
#define API_SEARCH_BODY_H

#include "api/collection_model.h"
#include "api/filter_json.h"
#include "api/item_json.h"

enum { SEARCH_QUERIES_MAX = 100, SEARCH_TERMS_MAX = 16, SEARCH_TOP_K_DEFAULT = 10 };

enum search_term_kind { SEARCH_TEXT, SEARCH_IMAGE, SEARCH_ID, SEARCH_EMBEDDING };

/* A part of a mixture; alone it is all of a query. */
struct search_term {
    enum search_term_kind kind;
    float weight;
    size_t query, index; /* where it belongs, and its place in the mixture */
    size_t input;        /* among the texts or images */
    struct bytes id;
    float *embedding; /* [dim], of length 1 once it is known */
};

struct search_query {
    struct search search;
    struct filter_json filter;
    size_t terms_count;
    bool is_mixture;
    bool truncated; /* one of its texts was cut */
};

struct search_body {
    struct json_body json;
    struct search_query *queries; /* [queries_count] */
    size_t queries_count;
    bool is_list;              /* "queries" */
    struct search_term *terms; /* [terms_count]: of all queries */
    size_t terms_count;
    float *embeddings; /* [terms_count + queries_count, dim]: of the terms, then the mixed */
    struct inputs texts, images;
    struct item_json how;
};

/* Release it with search_body_free(), on failure as well. It borrows from the request. */
enum status search_body_read(struct search_body *out, const struct api *api,
                             const struct http_request *request, const struct collection_spec *spec,
                             struct error *err);
void search_body_free(struct search_body *body);

/* Where a term lies in the JSON: "/queries/2/mixture/0/text". */
void search_body_point(char out[JSON_POINTER_SIZE], const struct search_body *body,
                       const struct search_term *term);

#endif

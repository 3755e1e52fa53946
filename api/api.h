/* api.h - turns requests into calls of core, and answers into responses.
 *
 * The server calls, for each request: api_admit() when the headers are in,
 * api_handle() when the body is, api_finish() when the response has been sent (or
 * the client is gone). The first and the last never block.
 */
#ifndef API_API_H
#define API_API_H

#include "api/http.h"
#include "core/classify/classify.h"
#include "core/index/collection.h"
#include "core/registry.h"

struct api;

struct api_options {
    uint32_t images_max; /* in one request */
    uint32_t texts_max;  /* in one request: texts, or labels x templates */
    uint32_t items_max;  /* of a collection in one request or page, but NDJSON */
    uint32_t timeout_ms; /* from the first byte of a request to its answer; 0: none */
    uint32_t collections_max;
    uint32_t snapshots_max;
    size_t body_max;        /* bytes, bodies with images */
    size_t text_body_max;   /* bytes, bodies of text-only routes */
    size_t label_cache_max; /* bytes */
    size_t states_max;      /* bytes of hidden states, of all answers together */
};

extern const struct api_options api_options_default;

/* Leaving: nothing is refused yet, but /readyz says no, so that balancers send no more. */
enum api_state { API_LOADING, API_READY, API_LEAVING, API_DRAINING };

/* The api borrows the registry, which must outlive it. Starts in API_LOADING:
 * everything but the probes and metrics answers 503. */
enum status api_create(struct api **out, const struct api_options *options,
                       struct registry *registry, struct error *err);
void api_destroy(struct api *api);
/* Borrows the collections, and the directory for snapshots of their store, NULL if it has
 * none. Once, before API_READY; without, the routes of collections answer 404. */
void api_set_collections(struct api *api, struct collections *collections, const char *snapshots);
void api_set_state(struct api *api, enum api_state state);

struct api_admission {
    bool immediate;  /* cheap and never blocks: call api_handle() on the I/O thread */
    bool probing;    /* may block, but has threads of its own: others may hold all the rest */
    bool form;       /* multipart/form-data is taken apart */
    bool streamed;   /* the handler takes the body from request->more() while it comes */
    bool bodyless;   /* the route has no use for a body: none need be announced */
    size_t body_max; /* bytes; a longer body is to be refused by api_refuse() with 413, or
                        of a streamed one the most that is kept at a time */
};

/* Looks at method, path and headers only. False: the request is refused, and
 * `response` says why. */
bool api_admit(struct api *api, struct http_request *request, struct api_admission *admission,
               struct http_response *response);

/* Always fills `response`, also for failures. */
void api_handle(struct api *api, struct http_request *request, struct http_response *response);

/* A failure that the server found (framing, size, overload), in the error format of
 * the route. `http_status` 0: derived from err->status. */
void api_refuse(struct api *api, struct http_request *request, int http_status,
                const struct error *err, struct http_response *response);

/* Counts and logs the request. `sent` is false when the client went away. */
void api_finish(struct api *api, struct http_request *request, const struct http_response *response,
                bool sent);

/* What the server knows and /metrics prints. Set once, before the server starts. */
struct api_server_stats {
    uint64_t connections, requests_active, body_bytes, answer_bytes;
};
typedef void api_server_stats_fn(void *context, struct api_server_stats *out);
void api_set_server_stats(struct api *api, api_server_stats_fn *read, void *context);

#endif

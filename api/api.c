/* The way of every request: admitted by its headers, handled by its route, counted
 * and logged. Everything that is said about failures leaves through fail(). */
#include "api/api.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "api/body.h"
#include "api/context.h"
#include "api/item_counts.h"
#include "api/metrics.h"
#include "api/problem.h"
#include "api/response.h"
#include "api/routes.h"
#include "core/base/clock.h"
#include "core/base/log.h"

enum { UNUSED_BODY_MAX = 4096 }; /* bytes that nobody looks at */

const struct api_options api_options_default = {
    .images_max = 64,
    .texts_max = 2048,
    .items_max = 1000,
    .timeout_ms = 30000,
    .body_max = 20 << 20,
    .text_body_max = 2 << 20,
    .label_cache_max = 64 << 20,
    .states_max = 256 << 20,
    .collections_max = ITEM_COUNTS_MAX,
    .snapshots_max = 16,
};

enum status api_create(struct api **out, const struct api_options *options,
                       struct registry *registry, struct error *err) {
    struct api *api = calloc(1, sizeof(*api));
    if (!api) return error_set(err, STATUS_NO_MEMORY, "out of memory for the service");
    api->options = *options;
    api->states.max = options->states_max;
    api->registry = registry;
    turn_init(&api->making_collection);
    turn_init(&api->making_snapshot);
    atomic_init(&api->state, API_LOADING);
    enum status status = metrics_create(&api->metrics, err);
    if (!status) status = classifier_create(&api->classifier, options->label_cache_max, err);
    if (status)
        api_destroy(api);
    else
        *out = api;
    return status;
}

void api_destroy(struct api *api) {
    if (!api) return;
    classifier_destroy(api->classifier);
    metrics_destroy(api->metrics);
    turn_free(&api->making_collection);
    turn_free(&api->making_snapshot);
    free(api);
}

void api_set_state(struct api *api, enum api_state state) {
    atomic_store(&api->state, state);
}

void api_set_collections(struct api *api, struct collections *collections, const char *snapshots) {
    api->collections = collections;
    api->snapshots = snapshots;
    item_counts_read(metrics_item_counts(api->metrics), collections);
}

void api_set_server_stats(struct api *api, api_server_stats_fn *read, void *context) {
    api->read_server_stats = read;
    api->server_context = context;
}

/* ---- failures ---- */

static void respond(struct api *api, const struct http_request *request, int http_status,
                    const struct error *err, struct http_response *response) {
    int status = http_status ? http_status : problem_status(err->status);
    uint64_t backlog_ns = status == 503 ? runtime_backlog_ns(registry_runtime(api->registry)) : 0;
    problem_respond(response, request, status, err, backlog_ns);
}

static void fail(struct api *api, const struct http_request *request, int http_status,
                 const struct error *err, struct http_response *response) {
    respond(api, request, http_status, err, response);
    switch (err->status) {
    case STATUS_OVERLOADED: metrics_count_rejection(api->metrics, METRICS_QUEUE_FULL); break;
    case STATUS_TIMEOUT: metrics_count_rejection(api->metrics, METRICS_DEADLINE); break;
    case STATUS_CANCELLED: metrics_count_rejection(api->metrics, METRICS_CLIENT_GONE); break;
    case STATUS_TOO_LARGE: metrics_count_rejection(api->metrics, METRICS_TOO_LARGE); break;
    default: break;
    }
}

/* ---- admission ---- */

static enum status check_state(struct api *api, const struct route *route, struct error *err) {
    enum api_state state = (enum api_state)atomic_load(&api->state);
    if (state == API_READY || state == API_LEAVING || route->flags & ROUTE_ALWAYS) return STATUS_OK;
    bool loading = state == API_LOADING;
    metrics_count_rejection(api->metrics, loading ? METRICS_LOADING : METRICS_DRAINING);
    return error_set(err, STATUS_UNAVAILABLE,
                     loading ? "loading models, try again later" : "shutting down");
}

static enum status check_content(const struct http_request *request, const struct route *route,
                                 struct error *err) {
    const char *type = request->header(request, "Content-Type");
    enum body_content content = body_content(type);
    if (!route->accepts || content == BODY_UNDECLARED || content & route->accepts) {
        return STATUS_OK;
    }
    char expected[BODY_CONTENTS_SIZE];
    body_content_names(expected, route->accepts);
    return error_set(err, STATUS_UNSUPPORTED, "content type is \"%.64s\", expected %s", type,
                     expected);
}

/* NULL, or the coding of a body that must be undone before it can be read, which we do not. */
static const char *coding_of(const struct http_request *request, const struct route *route) {
    const char *coding = request->header(request, "Content-Encoding");
    bool plain = !route->accepts || !coding || !*coding || strcasecmp(coding, "identity") == 0;
    return plain ? NULL : coding;
}

bool api_admit(struct api *api, struct http_request *request, struct api_admission *admission,
               struct http_response *response) {
    struct error err = ERROR_NONE;
    const struct route *other = NULL;
    const struct route *route = routes_find(&other, request);
    request->route = route ? route : other;
    if (!request->route) {
        error_set(&err, STATUS_NOT_FOUND, "no resource \"%.64s\": see /openapi.yaml",
                  request->path);
        fail(api, request, 0, &err, response);
        return false;
    }
    if (!route) {
        char allowed[ROUTES_ALLOWED_SIZE];
        routes_allowed(allowed, other);
        error_set(&err, STATUS_INVALID, "%s takes %s only", other->path, allowed);
        fail(api, request, 405, &err, response);
        response_header(response, "Allow", "%s", allowed);
        return false;
    }
    enum status status = check_state(api, route, &err);
    if (!status) status = routes_check_query(route, request, &err);
    if (!status) status = check_content(request, route, &err);
    if (status) {
        fail(api, request, 0, &err, response);
        return false;
    }
    const char *coding = coding_of(request, route);
    if (coding) {
        error_set(&err, STATUS_UNSUPPORTED, "content encoding is \"%.64s\", expected identity",
                  coding);
        fail(api, request, 0, &err, response);
        response_header(response, "Accept-Encoding", "identity"); /* RFC 9110, 15.5.16 */
        return false;
    }
    *admission = (struct api_admission){
        .immediate = route->flags & ROUTE_QUICK,
        .probing = route->flags & ROUTE_PROBE,
        .form = route->accepts & BODY_MULTIPART,
        .streamed = route->flags & ROUTE_LINES &&
                    body_content(request->header(request, "Content-Type")) == BODY_NDJSON,
        .bodyless = !route->accepts,
        .body_max = route->flags & ROUTE_SMALL ? api->options.text_body_max : api->options.body_max,
    };
    /* Some clients send "{}" wherever they can. */
    if (!route->accepts) admission->body_max = UNUSED_BODY_MAX;
    return true;
}

/* ---- handling ---- */

static void add_timing_header(const struct http_request *request, struct http_response *response) {
    const struct engine_timings *timings = &request->timings;
    if (!request->inputs) return;
    response_header(response, "Server-Timing",
                    "decode;dur=%.3f, queue;dur=%.3f, encode;dur=%.3f, total;dur=%.3f",
                    (double)timings->decode_ns / 1e6, (double)timings->queue_ns / 1e6,
                    (double)timings->encode_ns / 1e6,
                    (double)(clock_now_ns() - request->received_ns) / 1e6);
}

void api_handle(struct api *api, struct http_request *request, struct http_response *response) {
    struct error err = ERROR_NONE;
    enum status status = request->route->handle(api, request, response, &err);
    /* Hidden states have a limit of their own; probes, and what was put in, are answered in
     * any case. */
    if (!status && !request->states_bytes && !(request->route->flags & (ROUTE_QUICK | ROUTE_LINES)))
        status = response_charge(response, &err);
    if (status) fail(api, request, 0, &err, response);
    add_timing_header(request, response);
}

void api_refuse(struct api *api, struct http_request *request, int http_status,
                const struct error *err, struct http_response *response) {
    const struct route *other = NULL;
    if (!request->route) {
        request->route = routes_find(&other, request);
        if (!request->route) request->route = other;
    }
    if (err->status == STATUS_OVERLOADED) {
        respond(api, request, http_status, err, response);
        metrics_count_rejection(api->metrics, METRICS_SERVER_BUSY);
        return;
    }
    fail(api, request, http_status, err, response);
}

/* ---- afterwards ---- */

static uint64_t body_size(const struct http_request *request) {
    uint64_t size = request->forgotten + request->body.size;
    for (size_t i = 0; i < request->parts_count; i++) size += request->parts[i].data.size;
    return size;
}

/* What machines ask for every few seconds would drown the rest, as long as all is well. */
static enum log_level request_level(const struct http_request *request, int status) {
    bool routine = request->route && request->route->flags & ROUTE_ALWAYS && status < 400;
    return routine ? LOG_DEBUG : LOG_INFO;
}

void api_finish(struct api *api, struct http_request *request, const struct http_response *response,
                bool sent) {
    uint64_t duration_ns = clock_now_ns() - request->received_ns;
    budget_give(&api->states, request->states_bytes);
    request->states_bytes = 0;
    metrics_count_request(api->metrics, request, response->status, duration_ns);
    enum log_level level = request_level(request, response->status);
    if (!log_enabled(level)) return;
    char path[128]; /* so that an endless one leaves room for the rest of the line */
    snprintf(path, sizeof(path), "%s", request->path);
    const struct log_field fields[] = {
        {.name = "id", .kind = LOG_FIELD_STRING, .string = request->id},
        {.name = "method", .kind = LOG_FIELD_STRING, .string = routes_method_name(request->method)},
        {.name = "route", .kind = LOG_FIELD_STRING, .string = path},
        {.name = "status", .kind = LOG_FIELD_COUNT, .number = (uint64_t)response->status},
        {.name = "sent", .kind = LOG_FIELD_STRING, .string = sent ? "yes" : "no"},
        {.name = "bytes_in", .kind = LOG_FIELD_COUNT, .number = body_size(request)},
        {.name = "bytes_out",
         .kind = LOG_FIELD_COUNT,
         .number = response->body.size + response->produced},
        {.name = "inputs", .kind = LOG_FIELD_COUNT, .number = request->inputs},
        {.name = "decode_ms", .kind = LOG_FIELD_MS, .number = request->timings.decode_ns},
        {.name = "queue_ms", .kind = LOG_FIELD_MS, .number = request->timings.queue_ns},
        {.name = "encode_ms", .kind = LOG_FIELD_MS, .number = request->timings.encode_ns},
        {.name = "total_ms", .kind = LOG_FIELD_MS, .number = duration_ns},
    };
    log_event(level, "request", fields, sizeof(fields) / sizeof(fields[0]));
}

/* The handler is at the end; it writes family by family, because the text format
 * wants all samples of a name together:
 * https://prometheus.io/docs/instrumenting/exposition_formats/ */
#include "api/metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "api/exposition.h"
#include "api/model_metrics.h"
#include "api/process_stats.h"
#include "api/response.h"
#include "api/routes.h"
#include "core/base/histogram.h"

enum { METHODS_COUNT = HTTP_OTHER + 1 };

/* The statuses that are told apart; the last stands for all others. */
static const int statuses[] = {200, 400, 404, 405, 408, 409, 411, 413,
                               415, 422, 499, 500, 503, 504, 0};
enum { STATUSES_COUNT = sizeof(statuses) / sizeof(statuses[0]) };

static const char *const rejection_names[METRICS_REJECTIONS_COUNT] = {
    [METRICS_QUEUE_FULL] = "queue_full",   [METRICS_DEADLINE] = "deadline",
    [METRICS_TOO_LARGE] = "too_large",     [METRICS_LOADING] = "loading",
    [METRICS_DRAINING] = "draining",       [METRICS_CLIENT_GONE] = "client_gone",
    [METRICS_SERVER_BUSY] = "server_busy",
};

struct route_metrics {
    _Atomic uint64_t requests[METHODS_COUNT][STATUSES_COUNT];
    struct histogram durations; /* ns */
};

struct metrics {
    time_t started;
    _Atomic uint64_t rejections[METRICS_REJECTIONS_COUNT];
    struct histogram store_calls[METRICS_STORE_CALLS_COUNT]; /* ns */
    struct item_counts *item_counts;
    struct route_metrics routes[]; /* [routes_count + 1]: the last for unknown paths */
};

enum status metrics_create(struct metrics **out, struct error *err) {
    size_t count = routes_count + 1;
    struct metrics *metrics = calloc(1, sizeof(*metrics) + count * sizeof(metrics->routes[0]));
    if (!metrics) return error_set(err, STATUS_NO_MEMORY, "out of memory for metrics");
    metrics->started = time(NULL);
    for (size_t i = 0; i < count; i++) {
        histogram_init(&metrics->routes[i].durations, &histogram_durations);
    }
    for (size_t i = 0; i < METRICS_STORE_CALLS_COUNT; i++) {
        histogram_init(&metrics->store_calls[i], &histogram_durations);
    }
    enum status status = item_counts_create(&metrics->item_counts, err);
    if (status)
        metrics_destroy(metrics);
    else
        *out = metrics;
    return status;
}

void metrics_destroy(struct metrics *metrics) {
    if (!metrics) return;
    item_counts_destroy(metrics->item_counts);
    free(metrics);
}

static void add_one(_Atomic uint64_t *counter) {
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

void metrics_count_request(struct metrics *metrics, const struct http_request *request, int status,
                           uint64_t duration_ns) {
    size_t route = request->route ? (size_t)(request->route - routes) : routes_count;
    size_t code = 0;
    while (code + 1 < STATUSES_COUNT && statuses[code] != status) code++;
    add_one(&metrics->routes[route].requests[request->method][code]);
    histogram_observe(&metrics->routes[route].durations, duration_ns);
}

void metrics_count_rejection(struct metrics *metrics, enum metrics_rejection reason) {
    add_one(&metrics->rejections[reason]);
}

void metrics_observe_store(struct metrics *metrics, enum metrics_store_call call,
                           uint64_t duration_ns) {
    histogram_observe(&metrics->store_calls[call], duration_ns);
}

struct item_counts *metrics_item_counts(struct metrics *metrics) {
    return metrics->item_counts;
}

/* ---- /metrics ---- */

static void put_requests(struct exposition *out, const struct metrics *metrics) {
    static const char name[] = "clipd_http_requests_total";
    const size_t cells = (size_t)METHODS_COUNT * STATUSES_COUNT;
    exposition_family(out, name, "counter", "Requests answered.");
    for (size_t i = 0; i <= routes_count; i++) {
        for (size_t cell = 0; cell < cells; cell++) {
            size_t method = cell / STATUSES_COUNT, status = cell % STATUSES_COUNT;
            char code[16];
            uint64_t count = atomic_load_explicit(&metrics->routes[i].requests[method][status],
                                                  memory_order_relaxed);
            if (!count) continue;
            snprintf(code, sizeof(code), "%d", statuses[status]);
            struct exposition_labels labels = {{
                {"route", i < routes_count ? routes[i].path : "other"},
                {"method", routes_method_name((enum http_method)method)},
                {"code", statuses[status] ? code : "other"},
            }};
            exposition_sample(out, name, &labels, (double)count);
        }
    }
}

static void put_durations(struct exposition *out, const struct metrics *metrics) {
    static const char name[] = "clipd_http_request_duration_seconds";
    exposition_family(out, name, "histogram", "From a request's first byte to its last answered.");
    for (size_t i = 0; i <= routes_count; i++) {
        /* A path has a row for each of its methods; HEAD counts as GET. */
        struct exposition_labels labels = {
            {{"route", i < routes_count ? routes[i].path : "other"},
             {"method", routes_method_name(i < routes_count ? routes[i].method : HTTP_OTHER)}}};
        exposition_histogram(out, name, &labels, &metrics->routes[i].durations, 1e-9);
    }
}

static void put_rejections(struct exposition *out, const struct metrics *metrics) {
    static const char name[] = "clipd_rejected_total";
    exposition_family(out, name, "counter", "Requests refused or given up, by reason.");
    for (size_t i = 0; i < METRICS_REJECTIONS_COUNT; i++) {
        struct exposition_labels labels = {{{"reason", rejection_names[i]}}};
        uint64_t count = atomic_load_explicit(&metrics->rejections[i], memory_order_relaxed);
        exposition_sample(out, name, &labels, (double)count);
    }
}

static void put_one(struct exposition *out, const char *name, const char *type, const char *help,
                    double value) {
    exposition_family(out, name, type, help);
    exposition_sample(out, name, NULL, value);
}

static void put_service(struct exposition *out, const struct api *api) {
    struct classifier_stats cache;
    classifier_read_stats(api->classifier, &cache);
    put_one(out, "clipd_label_cache_hits_total", "counter", "Labels found in the cache.",
            (double)cache.hits);
    put_one(out, "clipd_label_cache_misses_total", "counter", "Labels that had to be embedded.",
            (double)cache.misses);
    put_one(out, "clipd_label_cache_bytes", "gauge", "Memory held by the label cache.",
            (double)cache.bytes);
    struct exposition_labels build = {
        {{"version", CLIPD_VERSION},
         {"kernels", runtime_kernels_name(registry_runtime(api->registry))}}};
    exposition_family(out, "clipd_build_info", "gauge", "The program that runs.");
    exposition_sample(out, "clipd_build_info", &build, 1);
    if (!api->read_server_stats) return;
    struct api_server_stats server = {0};
    api->read_server_stats(api->server_context, &server);
    put_one(out, "clipd_http_connections", "gauge", "Open connections.",
            (double)server.connections);
    put_one(out, "clipd_http_requests_active", "gauge", "Requests being handled.",
            (double)server.requests_active);
    put_one(out, "clipd_http_body_bytes", "gauge",
            "Memory held by request bodies and what is parsed of them.", (double)server.body_bytes);
    put_one(out, "clipd_http_answer_bytes", "gauge",
            "Memory held by answers of more than 64 KiB until they are sent.",
            (double)server.answer_bytes);
}

static void put_collections(struct exposition *out, const struct metrics *metrics) {
    static const char search[] = "clipd_store_search_seconds";
    static const char upsert[] = "clipd_store_upsert_seconds";
    static const struct exposition_labels none;
    exposition_family(out, search, "histogram", "Time the store took for the searches of a call.");
    exposition_histogram(out, search, &none, &metrics->store_calls[METRICS_SEARCH], 1e-9);
    exposition_family(out, upsert, "histogram", "Time the store took to put in a batch of items.");
    exposition_histogram(out, upsert, &none, &metrics->store_calls[METRICS_UPSERT], 1e-9);
    item_counts_write(out, metrics->item_counts);
}

static void put_process(struct exposition *out, const struct metrics *metrics) {
    struct process_stats process;
    process_stats_read(&process);
    put_one(out, "process_resident_memory_bytes", "gauge", "Resident memory.",
            (double)process.resident_bytes);
    put_one(out, "process_virtual_memory_bytes", "gauge", "Virtual memory.",
            (double)process.virtual_bytes);
    put_one(out, "process_cpu_seconds_total", "counter", "User and system time.", process.cpu_s);
    put_one(out, "process_open_fds", "gauge", "Open file descriptors.", (double)process.open_fds);
    put_one(out, "process_max_fds", "gauge", "Limit of file descriptors.", process.max_fds);
    put_one(out, "process_start_time_seconds", "gauge", "Start time, since the epoch.",
            (double)metrics->started);
}

enum status metrics_get(struct api *api, struct http_request *request,
                        struct http_response *response, struct error *err) {
    (void)request;
    response_init(response, 200, "text/plain; version=0.0.4; charset=utf-8");
    struct exposition out = {.out = &response->body, .error = ERROR_NONE};
    put_requests(&out, api->metrics);
    put_durations(&out, api->metrics);
    put_rejections(&out, api->metrics);
    model_metrics_put(&out, api->registry);
    put_service(&out, api);
    /* While they are opened, who opens them writes it. */
    bool loading = atomic_load(&api->state) == API_LOADING;
    if (!loading && api->collections) put_collections(&out, api->metrics);
    put_process(&out, api->metrics);
    return error_pass(err, &out.error);
}

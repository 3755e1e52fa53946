/* metrics.h - counters of the service, and everything as Prometheus reads it.
 *
 * Labels come from fixed sets (routes of the table, methods, statuses that we send),
 * so that no client can make the process remember something. Counting is wait-free
 * and safe from any thread. */
#ifndef API_METRICS_H
#define API_METRICS_H

#include "api/context.h"
#include "api/item_counts.h"

struct metrics;

enum metrics_rejection {
    METRICS_QUEUE_FULL,
    METRICS_DEADLINE,
    METRICS_TOO_LARGE,
    METRICS_LOADING,
    METRICS_DRAINING,
    METRICS_CLIENT_GONE, /* before its inputs were encoded */
    METRICS_SERVER_BUSY, /* the server's own limits: connections, requests, memory */
    METRICS_REJECTIONS_COUNT,
};

/* What a store was asked for. */
enum metrics_store_call { METRICS_SEARCH, METRICS_UPSERT, METRICS_STORE_CALLS_COUNT };

enum status metrics_create(struct metrics **out, struct error *err);
/* NULL is allowed. */
void metrics_destroy(struct metrics *metrics);

/* A request is done. */
void metrics_count_request(struct metrics *metrics, const struct http_request *request, int status,
                           uint64_t duration_ns);
void metrics_count_rejection(struct metrics *metrics, enum metrics_rejection reason);
void metrics_observe_store(struct metrics *metrics, enum metrics_store_call call,
                           uint64_t duration_ns);
struct item_counts *metrics_item_counts(struct metrics *metrics);

#endif

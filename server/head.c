#include "server/head.h"

#include <stdio.h>
#include <string.h>

static const char *read_header(const struct http_request *request, const char *name) {
    const struct exchange *exchange = request->transport;
    return MHD_lookup_connection_value(exchange->mhd, MHD_HEADER_KIND, name);
}

static const char *read_query(const struct http_request *request, const char *name) {
    const struct exchange *exchange = request->transport;
    return MHD_lookup_connection_value(exchange->mhd, MHD_GET_ARGUMENT_KIND, name);
}

struct query_walk {
    http_query_fn *visit;
    void *context;
    enum status status;
    struct error *err;
};

static enum MHD_Result walk_query(void *context, enum MHD_ValueKind kind, const char *name,
                                  size_t name_size, const char *value, size_t value_size) {
    struct query_walk *walk = context;
    struct bytes bytes = {(const uint8_t *)value, value_size};
    (void)kind;
    (void)name_size;
    /* Between "&&" there is nothing. */
    if (*name || value) walk->status = walk->visit(walk->context, name, bytes, walk->err);
    return walk->status == STATUS_OK ? MHD_YES : MHD_NO;
}

static enum status walk_queries(const struct http_request *request, http_query_fn *visit,
                                void *context, struct error *err) {
    const struct exchange *exchange = request->transport;
    struct query_walk walk = {.visit = visit, .context = context, .err = err};
    MHD_get_connection_values_n(exchange->mhd, MHD_GET_ARGUMENT_KIND, walk_query, &walk);
    return walk.status;
}

static enum http_method method_of(const char *name) {
    static const struct {
        const char *name;
        enum http_method method;
    } methods[] = {{"GET", HTTP_GET},
                   {"HEAD", HTTP_HEAD},
                   {"POST", HTTP_POST},
                   {"PUT", HTTP_PUT},
                   {"DELETE", HTTP_DELETE}};
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        if (!strcmp(name, methods[i].name)) return methods[i].method;
    }
    return HTTP_OTHER;
}

/* A number that no other request of this process has, mixed (splitmix64, which maps no two
 * numbers to the same) so that those of two processes do not meet either. */
static void make_id(struct http_request *request, struct exchange_service *service) {
    uint64_t x = atomic_fetch_add(&service->id_seed, 0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    snprintf(request->id, sizeof(request->id), "%016llx", (unsigned long long)(x ^ (x >> 31)));
}

/* The client's id when it can go into logs and headers as it is. Else one of ours. */
static void set_id(struct http_request *request, struct exchange_service *service) {
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    const char *given = read_header(request, "X-Request-Id");
    if (given && *given && strlen(given) < sizeof(request->id) && !given[strspn(given, allowed)])
        memcpy(request->id, given, strlen(given) + 1);
    else
        make_id(request, service);
}

struct field_walk {
    struct guard guard;
    enum status status;
    struct error *err;
};

static enum MHD_Result walk_field(void *context, enum MHD_ValueKind kind, const char *name,
                                  size_t name_size, const char *value, size_t value_size) {
    struct field_walk *walk = context;
    (void)kind;
    walk->status = guard_field(&walk->guard, (struct bytes){(const uint8_t *)name, name_size},
                               (struct bytes){(const uint8_t *)value, value_size}, walk->err);
    return walk->status == STATUS_OK ? MHD_YES : MHD_NO;
}

static enum status check_framing(struct exchange *exchange, const char *method, const char *version,
                                 struct error *err) {
    if (!exchange->target_is_sound)
        return error_set(err, STATUS_INVALID,
                         "request target is empty or has a control byte, a space or a NUL");
    struct guard_line line = {.method = method,
                              .target = exchange->target,
                              .version = version,
                              .target_size = exchange->target_size};
    if (exchange->service->is_lenient)
        line.head_size =
            MHD_get_connection_info(exchange->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE)
                ->header_size;
    bool http_1_1 = strcmp(version, "HTTP/1.0") != 0;
    exchange->takes_interim = http_1_1;
    struct field_walk walk = {.err = err};
    enum status status = guard_begin(&walk.guard, &line, err);
    if (status != STATUS_OK) return status;
    MHD_get_connection_values_n(exchange->mhd, MHD_HEADER_KIND, walk_field, &walk);
    if (walk.status != STATUS_OK) return walk.status;
    return guard_end(&exchange->framing, &walk.guard, http_1_1, err);
}

bool head_was_refused(struct exchange *exchange) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(exchange->mhd, MHD_CONNECTION_INFO_HTTP_STATUS);
    if (!info || !info->http_status) return false;
    exchange->request.method = HTTP_OTHER;
    exchange->request.path = exchange->path;
    make_id(&exchange->request, exchange->service);
    exchange->response.status = (int)info->http_status;
    return true;
}

enum status head_read(struct exchange *exchange, const char *method, const char *version,
                      struct error *err) {
    struct http_request *request = &exchange->request;
    request->method = method_of(method);
    request->path = exchange->path;
    request->header = read_header;
    request->query = read_query;
    request->each_query = walk_queries;
    request->transport = exchange;
    set_id(request, exchange->service);
    return check_framing(exchange, method, version, err);
}

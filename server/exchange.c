#include "server/exchange.h"

#include <microhttpd.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/base/clock.h"
#include "server/guard.h"

/* A body that is refused half-way is read on, so that the client sees the answer
 * instead of a broken pipe, but not for ever. */
enum { DROPPED_MAX = 64 << 20, RESERVE_STEP = 1 << 20 };

static const char *lookup(const struct http_request *request, enum MHD_ValueKind kind,
                          const char *name) {
    const struct exchange *exchange = request->transport;
    return MHD_lookup_connection_value(exchange->connection, kind, name);
}

static const char *get_header(const struct http_request *request, const char *name) {
    return lookup(request, MHD_HEADER_KIND, name);
}

static const char *get_query(const struct http_request *request, const char *name) {
    return lookup(request, MHD_GET_ARGUMENT_KIND, name);
}

struct exchange *exchange_create(struct http_server *server, struct MHD_Connection *connection,
                                 struct memory_budget *budget, const char *target) {
    struct exchange *exchange = calloc(1, sizeof(*exchange));
    if (!exchange) return NULL;
    exchange->server = server;
    exchange->connection = connection;
    exchange->budget = budget;
    exchange->bad_target = guard_bad_target(target);
    exchange->error = ERROR_NONE;
    exchange->request.received_ns = clock_now_ns();
    exchange->request.transport = exchange;
    exchange->request.header = get_header;
    exchange->request.query = get_query;
    return exchange;
}

void exchange_destroy(struct exchange *exchange) {
    if (!exchange) return;
    multipart_destroy(exchange->multipart);
    buffer_free(&exchange->body);
    buffer_free(&exchange->response.body);
    atomic_fetch_sub(&exchange->budget->used, exchange->reserved);
    free(exchange);
}

static enum http_method parse_method(const char *method) {
    static const struct {
        const char *name;
        enum http_method method;
    } methods[] = {{"GET", HTTP_GET},
                   {"HEAD", HTTP_HEAD},
                   {"POST", HTTP_POST},
                   {"PUT", HTTP_PUT},
                   {"DELETE", HTTP_DELETE}};
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        if (!strcmp(methods[i].name, method)) return methods[i].method;
    }
    return HTTP_OTHER;
}

void exchange_begin(struct exchange *exchange, const char *method, const char *path) {
    exchange->request.method = parse_method(method);
    exchange->request.path = path;
}

/* Takes `more` bytes of the server's budget for bodies. */
static enum status reserve(struct exchange *exchange, size_t more, struct error *err) {
    size_t before = atomic_fetch_add(&exchange->budget->used, more);
    if (before <= exchange->budget->limit && more <= exchange->budget->limit - before) {
        exchange->reserved += more;
        return STATUS_OK;
    }
    atomic_fetch_sub(&exchange->budget->used, more);
    return error_set(err, STATUS_OVERLOADED, "the requests being served hold too much memory");
}

static enum status too_large(const struct exchange *exchange, struct error *err) {
    return error_set(err, STATUS_TOO_LARGE, "the body is larger than the limit of %zu bytes",
                     exchange->admission.body_max);
}

/* The length that the headers announce; SIZE_MAX for one that is not known. */
static size_t announced_size(const struct exchange *exchange) {
    const char *length = get_header(&exchange->request, "Content-Length");
    if (!length) return SIZE_MAX;
    /* The guard and libmicrohttpd have seen to it that these are digits. */
    unsigned long long size = strtoull(length, NULL, 10);
    return size < SIZE_MAX ? (size_t)size : SIZE_MAX - 1;
}

static bool is_form(const struct exchange *exchange) {
    static const char type[] = "multipart/form-data";
    const char *value = get_header(&exchange->request, "Content-Type");
    return value && strncasecmp(value, type, sizeof(type) - 1) == 0;
}

enum status exchange_expect_body(struct exchange *exchange, uint32_t parts_max, struct error *err) {
    size_t size = announced_size(exchange), limit = exchange->admission.body_max;
    bool chunked = get_header(&exchange->request, "Transfer-Encoding") != NULL;
    if (size == SIZE_MAX && !chunked) return STATUS_OK;
    if (size != SIZE_MAX && size > limit) return too_large(exchange, err);
    buffer_init(&exchange->body, limit);
    if (is_form(exchange)) {
        return multipart_create(&exchange->multipart, exchange->connection, parts_max, err);
    }
    if (size == SIZE_MAX || size == 0) return STATUS_OK;
    /* The size is known: one allocation, no growing. */
    enum status status = reserve(exchange, size, err);
    if (status) return status;
    return buffer_reserve(&exchange->body, size, err) ? STATUS_OK : STATUS_NO_MEMORY;
}

static enum status take(struct exchange *exchange, const char *data, size_t size,
                        struct error *err) {
    if (exchange->received > exchange->admission.body_max) return too_large(exchange, err);
    while (exchange->received > exchange->reserved) {
        enum status status = reserve(exchange, RESERVE_STEP, err);
        if (status) return status;
    }
    if (exchange->multipart) return multipart_feed(exchange->multipart, data, size, err);
    return buffer_append(&exchange->body, data, size, err);
}

bool exchange_receive(struct exchange *exchange, const char *data, size_t size) {
    exchange->received += size;
    if (exchange->error.status == STATUS_OK) take(exchange, data, size, &exchange->error);
    if (exchange->error.status == STATUS_OK) return true;
    return exchange->received < exchange->admission.body_max + (size_t)DROPPED_MAX;
}

enum status exchange_complete(struct exchange *exchange, struct error *err) {
    if (exchange->error.status) return error_pass(err, &exchange->error);
    exchange->request.body = buffer_view(&exchange->body);
    if (!exchange->multipart) return STATUS_OK;
    return multipart_finish(exchange->multipart, &exchange->request.parts,
                            &exchange->request.parts_count, err);
}

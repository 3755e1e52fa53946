/* exchange.c - see exchange.h.
 *
 * libmicrohttpd takes an answer at two moments only: when the headers are in, after
 * which it reads no further and closes the connection, and when the body is. A
 * refusal in between waits for the end of the body, which is thrown away; small
 * bodies are thrown away, too, so that the connection can be kept. */
#include "server/exchange.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "server/guard.h"
#include "server/multipart.h"
#include "server/stream.h"

enum {
    SWALLOW_MAX = 64 << 10,   /* bytes of a refused body, to keep the connection */
    SEND_RATE_MIN = 64 << 10, /* bytes per second that a client must take */
    STREAM_BLOCK = 16 << 10,  /* bytes of a streamed answer taken at once */
};

enum stage {
    STAGE_HEAD,     /* the header section is not in yet */
    STAGE_BODY,     /* admitted, collecting the body */
    STAGE_RUNNING,  /* suspended, on a thread of the pool */
    STAGE_ANSWERED, /* `response` is filled in */
    STAGE_QUEUED,   /* and given to libmicrohttpd */
};

struct exchange {
    struct http_request request;
    struct http_response response;
    enum stage stage;
    struct exchange_service *service;
    struct exchange_loop *loop;
    struct MHD_Connection *mhd;
    struct connection *connection;
    const char *target; /* as it came; decoded in place by the library later */
    size_t target_size;
    bool target_is_sound;
    struct framing framing;
    struct api_admission admission;
    struct buffer body, parts;
    size_t charged; /* of service->body_bytes */

    /* Of an answer that is made while it is sent; else NULL. */
    struct stream *stream;
    uint64_t deadline_ns; /* for the client to have taken what there was */
    uint64_t paused_ns;   /* since when it waits for us; 0: it does not */
    char path[];          /* the target without its query, as it came */
};

static struct connection *connection_of(struct MHD_Connection *mhd) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

void exchange_loop_wake(struct exchange_loop *loop) {
    /* Can only fail when the counter is full, and then the thread is awake. */
    int ignored = eventfd_write(loop->wake, 1);
    (void)ignored;
}

void *exchange_begin(void *loop, const char *target, struct MHD_Connection *mhd) {
    struct exchange_loop *own_loop = loop;
    struct exchange_service *shared = own_loop->service;
    struct connection *connection = connection_of(mhd);
    uint64_t now = clock_now_ns();
    atomic_fetch_add(&shared->begun, 1);
    atomic_fetch_add(&shared->open, 1);
    connection_expect(connection, now + shared->request_timeout_ns);
    size_t path_size = target ? strcspn(target, "?") : 0;
    struct exchange *exchange = calloc(1, sizeof(*exchange) + path_size + 1);
    if (!exchange) return NULL;
    if (path_size) memcpy(exchange->path, target, path_size);
    exchange->service = shared;
    exchange->loop = own_loop;
    exchange->mhd = mhd;
    exchange->connection = connection;
    exchange->request.received_ns = now;
    exchange->target = target ? target : "";
    exchange->target_size = strlen(exchange->target);
    exchange->target_is_sound = guard_is_target(exchange->target);
    return exchange;
}

static const char *read_header(const struct http_request *request, const char *name) {
    const struct exchange *exchange = request->transport;
    return MHD_lookup_connection_value(exchange->mhd, MHD_HEADER_KIND, name);
}

static const char *read_query(const struct http_request *request, const char *name) {
    const struct exchange *exchange = request->transport;
    return MHD_lookup_connection_value(exchange->mhd, MHD_GET_ARGUMENT_KIND, name);
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

/* The client's id when it can go into logs and headers as it is. Else one of ours:
 * a number that no other request of this process has, mixed (splitmix64, which maps
 * no two numbers to the same) so that those of two processes do not meet either. */
static void set_id(struct http_request *request, struct exchange_service *service) {
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    const char *given = read_header(request, "X-Request-Id");
    if (given && *given && strlen(given) < sizeof(request->id) && !given[strspn(given, allowed)]) {
        memcpy(request->id, given, strlen(given) + 1);
        return;
    }
    uint64_t x = atomic_fetch_add(&service->id_seed, 0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    snprintf(request->id, sizeof(request->id), "%016llx", (unsigned long long)(x ^ (x >> 31)));
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
    if (exchange->service->checks_layout)
        line.head_size =
            MHD_get_connection_info(exchange->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE)
                ->header_size;
    struct field_walk walk = {.err = err};
    enum status status = guard_begin(&walk.guard, &line, err);
    if (status != STATUS_OK) return status;
    MHD_get_connection_values_n(exchange->mhd, MHD_HEADER_KIND, walk_field, &walk);
    if (walk.status != STATUS_OK) return walk.status;
    return guard_end(&exchange->framing, &walk.guard, strcmp(version, "HTTP/1.0") != 0, err);
}

static void refuse(struct exchange *exchange, int http_status, const struct error *err) {
    api_refuse(exchange->service->api, &exchange->request, http_status, err, &exchange->response);
    exchange->stage = STAGE_ANSWERED;
}

/* libmicrohttpd 0.9.75 may send a last chunk behind the headers that answer a HEAD: the next
 * answer must not be looked for behind it. */
static bool is_stream_of_head(const struct exchange *exchange) {
    return exchange->response.produce && exchange->request.method == HTTP_HEAD;
}

static bool add_headers(struct MHD_Response *out, const struct exchange *exchange) {
    const struct http_response *response = &exchange->response;
    bool ok = MHD_add_response_header(out, "X-Request-Id", exchange->request.id) == MHD_YES;
    if (response->content_type)
        ok &= MHD_add_response_header(out, "Content-Type", response->content_type) == MHD_YES;
    for (size_t i = 0; i < response->headers_count; i++)
        ok &= MHD_add_response_header(out, response->headers[i].name, response->headers[i].value) ==
              MHD_YES;
    if (atomic_load(&exchange->service->draining) || is_stream_of_head(exchange))
        ok &= MHD_add_response_header(out, "Connection", "close") == MHD_YES;
    return ok;
}

/* Lets the connection go on; its I/O thread may end the exchange at any moment then. */
static void resume_connection(struct exchange *exchange) {
    struct exchange_service *service = exchange->service;
    struct exchange_loop *loop = exchange->loop;
    MHD_resume_connection(exchange->mhd);
    exchange_loop_wake(loop);
    atomic_fetch_sub(&service->suspended, 1);
}

static void wake_reader(void *context) {
    resume_connection(context);
}

/* The client has taken what came before: more for it, or the connection is suspended
 * until there is more. What we let it wait does not count against it. */
static ssize_t read_stream(void *context, uint64_t position, char *out, size_t room) {
    struct exchange *exchange = context;
    uint64_t now = clock_now_ns(), timeout_ns = exchange->service->request_timeout_ns;
    size_t size;
    exchange->loop->calls++;
    if (!exchange->stream) return MHD_CONTENT_READER_END_OF_STREAM;
    if (exchange->paused_ns) exchange->deadline_ns += now - exchange->paused_ns;
    exchange->paused_ns = 0;
    switch (stream_read(exchange->stream, out, room, &size)) {
    case STREAM_ENDED: return MHD_CONTENT_READER_END_OF_STREAM;
    case STREAM_FAILED: return MHD_CONTENT_READER_END_WITH_ERROR;
    case STREAM_DATA:
        exchange->response.produced = position + size;
        exchange->deadline_ns += size * CLOCK_NS_PER_S / SEND_RATE_MIN;
        if (exchange->deadline_ns > now + timeout_ns) exchange->deadline_ns = now + timeout_ns;
        connection_expect(exchange->connection, exchange->deadline_ns);
        return (ssize_t)size;
    case STREAM_EMPTY: break;
    }
    exchange->paused_ns = now;
    connection_expect(exchange->connection, CLOCK_NEVER);
    atomic_fetch_add(&exchange->service->suspended, 1);
    MHD_suspend_connection(exchange->mhd);
    if (!stream_wait(exchange->stream)) resume_connection(exchange);
    return 0;
}

static struct MHD_Response *create_response(struct exchange *exchange) {
    struct http_response *response = &exchange->response;
    if (exchange->stream || is_stream_of_head(exchange))
        return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK, read_stream,
                                                 exchange, NULL);
    /* The body is freed by exchange_end(), which libmicrohttpd calls afterwards. */
    return MHD_create_response_from_buffer(response->body.size, response->body.data,
                                           MHD_RESPMEM_PERSISTENT);
}

/* MHD_NO closes the connection without an answer: nothing else is left to do then. */
static enum MHD_Result queue(struct exchange *exchange) {
    struct http_response *response = &exchange->response;
    assert(exchange->stage == STAGE_ANSWERED && response->status >= 200);
    struct MHD_Response *out = create_response(exchange);
    if (!out) return MHD_NO;
    enum MHD_Result queued = MHD_NO;
    if (add_headers(out, exchange)) {
        uint64_t seconds = response->body.size / SEND_RATE_MIN;
        exchange->deadline_ns =
            clock_now_ns() + exchange->service->request_timeout_ns + seconds * CLOCK_NS_PER_S;
        connection_expect(exchange->connection, exchange->deadline_ns);
        exchange->stage = STAGE_QUEUED;
        queued = MHD_queue_response(exchange->mhd, (unsigned)response->status, out);
    }
    MHD_destroy_response(out);
    return queued;
}

/* Whether the length of the body is announced and within the route's limit. */
static void check_length(struct exchange *exchange) {
    const struct framing *framing = &exchange->framing;
    struct error err = ERROR_NONE;
    bool needs_body = exchange->request.method == HTTP_POST || exchange->request.method == HTTP_PUT;
    if (needs_body && exchange->admission.body_max && !framing->has_length && !framing->chunked) {
        error_set(&err, STATUS_INVALID, "request has neither content-length nor chunks");
        refuse(exchange, MHD_HTTP_LENGTH_REQUIRED, &err);
    } else if (framing->length > exchange->admission.body_max) {
        error_set(&err, STATUS_TOO_LARGE, "body of %llu bytes, the limit is %zu",
                  (unsigned long long)framing->length, exchange->admission.body_max);
        refuse(exchange, MHD_HTTP_CONTENT_TOO_LARGE, &err);
    }
}

/* The header section is in. */
static enum MHD_Result start(struct exchange *exchange, const char *method, const char *version) {
    struct http_request *request = &exchange->request;
    request->method = method_of(method);
    request->path = exchange->path;
    request->header = read_header;
    request->query = read_query;
    request->transport = exchange;
    set_id(request, exchange->service);

    struct error err = ERROR_NONE;
    if (check_framing(exchange, method, version, &err) != STATUS_OK) {
        connection_linger(exchange->connection);
        refuse(exchange, MHD_HTTP_BAD_REQUEST, &err);
        return queue(exchange);
    }
    exchange->stage = STAGE_BODY;
    if (api_admit(exchange->service->api, request, &exchange->admission, &exchange->response))
        check_length(exchange);
    else
        exchange->stage = STAGE_ANSWERED;
    const struct framing *framing = &exchange->framing;
    if (exchange->stage == STAGE_ANSWERED &&
        (framing->chunked || framing->length > SWALLOW_MAX ||
         (framing->length && read_header(request, "Expect")))) {
        connection_linger(exchange->connection);
        return queue(exchange);
    }
    size_t limit = exchange->admission.body_max;
    buffer_init(&exchange->body,
                framing->has_length && framing->length < limit ? framing->length : limit);
    return MHD_YES;
}

static void release_body(struct exchange *exchange) {
    buffer_free(&exchange->body);
    atomic_fetch_sub(&exchange->service->body_bytes, exchange->charged);
    exchange->charged = 0;
}

static void receive(struct exchange *exchange, const char *data, size_t size) {
    if (exchange->stage != STAGE_BODY) return;
    struct exchange_service *service = exchange->service;
    struct error err = ERROR_NONE;
    enum status status = buffer_append(&exchange->body, data, size, &err);
    size_t grown = exchange->body.capacity - exchange->charged;
    exchange->charged += grown;
    size_t total = atomic_fetch_add(&service->body_bytes, grown) + grown;
    if (status == STATUS_OK && total <= service->memory_max) return;
    release_body(exchange);
    if (status == STATUS_OK)
        error_set(&err, STATUS_OVERLOADED, "no memory for the body, %zu bytes are in use", total);
    refuse(exchange, 0, &err);
}

/* Turns the body into what the handler expects, and calls it. */
static void handle(struct exchange *exchange) {
    struct http_request *request = &exchange->request;
    const char *type = read_header(request, "Content-Type");
    if (multipart_is_form(type)) {
        struct error err = ERROR_NONE;
        buffer_init(&exchange->parts, MULTIPART_PARTS_MAX * sizeof(struct http_part));
        if (multipart_parse(&exchange->parts, exchange->body.data, exchange->body.size, type,
                            &err) != STATUS_OK) {
            refuse(exchange, 0, &err);
            return;
        }
        request->parts = (const struct http_part *)(const void *)exchange->parts.data;
        request->parts_count = exchange->parts.size / sizeof(struct http_part);
    } else {
        request->body = buffer_view(&exchange->body);
    }
    api_handle(exchange->service->api, request, &exchange->response);
    exchange->stage = STAGE_ANSWERED;
}

/* Hands the exchange back to its I/O thread. */
static void resume(struct exchange *exchange) {
    /* Before the client can have its answer: the next request finds room. */
    atomic_fetch_sub(&exchange->service->running, 1);
    resume_connection(exchange);
}

/* Makes the body of a streamed answer while the I/O thread sends it. */
static void produce(struct exchange *exchange) {
    struct http_response response = exchange->response;
    struct exchange_service *service = exchange->service;
    struct stream *stream = NULL;
    struct error err = ERROR_NONE;
    char id[sizeof(exchange->request.id)];
    struct stream_options options = {
        .wake = wake_reader, .context = exchange, .stopping = &service->stopping};
    memcpy(id, exchange->request.id, sizeof(id));
    bool wanted = !is_stream_of_head(exchange);
    if (!wanted || stream_create(&stream, &options, &err) != STATUS_OK) {
        response.release(response.context);
        if (wanted) refuse(exchange, 0, &err);
        resume(exchange);
        return;
    }
    exchange->stream = stream;
    resume_connection(exchange);
    enum status status = response.produce(response.context, stream_sink(stream), &err);
    response.release(response.context);
    if (status != STATUS_OK && status != STATUS_UNAVAILABLE)
        log_message(LOG_WARNING, "request %s: the answer was cut off: %s", id, err.message);
    atomic_fetch_sub(&service->running, 1);
    stream_end(stream, status != STATUS_OK);
}

/* A task of the pool. */
static void run(void *context, size_t index) {
    struct exchange *exchange = context;
    (void)index;
    handle(exchange);
    if (exchange->response.produce)
        produce(exchange);
    else
        resume(exchange);
}

/* The body is in: to the pool, or refused. */
static enum MHD_Result submit(struct exchange *exchange) {
    struct exchange_service *service = exchange->service;
    struct error err = ERROR_NONE;
    atomic_fetch_add(&service->suspended, 1);
    if (atomic_fetch_add(&service->running, 1) >= service->requests_max) {
        error_set(&err, STATUS_OVERLOADED, "%u requests are being handled, which is the limit",
                  service->requests_max);
    } else if (atomic_load(&service->stopping)) {
        error_set(&err, STATUS_UNAVAILABLE, "the server is stopping");
    } else {
        exchange->stage = STAGE_RUNNING;
        MHD_suspend_connection(exchange->mhd);
        if (thread_pool_submit(service->pool, run, exchange, &err) == STATUS_OK) return MHD_YES;
        refuse(exchange, 0, &err);
        /* Back to exchange_step(), which queues the refusal. */
        resume(exchange);
        return MHD_YES;
    }
    atomic_fetch_sub(&service->running, 1);
    atomic_fetch_sub(&service->suspended, 1);
    refuse(exchange, 0, &err);
    return queue(exchange);
}

/* NOLINTNEXTLINE(readability-function-size): the library's signature */
enum MHD_Result exchange_step(void *loop, struct MHD_Connection *mhd, const char *url,
                              const char *method, const char *version, const char *data,
                              size_t *size, void **own) {
    struct exchange *exchange = *own;
    (void)mhd;
    (void)url; /* decoded, so that an encoded slash looks like any other */
    ((struct exchange_loop *)loop)->calls++;
    if (!exchange) return MHD_NO;
    if (exchange->stage == STAGE_HEAD) return start(exchange, method, version);
    if (*size) {
        receive(exchange, data, *size);
        *size = 0;
        return MHD_YES;
    }
    if (exchange->stage == STAGE_BODY) {
        /* From here on it is us the client waits for. */
        connection_expect(exchange->connection, CLOCK_NEVER);
        if (!exchange->admission.immediate) return submit(exchange);
        handle(exchange);
        assert(!exchange->response.produce);
    }
    return queue(exchange);
}

/* What is logged and counted for a request that the client did not finish. */
static void give_up(struct exchange *exchange) {
    struct error err = ERROR_NONE;
    if (connection_is_late(exchange->connection)) {
        error_set(&err, STATUS_TIMEOUT, "request was not complete in time");
        refuse(exchange, MHD_HTTP_REQUEST_TIMEOUT, &err);
    } else {
        error_set(&err, STATUS_INVALID, "connection ended after %zu bytes of the body",
                  exchange->body.size);
        refuse(exchange, MHD_HTTP_BAD_REQUEST, &err);
    }
}

void exchange_end(void *loop, struct MHD_Connection *mhd, void **own,
                  enum MHD_RequestTerminationCode reason) {
    struct exchange_service *shared = ((struct exchange_loop *)loop)->service;
    struct exchange *exchange = *own;
    connection_expect(connection_of(mhd), clock_now_ns() + shared->idle_timeout_ns);
    if (exchange && exchange->stage != STAGE_HEAD) {
        bool sent =
            exchange->stage == STAGE_QUEUED && reason == MHD_REQUEST_TERMINATED_COMPLETED_OK;
        if (exchange->stage == STAGE_BODY) give_up(exchange);
        if (exchange->stream) stream_abandon(exchange->stream);
        api_finish(shared->api, &exchange->request, &exchange->response, sent);
        release_body(exchange);
        buffer_free(&exchange->parts);
        buffer_free(&exchange->response.body);
    }
    free(exchange);
    *own = NULL;
    atomic_fetch_sub(&shared->open, 1);
}

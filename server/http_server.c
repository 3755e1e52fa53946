/* libmicrohttpd in three roles: I/O threads that accept, parse and send; the request
 * threads that run handlers; the reaper.
 *
 * A request's life: see_request_line() creates its exchange, handle() is called when
 * the headers are in (guard, admission), for each piece of the body, and when that is
 * complete. Cheap requests are answered there and then; for all others the connection
 * is suspended and a request thread runs api_handle() and resumes it, whereupon
 * handle() is called once more and queues the response. complete() ends it. */
#include "server/http_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/thread_pool.h"
#include "server/exchange.h"
#include "server/guard.h"
#include "server/reaper.h"

enum {
    REQUEST_STACK_SIZE = 1 << 20, /* jansson recurses 2,048 deep at most */
    CONNECTION_MEMORY = 32 << 10, /* request line and headers; more is 431 or 414 */
    PARTS_MAX = 4096,             /* of a multipart body */
    DESCRIPTORS_EXTRA = 64,       /* beside those of connections */
    DRAIN_POLL_US = 2000,
};

const struct http_server_options http_server_options_default = {
    .address = "127.0.0.1",
    .port = 8080,
    .connections_max = 4096,
    .requests_max = 256,
    .io_threads = 2,
    .idle_timeout_s = 60,
    .request_timeout_s = 30,
    .memory_max = (size_t)512 << 20,
};

struct http_server {
    struct http_server_options options;
    struct api *api;
    struct MHD_Daemon *daemon;
    struct thread_pool *handlers;
    struct reaper *reaper;
    int listener;
    uint16_t port;
    struct memory_budget budget;
    uint64_t id_seed;
    _Atomic uint64_t id_count;
    _Atomic uint32_t active;  /* requests begun and not completed */
    _Atomic uint32_t handled; /* of these, in the hands of a request thread */
    _Atomic bool draining;    /* responses close their connection */
    _Atomic bool closed;      /* nothing more is handed to a request thread */
};

/* ---- deadlines ---- */

static uint64_t deadline_in(uint32_t seconds) {
    return clock_now_ns() + (uint64_t)seconds * CLOCK_NS_PER_S;
}

/* While the client has to send or to take something. */
static void watch_client(struct exchange *exchange) {
    struct http_server *server = exchange->server;
    reaper_set_deadline(server->reaper, exchange->watch,
                        deadline_in(server->options.request_timeout_s));
}

static void watch_nobody(struct exchange *exchange) {
    reaper_set_deadline(exchange->server->reaper, exchange->watch, CLOCK_NEVER);
}

/* ---- ids ---- */

static bool is_sane_id(const char *id) {
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    size_t size = strlen(id);
    return size > 0 && size < sizeof(((struct http_request *)0)->id) && strspn(id, allowed) == size;
}

/* SplitMix64 (Steele, Lea, Flood 2014) of a counter: distinct for every request. */
static uint64_t next_id(struct http_server *server) {
    uint64_t z = server->id_seed +
                 (atomic_fetch_add(&server->id_count, 1) + 1) * UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static void set_id(struct exchange *exchange) {
    const char *given = exchange->request.header(&exchange->request, "X-Request-Id");
    char *id = exchange->request.id;
    size_t size = sizeof(exchange->request.id);
    if (given && is_sane_id(given))
        snprintf(id, size, "%s", given);
    else
        snprintf(id, size, "%016llx", (unsigned long long)next_id(exchange->server));
}

/* ---- answering ---- */

static void add_headers(struct MHD_Response *reply, const struct exchange *exchange, bool close) {
    const struct http_response *response = &exchange->response;
    MHD_add_response_header(reply, "X-Request-Id", exchange->request.id);
    if (response->content_type) {
        MHD_add_response_header(reply, MHD_HTTP_HEADER_CONTENT_TYPE, response->content_type);
    }
    for (size_t i = 0; i < response->headers_count; i++) {
        MHD_add_response_header(reply, response->headers[i].name, response->headers[i].value);
    }
    if (close) MHD_add_response_header(reply, MHD_HTTP_HEADER_CONNECTION, "close");
}

/* Hands the response to libmicrohttpd, which frees its body. MHD_NO closes the
 * connection: the last resort without memory. */
static enum MHD_Result answer(struct exchange *exchange, bool close) {
    struct buffer *body = &exchange->response.body;
    size_t size = body->size;
    struct MHD_Response *reply =
        MHD_create_response_from_buffer(size, body->data, MHD_RESPMEM_MUST_FREE);
    if (!reply) return MHD_NO;
    *body = (struct buffer){.size = size}; /* the size is still to be logged */
    add_headers(reply, exchange, close || atomic_load(&exchange->server->draining));
    watch_client(exchange);
    enum MHD_Result result =
        MHD_queue_response(exchange->connection, (unsigned)exchange->response.status, reply);
    MHD_destroy_response(reply);
    return result;
}

static enum MHD_Result refuse(struct exchange *exchange, int http_status, const struct error *err,
                              bool close) {
    api_refuse(exchange->server->api, &exchange->request, http_status, err, &exchange->response);
    return answer(exchange, close);
}

/* ---- handling ---- */

static void run_handler(void *context, size_t index) {
    (void)index;
    struct exchange *exchange = context;
    struct http_server *server = exchange->server;
    api_handle(server->api, &exchange->request, &exchange->response);
    exchange->answered = true;
    atomic_fetch_sub(&server->handled, 1);
    MHD_resume_connection(exchange->connection);
}

/* Gives the exchange to a request thread, or refuses it when all are busy. */
static enum MHD_Result hand_over(struct exchange *exchange) {
    struct http_server *server = exchange->server;
    struct error err = ERROR_NONE;
    bool busy = atomic_fetch_add(&server->handled, 1) >= server->options.requests_max;
    bool closed = atomic_load(&server->closed);
    if (busy || closed) {
        atomic_fetch_sub(&server->handled, 1);
        if (closed) error_set(&err, STATUS_UNAVAILABLE, "the server is shutting down");
        error_set(&err, STATUS_OVERLOADED, "%u requests are being served already",
                  server->options.requests_max);
        return refuse(exchange, 0, &err, false);
    }
    MHD_suspend_connection(exchange->connection);
    if (thread_pool_submit(server->handlers, run_handler, exchange, &err)) {
        api_refuse(server->api, &exchange->request, 0, &err, &exchange->response);
        exchange->answered = true;
        atomic_fetch_sub(&server->handled, 1);
        MHD_resume_connection(exchange->connection);
    }
    return MHD_YES;
}

static enum MHD_Result see_complete(struct exchange *exchange) {
    if (exchange->answered) return answer(exchange, false);
    struct error err = ERROR_NONE;
    if (exchange_complete(exchange, &err)) return refuse(exchange, 0, &err, false);
    watch_nobody(exchange);
    if (!exchange->admission.immediate) return hand_over(exchange);
    api_handle(exchange->server->api, &exchange->request, &exchange->response);
    return answer(exchange, false);
}

static enum MHD_Result see_header(void *context, enum MHD_ValueKind kind, const char *name,
                                  size_t name_size, const char *value, size_t value_size) {
    (void)kind;
    guard_see_header(context, name, name_size, value ? value : "", value_size);
    return MHD_YES;
}

static bool may_have_body(const struct exchange *exchange) {
    return exchange->request.method == HTTP_POST || exchange->request.method == HTTP_PUT;
}

static enum MHD_Result see_headers(struct exchange *exchange, const char *method, const char *path,
                                   const char *version) {
    struct http_server *server = exchange->server;
    struct guard guard = {0};
    struct error err = ERROR_NONE;
    exchange_begin(exchange, method, path);
    set_id(exchange);
    exchange->admitted = true;
    MHD_get_connection_values_n(exchange->connection, MHD_HEADER_KIND, see_header, &guard);
    switch (guard_judge(&guard, version, &err)) {
    case STATUS_OK: break;
    case STATUS_UNSUPPORTED:
        return refuse(exchange, MHD_HTTP_HTTP_VERSION_NOT_SUPPORTED, &err, true);
    default: return refuse(exchange, MHD_HTTP_BAD_REQUEST, &err, true);
    }
    if (exchange->bad_target) {
        error_set(&err, STATUS_INVALID, "the path holds %%00, %%2F or a broken escape");
        return refuse(exchange, MHD_HTTP_BAD_REQUEST, &err, true);
    }
    if (!api_admit(server->api, &exchange->request, &exchange->admission, &exchange->response)) {
        return answer(exchange, guard.lengths || guard.encodings);
    }
    if (may_have_body(exchange) && !guard.lengths && !guard.encodings) {
        error_set(&err, STATUS_INVALID, "a Content-Length or chunked encoding is expected");
        return refuse(exchange, MHD_HTTP_LENGTH_REQUIRED, &err, true);
    }
    if (exchange_expect_body(exchange, PARTS_MAX, &err)) return refuse(exchange, 0, &err, true);
    return MHD_YES;
}

static enum MHD_Result handle(void *context, struct MHD_Connection *connection, const char *path,
                              const char *method, const char *version, const char *data,
                              size_t *data_size, void **request) {
    (void)context;
    (void)connection;
    struct exchange *exchange = *request;
    if (!exchange) return MHD_NO; /* there was no memory for it */
    if (!exchange->admitted) return see_headers(exchange, method, path, version);
    if (*data_size == 0) return see_complete(exchange);
    bool go_on = exchange_receive(exchange, data, *data_size);
    *data_size = 0;
    return go_on ? MHD_YES : MHD_NO;
}

/* ---- the life of connections and requests ---- */

static void *see_request_line(void *context, const char *target,
                              struct MHD_Connection *connection) {
    struct http_server *server = context;
    struct exchange *exchange = exchange_create(server, connection, &server->budget, target);
    if (!exchange) return NULL;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    exchange->watch = info ? info->socket_context : NULL;
    watch_client(exchange);
    atomic_fetch_add(&server->active, 1);
    return exchange;
}

static void complete(void *context, struct MHD_Connection *connection, void **request,
                     enum MHD_RequestTerminationCode how) {
    (void)connection;
    struct http_server *server = context;
    struct exchange *exchange = *request;
    if (!exchange) return;
    *request = NULL;
    if (exchange->admitted) {
        api_finish(server->api, &exchange->request, &exchange->response,
                   how == MHD_REQUEST_TERMINATED_COMPLETED_OK);
    }
    /* A next request may be begun right away or after an idle time. */
    reaper_set_deadline(
        server->reaper, exchange->watch,
        deadline_in(server->options.idle_timeout_s + server->options.request_timeout_s));
    exchange->response.body.size = 0;
    exchange_destroy(exchange);
    atomic_fetch_sub(&server->active, 1);
}

static void see_connection(void *context, struct MHD_Connection *connection, void **socket_context,
                           enum MHD_ConnectionNotificationCode what) {
    struct http_server *server = context;
    if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
        reaper_remove(server->reaper, *socket_context);
        *socket_context = NULL;
        return;
    }
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    *socket_context = reaper_add(server->reaper, info->connect_fd,
                                 deadline_in(server->options.request_timeout_s));
}

static void log_daemon(void *context, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

static void log_daemon(void *context, const char *format, va_list args) {
    (void)context;
    char message[256];
    vsnprintf(message, sizeof(message), format, args);
    message[strcspn(message, "\n")] = 0;
    log_message(LOG_DEBUG, "http: %s", message);
}

/* ---- start and stop ---- */

static void read_stats(void *context, struct api_server_stats *out) {
    struct http_server *server = context;
    *out = (struct api_server_stats){
        .connections = reaper_count(server->reaper),
        .requests_active = atomic_load(&server->active),
        .body_bytes = atomic_load(&server->budget.used),
    };
}

/* Best effort: where the hard limit is lower, accept() fails and is tried again. */
static void allow_descriptors(uint32_t connections) {
    struct rlimit limit;
    rlim_t wanted = (rlim_t)connections + DESCRIPTORS_EXTRA;
    if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur >= wanted) return;
    limit.rlim_cur = wanted < limit.rlim_max ? wanted : limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

/* A listening socket of our own making gives errors that say what went wrong. */
static enum status listen_on(struct http_server *server, struct error *err) {
    const char *address = server->options.address;
    char port[8];
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV};
    struct addrinfo *found;
    snprintf(port, sizeof(port), "%u", server->options.port);
    int problem = getaddrinfo(address, port, &hints, &found);
    if (problem) {
        return error_set(err, STATUS_INVALID, "cannot listen on %s: %s", address,
                         gai_strerror(problem));
    }
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int on = 1;
    bool listening = fd >= 0 && !setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) &&
                     !bind(fd, found->ai_addr, found->ai_addrlen) && !listen(fd, SOMAXCONN);
    freeaddrinfo(found);
    if (!listening) {
        char where[96];
        snprintf(where, sizeof(where), "%s:%s", address, port);
        error_set_errno(err, STATUS_UNAVAILABLE, "listen on", where);
        if (fd >= 0) close(fd);
        return STATUS_UNAVAILABLE;
    }
    struct sockaddr_storage bound;
    socklen_t size = sizeof(bound);
    if (getsockname(fd, (struct sockaddr *)&bound, &size) == 0) {
        server->port =
            ntohs(bound.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&bound)->sin6_port
                                              : ((struct sockaddr_in *)&bound)->sin_port);
    }
    server->listener = fd;
    return STATUS_OK;
}

static enum status start_daemon(struct http_server *server, struct error *err) {
    const struct http_server_options *options = &server->options;
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
    struct MHD_OptionItem more[] = {
        {MHD_OPTION_THREAD_POOL_SIZE, options->io_threads, NULL},
        {MHD_OPTION_END, 0, NULL},
    };
    /* A pool of one is what there is without the option; libmicrohttpd refuses it. */
    if (options->io_threads < 2) more[0].option = MHD_OPTION_END;
    server->daemon = MHD_start_daemon(
        flags, server->port, NULL, NULL, handle, server, MHD_OPTION_EXTERNAL_LOGGER, log_daemon,
        server, MHD_OPTION_LISTEN_SOCKET, server->listener, MHD_OPTION_CONNECTION_LIMIT,
        options->connections_max, MHD_OPTION_CONNECTION_TIMEOUT, options->idle_timeout_s,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY, MHD_OPTION_STRICT_FOR_CLIENT,
        1, MHD_OPTION_URI_LOG_CALLBACK, see_request_line, server, MHD_OPTION_NOTIFY_COMPLETED,
        complete, server, MHD_OPTION_NOTIFY_CONNECTION, see_connection, server, MHD_OPTION_ARRAY,
        more, MHD_OPTION_END);
    if (server->daemon) return STATUS_OK;
    return error_set(err, STATUS_UNAVAILABLE, "cannot start the HTTP server");
}

static void free_server(struct http_server *server) {
    thread_pool_destroy(server->handlers);
    reaper_destroy(server->reaper);
    if (server->listener >= 0) close(server->listener);
    free(server);
}

enum status http_server_start(struct http_server **out, const struct http_server_options *options,
                              struct api *api, struct error *err) {
    struct http_server *server = calloc(1, sizeof(*server));
    if (!server) return error_set(err, STATUS_NO_MEMORY, "out of memory for the server");
    server->options = *options;
    server->api = api;
    server->listener = -1;
    server->budget.limit = options->memory_max;
    struct thread_pool_options handlers = {.name = "request",
                                           .threads = options->requests_max,
                                           .queue_limit = options->requests_max,
                                           .stack_size = REQUEST_STACK_SIZE};
    if (getrandom(&server->id_seed, sizeof(server->id_seed), 0) < 0) {
        server->id_seed = clock_now_ns();
    }
    allow_descriptors(options->connections_max);
    enum status status = thread_pool_create(&server->handlers, &handlers, err);
    if (!status) status = reaper_create(&server->reaper, err);
    if (!status) status = listen_on(server, err);
    if (!status) {
        api_set_server_stats(api, read_stats, server);
        status = start_daemon(server, err);
    }
    if (status) {
        free_server(server);
        return status;
    }
    *out = server;
    return STATUS_OK;
}

uint16_t http_server_port(const struct http_server *server) {
    return server->port;
}

void http_server_stop(struct http_server *server, uint32_t drain_ms) {
    if (!server) return;
    atomic_store(&server->draining, true);
    MHD_quiesce_daemon(server->daemon);
    uint64_t deadline = clock_now_ns() + (uint64_t)drain_ms * CLOCK_NS_PER_MS;
    while (atomic_load(&server->active) && clock_now_ns() < deadline) usleep(DRAIN_POLL_US);
    /* Every handler ends, at its own deadline at the latest, and resumes its
     * connection: libmicrohttpd cannot be stopped while one is suspended. */
    atomic_store(&server->closed, true);
    while (atomic_load(&server->handled)) usleep(DRAIN_POLL_US);
    thread_pool_destroy(server->handlers);
    server->handlers = NULL;
    MHD_stop_daemon(server->daemon);
    free_server(server);
}

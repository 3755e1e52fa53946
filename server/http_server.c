/* http_server.c - see http_server.h.
 *
 * libmicrohttpd is used for what it does well, parsing and sending on epoll, and
 * kept away from what it does not: accepting and time-outs are connections.c, doubt
 * about framing is guard.c. */
#include "server/http_server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "server/exchange.h"
#include "server/listener.h"

enum {
    /* Holds the header sections of a request and its answer, and is cleared, hence
     * resident, for each connection that has served a request: the price of an idle
     * connection. */
    CONNECTION_MEMORY = 12 << 10,
    STACK_SIZE = 1 << 20,
    DRAIN_STEP_US = 5000,
    DRAIN_QUIET_MS = 200, /* no new request for so long: the clients are done */
    /* libmicrohttpd's own limit is never to be reached: it counts a connection a
     * little longer than we do, and divides the limit among its threads. */
    CONNECTIONS_SPARE = 1024,
    DESCRIPTORS_SPARE = 256, /* beside those of connections: lingering, files, pipes */
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
    struct exchange_service service;
    struct MHD_Daemon *daemon;
    uint16_t port;
};

static void log_mhd(void *context, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

/* libmicrohttpd reports clients that misbehave: no news at the usual level. */
static void log_mhd(void *context, const char *format, va_list args) {
    (void)context;
    if (!log_enabled(LOG_DEBUG)) return;
    char message[512];
    vsnprintf(message, sizeof(message), format, args);
    message[strcspn(message, "\n")] = '\0';
    log_message(LOG_DEBUG, "microhttpd: %s", message);
}

static void notify_connection(void *context, struct MHD_Connection *mhd, void **own,
                              enum MHD_ConnectionNotificationCode code) {
    struct exchange_service *service = context;
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        connections_close(service->connections, *own);
        return;
    }
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
    *own = connections_open(service->connections, info->connect_fd);
}

static bool adopt(void *context, int fd, const struct sockaddr *address, socklen_t size) {
    struct http_server *server = context;
    return MHD_add_connection(server->daemon, fd, address, size) == MHD_YES;
}

static void read_stats(void *context, struct api_server_stats *out) {
    struct http_server *server = context;
    *out = (struct api_server_stats){
        .connections = connections_count(server->service.connections),
        .requests_active = atomic_load(&server->service.running),
        .body_bytes = atomic_load(&server->service.body_bytes),
    };
}

/* From 1.0 on libmicrohttpd refuses by itself what guard_begin() looks for. */
static bool is_lenient(void) {
    return MHD_get_version()[0] == '0';
}

static enum status start_daemon(struct http_server *server,
                                const struct http_server_options *options, struct error *err) {
    struct exchange_service *service = &server->service;
    service->checks_layout = is_lenient();
    unsigned limit = options->connections_max + CONNECTIONS_SPARE;
    struct MHD_OptionItem items[] = {
        {MHD_OPTION_EXTERNAL_LOGGER, (intptr_t)log_mhd, NULL},
        {MHD_OPTION_CONNECTION_LIMIT, (intptr_t)limit * options->io_threads, NULL},
        {MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY, NULL},
        /* For clients that stop taking their answer; the rest is connections.c. */
        {MHD_OPTION_CONNECTION_TIMEOUT, options->idle_timeout_s, NULL},
        {MHD_OPTION_THREAD_STACK_SIZE, STACK_SIZE, NULL},
        {MHD_OPTION_STRICT_FOR_CLIENT, !service->checks_layout, NULL},
        {MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)notify_connection, service},
        {MHD_OPTION_URI_LOG_CALLBACK, (intptr_t)exchange_begin, service},
        {MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)exchange_end, service},
        /* Last, because it warns about a pool of one, which is what it is without. */
        {options->io_threads > 1 ? MHD_OPTION_THREAD_POOL_SIZE : MHD_OPTION_END,
         options->io_threads, NULL},
        {MHD_OPTION_END, 0, NULL},
    };
    server->daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_NO_LISTEN_SOCKET | MHD_USE_ITC |
            MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG,
        0, NULL, NULL, exchange_step, service, MHD_OPTION_ARRAY, items, MHD_OPTION_END);
    if (server->daemon) return STATUS_OK;
    return error_set(err, STATUS_UNAVAILABLE, "cannot start %u I/O threads", options->io_threads);
}

/* As far as the hard limit goes; where that is too low, accepting pauses. */
static void allow_descriptors(uint32_t connections) {
    struct rlimit limit;
    rlim_t wanted = (rlim_t)connections + DESCRIPTORS_SPARE;
    if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur >= wanted) return;
    limit.rlim_cur = wanted < limit.rlim_max ? wanted : limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static enum status start(struct http_server *server, const struct http_server_options *options,
                         struct error *err) {
    struct exchange_service *service = &server->service;
    int listener;
    enum status status = listener_open(&listener, options->address, options->port, err);
    if (status != STATUS_OK) return status;
    server->port = listener_port(listener);
    struct connections_options connections = {
        .connections_max = options->connections_max,
        .first_timeout_ns = service->request_timeout_ns,
    };
    status = connections_create(&service->connections, &connections, listener, err);
    if (status != STATUS_OK) return status;
    struct thread_pool_options pool = {
        .name = "clipd-request",
        .threads = options->requests_max,
        .queue_limit = options->requests_max,
        .stack_size = STACK_SIZE,
    };
    status = thread_pool_create(&service->pool, &pool, err);
    if (status != STATUS_OK) return status;
    status = start_daemon(server, options, err);
    if (status != STATUS_OK) return status;
    return connections_start(service->connections, adopt, server, err);
}

enum status http_server_start(struct http_server **out, const struct http_server_options *options,
                              struct api *api, struct error *err) {
    struct http_server *server = calloc(1, sizeof(*server));
    if (!server) return error_set(err, STATUS_NO_MEMORY, "out of memory for the server");
    struct exchange_service *service = &server->service;
    service->api = api;
    service->requests_max = options->requests_max;
    service->memory_max = options->memory_max;
    service->idle_timeout_ns = (uint64_t)options->idle_timeout_s * CLOCK_NS_PER_S;
    service->request_timeout_ns = (uint64_t)options->request_timeout_s * CLOCK_NS_PER_S;
    if (getrandom(&service->id_seed, sizeof(service->id_seed), 0) < 0)
        service->id_seed = clock_now_ns();
    allow_descriptors(options->connections_max);
    api_set_server_stats(api, read_stats, server);
    enum status status = start(server, options, err);
    if (status != STATUS_OK) {
        http_server_stop(server, 0);
        return status;
    }
    *out = server;
    return STATUS_OK;
}

uint16_t http_server_port(const struct http_server *server) {
    return server->port;
}

/* Waits until each request has been answered and none has come for a moment. */
static void drain(struct exchange_service *service, uint64_t deadline_ns) {
    uint64_t begun = atomic_load(&service->begun), now = clock_now_ns();
    uint64_t quiet_ns = clock_deadline(DRAIN_QUIET_MS);
    for (; now < deadline_ns; now = clock_now_ns()) {
        if (!connections_count(service->connections)) return;
        uint64_t begun_now = atomic_load(&service->begun);
        if (begun_now != begun || atomic_load(&service->open))
            quiet_ns = clock_deadline(DRAIN_QUIET_MS);
        begun = begun_now;
        if (now >= quiet_ns) return;
        usleep(DRAIN_STEP_US);
    }
}

void http_server_stop(struct http_server *server, uint32_t drain_ms) {
    if (!server) return;
    struct exchange_service *service = &server->service;
    uint64_t deadline_ns = clock_now_ns() + (uint64_t)drain_ms * CLOCK_NS_PER_MS;
    atomic_store(&service->draining, true);
    if (server->daemon) {
        connections_refuse(service->connections);
        drain(service, deadline_ns);
        /* Suspended connections must be resumed before libmicrohttpd stops. */
        atomic_store(&service->stopping, true);
        while (atomic_load(&service->running)) usleep(DRAIN_STEP_US);
        MHD_stop_daemon(server->daemon);
    }
    thread_pool_destroy(service->pool);
    connections_destroy(service->connections);
    free(server);
}

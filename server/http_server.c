/* http_server.c - see http_server.h.
 *
 * libmicrohttpd is used for what it does well, parsing and sending on epoll, and
 * kept away from what it does not: accepting and time-outs are connections.c, the
 * loop is io_thread.c, doubt about framing guard.c, forms multipart.c. */
#include "server/http_server.h"

#include <stdlib.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "server/exchange.h"
#include "server/io_thread.h"
#include "server/listener.h"

enum {
    STACK_SIZE = 1 << 20,
    DRAIN_STEP_US = 5000,
    DRAIN_QUIET_MS = 200,    /* no new request for so long: the clients are done */
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
    .rate_min = (size_t)256 << 10,
    .memory_max = (size_t)512 << 20,
};

struct http_server {
    struct exchange_service service;
    struct io_thread **io_threads; /* [io_count] */
    size_t io_count, next_io;      /* next_io: the accepting thread's */
    uint16_t port;
};

static bool adopt(void *context, int fd) {
    struct http_server *server = context;
    return io_thread_adopt(server->io_threads[server->next_io++ % server->io_count], fd);
}

static void read_stats(void *context, struct api_server_stats *out) {
    struct http_server *server = context;
    *out = (struct api_server_stats){
        .connections = connections_count(server->service.connections),
        .requests_active = atomic_load(&server->service.running),
        .body_bytes = budget_used(&server->service.memory),
        .answer_bytes = budget_used(&server->service.answers),
    };
}

/* From 1.0 on libmicrohttpd refuses by itself what guard_begin() looks for. */
static bool is_lenient(void) {
    return MHD_get_version()[0] == '0';
}

static enum status start_io_threads(struct http_server *server,
                                    const struct http_server_options *options, struct error *err) {
    struct io_thread_options each = {
        .connections_max = options->connections_max,
        .idle_timeout_s = options->idle_timeout_s,
        .stack_size = STACK_SIZE,
    };
    server->service.is_lenient = is_lenient();
    server->io_threads = calloc(options->io_threads, sizeof(struct io_thread *));
    if (!server->io_threads)
        return error_set(err, STATUS_NO_MEMORY, "out of memory for the I/O threads");
    for (; server->io_count < options->io_threads; server->io_count++) {
        enum status status =
            io_thread_start(&server->io_threads[server->io_count], &each, &server->service, err);
        if (status != STATUS_OK) return status;
    }
    return STATUS_OK;
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
    struct thread_pool_options probes = {
        .name = "clipd-probe",
        .threads = EXCHANGE_PROBES_MAX,
        .queue_limit = EXCHANGE_PROBES_WAITING,
        .stack_size = STACK_SIZE,
    };
    status = thread_pool_create(&service->pool, &pool, err);
    if (!status) status = thread_pool_create(&service->probes, &probes, err);
    if (status != STATUS_OK) return status;
    status = start_io_threads(server, options, err);
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
    service->rate_min = options->rate_min;
    service->memory.max = service->answers.max = options->memory_max;
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
    if (service->connections) connections_refuse(service->connections);
    if (server->io_count) {
        drain(service, deadline_ns);
        /* A connection must not be suspended when its I/O thread stops. */
        atomic_store(&service->stopping, true);
        while (atomic_load(&service->suspended)) usleep(DRAIN_STEP_US);
    }
    for (size_t i = 0; i < server->io_count; i++) io_thread_stop(server->io_threads[i]);
    free(server->io_threads);
    thread_pool_destroy(service->pool);
    thread_pool_destroy(service->probes);
    connections_destroy(service->connections);
    free(server);
}

/* io_thread.c - see io_thread.h. */
#include "server/io_thread.h"

#include <microhttpd.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/base/bytes.h"
#include "core/base/log.h"
#include "server/exchange.h"

enum {
    /* Holds the header sections of a request and its answer, and is cleared, hence
     * resident, for each connection that has served a request: the price of an idle
     * connection. */
    CONNECTION_MEMORY = 12 << 10,
    SLEEP_MAX_MS = 60000,
    IDLE_RUNS_MAX = 16, /* without an event or a call of ours */
};

struct io_thread {
    struct exchange_loop loop;
    struct MHD_Daemon *daemon;
    int epoll; /* the daemon's */
    pthread_t thread;
    bool started;
    uint64_t opened; /* connections that the daemon took over: the thread's */

    pthread_mutex_t lock;  /* protects everything below */
    struct buffer arrived; /* of int: sockets to adopt */
    bool stopping;
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
    struct io_thread *io = context;
    struct connections *connections = io->loop.service->connections;
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        connections_close(connections, *own);
        return;
    }
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
    *own = connections_open(connections, info->connect_fd);
    io->opened++;
}

/* The daemon's own limit must not be reached: it counts a connection a little longer
 * than we do. */
static bool start_daemon(struct io_thread *io, const struct io_thread_options *options) {
    struct MHD_OptionItem items[] = {
        {MHD_OPTION_EXTERNAL_LOGGER, (intptr_t)log_mhd, NULL},
        {MHD_OPTION_CONNECTION_LIMIT, (intptr_t)options->connections_max * 2, NULL},
        {MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY, NULL},
        /* For clients that stop taking their answer; the rest is connections.c. */
        {MHD_OPTION_CONNECTION_TIMEOUT, options->idle_timeout_s, NULL},
        {MHD_OPTION_STRICT_FOR_CLIENT, !io->loop.service->is_lenient, NULL},
        {MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, NULL},
        {MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)notify_connection, io},
        {MHD_OPTION_URI_LOG_CALLBACK, (intptr_t)exchange_begin, &io->loop},
        {MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)exchange_end, &io->loop},
        {MHD_OPTION_END, 0, NULL},
    };
    io->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0,
        NULL, NULL, exchange_step, &io->loop, MHD_OPTION_ARRAY, items, MHD_OPTION_END);
    if (!io->daemon) return false;
    io->epoll = MHD_get_daemon_info(io->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    return true;
}

/* The address is nobody's business here, so none is given. */
static void adopt_arrived(struct io_thread *io) {
    static const struct sockaddr nobody = {.sa_family = AF_UNSPEC};
    pthread_mutex_lock(&io->lock);
    struct buffer arrived = io->arrived;
    buffer_init(&io->arrived, arrived.limit);
    pthread_mutex_unlock(&io->lock);
    const int *fds = (const int *)(const void *)arrived.data;
    for (size_t i = 0; i < arrived.size / sizeof(*fds); i++) {
        uint64_t opened = io->opened;
        if (MHD_add_connection(io->daemon, fds[i], &nobody, sizeof(nobody)) == MHD_YES) continue;
        /* It has closed the socket, but tells only of those it had opened. */
        if (io->opened == opened) connections_close(io->loop.service->connections, NULL);
    }
    buffer_free(&arrived);
}

static bool is_stopping(struct io_thread *io) {
    pthread_mutex_lock(&io->lock);
    bool stopping = io->stopping;
    pthread_mutex_unlock(&io->lock);
    return stopping;
}

/* How long to wait for events. libmicrohttpd keeps a connection whose chunk header is
 * larger than its buffer among those that are ready, though it can do nothing for it
 * until the deadline: so its "at once" becomes a millisecond when that leads nowhere. */
static int sleep_ms(struct io_thread *io, unsigned idle_runs) {
    MHD_UNSIGNED_LONG_LONG left_ms;
    if (MHD_get_timeout(io->daemon, &left_ms) != MHD_YES || left_ms > SLEEP_MAX_MS)
        return SLEEP_MAX_MS;
    return left_ms == 0 && idle_runs > IDLE_RUNS_MAX ? 1 : (int)left_ms;
}

static void *run(void *argument) {
    struct io_thread *io = argument;
    sigset_t broken_pipe;
    sigemptyset(&broken_pipe);
    sigaddset(&broken_pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &broken_pipe, NULL);
    struct pollfd polled[] = {{.fd = io->epoll, .events = POLLIN},
                              {.fd = io->loop.wake, .events = POLLIN}};
    unsigned idle_runs = 0;
    while (!is_stopping(io)) {
        int events = poll(polled, 2, sleep_ms(io, idle_runs));
        uint64_t calls = io->loop.calls;
        if (polled[1].revents) {
            eventfd_t ignored;
            eventfd_read(io->loop.wake, &ignored);
            adopt_arrived(io);
        }
        MHD_run(io->daemon);
        idle_runs = events > 0 || io->loop.calls != calls ? 0 : idle_runs + 1;
    }
    adopt_arrived(io);
    MHD_stop_daemon(io->daemon);
    return NULL;
}

enum status io_thread_start(struct io_thread **out, const struct io_thread_options *options,
                            struct exchange_service *service, struct error *err) {
    struct io_thread *io = calloc(1, sizeof(*io));
    if (!io) return error_set(err, STATUS_NO_MEMORY, "out of memory for an I/O thread");
    io->loop =
        (struct exchange_loop){.service = service, .wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
    buffer_init(&io->arrived, (size_t)options->connections_max * sizeof(int));
    pthread_mutex_init(&io->lock, NULL);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, options->stack_size);
    io->started = io->loop.wake >= 0 && start_daemon(io, options) &&
                  !pthread_create(&io->thread, &attributes, run, io);
    pthread_attr_destroy(&attributes);
    if (!io->started) {
        io_thread_stop(io);
        return error_set(err, STATUS_UNAVAILABLE, "cannot start an I/O thread");
    }
    pthread_setname_np(io->thread, "clipd-io");
    *out = io;
    return STATUS_OK;
}

bool io_thread_adopt(struct io_thread *io, int fd) {
    pthread_mutex_lock(&io->lock);
    enum status status = buffer_append(&io->arrived, &fd, sizeof(fd), NULL);
    pthread_mutex_unlock(&io->lock);
    if (status == STATUS_OK) exchange_loop_wake(&io->loop);
    return status == STATUS_OK;
}

void io_thread_stop(struct io_thread *io) {
    if (!io) return;
    if (io->started) {
        pthread_mutex_lock(&io->lock);
        io->stopping = true;
        pthread_mutex_unlock(&io->lock);
        exchange_loop_wake(&io->loop);
        pthread_join(io->thread, NULL);
    } else if (io->daemon) {
        MHD_stop_daemon(io->daemon);
    }
    if (io->loop.wake >= 0) close(io->loop.wake);
    buffer_free(&io->arrived);
    pthread_mutex_destroy(&io->lock);
    free(io);
}

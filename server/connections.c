/* connections.c - see connections.h.
 *
 * The list is walked whole a few times a second, under its lock: ten thousand
 * connections take some tens of microseconds, and a deadline that moves with each
 * request costs one store. */
#include "server/connections.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "server/listener.h"
#include "server/presence.h"

enum {
    TICK_MS = 250, /* deadlines are met, and clients seen to leave, this late at most */
    REFUSE_GRACE_MS = 50,
    LINGER_MS = 2000,   /* a client has this long to read its last answer */
    LINGER_MAX = 128,   /* connections at a time; more are closed at once */
    ACCEPT_BURST = 64,  /* before deadlines are looked at again */
    DISCARD_BURST = 16, /* reads of one lingering connection in a row */
    DISCARD_SIZE = 65536,
};

struct connection {
    struct connection *next, *previous;
    int fd;
    _Atomic uint64_t deadline_ns;
    _Atomic bool late, gone;
    bool linger; /* its I/O thread's */

    /* Under the lock. */
    bool watched;
    struct presence presence;
};

struct lingering {
    int fd; /* a copy of the connection's own */
    uint64_t deadline_ns;
};

struct connections {
    struct connections_options options;
    connections_adopt_fn *adopt;
    void *context;
    pthread_t thread;
    bool started;
    int listener; /* changed by the thread only, under the lock; -1: closed */
    int wake;     /* eventfd */

    _Atomic size_t adopted; /* sockets handed over and not closed yet */
    _Atomic bool full;      /* `adopted` has reached the limit */

    /* The thread's own. */
    uint64_t pause_until_ns; /* when out of descriptors */
    struct lingering lingering[LINGER_MAX];
    size_t lingering_count;

    pthread_mutex_t lock; /* protects everything below */
    pthread_cond_t refused;
    struct connection *first;
    struct lingering leaving[LINGER_MAX]; /* on their way to `lingering` */
    size_t leaving_count;
    bool refusing, stopping;
};

static void wake(struct connections *connections) {
    /* Can only fail when the counter is full, and then the thread is awake. */
    int ignored = eventfd_write(connections->wake, 1);
    (void)ignored;
}

struct connection *connections_open(struct connections *connections, int fd) {
    struct connection *connection = calloc(1, sizeof(*connection));
    if (!connection) return NULL;
    connection->fd = fd;
    connection_expect(connection, clock_now_ns() + connections->options.first_timeout_ns);
    pthread_mutex_lock(&connections->lock);
    connection->next = connections->first;
    if (connection->next) connection->next->previous = connection;
    connections->first = connection;
    pthread_mutex_unlock(&connections->lock);
    return connection;
}

/* Needs the lock. Keeps a copy of the socket, half-closed, when the client may not
 * have read its answer yet. */
static void take_leave(struct connections *connections, const struct connection *connection) {
    int unread = 0;
    if (atomic_load(&connection->late) || connections->stopping) return;
    if (!connection->linger && (ioctl(connection->fd, FIONREAD, &unread) || !unread)) return;
    if (connections->leaving_count == LINGER_MAX) return;
    int fd = fcntl(connection->fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0) return;
    shutdown(fd, SHUT_WR);
    connections->leaving[connections->leaving_count++] =
        (struct lingering){fd, clock_deadline(LINGER_MS)};
    wake(connections);
}

void connections_close(struct connections *connections, struct connection *connection) {
    if (connection) {
        pthread_mutex_lock(&connections->lock);
        if (connection->previous) connection->previous->next = connection->next;
        if (connection->next) connection->next->previous = connection->previous;
        if (connections->first == connection) connections->first = connection->next;
        take_leave(connections, connection);
        pthread_mutex_unlock(&connections->lock);
        free(connection);
    }
    atomic_fetch_sub(&connections->adopted, 1);
    if (atomic_exchange(&connections->full, false)) wake(connections);
}

void connection_expect(struct connection *connection, uint64_t deadline_ns) {
    if (connection) atomic_store(&connection->deadline_ns, deadline_ns);
}

void connection_linger(struct connection *connection) {
    if (connection) connection->linger = true;
}

void connection_watch(struct connections *connections, struct connection *connection,
                      bool takes_interim) {
    if (!connection) return;
    pthread_mutex_lock(&connections->lock);
    connection->watched = true;
    connection->presence = (struct presence){.takes_interim = takes_interim};
    pthread_mutex_unlock(&connections->lock);
}

void connection_unwatch(struct connections *connections, struct connection *connection) {
    if (!connection) return;
    pthread_mutex_lock(&connections->lock);
    connection->watched = false;
    pthread_mutex_unlock(&connections->lock);
}

const _Atomic bool *connection_gone(const struct connection *connection) {
    return connection ? &connection->gone : NULL;
}

bool connection_is_late(const struct connection *connection) {
    return connection && atomic_load(&connection->late);
}

size_t connections_count(const struct connections *connections) {
    return atomic_load(&connections->adopted);
}

/* The last accepted connection may be closed by its I/O thread while `full` is
 * being set: look again afterwards. */
static bool has_room(struct connections *connections) {
    if (atomic_load(&connections->adopted) < connections->options.connections_max) return true;
    atomic_store(&connections->full, true);
    return atomic_load(&connections->adopted) < connections->options.connections_max;
}

/* False: there was nothing more to accept, or no room for it. */
static bool accept_one(struct connections *connections) {
    if (!has_room(connections)) return false;
    int fd = accept4(connections->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            log_message(LOG_WARNING, "out of file descriptors at %zu connections",
                        connections_count(connections));
            connections->pause_until_ns = clock_deadline(TICK_MS);
            return false;
        }
        return errno == ECONNABORTED || errno == EINTR;
    }
    atomic_fetch_add(&connections->adopted, 1);
    if (!connections->adopt(connections->context, fd)) {
        atomic_fetch_sub(&connections->adopted, 1);
        close(fd);
    }
    return true;
}

/* Cuts off who is late, and sees who has gone. */
static void look_around(struct connections *connections) {
    uint64_t now = clock_now_ns();
    pthread_mutex_lock(&connections->lock);
    for (struct connection *c = connections->first; c; c = c->next) {
        if (c->watched && presence_has_left(&c->presence, c->fd)) {
            c->watched = false;
            atomic_store(&c->gone, true);
        }
        uint64_t deadline_ns = atomic_load(&c->deadline_ns);
        /* Its request may be completed at this very moment: then it is not late. */
        if (deadline_ns > now ||
            !atomic_compare_exchange_strong(&c->deadline_ns, &deadline_ns, CLOCK_NEVER))
            continue;
        atomic_store(&c->late, true);
        /* The socket is open: a connection leaves the list before that is closed. */
        shutdown(c->fd, SHUT_RDWR);
    }
    pthread_mutex_unlock(&connections->lock);
}

/* Throws away what the client sent. False when there is nothing to wait for. */
static bool discard(int fd) {
    char nowhere[DISCARD_SIZE];
    for (int i = 0; i < DISCARD_BURST; i++) {
        ssize_t size = recv(fd, nowhere, sizeof(nowhere), MSG_DONTWAIT);
        if (size == 0) return false;
        if (size < 0) return errno == EAGAIN || errno == EINTR;
    }
    return true;
}

static void linger(struct connections *connections) {
    pthread_mutex_lock(&connections->lock);
    while (connections->leaving_count && connections->lingering_count < LINGER_MAX)
        connections->lingering[connections->lingering_count++] =
            connections->leaving[--connections->leaving_count];
    pthread_mutex_unlock(&connections->lock);
    uint64_t now = clock_now_ns();
    for (size_t i = connections->lingering_count; i-- > 0;) {
        struct lingering *lingering = &connections->lingering[i];
        if (now < lingering->deadline_ns && discard(lingering->fd)) continue;
        close(lingering->fd);
        *lingering = connections->lingering[--connections->lingering_count];
    }
}

/* Waits for something to do. Returns whether the listener is ready. */
static bool wait_for_work(struct connections *connections) {
    struct pollfd polled[2 + LINGER_MAX] = {{.fd = connections->wake, .events = POLLIN}};
    bool paused = clock_now_ns() < connections->pause_until_ns;
    /* A negative descriptor is left out by poll(). */
    polled[1].fd = paused || !has_room(connections) ? -1 : connections->listener;
    polled[1].events = POLLIN;
    size_t count = connections->lingering_count;
    for (size_t i = 0; i < count; i++)
        polled[2 + i] = (struct pollfd){.fd = connections->lingering[i].fd, .events = POLLIN};
    if (poll(polled, (nfds_t)(2 + count), TICK_MS) <= 0) return false;
    if (polled[0].revents) {
        eventfd_t ignored;
        eventfd_read(connections->wake, &ignored);
    }
    return polled[1].revents;
}

/* The part of connections_refuse() that belongs to the thread. Clients that are just
 * connecting get REFUSE_GRACE_MS to appear in the queue, and no new ones may join
 * them: closing would reset whoever came after the last accept4(). */
static void close_listener(struct connections *connections) {
    listener_ignore_new(connections->listener);
    while (accept_one(connections)) continue;
    usleep(REFUSE_GRACE_MS * 1000);
    while (accept_one(connections)) continue;
    pthread_mutex_lock(&connections->lock);
    close(connections->listener);
    connections->listener = -1;
    pthread_cond_signal(&connections->refused);
    pthread_mutex_unlock(&connections->lock);
}

static void *run(void *argument) {
    struct connections *connections = argument;
    uint64_t next_tick_ns = 0;
    for (;;) {
        bool ready = wait_for_work(connections);
        for (int i = 0; ready && i < ACCEPT_BURST && accept_one(connections); i++) continue;
        linger(connections);
        if (clock_now_ns() >= next_tick_ns) {
            look_around(connections);
            next_tick_ns = clock_deadline(TICK_MS);
        }
        pthread_mutex_lock(&connections->lock);
        bool refusing = connections->refusing, stopping = connections->stopping;
        pthread_mutex_unlock(&connections->lock);
        if (refusing && connections->listener >= 0) close_listener(connections);
        if (stopping) return NULL;
    }
}

enum status connections_create(struct connections **out, const struct connections_options *options,
                               int listener, struct error *err) {
    struct connections *connections = calloc(1, sizeof(*connections));
    if (!connections) {
        close(listener);
        return error_set(err, STATUS_NO_MEMORY, "out of memory for the connections");
    }
    connections->options = *options;
    connections->listener = listener;
    connections->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    pthread_mutex_init(&connections->lock, NULL);
    pthread_cond_init(&connections->refused, NULL);
    if (connections->wake < 0) {
        error_set_errno(err, STATUS_IO, "create", "an eventfd");
        connections_destroy(connections);
        return STATUS_IO;
    }
    *out = connections;
    return STATUS_OK;
}

enum status connections_start(struct connections *connections, connections_adopt_fn *adopt,
                              void *context, struct error *err) {
    connections->adopt = adopt;
    connections->context = context;
    if (pthread_create(&connections->thread, NULL, run, connections))
        return error_set(err, STATUS_UNAVAILABLE, "cannot start the accepting thread");
    pthread_setname_np(connections->thread, "clipd-accept");
    connections->started = true;
    return STATUS_OK;
}

void connections_refuse(struct connections *connections) {
    if (!connections->started) return; /* destroy closes the listener then */
    pthread_mutex_lock(&connections->lock);
    connections->refusing = true;
    wake(connections);
    while (connections->listener >= 0) pthread_cond_wait(&connections->refused, &connections->lock);
    pthread_mutex_unlock(&connections->lock);
}

void connections_destroy(struct connections *connections) {
    if (!connections) return;
    if (connections->started) {
        pthread_mutex_lock(&connections->lock);
        connections->stopping = true;
        pthread_mutex_unlock(&connections->lock);
        wake(connections);
        pthread_join(connections->thread, NULL);
    }
    assert(!connections->first);
    for (size_t i = 0; i < connections->lingering_count; i++) close(connections->lingering[i].fd);
    for (size_t i = 0; i < connections->leaving_count; i++) close(connections->leaving[i].fd);
    if (connections->listener >= 0) close(connections->listener);
    if (connections->wake >= 0) close(connections->wake);
    pthread_cond_destroy(&connections->refused);
    pthread_mutex_destroy(&connections->lock);
    free(connections);
}

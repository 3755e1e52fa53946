/* exchange.h - one request and its answer: libmicrohttpd's callbacks on one side,
 * api/ on the other.
 *
 * An exchange begins with the request line and ends when libmicrohttpd has sent the
 * answer or lost the client. All of it runs on the connection's I/O thread but for
 * api_handle() of the routes that may block: that runs on a thread of the pool
 * while the connection is suspended, and resumes it. So the two never touch an
 * exchange at the same time. Where the body is handled while it comes they take turns.
 */
#ifndef SERVER_EXCHANGE_H
#define SERVER_EXCHANGE_H

#include <microhttpd.h>
#include <stdatomic.h>

#include "api/api.h"
#include "core/base/budget.h"
#include "core/base/thread_pool.h"
#include "server/connections.h"

/* Probes that are handled at a time, when requests_max others are, too, and that wait for it. One
 * that hangs leaves room for the next, which can find that things go again; those behind it are
 * refused. */
enum { EXCHANGE_PROBES_MAX = 2, EXCHANGE_PROBES_WAITING = 256 };

/* What all exchanges of a server share. */
struct exchange_service {
    struct api *api;
    struct thread_pool *pool;   /* runs requests_max tasks at a time */
    struct thread_pool *probes; /* runs EXCHANGE_PROBES_MAX */
    struct connections *connections;
    uint32_t requests_max;
    uint64_t idle_timeout_ns, request_timeout_ns;
    size_t rate_min; /* bytes a second of long bodies and answers */
    bool is_lenient; /* the library about the ends of lines: see guard.h and answer.c */
    _Atomic uint64_t id_seed;

    _Atomic uint64_t begun; /* exchanges since the start */
    _Atomic size_t open;    /* begun and not ended */
    _Atomic size_t running; /* in api_handle() on the pool */
    /* Whose clients decide how long they last: bodies that are handled while they come, and
     * answers that are made while they are sent. */
    _Atomic size_t streams;
    _Atomic size_t probing;     /* in api_handle() on theirs, or on the way to it */
    _Atomic uint64_t probed_ns; /* when one of these last came, began or ended */
    _Atomic size_t suspended;   /* running or probing, or just resumed */
    struct budget memory;       /* of bodies, and of what is parsed from them */
    struct budget answers;      /* memory of answers, until they are sent */
    _Atomic bool draining;      /* each answer closes its connection */
    _Atomic bool stopping;      /* nothing goes to the pool any more */
};

/* What the exchanges of an I/O thread share. */
struct exchange_loop {
    struct exchange_service *service;
    int wake;       /* eventfd that the thread waits for, too */
    uint64_t calls; /* of the functions below: the thread's own */
};

void exchange_loop_wake(struct exchange_loop *loop);

/* To be passed to libmicrohttpd, with the loop as their first argument and the
 * struct connection as the connection's socket context: the URI log callback, the
 * access handler and the notification of completion. */
void *exchange_begin(void *loop, const char *target, struct MHD_Connection *mhd);
/* NOLINTNEXTLINE(readability-function-size): the library's signature */
enum MHD_Result exchange_step(void *loop, struct MHD_Connection *mhd, const char *url,
                              const char *method, const char *version, const char *data,
                              size_t *size, void **own);
void exchange_end(void *loop, struct MHD_Connection *mhd, void **own,
                  enum MHD_RequestTerminationCode reason);

#endif

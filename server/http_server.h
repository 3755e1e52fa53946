/* http_server.h - the process's HTTP side: one address, its connections, and the
 * threads that serve them.
 *
 * I/O threads (epoll) read requests and write answers; api_handle() runs on them for
 * routes that cannot block, else on a pool of at most `requests_max` threads with
 * small stacks, while the connection waits without one.
 *
 * Only io_thread.c and exchange.{h,c} know libmicrohttpd.
 */
#ifndef SERVER_HTTP_SERVER_H
#define SERVER_HTTP_SERVER_H

#include <stdint.h>

#include "api/api.h"

struct http_server;

struct http_server_options {
    const char *address;      /* "127.0.0.1", "::", ... */
    uint16_t port;            /* 0: a free one, see http_server_port() */
    uint32_t connections_max; /* more wait in the kernel's queue */
    uint32_t requests_max;    /* requests being handled; more get 503 */
    uint32_t io_threads;
    uint32_t idle_timeout_s;    /* keep-alive connections are closed after this */
    uint32_t request_timeout_s; /* a request must be complete so long after it began */
    /* Bytes a second that clients must send of streamed bodies, and take of answers. */
    size_t rate_min;
    /* Bytes of all bodies and of what is parsed from them, and as many of all answers; more
     * get 503. */
    size_t memory_max;
};

extern const struct http_server_options http_server_options_default;

/* The api must outlive the server, which sets its server stats. */
enum status http_server_start(struct http_server **out, const struct http_server_options *options,
                              struct api *api, struct error *err);
uint16_t http_server_port(const struct http_server *server);

/* Stops accepting, lets running requests finish until `drain_ms` have passed, then
 * closes what is left and joins the threads, which takes as long as the handlers
 * that still run. Answers given meanwhile close their connections, and the drain
 * lasts until no request has come for a moment, so that clients of kept connections
 * get to know. NULL is allowed. */
void http_server_stop(struct http_server *server, uint32_t drain_ms);

#endif

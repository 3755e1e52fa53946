/* io_thread.h - a thread that reads requests and writes answers: one instance of
 * libmicrohttpd and the loop around it.
 *
 * The loop is ours because the one of libmicrohttpd 0.9.75 goes back to sleep when
 * epoll reports exactly 128 sockets at once: none of them is served until another
 * one wakes it, or for ever. MHD_run(), which it offers for loops of others, never
 * sleeps.
 */
#ifndef SERVER_IO_THREAD_H
#define SERVER_IO_THREAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/error.h"

struct io_thread;
struct exchange_service;

struct io_thread_options {
    uint32_t connections_max; /* that can be adopted by this thread */
    uint32_t idle_timeout_s;  /* a client must take or send something in this time */
    size_t stack_size;
};

/* The service is borrowed. */
enum status io_thread_start(struct io_thread **out, const struct io_thread_options *options,
                            struct exchange_service *service, struct error *err);
/* Serves a connected, non-blocking socket and closes it in the end. False without
 * memory: the socket is still the caller's then. Safe from any thread. */
bool io_thread_adopt(struct io_thread *io, int fd);
/* Closes the connections, of which none may be suspended, and joins the thread. NULL
 * is allowed. */
void io_thread_stop(struct io_thread *io);

#endif

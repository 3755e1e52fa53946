/* thread_pool.h - a bounded set of threads behind a bounded queue of tasks.
 *
 * Threads are started when there is work for them and kept until the end, so an
 * idle program holds none. When `queue_limit` tasks are waiting, further ones are
 * refused with STATUS_OVERLOADED instead of queueing without end.
 */
#ifndef CORE_BASE_THREAD_POOL_H
#define CORE_BASE_THREAD_POOL_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/error.h"

struct thread_pool;

struct thread_pool_options {
    const char *name;     /* shown by ps and gdb, at most 15 bytes; a literal */
    uint32_t threads;     /* at most this many */
    uint32_t queue_limit; /* tasks waiting */
    size_t stack_size;    /* bytes; 0: the system's default */
};

/* Runs on a thread of the pool. */
typedef void thread_pool_fn(void *context, size_t index);

enum status thread_pool_create(struct thread_pool **out, const struct thread_pool_options *options,
                               struct error *err);
/* Finishes the queued tasks, then joins the threads. NULL is allowed. */
void thread_pool_destroy(struct thread_pool *pool);

/* Queues fn(context, 0) and returns at once. */
enum status thread_pool_submit(struct thread_pool *pool, thread_pool_fn *fn, void *context,
                               struct error *err);
/* Runs fn(context, 0..count-1) on the pool, all or none, and returns when all
 * are done. Never call it from a thread of the same pool. */
enum status thread_pool_run(struct thread_pool *pool, thread_pool_fn *fn, void *context,
                            size_t count, struct error *err);

/* Tasks waiting now: a gauge. */
size_t thread_pool_waiting(struct thread_pool *pool);
/* How long until none waits, by how long they took of late. */
uint64_t thread_pool_backlog_ns(struct thread_pool *pool);

#endif

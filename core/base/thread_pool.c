#include "core/base/thread_pool.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "core/base/backlog.h"
#include "core/base/clock.h"

struct task {
    thread_pool_fn *fn;
    void *context;
    size_t index;
};

struct thread_pool {
    struct thread_pool_options options;
    pthread_attr_t attributes;

    pthread_mutex_t lock; /* protects everything below */
    pthread_cond_t wake;  /* a task was queued, or stopping */
    struct task *ring;    /* [queue_limit] */
    size_t head, waiting;
    pthread_t *threads;     /* [options.threads], `started` of them running */
    uint32_t started, idle; /* idle: those that are still coming up, too */
    struct backlog backlog;
    bool stopping;
};

static void *work(void *argument) {
    struct thread_pool *pool = argument;
    pthread_mutex_lock(&pool->lock);
    for (;;) {
        while (pool->waiting == 0 && !pool->stopping) pthread_cond_wait(&pool->wake, &pool->lock);
        pool->idle--;
        if (pool->waiting == 0) break;
        struct task task = pool->ring[pool->head];
        pool->head = (pool->head + 1) % pool->options.queue_limit;
        pool->waiting--;
        pthread_mutex_unlock(&pool->lock);
        uint64_t begun_ns = clock_now_ns();
        task.fn(task.context, task.index);
        pthread_mutex_lock(&pool->lock);
        backlog_note(&pool->backlog, clock_now_ns() - begun_ns, 1);
        pool->idle++;
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

/* Needs the lock. Starts a thread for each waiting task that has no idle one to
 * run it, up to the limit. Too few threads is no failure as long as there is one. */
static enum status start_threads(struct thread_pool *pool, struct error *err) {
    size_t missing = pool->waiting > pool->idle ? pool->waiting - pool->idle : 0;
    for (; missing && pool->started < pool->options.threads; missing--) {
        pthread_t *thread = &pool->threads[pool->started];
        if (pthread_create(thread, &pool->attributes, work, pool)) {
            if (pool->started) return STATUS_OK;
            return error_set(err, STATUS_UNAVAILABLE, "cannot start a %s thread",
                             pool->options.name);
        }
        pthread_setname_np(*thread, pool->options.name);
        pool->started++;
        pool->idle++;
    }
    return STATUS_OK;
}

enum status thread_pool_create(struct thread_pool **out, const struct thread_pool_options *options,
                               struct error *err) {
    assert(options->threads && options->queue_limit);
    struct thread_pool *pool = calloc(1, sizeof(*pool));
    if (!pool) return error_set(err, STATUS_NO_MEMORY, "out of memory for a thread pool");
    pool->options = *options;
    pool->ring = calloc(options->queue_limit, sizeof(*pool->ring));
    pool->threads = calloc(options->threads, sizeof(*pool->threads));
    pthread_attr_init(&pool->attributes);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->wake, NULL);
    if (options->stack_size) pthread_attr_setstacksize(&pool->attributes, options->stack_size);
    if (!pool->ring || !pool->threads) {
        thread_pool_destroy(pool);
        return error_set(err, STATUS_NO_MEMORY, "out of memory for a thread pool");
    }
    *out = pool;
    return STATUS_OK;
}

void thread_pool_destroy(struct thread_pool *pool) {
    if (!pool) return;
    pthread_mutex_lock(&pool->lock);
    pool->stopping = true;
    pthread_cond_broadcast(&pool->wake);
    uint32_t started = pool->started;
    pthread_mutex_unlock(&pool->lock);
    for (uint32_t i = 0; i < started; i++) pthread_join(pool->threads[i], NULL);
    pthread_cond_destroy(&pool->wake);
    pthread_mutex_destroy(&pool->lock);
    pthread_attr_destroy(&pool->attributes);
    free(pool->threads);
    free(pool->ring);
    free(pool);
}

static enum status push(struct thread_pool *pool, thread_pool_fn *fn, void *context, size_t count,
                        struct error *err) {
    enum status status;
    pthread_mutex_lock(&pool->lock);
    assert(!pool->stopping);
    size_t limit = pool->options.queue_limit;
    if (count > limit - pool->waiting) {
        status = error_set(err, STATUS_OVERLOADED, "the %s queue is full (%zu of %zu waiting)",
                           pool->options.name, pool->waiting, limit);
    } else {
        for (size_t i = 0; i < count; i++) {
            size_t slot = (pool->head + pool->waiting + i) % limit;
            pool->ring[slot] = (struct task){.fn = fn, .context = context, .index = i};
        }
        pool->waiting += count;
        status = start_threads(pool, err);
        if (status)
            pool->waiting -= count;
        else if (count == 1)
            pthread_cond_signal(&pool->wake);
        else
            pthread_cond_broadcast(&pool->wake);
    }
    pthread_mutex_unlock(&pool->lock);
    return status;
}

enum status thread_pool_submit(struct thread_pool *pool, thread_pool_fn *fn, void *context,
                               struct error *err) {
    return push(pool, fn, context, 1, err);
}

/* One thread_pool_run() in flight; lives on its caller's stack. */
struct run {
    thread_pool_fn *fn;
    void *context;
    pthread_mutex_t lock; /* protects `remaining` */
    pthread_cond_t done;
    size_t remaining;
};

static void run_one(void *context, size_t index) {
    struct run *run = context;
    run->fn(run->context, index);
    pthread_mutex_lock(&run->lock);
    if (--run->remaining == 0) pthread_cond_signal(&run->done);
    pthread_mutex_unlock(&run->lock);
}

enum status thread_pool_run(struct thread_pool *pool, thread_pool_fn *fn, void *context,
                            size_t count, struct error *err) {
    if (count == 0) return STATUS_OK;
    struct run run = {.fn = fn, .context = context, .remaining = count};
    pthread_mutex_init(&run.lock, NULL);
    pthread_cond_init(&run.done, NULL);
    enum status status = push(pool, run_one, &run, count, err);
    if (status == STATUS_OK) {
        pthread_mutex_lock(&run.lock);
        while (run.remaining) pthread_cond_wait(&run.done, &run.lock);
        pthread_mutex_unlock(&run.lock);
    }
    pthread_cond_destroy(&run.done);
    pthread_mutex_destroy(&run.lock);
    return status;
}

size_t thread_pool_waiting(struct thread_pool *pool) {
    pthread_mutex_lock(&pool->lock);
    size_t waiting = pool->waiting;
    pthread_mutex_unlock(&pool->lock);
    return waiting;
}

uint64_t thread_pool_backlog_ns(struct thread_pool *pool) {
    pthread_mutex_lock(&pool->lock);
    uint64_t ns = backlog_ns(&pool->backlog, pool->waiting, pool->options.threads);
    pthread_mutex_unlock(&pool->lock);
    return ns;
}

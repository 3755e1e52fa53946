#include "core/index/crew.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include "core/base/thread_pool.h"

enum { QUEUE_LIMIT = 256 /* calls for help; more are not heard */ };

struct crew {
    struct thread_pool *pool; /* NULL: the callers are alone */
    uint32_t helpers;
};

/* One crew_run(). Helpers that come after its end find no unit left, so it outlives the
 * call: the last who lets go of it frees it. */
struct job {
    crew_fn *fn;
    void *context;
    size_t units;
    _Atomic size_t next;
    _Atomic uint32_t holders;
    pthread_mutex_t lock; /* protects `done` */
    pthread_cond_t all_done;
    size_t done; /* units */
};

enum status crew_create(struct crew **out, uint32_t threads, struct error *err) {
    struct crew *crew = calloc(1, sizeof(*crew));
    if (!crew) return error_set(err, STATUS_NO_MEMORY, "out of memory for searching threads");
    crew->helpers = threads > 1 ? threads - 1 : 0;
    struct thread_pool_options options = {
        .name = "search", .threads = crew->helpers, .queue_limit = QUEUE_LIMIT};
    if (crew->helpers) {
        enum status status = thread_pool_create(&crew->pool, &options, err);
        if (status) {
            free(crew);
            return status;
        }
    }
    *out = crew;
    return STATUS_OK;
}

void crew_destroy(struct crew *crew) {
    if (!crew) return;
    thread_pool_destroy(crew->pool);
    free(crew);
}

static void let_go(struct job *job) {
    if (atomic_fetch_sub(&job->holders, 1) > 1) return;
    pthread_cond_destroy(&job->all_done);
    pthread_mutex_destroy(&job->lock);
    free(job);
}

static void work(struct job *job) {
    size_t done = 0, unit;
    while ((unit = atomic_fetch_add(&job->next, 1)) < job->units) {
        job->fn(job->context, unit);
        done++;
    }
    if (!done) return;
    pthread_mutex_lock(&job->lock);
    job->done += done;
    if (job->done == job->units) pthread_cond_signal(&job->all_done);
    pthread_mutex_unlock(&job->lock);
}

static void help(void *context, size_t index) {
    (void)index;
    work(context);
    let_go(context);
}

static void call_for_help(struct crew *crew, struct job *job) {
    size_t wanted = job->units - 1 < crew->helpers ? job->units - 1 : crew->helpers;
    for (size_t i = 0; i < wanted; i++) {
        atomic_fetch_add(&job->holders, 1);
        if (thread_pool_submit(crew->pool, help, job, NULL) == STATUS_OK) continue;
        atomic_fetch_sub(&job->holders, 1);
        return;
    }
}

void crew_run(struct crew *crew, size_t units, crew_fn *fn, void *context) {
    bool alone = !crew || !crew->pool || units < 2;
    struct job *job = alone ? NULL : calloc(1, sizeof(*job));
    if (!job) {
        for (size_t i = 0; i < units; i++) fn(context, i);
        return;
    }
    job->fn = fn;
    job->context = context;
    job->units = units;
    atomic_store(&job->holders, 1);
    pthread_mutex_init(&job->lock, NULL);
    pthread_cond_init(&job->all_done, NULL);
    call_for_help(crew, job);
    work(job);
    pthread_mutex_lock(&job->lock);
    while (job->done < units) pthread_cond_wait(&job->all_done, &job->lock);
    pthread_mutex_unlock(&job->lock);
    let_go(job);
}

#include "core/batch/batcher.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include "core/base/backlog.h"
#include "core/base/clock.h"
#include "core/base/team.h"

/* One batch_queue_run() in flight; lives on its caller's stack. */
struct batch_ticket {
    const struct batch_patience *patience;
    size_t remaining; /* entries neither done nor withdrawn */
    bool abandoned;   /* some were withdrawn, because the caller has gone */
    pthread_cond_t done;
};

struct batch_queue {
    struct batcher *batcher;
    struct batch_queue_options options;
    struct batch_queue_stats stats;
    /* Under the batcher's lock. */
    struct batch_entry *first, *last;
    size_t waiting;
    struct backlog backlog;
    struct batch_queue *next; /* in the batcher's list */
};

struct batcher {
    uint32_t workers;          /* constant once they run */
    pthread_t *threads;        /* [workers] */
    struct team *teams;        /* [workers]: who helps each with its batch */
    _Atomic uint32_t pressing; /* entries wait: helpers are to leave */

    pthread_mutex_t lock; /* protects everything below, the queues and the tickets */
    pthread_cond_t wake;
    struct batch_queue *queues;
    uint32_t idle;
    uint32_t started; /* names the workers, in the order in which they come up */
    bool stopping;
};

/* Needs the lock. Tells helpers whether something waits. */
static void note_waiting(struct batcher *batcher) {
    bool waits = false;
    for (struct batch_queue *q = batcher->queues; q; q = q->next) waits = waits || q->first;
    atomic_store(&batcher->pressing, waits);
    for (uint32_t i = 0; waits && i < batcher->workers; i++) team_wake(&batcher->teams[i]);
}

/* Needs the lock. The queue whose first entry is the oldest; NULL if all are empty. */
static struct batch_queue *oldest_queue(const struct batcher *batcher) {
    struct batch_queue *oldest = NULL;
    for (struct batch_queue *q = batcher->queues; q; q = q->next) {
        if (!q->first) continue;
        if (!oldest || q->first->queued_ns < oldest->first->queued_ns) oldest = q;
    }
    return oldest;
}

static bool is_unwanted(const struct batch_patience *patience) {
    return patience->gone && atomic_load(patience->gone);
}

/* Needs the lock. An entry of a caller who has gone has left the queue. */
static void forget(struct batch_queue *queue, struct batch_ticket *ticket) {
    ticket->abandoned = true;
    if (--ticket->remaining == 0) pthread_cond_signal(&ticket->done);
    atomic_fetch_add_explicit(&queue->stats.abandoned, 1, memory_order_relaxed);
}

/* Needs the lock. Takes this worker's share of what waits: with other workers
 * idle, an even split finishes sooner than one full batch. Nothing is left to take when
 * nobody wants what is there. */
static uint32_t take(struct batch_queue *queue, uint32_t idle, struct batch_entry **entries) {
    size_t share = (queue->waiting + idle) / (idle + 1);
    uint32_t taken = 0;
    if (share > queue->options.batch_max) share = queue->options.batch_max;
    while (taken < share && queue->first) {
        struct batch_entry *entry = queue->first;
        queue->first = entry->next;
        queue->waiting--;
        if (is_unwanted(entry->ticket->patience))
            forget(queue, entry->ticket);
        else
            entries[taken++] = entry;
    }
    if (!queue->first) queue->last = NULL;
    atomic_store_explicit(&queue->stats.waiting, queue->waiting, memory_order_relaxed);
    return taken;
}

static void run_batch(struct batch_queue *queue, uint32_t worker, struct batch_entry **entries,
                      uint32_t count) {
    struct team *team = &queue->batcher->teams[worker];
    uint64_t started = clock_now_ns();
    for (uint32_t i = 0; i < count; i++) {
        entries[i]->wait_ns = started - entries[i]->queued_ns;
        histogram_observe(&queue->stats.wait_ns, entries[i]->wait_ns);
    }
    histogram_observe(&queue->stats.batch_size, count);
    queue->options.run(queue->options.context, worker, team, entries, count);
    team_close(team);
    uint64_t run_ns = clock_now_ns() - started;
    histogram_observe(&queue->stats.run_ns, run_ns);
    for (uint32_t i = 0; i < count; i++) entries[i]->run_ns = run_ns;
}

/* Needs the lock, and lets go of it while the batch runs. */
static void serve(struct batcher *batcher, struct batch_queue *queue, uint32_t worker) {
    struct batch_entry *entries[BATCH_MAX_LIMIT];
    uint32_t count = take(queue, batcher->idle, entries);
    note_waiting(batcher);
    if (!count) return;
    team_open(&batcher->teams[worker], worker);
    if (batcher->idle) pthread_cond_broadcast(&batcher->wake);
    pthread_mutex_unlock(&batcher->lock);
    run_batch(queue, worker, entries, count);
    pthread_mutex_lock(&batcher->lock);
    backlog_note(&queue->backlog, entries[0]->run_ns, count);
    for (uint32_t i = 0; i < count; i++) {
        struct batch_ticket *ticket = entries[i]->ticket;
        if (--ticket->remaining == 0) pthread_cond_signal(&ticket->done);
    }
}

/* Needs the lock, and lets go of it while helping. False if nobody can be helped. */
static bool help(struct batcher *batcher, uint32_t worker) {
    for (uint32_t i = 0; i < batcher->workers; i++) {
        struct team *team = &batcher->teams[i];
        if (!team_is_open(team)) continue;
        pthread_mutex_unlock(&batcher->lock);
        team_help(team, worker, &batcher->pressing);
        pthread_mutex_lock(&batcher->lock);
        return true;
    }
    return false;
}

static void *work(void *argument) {
    struct batcher *batcher = argument;
    pthread_mutex_lock(&batcher->lock);
    uint32_t worker = batcher->started++;
    for (;;) {
        struct batch_queue *queue = oldest_queue(batcher);
        if (queue) {
            serve(batcher, queue, worker);
        } else if (batcher->stopping) {
            break;
        } else if (!help(batcher, worker)) {
            batcher->idle++;
            pthread_cond_wait(&batcher->wake, &batcher->lock);
            batcher->idle--;
        }
    }
    pthread_mutex_unlock(&batcher->lock);
    return NULL;
}

/* The lock keeps workers from counting themselves before all of them are there. */
static bool start_workers(struct batcher *batcher, uint32_t workers) {
    pthread_mutex_lock(&batcher->lock);
    while (batcher->workers < workers) {
        pthread_t *thread = &batcher->threads[batcher->workers];
        if (pthread_create(thread, NULL, work, batcher)) break;
        pthread_setname_np(*thread, "encoder");
        batcher->workers++;
    }
    pthread_mutex_unlock(&batcher->lock);
    return batcher->workers == workers;
}

enum status batcher_create(struct batcher **out, uint32_t workers, struct error *err) {
    assert(workers);
    struct batcher *batcher = calloc(1, sizeof(*batcher));
    pthread_t *threads = calloc(workers, sizeof(*threads));
    struct team *teams = calloc(workers, sizeof(*teams));
    if (!batcher || !threads || !teams) {
        free(batcher);
        free(threads);
        free(teams);
        return error_set(err, STATUS_NO_MEMORY, "out of memory for %u workers", workers);
    }
    batcher->threads = threads;
    batcher->teams = teams;
    for (uint32_t i = 0; i < workers; i++) team_init(&teams[i]);
    pthread_mutex_init(&batcher->lock, NULL);
    pthread_cond_init(&batcher->wake, NULL);
    if (start_workers(batcher, workers)) {
        *out = batcher;
        return STATUS_OK;
    }
    batcher_destroy(batcher);
    return error_set(err, STATUS_UNAVAILABLE, "cannot start %u encoder threads", workers);
}

void batcher_destroy(struct batcher *batcher) {
    if (!batcher) return;
    assert(!batcher->queues);
    pthread_mutex_lock(&batcher->lock);
    batcher->stopping = true;
    pthread_cond_broadcast(&batcher->wake);
    pthread_mutex_unlock(&batcher->lock);
    for (uint32_t i = 0; i < batcher->workers; i++) pthread_join(batcher->threads[i], NULL);
    pthread_cond_destroy(&batcher->wake);
    pthread_mutex_destroy(&batcher->lock);
    free(batcher->threads);
    free(batcher->teams);
    free(batcher);
}

uint32_t batcher_idle(struct batcher *batcher) {
    pthread_mutex_lock(&batcher->lock);
    uint32_t idle = batcher->idle;
    pthread_mutex_unlock(&batcher->lock);
    return idle;
}

uint64_t batcher_backlog_ns(struct batcher *batcher) {
    uint64_t sum = 0;
    pthread_mutex_lock(&batcher->lock);
    for (struct batch_queue *q = batcher->queues; q; q = q->next) {
        uint64_t ns = backlog_ns(&q->backlog, q->waiting, batcher->workers);
        sum = ns > UINT64_MAX - sum ? UINT64_MAX : sum + ns;
    }
    pthread_mutex_unlock(&batcher->lock);
    return sum;
}

enum status batch_queue_open(struct batch_queue **out, struct batcher *batcher,
                             const struct batch_queue_options *options, struct error *err) {
    assert(options->batch_max && options->batch_max <= BATCH_MAX_LIMIT && options->queue_limit);
    struct batch_queue *queue = calloc(1, sizeof(*queue));
    if (!queue) return error_set(err, STATUS_NO_MEMORY, "out of memory for a queue");
    queue->batcher = batcher;
    queue->options = *options;
    histogram_init(&queue->stats.wait_ns, &histogram_durations);
    histogram_init(&queue->stats.run_ns, &histogram_durations);
    histogram_init(&queue->stats.batch_size, &histogram_counts);
    pthread_mutex_lock(&batcher->lock);
    queue->next = batcher->queues;
    batcher->queues = queue;
    pthread_mutex_unlock(&batcher->lock);
    *out = queue;
    return STATUS_OK;
}

void batch_queue_close(struct batch_queue *queue) {
    if (!queue) return;
    struct batcher *batcher = queue->batcher;
    pthread_mutex_lock(&batcher->lock);
    assert(!queue->first);
    struct batch_queue **link = &batcher->queues;
    while (*link != queue) link = &(*link)->next;
    *link = queue->next;
    pthread_mutex_unlock(&batcher->lock);
    free(queue);
}

const struct batch_queue_stats *batch_queue_stats(const struct batch_queue *queue) {
    return &queue->stats;
}

/* Needs the lock. */
static void append(struct batch_queue *queue, struct batch_entry *entries, size_t count,
                   struct batch_ticket *ticket) {
    uint64_t now = clock_now_ns();
    for (size_t i = 0; i < count; i++) {
        struct batch_entry *entry = &entries[i];
        entry->next = NULL;
        entry->ticket = ticket;
        entry->queued_ns = now;
        if (queue->last)
            queue->last->next = entry;
        else
            queue->first = entry;
        queue->last = entry;
    }
    queue->waiting += count;
    atomic_store_explicit(&queue->stats.waiting, queue->waiting, memory_order_relaxed);
}

/* Needs the lock. Takes the entries that no worker has out of the queue: those of the ticket,
 * and of callers who have gone. Returns how many of the ticket there were. */
static size_t withdraw(struct batch_queue *queue, struct batch_ticket *ticket) {
    size_t withdrawn = 0;
    struct batch_entry **link = &queue->first;
    queue->last = NULL;
    while (*link) {
        struct batch_ticket *own = (*link)->ticket;
        bool late = own == ticket;
        if (late || is_unwanted(own->patience)) {
            *link = (*link)->next;
            queue->waiting--;
            withdrawn += late;
            if (!late) forget(queue, own);
        } else {
            queue->last = *link;
            link = &(*link)->next;
        }
    }
    ticket->remaining -= withdrawn;
    atomic_store_explicit(&queue->stats.waiting, queue->waiting, memory_order_relaxed);
    atomic_fetch_add_explicit(&queue->stats.expired, withdrawn, memory_order_relaxed);
    return withdrawn;
}

/* Needs the lock. */
static enum status wait_for(struct batch_queue *queue, struct batch_ticket *ticket,
                            struct error *err) {
    uint64_t deadline_ns = ticket->patience->deadline_ns;
    pthread_mutex_t *lock = &queue->batcher->lock;
    enum status status = STATUS_OK;
    struct timespec until = clock_timespec(deadline_ns);
    while (ticket->remaining && clock_now_ns() < deadline_ns)
        pthread_cond_clockwait(&ticket->done, lock, CLOCK_MONOTONIC, &until);
    if (ticket->remaining && withdraw(queue, ticket)) {
        note_waiting(queue->batcher);
        status = error_set(err, STATUS_TIMEOUT, "the deadline passed in the encoder's queue");
    }
    /* What a worker has is waited for. */
    while (ticket->remaining) pthread_cond_wait(&ticket->done, lock);
    if (!status && ticket->abandoned)
        status = error_set(err, STATUS_CANCELLED, "whoever asked has gone");
    if (!status && clock_now_ns() >= deadline_ns)
        status = error_set(err, STATUS_TIMEOUT, "the deadline passed in the encoder");
    return status;
}

enum status batch_queue_run(struct batch_queue *queue, struct batch_entry *entries, size_t count,
                            const struct batch_patience *patience, struct error *err) {
    if (count == 0) return STATUS_OK;
    struct batcher *batcher = queue->batcher;
    struct batch_ticket ticket = {.patience = patience, .remaining = count};
    pthread_cond_init(&ticket.done, NULL);
    enum status status;
    pthread_mutex_lock(&batcher->lock);
    if (count > queue->options.queue_limit - queue->waiting) withdraw(queue, &ticket);
    if (count > queue->options.queue_limit - queue->waiting) {
        atomic_fetch_add_explicit(&queue->stats.rejected, count, memory_order_relaxed);
        status =
            error_set(err, STATUS_OVERLOADED, "the encoder's queue is full (%zu of %u waiting)",
                      queue->waiting, queue->options.queue_limit);
    } else {
        append(queue, entries, count, &ticket);
        note_waiting(batcher);
        for (size_t i = 0; i < count && i < batcher->workers; i++) {
            pthread_cond_signal(&batcher->wake);
        }
        status = wait_for(queue, &ticket, err);
    }
    pthread_mutex_unlock(&batcher->lock);
    pthread_cond_destroy(&ticket.done);
    return status;
}

/* batcher.h - many callers with a few inputs each, a few workers with many.
 *
 * Dynamic batching without a timer: a worker that becomes free takes what is
 * waiting, at most `batch_max` entries and no more than its share when other
 * workers are free too. Under light load every entry travels alone and waits for
 * nobody; under heavy load batches fill by themselves.
 *
 * One batcher owns all encoder workers of the process; each tower of each model
 * has a queue of its own. The queue whose first entry has waited longest is
 * served first. The batcher knows nothing of images or text.
 */
#ifndef CORE_BATCH_BATCHER_H
#define CORE_BATCH_BATCHER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/error.h"
#include "core/base/histogram.h"

struct batcher;
struct batch_queue;
struct team;

struct batch_entry {
    const void *input; /* borrowed until the entry is done */
    void *output;      /* written by the worker */

    /* Filled in: how long it waited, and how long its batch ran; 0 of one that was withdrawn. Those
     * are the last of their batch_queue_run(). */
    uint64_t wait_ns;
    uint64_t run_ns;

    /* The batcher's own. */
    struct batch_entry *next;
    struct batch_ticket *ticket;
    uint64_t queued_ns;
};

/* Runs one batch. `worker` is below that of batcher_create(), so that the callee can
 * pick its memory. The members of `team` are workers without a batch: they help, and
 * leave as soon as something waits. It cannot fail: inputs are checked before they are
 * queued. */
typedef void batch_fn(void *context, uint32_t worker, struct team *team,
                      struct batch_entry *const *entries, uint32_t count);

struct batch_queue_options {
    uint32_t batch_max;   /* entries in one batch, 1..BATCH_MAX_LIMIT */
    uint32_t queue_limit; /* entries waiting */
    batch_fn *run;
    void *context;
};

enum { BATCH_MAX_LIMIT = 256 };

/* What metrics read; wait-free. */
struct batch_queue_stats {
    struct histogram wait_ns;    /* per entry */
    struct histogram run_ns;     /* per batch */
    struct histogram batch_size; /* entries */
    _Atomic uint64_t waiting;    /* entries, now */
    _Atomic uint64_t rejected;   /* entries refused because the queue was full */
    _Atomic uint64_t expired;    /* entries withdrawn at their deadline */
    _Atomic uint64_t abandoned;  /* entries withdrawn because their caller has gone */
};

enum status batcher_create(struct batcher **out, uint32_t workers, struct error *err);
/* All queues must be closed before. NULL is allowed. */
void batcher_destroy(struct batcher *batcher);
/* Workers that wait for something to do: a gauge. */
uint32_t batcher_idle(struct batcher *batcher);
/* How long until nothing waits in any queue, by how long batches took of late. */
uint64_t batcher_backlog_ns(struct batcher *batcher);

enum status batch_queue_open(struct batch_queue **out, struct batcher *batcher,
                             const struct batch_queue_options *options, struct error *err);
/* No batch_queue_run() may be in flight. NULL is allowed. */
void batch_queue_close(struct batch_queue *queue);
const struct batch_queue_stats *batch_queue_stats(const struct batch_queue *queue);

/* How long the caller of batch_queue_run() waits. */
struct batch_patience {
    uint64_t deadline_ns;
    const _Atomic bool *gone; /* set when nobody wants it any more; NULL: that cannot be */
};

/* Queues all of `entries` or none, then blocks until every one is done; STATUS_TIMEOUT when
 * that is not before the deadline. Entries still queued then are withdrawn; those that are
 * running are always waited for, because the worker writes to their output. Of a caller who
 * has gone they are withdrawn when their turn comes, or their place is needed:
 * STATUS_CANCELLED. */
enum status batch_queue_run(struct batch_queue *queue, struct batch_entry *entries, size_t count,
                            const struct batch_patience *patience, struct error *err);

#endif

/* pool.h - the connections of one store, and what happens when they break.
 *
 * One thread, the keeper, asks the database on a connection of its own several times a
 * second. When there is no answer in time it declares the database down: everybody who
 * waits for one gives up, which bounds every failure to less than a second, however long
 * a statement may otherwise take. It then tries the hosts of the URI in turn until one
 * takes writes, so that callers find the new primary of a fail-over without looking
 * for it.
 *
 * Any number of threads. */
#ifndef CORE_INDEX_POSTGRES_POOL_H
#define CORE_INDEX_POSTGRES_POOL_H

#include "core/index/postgres/link.h"

struct postgres_pool;

struct postgres_pool_options {
    const char *uri;
    uint32_t connections; /* at most, beside the keeper's */
    uint32_t timeout_ms;  /* of a statement */
};

/* STATUS_UNAVAILABLE if no host answers; the keeper's first look is done here. */
enum status postgres_pool_create(struct postgres_pool **out,
                                 const struct postgres_pool_options *options, struct error *err);
/* NULL is allowed. */
void postgres_pool_destroy(struct postgres_pool *pool);

/* Connections opened before are not used any more: whoever waits on one gives up. */
void postgres_pool_renew(struct postgres_pool *pool);

/* STATUS_OK while the database answers; does not ask it. */
enum status postgres_pool_ping(struct postgres_pool *pool, struct error *err);
uint32_t postgres_pool_timeout_ms(const struct postgres_pool *pool);

/* Part of an operation on one connection, from the first statement to the last. May be called
 * several times: whatever it writes must come out the same when it is written twice. What finds
 * nothing to write the second time ends with postgres_link_commit(). */
typedef enum status postgres_work_fn(void *context, struct postgres_link *link,
                                     uint64_t deadline_ns, struct error *err);

/* Does the work: again after a conflict with another transaction, a few times, and once more
 * on a new connection when one is lost, unless the caller's visitor has seen rows. */
enum status postgres_pool_run(struct postgres_pool *pool, postgres_work_fn *work, void *context,
                              enum postgres_fault *fault, struct error *err);

/* A connection of its own, for work that takes as long as it takes. It is given up when the
 * pool is renewed or destroyed, or the database is down. */
enum status postgres_pool_open_link(struct postgres_pool *pool, struct postgres_link **out,
                                    struct error *err);

#endif

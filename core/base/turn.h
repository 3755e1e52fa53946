/* turn.h - one at a time: a lock that whoever wants it waits for no longer than until a deadline.
 *
 * For what takes long enough that others may give up; else a mutex does. Who waits is served in
 * no order. */
#ifndef CORE_BASE_TURN_H
#define CORE_BASE_TURN_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct turn {
    pthread_mutex_t lock; /* protects what follows */
    pthread_cond_t given;
    bool taken;
};

void turn_init(struct turn *turn);
/* Nobody may have it, or wait for it. */
void turn_free(struct turn *turn);
/* False when others have it until then; 0 does not wait. */
bool turn_take(struct turn *turn, uint64_t until_ns);
void turn_give(struct turn *turn);

#endif

#include "core/base/turn.h"

#include "core/base/clock.h"

void turn_init(struct turn *turn) {
    pthread_mutex_init(&turn->lock, NULL);
    pthread_cond_init(&turn->given, NULL);
    turn->taken = false;
}

void turn_free(struct turn *turn) {
    pthread_cond_destroy(&turn->given);
    pthread_mutex_destroy(&turn->lock);
}

bool turn_take(struct turn *turn, uint64_t until_ns) {
    pthread_mutex_lock(&turn->lock);
    while (turn->taken && clock_now_ns() < until_ns) {
        struct timespec until = clock_timespec(until_ns);
        pthread_cond_clockwait(&turn->given, &turn->lock, CLOCK_MONOTONIC, &until);
    }
    bool mine = !turn->taken;
    turn->taken = true;
    pthread_mutex_unlock(&turn->lock);
    return mine;
}

void turn_give(struct turn *turn) {
    pthread_mutex_lock(&turn->lock);
    turn->taken = false;
    pthread_cond_signal(&turn->given);
    pthread_mutex_unlock(&turn->lock);
}

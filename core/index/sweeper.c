#include "core/index/sweeper.h"

/* One call of sweeper_search(), on its caller's stack. */
struct sweep_caller {
    pthread_cond_t changed; /* all is done, or it is this caller's turn to sweep */
    size_t left;            /* queries that are not answered; under the sweeper's lock */
};

void sweeper_init(struct sweeper *sweeper, struct chunks *chunks, struct crew *crew) {
    *sweeper = (struct sweeper){.chunks = chunks, .crew = crew};
    sweeper->last = &sweeper->first;
    pthread_mutex_init(&sweeper->lock, NULL);
}

void sweeper_free(struct sweeper *sweeper) {
    pthread_mutex_destroy(&sweeper->lock);
}

/* Those that wait longest, from the list to the array. Needs the lock. */
static size_t take_group(struct sweeper *sweeper, struct sweep_query *group[SWEEP_QUERIES_MAX]) {
    size_t count = 0;
    while (sweeper->first && count < SWEEP_QUERIES_MAX) {
        group[count++] = sweeper->first;
        sweeper->first = sweeper->first->next;
    }
    if (!sweeper->first) sweeper->last = &sweeper->first;
    return count;
}

/* Sweeps once for whoever waits. Needs the lock, which it lets go meanwhile. The view is
 * taken after the queries have come: they see what was put before them. */
static void sweep_once(struct sweeper *sweeper) {
    struct sweep_query *group[SWEEP_QUERIES_MAX];
    size_t count = take_group(sweeper, group);
    sweeper->sweeping = true;
    pthread_mutex_unlock(&sweeper->lock);
    struct view *view = chunks_take_view(sweeper->chunks);
    sweep_all(sweeper->chunks, view, sweeper->crew, 0, group, count);
    atomic_fetch_add(&view->holders, (uint32_t)count);
    pthread_mutex_lock(&sweeper->lock);
    for (size_t i = 0; i < count; i++) {
        group[i]->view = view;
        if (--group[i]->caller->left == 0) pthread_cond_signal(&group[i]->caller->changed);
    }
    sweeper->sweeping = false;
    if (sweeper->first) pthread_cond_signal(&sweeper->first->caller->changed);
    chunks_release_view(view);
}

void sweeper_search(struct sweeper *sweeper, struct sweep_query *queries, size_t count) {
    struct sweep_caller caller = {.left = count};
    pthread_cond_init(&caller.changed, NULL);
    pthread_mutex_lock(&sweeper->lock);
    for (size_t i = 0; i < count; i++) {
        queries[i].caller = &caller;
        queries[i].next = NULL;
        *sweeper->last = &queries[i];
        sweeper->last = &queries[i].next;
    }
    while (caller.left) {
        if (sweeper->sweeping || !sweeper->first)
            pthread_cond_wait(&caller.changed, &sweeper->lock);
        else
            sweep_once(sweeper);
    }
    pthread_mutex_unlock(&sweeper->lock);
    pthread_cond_destroy(&caller.changed);
}

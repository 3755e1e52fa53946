/* team.h - a leader splits its work with whoever is free, for as long as they are.
 *
 * A leader opens its team, runs one step after another and closes it. Other threads
 * may join while it is open, take shares of the step that is running, and leave at
 * any time: shares are claimed one by one, so a member that the system puts to sleep
 * delays nobody who does not wait for its last share. Alone, a leader runs each step
 * in one piece at no cost. Members spin for some microseconds between steps, then
 * sleep on a futex.
 */
#ifndef CORE_BASE_TEAM_H
#define CORE_BASE_TEAM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Does the units [begin, end) of a step. `member` is the number that the thread gave
 * itself when it opened or joined, so that it can find its scratch memory. */
typedef void team_fn(void *context, size_t begin, size_t end, uint32_t member);

struct team {
    uint32_t leader;           /* the leader's number */
    _Atomic uint32_t open;     /* 1 while members may join */
    _Atomic uint32_t members;  /* inside team_help() */
    _Atomic uint32_t sleepers; /* of these, asleep or about to be */
    _Atomic uint32_t signals;  /* counts the reasons to look; what sleepers wait on */
    /* The step in the upper half, the next share in the lower. */
    _Atomic uint64_t claim;
    _Atomic uint32_t done; /* shares finished; what the leader waits on */
    _Atomic(team_fn *) fn;
    _Atomic(void *) context;
    _Atomic size_t units, chunk;
    _Atomic uint32_t shares;
    _Atomic uint32_t leader_sleeps;
};

void team_init(struct team *team);

void team_open(struct team *team, uint32_t leader);
/* Runs fn over [0, units) and returns when all of it is done. A NULL team is one that
 * nobody joins, whose leader is number 0. */
void team_run(struct team *team, size_t units, team_fn *fn, void *context);
/* Sends the members away; returns when they are gone. */
void team_close(struct team *team);

bool team_is_open(const struct team *team);

/* Helps an open team until it closes or *leave becomes nonzero; false at once if it is
 * not open. Whoever sets *leave calls team_wake(). */
bool team_help(struct team *team, uint32_t member, const _Atomic uint32_t *leave);

/* Makes sleeping members look up. */
void team_wake(struct team *team);

#endif

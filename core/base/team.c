#include "core/base/team.h"

#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    SPINS = 4000,          /* some 20 to 50 microseconds */
    SHARES_PER_THREAD = 4, /* small enough shares that nobody waits long for the last */
    CLOSED = UINT32_MAX,   /* as a share: the step is not to be claimed (yet) */
};

static void pause_cpu(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

static void futex_wait(_Atomic uint32_t *word, uint32_t seen) {
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
}

static void futex_wake(_Atomic uint32_t *word, int count) {
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
}

void team_init(struct team *team) {
    *team = (struct team){.claim = CLOSED};
}

void team_open(struct team *team, uint32_t leader) {
    team->leader = leader;
    atomic_store(&team->open, 1);
}

bool team_is_open(const struct team *team) {
    return atomic_load(&team->open);
}

static uint64_t claim_of(uint32_t step, uint32_t share) {
    return (uint64_t)step << 32 | share;
}

/* Does one share of the running step; false if there is none left. The claim changes
 * before and after the fields do, and whoever has loaded a field of the next step (with
 * acquire order) cannot claim a share of this one any more. So what was read before a
 * successful exchange belongs to the step that was claimed. */
static bool take_share(struct team *team, uint32_t member) {
    uint64_t claim = atomic_load(&team->claim);
    for (;;) {
        team_fn *fn = atomic_load(&team->fn);
        void *context = atomic_load(&team->context);
        size_t units = atomic_load(&team->units);
        size_t chunk = atomic_load(&team->chunk);
        uint32_t shares = atomic_load(&team->shares);
        uint32_t share = (uint32_t)claim;
        if (share >= shares) return false;
        if (!atomic_compare_exchange_weak(&team->claim, &claim, claim + 1)) continue;
        size_t begin = share * chunk, end = begin + chunk < units ? begin + chunk : units;
        fn(context, begin, end, member);
        if (atomic_fetch_add(&team->done, 1) + 1 == shares && atomic_load(&team->leader_sleeps)) {
            futex_wake(&team->done, 1);
        }
        return true;
    }
}

/* Waits for shares that others have taken. */
static void wait_done(struct team *team, uint32_t shares) {
    uint32_t done = atomic_load(&team->done);
    for (int i = 0; i < SPINS && done < shares; i++) {
        pause_cpu();
        done = atomic_load(&team->done);
    }
    if (done == shares) return;
    atomic_store(&team->leader_sleeps, 1);
    while ((done = atomic_load(&team->done)) < shares) futex_wait(&team->done, done);
    atomic_store(&team->leader_sleeps, 0);
}

void team_wake(struct team *team) {
    atomic_fetch_add(&team->signals, 1);
    if (atomic_load(&team->sleepers)) futex_wake(&team->signals, INT32_MAX);
}

void team_run(struct team *team, size_t units, team_fn *fn, void *context) {
    if (units == 0) return;
    uint32_t members = team ? atomic_load_explicit(&team->members, memory_order_relaxed) : 0;
    if (members == 0) {
        fn(context, 0, units, team ? team->leader : 0);
        return;
    }
    uint32_t step = (uint32_t)(atomic_load(&team->claim) >> 32) + 1;
    size_t wanted = ((size_t)members + 1) * SHARES_PER_THREAD;
    size_t chunk = (units + wanted - 1) / wanted;
    uint32_t shares = (uint32_t)((units + chunk - 1) / chunk);
    atomic_store(&team->claim, claim_of(step, CLOSED));
    atomic_store(&team->fn, fn);
    atomic_store(&team->context, context);
    atomic_store(&team->units, units);
    atomic_store(&team->chunk, chunk);
    atomic_store(&team->shares, shares);
    atomic_store(&team->done, 0);
    atomic_store(&team->claim, claim_of(step, 0));
    team_wake(team);
    while (take_share(team, team->leader)) continue;
    wait_done(team, shares);
}

void team_close(struct team *team) {
    atomic_store(&team->open, 0);
    if (!atomic_load(&team->members)) return;
    team_wake(team);
    for (int i = 0; atomic_load(&team->members); i++) {
        if (i < SPINS)
            pause_cpu();
        else
            sched_yield();
    }
}

/* Until there is a reason to look again. */
static void wait_signal(struct team *team, uint32_t seen, const _Atomic uint32_t *leave) {
    for (int i = 0; i < SPINS; i++) {
        if (atomic_load(&team->signals) != seen || atomic_load(leave)) return;
        pause_cpu();
    }
    atomic_fetch_add(&team->sleepers, 1);
    if (atomic_load(&team->signals) == seen && !atomic_load(leave))
        futex_wait(&team->signals, seen);
    atomic_fetch_sub(&team->sleepers, 1);
}

bool team_help(struct team *team, uint32_t member, const _Atomic uint32_t *leave) {
    atomic_fetch_add(&team->members, 1);
    bool joined = atomic_load(&team->open);
    for (;;) {
        /* Before looking at anything: what changes after the look is then a new signal. */
        uint32_t seen = atomic_load(&team->signals);
        if (!atomic_load(&team->open) || atomic_load(leave)) break;
        if (!take_share(team, member)) wait_signal(team, seen, leave);
    }
    atomic_fetch_sub(&team->members, 1);
    return joined;
}

#include "core/base/clock.h"

uint64_t clock_now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * CLOCK_NS_PER_S + (uint64_t)now.tv_nsec;
}

uint64_t clock_deadline(uint32_t timeout_ms) {
    return timeout_ms ? clock_now_ns() + (uint64_t)timeout_ms * CLOCK_NS_PER_MS : CLOCK_NEVER;
}

struct timespec clock_timespec(uint64_t ns) {
    /* A day from now at most: some kernels refuse times near the end of time_t. */
    uint64_t latest = clock_now_ns() + UINT64_C(86400) * CLOCK_NS_PER_S;
    if (ns > latest) ns = latest;
    return (struct timespec){.tv_sec = (time_t)(ns / CLOCK_NS_PER_S),
                             .tv_nsec = (long)(ns % CLOCK_NS_PER_S)};
}

/* clock.h - monotonic time in nanoseconds; deadlines are points on this clock. */
#ifndef CORE_BASE_CLOCK_H
#define CORE_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

enum { CLOCK_NS_PER_MS = 1000000, CLOCK_NS_PER_S = 1000000000 };

/* A deadline that never comes. */
#define CLOCK_NEVER UINT64_MAX

uint64_t clock_now_ns(void);
/* `timeout_ms` from now; 0 means never. */
uint64_t clock_deadline(uint32_t timeout_ms);
/* For pthread_cond_clockwait() with CLOCK_MONOTONIC. */
struct timespec clock_timespec(uint64_t ns);

#endif

/* histogram.h - counts of observed values in fixed buckets, as Prometheus reads them.
 *
 * Values are whole numbers (nanoseconds, entries, bytes); whoever prints them
 * scales. Observing is wait-free and safe from any thread.
 */
#ifndef CORE_BASE_HISTOGRAM_H
#define CORE_BASE_HISTOGRAM_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum { HISTOGRAM_BUCKETS_MAX = 20 };

struct histogram_bounds {
    size_t count;
    uint64_t upper[HISTOGRAM_BUCKETS_MAX]; /* ascending, inclusive */
};

/* 0.5 ms to 30 s, in nanoseconds. */
extern const struct histogram_bounds histogram_durations;
/* 1 to 1024, in powers of two. */
extern const struct histogram_bounds histogram_counts;

struct histogram {
    const struct histogram_bounds *bounds;
    _Atomic uint64_t buckets[HISTOGRAM_BUCKETS_MAX + 1]; /* the last has no upper bound */
    _Atomic uint64_t sum;
};

void histogram_init(struct histogram *histogram, const struct histogram_bounds *bounds);
void histogram_observe(struct histogram *histogram, uint64_t value);

#endif
